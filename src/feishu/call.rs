//! One call as an endpoint's file describes it, and its address.

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::quota::Endpoint;
use super::retry::MAX_THROTTLED;

/// What a call is to bring.
#[derive(Debug, Clone)]
pub(super) enum Expect {
    Json,
    /// Content from its first byte to its last.
    Whole,
    /// Content, end exclusive.
    Part(Range<u64>),
}

/// How often a call is sent again after a failure that may pass. Rate limits and
/// refused tokens are another matter: there the service did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// As often as the settings allow.
    Freely,
    /// So often at most: the service may have acted on the first one, and each further
    /// answer hides more of what it said.
    AtMost(u32),
    /// Only where no connection was made, so that nothing can have arrived.
    Unsent,
}

/// A body as it is sent. Bodies may hold secrets, so none can be printed.
#[derive(Debug, Clone)]
pub(super) struct Payload {
    pub(super) content_type: &'static str,
    pub(super) text: SecretString,
}

/// One call as an endpoint's file describes it.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) endpoint: Endpoint,
    /// Values of the `:names` in the path, in order.
    pub(super) path: &'a [&'a str],
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Payload>,
    pub(super) expect: Expect,
    /// False for the calls that fetch tokens.
    pub(super) signed: bool,
    pub(super) repeat: Repeat,
    /// So long it lets itself be put off by rate limits.
    pub(super) patience: Duration,
    /// Another host than the Open API's.
    pub(super) base: Option<String>,
    /// `Authorization` of an unsigned call.
    pub(super) basic: Option<SecretString>,
    /// What this call sends that nobody may read, however the service echoes it.
    pub(super) secrets: Vec<SecretString>,
    /// Method and encoded path in place of the endpoint's own, which is then only the
    /// class whose limits count.
    pub(super) other: Option<(Method, String)>,
    /// Set once the call is on its way to the service.
    pub(super) sent: Option<&'a AtomicBool>,
}

impl<'a> Call<'a> {
    pub(super) fn new(endpoint: Endpoint, path: &'a [&'a str]) -> Self {
        Self {
            endpoint,
            path,
            query: Vec::new(),
            body: None,
            expect: Expect::Json,
            signed: true,
            repeat: Repeat::Freely,
            patience: MAX_THROTTLED,
            base: None,
            basic: None,
            secrets: Vec::new(),
            other: None,
            sent: None,
        }
    }

    /// A call that needs no token and sends these secrets.
    pub(super) fn unsigned(endpoint: Endpoint, secrets: &[&SecretString]) -> Self {
        let secrets = secrets.iter().map(|secret| (*secret).clone()).collect();
        Self { signed: false, secrets, ..Self::new(endpoint, &[]) }
    }

    pub(super) fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "called with `json!` throughout")]
    pub(super) fn body(mut self, body: Value) -> Self {
        let text = body.to_string().into();
        self.body = Some(Payload { content_type: "application/json; charset=utf-8", text });
        self
    }

    /// A body as HTML forms send it.
    pub(super) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let text = form.finish().into();
        self.body = Some(Payload { content_type: "application/x-www-form-urlencoded", text });
        self
    }

    pub(super) fn method(&self) -> &str {
        self.other.as_ref().map_or(self.endpoint.method(), |(method, _)| method.as_str())
    }

    /// Path and query, percent-encoded.
    pub(super) fn target(&self) -> String {
        let mut target = match &self.other {
            Some((_, path)) => path.clone(),
            None => self.own_path(),
        };
        for (at, (name, value)) in self.query.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            encode(name, &mut target);
            target.push('=');
            encode(value, &mut target);
        }
        target
    }

    fn own_path(&self) -> String {
        let mut values = self.path.iter();
        let mut target = String::new();
        for part in self.endpoint.pattern().split('/').skip(1) {
            target.push('/');
            if part.starts_with(':') {
                let value = values.next().expect("a call fills every name of its path");
                encode(value, &mut target);
            } else {
                target.push_str(part);
            }
        }
        target
    }

    /// What must not be shown, also as it looks in a form or a query.
    pub(super) fn hidden<'b>(&'b self, token: Option<&'b SecretString>) -> Vec<String> {
        let mut hidden: Vec<String> = Vec::new();
        for secret in self.secrets.iter().chain(token) {
            let secret = secret.expose_secret();
            let mut encoded = String::new();
            encode(secret, &mut encoded);
            hidden.extend([secret.to_owned(), encoded]);
        }
        // Shorter is no secret, and hiding it would garble whole messages.
        hidden.retain(|secret| secret.len() >= 6);
        hidden
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            percent(byte, into);
        }
    }
}

/// `%` and two digits.
pub(super) fn percent(byte: u8, into: &mut String) {
    into.push('%');
    for digit in [byte >> 4, byte & 15] {
        into.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWNLOAD: Endpoint =
        Endpoint::named("GET /open-apis/drive/v1/files/:file_token/download");

    #[test]
    fn paths_and_queries_are_encoded() {
        let call = Call::new(DOWNLOAD, &["a/../b?c"]).query("q", "周 &=").query("r", "x-1_~.");
        assert_eq!(
            call.target(),
            "/open-apis/drive/v1/files/a%2F..%2Fb%3Fc/download?q=%E5%91%A8%20%26%3D&r=x-1_~."
        );
    }

    #[test]
    fn a_body_and_the_secrets_in_it_cannot_be_printed() {
        let secret: SecretString = "pass word&more".into();
        let call = Call::unsigned(DOWNLOAD, &[&secret])
            .form(&[("client_secret", secret.expose_secret()), ("scope", "a b")]);
        assert_eq!(
            call.body.as_ref().unwrap().text.expose_secret(),
            "client_secret=pass+word%26more&scope=a+b"
        );
        assert!(!format!("{call:?}").contains("pass"), "{call:?}");
        assert_eq!(call.hidden(None), ["pass word&more", "pass%20word%26more"]);
    }
}
