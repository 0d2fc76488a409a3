//! Each kind of fault at each call of a long run, once and from there on.
//!
//! Whatever happens, the run ends, says honestly how, and leaves only whole files of what
//! they claim to be; it deletes nothing that is still there, and of what is gone all of a
//! source or nothing. The next run without faults ends where one without any would have.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use blake3::Hash;
use feishu_mirror::sim::{Effect, Fault};
use serde_json::Value;

use super::copy::{self, Copy, Node};
use super::world::World;
use super::{in_parallel, part, runtime};
use crate::support::{Mirror, Run, scale};

/// Tries after the first, as the config has it.
const RETRIES: usize = 2;

/// A kind of fault, and what a run under it may do.
struct Kind {
    name: &'static str,
    effect: Effect,
    /// Only listings know it.
    lists: bool,
    /// True: the run calls with a stored login.
    login: bool,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, effect| Kind { name, effect, lists: false, login: false };
    let list = |name, effect| Kind { lists: true, ..kind(name, effect) };
    let expired = || Effect::status(401, 99_991_677);
    let reset = Effect::RateLimit { http: 429, reset_secs: Some(60) };
    vec![
        kind("connection refused", Effect::Unreachable),
        kind("reset before headers", Effect::Reset),
        kind("reset after headers", Effect::CutAfter(0)),
        kind("reset within the body", Effect::CutAfter(20)),
        kind("500", Effect::status(500, 2200)),
        kind("503 page", Effect::replaced(503, "text/html", false, "<h1>503</h1>")),
        kind("429", reset),
        kind("400 with 99991400", Effect::RateLimit { http: 400, reset_secs: Some(30) }),
        kind("slow", Effect::Slow { bytes: 4096, pause: Duration::from_secs(2) }),
        kind("silent", Effect::Delay(Duration::from_secs(600))),
        kind("truncated", Effect::Half),
        kind("too long", Effect::TooLong(1)),
        kind("garbage", Effect::Garbage),
        kind("HTML with 200", Effect::Html),
        kind("JSON error with 200", Effect::ErrorWith200(2200)),
        list("duplicate page", Effect::RepeatPage),
        list("looping cursor", Effect::LoopPages),
        list("more without token", Effect::MoreWithoutToken),
        list("empty listing", Effect::EmptyListing),
        kind("expired token", expired()),
        Kind { login: true, ..kind("expired login", expired()) },
        kind("lost permission", Effect::Forbidden),
    ]
}

/// One thing to try.
#[derive(Clone, Copy)]
struct Case {
    kind: usize,
    /// The call that is hit, from 1.
    index: usize,
    /// All calls from there on.
    always: bool,
}

/// A line of `ls --json`.
#[derive(Debug, Clone)]
struct Listed {
    source: String,
    token: String,
    path: String,
}

/// A place: source and token.
type Key = (String, String);

/// What a run without faults does, and where it ends.
struct Reference {
    size: usize,
    config: String,
    /// The mirror before the edits; the folder lives as long.
    template: Mirror,
    /// Places that had files then.
    before: BTreeMap<Key, Vec<Listed>>,
    /// The copy after one more run, and after all.
    first: Copy,
    last: Copy,
    /// Content that each place ever had.
    versions: HashMap<Key, HashSet<Hash>>,
    /// Places whose copies go.
    going: BTreeSet<Key>,
    /// Endpoints in the order of the calls.
    calls: Vec<String>,
}

fn is_listing(pattern: &str) -> bool {
    ["/files", "/spaces", "/nodes", "/blocks", "/tables", "/fields", "/search", "/comments"]
        .iter()
        .any(|end| pattern.ends_with(end))
}

async fn listed(mirror: &Mirror) -> Vec<Listed> {
    let run = mirror.run(&["ls", "--json"]).await.success();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let lines = run.events().into_iter().map(|event| Listed {
        source: text(&event, "source"),
        token: text(&event, "token"),
        path: text(&event, "path"),
    });
    lines.filter(|line| !line.path.ends_with('/')).collect()
}

/// Adds what places hold now.
async fn learn(mirror: &Mirror, versions: &mut HashMap<Key, HashSet<Hash>>) -> Vec<Listed> {
    let lines = listed(mirror).await;
    for line in &lines {
        let path = mirror.path(&line.path);
        if !path.is_symlink() {
            let hash = copy::content(&line.path, &std::fs::read(&path).unwrap());
            versions.entry((line.source.clone(), line.token.clone())).or_default().insert(hash);
        }
    }
    lines
}

fn prunes(run: &Run) -> BTreeSet<Key> {
    let events = run.events().into_iter();
    let prunes = events.filter(|event| event["event"] == "change" && event["change"] == "prune");
    // What is unwanted goes product by product.
    let prunes =
        prunes.filter(|event| ["gone", "left"].contains(&event["reason"].as_str().unwrap()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    prunes.map(|event| (text(&event["source"]), text(&event["token"]))).collect()
}

impl Reference {
    fn new(size: usize) -> Self {
        let mut versions = HashMap::new();
        let (config, template, before) = runtime().block_on(async {
            let world = World::new(size);
            let mirror = Mirror::with(&world.tenant, &world.config());
            mirror.sync().await.success();
            assert_eq!(world.tenant.overruns(), [""; 0]);
            let before = learn(&mirror, &mut versions).await;
            (world.config(), mirror, before)
        });
        let (first, last, going, calls) = runtime().block_on(async {
            let world = World::new(size);
            world.edit().await;
            let mirror = Mirror::with(&world.tenant, &config);
            copy::clone(&template.path(""), &mirror.path(""));
            world.cut_the_large_one();
            let run = mirror.sync().await.success();
            let calls = world.tenant.call_log().into_iter().map(|call| call.pattern).collect();
            assert_eq!((world.tenant.rate_limited(), world.tenant.overruns().len()), (0, 0));
            let first = Copy::of(&mirror);
            learn(&mirror, &mut versions).await;
            let mut going = prunes(&run);
            going.extend(prunes(&mirror.sync().await.success()));
            let last = Copy::of(&mirror);
            learn(&mirror, &mut versions).await;
            let quiet = mirror.sync().await.success();
            assert_eq!(quiet.changes(), [""; 0]);
            assert_eq!(Copy::of(&mirror).differing(&last), [""; 0]);
            (first, last, going, calls)
        });
        let mut of: BTreeMap<Key, Vec<Listed>> = BTreeMap::new();
        for line in before {
            of.entry((line.source.clone(), line.token.clone())).or_default().push(line);
        }
        Self { size, config, template, before: of, first, last, versions, going, calls }
    }

    /// Everything that is promised, for one case; panics where a promise is broken.
    async fn try_case(&self, kind: &Kind, case: Case) {
        let world = World::new(self.size);
        let tenant = &world.tenant;
        let mut mirror = Mirror::with(tenant, &self.config);
        world.edit().await;
        if kind.login {
            mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
            mirror.add_profile("default").await;
            mirror.log_in("default", "demo");
        }
        copy::clone(&self.template.path(""), &mirror.path(""));
        tenant.forget_calls();
        world.cut_the_large_one();
        let times = if case.always { usize::MAX } else { 1 };
        tenant.fault(Fault::new("*", "*", kind.effect.clone()).times(times).nth(case.index));

        let hours = if case.always { 72 } else { 3 };
        let run = tokio::time::timeout(Duration::from_secs(hours * 3600), mirror.sync()).await;
        let run = run.expect("the run ends");
        self.check_calls(kind, case, &world);
        self.check_exit(kind, case, &run, &mirror);
        self.check_copy(kind, &run, &mirror).await;

        tenant.calm();
        world.cut_the_large_one();
        // What may not be read is asked for again after a week, and so are comments.
        let again = kind.name == "lost permission" || is_deceived(kind);
        let wait = if again { 8 * 86_400 } else { 3600 };
        tokio::time::advance(Duration::from_secs(wait)).await;
        let healed = mirror.sync().await.success();
        let mut after = Copy::of(&mirror);
        if after != self.last && after == self.first {
            mirror.sync().await.success();
            after = Copy::of(&mirror);
        }
        let differing = after.differing(&self.last);
        assert!(
            differing.is_empty(),
            "after it healed: {differing:#?}\n{}\nhealed:\n{}{}",
            told(&run),
            healed.out,
            healed.err
        );
        let before = mirror.snapshot();
        let quiet = mirror.sync().await.success();
        assert_eq!(quiet.changes(), [""; 0], "not quiet");
        assert_eq!(mirror.changed_since(&before), [""; 0]);
    }

    fn check_calls(&self, kind: &Kind, case: Case, world: &World) {
        let tenant = &world.tenant;
        assert_eq!(tenant.overruns(), [""; 0], "no window is exceeded");
        let throttles = matches!(kind.effect, Effect::RateLimit { .. });
        if !throttles {
            assert_eq!(tenant.rate_limited(), 0, "nothing is refused");
        }
        let most = match (case.always, throttles) {
            (false, _) => self.calls.len() + 40,
            (true, false) => (self.calls.len() + 40) * (RETRIES + 1),
            // Every request lets itself be put off for half an hour.
            (true, true) => (self.calls.len() + 40) * 61,
        };
        let made = tenant.total_calls();
        assert!(made <= most, "{made} calls, at most {most}");
    }

    fn check_exit(&self, kind: &Kind, case: Case, run: &Run, mirror: &Mirror) {
        assert!([0, 1, 2, 4, 6].contains(&run.code), "exit {}\n{}", run.code, told(run));
        let summary = run.events().pop();
        if let Some(summary) = summary.filter(|event| event["event"] == "summary") {
            assert_eq!(summary["exit_code"], run.code);
            assert_eq!(summary["complete"], run.code == 0);
        }
        let deceived = is_deceived(kind);
        match run.code {
            0 if !deceived => {
                let copy = Copy::of(mirror);
                let differing = copy.differing(&self.first);
                assert!(
                    differing.is_empty() || copy == self.last,
                    "exit 0, but {differing:#?}\n{}",
                    told(run)
                );
            }
            4 => assert!(kind.name.starts_with("expired"), "exit 4\n{}", told(run)),
            6 => assert!(deceived, "exit 6\n{}", told(run)),
            0 => {}
            _ => {
                let words = ["error: ", "failed  ", "not listed  ", "warning: "];
                assert!(words.iter().any(|word| run.err.contains(word)), "{}", told(run));
            }
        }
        let harmless = ["slow"].contains(&kind.name)
            || (!case.always && kind.login)
            || (!case.always && matches!(kind.effect, Effect::RateLimit { .. }));
        assert!(!harmless || run.code == 0, "{}", told(run));
    }

    async fn check_copy(&self, kind: &Kind, run: &Run, mirror: &Mirror) {
        let copy = Copy::of(mirror);
        let lines = listed(mirror).await;
        let place: HashMap<&str, Key> = lines
            .iter()
            .map(|line| (line.path.as_str(), (line.source.clone(), line.token.clone())))
            .collect();
        let mut there: HashSet<Hash> = HashSet::new();
        for (path, node) in &copy.0 {
            if let Node::Link { to, there } = node {
                assert!(there, "{path} -> {to} dangles\n{}", told(run));
            }
            let Node::File { .. } = node else { continue };
            let bytes = std::fs::read(mirror.path(path)).unwrap();
            let key = place.get(path.as_str());
            let key = key.unwrap_or_else(|| panic!("{path} is a stranger\n{}", told(run)));
            let hash = copy::content(path, &bytes);
            assert!(
                self.versions.get(key).is_some_and(|versions| versions.contains(&hash))
                    || (is_deceived(kind) && is_believed(path)),
                "{path} was never so at {key:?}: {:?}\n{}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(900)]),
                told(run)
            );
            there.insert(hash);
        }
        // Nothing of what still exists is lost; of what is gone, all or nothing.
        let has = |key: &Key| self.versions[key].iter().any(|hash| there.contains(hash));
        let lost: BTreeSet<&Key> =
            self.before.keys().filter(|key| self.versions.contains_key(key) && !has(key)).collect();
        let planned = prunes(run);
        for key in &lost {
            assert!(self.going.contains(*key), "{key:?} is still there, and lost\n{}", told(run));
        }
        for source in ["drive", "wiki", "pinned", "attic"] {
            let lost: BTreeSet<&Key> = lost.iter().copied().filter(|key| key.0 == source).collect();
            let planned: BTreeSet<&Key> = planned
                .iter()
                .filter(|key| {
                    key.0 == source
                        && self.before.contains_key(*key)
                        && self.versions.contains_key(*key)
                })
                .collect();
            assert!(
                lost.is_empty() || lost == planned,
                "{source}: a part was pruned: {lost:?} of {planned:?}\n{}",
                told(run)
            );
        }
    }
}

/// A listing that comes whole and empty cannot be told from that of an empty folder, or of
/// a document without comments.
fn is_deceived(kind: &Kind) -> bool {
    matches!(kind.effect, Effect::EmptyListing)
}

/// Of these nothing else tells that there are any.
fn is_believed(path: &str) -> bool {
    path.ends_with(".comments.json") || path.contains(".tables/")
}

fn told(run: &Run) -> String {
    format!("exit {}\n{}\n{}", run.code, run.out, run.err)
}

impl Reference {
    /// Where a kind can do something.
    fn indices(&self, kind: &Kind) -> Vec<usize> {
        let all = self.calls.iter().enumerate();
        all.filter(|(_, pattern)| !kind.lists || is_listing(pattern)).map(|(n, _)| n + 1).collect()
    }

    /// Every case; or a sample with each kind, and as many endpoints.
    fn cases(&self, kinds: &[Kind], whole: bool) -> Vec<Case> {
        let mut cases = Vec::new();
        for (kind, about) in kinds.iter().enumerate() {
            let indices = self.indices(about);
            if whole {
                let of = |index| [false, true].map(|always| Case { kind, index, always });
                cases.extend(indices.into_iter().flat_map(of));
                continue;
            }
            let mut seen = BTreeSet::new();
            let first = |index: &usize| seen.insert(&self.calls[index - 1]);
            let firsts: Vec<usize> = indices.into_iter().filter(first).collect();
            let index = firsts[kind * 3 % firsts.len()];
            // Half an hour of rate limits for each call is for the long run.
            let throttles = matches!(about.effect, Effect::RateLimit { .. });
            cases.push(Case { kind, index, always: kind % 3 == 1 && !throttles });
        }
        cases
    }
}

#[test]
fn long_every_fault_at_every_call() {
    let reference = Reference::new(scale(1, 8));
    let kinds = kinds();
    let mut cases = reference.cases(&kinds, scale(0, 1) == 1);
    if let Ok(only) = std::env::var("FEISHU_MIRROR_FAULT") {
        // `kind,index,once|always`, as a failure prints it.
        let parts: Vec<&str> = only.split(',').collect();
        let kind = kinds.iter().position(|kind| kind.name == parts[0]).expect("a kind");
        let always = parts.get(2) == Some(&"always");
        cases = match parts.get(1).and_then(|n| n.parse().ok()) {
            Some(index) => vec![Case { kind, index, always }],
            None => cases.into_iter().filter(|case| case.kind == kind).collect(),
        };
    }
    println!("{} kinds at {} calls", kinds.len(), reference.calls.len());
    let cases = part(cases);
    in_parallel(
        "faults",
        &cases,
        |case| {
            let mode = if case.always { "always" } else { "once" };
            format!("{},{},{mode}", kinds[case.kind].name, case.index)
        },
        |case| runtime().block_on(reference.try_case(&kinds[case.kind], *case)),
    );
}
