//! Meetings: which ones a user had, and the minute that a meeting's recording became.
//!
//! The second way to recordings besides [`Client::list_minutes`]: it finds those of
//! meetings that the user owns where somebody else owns the minute.

use std::ops::Range;

use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::error::ApiError;
use super::minutes::minute_token;
use super::quota::Endpoint;
use super::{Client, Listed, windows, wire};

const SEARCH: Endpoint = Endpoint::named("POST /open-apis/vc/v1/meetings/search");
const MEETING: Endpoint = Endpoint::named("GET /open-apis/vc/v1/meetings/:meeting_id");
const RECORDING: Endpoint = Endpoint::named("GET /open-apis/vc/v1/meetings/:meeting_id/recording");

/// The largest page of a search (docs: vc-v1/meeting/search).
const PAGE_SIZE: &str = "30";
/// A search shows so many results, and says nothing of the rest (docs: vc-v1/meeting/search).
const MOST_RESULTS: usize = 150;
/// There is no recording (docs: vc-v1/meeting-recording/get).
const NO_RECORDING: i64 = 121_004;

/// A meeting as a search shows it: besides its id there are only texts for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMeeting {
    /// A decimal number as text; not the nine digits that people dial.
    pub id: String,
}

/// Which meetings to look for; the default: all that the user may see. Lists hold
/// `open_id`s, at most 128 each (docs: vc-v1/meeting/search).
#[derive(Debug, Clone, Default)]
pub struct MeetingFilter {
    /// Words in its topic.
    pub text: String,
    /// Organised by one of these.
    pub organizers: Vec<String>,
    /// Attended by one of these.
    pub participants: Vec<String>,
}

/// A meeting; times in seconds since 1970. docs: vc-v1/meeting/get
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// A decimal number as text.
    pub id: String,
    /// Its topic; empty where it has none.
    pub topic: String,
    /// When it began.
    pub start_secs: Option<i64>,
    /// When it ended; `None` while it goes on.
    pub end_secs: Option<i64>,
    /// The host's `open_id`.
    pub host: Option<String>,
    /// 1: being called, 2: going on, 3: ended.
    pub status: Option<i64>,
    /// The notes that the service wrote about it.
    pub note_id: Option<String>,
}

/// A meeting's recording. docs: vc-v1/meeting-recording/get
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The token of its minute; `None` where the link leads to something else.
    pub minute: Option<String>,
    /// In a browser.
    pub url: String,
    /// Milliseconds.
    pub duration_ms: Option<i64>,
}

impl Client {
    /// Every meeting that began in a window of time (seconds since 1970), that the user
    /// may see and that fits; what began at the very end may be in it or not. Only a
    /// user's token may ask (docs: vc-v1/meeting/search).
    ///
    /// # Errors
    /// A list is whole or an error: windows with too many results are asked for in parts.
    pub async fn list_meetings(
        &self,
        began: Range<i64>,
        filter: &MeetingFilter,
    ) -> Result<Listed<FoundMeeting>, ApiError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(deserialize_with = "wire::token")]
            id: String,
        }
        let call = |window: &Range<i64>| {
            let mut wanted = json!({"start_time": windows::span(window)});
            for (name, ids) in
                [("organizer_ids", &filter.organizers), ("participant_ids", &filter.participants)]
            {
                if !ids.is_empty() {
                    wanted[name] = json!(ids);
                }
            }
            Call::new(SEARCH, &[])
                .query("user_id_type", "open_id")
                .query("page_size", PAGE_SIZE)
                .body(json!({"query": filter.text, "meeting_filter": wanted}))
        };
        let convert = |found: Found| FoundMeeting { id: found.id };
        let most = Some(MOST_RESULTS);
        self.inner.search_windows(began, most, call, convert, |found| &found.id).await
    }

    /// What a meeting of the last 90 days was.
    ///
    /// # Errors
    /// [`super::Class::Gone`]: there is no such meeting, or it is too long ago.
    pub async fn get_meeting(&self, id: &str) -> Result<Meeting, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            meeting: Raw,
        }
        #[derive(Deserialize)]
        struct Raw {
            #[serde(deserialize_with = "wire::token")]
            id: String,
            #[serde(default, deserialize_with = "wire::text")]
            topic: Option<String>,
            #[serde(default, deserialize_with = "wire::number")]
            start_time: Option<i64>,
            #[serde(default, deserialize_with = "wire::number")]
            end_time: Option<i64>,
            #[serde(default)]
            host_user: Option<Host>,
            #[serde(default, deserialize_with = "wire::number")]
            status: Option<i64>,
            #[serde(default, deserialize_with = "wire::text")]
            note_id: Option<String>,
        }
        #[derive(Deserialize)]
        struct Host {
            #[serde(default, deserialize_with = "wire::text")]
            id: Option<String>,
        }
        let path = [id];
        let call = Call::new(MEETING, &path).query("user_id_type", "open_id");
        let raw = self.inner.call::<Data>(&call).await?.0.meeting;
        let time = |secs: Option<i64>| secs.filter(|secs| *secs > 0);
        Ok(Meeting {
            id: raw.id,
            topic: raw.topic.unwrap_or_default(),
            start_secs: time(raw.start_time),
            end_secs: time(raw.end_time),
            host: raw.host_user.and_then(|host| host.id),
            status: raw.status,
            note_id: raw.note_id,
        })
    }

    /// The recording of a meeting; `None` where it was not recorded. A user may ask for
    /// meetings they own, an app for any of its tenant.
    ///
    /// # Errors
    /// [`ApiError::is_processing`]: it is still being made. [`super::Class::Forbidden`]:
    /// the meeting is somebody else's.
    pub async fn get_recording(&self, meeting: &str) -> Result<Option<Recording>, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            recording: Option<Raw>,
        }
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default, deserialize_with = "wire::text")]
            url: Option<String>,
            #[serde(default, deserialize_with = "wire::number")]
            duration: Option<i64>,
        }
        let path = [meeting];
        let raw = match self.inner.call::<Data>(&Call::new(RECORDING, &path)).await {
            Err(error) if error.code == Some(NO_RECORDING) => None,
            got => got?.0.recording,
        };
        Ok(raw.and_then(|raw| {
            let url = raw.url?;
            Some(Recording { minute: minute_token(&url), url, duration_ms: raw.duration })
        }))
    }
}
