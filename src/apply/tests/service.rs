//! A stand-in for the service that answers by a function, and whole runs against it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::apply::Fetching;
use crate::apply::{Report, Tools, apply};
use crate::feishu::{self, ByteStream, Client, Credentials, HttpSend, SendError};
use crate::plan::{Fetch, Plan, Want};

/// An answer.
pub enum Reply {
    Json(u16, Value),
    /// Status, headers, bytes; then the connection breaks where `true`.
    Bytes(u16, Vec<(&'static str, String)>, Vec<u8>, bool),
    /// Nobody there.
    Refused,
}

/// What was asked: `GET /path?query`, the body, and the range.
pub struct Asked {
    pub line: String,
    pub body: Value,
    pub range: Option<(usize, usize)>,
    /// How many times this path was asked before.
    pub nth: usize,
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

pub struct Service {
    answer: Box<Answer>,
    pub calls: Mutex<Vec<String>>,
}

impl Service {
    pub fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), calls: Mutex::default() })
    }

    pub fn count(&self, part: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }
}

impl HttpSend for Service {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, SendError>> {
        let line = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
        let range = request.headers().get("range").map(|value| {
            let text = value.to_str().unwrap().strip_prefix("bytes=").unwrap().to_owned();
            let (first, last) = text.split_once('-').unwrap();
            (first.parse().unwrap(), last.parse::<usize>().unwrap() + 1)
        });
        let nth = {
            let mut calls = self.calls.lock().unwrap();
            let nth = calls.iter().filter(|call| call.starts_with(&line)).count();
            calls.push(match range {
                Some((from, to)) => format!("{line} {from}..{to}"),
                None => line.clone(),
            });
            nth
        };
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        let reply = (self.answer)(&Asked { line, body, range, nth });
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let (status, headers, bytes, cut) = match reply {
                Reply::Refused => {
                    let message = "connection refused".to_owned();
                    return Err(SendError { message, connect: true });
                }
                Reply::Json(status, body) => {
                    let headers = vec![("content-type", "application/json".to_owned())];
                    (status, headers, body.to_string().into_bytes(), false)
                }
                Reply::Bytes(status, headers, bytes, cut) => (status, headers, bytes, cut),
            };
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let mut steps = vec![Ok(Bytes::from(bytes))];
            if cut {
                let message = "reset by peer".to_owned();
                steps.push(Err(SendError { message, connect: false }));
            }
            Ok(response.body(stream::iter(steps).boxed()).unwrap())
        })
    }
}

/// `{"code":0,"data":…}`.
pub fn good(data: Value) -> Reply {
    let mut reply = json!({ "code": 0, "msg": "ok" });
    reply["data"] = data;
    Reply::Json(200, reply)
}

pub fn refused(status: u16, code: i64) -> Reply {
    Reply::Json(status, json!({ "code": code, "msg": "no" }))
}

/// A file (or the asked range of it), of which only `send` bytes arrive.
pub fn sent(asked: &Asked, whole: &[u8], etag: Option<&str>, send: Option<usize>) -> Reply {
    let (from, to) = asked.range.unwrap_or((0, whole.len()));
    let to = to.min(whole.len());
    let part = &whole[from..to];
    let mut headers = vec![
        ("content-disposition", "attachment; filename=\"x\"".to_owned()),
        ("content-length", part.len().to_string()),
    ];
    headers.extend(etag.map(|etag| ("etag", format!("\"{etag}\""))));
    let status = if asked.range.is_some() && !whole.is_empty() {
        headers.push(("content-range", format!("bytes {from}-{}/{}", to - 1, whole.len())));
        206
    } else {
        200
    };
    let arrives = send.unwrap_or(part.len()).min(part.len());
    Reply::Bytes(status, headers, part[..arrives].to_vec(), arrives < part.len())
}

/// `metas/batch_query` for one uploaded file.
pub fn metas(token: &str, at: i64) -> Reply {
    good(json!({ "metas": [{
        "doc_token": token, "doc_type": "file", "title": "t",
        "create_time": "1", "latest_modify_time": at.to_string(),
    }], "failed_list": [] }))
}

impl World {
    pub fn tools(&self, service: &Arc<Service>, faults: &Faults) -> Tools {
        let settings = feishu::Settings {
            domain: crate::config::values::domain("https://open.example").unwrap(),
            credentials: Credentials::User("u-a-users-own-token".into()),
            quota_share: 1.0,
            concurrency: 4,
            retries: 1,
            request_timeout: Duration::from_secs(60),
            bandwidth: 0,
            max_calls: 0,
        };
        Tools {
            client: Client::new(settings, service.clone(), Clock::system()),
            disk: self.disk(faults),
            store: Arc::new(Store::open(&self.state(), "mirror", &Faults::default()).unwrap()),
            progress: self.told.clone(),
            clock: Clock::system(),
            whose: "me".to_owned(),
            stop: CancellationToken::new(),
        }
    }

    /// Carries a plan out against a service.
    pub async fn apply(&self, service: &Arc<Service>, plan: Plan) -> (Report, Recorded) {
        self.apply_with(plan, &self.tools(service, &Faults::default()), &self.settings()).await
    }

    pub async fn apply_with(
        &self,
        plan: Plan,
        tools: &Tools,
        settings: &Settings,
    ) -> (Report, Recorded) {
        let recorded = tools.store.load().unwrap();
        let fetching = Fetching::new(tools, settings);
        let (_, early) = fetching.early();
        let report = apply(plan, (recorded, false), &fetching, early).await.unwrap();
        (report, tools.store.load().unwrap())
    }

    /// `done` events: path, written, reason.
    pub fn done(&self) -> Vec<(String, bool, Option<String>)> {
        let told = self.told.0.lock().unwrap();
        let done = told.iter().filter_map(|event| match event {
            Event::Done { change, written, .. } => {
                Some((change.path.to_string(), *written, change.reason.clone()))
            }
            _ => None,
        });
        done.collect()
    }
}

pub fn fetch(ty: ObjType, token: &str, wants: Vec<Want>) -> Fetch {
    Fetch {
        object: Object::new(ty, token),
        title: token.to_owned(),
        owner: None,
        url: Some(format!("https://x.feishu.cn/{token}")),
        edited: Some(edited()),
        revision: None,
        wants,
    }
}

pub fn want(key: &PlaceKey, format: Format, path: &str) -> Want {
    let mut change = change(ChangeKind::Add, key, path);
    change.format = Some(format);
    Want {
        place: key.clone(),
        format,
        copy_from: None,
        damaged: Vec::new(),
        lost: Vec::new(),
        change,
    }
}

/// A plan that adds one uploaded file of that name.
pub fn upload(token: &str, name: &str) -> Plan {
    let mut row = row(token, None, &[(Slot::Product(Format::File), name)]);
    row.products.clear();
    row.object.ty = ObjType::File;
    let key = key(token);
    let wants = vec![want(&key, Format::File, &format!("drive/{name}"))];
    Plan {
        records: vec![(key, row)],
        fetches: vec![fetch(ObjType::File, token, wants)],
        ..Plan::default()
    }
}
