//! A tenant with some of everything, a day's edits to it, and what a run without faults
//! makes of them.

use std::time::Duration;

use feishu_mirror::clock::Clock;
use feishu_mirror::sim::{Effect, Fault, Item, Tenant, Who};
use serde_json::json;

use crate::support::START;

/// What the edits need of the tenant as it was.
pub struct World {
    pub tenant: Tenant,
    size: usize,
    folders: Vec<Item>,
    pages: Vec<Item>,
    uploads: Vec<Item>,
    big: Item,
    books: Vec<Item>,
    bases: Vec<Item>,
    decks: Vec<Item>,
    handbook: Item,
    nodes: Vec<Item>,
    pinned: Vec<Item>,
    attic: Item,
    shortcuts: Vec<Item>,
}

/// Bytes after which the connection of the large upload breaks, always: it comes in
/// several ranges.
const CUT: u64 = 300_000;

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from((n * 7 + n / 251 + seed) % 251).unwrap()).collect()
}

/// A picture that no other number has.
pub fn png(n: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(format!("picture {n}").bytes());
    bytes
}

impl World {
    /// The tenant as it was on the first day. The same size, the same tenant. Must be
    /// called inside a tokio runtime that has just begun.
    pub fn new(size: usize) -> Self {
        let tenant = Tenant::new(Clock::from_tokio(START.parse().unwrap()));
        tenant.longest_page(10).etags(false);
        let root = tenant.root();
        let (mut folders, mut pages, mut uploads) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..2 + size {
            let folder = root.folder(&format!("Team {n}"));
            for m in 0..4 {
                pages.push(folder.docx(&format!("Page {n}-{m}")));
                uploads.push(folder.upload(&format!("{n}-{m}.txt"), format!("upload {n} {m}")));
            }
            folders.push(folder);
        }
        for n in 0..9 + size {
            uploads.push(root.upload(&format!("top {n}.json"), format!("{{\"code\":{n}}}")));
        }
        let big = root.upload("big.bin", bytes(700_000, 1));
        let books: Vec<_> = (0..=size / 3)
            .map(|n| root.sheet(&format!("Book {n}")).tabs(&["One", "Two"]))
            .collect();
        let bases: Vec<_> = (0..=size / 3)
            .map(|n| {
                let base = root.bitable(&format!("Base {n}"));
                let table = base.table("People").fields(&[("Name", 1), ("Files", 17)]).records(25);
                table.attach(3, "a.png", png(100 + n));
                base
            })
            .collect();
        let decks: Vec<_> = (0..2).map(|n| root.slides(&format!("Deck {n}"))).collect();

        let handbook = tenant.space("Handbook");
        let mut nodes = Vec::new();
        for n in 0..4 + size {
            let node = handbook.docx(&format!("Chapter {n}")).paragraph("the beginning");
            let node = (0..9).fold(node, |node, m| node.paragraph(&format!("line {n} {m}")));
            let node = node.mention_doc(&pages[n]);
            node.picture(&format!("{n}.png"), png(n), None);
            node.docx(&format!("Section {n}")).paragraph("a section").mention_doc(&pages[n + 1]);
            nodes.push(node);
        }
        let notes = tenant.space("Notes");
        for n in 0..6 + size {
            nodes.push(notes.docx(&format!("Note {n}")));
        }
        notes.docx("Parent").docx("Child").docx("Grandchild");

        tenant.add_user("bob", "u-h0shP0wer-bob");
        let bob = tenant.root_of("bob");
        let demo = || Who::User("demo".to_owned());
        let pinned: Vec<_> = (0..3).map(|n| bob.docx(&format!("Shared {n}"))).collect();
        for item in &pinned {
            item.share_with(&demo());
        }
        let attic = bob.folder("Attic");
        attic.share_with(&demo());
        for n in 0..14 {
            attic.upload(&format!("old {n}.txt"), format!("in the attic {n}"));
        }

        let shortcuts = vec![
            root.shortcut_to(&pages[0]),
            folders[1].shortcut_to(&folders[0]),
            root.shortcut_to(&pages[5]).titled("Going"),
            handbook.shortcut_to(&nodes[1]),
        ];
        pages[1].discuss(None, "why?").reply("because");
        Self {
            tenant,
            size,
            folders,
            pages,
            uploads,
            big,
            books,
            bases,
            decks,
            handbook,
            nodes,
            pinned,
            attic,
            shortcuts,
        }
    }

    /// Everything but the account.
    pub fn config(&self) -> String {
        let urls: Vec<String> = self
            .pinned
            .iter()
            .map(|item| format!("\"https://x.feishu.cn/docx/{}\"", item.token()))
            .collect();
        format!(
            r#"
[[source]]
name = "drive"
kind = "drive"
[[source]]
name = "wiki"
kind = "wiki"
[[source]]
name = "pinned"
kind = "docs"
urls = [{}]
[[source]]
name = "attic"
kind = "drive"
folder = "{}"
[export]
sheet = ["csv"]
bitable = ["json"]
comments = true
[[export.rule]]
match = "wiki/Handbook/**"
docx = ["md"]
[[export.rule]]
match = "drive/Team 0/**"
docx = ["pdf", "docx"]
[prune]
default = "trash"
[[prune.rule]]
match = "attic/**"
action = "delete"
[limits]
retries = 2
"#,
            urls.join(", "),
            self.attic.token()
        )
    }

    /// Lets the large upload come in several ranges.
    pub fn cut_the_large_one(&self) {
        let download = "/drive/v1/files/:file_token/download";
        let fault = Fault::new("GET", download, Effect::CutAfter(CUT));
        self.tenant.fault(fault.containing(self.big.token()));
    }

    /// A day later, people have edited, renamed, moved, swapped, deleted and added.
    pub async fn edit(&self) {
        tokio::time::advance(Duration::from_secs(86_400)).await;
        let root = self.tenant.root();
        for page in self.pages.iter().skip(2).step_by(2).take(3 + 2 * self.size) {
            page.edit(&format!("news of {}", page.title()));
        }
        for upload in self.uploads.iter().step_by(4) {
            upload.replace(format!("a new version of {}", upload.title()));
        }
        self.big.replace(bytes(700_000, 2));
        self.books[0].rename_tab("Two", "Second").add_tab("Three");
        self.bases[0].comment();
        self.decks[0].edit("other slides");
        for node in self.nodes.iter().step_by(2) {
            node.append(json!({"block_type": 2, "text": {"elements": [
                {"text_run": {"content": "more"}}]}}));
        }
        self.nodes[2].picture("new.png", png(1000), None);
        self.pinned[1].edit("pinned news");
        self.pages[1].discuss(None, "one more");

        // Names and places.
        self.folders[0].rename("Team zero");
        self.folders[1].move_to(&self.folders[0]);
        let (one, two) = (self.pages[4].title(), self.uploads[5].title());
        self.pages[4].rename(&self.pages[7].title());
        self.pages[7].rename(&one);
        self.uploads[5].rename(&self.uploads[6].title());
        self.uploads[6].rename(&two);
        self.pages[8].move_to(&root);
        self.nodes[0].rename("Chapter nought");
        self.nodes[3].move_to(&self.nodes[1]);

        // Gone.
        self.uploads[1].delete();
        self.pages[5].delete();
        self.uploads[7].delete();
        self.nodes.last().unwrap().delete();
        self.handbook.children()[1].children()[0].delete();
        for old in self.attic.children().iter().take(3) {
            old.delete();
        }
        self.shortcuts[2].delete();

        // New.
        let fresh = root.folder("Fresh");
        for n in 0..2 + self.size / 2 {
            fresh.docx(&format!("New {n}"));
            fresh.upload(&format!("new {n}.html"), format!("<html>{n}</html>"));
        }
        fresh.shortcut_to(&self.pages[2]);
        self.handbook.docx("New chapter").paragraph("fresh");
        self.attic.upload("late.txt", "late");
        tokio::time::advance(Duration::from_secs(3600)).await;
    }
}
