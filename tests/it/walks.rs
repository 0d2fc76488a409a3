//! Walks that take more than one run: they go on where they were cut short, are whole once
//! every parent was listed, and never delete what is there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Mirror, Run, SOURCES, tenant};
use feishu_mirror::sim::{Effect, Fault, Item, Tenant};
use tokio::time::advance;

const NODES: &str = "/wiki/v2/spaces/:space_id/nodes";
const NIGHT: Duration = Duration::from_secs(86_400);
const LOG: &str = "walks/wiki.jsonl";

const CONFIG: &str = "[[source]]\nname = \"wiki\"\nkind = \"wiki\"\n\
    [prune]\ndefault = \"trash\"\nmax_delete = \"100%\"\n";

/// A space with `parts` pages that have two pages each.
fn wiki(parts: usize) -> (Tenant, Vec<Item>) {
    let tenant = tenant();
    let space = tenant.space("Team");
    let parts = (0..parts).map(|n| {
        let part = space.docx(&format!("Part {n}"));
        part.docx("One");
        part.docx("Two");
        part
    });
    let parts = parts.collect();
    (tenant, parts)
}

async fn capped(mirror: &Mirror, calls: u32) -> Run {
    mirror.run(&["sync", "--json", "--max-calls", &calls.to_string()]).await
}

/// Runs with few calls until the walk is whole; returns how many nights that took.
async fn nights(mirror: &Mirror, calls: u32) -> usize {
    for night in 1..50 {
        let run = capped(mirror, calls).await;
        if run.summary()["full"] == true {
            return night;
        }
        run.exits(2);
        advance(Duration::from_secs(3600)).await;
    }
    panic!("it never came to its end");
}

/// Each parent is listed once, over as many nights as it takes, and `status` says how far
/// it is.
#[tokio::test(start_paused = true)]
async fn a_walk_goes_on_where_it_was_cut_short() {
    let (tenant, _) = wiki(20);
    let mirror = Mirror::with(&tenant, CONFIG);
    capped(&mirror, 10).await.exits(2);
    let listed = tenant.calls("GET", NODES) as u64;
    let status = mirror.run(&["status", "--json"]).await.success().events().pop().unwrap();
    let walk = &status["sources"][0];
    assert_eq!(walk["full_walk_secs"], serde_json::Value::Null);
    let (done, left) = (&walk["unfinished"]["listed"], &walk["unfinished"]["left"]);
    assert_eq!((done.as_u64().unwrap(), left.as_u64().unwrap()), (listed, 21 - listed));
    mirror.run(&["status"]).await.success().says(&["known to be left", "never walked"]);

    nights(&mirror, 10).await;
    assert_eq!(tenant.calls("GET", NODES), 21, "each parent once");
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 60);
    assert!(!mirror.state(LOG).exists());
    tenant.forget_calls();
    assert_eq!(mirror.sync().await.success().changes(), [""; 0]);
    assert_eq!(tenant.calls("GET", NODES), 21, "the next walk lists everything itself");
}

/// What happens between two nights in the part that is walked already: edits and removals
/// are seen, moves lose nothing.
#[tokio::test(start_paused = true)]
async fn what_happens_between_the_nights_is_not_missed() {
    let (tenant, parts) = wiki(20);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 60);
    advance(NIGHT).await;

    capped(&mirror, 12).await.exits(2);
    let walked: Vec<bool> = {
        let log = std::fs::read_to_string(mirror.state(LOG)).unwrap();
        parts
            .iter()
            .map(|part| log.contains(&format!("\"at\":\"{}\"", part.place_token())))
            .collect()
    };
    let done: Vec<&Item> = parts.iter().zip(&walked).filter(|(_, w)| **w).map(|(p, _)| p).collect();
    let open: Vec<&Item> =
        parts.iter().zip(&walked).filter(|(_, w)| !**w).map(|(p, _)| p).collect();
    assert!(done.len() > 4 && open.len() > 4, "{walked:?}");
    let inside = |part: &Item| part.children();
    // Deleted where it was listed, and a whole part that was not.
    inside(done[0])[0].delete();
    open[0].delete();
    // Edited and renamed where it was listed.
    inside(done[1])[0].edit("new");
    inside(done[1])[1].rename("Renamed");
    // From listed to unlisted, and the other way round.
    inside(done[2])[0].move_to(open[2]);
    inside(open[3])[0].move_to(done[3]);
    advance(NIGHT).await;

    nights(&mirror, 40).await;
    mirror.sync().await.success();
    let gone = mirror.run(&["ls", "--gone"]).await.success();
    let title = |item: &Item| item.title();
    let files = mirror.files();
    let has = |path: String| files.contains(&path);
    assert!(!has(format!("wiki/Team/{}/One.docx", title(done[0]))), "{}", gone.out);
    assert!(!has(format!("wiki/Team/{}.docx", title(open[0]))), "{files:?}");
    assert!(has(format!("wiki/Team/{}/Renamed.docx", title(done[1]))), "{files:?}");
    assert!(
        files.iter().any(|path| path.starts_with(&format!("wiki/Team/{}/One~", title(open[2])))
            || *path == format!("wiki/Team/{}/One.docx", title(open[2])))
    );
    // One page and a part of three are gone; everything else is there once.
    mirror.run(&["sync", "--json"]).await.success();
    assert_eq!(mirror.files().len(), 56);
    let files = mirror.files();
    let moved = format!("wiki/Team/{}/", title(done[3]));
    assert_eq!(files.iter().filter(|path| path.starts_with(&moved)).count(), 3, "{files:?}");
}

/// A page that moved from what is not walked yet to what is, is in no listing of the walk:
/// it exists, so it stays.
#[tokio::test(start_paused = true)]
async fn a_page_between_two_listings_stays() {
    let (tenant, parts) = wiki(20);
    let mirror = Mirror::with(&tenant, CONFIG);
    mirror.sync().await.success();
    advance(NIGHT).await;
    capped(&mirror, 12).await.exits(2);
    let log = std::fs::read_to_string(mirror.state(LOG)).unwrap();
    let at = |part: &Item| log.contains(&format!("\"at\":\"{}\"", part.place_token()));
    let done = parts.iter().find(|part| at(part)).unwrap();
    let open = parts.iter().find(|part| !at(part)).unwrap();
    open.children()[0].move_to(done);
    nights(&mirror, 60).await;
    let run = mirror.run(&["diff", "--json"]).await.success();
    assert_eq!(run.count("pruned"), 0);
    assert_eq!(mirror.files().len(), 60, "nothing is lost");
    mirror.sync().await.success();
    assert_eq!(mirror.files().len(), 60, "and the next walk finds it");
    assert!(
        mirror
            .files()
            .iter()
            .any(|path| path.starts_with(&format!("wiki/Team/{}/One~", done.title())))
    );
}

/// An interrupt in the middle loses nothing of the walk.
#[tokio::test(start_paused = true)]
async fn an_interrupt_keeps_the_walk() {
    let (tenant, _) = wiki(20);
    let mut mirror = Mirror::with(&tenant, CONFIG);
    let interrupt = mirror.interrupt.clone();
    let stop = Effect::run(move || interrupt.cancel());
    tenant.fault(Fault::new("GET", NODES, stop).nth(9));
    mirror.sync().await.exits(130);
    tenant.calm();
    mirror.interrupt = tokio_util::sync::CancellationToken::new();
    let listed = std::fs::read_to_string(mirror.state(LOG)).unwrap().matches("\"listed\"").count();
    assert!(listed > 0);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", NODES), 21 - listed);
    assert_eq!(mirror.files().len(), 60);
}

/// A long walk is written while it goes on, so that a kill costs its last seconds; once it
/// is recorded as whole, nothing of it is left.
#[tokio::test(start_paused = true)]
async fn a_long_walk_is_written_on_the_way() {
    let (tenant, _) = wiki(150);
    let mirror = Mirror::with(&tenant, CONFIG);
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (file, there) = (mirror.state(LOG), seen.clone());
    // What would be there if the power went now.
    let look = Effect::run(move || {
        *there.lock().unwrap() = std::fs::read(&file).unwrap_or_default();
    });
    tenant.fault(Fault::new("GET", NODES, look).nth(140));
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", NODES), 153, "150 of the parts, three pages of the space");
    assert!(!mirror.state(LOG).exists());

    let killed = Mirror::with(&tenant, CONFIG);
    tenant.calm();
    capped(&killed, 3).await.exits(2);
    let log = seen.lock().unwrap().clone();
    let listed = String::from_utf8(log.clone()).unwrap().matches("\"listed\"").count();
    assert!(listed >= 100, "{listed}");
    std::fs::create_dir_all(killed.state("walks")).unwrap();
    std::fs::write(killed.state(LOG), log).unwrap();
    tenant.forget_calls();
    killed.sync().await.success();
    assert_eq!(tenant.calls("GET", NODES), 151 - listed);
    assert_eq!(killed.files(), mirror.files());
}

/// A log that is torn serves as far as it goes; one that is damaged, too old or another
/// source's is worth nothing; and one with a failed listing is not gone on with.
#[tokio::test(start_paused = true)]
async fn a_doubtful_walk_is_begun_anew() {
    type Harm = fn(&mut Vec<u8>);
    let cases: [(&str, Harm, bool); 5] = [
        ("torn", |log| log.truncate(log.len() - 10), true),
        (
            "damaged",
            |log| {
                let at = log.len() / 2;
                log[at] = b'\n';
            },
            false,
        ),
        (
            "no header",
            |log| {
                log.remove(0);
            },
            false,
        ),
        (
            "another entry",
            |log| {
                let text = String::from_utf8(log.clone()).unwrap();
                *log = text.replacen("wiki all", "wiki space 7", 1).into_bytes();
            },
            false,
        ),
        (
            "another root",
            |log| {
                let text = String::from_utf8(log.clone()).unwrap();
                *log = text.replacen("\"root\":\"all\"", "\"root\":\"7\"", 1).into_bytes();
            },
            false,
        ),
    ];
    for (name, harm, serves) in cases {
        let (tenant, _) = wiki(10);
        let mirror = Mirror::with(&tenant, CONFIG);
        capped(&mirror, 7).await.exits(2);
        let mut log = std::fs::read(mirror.state(LOG)).unwrap();
        harm(&mut log);
        std::fs::write(mirror.state(LOG), log).unwrap();
        tenant.forget_calls();
        mirror.sync().await.success();
        assert_eq!(tenant.calls("GET", NODES) < 11, serves, "{name}");
        assert_eq!(mirror.files().len(), 30, "{name}");
        assert!(!mirror.state(LOG).exists(), "{name}");
    }
    let (tenant, _) = wiki(10);
    let mirror = Mirror::with(&tenant, CONFIG);
    capped(&mirror, 7).await.exits(2);
    advance(8 * NIGHT).await;
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", NODES), 11, "too old");

    let (tenant, parts) = wiki(10);
    let mirror = Mirror::with(&tenant, &format!("{CONFIG}[limits]\nretries = 0\n"));
    let broken = Fault::new("GET", NODES, Effect::status(400, 131_002));
    tenant.fault(broken.containing(parts[9].place_token()));
    capped(&mirror, 9).await.exits(2);
    assert!(!mirror.state(LOG).exists(), "it ended with an error");
    tenant.calm().forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", NODES), 11);
}

/// `diff` goes on with a walk as `sync` would, and writes nothing.
#[tokio::test(start_paused = true)]
async fn diff_goes_on_as_well_and_writes_nothing() {
    let (tenant, parts) = wiki(10);
    let mirror = Mirror::with(&tenant, CONFIG);
    capped(&mirror, 7).await.exits(2);
    parts[3].docx("New");
    let before = std::fs::read(mirror.state(LOG)).unwrap();
    let diff = mirror.diff().await.success();
    assert_eq!(std::fs::read(mirror.state(LOG)).unwrap(), before);
    let run = mirror.sync().await.success();
    assert_eq!(diff.changes(), run.changes());
}

/// What one walk does not list counts once, however many runs plan with it.
#[tokio::test(start_paused = true)]
async fn a_walk_counts_once() {
    let (tenant, parts) = wiki(30);
    let mirror = Mirror::with(&tenant, &format!("{SOURCES}[prune]\ndefault = \"trash\"\n"));
    mirror.sync().await.success();
    advance(NIGHT).await;
    parts[5].children()[0].hide_from_listing();
    // Cut in the walk, so that it is kept; then whole, with nothing left for what it found.
    parts[6].children()[0].edit("new");
    parts[6].children()[1].delete();
    capped(&mirror, 20).await.exits(2);
    for _ in 0..3 {
        advance(Duration::from_secs(3600)).await;
        capped(&mirror, 24).await;
    }
    assert!(mirror.path(&format!("wiki/Team/{}/One.docx", parts[5].title())).exists());
    let gone = mirror.run(&["ls", "--gone"]).await.success();
    assert!(!gone.out.contains(&format!("{}/One", parts[5].title())), "{}", gone.out);
}
