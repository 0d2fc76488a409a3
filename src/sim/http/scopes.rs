//! The gateway's refusal of a call whose scopes are missing.
//!
//! A scope counts when it is enabled on the app and published with a version; for a
//! user's token, when the user granted it too. docs: api-call-guide, generic error codes
//! 99991672 and 99991679.

use serde_json::{Value, json};

use super::super::permit::Identity;
use super::super::scopes::Scopes;
use super::super::state::State;
use super::{Body, Reply};

/// `Err`: the refusal. `list`: any one opens the call; `granted`: what the token has.
pub fn check(state: &State, who: Identity, granted: &Scopes, list: &[&str]) -> Result<(), Reply> {
    if list.is_empty() {
        return Ok(());
    }
    let app = &state.apps[who.app];
    let kind = if who.user.is_some() { "user" } else { "tenant" };
    let names = list.join(", ");
    let url = format!(
        "https://open.feishu.cn/app/{}/auth?q={}&op_from=openapi&token_type={kind}",
        app.id,
        list.join(",")
    );
    if !list.iter().any(|scope| app.published.has(scope)) {
        let msg = format!(
            "Access denied. One of the following scopes is required: [{names}].\
             应用尚未开通所需的权限：[{names}]，点击链接申请并开通任一权限即可：{url}"
        );
        return Err(refusal(99_991_672, &msg, "action_scope_required", list, &url));
    }
    if who.user.is_some() && !list.iter().any(|s| app.published.has(s) && granted.has(s)) {
        let msg = format!(
            "Unauthorized. You do not have permission to perform the requested operation on \
             the resource. Please request user re-authorization and try again. required one of \
             these privileges under the user identity: [{names}]"
        );
        return Err(refusal(99_991_679, &msg, "action_privilege_required", list, &url));
    }
    Ok(())
}

fn refusal(code: i64, msg: &str, kind: &str, list: &[&str], url: &str) -> Reply {
    let violations: Vec<Value> =
        list.iter().map(|scope| json!({"type": kind, "subject": scope})).collect();
    let envelope = json!({
        "code": code,
        "msg": msg,
        "error": {
            "permission_violations": violations,
            "helps": [{"url": url, "description": "申请权限 / Apply for one of the scopes"}],
        },
    });
    Reply { status: 400, code, headers: Vec::new(), body: Body::Json(envelope) }
}
