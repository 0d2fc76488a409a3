//! `index.jsonl`: the manifest as text, for whoever wants to read it while a run holds
//! the manifest (or has lost it). A header line, then a line a place, sorted by key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::faults::{Faults, Op};
use crate::model::account::Account;
use crate::model::recorded::{Loc, PlaceRow, ProductKey, Recorded, Slot, SourceRow};
use crate::model::{PlaceKey, PlaceToken, RelPath, SourceName};

use super::folders::Folders;
use super::schema::{WRITTEN_BY, is_source};
use super::{Rows, StoreError};

/// The index's file in the state folder.
pub const INDEX_FILE: &str = "index.jsonl";

/// The version of the index that this program writes, and the newest it reads.
const INDEX_VERSION: u32 = 1;

/// Which run an index was written after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMeta {
    /// The mirror, as in its marker and manifest.
    pub mirror_id: String,
    /// The run.
    pub run_id: String,
    /// When that was, seconds since 1970.
    pub as_of_secs: i64,
    /// Whose mirror it is, as the manifest records it; absent in indexes of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// The first line of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexHeader {
    /// Version of the index's own format.
    pub index_version: u32,
    /// The program that wrote it.
    pub written_by: String,
    /// Which run.
    #[serde(flatten)]
    pub meta: IndexMeta,
    /// Lines that follow; fewer means that the file was cut short.
    pub places: u64,
    /// The rows of the sources.
    #[serde(deserialize_with = "sources")]
    pub sources: BTreeMap<SourceName, SourceRow>,
}

/// A place's line, as written.
#[derive(Serialize)]
struct LineOut<'a> {
    source: &'a SourceName,
    token: &'a PlaceToken,
    /// Where its products stand in the copy, and its folder as `dir`.
    paths: BTreeMap<String, String>,
    row: &'a PlaceRow,
}

/// A place's line, as read. The paths follow from the rows, where all of these are there.
#[derive(Deserialize)]
struct LineIn {
    #[serde(deserialize_with = "source")]
    source: SourceName,
    token: PlaceToken,
    #[serde(default)]
    paths: BTreeMap<String, String>,
    row: PlaceRow,
}

fn source<'de, D: Deserializer<'de>>(from: D) -> Result<SourceName, D::Error> {
    let name = SourceName::deserialize(from)?;
    if is_source(name.as_str()) { Ok(name) } else { Err(D::Error::custom("no name of a source")) }
}

fn sources<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<SourceName, SourceRow>, D::Error> {
    let rows = BTreeMap::<SourceName, SourceRow>::deserialize(from)?;
    if rows.keys().all(|name| is_source(name.as_str())) {
        Ok(rows)
    } else {
        Err(D::Error::custom("no name of a source"))
    }
}

/// Writes `index.jsonl` in the state folder, atomically and durably.
pub fn write_index(
    state: &Path,
    recorded: &Recorded,
    meta: &IndexMeta,
    faults: &Faults,
) -> Result<(), StoreError> {
    let path = state.join(INDEX_FILE);
    let written = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("index-");
        // Less the umask, as every file of the mirror: the default would be 0600.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let file = faults
            .run(Op::Create, INDEX_FILE, || builder.tempfile_in(super::temp_folder(state)))?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        write_index_to(&mut out, recorded, meta)?;
        let file = out.into_inner()?;
        super::sync_file(&file, faults)?;
        faults.run(Op::Publish, INDEX_FILE, || Ok(file.persist(&path)?))?;
        super::sync_folder(state, faults)
    };
    written().map_err(|error| StoreError::io("write", &path, error))
}

/// Writes the lines of an index.
pub fn write_index_to(
    mut out: impl Write,
    recorded: &Recorded,
    meta: &IndexMeta,
) -> io::Result<()> {
    line(&mut out, &header(meta, recorded.places.len() as u64, recorded.sources.clone()))?;
    for (key, row) in &recorded.places {
        let paths = paths(recorded.folder(&key.source, row.parent.as_ref()).as_ref(), row);
        line(&mut out, &LineOut { source: &key.source, token: &key.token, paths, row })?;
    }
    Ok(())
}

/// Writes the lines of an index, row by row. Only folders are kept in memory.
///
/// # Errors
/// What the manifest says is inside of the error, where it cannot be read.
pub fn write_index_of(mut out: impl Write, rows: &Rows, meta: &IndexMeta) -> io::Result<()> {
    let unreadable = io::Error::other::<StoreError>;
    let folders = Folders::of(rows).map_err(unreadable)?;
    let places = rows.len_places().map_err(unreadable)?;
    line(&mut out, &header(meta, places, rows.source_rows().map_err(unreadable)?))?;
    let mut written = Ok(());
    let read = rows.for_each_row(|view| {
        // Nobody reads on once the disk is full.
        if written.is_ok() {
            let (key, row) = (view.key(), view.to_row());
            let paths = paths(folders.at(view.source(), view.parent()).as_ref(), &row);
            written = line(
                &mut out,
                &LineOut { source: &key.source, token: &key.token, paths, row: &row },
            );
        }
        Ok(())
    });
    written.and(read.map_err(unreadable))
}

fn header(meta: &IndexMeta, places: u64, sources: BTreeMap<SourceName, SourceRow>) -> IndexHeader {
    IndexHeader {
        index_version: INDEX_VERSION,
        written_by: WRITTEN_BY.to_owned(),
        meta: meta.clone(),
        places,
        sources,
    }
}

/// Reads the index; `None`: there is none.
///
/// # Errors
/// [`StoreError::Damaged`] where it is cut short or not an index; [`StoreError::Newer`]
/// where a newer program wrote it.
pub fn read_index(state: &Path) -> Result<Option<(IndexHeader, Recorded)>, StoreError> {
    let path = state.join(INDEX_FILE);
    let mut lines = match File::open(&path) {
        Ok(file) => BufReader::with_capacity(1 << 18, file).lines(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path, error)),
    };
    let fault = |error: io::Error| StoreError::io("read", &path, error);
    let bad = |number: u64, error: serde_json::Error| {
        StoreError::damaged(&path, format!("line {number}: {error}"))
    };
    let first = lines.next().transpose().map_err(fault)?.unwrap_or_default();
    let Version { index_version } = serde_json::from_str(&first).map_err(|e| bad(1, e))?;
    if index_version > INDEX_VERSION {
        let path = path.display().to_string();
        return Err(StoreError::Newer { path, found: index_version, known: INDEX_VERSION });
    }
    let header: IndexHeader = serde_json::from_str(&first).map_err(|e| bad(1, e))?;
    let mut places = Vec::new();
    for (number, text) in (2..).zip(lines) {
        let line: LineIn =
            serde_json::from_str(&text.map_err(fault)?).map_err(|e| bad(number, e))?;
        places.push((PlaceKey { source: line.source, token: line.token }, line.row));
    }
    if places.len() as u64 != header.places {
        let message = format!("it has {} of {} places", places.len(), header.places);
        return Err(StoreError::damaged(&path, message));
    }
    let recorded =
        Recorded { places: places.into_iter().collect(), sources: header.sources.clone() };
    Ok(Some((header, recorded)))
}

/// What a damaged index still tells.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// The first line; `None` where that is damaged.
    pub header: Option<IndexHeader>,
    /// The rows of all lines that can be read.
    pub recorded: Recorded,
    /// Lines that cannot be read, or that are not there any more.
    pub lost: u64,
}

/// Reads an index as far as it can be read; `None`: there is none.
///
/// A place whose folder's line is lost stands where its own line says.
///
/// # Errors
/// [`StoreError::Newer`] where a newer program wrote it; [`StoreError::Damaged`] where not
/// one line can be read.
pub fn salvage_index(state: &Path) -> Result<Option<Salvaged>, StoreError> {
    let path = state.join(INDEX_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path, error)),
    };
    let mut salvaged = Salvaged::default();
    let mut paths = BTreeMap::new();
    let mut first = true;
    // By bytes: a damaged line need not be text.
    for text in BufReader::with_capacity(1 << 18, file).split(b'\n') {
        let text = text.map_err(|error| StoreError::io("read", &path, error))?;
        if std::mem::take(&mut first) {
            if let Ok(Version { index_version }) = serde_json::from_slice(&text)
                && index_version > INDEX_VERSION
            {
                let path = path.display().to_string();
                return Err(StoreError::Newer { path, found: index_version, known: INDEX_VERSION });
            }
            salvaged.header = serde_json::from_slice(&text).ok();
            if salvaged.header.is_some() {
                continue;
            }
        }
        match serde_json::from_slice::<LineIn>(&text) {
            Ok(line) => {
                let key = PlaceKey { source: line.source, token: line.token };
                paths.insert(key.clone(), line.paths);
                salvaged.recorded.places.insert(key, line.row);
            }
            Err(_) => salvaged.lost += 1,
        }
    }
    salvaged.lost += drop_circles(&mut salvaged.recorded);
    let read = salvaged.recorded.places.len() as u64;
    if let Some(header) = &salvaged.header {
        salvaged.recorded.sources.clone_from(&header.sources);
        salvaged.lost = salvaged.lost.max(header.places.saturating_sub(read));
    } else if read == 0 {
        return Err(StoreError::damaged(&path, "not one line of it is whole"));
    }
    if salvaged.lost > 0 {
        anchor(&mut salvaged.recorded, &paths);
    }
    Ok(Some(salvaged))
}

/// Drops rows whose folders lie in each other: they stand nowhere. Returns how many.
fn drop_circles(recorded: &mut Recorded) -> u64 {
    let mut sound: BTreeSet<PlaceKey> = BTreeSet::new();
    let mut circles = BTreeSet::new();
    for key in recorded.places.keys() {
        let (mut way, mut on_it) = (Vec::new(), BTreeSet::new());
        let mut at = Some(key.clone());
        while let Some(key) = at.take_if(|key| !sound.contains(key) && !circles.contains(key)) {
            if !on_it.insert(key.clone()) {
                // Only the circle itself; what hangs below it has lost its folder.
                let from = way.iter().position(|one| *one == key).unwrap_or_default();
                circles.extend(way.drain(from..));
                break;
            }
            let parent = recorded.places.get(&key).and_then(|row| row.parent.as_ref());
            at = parent.map(|parent| PlaceKey::new(&key.source, parent));
            way.push(key);
        }
        sound.extend(way);
    }
    recorded.places.retain(|key, _| !circles.contains(key));
    circles.len() as u64
}

/// Says of what stood in a folder whose line is lost where its own line saw it.
fn anchor(recorded: &mut Recorded, paths: &BTreeMap<PlaceKey, BTreeMap<String, String>>) {
    let mut found = Vec::new();
    for (key, paths) in paths {
        let Some(row) = recorded.places.get(key) else { continue };
        for (product, path) in paths {
            let (Ok(product), Ok(path)) =
                (ProductKey::try_from(product.clone()), RelPath::new(path.clone()))
            else {
                continue;
            };
            // A part's line names the file, the slot is its folder.
            let at = if product.part.is_some() { path.parent() } else { Some(path) };
            // Whatever is further below stands in the folder of this one.
            let lost = |parent: &PlaceToken| {
                !recorded.places.contains_key(&PlaceKey::new(&key.source, parent))
            };
            if row.parent.as_ref().is_some_and(lost)
                && let Some(at) = at
            {
                found.push((key.clone(), product.slot, Loc::Mirror(at)));
            }
        }
    }
    for (key, slot, at) in found {
        if let Some(row) = recorded.places.get_mut(&key) {
            row.elsewhere.entry(slot).or_insert(at);
        }
    }
}

/// All that is sure about the first line of a newer index.
#[derive(Deserialize)]
struct Version {
    index_version: u32,
}

fn line(out: &mut impl Write, row: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    out.write_all(b"\n")
}

/// Where a place's products and its folder stand in the copy, whose names are in `folder`;
/// what is parked in the middle of a swap is not in it.
fn paths(folder: Option<&Loc>, row: &PlaceRow) -> BTreeMap<String, String> {
    let slot = |slot: Slot| match row.elsewhere.get(&slot) {
        Some(at) => Some(at.clone()),
        None => folder?.join(row.names.get(&slot)?),
    };
    let dir = ProductKey::whole(Slot::Dir);
    let own = row.names.contains_key(&Slot::Dir).then(|| slot(Slot::Dir)).flatten();
    let products = row.products.iter().map(|(key, product)| {
        let at = slot(key.slot);
        let at = match &product.part_name {
            None => at,
            Some(name) => at.and_then(|at| at.join(name)),
        };
        (key, at)
    });
    products
        .chain([(&dir, own)])
        .filter_map(|(product, at)| {
            let path = at?.in_mirror()?.to_string();
            Some((String::from(product.clone()), path))
        })
        .collect()
}
