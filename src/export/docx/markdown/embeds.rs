//! Blocks that show something from elsewhere: pictures, files, tables, boards, pages.

use super::context::{Found, SubPage, Warning, WrittenLink};
use super::emoji;
use super::escape::{Place, one_line};
use super::lines::{Gap, Marker};
use super::marks;
use super::writer::Writer;
use crate::export::docx::NodeId;
use crate::export::docx::block::Kind;
use crate::export::docx::url::{Address, classify, destination, document_of, path_destination};

/// How many synced blocks may show each other, one in the other.
const MAX_SHOWING: usize = 4;

/// Deepest level of a list of child pages.
const MAX_PAGE_DEPTH: usize = 16;

impl<'a> Writer<'a> {
    /// A block that is not made of its own text or children.
    pub(super) fn embed(&mut self, kind: &'a Kind) {
        match kind {
            Kind::Image { token, caption } => {
                let image = self.image(token, caption, Place::Paragraph);
                self.lines.lines(&image);
            }
            Kind::File { token, name } => {
                let file = self.file(token, name, Place::Paragraph);
                self.lines.lines(&file);
            }
            Kind::Sheet { token } => match self.context.sheets.get(token) {
                Some(Found::Here(data)) => self.data("sheet", data),
                found => self.absent("sheet", found),
            },
            Kind::Bitable { token } => match self.context.bitables.get(token) {
                Some(Found::Here(data)) => self.data("base", data),
                found => self.absent("base", found),
            },
            Kind::Board { token } => match self.context.boards.get(token) {
                Some(Found::Here(path)) => {
                    let picture = picture("whiteboard", &path_destination(path));
                    self.lines.line(&picture);
                }
                found => self.absent("whiteboard", found),
            },
            Kind::WikiCatalog { wiki_token } | Kind::SubPageList { wiki_token } => {
                match self.context.page_lists.get(wiki_token) {
                    Some(Found::Here(pages)) => self.page_list(pages),
                    found => self.absent("list of child pages", found),
                }
            }
            Kind::ReferenceSynced { document, block } => self.synced(document, block),
            Kind::Iframe { iframe_type, url } => {
                self.page_link(iframe_name(*iframe_type), url, kind);
            }
            Kind::LinkPreview { url, .. } => self.page_link("", url, kind),
            Kind::Mindnote { token } if self.path_of(token).is_some() => {
                let path = self.path_of(token).unwrap_or_default();
                let link = self.link("mind map", "", &path_destination(&path), Place::Paragraph);
                self.links.push(WrittenLink { token: token.clone(), path: Some(path) });
                self.lines.line(&link);
            }
            Kind::AddOns { source: Some(source), .. } => {
                let language = drawing_language(source);
                if language.is_none() {
                    self.no_content(kind);
                    self.lines.gap(Gap::Blank);
                }
                self.fence(source, language.unwrap_or_default());
            }
            Kind::Okr { period, user_id, .. } => {
                let mut words = "OKR".to_owned();
                if !period.is_empty() {
                    words.push_str(" · ");
                    words.push_str(period);
                }
                if let Some(name) = self.context.people.get(user_id) {
                    words.push_str(" · @");
                    words.push_str(name);
                }
                let words = self.words(&words, Place::Paragraph);
                self.lines.line(&words);
            }
            kind => self.no_content(kind),
        }
    }

    fn absent<T>(&mut self, what: &'static str, found: Option<&Found<T>>) {
        let why = self.why_absent(what, found);
        self.note_line(&format!("{what}: {why}"));
    }

    /// A picture with its caption below.
    pub(super) fn image(&mut self, token: &str, caption: &str, place: Place) -> String {
        let caption = one_line(caption);
        let first = match self.context.media.get(token) {
            Some(Found::Here(path)) => {
                let destination = path_destination(path);
                if caption.is_empty() {
                    picture("", &destination)
                } else {
                    format!("!{}", self.link(&caption, "", &destination, place))
                }
            }
            found => {
                let why = self.why_absent("picture", found);
                self.note(&format!("picture: {why}"), place)
            }
        };
        if caption.is_empty() {
            return first;
        }
        let caption = self.emphasized(&caption, place);
        marks::join(&[first, caption], place)
    }

    /// A file as a link to its copy.
    pub(super) fn file(&mut self, token: &str, name: &str, place: Place) -> String {
        let name = one_line(name);
        match self.context.media.get(token) {
            Some(Found::Here(path)) => {
                let label = format!("📎 {}", if name.is_empty() { token } else { &name });
                self.link(&label, "", &path_destination(path), place)
            }
            found => {
                let why = self.why_absent("attached file", found);
                self.note(&format!("attached file {name}: {why}"), place)
            }
        }
    }

    /// An embedded page or bookmark as a link to it.
    fn page_link(&mut self, label: &str, url: &str, kind: &Kind) {
        if let Some((token, _)) = document_of(url) {
            let path = self.path_of(&token);
            self.links.push(WrittenLink { token, path: path.clone() });
            if let Some(path) = path {
                let fallback = path.rsplit('/').next().unwrap_or_default().to_owned();
                let link = self.link(label, &fallback, &path_destination(&path), Place::Paragraph);
                self.lines.line(&link);
                return;
            }
        }
        match classify(url) {
            Address::Link(url) => {
                let link = self.link(label, &url, &destination(&url), Place::Paragraph);
                self.lines.line(&link);
            }
            Address::Words(words) => {
                let words = self.words(&words, Place::Paragraph);
                self.lines.line(&words);
            }
            Address::Unsafe => {
                self.warn(Warning::UnsafeLink);
                self.note_line("embedded page with an unsafe address");
            }
            Address::Empty => self.no_content(kind),
        }
    }

    /// Child pages as a nested list.
    fn page_list(&mut self, pages: &[SubPage]) {
        if pages.is_empty() {
            self.note_line("no child pages");
            return;
        }
        if self.lines.tail().is_some() {
            // Otherwise the list above would go on.
            self.lines.gap(Gap::Blank);
            self.lines.line("<!-- -->");
            self.lines.gap(Gap::Blank);
        }
        let mut open = 0;
        for page in pages {
            let depth = page.depth.min(open).min(MAX_PAGE_DEPTH);
            while open > depth {
                self.lines.close_item(Marker::Dash);
                open -= 1;
            }
            let destination = match (&page.path, classify(&page.url)) {
                (Some(path), _) => Some(path_destination(path)),
                (None, Address::Link(url)) => Some(destination(&url)),
                (None, _) => None,
            };
            let title = one_line(&page.title);
            let title = if title.is_empty() { page.token.clone() } else { title };
            let line = match destination {
                Some(destination) => self.link(&title, "", &destination, Place::Paragraph),
                None => self.words(&title, Place::Paragraph),
            };
            self.links.push(WrittenLink { token: page.token.clone(), path: page.path.clone() });
            self.lines.open_item("- ".to_owned());
            self.lines.line(&line);
            open += 1;
        }
        for _ in 0..open {
            self.lines.close_item(Marker::Dash);
        }
    }

    /// A synced block: what stands in its source.
    fn synced(&mut self, document: &'a str, block: &'a str) {
        let home = self.tree;
        let context = self.context;
        let tree = if document.is_empty() || document == home.document() {
            home
        } else {
            match context.synced.get(document) {
                Some(Found::Here(tree)) => tree.as_ref(),
                found => return self.absent("synced block", found),
            }
        };
        let Some(node) = tree.find(block) else {
            return self.absent("synced block", Some(&Found::<()>::Absent("deleted".to_owned())));
        };
        let key = (tree.document(), block);
        if self.showing.contains(&key) || self.showing.len() >= MAX_SHOWING {
            self.warn(Warning::SyncedLoop);
            return self.note_line("synced block that shows itself");
        }
        let size = tree.preorder(node).take(self.synced_budget + 1).count();
        if size > self.synced_budget {
            self.warn(Warning::SyncedTooLong);
            return self.note_line("synced block: too long");
        }
        self.synced_budget -= size;
        self.showing.push(key);
        self.tree = tree;
        // The source block is a frame; another kind of block is itself the content.
        if matches!(tree.kind(node), Kind::SourceSynced(_)) {
            self.blocks(tree.children(node), Gap::Line);
        } else {
            self.blocks(&[node], Gap::Line);
        }
        self.tree = home;
        self.showing.pop();
    }

    /// A coloured box as an alert, its emoji before the first words.
    pub(super) fn callout(&mut self, node: NodeId, emoji: Option<&str>, background: u8) {
        let tree = self.tree;
        let mut children = tree.children(node);
        self.lines.open_quote();
        self.lines.line(alert(background));
        let emoji = emoji.map(emoji::of).unwrap_or_default();
        if !emoji.is_empty() {
            let mut line = self.words(&emoji, Place::Paragraph);
            if let [first, rest @ ..] = children
                && let Kind::Text(text) = tree.kind(*first)
                && tree.children(*first).is_empty()
            {
                let words = self.inline(text, Place::Paragraph);
                if !words.is_empty() {
                    line.push(' ');
                    line.push_str(&words);
                }
                children = rest;
            }
            self.lines.lines(&line);
            self.lines.gap(Gap::Blank);
        }
        self.blocks(children, Gap::Line);
        self.lines.close();
    }
}

fn picture(alt: &str, destination: &str) -> String {
    format!("![{alt}]({destination})")
}

/// The alert that a background colour comes nearest to.
fn alert(background: u8) -> &'static str {
    match background {
        1 | 8 => "[!CAUTION]",
        2 | 3 | 9 | 10 => "[!WARNING]",
        4 | 11 => "[!TIP]",
        6 | 13 => "[!IMPORTANT]",
        _ => "[!NOTE]",
    }
}

/// The service behind an embedded page (docs: docs/docx-v1/data-structure/block, `IframeType`).
fn iframe_name(iframe_type: i64) -> &'static str {
    match iframe_type {
        1 => "Bilibili",
        2 => "Xigua Video",
        3 => "Youku",
        4 => "Airtable",
        5 => "Baidu Maps",
        6 => "Amap",
        8 => "Figma",
        9 => "Modao",
        10 => "Canva",
        11 => "CodePen",
        12 => "Feishu Survey",
        13 => "Jinshuju",
        _ => "",
    }
}

/// In which language a text drawing is written, by how it begins.
fn drawing_language(source: &str) -> Option<&'static str> {
    const MERMAID: [&str; 28] = [
        "graph",
        "flowchart",
        "sequencediagram",
        "classdiagram",
        "statediagram",
        "erdiagram",
        "journey",
        "gantt",
        "pie",
        "quadrantchart",
        "requirementdiagram",
        "gitgraph",
        "c4context",
        "c4container",
        "c4component",
        "c4dynamic",
        "c4deployment",
        "mindmap",
        "timeline",
        "zenuml",
        "sankey",
        "xychart",
        "block",
        "packet",
        "kanban",
        "architecture",
        "radar",
        "treemap",
    ];
    let line = source.lines().map(str::trim).find(|line| {
        // Comments, directives and front matter come before the diagram.
        !line.is_empty() && !line.starts_with("%%") && !line.starts_with('\'')
    })?;
    if line.starts_with("@start") {
        return Some("plantuml");
    }
    if line == "---" {
        return Some("mermaid");
    }
    let word: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
    MERMAID.contains(&word.to_ascii_lowercase().as_str()).then_some("mermaid")
}
