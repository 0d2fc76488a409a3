//! `api`: one raw call with this account's identity, quotas and retries.
//!
//! The service's reply goes to stdout as it is; pretty where a person reads it, on one
//! line otherwise. A refusal goes to stderr in words, and with `--json` to stdout in the
//! service's own.

mod input;
mod output;

use std::path::PathBuf;

use super::exit::{DONE, Problem, USAGE};
use super::{Session, account};
use crate::cli::accounts::{Api, As};
use crate::config::Identity;
use crate::feishu::raw::{RawCall, RawError, RawReply};
use crate::feishu::{Body, Client};

/// Runs it.
pub async fn run(session: &Session, args: &Api) -> Result<u8, Problem> {
    let wanted = input::Wanted::parse(args, &session.cwd, || {
        let mut input = session.input.lock().expect("nobody panics while reading");
        std::io::read_to_string(&mut *input)
    })?;
    let config = account::maybe_config(session)?;
    let whose = match args.whose {
        As::User => Identity::User,
        As::App => Identity::App,
        As::Auto => Identity::Auto,
    };
    let account = account::resolve(session, config.as_ref(), whose)?;
    let call = wanted.call(&account.domain)?;
    let client =
        account::client(session, config.as_ref(), &account.domain, account.credentials, None);
    let run = Run { session, target: Target::of(session, args), client, call };
    tokio::select! {
        biased;
        () = session.interrupt.cancelled() => Err(Problem::interrupted()),
        done = run.go(args.page_all) => done,
    }
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
}

impl Run<'_> {
    async fn go(&self, page_all: bool) -> Result<u8, Problem> {
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
        Problem::from(error.error)
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
