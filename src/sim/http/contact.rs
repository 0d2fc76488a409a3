//! The address book. docs: contact-v3/user/batch.

use serde_json::{Value, json};

use super::super::scopes::CONTACT_NAMES;
use super::super::state::State;
use super::{Reply, Req, auth};

/// `GET /contact/v3/users/batch`
pub fn batch(state: &mut State, request: &Req<'_>) -> Reply {
    let asked = request.query.iter().filter(|(key, _)| key == "user_ids");
    let asked: Vec<&str> = asked.map(|(_, id)| id.as_str()).collect();
    if asked.is_empty() || asked.len() > 50 {
        return Reply::error(400, 99_992_402, "field validation failed");
    }
    let union = match request.query("user_id_type") {
        None | Some("open_id") => false,
        Some("union_id") => true,
        Some(_) => return Reply::error(400, 99_992_402, "field validation failed"),
    };
    // Without the field's own scope, the field is left out.
    let named = auth::is_open(state, request, CONTACT_NAMES);
    let union_id = |open_id: &str| open_id.replace("ou_", "on_");
    let mut items: Vec<Value> = Vec::new();
    for id in asked {
        let user = state
            .users
            .iter()
            .find(|user| if union { union_id(&user.open_id) == id } else { user.open_id == id });
        // The page: users whom the app may not see are just missing.
        let Some(user) = user.filter(|user| !user.invisible) else { continue };
        let mut item = json!({"open_id": user.open_id, "union_id": union_id(&user.open_id)});
        if named {
            item["name"] = user.name.as_str().into();
            item["en_name"] = "".into();
        }
        items.push(item);
    }
    Reply::data(json!({"items": items}))
}
