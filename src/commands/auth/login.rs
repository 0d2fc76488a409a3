//! `auth login`: the same before and after either flow.

use super::ask::Ask;
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

    /// A refusal, with the command that helps here. What most codes mean and ask for is
    /// the client's table's business.
    pub fn explain(&self, error: ApiError) -> Problem {
        // The device flow says it by the status alone (RFC 6749, 5.2: `invalid_client`).
        let wrong_app = match error.code {
            Some(code) => WRONG_APP.contains(&code),
            None => error.status == Some(401),
        };
        if !wrong_app {
            return Problem::from(error);
        }
        let (name, id, domain) = (&self.target.name, &self.target.app.id, &self.target.domain);
        let on = match domain.name() {
            "feishu" => String::new(),
            "lark" => " --domain lark".to_owned(),
            _ => format!(" --domain {},{}", domain.open, domain.accounts),
        };
        Problem::new(LOGIN, error.message).hint(format!(
            "copy app id and app secret from the developer console under Credentials & Basic \
             Info (凭证与基础信息), and compare the domain ({}). The right secret is stored by: \
             feishu-mirror profile add {name} --app-id {id}{on}; one in FEISHU_APP_SECRET comes \
             before it",
            domain.name()
        ))
    }
}

/// App id and secret do not fit together, or the app is not there (docs:
/// authentication-management/access-token/tenant_access_token_internal,
/// get-user-access-token).
const WRONG_APP: [i64; 8] = [10_003, 10_012, 10_013, 10_014, 10_015, 10_016, 20_002, 99_991_543];
