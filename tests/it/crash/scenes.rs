//! The runs in which the power goes.

use std::time::Duration;

use serde_json::json;

use super::Scene;
use crate::support::{Mirror, SOURCES, tenant};
use feishu_mirror::sim::Item;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a picture";

pub fn config() -> String {
    format!(
        "{SOURCES}\n[prune]\ndefault = \"trash\"\nmax_delete = \"100%\"\n\
         [[prune.rule]]\nmatch = \"wiki/**\"\naction = \"delete\"\n\
         [export]\nsheet = [\"xlsx\", \"csv\"]\n\
         [[export.rule]]\nmatch = \"wiki/Handbook/Intro/*\"\ndocx = [\"md\"]\n"
    )
}

/// What is there, with names for what changes later.
pub struct Things {
    team: Item,
    plan: Item,
    notes: Item,
    scan: Item,
    one: Item,
    two: Item,
    old: Item,
    budget: Item,
    guide: Item,
    rules: Item,
    retired: Item,
}

pub fn things(root: &Item, space: &Item) -> Things {
    let team = root.folder("Team");
    let (one, two) = (root.folder("One"), root.folder("Two"));
    one.docx("In one");
    two.upload("in two.txt", "two");
    let plan = team.docx("Plan").text("a plan");
    root.shortcut_to(&plan);
    let intro = space.docx("Intro");
    let guide = intro.docx("Guide");
    let token = guide.image("a.png", PNG);
    let guide = guide.blocks(json!([{"block_type": 27, "image": {"token": token}}]));
    Things {
        notes: team.docx("Notes"),
        scan: team.upload("scan.pdf", b"%PDF-1.4 a scan".to_vec()),
        old: root.folder("Attic").docx("Old"),
        budget: root.sheet("Budget").tabs(&["Q1", "Q2"]),
        rules: space.docx("Rules"),
        retired: space.docx("Retired"),
        team,
        plan,
        one,
        two,
        guide,
    }
}

/// The first run of a mirror.
pub async fn first() -> Scene {
    let tenant = tenant();
    things(&tenant.root(), &tenant.space("Handbook"));
    let mirror = Mirror::with(&tenant, &config());
    std::fs::create_dir(mirror.path("")).unwrap();
    Scene::new("first run", tenant, mirror).await
}

/// A run that has everything to do: edits, renames, moves, a swap, new places, one that
/// goes to the trash and one that is deleted.
pub async fn busy() -> Scene {
    let tenant = tenant();
    let (root, space) = (tenant.root(), tenant.space("Handbook"));
    let things = things(&root, &space);
    let mirror = Mirror::with(&tenant, &config());
    mirror.sync().await.success();

    // Only after two full walks it is deleted.
    things.retired.delete();
    tokio::time::advance(Duration::from_secs(600)).await;
    mirror.sync().await.success();

    everything_changes(&things, &root, &space);
    tokio::time::advance(Duration::from_secs(600)).await;
    Scene::new("busy run", tenant, mirror).await
}

/// Everything that may happen between two runs.
pub fn everything_changes(things: &Things, root: &Item, space: &Item) {
    things.plan.edit("another plan");
    things.notes.rename("笔记");
    things.scan.replace(b"%PDF-1.4 scanned again, and larger".to_vec());
    things.scan.move_to(root);
    things.one.rename("Two");
    things.two.rename("One");
    things.old.delete();
    things.budget.edit_cells("Q1", json!([["new"]]));
    things.budget.rename_tab("Q2", "第二季度");
    things.guide.rename("Manual");
    things.rules.move_to(&things.guide);
    things.team.folder("Deep").folder("Deeper").docx("Newcomer");
    things.team.rename("Crew");
    space.docx("Fresh").text("new");
}
