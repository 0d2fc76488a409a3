//! What the reader of an error can do about it: one text per kind of trouble and kind of
//! credential, with the exact command or page of the console.

use super::codes::{Kind, Meaning};
use super::error::Identity;

const LOGIN: &str = "feishu-mirror auth login";
/// What to do about a month that is spent.
pub(super) const MONTH_SPENT: &str = "wait for the next month, or extend the tenant's plan; what \
    was done is kept, and until then each run makes one such call to find out, and stops";

const DOCTOR: &str = "feishu-mirror doctor";

/// The next step; `None` where there is none but to try again.
///
/// `scopes`: those that the reply names, any one of which opens the call.
pub(super) fn hint(means: &Meaning, identity: Identity, scopes: &[String]) -> Option<String> {
    use Identity::{App, LinkHolder, Login, Nobody, User};
    if let Some(step) = means.step {
        return Some(step.to_owned());
    }
    let text = match (means.kind, identity) {
        (Kind::Token | Kind::Login, User) => {
            "the token in FEISHU_USER_ACCESS_TOKEN is expired or of the wrong kind: set a new \
             one, or unset it and log in once: feishu-mirror auth login"
                .to_owned()
        }
        (Kind::Token, Login) => "this call may need the app's identity (identity = \"app\" in \
            the config, --as app for `api`); what is stored is checked by: feishu-mirror doctor"
            .to_owned(),
        (Kind::Login, Login) => "log in again: feishu-mirror auth login".to_owned(),
        (Kind::Token | Kind::Login, App | Nobody) => {
            "if this call needs a user: feishu-mirror auth login; else check that \
             FEISHU_APP_ID and FEISHU_APP_SECRET, or the app in the profile, belong to this \
             tenant: feishu-mirror doctor"
                .to_owned()
        }
        (Kind::Credentials, _) => "compare app id and app secret (FEISHU_APP_ID and \
            FEISHU_APP_SECRET, or those in the profile) with Credentials & Basic Info \
            (凭证与基础信息) in the developer console, and the domain (feishu or lark): \
            feishu-mirror doctor"
            .to_owned(),
        (Kind::AppScope, App | Nobody) => format!("{}, run again", add_to_app(scopes)),
        (Kind::AppScope, User) => format!(
            "{}, then set FEISHU_USER_ACCESS_TOKEN to a new token that has it",
            add_to_app(scopes)
        ),
        (Kind::AppScope, Login) => format!("{}, then run: {}", add_to_app(scopes), login(scopes)),
        (Kind::UserScope, User) => format!(
            "set FEISHU_USER_ACCESS_TOKEN to a new token that has {}, or unset it and run: {}",
            named(scopes),
            login(scopes)
        ),
        (Kind::UserScope, _) => {
            format!("grant {} to the app: {}", named(scopes), login(scopes))
        }
        (Kind::Config, _) => "an administrator has to enable the app for this tenant in the \
            developer console or the admin console under App Management (应用管理)"
            .to_owned(),
        (Kind::Ip, _) => "add this machine's public address to the app's IP allow list in the \
            developer console under Security Settings (安全设置)"
            .to_owned(),
        (Kind::Budget, _) => MONTH_SPENT.to_owned(),
        (Kind::Forbidden, User | Login) => "ask its owner to share the document or folder with \
            this user, or to allow downloads and exports"
            .to_owned(),
        (Kind::Forbidden, App | Nobody) => "share the document or folder with the app (or with \
            a group that has the app's bot in it; for a wiki, add that group to the space), or \
            log in as a user who may read it: feishu-mirror auth login"
            .to_owned(),
        (
            Kind::Throttled
            | Kind::Busy
            | Kind::NotReady
            | Kind::Processing
            | Kind::Gone
            | Kind::Unsupported
            | Kind::Refused
            | Kind::TooLarge
            | Kind::Bug,
            _,
        )
        // Another link is the program's business.
        | (_, LinkHolder) => return None,
    };
    Some(text)
}

/// The same for a login of this profile: its commands would work on the active one else.
pub(super) fn in_profile(hint: &str, profile: &str) -> String {
    [LOGIN, DOCTOR].iter().fold(hint.to_owned(), |hint, command| {
        hint.replace(command, &format!("{command} --profile {profile}"))
    })
}

fn add_to_app(scopes: &[String]) -> String {
    format!(
        "add {} to the app in the developer console under Permissions & Scopes (权限管理), \
         publish a version (版本管理与发布)",
        named(scopes)
    )
}

fn named(scopes: &[String]) -> String {
    match scopes {
        [] => "the scope that the message names".to_owned(),
        [one] => format!("scope `{one}`"),
        many => {
            let many: Vec<_> = many.iter().map(|scope| format!("`{scope}`")).collect();
            format!("one of the scopes {}", many.join(", "))
        }
    }
}

/// Any one of the named scopes opens the call, so the first one will do.
fn login(scopes: &[String]) -> String {
    let scope = scopes.first().map_or("…", String::as_str);
    format!("{LOGIN} --scope \"{scope}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that the hint must have and must not have.
    type Case<'a> = (Kind, Identity, &'a [&'a str], &'a [&'a str]);

    #[test]
    fn each_kind_of_credential_is_told_what_helps_it() {
        let token = "FEISHU_USER_ACCESS_TOKEN";
        let login = "feishu-mirror auth login";
        let scoped = "feishu-mirror auth login --scope \"drive:file:download\"";
        let cases: [Case<'_>; 13] = [
            (Kind::Token, Identity::User, &[token, login], &["doctor"]),
            (Kind::Token, Identity::Login, &["feishu-mirror doctor"], &[token]),
            (
                Kind::Token,
                Identity::App,
                &["FEISHU_APP_ID", "feishu-mirror doctor", login],
                &[token],
            ),
            (Kind::Login, Identity::User, &[token], &[]),
            (Kind::Login, Identity::Login, &[login], &[token]),
            (Kind::Credentials, Identity::App, &["FEISHU_APP_SECRET", "凭证与基础信息"], &[token]),
            (Kind::Credentials, Identity::Nobody, &["feishu-mirror doctor"], &[token]),
            (Kind::AppScope, Identity::App, &["权限管理", "版本管理与发布"], &[login]),
            (Kind::AppScope, Identity::User, &["权限管理", token], &[]),
            (Kind::AppScope, Identity::Login, &["权限管理", scoped], &[token]),
            (Kind::UserScope, Identity::User, &[token, scoped], &[]),
            (Kind::UserScope, Identity::Login, &[scoped], &[token]),
            (Kind::Forbidden, Identity::App, &["bot", login], &[]),
        ];
        let scopes = ["drive:file:download".to_owned(), "drive:drive".to_owned()];
        for (kind, identity, has, has_not) in cases {
            let means = Meaning { kind, text: "", step: None };
            let hint = hint(&means, identity, &scopes).unwrap();
            assert!(has.iter().all(|word| hint.contains(word)), "{kind:?} {identity:?}: {hint}");
            assert!(!has_not.iter().any(|w| hint.contains(w)), "{kind:?} {identity:?}: {hint}");
        }
    }

    #[test]
    fn a_logins_hints_name_its_profile() {
        let means = Meaning { kind: Kind::UserScope, text: "", step: None };
        let said = hint(&means, Identity::Login, &["drive:drive".to_owned()]).unwrap();
        let want = "feishu-mirror auth login --profile work --scope \"drive:drive\"";
        assert!(in_profile(&said, "work").contains(want), "{said}");
        let means = Meaning { kind: Kind::Token, ..means };
        let said = hint(&means, Identity::Login, &[]).unwrap();
        assert!(in_profile(&said, "work").ends_with("feishu-mirror doctor --profile work"));
    }
}
