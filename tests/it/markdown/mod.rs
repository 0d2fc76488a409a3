//! Documents as Markdown.

mod page;
