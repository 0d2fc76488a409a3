//! Online documents (docx) as Markdown, from their block list.
//!
//! In three steps, all pure: [`Tree::build`] makes a tree of the flat list that the service
//! returns, [`Needs::of`] says what has to be fetched before the document can be shown, and
//! [`markdown::render`] writes it. The block list may be kept and rendered again whenever
//! something outside of the document changes: a linked page moves, a person's name is found.

pub mod block;
pub mod kept;
pub mod markdown;
pub mod needs;
mod parse;
mod tree;
pub mod url;

#[cfg(test)]
mod tests;

pub use self::kept::Kept;
pub use self::needs::Needs;
pub use self::tree::{MAX_DEPTH, NodeId, Problems, Tree};
