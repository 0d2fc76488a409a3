//! Which scopes (权限) a login asks for, and what it means where some are not granted.

use std::collections::BTreeMap;
use std::path::Path;

use crate::auth::code_flow::MAX_SCOPES;
use crate::auth::scopes::{self, DOMAINS, Need, OFFLINE_ACCESS};
use crate::cli::accounts::Login as Args;
use crate::commands::exit::{Problem, USAGE};
use crate::config::{Config, EXAMPLE};
use crate::feishu::AppScope;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    wanted: Vec<Wanted>,
    /// What says so, for people: "what mirror.toml needs".
    pub because: String,
    /// Named one by one, so sent as they are.
    explicit: bool,
}

#[derive(Debug, Clone)]
struct Wanted {
    scope: String,
    need: Option<Need>,
    /// The app does not have it, so that the consent page would refuse everything (20027).
    left_out: bool,
}

/// A scope that is not granted, and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub scope: String,
    /// What it is for: "exports, for source \"drive\"".
    pub what: Option<String>,
    /// The app does not have it; else the person did not agree to it.
    pub of_app: bool,
}

impl Ask {
    /// From the command line, else from the config, else from the example config.
    ///
    /// # Errors
    /// Exit 64 for words that name no scope or no domain, 1 for more scopes than one
    /// request takes.
    pub fn new(args: &Args, config: Option<&Config>) -> Result<Self, Problem> {
        if let Some(text) = &args.scope {
            let named = super::scopes(text).map_err(|why| Problem::new(USAGE, why))?;
            return Self::of_names(named, "--scope");
        }
        if !args.domain.is_empty() || args.recommend {
            let needs = scopes::of_domains(&args.domain).map_err(|known| {
                let named = args.domain.join(", ");
                Problem::new(USAGE, format!("--domain {named}: there is no such domain"))
                    .hint(format!("there are: {}, all", known.join(", ")))
            })?;
            let named = args.domain.join(",");
            let because = if named.is_empty() {
                format!("what --recommend stands for ({})", DOMAINS.join(", "))
            } else {
                format!("what --domain {named} stands for")
            };
            return Self::of_needs(needs, because);
        }
        if let Some(config) = config {
            let because = format!("what {} needs", config.file.display());
            return Self::of_needs(scopes::of_config(config), because);
        }
        let config = Config::parse(EXAMPLE, Path::new("/mirror.toml"), &BTreeMap::new())
            .expect("the example config is tested to be right");
        let because =
            "what a config as `feishu-mirror init` writes it needs, since there is none here";
        Self::of_needs(scopes::of_config(&config), because.to_owned())
    }

    /// Scopes by name. The refresh token's is always added.
    pub fn of_names(named: Vec<String>, because: &str) -> Result<Self, Problem> {
        let wanted =
            named.into_iter().map(|scope| Wanted { scope, need: None, left_out: false }).collect();
        Self { wanted, because: because.to_owned(), explicit: true }.whole()
    }

    fn of_needs(needs: Vec<Need>, because: String) -> Result<Self, Problem> {
        let wanted = needs
            .into_iter()
            .map(|need| Wanted { scope: need.scope.to_owned(), need: Some(need), left_out: false })
            .collect();
        Self { wanted, because, explicit: false }.whole()
    }

    fn whole(mut self) -> Result<Self, Problem> {
        if self.wanted.iter().all(|wanted| wanted.scope != OFFLINE_ACCESS) {
            let scope = OFFLINE_ACCESS.to_owned();
            self.wanted.push(Wanted { scope, need: None, left_out: false });
        }
        let count = self.wanted.len();
        if count > MAX_SCOPES {
            return Err(Problem::failed(format!(
                "{count} scopes are too many: one login may ask for {MAX_SCOPES}, \
                 {OFFLINE_ACCESS} included ({})",
                self.because
            ))
            .hint(
                "log in several times with a part of them each (--scope, --domain): what was \
                 granted before stays granted",
            ));
        }
        Ok(self)
    }

    /// Takes the app's own scopes into account: of several that open a call the one that
    /// the app has is asked for, and what it has none for is left out, since the consent
    /// page refuses a login that asks for it (20027).
    ///
    /// Returns words of warning about scopes that were named and will be refused.
    pub fn fit(&mut self, app: &[AppScope]) -> Option<String> {
        let has: Vec<&str> = app
            .iter()
            .filter(|scope| scope.granted && scope.kind.as_deref() != Some("tenant"))
            .map(|scope| scope.name.as_str())
            .collect();
        // A service that lists nothing says nothing.
        if has.is_empty() {
            return None;
        }
        let mut refused = Vec::new();
        for wanted in &mut self.wanted {
            // Nothing says that this one is listed among an app's scopes.
            if wanted.scope == OFFLINE_ACCESS {
                continue;
            }
            match &wanted.need {
                Some(need) => {
                    need.best(&has).clone_into(&mut wanted.scope);
                    wanted.left_out = !has.contains(&wanted.scope.as_str());
                }
                None if !has.contains(&wanted.scope.as_str()) => {
                    refused.push(wanted.scope.clone());
                }
                None => {}
            }
        }
        // Two needs may be met by one coarse scope.
        let mut seen: Vec<String> = Vec::new();
        self.wanted.retain(|wanted| {
            let first = !seen.contains(&wanted.scope);
            seen.push(wanted.scope.clone());
            first
        });
        (self.explicit && !refused.is_empty()).then(|| {
            format!(
                "the app does not have {}; the page will refuse the login (20027). Add them in \
                 the developer console under Permissions & Scopes (权限管理) and publish a version",
                refused.join(" ")
            )
        })
    }

    /// What goes into the request.
    pub fn requested(&self) -> Vec<String> {
        self.wanted
            .iter()
            .filter(|wanted| !wanted.left_out)
            .map(|wanted| wanted.scope.clone())
            .collect()
    }

    /// Of what was wanted, what a grant does not have.
    pub fn missing(&self, granted: &[&str]) -> Vec<Missing> {
        self.wanted
            .iter()
            .filter(|wanted| {
                let met = wanted.need.as_ref().is_some_and(|need| need.is_met(granted));
                !met && !granted.contains(&wanted.scope.as_str())
            })
            .map(|wanted| Missing {
                scope: wanted.scope.clone(),
                what: wanted.need.as_ref().map(|need| format!("{}: {}", need.what, need.because)),
                of_app: wanted.left_out,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command;
    use crate::cli::accounts::Auth;

    fn args(line: &[&str]) -> Args {
        let words = ["feishu-mirror", "auth", "login"].iter().chain(line).map(Into::into);
        let cli = crate::cli::parse(words.collect()).unwrap();
        let Command::Auth(Auth::Login(args)) = cli.command else { panic!() };
        args
    }

    fn config(sources: &str) -> Config {
        Config::parse(sources, Path::new("/m/mirror.toml"), &BTreeMap::new()).unwrap()
    }

    fn scope(name: &str, granted: bool) -> AppScope {
        AppScope { name: name.to_owned(), kind: None, granted }
    }

    const WIKI: &str = "[[source]]\nname = \"w\"\nkind = \"wiki\"\n";

    #[test]
    fn scopes_come_from_flags_else_the_config() {
        let ask = Ask::new(&args(&["--scope", "b:c a:b b:c"]), Some(&config(WIKI))).unwrap();
        assert_eq!(ask.requested(), ["b:c", "a:b", OFFLINE_ACCESS]);
        let ask = Ask::new(&args(&["--scope", "offline_access,a:b"]), None).unwrap();
        assert_eq!(ask.requested(), [OFFLINE_ACCESS, "a:b"]);

        let ask = Ask::new(&args(&[]), Some(&config(WIKI))).unwrap();
        let requested = ask.requested();
        assert!(requested.contains(&"wiki:node:retrieve".to_owned()), "{requested:?}");
        assert!(!requested.contains(&"space:document:retrieve".to_owned()), "no Drive source");
        assert!(ask.because.contains("mirror.toml"), "{}", ask.because);

        let ask = Ask::new(&args(&[]), None).unwrap();
        assert!(ask.requested().contains(&"space:document:retrieve".to_owned()));
        assert!(ask.because.contains("init"), "{}", ask.because);

        let all = Ask::new(&args(&["--recommend"]), None).unwrap().requested();
        let minutes =
            Ask::new(&args(&["--domain", "minutes", "--recommend"]), None).unwrap().requested();
        assert!(minutes.len() < all.len() && minutes.iter().all(|scope| all.contains(scope)));
        assert!(all.len() <= MAX_SCOPES);
    }

    #[test]
    fn what_cannot_be_asked_for_is_said() {
        let problem = Ask::new(&args(&["--domain", "drive,kitchen"]), None).unwrap_err();
        assert_eq!(problem.code, USAGE);
        assert!(problem.message.contains("kitchen") && problem.hint.unwrap().contains("minutes"));
        assert_eq!(Ask::new(&args(&["--scope", ","]), None).unwrap_err().code, USAGE);

        let names = |count: usize| (0..count).map(|n| format!("a:{n}")).collect::<Vec<_>>();
        assert!(Ask::of_names(names(49), "x").is_ok());
        let problem = Ask::of_names(names(50), "--scope").unwrap_err();
        assert!(problem.message.contains("51") && problem.message.contains("50"), "{problem}");
    }

    /// An app set up with a coarse scope is asked for that one, and what it does not have
    /// does not spoil the login.
    #[test]
    fn an_app_is_not_asked_for_what_it_does_not_have() {
        let mut ask = Ask::new(&args(&[]), Some(&config(WIKI))).unwrap();
        let wanted = ask.requested();
        let app = [
            scope("wiki:wiki:readonly", true),
            scope("docs:document:export", false),
            scope("drive:drive.metadata:readonly", true),
        ];
        assert_eq!(ask.fit(&app), None);
        let requested = ask.requested();
        assert_eq!(requested.iter().filter(|scope| *scope == "wiki:wiki:readonly").count(), 1);
        assert!(requested.len() < wanted.len() && requested.contains(&OFFLINE_ACCESS.to_owned()));
        assert!(!requested.contains(&"docs:document:export".to_owned()), "not published");

        let granted: Vec<&str> = requested.iter().map(String::as_str).collect();
        let missing = ask.missing(&granted);
        let export = missing.iter().find(|one| one.scope == "docs:document:export").unwrap();
        assert!(export.of_app && export.what.as_ref().unwrap().contains("source \"w\""));
        assert!(missing.iter().all(|one| !one.scope.starts_with("wiki:")), "{missing:?}");
    }

    #[test]
    fn what_was_named_is_sent_as_it_is_and_warned_about() {
        let mut ask = Ask::new(&args(&["--scope", "a:b,c:d"]), None).unwrap();
        let warning = ask.fit(&[scope("a:b", true)]).unwrap();
        assert!(warning.contains("c:d") && !warning.contains("a:b"), "{warning}");
        assert_eq!(ask.requested(), ["a:b", "c:d", OFFLINE_ACCESS]);
        let mut silent = Ask::new(&args(&["--scope", "a:b"]), None).unwrap();
        assert_eq!(silent.fit(&[]), None);
        assert_eq!(silent.requested(), ["a:b", OFFLINE_ACCESS]);
        let missing = silent.missing(&["a:b"]);
        assert_eq!(missing[0].scope, OFFLINE_ACCESS);
        assert!(!missing[0].of_app);
    }
}
