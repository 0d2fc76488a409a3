//! What the tenant was asked, for programs in other processes. The service has no such calls.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::state::State;
use super::{Reply, Req};

/// `GET /sim/calls`: how often each endpoint was called, by `METHOD /pattern`, and how many
/// calls were refused for coming too often. The tenant's own endpoints do not count.
pub fn show(state: &mut State, _request: &Req<'_>) -> Reply {
    let mut endpoints: BTreeMap<String, u64> = BTreeMap::new();
    for call in state.log.calls.iter().filter(|call| !call.pattern.starts_with("/sim/")) {
        *endpoints.entry(format!("{} {}", call.method, call.pattern)).or_default() += 1;
    }
    let total: u64 = endpoints.values().sum();
    let rate_limited = state.log.rate_limited();
    Reply::data(json!({"total": total, "rate_limited": rate_limited, "endpoints": endpoints}))
}

/// `POST /sim/calls/forget`: begins the count again.
pub fn forget(state: &mut State, _request: &Req<'_>) -> Reply {
    state.log.forget();
    Reply::data(json!({}))
}
