//! `api`: one raw call with this account's identity, quotas and retries.
//!
//! The service's reply goes to stdout as it is; pretty where a person reads it, on one
//! line otherwise. A refusal goes to stderr in words, and with `--json` to stdout in the
//! service's own.

mod input;
mod output;

use std::path::PathBuf;

use super::auth::whose;
use super::exit::{DONE, FAILED, LOGIN, Problem, USAGE};
use super::{Session, account};
use crate::cli::accounts::{Api, As};
use crate::commands::account::Account;
use crate::config::Config;
use crate::feishu::raw::{RawCall, RawError, RawReply};
use crate::feishu::{Body, Client, Credentials};

/// Runs it.
pub async fn run(session: &Session, args: &Api) -> Result<u8, Problem> {
    let wanted = input::Wanted::parse(args, &session.cwd, || {
        let mut input = session.input.lock().expect("nobody panics while reading");
        std::io::read_to_string(&mut *input)
    })?;
    let config = account::maybe_config(session)?;
    let account = whose::resolve(session, config.as_ref(), args.whose)?;
    let call = wanted.call(&account.domain)?;
    let other = other(session, config.as_ref(), &account);
    let client = account::sharing_client(session, config.as_ref(), &account, None, None);
    let run = Run { session, target: Target::of(session, args), client, call, other };
    tokio::select! {
        biased;
        () = session.interrupt.cancelled() => Err(Problem::interrupted()),
        done = run.go(args.page_all) => done,
    }
}

/// The identity that is not used but would be at hand, where the one in use is not
/// what a call takes.
fn other(session: &Session, config: Option<&Config>, account: &Account) -> Option<As> {
    let other = match account.credentials {
        Credentials::App { .. } => As::User,
        // A token that nobody can renew may be merely over.
        Credentials::Login(_) => As::App,
        Credentials::Nobody | Credentials::User(_) => return None,
    };
    let mut session = session.clone();
    if other == As::App {
        session.global.user = None;
    }
    whose::resolve(&session, config, other).is_ok().then_some(other)
}

/// Where the reply goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// stdout; `content`: also what is no JSON.
    Stdout { content: bool },
    /// A file, with the name that was given.
    File(PathBuf),
}

impl Target {
    fn of(session: &Session, args: &Api) -> Self {
        match &args.output {
            Some(path) if path.as_os_str() != "-" => Self::File(session.cwd.join(path)),
            Some(_) => Self::Stdout { content: true },
            None => Self::Stdout { content: !session.out_is_terminal && !session.ui.is_json() },
        }
    }
}

struct Run<'a> {
    session: &'a Session,
    target: Target,
    client: Client,
    call: RawCall,
    /// Another identity that `--as` could name.
    other: Option<As>,
}

impl Run<'_> {
    async fn go(&self, page_all: bool) -> Result<u8, Problem> {
        if let Target::File(path) = &self.target {
            // Before a call whose reply could not be kept.
            output::needs_folder(path)?;
        }
        let reply = if page_all {
            let whole = self.client.raw_all(&self.call).await;
            whole.map(|value| RawReply::Json(value.to_string()))
        } else {
            self.client.raw(&self.call).await
        };
        match reply.map_err(|error| self.refused(error))? {
            RawReply::Json(text) => self.json(&text)?,
            RawReply::Content(body) => self.content(body).await?,
        }
        Ok(DONE)
    }

    /// In words for people, and with `--json` in the service's own for programs.
    fn refused(&self, error: RawError) -> Problem {
        if let Some(reply) = error.reply.filter(|_| self.session.ui.is_json()) {
            self.session.ui.json(&reply);
        }
        // A token that was just handed out, or renewed, is refused for its kind.
        let wrong_kind = error.error.code.is_some() && !error.error.blames_app();
        let problem = Problem::from(error.error);
        match self.other {
            Some(As::User) if problem.code == LOGIN && wrong_kind => {
                Problem { code: FAILED, ..problem }
                    .hint("this call takes a user's token: --as user")
            }
            Some(As::App) if problem.message.contains("does not take a user's token") => {
                Problem { code: FAILED, ..problem }
                    .hint("this call takes the app's token: --as app")
            }
            _ => problem,
        }
    }

    fn json(&self, text: &str) -> Result<(), Problem> {
        let ui = &self.session.ui;
        match &self.target {
            Target::File(path) => {
                let mut file = output::NewFile::beside(path)?;
                file.write(text.as_bytes())?;
                self.written(file)
            }
            Target::Stdout { .. } => {
                let pretty = self.session.out_is_terminal && !ui.is_json();
                ui.result(&output::formatted(text, pretty));
                Ok(())
            }
        }
    }

    async fn content(&self, mut body: Body) -> Result<(), Problem> {
        use futures_util::StreamExt;

        let ui = &self.session.ui;
        match &self.target {
            Target::File(path) => {
                let mut file = output::NewFile::beside(path)?;
                while let Some(chunk) = body.stream.next().await {
                    file.write(&chunk?)?;
                }
                self.written(file)
            }
            Target::Stdout { content: true } => {
                while let Some(chunk) = body.stream.next().await {
                    ui.raw(&chunk?);
                }
                Ok(())
            }
            Target::Stdout { content: false } => {
                let size = body.total.map_or(String::new(), |total| format!(" ({total} bytes)"));
                let what = format!("the reply is a file{size}, not JSON");
                Err(Problem::new(USAGE, what).hint("say where to put it: --output FILE"))
            }
        }
    }

    fn written(&self, file: output::NewFile) -> Result<(), Problem> {
        let name = file.path().display().to_string();
        let bytes = file.finish()?;
        let name = crate::ui::text::escaped(&name);
        self.session.ui.note(&format!("{bytes} bytes written to {name}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
