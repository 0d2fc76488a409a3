//! Walks the sources and looks at the disk, and keeps of both, and of the manifest, only
//! what the plan needs: see [`crate::plan::roster`].

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Session;
use super::exit::Problem;
use super::observe::{Prepared, blocking, not_interrupted};
use crate::crawl;
use crate::disk::Disk;
use crate::model::SourceName;
use crate::model::local::LocalState;
use crate::model::recorded::Recorded;
use crate::model::tree::{Node, RemoteTree, Sifted};
use crate::plan::{
    self,
    roster::{self, Roster},
};
use crate::ui::reporter::Reporter;

/// What a plan is made of.
pub struct Survey {
    pub tree: RemoteTree,
    pub recorded: Recorded,
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
        recorded: Recorded,
        disk: &Arc<Disk>,
        reporter: &Arc<Reporter>,
        stop: &CancellationToken,
    ) -> Result<Survey, Problem> {
        let check = checks_plans(session);
        let roster = self.roster(&recorded);
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
        self.who.compare_roots(&tree, &recorded)?;
        let Some(mut roster) = roster else {
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
            let local = hash_doubtful(disk, &recorded, local).await?;
            let whole = (tree.clone(), recorded.clone(), local);
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
        let rows = recorded.places.len();
        let recorded = roster::select(&recorded, &closed);
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

    /// `None` where the plan needs all rows anyway.
    fn roster(&self, recorded: &Recorded) -> Option<Roster> {
        if roster::wants_pages(&self.rules) {
            return None;
        }
        let listed: BTreeSet<SourceName> =
            self.sources.iter().map(|source| source.name.clone()).collect();
        let mut enrolment = Roster::of(recorded.places.len(), &self.rules, &listed);
        for (key, row) in &recorded.places {
            enrolment.add(key, row);
        }
        enrolment.finish()
    }
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
