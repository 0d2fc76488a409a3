//! What is computed without network or disk: plans, names, Markdown.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use feishu_mirror::commands::survey::{Manifest, roster_of};
use feishu_mirror::export::docx::markdown::{Context, FrontMatter, render};
use feishu_mirror::export::docx::{Needs, Tree};
use feishu_mirror::layout::{self, Claimant};
use feishu_mirror::model::local::{LocalEntry, LocalState};
use feishu_mirror::model::recorded::{
    Loc, PlaceRow, ProductKey, ProductRow, Recorded, Slot, Stamp,
};
use feishu_mirror::model::source::{Source, SourceKind};
use feishu_mirror::model::tree::{Family, Node, RemoteSource, RemoteTree, Sifted};
use feishu_mirror::model::{
    Channel, ContentHash, Edited, Format, ObjType, Object, PlaceKey, PlaceToken, RelPath,
    SourceName,
};
use feishu_mirror::plan::{self, Answers, Inputs, Options};
use feishu_mirror::rules::{Filter, Globs, Markdown, MaxDelete, PruneAction, Rules, ShortcutMode};
use feishu_mirror::store::Store;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::support::scale;
use crate::{Row, Table, best_of, files, process};

/// First argument of a process of its own, whose memory is then only what a plan takes.
pub const CHILD: &str = "--plan-in";

/// Documents in one folder of a made-up tenant.
const FAN_OUT: usize = 50;

const NOW: i64 = 1_700_000_000;

fn rules() -> Rules {
    Rules {
        formats: [(ObjType::Docx, vec![Format::Docx])].into_iter().collect(),
        export_rules: Vec::new(),
        shortcut: ShortcutMode::Link,
        filter: Filter {
            include: Globs::new(["**"]).expect("a pattern"),
            exclude: Globs::default(),
            types: Vec::new(),
        },
        max_size: None,
        markdown: Markdown::default(),
        comments_every_secs: None,
        allow_forbidden: false,
        prune_default: PruneAction::Trash,
        prune_rules: Vec::new(),
        max_delete: MaxDelete::Percent(50.0),
        sources: vec![source_name()],
    }
}

fn source_name() -> SourceName {
    "drive".into()
}

/// What a walk shows: folders of documents, so many in all.
fn nodes_of(nodes: usize) -> impl Iterator<Item = Node> {
    let mut parent: Option<PlaceToken> = None;
    (0..nodes).map(move |n| {
        let is_folder = n % (FAN_OUT + 1) == 0;
        let (ty, word) = if is_folder { ("folder", "fldcn") } else { ("docx", "doxcn") };
        let token: PlaceToken = format!("{word}{n:022}").as_str().into();
        let edited = Edited { channel: Channel::Drive, at_secs: NOW - 9_000, seen_secs: NOW };
        let node = Node {
            token: token.clone(),
            parent: if is_folder { None } else { parent.clone() },
            object: Object::new(ObjType::from(ty), token.as_str()),
            title: format!("{} {n}", ["周报", "Roadmap", "会议纪要", "Interview notes"][n % 4]),
            created_secs: NOW - 99_000,
            order: 0,
            owner: None,
            edited: (!is_folder).then_some(edited),
            has_children: false,
            url: Some(format!("https://example.feishu.cn/{ty}/{token}")),
            target: None,
            filtered: false,
        };
        if is_folder {
            parent = Some(token);
        }
        node
    })
}

fn listed(nodes: usize) -> RemoteTree {
    let source = RemoteSource {
        family: Family::Drive,
        root: "root".to_owned(),
        nodes: nodes_of(nodes).map(|node| (node.token.clone(), node)).collect(),
        ..RemoteSource::default()
    };
    RemoteTree { sources: [(source_name(), source)].into_iter().collect() }
}

/// The plan of a run that sees `tree`, with all its questions; there must be none.
fn planned(tree: &RemoteTree, recorded: &Recorded, local: &LocalState) -> plan::Plan {
    let (rules, options, answers) = (rules(), Options::default(), Answers::default());
    let inputs = Inputs {
        tree,
        recorded,
        local,
        rules: &rules,
        options: &options,
        answers: &answers,
        now_secs: NOW + 60,
    };
    let questions = plan::questions(&inputs);
    assert!(questions.is_empty(), "nothing moved, so nothing is asked");
    plan::plan(&inputs)
}

/// The manifest after everything that `tree` shows was fetched.
pub fn recorded(nodes: usize) -> Recorded {
    let tree = listed(nodes);
    let first = planned(&tree, &Recorded::default(), &LocalState::default());
    let mut recorded = Recorded {
        places: first.records.into_iter().collect(),
        sources: first.sources.into_iter().collect(),
    };
    for (number, row) in recorded.places.values_mut().enumerate() {
        let slots: Vec<Slot> = row.names.keys().copied().collect();
        for slot in slots.into_iter().filter(|slot| matches!(slot, Slot::Product(_))) {
            row.products.insert(ProductKey::whole(slot), product(row, number));
        }
    }
    recorded
}

fn product(row: &PlaceRow, number: usize) -> ProductRow {
    ProductRow {
        part_name: None,
        size: 3_000 + number as u64,
        blake3: ContentHash::from(blake3::hash(&number.to_le_bytes())),
        mtime_secs: row.edited.map_or(0, |edited| edited.at_secs),
        link: None,
        stamp: Stamp::of(row.edited, Some(7)),
        doubtful: false,
    }
}

/// The plan of an unchanged tenant, in a process of its own.
pub fn plan(table: &mut Table) {
    let nodes = scale(100_000, 1_000_000);
    let state = tempfile::tempdir().expect("a folder");
    files::write_manifest(state.path(), &recorded(nodes));
    let manifest = files::manifest_bytes(state.path());
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args([CHILD, &state.path().display().to_string(), &nodes.to_string()])
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let seconds = |name: &str| said[name].as_f64().expect("a number");
    let size = nodes as f64 / 1e6;
    table.time(
        format!("plan of {nodes} unchanged nodes"),
        seconds("plan") * 1e3,
        seconds("reading") * 1e3,
        "ms",
        Some(3_000.0 * size),
    );
    let memory = seconds("peak") / f64::from(1 << 20);
    table.row(Row {
        measure: format!("the same: resident at most, {nodes}"),
        figure: format!("{memory:.0} MiB"),
        bound: String::new(),
        ratio: None,
        // Of a whole run of a million; fewer take less, but not in proportion.
        goal: Some(("<= 300 MiB".to_owned(), memory <= 300.0)),
    });
    let each = manifest as f64 / nodes as f64;
    table.row(Row {
        measure: format!("manifest of {nodes} nodes"),
        figure: format!("{each:.0} B a node"),
        bound: String::new(),
        ratio: None,
        goal: Some(("<= 400 B a node".to_owned(), each <= 400.0)),
    });
}

/// Compares everything with a manifest as a run does; prints seconds and bytes as JSON. What is
/// listed and what is on disk is made up piece by piece, off the clock: a run does not hold it
/// either.
pub fn child(args: &[String]) {
    let [state, nodes] = args else { panic!("a folder and a number") };
    let total: usize = nodes.parse().expect("a number");
    let rows = Store::read_rows(Path::new(state)).expect("readable").expect("there");
    // No plan can look at less.
    let reading = best_of(1, || rows.for_each_row(|_| Ok(())).expect("readable"));
    let (rules, source, manifest) = (rules(), source(), Manifest::Rows(Box::new(rows)));
    let mut clock = Duration::ZERO;
    let sources = std::slice::from_ref(&source);
    let roster = timed(&mut clock, || roster_of(&manifest, sources, &rules));
    let mut roster = roster.expect("readable").expect("no pages");
    let mut all = nodes_of(total);
    loop {
        let some: Vec<Node> = all.by_ref().take(PIECE).collect();
        if some.is_empty() {
            break;
        }
        timed(&mut clock, || {
            for node in &some {
                let sifted = roster.sift(&source.name, "drive/x/y", node, &rules, false);
                assert_eq!(sifted, Sifted::Quiet);
            }
        });
    }
    for some in found(&manifest) {
        timed(&mut clock, || {
            for (at, entry) in &some {
                assert!(!roster.scanned(at, entry));
            }
        });
    }
    let top =
        RemoteSource { family: Family::Drive, root: "root".into(), ..RemoteSource::default() };
    let mut tree = RemoteTree { sources: [(source_name(), top)].into_iter().collect() };
    let plan = timed(&mut clock, || {
        assert!(roster.close(&mut tree).is_empty());
        planned(&tree, &Recorded::default(), &LocalState::default())
    });
    assert_eq!((plan.fetches.len(), plan.prunes.len(), plan.records.len()), (0, 0, 0));
    assert_eq!(tree.sources[&source_name()].quiet.places, total as u64);
    let peak = process::peak_of("self").unwrap_or_default();
    let (plan, reading) = (clock.as_secs_f64(), reading.as_secs_f64());
    println!("{}", json!({"plan": plan, "reading": reading, "peak": peak}));
}

/// Nodes and files that are made up at a time.
const PIECE: usize = 10_000;

fn timed<T>(clock: &mut Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    *clock += began.elapsed();
    done
}

fn source() -> Source {
    let kind = SourceKind::Drive { folder: None };
    Source { name: source_name(), kind, allow_empty: false }
}

/// What a scan of the copy shows, in pieces.
fn found(manifest: &Manifest) -> impl Iterator<Item = Vec<(Loc, LocalEntry)>> {
    let mut folders: HashMap<PlaceToken, String> = HashMap::new();
    let name = source_name();
    let each_folder = |key: PlaceKey, row: PlaceRow| {
        folders.extend(row.names.get(&Slot::Dir).map(|dir| (key.token, dir.clone())));
    };
    manifest.for_each_of(&name, each_folder).expect("readable");
    let mut last: Option<PlaceToken> = None;
    let Manifest::Rows(rows) = manifest else { panic!("it was just read") };
    std::iter::from_fn(move || {
        let some = rows.rows_after(&name, last.as_ref(), PIECE).expect("readable");
        last = some.last().map(|(key, _)| key.token.clone());
        let entries = some.iter().flat_map(|(_, row)| {
            let above = row.parent.as_ref().map(|parent| format!("/{}", folders[parent]));
            let above = format!("{name}{}", above.unwrap_or_default());
            row.names.iter().map(move |(slot, file)| {
                let at = RelPath::new(format!("{above}/{file}")).expect("a path");
                let entry = match row.products.get(&ProductKey::whole(*slot)) {
                    Some(file) => LocalEntry::File { size: file.size, mtime_secs: file.mtime_secs },
                    None => LocalEntry::Dir,
                };
                (Loc::Mirror(at), entry)
            })
        });
        let entries: Vec<(Loc, LocalEntry)> = entries.collect();
        (!entries.is_empty()).then_some(entries)
    })
}

/// Names for titles.
pub fn layout(table: &mut Table) {
    let count = scale(100_000, 1_000_000);
    let title = |n: usize| match n % 5 {
        0 => format!("周报 {n}"),
        1 => format!("Q{n}/计划: draft?"),
        2 => format!("Café {n}.docx"),
        3 => format!("Notes {}", n / 10),
        _ => format!("  Interview\t{n}  "),
    };
    let titles: Vec<String> = (0..count).map(title).collect();
    let docx = ObjType::Docx;
    let clean = || titles.iter().map(|title| layout::stem(title, &docx).len()).sum::<usize>();
    let least = || titles.iter().map(|title| title.nfc().collect::<String>().len()).sum::<usize>();
    let took = best_of(3, clean);
    // The least that makes a title safe: normalise it.
    table.rate(
        format!("names: {count} titles cleaned"),
        count as f64,
        took,
        best_of(3, least),
        "titles",
    );

    let claimant = |(n, title): (usize, &String)| Claimant {
        token: format!("doxcn{n:022}").as_str().into(),
        title: title.clone(),
        ty: ObjType::Docx,
        file_extension: None,
        created_secs: NOW + i64::try_from(n).expect("a small number"),
        slots: vec![Slot::Product(Format::Docx)],
        given: None,
    };
    let claimants: Vec<Claimant> = titles.iter().enumerate().map(claimant).collect();
    let folders: Vec<&[Claimant]> = claimants.chunks(1_000).collect();
    let assign = || folders.iter().map(|folder| layout::assign(folder, &[]).len()).sum::<usize>();
    // The least that finds twins: clean, fold and look up each title.
    let set = || {
        let names = |folder: &&[Claimant]| {
            let fold = |claimant: &Claimant| layout::fold(&layout::stem(&claimant.title, &docx));
            folder.iter().map(fold).collect::<std::collections::HashSet<String>>().len()
        };
        folders.iter().map(names).sum::<usize>()
    };
    let took = best_of(3, assign);
    table.rate(
        format!("names: {count} given, 1,000 a folder"),
        count as f64,
        took,
        best_of(3, set),
        "names",
    );
}

/// A document of many kinds of blocks, with styles and links in its text.
fn document(count: usize) -> Vec<Value> {
    let run = |content: String, style: Value| json!({"text_run": {"content": content, "text_element_style": style}});
    let text = |n: usize| {
        json!({"elements": [
            run(format!("第 {n} 段：“引用”，snake_case, 1 * 2 | 3 "), json!({})),
            run("bold".to_owned(), json!({"bold": true})),
            run(" and link".to_owned(), json!({"link": {"url": "https%3A%2F%2Fx.example%2Fa"}})),
            run(" code".to_owned(), json!({"inline_code": true})),
        ]})
    };
    let kinds = [(2, "text"), (12, "bullet"), (13, "ordered"), (4, "heading2"), (17, "todo")];
    let top: Vec<String> = (1..count).map(|n| format!("b{n}")).collect();
    let mut blocks =
        vec![json!({"block_id": "page", "block_type": 1, "page": {}, "children": top})];
    for (n, id) in top.iter().enumerate() {
        let (number, key) = kinds[n % 5];
        blocks.push(json!({"block_id": id, "block_type": number, key: text(n)}));
    }
    blocks
}

/// Blocks to Markdown.
pub fn markdown(table: &mut Table) {
    let blocks = document(20_000);
    let text = serde_json::to_vec(&blocks).expect("JSON");
    let write = || {
        let tree = Tree::build("page", &blocks);
        let needs = Needs::of(&tree);
        (needs, render(&tree, &FrontMatter::default(), &Context::default()).markdown.len())
    };
    // They come as JSON, which has to be read.
    let parse = || serde_json::from_slice::<Vec<Value>>(&text).expect("JSON").len();
    let (took, best): (Duration, Duration) = (best_of(5, write), best_of(5, parse));
    table.rate(
        "Markdown: 20,000 blocks (bound: reading them as JSON)".to_owned(),
        20_000.0,
        took,
        best,
        "blocks",
    );
}
