//! `auth logout`: ends a login at the service, then removes it here.

use serde_json::json;

use super::{command, nobody, profile};
use crate::auth::HeldLogin;
use crate::auth::logins::Login;
use crate::auth::profiles::Profile;
use crate::cli::accounts::Logout as Args;
use crate::commands::exit::{DONE, FAILED, Problem};
use crate::commands::{Session, account};
use crate::feishu::oauth::TokenKind;
use crate::feishu::{ApiError, Client, Credentials};
use crate::ui::text::{escaped, minute};

/// The token is no longer good anyway: invalid, expired, revoked, used (docs:
/// authentication-management/access-token/refresh-user-access-token).
const DEAD: [i64; 5] = [20026, 20037, 20064, 20066, 20073];

/// Runs it.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let (name, found) = profile(session, config.as_ref())?;
    let Some(mut profile) = found else { return Ok(nothing_to_end(session, &name, None)) };
    let (logins, unreadable) = if args.all {
        profile.readable_logins()?
    } else {
        (profile.login(session.global.user.as_deref())?.into_iter().collect(), Vec::new())
    };
    if logins.is_empty() && unreadable.is_empty() {
        return Ok(nothing_to_end(session, &name, Some(&profile)));
    }
    let domain = profile.domain.clone();
    let client = account::client(session, config.as_ref(), &domain, Credentials::Nobody, Some(0));
    for listed in logins {
        let open_id = &listed.open_id;
        let ended = tokio::select! {
            () = session.interrupt.cancelled() => return Err(Problem::interrupted()),
            ended = end(&client, &profile, open_id) => ended?,
        };
        let Some((held, told)) = ended else {
            session.ui.note(&format!("{} was logged out meanwhile", listed.name));
            continue;
        };
        if let Err(alive) = &told
            && !args.force
        {
            let all = if args.all { " --all" } else { "" };
            return Err(Problem::failed(format!("{}: {alive}", listed.name)).hint(format!(
                "try again later; to remove the login here all the same, though its tokens stay \
                 good at the service: {}",
                command(session, &format!("auth logout{all} --force"))
            )));
        }
        let was_default = profile.default_user.as_ref() == Some(open_id);
        profile.forget_held(held, open_id)?;
        say(session, &profile, &listed, told.err());
        if was_default && !args.all {
            say_who_is_next(session, &profile)?;
        }
    }
    for error in &unreadable {
        session.ui.error(&error.to_string(), error.hint().as_deref());
    }
    Ok(if unreadable.is_empty() { DONE } else { FAILED })
}

/// What the service was not told, or did not accept.
#[derive(Debug, thiserror::Error)]
enum Alive {
    #[error("still logged in, here and at the service: {0}")]
    Both(ApiError),
    /// The grant has ended, and nothing renews the access token any more.
    #[error(
        "the login can no longer be renewed, but its access token could not be ended and is good \
         until {1}; it is still stored here: {0}"
    )]
    Access(ApiError, String),
}

/// Ends a login at the service, and keeps others from it until it is removed here:
/// whoever renewed it in between would have another grant than the one that is ended.
/// `None` where it is not stored any more.
async fn end(
    client: &Client,
    profile: &Profile,
    open_id: &str,
) -> Result<Option<(HeldLogin, Result<(), Alive>)>, Problem> {
    let (own, id) = (profile.clone(), open_id.to_owned());
    // A renewal under way is waited for.
    let holding = tokio::task::spawn_blocking(move || own.hold_login(&id));
    let Some(held) = holding.await.map_err(|_| Problem::interrupted())?? else { return Ok(None) };
    // As it is now: the tokens that were listed may be spent.
    let Some(login) = held.read()? else { return Ok(None) };
    let told = revoke(client, profile, &login).await;
    Ok(Some((held, told)))
}

/// Ends the grant by its refresh token, then the access token, which would live on.
async fn revoke(client: &Client, profile: &Profile, login: &Login) -> Result<(), Alive> {
    if let Some(token) = &login.refresh_token {
        let told = client.oauth().revoke(&profile.app, token, TokenKind::Refresh).await;
        unless_dead(told).map_err(Alive::Both)?;
    }
    let token = &login.access_token;
    let told = client.oauth().revoke(&profile.app, token, TokenKind::Access).await;
    unless_dead(told).map_err(|error| match login.refresh_token {
        Some(_) => Alive::Access(error, minute(login.expires_at)),
        None => Alive::Both(error),
    })
}

fn unless_dead(told: Result<(), ApiError>) -> Result<(), ApiError> {
    match told {
        Err(error) if error.code.is_some_and(|code| DEAD.contains(&code)) => Ok(()),
        told => told,
    }
}

fn nothing_to_end(session: &Session, name: &str, found: Option<&Profile>) -> u8 {
    let (what, _) = nobody(session, name, found);
    session.ui.note(&what);
    DONE
}

/// Another user became the default one.
fn say_who_is_next(session: &Session, profile: &Profile) -> Result<(), Problem> {
    if let Some(next) = profile.login(None)? {
        let name = escaped(&next.name);
        session.ui.note(&format!(
            "{name} ({}) is the default user now; to choose another: {} --default USER",
            next.open_id,
            command(session, "auth users")
        ));
    }
    Ok(())
}

fn say(session: &Session, profile: &Profile, login: &Login, untold: Option<Alive>) {
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
    match untold {
        None => {}
        Some(Alive::Both(error)) => ui.warn(&format!(
            "the service could not be told ({error}); the tokens stay good there until they end"
        )),
        Some(Alive::Access(error, end)) => ui.warn(&format!(
            "of the access token the service could not be told ({error}); it stays good there \
             until {end}"
        )),
    }
}
