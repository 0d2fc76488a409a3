//! Names of people, and what else pages learn once a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::feishu::{ApiError, Class};

use super::super::fetch::{Fetcher, Setback};
use super::making::Making;

/// See the module's text.
#[derive(Debug, Default)]
pub(in crate::apply) struct Learned {
    /// Held while the service is asked, so that pages made at the same time do not ask
    /// for the same names.
    people: tokio::sync::Mutex<People>,
    /// Endpoints of which it was told that they may not be called.
    told: Mutex<BTreeSet<&'static str>>,
}

#[derive(Debug, Default)]
struct People {
    /// By `open_id`; `None`: has no name for this identity.
    names: BTreeMap<String, Option<String>>,
    /// The address book may not be read.
    closed: bool,
}

impl Learned {
    /// Says once a run what the app lacks.
    pub(super) fn warn_once(&self, fetcher: &Fetcher, error: &ApiError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(error.endpoint) {
            let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            fetcher.progress.warn(&format!(
                "pages and comments do without what this call gives: {error}{hint}"
            ));
        }
    }

    /// Names by `open_id`; who has none is missing.
    pub(in crate::apply) async fn names(
        &self,
        fetcher: &Fetcher,
        ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, Setback> {
        let mut people = self.people.lock().await;
        let unknown = ids.iter().filter(|id| !id.is_empty() && !people.names.contains_key(*id));
        let unknown: Vec<String> = unknown.cloned().collect();
        if !unknown.is_empty() && !people.closed {
            match fetcher.unless_quit(fetcher.client.get_user_names(&unknown)).await? {
                Ok(mut names) => {
                    let named = |id: String| (names.remove(&id), id);
                    let named = unknown.into_iter().map(named).map(|(name, id)| (id, name));
                    people.names.extend(named);
                }
                // The address book has scopes of its own, and is not always opened.
                Err(error)
                    if matches!(error.class, Class::Config | Class::Login | Class::Forbidden) =>
                {
                    people.closed = true;
                    self.warn_once(fetcher, &error);
                }
                Err(error) => return Err(fetcher.judge(error)),
            }
        }
        let known = |id: &String| Some((id.clone(), people.names.get(id)?.clone()?));
        Ok(ids.iter().filter_map(known).collect())
    }
}

impl Making<'_> {
    /// Finds the names of the people in it, and of its owner. Who has none keeps the id.
    pub(super) async fn people(&mut self, users: &BTreeSet<String>) -> Result<(), Setback> {
        let owner = self.about.owner.clone().unwrap_or_default();
        let mut ids = users.clone();
        ids.insert(owner.clone());
        let fetcher = self.fetcher;
        let names = match fetcher.learned.names(fetcher, &ids).await {
            Ok(names) => names,
            Err(setback) => {
                self.failed::<()>(setback)?;
                BTreeMap::new()
            }
        };
        self.kept.owner = names.get(&owner).cloned().unwrap_or(owner);
        self.kept.people = names.into_iter().filter(|(id, _)| users.contains(id)).collect();
        Ok(())
    }
}
