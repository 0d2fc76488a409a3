//! Opening a link in a browser, where there is likely one.
//!
//! The link is always printed as well, so a wrong guess costs nothing but a sentence.

use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Stdio};

/// How a link can be opened here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Browser {
    /// By the commands in `BROWSER`, separated by colons as its other readers do (`man`,
    /// `xdg-open`): the first one that starts is taken.
    Commands(Vec<String>),
    /// By whatever the desktop has set as its browser.
    Desktop,
}

/// The browser of this machine; `None` where nobody would see it: on a server without a
/// display, or over SSH without a forwarded one.
pub fn find(vars: &BTreeMap<String, String>) -> Option<Browser> {
    let set = |name: &str| vars.get(name).is_some_and(|text| !text.trim().is_empty());
    if let Some(text) = vars.get("BROWSER").filter(|text| !text.trim().is_empty()) {
        let separator = if cfg!(windows) { ';' } else { ':' };
        let commands = text.split(separator).map(str::trim).filter(|one| !one.is_empty());
        return Some(Browser::Commands(commands.map(str::to_owned).collect()));
    }
    let has_display = if cfg!(any(windows, target_os = "macos")) {
        !set("SSH_CONNECTION") && !set("SSH_TTY")
    } else {
        // The Windows side of WSL has a display without a variable that says so.
        set("DISPLAY") || set("WAYLAND_DISPLAY") || (set("WSL_DISTRO_NAME") && !set("SSH_TTY"))
    };
    has_display.then_some(Browser::Desktop)
}

impl Browser {
    /// Opens a link and does not wait for the browser to end. Blocks the thread shortly.
    ///
    /// # Errors
    /// No browser could be started.
    pub fn open(&self, url: &str) -> io::Result<()> {
        match self {
            Self::Desktop => webbrowser::open(url),
            Self::Commands(commands) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "BROWSER names no command");
                for command in commands {
                    match start(command, url) {
                        Ok(()) => return Ok(()),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

/// Starts one command of `BROWSER`.
fn start(command: &str, url: &str) -> io::Result<()> {
    let words = words(command, url);
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        // What a browser logs would spoil the JSON Lines of this program.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", words[0])))?;
    // Somebody has to take note of its end, or it stays in the process table.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// The words of a command line: `%s` is the link, `%c` a colon, `%%` a percent sign; a
/// command without `%s` gets the link as its last word.
fn words(command: &str, url: &str) -> Vec<String> {
    let mut placed = false;
    let mut words: Vec<String> = Vec::new();
    for word in command.split_whitespace() {
        let mut out = String::new();
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('%', Some('s')) => {
                    out.push_str(url);
                    placed = true;
                }
                ('%', Some('c')) => out.push(':'),
                ('%', Some('%')) => out.push('%'),
                _ => {
                    out.push(c);
                    continue;
                }
            }
            chars.next();
        }
        words.push(out);
    }
    if !placed {
        words.push(url.to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    /// Variables, and the browser that they mean.
    #[cfg(all(unix, not(target_os = "macos")))]
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<Browser>);

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn a_browser_is_only_opened_where_somebody_sees_it() {
        let named = |commands: &[&str]| {
            Some(Browser::Commands(commands.iter().map(|one| (*one).to_owned()).collect()))
        };
        let cases: [Case<'_>; 8] = [
            (&[], None),
            (&[("DISPLAY", "")], None),
            (&[("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")], None),
            (&[("DISPLAY", ":0")], Some(Browser::Desktop)),
            (&[("WAYLAND_DISPLAY", "wayland-0")], Some(Browser::Desktop)),
            // A forwarded display is one.
            (&[("SSH_CONNECTION", "a"), ("DISPLAY", "localhost:10.0")], Some(Browser::Desktop)),
            (&[("BROWSER", "firefox -P work"), ("DISPLAY", ":0")], named(&["firefox -P work"])),
            (&[("BROWSER", "firefox:w3m %s:")], named(&["firefox", "w3m %s"])),
        ];
        for (given, want) in cases {
            assert_eq!(find(&vars(given)), want, "{given:?}");
        }
    }

    #[test]
    fn the_link_takes_its_place_in_the_command() {
        let url = "https://x.test/?a=%73&b=1";
        let cases: [(&str, &[&str]); 5] = [
            ("firefox", &["firefox", url]),
            ("w3m  -o x", &["w3m", "-o", "x", url]),
            ("open --url=%s --wait", &["open", "--url=https://x.test/?a=%73&b=1", "--wait"]),
            ("a %% %c %s", &["a", "%", ":", url]),
            ("a 100% %d", &["a", "100%", "%d", url]),
        ];
        for (command, want) in cases {
            assert_eq!(words(command, url), want, "{command}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_first_command_that_starts_is_taken() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (script, seen) = (folder.path().join("browser"), folder.path().join("seen"));
        let text =
            format!("#!/bin/sh\nprintf %s \"$1\" > {0}.new && mv {0}.new {0}\n", seen.display());
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let browser = Browser::Commands(vec![
            folder.path().join("nowhere").display().to_string(),
            script.display().to_string(),
        ]);
        browser.open("https://x.test/?a=1&b=2").unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !seen.exists() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "https://x.test/?a=1&b=2");

        let nobody = Browser::Commands(vec!["/nowhere/at-all".to_owned()]);
        let error = nobody.open("https://x.test/").unwrap_err().to_string();
        assert!(error.contains("/nowhere/at-all"), "{error}");
    }
}
