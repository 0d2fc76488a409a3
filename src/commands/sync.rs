//! `sync`: observes, decides, acts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ahead::Ahead;
use super::exit::{self, Problem};
use super::observe::{KEEP_PARTIAL, Outlook, Prepared, changes};
use super::survey::{Manifest, Survey};
use super::walks::Walks;
use super::{Session, home, upkeep};
use crate::apply::{self, Early, Errands, Fetching, Settings, Tools};
use crate::cli::RunFlags;
use crate::disk::Disk;
use crate::model::SourceName;
use crate::model::change::Event;
use crate::model::recorded::Recorded;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::store::Store;
use crate::ui::reporter::Reporter;
use crate::ui::summary::Summary;

/// One run.
pub async fn run(session: &Session, flags: &RunFlags) -> Result<u8, Problem> {
    let prepared = Arc::new(Prepared::new(session, flags).await?);
    let config = &prepared.config;
    let opened = home::open(session, config, flags.init, &prepared.run_id())?;
    let (disk, store) = (Arc::new(opened.disk), Arc::new(opened.store));
    let writer = disk.clone();
    session.state_writer.set(move |name, bytes| {
        writer.write_state_file(name, bytes).map_err(std::io::Error::other)
    });
    let id = upkeep::free_run_id(&disk, &prepared.run_id())?;
    let reporter = Arc::new(Reporter::new(&session.ui, &session.clock));
    let mut summary = Summary::new("sync", &id);
    let run = Run { session, flags, prepared: &prepared, disk, store, id, reporter };

    let result = run.work(&mut summary).await;
    let written = run.write_index();
    let result = match (result, written) {
        (Ok(code), Err(problem)) => {
            session.ui.error(&problem.message, problem.hint.as_deref());
            Ok(exit::worst(code, problem.code))
        }
        (result, _) => result,
    };
    let code = match &result {
        Ok(code) => *code,
        Err(problem) => problem.code,
    };
    run.reporter.end_bars();
    if let Err(problem) = &result {
        session.ui.error(&problem.message, problem.hint.as_deref());
    }
    summary.exit_code = code;
    summary.complete = code == exit::DONE;
    prepared.measure(session, &mut summary);
    run.reporter.summary(&summary);
    if let Err(error) = run.disk.trim_run_logs(config.keep_runs) {
        session.ui.warn(&format!("old run logs stay: {error}"));
    }
    if let Some(Err(error)) = Arc::into_inner(run.store).map(Store::tidy) {
        session.ui.warn(&format!("the manifest stays larger than it need be: {error}"));
    }
    // Only now another run may begin.
    drop(opened.lock);
    Ok(code)
}

/// A run under way.
struct Run<'a> {
    session: &'a Session,
    flags: &'a RunFlags,
    prepared: &'a Arc<Prepared>,
    disk: Arc<Disk>,
    store: Arc<Store>,
    /// Names the run, its log and its trash.
    id: String,
    reporter: Arc<Reporter>,
}

/// What a run is going to do.
struct Decided {
    plan: Plan,
    outlook: Outlook,
    /// The rows that the plan is made of.
    recorded: Recorded,
    /// There are others.
    left_out: bool,
    /// Sources that were walked completely.
    whole: BTreeSet<SourceName>,
}

impl Run<'_> {
    /// Everything between the lock and the summary; returns the exit code.
    async fn work(&self, summary: &mut Summary) -> Result<u8, Problem> {
        let prepared = self.prepared;
        // Whoever this run is for must be known before it writes.
        prepared.who.confirm(self.store.recorded_account()?.as_ref())?;
        upkeep::settle(&self.disk, &self.store)?;
        self.reporter.log_to(self.disk.run_log(&self.id)?);
        // Before anything is staged.
        let now_secs = self.session.clock.now_secs();
        self.disk.sweep_staging(now_secs, upkeep::secs(KEEP_PARTIAL))?;

        let tools = Tools {
            client: prepared.client.clone(),
            disk: self.disk.clone(),
            store: self.store.clone(),
            progress: self.reporter.clone(),
            clock: self.session.clock.clone(),
            whose: prepared.who.print(),
            stop: self.session.interrupt.clone(),
        };
        let fetching = Fetching::new(&tools, &self.settings());
        let (errands, mut early) = fetching.early();
        let walks = Walks::new(&self.disk, true);
        let decided = Box::pin(self.decide(summary, &walks, &fetching, errands, &mut early));
        let Decided { plan, outlook, recorded, left_out, whole } = match decided.await {
            Ok(decided) => decided,
            Err(problem) => {
                fetching.give_up(early).await;
                return Err(problem);
            }
        };
        let mut report = apply::apply(plan, (recorded, left_out), &fetching, early).await?;
        let done = if report.walks_recorded { whole } else { BTreeSet::new() };
        walks.tidy(&prepared.config, &done)?;
        summary.bytes = report.bytes;
        report.tally.count_unchanged(outlook.quiet_places);
        summary.tally(&report.tally);
        outlook.print(&self.session.ui, &self.reporter);
        for warning in &report.warnings {
            self.session.ui.warn(warning);
        }
        let mut code = outlook.code;
        if report.partial {
            code = exit::worst(code, exit::PARTIAL);
        }
        if let Some(stop) = report.stopped.take() {
            let problem = Problem::from(stop);
            self.session.ui.error(&problem.message, problem.hint.as_deref());
            code = exit::worst(code, problem.code);
        }
        Ok(code)
    }

    /// Walks, fetching what is surely wanted meanwhile, and plans.
    async fn decide(
        &self,
        summary: &mut Summary,
        walks: &Walks,
        fetching: &Fetching,
        errands: Errands,
        early: &mut Early<'_>,
    ) -> Result<Decided, Problem> {
        let prepared = self.prepared;
        let before = self.store.recorded_account()?;
        let account = prepared.who.confirm(before.as_ref())?;
        let manifest = Manifest::Rows(Box::new(self.store.rows()?));
        let had_places = manifest.places()? > 0;
        let observed = {
            let ahead = Ahead::new(prepared, &manifest, fetching, errands);
            let (disk, reporter) = (&self.disk, &self.reporter);
            let beside = (walks, Some(&ahead));
            let walk = prepared.observe(self.session, &manifest, disk, reporter, beside);
            early.beside(Box::pin(walk)).await?
        };
        // Rows that are read keep the room of those that are written anew.
        drop(manifest);
        summary.full = observed.is_full();
        // Only now it is certain that this identity sees what the mirror holds.
        if let Some(account) = &account {
            self.store.set_account(account)?;
            if before.is_none() && had_places {
                let whose = if prepared.who.as_user { "this user's" } else { "the app's" };
                self.session.ui.note(&format!("from now on this mirror is {whose}"));
            }
        }
        self.tidy()?;
        let plan = observed.plan(prepared);
        let outlook = Outlook::of(&plan, &observed, prepared);
        walks.planned(&observed.survey.tree)?;
        let whole = observed.full_sources();
        for change in changes(&plan) {
            self.reporter.event(&Event::Change { change: change.clone() });
        }
        let Survey { recorded, left_out, .. } = observed.survey;
        Ok(Decided { plan, outlook, recorded, left_out, whole })
    }

    /// Throws away what nobody needs any more.
    fn tidy(&self) -> Result<(), Problem> {
        let now_secs = self.session.clock.now_secs();
        self.disk.empty_trash(now_secs, upkeep::secs(self.prepared.config.trash_retention))?;
        Ok(())
    }

    fn settings(&self) -> Settings {
        let config = &self.prepared.config;
        Settings {
            run_id: self.id.clone(),
            concurrency: config.limits.concurrency,
            export_timeout: config.limits.export_timeout,
            max_size: self.prepared.rules.max_size,
            min_free: config.min_free,
            adopt: self.flags.adopt,
            deadline: self.prepared.deadline,
            retries: config.limits.retries,
            markdown: self.prepared.rules.markdown,
            allow_forbidden: self.prepared.rules.allow_forbidden,
        }
    }

    /// Writes `index.jsonl` if a row changed.
    fn write_index(&self) -> Result<(), Problem> {
        upkeep::write_index(self.session, &self.disk, &self.store, &self.id)
    }
}
