//! Titles become portable file names: which characters go, how long a name may be,
//! and what counts as its extension.
//!
//! The strictest target decides: forbidden characters, trailing dots and device names
//! are Windows' ("Naming Files, Paths, and Namespaces", Microsoft Learn), the length
//! leaves room below the 255 bytes of ext4 and APFS.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::model::{Format, ObjType};

/// Longest stem in bytes of UTF-8, its `~` suffix included.
pub const MAX_STEM_BYTES: usize = 200;

/// Longest extension of an uploaded file that is kept as one, in bytes.
const MAX_EXTENSION_BYTES: usize = 20;

/// What stands in for a title of which nothing is left.
const UNTITLED: &str = "Untitled";

/// A cleaned title, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// 1 to [`MAX_STEM_BYTES`] bytes; may end in a space or a dot where an extension
    /// follows.
    pub stem: String,
    /// An uploaded file's own extension, without the dot; none for all other types.
    pub extension: Option<String>,
}

/// The formats the config allows for a type, configured or not: a title that ends in
/// one of them loses it, so that `a.docx` does not become `a.docx.docx`, and does not
/// change its name when a format is added.
pub fn allowed_formats(ty: &ObjType) -> &'static [Format] {
    match ty {
        ObjType::Docx => &[Format::Docx, Format::Pdf, Format::Md],
        ObjType::Doc => &[Format::Docx, Format::Pdf],
        ObjType::Sheet => &[Format::Xlsx, Format::Csv],
        ObjType::Bitable => &[Format::Xlsx, Format::Csv, Format::Json],
        ObjType::Slides => &[Format::Pptx, Format::Pdf],
        ObjType::Mindnote => &[Format::Pdf],
        _ => &[],
    }
}

/// Takes a title apart. `file_extension` is for shortcuts to uploaded files, see
/// [`super::Claimant::file_extension`].
pub fn parts(title: &str, ty: &ObjType, file_extension: Option<&str>) -> Parts {
    let clean = clean(title);
    if *ty == ObjType::File {
        let wanted = file_extension.map(self::clean).filter(|ext| !ext.is_empty());
        let own = wanted.as_deref().and_then(|wanted| split_given(&clean, wanted));
        let (stem, extension) = match (own, wanted.as_deref()) {
            (Some((stem, own)), _) => (stem, Some(own)),
            (None, Some(wanted)) => (clean.as_str(), Some(wanted)),
            (None, None) => split_extension(&clean),
        };
        return Parts { stem: sound(stem), extension: extension.map(str::to_owned) };
    }
    let stem = allowed_formats(ty)
        .iter()
        .find_map(|format| split_given(&clean, format.as_str()))
        .map_or(clean.as_str(), |(stem, _)| trim_end(stem));
    Parts { stem: sound(stem), extension: None }
}

/// The extension of an uploaded file's cleaned name, without the dot.
pub fn extension(title: &str) -> Option<String> {
    split_extension(&clean(title)).1.map(str::to_owned)
}

/// A stem with a suffix, cut so that both fit into [`MAX_STEM_BYTES`].
pub fn with_suffix(stem: &str, suffix: &str) -> String {
    let room = MAX_STEM_BYTES.saturating_sub(suffix.len());
    if stem.len() <= room {
        return format!("{stem}{suffix}");
    }
    let cut = trim_end(cut(stem, room));
    format!("{}{suffix}", if cut.is_empty() { UNTITLED } else { cut })
}

/// A folder's name for a stem: nothing follows, so no dot or space may end it.
pub fn folder_name(stem: &str) -> String {
    sound(trim_end(stem))
}

/// Splits a cleaned name at its last dot, where that makes an extension: not longer
/// than 20 bytes, without spaces, and with something before the dot.
pub fn split_extension(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((stem, ext))
            if !stem.is_empty()
                && !ext.is_empty()
                && ext.len() <= MAX_EXTENSION_BYTES
                && !ext.contains(char::is_whitespace) =>
        {
            (stem, Some(ext))
        }
        _ => (name, None),
    }
}

/// Splits off a certain extension, in any case. The stem may be empty.
fn split_given<'a>(name: &'a str, extension: &str) -> Option<(&'a str, &'a str)> {
    name.rsplit_once('.').filter(|(_, own)| own.eq_ignore_ascii_case(extension))
}

/// NFC, no forbidden or control character, no space or dot where Windows drops it.
/// May be empty.
fn clean(title: &str) -> String {
    let safe = |c: char| match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let text: String = title.nfc().map(safe).collect();
    trim_end(text.trim_start_matches(' ')).to_owned()
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(['.', ' '])
}

/// Not empty, not too long, not a device.
fn sound(stem: &str) -> String {
    let stem = disarm(stem);
    let short = if stem.len() <= MAX_STEM_BYTES {
        stem
    } else {
        // A cut may leave a device name (`CON` and 300 spaces and a word).
        disarm(trim_end(cut(&stem, MAX_STEM_BYTES)))
    };
    if short.is_empty() { UNTITLED.to_owned() } else { short }
}

/// Puts an underscore after a device word that Windows would open instead of a file.
/// What follows a first dot, and spaces before that dot, do not disarm it there.
fn disarm(stem: &str) -> String {
    let word = stem.split('.').next().unwrap_or(stem).trim_end_matches(' ');
    if is_device(word) { format!("{word}_{}", &stem[word.len()..]) } else { stem.to_owned() }
}

fn is_device(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    if matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = upper.strip_prefix("COM").or_else(|| upper.strip_prefix("LPT"));
    let mut rest = number.unwrap_or_default().chars();
    matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// The longest beginning of at most `max` bytes that ends between characters, and
/// where possible between what a reader sees as characters.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let hard = boundary(max);
    let mut end = hard;
    while end > 0 && splits_a_cluster(text, end) {
        end = boundary(end - 1);
    }
    // One endless cluster: any character boundary is as good as another.
    &text[..if end == 0 { hard } else { end }]
}

/// True where a cut at `at` would part an accent, a variation selector, a joined emoji
/// or half a flag from what it belongs to. The common part of UAX #29, without its
/// tables.
fn splits_a_cluster(text: &str, at: usize) -> bool {
    let extends = |c: char| {
        is_combining_mark(c)
            || matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
    };
    let is_flag_half = |c: &char| matches!(c, '\u{1f1e6}'..='\u{1f1ff}');
    let (before, after) = text.split_at(at);
    let Some(next) = after.chars().next() else { return false };
    extends(next)
        || before.ends_with('\u{200d}')
        || (is_flag_half(&next) && before.chars().rev().take_while(is_flag_half).count() % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(title: &str, ty: &ObjType) -> String {
        let parts = parts(title, ty, None);
        match parts.extension {
            Some(ext) => format!("{}.{ext}", parts.stem),
            None => parts.stem,
        }
    }

    #[test]
    fn titles_become_safe_stems() {
        let cases = [
            // title              stem             why
            ("周报 2024/07", "周报 2024_07", "a slash is not a folder"),
            (r#"\:*?"<>|"#, "________", "Windows' forbidden characters"),
            ("a\0b\tc\u{7f}d\u{85}e", "a_b_c_d_e", "control characters, C1 included"),
            ("..", "Untitled", "must not climb out of the mirror"),
            (".", "Untitled", "the folder itself"),
            ("", "Untitled", "nothing"),
            (" . . ", "Untitled", "nothing that Windows keeps"),
            ("notes. ", "notes", "Windows drops trailing dots and spaces"),
            ("  lead", "lead", "leading spaces"),
            (".hidden", ".hidden", "a leading dot is a name"),
            ("e\u{301}te\u{301}", "\u{e9}t\u{e9}", "NFC"),
            ("CON", "CON_", "a device"),
            ("con.tar.x", "con_.tar.x", "a device before the first dot"),
            ("Aux .x", "Aux_ .x", "spaces do not disarm it"),
            ("com¹", "com¹_", "superscript digits count"),
            ("LPT0", "LPT0_", "zero too"),
            ("conin$", "conin$_", "console"),
            ("COM10", "COM10", "only one digit"),
            ("CONSOLE", "CONSOLE", "only whole words"),
            ("😀🏳️‍🌈", "😀🏳️‍🌈", "emoji stay"),
        ];
        for (title, stem, why) in cases {
            assert_eq!(name(title, &ObjType::Folder), stem, "{title:?}: {why}");
        }
    }

    #[test]
    fn an_exported_title_loses_an_extension_of_its_type() {
        let cases = [
            (ObjType::Docx, "a.docx", "a"),
            (ObjType::Docx, "a.MD", "a"),
            (ObjType::Docx, "a.xlsx", "a.xlsx"),
            (ObjType::Docx, "a.docx.docx", "a.docx"),
            (ObjType::Docx, "a . .docx", "a"),
            (ObjType::Docx, ".docx", "Untitled"),
            (ObjType::Docx, "NUL.pdf", "NUL_"),
            (ObjType::Doc, "a.md", "a.md"),
            (ObjType::Sheet, "a.Csv", "a"),
            (ObjType::Bitable, "a.json", "a"),
            (ObjType::Slides, "a.pptx", "a"),
            (ObjType::Mindnote, "a.pdf", "a"),
            (ObjType::Folder, "a.docx", "a.docx"),
            (ObjType::Other("board".into()), "a.pdf", "a.pdf"),
        ];
        for (ty, title, stem) in cases {
            assert_eq!(name(title, &ty), stem, "{ty} {title:?}");
        }
    }

    #[test]
    fn uploaded_files_keep_their_names() {
        let long = "x".repeat(300);
        let cases = [
            ("a.docx", "a.docx".to_owned()),
            ("a .txt", "a .txt".to_owned()),
            ("LICENSE", "LICENSE".to_owned()),
            (".gitignore", ".gitignore".to_owned()),
            ("a.tar.gz", "a.tar.gz".to_owned()),
            ("CON.txt", "CON_.txt".to_owned()),
            (&format!("{long}.pdf"), format!("{}.pdf", &long[..200])),
            (&format!("Mr. {long}"), format!("Mr. {}", &long[..196])),
            (&format!("a.{long}"), format!("a.{}", &long[..198])),
        ];
        for (title, want) in cases {
            assert_eq!(name(title, &ObjType::File), want, "{title:?}");
        }
    }

    #[test]
    fn a_shortcut_to_a_file_ends_as_its_target_does() {
        let cases = [
            ("report.pdf", Some("pdf"), "report", Some("pdf")),
            ("report.PDF", Some("pdf"), "report", Some("PDF")),
            ("v1.2", Some("pdf"), "v1.2", Some("pdf")),
            ("v1.2", None, "v1", Some("2")),
        ];
        for (title, target, stem, extension) in cases {
            let parts = parts(title, &ObjType::File, target);
            assert_eq!((parts.stem.as_str(), parts.extension.as_deref()), (stem, extension));
        }
    }

    #[test]
    fn long_titles_are_cut_between_what_readers_see() {
        let cjk = "字".repeat(300);
        assert_eq!(name(&cjk, &ObjType::Docx), "字".repeat(66), "198 bytes");
        let family = "👩‍👩‍👧"; // 18 bytes
        assert_eq!(name(&family.repeat(30), &ObjType::Docx), family.repeat(11));
        let flags = format!("x{}", "🇨🇳".repeat(60)); // 8 bytes each
        assert_eq!(name(&flags, &ObjType::Docx), format!("x{}", "🇨🇳".repeat(24)));
        let zalgo = format!("a{}", "\u{316}".repeat(300));
        assert_eq!(name(&zalgo, &ObjType::Docx).len(), 199, "one endless cluster");
        let spaces = format!("CON{}x", " ".repeat(300));
        assert_eq!(name(&spaces, &ObjType::Docx), "CON_", "cut, trimmed, then a device");
        let dots = format!("{}x", ".".repeat(300));
        assert_eq!(name(&dots, &ObjType::Docx), "Untitled");
    }

    #[test]
    fn a_suffix_takes_its_room_from_the_stem() {
        assert_eq!(with_suffix("a", "~12345678"), "a~12345678");
        let long = format!("{}. {}", "x".repeat(189), "y".repeat(9));
        assert_eq!(with_suffix(&long, "~12345678"), format!("{}~12345678", "x".repeat(189)));
    }
}
