//! Content as text: documents as Markdown, bases as JSON.

mod bases;
