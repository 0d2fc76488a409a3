//! `auth token`: an access token for other programs.

use secrecy::ExposeSecret;
use serde_json::json;

use super::{stamp, whose};
use crate::cli::accounts::Token as Args;
use crate::commands::exit::{DONE, Problem};
use crate::commands::{Session, account};

/// Runs it.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let account = whose::resolve(session, config.as_ref(), args.whose)?;
    let credentials = account.credentials.clone();
    let client = account::client(session, config.as_ref(), &account.domain, credentials, Some(0));
    let token = client.access_token().await?;
    let ui = &session.ui;
    if ui.is_json() {
        // Read again: it may just have been renewed.
        let login = match (&account.profile, &account.login) {
            (Some(profile), Some(login)) => profile.login(Some(&login.open_id))?,
            _ => None,
        };
        // Whose end is known: a stored login's. Of the app's and of a token from the
        // environment only the service knows.
        let ends = login
            .filter(|login| login.access_token.expose_secret() == token.expose_secret())
            .and_then(|login| stamp(login.expires_at));
        ui.json(&json!({
            "access_token": token.expose_secret(),
            "identity": if account.is_user() { "user" } else { "app" },
            "expires_at": ends,
        }));
        return Ok(DONE);
    }
    if session.out_is_terminal {
        ui.warn("this is a secret: whoever reads it here can use it for up to two hours");
    }
    ui.result(token.expose_secret());
    Ok(DONE)
}
