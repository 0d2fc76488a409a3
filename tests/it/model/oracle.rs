//! What the copy must be, told by the tenant itself and by the rules, without a look at
//! the program's own code.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::world::World;
use crate::support::Mirror;
use feishu_mirror::sim::Item;

/// What it has seen of the tenant so far.
pub struct Oracle {
    rule: String,
    /// Of each object and content (its hash): edit times it had with it.
    times: HashMap<(String, blake3::Hash), BTreeSet<i64>>,
    /// Names that were ever claimed in a folder, by whom.
    claims: HashMap<(String, String), BTreeSet<String>>,
    /// Files of live places at the last comparison: place -> bytes.
    had: BTreeMap<String, blake3::Hash>,
    /// Everything that was ever right at some place.
    ever: HashMap<blake3::Hash, BTreeSet<String>>,
}

/// A place that must be in the copy.
struct Place {
    item: Item,
    parent: String,
    is_folder: bool,
}

impl Oracle {
    pub fn new(rule: &str) -> Self {
        let rule = rule.to_owned();
        Self {
            rule,
            times: HashMap::new(),
            claims: HashMap::new(),
            had: BTreeMap::new(),
            ever: HashMap::new(),
        }
    }

    /// True where copies of what is gone stay.
    pub fn keeps(&self) -> bool {
        self.rule == "keep"
    }

    /// Looks at the tenant after something happened.
    pub fn note(&mut self, world: &World) {
        for place in places(world) {
            let token = place.item.place_token();
            let title = place.item.title();
            let stem = clean(stem(&place.item, &title));
            let ending = product(&place.item).map_or(String::new(), |(ending, _)| ending);
            for name in [clean(&title), format!("{stem}{ending}"), stem] {
                self.claims
                    .entry((place.parent.clone(), fold(&name)))
                    .or_default()
                    .insert(token.clone());
            }
            if let Some((_, bytes)) = product(&place.item) {
                let hash = blake3::hash(&bytes);
                let key = (place.item.token(), hash);
                self.times.entry(key).or_default().insert(place.item.edit_time());
                self.ever.entry(hash).or_default().insert(token);
            }
        }
    }

    /// Compares paths, bytes, times, links, what is gone and what is not ours.
    pub async fn compare(&mut self, mirror: &Mirror, world: &World) -> Result<(), String> {
        let known = listed(mirror).await;
        let mut unseen: BTreeSet<String> = mirror.files().into_iter().collect();
        let mut folders = BTreeMap::new();
        let wanted = places(world);
        let mut now = BTreeMap::new();
        for place in &wanted {
            let (token, title) = (place.item.place_token(), place.item.title());
            let rows: Vec<&Value> =
                known.iter().filter(|row| row["token"] == token.as_str()).collect();
            let about = format!("{} {title:?} {token}", place.item.type_word());
            let is_shortcut = place.item.type_word() == "shortcut";
            let secret = world.is_forbidden(&place.item)
                || is_shortcut && !leads_somewhere(place, &wanted, world);
            let [row] = rows.as_slice() else {
                if secret {
                    continue;
                }
                return Err(format!("{about}: {} rows", rows.len()));
            };
            let path = row["path"].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
            if is_shortcut && secret {
                continue;
            }
            self.check_name(place, &path, &folders).map_err(|what| format!("{about}: {what}"))?;
            if place.is_folder || place.item.type_word() == "docx" {
                folders.insert(token.clone(), folder_of(&path, place.is_folder));
            }
            if place.is_folder {
                if !mirror.path(&path).is_dir() {
                    return Err(format!("{about}: no folder {path}"));
                }
                continue;
            }
            unseen.remove(&path);
            if place.item.type_word() == "shortcut" {
                continue;
            }
            if secret {
                continue;
            }
            let (_, bytes) = product(&place.item).expect("documents and files have content");
            let found =
                std::fs::read(mirror.path(&path)).map_err(|e| format!("{about} {path}: {e}"))?;
            if found != bytes {
                return Err(format!("{about} {path}: other bytes"));
            }
            let hash = blake3::hash(&bytes);
            let mtime = mirror.path(&path).metadata().unwrap().mtime();
            let times = &self.times[&(place.item.token(), hash)];
            if !times.contains(&mtime) {
                return Err(format!("{about} {path}: mtime {mtime}, not one of {times:?}"));
            }
            now.insert(token, hash);
        }
        self.check_rest(mirror, world, &mut unseen)?;
        self.check_gone(mirror, world, &wanted, &known)?;
        self.had = now;
        Ok(())
    }

    /// The path is the parent's folder and the title, with a `~` where another place has or
    /// had that name.
    fn check_name(
        &self,
        place: &Place,
        path: &str,
        folders: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let (folder, name) = path.rsplit_once('/').ok_or_else(|| format!("no folder: {path}"))?;
        let parent = folders.get(&place.parent).map_or(place.parent.as_str(), String::as_str);
        if folder != parent && folder != format!("{parent}~children") {
            return Err(format!("{path} is not in {parent}"));
        }
        let title = place.item.title();
        let extension = product(&place.item).map_or(String::new(), |(extension, _)| extension);
        let is_upload = place.item.type_word() == "file";
        let (plain, ending) = if place.is_folder {
            (clean(&title), String::new())
        } else if is_upload || place.item.type_word() == "shortcut" {
            let cleaned = clean(&title);
            match cleaned.rsplit_once('.') {
                Some((stem, ending)) if is_upload && !stem.is_empty() => {
                    (stem.to_owned(), format!(".{ending}"))
                }
                _ => (cleaned, String::new()),
            }
        } else {
            (clean(stem(&place.item, &title)), extension)
        };
        if place.item.type_word() == "shortcut" {
            // Named as its target is; only the beginning is sure.
            let start: String = plain.chars().take(1).collect();
            return if name.starts_with(&start) { Ok(()) } else { Err(format!("named {name}")) };
        }
        let want = format!("{plain}{ending}");
        if name == want {
            return Ok(());
        }
        let suffix = name.strip_prefix(plain.as_str()).and_then(|rest| rest.strip_suffix(&ending));
        let token = place.item.place_token();
        let suffix = suffix.and_then(|rest| rest.strip_prefix('~'));
        if !suffix.is_some_and(|part| part.len() >= 8 && token.ends_with(part)) {
            return Err(format!("{name} is neither {want:?} nor that with a ~ of its token"));
        }
        let rivals = [fold(&want), fold(&plain)].into_iter().any(|name| {
            let claims = self.claims.get(&(place.parent.clone(), name));
            claims.is_some_and(|tokens| tokens.iter().any(|it| *it != token))
        });
        if rivals { Ok(()) } else { Err(format!("{name}: nobody else ever had that name")) }
    }

    /// What is left are strangers, all of them, and copies of what is gone.
    fn check_rest(
        &self,
        mirror: &Mirror,
        world: &World,
        unseen: &mut BTreeSet<String>,
    ) -> Result<(), String> {
        let mut strangers: Vec<&Vec<u8>> = world.strangers.iter().collect();
        for path in unseen.iter() {
            let full = mirror.path(path);
            if full.is_symlink() {
                if !full.exists() {
                    return Err(format!("{path}: a dangling link"));
                }
                continue;
            }
            let bytes = std::fs::read(&full).unwrap();
            if let Some(at) = strangers.iter().position(|it| **it == bytes) {
                strangers.remove(at);
                continue;
            }
            // Nobody asks for what is gone again.
            let known =
                self.ever.contains_key(&blake3::hash(&bytes)) || world.altered.contains(&bytes);
            if !known {
                return Err(format!("{path}: bytes that nothing ever had"));
            }
            let kept = self.keeps() || world.was_forbidden || !world.is_clear();
            if !kept {
                return Err(format!("{path}: still there"));
            }
        }
        if strangers.is_empty() {
            Ok(())
        } else {
            Err(format!("{} strangers are lost", strangers.len()))
        }
    }

    /// What is gone is where the rule says.
    fn check_gone(
        &self,
        mirror: &Mirror,
        world: &World,
        wanted: &[Place],
        known: &[Value],
    ) -> Result<(), String> {
        let live: BTreeSet<String> = wanted.iter().map(|place| place.item.place_token()).collect();
        for (token, hash) in &self.had {
            if live.contains(token) {
                continue;
            }
            match self.rule.as_str() {
                "keep" => {
                    let row = known.iter().find(|row| row["token"] == token.as_str());
                    let path = row.and_then(|row| row["path"].as_str());
                    let path = path.ok_or_else(|| format!("{token} is gone and not remembered"))?;
                    if !mirror.path(path).exists() && !world.damaged {
                        return Err(format!("{token}: the kept copy {path} is not there"));
                    }
                }
                "trash" if !world.damaged && !holds(&mirror.state("trash"), hash) => {
                    return Err(format!("{token}: not in the trash"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_target(place: &Place, shortcut: &Place) -> bool {
    place.item.type_word() != "shortcut" && place.item.token() == shortcut.item.token()
}

/// True where a shortcut's target is there to be read.
fn leads_somewhere(shortcut: &Place, wanted: &[Place], world: &World) -> bool {
    wanted.iter().any(|it| is_target(it, shortcut) && !world.is_forbidden(&it.item))
}

fn holds(folder: &Path, hash: &blake3::Hash) -> bool {
    walkdir::WalkDir::new(folder).into_iter().flatten().any(|entry| {
        entry.file_type().is_file() && blake3::hash(&std::fs::read(entry.path()).unwrap()) == *hash
    })
}

/// All rows of the manifest.
async fn listed(mirror: &Mirror) -> Vec<Value> {
    let ls = mirror.run(&["ls", "--json"]).await;
    ls.events().into_iter().filter(|event| event["token"].is_string()).collect()
}

/// Everything that the tenant has, parents first; a parent is a token, or the folder of a
/// source or space.
fn places(world: &World) -> Vec<Place> {
    let mut found = Vec::new();
    let mut todo: Vec<(Item, String)> = Vec::new();
    todo.extend(world.root.children().into_iter().map(|item| (item, "drive".to_owned())));
    let pages = world.space.children().into_iter();
    todo.extend(pages.map(|item| (item, format!("wiki/{}", world.space.title()))));
    while let Some((item, parent)) = todo.pop() {
        let token = item.place_token();
        todo.extend(item.children().into_iter().map(|child| (child, token.clone())));
        let is_folder = item.type_word() == "folder";
        found.push(Place { item, parent, is_folder });
    }
    found
}

/// What is made of it, with its extension.
fn product(item: &Item) -> Option<(String, bytes::Bytes)> {
    match item.type_word().as_str() {
        "docx" => Some((".docx".to_owned(), item.product("docx"))),
        "sheet" => Some((".xlsx".to_owned(), item.product("xlsx"))),
        "file" => Some((String::new(), item.product(""))),
        _ => None,
    }
}

/// A title less an extension of a format of its type.
fn stem<'a>(item: &Item, title: &'a str) -> &'a str {
    let endings: &[&str] = match item.type_word().as_str() {
        "docx" => &[".docx", ".pdf", ".md"],
        "sheet" => &[".xlsx", ".csv"],
        _ => &[],
    };
    let cut = endings.iter().find_map(|ending| title.strip_suffix(ending));
    cut.filter(|stem| !stem.is_empty()).unwrap_or(title)
}

/// Where the children of a place stand.
fn folder_of(path: &str, is_folder: bool) -> String {
    if is_folder { path.to_owned() } else { path.trim_end_matches(".docx").to_owned() }
}

/// As the titles of this model are cleaned.
fn clean(title: &str) -> String {
    let name: String = title.nfc().collect::<String>().replace('/', "_");
    if name == "CON" { "CON_".to_owned() } else { name }
}

fn fold(name: &str) -> String {
    name.nfc().collect::<String>().to_lowercase()
}
