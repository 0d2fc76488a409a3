//! Whiteboards: their picture, shown by the page, and their nodes as JSON beside it.

use crate::disk::{Disk, DiskError, Sealed};
use crate::export::docx::markdown::Found;
use crate::feishu::board_hash;
use crate::model::page::BOARD;
use crate::model::{ContentHash, ObjType, Object};

use super::super::fetch::Setback;
use super::super::media::{self, Refused, TOO_LARGE, safe};
use super::super::sink::blocking;
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
        let nodes = match self.ask(fetcher.client.get_board_nodes(token)).await? {
            Found::Here(nodes) => nodes,
            Found::Forbidden => return Ok(Found::Forbidden),
            Found::Absent(why) => return Ok(Found::Absent(why)),
        };
        self.embed(Object::new(ObjType::from(BOARD), token), Some(board_hash(&nodes)));
        let mut text = serde_json::to_vec_pretty(&nodes).expect("JSON has a JSON form");
        text.push(b'\n');
        let part = nodes_part(token);
        self.kept.beside.insert(part.clone(), format!("{}.json", safe(token)));
        let hash = ContentHash::from(blake3::hash(&text));
        let same = self.places.everywhere(&part).is_some_and(|copy| copy.row.blake3 == hash);
        if let Some(copy) = self.places.everywhere(token).filter(|_| same) {
            let name = copy.row.part_name.clone().unwrap_or_default();
            return Ok(Found::Here(name));
        }
        if !same {
            let disk = fetcher.disk.clone();
            let sealed = blocking(move || stage(&disk, &text)).await?;
            self.files.push((part, sealed));
        }
        match media::board(fetcher, token).await {
            Ok(Ok(file)) => {
                self.files.push((token.to_owned(), file.sealed));
                Ok(Found::Here(file.name))
            }
            Ok(Err(Refused::TooLarge)) => Ok(Found::Absent(TOO_LARGE.to_owned())),
            Ok(Err(Refused::Api(error))) => self.refused(error),
            Err(setback) => self.failed(setback),
        }
    }
}

fn stage(disk: &Disk, text: &[u8]) -> Result<Sealed, DiskError> {
    let mut staged = disk.stage()?;
    staged.write(text)?;
    staged.seal()
}
