//! Is it still the same identity? A mirror belongs to the brand, app, user and tenant
//! that it was made with: another one sees other places, and what it does not see would
//! look gone.
//!
//! The manifest records the account once a first run has come as far as a plan. Nothing
//! changes it silently: a difference ends the run before it writes, and only
//! `--accept-identity-change` says that it is meant.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::Session;
use super::account::{self, Account};
use super::exit::{LOGIN, Problem};
use crate::cli::RunFlags;
use crate::config::{Config, Identity};
use crate::feishu::{Client, Credentials};
use crate::model::SourceName;
use crate::model::account::{Account as Recorded, AccountUser};
use crate::model::recorded::SourceRow;
use crate::model::source::{Source, SourceKind, WikiScope};
use crate::model::tree::RemoteTree;
use crate::store::{Store, StoreError};

const ACCEPT: &str = "--accept-identity-change";

/// Who this run is, and whether the manifest has to learn it.
pub struct Identified {
    /// For the client.
    pub client: Client,
    /// True for a user's identity.
    pub as_user: bool,
    /// As it was found.
    account: Recorded,
    /// `--accept-identity-change`.
    accepted: bool,
}

/// The account that the mirror was made with. With `--init` a manifest that cannot be read
/// says nothing: it is about to be put aside.
fn before_this(config: &Config, init: bool) -> Result<Option<Recorded>, Problem> {
    match Store::account(&config.state) {
        Err(StoreError::Damaged { .. }) if init => Ok(None),
        other => Ok(other?),
    }
}

/// Resolves the identity, makes sure that its credential is good, and compares it with
/// the one that the mirror was made with. Whoever is to write compares once more, under
/// the mirror's lock: [`Identified::confirm`].
///
/// # Errors
/// Exit 4 without a usable credential, 1 where the identity is another one. Nothing is
/// written before this returns.
pub async fn identify(
    session: &Session,
    config: &Config,
    sources: &[Source],
    flags: &RunFlags,
) -> Result<Identified, Problem> {
    let accepted = flags.accept_identity_change;
    let before = before_this(config, flags.init)?;
    // With `--init` the manifest may be put aside, and with it whose it was.
    let decided = before.as_ref().filter(|_| !accepted && !flags.init);
    let account = resolve_as(session, config, decided)?;
    if !account.is_user() {
        needs_no_user(sources, config.identity == Identity::App || decided.is_some())?;
    }
    let client =
        account::sharing_client(session, Some(config), &account, Some(config), flags.max_calls);
    let as_user = account.is_user();
    let known = describe(&account, before.as_ref());
    compare(decided, known.as_ref())?;
    // Before anything is written: a login that ended is found out here.
    client.access_token().await?;
    let now = match known {
        Some(known) => known,
        None => ask(&account, &client, before.as_ref()).await?,
    };
    compare(decided, Some(&now))?;
    Ok(Identified { client, as_user, account: now, accepted })
}

/// Whose run it would be, as far as that can be told without a call.
///
/// # Errors
/// As [`identify`].
pub fn resolve(session: &Session, config: &Config) -> Result<Account, Problem> {
    // A run at work holds the manifest; what it recorded is a matter of that run.
    let before = Store::account(&config.state).unwrap_or_default();
    let account = resolve_as(session, config, before.as_ref())?;
    compare(before.as_ref(), describe(&account, before.as_ref()).as_ref())?;
    Ok(account)
}

/// Refuses another identity than the one before.
fn compare(before: Option<&Recorded>, now: Option<&Recorded>) -> Result<(), Problem> {
    let (Some(before), Some(now)) = (before, now) else { return Ok(()) };
    let differences = differences(before, now);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Problem::failed(format!(
        "this mirror was made with another identity: {}",
        differences.join("; ")
    ))
    .hint(format!(
        "use the identity from before (--profile, --user); or, if the change is meant, run sync \
         with {ACCEPT} added"
    )))
}

fn resolve_as(
    session: &Session,
    config: &Config,
    decided: Option<&Recorded>,
) -> Result<Account, Problem> {
    let want = match (config.identity, decided) {
        // `auto` is decided once, by the first run.
        (Identity::Auto, Some(before)) if before.user.is_some() => Identity::User,
        (Identity::Auto, Some(_)) if session.global.user.is_none() => Identity::App,
        (identity, _) => identity,
    };
    let account = account::resolve(session, Some(config), want)
        .map_err(|problem| with_recorded(problem, decided))?;
    if want == Identity::App && config.identity == Identity::Auto && account::has_token(session) {
        session.ui.warn(&format!(
            "{} is not used: this mirror is the app's; if it is to be the user's from now on, run \
             sync with {ACCEPT} added",
            account::TOKEN
        ));
    }
    Ok(account)
}

impl Identified {
    /// Tells identities apart. Nobody can be told from it.
    pub fn print(&self) -> String {
        let Recorded { open, app_id, user } = &self.account;
        let user = user.as_ref().map(|user| &user.open_id);
        let whole = blake3::hash(format!("{open} {app_id:?} {user:?}").as_bytes()).to_hex();
        whole[..16].to_owned()
    }

    /// Compares with what the manifest says now that nobody else can change it; returns
    /// what it is to say from now on, where that is something else.
    pub fn confirm(&self, before: Option<&Recorded>) -> Result<Option<Recorded>, Problem> {
        compare(before.filter(|_| !self.accepted), Some(&self.account))?;
        let now = match before {
            Some(before) if !self.accepted => with_what_was_known(&self.account, before),
            _ => self.account.clone(),
        };
        Ok((before != Some(&now)).then_some(now))
    }

    /// Refuses a source whose config entry is as before but leads elsewhere now: the
    /// root of another user's space looks like an empty one.
    pub fn compare_roots(
        &self,
        tree: &RemoteTree,
        recorded: &BTreeMap<SourceName, SourceRow>,
    ) -> Result<(), Problem> {
        if self.accepted {
            return Ok(());
        }
        let moved = tree.sources.iter().find(|(name, source)| {
            recorded.get(*name).is_some_and(|before| {
                before.entry.as_deref() == Some(source.entry.as_str())
                    && !before.root.is_empty()
                    && !source.root.is_empty()
                    && before.root != source.root
            })
        });
        let Some((name, source)) = moved else { return Ok(()) };
        Err(Problem::failed(format!(
            "source {:?} leads elsewhere than before: to {:?} instead of {:?}, though its entry \
             in the config is the same",
            name.as_str(),
            source.root,
            recorded[name].root
        ))
        .hint(format!(
            "is it another user or tenant? If that is meant, run sync with {ACCEPT} added; \
             nothing was changed"
        )))
    }
}

/// The identity as the manifest is to have it. `None`: a token given by hand, which does
/// not say whose it is.
fn describe(account: &Account, before: Option<&Recorded>) -> Option<Recorded> {
    let open = account.domain.open.clone();
    let app_id = account.app.as_ref().map(|app| app.id.clone());
    match &account.credentials {
        Credentials::Nobody | Credentials::App { .. } => {
            Some(Recorded { open, app_id, user: None })
        }
        Credentials::Login(_) => {
            let login = account.login.as_ref().expect("a stored login comes with its user");
            let user = AccountUser {
                open_id: login.open_id.clone(),
                tenant_key: login.tenant_key.clone(),
                name: login.name.clone(),
                token_print: None,
            };
            Some(Recorded { open, app_id, user: Some(user) })
        }
        Credentials::User(token) => {
            let print = fingerprint(token.expose_secret());
            let same = |user: &AccountUser| user.token_print.as_ref() == Some(&print);
            let before = before.filter(|before| before.user.as_ref().is_some_and(same))?;
            Some(Recorded { open, ..before.clone() })
        }
    }
}

/// Asks the service whose a token is.
async fn ask(
    account: &Account,
    client: &Client,
    before: Option<&Recorded>,
) -> Result<Recorded, Problem> {
    let Credentials::User(token) = &account.credentials else {
        unreachable!("every other credential says whose it is")
    };
    let info = client.get_user_info().await?;
    // An open id names a user to one app: the same one, the same app.
    let app_id = before
        .filter(|it| it.user.as_ref().is_some_and(|it| it.open_id == info.open_id))
        .and_then(|before| before.app_id.clone());
    let user = AccountUser {
        open_id: info.open_id,
        tenant_key: info.tenant_key,
        name: info.name,
        token_print: Some(fingerprint(token.expose_secret())),
    };
    Ok(Recorded { open: account.domain.open.clone(), app_id, user: Some(user) })
}

/// Tells whether it is the token of last time, and nothing else: 64 bits of a hash of
/// hundreds of random ones.
fn fingerprint(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex()[..16].to_owned()
}

/// What is not as before, for people.
fn differences(before: &Recorded, now: &Recorded) -> Vec<String> {
    let mut all = Vec::new();
    if before.open != now.open {
        all.push(format!("it was {}, now it is {}", before.open, now.open));
    }
    if let (Some(was), Some(is)) = (&before.app_id, &now.app_id)
        && was != is
    {
        all.push(format!("the app was {was}, now it is {is}"));
    }
    match (&before.user, &now.user) {
        (None, None) => {}
        (Some(was), None) => {
            all.push(format!("it was the user {}, now it is the app itself", named(was)));
        }
        (None, Some(is)) => {
            all.push(format!("it was the app itself, now it is the user {}", named(is)));
        }
        (Some(was), Some(is)) => {
            if was.open_id != is.open_id {
                all.push(format!("the user was {}, now it is {}", named(was), named(is)));
            }
            if let (Some(was), Some(is)) = (&was.tenant_key, &is.tenant_key)
                && was != is
            {
                all.push(format!("the tenant was {was}, now it is {is}"));
            }
        }
    }
    all
}

fn named(user: &AccountUser) -> String {
    if user.name.is_empty() {
        user.open_id.clone()
    } else {
        format!("{} ({})", user.name, user.open_id)
    }
}

/// The same identity with what only the manifest knows of it: a token given by hand does
/// not say its app, and a reply may leave the tenant out.
fn with_what_was_known(now: &Recorded, before: &Recorded) -> Recorded {
    let user = now.user.clone().map(|user| {
        let known = before.user.as_ref().filter(|known| known.open_id == user.open_id);
        let tenant_key = || known.and_then(|known| known.tenant_key.clone());
        let token_print = || known.and_then(|known| known.token_print.clone());
        AccountUser {
            tenant_key: user.tenant_key.clone().or_else(tenant_key),
            token_print: user.token_print.clone().or_else(token_print),
            ..user
        }
    });
    let app_id = now.app_id.clone().or_else(|| before.app_id.clone());
    Recorded { open: now.open.clone(), app_id, user }
}

/// Says whose credential is missing, where the manifest knows it.
fn with_recorded(problem: Problem, before: Option<&Recorded>) -> Problem {
    let Some(before) = before.filter(|_| problem.code == LOGIN) else { return problem };
    let whose = match &before.user {
        Some(user) => format!("{}'s", named(user)),
        None => {
            format!("the app's ({})", before.app_id.as_deref().unwrap_or("its id is not known"))
        }
    };
    let hint = problem.hint.unwrap_or_default();
    Problem::new(LOGIN, format!("{}; this mirror is {whose}", problem.message)).hint(format!(
        "{hint}\nor go on with another identity, if that is meant: run sync with {ACCEPT} added"
    ))
}

/// My library belongs to a user; an app has none. `decided`: a login alone would not make
/// it a user's run.
fn needs_no_user(sources: &[Source], decided: bool) -> Result<(), Problem> {
    let personal = |kind: &SourceKind| *kind == SourceKind::Wiki(WikiScope::MyLibrary);
    match sources.iter().find(|source| personal(&source.kind)) {
        None => Ok(()),
        Some(source) => Err(Problem::new(
            LOGIN,
            format!(
                "source {:?} is a user's library (space = \"my_library\"), and this run is the \
                 app's",
                source.name.as_str()
            ),
        )
        .hint(if decided {
            format!(
                "name a space that the app can see; or make it a user's mirror: log in \
                 (feishu-mirror auth login), leave `identity = \"app\"` out of the config, then run \
                 sync with {ACCEPT} added"
            )
        } else {
            "log in: feishu-mirror auth login; or name a space that the app can see".to_owned()
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feishu::Settings;
    use crate::model::SourceName;
    use crate::model::tree::RemoteSource;

    /// `open app user tenant`, `-` where it is not known.
    fn account(words: &str) -> Recorded {
        let words: Vec<Option<String>> =
            words.split(' ').map(|word| Some(word.to_owned()).filter(|word| word != "-")).collect();
        let [open, app_id, user, tenant_key] = words.try_into().unwrap();
        let user = user.map(|open_id| AccountUser {
            open_id,
            tenant_key,
            name: "李雷".to_owned(),
            token_print: None,
        });
        Recorded { open: open.unwrap(), app_id, user }
    }

    #[test]
    fn every_difference_is_named() {
        let cases = [
            ("feishu cli_1 ou_1 t1", "feishu cli_1 ou_1 t1", vec![]),
            ("feishu cli_1 - -", "feishu cli_1 - -", vec![]),
            ("feishu cli_1 ou_1 -", "feishu - ou_1 t1", vec![]),
            ("feishu cli_1 ou_1 t1", "lark cli_1 ou_1 t1", vec!["it was feishu, now it is lark"]),
            ("feishu cli_1 - -", "feishu cli_2 - -", vec!["the app was cli_1"]),
            ("feishu cli_1 ou_1 t1", "feishu cli_1 ou_2 t1", vec!["the user was 李雷 (ou_1)"]),
            ("feishu cli_1 ou_1 t1", "feishu cli_1 ou_1 t2", vec!["the tenant was t1"]),
            ("feishu cli_1 ou_1 t1", "feishu cli_1 - -", vec!["now it is the app itself"]),
            ("feishu cli_1 - -", "feishu cli_1 ou_1 t1", vec!["it was the app itself"]),
            ("feishu cli_1 ou_1 t1", "feishu cli_2 ou_2 t2", vec!["app", "user", "tenant"]),
        ];
        for (before, now, want) in cases {
            let got = differences(&account(before), &account(now));
            assert_eq!(got.len(), want.len(), "{before} and {now}: {got:?}");
            for (got, want) in got.iter().zip(want) {
                assert!(got.contains(want), "{before} and {now}: {got}");
            }
        }
    }

    /// Entry and root before and now; true where the run goes on.
    #[test]
    fn an_unchanged_entry_must_lead_where_it_did() {
        let cases = [
            (Some("drive root"), "fld1", "drive root", "fld1", true),
            (Some("drive root"), "fld1", "drive root", "fld2", false),
            (Some("drive root"), "fld1", "drive fld2", "fld2", true),
            (None, "fld1", "drive root", "fld2", true),
            (Some("drive root"), "fld1", "drive root", "", true),
        ];
        for (entry, root, entry_now, root_now, goes_on) in cases {
            let name = SourceName::new("drive");
            let row = SourceRow {
                entry: entry.map(str::to_owned),
                root: root.to_owned(),
                ..SourceRow::default()
            };
            let mut recorded = crate::model::recorded::Recorded::default();
            recorded.sources.insert(name.clone(), row);
            let source = RemoteSource {
                entry: entry_now.to_owned(),
                root: root_now.to_owned(),
                ..RemoteSource::default()
            };
            let tree = RemoteTree { sources: [(name, source)].into() };
            for accepted in [false, true] {
                let who = Identified {
                    client: nobody(),
                    as_user: false,
                    account: account("feishu cli_1 - -"),
                    accepted,
                };
                let compared = who.compare_roots(&tree, &recorded.sources);
                assert_eq!(compared.is_ok(), goes_on || accepted, "{entry:?} {root} {root_now}");
                if let Err(problem) = compared {
                    assert!(problem.hint.unwrap().contains(ACCEPT));
                }
            }
        }
    }

    /// What the manifest has, who comes, and what it is to say then; `no`: refused.
    #[test]
    fn under_the_lock_it_is_compared_again() {
        let cases = [
            ("-", "feishu cli_1 - -", "feishu cli_1 - -"),
            ("feishu cli_1 - -", "feishu cli_1 - -", "as before"),
            // Another run recorded it while this one waited.
            ("feishu cli_1 - -", "feishu cli_1 ou_1 t1", "no"),
            ("feishu cli_1 ou_1 t1", "feishu cli_1 ou_2 t1", "no"),
            // What is not known now is not forgotten.
            ("feishu cli_1 ou_1 t1", "feishu - ou_1 -", "as before"),
            ("feishu - ou_1 -", "feishu cli_1 ou_1 t1", "feishu cli_1 ou_1 t1"),
        ];
        for (before, now, want) in cases {
            let before = (before != "-").then(|| account(before));
            let mut who = Identified {
                client: nobody(),
                as_user: false,
                account: account(now),
                accepted: false,
            };
            match who.confirm(before.as_ref()) {
                Ok(None) => assert_eq!(want, "as before", "{now}"),
                Ok(Some(news)) => assert_eq!(news, account(want), "{now}"),
                Err(_) => assert_eq!(want, "no", "{now}"),
            }
            who.accepted = true;
            let accepted = who.confirm(before.as_ref()).unwrap();
            let is_news = before.as_ref() != Some(&account(now));
            assert_eq!(accepted, is_news.then(|| account(now)));
        }
    }

    fn nobody() -> Client {
        let clock = crate::clock::Clock::system();
        let settings = Settings {
            domain: crate::model::account::Domain::feishu(),
            credentials: Credentials::Nobody,
            quota_share: 1.0,
            concurrency: 1,
            retries: 0,
            request_timeout: std::time::Duration::from_secs(1),
            bandwidth: 0,
            max_calls: 0,
        };
        Client::new(settings, crate::sim::Tenant::new(clock.clone()).http(), clock)
    }
}
