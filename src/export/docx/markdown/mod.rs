//! A document's blocks → Markdown: `CommonMark` with GitHub's tables, checklists and alerts.
//!
//! Front matter, then the page. No text of a document can become a sign: every character is
//! escaped where it could be one, see `escape`, and each mark is checked to be read as such, see
//! `marks`. What Markdown has no sign for is HTML: merged cells, underline, colours.
//!
//! The writer recurses over the tree, whose depth is bounded by
//! [`MAX_DEPTH`](super::MAX_DEPTH).
//!
//! Start at [`render`].

mod blocks;
mod code;
mod colors;
mod context;
mod embeds;
mod emoji;
mod escape;
mod front_matter;
mod inline;
mod lines;
mod list;
mod marks;
mod math;
mod notes;
mod spans;
mod table;
mod writer;

pub use self::context::{
    Context, Data, DocumentLink, Found, FrontMatter, Rendered, SubPage, Warning, WrittenLink,
};
use super::Tree;

/// Writes a document. The same tree, values and context give the same text.
pub fn render(tree: &Tree, front_matter: &FrontMatter, context: &Context) -> Rendered {
    let mut writer = writer::Writer::new(tree, context);
    writer.page(front_matter);
    writer.finish(front_matter::write(front_matter))
}
