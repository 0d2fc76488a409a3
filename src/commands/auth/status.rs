//! `auth status`: who is logged in, and for how long.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{again, profile, stamp, whose};
use crate::auth::logins::{Health, Login, TokenStatus};
use crate::auth::profiles::Profile;
use crate::auth::renew::StoredLogin;
use crate::cli::accounts::Status as Args;
use crate::commands::account::Account;
use crate::commands::exit::{DONE, Problem, USAGE};
use crate::commands::{Session, account};
use crate::config::{Config, Identity};
use crate::feishu::{ApiError, Class, Credentials};
use crate::ui::Tone;
use crate::ui::text::{escaped, minute};

const TOKEN: &str = "FEISHU_USER_ACCESS_TOKEN";

/// What the service says of a token.
#[derive(Debug)]
enum Verified {
    Yes,
    No {
        why: String,
        /// What helps, where the service said so.
        hint: Option<String>,
        /// Nothing but a new login helps.
        ended: bool,
    },
}

impl Verified {
    fn refused(error: ApiError) -> Self {
        let ended = error.class == Class::Login && !error.blames_app();
        Self::No { why: error.message, hint: error.hint, ended }
    }

    fn has_ended(&self) -> bool {
        matches!(self, Self::No { ended: true, .. })
    }
}

/// Everything that is shown of a login.
struct Shown<'a> {
    profile: &'a Profile,
    login: &'a Login,
    now: i64,
    health: Health,
    verified: Option<&'a Verified>,
    note: Note,
}

/// What there is to say besides.
#[derive(Default)]
struct Note {
    /// Each asks somebody for something.
    warnings: Vec<String>,
    /// Good to know, and nothing to do.
    plain: Option<String>,
}

impl Note {
    /// In one line, as `note` in the JSON contract has it.
    fn whole(&self) -> Option<String> {
        let words: Vec<&str> =
            self.warnings.iter().chain(&self.plain).map(String::as_str).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Runs it.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let (name, found) = profile(session, config.as_ref())?;
    let user = session.global.user.as_deref();
    let Some(profile) = found else {
        return Ok(nobody(session, config.as_ref(), &name, None));
    };
    let Some(mut login) = profile.login(user)? else {
        return Ok(nobody(session, config.as_ref(), &name, Some(&profile)));
    };
    let mut verified = None;
    if args.verify {
        verified = Some(verify(session, config.as_ref(), &profile, &login).await?);
        // It may have been renewed.
        login = profile.login(Some(&login.open_id))?.unwrap_or(login);
    }
    let now = session.clock.now_secs();
    let verified = verified.as_ref();
    let health = match verified {
        Some(verified) if verified.has_ended() => Health::NeedsRelogin,
        _ => login.health(now),
    };
    let mut note = note(session, &profile, &login, now, verified);
    note.warnings.splice(0..0, of_runs(session, config.as_ref(), &login));
    let shown = Shown { profile: &profile, login: &login, now, health, verified, note };
    if session.ui.is_json() {
        session.ui.json(&shown.object());
    } else {
        shown.print(session);
    }
    Ok(DONE)
}

/// Nobody is logged in: no error, since an app needs no login.
fn nobody(session: &Session, config: Option<&Config>, name: &str, profile: Option<&Profile>) -> u8 {
    let (what, way) = super::nobody(session, name, profile);
    let runs = match whose::next_run(session, config) {
        Ok(Account { credentials: Credentials::User(_), .. }) => {
            format!("runs use the token in {TOKEN}, which nobody can renew")
        }
        Ok(_) if session.vars.get(TOKEN).is_some_and(|text| !text.trim().is_empty()) => {
            format!("runs use the app's identity, not the token in {TOKEN}")
        }
        Ok(_) => "runs use the app's identity".to_owned(),
        // What is missing is said anyway.
        Err(problem) if problem.message.contains(&what) => {
            let until = match profile {
                Some(_) => "until somebody logs in",
                None => "until there is a credential",
            };
            format!("runs end with exit {} {until}", problem.code)
        }
        Err(problem) => format!("runs end with exit {}: {}", problem.code, problem.message),
    };
    if session.ui.is_json() {
        let note = format!("{what}; {runs}; {way}");
        session.ui.json(&json!({ "logged_in": false, "identity": "app", "note": note }));
    } else {
        session.ui.result(&format!("not logged in: {}", escaped(&runs)));
        session.ui.line(&format!("  {what}; {way}"));
    }
    DONE
}

/// Why runs are not this login's, where they are not.
fn of_runs(session: &Session, config: Option<&Config>, login: &Login) -> Option<String> {
    if let Some((what, step)) = whose::left_to_the_app(config) {
        return Some(format!("{what}; {step}"));
    }
    let next = match whose::next_run(session, config) {
        // Whom to look at is not who is to run.
        Err(problem) if problem.code == USAGE => {
            let mut anybody = session.clone();
            anybody.global.user = None;
            whose::next_run(&anybody, config)
        }
        next => next,
    };
    match next {
        Ok(Account { credentials: Credentials::User(_), .. }) => {
            Some(format!("runs use the token in {TOKEN}, which nobody can renew"))
        }
        Ok(account) if !account.is_user() => {
            let fixed = config.is_some_and(|config| config.identity == Identity::App);
            let by = if fixed { ": identity = \"app\" in the config" } else { "" };
            Some(format!("runs use the app's identity, not {}'s{by}", login.name))
        }
        Ok(_) => None,
        Err(problem) => {
            let hint = problem.hint.as_deref().unwrap_or_default();
            let hint = hint.replace('\n', "; ");
            let (code, message) = (problem.code, problem.message);
            Some(format!("runs end with exit {code}: {message}. {hint}").trim_end().to_owned())
        }
    }
}

/// Asks the service who the token's user is; a token that is due is renewed by it.
async fn verify(
    session: &Session,
    config: Option<&Config>,
    profile: &Profile,
    login: &Login,
) -> Result<Verified, Problem> {
    let ui = session.ui.clone();
    let source = StoredLogin::open(profile, &login.open_id, session.clock.clone())?
        .telling(move |what| ui.warn(what));
    let source = Arc::new(source);
    session.keep(source.clone());
    let credentials = Credentials::Login(source);
    let client = account::client(session, config, &profile.domain, credentials, Some(0));
    Ok(match client.get_user_info().await {
        Ok(user) if user.open_id == login.open_id => Verified::Yes,
        Ok(user) => Verified::No {
            why: format!("the token is {}'s ({})", user.name, user.open_id),
            hint: None,
            ended: true,
        },
        Err(error) => Verified::refused(error),
    })
}

/// How the login itself is.
fn note(
    session: &Session,
    profile: &Profile,
    login: &Login,
    now: i64,
    verified: Option<&Verified>,
) -> Note {
    let mut note = Note::default();
    let again = again(session, &profile.name);
    match verified {
        Some(Verified::No { hint, ended: true, .. }) => {
            // The service's own step names the profile where it is a login.
            let hint = hint.clone().filter(|hint| hint.contains("auth login --profile"));
            note.warnings.push(hint.unwrap_or_else(|| format!("log in again: {again}")));
            return note;
        }
        Some(Verified::No { hint, .. }) => note.warnings.extend(hint.clone()),
        Some(Verified::Yes) | None => {}
    }
    // Each of its warnings ends in what to do: "log in again".
    match login.warning(now) {
        Some(warning) => note.warnings.push(format!("{warning}: {again}")),
        None if login.status(now) == TokenStatus::NeedsRefresh && verified.is_none() => {
            note.plain = Some("the next call renews the token by itself".to_owned());
        }
        None => {}
    }
    note
}

/// So much of a token that two can be told apart, and not a character that helps.
fn masked(token: &SecretString) -> String {
    let token = token.expose_secret();
    let head: String = token.chars().take(4).collect();
    if token.chars().count() < 16 { "…".to_owned() } else { format!("{head}…") }
}

impl Shown<'_> {
    /// The contract's object: every key always, `null` where there is nothing to say.
    fn object(&self) -> Value {
        let Self { login, now, .. } = *self;
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("logged_in", json!(true));
        put("identity", json!("user"));
        put("token_status", json!(login.status(now)));
        put("health", json!(self.health));
        put("expires_at", json!(stamp(login.expires_at)));
        put("refresh_expires_at", json!(login.refresh_expires_at.and_then(stamp)));
        put("refresh_token_present", json!(login.refresh_token.is_some()));
        put("refresh_token_valid", json!(login.refresh_is_valid(now)));
        put("access_token", json!(masked(&login.access_token)));
        put("access_token_valid", json!(now < login.expires_at));
        put("scope", json!(login.scope));
        put(
            "cached_user",
            json!({
                "open_id": login.open_id, "name": login.name, "tenant_key": login.tenant_key,
            }),
        );
        put("note", json!(self.note.whole()));
        match self.verified {
            None => {}
            Some(Verified::Yes) => drop(put("verified", json!(true))),
            Some(Verified::No { why, .. }) => {
                put("verified", json!(false));
                put("verify_error", json!(why));
            }
        }
        Value::Object(object)
    }

    fn print(&self, session: &Session) {
        let Self { profile, login, now, .. } = *self;
        let ui = &session.ui;
        let (tone, health) = match self.health {
            Health::Healthy => (Tone::Good, "healthy"),
            Health::MissingRefreshToken => (Tone::Warn, "no refresh token"),
            Health::NeedsRelogin => (Tone::Bad, "log in again"),
        };
        let name = ui.paint(Tone::Bold, &escaped(&login.name));
        ui.result(&format!("{name} ({}): {}", login.open_id, ui.paint(tone, health)));
        ui.line(&format!(
            "  profile:       {} (app {}, {})",
            profile.name,
            profile.app.id,
            profile.domain.name()
        ));
        let until = |at: i64| format!("{}{}", minute(at), if now < at { "" } else { " (over)" });
        ui.line(&format!(
            "  access token:  {}, until {}",
            masked(&login.access_token),
            until(login.expires_at)
        ));
        if let Some(plain) = &self.note.plain {
            ui.line(&format!("                 {plain}"));
        }
        match (&login.refresh_token, login.refresh_expires_at) {
            (Some(_), Some(at)) => ui.line(&format!("  refresh token: until {}", until(at))),
            (Some(_), None) => ui.line("  refresh token: there is one"),
            (None, _) => ui.line("  refresh token: none"),
        }
        ui.line(&format!("  agreed until:  {}", until(login.grant_ends_at())));
        ui.line(&format!("  scopes:        {}", escaped(&login.scope)));
        match self.verified {
            None => {}
            Some(Verified::Yes) => ui.line("  verified:      the service accepts it"),
            Some(Verified::No { why, .. }) => {
                let head = ui.paint(Tone::Bad, "not verified:");
                ui.line(&format!("  {head} {}", escaped(why)));
            }
        }
        for warning in &self.note.warnings {
            ui.warn(warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_token_tells_nothing() {
        let cases = [
            ("eyJhbGciOiJFUzI1NiIs", "eyJh…"),
            ("u-1234567890abcdefg", "u-12…"),
            ("short", "…"),
            ("", "…"),
        ];
        for (token, want) in cases {
            assert_eq!(masked(&SecretString::from(token)), want);
        }
    }
}
