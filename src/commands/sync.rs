//! `sync`: observes, decides, acts.

use std::sync::Arc;

use super::ahead::Ahead;
use super::exit::{self, Problem};
use super::observe::{KEEP_PARTIAL, Outlook, Prepared, changes};
use super::{Session, home, upkeep};
use crate::apply::{self, Early, Errands, Fetching, Settings, Tools};
use crate::cli::RunFlags;
use crate::disk::Disk;
use crate::model::change::Event;
use crate::model::recorded::Recorded;
use crate::plan;
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

impl Run<'_> {
    /// Everything between the lock and the summary; returns the exit code.
    async fn work(&self, summary: &mut Summary) -> Result<u8, Problem> {
        let prepared = self.prepared;
        // Whoever this run is for must be known before it writes.
        prepared.who.confirm(self.store.recorded_account()?.as_ref())?;
        upkeep::settle(&self.disk, &self.store)?;
        self.reporter.log_to(self.disk.run_log(&self.id)?);
        let recorded = self.store.load()?;

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
        let decided = Box::pin(self.decide(summary, &recorded, &fetching, errands, &mut early));
        let decided = decided.await;
        let (plan, outlook) = match decided {
            Ok(decided) => decided,
            Err(problem) => {
                fetching.give_up(early).await;
                return Err(problem);
            }
        };
        let mut report = apply::apply(plan, recorded, &fetching, early).await?;
        summary.bytes = report.bytes;
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
        recorded: &Recorded,
        fetching: &Fetching,
        errands: Errands,
        early: &mut Early<'_>,
    ) -> Result<(plan::Plan, Outlook), Problem> {
        let prepared = self.prepared;
        let before = self.store.recorded_account()?;
        let account = prepared.who.confirm(before.as_ref())?;
        let ahead = Ahead::new(prepared, recorded, fetching, errands);
        let (disk, reporter) = (&self.disk, &self.reporter);
        let walk = prepared.observe(self.session, recorded, disk, reporter, Some(&ahead));
        let observed = early.beside(Box::pin(walk)).await?;
        summary.full = observed.is_full();
        // Only now it is certain that this identity sees what the mirror holds.
        if let Some(account) = &account {
            self.store.set_account(account)?;
            if before.is_none() && !recorded.places.is_empty() {
                let whose = if prepared.who.as_user { "this user's" } else { "the app's" };
                self.session.ui.note(&format!("from now on this mirror is {whose}"));
            }
        }
        self.tidy()?;
        let plan = plan::plan(&observed.inputs(prepared, recorded));
        let outlook = Outlook::of(&plan, &observed, prepared, recorded);
        drop(observed);
        for change in changes(&plan) {
            self.reporter.event(&Event::Change { change: change.clone() });
        }

        Ok((plan, outlook))
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
