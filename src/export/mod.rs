//! Content in other shapes: documents as Markdown, bases and comments as JSON, cells as text.
//!
//! Pure: no network, file system, environment or clock. What a document needs from elsewhere
//! (names of people, pictures, embedded tables) is listed first, fetched by others, and handed
//! back as plain data.
//!
//! Start at [`docx`], [`bitable`] or [`comments`].

pub mod bitable;
pub mod cells;
pub mod comments;
pub mod docx;
