//! What a manifest of a million rows costs: for `benches/README.md`.

use std::time::Instant;

use super::*;
use crate::model::Edited;

/// A number that looks random, the same each time.
fn scatter(n: u64) -> u64 {
    let bytes = *blake3::hash(&n.to_le_bytes()).as_bytes();
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// As long as the service's, and in no order.
fn token(start: &str, n: u64) -> String {
    format!("{start}{:022x}", u128::from(scatter(n)) << 24 | u128::from(n))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Wiki,
    Drive,
}

/// An ordinary row: a document with one file, one in twenty with children.
fn ordinary(kind: Kind, n: u64) -> (PlaceKey, PlaceRow) {
    let created_secs = 1_600_000_000 + i64::try_from(scatter(n) % 100_000_000).unwrap();
    let at_secs = created_secs + i64::try_from(scatter(n + 1) % 10_000_000).unwrap();
    let seen_secs = 1_710_000_000;
    let title = format!("项目周报 {} 第{}组 review", scatter(n) % 5_000, n % 90);
    let object = token("doxcn", n);
    let (place, channel, source) = match kind {
        Kind::Wiki => (token("wikcn", n), Channel::Wiki, "handbook"),
        Kind::Drive => (object.clone(), Channel::Drive, "team folder"),
    };
    let parent = token(if kind == Kind::Wiki { "wikcn" } else { "fldcn" }, n / 20);
    let docx = Slot::Product(Format::Docx);
    let times = BTreeMap::from([(channel, at_secs)]);
    let stamp = Stamp { times, seen_secs, revision: Some(40), read_secs: None };
    let file = ProductRow {
        part_name: None,
        size: 20_000 + scatter(n) % 100_000,
        blake3: blake3::hash(&n.to_le_bytes()).into(),
        mtime_secs: at_secs,
        link: None,
        stamp,
        doubtful: false,
    };
    let mut names = BTreeMap::from([(docx, format!("{title}.docx"))]);
    if kind == Kind::Wiki && n.is_multiple_of(20) {
        names.insert(Slot::Dir, title.clone());
    }
    let url = format!("https://example.feishu.cn/docx/{object}");
    let row = PlaceRow {
        object: Object::new(ObjType::Docx, object),
        parent: Some(PlaceToken::new(parent)),
        created_secs,
        order: u32::try_from(n % 20).unwrap(),
        url: (kind == Kind::Drive).then_some(url),
        edited: Some(Edited { channel, at_secs, seen_secs }),
        stem: title.clone(),
        names,
        products: BTreeMap::from([(ProductKey::whole(docx), file)]),
        ..row(None, &title, false)
    };
    (key(source, &place), row)
}

/// The same a night later, edited.
fn edited(kind: Kind, n: u64) -> RowChange {
    let (key, mut row) = ordinary(kind, n);
    for file in row.products.values_mut() {
        file.stamp.seen_secs += 86_400;
        file.stamp.revision = Some(400);
        file.mtime_secs += 1_000_000;
        file.size += 100_000;
    }
    RowChange::Put { key, place: Box::new(row) }
}

#[cfg(target_os = "linux")]
fn resident_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Seconds of CPU that this thread took so far: other work on the machine does not count.
#[cfg(target_os = "linux")]
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a while: cargo test --release --lib store::tests::large -- --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "a measurement")]
fn what_a_large_manifest_costs() {
    let rows: u64 = std::env::var("ROWS").map_or(1_000_000, |rows| rows.parse().expect("a number"));
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join(schema::FILE);
    let say = |what: &str, start: (Instant, f64)| {
        let bytes = std::fs::metadata(&file).unwrap().len();
        let (took, each) = (start.0.elapsed().as_secs_f64(), bytes / rows);
        let cpu = cpu_secs() - start.1;
        let (now, most) = (resident_mib("VmRSS"), resident_mib("VmHWM"));
        eprintln!(
            "{what}: {took:.2} s, {cpu:.2} s of CPU, {each} B a row; {now} MiB resident, {most} at most"
        );
    };
    let kinds = match std::env::var("KIND").as_deref() {
        Ok("drive") => vec![Kind::Drive],
        Ok("wiki") => vec![Kind::Wiki],
        _ => vec![Kind::Wiki, Kind::Drive],
    };
    for kind in kinds {
        eprintln!("{kind:?}, {rows} rows");
        let _ = std::fs::remove_file(&file);
        // Sorted, as from an index; a few bytes a row in memory.
        let mut order: Vec<(PlaceKey, u64)> = (0..rows).map(|n| (ordinary(kind, n).0, n)).collect();
        order.sort_unstable();
        let start = (Instant::now(), cpu_secs());
        let store = Store::open(state.path(), "m", &Faults::default()).unwrap();
        store.put_all(order.iter().map(|(_, n)| ordinary(kind, *n))).unwrap();
        drop((order, store));
        say("sorted, put_all", start);

        // As a first sync writes them.
        std::fs::remove_file(&file).unwrap();
        let start = (Instant::now(), cpu_secs());
        let store = Store::open(state.path(), "m", &Faults::default()).unwrap();
        for first in (0..rows).step_by(256) {
            let batch: Vec<RowChange> = (first..rows.min(first + 256))
                .map(|n| ordinary(kind, n))
                .map(|(key, row)| RowChange::Put { key, place: Box::new(row) })
                .collect();
            store.record(&batch, &[]).unwrap();
        }
        let batches = u32::try_from(rows.div_ceil(256)).unwrap();
        eprintln!("a batch of 256 in random order: {:?}", start.0.elapsed() / batches);
        say("in random order, open", start);
        let start = (Instant::now(), cpu_secs());
        drop(store);
        say("closed", start);

        let store = Store::open(state.path(), "m", &Faults::default()).unwrap();
        let start = (Instant::now(), cpu_secs());
        let changes: Vec<RowChange> =
            (0..rows / 100).map(|n| edited(kind, scatter(n) % rows)).collect();
        for batch in changes.chunks(256) {
            store.record(batch, &[]).unwrap();
        }
        drop(changes);
        say("1 % changed, open", start);
        let start = (Instant::now(), cpu_secs());
        let tidied = store.tidy().unwrap();
        say(if tidied { "tidied" } else { "closed, nothing to tidy" }, start);
        let start = (Instant::now(), cpu_secs());
        tidy::anyway(&file).unwrap();
        say("made again anyway", start);

        let start = (Instant::now(), cpu_secs());
        let rows = Store::read_rows(state.path()).unwrap().unwrap();
        say("opened to read", start);
        let start = (Instant::now(), cpu_secs());
        let (mut plain, mut bytes) = (0_u64, 0);
        rows.for_each_row(|row| {
            plain += u64::from(row.is_plain());
            bytes += row.title().len() + row.products().map(|p| p.blake3.len()).sum::<usize>();
            Ok(())
        })
        .unwrap();
        eprintln!("{plain} plain, {bytes} bytes looked at");
        say("for_each_row", start);
        let start = (Instant::now(), cpu_secs());
        write_index_of(io::sink(), &rows, &index_meta()).unwrap();
        say("index from rows", start);
        drop(rows);
        let start = (Instant::now(), cpu_secs());
        let store = Store::open(state.path(), "m", &Faults::default()).unwrap();
        say("opened to write", start);
        if std::env::var_os("LOAD").is_some() {
            let start = (Instant::now(), cpu_secs());
            let recorded = store.load().unwrap();
            say("load", start);
            drop(recorded);
        }
        drop(store);
    }
}
