//! The power goes, at any step of a run: the next run ends as if nothing had happened.
//!
//! A step is one call that changes the disk, redb's included. Scenes are played again and
//! again from the same copy, each time with the power going at another step, and with
//! another part of what was not yet written to disk lost.

mod disk;
#[cfg(target_os = "linux")]
mod full;
mod kill;
mod power;
mod scenes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::power::{End, Loss, Power};
use crate::support::{Mirror, Run, Snapshot};
use feishu_mirror::faults::Faults;
use feishu_mirror::model::recorded::PlaceState;
use feishu_mirror::model::{ContentHash, Format};
use feishu_mirror::sim::Tenant;
use feishu_mirror::store::Store;

/// A mirror before a run, and what that run makes of it.
struct Scene {
    name: &'static str,
    tenant: Tenant,
    mirror: Mirror,
    /// Everything before, the home folder too.
    before: Image,
    /// The copy after.
    after: Snapshot,
    /// What is in the trash after: hashes, and how often.
    trash: BTreeMap<String, usize>,
    /// Exports and downloads of the run.
    fetches: usize,
    /// Steps of the run.
    steps: usize,
    /// What the disk holds for good, where a process died and the machine did not.
    before_death: Option<Arc<Power>>,
}

impl Scene {
    /// Plays the run once without a fault.
    async fn new(name: &'static str, tenant: Tenant, mirror: Mirror) -> Self {
        let before = Image::of(mirror.folder());
        let after = mirror.snapshot();
        let trash = BTreeMap::new();
        let mut scene = Self {
            name,
            tenant,
            mirror,
            before,
            after,
            trash,
            fetches: 0,
            steps: 0,
            before_death: None,
        };
        let power = Power::of(&scene.mirror.path(""), End::Never);
        scene.run(power.faults()).await.success();
        scene.after = scene.mirror.snapshot();
        scene.trash = scene.trash_now();
        scene.fetches = scene.fetches_now();
        scene.steps = power.steps();
        scene
    }

    /// Begins again.
    fn reset(&mut self) {
        self.before_death = None;
        self.before.put(self.mirror.folder());
    }

    async fn run(&mut self, faults: Faults) -> Run {
        // Scenes begin again with what they knew of the quotas; the tenant goes on counting.
        tokio::time::advance(Duration::from_secs(61)).await;
        self.tenant.forget_calls();
        self.mirror.faults = faults;
        let run = self.mirror.sync().await;
        self.mirror.faults = Faults::default();
        run
    }

    /// A run during which the power goes at `step`; then the disk is as `loss` leaves it.
    /// `false`: the run ended before.
    async fn cut(&mut self, step: usize, loss: Loss) -> Option<String> {
        self.cut_when(End::At(step), loss).await
    }

    /// The same at another moment.
    async fn cut_when(&mut self, end: End, loss: Loss) -> Option<String> {
        let root = self.mirror.path("");
        let power = match self.before_death.take() {
            Some(before) => before.after(end),
            None => Power::of(&root, end),
        };
        self.run(power.faults()).await;
        if !power.is_gone() {
            return None;
        }
        let only_died = matches!(loss, Loss::Nothing);
        let image = power.image(loss);
        if only_died {
            self.before_death = Some(power.clone());
        } else {
            image.put(&root);
        }
        Some(format!("{}\n{}", power.told(), image.names()))
    }

    /// The manifest claims nothing that is not there; the next run ends as the one without a
    /// power cut did, and fetches nothing that was recorded.
    async fn recovers(&mut self, case: &str) {
        let name = self.name;
        let told =
            |run: &Run, what: &str| format!("{name}: {case}\n{what}\n{}\n{}", run.out, run.err);
        let run = self.mirror.run(&["verify"]).await;
        assert_eq!(run.code, 0, "{}", told(&run, "the manifest claims what is not there"));
        let recorded = self.recorded();
        let run = self.run(Faults::default()).await;
        assert_eq!(run.code, 0, "{}", told(&run, "the next run"));
        let differs = self.mirror.differs_from(&self.after);
        assert!(differs.is_empty(), "{}", told(&run, &format!("differs: {differs:#?}")));
        assert_eq!(self.trash_now(), self.trash, "{}", told(&run, "the trash"));
        let again = self.fetches_now();
        assert!(
            again + recorded <= self.fetches,
            "{}",
            told(&run, &format!("{again} fetches though {recorded} were recorded"))
        );
    }

    /// Files of this run that the manifest knows as they are in the end.
    fn recorded(&self) -> usize {
        let Some((_, recorded, _)) = Store::read(&self.mirror.state("")).unwrap() else { return 0 };
        let live = recorded.places.values().filter(|row| row.state == PlaceState::Live);
        let products = live.flat_map(|row| &row.products);
        let whole = products.filter(|(key, _)| {
            let written_here = [Format::Md, Format::Link, Format::Csv];
            key.part.is_none() && key.format().is_some_and(|it| !written_here.contains(&it))
        });
        whole.filter(|(_, product)| self.fetched(product.blake3)).count()
    }

    /// True for the bytes of a file that only this run fetches.
    fn fetched(&self, hash: ContentHash) -> bool {
        let hash = hash.to_string();
        self.after.has_hash(&hash) && !self.before.has_hash(&hash)
    }

    fn fetches_now(&self) -> usize {
        self.tenant.calls("POST", "/drive/v1/export_tasks")
            + self.tenant.calls("GET", "/drive/v1/files/:file_token/download")
    }

    fn trash_now(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.mirror.state("trash")).into_iter().flatten() {
            if entry.file_type().is_file() {
                let hash = blake3::hash(&std::fs::read(entry.path()).unwrap()).to_string();
                *found.entry(hash).or_default() += 1;
            }
        }
        found
    }
}
