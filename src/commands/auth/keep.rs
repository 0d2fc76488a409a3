//! A new grant: whose it is, storing it, and saying what it is good for.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::ask::{Ask, Missing};
use super::target::Target;
use super::{command, stamp, whose};
use crate::auth::logins::Login;
use crate::auth::scopes::OFFLINE_ACCESS;
use crate::commands::exit::{LOGIN, Problem};
use crate::commands::{Session, account};
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
/// listed or logged out. One that is not stored is given back where that harms nobody,
/// and the message says what became of it.
pub async fn store(
    session: &Session,
    config: Option<&Config>,
    target: &mut Target,
    grant: Grant,
    make_default: bool,
) -> Result<Login, Problem> {
    let now = session.clock.now_secs();
    let user = match whose(session, config, target, &grant.access_token).await {
        Ok(user) => user,
        Err(error) => {
            let fate = give_back(session, config, target, &grant, None).await;
            let code = Problem::from(error.clone()).code;
            let message = format!("you agreed, but the service does not say who you are: {error}");
            return Err(Problem::new(code, message).hint(format!(
                "nothing is stored; {fate}; log in again: {}",
                command(session, "auth login")
            )));
        }
    };
    if let Some(who) = &session.global.user
        && *who != user.open_id
        && *who != user.name
    {
        let fate = give_back(session, config, target, &grant, Some(&user.open_id)).await;
        return Err(Problem::new(
            LOGIN,
            format!("--user wants {who:?}, but {} ({}) agreed", user.name, user.open_id),
        )
        .hint(format!(
            "nothing is stored; {fate}. Switch the account on the page and log in again, or leave \
             --user out"
        )));
    }
    let login = Login::new(user, grant.clone(), now);
    let Err(problem) = put(session, target, &login, make_default) else { return Ok(login) };
    if is_stored(target, &login) {
        session.ui.warn(&format!("not everything could be stored: {problem}"));
        return Ok(login);
    }
    let fate = give_back(session, config, target, &grant, Some(&login.open_id)).await;
    let first = problem.hint.map_or(String::new(), |hint| format!("{hint}\n"));
    let message = format!("you agreed, but the login could not be stored: {}", problem.message);
    Err(Problem::new(problem.code, message).hint(format!(
        "{first}{fate}; once it can be stored, log in again: {}",
        command(session, "auth login")
    )))
}

fn put(
    session: &Session,
    target: &mut Target,
    login: &Login,
    make_default: bool,
) -> Result<(), Problem> {
    let profile = target.settle(session)?;
    profile.store(login)?;
    if make_default {
        profile.set_default(&login.open_id)?;
    }
    Ok(())
}

/// True where just this login is on disk, whatever failed after that.
fn is_stored(target: &Target, login: &Login) -> bool {
    let found = target.profile().map(|profile| profile.login(Some(&login.open_id)));
    matches!(found, Some(Ok(Some(found)))
        if found.access_token.expose_secret() == login.access_token.expose_secret())
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

/// Ends a grant that is not kept, and says what became of it. Not where a login of the
/// same person (`None`: nobody knows whose it is) is stored here: grants of one person to
/// one app may be one to the service, and ending the new one would end the stored one.
async fn give_back(
    session: &Session,
    config: Option<&Config>,
    target: &Target,
    grant: &Grant,
    open_id: Option<&str>,
) -> String {
    if target.has_login(open_id) {
        let whose = if open_id.is_some() { "this person's login" } else { "a login" };
        return format!(
            "the new tokens were not given back, since that might end {whose} that is stored \
             here; they end by themselves"
        );
    }
    let client = target.client(session, config, Credentials::Nobody);
    let end =
        async |token: &SecretString, kind| client.oauth().revoke(&target.app, token, kind).await;
    // Both are tried, whatever becomes of the first.
    let refresh = match &grant.refresh_token {
        Some(token) => end(token, TokenKind::Refresh).await,
        None => Ok(()),
    };
    match refresh.and(end(&grant.access_token, TokenKind::Access).await) {
        Ok(()) => "the new tokens were given back".to_owned(),
        Err(error) => format!(
            "the new tokens could not be given back ({error}); unused, they end by themselves"
        ),
    }
}

/// Says how it went: `authorization_complete`, or lines for people.
pub fn report(session: &Session, ask: &Ask, login: &Login, profile: &str, config: Option<&Config>) {
    let granted: Vec<&str> = login.scopes().collect();
    let missing = ask.missing(&granted);
    let (warnings, mut hints) = remarks(session, login, &missing);
    hints.extend(not_used(session, login, profile, config));
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
    let next = if config.is_some() { "doctor" } else { "init" };
    ui.line(&format!("next: {}", command(session, next)));
}

/// Why runs do not use this login, though it is stored: what people would find out only by
/// what they miss.
fn not_used(
    session: &Session,
    login: &Login,
    profile: &str,
    config: Option<&Config>,
) -> Option<String> {
    if let Some((what, way)) = whose::left_to_the_app(config) {
        return Some(format!("runs do not use this login: {what}; {way}"));
    }
    let stored = account::profiles(session).ok()?.open(profile).ok()??;
    let default = stored.default_user.as_deref().filter(|id| *id != login.open_id)?;
    let other = stored.login(Some(default)).ok()??;
    Some(format!(
        "runs go on as {}; to make {} the default user: {} --default {}",
        other.name,
        login.name,
        command(session, "auth users"),
        login.open_id
    ))
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
