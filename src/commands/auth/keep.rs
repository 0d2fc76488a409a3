//! A new grant: whose it is, storing it, and saying what it is good for.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::ask::{Ask, Missing};
use super::target::Target;
use super::{command, stamp};
use crate::auth::logins::Login;
use crate::auth::scopes::OFFLINE_ACCESS;
use crate::commands::Session;
use crate::commands::exit::{LOGIN, Problem};
use crate::config::Config;
use crate::feishu::oauth::{Grant, TokenKind};
use crate::feishu::{ApiError, Class, Credentials, UserInfo};
use crate::ui::Tone;
use crate::ui::text::{counted, escaped, minute};

/// So often the service is asked whose the grant is, beyond the client's own tries: a
/// grant that nobody can be found for is lost.
const TRIES: u32 = 3;

/// Between two of them.
const PAUSE: Duration = Duration::from_secs(5);

/// Finds out whose grant it is, and stores it.
///
/// The grant is kept in memory until then: a login without a name could not be picked,
/// listed or logged out. So a grant may be lost here, and the message says so.
pub async fn store(
    session: &Session,
    config: Option<&Config>,
    target: &mut Target,
    grant: Grant,
    make_default: bool,
) -> Result<Login, Problem> {
    let now = session.clock.now_secs();
    let user =
        whose(session, config, target, &grant.access_token).await.map_err(|error| Problem {
            hint: Some(format!(
                "nothing is stored; log in again: {}",
                command(session, "auth login")
            )),
            ..Problem::new(
                Problem::from(error.clone()).code,
                format!("you agreed, but the service does not say who you are: {error}"),
            )
        })?;
    if let Some(who) = &session.global.user
        && *who != user.open_id
        && *who != user.name
    {
        give_back(session, config, target, &grant).await;
        return Err(Problem::new(
            LOGIN,
            format!("--user wants {who:?}, but {} ({}) agreed", user.name, user.open_id),
        )
        .hint(
            "nothing is stored. Switch the account on the page and log in again, or leave --user \
             out",
        ));
    }
    let login = Login::new(user, grant, now);
    let profile = target.settle(session)?;
    profile.store(&login)?;
    if make_default {
        profile.set_default(&login.open_id)?;
    }
    Ok(login)
}

async fn whose(
    session: &Session,
    config: Option<&Config>,
    target: &Target,
    token: &SecretString,
) -> Result<UserInfo, ApiError> {
    let client = target.client(session, config, Credentials::User(token.clone()));
    let mut tries = 1;
    loop {
        match client.get_user_info().await {
            Err(error)
                if tries < TRIES
                    && matches!(error.class, Class::Transient | Class::Unreachable) =>
            {
                session.ui.note(&format!("asking once more who you are: {error}"));
                tokio::time::sleep(PAUSE).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

/// Ends a grant that nobody wants. Whether that works changes nothing for the user.
async fn give_back(session: &Session, config: Option<&Config>, target: &Target, grant: &Grant) {
    let client = target.client(session, config, Credentials::Nobody);
    if let Some(token) = &grant.refresh_token {
        let _ = client.oauth().revoke(&target.app, token, TokenKind::Refresh).await;
    }
    let _ = client.oauth().revoke(&target.app, &grant.access_token, TokenKind::Access).await;
}

/// Says how it went: `authorization_complete`, or lines for people.
pub fn report(session: &Session, ask: &Ask, login: &Login, profile: &str, has_config: bool) {
    let granted: Vec<&str> = login.scopes().collect();
    let missing = ask.missing(&granted);
    let (warnings, hints) = remarks(session, login, &missing);
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&event(ask, login, &missing, &warnings, &hints));
        ui.flush();
        return;
    }
    let who = ui.paint(Tone::Good, &escaped(&login.name));
    ui.line(&format!("logged in as {who} ({}), profile {profile:?}", login.open_id));
    if login.refresh_token.is_some() {
        let unused = login
            .refresh_expires_at
            .map_or(String::new(), |at| format!("; left unused, it ends {}", minute(at)));
        let end = minute(login.grant_ends_at());
        ui.line(&format!("  every run renews it, until {end} at most{unused}"));
    } else {
        ui.line(&format!("  good until {}", minute(login.expires_at)));
    }
    let count = u64::try_from(granted.len()).unwrap_or(u64::MAX);
    ui.line(&format!("  granted: {}", counted(count, "scope", "scopes")));
    for one in &missing {
        let what = one.what.as_deref().map_or(String::new(), |what| format!("  {what}"));
        ui.line(&format!("  {} {}{}", ui.paint(Tone::Warn, "missing:"), one.scope, escaped(&what)));
    }
    ui.flush();
    for warning in &warnings {
        ui.warn(warning);
    }
    for hint in &hints {
        ui.note(&format!("  {}", escaped(hint)));
    }
    let next = if has_config { "doctor" } else { "init" };
    ui.line(&format!("next: {}", command(session, next)));
}

/// Warnings, and what to do about them.
fn remarks(session: &Session, login: &Login, missing: &[Missing]) -> (Vec<String>, Vec<String>) {
    let (mut warnings, mut hints) = (Vec::new(), Vec::new());
    if login.refresh_token.is_none() {
        warnings.push(
            "there is no refresh token: this login ends with its access token and cannot be \
             renewed"
                .to_owned(),
        );
        hints.push(format!(
            "in the developer console, add {OFFLINE_ACCESS} under Permissions & Scopes (权限管理) \
             and turn on refreshing under Security Settings (安全设置 → 刷新 user_access_token), \
             publish a version, and log in again"
        ));
    }
    let names = |of_app: bool| {
        let names: Vec<&str> = missing
            .iter()
            .filter(|one| one.of_app == of_app && one.scope != OFFLINE_ACCESS)
            .map(|one| one.scope.as_str())
            .collect();
        (!names.is_empty()).then(|| names.join(" "))
    };
    if let Some(names) = names(true) {
        warnings.push(format!(
            "the app does not have these scopes, so they were not asked for: {names}"
        ));
        hints.push(format!(
            "add them in the developer console under Permissions & Scopes (权限管理), publish a \
             version (版本管理与发布), and log in again: {}",
            command(session, "auth login")
        ));
    }
    if let Some(names) = names(false) {
        warnings.push(format!("not granted: {names}; calls that need them will fail"));
        hints.push(format!(
            "check that the app has them and that its version is published (权限管理, \
             版本管理与发布), log in again and leave none out: {}",
            command(session, &format!("auth login --scope \"{names}\""))
        ));
    }
    (warnings, hints)
}

/// The contract's `authorization_complete`.
fn event(
    ask: &Ask,
    login: &Login,
    missing: &[Missing],
    warnings: &[String],
    hints: &[String],
) -> Value {
    let requested = ask.requested();
    let granted: Vec<&str> = login.scopes().collect();
    let both: Vec<&String> =
        requested.iter().filter(|scope| granted.contains(&scope.as_str())).collect();
    let lacking: Vec<&str> = missing.iter().map(|one| one.scope.as_str()).collect();
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| event.insert(key.to_owned(), value);
    put("event", json!("authorization_complete"));
    put("expires_at", json!(stamp(login.expires_at)));
    put("scope", json!(login.scope));
    put("refresh_token_present", json!(login.refresh_token.is_some()));
    // Where nothing is known of what was asked for, everything granted is told.
    put("granted_scopes", if requested.is_empty() { json!(granted) } else { json!(both) });
    put("missing_scopes", json!(lacking));
    put("requested_scopes", json!(requested));
    if let Some(at) = login.refresh_expires_at {
        put("refresh_expires_at", json!(stamp(at)));
    }
    if !warnings.is_empty() {
        put("warnings", json!(warnings));
    }
    if !hints.is_empty() {
        put("hints", json!(hints));
    }
    Value::Object(event)
}
