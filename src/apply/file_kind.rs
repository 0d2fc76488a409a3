//! The extension of a file that the service names by a token only.
//!
//! By its first bytes: they cannot lie, while a name may be missing and the service makes
//! a file's type from its name. Magic numbers: the formats' own specifications (PNG, RFC
//! 2083; GIF; JPEG, ISO 10918-1; RIFF; ISO base media, ISO 14496-12; PKWARE APPNOTE).

/// How many first bytes are enough to tell: an SVG may begin with a comment.
pub(super) const HEAD: usize = 1024;

/// How many last bytes are enough to tell that there are no more.
pub(super) const TAIL: usize = 64;

/// False where a picture has no end: PNG and GIF end with a block of their own, JPEG with a
/// marker, SVG with its root's tag. Of other kinds no end is known, but none is that small.
pub(super) fn is_whole(head: &[u8], tail: &[u8]) -> bool {
    let closes = |tag: &[u8]| tail.windows(tag.len()).any(|window| window == tag);
    match content(head) {
        Some(Content::Plain("png")) => tail.ends_with(b"IEND\xae\x42\x60\x82"),
        Some(Content::Plain("gif")) => tail.ends_with(b";"),
        Some(Content::Plain("jpg")) => tail.ends_with(b"\xff\xd9"),
        Some(Content::Plain("svg")) => closes(b"</svg>"),
        _ => head.len() >= TAIL,
    }
}

/// What the first bytes show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// This and nothing else.
    Plain(&'static str),
    /// A frame that many kinds of files come in; the extension where the name has none.
    Frame(&'static str),
}

/// Extensions of one kind each, with the other spellings of it.
const SPELLINGS: [(&str, &[&str]); 9] = [
    ("png", &["apng"]),
    ("jpg", &["jpeg", "jpe", "jfif"]),
    ("gif", &[]),
    ("webp", &[]),
    ("svg", &[]),
    ("bmp", &["dib"]),
    ("ico", &["cur"]),
    ("heic", &["heif", "hif"]),
    ("avif", &[]),
];

/// The extension by the first bytes (at least [`HEAD`] of them, or all), the file's own
/// name and the media type of the reply.
pub(super) fn extension(head: &[u8], name: Option<&str>, media_type: Option<&str>) -> String {
    let named = name.and_then(of_name);
    match (content(head), named) {
        (Some(Content::Plain(known)), Some(named)) if is_spelling(known, &named) => named,
        (Some(Content::Frame(_)), Some(named)) if !is_picture(&named) => named,
        (Some(Content::Plain(known) | Content::Frame(known)), _) => known.to_owned(),
        (None, Some(named)) => named,
        (None, None) => media_type.and_then(of_media_type).unwrap_or("bin").to_owned(),
    }
}

fn is_spelling(known: &str, named: &str) -> bool {
    let others = SPELLINGS.iter().find(|(one, _)| *one == known).map(|(_, others)| *others);
    known == named || others.is_some_and(|others| others.contains(&named))
}

fn is_picture(named: &str) -> bool {
    SPELLINGS.iter().any(|(one, _)| is_spelling(one, named))
}

/// Plain letters and digits only, at most eight; others are no extension.
fn of_name(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let fits = (1..=8).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (fits && !stem.is_empty()).then(|| extension.to_ascii_lowercase())
}

fn content(head: &[u8]) -> Option<Content> {
    use Content::{Frame, Plain};
    const STARTS: [(&[u8], Content); 18] = [
        (b"\x89PNG\r\n\x1a\n", Plain("png")),
        (b"\xff\xd8\xff", Plain("jpg")),
        (b"GIF87a", Plain("gif")),
        (b"GIF89a", Plain("gif")),
        (b"\x00\x00\x01\x00", Plain("ico")),
        // Raw photographs are TIFF too.
        (b"II*\x00", Frame("tiff")),
        (b"MM\x00*", Frame("tiff")),
        // Drawings may be PDF.
        (b"%PDF-", Frame("pdf")),
        // Office documents, archives of programs, books.
        (b"PK\x03\x04", Frame("zip")),
        (b"PK\x05\x06", Frame("zip")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Frame("bin")),
        (b"\x1f\x8b\x08", Frame("gz")),
        (b"7z\xbc\xaf\x27\x1c", Frame("7z")),
        (b"Rar!\x1a\x07", Frame("rar")),
        (b"\x1a\x45\xdf\xa3", Frame("mkv")),
        (b"OggS", Frame("ogg")),
        (b"ID3", Frame("mp3")),
        (b"fLaC", Frame("flac")),
    ];
    let start = STARTS.iter().find(|(start, _)| head.starts_with(start));
    if let Some((_, content)) = start {
        return Some(*content);
    }
    // Two letters are not enough: the bytes after the length are zero.
    if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        return Some(Plain("bmp"));
    }
    match (head.get(..4), head.get(4..8), head.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => return Some(Plain("webp")),
        (Some(b"RIFF"), _, Some(b"WAVE")) => return Some(Frame("wav")),
        (Some(b"RIFF"), _, Some(b"AVI ")) => return Some(Frame("avi")),
        (_, Some(b"ftyp"), Some(brand)) => {
            return Some(match brand {
                b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" => Plain("heic"),
                b"avif" | b"avis" => Plain("avif"),
                b"qt  " => Frame("mov"),
                b"M4A " => Frame("m4a"),
                _ => Frame("mp4"),
            });
        }
        _ => {}
    }
    is_svg(head).then_some(Plain("svg"))
}

/// True for XML whose first element is `svg`.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = match rest {
            _ if rest.starts_with("<!--") => "-->",
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!DOCTYPE svg") => ">",
            _ => break,
        };
        let Some(at) = rest.find(end) else { return false };
        rest = rest[at + end.len()..].trim_start();
    }
    rest.strip_prefix("<svg").is_some_and(|rest| rest.starts_with([' ', '>', '\n', '\r', '\t']))
}

fn of_media_type(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "image/bmp" => "bmp",
        "image/tiff" => "tiff",
        "image/x-icon" | "image/vnd.microsoft.icon" => "ico",
        "image/heic" | "image/heif" => "heic",
        "image/avif" => "avif",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/json" => "json",
        "video/mp4" => "mp4",
        "audio/mpeg" => "mp3",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "text/html" => "html",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First bytes, name, media type; the extension, and why.
    type Case<'a> = (&'a [u8], Option<&'a str>, Option<&'a str>, &'a str, &'a str);

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0";

    #[test]
    fn a_picture_without_its_end_is_no_whole_one() {
        let cases: [(&[u8], &[u8], bool); 9] = [
            (PNG, b"\0\0\0\0IEND\xae\x42\x60\x82", true),
            (PNG, b"\0\0\0\0IEND\xae\x42\x60", false),
            (PNG, b"IEND\xae\x42\x60\x82+", false),
            (b"GIF89a", b"\0;", true),
            (b"GIF89a", b"\0", false),
            (b"\xff\xd8\xff\xe0", b"\xff\xd9", true),
            (b"\xff\xd8\xff\xe0", b"\xff", false),
            (b"<svg>", b"</g></svg>\n", true),
            (b"\x89", b"\x89", false),
        ];
        for (head, tail, want) in cases {
            assert_eq!(is_whole(head, tail), want, "{head:?} … {tail:?}");
        }
    }

    #[test]
    fn content_comes_before_the_name_and_the_name_before_the_type() {
        let svg = b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a > b -->\n<svg xmlns=\"x\">";
        let cases: [Case<'_>; 26] = [
            (PNG, None, Some("application/octet-stream"), "png", "a picture has no name"),
            (PNG, Some("a.jpg"), Some("image/jpeg"), "png", "a wrong name"),
            (PNG, Some("a.APNG"), None, "apng", "another spelling"),
            (b"\xff\xd8\xff\xe0", Some("a.JPEG"), None, "jpeg", "another spelling"),
            (b"\xff\xd8\xff\xe0", None, None, "jpg", "JPEG"),
            (b"GIF89a", None, None, "gif", "GIF"),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", None, None, "webp", "WebP"),
            (b"BM\x01\x02\x03\x04\0\0\0\0", None, None, "bmp", "BMP"),
            (b"BMW is a car", Some("a.txt"), None, "txt", "two letters are not enough"),
            (b"II*\0", None, None, "tiff", "TIFF"),
            (b"II*\0", Some("a.cr2"), None, "cr2", "a raw photograph"),
            (b"\0\0\x01\0", None, None, "ico", "an icon"),
            (b"\0\0\0\x18ftypheic", None, None, "heic", "a photograph"),
            (b"\0\0\0\x18ftypisom", Some("film"), None, "mp4", "a film"),
            (b"\0\0\0\x18ftypqt  ", Some("film.mov"), None, "mov", "a film"),
            (b"%PDF-1.7", None, None, "pdf", "PDF"),
            (ZIP, Some("a.docx"), None, "docx", "an office document is an archive"),
            (ZIP, Some("a.png"), None, "zip", "a picture is not"),
            (ZIP, None, None, "zip", "an archive"),
            (svg, None, Some("text/plain"), "svg", "SVG with a comment"),
            (b"<html><svg ></html>", None, Some("text/html"), "html", "a page is no SVG"),
            (b"hello", Some("notes.md"), Some("text/plain"), "md", "its name"),
            (b"hello", Some(".profile"), Some("text/plain"), "txt", "a dot file has none"),
            (b"hello", Some("a.总结"), None, "bin", "not plain letters"),
            (b"hello", Some("Q1. Results of all"), None, "bin", "too long"),
            (b"", None, None, "bin", "nothing"),
        ];
        for (head, name, media_type, want, why) in cases {
            assert_eq!(extension(head, name, media_type), want, "{why}");
        }
    }
}
