//! The manifest and the files of a copy, on the disk that holds the temporary folder.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use feishu_mirror::disk::Disk;
use feishu_mirror::faults::Faults;
use feishu_mirror::model::recorded::{Loc, Recorded};
use feishu_mirror::model::{PlaceKey, RelPath};
use feishu_mirror::store::{RowChange, Store};

use crate::support::scale;
use crate::{Table, best_of, pure};

/// Rows that a run writes in one transaction.
const BATCH: usize = 256;

/// A manifest with these rows, closed.
pub fn write_manifest(state: &Path, recorded: &Recorded) {
    Store::rebuild(state, "bench", recorded, None, &state.join("aside"), &Faults::default())
        .expect("a manifest");
}

/// Its bytes on disk.
pub fn manifest_bytes(state: &Path) -> u64 {
    std::fs::metadata(state.join("manifest.redb")).expect("there").len()
}

/// The rows as changes, in the order of their keys.
fn changes(recorded: &Recorded) -> Vec<RowChange> {
    let put = |(key, row): (&PlaceKey, _)| RowChange::Put {
        key: key.clone(),
        place: Box::new(Clone::clone(row)),
    };
    recorded.places.iter().map(put).collect()
}

/// Opening, reading and writing the manifest.
pub fn manifest(table: &mut Table) {
    let rows = scale(100_000, 1_000_000);
    let recorded = pure::recorded(rows);
    let folder = tempfile::tempdir().expect("a folder");
    write_manifest(folder.path(), &recorded);
    let file = folder.path().join("manifest.redb");

    let open =
        best_of(5, || Store::open(folder.path(), "bench", &Faults::default()).expect("opens"));
    let raw = best_of(5, || std::fs::File::open(&file).expect("opens").sync_all());
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    table.time(format!("manifest of {rows} rows opened"), ms(open), ms(raw), "ms", None);

    let read = best_of(3, || Store::read(folder.path()).expect("readable"));
    let raw = best_of(3, || std::fs::read(&file).expect("readable").len());
    table.rate(format!("manifest of {rows} rows read"), rows as f64, read, raw, "rows");

    // Durable each time, as during a run.
    let some = changes(&recorded).into_iter().take(20 * BATCH).collect::<Vec<_>>();
    let store = Store::open(folder.path(), "bench", &Faults::default()).expect("opens");
    let edited: Vec<RowChange> = some.into_iter().map(touched).collect();
    let began = Instant::now();
    for batch in edited.chunks(BATCH) {
        store.record(batch, &[]).expect("writable");
    }
    let write = began.elapsed();
    // The least that is durable: the same text to a file, fsynced as often.
    let text: Vec<Vec<u8>> =
        edited.chunks(BATCH).map(|batch| serde_json::to_vec(batch).expect("JSON")).collect();
    let mut plain = tempfile::tempfile_in(folder.path()).expect("a file");
    let began = Instant::now();
    for text in &text {
        plain.write_all(text).expect("writable");
        plain.sync_data().expect("writable");
    }
    let raw = began.elapsed();
    table.rate(
        format!("manifest: rows changed, {BATCH} a commit"),
        edited.len() as f64,
        write,
        raw,
        "rows",
    );
}

fn touched(change: RowChange) -> RowChange {
    match change {
        RowChange::Put { key, mut place } => {
            place.created_secs += 1;
            RowChange::Put { key, place }
        }
        other => other,
    }
}

/// Hashing a file of the copy, and one on its way into it.
pub fn hashing(table: &mut Table) {
    let size = scale(256 << 20, 1 << 30);
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("mirror");
    let disk = Disk::open(&root, &root.join(".feishu-mirror"), true, &Faults::default());
    let disk = disk.expect("a copy");
    let bytes: Vec<u8> = (0..size).map(|n| (n * 7 + n / 251) as u8).collect();
    std::fs::write(root.join("big.bin"), &bytes).expect("writable");
    let at = Loc::Mirror(RelPath::new("big.bin").expect("a path"));
    let megabytes = size as f64 / 1e6;

    let alone = best_of(3, || blake3::hash(&bytes));
    let hash = best_of(3, || disk.hash(&at).expect("readable"));
    table.rate(format!("hashing a file of {} MiB", size >> 20), megabytes, hash, alone, "MB");

    let stage = || {
        let mut staged = disk.stage().expect("staging");
        for chunk in bytes.chunks(1 << 20) {
            staged.write(chunk).expect("writable");
        }
        disk.discard(staged.seal().expect("writable")).expect("removable");
    };
    let write = || {
        let mut file = tempfile::tempfile_in(folder.path()).expect("a file");
        for chunk in bytes.chunks(1 << 20) {
            file.write_all(chunk).expect("writable");
        }
        file.sync_all().expect("writable");
    };
    let (write, stage) = (best_of(3, write), best_of(3, stage));
    table.rate(
        format!("staging {} MiB: written, hashed, fsynced", size >> 20),
        megabytes,
        stage,
        write,
        "MB",
    );
}
