//! Lines with the prefixes of what they stand in: quotes, list items.

/// What is written, line by line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    open: Vec<Container>,
    gap: Gap,
    /// A list item was closed, and nothing is written since.
    tail: Option<Marker>,
}

/// What separates the next line from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Gap {
    /// Only the end of the line.
    #[default]
    Line,
    /// An empty line.
    Blank,
}

/// What marks a list item. Items right after each other are one list to readers if they
/// share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// `-`.
    Dash,
    /// A number, and which one goes on.
    Number(u64),
}

#[derive(Debug)]
struct Container {
    /// Before its first line: `- `, `1. `, `> `.
    first: String,
    /// Before all others, as wide.
    rest: &'static str,
    rest_width: usize,
    started: bool,
}

/// Enough blanks for the widest list marker: nine digits, a dot, a blank.
const BLANKS: &str = "            ";

impl Lines {
    /// Writes a line; `line` holds no line break.
    pub fn line(&mut self, line: &str) {
        debug_assert!(!line.contains(['\n', '\r']), "one line at a time: {line:?}");
        if self.gap == Gap::Blank && !self.text.is_empty() {
            let start = self.text.len();
            // A container without a line yet begins after the blank line.
            for container in self.open.iter().take_while(|container| container.started) {
                self.text.push_str(&container.rest[..container.rest_width]);
            }
            self.end_line(start);
        }
        self.gap = Gap::Line;
        self.tail = None;
        let start = self.text.len();
        for container in &mut self.open {
            if container.started {
                self.text.push_str(&container.rest[..container.rest_width]);
            } else {
                self.text.push_str(&container.first);
                container.started = true;
            }
        }
        if line.is_empty() {
            self.end_line(start);
        } else {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// Writes several lines.
    pub fn lines(&mut self, text: &str) {
        for line in text.split('\n') {
            self.line(line);
        }
    }

    /// Ends a line that has nothing but its prefix, without the prefix's last blanks.
    fn end_line(&mut self, start: usize) {
        let length = self.text[start..].trim_end().len();
        self.text.truncate(start + length);
        self.text.push('\n');
    }

    /// What separates the next line from the last one; [`Gap::Blank`] is not taken back.
    pub fn gap(&mut self, gap: Gap) {
        if gap == Gap::Blank {
            self.gap = gap;
        }
    }

    /// Everything until [`Lines::close`] is quoted.
    pub fn open_quote(&mut self) {
        self.open.push(Container {
            first: "> ".to_owned(),
            rest: "> ",
            rest_width: 2,
            started: false,
        });
    }

    /// Everything until [`Lines::close_item`] belongs to the list item with this marker, which
    /// ends in a blank.
    pub fn open_item(&mut self, marker: String) {
        let rest_width = marker.len().min(BLANKS.len());
        self.open.push(Container { first: marker, rest: BLANKS, rest_width, started: false });
    }

    /// Ends a list item, which has a line.
    pub fn close_item(&mut self, marker: Marker) {
        self.close();
        self.tail = Some(marker);
    }

    /// The list item that stands right before the next line, if one does.
    pub fn tail(&self) -> Option<Marker> {
        self.tail
    }

    /// Ends a quote; where nothing was written in it, it leaves no trace.
    pub fn close(&mut self) {
        // Items within it are not neighbours of what follows.
        if self.open.pop().is_some_and(|container| container.started) {
            self.tail = None;
        }
    }

    /// Whether the innermost container has a line.
    pub fn started(&self) -> bool {
        self.open.last().is_none_or(|container| container.started)
    }

    /// Length of what is written, to see later whether anything was.
    pub fn position(&self) -> usize {
        self.text.len()
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }
}
