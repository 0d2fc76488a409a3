//! Hashes under keys drawn for the run, and how they are found again.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use foldhash::quality::RandomState;

use crate::model::recorded::Loc;

/// A place, a path, an object or a name.
pub(super) type Print = u64;

/// By what is a hash already.
pub(super) type ByPrint<T> = HashMap<Print, T, foldhash::fast::RandomState>;

/// Finds hashes in a sorted list by where each range of them begins: searching among a
/// million by halves would miss the processor's cache twenty times.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// By the first bits of a hash, and the end of the list.
    starts: Vec<u32>,
    shift: u32,
}

impl Finder {
    pub(super) fn of(sorted: impl ExactSizeIterator<Item = Print>) -> Self {
        // About one hash a range.
        let bits = sorted.len().max(2).ilog2();
        let shift = Print::BITS - bits;
        let mut starts = vec![0; (1 << bits) + 1];
        for print in sorted {
            starts[Self::range(print, shift) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { starts, shift }
    }

    pub(super) fn range(print: Print, shift: u32) -> usize {
        usize::try_from(print >> shift).expect("as many ranges as fit into memory")
    }

    /// Where in the list it can be.
    pub(super) fn near(&self, print: Print) -> Range<usize> {
        if self.starts.is_empty() {
            return 0..0;
        }
        let at = Self::range(print, self.shift);
        self.starts[at] as usize..self.starts[at + 1] as usize
    }
}

#[derive(Clone, Default)]
pub(super) struct Prints(RandomState);

impl Prints {
    pub(super) fn of(&self, value: &(impl Hash + ?Sized)) -> Print {
        // 0 stands for "none".
        self.0.hash_one(value).max(1)
    }

    pub(super) fn key(&self, source: &str, token: &str) -> Print {
        self.of(&(source, token))
    }

    /// Half of the bits.
    pub(super) fn short(&self, value: &(impl Hash + ?Sized)) -> u32 {
        u32::try_from(self.of(value) >> 32).unwrap_or(u32::MAX).max(1)
    }

    /// Path of a name, given by its own hash, in a folder.
    pub(super) fn join(&self, folder: Print, name: Print) -> Print {
        self.of(&(folder, name))
    }

    pub(super) fn path(&self, at: &Loc) -> Print {
        let (path, top) = match at {
            Loc::Mirror(path) => (path, 0),
            Loc::Parked(path) => (path, 1),
        };
        path.components().fold(top, |folder, name| self.join(folder, self.of(name)))
    }

    pub(super) fn face(&self, parent: Option<&str>, node: Face<'_>) -> Print {
        self.of(&(parent, node))
    }
}

/// What a listing shows of a place.
#[derive(Hash)]
pub(super) struct Face<'a> {
    pub(super) ty: &'a str,
    pub(super) object: &'a str,
    pub(super) title: &'a str,
    pub(super) created_secs: i64,
    pub(super) order: u32,
}
