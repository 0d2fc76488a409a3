//! How the parts tell what they do, without knowing who listens.

use crate::model::SourceName;
use crate::model::change::{Event, Failure};

/// A listener. Calls come from several tasks and must return at once.
pub trait Progress: Send + Sync {
    /// A folder of a source was listed; `places` more are known.
    fn listed(&self, source: &SourceName, places: usize);
    /// A listing failed or was refused.
    fn listing_failed(&self, source: &SourceName, path: &str, failure: &Failure);
    /// So many files came while the walk goes on.
    fn ahead(&self, files: u64);
    /// The walk is over; so many files are to be fetched, a side folder counting as one.
    fn planned(&self, files: u64);
    /// So many of them came, or were given up.
    fn fetched(&self, files: u64);
    /// So many bytes arrived.
    fn received(&self, bytes: u64);
    /// Something of note that stops nothing.
    fn warn(&self, message: &str);
    /// Something that only those want to know who ask for more.
    fn detail(&self, _message: &str) {}
    /// A change was planned, applied or failed.
    fn event(&self, event: &Event);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn listed(&self, _: &SourceName, _: usize) {}
    fn listing_failed(&self, _: &SourceName, _: &str, _: &Failure) {}
    fn ahead(&self, _: u64) {}
    fn planned(&self, _: u64) {}
    fn fetched(&self, _: u64) {}
    fn received(&self, _: u64) {}
    fn warn(&self, _: &str) {}
    fn event(&self, _: &Event) {}
}
