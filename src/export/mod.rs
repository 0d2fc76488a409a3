//! Content in other shapes: documents as Markdown, comments as JSON.
//!
//! Pure: no network, file system, environment or clock. What a document needs from elsewhere
//! (names of people, pictures, embedded tables) is listed first, fetched by others, and handed
//! back as plain data.
//!
//! Start at [`docx`] and [`comments`].

pub mod comments;
pub mod docx;
