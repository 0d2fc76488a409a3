//! What `sync` and `diff` do alike, up to the plan: choose, check, walk, look, ask.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Session;
use super::ahead::Ahead;
use super::exit::{self, Problem};
use super::identity::{self, Identified};
use super::upkeep;
use crate::cli::RunFlags;
use crate::config::Config;
use crate::crawl;
use crate::disk::Disk;
use crate::feishu::Client;
use crate::model::change::{Change, Failure, Rank, Tally};
use crate::model::local::LocalState;
use crate::model::recorded::{Recorded, Why};
use crate::model::source::Source;
use crate::model::tree::{Existence, Listing, RemoteTree};
use crate::model::{ObjType, SourceName};
use crate::plan::{self, Answers, Inputs, Options, Plan};
use crate::rules::{Globs, Rules};
use crate::ui::reporter::Reporter;
use crate::ui::summary::Summary;
use crate::ui::{Tone, Ui, text};

/// A run that may begin: the config is sound, the sources exist, there is a credential.
pub struct Prepared {
    pub config: Config,
    /// The sources of this run.
    pub sources: Vec<Source>,
    /// The config's rules, with what the flags say instead.
    pub rules: Rules,
    pub options: Options,
    /// Who asks.
    pub who: Identified,
    pub client: Client,
    /// Nothing new is begun after this.
    pub deadline: Option<tokio::time::Instant>,
    /// Milliseconds since 1970.
    began_ms: i64,
}

impl Prepared {
    /// Checks everything that can be checked before the first write.
    pub async fn new(session: &Session, flags: &RunFlags) -> Result<Self, Problem> {
        let began_ms = session.clock.now().as_millisecond();
        let config = session.config()?;
        let sources = choose(&config, &flags.sources)?;
        let mut rules = config.rules.clone();
        if let Some(limit) = flags.max_delete {
            rules.max_delete = limit;
        }
        let force = match flags.force.as_slice() {
            [] => None,
            patterns => Some(Globs::new(patterns.iter().map(String::as_str)).map_err(|error| {
                Problem::new(exit::USAGE, format!("--force: {error}"))
                    .hint("patterns look like 'drive/2024/**'")
            })?),
        };
        let options = Options {
            no_prune: flags.no_prune,
            force,
            retry_failed: flags.retry_failed,
            adopt: flags.adopt,
        };
        let who = identity::identify(session, &config, &sources, flags).await?;
        let client = who.client.clone();
        let deadline = flags.max_time.map(|length| tokio::time::Instant::now() + length);
        Ok(Self { config, sources, rules, options, who, client, deadline, began_ms })
    }

    /// Names the run after the second in which it began.
    pub fn run_id(&self) -> String {
        upkeep::run_id(self.began_ms)
    }

    /// Calls and time so far.
    pub fn measure(&self, session: &Session, summary: &mut Summary) {
        let passed = session.clock.now().as_millisecond() - self.began_ms;
        summary.elapsed_ms = u64::try_from(passed).unwrap_or(0);
        summary.api_requests = self.client.requests();
    }

    /// Walks the sources, looks at the disk, and asks until the plan can be made.
    ///
    /// # Errors
    /// Only what ends the run, an interrupt included.
    pub async fn observe(
        self: &Arc<Self>,
        session: &Session,
        recorded: &Recorded,
        disk: &Arc<Disk>,
        reporter: &Arc<Reporter>,
        ahead: Option<&Ahead<'_>>,
    ) -> Result<Observed, Problem> {
        let stop = self.walk_ends_at(session);
        let walk = crawl::crawl(
            &self.client,
            &self.sources,
            &self.rules,
            self.who.as_user,
            &**reporter,
            &stop,
            ahead.map(|ahead| ahead as &dyn crawl::Listener),
        );
        let tree = walk.await?;
        let mut answers = Answers::default();
        if let Some(ahead) = ahead {
            answers.revisions.extend(ahead.walk_is_over().await);
        }
        not_interrupted(session)?;
        self.who.compare_roots(&tree, recorded)?;
        let local = look_at(disk, recorded).await?;
        let mut observed = Observed { tree, local, answers, now_secs: session.clock.now_secs() };
        let mut asked = plan::Questions::default();
        loop {
            let questions = plan::questions(&observed.inputs(self, recorded));
            // Asking the same again would not end: what has no answer by now is planned
            // as unknown.
            if questions.is_empty() || questions == asked {
                return Ok(observed);
            }
            let Observed { tree, answers, .. } = &mut observed;
            crawl::ask(&self.client, &questions, tree, answers, &**reporter, &stop).await?;
            not_interrupted(session)?;
            asked = questions;
        }
    }

    /// The walk ends at an interrupt, and at the deadline.
    fn walk_ends_at(&self, session: &Session) -> CancellationToken {
        let stop = session.interrupt.child_token();
        if let Some(deadline) = self.deadline {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep_until(deadline) => stop.cancel(),
                    () = stop.cancelled() => {}
                }
            });
        }
        stop
    }
}

/// What a run saw before it decides.
pub struct Observed {
    pub tree: RemoteTree,
    pub local: LocalState,
    pub answers: Answers,
    pub now_secs: i64,
}

impl Observed {
    /// The same as the plan asks for it.
    pub fn inputs<'a>(&'a self, run: &'a Prepared, recorded: &'a Recorded) -> Inputs<'a> {
        Inputs {
            tree: &self.tree,
            recorded,
            local: &self.local,
            rules: &run.rules,
            options: &run.options,
            answers: &self.answers,
            now_secs: self.now_secs,
        }
    }

    /// True where every source was walked completely.
    pub fn is_full(&self) -> bool {
        self.tree.sources.values().all(crate::model::tree::RemoteSource::is_full)
    }

    /// Sources that list nothing and never had anything: most likely a wrong identity, or
    /// nothing was shared with the app.
    pub fn empty_sources(&self, run: &Prepared, recorded: &Recorded) -> Vec<SourceName> {
        let place = |ty: &ObjType| *ty != ObjType::Space;
        let had = |name: &SourceName| {
            recorded.places.iter().any(|(key, row)| key.source == *name && place(&row.object.ty))
        };
        run.sources
            .iter()
            .filter(|source| !source.allow_empty)
            .map(|source| &source.name)
            .filter(|name| {
                let Some(walked) = self.tree.sources.get(name) else { return false };
                let whole = walked
                    .listings
                    .values()
                    .all(|l| matches!(l, Listing::Complete | Listing::Excluded));
                whole && !walked.nodes.values().any(|node| place(&node.object.ty)) && !had(name)
            })
            .cloned()
            .collect()
    }

    fn forbidden(&self) -> bool {
        self.tree.sources.values().any(|source| {
            source.listings.values().any(|listing| matches!(listing, Listing::Forbidden(_)))
                || source.known.values().any(|known| *known == Existence::Hidden)
        })
    }
}

/// What a plan alone says about the end of the run; taken before `apply` consumes it.
pub struct Outlook {
    /// Places unchanged and left out.
    pub tally: Tally,
    /// 0, 2 or 6.
    pub code: u8,
    warnings: Vec<String>,
    guards: Vec<String>,
    listing_failures: Vec<(SourceName, Failure)>,
    /// Wanted, without a current copy, and not asked again in this run.
    wanting: Vec<(Change, Failure)>,
}

impl Outlook {
    /// Reads it off.
    pub fn of(plan: &Plan, observed: &Observed, run: &Prepared, recorded: &Recorded) -> Self {
        let mut tally = Tally::default();
        for place in &plan.unchanged {
            tally.count(place.clone(), Rank::Unchanged);
        }
        let mut wanting = Vec::new();
        for skip in &plan.skips {
            tally.count(skip.change.place(), Rank::Skipped);
            let allowed = run.rules.allow_forbidden && skip.why == Some(Why::Forbidden);
            if skip.why.is_some_and(Why::is_want) && !allowed {
                let failure = skip.failure.clone().unwrap_or_else(|| Failure {
                    code: None,
                    message: skip.change.reason.clone().unwrap_or_default(),
                    hint: None,
                    retryable: true,
                });
                wanting.push((skip.change.clone(), failure));
            }
        }
        let empty = observed.empty_sources(run, recorded);
        let mut warnings = plan.warnings.clone();
        warnings.extend(empty.iter().map(|name| {
            format!(
                "source {:?} lists nothing: is anything shared with this identity, and is its \
                 folder or space right? If it is to be empty, set `allow_empty = true`",
                name.as_str()
            )
        }));
        let forbidden = observed.forbidden() && !run.rules.allow_forbidden;
        let partial = !plan.listing_failures.is_empty()
            || !wanting.is_empty()
            || !empty.is_empty()
            || forbidden;
        let code = match (plan.guards.is_empty(), partial) {
            (false, _) => exit::GUARDED,
            (true, true) => exit::PARTIAL,
            (true, false) => exit::DONE,
        };
        let guards = plan.guards.iter();
        Self {
            tally,
            code,
            warnings,
            guards: guards.map(|guard| format!("{}: {}", guard.source, guard.message)).collect(),
            listing_failures: plan.listing_failures.clone(),
            wanting,
        }
    }

    /// Says on stderr what stands in the way, each with what to do.
    pub fn print(&self, ui: &Ui, reporter: &Reporter) {
        reporter.end_bars();
        for warning in &self.warnings {
            ui.warn(warning);
        }
        reporter.print_problems();
        if !reporter.listing_failed() {
            for (source, failure) in &self.listing_failures {
                reporter.problem("not listed", Tone::Bad, source.as_str(), "", failure);
            }
        }
        for (change, failure) in &self.wanting {
            reporter.problem("no copy", Tone::Warn, change.path.as_str(), "", failure);
        }
        for guard in &self.guards {
            ui.problem(Tone::Bad, "refused", &format!("  {}", text::escaped_lines(guard)));
        }
    }
}

/// Every change of a plan, by path.
pub fn changes(plan: &Plan) -> Vec<&Change> {
    let moves = plan.asides.iter().chain(&plan.moves);
    let moves = moves.flat_map(|relocation| relocation.changes.iter().map(|(_, change)| change));
    let prunes = plan
        .prunes
        .iter()
        .flat_map(|prune| prune.products.iter().map(|(_, change)| change).chain(&prune.folder));
    let mut all: Vec<&Change> = moves
        .chain(plan.folders.iter().filter_map(|folder| folder.change.as_ref()))
        .chain(plan.fetches.iter().flat_map(|fetch| fetch.wants.iter().map(|want| &want.change)))
        .chain(plan.rewrites.iter().map(|rewrite| &rewrite.change))
        .chain(plan.touches.iter().map(|touch| &touch.change))
        .chain(plan.urls.iter().map(|url| &url.change))
        .chain(plan.links.iter().map(|link| &link.change))
        .chain(prunes)
        .chain(plan.skips.iter().map(|skip| &skip.change))
        .collect();
    all.sort_by(|a, b| (&a.path, a.kind, a.format).cmp(&(&b.path, b.kind, b.format)));
    all
}

/// The sources named on the command line, in the config's order; all where none is.
fn choose(config: &Config, names: &[String]) -> Result<Vec<Source>, Problem> {
    let known: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let near = crate::config::nearest(unknown, &known)
            .map(|near| format!("; did you mean {near:?}?"))
            .unwrap_or_default();
        return Err(Problem::failed(format!("there is no source {unknown:?} in the config{near}"))
            .hint(format!("{} has: {}", config.file.display(), known.join(", "))));
    }
    let chosen = |source: &&Source| {
        names.is_empty() || names.iter().any(|name| name == source.name.as_str())
    };
    Ok(config.sources.iter().filter(chosen).cloned().collect())
}

/// Scans the copy, and hashes the files that only their bytes can vouch for.
async fn look_at(disk: &Arc<Disk>, recorded: &Recorded) -> Result<LocalState, Problem> {
    let scanner = disk.clone();
    let mut local = blocking(move || scanner.scan()).await?;
    let doubtful = plan::needs_hash(recorded, &local);
    if doubtful.is_empty() {
        return Ok(local);
    }
    let hasher = disk.clone();
    let hashes = blocking(move || {
        let mut hashes = Vec::with_capacity(doubtful.len());
        for at in doubtful {
            // One that cannot be read is left without a hash: the plan restores it.
            if let Ok(hash) = hasher.hash(&at) {
                hashes.push((at, hash));
            }
        }
        Ok(hashes)
    })
    .await?;
    local.hashes.extend(hashes);
    Ok(local)
}

/// Runs something that waits for the disk where waiting holds up nobody else.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::disk::DiskError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Problem::from),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn not_interrupted(session: &Session) -> Result<(), Problem> {
    if session.interrupt.is_cancelled() { Err(Problem::interrupted()) } else { Ok(()) }
}

/// How long a partial download is worth keeping.
pub const KEEP_PARTIAL: Duration = Duration::from_secs(7 * 86_400);
