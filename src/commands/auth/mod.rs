//! `auth`: who is logged in.
//!
//! `login` logs a user in: `ask` says for which scopes, `by_code` and `by_device` get the
//! grant, `keep` stores it and says what it is good for. `whose` says who a run would be.
//! The other files are a command each.

mod ask;
mod by_code;
mod by_device;
mod check;
mod keep;
mod login;
mod logout;
mod status;
mod target;
mod token;
mod users;
pub mod whose;

use super::exit::Problem;
use super::{Session, account};
use crate::auth::profiles::Profile;
use crate::cli::accounts::Auth;
use crate::config::Config;

pub use by_device::show_link;

/// Runs it.
pub async fn run(session: &Session, args: &Auth) -> Result<u8, Problem> {
    match args {
        Auth::Login(args) => login::run(session, args).await,
        Auth::Status(args) => status::run(session, args).await,
        Auth::Check(args) => check::run(session, args),
        Auth::Token(args) => token::run(session, args).await,
        Auth::Logout(args) => logout::run(session, args).await,
        Auth::Users(args) => users::run(session, args),
    }
}

/// The profile that counts: its name, and itself where it is there.
///
/// # Errors
/// One that was named with `--profile` has to be there.
fn profile(
    session: &Session,
    config: Option<&Config>,
) -> Result<(String, Option<Profile>), Problem> {
    let (name, _) = account::profile_name(session, config)?;
    let profiles = account::profiles(session)?;
    let found = match profiles.open(&name)? {
        None if session.global.profile.is_some() => Some(profiles.get(&name)?),
        found => found,
    };
    Ok((name, found))
}

/// A command line that does what is said for the same profile and config.
fn command(session: &Session, words: &str) -> String {
    let mut line = format!("feishu-mirror {words}");
    if let Some(profile) = &session.global.profile {
        line = format!("{line} --profile {profile}");
    }
    if let Some(config) = &session.global.config {
        line = format!("{line} --config '{}'", config.display());
    }
    line
}

/// How to log in again to a profile, named whether it is the active one or not.
fn again(session: &Session, profile: &str) -> String {
    let mut session = session.clone();
    session.global.profile = Some(profile.to_owned());
    command(&session, "auth login")
}

/// That nobody is logged in, and the way there, in two parts.
fn nobody(session: &Session, name: &str, found: Option<&Profile>) -> (String, String) {
    let login = command(session, "auth login");
    let set = |name| session.vars.get(name).is_some_and(|text| !text.trim().is_empty());
    let by_login = set("FEISHU_APP_ID") && set("FEISHU_APP_SECRET");
    match found {
        Some(_) => {
            (format!("no user is logged in to profile {name:?}"), format!("log in: {login}"))
        }
        None if by_login => (
            format!("there is no profile {name:?} yet"),
            format!("logging in makes it, for the app in FEISHU_APP_ID: {login}"),
        ),
        None => (
            format!("there is no profile {name:?}"),
            format!(
                "make it: feishu-mirror profile add {name} --app-id cli_…, then log in: {login}"
            ),
        ),
    }
}

/// A moment as the JSON contract has it: RFC 3339, UTC.
fn stamp(secs: i64) -> Option<String> {
    jiff::Timestamp::from_second(secs).ok().map(|at| at.to_string())
}

/// Scopes as people write them: separated by spaces or commas, each once.
///
/// # Errors
/// Says what cannot be a scope (RFC 6749, 3.3).
fn scopes(text: &str) -> Result<Vec<String>, String> {
    let mut scopes: Vec<String> = Vec::new();
    for word in text.split([' ', ',', '\t', '\n', '\r', '，']).filter(|word| !word.is_empty()) {
        if !word.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\') {
            return Err(format!("{word:?} is no scope; write like drive:file:download"));
        }
        if scopes.iter().all(|scope| scope != word) {
            scopes.push(word.to_owned());
        }
    }
    if scopes.is_empty() {
        return Err("--scope names no scope".to_owned());
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_people_write_them() {
        let cases = [
            ("a:b c:d", vec!["a:b", "c:d"]),
            (" a:b,c:d , a:b\n", vec!["a:b", "c:d"]),
            ("a:b，offline_access", vec!["a:b", "offline_access"]),
        ];
        for (text, want) in cases {
            assert_eq!(scopes(text).unwrap(), want, "{text:?}");
        }
        assert!(scopes(" ,").unwrap_err().contains("no scope"));
        assert!(scopes("drive:读").unwrap_err().contains("drive:file:download"));
    }

    #[test]
    fn moments_are_utc() {
        assert_eq!(stamp(1_772_332_200).as_deref(), Some("2026-03-01T02:30:00Z"));
        assert_eq!(stamp(i64::MAX), None);
    }
}
