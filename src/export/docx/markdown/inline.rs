//! Text elements → spans: words, and what words are found for: people, documents, dates.

use std::rc::Rc;

use super::context::{Found, Warning, WrittenLink};
use super::escape::{Place, one_line};
use super::marks;
use super::spans::{Link, Marks, Span, What as SpanWhat, settle};
use super::writer::Writer;
use crate::export::docx::block::{Element, Kind, Style, Text, What};
use crate::export::docx::url::{Address, classify, destination, document_of, path_destination};

impl Writer<'_> {
    /// A text as Markdown within a block; empty where it has only white space.
    pub(super) fn inline(&mut self, text: &Text, place: Place) -> String {
        let spans = self.spans(&text.elements);
        // A cell may hold several texts.
        self.write(spans, place, place != Place::Cell)
    }

    /// Spans as Markdown within a block, among other text.
    pub(super) fn write_spans(&mut self, spans: Vec<Span>, place: Place) -> String {
        self.write(spans, place, false)
    }

    /// `whole`: nothing else stands in the block that `~` and `$` could pair with.
    fn write(&mut self, spans: Vec<Span>, place: Place, whole: bool) -> String {
        let mut formulas_as_code = 0;
        let spans = settle(spans, place, &mut formulas_as_code);
        self.warn_times(Warning::FormulaAsCode, formulas_as_code);
        marks::write(&spans, place, whole)
    }

    /// Words of ours or of a title, safe within a block.
    pub(super) fn words(&mut self, words: &str, place: Place) -> String {
        self.write_spans(vec![plain(one_line(words))], place)
    }

    /// A link, safe within a block. `label` is words; an empty one shows `fallback`.
    pub(super) fn link(
        &mut self,
        label: &str,
        fallback: &str,
        destination: &str,
        place: Place,
    ) -> String {
        let mut label = one_line(label);
        if label.is_empty() {
            label = one_line(fallback);
        }
        let link = Some(Link { destination: destination.into(), serial: 0 });
        let marks = Marks { link, ..Marks::default() };
        self.write_spans(vec![Span { what: SpanWhat::Words(label), marks }], place)
    }

    /// A note in place of something that cannot be shown, safe within a block.
    pub(super) fn note(&mut self, words: &str, place: Place) -> String {
        self.emphasized(&format!("[{words}]"), place)
    }

    /// Words in bold, safe within a block.
    pub(super) fn strong(&mut self, words: &str, place: Place) -> String {
        let what = SpanWhat::Words(one_line(words));
        let marks = Marks { bold: true, ..Marks::default() };
        self.write_spans(vec![Span { what, marks }], place)
    }

    /// Words in italics, safe within a block.
    pub(super) fn emphasized(&mut self, words: &str, place: Place) -> String {
        let what = SpanWhat::Words(one_line(words));
        let marks = Marks { italic: true, ..Marks::default() };
        self.write_spans(vec![Span { what, marks }], place)
    }

    /// The text as it is copied into code: no marks.
    pub(super) fn plain_text(&mut self, text: &Text) -> String {
        let mut out = String::new();
        for element in &text.elements {
            for span in self.spans(std::slice::from_ref(element)) {
                let (SpanWhat::Words(words) | SpanWhat::Code(words) | SpanWhat::Math(words)) =
                    span.what;
                out.push_str(&words);
            }
            // Code is to be typed: there the address says more than a link could.
            if let What::Document { url, .. } = &element.what
                && let Address::Link(url) = classify(url)
            {
                out.push_str(" (");
                out.push_str(&url);
                out.push(')');
            }
        }
        out
    }

    fn spans(&mut self, elements: &[Element]) -> Vec<Span> {
        let mut spans = Vec::with_capacity(elements.len());
        for element in elements {
            self.push_spans(&mut spans, element, true);
        }
        spans
    }

    /// `follow`: whether a block that the line shows is looked up; only one level is.
    fn push_spans(&mut self, spans: &mut Vec<Span>, element: &Element, follow: bool) {
        let style = &element.style;
        let mut marks = self.marks(style);
        let what = match &element.what {
            What::Run(words) if style.code => SpanWhat::Code(words.clone()),
            What::Run(words) => SpanWhat::Words(words.clone()),
            What::User(id) => {
                let name = self.context.people.get(id).unwrap_or(id);
                SpanWhat::Words(format!("@{}", one_line(name)))
            }
            What::Document { token, url, title, .. } => {
                let now = self.context.documents.get(token).and_then(|link| link.title.as_ref());
                let title = now.unwrap_or(title);
                let title = if one_line(title).is_empty() { token } else { title };
                marks.link = self.document_link(token, url);
                SpanWhat::Words(one_line(title))
            }
            What::Reminder { expire_ms, whole_day } => {
                SpanWhat::Words(self.reminder(*expire_ms, *whole_day))
            }
            What::File { token, source_block } => {
                let name = match self.tree.find(source_block).map(|node| self.tree.kind(node)) {
                    Some(Kind::File { name, .. }) => name.as_str(),
                    _ => "",
                };
                self.push_file(spans, token, name, marks);
                return;
            }
            What::Block(id) => {
                self.push_block(spans, id, marks, follow);
                return;
            }
            What::Equation(source) => SpanWhat::Math(source.clone()),
            What::LinkPreview { title, url } => {
                marks.link = self.address_link(url).map(|link| self.once(link));
                let title = if one_line(title).is_empty() { url } else { title };
                SpanWhat::Words(one_line(title))
            }
            What::Unknown(name) => {
                if name == "undefined" || name == "undefined_element" {
                    self.warn(Warning::NoContent("a text element"));
                } else {
                    self.warn(Warning::UnknownElement(name.clone()));
                }
                marks.italic = true;
                SpanWhat::Words("[unsupported element]".to_owned())
            }
        };
        let shown_address = match (&what, &style.link) {
            (SpanWhat::Words(words) | SpanWhat::Code(words), Some(url))
                if marks.link.is_none() && !words.trim().is_empty() =>
            {
                match classify(url) {
                    Address::Words(address) if address != words.trim() => Some(address),
                    _ => None,
                }
            }
            _ => None,
        };
        spans.push(Span { what, marks: marks.clone() });
        if let Some(address) = shown_address {
            spans.push(Span { what: SpanWhat::Words(format!(" ({address})")), marks });
        }
    }

    fn marks(&mut self, style: &Style) -> Marks {
        let shown = |number: u8, most: u8| {
            if self.context.colors && number <= most { number } else { 0 }
        };
        let (color, background) = (shown(style.color, 7), shown(style.background, 15));
        Marks {
            bold: style.bold,
            italic: style.italic,
            strike: style.strikethrough,
            underline: style.underline,
            color,
            background,
            link: style.link.as_ref().and_then(|url| self.address_link(url)),
        }
    }

    /// The link for an address: to the copy of a document that is mirrored, else to it.
    fn address_link(&mut self, url: &str) -> Option<Link> {
        if let Some((token, _)) = document_of(url) {
            let path = self.path_of(&token);
            self.links.push(WrittenLink { token, path: path.clone() });
            if let Some(path) = path {
                return Some(Link { destination: path_destination(&path).into(), serial: 0 });
            }
        }
        match classify(url) {
            Address::Link(url) => Some(Link { destination: destination(&url).into(), serial: 0 }),
            Address::Unsafe => {
                self.warn(Warning::UnsafeLink);
                None
            }
            Address::Words(_) | Address::Empty => None,
        }
    }

    /// The link for a mentioned document.
    fn document_link(&mut self, token: &str, url: &str) -> Option<Link> {
        let link = match self.path_of(token) {
            None if token.is_empty() => self.address_link(url),
            None => {
                self.links.push(WrittenLink { token: token.to_owned(), path: None });
                match classify(url) {
                    Address::Link(url) => {
                        Some(Link { destination: destination(&url).into(), serial: 0 })
                    }
                    Address::Unsafe => {
                        self.warn(Warning::UnsafeLink);
                        None
                    }
                    Address::Words(_) | Address::Empty => None,
                }
            }
            Some(path) => {
                let destination: Rc<str> = path_destination(&path).into();
                self.links.push(WrittenLink { token: token.to_owned(), path: Some(path) });
                Some(Link { destination, serial: 0 })
            }
        };
        link.map(|link| self.once(link))
    }

    /// Where a mirrored document is.
    pub(super) fn path_of(&self, token: &str) -> Option<String> {
        self.context.documents.get(token)?.path.clone().filter(|path| !path.is_empty())
    }

    /// A link that is not joined with an equal one beside it.
    fn once(&mut self, link: Link) -> Link {
        self.mentions += 1;
        Link { serial: self.mentions, ..link }
    }

    fn reminder(&self, expire_ms: Option<i64>, whole_day: bool) -> String {
        let time = expire_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let Some(time) = time else { return "⏰".to_owned() };
        let time = time.to_zoned(self.context.time_zone.clone());
        let format = if whole_day { "⏰ %Y-%m-%d" } else { "⏰ %Y-%m-%d %H:%M (%:z)" };
        time.strftime(format).to_string()
    }

    /// A file in the line.
    fn push_file(&mut self, spans: &mut Vec<Span>, token: &str, name: &str, mut marks: Marks) {
        let name = one_line(name);
        let name = if name.is_empty() { "attachment".to_owned() } else { name };
        let words = match self.context.media.get(token) {
            Some(Found::Here(path)) => {
                let destination = path_destination(path).into();
                marks.link = Some(self.once(Link { destination, serial: 0 }));
                format!("📎 {name}")
            }
            other => {
                marks.italic = true;
                let why = self.why_absent("attached file", other);
                format!("[attached file {name}: {why}]")
            }
        };
        spans.push(Span { what: SpanWhat::Words(words), marks });
    }

    /// A block shown in the line: its text, or its file.
    fn push_block(&mut self, spans: &mut Vec<Span>, id: &str, mut marks: Marks, follow: bool) {
        let tree = self.tree;
        let kind = tree.find(id).filter(|_| follow).map(|node| tree.kind(node));
        match kind {
            Some(Kind::File { token, name }) => self.push_file(spans, token, name, marks),
            Some(kind) if kind.text().is_some() => {
                for element in kind.text().map(|text| &text.elements).into_iter().flatten() {
                    self.push_spans(spans, element, false);
                }
            }
            found => {
                self.warn(match found {
                    Some(_) => Warning::NoContent("a block within a line"),
                    None => Warning::Absent("a block within a line"),
                });
                marks.italic = true;
                let what = SpanWhat::Words("[block within the line]".to_owned());
                spans.push(Span { what, marks });
            }
        }
    }

    /// Counts that something is not there, and says why in a few words.
    pub(super) fn why_absent<T>(&mut self, what: &'static str, found: Option<&Found<T>>) -> String {
        match found {
            Some(Found::Forbidden) => {
                self.warn(Warning::Forbidden(what));
                "no permission to read it".to_owned()
            }
            Some(Found::Absent(reason)) => {
                self.warn(Warning::Absent(what));
                one_line(reason)
            }
            Some(Found::Here(_)) | None => {
                self.warn(Warning::Absent(what));
                "not in this copy".to_owned()
            }
        }
    }
}

/// Words without marks.
pub(super) fn plain(words: String) -> Span {
    Span { what: SpanWhat::Words(words), marks: Marks::default() }
}
