//! Documents as Markdown.

mod fallback;
