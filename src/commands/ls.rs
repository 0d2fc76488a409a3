//! `ls`: what is mirrored, from the manifest.

use serde::Serialize;

use super::exit::{self, Problem};
use super::{Session, home, manifest};
use crate::cli::Ls;
use crate::config::Config;
use crate::model::change::Failure;
use crate::model::recorded::{PlaceRow, PlaceState, ProductKey, Recorded, Slot};
use crate::model::{ContentHash, Format, ObjToken, ObjType, PlaceKey, PlaceToken, SourceName};
use crate::rules::Globs;
use crate::ui::text::{bytes, columns, escaped, escaped_lines, minute};
use crate::ui::{Tone, Ui};

/// A file or folder of the copy, or one that should be there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    event: &'static str,
    path: String,
    source: SourceName,
    token: PlaceToken,
    obj_token: ObjToken,
    #[serde(rename = "type")]
    ty: ObjType,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// `live`, `gone`, `hidden` or `orphaned`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i64>,
    /// Edit time of the content, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_secs: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<ContentHash>,
    /// Why there is no current copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Entry {
    /// Where it stands, or should.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Why there is no current copy.
    pub fn error(&self) -> Option<&Failure> {
        self.error.as_ref()
    }
}

/// Lists.
pub fn run(session: &Session, args: &Ls) -> Result<u8, Problem> {
    let config = session.config()?;
    let globs = globs(&args.globs)?;
    let Some(seen) = manifest::read(&config)? else {
        // A mirror whose manifest is lost is not a new one.
        home::see(session, &config)?;
        session.ui.note("nothing is mirrored yet; run `feishu-mirror sync`");
        return Ok(exit::DONE);
    };
    seen.say_as_of(&session.ui);
    let mut entries = entries(&seen.recorded, &config, args);
    if let Some(globs) = &globs {
        entries.retain(|entry| matches(globs, &entry.path));
    }
    print(&session.ui, &entries);
    Ok(exit::DONE)
}

/// The patterns of a command line; `None`: everything.
pub fn globs(patterns: &[String]) -> Result<Option<Globs>, Problem> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let globs = Globs::new(patterns.iter().map(String::as_str)).map_err(|error| {
        Problem::new(exit::USAGE, error.to_string()).hint("patterns look like 'wiki/Handbook/**'")
    })?;
    Ok(Some(globs))
}

/// True where a path of the copy matches.
pub fn matches(globs: &Globs, path: &str) -> bool {
    let bare = path.trim_end_matches('/');
    // As patterns in the config do, they match without the extension too.
    let stem = bare.rsplit_once('.').map_or(bare, |(stem, _)| stem);
    globs.matches(bare) || globs.matches(stem)
}

fn entries(recorded: &Recorded, config: &Config, args: &Ls) -> Vec<Entry> {
    let everything = !(args.failed || args.gone || args.hidden || args.orphaned);
    let mut entries = Vec::new();
    for (key, row) in &recorded.places {
        let state = state(key, row, config);
        let asked = everything
            || args.gone && state == "gone"
            || args.hidden && state == "hidden"
            || args.orphaned && state == "orphaned";
        if asked {
            entries.extend(on_disk(recorded, key, row, state));
        }
        if args.failed && state == "live" {
            entries.extend(wanting(recorded, key, row, state));
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

/// `live`, `gone`, `hidden` or `orphaned`.
pub fn state(key: &PlaceKey, row: &PlaceRow, config: &Config) -> &'static str {
    match row.state {
        _ if !config.rules.sources.contains(&key.source) => "orphaned",
        PlaceState::Live => "live",
        PlaceState::Hidden { .. } => "hidden",
        PlaceState::Gone { .. } => "gone",
        PlaceState::Orphaned => "orphaned",
    }
}

/// Its files, and its folder where it is one.
fn on_disk(recorded: &Recorded, key: &PlaceKey, row: &PlaceRow, state: &'static str) -> Vec<Entry> {
    let mut entries = Vec::new();
    if row.object.ty == ObjType::Folder
        && let Some(path) = path(recorded, key, &ProductKey::whole(Slot::Dir))
    {
        let edited_secs = row.edited.map(|edited| edited.at_secs);
        entries.push(Entry { edited_secs, ..entry(key, row, format!("{path}/"), state) });
    }
    for (product, known) in &row.products {
        let at = recorded.product(key, product);
        let Some(path) = at.and_then(|at| at.in_mirror().map(ToString::to_string)) else {
            continue;
        };
        let times = known.stamp.times.values().max();
        entries.push(Entry {
            format: product.format(),
            revision: known.stamp.revision,
            edited_secs: Some(times.copied().unwrap_or(known.mtime_secs)),
            size: Some(known.size),
            blake3: Some(known.blake3),
            ..entry(key, row, path, state)
        });
    }
    entries
}

/// What should be there and is not, or is not current.
pub fn wanting(
    recorded: &Recorded,
    key: &PlaceKey,
    row: &PlaceRow,
    state: &'static str,
) -> Vec<Entry> {
    let wanting = row.outcomes.iter().filter(|(_, outcome)| outcome.why.is_want());
    wanting
        .map(|(format, outcome)| {
            let slot = ProductKey::whole(format.slot());
            let path = path(recorded, key, &slot).unwrap_or_else(|| {
                let folder = recorded.folder(&key.source, row.parent.as_ref());
                let folder = folder.and_then(|at| at.in_mirror().map(ToString::to_string));
                format!("{}/{}", folder.unwrap_or_else(|| key.source.to_string()), row.stem)
            });
            Entry {
                format: Some(*format),
                edited_secs: row.edited.map(|edited| edited.at_secs),
                error: Some(outcome.failure.clone()),
                ..entry(key, row, path, state)
            }
        })
        .collect()
}

fn entry(key: &PlaceKey, row: &PlaceRow, path: String, state: &'static str) -> Entry {
    Entry {
        event: "place",
        path,
        source: key.source.clone(),
        token: key.token.clone(),
        obj_token: row.object.token.clone(),
        ty: row.object.ty.clone(),
        format: None,
        state,
        revision: None,
        edited_secs: None,
        size: None,
        blake3: None,
        error: None,
    }
}

fn path(recorded: &Recorded, key: &PlaceKey, product: &ProductKey) -> Option<String> {
    recorded.slot(key, product.slot)?.in_mirror().map(ToString::to_string)
}

fn print(ui: &Ui, entries: &[Entry]) {
    if ui.is_json() {
        for entry in entries {
            ui.json(entry);
        }
        return;
    }
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let mut path = escaped(&entry.path).into_owned();
            if let Some(error) = &entry.error {
                path = format!("{path}: {}", escaped_lines(&error.message));
                if let Some(hint) = &error.hint {
                    path = format!("{path}; {}", escaped_lines(hint));
                }
            }
            vec![
                or_dash(entry.edited_secs.map(minute)),
                or_dash(entry.size.map(bytes)),
                escaped(entry.ty.as_str()).into_owned(),
                or_dash(entry.revision.map(|revision| revision.to_string())),
                escaped(entry.token.as_str()).into_owned(),
                path,
            ]
        })
        .collect();
    ui.raw(columns(&rows, &[1, 3]).as_bytes());
    if entries.is_empty() {
        ui.note(&ui.paint(Tone::Dim, "nothing matches"));
    }
}
