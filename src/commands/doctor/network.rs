//! `endpoint_open`, `endpoint_accounts`, `clock`: does anybody answer, is it the service,
//! and what time is it there?
//!
//! Asked without a credential and without the client's retries, so that a host that
//! cannot be reached costs seconds and not minutes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Request, header};
use serde_json::Value;

use super::check::Finding;
use crate::clock::Clock;
use crate::feishu::HttpSend;
use crate::ui::text::escaped;

/// Answers without a token with an error in the usual envelope (docs: authen-v1/user_info).
pub const OPEN_PATH: &str = "/open-apis/authen/v1/user_info";

/// The consent page (docs: authentication-management/access-token/obtain-oauth-code).
pub const ACCOUNTS_PATH: &str = "/open-apis/authen/v1/authorize";

const PATIENCE: Duration = Duration::from_secs(20);

/// More is no reply of the service.
const MAX_BODY: usize = 64 << 10;

/// A few seconds off are the network's and the header's, which has whole seconds.
const CLOCK_WARN_SECS: u64 = 60;
const CLOCK_FAIL_SECS: u64 = 300;

/// What came back.
pub type Ping = Result<Answer, Broken>;

/// A reply.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    status: u16,
    /// True for the Open API's own envelope.
    is_api: bool,
    /// The server's clock less ours, where it says its time.
    skew_secs: Option<i64>,
}

/// Why there is no reply.
#[derive(Debug, Clone)]
pub struct Broken {
    /// What kind of trouble, as far as the text says.
    pub kind: Trouble,
    /// What the network said.
    pub said: String,
}

/// Kinds of trouble, each with another remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The name is unknown.
    Name,
    /// Certificates, handshake.
    Tls,
    /// The proxy refused, or is not there.
    Proxy,
    /// Nobody listens.
    Refused,
    /// Nobody answered in time.
    Silent,
    /// Anything else.
    Other,
}

impl Broken {
    /// Sorts what the network said. The words are those of hyper, rustls and the system's
    /// resolver; a text of none of them stays as it is.
    pub fn of(said: String) -> Self {
        let text = said.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        // A proxy's trouble may speak of a connection as well, so it comes first.
        let kind = if has(&["tunnel", "proxy"]) {
            Trouble::Proxy
        } else if has(&["certificate", "unknownissuer", "tls", "handshake", "corrupt message"]) {
            Trouble::Tls
        } else if has(&["dns", "lookup address", "name or service not known", "no such host"]) {
            Trouble::Name
        } else if has(&["refused"]) {
            Trouble::Refused
        } else if has(&["timed out", "timeout", "no answer"]) {
            Trouble::Silent
        } else {
            Trouble::Other
        };
        Self { kind, said }
    }

    fn hint(&self, key: &str) -> String {
        match self.kind {
            Trouble::Name => format!(
                "check the host's name in {key} of [account], and this machine's name server; \
                 where only a proxy knows the outside world, set HTTPS_PROXY"
            ),
            Trouble::Tls => "a firewall or proxy that opens encrypted connections stands between: \
                 add its certificate to the system's trusted ones (update-ca-certificates), or \
                 ask for an exception for this host. A clock that is wrong by days does it too"
                .to_owned(),
            Trouble::Proxy => "check HTTPS_PROXY and the proxy's user and password; a host that \
                 needs no proxy belongs into NO_PROXY"
                .to_owned(),
            Trouble::Refused | Trouble::Silent | Trouble::Other => format!(
                "check the network, the firewall, the proxy (HTTPS_PROXY, NO_PROXY) and {key} of \
                 [account]"
            ),
        }
    }
}

/// Asks once.
pub async fn ping(http: &dyn HttpSend, clock: &Clock, base: &str, path: &str) -> Ping {
    let request = Request::get(format!("{base}{path}")).body(Bytes::new());
    let request = request.map_err(|_| Broken::of("the address is no URL".to_owned()))?;
    let began_millis = clock.now().as_millisecond();
    let silent = || Broken::of(format!("no answer within {} s", PATIENCE.as_secs()));
    let exchange = async {
        let reply = http.send(request).await.map_err(|error| Broken::of(error.message))?;
        // The header's second is that of the reply's beginning.
        let middle_millis = i64::midpoint(began_millis, clock.now().as_millisecond());
        let (head, mut stream) = reply.into_parts();
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| Broken::of(error.message))?;
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                break;
            }
        }
        let envelope: Option<Value> = serde_json::from_slice(&body).ok();
        Ok(Answer {
            status: head.status.as_u16(),
            is_api: envelope.is_some_and(|envelope| envelope["code"].is_i64()),
            skew_secs: date_secs(&head.headers).map(|date| date - middle_millis.div_euclid(1000)),
        })
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(silent()))
}

fn date_secs(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// `endpoint_open`.
pub fn open(base: &str, ping: &Ping) -> Finding {
    match ping {
        Err(broken) => unreachable(base, "open", broken),
        Ok(answer) if answer.status >= 500 => Finding::warn(format!(
            "{base} answers that it failed (HTTP {}); it may pass",
            answer.status
        ))
        .hint("try again in a few minutes"),
        Ok(answer) if !answer.is_api => Finding::fail(format!(
            "something answers at {base} (HTTP {}), but it is not the Open API: a proxy's or \
             network's own page",
            answer.status
        ))
        .hint("log in to the network or proxy first, and check `open` of [account]"),
        Ok(_) => Finding::pass(format!("{base} answers")),
    }
}

/// `endpoint_accounts`: a page for people, whose looks are not documented, so that every
/// reply but a failure is good.
pub fn accounts(base: &str, ping: &Ping) -> Finding {
    match ping {
        Err(broken) => unreachable(base, "accounts", broken),
        Ok(answer) if answer.status >= 500 || answer.status == 407 => Finding::warn(format!(
            "{base} answers with HTTP {}; logging in may not work",
            answer.status
        ))
        .hint("try again in a few minutes; stored logins and apps work without it"),
        Ok(_) => Finding::pass(format!("{base} answers")),
    }
}

fn unreachable(base: &str, key: &str, broken: &Broken) -> Finding {
    let what = match broken.kind {
        Trouble::Name => "its name is not known",
        Trouble::Tls => "the encrypted connection fails",
        Trouble::Proxy => "the proxy lets nothing through",
        Trouble::Refused => "nobody listens there",
        Trouble::Silent => "nobody answers",
        Trouble::Other => "no connection",
    };
    Finding::fail(format!("cannot reach {base}: {what}: {}", escaped(&broken.said)))
        .hint(broken.hint(key))
}

/// `clock`.
pub fn clock(ping: &Ping) -> Finding {
    let skew = match ping {
        Err(_) => return Finding::skip("the service was not reached, so nobody said the time"),
        Ok(answer) => answer.skew_secs,
    };
    let Some(skew) = skew else {
        return Finding::warn("the service's reply has no Date, so the clock is not checked").hint(
            "a proxy may have removed it; compare this machine's clock yourself (`date -u`)",
        );
    };
    let off = skew.unsigned_abs();
    let which = if skew > 0 { "behind" } else { "ahead of" };
    let message = format!("this machine's clock is {off} s {which} the service's");
    let hint = "set the clock, best by NTP: timedatectl set-ntp true";
    match off {
        0..=2 => Finding::pass("this machine's clock agrees with the service's"),
        3..=CLOCK_WARN_SECS => Finding::pass(message),
        off if off <= CLOCK_FAIL_SECS => Finding::warn(message).hint(hint),
        _ => Finding::fail(format!(
            "{message}: tokens are renewed at the wrong time, and edits are missed or fetched \
             twice"
        ))
        .hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    fn answer(status: u16, is_api: bool, skew_secs: Option<i64>) -> Answer {
        Answer { status, is_api, skew_secs }
    }

    #[test]
    fn trouble_is_told_apart() {
        let cases = [
            (
                "dns error: failed to lookup address information: Name or service not known",
                Trouble::Name,
            ),
            ("invalid peer certificate: UnknownIssuer", Trouble::Tls),
            ("received corrupt message of type InvalidContentType", Trouble::Tls),
            ("tunnel error: unsuccessful", Trouble::Proxy),
            (
                "tunnel error: failed to create underlying connection: tcp connect error: Connection refused (os error 111)",
                Trouble::Proxy,
            ),
            ("tcp connect error: Connection refused (os error 111)", Trouble::Refused),
            ("operation timed out", Trouble::Silent),
            ("network unreachable", Trouble::Other),
        ];
        for (said, want) in cases {
            let broken = Broken::of(said.to_owned());
            assert_eq!(broken.kind, want, "{said}");
            let finding = open("https://h", &Err(broken));
            assert_eq!(finding.status, Status::Fail);
            assert!(finding.message.contains(said) && finding.hint.is_some(), "{finding:?}");
        }
    }

    #[test]
    fn only_the_service_itself_is_good_news() {
        let cases = [
            (answer(400, true, None), Status::Pass, Status::Pass),
            (answer(200, false, None), Status::Fail, Status::Pass),
            (answer(302, false, None), Status::Fail, Status::Pass),
            (answer(407, false, None), Status::Fail, Status::Warn),
            (answer(502, false, None), Status::Warn, Status::Warn),
        ];
        for (answer, of_open, of_accounts) in cases {
            let ping = Ok(answer);
            assert_eq!(open("https://h", &ping).status, of_open, "{ping:?}");
            assert_eq!(accounts("https://h", &ping).status, of_accounts, "{ping:?}");
        }
    }

    #[test]
    fn a_clock_may_be_a_minute_off() {
        let cases = [
            (Some(0), Status::Pass, "agrees"),
            (Some(-2), Status::Pass, "agrees"),
            (Some(60), Status::Pass, "60 s behind"),
            (Some(61), Status::Warn, "61 s behind"),
            (Some(-300), Status::Warn, "300 s ahead"),
            (Some(-301), Status::Fail, "301 s ahead"),
            (None, Status::Warn, "no Date"),
        ];
        for (skew, status, words) in cases {
            let finding = clock(&Ok(answer(200, true, skew)));
            assert_eq!(finding.status, status, "{skew:?}");
            assert!(finding.message.contains(words), "{finding:?}");
        }
        let finding = clock(&Err(Broken::of("x".to_owned())));
        assert_eq!(finding.status, Status::Skip);
    }
}
