//! Random edits of pages that refer to each other: after every run each link leads to a
//! file of the copy or to the service, and the next run has nothing to do.

use std::path::Path;
use std::time::Duration;

use crate::support::dice::Dice;
use crate::support::{Mirror, SOURCES, scale, tenant};
use feishu_mirror::sim::{Item, Tenant};

const NAMES: [&str; 7] = ["A", "B", "a", "周报 (1)", "plan.md", "x/y", "[z] `&`"];

struct World {
    folders: Vec<Item>,
    pages: Vec<Item>,
    gone: Vec<Item>,
    /// Of the place itself, not of what it stands for.
    shortcuts: usize,
}

impl World {
    fn act(&mut self, dice: &mut Dice) -> String {
        let name = NAMES[dice.below(NAMES.len())];
        let folder = self.folders[dice.below(self.folders.len())].clone();
        let page = dice.below(self.pages.len().max(1));
        let other = dice.below(self.pages.len().max(1));
        match dice.below(10) {
            0 => {
                self.folders.push(folder.folder(name));
                format!("folder {name}")
            }
            1 | 2 => {
                let mut new = folder.docx(name);
                for _ in 0..dice.below(3) {
                    if let Some(other) = self.pages.get(dice.below(self.pages.len().max(1))) {
                        new = new.mention_doc(other);
                    }
                }
                if dice.below(3) == 0 {
                    let picture = format!("\x7fPNG {}", self.pages.len());
                    new.picture("p.png", picture.into_bytes(), Some(name));
                }
                self.pages.push(new);
                format!("page {name}")
            }
            3 if !self.pages.is_empty() => {
                self.pages[page].rename(name);
                format!("rename to {name}")
            }
            4 if !self.pages.is_empty() => {
                self.pages[page].move_to(&folder);
                "move".to_owned()
            }
            5 if !self.pages.is_empty() => {
                let item = self.pages.swap_remove(page);
                item.delete();
                self.gone.push(item);
                "delete".to_owned()
            }
            6 if self.folders.len() > 1 => {
                let at = 1 + dice.below(self.folders.len() - 1);
                self.folders[at].rename(name);
                format!("rename folder to {name}")
            }
            7 if self.pages.len() > 1 => {
                let target = self.pages[other].clone();
                let changed = self.pages[page].clone().mention_doc(&target);
                changed.edit("more");
                "link".to_owned()
            }
            8 if !self.pages.is_empty() && self.shortcuts < 3 => {
                folder.shortcut_to(&self.pages[page]);
                self.shortcuts += 1;
                "shortcut".to_owned()
            }
            _ if !self.gone.is_empty() => {
                let item = self.gone.remove(0);
                item.restore();
                self.pages.push(item);
                "restore".to_owned()
            }
            _ => "nothing".to_owned(),
        }
    }
}

/// What a page links to: `](…)`.
fn links(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())).collect()
}

/// Every link of every page leads somewhere. Returns how many there are.
fn all_lead_somewhere(mirror: &Mirror, world: &World, context: &str) -> usize {
    let live: Vec<String> = world.pages.iter().map(Item::token).collect();
    let mut count = 0;
    for file in mirror.files() {
        let path = mirror.path(&file);
        let is_page = Path::new(&file).extension().is_some_and(|end| end == "md");
        assert!(path.exists(), "{file} dangles\n{context}");
        if !is_page || path.is_symlink() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // What is gone stays as it was.
        if !live.iter().any(|token| text.contains(&format!("token: \"{token}\""))) {
            continue;
        }
        for link in links(&text) {
            count += 1;
            if link.starts_with("https://") {
                continue;
            }
            let decoded = percent_decoded(&link);
            let target = path.parent().unwrap().join(&decoded);
            assert!(
                target.exists(),
                "{file} links to {decoded}\n{:#?}\n{text}\n{context}",
                mirror.files()
            );
        }
    }
    count
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'%', [a, b, after @ ..]) = (*first, tail) {
            let digits = [*a, *b];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn content_calls(tenant: &Tenant) -> Vec<String> {
    let content = |path: &str| path.contains("/docx/") || path.contains("/medias/");
    let paths = tenant.call_log().into_iter().map(|call| call.path);
    paths.filter(|path| content(path)).collect()
}

async fn story(seed: u64, rule: &str) -> usize {
    let mut dice = Dice::new(seed);
    let tenant = tenant();
    let mut world =
        World { folders: vec![tenant.root()], pages: Vec::new(), gone: Vec::new(), shortcuts: 0 };
    let config = format!(
        "{SOURCES}\n[export]\ndocx = [\"md\"]\n[prune]\ndefault = \"{rule}\"\n\
         max_delete = \"100%\"\n"
    );
    let mirror = Mirror::with(&tenant, &config);
    let (mut told, mut count) = (Vec::new(), 0);
    for round in 0..6 {
        for _ in 0..=dice.below(6) {
            told.push(world.act(&mut dice));
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        let context = |what: &str, detail: &str| {
            format!("seed {seed} {rule} round {round}: {what}\n{told:#?}\n{detail}")
        };
        let diff = mirror.diff().await;
        let run = mirror.sync().await;
        let printed = format!("{}{}", run.out, run.err);
        assert_eq!(run.code, 0, "{}", context("exit code", &printed));
        assert_eq!(diff.changes(), run.changes(), "{}", context("diff is not sync", &printed));
        count += all_lead_somewhere(&mirror, &world, &context("after the run", &printed));
        // What `delete` waits for, and Drive shortcuts, which two full walks must miss.
        mirror.sync().await.success();
        mirror.sync().await.success();
        all_lead_somewhere(&mirror, &world, &context("two runs later", ""));
        let before = mirror.snapshot();
        tenant.forget_calls();
        let quiet = mirror.sync().await.success();
        // A shortcut to a deleted page stays one.
        let changes = quiet.changes().into_iter().filter(|change| !change.starts_with("skip "));
        let changes: Vec<String> = changes.collect();
        assert_eq!(changes, [""; 0], "{}", context("not quiet", &quiet.out));
        assert_eq!(mirror.changed_since(&before), [""; 0]);
        let calls = content_calls(&tenant);
        assert_eq!(calls, [""; 0], "{}", context("content calls", &quiet.out));
    }
    count
}

/// Pages come, go, move and are renamed, and refer to each other all the while.
#[tokio::test(start_paused = true)]
async fn long_links_of_random_stories_lead_somewhere() {
    let mut links = 0;
    for seed in 0..scale(3, 500) as u64 {
        for rule in ["keep", "trash", "delete"] {
            links += story(seed, rule).await;
        }
    }
    assert!(links > 100, "{links}");
}
