//! Metadata in bulk: the cheapest way to ask whether something exists and when it was
//! edited.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::error::{ApiError, Class};
use super::quota::Endpoint;
use super::{Client, wire};
use crate::model::change::Failure;
use crate::model::tree::{Existence, Meta};
use crate::model::{Channel, Edited, ObjType, Object};

const METAS: Endpoint = Endpoint::named("POST /open-apis/drive/v1/metas/batch_query");

/// docs: drive-v1/meta/batch_query
pub const MAX_DOCS: usize = 200;

/// Chunks asked for at the same time: enough for the official rate (16 a second) where
/// an answer takes half a second.
const CHUNKS: usize = 8;

type Asked = (String, String);
type Answer = (Asked, Result<Meta, Existence>);

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    metas: Option<Vec<RawMeta>>,
    #[serde(default)]
    failed_list: Option<Vec<Failed>>,
}

#[derive(Deserialize)]
struct RawMeta {
    #[serde(deserialize_with = "wire::token")]
    doc_token: String,
    #[serde(deserialize_with = "wire::token")]
    doc_type: String,
    #[serde(default, deserialize_with = "wire::text")]
    title: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    create_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    latest_modify_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    owner_id: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    url: Option<String>,
    /// What was asked, where the service repeats it: a wiki node's token is answered
    /// with its document's.
    #[serde(default)]
    request_doc_info: Option<DocInfo>,
}

#[derive(Deserialize)]
struct DocInfo {
    #[serde(default, deserialize_with = "wire::text")]
    doc_token: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    doc_type: Option<String>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(deserialize_with = "wire::token")]
    token: String,
    #[serde(default, deserialize_with = "wire::number")]
    code: Option<i64>,
}

impl Client {
    /// Metadata of any number of documents, 200 a call. Keyed by what was asked (type
    /// word, token), in that order, each once. A document missing from the reply is
    /// [`Existence::Unknown`].
    ///
    /// # Errors
    /// Only what ends the run ([`Class::ends_run`]).
    pub async fn query_metas(&self, asked: &[(String, String)]) -> Result<Vec<Answer>, ApiError> {
        let mut once = BTreeSet::new();
        let asked: Vec<&Asked> = asked.iter().filter(|one| once.insert(*one)).collect();
        // Boxed: a closure that borrows each chunk in its own way would not be `Send`.
        let mut chunks: Vec<BoxFuture<'_, _>> = Vec::new();
        for chunk in asked.chunks(MAX_DOCS) {
            chunks.push(self.query_chunk(chunk).boxed());
        }
        let answers: Vec<Vec<Answer>> = stream::iter(chunks).buffered(CHUNKS).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn query_chunk(&self, asked: &[&Asked]) -> Result<Vec<Answer>, ApiError> {
        let error = match self.query_call(asked).await {
            Ok(answers) => return Ok(answers),
            Err(error) if error.class.ends_run() => return Err(error),
            Err(error) => error,
        };
        // One type word that this endpoint does not know spoils the call for all of
        // them: ask once more, type by type.
        let mut types: BTreeMap<&str, Vec<&Asked>> = BTreeMap::new();
        for one in asked {
            types.entry(one.0.as_str()).or_default().push(one);
        }
        if error.class != Class::Unexpected || types.len() < 2 {
            return Ok(unknown(asked, &error.to_failure()));
        }
        let mut answers: BTreeMap<Asked, Result<Meta, Existence>> = BTreeMap::new();
        for of_type in types.values() {
            answers.extend(match self.query_call(of_type).await {
                Ok(known) => known,
                Err(error) if error.class.ends_run() => return Err(error),
                Err(error) => unknown(of_type, &error.to_failure()),
            });
        }
        let answer = |one: &&Asked| answers.remove(*one).map(|answer| ((*one).clone(), answer));
        Ok(asked.iter().filter_map(answer).collect())
    }

    async fn query_call(&self, asked: &[&Asked]) -> Result<Vec<Answer>, ApiError> {
        let docs: Vec<_> =
            asked.iter().map(|(ty, token)| json!({ "doc_token": token, "doc_type": ty })).collect();
        let call = Call::new(METAS, &[]).body(json!({ "request_docs": docs, "with_url": true }));
        let (data, seen_secs) = self.inner.call::<Data>(&call).await?;
        Ok(matched(asked, data, seen_secs))
    }
}

/// Answers to what was asked: by what the service repeats of it, else by token.
fn matched(asked: &[&Asked], data: Data, seen_secs: i64) -> Vec<Answer> {
    let mut by_asked: BTreeMap<Asked, Meta> = BTreeMap::new();
    let mut by_token: BTreeMap<String, Meta> = BTreeMap::new();
    for raw in data.metas.unwrap_or_default() {
        // Without an edit time it is no answer to the question.
        let Some(at_secs) = raw.latest_modify_time else { continue };
        let meta = Meta {
            object: Object::new(ObjType::from(raw.doc_type.as_str()), raw.doc_token.clone()),
            title: raw.title.unwrap_or_default(),
            edited: Edited { channel: Channel::Metas, at_secs, seen_secs },
            created_secs: raw.create_time.unwrap_or(0),
            owner: raw.owner_id,
            url: raw.url,
        };
        match raw.request_doc_info.map(|info| (info.doc_type, info.doc_token)) {
            Some((Some(ty), Some(token))) => {
                by_asked.insert((ty, token), meta);
            }
            Some((None, Some(token))) => {
                by_token.insert(token, meta);
            }
            _ => {
                by_asked.insert((raw.doc_type, raw.doc_token.clone()), meta.clone());
                by_token.insert(raw.doc_token, meta);
            }
        }
    }
    let failed: BTreeMap<String, Option<i64>> = data
        .failed_list
        .unwrap_or_default()
        .into_iter()
        .map(|failed| (failed.token, failed.code))
        .collect();
    let answer = |one: &&Asked| {
        let meta = by_asked.get(*one).or_else(|| by_token.get(&one.1));
        let answer = match (meta, failed.get(&one.1)) {
            (Some(meta), _) => Ok(meta.clone()),
            (None, Some(Some(970_005))) => Err(Existence::Gone),
            (None, Some(Some(970_003))) => Err(Existence::Hidden),
            // "Type not supported" is said of what is there.
            (None, Some(Some(970_002))) => Err(Existence::Exists),
            (None, Some(code)) => Err(no_answer(&one.1, *code)),
            (None, None) => Err(no_answer(&one.1, None)),
        };
        ((*one).clone(), answer)
    };
    asked.iter().map(answer).collect()
}

fn unknown(asked: &[&Asked], failure: &Failure) -> Vec<Answer> {
    let answer = |one: &&Asked| ((*one).clone(), Err(Existence::Unknown(failure.clone())));
    asked.iter().map(answer).collect()
}

fn no_answer(token: &str, code: Option<i64>) -> Existence {
    let code_part = code.map(|code| format!(" (code {code})")).unwrap_or_default();
    Existence::Unknown(Failure {
        code,
        message: format!("{}: no answer about {token}{code_part}", METAS.name()),
        hint: None,
        retryable: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feishu::fake::{Fake, json_reply};

    fn asked(pairs: &[(&str, &str)]) -> Vec<Asked> {
        pairs.iter().map(|(ty, token)| ((*ty).to_owned(), (*token).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_matched_to_what_was_asked() {
        let fake = Fake::app();
        fake.push(json_reply(json!({"code":0,"data":{
            "metas":[
                {"doc_token":"doxC","doc_type":"docx","title":"T","create_time":"1","latest_modify_time":"5",
                 "request_doc_info":{"doc_token":"wikX","doc_type":"wiki"}},
                {"doc_token":"shtA","doc_type":"sheet","title":"S","create_time":1,"latest_modify_time":7}],
            "failed_list":[
                {"token":"gone","code":970_005},{"token":"hid","code":970_003},
                {"token":"odd","code":970_002},{"token":"new","code":1}]}})));
        let ask = asked(&[
            ("wiki", "wikX"),
            ("sheet", "shtA"),
            ("docx", "gone"),
            ("docx", "hid"),
            ("docx", "odd"),
            ("docx", "new"),
            ("docx", "missing"),
            ("sheet", "shtA"),
        ]);
        let answers = fake.client().query_metas(&ask).await.unwrap();
        assert_eq!(answers.len(), 7, "each once");
        let wiki = answers[0].1.as_ref().unwrap();
        assert_eq!(wiki.object, Object::new(ObjType::Docx, "doxC"));
        assert_eq!(wiki.edited.at_secs, 5);
        assert_eq!(wiki.edited.seen_secs, 784_887_151, "the Date header");
        assert_eq!(answers[1].1.as_ref().unwrap().edited.at_secs, 7);
        assert_eq!(answers[2].1, Err(Existence::Gone));
        assert_eq!(answers[3].1, Err(Existence::Hidden));
        assert_eq!(answers[4].1, Err(Existence::Exists));
        assert!(matches!(answers[5].1, Err(Existence::Unknown(_))));
        assert!(matches!(answers[6].1, Err(Existence::Unknown(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn five_hundred_documents_take_three_calls() {
        let fake = Fake::app();
        for _ in 0..3 {
            fake.push(json_reply(json!({"code":0,"data":{"metas":[]}})));
        }
        let ask: Vec<_> = (0..500).map(|n| ("docx".to_owned(), format!("t{n}"))).collect();
        let answers = fake.client().query_metas(&ask).await.unwrap();
        assert_eq!(answers.len(), 500);
        assert_eq!(fake.calls().len(), 4, "and the token");
    }

    #[tokio::test(start_paused = true)]
    async fn a_strange_type_spoils_only_its_own() {
        let fake = Fake::app();
        fake.push(
            json_reply(json!({"code":99_992_402,"msg":"field validation failed"})).status(400),
        );
        fake.push(
            json_reply(json!({"code":99_992_402,"msg":"field validation failed"})).status(400),
        );
        fake.push(json_reply(json!({"code":0,"data":{"metas":[
            {"doc_token":"d","doc_type":"docx","latest_modify_time":"5"}]}})));
        let answers =
            fake.client().query_metas(&asked(&[("docx", "d"), ("aily", "x")])).await.unwrap();
        assert!(answers[0].1.is_ok());
        assert!(matches!(answers[1].1, Err(Existence::Unknown(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_scope_ends_the_run() {
        let fake = Fake::app();
        fake.push(json_reply(json!({"code":99_991_672,"msg":"denied"})).status(400));
        let error = fake.client().query_metas(&asked(&[("docx", "d")])).await.unwrap_err();
        assert_eq!(error.class, Class::Config);
    }
}
