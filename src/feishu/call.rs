//! One call as an endpoint's file describes it, and its address.

use std::ops::Range;

use serde_json::Value;

use super::quota::Endpoint;

/// What a call is to bring.
#[derive(Debug, Clone)]
pub(super) enum Expect {
    Json,
    /// Content from its first byte to its last.
    Whole,
    /// Content, end exclusive.
    Part(Range<u64>),
}

/// One call as an endpoint's file describes it.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) endpoint: Endpoint,
    /// Values of the `:names` in the path, in order.
    pub(super) path: &'a [&'a str],
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) expect: Expect,
    /// False only for the call that fetches the token.
    pub(super) signed: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(endpoint: Endpoint, path: &'a [&'a str]) -> Self {
        Self { endpoint, path, query: Vec::new(), body: None, expect: Expect::Json, signed: true }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Path and query, percent-encoded.
    pub(super) fn target(&self) -> String {
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
        for (at, (name, value)) in self.query.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            encode(value, &mut target);
        }
        target
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            for digit in [byte >> 4, byte & 15] {
                into.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
            let at = into.len() - 2;
            into.insert(at, '%');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_encoded() {
        const DOWNLOAD: Endpoint =
            Endpoint::named("GET /open-apis/drive/v1/files/:file_token/download");
        let call = Call::new(DOWNLOAD, &["a/../b?c"]).query("q", "周 &=").query("r", "x-1_~.");
        assert_eq!(
            call.target(),
            "/open-apis/drive/v1/files/a%2F..%2Fb%3Fc/download?q=%E5%91%A8%20%26%3D&r=x-1_~."
        );
    }
}
