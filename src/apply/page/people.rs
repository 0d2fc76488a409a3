//! Names of people, and what else pages learn once a run.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// The scope for pictures and files is missing: each of them would say so.
    no_media: AtomicBool,
    /// Held while a base is asked, by its token.
    bases: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
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
    pub(in crate::apply) fn warn_once(&self, fetcher: &Fetcher, error: &ApiError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(error.endpoint) {
            let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            fetcher
                .progress
                .warn(&format!("the copy does without what this call gives: {error}{hint}"));
        }
    }

    /// Remembers that pictures and files may not be read by this app at all.
    pub(in crate::apply) fn close_media(&self) {
        self.no_media.store(true, Ordering::Relaxed);
    }

    /// See [`Self::close_media`].
    pub(in crate::apply) fn media_are_closed(&self) -> bool {
        self.no_media.load(Ordering::Relaxed)
    }

    /// Makes a call to a base when no other is under way: the service refuses parallel ones
    /// (docs: bitable-v1/app-table-record/search, codes 1254290 and 1254607).
    pub(in crate::apply) fn one_by_one<T>(
        &self,
        base: &str,
        call: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = bases.entry(base.to_owned()).or_default().clone();
        drop(bases);
        // A call is large, and is handed on through many futures.
        let call = Box::pin(call);
        async move {
            let _mine = turn.lock().await;
            call.await
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many calls are under way, and how many were at most.
    struct Count(Cell<usize>, Cell<usize>);

    impl Count {
        fn begin(&self) {
            self.0.set(self.0.get() + 1);
            self.1.set(self.1.get().max(self.0.get()));
        }

        fn end(&self) {
            self.0.set(self.0.get() - 1);
        }
    }

    /// Two pages show one base, and a third another: calls to one base never overlap.
    #[tokio::test]
    async fn a_base_is_asked_one_call_at_a_time() {
        let learned = Learned::default();
        let [base_a, base_b, all] = [const { Count(Cell::new(0), Cell::new(0)) }; 3];
        let call = |base: &'static str, count| {
            let (all, count): (_, &Count) = (&all, count);
            learned.one_by_one(base, async move {
                count.begin();
                all.begin();
                tokio::task::yield_now().await;
                all.end();
                count.end();
            })
        };
        tokio::join!(call("appA", &base_a), call("appA", &base_a), call("appB", &base_b));
        assert_eq!(base_a.1.get(), 1);
        assert_eq!(all.1.get(), 2, "bases do not wait for each other");
    }
}
