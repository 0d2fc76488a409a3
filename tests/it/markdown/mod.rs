//! Documents as Markdown, bases as JSON, and what people said about them.

mod bases;
mod embeds;
mod links;
mod page;
mod pictures;
