//! What people wrote about a document, as one JSON file.
//!
//! The same comments give the same bytes, in whatever order the service lists them: neither
//! the document's title nor the time of the fetch is in the file. The calls for comments show
//! people as ids, which belong to one app and say nothing once the account is gone: whoever
//! knows their names hands them in.
//!
//! Start at [`Discussion::to_json`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// All comments on a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Discussion {
    /// The document's token.
    pub document: String,
    /// The service's word for its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// In any order.
    pub comments: Vec<Thread>,
}

/// A comment with its replies. Times in seconds since 1970; `None`: the service did not say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thread {
    /// A decimal number; later ones are larger.
    pub id: String,
    /// Who began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// When it was begun.
    #[serde(rename = "created", serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub created_secs: Option<i64>,
    /// When it, or a reply of it, changed last.
    #[serde(rename = "updated", serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub updated_secs: Option<i64>,
    /// About the whole document, not about [`Self::quote`].
    pub whole_document: bool,
    /// The text that it is about, where it is about a text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub quote: String,
    /// True once somebody called it solved.
    pub solved: bool,
    /// When that was.
    #[serde(
        rename = "solved_at",
        serialize_with = "time",
        skip_serializing_if = "Option::is_none"
    )]
    pub solved_secs: Option<i64>,
    /// Who that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solved_by: Option<Person>,
    /// In any order; the oldest one is the comment's own text.
    pub replies: Vec<Reply>,
}

/// One reply. Times as in [`Thread`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply {
    /// A decimal number; later ones are larger.
    pub id: String,
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// When it was written.
    #[serde(rename = "created", serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub created_secs: Option<i64>,
    /// When it was changed last.
    #[serde(rename = "updated", serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub updated_secs: Option<i64>,
    /// All of it as plain text, see [`Reply::text_of`].
    pub text: String,
    /// The same as the service sent it.
    pub elements: Vec<Value>,
    /// Tokens of its pictures, which no call can fetch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The `open_id`.
    pub id: String,
    /// The name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Person {
    /// Somebody without a name.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), name: None }
    }
}

impl Discussion {
    /// Everybody in it, by `open_id`.
    pub fn people(&self) -> BTreeSet<String> {
        let mut people = BTreeSet::new();
        for thread in &self.comments {
            let replies = thread.replies.iter();
            let wrote = replies.clone().map(|reply| &reply.by);
            let shown = wrote.chain([&thread.by, &thread.solved_by]).flatten();
            people.extend(shown.map(|person| person.id.clone()));
            for element in replies.flat_map(|reply| &reply.elements) {
                people.extend(mentioned(element).map(str::to_owned));
            }
        }
        people
    }

    /// The same with names, by `open_id`.
    #[must_use]
    pub fn named(mut self, names: &BTreeMap<String, String>) -> Self {
        let name = |person: &mut Option<Person>| {
            if let Some(person) = person {
                person.name = names.get(&person.id).cloned();
            }
        };
        for thread in &mut self.comments {
            name(&mut thread.by);
            name(&mut thread.solved_by);
            for reply in &mut thread.replies {
                name(&mut reply.by);
                reply.text = Reply::text_of(&reply.elements, names);
            }
        }
        self
    }

    /// The file: the oldest comment first, and so its replies.
    ///
    /// # Panics
    /// Never: everything in it has a form in JSON.
    pub fn to_json(mut self) -> Vec<u8> {
        self.comments.sort_by_cached_key(|thread| age(thread.created_secs, &thread.id));
        for thread in &mut self.comments {
            thread.replies.sort_by_cached_key(|reply| age(reply.created_secs, &reply.id));
        }
        let mut text = serde_json::to_vec_pretty(&self).expect("JSON has a JSON form");
        text.push(b'\n');
        text
    }
}

impl Reply {
    /// What a reader sees of these elements: texts, addresses, and people as `@` and their
    /// name, else their id. docs: CommentAPI/list, `elements`.
    pub fn text_of(elements: &[Value], names: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        for element in elements {
            let part = |pointer| element.pointer(pointer).and_then(Value::as_str);
            if let Some(plain) = part("/text_run/text").or_else(|| part("/docs_link/url")) {
                text.push_str(plain);
            } else if let Some(person) = mentioned(element) {
                text.push('@');
                text.push_str(names.get(person).map_or(person, String::as_str));
            }
        }
        text
    }
}

/// Whom an element names.
fn mentioned(element: &Value) -> Option<&str> {
    element.pointer("/person/user_id").and_then(Value::as_str)
}

/// Orders by time, and within a second by number.
fn age(created_secs: Option<i64>, id: &str) -> (Option<i64>, usize, String) {
    (created_secs, id.len(), id.to_owned())
}

/// RFC 3339 in UTC; `null` for what is no time at all.
#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn time<S: Serializer>(secs: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    let at = secs.and_then(|secs| Timestamp::from_second(secs).ok());
    at.map(|at| at.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(id: &str) -> Person {
        Person::new(id)
    }

    fn reply(id: &str, at: i64, elements: Vec<Value>) -> Reply {
        Reply {
            id: id.to_owned(),
            by: Some(person("ou_a")),
            created_secs: Some(at),
            updated_secs: Some(at),
            text: Reply::text_of(&elements, &BTreeMap::new()),
            elements,
            images: Vec::new(),
        }
    }

    fn thread(id: &str, at: i64, replies: Vec<Reply>) -> Thread {
        Thread {
            id: id.to_owned(),
            by: Some(person("ou_a")),
            created_secs: Some(at),
            updated_secs: Some(at + 60),
            whole_document: true,
            quote: String::new(),
            solved: false,
            solved_secs: None,
            solved_by: None,
            replies,
        }
    }

    fn written(comments: Vec<Thread>) -> String {
        let discussion =
            Discussion { document: "doxA".to_owned(), ty: "docx".to_owned(), comments };
        String::from_utf8(discussion.to_json()).unwrap()
    }

    #[test]
    fn a_discussion_is_written_for_readers_and_for_programs() {
        let said = vec![
            json!({"type": "text_run", "text_run": {"text": "see "}}),
            json!({"type": "docs_link", "docs_link": {"url": "https://a.cn/docx/B"}}),
            json!({"type": "text_run", "text_run": {"text": ", "}}),
            json!({"type": "person", "person": {"user_id": "ou_b"}}),
            json!({"type": "hologram", "hologram": {"of": "a cat"}}),
        ];
        let mut first = thread("69", 1_690_000_000, vec![reply("70", 1_690_000_000, said)]);
        first.whole_document = false;
        first.quote = "周报".to_owned();
        first.solved = true;
        first.solved_secs = Some(1_690_000_060);
        first.solved_by = Some(person("ou_b"));
        first.replies[0].images = vec!["boxImg".to_owned()];
        insta::assert_snapshot!(written(vec![first]), @r#"
        {
          "document": "doxA",
          "type": "docx",
          "comments": [
            {
              "id": "69",
              "by": {
                "id": "ou_a"
              },
              "created": "2023-07-22T04:26:40Z",
              "updated": "2023-07-22T04:27:40Z",
              "whole_document": false,
              "quote": "周报",
              "solved": true,
              "solved_at": "2023-07-22T04:27:40Z",
              "solved_by": {
                "id": "ou_b"
              },
              "replies": [
                {
                  "id": "70",
                  "by": {
                    "id": "ou_a"
                  },
                  "created": "2023-07-22T04:26:40Z",
                  "updated": "2023-07-22T04:26:40Z",
                  "text": "see https://a.cn/docx/B, @ou_b",
                  "elements": [
                    {
                      "text_run": {
                        "text": "see "
                      },
                      "type": "text_run"
                    },
                    {
                      "docs_link": {
                        "url": "https://a.cn/docx/B"
                      },
                      "type": "docs_link"
                    },
                    {
                      "text_run": {
                        "text": ", "
                      },
                      "type": "text_run"
                    },
                    {
                      "person": {
                        "user_id": "ou_b"
                      },
                      "type": "person"
                    },
                    {
                      "hologram": {
                        "of": "a cat"
                      },
                      "type": "hologram"
                    }
                  ],
                  "images": [
                    "boxImg"
                  ]
                }
              ]
            }
          ]
        }
        "#);
    }

    #[test]
    fn no_comments_are_said_to_be_none() {
        let text = written(Vec::new());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, json!({"document": "doxA", "type": "docx", "comments": []}));
        assert!(text.ends_with("}\n"), "{text}");
    }

    /// However the service lists them: by time, and within a second by number.
    #[test]
    fn the_oldest_comes_first_whatever_order_was_listed() {
        let old = thread("999", 5, vec![reply("3", 9, vec![]), reply("1", 7, vec![])]);
        let next = thread("1000", 5, Vec::new());
        let last = thread("8", 6, Vec::new());
        let text = written(vec![last.clone(), next.clone(), old.clone()]);
        let value: Value = serde_json::from_str(&text).unwrap();
        let ids = |list: &Value| -> Vec<String> {
            let ids = list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap());
            ids.map(str::to_owned).collect()
        };
        assert_eq!(ids(&value["comments"]), ["999", "1000", "8"]);
        assert_eq!(ids(&value["comments"][0]["replies"]), ["1", "3"]);
        assert_eq!(written(vec![old, last, next]), text);
    }

    /// A time that is none is no reason to lose the comment.
    #[test]
    fn what_the_service_does_not_say_is_left_out() {
        let mut bare = thread("1", i64::MAX - 60, Vec::new());
        bare.by = None;
        bare.updated_secs = None;
        let value: Value = serde_json::from_str(&written(vec![bare])).unwrap();
        let want = json!({"id": "1", "created": null, "whole_document": true, "solved": false,
            "replies": []});
        assert_eq!(value["comments"][0], want);
    }
}
