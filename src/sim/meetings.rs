//! Meetings, with a recording or without one. docs: vc-v1/meeting,
//! vc-v1/meeting-recording.

use super::ids;
use super::minutes::Minute;
use super::state::UserId;
use super::tenant::Tenant;

/// A meeting that was held.
#[derive(Debug, Clone)]
pub struct Held {
    /// A decimal number as text.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Whose it is.
    pub owner: UserId,
    /// Who else was there.
    pub attended: Vec<UserId>,
    /// Seconds since 1970.
    pub start: i64,
    /// The token of the minute that its recording became.
    pub minute: Option<String>,
    /// The recording is there from then on, seconds since 1970.
    pub recorded: i64,
}

/// A meeting, as tests hold it. Clones point at the same one.
#[derive(Debug, Clone)]
pub struct Meeting {
    tenant: Tenant,
    at: usize,
}

impl Tenant {
    /// Adds a meeting of a user, an hour long, that nobody recorded.
    pub fn meeting(&self, topic: &str, owner: &str) -> Meeting {
        let owner = self.user(owner);
        let mut state = self.lock();
        let (at, start) = (state.minutes.meetings.len(), state.past());
        state.minutes.meetings.push(Held {
            id: format!("{}", 6_000_000_000_000_000_000 + (ids::scramble(at as u64 + 9) >> 4)),
            topic: topic.to_owned(),
            owner,
            attended: Vec::new(),
            start,
            minute: None,
            recorded: 0,
        });
        drop(state);
        Meeting { tenant: self.clone(), at }
    }
}

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl Meeting {
    fn fill(self, change: impl FnOnce(&mut Held)) -> Self {
        change(&mut self.tenant.lock().minutes.meetings[self.at]);
        self
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.tenant.lock().minutes.meetings[self.at].id.clone()
    }

    /// Adds somebody who was there.
    pub fn attended_by(self, user: &str) -> Self {
        let user = self.tenant.user(user);
        self.fill(|meeting| meeting.attended.push(user))
    }

    /// When it began, seconds since 1970.
    pub fn began_at(self, secs: i64) -> Self {
        self.fill(|meeting| meeting.start = secs)
    }

    /// Its recording became this minute.
    pub fn recorded_as(self, minute: &Minute) -> Self {
        let token = minute.token();
        self.fill(|meeting| meeting.minute = Some(token))
    }

    /// Its recording is being made until then, seconds since 1970.
    pub fn recording_ready_at(self, secs: i64) -> Self {
        self.fill(|meeting| meeting.recorded = secs)
    }
}
