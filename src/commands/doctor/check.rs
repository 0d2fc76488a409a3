//! What a check comes to, and how it is shown.

use serde::Serialize;

use crate::ui::text::escaped_lines;
use crate::ui::{Tone, Ui};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Pass,
    /// It works, but not for ever, or not everything.
    Warn,
    /// A run would fail.
    Fail,
    /// Not looked at, or it does not apply.
    Skip,
}

/// A check's outcome without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it went.
    pub status: Status,
    /// What was found; several lines where there are several things.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    /// All is well.
    pub fn pass(message: impl Into<String>) -> Self {
        Self::new(Status::Pass, message)
    }

    /// Something to look at.
    pub fn warn(message: impl Into<String>) -> Self {
        Self::new(Status::Warn, message)
    }

    /// A run would fail.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::new(Status::Fail, message)
    }

    /// Not looked at.
    pub fn skip(message: impl Into<String>) -> Self {
        Self::new(Status::Skip, message)
    }

    /// The same with what to do.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with what to do, where somebody knows it.
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// One check, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Check {
    name: &'static str,
    /// How it went.
    pub status: Status,
    message: String,
    hint: Option<String>,
}

impl Check {
    /// Names a finding. `private`: texts that may not be shown, whatever quoted them.
    pub fn new(name: &'static str, finding: Finding, private: &[String]) -> Self {
        let clean = |text: String| {
            private.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))
        };
        Self {
            name,
            status: finding.status,
            message: clean(finding.message),
            hint: finding.hint.map(clean),
        }
    }

    /// One line with a mark, further lines of the message below it, then the hint, whose
    /// first line has an arrow and the others stand below it.
    pub fn print(&self, ui: &Ui) {
        let (mark, tone) = match self.status {
            Status::Pass => ("✓", Tone::Good),
            Status::Warn => ("!", Tone::Warn),
            Status::Fail => ("✗", Tone::Bad),
            Status::Skip => ("–", Tone::Dim),
        };
        // As wide as the longest name.
        let name = format!("{:<17}", self.name);
        let message = escaped_lines(&self.message).replace('\n', "\n    ");
        ui.result(&format!("{} {name}  {message}", ui.paint(tone, mark)));
        for (at, line) in self.hint.iter().flat_map(|hint| hint.lines()).enumerate() {
            let arrow = if at == 0 { "→" } else { " " };
            ui.result(&ui.paint(Tone::Dim, &format!("    {arrow} {}", escaped_lines(line))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_in_neither_message_nor_hint() {
        let finding = Finding::fail("no way through me:hush@proxy").hint("ask about hush");
        let check = Check::new("proxy", finding, &["me:hush@".to_owned(), "hush".to_owned()]);
        let json = serde_json::to_value(&check).unwrap();
        let want = serde_json::json!({
            "name": "proxy",
            "status": "fail",
            "message": "no way through ***proxy",
            "hint": "ask about ***",
        });
        assert_eq!(json, want);
        let check = Check::new("proxy", Finding::skip("x"), &[]);
        assert!(serde_json::to_value(&check).unwrap()["hint"].is_null());
    }
}
