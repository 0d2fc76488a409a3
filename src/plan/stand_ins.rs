//! What stands for something else: symlinks to a target's copy, and `.url` files.

use super::content::{self, Need, OnDisk};
use super::decide::{Making, url_file_text};
use super::view::{self, Aim};
use super::{MakeLink, MakeUrl, Skip};
use crate::layout;
use crate::model::change::ChangeKind;
use crate::model::recorded::{ProductKey, Slot, Why};
use crate::model::{ContentHash, Format, PlaceKey};

impl Making<'_, '_> {
    pub fn url(&mut self, key: &PlaceKey) {
        let slot = Slot::Product(Format::Url);
        let (Some(path), Some(seen)) = (self.draft.path(key, slot), self.view.places.get(key))
        else {
            return;
        };
        let target = seen.node.target.as_ref().and_then(|t| view::meta(self.inputs, &t.object));
        let url = self.rows[key].url.clone().or_else(|| target.and_then(|meta| meta.url.clone()));
        let Some(url) = url else {
            let change = self.change(
                ChangeKind::Skip,
                key,
                path,
                Some(Format::Url),
                Some("the service names no link for it"),
            );
            let skip = Skip { change, why: Some(Why::Unsupported), failure: None };
            self.plan.skips.push(skip);
            return;
        };
        let product = ProductKey::whole(slot);
        let text_hash = ContentHash::from(blake3::hash(url_file_text(&url).as_bytes()));
        let old = self.draft.before.get(key);
        let known = self.rows[key].products.get(&product);
        let (kind, reason) = match (old, known) {
            (Some(old), Some(known)) => match content::on_disk(self.inputs, old, &product) {
                OnDisk::Missing => (ChangeKind::Restore, Some("missing")),
                OnDisk::Altered => (ChangeKind::Restore, Some("altered")),
                _ if known.blake3 != text_hash => (ChangeKind::Update, Some("edited")),
                _ => return self.touch(key, |product| product.slot == slot),
            },
            _ => (ChangeKind::Add, None),
        };
        let edited = seen.node.edited;
        let change = self.change(kind, key, path, Some(Format::Url), reason);
        self.plan.urls.push(MakeUrl { place: key.clone(), url, edited, change });
    }

    /// The `.url` file beside what the service does not export is nobody's format, and is
    /// kept right all the same.
    pub fn kept_url(&mut self, key: &PlaceKey) {
        let row = &self.rows[key];
        let stands = row.products.contains_key(&ProductKey::whole(Slot::Product(Format::Url)));
        if stands && row.outcomes.values().any(|outcome| outcome.why == Why::Unsupported) {
            self.url(key);
        }
    }

    pub fn link(&mut self, key: &PlaceKey, slot: Slot, to: &PlaceKey, to_slot: Slot) {
        let (Some(path), Some(target)) = (self.draft.path(key, slot), self.draft.path(to, to_slot))
        else {
            return;
        };
        let Some(folder) = path.parent() else { return };
        let text = layout::relative(&folder, &target);
        let format = match slot {
            Slot::LinkTo(_) => Some(Format::Link),
            _ => None,
        };
        let row = &self.rows[key];
        // Where symlinks are impossible a `.url` file stands in.
        let stand_in = ProductKey::whole(Slot::Product(Format::Url));
        if row.products.contains_key(&stand_in)
            && self
                .draft
                .before
                .get(key)
                .is_some_and(|old| content::on_disk(self.inputs, old, &stand_in) == OnDisk::Intact)
        {
            return;
        }
        let product = ProductKey::whole(slot);
        let (kind, reason) = match (self.draft.before.get(key), row.products.get(&product)) {
            (Some(old), Some(known)) => match content::on_disk(self.inputs, old, &product) {
                OnDisk::Intact if known.link.as_ref() == Some(&text) => return,
                OnDisk::Intact => (ChangeKind::Update, Some("target moved")),
                OnDisk::Missing => (ChangeKind::Restore, Some("missing")),
                _ => (ChangeKind::Restore, Some("altered")),
            },
            _ => (ChangeKind::Add, None),
        };
        if !self.will_stand(to, to_slot) {
            let reason = Some("its target has no copy");
            let change = self.change(ChangeKind::Skip, key, path, format, reason);
            self.plan.skips.push(Skip { change, why: None, failure: None });
            return;
        }
        let change = self.change(kind, key, path, format.or(Some(Format::Link)), reason);
        let to = (to.clone(), to_slot);
        self.plan.links.push(MakeLink { place: key.clone(), slot, to, change });
    }

    /// True where a slot has content, or gets some in this run.
    fn will_stand(&self, key: &PlaceKey, slot: Slot) -> bool {
        let Slot::Product(format) = slot else { return true };
        let Some(row) = self.rows.get(key) else { return false };
        let has = row.products.keys().any(|product| product.slot == slot);
        let aim = self.view.places.get(key).map(|seen| &seen.aim);
        let Some(Aim::Content { object, formats }) = aim else { return has };
        let mut formats = formats.iter().filter(|wanted| wanted.slot() == format.slot());
        has || formats.any(|format| {
            !matches!(self.need(key, object, *format), Need::Skip(_) | Need::Nothing(_))
        })
    }
}
