//! Which sources a run walks, and the walks that several runs share.
//!
//! A walk that is not at its end is kept in `walks/<source>.jsonl` of the state folder, see
//! [`crate::crawl::Walked`]. `sync` writes there, `diff` and `status` only read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::exit::Problem;
use super::survey::Manifest;
use crate::config::{Config, Crawl};
use crate::crawl::{Known, WalkKeeper, Walked, Way, planned_line};
use crate::disk::Disk;
use crate::feishu::{folder_listing_time, folder_pages, node_listing_time, node_pages};
use crate::model::recorded::{PlaceState, SourceRow};
use crate::model::source::{Source, SourceKind};
use crate::model::tree::RemoteTree;
use crate::model::{ObjType, PlaceToken, SourceName};
use crate::store::StoreError;
use crate::ui::text::{count, counted, escaped, minute};

/// Where walks are kept, below the state folder.
const FOLDER: &str = "walks";

/// How long a walk may be shared where `full_every` is zero.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn file(source: &SourceName) -> String {
    format!("{FOLDER}/{source}.jsonl")
}

/// Keeps walks in the state folder.
pub struct Walks {
    disk: Arc<Disk>,
    /// False for a run that changes nothing.
    writes: bool,
}

impl Walks {
    pub fn new(disk: &Arc<Disk>, writes: bool) -> Self {
        Self { disk: disk.clone(), writes }
    }

    /// The walk of a source that is to be continued: none where there is any doubt about
    /// it, or it is too old.
    fn unfinished(&self, kind: &SourceKind, task: &Task<'_>) -> Result<Option<Walked>, Problem> {
        let Some(bytes) = self.disk.read_state_file(&file(task.name))? else { return Ok(None) };
        let limit = if task.crawl.full_every.is_zero() { WEEK } else { task.crawl.full_every };
        let good = Walked::read(&bytes).filter(|walked| {
            let age = task.now_secs.saturating_sub(walked.began_secs);
            let done = task.row.and_then(|row| row.full_walk_secs);
            walked.entry == kind.entry()
                && (0..secs(limit)).contains(&age)
                && done.is_none_or(|done| done < walked.began_secs)
                && !task.accepts_change
        });
        let name = file(task.name);
        match &good {
            _ if !self.writes => {}
            None => self.disk.remove_state_file(&name)?,
            // A torn line would spoil the next one.
            Some(walked) if walked.sound_bytes < bytes.len() => {
                self.disk.write_state_file(&name, &bytes[..walked.sound_bytes])?;
            }
            Some(_) => {}
        }
        Ok(good)
    }

    /// Notes that whole walks are about to be acted on: a run after this one may use them
    /// again, but must not count twice what they do not list.
    pub fn planned(&self, tree: &RemoteTree) -> Result<(), Problem> {
        for (name, source) in &tree.sources {
            if source.kept && source.is_full() && !source.counted {
                self.disk.append_state_file(&file(name), planned_line().as_bytes())?;
            }
        }
        Ok(())
    }

    /// Forgets walks that are recorded as whole, and those of sources that the config no
    /// longer has.
    pub fn tidy(&self, config: &Config, recorded: &BTreeSet<SourceName>) -> Result<(), Problem> {
        let known: Vec<String> = config.sources.iter().map(|source| file(&source.name)).collect();
        for name in recorded {
            self.disk.remove_state_file(&file(name))?;
        }
        for name in self.disk.state_files(FOLDER)? {
            let name = format!("{FOLDER}/{name}");
            if !known.contains(&name) {
                self.disk.remove_state_file(&name)?;
            }
        }
        Ok(())
    }
}

impl WalkKeeper for Walks {
    fn keeps(&self) -> bool {
        self.writes
    }

    fn add(&self, source: &SourceName, lines: &str) -> Result<(), String> {
        let added = self.disk.append_state_file(&file(source), lines.as_bytes());
        added.map_err(|error| error.to_string())
    }

    fn forget(&self, source: &SourceName) -> Result<(), String> {
        self.disk.remove_state_file(&file(source)).map_err(|error| error.to_string())
    }
}

/// What decides how a source is looked at.
struct Task<'a> {
    name: &'a SourceName,
    crawl: &'a Crawl,
    row: Option<&'a SourceRow>,
    now_secs: i64,
    /// `--accept-identity-change`.
    accepts_change: bool,
}

/// What is the same for all sources.
pub struct Run<'a> {
    pub config: &'a Config,
    pub now_secs: i64,
    /// `--full`.
    pub full: bool,
    /// `--accept-identity-change`.
    pub accepts_change: bool,
}

/// How each source is looked at; those not named are walked from the beginning.
pub fn ways<'a>(
    run: &Run<'_>,
    sources: &[Source],
    (manifest, rows, fault): (
        &'a Manifest,
        &BTreeMap<SourceName, SourceRow>,
        &'a Mutex<Option<StoreError>>,
    ),
    walks: &Walks,
) -> Result<BTreeMap<SourceName, Way<'a>>, Problem> {
    let mut ways = BTreeMap::new();
    for source in sources {
        if matches!(source.kind, SourceKind::Docs(_)) {
            continue;
        }
        let task = Task {
            name: &source.name,
            crawl: &run.config.crawl,
            row: rows.get(&source.name),
            now_secs: run.now_secs,
            accepts_change: run.accepts_change,
        };
        let way = match walks.unfinished(&source.kind, &task)? {
            Some(walked) => Way::Full(Some(walked)),
            None => match cheap_row(run, source, &task, manifest)? {
                None => Way::Full(None),
                Some(row) => Way::Cheap(Known {
                    root: row.root.clone(),
                    rows: manifest.rows_of(&source.name, fault),
                    looked_secs: row.looked_secs,
                    now_secs: run.now_secs,
                }),
            },
        };
        ways.insert(source.name.clone(), way);
    }
    Ok(ways)
}

/// The source's row, where it need not be walked now.
fn cheap_row<'a>(
    run: &Run<'_>,
    source: &Source,
    task: &Task<'a>,
    manifest: &Manifest,
) -> Result<Option<&'a SourceRow>, Problem> {
    let Some(row) = task.row else { return Ok(None) };
    let Some(walked_secs) = row.full_walk_secs else { return Ok(None) };
    let age = task.now_secs.saturating_sub(walked_secs);
    let every = secs(task.crawl.full_every);
    let same = row.entry.as_deref() == Some(source.kind.entry().as_str())
        && !row.root.is_empty()
        && row.filter.as_deref() == Some(run.config.rules.filter.print().as_str());
    if run.full || task.accepts_change || !same || !(0..every).contains(&age) {
        return Ok(None);
    }
    let calls = match row.walk_calls {
        Some(calls) => calls,
        None => calls_of(&source.kind, manifest, task.name)?,
    };
    let takes = estimate(&source.kind, calls, run.config.limits.quota_share);
    Ok((takes > task.crawl.full_under).then_some(row))
}

/// How long a full walk takes at best.
fn estimate(kind: &SourceKind, calls: u64, quota_share: f64) -> Duration {
    match kind {
        SourceKind::Drive { .. } => folder_listing_time(calls, quota_share),
        SourceKind::Wiki(_) => node_listing_time(calls, quota_share),
        SourceKind::Docs(_) => Duration::ZERO,
    }
}

/// Listing calls that a walk of what is recorded would take.
fn calls_of(kind: &SourceKind, manifest: &Manifest, name: &SourceName) -> Result<u64, StoreError> {
    let mut children: BTreeMap<Option<PlaceToken>, usize> = BTreeMap::from([(None, 0)]);
    manifest.for_each_of(name, |key, row| {
        if row.state != PlaceState::Live {
            return;
        }
        *children.entry(row.parent).or_default() += 1;
        if matches!(row.object.ty, ObjType::Folder | ObjType::Space) {
            children.entry(Some(key.token)).or_default();
        }
    })?;
    let pages = |number: &usize| match kind {
        SourceKind::Drive { .. } => folder_pages(*number),
        SourceKind::Wiki(_) | SourceKind::Docs(_) => node_pages(*number),
    };
    Ok(children.values().map(pages).sum())
}

fn secs(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// How far the walks of a mirror are, for `status`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Progress {
    /// The source.
    pub source: SourceName,
    /// When it was last walked completely, seconds since 1970.
    pub full_walk_secs: Option<i64>,
    /// The walk that goes on with the next run.
    pub unfinished: Option<Unfinished>,
}

impl Progress {
    /// For people.
    pub fn text(&self) -> String {
        let name = escaped(self.source.as_str());
        let last = match self.full_walk_secs {
            None => format!("{name}: never walked completely"),
            Some(at) => format!("{name}: walked completely on {}", minute(at)),
        };
        match &self.unfinished {
            None => last,
            Some(walk) => format!(
                "{last}; a walk began on {}: {}, {} known to be left, and the next run goes on",
                minute(walk.began_secs),
                counted(walk.listed as u64, "folder or page listed", "folders or pages listed"),
                count(walk.left as u64)
            ),
        }
    }
}

/// A walk that is not at its end.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Unfinished {
    /// When its first run began, seconds since 1970.
    pub began_secs: i64,
    /// Parents listed.
    pub listed: usize,
    /// Parents known and not yet listed.
    pub left: usize,
}

/// Reads how far each source is, in the config's order.
pub fn progress(
    config: &Config,
    disk: &Disk,
    sources: &BTreeMap<SourceName, SourceRow>,
) -> Result<Vec<Progress>, Problem> {
    let mut all = Vec::new();
    for source in &config.sources {
        let full_walk_secs = sources.get(&source.name).and_then(|row| row.full_walk_secs);
        let bytes = disk.read_state_file(&file(&source.name))?;
        let walked = bytes.as_deref().and_then(Walked::read);
        let walked = walked.filter(|walked| walked.entry == source.kind.entry());
        let unfinished = walked.map(|walked| Unfinished {
            began_secs: walked.began_secs,
            listed: walked.parents(),
            left: walked.left(),
        });
        all.push(Progress { source: source.name.clone(), full_walk_secs, unfinished });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PlaceKey;
    use crate::model::recorded::{PlaceRow, Recorded};
    use crate::model::source::WikiScope;

    const DAY: i64 = 86_400;

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mirror.toml");
        std::fs::write(&file, format!("{text}\n[[source]]\nname = \"w\"\nkind = \"wiki\"\n"))
            .unwrap();
        Config::load(Some(&file), &BTreeMap::new(), folder.path()).unwrap()
    }

    #[test]
    fn what_takes_long_is_walked_now_and_then() {
        let usual = config("");
        let row = |walk_calls| SourceRow {
            entry: Some("wiki all".to_owned()),
            root: "all".to_owned(),
            full_walk_secs: Some(100),
            walk_calls: Some(walk_calls),
            filter: Some(usual.rules.filter.print()),
            looked_secs: Some(50),
        };
        let long = row(20_000);
        let none = SourceRow { full_walk_secs: None, ..long.clone() };
        let other = SourceRow { entry: Some("wiki my_library".to_owned()), ..long.clone() };
        let filter = SourceRow { filter: Some("other".to_owned()), ..long.clone() };
        let lost = SourceRow { root: String::new(), ..long.clone() };
        let later = 100 + DAY;
        // 95 of 100 calls a minute: two hours are 11,400.
        let cases = [
            ("", Some(&long), later, false, true, "a walk of 3 h 30 min"),
            ("", Some(&long), later, true, false, "--full"),
            ("", Some(&long), 99 + 7 * DAY, false, true, "a second less than a week"),
            ("", Some(&long), 100 + 7 * DAY, false, false, "a week"),
            ("", Some(&long), 50, false, false, "a clock that was wrong"),
            ("", Some(&row(11_400)), later, false, false, "two hours, and not more"),
            ("", Some(&row(11_401)), later, false, true, "more"),
            ("[crawl]\nfull_under = \"4h\"", Some(&long), later, false, false, "under 4 h"),
            ("[limits]\nquota_share = 2", Some(&long), later, false, false, "twice as fast"),
            ("[limits]\nquota_share = 0.5", Some(&row(5_701)), later, false, true, "half as fast"),
            ("[crawl]\nfull_every = \"0\"", Some(&long), later, false, false, "every run"),
            ("[crawl]\nfull_every = \"1d\"", Some(&long), later, false, false, "every day"),
            ("", None, later, false, false, "nothing is known"),
            ("", Some(&none), later, false, false, "never walked"),
            ("", Some(&other), later, false, false, "another entry"),
            ("", Some(&filter), later, false, false, "another filter"),
            ("", Some(&lost), later, false, false, "nobody knows where it led"),
        ];
        let source = &usual.sources[0];
        for (text, row, now_secs, full, cheap, why) in cases {
            let config = config(text);
            let run = Run { config: &config, now_secs, full, accepts_change: false };
            let name = &source.name;
            let crawl = &config.crawl;
            let task = Task { name, crawl, row, now_secs, accepts_change: false };
            let got = cheap_row(&run, source, &task, &Manifest::Whole(Recorded::default()))
                .unwrap()
                .is_some();
            assert_eq!(got, cheap, "{why}");
        }
    }

    #[test]
    fn without_a_count_the_rows_tell_what_a_walk_takes() {
        let kind = SourceKind::Wiki(WikiScope::All);
        let name = SourceName::from("w");
        let mut recorded = Recorded::default();
        let calls = |recorded: &Recorded| {
            calls_of(&kind, &Manifest::Whole(recorded.clone()), &name).unwrap()
        };
        assert_eq!(calls(&recorded), 1, "the top");
        let row = |ty: &str, parent: Option<&str>| {
            serde_json::from_value::<PlaceRow>(serde_json::json!({
                "object": {"type": ty, "token": "o"}, "title": "T", "parent": parent,
                "created_secs": 1, "stem": "T"}))
            .unwrap()
        };
        let mut put = |token: &str, row: PlaceRow| {
            recorded.places.insert(PlaceKey::new(&name, &token.into()), row);
        };
        put("s", row("space", None));
        put("empty", row("space", None));
        for n in 0..51 {
            put(&format!("n{n:02}"), row("docx", Some("s")));
        }
        put("child", row("docx", Some("n07")));
        assert_eq!(calls(&recorded), 1 + 2 + 1 + 1);
    }
}
