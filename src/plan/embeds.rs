//! What pages show of other objects, which is in no listing: when it is looked at, and
//! whether it changed.

use super::Inputs;
use super::absent::ASK_AGAIN_SECS;
use super::view;
use crate::model::page::{BOARD, Embed, PageRow};
use crate::model::recorded::Moved;
use crate::model::tree::Existence;

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
        if embed.refused {
            // Whether it may be read now is seen by reading it.
        } else if !is_board(embed) {
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
    if embed.refused || !is_due(inputs, embed) {
        return false;
    }
    if is_board(embed) {
        let answer = inputs.answers.boards.get(embed.object.token.as_str());
        return answer
            .is_some_and(|answer| answer.as_ref().is_ok_and(|now| Some(*now) != embed.hash));
    }
    view::meta(inputs, &embed.object).is_some_and(|meta| {
        matches!(embed.stamp.compare(meta.edited), Moved::Yes | Moved::Unsettled)
    })
}

/// True where it may not be read, and that was so long ago that it is tried again.
pub(super) fn asked_again(inputs: &Inputs<'_>, embed: &Embed) -> bool {
    embed.refused && (inputs.options.retry_failed || is_due(inputs, embed))
}

/// Remembers what was asked and found unchanged. Where no answer came it is asked again by
/// the next run.
pub(super) fn checked(inputs: &Inputs<'_>, page: &mut PageRow) {
    for embed in &mut page.embeds {
        if embed.refused || !is_due(inputs, embed) {
            continue;
        }
        if is_board(embed) {
            let answer = inputs.answers.boards.get(embed.object.token.as_str());
            if answer.is_some_and(|answer| tells(answer.as_ref().err())) {
                embed.checked_secs = inputs.now_secs;
            }
        } else if let Some(answer) = inputs.answers.metas.get(&embed.object)
            && tells(answer.as_ref().err())
        {
            embed.checked_secs = inputs.now_secs;
            if let Ok(meta) = answer {
                embed.stamp.times.entry(meta.edited.channel).or_insert(meta.edited.at_secs);
            }
        }
    }
}

/// True for an answer of the service: that a thing cannot be seen is one, that the call
/// failed is none.
fn tells(trouble: Option<&Existence>) -> bool {
    !matches!(trouble, Some(Existence::Unknown(_)))
}

fn is_board(embed: &Embed) -> bool {
    embed.object.ty.as_str() == BOARD
}

fn is_due(inputs: &Inputs<'_>, embed: &Embed) -> bool {
    let markdown = &inputs.rules.markdown;
    let every = if embed.refused {
        ASK_AGAIN_SECS
    } else if is_board(embed) {
        markdown.boards_every_secs
    } else {
        markdown.embeds_every_secs
    };
    inputs.now_secs.saturating_sub(embed.checked_secs) >= every
}
