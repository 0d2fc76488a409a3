//! Addresses: decoded once, checked, recognised, and written so that nothing breaks out.

/// Decodes an address as the service stores it (encodeURIComponent). Decoded exactly once; what
/// does not decode, and what holds a character that encodeURIComponent never leaves, such as
/// `:` or `/`, was not encoded and stays as it is.
/// (docs: docs/docx-v1/data-structure/rich-text, `Link.url`)
pub fn decode_once(encoded: &str) -> String {
    let left_by_encoding = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"-_.!~*'()%".contains(&byte) || !byte.is_ascii()
    };
    if !encoded.bytes().all(left_by_encoding) {
        return encoded.to_owned();
    }
    percent_decode(encoded).unwrap_or_else(|| encoded.to_owned())
}

/// `None` where a `%` is not followed by two digits, or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
            bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).expect("two hex digits"));
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// What may be done with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A link to this.
    Link(String),
    /// It has no scheme and looks like no host: shown, not linked, because in a file it would
    /// point into the mirror.
    Words(String),
    /// A scheme that runs or reads something on the reader's machine: not linked.
    Unsafe,
    /// Nothing.
    Empty,
}

/// Schemes that browsers run, or that reach what is on the reader's machine.
const UNSAFE: [&str; 9] =
    ["javascript", "vbscript", "data", "file", "blob", "filesystem", "about", "view-source", "jar"];

/// Decides what may be done with the decoded address `url`.
pub fn classify(url: &str) -> Address {
    // Browsers drop control characters and blanks before they look at the scheme.
    let url: String = url.trim().chars().filter(|c| !c.is_control()).collect();
    if url.is_empty() {
        return Address::Empty;
    }
    let bare: String = url.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c)).collect();
    if let Some(scheme) = scheme(&bare) {
        return if UNSAFE.contains(&scheme.as_str()) {
            Address::Unsafe
        } else {
            Address::Link(url)
        };
    }
    if let Some(rest) = bare.strip_prefix("//") {
        return Address::Link(format!("https://{rest}"));
    }
    let host = bare.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let is_host = labels.len() > 1
        && labels.iter().all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
        && labels.last().is_some_and(|top| top.chars().any(char::is_alphabetic));
    if is_host { Address::Link(format!("https://{url}")) } else { Address::Words(url) }
}

/// The scheme in lower case. `host:8080` has none.
fn scheme(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    let mut chars = scheme.chars();
    let is_scheme = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_port = scheme.contains('.') && rest.starts_with(|c: char| c.is_ascii_digit());
    (is_scheme && !is_port).then(|| scheme.to_ascii_lowercase())
}

/// The document that an address of Feishu or Lark names: its token and, where the path says
/// it, the number of its type. `None` for every other address.
pub fn document_of(url: &str) -> Option<(String, i64)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let path = rest.split(['?', '#']).next()?;
    let parts: Vec<&str> = path.split('/').collect();
    let (kind, token) = match parts.as_slice() {
        [_, "drive", kind, token, ..] | [_, kind, token, ..] => (*kind, *token),
        _ => return None,
    };
    let obj_type = match kind {
        "docx" => 22,
        "wiki" => 16,
        "docs" | "doc" => 1,
        "sheets" => 3,
        "base" => 8,
        "mindnotes" => 11,
        "file" => 12,
        "slides" => 15,
        "folder" => 0,
        _ => return None,
    };
    let is_token =
        (15..=64).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_token.then(|| (token.to_owned(), obj_type))
}

/// An address as the destination of a Markdown link, in a table cell too: exactly `url`, but
/// for characters that no address may have.
pub(super) fn destination(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for (at, c) in url.char_indices() {
        match c {
            '(' | ')' | '[' | ']' | '*' | '_' | '~' | '!' => {
                // `_`, `*`, `~` and `!` mean nothing inside of a destination.
                if matches!(c, '(' | ')' | '[' | ']') {
                    out.push('\\');
                }
                out.push(c);
            }
            // An entity would be decoded.
            '&' if looks_like_entity(&url[at..]) => out.push_str("&amp;"),
            '<' | '>' | '"' | '`' | '$' | '|' | '\\' | '{' | '}' | '^' => percent(&mut out, c),
            c if c.is_whitespace() || c.is_control() || is_invisible(c) => percent(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

/// A relative path as the destination of a Markdown link: what has a meaning in addresses is
/// encoded, letters of all scripts are kept readable.
pub(super) fn path_destination(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        let plain = c.is_ascii_alphanumeric() || "/-_.~,=+@;".contains(c);
        let letter = !c.is_ascii() && !c.is_whitespace() && !c.is_control() && !is_invisible(c);
        if plain || letter { out.push(c) } else { percent(&mut out, c) }
    }
    out
}

fn percent(out: &mut String, c: char) {
    use std::fmt::Write as _;
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        write!(out, "%{byte:02X}").expect("writing to a string");
    }
}

/// Whether `text` begins with something that Markdown may decode, such as `&amp;`.
pub(super) fn looks_like_entity(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('&') else { return false };
    let name = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '#');
    name.len() < rest.len() && name.starts_with(';')
}

/// Characters without a shape that change how others are read: zero-width, direction marks.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_decoded_once_or_not_at_all() {
        let cases = [
            ("https%3A%2F%2Fx.example%2Fa%3Fb%3Dc", "https://x.example/a?b=c", "as documented"),
            ("https%3A%2F%2Fx.example%2Fa%2520b", "https://x.example/a%20b", "not twice"),
            ("https%3A%2F%2Fx.example%2F%E5%91%A8", "https://x.example/周", "UTF-8"),
            ("https%3A%2F%2Fx.example%2F%", "https%3A%2F%2Fx.example%2F%", "a lone per cent"),
            ("https%3A%2F%2Fx.example%2F%FF", "https%3A%2F%2Fx.example%2F%FF", "not UTF-8"),
            ("https%3A%2F%2Fx%2F%é", "https%3A%2F%2Fx%2F%é", "no digit, but two bytes"),
            ("https://x.example/?u=http%3A%2F%2Fy", "https://x.example/?u=http%3A%2F%2Fy", "plain"),
            ("", "", "nothing"),
        ];
        for (encoded, decoded, why) in cases {
            assert_eq!(decode_once(encoded), decoded, "{why}");
        }
    }

    #[test]
    fn what_could_run_is_never_linked() {
        for url in [
            "javascript:alert(1)",
            " JavaScript:alert(1)",
            "java\nscript:alert(1)",
            "java script:alert(1)",
            "\u{1}javascript:alert(1)",
            "java\u{200b}script:alert(1)",
            "data:text/html,<b>",
            "vbscript:x",
            "file:///etc/passwd",
        ] {
            assert_eq!(classify(url), Address::Unsafe, "{url:?}");
        }
    }

    #[test]
    fn other_addresses_are_linked_where_they_lead_somewhere() {
        let link = |to: &str| Address::Link(to.to_owned());
        let cases = [
            ("https://x.example/a b", link("https://x.example/a b")),
            ("mailto:a@x.example", link("mailto:a@x.example")),
            ("lark://client/op", link("lark://client/op")),
            ("//x.example/a", link("https://x.example/a")),
            ("www.x.example", link("https://www.x.example")),
            ("x.example:8080/a", link("https://x.example:8080/a")),
            ("see/below", Address::Words("see/below".to_owned())),
            ("1.5", Address::Words("1.5".to_owned())),
            ("  ", Address::Empty),
        ];
        for (url, expected) in cases {
            assert_eq!(classify(url), expected, "{url:?}");
        }
    }

    #[test]
    fn documents_are_recognised_by_their_address() {
        let token = "doxcnXhd93zqoLnmVPGIPTy7AFe";
        let found = |url: String| document_of(&url);
        let some = |obj_type| Some((token.to_owned(), obj_type));
        assert_eq!(found(format!("https://a.feishu.cn/docx/{token}?from=x#y")), some(22));
        assert_eq!(found(format!("https://a.larksuite.com/wiki/{token}")), some(16));
        assert_eq!(found(format!("https://a.feishu.cn/drive/folder/{token}")), some(0));
        assert_eq!(found("https://a.feishu.cn/docx/short".to_owned()), None);
        assert_eq!(found(format!("https://a.feishu.cn/other/{token}")), None);
        assert_eq!(found(format!("ftp://a.feishu.cn/docx/{token}")), None);
    }

    #[test]
    fn destinations_hold_nothing_that_ends_them() {
        assert_eq!(
            destination("https://x/a(b) c?d=1&copy;&e"),
            r"https://x/a\(b\)%20c?d=1&amp;copy;&e"
        );
        assert_eq!(destination("https://x/`a`|<b>$c\\"), "https://x/%60a%60%7C%3Cb%3E%24c%5C");
        assert_eq!(path_destination("../周报 (1)/a#b%.md"), "../周报%20%281%29/a%23b%25.md");
    }
}
