//! `prune`: the prune rules, applied to what an earlier run found to be gone.

use std::sync::Arc;

use super::exit::{self, Problem};
use super::observe::changes;
use super::{Session, home, upkeep};
use crate::apply::{self, Settings};
use crate::cli::upkeep::Prune;
use crate::config::Config;
use crate::model::SourceName;
use crate::model::change::{Event, Tally};
use crate::model::recorded::{PlaceState, Recorded};
use crate::plan::{self, Plan};
use crate::progress::Progress;
use crate::rules::Rules;
use crate::ui::reporter::{Reporter, change_line};
use crate::ui::summary::Summary;
use crate::ui::text::{counted, escaped_lines};
use crate::ui::{Tone, Ui};

/// Prunes, or says what it would.
pub async fn run(session: &Session, args: &Prune) -> Result<u8, Problem> {
    let began_ms = session.clock.now().as_millisecond();
    let config = session.config()?;
    let mut rules = config.rules.clone();
    if let Some(limit) = args.max_delete {
        rules.max_delete = limit;
    }
    let run_id = upkeep::run_id(began_ms);
    let ended = |summary: &mut Summary, code: u8| {
        summary.exit_code = code;
        summary.complete = code == exit::DONE;
        let passed = session.clock.now().as_millisecond() - began_ms;
        summary.elapsed_ms = u64::try_from(passed).unwrap_or_default();
    };
    if args.dry_run {
        let mut summary = Summary { dry_run: true, ..Summary::new("prune", &run_id) };
        let code = foretell(session, &config, &rules, &mut summary)?;
        ended(&mut summary, code);
        summary.print(&session.ui);
        return Ok(code);
    }
    let Some(opened) = home::open_known(session, &config, &run_id)? else {
        session.ui.note("nothing is mirrored yet; run `feishu-mirror sync`");
        return Ok(exit::DONE);
    };
    let (disk, store) = (Arc::new(opened.disk), Arc::new(opened.store));
    let run_id = upkeep::free_run_id(&disk, &run_id)?;
    let mut summary = Summary::new("prune", &run_id);
    let reporter = Arc::new(Reporter::new(&session.ui, &session.clock));
    let work = async {
        upkeep::settle(&disk, &store)?;
        let retention = upkeep::secs(config.trash_retention);
        disk.empty_trash(session.clock.now_secs(), retention)?;
        reporter.log_to(disk.run_log(&run_id)?);
        let recorded = store.load()?;
        let plan = plan::prune_known(&recorded, &rules);
        say_kept(&session.ui, &recorded, &plan, &rules);
        let mut code = refused(&session.ui, &plan);
        for change in changes(&plan) {
            reporter.event(&Event::Change { change: change.clone() });
        }
        let tools = apply::Removers {
            disk: disk.clone(),
            store: store.clone(),
            progress: reporter.clone(),
            clock: session.clock.clone(),
            stop: session.interrupt.clone(),
        };
        let mut report =
            apply::prune(plan.prunes, recorded, &tools, &settings(&config, &run_id)).await?;
        reporter.print_problems();
        summary.tally(&report.tally);
        for warning in &report.warnings {
            session.ui.warn(warning);
        }
        if report.partial {
            code = exit::worst(code, exit::PARTIAL);
        }
        if let Some(stop) = report.stopped.take() {
            let problem = Problem::from(stop);
            session.ui.error(&problem.message, problem.hint.as_deref());
            code = exit::worst(code, problem.code);
        }
        Ok::<u8, Problem>(code)
    };
    let result = work.await;
    let written = upkeep::write_index(session, &disk, &store, &run_id);
    let mut code = exit::DONE;
    for problem in [result.map(|done| code = done), written].into_iter().filter_map(Result::err) {
        session.ui.error(&problem.message, problem.hint.as_deref());
        code = exit::worst(code, problem.code);
    }
    ended(&mut summary, code);
    reporter.summary(&summary);
    if let Err(error) = disk.trim_run_logs(config.keep_runs) {
        session.ui.warn(&format!("old run logs stay: {error}"));
    }
    // Only now another run may begin.
    drop(opened.lock);
    Ok(code)
}

/// Prints what would be removed, and changes nothing.
fn foretell(
    session: &Session,
    config: &Config,
    rules: &Rules,
    summary: &mut Summary,
) -> Result<u8, Problem> {
    let seen = home::glimpse(session, config, false)?;
    let settled = apply::settle(&seen.disk, &seen.intents)?;
    let recorded = home::settled(seen.rows.as_ref(), &settled)?;
    let plan = plan::prune_known(&recorded, rules);
    say_kept(&session.ui, &recorded, &plan, rules);
    let mut tally = Tally::default();
    for change in changes(&plan) {
        tally.count(change.place(), change.kind.into());
        if session.ui.is_json() {
            session.ui.json(&Event::Change { change: change.clone() });
        } else {
            session.ui.line(&change_line(&session.ui, change));
        }
    }
    summary.tally(&tally);
    let code = refused(&session.ui, &plan);
    drop(seen.lock);
    Ok(code)
}

/// Says which guards refused; the exit code that follows.
fn refused(ui: &Ui, plan: &Plan) -> u8 {
    for guard in &plan.guards {
        let text = format!("  {}: {}", guard.source, guard.message);
        ui.problem(Tone::Bad, "refused", &escaped_lines(&text));
    }
    if plan.guards.is_empty() { exit::DONE } else { exit::GUARDED }
}

/// Says why something that is known to be gone is not pruned.
fn say_kept(ui: &Ui, recorded: &Recorded, plan: &Plan, rules: &Rules) {
    let refused = |source: &SourceName| plan.guards.iter().any(|guard| guard.source == *source);
    let kept = recorded.places.iter().filter(|(key, row)| {
        matches!(row.state, PlaceState::Gone { .. })
            && !row.products.is_empty()
            && rules.sources.contains(&key.source)
            && !refused(&key.source)
            && !plan.prunes.iter().any(|prune| prune.place == **key)
    });
    let kept = kept.count() as u64;
    if kept > 0 {
        ui.note(&format!(
            "{} kept: the rules in [prune] say so, or a `delete` waits for a second full walk \
             (see `feishu-mirror ls --gone`)",
            counted(kept, "place that is gone is", "places that are gone are")
        ));
    }
}

/// Nothing is fetched: what the config says about that does not count.
fn settings(config: &Config, run_id: &str) -> Settings {
    Settings {
        run_id: run_id.to_owned(),
        concurrency: 1,
        export_timeout: config.limits.export_timeout,
        max_size: None,
        min_free: config.min_free,
        adopt: false,
        deadline: None,
        retries: 0,
        markdown: config.rules.markdown,
        allow_forbidden: config.rules.allow_forbidden,
    }
}
