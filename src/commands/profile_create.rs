//! `profile add --create-app`: registers an app in the browser, as the official client
//! does (client: larksuite/cli `internal/auth/app_registration.go`). No official page
//! describes it.

use serde_json::json;

use super::auth::show_link;
use super::exit::{DONE, INTERRUPTED, LOGIN, Problem};
use super::{Session, account};
use crate::auth::AuthError;
use crate::auth::device_flow::{self, Ended, Pace};
use crate::auth::profiles::domain_flag;
use crate::cli::accounts::ProfileAdd as Args;
use crate::feishu::oauth::{AppKey, DeviceCode};
use crate::feishu::{ApiError, Credentials};
use crate::model::account::Domain;

/// Registers an app and stores it as a profile.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let profiles = account::profiles(session)?;
    // Found out before somebody has registered an app for nothing.
    if profiles.open(&args.name)?.is_some() {
        return Err(AuthError::Taken(args.name.clone()).into());
    }
    tokio::select! {
        () = session.interrupt.cancelled() => {
            Err(Problem::new(INTERRUPTED, "interrupted; no profile was made"))
        }
        done = register(session, args) => {
            let (app, domain) = done?;
            profiles.add(&args.name, &app, &domain)?;
            if args.activate {
                profiles.activate(&args.name)?;
            }
            say_done(session, args, &app, &domain, profiles.active()? == args.name);
            Ok(DONE)
        }
    }
}

/// Registers an app and waits for the person. Returns the app and where it is.
async fn register(session: &Session, args: &Args) -> Result<(AppKey, Domain), Problem> {
    let client = account::client(session, None, &args.domain, Credentials::Nobody, Some(0));
    let device = client.oauth().begin_registration().await?;
    announce(session, &device);
    let poll = async || client.oauth().poll_registration(&device.device_code).await;
    let ui = &session.ui;
    let trouble = |error: &ApiError| ui.warn(&format!("{error}; still waiting"));
    let pace = Pace::new(device.interval);
    let came = device_flow::wait(pace, device.expires_in, false, poll, trouble).await;
    let on = domain_flag(&args.domain);
    let again = format!("feishu-mirror profile add {} --create-app{on}", args.name);
    let registered = came.map_err(|ended| match ended {
        Ended::Denied => Problem::new(LOGIN, "you said no on the page; no app was registered")
            .hint(format!("to be asked again: {again}")),
        Ended::Expired(last) => {
            let why = last.map_or(String::new(), |error| format!("; last, {error}"));
            Problem::new(LOGIN, format!("the code has expired; no app was registered{why}"))
                .hint(format!("start again: {again}"))
        }
        Ended::Failed(error) => Problem::from(error),
    })?;
    let domain = hosts(&args.domain, registered.brand.as_deref());
    Ok((AppKey { id: registered.app_id, secret: registered.app_secret }, domain))
}

/// Where an app of this brand lives. Which brand it is depends on the person who agreed,
/// not on what was asked for; other hosts than the brands' stay what they are.
fn hosts(asked: &Domain, brand: Option<&str>) -> Domain {
    let (feishu, lark) = (Domain::feishu(), Domain::lark());
    match brand {
        _ if *asked != feishu && *asked != lark => asked.clone(),
        Some("lark") => lark,
        Some("feishu") => feishu,
        _ => asked.clone(),
    }
}

fn announce(session: &Session, device: &DeviceCode) {
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&json!({
            "event": "app_registration",
            "verification_uri_complete": device.verification_uri,
            "user_code": device.user_code,
            "expires_in": device.expires_in.as_secs(),
            "interval": device.interval.as_secs(),
        }));
    } else {
        show_link(session, device);
        ui.note("Waiting for the app to be registered; Ctrl-C stops.");
    }
    ui.flush();
}

fn say_done(session: &Session, args: &Args, app: &AppKey, domain: &Domain, active: bool) {
    let ui = &session.ui;
    if ui.is_json() {
        // As `profile add --app-id` says it.
        ui.json(&json!({
            "event": "profile",
            "name": args.name,
            "active": active,
            "app_id": app.id,
            "domain": domain.name(),
            "users": [],
            "change": "added",
        }));
        return;
    }
    ui.line(&format!("registered the app {} ({}), profile {:?}", app.id, domain.name(), args.name));
    ui.line(&format!("next: feishu-mirror auth login --device --profile {}", args.name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_decides_the_brand() {
        let own =
            Domain { open: "http://127.0.0.1:9".into(), accounts: "http://127.0.0.1:9".into() };
        let cases = [
            (Domain::feishu(), Some("lark"), Domain::lark()),
            (Domain::lark(), Some("feishu"), Domain::feishu()),
            (Domain::lark(), None, Domain::lark()),
            (own.clone(), Some("lark"), own),
        ];
        for (asked, brand, want) in cases {
            assert_eq!(hosts(&asked, brand), want, "{brand:?}");
        }
    }
}
