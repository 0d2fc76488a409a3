//! Which identity a run has, and with which credential. In this version both come
//! from the environment.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::Session;
use super::exit::{LOGIN, Problem};
use crate::auth::logins::Login;
use crate::auth::profiles::{Profile, Profiles};
use crate::config::{Config, Identity};
use crate::feishu::oauth::AppKey;
use crate::feishu::{Client, Credentials};
use crate::model::account::Domain;
use crate::model::source::{SourceKind, WikiScope};

const TOKEN: &str = "FEISHU_USER_ACCESS_TOKEN";
const APP_ID: &str = "FEISHU_APP_ID";
const APP_SECRET: &str = "FEISHU_APP_SECRET";

/// The credential for this config; `auto` takes a user where one is there.
///
/// # Errors
/// Exit 4, with what to set.
pub fn credentials(
    config: &Config,
    vars: &BTreeMap<String, String>,
) -> Result<Credentials, Problem> {
    let set = |name: &str| vars.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let (token, id, secret) = (set(TOKEN), set(APP_ID), set(APP_SECRET));
    let as_user = match config.identity {
        Identity::User => true,
        Identity::App => false,
        Identity::Auto => token.is_some(),
    };
    if as_user {
        return token.map(|token| Credentials::User(SecretString::from(token))).ok_or_else(|| {
            Problem::new(
                LOGIN,
                format!("no credential for identity = \"user\": {TOKEN} is not set"),
            )
            .hint(format!("set {TOKEN} to a user's access token (u-… or eyJ…)"))
        });
    }
    match (id, secret) {
        (Some(id), Some(secret)) => {
            needs_no_user(config)?;
            Ok(Credentials::App { app_id: id.to_owned(), app_secret: SecretString::from(secret) })
        }
        (Some(_), None) => {
            Err(Problem::new(LOGIN, format!("{APP_ID} is set, but {APP_SECRET} is not"))
                .hint("you find both in the developer console under Credentials (凭证与基础信息)"))
        }
        (None, Some(_)) => {
            Err(Problem::new(LOGIN, format!("{APP_SECRET} is set, but {APP_ID} is not"))
                .hint("you find both in the developer console under Credentials (凭证与基础信息)"))
        }
        (None, None) => Err(Problem::new(LOGIN, "no credential")
            .hint(format!("set {APP_ID} and {APP_SECRET} of your app, or {TOKEN} of a user"))),
    }
}

/// My library belongs to a user; an app has none.
fn needs_no_user(config: &Config) -> Result<(), Problem> {
    let personal = |kind: &SourceKind| *kind == SourceKind::Wiki(WikiScope::MyLibrary);
    match config.sources.iter().find(|source| personal(&source.kind)) {
        None => Ok(()),
        Some(source) => Err(Problem::new(
            LOGIN,
            format!(
                "source {:?} is a user's library (space = \"my_library\"), and there is no user",
                source.name.as_str()
            ),
        )
        .hint(format!("set {TOKEN}, or name a space that the app can see"))),
    }
}

/// Whose calls they are, resolved from flags, environment, config and profile.
pub struct Account {
    /// Where calls go, and the only hosts that the secrets may be sent to.
    pub domain: Domain,
    /// For the client.
    pub credentials: Credentials,
    /// The app, where id and secret are known.
    pub app: Option<AppKey>,
    /// The profile that counts, where it is there.
    pub profile: Option<Profile>,
    /// The stored login in use.
    pub login: Option<Login>,
}

impl Account {
    /// True for a user's identity.
    pub fn is_user(&self) -> bool {
        matches!(self.credentials, Credentials::User(_) | Credentials::Login(_))
    }
}

/// Which profile counts, and what says so, for people ("--profile", "mirror.toml" …).
pub fn profile_name(
    session: &Session,
    config: Option<&Config>,
) -> Result<(String, &'static str), Problem> {
    let _ = (session, config);
    todo!()
}

/// The profiles of this user's home.
pub fn profiles(session: &Session) -> Result<Profiles, Problem> {
    let _ = session;
    todo!()
}

/// The config, where there is one: these commands work without. One that is wrong is an
/// error.
pub fn maybe_config(session: &Session) -> Result<Option<Config>, Problem> {
    let _ = session;
    todo!()
}

/// The account for a wanted identity.
///
/// # Errors
/// Exit 4 where there is no usable credential, 1 where things contradict each other,
/// each with what to do.
pub fn resolve(
    session: &Session,
    config: Option<&Config>,
    want: Identity,
) -> Result<Account, Problem> {
    let _ = (session, config, want);
    todo!()
}

/// A client for an account. Limits come from the config, else its defaults.
pub fn client(
    session: &Session,
    config: Option<&Config>,
    domain: &Domain,
    credentials: Credentials,
    max_calls: Option<u64>,
) -> Client {
    let _ = (session, config, domain, credentials, max_calls);
    todo!()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn told(identity: &str, space: &str, vars: &[(&str, &str)]) -> Result<&'static str, String> {
        let text = format!(
            "[account]\nidentity = \"{identity}\"\n[[source]]\nname = \"w\"\nkind = \"wiki\"\n\
             space = \"{space}\"\n"
        );
        let config = Config::parse(&text, Path::new("/m/mirror.toml"), &BTreeMap::new()).unwrap();
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match credentials(&config, &vars) {
            Ok(Credentials::User(_)) => Ok("user"),
            Ok(Credentials::App { .. }) => Ok("app"),
            Ok(_) => unreachable!(),
            Err(problem) => {
                assert_eq!(problem.code, LOGIN);
                Err(format!("{} {}", problem.message, problem.hint.unwrap()))
            }
        }
    }

    /// Identity, environment -> who it is, or words of the refusal.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Result<&'a str, &'a [&'a str]>);

    #[test]
    fn a_user_comes_before_the_app() {
        let (token, id, secret) = ((TOKEN, "u-1"), (APP_ID, "cli_1"), (APP_SECRET, "hush"));
        let cases: [Case<'_>; 8] = [
            ("auto", &[token, id, secret], Ok("user")),
            ("auto", &[id, secret], Ok("app")),
            ("app", &[token, id, secret], Ok("app")),
            ("user", &[id, secret], Err(&[TOKEN])),
            ("auto", &[], Err(&[TOKEN, APP_ID, APP_SECRET])),
            ("auto", &[(TOKEN, " "), id], Err(&[APP_SECRET, "is not"])),
            ("app", &[secret], Err(&[APP_ID, "is not"])),
            ("app", &[token], Err(&[APP_ID])),
        ];
        for (identity, vars, want) in cases {
            match (told(identity, "all", vars), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{identity} {vars:?}"),
                (Err(text), Err(words)) => {
                    assert!(words.iter().all(|word| text.contains(word)), "{text}");
                    assert!(!text.contains("hush"), "{text}");
                }
                (got, want) => panic!("{identity} {vars:?}: {got:?}, not {want:?}"),
            }
        }
        assert_eq!(told("auto", "my_library", &[token]), Ok("user"));
        assert!(told("auto", "my_library", &[id, secret]).unwrap_err().contains("my_library"));
    }
}
