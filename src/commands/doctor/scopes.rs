//! `scopes`: is all granted that the sources and formats need, and can each source be
//! read? Pure.
//!
//! A call that is refused has one of four causes, each mended by somebody else: the app
//! lacks a scope; the app asked for it, but no published version has it; the user has
//! not agreed to it; or the folder, space or document is not shared with this identity.

use crate::auth::scopes::Need;
use crate::feishu::AppScope;
use crate::ui::text::{counted, escaped};

use super::access::{Access, Barrier};
use super::check::{Finding, Status};

/// Who is calling, and what is known to be granted.
pub struct Granted {
    /// The app's scopes; `None`: not known.
    pub app: Option<Vec<AppScope>>,
    /// Those that the user agreed to; `None`: not a user, or not known.
    pub user: Option<Vec<String>>,
    /// True for a user's identity.
    pub as_user: bool,
    /// How messages call the identity: "the app cli_…".
    pub who: String,
    /// The developer console.
    pub console: String,
    /// How to log in, with the profile.
    pub login: String,
}

/// Why a scope is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lack {
    /// The app does not have it.
    NotInApp,
    /// The app has it for the other kind of token only.
    OtherKind,
    /// The app asks for it, but no published version has it.
    NotPublished,
    /// The user has not agreed to it.
    NotAgreed,
}

impl Granted {
    /// `None`: it is there, or nobody knows.
    fn lack(&self, need: &Need) -> Option<Lack> {
        if let Some(app) = &self.app {
            let named: Vec<&AppScope> =
                app.iter().filter(|scope| need.any().any(|name| name == scope.name)).collect();
            let kind = if self.as_user { "user" } else { "tenant" };
            let fits = |scope: &&&AppScope| scope.kind.as_deref().is_none_or(|of| of == kind);
            let fitting: Vec<&&AppScope> = named.iter().filter(fits).collect();
            if fitting.is_empty() {
                return Some(if named.is_empty() { Lack::NotInApp } else { Lack::OtherKind });
            }
            if !fitting.iter().any(|scope| scope.granted) {
                return Some(Lack::NotPublished);
            }
        }
        let user = self.user.as_ref().filter(|_| self.as_user)?;
        let user: Vec<&str> = user.iter().map(String::as_str).collect();
        (!need.is_met(&user)).then_some(Lack::NotAgreed)
    }

    /// True where at least one side is known, and the user's side for a user.
    fn is_known(&self) -> bool {
        if self.as_user { self.user.is_some() } else { self.app.is_some() }
    }

    fn words(&self, lack: Lack) -> &'static str {
        match lack {
            Lack::NotInApp => "the app does not have it",
            Lack::OtherKind if self.as_user => "the app has it for its own calls, not for users'",
            Lack::OtherKind => "the app has it for users' calls, not for its own",
            Lack::NotPublished => "the app asks for it, but no published version has it",
            Lack::NotAgreed => "the user has not agreed to it",
        }
    }

    fn remedy(&self, lack: Lack, scopes: &[&str]) -> String {
        let (console, login) = (&self.console, &self.login);
        let list = scopes.join(" ");
        let publish = "publish a version under Version Management & Release (版本管理与发布) and \
                       have an administrator approve it";
        match lack {
            Lack::NotInApp | Lack::OtherKind => {
                let kind = if self.as_user { "user" } else { "tenant" };
                format!(
                    "in the developer console ({console}) under Permissions & Scopes (权限管理) \
                     add for {kind} tokens: {list}; then {publish}"
                )
            }
            Lack::NotPublished => format!("in the developer console ({console}) {publish}: {list}"),
            Lack::NotAgreed => format!("let the user agree to {list}: {login}"),
        }
    }
}

/// The check. `access`: what each source's probing call came to; empty where none was
/// made.
pub fn check(needs: &[Need], granted: &Granted, access: &[Access]) -> Finding {
    let mut status = Status::Pass;
    let mut lines = Vec::new();
    let mut hints: Vec<String> = Vec::new();

    let lacks: Vec<(&Need, Lack)> =
        needs.iter().filter_map(|need| Some((need, granted.lack(need)?))).collect();
    for (need, lack) in &lacks {
        let weight = if need.without.is_some() { Status::Warn } else { Status::Fail };
        status = worse(status, weight);
        let after = need.without.map(|without| format!("; {without}")).unwrap_or_default();
        lines.push(format!(
            "`{}` ({}; needed by {}): {}{after}",
            need.scope,
            need.what,
            need.because,
            granted.words(*lack)
        ));
    }
    let mut kinds: Vec<Lack> = lacks.iter().map(|(_, lack)| *lack).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in &kinds {
        let of: Vec<&str> =
            lacks.iter().filter(|(_, lack)| lack == kind).map(|(need, _)| need.scope).collect();
        hints.push(granted.remedy(*kind, &of));
    }
    // Adding a scope to the app asks no user anew.
    let in_app = kinds.iter().any(|lack| *lack != Lack::NotAgreed);
    if granted.as_user && granted.user.is_some() && in_app && !kinds.contains(&Lack::NotAgreed) {
        hints.push(format!("after that, let the user agree: {}", granted.login));
    }

    if !granted.is_known() {
        status = worse(status, Status::Warn);
        lines.push(unknown(granted));
        let all: Vec<&str> = needs.iter().map(|need| need.scope).collect();
        hints.push(format!(
            "compare with the app's Permissions & Scopes (权限管理) in the developer console \
             ({}): {}",
            granted.console,
            all.join(" ")
        ));
    }
    for one in access {
        let Some(barrier) = &one.barrier else { continue };
        status = worse(status, barrier.weight());
        lines.push(format!("source {:?} {}", one.source.as_str(), story(barrier, granted, &lacks)));
        if let Some(hint) = remedy(one, barrier, granted, &lacks)
            && !hints.contains(&hint)
        {
            hints.push(hint);
        }
    }

    let message = std::iter::once(summary(needs, &lacks, granted, access)).chain(lines);
    Finding {
        status,
        message: message.collect::<Vec<_>>().join("\n"),
        hint: Some(hints.join("\n")).filter(|hint| !hint.is_empty()),
    }
}

fn worse(a: Status, b: Status) -> Status {
    if a == Status::Fail || b == Status::Fail {
        Status::Fail
    } else if a == Status::Warn || b == Status::Warn {
        Status::Warn
    } else {
        a
    }
}

fn summary(
    needs: &[Need],
    lacks: &[(&Need, Lack)],
    granted: &Granted,
    access: &[Access],
) -> String {
    let all = needs.len();
    let scopes = match lacks.len() {
        0 if !granted.is_known() => format!("{all} scopes are needed"),
        0 => format!("all {all} scopes are granted that the config needs"),
        missing => format!("{missing} of the {all} scopes that the config needs are missing"),
    };
    if access.is_empty() {
        return scopes;
    }
    let unreadable = access.iter().filter(|one| one.barrier.is_some()).count() as u64;
    let sources = match unreadable {
        0 => match access.len() {
            1 => "the source can be read".to_owned(),
            number => format!("all {number} sources can be read"),
        },
        number => counted(number, "source is in trouble", "sources are in trouble"),
    };
    format!("{scopes}; {sources}")
}

fn unknown(granted: &Granted) -> String {
    if granted.as_user {
        "what the user agreed to is not known: a token that was not stored by `auth login` does \
         not say it"
            .to_owned()
    } else {
        "what the app has is not known: the service was not asked, or did not say".to_owned()
    }
}

/// What keeps a source from being read.
fn story(barrier: &Barrier, granted: &Granted, lacks: &[(&Need, Lack)]) -> String {
    let who = &granted.who;
    match barrier {
        // The app's own list knows better than the refusal which step is missing.
        Barrier::AppScope(said) => {
            let known = lacks.iter().map(|(_, lack)| *lack).find(|lack| *lack != Lack::NotAgreed);
            match known {
                Some(lack) => {
                    format!("cannot be read: a scope is missing: {}", granted.words(lack))
                }
                None => format!("cannot be read: the app lacks a scope: {}", escaped(said)),
            }
        }
        Barrier::UserScope(said) => {
            format!("cannot be read: the user has not agreed to a scope: {}", escaped(said))
        }
        Barrier::NotShared(what) => {
            format!("cannot be read: {what} is not shared with {who} (a scope would not help)")
        }
        Barrier::Gone(what) => format!("cannot be read: {what} does not exist (any more)"),
        Barrier::Empty(what) => format!("can be read, but {what}"),
        Barrier::NoUser => {
            "cannot be read: it is a user's library, and calls are made by the app".to_owned()
        }
        Barrier::Unasked(said) => format!("could not be asked: {}", escaped(said)),
    }
}

fn remedy(
    of: &Access,
    barrier: &Barrier,
    granted: &Granted,
    lacks: &[(&Need, Lack)],
) -> Option<String> {
    Some(match barrier {
        // The scopes' own remedies stand above.
        Barrier::AppScope(_) if lacks.iter().any(|(_, lack)| *lack != Lack::NotAgreed) => {
            return None;
        }
        Barrier::AppScope(_) => format!(
            "in the developer console ({}) add the scope under Permissions & Scopes (权限管理) \
             and publish a version (版本管理与发布)",
            granted.console
        ),
        Barrier::UserScope(_) if lacks.iter().any(|(_, lack)| *lack == Lack::NotAgreed) => {
            return None;
        }
        Barrier::UserScope(_) => format!("let the user agree to it: {}", granted.login),
        Barrier::NotShared(_) | Barrier::Empty(_) if granted.as_user => {
            "ask its owner to share it with this user".to_owned()
        }
        Barrier::NotShared(_) | Barrier::Empty(_) => format!(
            "share the folder with a group that has the app's bot in it, add that group to the \
             wiki space, add the app to the single document (… > Add document app, 添加文档应用); \
             or log in as a user who may read it: {}",
            granted.login
        ),
        Barrier::Gone(_) => {
            format!("correct or remove source {:?} in the config", of.source.as_str())
        }
        Barrier::NoUser => format!("log in as that user: {}", granted.login),
        Barrier::Unasked(_) => return None,
    })
}
