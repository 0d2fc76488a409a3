//! `auth check`: were these scopes granted? Makes no call.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{command, profile};
use crate::auth::logins::{Login, TokenStatus};
use crate::auth::scopes::{self, Need};
use crate::cli::accounts::Check as Args;
use crate::commands::exit::{DONE, LOGIN, Problem, USAGE};
use crate::commands::{Session, account};
use crate::config::{Config, EXAMPLE};
use crate::ui::Tone;

/// A scope, and others that do as well.
struct Wanted {
    scope: String,
    need: Option<Need>,
}

/// The answer.
struct Answer {
    granted: Vec<String>,
    missing: Vec<String>,
    error: Option<&'static str>,
}

/// Runs it.
pub fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let wanted: Vec<Wanted> = match (&args.scope, &config) {
        (Some(text), _) => super::scopes(text)
            .map_err(|why| Problem::new(USAGE, why))?
            .into_iter()
            .map(|scope| Wanted { scope, need: None })
            .collect(),
        (None, Some(config)) => of_config(config),
        (None, None) => {
            // As `auth login` asks for them.
            session.ui.note(
                "there is no config here; checked is what one as `feishu-mirror init` writes it \
                 needs",
            );
            let config = Config::parse(EXAMPLE, Path::new("/mirror.toml"), &BTreeMap::new())
                .expect("the example config is tested to be right");
            of_config(&config)
        }
    };
    let login = match profile(session, config.as_ref())?.1 {
        Some(profile) => match profile.login(session.global.user.as_deref()) {
            Ok(login) => login,
            // Not logged in is an answer of this command, not its failure.
            Err(crate::auth::AuthError::NoUser { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let answer = check(&wanted, login.as_ref(), session.clock.now_secs());
    let suggestion = answer.suggestion(session, args.scope.is_some());
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&answer.object(suggestion.as_deref()));
    } else {
        for scope in &answer.granted {
            ui.line(&format!("{}  {scope}", ui.paint(Tone::Good, "granted")));
        }
        for scope in &answer.missing {
            ui.result(&format!("{}  {scope}", ui.paint(Tone::Bad, "missing")));
        }
        match answer.error {
            Some("token_expired") => ui.error("the login has ended", suggestion.as_deref()),
            Some(_) => ui.error("no user is logged in", suggestion.as_deref()),
            None => {
                if let Some(suggestion) = &suggestion {
                    ui.note(suggestion);
                }
            }
        }
    }
    Ok(if answer.is_ok() { DONE } else { LOGIN })
}

fn of_config(config: &Config) -> Vec<Wanted> {
    scopes::of_config(config)
        .into_iter()
        .map(|need| Wanted { scope: need.scope.to_owned(), need: Some(need) })
        .collect()
}

fn check(wanted: &[Wanted], login: Option<&Login>, now: i64) -> Answer {
    let all = || wanted.iter().map(|wanted| wanted.scope.clone()).collect();
    let Some(login) = login else {
        return Answer { granted: Vec::new(), missing: all(), error: Some("not_logged_in") };
    };
    if login.status(now) == TokenStatus::Expired {
        return Answer { granted: Vec::new(), missing: all(), error: Some("token_expired") };
    }
    let has: Vec<&str> = login.scopes().collect();
    let (granted, missing) = wanted.iter().partition::<Vec<_>, _>(|wanted| {
        has.contains(&wanted.scope.as_str())
            || wanted.need.as_ref().is_some_and(|need| need.is_met(&has))
    });
    let names = |some: Vec<&Wanted>| some.into_iter().map(|one| one.scope.clone()).collect();
    Answer { granted: names(granted), missing: names(missing), error: None }
}

impl Answer {
    fn is_ok(&self) -> bool {
        self.error.is_none() && self.missing.is_empty()
    }

    /// `named`: the scopes are not those that `auth login` asks for by itself.
    fn suggestion(&self, session: &Session, named: bool) -> Option<String> {
        if self.is_ok() {
            return None;
        }
        if self.error.is_some() && !named {
            return Some(command(session, "auth login"));
        }
        let scopes = self.missing.join(" ");
        let login = command(session, &format!("auth login --scope \"{scopes}\""));
        Some(match self.error {
            Some(_) => login,
            None => format!(
                "make sure that the app has them and that its version is published (权限管理, \
                 版本管理与发布), then: {login}"
            ),
        })
    }

    /// `error` and `suggestion` only where they apply.
    fn object(&self, suggestion: Option<&str>) -> Value {
        let mut object = Map::new();
        object.insert("ok".to_owned(), json!(self.is_ok()));
        object.insert("granted".to_owned(), json!(self.granted));
        object.insert("missing".to_owned(), json!(self.missing));
        if let Some(error) = self.error {
            object.insert("error".to_owned(), json!(error));
        }
        if let Some(suggestion) = suggestion {
            object.insert("suggestion".to_owned(), json!(suggestion));
        }
        Value::Object(object)
    }
}
