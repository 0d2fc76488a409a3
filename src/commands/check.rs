//! Is each mirrored file what the manifest says? One scan for what is there, then the
//! hashes, in parallel on blocking threads.
//!
//! `verify` and `rebuild` ask the same; neither decides here what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Session;
use super::exit::Problem;
use super::observe::blocking;
use crate::apply;
use crate::disk::Disk;
use crate::model::local::{LocalEntry, LocalState};
use crate::model::recorded::{Loc, ProductKey, ProductRow, Recorded};
use crate::model::{ContentHash, Format, PlaceKey, RelPath};
use crate::ui::meter::Meter;
use crate::ui::text::{bytes, escaped};

/// mtimes this close are equal: FAT keeps 2 s, and copies round.
const MTIME_TOLERANCE_SECS: u64 = 2;

/// Most files read at once; more only make a disk seek.
const MOST_AT_ONCE: usize = 8;

/// A file that the manifest knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Whose.
    pub key: PlaceKey,
    /// Which of its files.
    pub product: ProductKey,
    /// Where. `None`: a row above it is missing, which a sound manifest never has.
    pub at: Option<Loc>,
    /// What it should be.
    pub row: ProductRow,
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// As recorded.
    Right,
    /// The right bytes; the mtime differs, which the next sync sets back.
    Touched,
    /// Not there.
    Missing,
    /// Something else, for this reason.
    Altered(String),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl Found {
    /// True where the bytes are there.
    pub fn is_right(&self) -> bool {
        matches!(self, Self::Right | Self::Touched)
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Size and mtime.
    Quick,
    /// The bytes.
    Whole,
}

/// What a check comes to.
pub struct Checked {
    /// One each, in the order asked for.
    pub found: Vec<(Expected, Found)>,
    /// Bytes read.
    pub bytes: u64,
    /// False where an interrupt ended it; those not looked at are left out.
    pub complete: bool,
}

/// Every file that the manifest knows, by path.
pub fn expected(recorded: &Recorded) -> Vec<Expected> {
    let mut all: Vec<Expected> = recorded
        .places
        .iter()
        .flat_map(|(key, row)| {
            row.products.iter().map(|(product, row)| Expected {
                key: key.clone(),
                product: product.clone(),
                at: recorded.product(key, product),
                row: row.clone(),
            })
        })
        .collect();
    all.sort_by(|a, b| a.at.cmp(&b.at));
    all
}

/// Pages whose kept blocks are missing or damaged: the page's file, and what is wrong.
pub struct Blocks {
    /// One each.
    pub bad: Vec<(Expected, String)>,
    /// How many were looked at.
    pub count: u64,
}

/// Looks at the kept blocks of those pages that `which` picks by their files.
pub async fn blocks(
    session: &Session,
    disk: &Arc<Disk>,
    recorded: &Recorded,
    depth: Depth,
    which: impl Fn(&Expected) -> bool,
) -> Result<Blocks, Problem> {
    let product = ProductKey::whole(Format::Md.slot());
    let mut pages = Vec::new();
    for (key, row) in &recorded.places {
        if let (Some(page), Some(file)) = (&row.page, row.products.get(&product)) {
            let at = recorded.product(key, &product);
            let (key, product, row) = (key.clone(), product.clone(), file.clone());
            pages.push((Expected { key, product, at, row }, page.kept));
        }
    }
    pages.retain(|(file, _)| which(file));
    let wanted: BTreeSet<ContentHash> = pages.iter().map(|(_, hash)| *hash).collect();
    let (disk, stop) = (disk.clone(), session.interrupt.clone());
    let whole = depth == Depth::Whole;
    let damaged =
        blocking(move || apply::damaged_blocks(&disk, &wanted, whole, &|| stop.is_cancelled()))
            .await?;
    let count = pages.len() as u64;
    let bad =
        pages.into_iter().filter_map(|(file, hash)| Some((file, damaged.get(&hash)?.clone())));
    Ok(Blocks { bad: bad.collect(), count })
}

/// Scans the copy.
pub async fn scan(disk: &Arc<Disk>) -> Result<LocalState, Problem> {
    let disk = disk.clone();
    blocking(move || disk.scan()).await
}

/// Files in the copy that the manifest does not know, by path; folders are none.
pub fn untracked(local: &LocalState, known: &[Expected]) -> Vec<String> {
    let known: BTreeSet<&Loc> = known.iter().filter_map(|want| want.at.as_ref()).collect();
    let strangers = local.entries.iter().filter(|(at, entry)| {
        **entry != LocalEntry::Dir && matches!(at, Loc::Mirror(_)) && !known.contains(at)
    });
    let strangers = strangers.filter_map(|(at, _)| at.in_mirror().map(ToString::to_string));
    let mut all: Vec<String> = strangers.chain(local.odd.iter().cloned()).collect();
    all.sort();
    all
}

/// Compares files with their rows.
pub async fn check(
    session: &Session,
    disk: &Arc<Disk>,
    local: &LocalState,
    wanted: Vec<Expected>,
    depth: Depth,
) -> Checked {
    let mut found: Vec<Option<Found>> = Vec::with_capacity(wanted.len());
    let mut to_read = Vec::new();
    let mut total_bytes = 0;
    for (n, want) in wanted.iter().enumerate() {
        let answer = at_a_glance(local, want, depth);
        if answer.is_none() {
            total_bytes += want.row.size;
            to_read.push(n);
        }
        found.push(answer);
    }
    let meter =
        Arc::new(Meter::new(&session.ui, &session.clock, to_read.len() as u64, total_bytes));
    let work = Arc::new(Work {
        disk: disk.clone(),
        files: to_read
            .iter()
            .map(|n| (*n, wanted[*n].clone(), timely(local, &wanted[*n])))
            .collect(),
        next: AtomicUsize::new(0),
        stop: session.interrupt.clone(),
        meter: meter.clone(),
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
    let mut workers = JoinSet::new();
    for _ in 0..threads.min(to_read.len()) {
        let work = work.clone();
        workers.spawn_blocking(move || work.run());
    }
    loop {
        tokio::select! {
            done = workers.join_next() => match done {
                None => break,
                Some(Ok(answers)) => {
                    for (n, answer) in answers {
                        found[n] = Some(answer);
                    }
                }
                Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            },
            () = tokio::time::sleep(Duration::from_millis(200)) => meter.show(),
        }
    }
    meter.end();
    let complete = found.iter().all(Option::is_some);
    let found = wanted.into_iter().zip(found);
    Checked {
        found: found.filter_map(|(want, found)| Some((want, found?))).collect(),
        bytes: meter.bytes(),
        complete,
    }
}

/// What can be said without reading the file. `None`: its bytes decide.
fn at_a_glance(local: &LocalState, want: &Expected, depth: Depth) -> Option<Found> {
    let Some(at) = &want.at else { return Some(Found::Missing) };
    let Some(entry) = local.entries.get(at) else {
        let closed = |path: &RelPath| local.unreadable.iter().any(|top| path.is_within(top));
        return Some(if at.in_mirror().is_some_and(closed) {
            Found::Unreadable("its folder cannot be read".to_owned())
        } else {
            Found::Missing
        });
    };
    let other = |what: &str| Some(Found::Altered(what.to_owned()));
    match (entry, &want.row.link) {
        (LocalEntry::Dir, _) => other("a folder stands there"),
        (LocalEntry::Other, _) => other("a device, socket, pipe or strange link stands there"),
        (LocalEntry::File { .. }, Some(_)) => other("a file stands there instead of a link"),
        (LocalEntry::Link(_), None) => other("a link stands there instead of a file"),
        (LocalEntry::Link(found), Some(text)) if found == text => Some(Found::Right),
        (LocalEntry::Link(found), Some(text)) => Some(Found::Altered(format!(
            "it leads to {} instead of {}",
            escaped(found),
            escaped(text)
        ))),
        (LocalEntry::File { size, .. }, None) if *size != want.row.size => {
            Some(Found::Altered(format!("{} instead of {}", exact(*size), exact(want.row.size))))
        }
        // What a check found damaged before only its bytes can vouch for.
        (LocalEntry::File { .. }, None) if depth == Depth::Quick && !want.row.doubtful => {
            if timely(local, want) {
                Some(Found::Right)
            } else {
                other("modification time; without --quick its bytes decide")
            }
        }
        (LocalEntry::File { .. }, None) => None,
    }
}

fn exact(size: u64) -> String {
    if size < 1024 { bytes(size) } else { format!("{size} B ({})", bytes(size)) }
}

fn timely(local: &LocalState, want: &Expected) -> bool {
    let entry = want.at.as_ref().and_then(|at| local.entries.get(at));
    matches!(entry, Some(LocalEntry::File { mtime_secs, .. })
        if mtime_secs.abs_diff(want.row.mtime_secs) <= MTIME_TOLERANCE_SECS)
}

/// Files to read, and how far it is.
struct Work {
    disk: Arc<Disk>,
    /// Number, file, and whether its mtime is right.
    files: Vec<(usize, Expected, bool)>,
    next: AtomicUsize,
    stop: tokio_util::sync::CancellationToken,
    meter: Arc<Meter>,
}

impl Work {
    /// Reads files until none is left; an interrupt ends it in the middle of one.
    fn run(&self) -> Vec<(usize, Found)> {
        let mut answers = Vec::new();
        loop {
            let Some((n, want, timely)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed))
            else {
                return answers;
            };
            if self.stop.is_cancelled() {
                return answers;
            }
            let at = want.at.as_ref().expect("only what stands somewhere is read");
            let hash = self.disk.hash_while(at, |bytes| {
                self.meter.add_bytes(bytes);
                !self.stop.is_cancelled()
            });
            let answer = match hash {
                Ok(None) => return answers,
                Ok(Some(hash)) if hash == want.row.blake3 && *timely => Found::Right,
                Ok(Some(hash)) if hash == want.row.blake3 => Found::Touched,
                Ok(Some(_)) => Found::Altered("same size, other bytes".to_owned()),
                // It went while we looked.
                Err(error) if error.is_missing() => Found::Missing,
                Err(error) => Found::Unreadable(super::exit::chain(&error)),
            };
            self.meter.add_file();
            answers.push((*n, answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::{Slot, Stamp};
    use crate::model::{PlaceToken, SourceName};

    fn want(link: Option<&str>, doubtful: bool) -> Expected {
        Expected {
            key: PlaceKey::new(&SourceName::new("drive"), &PlaceToken::new("t")),
            product: ProductKey::whole(Slot::Product(Format::File)),
            at: Some(Loc::Mirror(RelPath::new("drive/a/b").unwrap())),
            row: ProductRow {
                part_name: None,
                size: 3,
                blake3: blake3::hash(b"abc").into(),
                mtime_secs: 100,
                link: link.map(str::to_owned),
                stamp: Stamp::default(),
                doubtful,
            },
        }
    }

    #[test]
    fn a_glance_tells_all_but_equal_sizes() {
        let file = |size, mtime_secs| Some(LocalEntry::File { size, mtime_secs });
        let link = |text: &str| Some(LocalEntry::Link(text.to_owned()));
        // what is there, a link's text, doubtful, then what is said quickly and wholly
        let cases = [
            (None, None, false, "missing", "missing"),
            (file(3, 100), None, false, "right", "?"),
            (file(3, 102), None, false, "right", "?"),
            (file(3, 103), None, false, "altered", "?"),
            (file(3, 100), None, true, "?", "?"),
            (file(4, 100), None, false, "altered", "altered"),
            (Some(LocalEntry::Dir), None, false, "altered", "altered"),
            (Some(LocalEntry::Other), None, false, "altered", "altered"),
            (link("x"), None, false, "altered", "altered"),
            (link("x"), Some("x"), false, "right", "right"),
            (link("y"), Some("x"), false, "altered", "altered"),
            (file(3, 100), Some("x"), false, "altered", "altered"),
        ];
        for (entry, text, doubtful, quick, whole) in cases {
            let want = want(text, doubtful);
            let mut local = LocalState::default();
            local.entries.extend(entry.clone().map(|entry| (want.at.clone().unwrap(), entry)));
            for (depth, say) in [(Depth::Quick, quick), (Depth::Whole, whole)] {
                let said = match at_a_glance(&local, &want, depth) {
                    None => "?",
                    Some(Found::Right | Found::Touched) => "right",
                    Some(Found::Missing) => "missing",
                    Some(Found::Altered(_)) => "altered",
                    Some(Found::Unreadable(_)) => "unreadable",
                };
                assert_eq!(said, say, "{entry:?} for {text:?}, {depth:?}, doubtful: {doubtful}");
            }
        }
    }

    #[test]
    fn what_is_in_a_closed_folder_is_not_missing() {
        let local = LocalState {
            unreadable: BTreeSet::from([RelPath::new("drive/a").unwrap()]),
            ..LocalState::default()
        };
        let found = at_a_glance(&local, &want(None, false), Depth::Whole);
        assert!(matches!(found, Some(Found::Unreadable(_))), "{found:?}");
    }

    #[test]
    fn folders_and_what_is_known_are_not_untracked() {
        let at = |path: &str| Loc::Mirror(RelPath::new(path).unwrap());
        let mut local = LocalState::default();
        local.entries.insert(at("drive/a"), LocalEntry::Dir);
        for path in ["drive/a/b", "drive/.DS_Store", "notes.txt"] {
            local.entries.insert(at(path), LocalEntry::File { size: 3, mtime_secs: 100 });
        }
        local.odd.insert("drive/bad\u{fffd}name".to_owned());
        let found = untracked(&local, &[want(None, false)]);
        assert_eq!(found, ["drive/.DS_Store", "drive/bad\u{fffd}name", "notes.txt"]);
    }
}
