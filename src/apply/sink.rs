//! A body on its way into staging: chunks in, a checked file out, in constant memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::disk::{Disk, DiskError, Sealed, Staged};

use super::signature::LONGEST;

/// Bytes gathered before a blocking thread writes them, while the next ones come in.
const CHUNK: usize = 1 << 20;

/// A staged file that async code writes to.
pub(super) struct Sink {
    /// `None` only while a blocking thread has it.
    /// Boxed: it holds a whole hasher, and this is passed along through many futures.
    staged: Option<Box<Staged>>,
    /// The blocking thread that has it.
    writing: Option<JoinHandle<Written>>,
    buffer: Vec<u8>,
    /// The other buffer, empty.
    spare: Vec<u8>,
    head: Vec<u8>,
    size: u64,
}

/// What a blocking thread gives back: the file, the emptied buffer, and how it went.
type Written = (Box<Staged>, Vec<u8>, Result<(), DiskError>);

impl Sink {
    /// Goes on where `staged` ends.
    pub(super) fn new(staged: Staged) -> Self {
        let size = staged.size;
        let (buffer, spare) = (Vec::new(), Vec::new());
        let staged = Some(Box::new(staged));
        Self { staged, writing: None, buffer, spare, head: Vec::new(), size }
    }

    /// Bytes so far, with those not yet written.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes written through this sink, enough for a signature.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Adds a chunk. An error may be that of an earlier one.
    pub(super) async fn write(&mut self, chunk: &Bytes) -> Result<(), DiskError> {
        let missing = LONGEST.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        self.size += chunk.len() as u64;
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() >= CHUNK { self.hand_over().await } else { Ok(()) }
    }

    /// Has what was gathered written, once what went before is.
    async fn hand_over(&mut self) -> Result<(), DiskError> {
        self.settle().await?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut staged = self.staged.take().expect("settle puts it back");
        let mut full = std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spare));
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let result = staged.write(&full);
            full.clear();
            (staged, full, result)
        }));
        Ok(())
    }

    /// Waits for the blocking thread, if one has the file.
    async fn settle(&mut self) -> Result<(), DiskError> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        // Taken away only afterwards: who gives up waiting finds it here again.
        let (staged, spare, result) = joined(writing).await;
        self.writing = None;
        (self.staged, self.spare) = (Some(staged), spare);
        result
    }

    async fn drain(&mut self) -> Result<(), DiskError> {
        self.hand_over().await?;
        self.settle().await
    }

    /// Flushes, fsyncs and closes.
    pub(super) async fn seal(mut self) -> Result<Sealed, DiskError> {
        self.drain().await?;
        let staged = self.staged.take().expect("drain puts it back");
        blocking(move || staged.seal()).await
    }

    /// Closes and keeps what came (a partial download), or removes it.
    pub(super) async fn drop_or_keep(mut self, keep: bool) -> Result<(), DiskError> {
        if keep {
            self.drain().await?;
        } else if let Err(error) = self.settle().await {
            tracing::debug!(%error, "not written, and not wanted any more");
        }
        match self.staged.take() {
            Some(staged) => blocking(move || staged.drop_or_keep(keep)).await,
            None => Ok(()),
        }
    }
}

/// A text, in staging.
pub(super) fn staged(disk: &Disk, text: &[u8]) -> Result<Sealed, DiskError> {
    let mut staged = disk.stage()?;
    staged.write(text)?;
    staged.seal()
}

/// Removes from staging what nobody will take.
pub(super) async fn discard(disk: &Arc<Disk>, files: impl IntoIterator<Item = Sealed>) {
    let (disk, files): (_, Vec<Sealed>) = (disk.clone(), files.into_iter().collect());
    if files.is_empty() {
        return;
    }
    blocking(move || {
        for sealed in files {
            if let Err(error) = disk.discard(sealed) {
                tracing::debug!(%error, "a staged file stays until the next start");
            }
        }
    })
    .await;
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(&mut tokio::task::spawn_blocking(work)).await
}

/// What a blocking thread gives back; its panic goes on here.
async fn joined<T>(thread: &mut JoinHandle<T>) -> T {
    match thread.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and polls nothing any more.
            Err(_) => std::future::pending().await,
        },
    }
}
