//! What a made-up document must look like when it is read back, said without the writer.

use super::build::DOCUMENT;
use super::generate::{B, R, W};
use super::parsed::{Glyph, Kind, Leaf, PICTURE, decode, even, item};

#[derive(Default)]
struct Expected {
    leaves: Vec<Leaf>,
    path: Vec<String>,
    serial: usize,
    /// Mentions so far, for their tokens.
    mentions: usize,
    /// Blocks so far, for picture tokens.
    blocks: usize,
}

/// The leaves of a document.
pub fn leaves(title: &str, blocks: &[B]) -> Vec<Leaf> {
    let mut expected = Expected { blocks: 1, ..Expected::default() };
    let _ = DOCUMENT;
    let title = R {
        what: W::Words(title.to_owned()),
        bold: false,
        italic: false,
        strike: false,
        underline: false,
        color: 0,
        link: None,
    };
    expected.line(1, &[title]);
    expected.blocks(blocks);
    expected.leaves
}

fn clean(text: &str) -> String {
    let text =
        text.replace("\r\n", "\n").replace(['\r', '\u{b}', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    let text = text.replace('\u{c}', " ");
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn one_line(text: &str) -> String {
    let text = clean(text);
    text.trim()
        .split(['\n', ' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_blank(text: &str) -> bool {
    clean(text).trim().is_empty()
}

fn shows(run: &R) -> bool {
    match &run.what {
        W::Words(text) | W::Code(text) | W::Math(text) => !is_blank(text),
        W::Document(..) | W::Person(_) => true,
    }
}

fn visible(block: &B) -> bool {
    match block {
        B::Text(runs) | B::Heading(_, runs) | B::Quote(runs) => runs.iter().any(shows),
        B::QuoteBox(below) => below.iter().any(visible),
        B::Grid(columns) => columns.iter().flatten().any(visible),
        _ => true,
    }
}

impl Expected {
    fn blocks(&mut self, blocks: &[B]) {
        let mut last: Option<u64> = None;
        let mut direct = false;
        let mut in_quote = false;
        for block in blocks {
            self.blocks += 1;
            let quoted = matches!(block, B::Quote(_));
            if in_quote && !quoted {
                self.path.pop();
                in_quote = false;
            }
            if !matches!(block, B::Ordered(..)) {
                direct = false;
            }
            match block {
                B::Text(runs) => self.paragraph(runs),
                B::Heading(level, runs) => self.line(*level, runs),
                B::Bullet(runs, below) => self.item(None, None, runs, below),
                B::Todo(done, runs, below) => self.item(None, Some(*done), runs, below),
                B::Ordered(sequence, runs, below) => {
                    let number = match (sequence.parse::<u64>(), last) {
                        (Ok(number), _) => number,
                        (_, Some(last)) if direct || *sequence == "auto" => last + 1,
                        _ => 1,
                    };
                    let number = number.min(999_999_999);
                    last = Some(number);
                    direct = true;
                    self.item(Some(number), None, runs, below);
                }
                B::Quote(runs) => {
                    if !in_quote && visible_run(blocks, block) {
                        self.enter("quote");
                        in_quote = true;
                    }
                    self.paragraph(runs);
                }
                B::QuoteBox(below) => {
                    if visible(block) {
                        self.enter("quote");
                        self.blocks(below);
                        self.path.pop();
                    } else {
                        self.skip(below);
                    }
                }
                B::Callout(_, below) => {
                    self.enter("alert");
                    self.callout(below);
                    self.path.pop();
                }
                B::Grid(columns) => {
                    for below in columns {
                        self.blocks += 1;
                        self.blocks(below);
                    }
                }
                B::Code(language, code) => {
                    let code =
                        code.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
                    let code: String = code
                        .chars()
                        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
                        .collect();
                    let text = code.strip_suffix('\n').map(str::to_owned).unwrap_or(code);
                    let language = match language {
                        22 => "go",
                        49 => "python",
                        _ => "?",
                    };
                    self.leaf(Kind::Code { language: language.to_owned(), text });
                }
                B::Divider => self.leaf(Kind::Rule),
                B::Image(caption) => {
                    let (glyphs, words) = self.image(caption);
                    self.leaf(Kind::Line { level: 0, glyphs, words });
                }
                B::File(name) => {
                    let (glyphs, words) = self.file(name);
                    self.leaf(Kind::Line { level: 0, glyphs, words });
                }
                B::Table(_, cells, merged) => self.table(cells, *merged),
            }
        }
        if in_quote {
            self.path.pop();
        }
    }

    /// Counts blocks and mentions that do not show.
    fn skip(&mut self, blocks: &[B]) {
        let (leaves, serial) = (self.leaves.len(), self.serial);
        self.blocks(blocks);
        self.leaves.truncate(leaves);
        self.serial = serial;
    }

    fn enter(&mut self, name: &str) {
        self.serial += 1;
        self.path.push(format!("{name} {}", self.serial));
    }

    fn item(&mut self, number: Option<u64>, done: Option<bool>, runs: &[R], below: &[B]) {
        self.serial += 1;
        self.path.push(item(self.serial, number, done));
        self.line(0, runs);
        self.blocks(below);
        self.path.pop();
    }

    /// The emoji stands before the first words.
    fn callout(&mut self, below: &[B]) {
        let bulb = Glyph { character: '💡', ..Glyph::default() };
        if let [B::Text(runs), rest @ ..] = below {
            self.blocks += 1;
            let (mut glyphs, words, formula) = self.glyphs(runs);
            glyphs.insert(0, bulb);
            let words =
                if formula { String::new() } else { even(&format!("💡 {}", even(&words))) };
            self.leaf(Kind::Line { level: 0, glyphs, words });
            self.blocks(rest);
        } else {
            let words = "💡".to_owned();
            self.leaf(Kind::Line { level: 0, glyphs: vec![bulb], words });
            self.blocks(below);
        }
    }

    fn table(&mut self, cells: &[Vec<B>], merged: bool) {
        let formula_with_pipe =
            |run: &R| matches!(&run.what, W::Math(source) if source.contains('|'));
        let simple = |block: &B| match block {
            B::Text(runs) => !runs.iter().any(formula_with_pipe),
            B::Image(_) | B::File(_) => true,
            _ => false,
        };
        let pipes = !merged && cells.iter().flatten().all(simple);
        for (index, cell) in cells.iter().enumerate() {
            self.blocks += 1;
            if merged && index == 1 {
                continue;
            }
            self.enter("cell");
            if pipes {
                let (mut all, mut text, mut formula) = (Vec::new(), String::new(), false);
                for block in cell {
                    self.blocks += 1;
                    let (glyphs, words) = match block {
                        B::Text(runs) => {
                            let (glyphs, words, has) = self.glyphs(runs);
                            formula |= has;
                            (glyphs, words)
                        }
                        B::Image(caption) => self.image(caption),
                        B::File(name) => self.file(name),
                        _ => unreachable!("not simple"),
                    };
                    all.extend(glyphs);
                    text.push('\n');
                    text.push_str(&words);
                }
                self.push_line(0, all, &text, formula);
            } else {
                self.blocks(cell);
            }
            self.path.pop();
        }
    }

    /// A picture: its caption as alternative text, then below it.
    fn image(&mut self, caption: &str) -> (Vec<Glyph>, String) {
        let path = format!("A b.assets/boxb{}.png", self.blocks - 1);
        let caption = one_line(caption);
        let look = Glyph { link: Some(path), ..Glyph::default() };
        let mut glyphs = vec![Glyph { character: PICTURE, ..look.clone() }];
        let visible = || caption.chars().filter(|c| !c.is_whitespace());
        glyphs.extend(visible().map(|character| Glyph { character, ..look.clone() }));
        let italic = Glyph { italic: true, ..Glyph::default() };
        glyphs.extend(visible().map(|character| Glyph { character, ..italic.clone() }));
        (glyphs, even(&format!("{caption}\n{caption}")))
    }

    /// A file: its name, or its token, linked.
    fn file(&mut self, name: &str) -> (Vec<Glyph>, String) {
        let token = format!("boxb{}", self.blocks - 1);
        let name = one_line(name);
        let words = format!("📎 {}", if name.is_empty() { &token } else { &name });
        let look = Glyph { link: Some(format!("A b.assets/{token}.png")), ..Glyph::default() };
        let visible = words.chars().filter(|c| !c.is_whitespace());
        let glyphs = visible.map(|character| Glyph { character, ..look.clone() }).collect();
        (glyphs, even(&words))
    }

    fn paragraph(&mut self, runs: &[R]) {
        if let [R { what: W::Math(source), .. }] = runs {
            let source = even(&clean(source).replace('\n', " "));
            if !source.trim().is_empty() {
                self.leaf(Kind::Formula(source));
            }
            return;
        }
        self.line(0, runs);
    }

    fn line(&mut self, level: u8, runs: &[R]) {
        let (glyphs, words, formula) = self.glyphs(runs);
        self.push_line(level, glyphs, &words, formula);
    }

    fn push_line(&mut self, level: u8, glyphs: Vec<Glyph>, words: &str, formula: bool) {
        if !glyphs.is_empty() {
            let words = if formula { String::new() } else { even(words) };
            self.leaf(Kind::Line { level, glyphs, words });
        }
    }

    fn leaf(&mut self, kind: Kind) {
        self.leaves.push(Leaf { path: self.path.clone(), kind });
    }

    fn glyphs(&mut self, runs: &[R]) -> (Vec<Glyph>, String, bool) {
        let (mut glyphs, mut words, mut formula) = (Vec::new(), String::new(), false);
        for run in runs {
            let mut look = Glyph {
                character: ' ',
                bold: run.bold,
                italic: run.italic,
                strike: run.strike,
                underline: run.underline,
                color: run.color,
                literal: false,
                link: run.link.map(decode),
            };
            let text = match &run.what {
                W::Words(text) => clean(text),
                W::Code(text) => {
                    look.literal = true;
                    clean(text)
                }
                W::Math(source) => {
                    look.literal = true;
                    formula = true;
                    clean(source)
                }
                W::Person(name) => {
                    self.mentions += 1;
                    format!("@{}", one_line(name))
                }
                W::Document(title, path) => {
                    let token = format!("doxcnMentioned{}", self.mentions);
                    self.mentions += 1;
                    let url = format!("https://x.feishu.cn/docx/{token}");
                    look.link = Some(path.map_or(url, str::to_owned));
                    let title = one_line(title);
                    if title.is_empty() { token } else { title }
                }
            };
            words.push_str(&text);
            let visible = text.chars().filter(|c| !c.is_whitespace());
            glyphs.extend(visible.map(|character| Glyph { character, ..look.clone() }));
        }
        (glyphs, words, formula)
    }
}

/// Whether any of the quoted lines around `block` shows.
fn visible_run(blocks: &[B], block: &B) -> bool {
    let at = blocks.iter().position(|other| std::ptr::eq(other, block)).unwrap_or(0);
    blocks[at..].iter().take_while(|block| matches!(block, B::Quote(_))).any(visible)
}
