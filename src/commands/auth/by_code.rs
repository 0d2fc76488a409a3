//! `auth login` in a browser: the authorization code flow, by the loopback listener or by
//! pasting the address (`--no-browser`).

use std::io;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use tokio::time::timeout;

use super::login::{Done, Way};
use super::{command, keep};
use crate::auth::browser;
use crate::auth::code_flow::{Attempt, Callback, DEFAULT_PORT, PATH, PATIENCE};
use crate::auth::loopback::Loopback;
use crate::auth::page::Page;
use crate::commands::exit::{LOGIN, Problem};
use crate::ui::text::{duration_ms, escaped};

/// So many addresses may be pasted.
const PASTES: u32 = 3;

/// Of callbacks that decide nothing, so many are told; a page full of them could fill the
/// terminal.
const STRAYS: u32 = 3;

/// The browser may take so long to start before the link is all there is.
const BROWSER_START: std::time::Duration = std::time::Duration::from_secs(10);

/// Logs in. Where a browser came back, it waits for the page that says how it went.
pub async fn run(way: &mut Way<'_>) -> Result<Done, Problem> {
    let port = way.args.port.unwrap_or(DEFAULT_PORT);
    // Taken before the link is shown: nobody is to agree for nothing.
    let loopback = if way.args.no_browser {
        None
    } else {
        Some(Loopback::bind(port).await.map_err(|error| taken(way, port, &error))?)
    };
    let requested = way.ask.requested();
    let attempt = Arc::new(Attempt::new(&way.target.domain, &way.target.app.id, port, &requested));
    announce(way, &attempt);
    let Some(loopback) = loopback else {
        let code = pasted(way, &attempt).await?;
        let login = redeem(way, &attempt, &code).await?;
        return Ok(Done { login, browser: None });
    };
    let reader = attempt.clone();
    let mut serving = loopback.serve(move |query| reader.read(query));
    open_browser(way, &attempt).await;
    let failed = |problem: Problem| (Page::Failed(problem.message.clone()), problem);
    let done = match timeout(PATIENCE, answer(way, &mut serving)).await {
        Err(_) => Err(failed(nothing_came(way, &attempt))),
        Ok(Callback::Code(code)) => redeem(way, &attempt, &code).await.map_err(failed),
        Ok(Callback::Denied) => Err((Page::Denied, denied(way))),
        Ok(Callback::Refused(words)) => Err(failed(refused(way, &words))),
        Ok(Callback::WrongState | Callback::Incomplete) => unreachable!("they are no answers"),
    };
    match done {
        Ok(login) => Ok(Done { login, browser: Some(serving) }),
        Err((page, problem)) => {
            serving.finish(page).await;
            Err(problem)
        }
    }
}

/// Shows the link, whatever else opens it.
fn announce(way: &Way<'_>, attempt: &Attempt) {
    let ui = &way.session.ui;
    if ui.is_json() {
        ui.json(&json!({
            "event": "authorization_url",
            "authorization_url": attempt.url,
            "redirect_uri": attempt.redirect_uri,
            "expires_in": PATIENCE.as_secs(),
            "requested_scopes": way.ask.requested(),
        }));
    } else {
        ui.line("Open this link in a browser and agree:\n");
        ui.result(&attempt.url);
        ui.line("");
        // The link comes before the words about it, whichever streams they go to.
        ui.flush();
        if way.args.no_browser {
            ui.note(&format!(
                "The browser then goes to {} and shows an error, since nobody listens there. \
                 That is as it should be: copy the whole address from its address bar, paste it \
                 here, and press Enter. A code is good for 5 minutes.",
                attempt.redirect_uri
            ));
        } else {
            ui.note(&format!(
                "Waiting {} for the browser to come back to {}; Ctrl-C stops.",
                duration_ms(1000 * PATIENCE.as_secs()),
                attempt.redirect_uri
            ));
        }
    }
    ui.flush();
}

async fn open_browser(way: &Way<'_>, attempt: &Attempt) {
    let ui = &way.session.ui;
    let Some(browser) = browser::find(&way.session.vars) else {
        if !ui.is_json() {
            ui.note(&format!(
                "No browser was found here. On another machine the link cannot come back: use \
                 `{}` or `{}`.",
                command(way.session, "auth login --no-browser"),
                command(way.session, "auth login --device")
            ));
        }
        return;
    };
    let url = attempt.url.clone();
    let opening = tokio::task::spawn_blocking(move || browser.open(&url));
    let opened = timeout(BROWSER_START, opening).await;
    if let Ok(Ok(Err(error))) = opened {
        ui.note(&format!("The browser could not be started ({error}); open the link yourself."));
    }
}

/// The first callback that is an answer; the others are told.
async fn answer(way: &Way<'_>, serving: &mut crate::auth::loopback::Serving) -> Callback {
    let mut strays = 0;
    loop {
        let callback = serving.next().await;
        if callback.is_answer() {
            return callback;
        }
        strays += 1;
        if strays <= STRAYS {
            let more = if strays == STRAYS { " (further ones are not told)" } else { "" };
            way.session.ui.warn(&format!("{}; still waiting{more}", stray(&callback)));
        }
    }
}

/// What a callback that decides nothing was.
fn stray(callback: &Callback) -> &'static str {
    match callback {
        Callback::Incomplete => "a browser came back without a code",
        _ => {
            "a browser came back with the wrong state: from an older link, or somebody else's \
             doing"
        }
    }
}

/// Reads the address that the person pastes.
async fn pasted(way: &Way<'_>, attempt: &Attempt) -> Result<SecretString, Problem> {
    let mut last = String::new();
    for tries in 1..=PASTES {
        let Some(line) = line(way).await? else {
            return Err(Problem::new(LOGIN, "no address was pasted: the input ended").hint(
                format!(
                    "run it on a terminal, or log in without pasting: {}",
                    command(way.session, "auth login --device")
                ),
            ));
        };
        last = match attempt.read_pasted(&line) {
            Ok(Callback::Code(code)) => return Ok(code),
            Ok(Callback::Denied) => return Err(denied(way)),
            Ok(Callback::Refused(words)) => return Err(refused(way, &words)),
            Ok(Callback::WrongState) => "this address has the wrong state: it belongs to another \
                                         login; open the link above and paste what comes after it"
                .to_owned(),
            Ok(Callback::Incomplete) => "this address has no code in it".to_owned(),
            Err(why) => why,
        };
        let left = PASTES - tries;
        if left > 0 {
            way.session.ui.warn(&format!("{last} ({left} more)"));
        }
    }
    Err(Problem::new(LOGIN, format!("{last}; given up after {PASTES} tries"))
        .hint(format!("log in again: {}", command(way.session, "auth login --no-browser"))))
}

/// A line of stdin; `None` at its end. The thread that reads stays behind where the
/// person presses Ctrl-C instead.
async fn line(way: &Way<'_>) -> Result<Option<String>, Problem> {
    let input = way.session.input.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut line = Vec::new();
        let mut input = input.lock().expect("nobody panics while reading");
        // An address is never longer; what is should not fill the memory.
        let mut limited = io::Read::take(&mut **input, 64 << 10);
        let count = io::BufRead::read_until(&mut limited, b'\n', &mut line)?;
        Ok::<_, io::Error>((count > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
    });
    match read.await {
        Ok(Ok(line)) => Ok(line),
        Ok(Err(error)) => Err(Problem::failed(format!("cannot read the address: {error}"))),
        Err(_) => Err(Problem::interrupted()),
    }
}

async fn redeem(
    way: &mut Way<'_>,
    attempt: &Attempt,
    code: &SecretString,
) -> Result<crate::auth::logins::Login, Problem> {
    let client = way.nobody();
    let grant = client
        .oauth()
        .redeem_code(&way.target.app, code, &attempt.redirect_uri, &attempt.verifier)
        .await
        .map_err(|error| way.explain(error))?;
    keep::store(way.session, way.config, &mut way.target, grant, way.args.default).await
}

fn denied(way: &Way<'_>) -> Problem {
    Problem::new(LOGIN, "you said no on the page; nobody was logged in")
        .hint(format!("to be asked again: {}", command(way.session, "auth login")))
}

fn refused(way: &Way<'_>, words: &str) -> Problem {
    Problem::new(LOGIN, format!("the service refused the login: {}", escaped(words)))
        .hint(format!("log in again: {}", command(way.session, "auth login")))
}

/// An unregistered redirect URI looks just like this: the service shows an error page,
/// and the browser never comes back.
fn nothing_came(way: &Way<'_>, attempt: &Attempt) -> Problem {
    let minutes = PATIENCE.as_secs() / 60;
    Problem::new(LOGIN, format!("no browser came back within {minutes} minutes")).hint(format!(
        "did the page show an error about the redirect URI (重定向 URL, code 20029)? Then add {} \
         in the developer console under Security Settings (安全设置) and log in again. Without a \
         redirect URI, or with the browser on another machine: {}",
        attempt.redirect_uri,
        command(way.session, "auth login --device")
    ))
}

fn taken(way: &Way<'_>, port: u16, error: &io::Error) -> Problem {
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => format!("port {port} is in use by another program"),
        _ => format!("cannot listen on port {port} of localhost: {error}"),
    };
    let other = if port == DEFAULT_PORT { 9001 } else { DEFAULT_PORT };
    Problem::failed(message).hint(format!(
        "use another one: {}; then http://localhost:{other}{PATH} has to be a redirect URL (重定向 \
         URL) in the developer console under Security Settings (安全设置). Or paste the address: {}",
        command(way.session, &format!("auth login --port {other}")),
        command(way.session, "auth login --no-browser"),
    ))
}
