//! Numbers of numbered items.

use crate::export::docx::block::Sequence;

/// The largest number that a list item may have (`CommonMark` 0.31, section 5.2).
const MAX_NUMBER: u64 = 999_999_999;

/// Numbers of numbered items among siblings.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    last: Option<u64>,
    interrupted: bool,
}

impl Numbering {
    /// The number of the next item.
    ///
    /// `auto` counts on across whatever stands between; an item without a sequence, as in
    /// older documents, only from the item right before it.
    pub fn next(&mut self, sequence: Sequence) -> u64 {
        let interrupted = std::mem::take(&mut self.interrupted);
        let number = match (sequence, self.last) {
            (Sequence::At(number), _) => number,
            (Sequence::Auto, Some(last)) => last + 1,
            (Sequence::Unsaid, Some(last)) if !interrupted => last + 1,
            _ => 1,
        };
        let number = number.min(MAX_NUMBER);
        self.last = Some(number);
        number
    }

    /// Something else than a numbered item stands here.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_as_the_editor_shows_them() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.next(Sequence::Unsaid), 1);
        assert_eq!(numbering.next(Sequence::Unsaid), 2);
        numbering.interrupt();
        assert_eq!(numbering.next(Sequence::Auto), 3, "across an image");
        assert_eq!(numbering.next(Sequence::At(7)), 7);
        assert_eq!(numbering.next(Sequence::Unsaid), 8);
        numbering.interrupt();
        assert_eq!(numbering.next(Sequence::Unsaid), 1, "nothing said: a new list");
        assert_eq!(numbering.next(Sequence::At(u64::MAX)), 999_999_999);
        assert_eq!(numbering.next(Sequence::Auto), 999_999_999, "no more digits");
        assert_eq!(numbering.next(Sequence::At(0)), 0);
    }
}
