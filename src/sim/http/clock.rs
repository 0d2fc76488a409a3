//! The tenant's time, for clients and tests in other processes. The service has no such
//! calls.

use jiff::SignedDuration;
use serde_json::json;

use super::super::state::State;
use super::{Reply, Req};

/// `GET /sim/clock`
pub fn show(state: &mut State, _request: &Req<'_>) -> Reply {
    Reply::data(json!({"now_millis": state.clock.now().as_millisecond()}))
}

/// `POST /sim/clock` with `{"jump_secs":86400}`: from now on it is so much later.
pub fn jump(state: &mut State, request: &Req<'_>) -> Reply {
    // 10,000 days: sums of jumps stay far from the end of time.
    let secs = request.json["jump_secs"].as_i64().filter(|secs| (0..=864_000_000).contains(secs));
    let Some(secs) = secs else {
        return Reply::error(400, 9499, "jump_secs: seconds, 0 or more");
    };
    state.lead.grow(SignedDuration::from_secs(secs));
    show(state, request)
}
