//! Recordings of meetings (minutes), as tests make them and as people change them.
//! docs: minutes-v1.
//!
//! The pages leave open what a minute shows while it is processed: here it is found and
//! described, and its parts are refused (2091003).

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use super::content::Blob;
use super::ids;
use super::meetings::Held;
use super::permit::Identity;
use super::state::{State, UserId};
use super::tenant::Tenant;

/// Every recording and meeting of the tenant.
#[derive(Debug, Default)]
pub struct Minutes {
    /// Oldest first, the deleted ones too.
    pub all: Vec<Recorded>,
    /// Oldest first.
    pub meetings: Vec<Held>,
    /// Links to media: signature to (recording, expiry in seconds since 1970).
    pub links: HashMap<String, (usize, i64)>,
    /// A search shows so many results and refuses the rest (2094007); `None`: all.
    pub depth: Option<usize>,
    /// The host of the links does not know ranges.
    pub whole_only: bool,
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `minute_token`.
    pub token: String,
    /// Its title.
    pub title: String,
    /// Whose it is.
    pub owner: UserId,
    /// Who else may see it.
    pub attended: Vec<UserId>,
    /// Who may not, whatever else holds.
    pub barred: Vec<UserId>,
    /// Nobody may see it.
    pub closed: bool,
    /// Only its owner may export the transcript.
    pub kept: bool,
    /// Deleted.
    pub deleted: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds.
    pub duration_ms: i64,
    /// Its parts are there from then on, seconds since 1970.
    pub ready: i64,
    /// Content and media type.
    pub media: Option<(Blob, String)>,
    /// Who said what, and when (milliseconds from the beginning).
    pub lines: Vec<(String, i64, String)>,
    /// The service's own words about it.
    pub summary: String,
    /// As the service shows them.
    pub chapters: Vec<Value>,
    /// As the service shows them.
    pub todos: Vec<Value>,
}

impl Recorded {
    /// `mp4` and the like, by the media type.
    pub fn extension(&self) -> &'static str {
        match self.media.as_ref().map(|(_, ty)| ty.as_str()) {
            Some("video/mp4") => "mp4",
            Some("audio/mp4" | "audio/x-m4a") => "m4a",
            Some("audio/mpeg") => "mp3",
            Some("audio/ogg") => "ogg",
            _ => "bin",
        }
    }

    /// In a browser.
    pub fn url(&self) -> String {
        format!("https://demo.feishu.cn/minutes/{}", self.token)
    }

    /// The transcript as an export writes it. The pages do not show its form; this one
    /// has a line for speaker and time, then what was said.
    pub fn written(&self, speakers: bool, times: bool, subtitles: bool) -> String {
        let mut text = String::new();
        for (number, (speaker, start, said)) in self.lines.iter().enumerate() {
            let end = self.lines.get(number + 1).map_or(self.duration_ms, |next| next.1);
            if subtitles {
                let (from, to) = (stamp(*start, ","), stamp(end.max(*start), ","));
                let _ = writeln!(text, "{}\n{from} --> {to}", number + 1);
                let name = if speakers { format!("{speaker}: ") } else { String::new() };
                let _ = writeln!(text, "{name}{said}\n");
            } else {
                let head = [speakers.then(|| speaker.clone()), times.then(|| stamp(*start, "."))];
                let head = head.into_iter().flatten().collect::<Vec<_>>().join(" ");
                let gap = if head.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{head}{gap}{said}\n");
            }
        }
        text
    }
}

/// `00:00:01,500`
fn stamp(ms: i64, point: &str) -> String {
    let (secs, millis) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}{point}{millis:03}", secs / 3600, secs / 60 % 60, secs % 60)
}

impl State {
    /// True where `who` may see a recording.
    pub fn may_see(&self, who: Identity, minute: &Recorded) -> bool {
        let invited = match who.user {
            Some(user) => {
                (user == minute.owner || minute.attended.contains(&user))
                    && !minute.barred.contains(&user)
            }
            None => self.knobs.app_sees_everything,
        };
        invited && !minute.closed
    }
}

/// A recording, as tests hold it. Clones point at the same one.
#[derive(Debug, Clone)]
pub struct Minute {
    tenant: Tenant,
    at: usize,
}

impl Tenant {
    /// Adds a recording that a user owns: an hour long, ready, with nothing in it, made a
    /// while ago.
    pub fn minute(&self, title: &str, owner: &str) -> Minute {
        let owner = self.user(owner);
        let mut state = self.lock();
        let (at, created_ms) = (state.minutes.all.len(), state.past() * 1000);
        state.minutes.all.push(Recorded {
            token: format!("obcn{:020}", ids::scramble(at as u64 + 0x00B5_E4ED)),
            title: title.to_owned(),
            owner,
            attended: Vec::new(),
            barred: Vec::new(),
            closed: false,
            kept: false,
            deleted: false,
            created_ms,
            duration_ms: 3_600_000,
            ready: 0,
            media: None,
            lines: Vec::new(),
            summary: String::new(),
            chapters: Vec::new(),
            todos: Vec::new(),
        });
        drop(state);
        Minute { tenant: self.clone(), at }
    }

    /// How many results a search for recordings shows before it refuses the rest.
    /// Default: all; no page tells the number.
    pub fn search_depth(&self, results: usize) -> &Self {
        self.lock().minutes.depth = Some(results);
        self
    }

    /// Whether the host of links to recordings knows ranges. Default: yes; no page tells.
    pub fn minute_ranges(&self, yes: bool) -> &Self {
        self.lock().minutes.whole_only = !yes;
        self
    }
}

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl Minute {
    fn fill(self, change: impl FnOnce(&mut Recorded)) -> Self {
        self.change(change);
        self
    }

    fn change(&self, change: impl FnOnce(&mut Recorded)) -> &Self {
        change(&mut self.tenant.lock().minutes.all[self.at]);
        self
    }

    /// Its `minute_token`.
    pub fn token(&self) -> String {
        self.tenant.lock().minutes.all[self.at].token.clone()
    }

    // Filling what was just made.

    /// Lets a user see it, as those who were there do.
    pub fn attended_by(self, user: &str) -> Self {
        let user = self.tenant.user(user);
        self.fill(|minute| minute.attended.push(user))
    }

    /// When it was made, seconds since 1970.
    pub fn made_at(self, secs: i64) -> Self {
        self.fill(|minute| minute.created_ms = secs * 1000)
    }

    /// How long it is, in milliseconds.
    pub fn lasting(self, ms: i64) -> Self {
        self.fill(|minute| minute.duration_ms = ms)
    }

    /// Its audio or video, of a media type like `video/mp4`.
    pub fn media(self, bytes: impl Into<Bytes>, media_type: &str) -> Self {
        let blob = Blob::Bytes(bytes.into());
        self.fill(|minute| minute.media = Some((blob, media_type.to_owned())))
    }

    /// Audio or video of so many bytes, computed while it is read.
    pub fn media_sized(self, len: u64, media_type: &str) -> Self {
        let seed = ids::scramble(self.at as u64 ^ 0x3ED1A);
        let blob = Blob::Pattern { seed, len };
        self.fill(|minute| minute.media = Some((blob, media_type.to_owned())))
    }

    /// Its transcript: who said what, and when (milliseconds from the beginning).
    pub fn transcript(self, lines: &[(&str, i64, &str)]) -> Self {
        self.respeak(lines);
        self
    }

    /// The service's summary of it.
    pub fn summary(self, text: &str) -> Self {
        self.fill(|minute| text.clone_into(&mut minute.summary))
    }

    /// Adds a chapter; times in milliseconds from the beginning.
    pub fn chapter(self, title: &str, start_ms: i64, stop_ms: i64, summary: &str) -> Self {
        let chapter = json!({"title": title, "start_ms": start_ms.to_string(),
            "stop_ms": stop_ms.to_string(), "summary_content": summary});
        self.fill(|minute| minute.chapters.push(chapter))
    }

    /// Adds something to be done by somebody.
    pub fn todo(self, content: &str, who: &[&str]) -> Self {
        let todo = json!({"content": content, "assignees": who});
        self.fill(|minute| minute.todos.push(todo))
    }

    /// Its parts are there from then on, seconds since 1970.
    pub fn processing_until(self, secs: i64) -> Self {
        self.fill(|minute| minute.ready = secs)
    }

    // What people do to it.

    /// Gives it another title.
    pub fn rename(&self, title: &str) -> &Self {
        self.change(|minute| title.clone_into(&mut minute.title))
    }

    /// Corrects the transcript.
    pub fn respeak(&self, lines: &[(&str, i64, &str)]) -> &Self {
        let line =
            |(who, at, what): &(&str, i64, &str)| ((*who).to_owned(), *at, (*what).to_owned());
        self.change(|minute| minute.lines = lines.iter().map(line).collect())
    }

    /// Deletes it.
    pub fn delete(&self) -> &Self {
        self.change(|minute| minute.deleted = true)
    }

    /// Hides it from everybody, its owner too.
    pub fn forbid(&self) -> &Self {
        self.change(|minute| minute.closed = true)
    }

    /// Hides it from a user.
    pub fn forbid_for(&self, user: &str) -> &Self {
        let user = self.tenant.user(user);
        self.change(|minute| minute.barred.push(user))
    }

    /// Lets only its owner export the transcript.
    pub fn keep_transcript(&self) -> &Self {
        self.change(|minute| minute.kept = true)
    }
}
