//! `auth status`: who is logged in, and for how long.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{command, profile, stamp};
use crate::auth::logins::{Health, Login, TokenStatus};
use crate::auth::profiles::Profile;
use crate::auth::renew::StoredLogin;
use crate::cli::accounts::Status as Args;
use crate::commands::exit::{DONE, Problem};
use crate::commands::{Session, account};
use crate::config::Config;
use crate::feishu::Credentials;
use crate::ui::Tone;
use crate::ui::text::{escaped, minute};

/// What the service says of a token.
#[derive(Debug)]
enum Verified {
    Yes,
    No(String),
}

/// Runs it.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let (name, found) = profile(session, config.as_ref())?;
    let user = session.global.user.as_deref();
    let login = match &found {
        Some(profile) => profile.login(user)?,
        None => None,
    };
    let (Some(profile), Some(mut login)) = (found, login) else {
        return Ok(nobody(session, &name));
    };
    let mut verified = None;
    if args.verify {
        verified = Some(verify(session, config.as_ref(), &profile, &login).await?);
        // It may have been renewed.
        login = profile.login(Some(&login.open_id))?.unwrap_or(login);
    }
    let now = session.clock.now_secs();
    let note = note(session, &login, now);
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&object(&login, now, note.as_deref(), verified.as_ref()));
    } else {
        show(session, &profile, &login, now, note.as_deref(), verified.as_ref());
    }
    Ok(DONE)
}

/// Nobody is logged in: no error, since an app needs no login.
fn nobody(session: &Session, profile: &str) -> u8 {
    let login = command(session, "auth login");
    let mut note = format!("no user is logged in to profile {profile:?}; log in: {login}");
    if let Some(more) = from_environment(session) {
        note = format!("{note}; {more}");
    }
    if session.ui.is_json() {
        session.ui.json(&json!({ "logged_in": false, "identity": "app", "note": note }));
    } else {
        session.ui.result("not logged in: runs use the app's identity");
        session.ui.line(&format!("  {note}"));
    }
    DONE
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
        Ok(user) => Verified::No(format!("the token is {}'s ({})", user.name, user.open_id)),
        Err(error) => Verified::No(error.message),
    })
}

/// Which variable hides the stored login from runs.
fn from_environment(session: &Session) -> Option<String> {
    let name = "FEISHU_USER_ACCESS_TOKEN";
    let set = session.vars.get(name).is_some_and(|text| !text.trim().is_empty());
    set.then(|| format!("runs use the token in {name}, which nobody can renew"))
}

fn note(session: &Session, login: &Login, now: i64) -> Option<String> {
    let mut words: Vec<String> = from_environment(session).into_iter().collect();
    words.extend(login.warning(now));
    if login.health(now) == Health::NeedsRelogin || login.status(now) == TokenStatus::Expired {
        words.push(format!("log in again: {}", command(session, "auth login")));
    } else if login.status(now) == TokenStatus::NeedsRefresh {
        words.push("the next call renews the token by itself".to_owned());
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// So much of a token that two can be told apart, and not a character that helps.
fn masked(token: &SecretString) -> String {
    let token = token.expose_secret();
    let head: String = token.chars().take(4).collect();
    if token.chars().count() < 16 { "…".to_owned() } else { format!("{head}…") }
}

/// The contract's object: every key always, `null` where there is nothing to say.
fn object(login: &Login, now: i64, note: Option<&str>, verified: Option<&Verified>) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("logged_in", json!(true));
    put("identity", json!("user"));
    put("token_status", json!(login.status(now)));
    put("health", json!(login.health(now)));
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
    put("note", json!(note));
    match verified {
        None => {}
        Some(Verified::Yes) => drop(put("verified", json!(true))),
        Some(Verified::No(why)) => {
            put("verified", json!(false));
            put("verify_error", json!(why));
        }
    }
    Value::Object(object)
}

fn show(
    session: &Session,
    profile: &Profile,
    login: &Login,
    now: i64,
    note: Option<&str>,
    verified: Option<&Verified>,
) {
    let ui = &session.ui;
    let (tone, health) = match login.health(now) {
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
    match (&login.refresh_token, login.refresh_expires_at) {
        (Some(_), Some(at)) => ui.line(&format!("  refresh token: until {}", until(at))),
        (Some(_), None) => ui.line("  refresh token: there is one"),
        (None, _) => ui.line("  refresh token: none"),
    }
    ui.line(&format!("  agreed until:  {}", until(login.grant_ends_at())));
    ui.line(&format!("  scopes:        {}", escaped(&login.scope)));
    match verified {
        None => {}
        Some(Verified::Yes) => ui.line("  verified:      the service accepts it"),
        Some(Verified::No(why)) => {
            let head = ui.paint(Tone::Bad, "not verified:");
            ui.line(&format!("  {head} {}", escaped(why)));
        }
    }
    if let Some(note) = note {
        ui.warn(note);
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
