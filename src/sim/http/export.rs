//! Export tasks: create, poll, download. docs: drive-v1/file/export_task.
//!
//! A task goes 1 (initialising), 2 (processing), 0 without a product (public clients
//! meet this and take it as pending), then 0 with one. The product holds what the
//! object held when the task was created, and dies ten minutes after it was finished.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::json;

use super::super::content::{self, Blob};
use super::super::ids;
use super::super::permit::Identity;
use super::super::state::{ObjId, State};
use super::{Reply, Req, download as files};
use crate::model::ObjType;

/// Milliseconds that a product lives.
const LIFE_MILLIS: i64 = 600_000;
/// Longest token that the call takes.
const MAX_TOKEN: usize = 27;

/// The tasks.
#[derive(Debug, Default)]
pub struct Jobs {
    by_ticket: HashMap<String, Job>,
    by_product: HashMap<String, String>,
    /// When what died was last forgotten, milliseconds since 1970.
    swept: i64,
}

#[derive(Debug)]
struct Job {
    owner: Identity,
    obj: ObjId,
    token: String,
    extension: String,
    name: String,
    started: i64,
    ready: i64,
    /// How it ends, where not well.
    failure: Option<i64>,
    product: String,
    bytes: Bytes,
}

/// `POST /drive/v1/export_tasks`
pub fn create(state: &mut State, request: &Req<'_>) -> Reply {
    let who = request.caller();
    let field = |name: &str| request.json[name].as_str().unwrap_or_default();
    let (extension, token, ty) = (field("file_extension"), field("token"), field("type"));
    let known = ["doc", "docx", "sheet", "bitable", "slides", "mindnote"];
    if extension.is_empty() || token.is_empty() || token.len() > MAX_TOKEN || !known.contains(&ty) {
        return Reply::error(400, 1_069_904, "invalid param");
    }
    // A wiki node's token is no document's token here.
    let found = state.find_obj(token).filter(|id| state.obj(*id).ty.as_str() == ty);
    let Some(id) = found else {
        return Reply::error(400, 1_069_914, "invalid token or type");
    };
    if !state.obj_alive(id) {
        return Reply::error(404, 1_069_906, "docs has been deleted");
    }
    if !state.may_read_obj(who, id) {
        return Reply::error(403, 1_069_902, "no permission");
    }
    if !offered(state, ty, extension) {
        return Reply::error(400, 1_069_918, "file extension does not match type");
    }
    let tabs = state.tabs(id);
    let part = match (extension, field("sub_id")) {
        ("csv", sub) => match tabs.iter().find(|tab| tab.id == sub && tab.cells) {
            Some(tab) => Some(tab.clone()),
            None => return Reply::error(400, 1_069_904, "invalid sub_id"),
        },
        _ => None,
    };

    let now = state.clock.now().as_millisecond();
    forget_dead(&mut state.jobs, now);
    let number = state.next();
    let bytes = content::product(state, id, extension, part.as_ref(), number);
    let failure = refusal(state, id);
    let millis = state.knobs.export_millis.unwrap_or_else(|| usual_millis(ty, extension));
    let millis = if state.knobs.exports_vary { varied(millis, number) } else { millis };
    let ticket = format!("{}", 7_200_000_000_000_000_000 + number);
    let product = format!("boxcn{:022}", ids::scramble(number));
    let job = Job {
        owner: who,
        obj: id,
        token: token.to_owned(),
        extension: extension.to_owned(),
        name: state.obj(id).title.to_string(),
        started: now,
        ready: now + millis,
        failure,
        product: product.clone(),
        bytes,
    };
    state.jobs.by_product.insert(product, ticket.clone());
    state.jobs.by_ticket.insert(ticket.clone(), job);
    Reply::data(json!({"ticket": ticket}))
}

/// Whether the service has such an export. The page lists documents, sheets and bases;
/// slides are exported by the official command line client.
fn offered(state: &State, ty: &str, extension: &str) -> bool {
    match ty {
        "doc" | "docx" => ["docx", "pdf"].contains(&extension),
        "sheet" | "bitable" => ["xlsx", "csv"].contains(&extension),
        "slides" => state.knobs.slides_export && ["pptx", "pdf"].contains(&extension),
        "mindnote" => state.knobs.mindnote_export && extension == "pdf",
        _ => false,
    }
}

/// How long exports take here: a base longer than a page of text.
fn usual_millis(ty: &str, extension: &str) -> i64 {
    match (ty, extension) {
        (_, "csv") => 800,
        ("sheet", _) => 2_000,
        ("bitable", _) => 4_000,
        (_, "pdf" | "pptx") => 3_000,
        _ => 1_500,
    }
}

/// The time of the export of that number, where not all take the same.
fn varied(millis: i64, number: u64) -> i64 {
    let percent = match ids::scramble(number) % 100 {
        0 | 1 => 1000,
        dice @ 2..10 => 150 + 20 * i64::try_from(dice).unwrap_or(0),
        dice @ 10..60 => 100 + i64::try_from(dice).unwrap_or(0) / 2,
        _ => 100,
    };
    millis * percent / 100
}

/// The status with which this task will end badly, if it will. Counts down.
fn refusal(state: &mut State, id: ObjId) -> Option<i64> {
    let refusal = state.extras.get_mut(&id)?.refusal.as_mut()?;
    if let Some(left) = &mut refusal.1 {
        if *left == 0 {
            return None;
        }
        *left -= 1;
    }
    Some(refusal.0)
}

/// Forgets what died long ago. A ticket is remembered for a day, to be told "gone".
fn forget_dead(jobs: &mut Jobs, now: i64) {
    // Once a minute: a look at all of them for each new one is too much for large tenants.
    if now < jobs.swept + 60_000 {
        return;
    }
    jobs.swept = now;
    for job in jobs.by_ticket.values_mut() {
        if now >= job.ready + LIFE_MILLIS {
            job.bytes = Bytes::new();
        }
    }
    jobs.by_ticket.retain(|_, job| now < job.ready + 86_400_000);
    jobs.by_product.retain(|_, ticket| jobs.by_ticket.contains_key(ticket));
}

/// `GET /drive/v1/export_tasks/:ticket`
pub fn poll(state: &mut State, request: &Req<'_>) -> Reply {
    let now = state.clock.now().as_millisecond();
    let Some(token) = request.query("token") else {
        return Reply::error(400, 1_069_904, "invalid param");
    };
    let Some(job) = state.jobs.by_ticket.get(request.params[0]) else {
        return Reply::error(404, 1_069_914, "invalid ticket");
    };
    if job.token != token {
        return Reply::error(400, 1_069_914, "invalid token");
    }
    if job.owner != request.caller() {
        return Reply::error(403, 1_069_902, "no permission");
    }
    if now >= job.ready + LIFE_MILLIS {
        return Reply::error(410, 1_069_906, "the export has expired");
    }
    let obj = job.obj;
    let gone = !state.obj_alive(obj);
    let ty = state.obj(obj).ty.clone();
    let job = state.jobs.by_ticket.get_mut(request.params[0]).expect("found above");
    // Shortly before the product is there the status already says done.
    let done = now >= job.ready - (job.ready - job.started) / 10;
    let status = match job.failure {
        _ if done && gone => 111,
        Some(failure) if done => failure,
        None if done => 0,
        _ if now - job.started < (job.ready - job.started) / 3 => 1,
        _ => 2,
    };
    let message = match status {
        0 => "success",
        1 => "init",
        2 => "processing",
        3 => "internal error",
        107 => "docs too large",
        108 => "processing timeout",
        109 => "no permission to some blocks",
        110 => "no permission",
        111 => "docs deleted",
        6000 => "too many images",
        _ => "failed",
    };
    let ready = status == 0 && now >= job.ready;
    Reply::data(json!({"result": {
        "file_extension": job.extension,
        "type": ty.as_str(),
        "file_name": job.name,
        "file_token": if ready { job.product.as_str() } else { "" },
        "file_size": if ready { job.bytes.len() } else { 0 },
        "job_error_msg": message,
        "job_status": status,
    }}))
}

/// `GET /drive/v1/export_tasks/file/:file_token/download`
pub fn download(state: &mut State, request: &Req<'_>) -> Reply {
    let now = state.clock.now().as_millisecond();
    let ticket = state.jobs.by_product.get(request.params[0]);
    let Some(job) = ticket.and_then(|ticket| state.jobs.by_ticket.get(ticket)) else {
        return Reply::error(404, 1_060_001, "file not found");
    };
    if job.owner != request.caller() {
        return Reply::error(403, 1_069_902, "no permission");
    }
    if now < job.ready || job.failure.is_some() {
        return Reply::error(404, 1_060_001, "file not found");
    }
    if now >= job.ready + LIFE_MILLIS {
        return Reply::error(404, 1_069_906, "the export has expired");
    }
    let ty: &ObjType = &state.obj(job.obj).ty;
    debug_assert!(*ty != ObjType::File, "uploaded files are not exported");
    let name = format!("{}.{}", job.name, job.extension);
    files::send(Blob::Bytes(job.bytes.clone()), &name, None, request)
}
