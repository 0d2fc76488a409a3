//! `status`: the last run, what is mirrored, what waits, what it takes on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::account::Account;
use super::exit::{self, Problem};
use super::walks::{self, Progress};
use super::{Session, account, home, identity, ls, manifest};
use crate::auth::logins::{Health, Login};
use crate::config::Config;
use crate::disk::Disk;
use crate::faults::Faults;
use crate::feishu::{DayUse, Kept, QuotaKeeper, Slowed};
use crate::model::ObjType;
use crate::model::recorded::{PlaceState, Recorded};
use crate::ui::Tone;
use crate::ui::summary::Summary;
use crate::ui::text::{
    bytes, columns, count, counted, duration_ms, escaped, escaped_lines, minute,
};

/// So many waiting places are shown; `ls --failed` has them all.
const SHOWN: usize = 10;

/// Shows.
pub fn run(session: &Session) -> Result<u8, Problem> {
    let config = session.config()?;
    let status = Status::gather(session, &config)?;
    if session.ui.is_json() {
        session.ui.json(&status.to_json(&config));
    } else {
        status.print(session, &config);
    }
    Ok(exit::DONE)
}

struct Status {
    next: NextRun,
    budget: Budget,
    /// A run holds the mirror right now.
    at_work: bool,
    last: Option<LastRun>,
    seen: Option<manifest::Seen>,
    waiting: Vec<ls::Entry>,
    /// Live places of which no run fetched anything yet.
    unfetched: u64,
    mirrored_bytes: u64,
    trash: (u64, u64),
    free_bytes: Option<u64>,
    /// Of each source, when it was walked and how far a walk is.
    walks: Vec<Progress>,
}

/// Who the next run will be, as far as can be told without a call.
#[derive(Serialize)]
struct NextRun {
    /// `user` or `app`; `None`: no usable credential.
    identity: Option<&'static str>,
    profile: Option<String>,
    app_id: Option<String>,
    /// Name of the stored user.
    user: Option<String>,
    /// Of the stored login.
    health: Option<Health>,
    /// When renewals stop, seconds since 1970.
    grant_ends_secs: Option<i64>,
    /// What is the matter, and until when.
    warning: Option<String>,
    /// What to do about it.
    hint: Option<String>,
}

/// What is used of the quota, and what is left of it.
#[derive(Serialize)]
struct Budget {
    /// Of a run; `None`: any number.
    max_calls: Option<u64>,
    downloads: Vec<DayUse>,
    slowed: Vec<Slowed>,
    /// When the service last said that the month's calls are used up, seconds since 1970.
    month_spent_secs: Option<i64>,
}

impl Budget {
    fn of(session: &Session, config: &Config, account: Option<&Account>) -> Self {
        let file = account.and_then(|it| account::quota_file(session, it, Some(config)));
        let mut kept = file.map_or_else(Kept::default, |file| file.load());
        kept.prune(session.clock.now_secs());
        Self {
            max_calls: Some(config.limits.max_calls).filter(|most| *most != 0),
            downloads: kept.day_use(config.limits.quota_share),
            slowed: kept.slowed(),
            month_spent_secs: kept.month_spent_secs,
        }
    }

    /// Rows of the table; none where there is nothing to say.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let downloads = self.downloads.iter().map(|day| {
            let what = match day.endpoint.as_str() {
                it if it.contains("/files/") => "file downloads",
                it if it.contains("batch_get") => "links to media",
                _ => "media downloads",
            };
            let again = day.again_secs.map(|at| format!(", more from {}", minute(at)));
            let (calls, cap) = (count(day.calls), count(day.cap));
            format!("{calls} of {cap} {what} in 24 h{}", again.unwrap_or_default())
        });
        let slowed = self.slowed.iter().map(|class| {
            let percent = (class.rate * 100.0).round();
            format!("{} is called at {percent} % of its rate: it was throttled", class.endpoint)
        });
        let lines = downloads.chain(slowed).enumerate();
        lines.map(|(at, line)| (if at == 0 { "quota" } else { "" }, line)).collect()
    }

    fn warning(&self) -> Option<String> {
        let since = minute(self.month_spent_secs?);
        Some(format!(
            "the tenant's monthly call quota was used up on {since}; the next run makes one call \
             to find out whether it still is"
        ))
    }
}

impl NextRun {
    fn of(session: &Session, account: &Result<Account, Problem>) -> Self {
        let account = match account {
            Ok(account) => account,
            Err(problem) => {
                return Self {
                    identity: None,
                    profile: None,
                    app_id: None,
                    user: None,
                    health: None,
                    grant_ends_secs: None,
                    warning: Some(problem.message.clone()),
                    hint: problem.hint.clone(),
                };
            }
        };
        let now_secs = session.clock.now_secs();
        let login = account.login.as_ref();
        let warned = login.is_some_and(|login| login.warning(now_secs).is_some());
        Self {
            identity: Some(if account.is_user() { "user" } else { "app" }),
            profile: account.profile.as_ref().map(|profile| profile.name.clone()),
            app_id: account.app.as_ref().map(|app| app.id.clone()),
            user: login.map(|login| login.name.clone()),
            health: login.map(|login| login.health(now_secs)),
            grant_ends_secs: login.map(Login::grant_ends_at),
            warning: login.and_then(|login| login.warning(now_secs)),
            hint: account
                .profile
                .as_ref()
                .filter(|_| warned)
                .map(|profile| format!("run: feishu-mirror auth login --profile {}", profile.name)),
        }
    }

    fn text(&self) -> String {
        let app = self.app_id.as_deref().unwrap_or("an app");
        match (self.identity, &self.user, self.grant_ends_secs) {
            (None, ..) => "the next run cannot begin, see below".to_owned(),
            (_, Some(user), _) if self.health == Some(Health::NeedsRelogin) => {
                format!("user {} by {app}, whose login has ended", escaped(user))
            }
            (_, Some(user), Some(ends)) => {
                format!("user {} by {app}, for runs until {}", escaped(user), minute(ends))
            }
            (Some("user"), ..) => "a user, by FEISHU_USER_ACCESS_TOKEN".to_owned(),
            _ => format!("the app {app}"),
        }
    }
}

/// The newest run log.
struct LastRun {
    run_id: String,
    /// `None`: it did not come to its end.
    summary: Option<Summary>,
}

impl Status {
    fn gather(session: &Session, config: &Config) -> Result<Self, Problem> {
        let at_work = home::share(config).is_err();
        let seen = manifest::read(config)?;
        let disk = Disk::open(&config.path, &config.state, false, &Faults::default())?;
        let last = last_run(&disk, &config.state)?;
        let free_bytes = if disk.exists() { disk.free_bytes().ok() } else { None };
        let empty = Recorded::default();
        let recorded = seen.as_ref().map_or(&empty, |seen| &seen.recorded);
        let live = recorded.places.iter().filter(|(_, row)| row.state == PlaceState::Live);
        let unfetched = live.clone().filter(|(_, row)| row.is_unfetched()).count() as u64;
        let waiting = live.flat_map(|(key, row)| ls::wanting(recorded, key, row, "live")).collect();
        let products = recorded.places.values().flat_map(|row| row.products.values());
        let mirrored_bytes = products.map(|product| product.size).sum();
        let trash = usage(&config.state.join("trash"));
        let walks = walks::progress(config, &disk, &recorded.sources)?;
        let account = identity::resolve(session, config);
        let next = NextRun::of(session, &account);
        let budget = Budget::of(session, config, account.as_ref().ok());
        Ok(Self {
            next,
            budget,
            at_work,
            last,
            seen,
            waiting,
            unfetched,
            mirrored_bytes,
            trash,
            free_bytes,
            walks,
        })
    }

    /// Places by type, without spaces and what has no copy yet, and by what is not live.
    fn counts(&self) -> (BTreeMap<ObjType, u64>, BTreeMap<&'static str, u64>) {
        let (mut types, mut states) = (BTreeMap::new(), BTreeMap::new());
        for row in self.seen.iter().flat_map(|seen| seen.recorded.places.values()) {
            if row.object.ty == ObjType::Space || row.is_unfetched() {
                continue;
            }
            let state = match row.state {
                PlaceState::Live => {
                    *types.entry(row.object.ty.clone()).or_default() += 1;
                    continue;
                }
                PlaceState::Gone { .. } => "gone",
                PlaceState::Hidden { .. } => "hidden",
                PlaceState::Orphaned => "orphaned",
            };
            *states.entry(state).or_default() += 1;
        }
        (types, states)
    }

    fn to_json(&self, config: &Config) -> Value {
        let (types, states) = self.counts();
        let types: BTreeMap<String, u64> =
            types.into_iter().map(|(ty, number)| (ty.to_string(), number)).collect();
        json!({
            "event": "status",
            "config": config.file.display().to_string(),
            "path": config.path.display().to_string(),
            "running": self.at_work,
            "account": self.next,
            "last_run": self.last.as_ref().map(|last| json!({
                "run_id": last.run_id,
                "started_secs": began_secs(&last.run_id),
                "summary": last.summary,
            })),
            "budget": self.budget,
            "sources": self.walks,
            "types": types,
            "states": states,
            "waiting": self.waiting,
            "unfetched": self.unfetched,
            "bytes": self.mirrored_bytes,
            "trash_files": self.trash.0,
            "trash_bytes": self.trash.1,
            "free_bytes": self.free_bytes,
        })
    }

    fn print(&self, session: &Session, config: &Config) {
        let ui = &session.ui;
        let mut rows = vec![vec!["mirror".to_owned(), config.path.display().to_string()]];
        let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
        if self.at_work {
            row("now", "a run is at work".to_owned());
        }
        match &self.last {
            None => row("last run", "none yet; run `feishu-mirror sync`".to_owned()),
            Some(last) => {
                let began = began_secs(&last.run_id).map_or_else(|| last.run_id.clone(), minute);
                match &last.summary {
                    None if self.at_work => row("this run", format!("began {began}")),
                    None => row("last run", format!("{began}, did not come to its end")),
                    Some(summary) => {
                        let how = format!("{began}, exit {}", summary.exit_code);
                        if summary.nodes > 0 {
                            row("last run", format!("{how}: {}", summary.counts()));
                        } else {
                            row("last run", how);
                        }
                        let calls = counted(summary.api_requests, "API call", "API calls");
                        let most = self.budget.max_calls.map(|most| format!(" of {}", count(most)));
                        let most = most.unwrap_or_default();
                        let took = duration_ms(summary.elapsed_ms);
                        let received = bytes(summary.bytes);
                        row("", format!("{calls}{most}, {received} received, {took}"));
                    }
                }
            }
        }
        row("account", self.next.text());
        for (name, text) in self.budget.rows() {
            row(name, text);
        }
        for (at, walk) in self.walks.iter().filter(|_| self.seen.is_some()).enumerate() {
            row(if at == 0 { "walks" } else { "" }, walk.text());
        }
        let (types, states) = self.counts();
        let listed =
            |all: Vec<String>| if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
        let words = types.iter().map(|(ty, n)| format!("{} {}", count(*n), escaped(ty.as_str())));
        row("mirrored", listed(words.collect()));
        if !states.is_empty() {
            let words = states.iter().map(|(state, n)| format!("{} {state}", count(*n)));
            row("kept", listed(words.collect()));
        }
        let free =
            self.free_bytes.map(|free| format!(", {} free", bytes(free))).unwrap_or_default();
        row("disk", format!("{}{free}", bytes(self.mirrored_bytes)));
        if self.trash.0 > 0 {
            row(
                "trash",
                format!("{}, {}", counted(self.trash.0, "file", "files"), bytes(self.trash.1)),
            );
        }
        let (failed, one, many) =
            (self.waiting.len() as u64, "place has no current copy", "places have no current copy");
        let waiting = match (failed, self.unfetched) {
            (0, 0) => "nothing".to_owned(),
            (failed, 0) => counted(failed, one, many),
            (0, new) => format!("{}, not fetched yet", counted(new, "place", "places")),
            (failed, new) => {
                format!("{}, {} more not fetched yet", counted(failed, one, many), count(new))
            }
        };
        row("waiting", waiting);
        ui.raw(columns(&rows, &[]).as_bytes());
        if let Some(warning) = &self.next.warning {
            ui.warn(warning);
            for line in self.next.hint.iter().flat_map(|hint| hint.lines()) {
                ui.note(&format!("  {}", escaped(line)));
            }
        }
        if let Some(warning) = self.budget.warning() {
            ui.warn(&warning);
        }
        for entry in self.waiting.iter().take(SHOWN) {
            let message = entry.error().map_or("", |error| error.message.as_str());
            ui.result(&format!("  {}: {}", escaped(entry.path()), escaped_lines(message)));
            if let Some(hint) = entry.error().and_then(|error| error.hint.as_deref()) {
                ui.result(&ui.paint(Tone::Dim, &format!("      {}", escaped_lines(hint))));
            }
        }
        if self.waiting.len() > SHOWN {
            ui.result("  … all of them: feishu-mirror ls --failed");
        }
        if let Some(seen) = &self.seen {
            seen.say_as_of(ui);
        }
    }
}

fn last_run(disk: &Disk, state: &Path) -> Result<Option<LastRun>, Problem> {
    let Some(run_id) = disk.run_logs()?.pop() else { return Ok(None) };
    let path = state.join("runs").join(format!("{run_id}.jsonl"));
    let line = last_line(&path).map_err(|error| Problem::io("read", &path, &error))?;
    let summary = serde_json::from_str::<Summary>(&line).ok();
    Ok(Some(LastRun { run_id, summary: summary.filter(|summary| summary.event == "summary") }))
}

/// The last line of a file that may be large.
fn last_line(path: &Path) -> std::io::Result<String> {
    const ENOUGH: u64 = 16 << 10;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    Ok(tail.trim_end().rsplit('\n').next().unwrap_or_default().to_owned())
}

/// A run is named after the second in which it began.
fn began_secs(run_id: &str) -> Option<i64> {
    let stamp = run_id.get(..16)?;
    let began = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?;
    began.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp().as_second())
}

/// Files and bytes below a folder.
fn usage(folder: &Path) -> (u64, u64) {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let sizes = files.filter(|e| !e.file_type().is_dir()).filter_map(|e| e.metadata().ok());
    sizes.fold((0, 0), |(files, total), meta| (files + 1, total + meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_beginning() {
        assert_eq!(began_secs("20260301T023000Z"), Some(1_772_332_200));
        assert_eq!(began_secs("20260301T023000Z-002"), Some(1_772_332_200));
        assert_eq!(began_secs("yesterday"), None);
    }

    #[test]
    fn the_last_line_of_a_log_is_its_summary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, format!("{}\nlast\n", "x".repeat(40_000))).unwrap();
        assert_eq!(last_line(&path).unwrap(), "last");
        std::fs::write(&path, "").unwrap();
        assert_eq!(last_line(&path).unwrap(), "");
    }
}
