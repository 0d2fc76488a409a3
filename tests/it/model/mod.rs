//! Random tenants, random edits, random trouble: when all is quiet again the copy is what
//! the tenant itself says, and the next run does nothing.
//!
//! A story is data: what happens is numbers, taken modulo what is there, so that it stays
//! a story when a part of it is left out. One that fails is made as short as it gets.

mod oracle;
mod world;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::support::dice::Dice;
use crate::support::power::{End, Loss, Power};
use crate::support::{Mirror, SOURCES, scale, tenant};
use feishu_mirror::faults::Faults;
use feishu_mirror::sim::Effect;
use oracle::Oracle;
use world::{Act, World};

/// Makes every plan twice, with and without what is quiet.
const PLANS: &str = "FEISHU_MIRROR_TEST_PLANS";

/// Stories that once found a bug: seed and prune rule.
const REGRESSIONS: [(u64, &str); 0] = [];

/// Edits, then a run that may be in trouble, then quiet runs.
#[derive(Debug, Clone)]
struct Round {
    acts: Vec<Act>,
    trouble: Trouble,
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    /// Calls fail, so many in a thousand.
    Storm(u64, u32),
    /// The power goes at a step; with a seed, what is not fsynced is lost in part.
    Power(usize, Option<u64>),
    /// A call to the disk fails.
    Disk(usize),
}

impl Round {
    fn new(dice: &mut Dice) -> Self {
        let acts = (0..=dice.below(6)).map(|_| Act::new(dice)).collect();
        let seed = dice.below(1 << 30) as u64;
        let trouble = match dice.below(8) {
            0 | 1 => Trouble::Storm(seed, [20, 100, 400][dice.below(3)]),
            2 => Trouble::Power(dice.below(400), None),
            3 => Trouble::Power(dice.below(400), Some(seed)),
            4 => Trouble::Disk(dice.below(400)),
            _ => Trouble::None,
        };
        Self { acts, trouble }
    }
}

fn storms() -> Vec<Effect> {
    vec![
        Effect::status(500, 1_061_001),
        Effect::status(503, 0),
        Effect::rate_limit(429),
        Effect::rate_limit(400),
        Effect::ErrorWith200(1_061_045),
        Effect::Reset,
        Effect::Unreachable,
        Effect::CutAfter(20),
        Effect::Truncate(30),
        Effect::TooLong(3),
        Effect::Garbage,
        Effect::Html,
        Effect::RepeatPage,
        Effect::LoopPages,
        Effect::MoreWithoutToken,
        Effect::EmptyListing,
        Effect::Delay(Duration::from_secs(20)),
    ]
}

fn story(seed: u64) -> Vec<Round> {
    let mut dice = Dice::new(seed);
    (0..=dice.below(4)).map(|_| Round::new(&mut dice)).collect()
}

/// A run of which nothing is asked but that what it leaves behind is sound.
async fn trouble(mirror: &mut Mirror, world: &World, trouble: Trouble) -> Result<(), String> {
    let root = mirror.path("");
    match trouble {
        Trouble::None => return Ok(()),
        Trouble::Storm(seed, per_mille) => {
            world.tenant.storm(seed, f64::from(per_mille) / 1000.0, &storms());
            mirror.sync().await;
            world.tenant.calm();
        }
        Trouble::Power(step, loss) => {
            let power = Power::of(&root, End::At(step));
            mirror.faults = power.faults();
            mirror.sync().await;
            if power.is_gone() {
                let loss = loss.map_or(Loss::Nothing, |seed| Loss::Some(Dice::new(seed)));
                power.image(loss).put(&root);
            }
        }
        Trouble::Disk(nth) => {
            let calls = std::sync::atomic::AtomicUsize::new(0);
            mirror.faults = Faults::when(move |_, _| {
                let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                (call == nth).then(|| std::io::Error::from(std::io::ErrorKind::StorageFull))
            });
            // A plan that is made twice would see two disks.
            let twice = mirror.vars.remove(PLANS);
            mirror.sync().await;
            mirror.vars.extend(twice.map(|value| (PLANS.to_owned(), value)));
        }
    }
    mirror.faults = Faults::default();
    let verify = mirror.run(&["verify"]).await;
    let fine = verify.code == 0 || world.damaged;
    if fine { Ok(()) } else { Err(format!("verify:\n{}{}", verify.out, verify.err)) }
}

/// Tells a story; `Err`: what was not as it must be.
async fn tell(rounds: &[Round], rule: &str) -> Result<(), String> {
    let tenant = tenant();
    let config = format!("{SOURCES}\n[prune]\ndefault = \"{rule}\"\nmax_delete = \"100%\"\n");
    let mut mirror = Mirror::with(&tenant, &config);
    std::fs::create_dir(mirror.path("")).unwrap();
    let mut world = World::new(&tenant);
    let mut oracle = Oracle::new(rule);
    for (number, round) in rounds.iter().enumerate() {
        for act in &round.acts {
            world.act(*act, &mirror);
            oracle.note(&world);
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        trouble(&mut mirror, &world, round.trouble).await?;
        let checked = quiet(&mirror, &mut world, &mut oracle).await;
        checked.map_err(|what| format!("round {number}: {what}"))?;
    }
    Ok(())
}

/// Runs until nothing is left to do, then compares.
async fn quiet(mirror: &Mirror, world: &mut World, oracle: &mut Oracle) -> Result<(), String> {
    if world.was_forbidden {
        mirror.run(&["sync", "--json", "--retry-failed"]).await;
    }
    let mut runs = 0;
    loop {
        let diff = mirror.diff().await;
        let run = mirror.sync().await;
        let told = || format!("{}\n{}", run.out, run.err);
        if diff.changes() != run.changes() {
            let planned = diff.changes();
            return Err(format!("diff is not sync: {planned:#?}\n{}", told()));
        }
        let expected = if world.is_clear() { run.code == 0 } else { [0, 2].contains(&run.code) };
        if !expected {
            return Err(format!("exit code {}\n{}", run.code, told()));
        }
        // Where something may not be read, what leads to it is tried again and again.
        let outcome = if world.is_clear() { "change" } else { "done" };
        let left = run.events().into_iter().filter(|event| event["event"] == outcome);
        let left = left.filter(|event| event["change"] != "skip").count();
        runs += 1;
        // What is to be deleted waits for a second walk.
        if left == 0 && runs > 1 {
            break;
        }
        if runs > 6 {
            return Err(format!("there is no end of changes\n{}", told()));
        }
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    oracle.compare(mirror, world).await?;
    // What may not be read, or is gone, cannot be fetched again.
    world.damaged &= world.was_forbidden || oracle.keeps();
    let before = mirror.snapshot();
    world.tenant.forget_calls();
    let run = mirror.sync().await;
    let changed = mirror.changed_since(&before);
    if !changed.is_empty() {
        return Err(format!("a quiet run changed {changed:#?}\n{}", run.out));
    }
    let fetches = world.tenant.calls("POST", "/drive/v1/export_tasks")
        + world.tenant.calls("GET", "/drive/v1/files/:file_token/download");
    if fetches > 0 { Err(format!("{fetches} fetches in a quiet run\n{}", run.out)) } else { Ok(()) }
}

/// The same with a panic as an error.
async fn outcome(rounds: &[Round], rule: &str) -> Result<(), String> {
    let told = AssertUnwindSafe(tell(rounds, rule)).catch_unwind().await;
    told.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "it panicked".to_owned()))
    })
}

/// Leaves out whatever is not needed for a story to fail.
async fn shrink(mut rounds: Vec<Round>, rule: &str) -> Vec<Round> {
    loop {
        let mut shorter = Vec::new();
        for round in 0..rounds.len() {
            let mut without = rounds.clone();
            without.remove(round);
            shorter.push(without);
            let mut calm = rounds.clone();
            if !matches!(calm[round].trouble, Trouble::None) {
                calm[round].trouble = Trouble::None;
                shorter.push(calm);
            }
            for act in 0..rounds[round].acts.len() {
                let mut without = rounds.clone();
                without[round].acts.remove(act);
                shorter.push(without);
            }
        }
        let mut found = None;
        for story in shorter {
            if outcome(&story, rule).await.is_err() {
                found = Some(story);
                break;
            }
        }
        match found {
            Some(story) => rounds = story,
            None => return rounds,
        }
    }
}

async fn check(seed: u64, rule: &str) -> usize {
    let rounds = story(seed);
    if let Err(first) = outcome(&rounds, rule).await {
        let short = shrink(rounds, rule).await;
        let what = outcome(&short, rule).await.err().unwrap_or(first);
        panic!("seed {seed}, rule {rule}: {short:#?}\n{what}");
    }
    rounds.len()
}

/// With `FEISHU_MIRROR_LONG=1`: 100,000 rounds. `FEISHU_MIRROR_SEED` is the first seed.
#[tokio::test(start_paused = true)]
async fn long_whatever_happens_the_copy_ends_up_right() {
    for (seed, rule) in REGRESSIONS {
        check(seed, rule).await;
    }
    let first: u64 =
        std::env::var("FEISHU_MIRROR_SEED").map_or(0, |seed| seed.parse().expect("a number"));
    let (wanted, mut rounds, mut stories) = (scale(40, 100_000), 0, 0);
    while rounds < wanted {
        let seed = first + stories;
        rounds += check(seed, ["keep", "trash", "delete"][(seed % 3) as usize]).await;
        stories += 1;
    }
    println!("{rounds} rounds of {stories} stories, from seed {first}");
}
