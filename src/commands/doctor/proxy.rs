//! `proxy`: which way calls take, told as the HTTP client decides it.

use std::collections::BTreeMap;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::check::Finding;
use super::network::{Ping, Trouble};

/// Upper case first: so the HTTP client reads them.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];

/// What is set, and where calls to a host go.
pub struct Proxy {
    /// Variable and value that decide about https; `None`: neither is set.
    chosen: Option<(&'static str, String)>,
    exceptions: String,
    /// `HTTP_PROXY` is set.
    for_http: Option<&'static str>,
    matcher: Matcher,
}

impl Proxy {
    /// From the environment.
    pub fn of(vars: &BTreeMap<String, String>) -> Self {
        // The first one that is set counts, also where it is empty.
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, vars.get(name)?.clone())))
        };
        let (https, all, no) = (first(HTTPS), first(ALL), first(NO));
        let text = |pair: &Option<(&str, String)>| {
            pair.as_ref().map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let exceptions = text(&no);
        let matcher =
            Matcher::builder().https(text(&https)).all(text(&all)).no(exceptions.clone()).build();
        let is_set = |pair: &(&str, String)| !pair.1.trim().is_empty();
        Self {
            chosen: https.filter(is_set).or_else(|| all.filter(is_set)),
            exceptions,
            for_http: first(HTTP).filter(is_set).map(|(name, _)| name),
            matcher,
        }
    }

    /// The proxy for calls to `base`, without its credentials; `None`: they go straight.
    fn way_to(&self, base: &str) -> Option<String> {
        let uri: Uri = base.parse().ok()?;
        // Plain http is for loopback only, where no proxy is asked.
        if uri.scheme_str() != Some("https") {
            return None;
        }
        let via = self.matcher.intercept(&uri)?;
        Some(via.uri().to_string().trim_end_matches('/').to_owned())
    }

    /// Parts of the environment's proxy addresses that nobody else may read.
    pub fn private(vars: &BTreeMap<String, String>) -> Vec<String> {
        let values = HTTPS.iter().chain(&ALL).chain(&HTTP).filter_map(|name| vars.get(*name));
        let mut private = Vec::new();
        for value in values {
            let rest = value.split_once("://").map_or(value.as_str(), |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let Some((login, _)) = authority.rsplit_once('@') else { continue };
            // The longer text first: what is left of it would be shown.
            private.push(format!("{login}@"));
            private.push(login.to_owned());
            let password = login.split_once(':').map_or("", |(_, password)| password);
            // A shorter one would blank out half of every text.
            if password.len() >= 4 {
                private.push(password.to_owned());
            }
        }
        private.retain(|text| text.len() >= 2);
        private
    }

    /// The check. `pings`: base address and what came back from there, where it was asked.
    pub fn check(&self, pings: &[(&str, Option<&Ping>)]) -> Finding {
        let failed = |(_, ping): &&(&str, Option<&Ping>)| matches!(ping, Some(Err(trouble)) if trouble.kind == Trouble::Proxy);
        let ways: Vec<(&str, Option<String>)> =
            pings.iter().map(|(base, _)| (*base, self.way_to(base))).collect();
        let Some((name, value)) = &self.chosen else {
            return match self.for_http {
                Some(name) => Finding::warn(format!(
                    "{name} is set, and it does not count here: the service is called by https, \
                     so calls go straight to it"
                ))
                .hint("set HTTPS_PROXY if calls have to take the proxy, else leave it as it is"),
                None => Finding::pass("no proxy is set; calls go straight to the service"),
            };
        };
        let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme.trim());
        if scheme.to_lowercase().starts_with("socks") {
            return Finding::fail(format!(
                "{name} names a SOCKS proxy, and this program knows only http and https proxies"
            ))
            .hint(format!("set {name} to a proxy's http:// address"));
        }
        // Asked about a host that no exception names: an address nobody can read is ignored.
        let plain = Matcher::builder().https(value.clone()).build();
        if plain.intercept(&Uri::from_static("https://open.feishu.cn")).is_none() {
            return Finding::fail(format!(
                "{name} is no proxy's address, so it is ignored and calls go straight"
            ))
            .hint(format!("write it like {name}=http://proxy.example:8080, or unset it"));
        }
        let lines: Vec<String> = ways
            .iter()
            .map(|(base, way)| match way {
                Some(way) => format!("{base} by {way} ({name})"),
                None if base.starts_with("http://") => {
                    format!("{base} straight: plain http never takes a proxy")
                }
                None => format!("{base} straight (NO_PROXY)"),
            })
            .collect();
        let unused = ways.iter().all(|(_, way)| way.is_none());
        let head = if unused { format!("{name} is set and not used: ") } else { String::new() };
        let story = format!("{head}{}", lines.join("; "));
        match pings.iter().find(failed) {
            Some((_, Some(Err(trouble)))) => {
                Finding::fail(format!("{story}; the proxy lets nothing through: {}", trouble.said))
                    .hint(format!(
                        "check the address in {name} and the proxy's user and password; a host \
                         that needs no proxy belongs into NO_PROXY"
                    ))
            }
            _ if self.exceptions.contains(' ') && !self.exceptions.contains(',') => {
                Finding::warn(format!("{story}; NO_PROXY holds spaces and no commas"))
                    .hint("separate the hosts in NO_PROXY by commas")
            }
            _ => Finding::pass(story),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::super::network::Broken;
    use super::*;

    const OPEN: &str = "https://open.feishu.cn";

    fn vars(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Environment -> status, words of the message.
    type Case<'a> = (&'a [(&'a str, &'a str)], Status, &'a [&'a str]);

    #[test]
    fn the_way_is_told_as_the_client_takes_it() {
        let cases: [Case<'_>; 11] = [
            (&[], Status::Pass, &["no proxy"]),
            (
                &[("HTTPS_PROXY", "http://p.example:8080")],
                Status::Pass,
                &["by http://p.example:8080"],
            ),
            (&[("https_proxy", "p.example:8080")], Status::Pass, &["by http://p.example:8080"]),
            (
                &[("HTTPS_PROXY", "http://me:hush@p.example:8080")],
                Status::Pass,
                &["by http://p.example:8080 (HTTPS_PROXY)"],
            ),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "feishu.cn")],
                Status::Pass,
                &["straight (NO_PROXY)"],
            ),
            (
                &[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://a:1")],
                Status::Pass,
                &["by http://a:1", "ALL_PROXY"],
            ),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "http://a:1")], Status::Pass, &["no proxy"]),
            (&[("HTTP_PROXY", "http://p:1")], Status::Warn, &["HTTP_PROXY", "https"]),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "a.cn b.cn")],
                Status::Warn,
                &["no commas"],
            ),
            (&[("ALL_PROXY", "socks5://me:hush@p:1")], Status::Fail, &["SOCKS", "ALL_PROXY"]),
            (&[("HTTPS_PROXY", "http://me:hush@")], Status::Fail, &["no proxy's address"]),
        ];
        for (env, status, words) in cases {
            let finding = Proxy::of(&vars(env)).check(&[(OPEN, None)]);
            assert_eq!(finding.status, status, "{env:?}: {finding:?}");
            assert!(words.iter().all(|word| finding.message.contains(word)), "{finding:?}");
            assert!(!format!("{finding:?}").contains("hush"), "{finding:?}");
        }
    }

    #[test]
    fn a_proxy_that_refuses_is_told_from_a_service_that_does() {
        let proxy = Proxy::of(&vars(&[("HTTPS_PROXY", "http://p:1")]));
        let broken = |said: &str| Err(Broken::of(said.to_owned()));
        let ping = broken("tunnel error: proxy authorization required");
        assert_eq!(proxy.check(&[(OPEN, Some(&ping))]).status, Status::Fail);
        let ping = broken("invalid peer certificate: UnknownIssuer");
        assert_eq!(proxy.check(&[(OPEN, Some(&ping))]).status, Status::Pass);
    }

    #[test]
    fn loopback_takes_no_proxy() {
        let proxy = Proxy::of(&vars(&[("ALL_PROXY", "http://p:1")]));
        let finding = proxy.check(&[("http://127.0.0.1:9", None)]);
        assert!(finding.message.contains("plain http"), "{finding:?}");
    }

    #[test]
    fn what_is_private_is_found_in_every_spelling() {
        let cases = [
            ("http://me:hush@p.example:8080/", vec!["me:hush@", "me:hush", "hush"]),
            ("me:pw@p.example", vec!["me:pw@", "me:pw"]),
            ("http://p.example", vec![]),
            ("http://a:b@c:d@p.example", vec!["a:b@c:d@", "a:b@c:d", "b@c:d"]),
        ];
        for (value, want) in cases {
            assert_eq!(Proxy::private(&vars(&[("https_proxy", value)])), want, "{value}");
        }
    }
}
