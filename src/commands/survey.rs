//! Walks the sources and looks at the disk, and keeps of both, and of the manifest, only
//! what the plan needs: see [`crate::plan::roster`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Session;
use super::exit::Problem;
use super::observe::{Prepared, blocking, not_interrupted};
use crate::crawl;
use crate::disk::Disk;
use crate::model::local::LocalState;
use crate::model::recorded::{PlaceRow, Recorded, Slot, SourceRow};
use crate::model::source::Source;
use crate::model::tree::{Node, RemoteTree, Sifted};
use crate::model::{Channel, PlaceKey, SourceName};
use crate::plan;
use crate::plan::roster::{self, Closed, Enrolment, KnownFile, Roster};
use crate::rules::Rules;
use crate::store::{RowView, Rows, StoreError};
use crate::ui::reporter::Reporter;

/// What a plan is made of.
pub struct Survey {
    /// What the sources list.
    pub tree: RemoteTree,
    /// What is remembered.
    pub recorded: Recorded,
    /// What is on disk.
    pub local: LocalState,
    /// True where the manifest has more rows than `recorded`.
    pub left_out: bool,
    /// The same with nothing left out, where tests ask for it.
    #[cfg(feature = "test-hooks")]
    pub whole: Option<Box<(RemoteTree, Recorded, LocalState)>>,
}

impl Prepared {
    /// Walks, then looks.
    ///
    /// # Errors
    /// Only what ends the run.
    pub(super) async fn survey(
        &self,
        session: &Session,
        known: Known,
        disk: &Arc<Disk>,
        reporter: &Arc<Reporter>,
        stop: &CancellationToken,
    ) -> Result<Survey, Problem> {
        let check = checks_plans(session);
        let sources = known.sources()?;
        let roster = roster_of(&known, &self.sources, &self.rules)?;
        let force = self.options.force.as_ref();
        let sift = |source: &SourceName, path: &str, node: &Node| {
            let Some(roster) = &roster else { return Sifted::Keep };
            let forced = force.is_some_and(|globs| globs.matches(path));
            match roster.sift(source, path, node, &self.rules, forced) {
                Sifted::Quiet if check => Sifted::Keep,
                sifted => sifted,
            }
        };
        let mut tree = crawl::crawl(
            &self.client,
            &self.sources,
            &self.rules,
            self.who.as_user,
            &sift,
            &**reporter,
            stop,
        )
        .await?;
        not_interrupted(session)?;
        self.who.compare_roots(&tree, &sources)?;
        let Some(mut roster) = roster else {
            let recorded = known.recorded()?;
            let scanner = disk.clone();
            let local = blocking(move || scanner.scan()).await?;
            let local = hash_doubtful(disk, &recorded, local).await?;
            return Ok(Survey {
                tree,
                recorded,
                local,
                left_out: false,
                #[cfg(feature = "test-hooks")]
                whole: None,
            });
        };
        #[cfg(feature = "test-hooks")]
        let whole = if check {
            let scanner = disk.clone();
            let local = blocking(move || scanner.scan()).await?;
            let recorded = known.recorded()?;
            let local = hash_doubtful(disk, &recorded, local).await?;
            let whole = (tree.clone(), recorded, local);
            for (name, source) in &mut tree.sources {
                source.nodes.retain(|token, _| !roster.is_quiet(name, token));
            }
            Some(Box::new(whole))
        } else {
            None
        };
        let scanner = disk.clone();
        let (roster, mut local) = blocking(move || {
            let local = scanner.scan_if(&mut |at, entry| roster.scanned(at, entry))?;
            Ok((roster, local))
        })
        .await?;
        let closed = roster.close(&mut tree);
        let rows = known.len()?;
        let recorded = Recorded { places: known.select(&closed)?, sources };
        roster.bring_back(&closed, &recorded, &mut tree, &mut local);
        let local = hash_doubtful(disk, &recorded, local).await?;
        Ok(Survey {
            tree,
            left_out: recorded.places.len() < rows,
            recorded,
            local,
            #[cfg(feature = "test-hooks")]
            whole,
        })
    }
}

/// A roster of what is recorded, to compare these sources with. `None` where the plan needs
/// all rows anyway.
pub fn roster_of(
    known: &Known,
    sources: &[Source],
    rules: &Rules,
) -> Result<Option<Roster>, StoreError> {
    if roster::wants_pages(rules) {
        return Ok(None);
    }
    let listed: BTreeSet<SourceName> = sources.iter().map(|source| source.name.clone()).collect();
    let mut enrolment = Roster::of(known.len()?, rules, &listed);
    match known {
        Known::Whole(recorded) => {
            recorded.places.iter().for_each(|(key, row)| enrolment.add(key, row));
        }
        Known::Rows(rows) => rows.for_each_row(|row| {
            enrol(&mut enrolment, &row);
            Ok(())
        })?,
    }
    Ok(enrolment.finish())
}

/// What is recorded, as far as it has been read.
pub enum Known {
    /// Nothing but its place in the store.
    Rows(Rows),
    /// All of it.
    Whole(Recorded),
}

impl Known {
    /// How many places have a row.
    pub fn len(&self) -> Result<usize, StoreError> {
        Ok(match self {
            Self::Rows(rows) => usize::try_from(rows.len_places()?).unwrap_or(usize::MAX),
            Self::Whole(recorded) => recorded.places.len(),
        })
    }

    fn sources(&self) -> Result<BTreeMap<SourceName, SourceRow>, StoreError> {
        Ok(match self {
            Self::Rows(rows) => rows.source_rows()?,
            Self::Whole(recorded) => recorded.sources.clone(),
        })
    }

    fn recorded(&self) -> Result<Recorded, StoreError> {
        Ok(match self {
            Self::Rows(rows) => rows.recorded()?,
            Self::Whole(recorded) => recorded.clone(),
        })
    }

    fn select(&self, closed: &Closed) -> Result<BTreeMap<PlaceKey, PlaceRow>, StoreError> {
        let mut places = Vec::new();
        if closed.is_empty() {
            return Ok(BTreeMap::new());
        }
        match self {
            Self::Rows(rows) => rows.for_each_row(|row| {
                if closed.wants(row.source(), row.token()) {
                    places.push((row.key(), row.to_row()));
                }
                Ok(())
            })?,
            Self::Whole(recorded) => places.extend(
                recorded
                    .places
                    .iter()
                    .filter(|(key, _)| closed.wants(key.source.as_str(), key.token.as_str()))
                    .map(|(key, row)| (key.clone(), row.clone())),
            ),
        }
        Ok(places.into_iter().collect())
    }
}

/// Takes a row in as it is read, without making it whole where it need not be.
fn enrol(enrolment: &mut Enrolment, row: &RowView<'_>) {
    if !row.is_plain() || row.products().any(|product| product.part.is_some()) {
        return enrolment.add(&row.key(), &row.to_row());
    }
    let (ty, url, stem) = (row.obj_type(), row.url(), row.stem());
    let known = roster::Known {
        source: row.source(),
        token: row.token(),
        ty: &ty,
        object: row.obj_token(),
        title: row.title(),
        parent: row.parent(),
        created_secs: row.created_secs(),
        order: row.order(),
        url: url.as_deref(),
        edited: row.edited(),
        stem: &stem,
    };
    let names: Vec<(Slot, Cow<'_, str>)> = row.names().collect();
    let files: Vec<KnownFile> = row
        .products()
        .map(|product| {
            let file = (product.size, product.mtime_secs);
            let metas = product.time(Channel::Metas);
            KnownFile::new(product.slot, file, known.edited, metas, |now| product.compare(now))
        })
        .collect();
    let names = || names.iter().map(|(slot, name)| (*slot, &**name));
    enrolment.add_plain(&known, names, &files);
}

/// Stories make each plan from everything, too, and compare.
fn checks_plans(session: &Session) -> bool {
    cfg!(feature = "test-hooks") && session.vars.contains_key("FEISHU_MIRROR_TEST_PLANS")
}

/// Hashes the files that only their bytes can vouch for.
async fn hash_doubtful(
    disk: &Arc<Disk>,
    recorded: &Recorded,
    mut local: LocalState,
) -> Result<LocalState, Problem> {
    let doubtful = plan::needs_hash(recorded, &local);
    if doubtful.is_empty() {
        return Ok(local);
    }
    let hasher = disk.clone();
    let hashes = blocking(move || {
        let mut hashes = Vec::with_capacity(doubtful.len());
        for at in doubtful {
            // One that cannot be read is left without a hash: the plan restores it.
            if let Ok(hash) = hasher.hash(&at) {
                hashes.push((at, hash));
            }
        }
        Ok(hashes)
    })
    .await?;
    local.hashes.extend(hashes);
    Ok(local)
}
