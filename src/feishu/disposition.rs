//! The name that a download carries (RFC 6266, RFC 8187).

use http::HeaderMap;
use http::header::CONTENT_DISPOSITION;

/// The file name of `Content-Disposition`, without a path: `filename*` before
/// `filename`. It is what the server says, not a name that is safe on a disk.
pub(super) fn file_name(headers: &HeaderMap) -> Option<String> {
    // Raw UTF-8 is not allowed there, and servers send it all the same.
    let text = String::from_utf8_lossy(headers.get(CONTENT_DISPOSITION)?.as_bytes());
    let parts = parameters(&text);
    let of = |wanted: &str| {
        let found = parts.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let extended = of("filename*").and_then(|value| {
        let (charset, rest) = value.split_once('\'')?;
        let (_language, encoded) = rest.split_once('\'')?;
        charset.eq_ignore_ascii_case("utf-8").then(|| decode(encoded))
    });
    let name = extended.or_else(|| of("filename").map(decode))?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// `name=value` and `name="value"`, separated by semicolons.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        let name: String = std::iter::from_fn(|| rest.next_if(|c| !"=;".contains(*c))).collect();
        let mut value = String::new();
        if rest.next_if_eq(&'=').is_some() {
            if rest.next_if_eq(&'"').is_some() {
                while let Some(c) = rest.next().filter(|c| *c != '"') {
                    let escaped = c == '\\';
                    value.extend(if escaped { rest.next() } else { Some(c) });
                }
            }
            value.extend(std::iter::from_fn(|| rest.next_if(|c| *c != ';')));
            found.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if rest.next().is_none() {
            return found;
        }
    }
}

/// Without its percent signs, where what they stand for is UTF-8.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        match (*first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).expect("two hex digits"));
                rest = &tail[2..];
            }
            (byte, ..) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn names_in_every_spelling() {
        let cases = [
            ("attachment; filename=\"a.mp4\"", Some("a.mp4")),
            ("attachment; filename=a.mp4", Some("a.mp4")),
            ("attachment;filename=\"x\"; filename*=UTF-8''%E5%91%A8%20a.mp4", Some("周 a.mp4")),
            ("attachment; FileName*=utf-8'zh'%E5%91%A8.m4a; filename=x", Some("周.m4a")),
            ("attachment; filename=\"%E5%91%A8.mp4\"", Some("周.mp4")),
            ("attachment; filename=\"周; \\\"1\\\".mp4\"", Some("周; \"1\".mp4")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"100%.mp4\"", Some("100%.mp4")),
            ("attachment; filename*=latin1''%E4.mp4", None),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=\"open", Some("open")),
            ("inline", None),
        ];
        for (text, want) in cases {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]);
            assert_eq!(file_name(&headers).as_deref(), want, "{text}");
        }
    }
}
