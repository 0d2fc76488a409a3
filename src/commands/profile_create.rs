//! `profile add --create-app`: registers an app in the browser, as the official client
//! does (client: larksuite/cli internal/auth/app_registration.go). No official page
//! describes it.

use std::cell::RefCell;

use serde_json::json;
use url::form_urlencoded::byte_serialize;

use super::auth::show_link;
use super::exit::{DONE, INTERRUPTED, LOGIN, Problem};
use super::{Session, account};
use crate::auth::AuthError;
use crate::auth::device_flow::{self, Ended, Pace};
use crate::cli::accounts::ProfileAdd as Args;
use crate::feishu::oauth::{AppKey, DeviceCode, Poll, Registered};
use crate::feishu::{ApiError, Client, Credentials};
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
            say_done(session, args, &app, &domain);
            Ok(DONE)
        }
    }
}

/// The brand of a registration begins at Feishu; where the person turns out to be of
/// Lark, the poll goes on there.
async fn register(session: &Session, args: &Args) -> Result<(AppKey, Domain), Problem> {
    let begin = if args.domain == Domain::lark() { Domain::feishu() } else { args.domain.clone() };
    let client =
        |domain: &Domain| account::client(session, None, domain, Credentials::Nobody, Some(0));
    let first = client(&begin);
    let mut device = first.oauth().begin_registration().await?;
    // The confirmation page is on the host of the wanted brand.
    let code: String = byte_serialize(device.user_code.as_bytes()).collect();
    device.verification_uri = format!("{}/page/cli?user_code={code}", args.domain.open);
    announce(session, &device);

    let place = RefCell::new((first, begin));
    let poll = async || {
        let (client, domain) = place.borrow().clone();
        let (answer, moved) = ask(&client, &domain, &device).await?;
        if let Some(domain) = moved {
            let client = account::client(session, None, &domain, Credentials::Nobody, Some(0));
            let (answer, _) = ask(&client, &domain, &device).await?;
            *place.borrow_mut() = (client, domain);
            return Ok(answer);
        }
        Ok(answer)
    };
    let ui = &session.ui;
    let trouble = |error: &ApiError| ui.warn(&format!("{error}; still waiting"));
    let pace = Pace::new(device.interval);
    let came = device_flow::wait(pace, device.expires_in, false, poll, trouble).await;
    let again = format!("feishu-mirror profile add {} --create-app", args.name);
    let app = came.map_err(|ended| match ended {
        Ended::Denied => Problem::new(LOGIN, "you said no on the page; no app was registered")
            .hint(format!("to be asked again: {again}")),
        Ended::Expired(last) => {
            let why = last.map_or(String::new(), |error| format!("; last, {error}"));
            Problem::new(LOGIN, format!("the code has expired; no app was registered{why}"))
                .hint(format!("start again: {again}"))
        }
        Ended::Failed(error) => Problem::from(error),
    })?;
    let (_, domain) = place.into_inner();
    Ok((app, domain))
}

/// One poll. The second part is where to go on, where the person is of the other brand.
async fn ask(
    client: &Client,
    domain: &Domain,
    device: &DeviceCode,
) -> Result<(Poll<AppKey>, Option<Domain>), ApiError> {
    let polled = client.oauth().poll_registration(&device.device_code).await?;
    Ok(match polled {
        Poll::Pending => (Poll::Pending, None),
        Poll::SlowDown => (Poll::SlowDown, None),
        Poll::Denied => (Poll::Denied, None),
        Poll::Expired => (Poll::Expired, None),
        Poll::Done(Registered { app_id, app_secret: Some(secret), .. }) => {
            (Poll::Done(AppKey { id: app_id, secret }), None)
        }
        // Without a secret it is not done yet, here or on the other brand's host.
        Poll::Done(Registered { brand, .. }) => (Poll::Pending, other(domain, brand.as_deref())),
    })
}

/// The hosts of the other brand, where the person turns out to be there.
fn other(domain: &Domain, brand: Option<&str>) -> Option<Domain> {
    let (feishu, lark) = (Domain::feishu(), Domain::lark());
    match brand {
        Some("lark") if *domain == feishu => Some(lark),
        Some("feishu") if *domain == lark => Some(feishu),
        _ => None,
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

fn say_done(session: &Session, args: &Args, app: &AppKey, domain: &Domain) {
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&json!({
            "event": "profile_added",
            "profile": args.name,
            "app_id": app.id,
            "domain": domain.name(),
            "active": args.activate,
        }));
        return;
    }
    ui.line(&format!("registered the app {} ({}), profile {:?}", app.id, domain.name(), args.name));
    ui.line(&format!("next: feishu-mirror auth login --device --profile {}", args.name));
}
