//! `credentials` and `user_token`: who is calling, is that accepted, and for how long?

use crate::auth::logins::{Health, Login, WARN_SECS};
use crate::commands::account::Account;
use crate::commands::auth::whose;
use crate::commands::exit::Problem;
use crate::feishu::{ApiError, AppScope, Class, Credentials, UserInfo};
use crate::ui::text::{escaped, minute};

use super::check::{Finding, Status};

/// What the service said, where it was asked.
#[derive(Default)]
pub struct Heard {
    /// The user behind the token.
    pub user: Option<Result<UserInfo, ApiError>>,
    /// The app's scopes, which need nothing but its id and secret.
    pub scopes: Option<Result<Vec<AppScope>, ApiError>>,
}

/// `credentials`: the app's id and secret, or that a user's token is there.
pub fn credentials(account: &Result<Account, Problem>, heard: &Heard) -> Finding {
    let finding = accepted(account, heard);
    let profile = account.as_ref().ok().and_then(|account| account.profile.as_ref());
    let Some(profile) = profile.filter(|profile| !profile.repaired.is_empty()) else {
        return finding;
    };
    let lines: Vec<String> = profile.repaired.iter().map(ToString::to_string).collect();
    let hint = "whoever read it has the secrets: make a new app secret in the developer console \
                under Credentials & Basic Info (凭证与基础信息), and log in again";
    Finding {
        status: if finding.status == Status::Fail { Status::Fail } else { Status::Warn },
        message: format!("{}\n{}", finding.message, lines.join("\n")),
        hint: Some(
            finding.hint.map_or_else(|| hint.to_owned(), |first| format!("{first}\n{hint}")),
        ),
    }
}

fn accepted(account: &Result<Account, Problem>, heard: &Heard) -> Finding {
    let account = match account {
        Ok(account) => account,
        Err(problem) => return unusable(problem),
    };
    let from = match &account.profile {
        Some(profile) => format!(" of profile {:?}", profile.name),
        None => String::new(),
    };
    let (who, app) = match (&account.credentials, &account.app) {
        (Credentials::User(_), _) => {
            return Finding::pass("a user's token from FEISHU_USER_ACCESS_TOKEN");
        }
        (Credentials::Login(_), Some(app)) => {
            let name = account.login.as_ref().map_or("", |login| login.name.as_str());
            (format!("user {} by the app {}{from}", escaped(name), escaped(&app.id)), app)
        }
        (_, Some(app)) => (format!("the app {}{from}", escaped(&app.id)), app),
        (_, None) => return Finding::fail("no credential"),
    };
    match &heard.scopes {
        None => Finding::pass(format!("{who}; the service was not asked")),
        Some(Ok(_)) => Finding::pass(format!("{who}; id and secret are accepted")),
        Some(Err(error)) if error.blames_app() => {
            let hint = match &account.profile {
                Some(profile) => whose::store_secret(&profile.name, &app.id, &account.domain),
                None => "compare FEISHU_APP_ID and FEISHU_APP_SECRET with Credentials & Basic \
                         Info (凭证与基础信息) in the developer console, and the domain (feishu \
                         or lark)"
                    .to_owned(),
            };
            Finding::fail(format!("{who}: the app is not accepted: {error}")).hint(hint)
        }
        Some(Err(error)) if matches!(error.class, Class::Login) => {
            let message = format!("{who}: the app is not accepted: {error}");
            Finding::fail(message).hint(error.hint.clone().unwrap_or_else(|| {
                "check id and secret in the developer console under Credentials & Basic Info \
                 (凭证与基础信息)"
                    .to_owned()
            }))
        }
        Some(Err(error)) if matches!(error.class, Class::Config) => {
            Finding::fail(format!("{who}: the app {} cannot be used: {error}", escaped(&app.id)))
                .maybe_hint(error.hint.clone())
        }
        Some(Err(error)) => Finding::warn(format!("{who}; that could not be checked: {error}"))
            .maybe_hint(error.hint.clone()),
    }
}

/// There is no usable account; a hint says what to do, and no more.
pub fn unusable(problem: &Problem) -> Finding {
    Finding::fail(&problem.message).maybe_hint(problem.hint.clone())
}

/// A user is logged in, but calls are made by the app. `left`: what was made by the app
/// and how to make it the user's, where nobody asked for that.
pub fn idle(login: &Login, left: Option<(&str, &str)>) -> Finding {
    let name = escaped(&login.name);
    match left {
        None => Finding::skip(format!(
            "calls are made by the app itself: identity = \"app\" in the config; {name}'s login \
             is not used"
        )),
        Some((what, step)) => {
            Finding::warn(format!("{what}: {name}'s login has no effect, and no run renews it"))
                .hint(step)
        }
    }
}

/// `user_token`. `login`: the stored one as it is now, after what a call renewed.
pub fn user_token(
    account: &Result<Account, Problem>,
    login: Option<&Login>,
    heard: &Heard,
    now_secs: i64,
) -> Finding {
    let account = match account {
        Ok(account) => account,
        Err(problem) => {
            return match login {
                Some(login) => stored(login, None, "", now_secs),
                None => Finding::skip(format!("there is no user: {}", problem.message)),
            };
        }
    };
    let profile = account.profile.as_ref().map_or("", |profile| profile.name.as_str());
    match &account.credentials {
        Credentials::Nobody | Credentials::App { .. } => {
            Finding::skip("calls are made by the app itself, no user is needed")
        }
        Credentials::User(_) => given(heard.user.as_ref()),
        Credentials::Login(_) => match login.or(account.login.as_ref()) {
            Some(login) => stored(login, heard.user.as_ref(), profile, now_secs),
            None => Finding::fail("the stored login is gone").hint(again("")),
        },
    }
}

/// A token from the environment.
fn given(heard: Option<&Result<UserInfo, ApiError>>) -> Finding {
    let lasting = "a token from FEISHU_USER_ACCESS_TOKEN is good for two hours at most, and \
                   nobody can renew it";
    let hint = "for nightly runs store the app and log in once: feishu-mirror profile add NAME \
                --app-id cli_…, then feishu-mirror auth login";
    match heard {
        None => Finding::warn(lasting).hint(hint),
        Some(Ok(user)) => {
            Finding::warn(format!("{} is accepted; {lasting}", escaped(&user.name))).hint(hint)
        }
        Some(Err(error)) if error.class == Class::Login => {
            Finding::fail(format!("FEISHU_USER_ACCESS_TOKEN is not accepted: {error}"))
                .hint(error.hint.clone().unwrap_or_else(|| hint.to_owned()))
        }
        Some(Err(error)) => Finding::warn(format!("{lasting}; it could not be checked: {error}"))
            .maybe_hint(error.hint.clone()),
    }
}

/// A login in a profile.
fn stored(
    login: &Login,
    heard: Option<&Result<UserInfo, ApiError>>,
    profile: &str,
    now_secs: i64,
) -> Finding {
    let name = escaped(&login.name);
    let left_secs = login.grant_ends_at() - now_secs;
    let ends = minute(login.grant_ends_at());
    if let Some(Err(error)) = heard
        && error.class == Class::Login
    {
        if error.blames_app() {
            return Finding::fail(format!("{name}'s login cannot be renewed: {error}"))
                .maybe_hint(error.hint.clone());
        }
        return Finding::fail(format!("{name}'s login is no longer accepted: {error}"))
            .hint(again(profile));
    }
    match login.health(now_secs) {
        Health::NeedsRelogin if left_secs <= 0 => {
            return Finding::fail(format!("{name}'s login ended on {ends}, 365 days after it"))
                .hint(again(profile));
        }
        Health::NeedsRelogin => {
            return Finding::fail(format!(
                "{name}'s login has expired: it was not renewed in time"
            ))
            .hint(again(profile));
        }
        Health::MissingRefreshToken => {
            return Finding::warn(format!(
                "{name} is logged in, but nobody can renew it: there is no refresh token, and \
                 the access token ends on {}",
                minute(login.expires_at)
            ))
            .hint(format!(
                "add the scope `offline_access` to the app in the developer console, switch on \
                 the renewal of user tokens under Security Settings (安全设置), publish a \
                 version, then {}",
                again(profile)
            ));
        }
        Health::Healthy => {}
    }
    let days = left_secs.div_euclid(86_400);
    let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    if left_secs <= WARN_SECS {
        return Finding::warn(format!("{name}'s login ends in {days}, on {ends}"))
            .hint(format!("renew it for a year before: {}", again(profile)));
    }
    let message = format!("{name} is logged in; renewals work for {days} more, until {ends}");
    match heard {
        None => Finding::pass(format!("{message} (the service was not asked)")),
        Some(Ok(_)) => Finding::pass(message),
        Some(Err(error)) => Finding::warn(format!("{message}; that could not be checked: {error}"))
            .maybe_hint(error.hint.clone()),
    }
}

/// How to log in again to a profile.
pub fn again(profile: &str) -> String {
    if profile.is_empty() || profile == crate::auth::profiles::DEFAULT {
        "feishu-mirror auth login".to_owned()
    } else {
        format!("feishu-mirror auth login --profile {profile}")
    }
}
