//! Exports: create a task, poll it, download its product.
//!
//! The service gives no limit on tasks at once but slows down under many, and each call
//! costs quota (docs: drive-v1/export_task: 100 a minute for each of the three). So the
//! queue begins with two tasks and widens while they succeed, and the first poll comes
//! when the product is likely to be there.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::disk::{DiskError, Sealed};
use crate::feishu::{ApiError, Class, ExportJob};
use crate::model::{Format, Object};

use super::fetch::{Fetcher, Setback};
use super::signature::signature;
use super::sink::{Sink, blocking};
use super::trouble::Trouble;

/// New tasks after the first, where the service says that one may succeed.
const NEW_TASKS: u32 = 2;

/// Tries after the first for a product that arrives damaged.
const DAMAGED: u32 = 2;

/// Bounds of the time between two polls of one task (client: larksuite/cli polls every
/// 5 s).
const SHORTEST_POLL: Duration = Duration::from_millis(500);
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// Tasks at once in the beginning.
const FIRST_WIDTH: usize = 2;

/// How many exports run at once, and how long they take.
pub(super) struct ExportQueue {
    slots: Semaphore,
    state: Mutex<State>,
}

struct State {
    width: usize,
    widest: usize,
    /// Running mean of the seconds until a product was ready.
    typical_secs: f64,
}

/// Why a product did not come.
enum Lost {
    /// It died (10 minutes after it was ready): a new task makes another.
    Expired(Setback),
    For(Setback),
}

impl ExportQueue {
    pub(super) fn new(widest: usize) -> Self {
        let width = FIRST_WIDTH.min(widest.max(1));
        // Low: a poll too early tells the real time at once, one too late only slowly.
        let state = State { width, widest: widest.max(1), typical_secs: 0.7 };
        Self { slots: Semaphore::new(width), state: Mutex::new(state) }
    }

    /// Exports an object (or one part of it) into staging.
    pub(super) async fn export(
        &self,
        fetcher: &Fetcher,
        object: &Object,
        format: Format,
        part: Option<&str>,
    ) -> Result<Sealed, Setback> {
        let slot = fetcher.unless_quit(self.slots.acquire()).await?;
        let slot = slot.expect("never closed");
        let result = self.run(fetcher, object, format, part).await;
        drop(slot);
        if !matches!(result, Err(Setback::Stopped)) {
            fetcher.progress.exported();
        }
        match &result {
            Ok(_) => self.widen(),
            // A refusal says nothing about how busy the service is.
            Err(Setback::Trouble(trouble)) if trouble.failure.retryable => self.narrow(),
            Err(_) => {}
        }
        result
    }

    async fn run(
        &self,
        fetcher: &Fetcher,
        object: &Object,
        format: Format,
        part: Option<&str>,
    ) -> Result<Sealed, Setback> {
        let (mut renewed, mut expired) = (0, false);
        loop {
            let create = fetcher.client.create_export(object, format.as_str(), part);
            let ticket = fetcher.call(create).await?;
            let (product, size) = match self.ready(fetcher, &ticket, object).await? {
                Ok(product) => product,
                Err(_) if renewed < NEW_TASKS => {
                    renewed += 1;
                    self.narrow();
                    fetcher.pause(renewed).await?;
                    continue;
                }
                Err(error) => return Err(fetcher.judge(error)),
            };
            match download(fetcher, &product, size, format).await {
                Ok(sealed) => return Ok(sealed),
                Err(Lost::Expired(_)) if !expired => expired = true,
                Err(Lost::Expired(setback) | Lost::For(setback)) => return Err(setback),
            }
        }
    }

    /// Polls until the product is there. The inner error asks for a new task.
    async fn ready(
        &self,
        fetcher: &Fetcher,
        ticket: &str,
        object: &Object,
    ) -> Result<Result<(String, u64), ApiError>, Setback> {
        let began = Instant::now();
        let timeout = fetcher.settings.export_timeout;
        let mut delay = self.first_delay();
        let mut before = Duration::ZERO;
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            fetcher.unless_quit(tokio::time::sleep(delay.min(left))).await?;
            match fetcher.call(fetcher.client.poll_export(ticket, object)).await? {
                ExportJob::Ready { file_token, size } => {
                    // It became ready somewhere between two polls.
                    self.learn((before + began.elapsed()) / 2);
                    return Ok(Ok((file_token, size)));
                }
                ExportJob::Again(error) => return Ok(Err(error)),
                ExportJob::Refused(error) => return Err(fetcher.judge(error)),
                ExportJob::Pending if began.elapsed() >= timeout => {
                    let mut trouble = Trouble::failed(format!(
                        "the export was not ready after {} s",
                        timeout.as_secs()
                    ));
                    trouble.failure.hint =
                        Some("run again; raise `limits.export_timeout` if it stays".to_owned());
                    return Err(trouble.into());
                }
                ExportJob::Pending => {
                    before = began.elapsed();
                    // Half as long again as it has taken so far.
                    delay = (before / 2).clamp(SHORTEST_POLL, LONGEST_POLL);
                }
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A little more than exports take: one poll each is then the rule.
    fn first_delay(&self) -> Duration {
        let typical = Duration::from_secs_f64(self.state().typical_secs * 1.2);
        typical.clamp(SHORTEST_POLL, LONGEST_POLL)
    }

    fn learn(&self, took: Duration) {
        let mut state = self.state();
        // Ready at the first poll: it may have been ready well before, so the mean sinks
        // until a poll comes too early and tells the real time.
        let secs = took.as_secs_f64();
        state.typical_secs = 0.8 * state.typical_secs + 0.2 * secs;
    }

    fn widen(&self) {
        let mut state = self.state();
        if state.width < state.widest {
            state.width += 1;
            self.slots.add_permits(1);
        }
    }

    fn narrow(&self) {
        let mut state = self.state();
        if state.width > FIRST_WIDTH.min(state.widest) {
            state.width -= self.slots.forget_permits(1);
        }
    }
}

/// Downloads a product and checks its length and first bytes.
async fn download(
    fetcher: &Fetcher,
    product: &str,
    size: u64,
    format: Format,
) -> Result<Sealed, Lost> {
    let (mut cut, mut damaged) = (0, 0);
    loop {
        let body = match fetcher.unless_quit(fetcher.client.download_export(product)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                let dead = error.class == Class::Gone || error.status == Some(404);
                let setback = fetcher.judge(error);
                return Err(if dead { Lost::Expired(setback) } else { Lost::For(setback) });
            }
            Err(stopped) => return Err(Lost::For(stopped)),
        };
        let disk = fetcher.disk.clone();
        let staged = blocking(move || disk.stage()).await.map_err(Lost::disk)?;
        let mut sink = Sink::new(staged);
        let mut stream = body.stream;
        let mut broken = None;
        loop {
            let chunk = match fetcher.unless_quit(stream.next()).await {
                Err(stopped) => {
                    sink.drop_or_keep(false).await.map_err(Lost::disk)?;
                    return Err(Lost::For(stopped));
                }
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    broken = Some(error);
                    break;
                }
                Ok(Some(Ok(chunk))) => chunk,
            };
            fetcher.progress.received(chunk.len() as u64);
            sink.write(&chunk).await.map_err(Lost::disk)?;
        }
        if let Some(error) = broken {
            // The service knows no ranges here: from the beginning.
            sink.drop_or_keep(false).await.map_err(Lost::disk)?;
            cut += 1;
            if cut > fetcher.settings.retries {
                return Err(Lost::For(fetcher.judge(error)));
            }
            fetcher.pause(cut).await.map_err(Lost::For)?;
            continue;
        }
        let trouble = if sink.size() != size {
            format!("the export has {} bytes, its job said {size}", sink.size())
        } else if !sink.head().starts_with(signature(format)) {
            format!("the export does not begin like a {format} file")
        } else {
            return sink.seal().await.map_err(Lost::disk);
        };
        sink.drop_or_keep(false).await.map_err(Lost::disk)?;
        damaged += 1;
        if damaged > DAMAGED {
            return Err(Lost::For(Trouble::failed(trouble).into()));
        }
        fetcher.pause(damaged).await.map_err(Lost::For)?;
    }
}

impl Lost {
    fn disk(error: DiskError) -> Self {
        Self::For(Setback::Disk(error))
    }
}
