//! What `sync` and `diff` do alike, up to the plan: choose, check, walk, look, ask.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Session;
use super::ahead::Ahead;
use super::exit::{self, Problem};
use super::identity::{self, Identified};
use super::survey::{Manifest, Survey};
use super::upkeep;
use super::walks::Walks;
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
    /// `--full`.
    pub full: bool,
    /// `--accept-identity-change`.
    pub accepts_change: bool,
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
        let (full, accepts_change) = (flags.full, flags.accept_identity_change);
        Ok(Self {
            config,
            sources,
            rules,
            options,
            full,
            accepts_change,
            who,
            client,
            deadline,
            began_ms,
        })
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

    /// Walks the sources, or looks at what is known of them; looks at the disk, and asks
    /// until the plan can be made. `kept`: walks of earlier runs, and of this one.
    ///
    /// # Errors
    /// Only what ends the run, an interrupt included.
    pub async fn observe(
        self: &Arc<Self>,
        session: &Session,
        manifest: &Manifest,
        disk: &Arc<Disk>,
        reporter: &Arc<Reporter>,
        (kept, ahead): (&Walks, Option<&Ahead<'_>>),
    ) -> Result<Observed, Problem> {
        let stop = self.walk_ends_at(session);
        let (survey, answers) =
            self.survey(session, manifest, disk, reporter, (&stop, kept, ahead)).await?;
        let now_secs = session.clock.now_secs();
        let mut observed = Observed { survey, answers, now_secs };
        let mut asked = plan::Questions::default();
        loop {
            let questions = plan::questions(&observed.inputs(self));
            #[cfg(feature = "test-hooks")]
            observed.compare_questions(self, &questions);
            // Asking the same again would not end: what has no answer by now is planned
            // as unknown.
            if questions.is_empty() || questions == asked {
                return Ok(observed);
            }
            let Observed { survey, answers, .. } = &mut observed;
            let tree = &survey.tree;
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
    pub survey: Survey,
    pub answers: Answers,
    pub now_secs: i64,
}

impl Observed {
    /// The same as the plan asks for it.
    pub fn inputs<'a>(&'a self, run: &'a Prepared) -> Inputs<'a> {
        let Survey { tree, recorded, local, .. } = &self.survey;
        self.inputs_of(run, (tree, recorded, local))
    }

    fn inputs_of<'a>(
        &'a self,
        run: &'a Prepared,
        (tree, recorded, local): (&'a RemoteTree, &'a Recorded, &'a LocalState),
    ) -> Inputs<'a> {
        Inputs {
            tree,
            recorded,
            local,
            rules: &run.rules,
            options: &run.options,
            answers: &self.answers,
            now_secs: self.now_secs,
        }
    }

    /// Decides.
    pub fn plan(&self, run: &Prepared) -> Plan {
        let plan = plan::plan(&self.inputs(run));
        #[cfg(feature = "test-hooks")]
        self.compare_plans(run, &plan);
        plan
    }

    /// Unchanged places that the plan does not name.
    fn quiet_places(&self) -> u64 {
        self.survey.tree.sources.values().map(|source| source.quiet.places).sum()
    }

    /// True where every source was walked completely.
    pub fn is_full(&self) -> bool {
        self.survey.tree.sources.values().all(crate::model::tree::RemoteSource::is_full)
    }

    /// The sources that were.
    pub fn full_sources(&self) -> BTreeSet<SourceName> {
        let full = self.survey.tree.sources.iter().filter(|(_, source)| source.is_full());
        full.map(|(name, _)| name.clone()).collect()
    }

    /// Sources that list nothing and never had anything: most likely a wrong identity, or
    /// nothing was shared with the app.
    pub fn empty_sources(&self, run: &Prepared) -> Vec<SourceName> {
        let place = |ty: &ObjType| *ty != ObjType::Space;
        let had = |name: &SourceName| {
            let rows = &self.survey.recorded.places;
            rows.iter().any(|(key, row)| key.source == *name && place(&row.object.ty))
        };
        run.sources
            .iter()
            .filter(|source| !source.allow_empty)
            .map(|source| &source.name)
            .filter(|name| {
                let Some(walked) = self.survey.tree.sources.get(name) else { return false };
                let whole = walked
                    .listings
                    .values()
                    .all(|l| matches!(l, Listing::Complete | Listing::Excluded));
                let some = walked.nodes.values().any(|node| place(&node.object.ty));
                whole && walked.quiet.places == 0 && !some && !had(name)
            })
            .cloned()
            .collect()
    }

    fn forbidden(&self) -> bool {
        self.survey.tree.sources.values().any(|source| {
            source.listings.values().any(|listing| matches!(listing, Listing::Forbidden(_)))
                || source.known.values().any(|known| *known == Existence::Hidden)
        })
    }
}

#[cfg(feature = "test-hooks")]
use crate::model::{Edited, change::ChangeKind};

#[cfg(feature = "test-hooks")]
impl Observed {
    /// In tests: what is left out of a plan must not be missing in it.
    fn compare_questions(&self, run: &Prepared, questions: &plan::Questions) {
        if let Some(whole) = self.survey.whole.as_deref() {
            let all = plan::questions(&self.inputs_of(run, (&whole.0, &whole.1, &whole.2)));
            assert_eq!(all, *questions, "questions differ where quiet places are left out");
        }
    }

    fn compare_plans(&self, run: &Prepared, plan: &Plan) {
        if let Some(whole) = self.survey.whole.as_deref() {
            let mut all = plan::plan(&self.inputs_of(run, (&whole.0, &whole.1, &whole.2)));
            let quiet = plan.unchanged.len() as u64 + self.quiet_places();
            assert_eq!(all.unchanged.len() as u64, quiet, "unchanged places");
            all.unchanged.clone_from(&plan.unchanged);
            let (all, plan) = (without_news(all), without_news(plan.clone()));
            assert_eq!(all, plan, "plans differ where quiet places are left out");
        }
    }
}

/// A plan less what it knows of places that come back for their damaged files: of these it
/// is told what is recorded, and neither their owner nor when they were listed.
#[cfg(feature = "test-hooks")]
fn without_news(mut plan: Plan) -> Plan {
    for fetch in &mut plan.fetches {
        if fetch.wants.iter().all(|want| want.change.kind == ChangeKind::Restore) {
            fetch.owner = None;
            fetch.edited = fetch.edited.map(|edited| Edited { seen_secs: 0, ..edited });
        }
    }
    plan
}

/// What a plan alone says about the end of the run; taken before `apply` consumes it.
pub struct Outlook {
    /// Places unchanged and left out.
    pub tally: Tally,
    /// Of the unchanged ones those that the plan does not name.
    pub quiet_places: u64,
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
    pub fn of(plan: &Plan, observed: &Observed, run: &Prepared) -> Self {
        let mut tally = Tally::default();
        tally.count_unchanged(observed.quiet_places());
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
        let empty = observed.empty_sources(run);
        let mut warnings = plan.warnings.clone();
        warnings.extend(empty.iter().map(|name| {
            format!(
                "source {:?} lists nothing: is anything shared with this identity, and is its \
                 folder or space right? If it is to be empty, set `allow_empty = true`",
                name.as_str()
            )
        }));
        // What stands there is neither known nor touched.
        let unreadable = &observed.survey.local.unreadable;
        warnings.extend(unreadable.iter().map(|path| {
            format!(
                "{path} cannot be read on this disk, so nothing in it was compared: is the disk \
                 sound, and may this user read the folder?"
            )
        }));
        let forbidden = observed.forbidden() && !run.rules.allow_forbidden;
        let partial = !unreadable.is_empty()
            || !plan.listing_failures.is_empty()
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
            quiet_places: observed.quiet_places(),
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

/// Runs something that waits for the disk where waiting holds up nobody else.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::disk::DiskError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Problem::from),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

pub(super) fn not_interrupted(session: &Session) -> Result<(), Problem> {
    if session.interrupt.is_cancelled() { Err(Problem::interrupted()) } else { Ok(()) }
}

/// How long a partial download is worth keeping.
pub const KEEP_PARTIAL: Duration = Duration::from_secs(7 * 86_400);
