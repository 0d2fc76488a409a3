//! Single values as people write them: sizes, lengths of time, limits, links.

use std::time::Duration;

use crate::model::account::Domain;
use crate::rules::MaxDelete;

/// `"1 GiB"`, `"10MB"`, `"500"`: bytes.
///
/// KiB, MiB … are powers of 1024, KB, MB … powers of 1000; K, M, G and T alone are
/// read as the former, as rsync and rclone do.
pub fn size(text: &str) -> Result<u64, String> {
    let why = || format!("{text:?} is no size; write bytes, or like \"10 MB\", \"1 GiB\"");
    let (digits, unit) = split_unit(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(why()),
    };
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(why);
    }
    let number = fraction(digits).ok_or_else(why)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size such as 1.5 GiB need not be exact; it is neither negative nor huge"
    )]
    let bytes = (number * factor as f64) as u64;
    Ok(bytes)
}

/// The name of a profile, which is also the name of its folder.
///
/// # Errors
/// Says which names are possible.
pub fn profile(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} cannot name a profile: 1 to 64 letters (a to z, A to Z), digits, \"-\" and \"_\" can"
    ))
}

/// `feishu`, `lark`, or the Open API's address and, after a comma, the accounts host's.
///
/// # Errors
/// Says what is possible.
pub fn domain(text: &str) -> Result<Domain, String> {
    match text {
        "feishu" => return Ok(Domain::feishu()),
        "lark" => return Ok(Domain::lark()),
        _ => {}
    }
    let (open, accounts) = text.split_once(',').unwrap_or((text, text));
    match (base_url(open), base_url(accounts)) {
        (Ok(open), Ok(accounts)) => Ok(Domain { open, accounts }),
        (Err(why), _) | (_, Err(why)) => Err(format!("{why}; or write feishu or lark")),
    }
}

/// `"60s"`, `"10m"`, `"5h"`, `"7d"`, `"2w"`, `"0"`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let why =
        || format!("{text:?} is no length of time; write like \"60s\", \"10m\", \"5h\", \"7d\"");
    let (digits, unit) = split_unit(text);
    let seconds: u64 = match unit {
        "" if digits == "0" => 1,
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(why()),
    };
    let count: u64 = digits.parse().map_err(|_| why())?;
    // A century is as good as for ever, and no clock overflows by adding it.
    count
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= 100 * 366 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(why)
}

/// `"25%"` or `"100"`: how much a run may delete.
pub fn max_delete(text: &str) -> Result<MaxDelete, String> {
    let why = || format!("{text:?} is no limit; write a number of files, or like \"25%\"");
    match text.trim().strip_suffix('%') {
        None => text.trim().parse().map(MaxDelete::Files).map_err(|_| why()),
        Some(digits) => fraction(digits.trim_end())
            .filter(|percent| *percent <= 100.0)
            .map(MaxDelete::Percent)
            .ok_or_else(why),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.trim_start())
}

/// A decimal number without sign or exponent.
fn fraction(digits: &str) -> Option<f64> {
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.parse().ok().filter(|_| plain)
}

/// What a link into the web app leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The root of "My Space".
    MySpace,
    /// A Drive folder.
    Folder(String),
    /// A wiki node.
    WikiNode(String),
    /// A wiki space, by its number.
    WikiSpace(String),
    /// A document or uploaded file: the service's type word, token.
    Document(&'static str, String),
    /// A recording.
    Minutes(String),
}

/// Reads a link as copied from a browser; any host, since tenants may have their own.
///
/// Paths and tokens: docs, "Docs overview", "How to get the token".
pub fn link(text: &str) -> Result<Link, String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(|| format!("{text:?} is no link; copy it from the browser's address bar"))?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let mut parts = rest.split('/').skip(1).filter(|part| !part.is_empty());
    let (kind, second, third) =
        (parts.next().unwrap_or_default(), parts.next(), parts.next().map(str::to_owned));
    let token = second.map(str::to_owned);
    let found = match (kind, second) {
        ("drive", None | Some("me" | "home")) => Some(Link::MySpace),
        ("drive", Some("folder")) => third.map(Link::Folder),
        ("wiki", Some("space" | "settings")) => third.map(Link::WikiSpace),
        ("wiki", _) => token.map(Link::WikiNode),
        ("minutes", _) => token.map(Link::Minutes),
        _ => document_word(kind).and_then(|word| token.map(|token| Link::Document(word, token))),
    };
    found.filter(|link| link.token().is_none_or(is_token)).ok_or_else(|| {
        format!(
            "{text:?} leads to no folder, wiki or document that this program knows; known: \
             /drive/folder/…, /wiki/…, /docx/…, /docs/…, /sheets/…, /base/…, /slides/…, \
             /mindnotes/…, /file/…"
        )
    })
}

impl Link {
    fn token(&self) -> Option<&str> {
        match self {
            Self::MySpace => None,
            Self::Folder(token)
            | Self::WikiNode(token)
            | Self::WikiSpace(token)
            | Self::Document(_, token)
            | Self::Minutes(token) => Some(token),
        }
    }

    /// How messages call what it leads to.
    pub fn what(&self) -> &'static str {
        match self {
            Self::MySpace | Self::Folder(_) => "a Drive folder",
            Self::WikiNode(_) | Self::WikiSpace(_) => "a wiki",
            Self::Document("file", _) => "an uploaded file",
            Self::Document(..) => "a document",
            Self::Minutes(_) => "a recording",
        }
    }
}

fn document_word(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "file" => "file",
        "docs" => "doc",
        "docx" => "docx",
        "sheets" => "sheet",
        "base" => "bitable",
        "mindnotes" => "mindnote",
        "slides" => "slides",
        _ => return None,
    })
}

/// True for what may be a token: letters, digits, `_` and `-`.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// A base URL of the service: `https://` and a host; `http://` only for loopback.
/// Returned without a slash at the end.
pub fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let uri: http::Uri =
        url.parse().map_err(|_| format!("{text:?} is no URL; write like \"https://host\""))?;
    let host = uri.host().unwrap_or_default();
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let anonymous = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    // `http` takes any text after the colon for a port.
    let port = uri.authority().and_then(|a| a.as_str().rsplit_once(':')).map(|(_, port)| port);
    let port_is_right = port.is_none_or(|port| port.ends_with(']') || port.parse::<u16>().is_ok());
    if host.is_empty() || !bare || !anonymous || !port_is_right {
        return Err(format!("{text:?} must be a scheme and a host only, like \"https://host\""));
    }
    match uri.scheme_str() {
        Some("https") => Ok(url.to_owned()),
        Some("http") if is_loopback(host) => Ok(url.to_owned()),
        Some("http") => Err(format!(
            "{text:?} would send secrets unencrypted; http:// is allowed for 127.0.0.1, [::1] \
             and localhost only"
        )),
        _ => Err(format!("{text:?} must begin with https://")),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        let cases = [
            ("0", Some(0)),
            ("500", Some(500)),
            ("1 GiB", Some(1 << 30)),
            ("1GiB", Some(1 << 30)),
            ("1.5k", Some(1536)),
            ("10MB", Some(10_000_000)),
            (" 2 tb ", Some(2_000_000_000_000)),
            ("", None),
            ("GiB", None),
            ("-1", None),
            ("1 e9", None),
            ("1e9", None),
            (".5k", None),
            ("99999999999 TiB", None),
        ];
        for (text, want) in cases {
            assert_eq!(size(text).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn lengths_of_time_have_a_unit() {
        let cases = [
            ("0", Some(0)),
            ("60s", Some(60)),
            ("10m", Some(600)),
            ("5h", Some(18_000)),
            ("7d", Some(604_800)),
            ("2 w", Some(1_209_600)),
            ("60", None),
            ("1.5h", None),
            ("h", None),
            ("1y", None),
            ("99999999999d", None),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text).ok(), want.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn deletion_limits_are_numbers_or_shares() {
        assert_eq!(max_delete("25%"), Ok(MaxDelete::Percent(25.0)));
        assert_eq!(max_delete("0.5 %"), Ok(MaxDelete::Percent(0.5)));
        assert_eq!(max_delete("8"), Ok(MaxDelete::Files(8)));
        for bad in ["", "%", "-1", "120%", "many", "8 files"] {
            assert!(max_delete(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_lead_to_tokens() {
        let document = |word, token: &str| Some(Link::Document(word, token.to_owned()));
        let cases = [
            ("https://a.feishu.cn/drive/folder/fldcnA?from=x", Some(Link::Folder("fldcnA".into()))),
            ("https://a.larksuite.com/drive/me/", Some(Link::MySpace)),
            ("https://a.feishu.cn/wiki/WikA#part", Some(Link::WikiNode("WikA".into()))),
            ("https://a.feishu.cn/wiki/space/712", Some(Link::WikiSpace("712".into()))),
            ("https://a.feishu.cn/wiki/settings/712", Some(Link::WikiSpace("712".into()))),
            ("https://a.feishu.cn/docx/DoxA", document("docx", "DoxA")),
            ("https://a.feishu.cn/docs/DocA", document("doc", "DocA")),
            ("https://a.larkoffice.com/sheets/ShtA?sheet=0b", document("sheet", "ShtA")),
            ("https://a.feishu.cn/base/BasA?table=tblx", document("bitable", "BasA")),
            ("https://a.feishu.cn/mindnotes/BmnA", document("mindnote", "BmnA")),
            ("https://a.feishu.cn/slides/SldA", document("slides", "SldA")),
            ("https://docs.example.com/file/BoxA", document("file", "BoxA")),
            ("https://a.feishu.cn/minutes/ObcA", Some(Link::Minutes("ObcA".into()))),
            ("https://a.feishu.cn/docx/", None),
            ("https://a.feishu.cn/docx/..", None),
            ("https://a.feishu.cn/", None),
            ("a.feishu.cn/docx/DoxA", None),
            ("DoxA", None),
        ];
        for (text, want) in cases {
            assert_eq!(link(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn hosts_are_encrypted_or_loopback() {
        let cases = [
            ("https://open.feishu.cn/", Some("https://open.feishu.cn")),
            ("http://127.0.0.1:9", Some("http://127.0.0.1:9")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("http://localhost:8080/", Some("http://localhost:8080")),
            ("http://open.feishu.cn", None),
            ("https://open.feishu.cn/open-apis", None),
            ("https://user:secret@open.feishu.cn", None),
            ("http://127.0.0.1:80,", None),
            ("open.feishu.cn", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(base_url(text).ok().as_deref(), want, "{text:?}");
        }
    }
}
