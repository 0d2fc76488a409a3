//! `auth logout`: ends a login at the service, then removes it here.

use serde_json::json;

use super::{command, profile};
use crate::auth::logins::Login;
use crate::auth::profiles::Profile;
use crate::cli::accounts::Logout as Args;
use crate::commands::exit::{DONE, Problem};
use crate::commands::{Session, account};
use crate::feishu::oauth::TokenKind;
use crate::feishu::{ApiError, Client, Credentials};
use crate::ui::text::escaped;

/// The token is no longer good anyway: invalid, expired, revoked, used (docs:
/// authentication-management/access-token/refresh-user-access-token).
const DEAD: [i64; 5] = [20026, 20037, 20064, 20066, 20073];

/// Runs it.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let (name, found) = profile(session, config.as_ref())?;
    let Some(mut profile) = found else { return Ok(nobody(session, &name)) };
    let logins = if args.all {
        profile.logins()?
    } else {
        profile.login(session.global.user.as_deref())?.into_iter().collect()
    };
    if logins.is_empty() {
        return Ok(nobody(session, &name));
    }
    let domain = profile.domain.clone();
    let client = account::client(session, config.as_ref(), &domain, Credentials::Nobody, Some(0));
    for login in logins {
        let told = tokio::select! {
            () = session.interrupt.cancelled() => return Err(Problem::interrupted()),
            told = revoke(&client, &profile, &login) => told,
        };
        if let Err(error) = &told
            && !args.force
        {
            let all = if args.all { " --all" } else { "" };
            return Err(Problem::failed(format!(
                "{} is still logged in, here and at the service: {error}",
                login.name
            ))
            .hint(format!(
                "try again later; to remove the login here all the same, though its tokens stay \
                 good at the service: {}",
                command(session, &format!("auth logout{all} --force"))
            )));
        }
        profile.forget(&login.open_id)?;
        say(session, &profile, &login, told.err());
    }
    Ok(DONE)
}

/// Ends the grant by its refresh token, then the access token, which would live on.
async fn revoke(client: &Client, profile: &Profile, login: &Login) -> Result<(), ApiError> {
    if let Some(token) = &login.refresh_token {
        unless_dead(client.oauth().revoke(&profile.app, token, TokenKind::Refresh).await)?;
    }
    let token = &login.access_token;
    unless_dead(client.oauth().revoke(&profile.app, token, TokenKind::Access).await)
}

fn unless_dead(told: Result<(), ApiError>) -> Result<(), ApiError> {
    match told {
        Err(error) if error.code.is_some_and(|code| DEAD.contains(&code)) => Ok(()),
        told => told,
    }
}

fn nobody(session: &Session, profile: &str) -> u8 {
    session.ui.note(&format!("nobody is logged in to profile {profile:?}"));
    DONE
}

fn say(session: &Session, profile: &Profile, login: &Login, untold: Option<ApiError>) {
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&json!({
            "event": "logged_out",
            "profile": profile.name,
            "open_id": login.open_id,
            "name": login.name,
            "revoked": untold.is_none(),
        }));
    } else {
        ui.line(&format!("logged out: {} ({})", escaped(&login.name), login.open_id));
    }
    if let Some(error) = untold {
        ui.warn(&format!(
            "the service could not be told ({error}); the tokens stay good there until they end"
        ));
    }
}
