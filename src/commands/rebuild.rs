//! `rebuild`: a lost or damaged manifest, made again from the readable index beside it.
//!
//! The rows come from the index as they are; each file is compared with its row. One that
//! is missing or differs keeps its row, marked where its size and mtime hide it, and the
//! next sync restores it: dropped, the row would make a stranger of the file. So whatever
//! matches is fetched by nobody, and nothing is believed that was not looked at.

use std::sync::Arc;

use serde::Serialize;

use super::check::{self, Checked, Depth, Found};
use super::exit::{self, Problem};
use super::finding::Finding;
use super::home::{self, Ground};
use super::{Session, upkeep};
use crate::apply;
use crate::config::Config;
use crate::disk::Disk;
use crate::faults::Op;
use crate::model::recorded::Recorded;
use crate::store::{
    INDEX_FILE, IndexMeta, Salvaged, Store, StoreError, apply_changes, salvage_index, write_index,
};
use crate::ui::Tone;
use crate::ui::text::{count, counted, duration_ms, minute};

/// Rebuilds.
pub async fn run(session: &Session) -> Result<u8, Problem> {
    let began_ms = session.clock.now().as_millisecond();
    let config = session.config()?;
    let Ground { disk, id, lock } = home::ground(session, &config)?;
    let disk = Arc::new(disk);
    let index = index(&config, &id)?;
    let wanted = check::expected(&index.recorded);
    let local = check::scan(&disk).await?;
    let untracked = check::untracked(&local, &wanted).len() as u64;
    let checked = check::check(session, &disk, &local, wanted, Depth::Whole).await;
    let checked = whole(checked)?;
    let blocks = check::blocks(session, &disk, &index.recorded, Depth::Whole, |_| true).await?;
    if session.interrupt.is_cancelled() {
        return Err(Problem::new(exit::INTERRUPTED, "interrupted; nothing was changed"));
    }

    let mut tally = Tally::of(&checked, &index);
    if let Some(found) = present(&config, &id, &disk)?
        && (found == index.recorded
            || tally.adopted <= matching(session, &disk, &checked, &found).await?)
    {
        session.ui.line(
            "the manifest is sound, and knows the files at least as well as the index: nothing \
             was changed",
        );
        tally.elapsed_ms = elapsed(session, began_ms);
        if session.ui.is_json() {
            session.ui.json(&tally);
        }
        return Ok(exit::DONE);
    }
    tally.untracked = untracked;

    let meta = IndexMeta {
        mirror_id: id.clone(),
        run_id: upkeep::run_id(began_ms),
        as_of_secs: session.clock.now_secs(),
        account: index.header.as_ref().and_then(|header| header.meta.account.clone()),
    };
    let as_of_secs = index.header.as_ref().map(|header| header.meta.as_of_secs);
    let Salvaged { mut recorded, lost, .. } = index;
    let mut findings = Vec::new();
    for (want, found) in checked.found {
        if !found.is_right()
            && want.row.link.is_none()
            && let Some(row) = recorded.places.get_mut(&want.key)
            && let Some(product) = row.products.get_mut(&want.product)
        {
            product.doubtful = true;
        }
        findings.extend(Finding::of(&recorded, &config, want, found));
    }
    // Without its blocks a page would be taken for one that needs no fetch to be written.
    for (want, why) in blocks.bad {
        findings.extend(Finding::blocks(&recorded, &config, want.clone(), &why));
        if let Some(row) = recorded.places.get_mut(&want.key) {
            row.page = None;
        }
    }
    let aside = home::aside(&config, home::MANIFEST, &meta.run_id);
    let account = meta.account.as_ref();
    Store::rebuild(&config.state, &id, &recorded, account, &aside, &session.faults)?;
    if aside.symlink_metadata().is_ok() {
        session.ui.note(&format!("the old manifest is now {}", aside.display()));
        tally.aside = Some(aside.display().to_string());
    }
    if lost > 0 {
        let (from, to) =
            (config.state.join(INDEX_FILE), home::aside(&config, INDEX_FILE, &meta.run_id));
        session
            .faults
            .run(Op::PutAside, INDEX_FILE, || std::fs::rename(&from, &to))
            .map_err(|error| Problem::io("put aside", &from, &error))?;
        session.ui.note(&format!("the damaged index is now {}", to.display()));
    }
    write_index(&config.state, &recorded, &meta, &session.faults)?;
    home::remember(session, &config, &id)?;
    drop(lock);
    tally.rebuilt = true;
    tally.elapsed_ms = elapsed(session, began_ms);
    print(session, &findings, &tally, as_of_secs);
    Ok(exit::DONE)
}

fn elapsed(session: &Session, began_ms: i64) -> u64 {
    u64::try_from(session.clock.now().as_millisecond() - began_ms).unwrap_or_default()
}

/// The index, if it is this mirror's.
fn index(config: &Config, id: &str) -> Result<Salvaged, Problem> {
    let path = config.state.join(INDEX_FILE);
    let anew = "`feishu-mirror sync --init` starts anew: files that are still right are kept, but \
                everything is fetched once to compare";
    let index = match salvage_index(&config.state) {
        Ok(Some(index)) => index,
        Ok(None) => {
            return Err(Problem::failed(format!(
                "there is no index to make the manifest from: {} is not there",
                path.display()
            ))
            .hint(format!("check `state` in [mirror]; {anew}")));
        }
        Err(error @ StoreError::Damaged { .. }) => {
            return Err(Problem::failed(format!(
                "there is nothing to make the manifest from: {}",
                index_words(&error, &path)
            ))
            .hint(anew));
        }
        Err(error) => return Err(error.into()),
    };
    match &index.header {
        Some(header) if header.meta.mirror_id != id => Err(Problem::failed(format!(
            "the index {} is of another mirror: it has the id {}, the copy's marker {id}",
            path.display(),
            header.meta.mirror_id
        ))
        .hint(format!("check `path` and `state` in [mirror]; {anew}"))),
        _ => Ok(index),
    }
}

fn index_words(error: &StoreError, path: &std::path::Path) -> String {
    match error {
        StoreError::Damaged { message, .. } => format!("{}: {message}", path.display()),
        other => other.to_string(),
    }
}

fn whole(checked: Checked) -> Result<Checked, Problem> {
    if checked.complete {
        Ok(checked)
    } else {
        Err(Problem::new(exit::INTERRUPTED, "interrupted; nothing was changed"))
    }
}

/// The manifest that is there, where it can be read and is this mirror's.
fn present(config: &Config, id: &str, disk: &Disk) -> Result<Option<Recorded>, Problem> {
    match Store::read_checked(&config.state) {
        Ok(Some((found, mut recorded, intents))) if found == id => {
            apply_changes(&mut recorded, &apply::settle(disk, &intents)?);
            Ok(Some(recorded))
        }
        Ok(_) | Err(StoreError::Damaged { .. }) => Ok(None),
        // A newer program's, or one that the system does not let us read.
        Err(error) => Err(error.into()),
    }
}

/// Files that a manifest describes rightly. What the index says alike is not read again.
async fn matching(
    session: &Session,
    disk: &Arc<Disk>,
    checked: &Checked,
    found: &Recorded,
) -> Result<u64, Problem> {
    let known: std::collections::HashMap<_, _> = checked
        .found
        .iter()
        .map(|(want, found)| ((&want.key, &want.product), (want, found)))
        .collect();
    let (mut same, mut others) = (0, Vec::new());
    for want in check::expected(found) {
        match known.get(&(&want.key, &want.product)) {
            Some((alike, found)) if **alike == want => same += u64::from(found.is_right()),
            _ => others.push(want),
        }
    }
    let local = check::scan(disk).await?;
    let others = whole(check::check(session, disk, &local, others, Depth::Whole).await)?;
    Ok(same + others.found.iter().filter(|(_, found)| found.is_right()).count() as u64)
}

/// The last line.
#[derive(Debug, Default, Serialize)]
struct Tally {
    event: &'static str,
    command: &'static str,
    /// False where the manifest is sound and was left.
    rebuilt: bool,
    places: u64,
    /// Files that match their rows.
    adopted: u64,
    missing: u64,
    altered: u64,
    unreadable: u64,
    /// Files that no row knows.
    untracked: u64,
    /// Lines of the index that cannot be read.
    lost_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<String>,
    elapsed_ms: u64,
    complete: bool,
    exit_code: u8,
}

impl Tally {
    fn of(checked: &Checked, index: &Salvaged) -> Self {
        let of = |wanted: fn(&Found) -> bool| {
            checked.found.iter().filter(|(_, found)| wanted(found)).count() as u64
        };
        Self {
            event: "summary",
            command: "rebuild",
            places: index.recorded.places.len() as u64,
            adopted: of(Found::is_right),
            missing: of(|found| *found == Found::Missing),
            altered: of(|found| matches!(found, Found::Altered(_))),
            unreadable: of(|found| matches!(found, Found::Unreadable(_))),
            lost_lines: index.lost,
            complete: true,
            ..Self::default()
        }
    }
}

fn print(session: &Session, findings: &[Finding], tally: &Tally, as_of_secs: Option<i64>) {
    let ui = &session.ui;
    if tally.lost_lines > 0 {
        let lines = counted(tally.lost_lines, "line", "lines");
        ui.warn(&format!(
            "{lines} of the index cannot be read: the next sync fetches what these were about \
             again, to compare"
        ));
    }
    if as_of_secs.is_none() {
        ui.warn(
            "the first line of the index cannot be read: whose copy it is will be recorded anew \
             by the next sync",
        );
    }
    if ui.is_json() {
        for finding in findings {
            ui.json(finding);
        }
        ui.json(tally);
        return;
    }
    for finding in findings {
        finding.print(ui);
    }
    let words = [
        (tally.missing, "missing"),
        (tally.altered, "altered"),
        (tally.unreadable, "unreadable"),
        (tally.untracked, "unknown"),
    ];
    let mut some = vec![format!("{} right", counted(tally.adopted, "file", "files"))];
    some.extend(
        words.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", count(*n))),
    );
    let places = counted(tally.places, "place", "places");
    let of = as_of_secs.map(|secs| format!(" as of {}", minute(secs))).unwrap_or_default();
    ui.line(&format!("{} {places}{of}: {}", ui.paint(Tone::Good, "rebuilt:"), some.join(", ")));
    ui.line(&ui.paint(Tone::Dim, &format!("0 API calls, {}", duration_ms(tally.elapsed_ms))));
    ui.note("next: feishu-mirror sync, which fetches only what is missing or differs");
}
