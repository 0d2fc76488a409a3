//! Whiteboards: their picture, shown by the page, and their nodes as JSON beside it.

use crate::export::docx::markdown::Found;
use crate::feishu::board_hash;
use crate::model::page::BOARD;
use crate::model::{ContentHash, ObjType, Object};

use super::super::fetch::Setback;
use super::super::media::{self, FAILED, File, Refused, TOO_LARGE, safe};
use super::super::sink::{blocking, staged};
use super::Standing;
use super::making::Making;

/// The part of a side folder that has a whiteboard's nodes.
pub(super) fn nodes_part(token: &str) -> String {
    format!("{token}.json")
}

impl Making<'_> {
    /// Fetches a whiteboard. One whose nodes stand in the copy as they are now has the
    /// picture that stands there.
    pub(super) async fn board(&mut self, token: &str) -> Result<(), Setback> {
        let picture = self.picture_of(token).await?;
        self.kept.boards.insert(token.to_owned(), picture);
        Ok(())
    }

    async fn picture_of(&mut self, token: &str) -> Result<Found<String>, Setback> {
        let fetcher = self.fetcher;
        let object = Object::new(ObjType::from(BOARD), token);
        let nodes = match self.ask(fetcher.client.get_board_nodes(token)).await? {
            Found::Here(nodes) => nodes,
            Found::Forbidden => {
                self.refuse(&object);
                return Ok(self.board_before(token).await);
            }
            Found::Absent(why) => return Ok(Found::Absent(why)),
        };
        let mut text = serde_json::to_vec_pretty(&nodes).expect("JSON has a JSON form");
        text.push(b'\n');
        let (part, beside) = (nodes_part(token), format!("{}.json", safe(token)));
        let hash = ContentHash::from(blake3::hash(&text));
        let has =
            |place: &&Standing| place.here.get(&part).is_some_and(|copy| copy.row.blake3 == hash);
        let stands = self.places.everywhere(&part).is_some();
        let same = stands && self.places.0.iter().all(has);
        if let Some(copy) = self.places.everywhere(token).filter(|_| same) {
            self.embed(object, Some(board_hash(&nodes)));
            self.kept.beside.insert(part, beside);
            return Ok(Found::Here(copy.row.part_name.clone().unwrap_or_default()));
        }
        let picture = match media::board(fetcher, token).await {
            Ok(Ok(file)) => Found::Here(file),
            Ok(Err(Refused::TooLarge)) => Found::Absent(TOO_LARGE.to_owned()),
            Ok(Err(Refused::Api(error))) => self.refused(error)?,
            Err(setback) => self.failed(setback)?,
        };
        if matches!(picture, Found::Forbidden) {
            self.refuse(&object);
            if let before @ Found::Here(_) = self.board_before(token).await {
                return Ok(before);
            }
        }
        // Nodes that stand in the copy vouch for the picture beside them: new ones never
        // stand beside an old picture.
        let old = self.places.0.iter().any(|place| place.here.contains_key(token));
        let pair = matches!(picture, Found::Here(_)) || !old;
        if pair && !same {
            let disk = fetcher.disk.clone();
            let sealed = blocking(move || staged(&disk, &text)).await?;
            self.files.push((part.clone(), sealed));
        }
        if pair || stands {
            self.kept.beside.insert(part, beside);
        }
        match &picture {
            Found::Forbidden => {}
            Found::Absent(why) if why == FAILED => self.embed(object, None),
            _ => self.embed(object, pair.then(|| board_hash(&nodes))),
        }
        Ok(picture.map(|File { sealed, name }| {
            self.files.push((token.to_owned(), sealed));
            name
        }))
    }

    /// A whiteboard that may not be read any more, as it was copied: picture and nodes.
    async fn board_before(&mut self, token: &str) -> Found<String> {
        let part = nodes_part(token);
        let nodes = self.before().await.and_then(|kept| kept.beside.get(&part)).cloned();
        if self.before().await.is_none() || !self.stays(token).await {
            return Found::Forbidden;
        }
        let old = self.or_before(Found::Forbidden, |kept| kept.boards.get(token)).await;
        if let Some(nodes) = nodes.filter(|_| matches!(old, Found::Here(_)))
            && self.stays(&part).await
        {
            self.kept.beside.insert(part, nodes);
        }
        old
    }

    /// True where every place has a file, or gets it from one that does.
    async fn stays(&mut self, part: &str) -> bool {
        if self.places.everywhere(part).is_some() {
            return true;
        }
        for copy in self.places.somewhere(part) {
            if let Some(sealed) = self.fetcher.copied(copy).await {
                self.files.push((part.to_owned(), sealed));
                return true;
            }
        }
        false
    }
}
