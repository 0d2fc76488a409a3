//! `diff`: prints what `sync` would do, and writes nothing.

use std::sync::Arc;

use super::exit::{self, Problem};
use super::observe::{Outlook, Prepared, changes};
use super::survey::Manifest;
use super::walks::Walks;
use super::{Session, home};
use crate::apply;
use crate::cli::RunFlags;
use crate::model::change::Event;
use crate::progress::Progress;
use crate::ui::reporter::{Reporter, change_line};
use crate::ui::summary::Summary;

/// Compares and prints.
pub async fn run(session: &Session, flags: &RunFlags, exit_code: bool) -> Result<u8, Problem> {
    let run = Arc::new(Prepared::new(session, flags).await?);
    let seen = home::glimpse(session, &run.config, flags.init)?;
    // What a crash left open is settled here in memory, as `sync` would on disk.
    let settled = apply::settle(&seen.disk, &seen.intents)?;
    let known = match seen.rows {
        Some(rows) if settled.is_empty() => Manifest::Rows(Box::new(rows)),
        rows => Manifest::Whole(home::settled(rows.as_ref(), &settled)?),
    };
    let disk = Arc::new(seen.disk);
    let reporter = Arc::new(Reporter::new(&session.ui, &session.clock));
    let mut summary = Summary::new("diff", &run.run_id());

    let done = async {
        let walks = Walks::new(&disk, false);
        let observed = run.observe(session, &known, &disk, &reporter, (&walks, None)).await?;
        let plan = observed.plan(&run);
        let outlook = Outlook::of(&plan, &observed, &run);
        reporter.end_bars();
        let mut tally = outlook.tally.clone();
        for change in changes(&plan) {
            tally.count(change.place(), change.kind.into());
            if session.ui.is_json() {
                reporter.event(&Event::Change { change: change.clone() });
            } else {
                session.ui.line(&change_line(&session.ui, change));
            }
        }
        summary.tally(&tally);
        summary.full = observed.is_full();
        outlook.print(&session.ui, &reporter);
        Ok(outlook.code)
    };
    let result: Result<u8, Problem> = done.await;
    reporter.end_bars();
    let mut code = match &result {
        Ok(code) => *code,
        Err(problem) => problem.code,
    };
    if exit_code && summary.differences() > 0 {
        code = exit::worst(code, exit::DIFFERENT);
    }
    summary.exit_code = code;
    summary.complete = matches!(code, exit::DONE | exit::DIFFERENT);
    run.measure(session, &mut summary);
    match result {
        Ok(_) => reporter.summary(&summary),
        // People are told once, by the error.
        Err(_) if session.ui.is_json() => reporter.summary(&summary),
        Err(_) => {}
    }
    drop(seen.lock);
    result.map(|_| code)
}
