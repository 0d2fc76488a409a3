//! Meetings and their recordings. docs: vc-v1/meeting/get, vc-v1/meeting/search,
//! vc-v1/meeting-recording/get.

use serde_json::json;

use super::super::meetings::Held;
use super::super::permit::Identity;
use super::super::state::{State, UserId};
use super::{Reply, Req, minutes};

/// Days after which a meeting is no longer described (docs: vc-v1/meeting/get).
const DAYS: i64 = 90;
/// Most results of a search, and most users in a filter (docs: vc-v1/meeting/search).
const MOST_RESULTS: usize = 150;
const MOST_USERS: usize = 128;

fn find<'a>(state: &'a State, request: &Req<'_>) -> Result<&'a Held, Reply> {
    let found = state.minutes.meetings.iter().find(|meeting| meeting.id == request.params[0]);
    found.ok_or_else(|| Reply::error(404, 122_002, "meeting not exist"))
}

fn was_there(who: Identity, meeting: &Held) -> bool {
    who.user.is_none_or(|user| user == meeting.owner || meeting.attended.contains(&user))
}

/// `GET /vc/v1/meetings/:meeting_id`
pub fn get(state: &mut State, request: &Req<'_>) -> Reply {
    let meeting = match find(state, request) {
        Ok(meeting) => meeting,
        Err(reply) => return reply,
    };
    if state.now() - meeting.start > DAYS * 86_400 {
        return Reply::error(404, 122_002, "meeting not exist");
    }
    if !was_there(request.caller(), meeting) {
        return Reply::error(403, 121_005, "no permission");
    }
    Reply::data(json!({"meeting": {
        "id": meeting.id,
        "topic": meeting.topic,
        "url": format!("https://vc.feishu.cn/j/{}", &meeting.id[..9]),
        "meeting_no": &meeting.id[..9],
        "create_time": meeting.start.to_string(),
        "start_time": meeting.start.to_string(),
        "end_time": (meeting.start + 3600).to_string(),
        "host_user": {"id": state.users[meeting.owner as usize].open_id, "user_type": 1},
        "status": 3,
        "participant_count": (meeting.attended.len() + 1).to_string(),
    }}))
}

/// `GET /vc/v1/meetings/:meeting_id/recording`
pub fn recording(state: &mut State, request: &Req<'_>) -> Reply {
    let meeting = match find(state, request) {
        Ok(meeting) => meeting,
        Err(reply) => return reply,
    };
    // A user may ask for own meetings only, an app for all.
    if request.caller().user.is_some_and(|user| user != meeting.owner) {
        return Reply::error(403, 121_005, "no permission");
    }
    let Some(token) = &meeting.minute else {
        return Reply::error(404, 121_004, "not found");
    };
    if state.now() < meeting.recorded {
        return Reply::error(400, 124_002, "the recording is being generated");
    }
    let minute = state.minutes.all.iter().find(|minute| minute.token == *token);
    Reply::data(json!({"recording": {
        "url": format!("https://meetings.feishu.cn/minutes/{token}"),
        "duration": minute.map_or(0, |minute| minute.duration_ms).to_string(),
    }}))
}

/// `POST /vc/v1/meetings/search`
pub fn search(state: &mut State, request: &Req<'_>) -> Reply {
    let body = request.json;
    let filter = &body["meeting_filter"];
    let wrong = || Reply::error(400, 121_003, "param error");
    let (Ok(organizers), Ok(people), Ok(began), Ok(query)) = (
        minutes::users(state, &filter["organizer_ids"], MOST_USERS),
        minutes::users(state, &filter["participant_ids"], MOST_USERS),
        minutes::window(&filter["start_time"]),
        minutes::words(&body["query"]),
    ) else {
        return wrong();
    };
    let fits = |meeting: &&Held| {
        let there = |user: &UserId| meeting.owner == *user || meeting.attended.contains(user);
        was_there(request.caller(), meeting)
            && meeting.topic.to_lowercase().contains(&query)
            && organizers.as_ref().is_none_or(|owners| owners.contains(&meeting.owner))
            && people.as_ref().is_none_or(|people| people.iter().any(there))
            && began.is_none_or(|(from, to)| (from..=to).contains(&meeting.start))
    };
    let mut found: Vec<&Held> = state.minutes.meetings.iter().filter(fits).collect();
    found.sort_by_key(|meeting| std::cmp::Reverse(meeting.start));
    // The rest is left out, without a word.
    found.truncate(MOST_RESULTS);
    let Some(page) = minutes::cut(state, request, found.len()) else { return wrong() };
    let items = found[page.from..page.to].iter().map(|meeting| {
        json!({"id": meeting.id, "display_info": format!("<h>{}</h>", meeting.topic),
            "meta_data": {"app_link": "", "avatar": "", "description": ""}})
    });
    Reply::data(json!({
        "total": found.len(),
        "items": items.collect::<Vec<_>>(),
        "has_more": page.next.is_some(),
        "page_token": page.next.unwrap_or_default(),
    }))
}
