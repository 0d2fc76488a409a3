//! `auth login`: the same before and after either flow.

use super::ask::Ask;
use super::target::Target;
use super::{by_code, by_device, keep, whose};
use crate::auth::loopback::Serving;
use crate::auth::page::Page;
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
    let done = tokio::select! {
        biased;
        // What is stored is stored in one step, which this cannot cut in two, and with
        // which `log_in` ends.
        () = session.interrupt.cancelled() => {
            return Err(Problem::new(INTERRUPTED, "interrupted; nobody was logged in"));
        }
        done = way.log_in() => done?,
    };
    let Some(Done { login, browser }) = done else { return Ok(DONE) };
    keep::report(session, &way.ask, &login, &way.target.name, way.config);
    if let Some(browser) = browser {
        browser.finish(Page::Done { name: login.name }).await;
    }
    Ok(DONE)
}

/// Somebody is logged in, and stored.
pub struct Done {
    pub login: crate::auth::logins::Login,
    /// A browser that waits to hear of it.
    pub browser: Option<Serving>,
}

impl Way<'_> {
    /// `None` where it is to be gone on with (`--no-wait`).
    async fn log_in(&mut self) -> Result<Option<Done>, Problem> {
        if self.args.device_code.is_some() {
            self.target.try_room()?;
            return by_device::go_on(self).await.map(Some);
        }
        self.fit().await?;
        self.target.try_room()?;
        if self.args.device {
            by_device::run(self).await
        } else {
            by_code::run(self).await.map(Some)
        }
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
        if !error.blames_app() {
            return Problem::from(error);
        }
        let target = &self.target;
        let stored = whose::store_secret(&target.name, &target.app.id, &target.domain);
        Problem::new(LOGIN, error.message)
            .hint(format!("{stored}; one in FEISHU_APP_SECRET comes before it"))
    }
}
