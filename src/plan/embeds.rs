//! What pages show of other objects, which is in no listing: when it is looked at, and
//! whether it changed.

use super::Inputs;
use super::view;
use crate::model::page::{BOARD, Embed, PageRow};
use crate::model::recorded::Moved;

/// What has to be asked about the embeds of a page.
#[derive(Debug, Default)]
pub(super) struct Asks {
    pub metas: Vec<crate::model::Object>,
    pub boards: Vec<String>,
}

/// Those that were not looked at for as long as the config says, and have no answer yet.
pub(super) fn asks(inputs: &Inputs<'_>, page: &PageRow) -> Asks {
    let mut asks = Asks::default();
    for embed in page.embeds.iter().filter(|embed| is_due(inputs, embed)) {
        if !is_board(embed) {
            asks.metas.push(embed.object.clone());
        } else if !inputs.answers.boards.contains_key(embed.object.token.as_str()) {
            asks.boards.push(embed.object.token.as_str().to_owned());
        }
    }
    asks
}

/// True where it is known to have changed. What can no longer be seen stays as it was
/// copied.
pub(super) fn moved(inputs: &Inputs<'_>, embed: &Embed) -> bool {
    if !is_due(inputs, embed) {
        return false;
    }
    if is_board(embed) {
        let answer = inputs.answers.boards.get(embed.object.token.as_str()).copied().flatten();
        return answer.is_some() && answer != embed.hash;
    }
    view::meta(inputs, &embed.object).is_some_and(|meta| {
        matches!(embed.stamp.compare(meta.edited), Moved::Yes | Moved::Unsettled)
    })
}

/// Remembers what was asked and found unchanged.
pub(super) fn checked(inputs: &Inputs<'_>, page: &mut PageRow) {
    for embed in &mut page.embeds {
        if !is_due(inputs, embed) {
            continue;
        }
        if is_board(embed) {
            if inputs.answers.boards.contains_key(embed.object.token.as_str()) {
                embed.checked_secs = inputs.now_secs;
            }
        } else if inputs.answers.metas.contains_key(&embed.object) {
            embed.checked_secs = inputs.now_secs;
            if let Some(meta) = view::meta(inputs, &embed.object) {
                embed.stamp.times.entry(meta.edited.channel).or_insert(meta.edited.at_secs);
            }
        }
    }
}

fn is_board(embed: &Embed) -> bool {
    embed.object.ty.as_str() == BOARD
}

fn is_due(inputs: &Inputs<'_>, embed: &Embed) -> bool {
    let markdown = &inputs.rules.markdown;
    let every =
        if is_board(embed) { markdown.boards_every_secs } else { markdown.embeds_every_secs };
    inputs.now_secs.saturating_sub(embed.checked_secs) >= every
}
