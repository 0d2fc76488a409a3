//! Judgements of `doctor` on plain inputs: who is calling, and what they may.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::access::{Access, Barrier};
use super::check::{Finding, Status};
use super::identity::{Heard, credentials, user_token};
use super::scopes::{Granted, check};
use crate::auth::logins::{GRANT_SECS, Login};
use crate::auth::scopes::{Need, of_config};
use crate::commands::account::Account;
use crate::commands::exit::{LOGIN, Problem};
use crate::config::Config;
use crate::feishu::oauth::AppKey;
use crate::feishu::{ApiError, AppScope, Class, Credentials, UserInfo};
use crate::model::SourceName;
use crate::model::account::Domain;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// How the identity was resolved.
type Outcome = Result<Account, Problem>;
/// Who the service says the user is.
type Said = Option<Result<UserInfo, ApiError>>;
/// Words of the message and the hint.
type Words<'a> = &'a [&'a str];

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn app() -> AppKey {
    AppKey { id: "cli_a1".to_owned(), secret: secret("hush") }
}

fn account(credentials: Credentials, app: Option<AppKey>) -> Account {
    Account { domain: Domain::feishu(), credentials, app, profile: None, login: None }
}

fn by_app() -> Account {
    account(Credentials::App { app_id: app().id, app_secret: app().secret }, Some(app()))
}

fn by_token() -> Account {
    account(Credentials::User(secret("u-hush")), None)
}

#[derive(Debug)]
struct Stored;

impl crate::feishu::TokenSource for Stored {
    fn token<'a>(
        &'a self,
        _: crate::feishu::oauth::OAuth<'a>,
        _: Option<&'a SecretString>,
    ) -> futures_util::future::BoxFuture<'a, Result<SecretString, ApiError>> {
        Box::pin(async { Ok(secret("u-hush")) })
    }
}

fn by_login() -> Account {
    account(Credentials::Login(std::sync::Arc::new(Stored)), Some(app()))
}

fn nobody() -> Problem {
    Problem::new(LOGIN, "no credential").hint("feishu-mirror profile add")
}

fn error(class: Class, message: &str) -> ApiError {
    ApiError {
        class,
        endpoint: "GET /x",
        code: None,
        status: None,
        message: message.to_owned(),
        hint: Some("do this".to_owned()),
    }
}

fn user() -> UserInfo {
    UserInfo { name: "Ann".into(), open_id: "ou_1".into(), union_id: None, tenant_key: None }
}

/// A login that began so many days ago.
fn login(days_ago: i64, refresh: bool) -> Login {
    Login {
        open_id: "ou_1".to_owned(),
        name: "Ann".to_owned(),
        tenant_key: None,
        access_token: secret("u-hush"),
        obtained_at: NOW,
        expires_at: NOW + 3600,
        refresh_token: refresh.then(|| secret("hush")),
        refresh_expires_at: refresh.then_some(NOW + 7 * DAY),
        granted_at: NOW - days_ago * DAY,
        scope: "offline_access".to_owned(),
    }
}

#[track_caller]
fn holds(finding: &Finding, status: Status, words: &[&str]) {
    let text = format!("{} {}", finding.message, finding.hint.clone().unwrap_or_default());
    assert_eq!(finding.status, status, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn credentials_are_those_that_the_service_accepts() {
    let heard = |scopes| Heard { user: None, scopes };
    let cases: [(Outcome, Heard, Status, Words<'_>); 8] = [
        (Err(nobody()), heard(None), Status::Fail, &["no credential", "profile add"]),
        (Ok(by_app()), heard(None), Status::Pass, &["cli_a1", "not asked"]),
        (Ok(by_app()), heard(Some(Ok(Vec::new()))), Status::Pass, &["cli_a1", "accepted"]),
        (
            Ok(by_app()),
            heard(Some(Err(error(Class::Login, "the app secret is wrong")))),
            Status::Fail,
            &["cli_a1", "secret is wrong", "do this"],
        ),
        (
            Ok(by_app()),
            heard(Some(Err(error(Class::Config, "the app is disabled")))),
            Status::Fail,
            &["cannot be used", "disabled"],
        ),
        (
            Ok(by_app()),
            heard(Some(Err(error(Class::Transient, "no byte for 60 s")))),
            Status::Warn,
            &["could not be checked", "no byte"],
        ),
        (
            Ok(by_login()),
            heard(Some(Err(error(Class::Login, "the app secret is wrong")))),
            Status::Fail,
            &["not accepted"],
        ),
        (Ok(by_token()), heard(None), Status::Pass, &["FEISHU_USER_ACCESS_TOKEN"]),
    ];
    for (account, heard, status, words) in cases {
        holds(&credentials(&account, &heard), status, words);
    }
}

#[test]
fn a_token_from_the_environment_does_not_last() {
    let heard = |user| Heard { user, scopes: None };
    let cases: [(Said, Status, Words<'_>); 4] = [
        (None, Status::Warn, &["two hours", "auth login"]),
        (Some(Ok(user())), Status::Warn, &["Ann is accepted", "auth login"]),
        (Some(Err(error(Class::Login, "expired"))), Status::Fail, &["not accepted", "do this"]),
        (Some(Err(error(Class::Transient, "broke"))), Status::Warn, &["could not be checked"]),
    ];
    for (user, status, words) in cases {
        holds(&user_token(&Ok(by_token()), None, &heard(user), NOW), status, words);
    }
    holds(&user_token(&Ok(by_app()), None, &heard(None), NOW), Status::Skip, &["app itself"]);
    holds(&user_token(&Err(nobody()), None, &heard(None), NOW), Status::Skip, &["no user"]);
}

#[test]
fn a_stored_login_says_how_long_it_will_do() {
    let ended = Login { granted_at: NOW - GRANT_SECS - 1, ..login(0, true) };
    let unrenewed = Login {
        expires_at: NOW - 10 * DAY,
        refresh_expires_at: Some(NOW - DAY),
        ..login(30, true)
    };
    let accepted = || Some(Ok(user()));
    let refused = || Some(Err(error(Class::Login, "the refresh token was revoked")));
    let broken = || Some(Err(error(Class::Transient, "broke")));
    let cases: [(Login, Said, Status, Words<'_>); 9] = [
        (login(0, true), accepted(), Status::Pass, &["Ann", "365 days more"]),
        (login(10, true), None, Status::Pass, &["355 days more", "not asked"]),
        (login(350, true), accepted(), Status::Pass, &["15 days more"]),
        (login(351, true), accepted(), Status::Warn, &["in 14 days", "auth login"]),
        (login(364, true), accepted(), Status::Warn, &["in 1 day,", "auth login"]),
        (login(0, false), accepted(), Status::Warn, &["offline_access", "安全设置", "auth login"]),
        (ended, None, Status::Fail, &["365 days", "auth login"]),
        (unrenewed, None, Status::Fail, &["expired", "auth login"]),
        (login(0, true), refused(), Status::Fail, &["revoked", "auth login"]),
    ];
    for (login, user, status, words) in cases {
        let heard = Heard { user, scopes: None };
        holds(&user_token(&Ok(by_login()), Some(&login), &heard, NOW), status, words);
    }
    let heard = Heard { user: broken(), scopes: None };
    let finding = user_token(&Ok(by_login()), Some(&login(0, true)), &heard, NOW);
    holds(&finding, Status::Warn, &["could not be checked", "broke"]);
}

fn needs() -> Vec<Need> {
    let text = "[[source]]\nname = \"d\"\nkind = \"drive\"\n";
    of_config(&Config::parse(text, Path::new("/m/mirror.toml"), &BTreeMap::new()).unwrap())
}

/// The app's scopes: all that are needed but `without`, and `more` (name, kind, granted).
fn app_with(without: &[&str], more: &[(&str, Option<&str>, bool)]) -> Vec<AppScope> {
    let needs = needs();
    let all = needs.iter().map(|need| (need.scope, None, true));
    all.filter(|(scope, ..)| !without.contains(scope))
        .chain(more.iter().copied())
        .map(|(name, kind, granted)| AppScope {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            granted,
        })
        .collect()
}

fn granted(app: Option<Vec<AppScope>>, user: Option<&[&str]>, as_user: bool) -> Granted {
    Granted {
        app,
        user: user.map(|names| names.iter().map(|&name| name.to_owned()).collect()),
        as_user,
        who: if as_user { "the user Ann".to_owned() } else { "the app cli_a1".to_owned() },
        console: "https://open.feishu.cn/app".to_owned(),
        login: "feishu-mirror auth login".to_owned(),
    }
}

const FILES: &str = "drive:file:download";
const DOCX: &str = "docx:document:readonly";

/// What is granted -> status, words of the message and the hint.
type Case<'a> = (&'a str, Granted, Status, &'a [&'a str]);

#[test]
fn each_missing_scope_says_who_needs_it_and_who_can_grant_it() {
    let all: Vec<&str> = needs().iter().map(|need| need.scope).collect();
    let fewer: Vec<&str> = all.iter().copied().filter(|scope| *scope != FILES).collect();
    let cases: [Case<'_>; 11] = [
        ("all there", granted(Some(app_with(&[], &[])), None, false), Status::Pass, &["all 7"]),
        (
            "a coarser one will do",
            granted(Some(app_with(&[FILES], &[("drive:drive:readonly", None, true)])), None, false),
            Status::Pass,
            &["all 7"],
        ),
        (
            "never added",
            granted(Some(app_with(&[FILES], &[])), None, false),
            Status::Fail,
            &["1 of the 7", FILES, "source \"d\"", "does not have it", "权限管理", "tenant tokens"],
        ),
        (
            "added, not published",
            granted(Some(app_with(&[FILES], &[(FILES, None, false)])), None, false),
            Status::Fail,
            &[FILES, "no published version", "版本管理与发布", "administrator"],
        ),
        (
            "for users only",
            granted(Some(app_with(&[FILES], &[(FILES, Some("user"), true)])), None, false),
            Status::Fail,
            &["for users' calls, not for its own", "权限管理"],
        ),
        (
            "the copy can be made without it",
            granted(Some(app_with(&[DOCX], &[])), None, false),
            Status::Warn,
            &[DOCX, "edit time", "[export] docx = [\"docx\"]"],
        ),
        (
            "the user agreed to all",
            granted(Some(app_with(&[], &[])), Some(&all), true),
            Status::Pass,
            &["all 7"],
        ),
        (
            "the user did not agree",
            granted(Some(app_with(&[], &[])), Some(&fewer), true),
            Status::Fail,
            &[FILES, "has not agreed", "agree to drive:file:download: feishu-mirror auth login"],
        ),
        (
            "neither the app nor the user",
            granted(Some(app_with(&[FILES], &[])), Some(&fewer), true),
            Status::Fail,
            &["does not have it", "user tokens", "after that", "auth login"],
        ),
        (
            "only the user's side is known",
            granted(None, Some(&fewer), true),
            Status::Fail,
            &["has not agreed"],
        ),
        (
            "nothing is known",
            granted(None, None, true),
            Status::Warn,
            &["not known", "权限管理", FILES],
        ),
    ];
    for (why, granted, status, words) in cases {
        let finding = check(&needs(), &granted, &[]);
        let text = format!("{} {}", finding.message, finding.hint.clone().unwrap_or_default());
        assert_eq!(finding.status, status, "{why}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{why}: {words:?} in {text}");
        if status == Status::Pass {
            assert_eq!(finding.hint, None, "{why}");
        }
    }
}

#[test]
fn the_four_causes_of_a_refusal_are_told_apart() {
    let complete = || granted(Some(app_with(&[], &[])), None, false);
    let all: Vec<&str> = needs().iter().map(|need| need.scope).collect();
    let as_user = || granted(Some(app_with(&[], &[])), Some(&all), true);
    let pending = granted(Some(app_with(&[FILES], &[(FILES, None, false)])), None, false);
    let missing = granted(Some(app_with(&[FILES], &[])), None, false);
    let disagreed = granted(Some(app_with(&[], &[])), Some(&[]), true);
    let said = || "code 99991672".to_owned();
    let cases: [(Granted, Barrier, Status, Words<'_>); 10] = [
        (
            missing,
            Barrier::AppScope(said()),
            Status::Fail,
            &["source \"d\" cannot", "does not have"],
        ),
        (
            pending,
            Barrier::AppScope(said()),
            Status::Fail,
            &["source \"d\" cannot", "no published"],
        ),
        (
            complete(),
            Barrier::AppScope(said()),
            Status::Fail,
            &["lacks a scope: code 99991672", "权限管理"],
        ),
        (
            disagreed,
            Barrier::UserScope(said()),
            Status::Fail,
            &["source \"d\" cannot", "has not agreed", "auth login"],
        ),
        (
            complete(),
            Barrier::NotShared("the folder fldA".to_owned()),
            Status::Fail,
            &["the folder fldA is not shared with the app cli_a1", "bot", "添加文档应用"],
        ),
        (
            as_user(),
            Barrier::NotShared("the wiki space 7".to_owned()),
            Status::Fail,
            &["not shared with the user Ann", "ask its owner"],
        ),
        (
            complete(),
            Barrier::Gone("docx A".to_owned()),
            Status::Fail,
            &["does not exist", "config"],
        ),
        (
            complete(),
            Barrier::Empty("no wiki space has this app as a member".to_owned()),
            Status::Warn,
            &["can be read, but no wiki space", "bot"],
        ),
        (complete(), Barrier::NoUser, Status::Fail, &["a user's library", "auth login"]),
        (
            complete(),
            Barrier::Unasked("no byte for 60 s".to_owned()),
            Status::Warn,
            &["could not be asked: no byte"],
        ),
    ];
    for (granted, barrier, status, words) in cases {
        let access = [Access { source: SourceName::new("d"), barrier: Some(barrier) }];
        let finding = check(&needs(), &granted, &access);
        assert!(finding.message.contains("1 source is in trouble"), "{}", finding.message);
        holds(&finding, status, words);
    }
    let readable = [Access { source: SourceName::new("d"), barrier: None }];
    let finding = check(&needs(), &complete(), &readable);
    holds(&finding, Status::Pass, &["all 7 scopes", "the source can be read"]);
}
