//! `auth login`: the same before and after either flow.

use super::ask::Ask;
use super::command;
use super::target::Target;
use super::{by_code, by_device};
use crate::cli::accounts::Login as Args;
use crate::commands::exit::{DONE, INTERRUPTED, LOGIN, Problem};
use crate::commands::{Session, account};
use crate::config::Config;
use crate::feishu::{ApiError, Class, Credentials};

/// What both flows need.
pub struct Way<'a> {
    pub session: &'a Session,
    pub args: &'a Args,
    pub config: Option<&'a Config>,
    pub target: Target,
    pub ask: Ask,
}

/// Runs it.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let target = Target::find(session, config.as_ref())?;
    let ask = Ask::new(args, config.as_ref())?;
    let mut way = Way { session, args, config: config.as_ref(), target, ask };
    tokio::select! {
        // What is stored is stored in one step, which this cannot cut in two.
        () = session.interrupt.cancelled() => {
            Err(Problem::new(INTERRUPTED, "interrupted; nobody was logged in"))
        }
        done = way.log_in() => done.map(|()| DONE),
    }
}

impl Way<'_> {
    async fn log_in(&mut self) -> Result<(), Problem> {
        if self.args.device_code.is_some() {
            return by_device::go_on(self).await;
        }
        self.fit().await?;
        if self.args.device { by_device::run(self).await } else { by_code::run(self).await }
    }

    /// Asks the app for its scopes: what it does not have would spoil the login. This also
    /// finds a wrong secret before anybody has opened a page.
    async fn fit(&mut self) -> Result<(), Problem> {
        let client = self.target.client(self.session, self.config, self.target.as_app());
        match client.list_app_scopes().await {
            Ok(scopes) => {
                if let Some(warning) = self.ask.fit(&scopes) {
                    self.session.ui.warn(&warning);
                }
            }
            Err(error) if matches!(error.class, Class::Login | Class::Unreachable) => {
                return Err(self.explain(error));
            }
            // Not every app may ask; the page will say what it does not like.
            Err(error) => tracing::debug!("the app's scopes are not known: {error}"),
        }
        let ui = &self.session.ui;
        if !ui.is_json() {
            let requested = self.ask.requested();
            ui.note(&format!("asking for {} scopes: {}", requested.len(), self.ask.because));
            if ui.verbosity() > 0 {
                ui.note(&format!("  {}", requested.join(" ")));
            }
        }
        Ok(())
    }

    /// A client for the calls that log somebody in.
    pub fn nobody(&self) -> crate::feishu::Client {
        self.target.client(self.session, self.config, Credentials::Nobody)
    }

    /// What a refusal means for a login, with what to do.
    pub fn explain(&self, error: ApiError) -> Problem {
        let again = command(self.session, "auth login");
        let redirect = by_code::redirect_uri(self.args);
        let (code, hint) = match error.code {
            // Wrong secret: at the token endpoint, at the tenant token's.
            Some(20002 | 10014 | 10015 | 99_991_543) => (
                LOGIN,
                format!(
                    "the app id or secret is wrong. Copy both from the developer console under \
                     Credentials & Basic Info (凭证与基础信息), then: feishu-mirror profile add \
                     {} --app-id {}",
                    self.target.name, self.target.app.id
                ),
            ),
            Some(20003 | 20004 | 20024 | 20049 | 20065) => (
                LOGIN,
                format!(
                    "the code was used before, is older than 5 minutes, or belongs to another \
                     login. Log in again: {again}"
                ),
            ),
            Some(20071) => (
                crate::commands::exit::FAILED,
                format!(
                    "add {redirect} as a redirect URL (重定向 URL) in the developer console under \
                     Security Settings (安全设置), then log in again: {again}; or do without: \
                     {again} --device"
                ),
            ),
            _ => {
                let problem = Problem::from(error);
                return match problem.hint {
                    Some(_) => problem,
                    None => problem.hint(format!("then log in again: {again}")),
                };
            }
        };
        Problem::new(code, error.message).hint(hint)
    }
}
