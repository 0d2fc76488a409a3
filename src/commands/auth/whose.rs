//! Who a run would be, for the commands that are no run: the same decision, so that `auth
//! status`, `auth token`, `api` and `doctor` never contradict `sync`.

use crate::auth::profiles::add_command;
use crate::cli::accounts::As;
use crate::commands::account::Account;
use crate::commands::exit::{LOGIN, Problem, USAGE};
use crate::commands::{Session, account, identity};
use crate::config::{Config, Identity};
use crate::model::account::Domain;
use crate::store::Store;

/// Whose the next run would be; without a config, by what is stored and set alone.
///
/// # Errors
/// As the run: 4 without a usable credential, 1 where the mirror is another identity's.
pub fn next_run(session: &Session, config: Option<&Config>) -> Result<Account, Problem> {
    match config {
        Some(config) => identity::resolve(session, config),
        None => account::resolve(session, None, Identity::Auto),
    }
}

/// Whose calls `--as` asks for; `auto` is whoever a run would be.
///
/// # Errors
/// As [`next_run`], saying also that `--as` decides.
pub fn resolve(session: &Session, config: Option<&Config>, whose: As) -> Result<Account, Problem> {
    match whose {
        As::User => account::resolve(session, config, Identity::User),
        As::App => account::resolve(session, config, Identity::App),
        As::Auto => next_run(session, config).map_err(|problem| {
            if matches!(problem.code, LOGIN | USAGE) {
                return problem;
            }
            let hint = problem.hint.as_deref().unwrap_or_default();
            let hint = format!("say whose it is to be: --as user or --as app\n{hint}");
            problem.hint(hint.trim_end())
        }),
    }
}

/// What a user's login does not do, though it is there: the mirror was made by the app
/// and stays the app's, and `identity = "auto"` leaves it so.
pub fn left_to_the_app(config: Option<&Config>) -> Option<(&'static str, &'static str)> {
    let config = config.filter(|config| config.identity == Identity::Auto)?;
    // A run at work holds the manifest; then nothing is said.
    let recorded = Store::account(&config.state).ok()??;
    recorded.user.is_none().then_some((
        "this mirror was made by the app",
        "to make it this user's: feishu-mirror sync --accept-identity-change",
    ))
}

/// How an app's present secret is stored in a profile.
pub fn store_secret(profile: &str, app_id: &str, domain: &Domain) -> String {
    format!(
        "copy app id and app secret from the developer console under Credentials & Basic Info \
         (凭证与基础信息), and compare the domain ({}). The right secret is stored by: \
         {}",
        domain.name(),
        add_command(profile, app_id, domain)
    )
}
