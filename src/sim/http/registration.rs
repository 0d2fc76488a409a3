//! A new app, made by a person in the browser for a program that waits.
//!
//! client: larksuite/cli `internal/auth/app_registration.go`. No page describes it.

use serde_json::json;

use super::super::logins::{Answer, Device, Question};
use super::super::state::State;
use super::oauth::{Fields, failure, refused};
use super::{Reply, Req, device};

/// Seconds for which a device code is good.
const LIFE_SECS: i64 = 300;

/// `POST /oauth/v1/app/registration`: `action` says which step.
pub fn register(state: &mut State, request: &Req<'_>) -> Reply {
    let fields = match Fields::of(request) {
        Ok(fields) => fields,
        Err(reply) => return reply,
    };
    let reply = match fields.get("action") {
        Some("begin") => begin(state, request, &fields),
        Some("poll") => poll(state, request, &fields),
        Some(_) => Err(refused(400, "invalid_request", "unknown action")),
        None => Err(failure(20_001)),
    };
    reply.unwrap_or_else(|refusal| refusal)
}

fn begin(state: &mut State, request: &Req<'_>, fields: &Fields) -> Result<Reply, Reply> {
    let wanted = [("archetype", "PersonalAgent"), ("auth_method", "client_secret")];
    for (name, value) in wanted {
        if fields.need(name)? != value {
            return Err(refused(400, "invalid_request", &format!("{name} has to be {value}")));
        }
    }
    let page = format!("{}/page/cli", request.origin);
    Ok(Reply::top(device::codes(state.ask(Question::Register, LIFE_SECS), &page, LIFE_SECS)))
}

fn poll(state: &mut State, request: &Req<'_>, fields: &Fields) -> Result<Reply, Reply> {
    let mine = |device: &Device| matches!(device.question, Question::Register);
    let at = device::poll(state, fields.need("device_code")?, mine)?;
    let Answer::Registered(app) = state.logins.devices[at].answer else {
        let answer = state.logins.devices[at].answer;
        unreachable!("a question about an app was answered with {answer:?}")
    };
    let app = &state.apps[app];
    let open_id = &state.users[app.creator as usize].open_id;
    let brand = if state.logins.lark { "lark" } else { "feishu" };
    let mut body = json!({
        "client_id": app.id,
        "user_info": {"open_id": open_id, "tenant_brand": brand},
    });
    // The secret is with the brand's own host, which is to be asked at once.
    let there = request.origin.contains("larksuite.com");
    if state.logins.lark && !there {
        state.logins.devices[at].polled = None;
    } else {
        body["client_secret"] = app.secret.as_str().into();
        state.logins.devices[at].used = true;
    }
    Ok(Reply::top(body))
}
