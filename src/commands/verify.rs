//! `verify`: is every mirrored file what the manifest says? Offline.
//!
//! Nobody waits and nobody is made to wait: while a run is at work the copy is compared
//! with the index of the run before, and what differs may just be changing. A run that
//! begins while files are read is noticed too: what looked bad is looked at once more.
//! Only `--repair` writes, and holds the mirror while it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::check::{self, Depth, Expected, Found};
use super::exit::{self, LOCKED, Problem};
use super::finding::{Finding, findings, path_of};
use super::observe::blocking;
use super::{Session, home, ls, manifest, upkeep};
use crate::cli::upkeep::Verify;
use crate::config::Config;
use crate::disk::{Disk, DiskError};
use crate::model::RelPath;
use crate::model::local::LocalState;
use crate::model::recorded::{Loc, Recorded};
use crate::rules::Globs;
use crate::store::RowChange;
use crate::ui::text::{bytes, count, counted, duration_ms, minute};
use crate::ui::{Tone, Ui};

/// Rows in one transaction.
const BATCH: usize = 1000;

/// Compares.
pub async fn run(session: &Session, args: &Verify) -> Result<u8, Problem> {
    let began_ms = session.clock.now().as_millisecond();
    let config = session.config()?;
    let globs = ls::globs(&args.globs)?;
    let depth = if args.quick { Depth::Quick } else { Depth::Whole };
    let verifying = Verifying { session, config: &config, globs, depth };
    let done = if args.repair {
        verifying.repair(&upkeep::run_id(began_ms)).await?
    } else {
        verifying.look().await?
    };
    let Some(done) = done else {
        session.ui.note("nothing is mirrored yet; run `feishu-mirror sync`");
        return Ok(exit::DONE);
    };
    let mut tally = Tally::of(&done);
    let code = match (done.complete, tally.bad(args.strict)) {
        (false, _) => exit::INTERRUPTED,
        (true, 0) => exit::DONE,
        (true, _) => exit::DIFFERENT,
    };
    tally.exit_code = code;
    tally.complete = done.complete;
    tally.elapsed_ms =
        u64::try_from(session.clock.now().as_millisecond() - began_ms).unwrap_or_default();
    print(&session.ui, &done, &tally, args);
    if done.complete {
        Ok(code)
    } else {
        let checked = counted(tally.checked, "file was", "files were");
        Err(Problem::new(code, format!("interrupted; {checked} compared, nothing was changed")))
    }
}

/// What was asked for.
struct Verifying<'a> {
    session: &'a Session,
    config: &'a Config,
    globs: Option<Globs>,
    depth: Depth,
}

/// What came out.
struct Done {
    findings: Vec<Finding>,
    /// Files compared, and kept blocks of pages.
    checked: u64,
    /// Of these, with the right bytes and another mtime.
    touched: u64,
    /// Bytes read.
    bytes: u64,
    /// The index that was compared with, where a run is at work.
    as_of_secs: Option<i64>,
    /// Bad files that the next sync fetches again.
    marked: u64,
    complete: bool,
}

impl Verifying<'_> {
    /// Compares, and writes nothing.
    async fn look(&self) -> Result<Option<Done>, Problem> {
        let Some(seen) = home::see(self.session, self.config)? else { return Ok(None) };
        let (path, state) = (&self.config.path, &self.config.state);
        let disk = Arc::new(Disk::open(path, state, false, &self.session.faults)?);
        let mut done = self.compare(&disk, &seen.recorded).await?;
        done.as_of_secs = seen.as_of_secs;
        if done.as_of_secs.is_none() && done.complete && !done.findings.is_empty() {
            self.look_again(&disk, &seen.recorded, &mut done).await?;
        }
        if done.as_of_secs.is_some() {
            done.findings.iter_mut().for_each(Finding::put_in_flux);
        }
        Ok(Some(done))
    }

    /// A run may have begun, or even ended, since the manifest was read. What is a
    /// finding then is one while no run is at work.
    async fn look_again(
        &self,
        disk: &Arc<Disk>,
        before: &Recorded,
        done: &mut Done,
    ) -> Result<(), Problem> {
        // Held for a moment only, and only where something is wrong.
        let held = match home::share(self.config) {
            Err(problem) if problem.code == LOCKED => {
                done.as_of_secs = Some(self.session.clock.now_secs());
                return Ok(());
            }
            other => other?,
        };
        let now = manifest::read(self.config)?;
        let Some(now) = now.filter(|now| now.recorded != *before) else { return Ok(()) };
        let paths: BTreeSet<&str> = done.findings.iter().map(|it| it.path.as_str()).collect();
        let known = check::expected(&now.recorded);
        let suspect = |want: &&Expected| paths.contains(path_of(want).as_str());
        let wanted: Vec<Expected> = known.iter().filter(suspect).cloned().collect();
        let strange = paths.iter().filter_map(|path| RelPath::new(*path).ok()).map(Loc::Mirror);
        let places: BTreeSet<Loc> =
            wanted.iter().filter_map(|want| want.at.clone()).chain(strange).collect();
        let looker = disk.clone();
        let local = blocking(move || look_at(&looker, places)).await?;
        let strangers = check::untracked(&local, &known);
        let checked = check::check(self.session, disk, &local, wanted, self.depth).await;
        let which = |want: &Expected| paths.contains(path_of(want).as_str());
        let blocks = check::blocks(self.session, disk, &now.recorded, self.depth, which).await?;
        done.complete = checked.complete;
        done.findings = findings(&now.recorded, self.config, checked, blocks, strangers);
        drop(held);
        Ok(())
    }

    /// Compares while no run can begin, and marks what is bad.
    async fn repair(&self, run_id: &str) -> Result<Option<Done>, Problem> {
        let Some(opened) = home::open_known(self.session, self.config, run_id)? else {
            return Ok(None);
        };
        let disk = Arc::new(opened.disk);
        upkeep::settle(&disk, &opened.store)?;
        let recorded = opened.store.load()?;
        let mut done = self.compare(&disk, &recorded).await?;
        if done.complete {
            let mut rows = BTreeMap::new();
            for finding in done.findings.iter_mut().filter(|finding| finding.is_bad()) {
                let Some(want) = &finding.want else { continue };
                finding.marked = finding.state == Some("live");
                done.marked += u64::from(finding.marked);
                // A link's text is compared by every run anyway.
                if want.row.link.is_some() {
                    continue;
                }
                let row = rows
                    .entry(want.key.clone())
                    .or_insert_with(|| recorded.places[&want.key].clone());
                if finding.kept {
                    row.page = None;
                } else if let Some(product) = row.products.get_mut(&want.product) {
                    product.doubtful = true;
                }
            }
            let changes: Vec<RowChange> = rows
                .into_iter()
                .map(|(key, row)| RowChange::Put { key, place: Box::new(row) })
                .collect();
            for batch in changes.chunks(BATCH) {
                opened.store.record(batch, &[])?;
            }
        }
        upkeep::write_index(self.session, &disk, &opened.store, run_id)?;
        drop(opened.lock);
        Ok(Some(done))
    }

    async fn compare(&self, disk: &Arc<Disk>, recorded: &Recorded) -> Result<Done, Problem> {
        let local = check::scan(disk).await?;
        let mut wanted = check::expected(recorded);
        let mut strangers = check::untracked(&local, &wanted);
        if let Some(globs) = &self.globs {
            wanted.retain(|want| ls::matches(globs, &path_of(want)));
            strangers.retain(|path| ls::matches(globs, path));
        }
        let checked = check::check(self.session, disk, &local, wanted, self.depth).await;
        let which = |want: &Expected| {
            self.globs.as_ref().is_none_or(|globs| ls::matches(globs, &path_of(want)))
        };
        let blocks = check::blocks(self.session, disk, recorded, self.depth, which).await?;
        let touched = checked.found.iter().filter(|(_, found)| *found == Found::Touched).count();
        Ok(Done {
            checked: checked.found.len() as u64 + blocks.count,
            touched: touched as u64,
            bytes: checked.bytes,
            as_of_secs: None,
            marked: 0,
            complete: checked.complete && !self.session.interrupt.is_cancelled(),
            findings: findings(recorded, self.config, checked, blocks, strangers),
        })
    }
}

/// What stands at some paths now.
fn look_at(disk: &Disk, places: BTreeSet<Loc>) -> Result<LocalState, DiskError> {
    let mut local = LocalState::default();
    for at in places {
        if let Some(entry) = disk.look(&at)? {
            local.entries.insert(at, entry);
        }
    }
    Ok(local)
}

/// The last line.
#[derive(Debug, Default, Serialize)]
struct Tally {
    event: &'static str,
    command: &'static str,
    checked: u64,
    ok: u64,
    touched: u64,
    missing: u64,
    altered: u64,
    unreadable: u64,
    untracked: u64,
    in_flux: u64,
    marked: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of_secs: Option<i64>,
    elapsed_ms: u64,
    complete: bool,
    exit_code: u8,
}

impl Tally {
    fn of(done: &Done) -> Self {
        let of = |word| done.findings.iter().filter(|it| it.word == word).count() as u64;
        let wrong = done.findings.iter().filter(|it| it.want.is_some()).count() as u64;
        Self {
            event: "summary",
            command: "verify",
            checked: done.checked,
            ok: done.checked.saturating_sub(wrong),
            touched: done.touched,
            missing: of("missing"),
            altered: of("altered"),
            unreadable: of("unreadable"),
            untracked: of("untracked"),
            in_flux: of("in_flux"),
            marked: done.marked,
            bytes: done.bytes,
            as_of_secs: done.as_of_secs,
            ..Self::default()
        }
    }

    fn bad(&self, strict: bool) -> u64 {
        let strangers = if strict { self.untracked } else { 0 };
        self.missing + self.altered + self.unreadable + strangers
    }
}

fn print(ui: &Ui, done: &Done, tally: &Tally, args: &Verify) {
    if ui.is_json() {
        for finding in &done.findings {
            ui.json(finding);
        }
        ui.json(tally);
        return;
    }
    for finding in &done.findings {
        finding.print(ui);
    }
    let words = [
        (tally.missing, "missing"),
        (tally.altered, "altered"),
        (tally.unreadable, "unreadable"),
        (tally.untracked, "untracked"),
        (tally.in_flux, "in flux"),
    ];
    let mut some: Vec<String> = words
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{} {word}", count(*n)))
        .collect();
    some.insert(0, format!("{} right", count(tally.ok)));
    let (word, tone) = match tally.exit_code {
        exit::DONE => ("verified", Tone::Good),
        exit::DIFFERENT => ("bad", Tone::Bad),
        _ => ("interrupted", Tone::Warn),
    };
    ui.line(&format!("{:<12} {}", ui.paint(tone, &format!("{word}:")), some.join(", ")));
    let how = if args.quick {
        "size and modification time compared".to_owned()
    } else {
        format!("{} read", bytes(tally.bytes))
    };
    ui.line(&ui.paint(Tone::Dim, &format!("{how}, {}", duration_ms(tally.elapsed_ms))));
    if let Some(secs) = done.as_of_secs {
        let at = minute(secs);
        ui.note(&format!(
            "a run is at work; compared with the state of {at}, what differs may just be changing"
        ));
    }
    if tally.touched > 0 {
        let files = counted(tally.touched, "file has", "files have");
        ui.note(&format!("{files} another modification time; the next sync sets it back"));
    }
    advise(ui, done, tally, args);
}

/// What to do about it.
fn advise(ui: &Ui, done: &Done, tally: &Tally, args: &Verify) {
    if !done.complete || tally.bad(false) == 0 {
        return;
    }
    let lasting = done.findings.iter().filter(|it| it.is_bad() && it.state != Some("live")).count();
    if args.repair {
        if tally.marked > 0 {
            let files = counted(tally.marked, "file", "files");
            ui.note(&format!(
                "{files} will be fetched again by the next `feishu-mirror sync`; what stands there \
                 now goes to the trash"
            ));
        }
    } else if (lasting as u64) < tally.bad(false) {
        ui.note("to fetch them again: feishu-mirror verify --repair, then feishu-mirror sync");
    }
    if lasting > 0 {
        let files = counted(lasting as u64, "file is", "files are");
        ui.note(&format!(
            "{files} of places that are gone, hidden or orphaned: nothing can be fetched for those; \
             restore them from a backup of the copy"
        ));
    }
}
