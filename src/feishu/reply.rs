//! What every JSON reply has in common: the envelope, and the headers that matter.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire;

/// The envelope without its data (docs: api-call-guide/generic-error-code).
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    #[serde(default, deserialize_with = "wire::number")]
    pub(super) code: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    msg: Option<String>,
    /// An object in most replies, a word (RFC 6749) in those of token endpoints.
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, deserialize_with = "wire::text")]
    error_description: Option<String>,
}

impl Envelope {
    /// The envelope of a body; `None` where it is no JSON object.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        // serde would take an array for a struct's fields in order.
        let object = body.trim_ascii_start().starts_with(b"{");
        object.then(|| serde_json::from_slice(body).ok()).flatten()
    }

    /// What the service says about it.
    pub(super) fn msg(&self) -> &str {
        let said = self.msg.as_deref().or(self.error_description.as_deref());
        said.or(self.word()).unwrap_or_default()
    }

    /// The word of an OAuth failure (RFC 6749, RFC 8628): `invalid_grant` and the like.
    pub(super) fn word(&self) -> Option<&str> {
        self.error.as_ref()?.as_str()
    }

    /// The log id in the body, for gateways that send no header.
    pub(super) fn log_id(&self) -> Option<&str> {
        let error = self.error.as_ref()?;
        error.get("log_id").or_else(|| error.get("logid"))?.as_str()
    }

    /// Scopes that the reply names as missing: `subject` of the violations in newer
    /// replies, `type` in older ones, else what stands in brackets in the text.
    pub(super) fn scopes(&self) -> Vec<String> {
        let is_scope = |word: &&str| {
            word.contains(':')
                && word.chars().all(|c| c.is_ascii_alphanumeric() || ":._-".contains(c))
        };
        let violations = self.error.as_ref().and_then(|error| error.get("permission_violations"));
        let mut scopes: Vec<String> = violations
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|violation| {
                let field = |name| violation.get(name)?.as_str().filter(is_scope);
                field("subject").or_else(|| field("type"))
            })
            .map(str::to_owned)
            .collect();
        if scopes.is_empty() {
            let listed = self.msg().split_once('[').and_then(|(_, rest)| rest.split_once(']'));
            let words = listed.map_or("", |(words, _)| words).split([',', ' ']);
            scopes.extend(words.filter(is_scope).map(str::to_owned));
        }
        scopes.dedup();
        scopes
    }
}

/// Reads `data` of an envelope.
pub(super) fn parse_data<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Data<T> {
        data: T,
    }
    parse::<Data<T>>(body).map(|whole| whole.data)
}

/// Reads a body whose fields stand at the top; the error names the place in the JSON.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|e| match e.path().to_string() {
        path if path == "." => e.into_inner().to_string(),
        path => format!("{} at {path}", e.inner()),
    })
}

/// The server's clock, seconds since 1970.
pub(super) fn date_secs(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// The id under which the service's support finds the call.
pub(super) fn log_id(headers: &HeaderMap) -> Option<&str> {
    ["x-tt-logid", "x-request-id"]
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|value| value.to_str().ok())
}

/// Seconds until a frozen class opens again (docs: api-call-guide/frequency-control).
pub(super) fn reset(headers: &HeaderMap) -> Option<Duration> {
    seconds(headers.get("x-ogw-ratelimit-reset")?.to_str().ok()?)
}

/// `Retry-After`, in seconds or as a date; `now_secs` is the present.
pub(super) fn retry_after(headers: &HeaderMap, now_secs: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds(text).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        let delay = at.saturating_sub(u64::try_from(now_secs).ok()?);
        seconds(&delay.to_string())
    })
}

fn seconds(text: &str) -> Option<Duration> {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    // Longer is no delay but nonsense, and would overflow the clock.
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok().map(|delay| delay.min(week))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_scopes_are_found_in_every_shape() {
        let cases = [
            (
                r#"{"code":1,"error":{"permission_violations":[{"type":"action_scope_required","subject":"drive:drive"}]}}"#,
                vec!["drive:drive"],
            ),
            (
                r#"{"code":1,"error":{"permission_violations":[{"type":"wiki:wiki:readonly"}]}}"#,
                vec!["wiki:wiki:readonly"],
            ),
            (
                r#"{"code":1,"msg":"One of: [drive:drive, space:document:retrieve] is required."}"#,
                vec!["drive:drive", "space:document:retrieve"],
            ),
            (r#"{"code":1,"msg":"no","error":"text"}"#, vec![]),
        ];
        for (json, want) in cases {
            assert_eq!(Envelope::parse(json.as_bytes()).unwrap().scopes(), want, "{json}");
        }
    }

    #[test]
    fn headers_speak_in_seconds_and_dates() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )])
        };
        let date = "Tue, 15 Nov 1994 08:12:31 GMT";
        assert_eq!(date_secs(&headers("date", date)), Some(784_887_151));
        assert_eq!(reset(&headers("x-ogw-ratelimit-reset", "7")), Some(Duration::from_secs(7)));
        assert_eq!(reset(&headers("x-ogw-ratelimit-reset", "-7")), None);
        assert_eq!(
            reset(&headers("x-ogw-ratelimit-reset", "1e18")),
            Some(Duration::from_secs(604_800))
        );
        let after = retry_after(&headers("retry-after", date), 784_887_141);
        assert_eq!(after, Some(Duration::from_secs(10)));
        assert_eq!(retry_after(&headers("retry-after", "soon"), 0), None);
    }

    #[test]
    fn a_wrong_shape_is_named_by_its_place() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code)]
        struct Page {
            files: Vec<u32>,
        }
        let error = parse_data::<Page>(br#"{"code":0,"data":{"files":[1,"x"]}}"#).unwrap_err();
        assert!(error.contains("data.files[1]"), "{error}");
    }
}
