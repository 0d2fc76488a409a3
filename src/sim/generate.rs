//! Tenants from a seed, up to a million places. Content is computed when it is read,
//! so a place costs a few hundred bytes.

use super::build::Item;
use super::ids::Dice;
use super::tenant::Tenant;
use crate::clock::Clock;

/// What a generated tenant looks like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Places in all, folders and nodes included.
    pub nodes: usize,
    /// How many in a hundred stand in wiki spaces; the others in Drive.
    pub wiki_percent: usize,
    /// Places directly below one folder or node, at most.
    pub fan_out: usize,
    /// How many in a hundred of Drive's entries are folders.
    pub folder_percent: usize,
    /// How many in a hundred of Drive's entries are uploaded files.
    pub file_percent: usize,
    /// Wiki spaces.
    pub spaces: usize,
    /// Bytes of the largest uploaded file.
    pub max_upload: u64,
}

impl Shape {
    /// A company's usual mix, with so many places.
    pub fn of(nodes: usize) -> Self {
        Self {
            nodes,
            wiki_percent: 40,
            fan_out: 60,
            folder_percent: 8,
            file_percent: 25,
            spaces: 1 + nodes / 2_000,
            max_upload: 64 * 1024,
        }
    }
}

impl Tenant {
    /// A tenant drawn from `seed`: the same seed and shape give the same tenant.
    pub fn generate(seed: u64, shape: &Shape, clock: Clock) -> Self {
        let tenant = Self::new(clock);
        let mut dice = Dice::new(seed);
        let in_wiki = shape.nodes * shape.wiki_percent.min(100) / 100;
        let spaces: Vec<Item> = match in_wiki {
            0 => Vec::new(),
            _ => (1..=shape.spaces.max(1))
                .map(|n| tenant.space(&format!("{} {n}", pick(&mut dice, &SPACES))))
                .collect(),
        };
        grow(vec![tenant.root()], shape.nodes - in_wiki, shape, &mut dice, drive_entry);
        grow(spaces, in_wiki, shape, &mut dice, wiki_node);
        tenant
    }
}

type Maker = fn(&Item, usize, &Shape, &mut Dice) -> (Item, bool);

/// Hangs `count` new places below `parents`, and below those that can have children.
fn grow(parents: Vec<Item>, count: usize, shape: &Shape, dice: &mut Dice, make: Maker) {
    let fan_out = shape.fan_out.max(1);
    // The place to fill first, and how much of it is free.
    let mut open: Vec<(Item, usize)> = parents.into_iter().map(|p| (p, fan_out)).collect();
    for n in 0..count {
        let at = dice.below(open.len());
        let last = open.len() == 1;
        let (parent, free) = &mut open[at];
        let (item, can_grow) = make(parent, n, shape, dice);
        *free -= 1;
        if *free == 0 {
            // The only one left stays open, however full, until another one opens.
            if last && !can_grow {
                *free = 1;
            } else {
                open.swap_remove(at);
            }
        }
        if can_grow {
            open.push((item, fan_out));
        }
    }
}

fn drive_entry(parent: &Item, n: usize, shape: &Shape, dice: &mut Dice) -> (Item, bool) {
    let roll = dice.below(100);
    let title = title(n, dice);
    if roll < shape.folder_percent {
        return (parent.folder(&title), true);
    }
    if roll < shape.folder_percent + shape.file_percent {
        let size = dice.roll() % shape.max_upload.max(1);
        let extension = pick(dice, &["pdf", "png", "zip", "json", "mp4"]);
        return (parent.upload_sized(&format!("{title}.{extension}"), size), false);
    }
    (document(parent, &title, dice), false)
}

fn wiki_node(parent: &Item, n: usize, _shape: &Shape, dice: &mut Dice) -> (Item, bool) {
    let title = title(n, dice);
    if dice.below(5) == 0 {
        (parent.docx(&title), true)
    } else {
        (document(parent, &title, dice), false)
    }
}

fn document(parent: &Item, title: &str, dice: &mut Dice) -> Item {
    match dice.below(20) {
        0..12 => parent.docx(title),
        12..16 => parent.sheet(title),
        16..18 => parent.bitable(title),
        18 => parent.slides(title),
        _ => parent.doc(title),
    }
}

const SPACES: [&str; 4] = ["产品手册 Handbook", "研发知识库", "Sales Wiki", "人事制度"];

const SUBJECTS: [&str; 12] = [
    "周报",
    "会议纪要",
    "Roadmap",
    "预算 Budget",
    "需求文档",
    "Interview notes",
    "复盘",
    "Release plan",
    "客户名单",
    "OKR",
    "设计稿 Design",
    "值班表",
];

fn title(n: usize, dice: &mut Dice) -> String {
    format!("{} {n}", pick(dice, &SUBJECTS))
}

fn pick<'a>(dice: &mut Dice, words: &[&'a str]) -> &'a str {
    words[dice.below(words.len())]
}
