//! Export tasks that outlive a run.
//!
//! A task costs quota when it is created, and its product can be had for ten minutes after
//! it is ready, by whoever created it (docs: drive-v1/export_task/download). So a run that is
//! cut off leaves its tickets in `exports.jsonl`, each with what was seen of the object before
//! it was created, and the next run asks for these before it creates any. How long exports
//! took is kept in the same file.
//!
//! Lines are added and the last one of a kind is right. Nothing is synced and nothing fails
//! for it: a line that is lost costs one task.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError, StateLog};
use crate::model::recorded::{Moved, Stamp};
use crate::model::{Edited, Format, Object};

use super::sink::blocking;

/// In the state folder.
const FILE: &str = "exports.jsonl";

/// Lines that are added before what nobody needs any more is left out: at the official quota
/// that is once an hour.
const MOST_LINES: usize = 6000;

/// What a task makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Order {
    #[serde(flatten)]
    pub object: Object,
    pub format: Format,
    /// The sheet or table of a CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

/// A task that was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ticket {
    #[serde(flatten)]
    pub order: Order,
    /// What the service calls the task.
    #[serde(rename = "ticket")]
    pub handle: String,
    /// When it was created, seconds since 1970.
    pub at_secs: i64,
    /// What was seen of the object before that.
    pub stamp: Stamp,
    /// Whose it is.
    by: String,
}

/// How long exports of one kind take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ReadyTime {
    pub ty: String,
    pub format: Format,
    /// Seconds to the first poll.
    pub first: f64,
    /// The least that this has been, slowly forgotten.
    pub usual: f64,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Task(Ticket),
    /// A task of which nothing is to be had.
    Ended(String),
    Ready(ReadyTime),
}

/// The tickets of earlier runs, and the file for those of this one.
pub(super) struct Tickets {
    by: String,
    earlier: Mutex<HashMap<Order, Ticket>>,
    oldest: HashMap<Object, i64>,
    file: Arc<Mutex<File>>,
}

/// What was found of earlier runs besides tickets.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub ready: Vec<ReadyTime>,
    /// True where part of the file made no sense.
    pub damaged: bool,
}

struct File {
    disk: Arc<Disk>,
    /// Seconds for which a ticket is worth keeping.
    keep_secs: i64,
    ready: Vec<ReadyTime>,
    /// Those that are worth keeping, the oldest first.
    young: VecDeque<Ticket>,
    state: Log,
}

enum Log {
    /// Nothing was added yet.
    Untouched,
    Open {
        log: StateLog,
        lines: usize,
    },
    /// It cannot be written; the disk's trouble is told where it matters.
    GivenUp,
}

impl Tickets {
    /// Reads what earlier runs left. `by`: whose calls these are. `keep_secs`: for so long a
    /// task may have a product after it was created.
    pub(super) fn read(disk: &Arc<Disk>, by: &str, now_secs: i64, keep_secs: i64) -> (Self, Found) {
        let mut found = Found::default();
        let bytes = match disk.read_state_file(FILE) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, "tickets of earlier exports are lost");
                found.damaged = true;
                Vec::new()
            }
        };
        let mut tasks: HashMap<String, Ticket> = HashMap::new();
        let mut ready: HashMap<(String, Format), ReadyTime> = HashMap::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Task(task)) => drop(tasks.insert(task.handle.clone(), task)),
                Ok(Line::Ended(ticket)) => drop(tasks.remove(&ticket)),
                Ok(Line::Ready(time)) if time.first.is_finite() && time.usual.is_finite() => {
                    ready.insert((time.ty.clone(), time.format), time);
                }
                // A run that was killed may leave the beginning of a line.
                Err(_) if !line.ends_with(b"\n") => {}
                Ok(Line::Ready(_)) | Err(_) => found.damaged = true,
            }
        }
        let is_young =
            |task: &Ticket| task.at_secs <= now_secs && now_secs - task.at_secs < keep_secs;
        let mut young: Vec<Ticket> = tasks.into_values().filter(is_young).collect();
        young.sort_by(|a, b| (a.at_secs, &a.handle).cmp(&(b.at_secs, &b.handle)));
        // The youngest one of an order is the one that counts.
        let own = young.iter().filter(|task| task.by == by).cloned();
        let earlier: HashMap<Order, Ticket> = own.map(|task| (task.order.clone(), task)).collect();
        let mut oldest = HashMap::new();
        for task in earlier.values() {
            let at = oldest.entry(task.order.object.clone()).or_insert(task.at_secs);
            *at = task.at_secs.min(*at);
        }
        found.ready = ready.into_values().collect();
        let file = File {
            disk: disk.clone(),
            keep_secs,
            ready: found.ready.clone(),
            young: young.into(),
            state: Log::Untouched,
        };
        let (earlier, file) = (Mutex::new(earlier), Arc::new(Mutex::new(file)));
        (Self { by: by.to_owned(), earlier, oldest, file }, found)
    }

    /// When the oldest task was created that an earlier run left of this object.
    pub(super) fn oldest(&self, object: &Object) -> Option<i64> {
        self.oldest.get(object).copied()
    }

    /// Takes the ticket of an earlier run.
    pub(super) fn take(&self, order: &Order) -> Option<Ticket> {
        self.earlier().remove(order)
    }

    /// Remembers a task that was created, and returns its ticket.
    pub(super) async fn add(
        &self,
        order: Order,
        handle: String,
        stamp: &Stamp,
        now_secs: i64,
    ) -> Ticket {
        let by = self.by.clone();
        let task = Ticket { order, handle, at_secs: now_secs, stamp: stamp.clone(), by };
        let (file, added) = (self.file.clone(), task.clone());
        blocking(move || locked(&file).add(added)).await;
        task
    }

    /// Nothing is to be had of this task.
    pub(super) async fn end(&self, task: &Ticket) {
        let (file, ticket) = (self.file.clone(), task.handle.clone());
        blocking(move || locked(&file).end(ticket)).await;
    }

    /// Keeps how long exports take, where that is not what the file says.
    pub(super) async fn keep_times(&self, times: Vec<ReadyTime>) {
        let file = self.file.clone();
        blocking(move || locked(&file).keep_times(times)).await;
    }

    fn earlier(&self) -> MutexGuard<'_, HashMap<Order, Ticket>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locked(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ticket {
    /// What is to be recorded of the product, given what is seen of the object now. `None`:
    /// the object may have changed since the task was created.
    pub(super) fn stamp_now(&self, edited: Option<Edited>, revision: Option<i64>) -> Option<Stamp> {
        self.stamp.renewed(edited, revision)
    }

    /// True where the object certainly is as it was when the task was created.
    pub(super) fn is_current(&self, edited: Option<Edited>, revision: Option<i64>) -> bool {
        let settled = |edited| matches!(self.stamp.compare(edited), Moved::No | Moved::Baseline);
        match (self.stamp.revision, revision) {
            (Some(then), Some(now)) => then == now,
            _ => edited.is_some_and(settled),
        }
    }
}

impl File {
    fn add(&mut self, task: Ticket) {
        let now_secs = task.at_secs;
        self.young.push_back(task);
        let line = Line::Task(self.young[self.young.len() - 1].clone());
        self.write(&[line], now_secs);
    }

    fn end(&mut self, ticket: String) {
        self.young.retain(|task| task.handle != ticket);
        let now_secs = self.young.back().map_or(0, |task| task.at_secs);
        self.write(&[Line::Ended(ticket)], now_secs);
    }

    fn keep_times(&mut self, times: Vec<ReadyTime>) {
        let is_news = |time: &ReadyTime| {
            let known = self.ready.iter().find(|k| (&k.ty, k.format) == (&time.ty, time.format));
            // What differs by less is no reason to write.
            known.is_none_or(|known| (known.first / time.first - 1.0).abs() > 0.1)
        };
        let news: Vec<ReadyTime> = times.iter().filter(|time| is_news(time)).cloned().collect();
        if news.is_empty() {
            return;
        }
        for time in times {
            self.ready.retain(|known| (&known.ty, known.format) != (&time.ty, time.format));
            self.ready.push(time);
        }
        let lines: Vec<Line> = news.into_iter().map(Line::Ready).collect();
        self.write(&lines, 0);
    }

    fn write(&mut self, lines: &[Line], now_secs: i64) {
        if let Err(error) = self.try_write(lines, now_secs) {
            tracing::debug!(%error, "tickets of exports are not kept");
            self.state = Log::GivenUp;
        }
    }

    fn try_write(&mut self, new: &[Line], now_secs: i64) -> Result<(), DiskError> {
        let is_due = match &self.state {
            Log::GivenUp => return Ok(()),
            Log::Untouched => true,
            Log::Open { lines, .. } => *lines >= MOST_LINES,
        };
        if is_due {
            let keep_secs = self.keep_secs;
            self.young.retain(|task| now_secs - task.at_secs < keep_secs);
            let tasks = self.young.iter().cloned().map(Line::Task);
            let lines: Vec<Line> =
                self.ready.iter().cloned().map(Line::Ready).chain(tasks).collect();
            self.disk.replace_state_file(FILE, |to| {
                lines.iter().try_for_each(|line| to.write_all(text(line).as_bytes()))
            })?;
            self.state = Log::Open { log: self.disk.state_log(FILE)?, lines: 0 };
            // With `Ended` left out, and all others written.
            return Ok(());
        }
        if let Log::Open { log, lines } = &mut self.state {
            for line in new {
                log.line(text(line).trim_end())?;
            }
            *lines += new.len();
            log.flush()?;
        }
        Ok(())
    }
}

fn text(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("plain data has a JSON form");
    format!("{json}\n")
}
