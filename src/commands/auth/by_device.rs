//! `auth login --device`: a link and a code for any device, in one go or in two steps
//! (`--no-wait`, then `--device-code`).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::ask::Ask;
use super::login::{Done, Way};
use super::{command, keep};
use crate::auth::device_flow::{self, EXPIRES_IN, Ended, FirstStep, INTERVAL, Pace};
use crate::commands::Session;
use crate::commands::exit::{LOGIN, Problem};
use crate::feishu::oauth::DeviceCode;
use crate::ui::qr;
use crate::ui::text::duration_ms;

/// Begins, and waits unless it is not to: `None` then.
pub async fn run(way: &mut Way<'_>) -> Result<Option<Done>, Problem> {
    let client = way.nobody();
    let requested = way.ask.requested();
    let device = client
        .oauth()
        .begin_device(&way.target.app, &requested)
        .await
        .map_err(|error| way.explain(error))?;
    if way.args.no_wait {
        // The service has accepted the app by now, so its profile may be made.
        let first = FirstStep {
            scopes: requested,
            interval_secs: device.interval.as_secs(),
            expires_at: way.session.clock.now_secs()
                + i64::try_from(device.expires_in.as_secs()).unwrap_or(i64::MAX / 2),
        };
        let folder = way.target.settle(way.session)?.folder.clone();
        let now = way.session.clock.now_secs();
        first.leave(&folder, device.device_code.expose_secret(), now)?;
    }
    announce(way, &device);
    if way.args.no_wait {
        return Ok(None);
    }
    let pace = Pace::new(device.interval);
    wait(way, &device.device_code, pace, device.expires_in, false).await.map(Some)
}

/// Goes on where `--no-wait` stopped.
pub async fn go_on(way: &mut Way<'_>) -> Result<Done, Problem> {
    let code = way.args.device_code.as_deref().unwrap_or_default().trim();
    if code.is_empty() {
        return Err(Problem::new(crate::commands::exit::USAGE, "--device-code names no code"));
    }
    let found = match way.target.folder() {
        Some(folder) => FirstStep::find(folder, code)?,
        None => None,
    };
    let named = way.args.scope.is_some() || !way.args.domain.is_empty() || way.args.recommend;
    let (mut pace, mut length) = (Pace::new(INTERVAL), EXPIRES_IN);
    if let Some(first) = found {
        let left = first.expires_at - way.session.clock.now_secs();
        let Ok(left @ 1..) = u64::try_from(left) else {
            way.forget(code);
            return Err(expired(way.session));
        };
        if !named {
            way.ask = Ask::of_names(first.scopes, "the first step")?;
        }
        pace = Pace::new(Duration::from_secs(first.interval_secs));
        length = Duration::from_secs(left);
    } else {
        way.session.ui.warn(&format!(
            "nothing is known here of this code's first step, so {} counts as asked for",
            way.ask.because
        ));
    }
    let code = SecretString::from(code);
    wait(way, &code, pace, length, true).await
}

async fn wait(
    way: &mut Way<'_>,
    code: &SecretString,
    pace: Pace,
    length: Duration,
    at_once: bool,
) -> Result<Done, Problem> {
    let client = way.nobody();
    let ui = &way.session.ui;
    let app = way.target.app.clone();
    let poll = async || client.oauth().poll_device(&app, code).await;
    let trouble = |error: &crate::feishu::ApiError| ui.warn(&format!("{error}; still waiting"));
    let came = device_flow::wait(pace, length, at_once, poll, trouble).await;
    let spent = !matches!(came, Err(Ended::Failed(_)));
    let stored = match came {
        Ok(grant) => {
            keep::store(way.session, way.config, &mut way.target, grant, way.args.default).await
        }
        Err(Ended::Denied) => Err(Problem::new(
            LOGIN,
            "you said no on the page; nobody was logged in",
        )
        .hint(format!("to be asked again: {}", command(way.session, "auth login --device")))),
        Err(Ended::Expired(None)) => Err(expired(way.session)),
        Err(Ended::Expired(Some(error))) => {
            let problem = expired(way.session);
            Err(Problem { message: format!("{}; last, {error}", problem.message), ..problem })
        }
        Err(Ended::Failed(error)) => Err(way.explain(error)),
    };
    // Only now: the grant comes first.
    if spent {
        way.forget(code.expose_secret());
    }
    stored.map(|login| Done { login, browser: None })
}

impl Way<'_> {
    /// Removes what `--no-wait` left. Where that fails, a later first step does it.
    fn forget(&self, code: &str) {
        if let Some(folder) = self.target.folder()
            && let Err(error) = FirstStep::remove(folder, code)
        {
            self.session.ui.note(&format!("what --no-wait left could not be removed: {error}"));
        }
    }
}

fn expired(session: &Session) -> Problem {
    Problem::new(LOGIN, "the code has expired; nobody was logged in")
        .hint(format!("start again: {}", command(session, "auth login --device")))
}

fn announce(way: &Way<'_>, device: &DeviceCode) {
    let ui = &way.session.ui;
    if ui.is_json() {
        ui.json(&json!({
            "event": "device_authorization",
            "verification_uri_complete": device.verification_uri,
            "user_code": device.user_code,
            "device_code": device.device_code.expose_secret(),
            "expires_in": device.expires_in.as_secs(),
            "interval": device.interval.as_secs(),
            "requested_scopes": way.ask.requested(),
        }));
        ui.flush();
        return;
    }
    show_link(way.session, device);
    if way.args.no_wait {
        ui.line("then go on here:");
        let code = device.device_code.expose_secret();
        ui.result(&command(way.session, &format!("auth login --device-code {code}")));
    } else {
        ui.note("Waiting; Ctrl-C stops.");
    }
    ui.flush();
}

/// Link and code as text, and the link as a QR code where somebody can point a phone at it.
pub fn show_link(session: &Session, device: &DeviceCode) {
    let ui = &session.ui;
    ui.line("Open this link on any device and agree:\n");
    ui.result(&device.verification_uri);
    ui.line("");
    ui.result(&format!("code: {}", device.user_code));
    let millis = u64::try_from(device.expires_in.as_millis()).unwrap_or(u64::MAX);
    ui.line(&format!("The page shows the same code. It is good for {}.\n", duration_ms(millis)));
    let terminal = session.out_is_terminal || session.err_is_terminal;
    if terminal && !ui.is_quiet() && !ui.is_json() {
        let color = session.global.color.applies(true);
        if let Some(code) = qr::code(&device.verification_uri, color) {
            if session.out_is_terminal {
                ui.raw(code.as_bytes());
            } else {
                ui.raw_err(code.as_bytes());
            }
        }
    }
    ui.flush();
}
