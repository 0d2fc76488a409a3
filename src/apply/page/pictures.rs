//! Pictures and attached files: those that a place lacks, a few at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};

use crate::disk::Sealed;
use crate::export::docx::markdown::Found;
use crate::export::docx::needs;
use crate::model::{ObjType, Object};

use super::super::fetch::{Fetcher, Setback};
use super::super::media::{self, File, Media};
use super::making::{Making, Places};

/// Downloads of one page at a time: 5 a second are let through, for all pages.
const AT_ONCE: usize = 4;

impl Making<'_> {
    /// Gets them, and says of each where it is.
    pub(super) async fn pictures(
        &mut self,
        wanted: &BTreeMap<String, needs::Media>,
    ) -> Result<(), Setback> {
        let mut lacking = Vec::new();
        for (token, media) in wanted {
            match self.places.everywhere(token).and_then(|copy| copy.row.part_name.clone()) {
                Some(name) => drop(self.kept.media.insert(token.clone(), Found::Here(name))),
                None => lacking.push(Media {
                    token: token.clone(),
                    extras: self.extras.clone(),
                    name: (!media.name.is_empty()).then(|| media.name.clone()),
                }),
            }
        }
        let (fetcher, places) = (self.fetcher, self.places.clone());
        // Once the calls of the run are used up, nobody tries for the rest.
        let ended = AtomicBool::new(false);
        let (places, ended) = (&places, &ended);
        let mut coming = stream::iter(lacking)
            .map(|media| async move {
                let got = if ended.load(Ordering::Relaxed) {
                    Err(Setback::Stopped)
                } else {
                    one(fetcher, places, &media).await
                };
                if matches!(got, Err(Setback::Stopped)) {
                    ended.store(true, Ordering::Relaxed);
                }
                (media.token, got)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((token, got)) = coming.next().await {
            let found = match got {
                Ok(found) => found,
                Err(setback) => self.failed(setback)?,
            };
            let found = found.map(|File { sealed, name }| {
                self.files.push((token.clone(), sealed));
                name
            });
            self.kept.media.insert(token, found);
        }
        let refused = |found: &Found<String>| matches!(found, Found::Forbidden);
        if fetcher.learned.media_are_closed() && self.kept.media.values().any(refused) {
            // Once the app has the scope, nothing but the page itself can bring them.
            let document = Object::new(ObjType::Docx, self.kept.document.as_str());
            self.refuse(&document);
        }
        Ok(())
    }
}

/// From another place of the copy, or else from the service.
async fn one(
    fetcher: &Fetcher,
    places: &Places<'_>,
    media: &Media,
) -> Result<Found<File>, Setback> {
    for copy in places.somewhere(&media.token) {
        let Some(name) = copy.row.part_name.clone() else { continue };
        let sealed: Option<Sealed> = fetcher.copied(copy).await;
        if let Some(sealed) = sealed {
            return Ok(Found::Here(File { sealed, name }));
        }
    }
    media::get(fetcher, media).await
}
