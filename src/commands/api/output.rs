//! Where a reply goes: JSON as text for people or programs, content into a file that is
//! there whole or not at all.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::commands::exit::{Problem, USAGE};

/// JSON on one line or indented, otherwise as it came: the order of fields and the
/// digits of numbers are the service's.
///
/// `text` must be JSON. Control characters, which might steer a terminal, are escaped.
pub fn formatted(text: &str, pretty: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0usize;
    let mut chars = text.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        if pretty {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let skip_space = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
    };
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push(c);
                string(&mut chars, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                skip_space(&mut chars);
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(if pretty { ": " } else { ":" }),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// The rest of a string, its closing quote included.
fn string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c.is_control() {
            // Below U+0020 JSON allows none; U+007F to U+009F it does.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
            continue;
        }
        out.push(c);
        match c {
            '\\' => out.extend(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// A file on its way: written beside its name and renamed over it at the end. Dropped
/// before, it leaves nothing behind.
pub struct NewFile {
    path: PathBuf,
    to: To,
    bytes: u64,
}

enum To {
    /// A file of its own beside the target, which a symlink may name.
    Beside { file: NamedTempFile, target: PathBuf },
    /// A device or a pipe: a rename would put a file in its place.
    Through(File),
}

/// Refuses a file in a folder that is not there.
///
/// # Errors
/// Exit 1, with the folder and how to make it.
pub fn needs_folder(path: &Path) -> Result<(), Problem> {
    let folder = path.parent().unwrap_or(Path::new("."));
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder.display();
            Err(Problem::failed(format!("there is no folder {folder} to write into"))
                .hint(format!("make it first: mkdir -p '{folder}'")))
        }
        _ => Ok(()),
    }
}

impl NewFile {
    /// Begins one. Nothing is at `path` before [`Self::finish`], or what was there.
    ///
    /// # Errors
    /// Exit 64 for a folder, 1 where the system refuses.
    pub fn beside(path: &Path) -> Result<Self, Problem> {
        let fail = |error: io::Error| Problem::io("write", path, &error);
        let old = match fs::metadata(path) {
            Ok(meta) => Some(meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(fail(error)),
        };
        let to = match old {
            Some(meta) if meta.is_dir() => {
                return Err(Problem::new(USAGE, format!("{} is a folder", path.display()))
                    .hint("write the name of a file: --output FILE"));
            }
            Some(meta) if !meta.is_file() => {
                To::Through(File::options().write(true).open(path).map_err(fail)?)
            }
            old => {
                // A symlink stays one: what it names is replaced.
                let target = match &old {
                    Some(_) => path.canonicalize().map_err(fail)?,
                    None => path.to_owned(),
                };
                let folder = target.parent().unwrap_or(Path::new("."));
                let mut builder = tempfile::Builder::new();
                builder.prefix(".feishu-mirror-");
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    // As any new file; the umask takes its part.
                    builder.permissions(fs::Permissions::from_mode(0o666));
                }
                // The error's own words name a file that nobody asked for.
                let file = builder
                    .tempfile_in(folder)
                    .map_err(|error| fail(io::Error::from(error.kind())))?;
                if let Some(meta) = old {
                    file.as_file().set_permissions(meta.permissions()).map_err(fail)?;
                }
                To::Beside { file, target }
            }
        };
        Ok(Self { path: path.to_owned(), to, bytes: 0 })
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let written = match &mut self.to {
            To::Beside { file, .. } => file.write_all(bytes),
            To::Through(file) => file.write_all(bytes),
        };
        self.bytes += bytes.len() as u64;
        written.map_err(|error| Problem::io("write", &self.path, &error))
    }

    /// Puts it in its place; returns its size in bytes.
    pub fn finish(self) -> Result<u64, Problem> {
        let fail = |error: io::Error| Problem::io("write", &self.path, &error);
        match self.to {
            To::Beside { file, target } => {
                file.as_file().sync_all().map_err(fail)?;
                file.persist(target).map_err(|error| fail(error.error))?;
            }
            To::Through(mut file) => file.flush().map_err(fail)?,
        }
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_without_being_changed() {
        let text = "{\"z\" : 1.10,\"a\":[ ],\"n\":{ },\n \"big\":123456789012345678901,\
                    \"t\":\"a\\\"{,: b\",\"l\":[1,{\"x\":null}]}";
        assert_eq!(
            formatted(text, false),
            r#"{"z":1.10,"a":[],"n":{},"big":123456789012345678901,"t":"a\"{,: b","l":[1,{"x":null}]}"#
        );
        assert_eq!(
            formatted(text, true),
            "{\n  \"z\": 1.10,\n  \"a\": [],\n  \"n\": {},\n  \"big\": 123456789012345678901,\n  \
             \"t\": \"a\\\"{,: b\",\n  \"l\": [\n    1,\n    {\n      \"x\": null\n    }\n  ]\n}"
        );
        let again: serde_json::Value = serde_json::from_str(&formatted(text, true)).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(formatted("[\"\u{9b}31m\"]", false), "[\"\\u009b31m\"]");
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logo.png");
        fs::write(&path, "old").unwrap();
        let mut given_up = NewFile::beside(&path).unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");

        let mut file = NewFile::beside(&path).unwrap();
        file.write(b"new").unwrap();
        file.write(b"er").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(file.finish().unwrap(), 5);
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(NewFile::beside(folder.path()).err().unwrap().code, USAGE);

        let missing = folder.path().join("none");
        assert!(needs_folder(&path).is_ok() && needs_folder(&missing).is_ok());
        let problem = needs_folder(&missing.join("x")).unwrap_err();
        assert!(problem.message.contains(&missing.display().to_string()), "{problem}");
        assert!(problem.hint.unwrap().contains("mkdir"));
        let problem = NewFile::beside(&missing.join("x")).err().unwrap();
        assert!(!problem.message.contains(".feishu-mirror-"), "{problem}");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink("file", &link).unwrap();
        let mut new = NewFile::beside(&link).unwrap();
        new.write(b"new").unwrap();
        new.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");

        let null = Path::new("/dev/null");
        let mut through = NewFile::beside(null).unwrap();
        through.write(b"x").unwrap();
        assert_eq!(through.finish().unwrap(), 1);
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
    }
}
