//! What goes wrong on the line: every kind of fault at every call of a run, wrong bodies
//! for every format, and a reader who looks all the time.

mod bodies;
mod copy;
mod every;
mod reader;
mod stories;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A runtime of its own for a case: its clock begins where every story does.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A part of the cases where `FEISHU_MIRROR_PART=2/5` asks for one: a long run may be
/// shared among machines.
fn part<C>(cases: Vec<C>) -> Vec<C> {
    let Ok(part) = std::env::var("FEISHU_MIRROR_PART") else { return cases };
    let (nth, of) = part.split_once('/').expect("FEISHU_MIRROR_PART=2/5");
    let (nth, of): (usize, usize) = (nth.parse().unwrap(), of.parse().unwrap());
    cases.into_iter().enumerate().filter(|(n, _)| n % of == nth - 1).map(|(_, c)| c).collect()
}

/// Tries all cases, on all processors; says which ones failed, and why the first one did.
fn in_parallel<C: Sync>(
    what: &str,
    cases: &[C],
    name: impl Fn(&C) -> String + Sync,
    try_case: impl Fn(&C) + Sync,
) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| try_case(case))) {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                        failures.lock().unwrap().push((name(case), text.unwrap_or_default()));
                    }
                }
            });
        }
    });
    println!("{what}: {} cases in {:.1?}", cases.len(), began.elapsed());
    let failures = failures.into_inner().unwrap();
    let first = |text: &str| text.lines().next().unwrap_or_default().chars().take(200).collect();
    let names: Vec<(&String, String)> =
        failures.iter().map(|(name, text)| (name, first(text))).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases: {names:#?}\nthe first ({:?}):\n{}",
        failures.len(),
        cases.len(),
        failures[0].0,
        failures[0].1
    );
}
