//! `api`'s arguments as a call; what is wrong with them, and what to write instead.

use std::io;
use std::path::Path;

use http::Method;
use serde_json::Value;
use url::Url;
use url::form_urlencoded;

use crate::cli::accounts::Api;
use crate::commands::exit::{Problem, USAGE};
use crate::feishu::raw::RawCall;
use crate::model::account::Domain;

/// A call whose host is not checked yet.
#[derive(Debug)]
pub struct Wanted {
    call: RawCall,
    /// The host that a full address named.
    host: Option<Url>,
}

impl Wanted {
    /// Reads the arguments; `stdin` is read where `--data -` asks for it.
    ///
    /// # Errors
    /// Exit 64 with what to write, 1 where a file cannot be read.
    pub fn parse(
        args: &Api,
        cwd: &Path,
        stdin: impl FnOnce() -> io::Result<String>,
    ) -> Result<Self, Problem> {
        let method = method(&args.method)?;
        let (host, path, mut query) = address(&args.path)?;
        for pair in &args.query {
            let (name, value) =
                pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                    usage(format!("--query {pair:?} is no NAME=VALUE"))
                        .hint("write like: --query page_size=50")
                })?;
            query.push((name.to_owned(), value.to_owned()));
        }
        let body = match &args.data {
            None => None,
            Some(_) if method == Method::GET => {
                return Err(usage("a GET has no body")
                    .hint("write --query NAME=VALUE in place of --data, or another METHOD"));
            }
            Some(data) => Some(json(data, cwd, stdin)?),
        };
        if args.page_all && method != Method::GET && method != Method::POST {
            return Err(usage(format!("--page-all lists, and {method} does not")));
        }
        Ok(Self { call: RawCall { method, path, query, body }, host })
    }

    /// The call, where it goes to this domain's Open API.
    ///
    /// # Errors
    /// Exit 64 where a full address names another host: a token goes to the host it was
    /// made for and nowhere else.
    pub fn call(self, domain: &Domain) -> Result<RawCall, Problem> {
        let Some(host) = self.host else { return Ok(self.call) };
        if Url::parse(&domain.open).is_ok_and(|open| open.origin() == host.origin()) {
            return Ok(self.call);
        }
        let named = host.origin().ascii_serialization();
        Err(usage(format!("{named} is not this account's host ({})", domain.open)).hint(format!(
            "write the path alone, like {}; another host needs its own profile (--profile)",
            self.call.path
        )))
    }
}

fn usage(what: impl Into<String>) -> Problem {
    Problem::new(USAGE, what)
}

fn method(text: &str) -> Result<Method, Problem> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(usage(format!("{text:?} is no METHOD"))
            .hint("write GET, POST, PUT, PATCH or DELETE, then the path")),
    }
}

type Address = (Option<Url>, String, Vec<(String, String)>);

/// Host, path and query of what was given as PATH.
fn address(text: &str) -> Result<Address, Problem> {
    let example = "write like: /drive/v1/files or /open-apis/drive/v1/files";
    let wrong = |why: &str| usage(format!("{text:?} is no path of the API: {why}")).hint(example);
    let (host, rest) = if text.contains("://") {
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(wrong("it is an address of another kind"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(usage("the address holds a user or a password").hint(example));
        }
        if !url.path().starts_with("/open-apis/") {
            return Err(wrong("an address of the API goes on with /open-apis/"));
        }
        // The text and not the parsed path, which has dots resolved.
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find('/').map_or("", |at| &rest[at..]).to_owned();
        (Some(url), path)
    } else {
        (None, text.to_owned())
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.trim_matches('/').is_empty() {
        return Err(wrong("it is empty"));
    }
    // A server or a proxy may resolve them, and then something else is called.
    let dots =
        |part: &str| matches!(part.replace("%2e", ".").replace("%2E", ".").as_str(), "." | "..");
    if path.split(['/', '\\']).any(dots) {
        return Err(wrong("it has \".\" or \"..\" in it"));
    }
    if path.trim_start_matches('/').split('/').any(str::is_empty) && !path.ends_with('/') {
        return Err(wrong("it has an empty part"));
    }
    if path.split('/').any(|part| part.starts_with(':')) {
        return Err(wrong("write a value in place of what begins with \":\""));
    }
    if path.chars().any(char::is_control) {
        return Err(wrong("it has a control character in it"));
    }
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Ok((host, path.to_owned(), query))
}

/// `--data`: JSON, `@FILE`, or `-`.
fn json(
    data: &str,
    cwd: &Path,
    stdin: impl FnOnce() -> io::Result<String>,
) -> Result<Value, Problem> {
    let (text, from) = if data == "-" {
        let text = stdin().map_err(|error| Problem::failed(format!("cannot read stdin: {error}")));
        (text?, "stdin".to_owned())
    } else if let Some(name) = data.strip_prefix('@') {
        if name.is_empty() {
            return Err(usage("--data @ names no file").hint("write like: --data @query.json"));
        }
        let path = cwd.join(name);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Problem::io("read", &path, &error))?;
        (text, path.display().to_string())
    } else {
        (data.to_owned(), "--data".to_owned())
    };
    serde_json::from_str(&text).map_err(|error| {
        usage(format!("{from} is no JSON: {error}"))
            .hint("write like: --data '{\"request_docs\":[]}', --data @FILE, or --data - for stdin")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(method: &str, path: &str) -> Api {
        Api {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            data: None,
            whose: crate::cli::accounts::As::Auto,
            page_all: false,
            output: None,
        }
    }

    fn parse(args: &Api) -> Result<Wanted, Problem> {
        Wanted::parse(args, Path::new("/nowhere"), || Ok("{\"from\":\"stdin\"}".to_owned()))
    }

    #[test]
    fn a_path_may_have_a_query_and_a_prefix() {
        let mut given = args("get", "drive/v1/files?page_size=5&name=%E5%91%A8+1");
        given.query = vec!["folder_token=a=b".to_owned(), "empty=".to_owned()];
        let call = parse(&given).unwrap().call(&Domain::feishu()).unwrap();
        assert_eq!((call.method, call.path.as_str()), (Method::GET, "drive/v1/files"));
        let query: Vec<_> = call.query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let want = [("page_size", "5"), ("name", "周 1"), ("folder_token", "a=b"), ("empty", "")];
        assert_eq!(query, want);
    }

    #[test]
    fn an_address_must_be_the_accounts_own_host() {
        let own = "https://open.feishu.cn/open-apis/drive/v1/files?a=1";
        let call = parse(&args("GET", own)).unwrap().call(&Domain::feishu()).unwrap();
        assert_eq!(call.path, "/open-apis/drive/v1/files");
        assert_eq!(call.query, [("a".to_owned(), "1".to_owned())]);
        for other in [
            "https://open.larksuite.com/open-apis/x",
            "http://open.feishu.cn/open-apis/x",
            "https://open.feishu.cn:444/open-apis/x",
            "https://open.feishu.cn.example/open-apis/x",
        ] {
            let problem = parse(&args("GET", other)).unwrap().call(&Domain::feishu()).unwrap_err();
            assert_eq!(problem.code, USAGE, "{other}");
            assert!(problem.message.contains("https://open.feishu.cn)"), "{problem}");
        }
    }

    #[test]
    fn wrong_input_is_told_with_what_to_write() {
        let cases = [
            // method, path, words of the message, words of the hint
            ("FETCH", "/x", "no METHOD", "DELETE"),
            ("GET", "", "empty", "/drive/v1/files"),
            ("GET", "/", "empty", "/drive/v1/files"),
            ("GET", "/a/../b", "..", "/drive/v1/files"),
            ("GET", "/a/%2e%2E/b", "..", "/drive/v1/files"),
            ("GET", "/a//b", "empty part", "/drive/v1/files"),
            ("GET", "/a/:file_token/b", "value", "/drive/v1/files"),
            ("GET", "ftp://open.feishu.cn/open-apis/x", "another kind", "/drive/v1/files"),
            ("GET", "https://u:hush@open.feishu.cn/open-apis/x", "password", "/drive/v1/files"),
            ("GET", "https://open.feishu.cn/x", "/open-apis/", "/drive/v1/files"),
        ];
        for (method, path, message, hint) in cases {
            let problem = parse(&args(method, path)).unwrap_err();
            assert_eq!(problem.code, USAGE, "{path}");
            assert!(problem.message.contains(message), "{path}: {problem}");
            assert!(problem.hint.as_ref().unwrap().contains(hint), "{path}: {problem:?}");
            assert!(!problem.message.contains("hush"), "{problem}");
        }
        let mut given = args("GET", "/x");
        given.query = vec!["=1".to_owned()];
        assert!(parse(&given).unwrap_err().message.contains("NAME=VALUE"));
        given.query = vec!["novalue".to_owned()];
        assert!(parse(&given).unwrap_err().message.contains("novalue"));
        let mut given = args("GET", "/x");
        given.data = Some("{}".to_owned());
        assert!(parse(&given).unwrap_err().message.contains("no body"));
        let mut given = args("DELETE", "/x");
        given.page_all = true;
        assert!(parse(&given).unwrap_err().message.contains("DELETE"));
    }

    #[test]
    fn a_body_comes_from_the_line_a_file_or_stdin() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("q.json"), "[1]").unwrap();
        let body = |data: &str| {
            let mut given = args("POST", "/x");
            given.data = Some(data.to_owned());
            let stdin = || Ok("{\"from\":\"stdin\"}".to_owned());
            Wanted::parse(&given, folder.path(), stdin).map(|wanted| wanted.call.body.unwrap())
        };
        assert_eq!(body("{\"a\":1}").unwrap()["a"], 1);
        assert_eq!(body("@q.json").unwrap()[0], 1);
        assert_eq!(body("-").unwrap()["from"], "stdin");
        let wrong = body("{a:1}").unwrap_err();
        assert_eq!(wrong.code, USAGE);
        assert!(wrong.message.contains("line 1 column 2"), "{wrong}");
        let missing = body("@none.json").unwrap_err();
        assert!(missing.message.contains("none.json"), "{missing}");
        assert_eq!(body("@").unwrap_err().code, USAGE);
    }
}
