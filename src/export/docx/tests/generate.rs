//! Documents made up by proptest, with text that tries to break out of everything.

use proptest::prelude::*;

/// A block of a made-up document.
#[derive(Debug, Clone)]
pub enum B {
    Text(Vec<R>),
    Heading(u8, Vec<R>),
    Bullet(Vec<R>, Vec<B>),
    Ordered(&'static str, Vec<R>, Vec<B>),
    Todo(bool, Vec<R>, Vec<B>),
    Quote(Vec<R>),
    QuoteBox(Vec<B>),
    Callout(u8, Vec<B>),
    Grid(Vec<Vec<B>>),
    Code(u8, String),
    Divider,
    Image(String),
    File(String),
    /// Cells row by row, as many a row as the first number says, and whether the first two
    /// are merged.
    Table(usize, Vec<Vec<B>>, bool),
}

/// A run of text of one look.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks")]
pub struct R {
    pub what: W,
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub underline: bool,
    /// 0 to 2.
    pub color: u8,
    pub link: Option<&'static str>,
}

/// What a run is.
#[derive(Debug, Clone)]
pub enum W {
    Words(String),
    Code(String),
    Math(String),
    /// A mention with this title, and the path of its copy if it has one.
    Document(String, Option<&'static str>),
    Person(String),
}

const FRAGMENTS: &[&str] = &[
    "|",
    "\\",
    "\\|",
    "`",
    "``",
    "```",
    "$",
    "$$",
    "$x$",
    "<",
    ">",
    "<b>",
    "</td>",
    "</table>",
    "<!--",
    "-->",
    "<https://x>",
    "[",
    "]",
    "[[",
    "]]",
    "](",
    "[a](b)",
    "![a](b)",
    "[a]: b",
    "[^1]",
    "(",
    ")",
    "!",
    "\n",
    "\n\n",
    "\r\n",
    "\u{b}",
    " ",
    "  ",
    "    ",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{200b}",
    "\u{feff}",
    "\u{200d}",
    "\0",
    "\u{7f}",
    "#",
    "# ",
    "###",
    "- ",
    "-",
    "---",
    "+ ",
    "* ",
    "*",
    "**",
    "***",
    "_",
    "__",
    "___",
    "~",
    "~~",
    "~~~",
    "=",
    "===",
    "1. ",
    "1)",
    "12345678901. ",
    "> ",
    ">",
    "[ ] ",
    "[x] ",
    ":",
    ":-",
    "| - |",
    "|-|",
    "--- | ---",
    "&amp;",
    "&",
    "&#35;",
    "&copy",
    ";",
    "{",
    "}",
    "^",
    "@",
    "'",
    "\"",
    "/",
    ".",
    ",",
    "a",
    "b c",
    "word",
    "snake_case",
    "1",
    "42",
    "周报",
    "文",
    "“",
    "”",
    "，",
    "。",
    "（",
    "）",
    "《",
    "》",
    "、",
    "😀",
    "👨\u{200d}👩",
    "❤\u{fe0f}",
    "é",
    "e\u{301}",
    "Ⓐ",
    "①",
    "€",
    "№",
    "\u{202e}",
    "\u{2028}",
    "ß",
    "İ",
    "[!NOTE]",
    "&nbsp;",
    "<br>",
    "<u>",
    "</u>",
    "$1",
    "\\$",
    "\\\\",
    "\\\n",
    "  \n",
    "www.x.example",
    "a@b.c",
    ":smile:",
    "{#id}",
    "%%",
];

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(prop::sample::select(FRAGMENTS), 0..6).prop_map(|parts| parts.concat()),
        1 => "[ -~]{0,8}",
        1 => any::<String>().prop_map(|text| text.chars().take(6).collect()),
    ]
}

fn what() -> impl Strategy<Value = W> {
    let math = prop_oneof![
        prop::sample::select(
            &[
                "x",
                "a+b",
                "\\frac{1}{2}",
                "|x|",
                "a\\|b",
                "\\$",
                "$",
                "{",
                "}",
                "{a}{b}",
                "x\n",
                "a\nb",
                "a % b\nc",
                "\\",
                "a\\ ",
                " ",
                "",
                "`",
                "<b>",
                "]",
                "a_b*c*",
                "\\}",
                "=",
                "- x",
            ][..]
        )
        .prop_map(str::to_owned),
        words(),
    ];
    prop_oneof![
        12 => words().prop_map(W::Words),
        3 => words().prop_map(W::Code),
        2 => math.prop_map(W::Math),
        1 => (words(), prop::option::of(prop::sample::select(&["../a b/周报 (1).md", "x#y?z%.md", "a|b`c$.md"][..])))
            .prop_map(|(title, path)| W::Document(title, path)),
        1 => words().prop_map(W::Person),
    ]
}

fn run() -> impl Strategy<Value = R> {
    let link = prop::sample::select(
        &[
            "https://x.example/a(b)c",
            "https://x.example/?a=1&copy;&b=[2]",
            "https://x.example/`$|<>\\\"*_~",
            "mailto:a@b.c",
            "https://x.example/周报 1",
        ][..],
    );
    let color = prop_oneof![6 => Just(0u8), 1 => 1u8..3];
    (what(), 0u8..16, color, prop::option::weighted(0.15, link)).prop_map(
        |(what, marks, color, link)| R {
            what,
            bold: marks & 1 > 0,
            italic: marks & 2 > 0,
            strike: marks / 4 == 3,
            underline: marks / 4 == 1,
            color,
            link,
        },
    )
}

fn runs() -> impl Strategy<Value = Vec<R>> {
    prop::collection::vec(run(), 0..5)
}

/// Blocks of a document.
pub fn blocks() -> impl Strategy<Value = Vec<B>> {
    let leaf = prop_oneof![
        4 => runs().prop_map(B::Text),
        2 => runs().prop_map(|runs| B::Bullet(runs, Vec::new())),
        2 => (sequence(), runs()).prop_map(|(sequence, runs)| B::Ordered(sequence, runs, Vec::new())),
        1 => (any::<bool>(), runs()).prop_map(|(done, runs)| B::Todo(done, runs, Vec::new())),
        1 => (1u8..10, runs()).prop_map(|(level, runs)| B::Heading(level, runs)),
        1 => runs().prop_map(B::Quote),
        1 => (0u8..78, words()).prop_map(|(language, code)| B::Code(language, code)),
        1 => Just(B::Divider),
        1 => words().prop_map(B::Image),
        1 => words().prop_map(B::File),
    ];
    let block = leaf.prop_recursive(4, 24, 4, |block| {
        let some = || prop::collection::vec(block.clone(), 0..4);
        prop_oneof![
            2 => (runs(), some()).prop_map(|(runs, below)| B::Bullet(runs, below)),
            2 => (sequence(), runs(), some()).prop_map(|(sequence, runs, below)| B::Ordered(sequence, runs, below)),
            1 => (any::<bool>(), runs(), some()).prop_map(|(done, runs, below)| B::Todo(done, runs, below)),
            1 => some().prop_map(B::QuoteBox),
            1 => (0u8..16, some()).prop_map(|(color, below)| B::Callout(color, below)),
            1 => prop::collection::vec(some(), 0..3).prop_map(B::Grid),
            1 => (1usize..4, prop::collection::vec(some(), 1..7), any::<bool>()).prop_map(|(columns, cells, merged)| table(columns, cells, merged)),
            2 => (1usize..4, prop::collection::vec(prop::collection::vec(runs().prop_map(B::Text), 0..3), 1..7))
                .prop_map(|(columns, cells)| table(columns, cells, false)),
        ]
    });
    prop::collection::vec(block, 0..5)
}

/// A table whose rows are full.
fn table(columns: usize, mut cells: Vec<Vec<B>>, merged: bool) -> B {
    let rows = cells.len().div_ceil(columns);
    cells.resize(rows * columns, Vec::new());
    let merged = merged && columns > 1;
    if merged {
        cells[1].clear();
    }
    B::Table(columns, cells, merged)
}

fn sequence() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", "auto", "auto", "1", "3", "0", "99", "999999999", "x"][..])
}

/// A title.
pub fn title() -> impl Strategy<Value = String> {
    words()
}
