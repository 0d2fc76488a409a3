//! What the endpoints of a login answer.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{DeviceCode, Grant, Poll};
use crate::feishu::error::{ApiError, Class, Fault};
use crate::feishu::quota::Endpoint;
use crate::feishu::reader::{Asked, Reader, Reply};
use crate::feishu::reply::{self, Envelope};
use crate::feishu::transport::Inner;

/// Where a reply leaves out what the clients call usual (client: larksuite/cli
/// `internal/auth/device_flow.go`).
const USUAL_LIFE_SECS: i64 = 7200;
const USUAL_INTERVAL_SECS: i64 = 5;

/// No code is believed to be good for longer: the services say minutes (client:
/// larksuite/cli `internal/auth/device_flow.go`), and somebody sits there.
const MAX_SECS: u64 = 3600;

/// No reply of a login is longer.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// Reads a reply whose fields stand at the top: `code` may be absent on success, and a
/// failure may have nothing but `error` and `error_description`.
pub(super) struct Fields {
    /// The words of a poll that is not over are answers.
    pub(super) polls: bool,
    /// No JSON is fine where the status says success.
    pub(super) any_success: bool,
}

impl Fields {
    pub(super) fn whole() -> Self {
        Self { polls: false, any_success: false }
    }

    pub(super) fn poll() -> Self {
        Self { polls: true, any_success: false }
    }
}

impl Reader for Fields {
    type Out = Map<String, Value>;

    async fn read(&self, inner: &Inner, asked: &Asked, reply: Reply) -> Result<Self::Out, Fault> {
        let (head, name) = (reply.head, asked.name());
        let body = inner.collect(name, reply.body, MAX_REPLY_BYTES).await?;
        drop(reply.slot);
        let success = head.status.is_success();
        let parsed = serde_json::from_slice::<Map<String, Value>>(&body).ok();
        let (Some(fields), Some(envelope)) = (parsed, Envelope::parse(&body)) else {
            if success && self.any_success {
                return Ok(Map::new());
            }
            let log_id = reply::log_id(&head.headers);
            let what = "the reply is no JSON object";
            return Err(Fault::garbage(name, head.status.as_u16(), log_id, what));
        };
        if self.polls && envelope.word().is_some_and(|word| waiting::<()>(word).is_some()) {
            return Ok(fields);
        }
        let fine = success && envelope.code.unwrap_or(0) == 0 && envelope.word().is_none();
        if fine { Ok(fields) } else { Err(inner.refusal(asked, &head, Some(&envelope))) }
    }
}

/// What a poll's word means (RFC 8628 section 3.5; `invalid_grant`: client:
/// larksuite/cli `internal/auth/device_flow.go`).
fn waiting<T>(word: &str) -> Option<Poll<T>> {
    match word {
        "authorization_pending" => Some(Poll::Pending),
        "slow_down" => Some(Poll::SlowDown),
        "access_denied" => Some(Poll::Denied),
        "expired_token" | "invalid_grant" => Some(Poll::Expired),
        _ => None,
    }
}

pub(super) fn undecided<T>(reply: &Map<String, Value>) -> Option<Poll<T>> {
    waiting(text(reply, "error")?)
}

/// By hand and not by serde, whose errors quote what they did not expect.
pub(super) fn grant(reply: &Map<String, Value>, endpoint: Endpoint) -> Result<Grant, ApiError> {
    let token = text(reply, "access_token").ok_or_else(|| lacks(endpoint, "access_token"))?;
    Ok(Grant {
        access_token: token.into(),
        expires_in: number(reply, "expires_in").unwrap_or(USUAL_LIFE_SECS),
        refresh_token: text(reply, "refresh_token").map(Into::into),
        refresh_expires_in: number(reply, "refresh_token_expires_in"),
        scope: text(reply, "scope").unwrap_or_default().to_owned(),
    })
}

/// `usual_secs`: how long the code is good where the reply does not say it.
pub(super) fn device_code(
    reply: &Map<String, Value>,
    endpoint: Endpoint,
    page: &str,
    usual_secs: i64,
) -> Result<DeviceCode, ApiError> {
    let code = text(reply, "device_code").ok_or_else(|| lacks(endpoint, "device_code"))?;
    // The registration has been seen with either name.
    let lives = number(reply, "expires_in").or_else(|| number(reply, "expire_in"));
    let secs = |given: Option<i64>, usual| {
        let secs = given.filter(|secs| *secs > 0).unwrap_or(usual);
        Duration::from_secs(secs.unsigned_abs().min(MAX_SECS))
    };
    Ok(DeviceCode {
        device_code: code.into(),
        // Shown on a terminal, which takes control characters for orders.
        user_code: text(reply, "user_code").unwrap_or_default().replace(char::is_control, ""),
        verification_uri: page.to_owned(),
        expires_in: secs(lives, usual_secs),
        interval: secs(number(reply, "interval"), USUAL_INTERVAL_SECS),
    })
}

/// True for the address of a page that can be shown to a person and opened.
pub(super) fn is_page(text: &str) -> bool {
    let web = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    !text.contains(char::is_control) && url::Url::parse(text).is_ok_and(web)
}

pub(super) fn text<'r>(reply: &'r Map<String, Value>, name: &str) -> Option<&'r str> {
    reply.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn number(reply: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = reply.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) fn user_info<'r>(reply: &'r Map<String, Value>, name: &str) -> Option<&'r str> {
    reply.get("user_info")?.get(name)?.as_str().filter(|text| !text.is_empty())
}

pub(super) fn lacks(endpoint: Endpoint, field: &str) -> ApiError {
    let what = format!("the reply has no {field}");
    ApiError::local(Class::Unexpected, endpoint.name(), what)
}
