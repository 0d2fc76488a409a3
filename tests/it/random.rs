//! Random edits: after every run the copy is right, the next run does nothing, and
//! `diff` had said what `sync` did.

use crate::support::dice::Dice;
use crate::support::{Mirror, SOURCES, scale, tenant};
use feishu_mirror::sim::Item;

const NAMES: [&str; 7] = ["A", "B", "a", "周报", "plan.txt", "plan", "x/y"];

struct World {
    folders: Vec<Item>,
    things: Vec<Item>,
    gone: Vec<Item>,
}

impl World {
    fn act(&mut self, dice: &mut Dice) -> String {
        let name = NAMES[dice.below(NAMES.len())];
        let folder = self.folders[dice.below(self.folders.len())].clone();
        let thing = dice.below(self.things.len().max(1));
        match dice.below(9) {
            0 => {
                self.folders.push(folder.folder(name));
                format!("folder {name}")
            }
            1 => {
                self.things.push(folder.docx(name));
                format!("docx {name}")
            }
            2 => {
                self.things.push(folder.upload(name, format!("{}", self.things.len())));
                format!("upload {name}")
            }
            3 if !self.things.is_empty() => {
                self.things[thing].rename(name);
                format!("rename to {name}")
            }
            4 if !self.things.is_empty() => {
                self.things[thing].move_to(&folder);
                "move".to_owned()
            }
            5 if !self.things.is_empty() => {
                let item = self.things.swap_remove(thing);
                item.delete();
                self.gone.push(item);
                "delete".to_owned()
            }
            6 if self.folders.len() > 1 => {
                let at = 1 + dice.below(self.folders.len() - 1);
                self.folders[at].rename(name);
                format!("rename folder to {name}")
            }
            7 if self.folders.len() > 2 => {
                let (a, b) = (
                    1 + dice.below(self.folders.len() - 1),
                    1 + dice.below(self.folders.len() - 1),
                );
                let (one, two) = (self.folders[a].title(), self.folders[b].title());
                self.folders[a].rename(&two);
                self.folders[b].rename(&one);
                format!("swap folders {one} {two}")
            }
            _ if !self.gone.is_empty() => {
                let item = self.gone.remove(0);
                item.restore();
                self.things.push(item);
                "restore".to_owned()
            }
            _ => "nothing".to_owned(),
        }
    }
}

async fn story(seed: u64, rule: &str) {
    let mut dice = Dice::new(seed);
    let tenant = tenant();
    let mut world = World { folders: vec![tenant.root()], things: Vec::new(), gone: Vec::new() };
    let config = format!("{SOURCES}\n[prune]\ndefault = \"{rule}\"\nmax_delete = \"100%\"\n");
    let mirror = Mirror::with(&tenant, &config);
    let mut told = Vec::new();
    for round in 0..6 {
        for _ in 0..=dice.below(6) {
            told.push(world.act(&mut dice));
        }
        tokio::time::advance(std::time::Duration::from_secs(600)).await;
        let context = |what: &str, detail: &str| {
            format!("seed {seed} {rule} round {round}: {what}\n{told:#?}\n{detail}")
        };
        let diff = mirror.diff().await;
        let run = mirror.sync().await;
        assert_eq!(run.code, 0, "{}", context("exit code", &format!("{}{}", run.out, run.err)));
        assert_eq!(diff.changes(), run.changes(), "{}", context("diff is not sync", ""));
        let live: Vec<String> =
            mirror.files().into_iter().filter(|p| !p.contains("~gone-")).collect();
        if rule == "keep" {
            assert!(
                live.len() >= world.things.len(),
                "{}",
                context("files", &format!("{live:#?}"))
            );
        } else {
            // Once for what was confirmed gone, once for what `delete` waits for.
            mirror.sync().await.success();
            let live = mirror.files();
            assert_eq!(
                live.len(),
                world.things.len(),
                "{}",
                context("files", &format!("{live:#?}"))
            );
        }
        mirror.sync().await.success();
        let before = mirror.snapshot();
        tenant.forget_calls();
        let quiet = mirror.sync().await.success();
        assert_eq!(quiet.changes(), [""; 0], "{}", context("not quiet", ""));
        assert_eq!(mirror.changed_since(&before), [""; 0]);
        assert_eq!(tenant.calls("POST", "/drive/v1/export_tasks"), 0);
        assert_eq!(
            tenant.calls("POST", "/drive/v1/metas/batch_query"),
            0,
            "{}",
            context("metas", "")
        );
        for item in &world.things {
            let ls = mirror.run(&["ls", "--json"]).await.success();
            assert!(ls.out.contains(&item.token()), "{}", context("ls", &item.token()));
        }
    }
}

/// Random edits, moves, swaps, deletions and restores.
#[tokio::test(start_paused = true)]
async fn long_random_edits_end_up_right() {
    for seed in 0..scale(12, 1000) as u64 {
        for rule in ["keep", "trash", "delete"] {
            story(seed, rule).await;
        }
    }
}
