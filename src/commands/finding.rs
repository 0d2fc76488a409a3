//! What is not as the manifest says, one line each: for `verify` and `rebuild`.

use serde::Serialize;

use super::check::{Checked, Expected, Found};
use super::ls;
use crate::config::Config;
use crate::disk::RESERVED;
use crate::model::recorded::{Loc, Recorded};
use crate::model::{ContentHash, Format, ObjToken, ObjType, PlaceToken, SourceName};
use crate::ui::text::escaped;
use crate::ui::{Tone, Ui};

/// Where it stands, or should, for people.
pub fn path_of(want: &Expected) -> String {
    match &want.at {
        Some(Loc::Mirror(path)) => path.to_string(),
        Some(Loc::Parked(path)) => format!("{RESERVED}/staging/parked/{path}"),
        None => format!("{}/{}", want.key.source, String::from(want.product.clone())),
    }
}

/// One line.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    event: &'static str,
    /// `missing`, `altered`, `unreadable`, `untracked` or `in_flux`.
    #[serde(rename = "finding")]
    pub word: &'static str,
    /// What it would be if no run were at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    /// Where.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<PlaceToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obj_token: Option<ObjToken>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    ty: Option<ObjType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// As in `ls`: `live`, `gone`, `hidden`, `orphaned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// As recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// As recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<ContentHash>,
    /// True where the next sync fetches it again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub marked: bool,
    /// The mirrored file that it is about.
    #[serde(skip)]
    pub want: Option<Expected>,
}

impl Finding {
    /// A mirrored file that is not right. `None`: it is.
    pub fn of(recorded: &Recorded, config: &Config, want: Expected, found: Found) -> Option<Self> {
        let (word, reason) = match found {
            Found::Right | Found::Touched => return None,
            Found::Missing => ("missing", None),
            Found::Altered(reason) => ("altered", Some(reason)),
            Found::Unreadable(reason) => ("unreadable", Some(reason)),
        };
        let row = &recorded.places[&want.key];
        Some(Self {
            path: path_of(&want),
            source: Some(want.key.source.clone()),
            token: Some(want.key.token.clone()),
            obj_token: Some(row.object.token.clone()),
            ty: Some(row.object.ty.clone()),
            format: want.product.format(),
            state: Some(ls::state(&want.key, row, config)),
            reason,
            size: Some(want.row.size),
            blake3: Some(want.row.blake3),
            want: Some(want),
            ..Self::bare(word)
        })
    }

    /// A file that no row knows.
    pub fn untracked(path: String) -> Self {
        Self { path, ..Self::bare("untracked") }
    }

    fn bare(word: &'static str) -> Self {
        Self {
            event: "finding",
            word,
            was: None,
            path: String::new(),
            source: None,
            token: None,
            obj_token: None,
            ty: None,
            format: None,
            state: None,
            reason: None,
            size: None,
            blake3: None,
            marked: false,
            want: None,
        }
    }

    /// A run is at work: it may just be changing this.
    pub fn put_in_flux(&mut self) {
        self.was = Some(std::mem::replace(&mut self.word, "in_flux"));
    }

    /// True where it counts whatever the flags.
    pub fn is_bad(&self) -> bool {
        matches!(self.word, "missing" | "altered" | "unreadable")
    }

    /// For people.
    pub fn print(&self, ui: &Ui) {
        let (tone, word) = match self.word {
            "in_flux" => (Tone::Dim, "in flux"),
            "untracked" => (Tone::Dim, "untracked"),
            word => (Tone::Bad, word),
        };
        let mut line =
            format!("{}  {}", ui.paint(tone, &format!("{word:<10}")), escaped(&self.path));
        let lasting = self.state.filter(|state| *state != "live" && self.is_bad());
        let reasons: Vec<&str> =
            [self.was, self.reason.as_deref(), lasting].into_iter().flatten().collect();
        if !reasons.is_empty() {
            line.push_str(&ui.paint(Tone::Dim, &format!("  ({})", escaped(&reasons.join(", ")))));
        }
        if self.is_bad() { ui.result(&line) } else { ui.line(&line) }
    }
}

/// Everything that is not right, by path.
pub fn findings(
    recorded: &Recorded,
    config: &Config,
    checked: Checked,
    strangers: Vec<String>,
) -> Vec<Finding> {
    let bad = checked
        .found
        .into_iter()
        .filter_map(|(want, found)| Finding::of(recorded, config, want, found));
    let mut all: Vec<Finding> = bad.chain(strangers.into_iter().map(Finding::untracked)).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}
