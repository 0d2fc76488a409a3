//! Made-up documents as the service would return them, and a context that knows what they
//! refer to.

use serde_json::{Map, Value, json};

use super::generate::{B, R, W};
use crate::export::docx::markdown::{Context, DocumentLink, Found};

/// The token of made-up documents.
pub const DOCUMENT: &str = "doxcnDocument";

/// A block list, and what it refers to.
pub struct Built {
    pub items: Vec<Value>,
    pub context: Context,
}

/// Builds the block list of a document.
pub fn build(title: &str, blocks: &[B]) -> Built {
    let mut built =
        Built { items: Vec::new(), context: Context { colors: true, ..Context::default() } };
    let run = R { what: W::Words(title.to_owned()), ..plain() };
    built.add(DOCUMENT.to_owned(), 1, "page", &json!({}), &[run], blocks);
    built
}

fn plain() -> R {
    R {
        what: W::Words(String::new()),
        bold: false,
        italic: false,
        strike: false,
        underline: false,
        color: 0,
        link: None,
    }
}

/// As JavaScript's function of that name.
pub fn encode_uri_component(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    let encode = |byte: u8| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

impl Built {
    fn next_id(&self) -> String {
        format!("b{}", self.items.len())
    }

    /// Adds a block and those below it; returns its id.
    fn add(
        &mut self,
        id: String,
        number: u8,
        key: &str,
        style: &Value,
        runs: &[R],
        below: &[B],
    ) -> String {
        let at = self.items.len();
        self.items.push(Value::Null);
        let elements: Vec<Value> = runs.iter().map(|run| self.element(run)).collect();
        let children: Vec<String> = below.iter().map(|block| self.block(block)).collect();
        let payload = json!({"style": style, "elements": elements});
        self.items[at] =
            json!({"block_id": id, "block_type": number, "children": children, key: payload});
        id
    }

    /// Adds a block without text.
    fn frame(&mut self, number: u8, key: &str, payload: &Value, below: &[B]) -> String {
        let id = self.next_id();
        let at = self.items.len();
        self.items.push(Value::Null);
        let children: Vec<String> = below.iter().map(|block| self.block(block)).collect();
        self.items[at] =
            json!({"block_id": id, "block_type": number, "children": children, key: payload});
        id
    }

    fn block(&mut self, block: &B) -> String {
        let id = self.next_id();
        match block {
            B::Text(runs) => self.add(id, 2, "text", &json!({}), runs, &[]),
            B::Heading(level, runs) => {
                self.add(id, level + 2, &format!("heading{level}"), &json!({}), runs, &[])
            }
            B::Bullet(runs, below) => self.add(id, 12, "bullet", &json!({}), runs, below),
            B::Ordered(sequence, runs, below) => {
                self.add(id, 13, "ordered", &json!({"sequence": sequence}), runs, below)
            }
            B::Todo(done, runs, below) => {
                self.add(id, 17, "todo", &json!({"done": done}), runs, below)
            }
            B::Quote(runs) => self.add(id, 15, "quote", &json!({}), runs, &[]),
            B::Code(language, code) => {
                let run = R { what: W::Words(code.clone()), ..plain() };
                self.add(id, 14, "code", &json!({"language": language}), &[run], &[])
            }
            B::QuoteBox(below) => self.frame(34, "quote_container", &json!({}), below),
            B::Callout(color, below) => {
                let payload = json!({"background_color": color, "emoji_id": "bulb"});
                self.frame(19, "callout", &payload, below)
            }
            B::Divider => self.frame(22, "divider", &json!({}), &[]),
            B::Image(caption) => {
                let token = format!("box{id}");
                let path = format!("A b.assets/{token}.png");
                self.context.media.insert(token.clone(), Found::Here(path));
                self.frame(
                    27,
                    "image",
                    &json!({"token": token, "caption": {"content": caption}}),
                    &[],
                )
            }
            B::File(name) => {
                let token = format!("box{id}");
                let path = format!("A b.assets/{token}.png");
                self.context.media.insert(token.clone(), Found::Here(path));
                self.frame(23, "file", &json!({"token": token, "name": name}), &[])
            }
            B::Grid(columns) => {
                let id = self.frame(24, "grid", &json!({"column_size": columns.len()}), &[]);
                let at = self.items.len() - 1;
                let children: Vec<String> = columns
                    .iter()
                    .map(|below| self.frame(25, "grid_column", &json!({}), below))
                    .collect();
                self.items[at]["children"] = json!(children);
                id
            }
            B::Table(columns, cells, merged) => {
                let id = self.frame(31, "table", &json!({}), &[]);
                let at = self.items.len() - 1;
                let ids: Vec<String> = cells
                    .iter()
                    .map(|below| self.frame(32, "table_cell", &json!({}), below))
                    .collect();
                let span = |at: usize| if *merged && at == 0 { 2 } else { 1 };
                let spans: Vec<Value> =
                    (0..ids.len()).map(|at| json!({"row_span": 1, "col_span": span(at)})).collect();
                let property = json!({"column_size": columns, "row_size": cells.len() / columns, "merge_info": spans});
                self.items[at]["children"] = json!(ids);
                self.items[at]["table"] = json!({"cells": ids, "property": property});
                id
            }
        }
    }

    fn element(&mut self, run: &R) -> Value {
        let mut style = json!({
            "bold": run.bold, "italic": run.italic, "strikethrough": run.strike,
            "underline": run.underline, "text_color": run.color,
        });
        if let Some(link) = run.link {
            style["link"] = json!({"url": encode_uri_component(link)});
        }
        let serial = self.context.people.len() + self.context.documents.len();
        let (key, mut payload) = match &run.what {
            W::Words(words) => ("text_run", json!({"content": words})),
            W::Code(code) => {
                style["inline_code"] = json!(true);
                ("text_run", json!({"content": code}))
            }
            W::Math(source) => ("equation", json!({"content": source})),
            W::Person(name) => {
                let id = format!("ou_{serial}");
                self.context.people.insert(id.clone(), name.clone());
                ("mention_user", json!({"user_id": id}))
            }
            W::Document(title, path) => {
                let token = format!("doxcnMentioned{serial}");
                let link = DocumentLink { path: path.map(str::to_owned), title: None };
                self.context.documents.insert(token.clone(), link);
                let url = encode_uri_component(&format!("https://x.feishu.cn/docx/{token}"));
                ("mention_doc", json!({"token": token, "obj_type": 22, "url": url, "title": title}))
            }
        };
        payload["text_element_style"] = style;
        let mut element = Map::new();
        element.insert(key.to_owned(), payload);
        Value::Object(element)
    }
}
