//! Markdown read back by an independent parser, as a list of leaves: what stands where, in
//! which look.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Something without blocks inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// What it stands in, outermost first; containers are numbered as they begin.
    pub path: Vec<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A paragraph (level 0) or heading: its characters without white space, and its words
    /// with white space evened out.
    Line {
        level: u8,
        glyphs: Vec<Glyph>,
        words: String,
    },
    Code {
        language: String,
        text: String,
    },
    Formula(String),
    Rule,
}

/// A character and its look.
#[derive(Clone, PartialEq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks")]
pub struct Glyph {
    pub character: char,
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub underline: bool,
    pub color: u8,
    /// Code or a formula.
    pub literal: bool,
    /// Decoded destination of a link or picture.
    pub link: Option<String>,
}

impl std::fmt::Debug for Glyph {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.character)?;
        let looks = [
            (self.bold, "b"),
            (self.italic, "i"),
            (self.strike, "s"),
            (self.underline, "u"),
            (self.literal, "c"),
        ];
        looks.iter().filter(|(on, _)| *on).try_for_each(|(_, look)| out.write_str(look))?;
        if self.color > 0 {
            write!(out, "{}", self.color)?;
        }
        self.link.iter().try_for_each(|link| write!(out, "→{link:?}"))
    }
}

/// Stands for a picture.
pub const PICTURE: char = '🖼';

/// All that pulldown-cmark knows of what GitHub reads.
pub fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
}

#[derive(Debug)]
enum Container {
    Item { serial: usize, number: Option<u64>, done: Option<bool> },
    Other { serial: usize, name: &'static str },
}

#[derive(Default)]
struct Reader {
    leaves: Vec<Leaf>,
    open: Vec<Container>,
    /// The next number of each open list.
    lists: Vec<Option<u64>>,
    serial: usize,
    look: Glyph,
    links: Vec<Option<String>>,
    glyphs: Vec<Glyph>,
    words: String,
    has_formula: bool,
    depth: [usize; 4],
    code: Option<(String, String)>,
    html: Option<String>,
    level: u8,
    metadata: Option<String>,
}

/// Reads Markdown back.
///
/// # Errors
///
/// What must not be there: tags that the writer does not write, footnotes, loose ends.
pub fn read(markdown: &str) -> Result<(String, Vec<Leaf>), String> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, options()) {
        reader.event(event)?;
    }
    reader.flush();
    if !reader.open.is_empty() || reader.depth != [0; 4] {
        return Err(format!("left open: {:?} {:?}", reader.open, reader.depth));
    }
    Ok((reader.metadata.unwrap_or_default(), reader.leaves))
}

impl Reader {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => {
                if let Some((_, code)) = &mut self.code {
                    code.push_str(&text);
                } else if let Some(html) = &mut self.html {
                    html.push_str(&text);
                } else {
                    self.push(&text, false);
                }
                Ok(())
            }
            Event::Code(code) => {
                self.push(&code, true);
                Ok(())
            }
            Event::InlineMath(source) => {
                self.has_formula = true;
                self.push(&source, true);
                Ok(())
            }
            Event::DisplayMath(source) => {
                self.flush();
                self.leaf(Kind::Formula(even(&source)));
                Ok(())
            }
            Event::Html(html) => {
                self.html.as_mut().ok_or("HTML outside of its block")?.push_str(&html);
                Ok(())
            }
            Event::InlineHtml(tag) => self.tag(&tag),
            Event::HardBreak => {
                self.words.push('\n');
                Ok(())
            }
            Event::Rule => {
                self.flush();
                self.leaf(Kind::Rule);
                Ok(())
            }
            Event::TaskListMarker(checked) => match self.open.last_mut() {
                Some(Container::Item { done, .. }) => {
                    *done = Some(checked);
                    Ok(())
                }
                other => Err(format!("check mark in {other:?}")),
            },
            other => Err(format!("unexpected {other:?}")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), String> {
        match tag {
            Tag::Paragraph | Tag::TableHead | Tag::TableRow | Tag::Table(_) => self.flush(),
            Tag::Heading { level, .. } => {
                self.flush();
                self.level = match level {
                    HeadingLevel::H1 => 1,
                    HeadingLevel::H2 => 2,
                    HeadingLevel::H3 => 3,
                    HeadingLevel::H4 => 4,
                    HeadingLevel::H5 => 5,
                    HeadingLevel::H6 => 6,
                };
            }
            Tag::BlockQuote(alert) => {
                self.enter(if alert.is_some() { "alert" } else { "quote" });
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => {
                self.flush();
                self.code = Some((language.to_string(), String::new()));
            }
            Tag::HtmlBlock => {
                self.flush();
                self.html = Some(String::new());
            }
            Tag::List(start) => {
                self.flush();
                self.lists.push(start);
            }
            Tag::Item => {
                self.flush();
                let list = self.lists.last_mut().ok_or("an item without a list")?;
                let number = *list;
                *list = list.map(|number| number + 1);
                self.serial += 1;
                self.open.push(Container::Item { serial: self.serial, number, done: None });
            }
            Tag::TableCell => self.enter("cell"),
            Tag::Emphasis => self.look(1, true),
            Tag::Strong => self.look(0, true),
            Tag::Strikethrough => self.look(2, true),
            Tag::Link { dest_url, .. } => {
                self.links.push(self.look.link.take());
                self.look.link = Some(decode(&dest_url));
            }
            Tag::Image { dest_url, .. } => {
                self.links.push(self.look.link.take());
                self.look.link = Some(decode(&dest_url));
                self.glyphs.push(Glyph { character: PICTURE, ..self.look.clone() });
            }
            Tag::MetadataBlock(_) => self.code = Some(("---".to_owned(), String::new())),
            other => return Err(format!("unexpected {other:?}")),
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), String> {
        match tag {
            TagEnd::BlockQuote(_) | TagEnd::Item | TagEnd::TableCell => self.leave()?,
            TagEnd::CodeBlock => {
                let (language, mut text) = self.code.take().ok_or("code was not begun")?;
                if text.ends_with('\n') {
                    text.pop();
                }
                self.leaf(if language == "math" {
                    Kind::Formula(even(&text.replace('\n', " ")))
                } else {
                    Kind::Code { language, text }
                });
            }
            TagEnd::HtmlBlock => {
                let html = self.html.take().ok_or("HTML was not begun")?;
                for line in html.lines() {
                    self.html_line(line)?;
                }
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::Emphasis => self.look(1, false),
            TagEnd::Strong => self.look(0, false),
            TagEnd::Strikethrough => self.look(2, false),
            TagEnd::Link | TagEnd::Image => self.look.link = self.links.pop().flatten(),
            TagEnd::MetadataBlock(_) => {
                if self.metadata.is_some() || !self.leaves.is_empty() {
                    return Err("front matter in the middle".to_owned());
                }
                self.metadata = self.code.take().map(|(_, text)| text);
            }
            _ => self.flush(),
        }
        Ok(())
    }

    fn html_line(&mut self, line: &str) -> Result<(), String> {
        match line {
            "<table>" | "</table>" | "<tr>" | "</tr>" | "<!-- -->" => self.flush(),
            "</td>" | "</th>" => self.leave()?,
            _ => {
                let tag = line.strip_suffix("</td>").or_else(|| line.strip_suffix("</th>"));
                let tag_only = tag.unwrap_or(line);
                let known = |tag: &str| {
                    let tag = tag.strip_prefix("<td").or_else(|| tag.strip_prefix("<th"));
                    let inner = tag.and_then(|tag| tag.strip_suffix('>'));
                    inner.is_some_and(|inner| {
                        inner.chars().all(|c| " colspanrw=\"0123456789".contains(c))
                    })
                };
                if !known(tag_only) {
                    return Err(format!("unexpected HTML {line:?}"));
                }
                self.enter("cell");
                if tag.is_some() {
                    self.leave()?;
                }
            }
        }
        Ok(())
    }

    fn tag(&mut self, tag: &str) -> Result<(), String> {
        match tag {
            "<strong>" => self.look(0, true),
            "</strong>" => self.look(0, false),
            "<em>" => self.look(1, true),
            "</em>" => self.look(1, false),
            "<del>" => self.look(2, true),
            "</del>" => self.look(2, false),
            "<span style=\"color:#d83931\">" => self.look.color = 1,
            "<span style=\"color:#de7802\">" => self.look.color = 2,
            "</span>" => self.look.color = 0,
            "<u>" => self.look(3, true),
            "</u>" => self.look(3, false),
            "<code>" => self.look.literal = true,
            "</code>" => self.look.literal = false,
            "<br>" => self.words.push('\n'),
            "<!-- level=7 -->" => self.level = 7,
            "<!-- level=8 -->" => self.level = 8,
            "<!-- level=9 -->" => self.level = 9,
            other => return Err(format!("unexpected tag {other:?}")),
        }
        Ok(())
    }

    fn look(&mut self, which: usize, on: bool) {
        let depth = &mut self.depth[which];
        *depth = if on { *depth + 1 } else { depth.wrapping_sub(1) };
        let on = *depth > 0;
        match which {
            0 => self.look.bold = on,
            1 => self.look.italic = on,
            2 => self.look.strike = on,
            _ => self.look.underline = on,
        }
    }

    fn push(&mut self, text: &str, literal: bool) {
        self.words.push_str(text);
        let literal = literal || self.look.literal;
        for character in text.chars().filter(|c| !c.is_whitespace()) {
            self.glyphs.push(Glyph { character, literal, ..self.look.clone() });
        }
    }

    fn enter(&mut self, name: &'static str) {
        self.flush();
        self.serial += 1;
        self.open.push(Container::Other { serial: self.serial, name });
    }

    fn leave(&mut self) -> Result<(), String> {
        self.flush();
        self.open.pop().map(drop).ok_or_else(|| "more ends than begins".to_owned())
    }

    fn flush(&mut self) {
        let glyphs = std::mem::take(&mut self.glyphs);
        let words = even(&std::mem::take(&mut self.words));
        let level = std::mem::take(&mut self.level);
        let formula = std::mem::take(&mut self.has_formula);
        if !glyphs.is_empty() {
            let words = if formula { String::new() } else { words };
            self.leaf(Kind::Line { level, glyphs, words });
        }
    }

    fn leaf(&mut self, kind: Kind) {
        let path = self.open.iter().map(|container| match container {
            Container::Item { serial, number, done } => item(*serial, *number, *done),
            Container::Other { serial, name } => format!("{name} {serial}"),
        });
        self.leaves.push(Leaf { path: path.collect(), kind });
    }
}

/// A list item in a path.
pub fn item(serial: usize, number: Option<u64>, done: Option<bool>) -> String {
    let number = number.map(|number| format!(" no {number}")).unwrap_or_default();
    let done = done.map(|done| format!(" done {done}")).unwrap_or_default();
    format!("item {serial}{number}{done}")
}

/// White space evened out: a break or one blank, none at the ends.
pub fn even(text: &str) -> String {
    let mut out = String::new();
    let mut gap = None;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = Some(if c == '\n' || gap == Some('\n') { '\n' } else { ' ' });
            continue;
        }
        if let Some(gap) = gap.take()
            && !out.is_empty()
        {
            out.push(gap);
        }
        out.push(c);
    }
    out
}

/// A destination, for comparing: per cent signs decoded.
pub fn decode(url: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = url.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |at: usize| tail.get(at).and_then(|b| char::from(*b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, hex(0), hex(1)) {
            bytes.push(u8::try_from(high * 16 + low).expect("two hex digits"));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
