//! Page tokens, and the faults that happen to listings.
//!
//! A page token holds an offset and a seal over everything that must stay the same
//! between pages; a token used with other parameters is refused.

use serde_json::{Value, json};

use super::super::faults::Effect;
use super::super::ids::scramble;
use super::super::state::State;
use super::{Body, Reply, Req};

/// One page of a listing.
pub struct Page {
    /// Index of its first item.
    pub from: usize,
    /// Index after its last item.
    pub to: usize,
    /// The token of the page after it.
    pub next: Option<String>,
}

/// Cuts the page out of `total` items that `token` names; `None` for a bad token.
pub fn cut(total: usize, size: usize, token: Option<&str>, seal: &str) -> Option<Page> {
    let from = match token {
        None | Some(LOOP_A | LOOP_B | AGAIN) => 0,
        Some(token) => {
            let (offset, sealed) = token.split_once('.')?;
            let offset = usize::from_str_radix(offset, 36).ok()?;
            (sealed == signature(seal, offset)).then_some(offset)?
        }
    };
    let to = total.min(from.saturating_add(size));
    let next = (to < total).then(|| format!("{}.{}", base36(to), signature(seal, to)));
    Some(Page { from: from.min(total), to, next })
}

fn signature(seal: &str, offset: usize) -> String {
    let mut sum = offset as u64;
    for byte in seal.bytes() {
        sum = scramble(sum ^ u64::from(byte));
    }
    format!("{sum:016x}")
}

fn base36(mut number: usize) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 36).expect("below 36"), 36));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().flatten().collect();
        }
    }
}

const LOOP_A: &str = "loopA";
const LOOP_B: &str = "loopB";
const AGAIN: &str = "again";

/// `page_size` as asked, less where pages are kept short; `None` where it is no number
/// from 1 to `max`.
pub fn size(state: &State, request: &Req<'_>, default: usize, max: usize) -> Option<usize> {
    let size = match request.query("page_size") {
        None => default,
        Some(text) => text.parse().ok().filter(|size| (1..=max).contains(size))?,
    };
    Some(size.min(state.knobs.longest_page))
}

/// Applies the faults of listings to a reply that is one.
pub fn disturb(reply: &mut Reply, request: &Req<'_>, effects: &[Effect]) {
    let Body::Json(envelope) = &mut reply.body else { return };
    // Not by index: that would add the field to a reply without it.
    let Some(data) = envelope.get_mut("data").and_then(Value::as_object_mut) else { return };
    if !data.contains_key("has_more") {
        return;
    }
    let (items, next) = if data.contains_key("files") {
        ("files", "next_page_token")
    } else {
        ("items", "page_token")
    };
    let asked = request.query("page_token");
    let mut more = |token: Value| {
        data.insert("has_more".to_owned(), true.into());
        data.insert(next.to_owned(), token);
    };
    for effect in effects {
        match effect {
            Effect::RepeatPage => more(asked.unwrap_or(AGAIN).into()),
            Effect::LoopPages => more(if asked == Some(LOOP_A) { LOOP_B } else { LOOP_A }.into()),
            Effect::MoreWithoutToken => more("".into()),
            Effect::EmptyListing => {
                *data = serde_json::Map::from_iter([
                    (items.to_owned(), json!([])),
                    ("has_more".to_owned(), false.into()),
                ]);
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_everything_once() {
        let mut seen = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = cut(95, 20, token.as_deref(), "folder").unwrap();
            seen.extend(page.from..page.to);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..95).collect::<Vec<_>>());
    }

    #[test]
    fn a_token_is_good_for_its_own_listing_only() {
        let token = cut(95, 20, None, "a").unwrap().next.unwrap();
        assert!(cut(95, 20, Some(&token), "a").is_some());
        for (text, seal) in [(token.as_str(), "b"), ("zz.00", "a"), ("", "a"), ("短", "a")] {
            assert!(cut(95, 20, Some(text), seal).is_none(), "{text}");
        }
    }
}
