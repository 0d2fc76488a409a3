//! `auth users`: everybody who is logged in to the profile.

use serde_json::json;

use super::{nobody, profile, stamp};
use crate::auth::logins::{Health, Login};
use crate::cli::accounts::Users as Args;
use crate::commands::exit::{DONE, FAILED, LOGIN, Problem};
use crate::commands::{Session, account};
use crate::ui::text::{columns, escaped, minute};

/// Runs it.
pub fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let (name, mut found) = profile(session, config.as_ref())?;
    let ui = &session.ui;
    if let Some(who) = &args.default {
        let profile = match &mut found {
            Some(profile) => profile,
            None => &mut account::profiles(session)?.get(&name)?,
        };
        let login = profile.login(Some(who))?.expect("one who was named is there, or an error");
        profile.set_default(&login.open_id)?;
        let name = escaped(&login.name);
        ui.note(&format!("{name} ({}) is the default user now", login.open_id));
    }
    let (logins, unreadable) = match (&found, &session.global.user) {
        (Some(profile), None) => profile.readable_logins()?,
        // Of several, the one who is named, who has to be there as everywhere.
        (Some(profile), Some(who)) => (profile.login(Some(who))?.into_iter().collect(), Vec::new()),
        (None, None) => Default::default(),
        (None, Some(who)) => {
            let (what, way) = nobody(session, &name, None);
            return Err(Problem::new(LOGIN, format!("{what}, and so no user {who:?}")).hint(way));
        }
    };
    let default = found.as_ref().and_then(|profile| profile.default_user.clone());
    let now = session.clock.now_secs();
    if ui.is_json() {
        for login in &logins {
            ui.json(&json!({
                "open_id": login.open_id,
                "name": login.name,
                "tenant_key": login.tenant_key,
                "default": default.as_ref() == Some(&login.open_id),
                "token_status": login.status(now),
                "health": login.health(now),
                "expires_at": stamp(login.expires_at),
                "refresh_expires_at": login.refresh_expires_at.and_then(stamp),
                "grant_ends_at": stamp(login.grant_ends_at()),
            }));
        }
    } else if logins.is_empty() && unreadable.is_empty() {
        let (what, way) = nobody(session, &name, found.as_ref());
        ui.note(&format!("{what}; {way}"));
    } else {
        ui.raw(table(&logins, default.as_deref(), now).as_bytes());
    }
    for error in &unreadable {
        ui.error(&error.to_string(), error.hint().as_deref());
    }
    Ok(if unreadable.is_empty() { DONE } else { FAILED })
}

fn table(logins: &[Login], default: Option<&str>, now: i64) -> String {
    let rows: Vec<Vec<String>> = logins
        .iter()
        .map(|login| {
            let ends = match login.health(now) {
                Health::Healthy => format!("until {}", minute(login.grant_ends_at())),
                Health::MissingRefreshToken if now < login.expires_at => {
                    format!("until {}, no refresh token", minute(login.expires_at))
                }
                _ => "ended: log in again".to_owned(),
            };
            let star = if default == Some(&login.open_id) { "*" } else { " " };
            vec![star.to_owned(), escaped(&login.name).into_owned(), login.open_id.clone(), ends]
        })
        .collect();
    columns(&rows, &[])
}
