//! Search: what was edited last, whoever did it, as far as the index knows.
//!
//! A hint and nothing more (docs: search-v2/doc_wiki/search): the index is minutes behind,
//! shows only what its user may see, and may end before everything was shown. So what it
//! does not show is not concluded to be unchanged, and a search that breaks off has shown
//! what it has shown.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, wire};

const SEARCH: Endpoint = Endpoint::named("POST /open-apis/search/v2/doc_wiki/search");

/// The largest page (docs: search-v2/doc_wiki/search).
const PAGE_SIZE: u32 = 20;

/// A wiki node that a search found. Times in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDocument {
    /// The node's token.
    pub token: String,
    /// The word for its type, in small letters.
    pub ty: String,
    /// When it was edited last.
    pub edited_secs: Option<i64>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    res_units: Option<Vec<Unit>>,
    #[serde(default)]
    has_more: Option<bool>,
    #[serde(default, deserialize_with = "wire::text")]
    page_token: Option<String>,
}

#[derive(Deserialize)]
struct Unit {
    #[serde(default, deserialize_with = "wire::text")]
    entity_type: Option<String>,
    #[serde(default)]
    result_meta: Option<Found>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default, deserialize_with = "wire::text")]
    token: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    doc_types: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    update_time: Option<i64>,
}

impl Client {
    /// Wiki nodes edited at or after `since_secs`, newest first, each once; of one space, or
    /// of all that the user may see. An app's token may not make this call.
    ///
    /// # Errors
    /// A page that did not come, as an error of the whole: what the pages before it showed
    /// is asked for again. [`ApiError::lacks_scope`] where the user did not grant it.
    pub async fn search_edited_nodes(
        &self,
        space: Option<&str>,
        since_secs: i64,
    ) -> Result<Vec<FoundDocument>, ApiError> {
        let mut filter = json!({"sort_type": "EDIT_TIME"});
        if let Some(space) = space {
            filter["space_ids"] = json!([space]);
        }
        let mut found = Vec::new();
        let (mut tokens, mut pages) = (HashSet::new(), HashSet::new());
        let mut page = String::new();
        loop {
            let mut body = json!({"query": "", "wiki_filter": filter, "page_size": PAGE_SIZE});
            if !page.is_empty() {
                body["page_token"] = json!(page);
            }
            let (data, _) = self.inner.call::<Data>(&Call::new(SEARCH, &[]).body(body)).await?;
            let (mut anything_new, mut reached) = (false, false);
            for unit in data.res_units.unwrap_or_default() {
                let Some(meta) = unit.result_meta else { continue };
                if meta.update_time.is_some_and(|at| at < since_secs) {
                    reached = true;
                    continue;
                }
                let Some(token) = meta.token.filter(|token| tokens.insert(token.clone())) else {
                    continue;
                };
                anything_new = true;
                if unit.entity_type.as_deref() == Some("WIKI") {
                    let ty = meta.doc_types.unwrap_or_default().to_ascii_lowercase();
                    found.push(FoundDocument { token, ty, edited_secs: meta.update_time });
                }
            }
            // A page of nothing new, or one that comes again, would go on for ever.
            match data.page_token {
                Some(next)
                    if data.has_more == Some(true)
                        && !reached
                        && anything_new
                        && pages.insert(next.clone()) =>
                {
                    page = next;
                }
                _ => return Ok(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::feishu::Class;
    use crate::feishu::fake::{Fake, json_reply};

    fn unit(kind: &str, token: &str, at: i64) -> Value {
        json!({"title_highlighted": "<h>A</h>", "entity_type": kind, "result_meta":
            {"doc_types": "DOCX", "token": token, "update_time": at, "create_time": 1}})
    }

    fn page(units: &[Value], next: &str) -> crate::feishu::fake::Scripted {
        json_reply(json!({"code": 0, "data": {"total": 9, "has_more": !next.is_empty(),
            "page_token": next, "res_units": units}}))
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_asked_for_until_the_time_is_reached() {
        let fake = Fake::app();
        fake.push(page(&[unit("WIKI", "a", 90), unit("DOC", "d", 80)], "p2"));
        fake.push(page(
            &[unit("WIKI", "b", 60), unit("WIKI", "a", 55), unit("WIKI", "c", 49)],
            "p3",
        ));
        let found = fake.client().search_edited_nodes(Some("7"), 50).await.unwrap();
        let tokens: Vec<&str> = found.iter().map(|found| found.token.as_str()).collect();
        assert_eq!(tokens, ["a", "b"]);
        assert_eq!((found[0].ty.as_str(), found[0].edited_secs), ("docx", Some(90)));
        assert_eq!(fake.calls().len(), 3, "the token and two pages");
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_runs_in_a_circle_ends() {
        let fake = Fake::app();
        for _ in 0..3 {
            fake.push(page(&[unit("WIKI", "a", 90)], "again"));
        }
        let found = fake.client().search_edited_nodes(None, 50).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(fake.calls().len(), 3, "the token and two pages");
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_that_was_not_granted_is_told_from_a_login_that_ended() {
        let fake = Fake::app();
        fake.push(json_reply(json!({"code": 99_991_679, "msg": "Unauthorized"})).status(400));
        let error = fake.client().search_edited_nodes(None, 50).await.unwrap_err();
        assert!(error.lacks_scope() && error.class == Class::Config, "{error:?}");
    }
}
