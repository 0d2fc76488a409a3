//! Walks the sources and looks at the disk, and keeps of both, and of the manifest, only
//! what the plan needs: see [`crate::plan::roster`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::Session;
use super::ahead::Ahead;
use super::exit::Problem;
use super::observe::{Prepared, blocking, not_interrupted};
use super::walks::{self, Walks};
use crate::crawl::{self, Nights};
use crate::disk::Disk;
use crate::layout;
use crate::model::local::LocalState;
use crate::model::recorded::{PlaceRow, Recorded, Slot, SourceRow};
use crate::model::source::Source;
use crate::model::tree::{Node, RemoteSource, RemoteTree, Sifted};
use crate::model::{Channel, PlaceKey, PlaceToken, SourceName};
use crate::plan::roster::{self, Closed, Enrolment, KnownFile, Roster};
use crate::plan::{self, Answers};
use crate::rules::Rules;
use crate::store::{RowView, Rows, StoreError};
use crate::ui::reporter::Reporter;

/// Rows that are read at a time.
const CHUNK: usize = 4_096;

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
        manifest: &Manifest,
        disk: &Arc<Disk>,
        reporter: &Arc<Reporter>,
        (stop, kept, ahead): (&CancellationToken, &Walks, Option<&Ahead<'_>>),
    ) -> Result<(Survey, Answers), Problem> {
        let check = checks_plans(session);
        let sources = manifest.sources()?;
        let roster = roster_of(manifest, &self.sources, &self.rules)?;
        let force = self.options.force.as_ref();
        let sift = |source: &SourceName, path: &str, node: &Node| {
            let Some(roster) = &roster else { return Sifted::Keep };
            let forced = force.is_some_and(|globs| globs.matches(path));
            match roster.sift(source, path, node, &self.rules, forced) {
                Sifted::Quiet if check => Sifted::Keep,
                sifted => sifted,
            }
        };
        let run = walks::Run {
            config: &self.config,
            now_secs: session.clock.now_secs(),
            full: self.full,
            accepts_change: self.accepts_change,
        };
        let hear = |source: &SourceName, path: &str, node: &Node| {
            if let Some(ahead) = ahead {
                ahead.place(source, path, node);
            }
            Sifted::Keep
        };
        let sift_and_hear =
            |source: &SourceName, path: &str, node: &Node| match sift(source, path, node) {
                Sifted::Keep => hear(source, path, node),
                other => other,
            };
        let fault = Mutex::new(None);
        let ways = walks::ways(&run, &self.sources, (manifest, &sources, &fault), kept)?;
        let nights = Nights {
            ways,
            keeper: kept,
            now_secs: run.now_secs,
            sift: &sift_and_hear,
            hear: &hear,
        };
        let crawl = crawl::crawl(
            &self.client,
            &self.sources,
            &self.rules,
            self.who.as_user,
            &**reporter,
            stop,
            nights,
        );
        let mut tree = crawl.await?;
        let mut answers = Answers::default();
        if let Some(ahead) = ahead {
            answers.revisions.extend(ahead.walk_is_over().await);
        }
        if let Some(error) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(StoreError::into(error));
        }
        not_interrupted(session)?;
        self.who.compare_roots(&tree, &sources)?;
        sift_rest(&mut tree, &sift);
        let Some(mut roster) = roster else {
            let recorded = manifest.recorded()?;
            let scanner = disk.clone();
            let local = blocking(move || scanner.scan()).await?;
            let local = hash_doubtful(disk, &recorded, local).await?;
            let survey = Survey {
                tree,
                recorded,
                local,
                left_out: false,
                #[cfg(feature = "test-hooks")]
                whole: None,
            };
            return Ok((survey, answers));
        };
        #[cfg(feature = "test-hooks")]
        let whole = if check {
            let scanner = disk.clone();
            let local = blocking(move || scanner.scan()).await?;
            let recorded = manifest.recorded()?;
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
        let rows = manifest.places()?;
        let recorded = Recorded { places: manifest.select(&closed)?, sources };
        roster.bring_back(&closed, &recorded, &mut tree, &mut local);
        let local = hash_doubtful(disk, &recorded, local).await?;
        let survey = Survey {
            tree,
            left_out: recorded.places.len() < rows,
            recorded,
            local,
            #[cfg(feature = "test-hooks")]
            whole,
        };
        Ok((survey, answers))
    }
}

/// A roster of what is recorded, to compare these sources with. `None` where the plan needs
/// all rows anyway.
pub fn roster_of(
    manifest: &Manifest,
    sources: &[Source],
    rules: &Rules,
) -> Result<Option<Roster>, StoreError> {
    if roster::wants_pages(rules) {
        return Ok(None);
    }
    let listed: BTreeSet<SourceName> = sources.iter().map(|source| source.name.clone()).collect();
    let mut enrolment = Roster::of(manifest.places()?, rules, &listed);
    match manifest {
        Manifest::Whole(recorded) => {
            recorded.places.iter().for_each(|(key, row)| enrolment.add(key, row));
        }
        Manifest::Rows(rows) => rows.for_each_row(|row| {
            enrol(&mut enrolment, &row);
            Ok(())
        })?,
    }
    Ok(enrolment.finish())
}

/// What is recorded, as far as it has been read.
pub enum Manifest {
    /// Nothing but its place in the store.
    Rows(Box<Rows>),
    /// All of it.
    Whole(Recorded),
}

impl Manifest {
    /// How many places have a row.
    pub fn places(&self) -> Result<usize, StoreError> {
        Ok(match self {
            Self::Rows(rows) => usize::try_from(rows.len_places()?).unwrap_or(usize::MAX),
            Self::Whole(recorded) => recorded.places.len(),
        })
    }

    /// Calls for each row of a source, in the order of their keys.
    pub fn for_each_of(
        &self,
        source: &SourceName,
        mut each: impl FnMut(PlaceKey, PlaceRow),
    ) -> Result<(), StoreError> {
        let fault = Mutex::new(None);
        self.rows_of(source, &fault).for_each(|(key, row)| each(key, row));
        match fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The rows of a source, read some thousands at a time. Where they cannot be read they
    /// end early, and `fault` says why.
    pub fn rows_of<'a>(
        &'a self,
        source: &SourceName,
        fault: &'a Mutex<Option<StoreError>>,
    ) -> Box<dyn Iterator<Item = (PlaceKey, PlaceRow)> + Send + 'a> {
        let source = source.clone();
        match self {
            Self::Rows(rows) => {
                let mut last: Option<PlaceToken> = None;
                let chunk = move || {
                    let chunk = rows.rows_after(&source, last.as_ref(), CHUNK);
                    let chunk = chunk.unwrap_or_else(|error| {
                        *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        Vec::new()
                    });
                    last = chunk.last().map(|(key, _)| key.token.clone());
                    (!chunk.is_empty()).then_some(chunk)
                };
                Box::new(std::iter::from_fn(chunk).flatten())
            }
            Self::Whole(recorded) => {
                let first = PlaceKey::new(&source, &PlaceToken::new(""));
                let rows = recorded.places.range(first..);
                let rows = rows.take_while(move |(key, _)| key.source == source);
                Box::new(rows.map(|(key, row)| (key.clone(), row.clone())))
            }
        }
    }

    /// The row of a place.
    pub fn row(&self, key: &PlaceKey) -> Result<Option<PlaceRow>, StoreError> {
        Ok(match self {
            Self::Rows(rows) => rows.rows_of([key])?.pop().map(|(_, row)| row),
            Self::Whole(recorded) => recorded.places.get(key).cloned(),
        })
    }

    /// Calls with the token of each object that has files in the copy. A shortcut has its
    /// target's.
    pub fn for_each_copied(&self, mut each: impl FnMut(&str)) -> Result<(), StoreError> {
        match self {
            Self::Rows(rows) => rows.for_each_row(|row| {
                if row.products().next().is_some() {
                    each(row.obj_token());
                }
                Ok(())
            }),
            Self::Whole(recorded) => {
                let rows = recorded.places.values().filter(|row| !row.products.is_empty());
                rows.for_each(|row| each(row.object.token.as_str()));
                Ok(())
            }
        }
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

/// Sifts what came into the tree as a whole: known places of a source that is not walked
/// now, or that several runs walk together.
fn sift_rest(tree: &mut RemoteTree, sift: &crawl::Sift<'_>) {
    for (name, source) in &mut tree.sources {
        if !source.quiet.unsifted {
            continue;
        }
        let paths = glob_paths(name, source);
        let titles = &source.titles;
        source.nodes.retain(|token, node| {
            // What metadata says of its title is to be recorded.
            let told = titles.contains_key(token);
            let path = paths.get(token).filter(|_| !told);
            path.is_none_or(|path| sift(name, path, node) == Sifted::Keep)
        });
    }
}

/// What globs see of each place.
fn glob_paths(name: &SourceName, source: &RemoteSource) -> HashMap<PlaceToken, String> {
    let mut paths: HashMap<PlaceToken, String> = HashMap::with_capacity(source.nodes.len());
    let mut way = Vec::new();
    for mut node in source.nodes.values() {
        let mut path = loop {
            if let Some(path) = paths.get(&node.token) {
                break path.clone();
            }
            way.push(node);
            match node.parent.as_ref().and_then(|parent| source.nodes.get(parent)) {
                Some(parent) if way.len() <= source.nodes.len() => node = parent,
                _ => break name.to_string(),
            }
        };
        while let Some(node) = way.pop() {
            let target = node.target.as_ref().map(|target| &target.object);
            let name = layout::glob_name(&node.title, layout::naming_type(&node.object, target));
            path = format!("{path}/{name}");
            paths.insert(node.token.clone(), path.clone());
        }
    }
    paths
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
