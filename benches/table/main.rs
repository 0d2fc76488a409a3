//! What this program costs, as one table: `cargo bench`, or `cargo bench -- WORD …` for the
//! rows of some groups only ([`GROUPS`]). With `FEISHU_MIRROR_LONG=1` at full size.
//!
//! Every row has a bound that was computed or measured in the same run, since machines differ
//! and are noisy: what quotas, `curl`, BLAKE3 alone and so on make of the same work. `ratio`
//! is how much of it was reached: 1.00 is the best there is, and above 1 means that the work
//! took less than what it is compared with.

#![expect(clippy::print_stdout, reason = "it prints a table")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and bytes, shown with a few digits"
)]

mod files;
mod process;
mod pure;
mod virtual_time;

#[path = "../../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it")]
mod support;

use std::time::{Duration, Instant};

/// A group of rows, by the word that chooses it.
type Group = (&'static str, fn(&mut Table));

const GROUPS: &[Group] = &[
    ("exports", virtual_time::exports),
    ("walk", virtual_time::first_walk),
    ("nightly", virtual_time::nightly),
    ("unchanged", virtual_time::unchanged),
    ("plan", pure::plan),
    ("layout", pure::layout),
    ("markdown", pure::markdown),
    ("manifest", files::manifest),
    ("hashing", files::hashing),
    ("start", process::start),
    ("diff", process::diff),
    ("download", process::download),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, rest @ ..] = args.as_slice()
        && word == pure::CHILD
    {
        return pure::child(rest);
    }
    // `cargo test --all-targets` runs this too, without the flag.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut table = Table::default();
    for (name, group) in GROUPS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            group(&mut table);
        }
    }
    table.end();
}

/// The table, printed as it grows.
#[derive(Default)]
pub struct Table {
    begun: bool,
    missed: usize,
}

/// One row.
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// What came out, with its unit.
    pub figure: String,
    /// What is the best there is; empty where nothing is.
    pub bound: String,
    /// How much of it was reached.
    pub ratio: Option<f64>,
    /// What must be reached, and whether it was; `None` for a figure that is only shown.
    pub goal: Option<(String, bool)>,
}

impl Table {
    /// Prints a row.
    pub fn row(&mut self, row: Row) {
        let line = |a: &str, b: &str, c: &str, d: &str, e: &str| {
            println!("| {a:<66} | {b:>22} | {c:>26} | {d:>5} | {e:<22} |");
        };
        if !self.begun {
            line("measure", "figure", "bound", "ratio", "goal");
            let dash = "-";
            println!("|{dash:-<68}|{dash:->23}:|{dash:->27}:|{dash:->6}:|{dash:-<24}|");
            self.begun = true;
        }
        let ratio = row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let goal = row.goal.map(|(goal, reached)| {
            self.missed += usize::from(!reached);
            if reached { goal } else { format!("{goal} MISSED") }
        });
        line(&row.measure, &row.figure, &row.bound, &ratio, &goal.unwrap_or_default());
    }

    /// A time next to the shortest one possible.
    pub fn time(&mut self, measure: String, took: f64, best: f64, unit: &str, goal: Option<f64>) {
        self.row(Row {
            measure,
            figure: format!("{took:.1} {unit}"),
            bound: format!("{best:.1} {unit}"),
            ratio: Some(best / took),
            goal: goal.map(|most| (format!("<= {most:.1} {unit}"), took <= most)),
        });
    }

    /// A count that must not be above another one.
    pub fn count(&mut self, measure: String, count: usize, best: usize, most: usize) {
        self.row(Row {
            measure,
            figure: count.to_string(),
            bound: best.to_string(),
            ratio: (count > 0 && best > 0).then(|| best as f64 / count as f64),
            goal: Some((format!("<= {most}"), count <= most)),
        });
    }

    /// So many things a second, and how many the least work that could do it lets through.
    pub fn rate(&mut self, measure: String, things: f64, took: Duration, best: Duration, of: &str) {
        let rate = |time: Duration| things / time.as_secs_f64();
        self.row(Row {
            measure,
            figure: format!("{} {of}/s", short(rate(took))),
            bound: format!("{} {of}/s", short(rate(best))),
            ratio: Some(rate(took) / rate(best)),
            goal: None,
        });
    }

    fn end(&self) {
        if self.missed > 0 {
            println!("\n{} goals were missed", self.missed);
        }
    }
}

/// Three digits or so.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e3 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.1}"),
    }
}

/// The shortest of a few runs: what disturbs one only makes it longer.
pub fn best_of<T>(runs: usize, mut work: impl FnMut() -> T) -> Duration {
    let timed = |()| {
        let began = Instant::now();
        std::hint::black_box(work());
        began.elapsed()
    };
    (0..runs).map(|_| ()).map(timed).min().expect("at least one run")
}

/// The middle one of some durations.
pub fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}
