//! Documents as Markdown, bases as JSON, and what people said about them.

mod bases;
mod embeds;
mod fallback;
mod links;
mod page;
mod pictures;
mod random;
