//! Bytes that can be read from any offset, without building them first.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use super::super::ids::{Dice, scramble};

/// Content of known length.
#[derive(Debug, Clone)]
pub enum Blob {
    /// In memory.
    Bytes(Bytes),
    /// Computed from a seed. Every block begins with a mark made of seed and position,
    /// so that a missing, repeated or foreign block changes the hash.
    Pattern {
        /// Another seed, other bytes.
        seed: u64,
        /// Bytes in all.
        len: u64,
    },
}

/// Bytes of a block of a pattern.
const BLOCK: u64 = 64 * 1024;
/// Bytes of its mark.
const MARK: usize = 16;

impl Blob {
    /// Bytes in all.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern { len, .. } => *len,
        }
    }

    /// The bytes of a range that lies inside, in pieces of at most a block.
    pub fn pieces(self, range: Range<u64>) -> impl Iterator<Item = Bytes> + Send + 'static {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let piece = self.piece(at, range.end);
            at += piece.len() as u64;
            Some(piece)
        })
    }

    /// Some bytes from `at` on, at least one, none after `end`.
    fn piece(&self, at: u64, end: u64) -> Bytes {
        match self {
            Self::Bytes(bytes) => {
                let end = end.min(at + BLOCK);
                let index = |n| usize::try_from(n).expect("an offset into memory");
                bytes.slice(index(at)..index(end))
            }
            Self::Pattern { seed, .. } => {
                let block = at / BLOCK;
                let index = |n: u64| usize::try_from(n).expect("at most a block");
                let (from, to) = (index(at % BLOCK), index(BLOCK.min(end - block * BLOCK)));
                if from >= MARK {
                    return filler().slice(from..to);
                }
                let mut mark = [0; MARK];
                mark[..8].copy_from_slice(&scramble(*seed).to_le_bytes());
                mark[8..].copy_from_slice(&scramble(block ^ *seed).to_le_bytes());
                Bytes::copy_from_slice(&mark[from..to.min(MARK)])
            }
        }
    }
}

/// One block of noise, shared by all patterns: serving gigabytes copies nothing.
fn filler() -> &'static Bytes {
    static FILLER: OnceLock<Bytes> = OnceLock::new();
    FILLER.get_or_init(|| {
        let mut dice = Dice::new(0xF111);
        (0..BLOCK / 8).flat_map(|_| dice.roll().to_le_bytes()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(blob: &Blob, range: Range<u64>) -> Vec<u8> {
        blob.clone().pieces(range).flatten().collect()
    }

    #[test]
    fn ranges_join_to_the_whole() {
        let blob = Blob::Pattern { seed: 5, len: 200_000 };
        let whole = read(&blob, 0..200_000);
        assert_eq!(whole.len(), 200_000);
        for cut in [0, 1, 15, 16, 17, 65_535, 65_536, 65_540, 131_080, 199_999, 200_000] {
            let mut joined = read(&blob, 0..cut);
            joined.extend(read(&blob, cut..200_000));
            assert!(joined == whole, "cut at {cut}");
        }
    }

    #[test]
    fn seeds_and_blocks_differ() {
        let one = read(&Blob::Pattern { seed: 1, len: 65_536 * 2 }, 0..131_072);
        let two = read(&Blob::Pattern { seed: 2, len: 65_536 * 2 }, 0..131_072);
        assert!(one != two);
        assert!(one[..65_536] != one[65_536..]);
    }
}
