//! The manifest for those who only read it, also while a run is at work.

use super::exit::Problem;
use crate::apply;
use crate::config::Config;
use crate::disk::Disk;
use crate::faults::Faults;
use crate::model::recorded::Recorded;
use crate::store::{IndexHeader, Store, StoreError, apply_changes, read_index};
use crate::ui::Ui;
use crate::ui::text::minute;

/// What a reader gets.
pub struct Seen {
    /// The mirror that they are of.
    pub mirror_id: String,
    /// Every row.
    pub recorded: Recorded,
    /// When this was true, seconds since 1970; `None`: now.
    pub as_of_secs: Option<i64>,
}

impl Seen {
    /// Says that a run is at work and this is the state before it.
    pub fn say_as_of(&self, ui: &Ui) {
        if let Some(secs) = self.as_of_secs {
            ui.note(&format!("a run is at work; this was so at {}", minute(secs)));
        }
    }
}

/// Reads the manifest, or the index while a run holds it. `None`: there is neither.
pub fn read(config: &Config) -> Result<Option<Seen>, Problem> {
    match Store::read(&config.state) {
        Ok(None) => Ok(None),
        Ok(Some((mirror_id, mut recorded, intents))) => {
            if !intents.is_empty() {
                let disk = Disk::open(&config.path, &config.state, false, &Faults::default())?;
                apply_changes(&mut recorded, &apply::settle(&disk, &intents)?);
            }
            Ok(Some(Seen { mirror_id, recorded, as_of_secs: None }))
        }
        Err(StoreError::Locked { .. }) => {
            Ok(read_index(&config.state)?.map(|(IndexHeader { meta, .. }, recorded)| Seen {
                mirror_id: meta.mirror_id,
                recorded,
                as_of_secs: Some(meta.as_of_secs),
            }))
        }
        Err(error) => Err(error.into()),
    }
}
