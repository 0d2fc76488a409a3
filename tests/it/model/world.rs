//! What happens between two runs, to the tenant and to the copy.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use crate::support::Mirror;
use crate::support::dice::Dice;
use feishu_mirror::sim::{Item, Tenant};

const NAMES: [&str; 10] = ["A", "B", "a", "周报", "plan.txt", "plan", "x/y", "a.docx", "CON", "é"];

/// One thing that happens; the numbers choose what it happens to.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    what: What,
    one: usize,
    two: usize,
    name: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Folder,
    Docx,
    Sheet,
    Upload,
    Page,
    Shortcut,
    Edit,
    Rename,
    Move,
    SwapTitles,
    Delete,
    Restore,
    Forbid,
    Allow,
    LoseFile,
    AlterFile,
    TouchFile,
    LoseFolder,
    Stranger,
}

const WHAT: [What; 26] = [
    What::Folder,
    What::Folder,
    What::Docx,
    What::Docx,
    What::Sheet,
    What::Upload,
    What::Upload,
    What::Page,
    What::Page,
    What::Shortcut,
    What::Edit,
    What::Edit,
    What::Rename,
    What::Rename,
    What::Move,
    What::Move,
    What::SwapTitles,
    What::SwapTitles,
    What::Delete,
    What::Delete,
    What::Restore,
    What::Forbid,
    What::Allow,
    What::LoseFile,
    What::AlterFile,
    What::Stranger,
];

impl Act {
    pub fn new(dice: &mut Dice) -> Self {
        let what = match dice.below(WHAT.len() + 2) {
            n if n < WHAT.len() => WHAT[n],
            n if n == WHAT.len() => What::TouchFile,
            _ => What::LoseFolder,
        };
        let (one, two) = (dice.below(1 << 20), dice.below(1 << 20));
        Self { what, one, two, name: NAMES[dice.below(NAMES.len())] }
    }
}

/// The tenant, and what is in the copy besides.
pub struct World {
    pub tenant: Tenant,
    pub root: Item,
    pub space: Item,
    /// Drive folders, the root first.
    folders: Vec<Item>,
    /// Wiki pages.
    pages: Vec<Item>,
    /// Documents and uploads in Drive.
    things: Vec<Item>,
    shortcuts: Vec<Item>,
    /// In the bin, with the list they come from.
    bin: Vec<(Item, usize)>,
    forbidden: Vec<Item>,
    /// Something may not be read, or could not: the copy of it may be old.
    pub was_forbidden: bool,
    /// Files of the copy were changed since the last run.
    pub damaged: bool,
    /// Contents of files that are not the mirror's.
    pub strangers: Vec<Vec<u8>>,
    /// Contents that somebody gave files of the mirror.
    pub altered: Vec<Vec<u8>>,
    made: usize,
}

impl World {
    pub fn new(tenant: &Tenant) -> Self {
        let (root, space) = (tenant.root(), tenant.space("手册"));
        Self {
            tenant: tenant.clone(),
            folders: vec![root.clone()],
            root,
            space,
            pages: Vec::new(),
            things: Vec::new(),
            shortcuts: Vec::new(),
            bin: Vec::new(),
            forbidden: Vec::new(),
            was_forbidden: false,
            damaged: false,
            strangers: Vec::new(),
            altered: Vec::new(),
            made: 0,
        }
    }

    /// Nothing stands in the way of a run without failures.
    pub fn is_clear(&self) -> bool {
        self.forbidden.is_empty() && self.shortcuts.is_empty()
    }

    pub fn is_forbidden(&self, item: &Item) -> bool {
        self.forbidden.iter().any(|it| it.place_token() == item.place_token())
    }

    pub fn act(&mut self, act: Act, mirror: &Mirror) {
        let Act { what, one, two, name } = act;
        let folder = self.folders[one % self.folders.len()].clone();
        self.made += 1;
        match what {
            What::Folder => self.folders.push(folder.folder(name)),
            What::Docx => self.things.push(folder.docx(name)),
            What::Sheet => self.things.push(folder.sheet(name)),
            What::Upload => {
                let text = format!("upload {}", self.made);
                self.things.push(folder.upload(name, text));
            }
            What::Page => {
                let above = self.pages.get(one % (self.pages.len() + 1));
                let page = above.unwrap_or(&self.space).docx(name);
                self.pages.push(page);
            }
            What::Shortcut => {
                if let Some(target) = pick(&self.things, two) {
                    self.shortcuts.push(folder.shortcut_to(target));
                }
            }
            What::Edit => self.edit(one),
            What::Rename => {
                if let Some(item) = self.any(two) {
                    item.rename(name);
                }
            }
            What::Move => self.move_one(one, two),
            What::SwapTitles => self.swap(one, two),
            What::Delete => self.delete(one),
            What::Restore => {
                if !self.bin.is_empty() {
                    let (item, list) = self.bin.remove(one % self.bin.len());
                    item.restore();
                    self.list(list).push(item);
                }
            }
            What::Forbid => {
                if let Some(item) = pick(&self.things, one).cloned() {
                    item.forbid();
                    self.forbidden.push(item);
                    self.was_forbidden = true;
                }
            }
            What::Allow => {
                if let Some(item) = self.forbidden.pop() {
                    item.allow();
                    self.forbidden.retain(|it| it.place_token() != item.place_token());
                }
            }
            What::LoseFile | What::AlterFile | What::TouchFile | What::LoseFolder => {
                self.damage(what, one, mirror);
            }
            What::Stranger => {
                let folders = mirror.folders();
                let Some(folder) = pick(&folders, two) else { return };
                let bytes = format!("stranger {}", self.made).into_bytes();
                fs::write(mirror.path(folder).join(format!("mine {}.txt", self.made)), &bytes)
                    .unwrap();
                self.strangers.push(bytes);
            }
        }
    }

    fn edit(&mut self, one: usize) {
        let things = self.things.iter().chain(&self.pages).cloned().collect::<Vec<_>>();
        let Some(item) = pick(&things, one) else { return };
        if item.type_word() == "file" {
            item.replace(format!("replaced {}", self.made));
        } else {
            item.edit(&format!("edited {}", self.made));
        }
    }

    fn any(&self, number: usize) -> Option<Item> {
        let lists = [&self.folders[1..], &self.pages, &self.things, &self.shortcuts];
        pick(&lists.concat(), number).cloned()
    }

    fn move_one(&mut self, one: usize, two: usize) {
        let folder = self.folders[one % self.folders.len()].clone();
        if two.is_multiple_of(3) {
            let Some(page) = pick(&self.pages, two / 3).cloned() else { return };
            let target = pick(&self.pages, one).cloned().unwrap_or(self.space.clone());
            if !holds(&page, &target) {
                page.move_to(if one.is_multiple_of(4) { &self.space } else { &target });
            }
        } else if two % 3 == 1 {
            let Some(item) = pick(&self.folders[1..], two / 3).cloned() else { return };
            if !holds(&item, &folder) {
                item.move_to(&folder);
            }
        } else if let Some(item) = pick(&self.things, two / 3) {
            item.move_to(&folder);
        }
    }

    fn swap(&mut self, one: usize, two: usize) {
        let list = match one % 3 {
            0 => &self.folders[1..],
            1 => &self.pages,
            _ => &self.things,
        };
        let (Some(a), Some(b)) = (pick(list, one / 3), pick(list, two)) else { return };
        let (first, second) = (a.title(), b.title());
        a.rename(&second);
        b.rename(&first);
    }

    /// Folders and pages go with all that is in them, which stays where it is in there.
    fn delete(&mut self, one: usize) {
        let list = [0, 1, 2, 2, 3][one % 5];
        let number = one / 5;
        let from = self.list(list);
        let first = usize::from(list == 0);
        if from.len() <= first {
            return;
        }
        let item = from.remove(first + number % (from.len() - first));
        item.delete();
        self.forget_below(&item);
        self.bin.push((item, list));
    }

    /// What is below something deleted is out of reach; it does not come back by itself.
    fn forget_below(&mut self, item: &Item) {
        for child in item.children() {
            let token = child.place_token();
            for list in 0..4 {
                self.list(list).retain(|it| it.place_token() != token);
            }
            self.forget_below(&child);
        }
    }

    fn list(&mut self, number: usize) -> &mut Vec<Item> {
        match number {
            0 => &mut self.folders,
            1 => &mut self.pages,
            2 => &mut self.things,
            _ => &mut self.shortcuts,
        }
    }

    fn damage(&mut self, what: What, number: usize, mirror: &Mirror) {
        if matches!(what, What::LoseFolder) {
            let folders = mirror.folders();
            let Some(folder) = pick(&folders, number) else { return };
            let path = mirror.path(folder);
            let has_strangers = walkdir::WalkDir::new(&path)
                .into_iter()
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("mine "));
            // Nobody but its owner knows how to bring a stranger back.
            if !has_strangers {
                fs::remove_dir_all(path).unwrap();
                self.damaged = true;
            }
            return;
        }
        let files = mirror.files();
        let own = |file: &&String| !file.contains("mine ") && !file.contains("~gone-");
        let files: Vec<&String> = files.iter().filter(own).collect();
        let Some(file) = pick(&files, number) else { return };
        let path = mirror.path(file);
        if path.is_symlink() {
            return;
        }
        self.damaged = true;
        match what {
            What::LoseFile => fs::remove_file(path).unwrap(),
            What::TouchFile => {
                let file = File::options().write(true).open(path).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
            }
            _ => {
                let bytes = format!("altered {}", self.made).into_bytes();
                fs::write(path, &bytes).unwrap();
                self.altered.push(bytes);
            }
        }
    }
}

fn pick<T>(from: &[T], number: usize) -> Option<&T> {
    from.get(number.checked_rem(from.len())?)
}

/// True where `inner` is `outer` or below it.
fn holds(outer: &Item, inner: &Item) -> bool {
    outer.place_token() == inner.place_token()
        || outer.children().iter().any(|child| holds(child, inner))
}
