//! The authorization code flow: what is sent to the browser, and what comes back from it
//! (docs: authentication-management/access-token/obtain-oauth-code). Pure but for the
//! random numbers.
//!
//! One [`Attempt`] is one try at logging in. Its `state` proves that an answer belongs to
//! it, its PKCE verifier that whoever redeems the code began the attempt.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::pkce;
use crate::feishu::oauth;
use crate::model::account::Domain;

/// The port of the redirect URI that most apps register.
pub const DEFAULT_PORT: u16 = 9000;

/// The path of the redirect URI.
pub const PATH: &str = "/callback";

/// So long the browser is waited for. A code dies after 5 minutes, and so does the
/// patience of whoever sits there.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// One request may ask for so many scopes (docs: obtain-oauth-code).
pub const MAX_SCOPES: usize = 50;

/// One try at logging in.
pub struct Attempt {
    /// Where the browser comes back to; has to be registered in the developer console.
    pub redirect_uri: String,
    /// What to open in the browser.
    pub url: String,
    /// Redeems the code, together with it.
    pub verifier: SecretString,
    state: SecretString,
}

/// What came back from the browser.
#[derive(Debug)]
pub enum Callback {
    /// The person agreed.
    Code(SecretString),
    /// The person said no.
    Denied,
    /// The service refused, in its own words, made short and printable.
    Refused(String),
    /// Not an answer to this attempt: an old tab, or somebody who guesses.
    WrongState,
    /// Neither a code nor an error, or one of them twice.
    Incomplete,
}

impl Callback {
    /// True where the attempt is over, one way or the other.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Code(_) | Self::Denied | Self::Refused(_))
    }
}

/// Without the address: the state is in it.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

impl Attempt {
    /// A new attempt that comes back to `http://localhost:<port>/callback`.
    pub fn new(domain: &Domain, app_id: &str, port: u16, scopes: &[String]) -> Self {
        let (state, verifier) = (pkce::random(), pkce::random());
        let redirect_uri = format!("http://localhost:{port}{PATH}");
        let challenge = pkce::challenge(&verifier);
        let url = oauth::authorize_url(
            domain,
            app_id,
            &redirect_uri,
            scopes,
            state.expose_secret(),
            &challenge,
        );
        Self { redirect_uri, url, verifier, state }
    }

    /// What a query string (without `?`) says.
    ///
    /// The state is looked at first: what does not carry it decides nothing, be it a code,
    /// a denial or an error.
    pub fn read(&self, query: &str) -> Callback {
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        // A parameter must not come twice (RFC 6749, 3.1): which one would count?
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (Some(value), None) if !value.is_empty() => Ok(Some(value)),
                (_, Some(_)) => Err(()),
                _ => Ok(None),
            }
        };
        match one("state") {
            // Hashes are compared, in constant time: how long it takes tells nothing.
            Ok(Some(state))
                if blake3::hash(state.as_bytes())
                    == blake3::hash(self.state.expose_secret().as_bytes()) => {}
            _ => return Callback::WrongState,
        }
        match (one("code"), one("error")) {
            (Ok(Some(code)), Ok(None)) => Callback::Code(SecretString::from(code.as_ref())),
            (Ok(None), Ok(Some(error))) if error == "access_denied" => Callback::Denied,
            (Ok(None), Ok(Some(error))) => {
                let more = one("error_description").ok().flatten();
                let words = match more {
                    Some(more) => format!("{error}: {more}"),
                    None => error.to_string(),
                };
                Callback::Refused(tidy(&words))
            }
            _ => Callback::Incomplete,
        }
    }

    /// What a pasted address says: the whole one as the browser shows it, or its query.
    ///
    /// # Errors
    /// What was pasted instead, for people.
    pub fn read_pasted(&self, text: &str) -> Result<Callback, String> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
        if text.is_empty() {
            return Err("nothing was pasted".to_owned());
        }
        let query = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => match url.query() {
                _ if url.path().ends_with("/authorize") => {
                    return Err("this is the link to open; paste the address that the browser \
                                shows after you agreed"
                        .to_owned());
                }
                Some(query) => query.to_owned(),
                None => return Err("this address has no code in it".to_owned()),
            },
            _ if text.contains("code=") || text.contains("error=") => {
                text.rsplit_once('?').map_or(text, |(_, query)| query).to_owned()
            }
            _ => {
                return Err(format!(
                    "this is no address; it begins with {}?code=",
                    self.redirect_uri
                ));
            }
        };
        // A browser's address may carry a fragment.
        let query = query.split('#').next().unwrap_or_default();
        Ok(self.read(query))
    }
}

/// Somebody else's words: printable, on one line, and not too many.
fn tidy(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            redirect_uri: "http://localhost:9000/callback".to_owned(),
            url: String::new(),
            verifier: SecretString::from("verifier"),
            state: SecretString::from("right-state"),
        }
    }

    fn word(callback: &Callback) -> String {
        match callback {
            Callback::Code(code) => format!("code {}", code.expose_secret()),
            Callback::Denied => "denied".to_owned(),
            Callback::Refused(words) => format!("refused {words}"),
            Callback::WrongState => "wrong state".to_owned(),
            Callback::Incomplete => "incomplete".to_owned(),
        }
    }

    #[test]
    fn only_an_answer_with_the_right_state_decides() {
        let cases = [
            ("code=a%2Bb&state=right-state", "code a+b"),
            ("state=right-state&code=x&lang=zh", "code x"),
            ("error=access_denied&state=right-state", "denied"),
            (
                "error=invalid_scope&error_description=no+such%0Ascope&state=right-state",
                "refused invalid_scope: no such scope",
            ),
            ("code=x&state=wrong", "wrong state"),
            ("code=x&state=right-stat", "wrong state"),
            ("code=x", "wrong state"),
            ("code=x&state=", "wrong state"),
            ("", "wrong state"),
            ("error=access_denied&state=wrong", "wrong state"),
            ("error=access_denied", "wrong state"),
            ("code=x&state=right-state&state=right-state", "wrong state"),
            ("state=right-state", "incomplete"),
            ("code=&state=right-state", "incomplete"),
            ("code=x&code=y&state=right-state", "incomplete"),
            ("code=x&error=access_denied&state=right-state", "incomplete"),
        ];
        for (query, want) in cases {
            assert_eq!(word(&attempt().read(query)), want, "{query}");
        }
        let long = format!("error={}&state=right-state", "x".repeat(5000));
        assert!(word(&attempt().read(&long)).len() < 300);
    }

    #[test]
    fn a_pasted_address_may_look_in_many_ways() {
        let good = [
            "http://localhost:9000/callback?code=x&state=right-state",
            "  \"http://localhost:9000/callback?state=right-state&code=x\"\n",
            "http://127.0.0.1:9000/callback?code=x&state=right-state#_",
            "?code=x&state=right-state",
            "code=x&state=right-state",
            "localhost:9000/callback?code=x&state=right-state",
        ];
        for text in good {
            assert_eq!(word(&attempt().read_pasted(text).unwrap()), "code x", "{text}");
        }
        let denied = "http://localhost:9000/callback?error=access_denied&state=right-state";
        assert_eq!(word(&attempt().read_pasted(denied).unwrap()), "denied");
        let other = "http://localhost:9000/callback?code=x&state=other";
        assert_eq!(word(&attempt().read_pasted(other).unwrap()), "wrong state");

        let bad = [
            ("", "nothing"),
            ("\n", "nothing"),
            ("4/abcdef", "http://localhost:9000/callback?code="),
            ("http://localhost:9000/callback", "no code"),
            (
                "https://accounts.feishu.cn/open-apis/authen/v1/authorize?state=right-state",
                "the link to open",
            ),
        ];
        for (text, want) in bad {
            let error = attempt().read_pasted(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn an_attempt_shows_no_secret() {
        let shown = format!("{:?}", attempt().read("code=hush&state=right-state"));
        assert!(!shown.contains("hush") && !shown.contains("right-state"), "{shown}");
        let real = Attempt::new(&Domain::feishu(), "cli_1", DEFAULT_PORT, &[]);
        let shown = format!("{real:?}");
        for secret in [&real.state, &real.verifier] {
            assert!(!shown.contains(secret.expose_secret()), "{shown}");
        }
        assert!(real.url.contains(real.state.expose_secret()), "{}", real.url);
    }
}
