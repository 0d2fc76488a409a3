//! The device flow (RFC 8628): how often to ask, when to stop, and the note that the
//! first step leaves for the second.
//!
//! The flow is in no official page; both public clients agree on it (client:
//! larksuite/cli `internal/auth/device_flow.go`). The registration of an app in the browser
//! waits in the same way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{AuthError, files};
use crate::feishu::oauth::Poll;
use crate::feishu::{ApiError, Class};

/// Between two polls where nobody says how long (RFC 8628, 3.2).
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long a code is good where nobody says (client: larksuite/cli `device_flow.go`).
pub const EXPIRES_IN: Duration = Duration::from_secs(240);

/// No pause between two polls grows beyond this (client: the same).
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// Nobody waits longer for a person, whatever the service says.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The pause between two polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(Duration);

impl Pace {
    /// As the service asks; never none at all.
    pub fn new(interval: Duration) -> Self {
        Self(if interval.is_zero() { INTERVAL } else { interval.min(MAX_INTERVAL) })
    }

    /// The service said `slow_down`: 5 seconds more from now on (RFC 8628, 3.5).
    pub fn slow_down(&mut self) {
        self.0 = (self.0 + Duration::from_secs(5)).min(MAX_INTERVAL);
    }

    /// The network, or the service behind it, is in trouble.
    pub fn trouble(&mut self) {
        self.0 = (self.0 + Duration::from_secs(1)).min(MAX_INTERVAL);
    }

    /// The pause.
    pub fn pause(self) -> Duration {
        self.0
    }
}

/// Why waiting ended without a result.
#[derive(Debug)]
pub enum Ended {
    /// The person said no.
    Denied,
    /// The code is no longer good; with what was in the way last, if something was.
    Expired(Option<ApiError>),
    /// No further poll would help.
    Failed(ApiError),
}

/// Polls until the person decides or the code expires.
///
/// `first_at_once`: the person had time already, so the first poll does not wait.
/// `trouble` hears of the first of several failures in a row that are waited out.
pub async fn wait<T>(
    pace: Pace,
    expires_in: Duration,
    first_at_once: bool,
    mut poll: impl AsyncFnMut() -> Result<Poll<T>, ApiError>,
    mut trouble: impl FnMut(&ApiError),
) -> Result<T, Ended> {
    let deadline = Instant::now() + expires_in.min(MAX_WAIT);
    let mut pace = pace;
    let mut next = Instant::now() + if first_at_once { Duration::ZERO } else { pace.pause() };
    let mut last: Option<ApiError> = None;
    while next < deadline {
        sleep_until(next).await;
        // A poll that hangs does not outlive the code.
        let Ok(answer) = timeout_at(deadline, poll()).await else { break };
        match answer {
            Ok(Poll::Done(result)) => return Ok(result),
            Ok(Poll::Denied) => return Err(Ended::Denied),
            Ok(Poll::Expired) => return Err(Ended::Expired(None)),
            Ok(Poll::Pending) => last = None,
            Ok(Poll::SlowDown) => {
                pace.slow_down();
                last = None;
            }
            Err(error) if passes(&error) => {
                pace.trouble();
                if last.is_none() {
                    trouble(&error);
                }
                last = Some(error);
            }
            Err(error) => return Err(Ended::Failed(error)),
        }
        next = Instant::now() + pace.pause();
    }
    sleep_until(deadline).await;
    Err(Ended::Expired(last))
}

/// A wrong secret stays wrong; everything that may be the network's, a proxy's or the
/// service's bad minute is waited out.
fn passes(error: &ApiError) -> bool {
    matches!(error.class, Class::Transient | Class::Unreachable | Class::Unexpected)
}

/// What the first step leaves for the second one, in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstStep {
    /// Asked for.
    pub scopes: Vec<String>,
    /// Between two polls.
    pub interval_secs: u64,
    /// The code's end, in seconds since 1970.
    pub expires_at: i64,
}

/// Where the note about a device code lies. The code itself is a secret, so its hash is
/// the name.
fn note(profile: &Path, device_code: &str) -> PathBuf {
    let hash = blake3::hash(device_code.as_bytes()).to_hex();
    profile.join("device").join(format!("{}.json", &hash[..32]))
}

impl FirstStep {
    /// Leaves the note, and removes those whose code has expired.
    ///
    /// `profile`: the profile's folder.
    pub fn leave(&self, profile: &Path, device_code: &str, now_secs: i64) -> Result<(), AuthError> {
        let file = note(profile, device_code);
        let folder = file.parent().expect("it was joined");
        files::make_folder(folder)?;
        for old in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = old.path();
            let is_note = path.extension().is_some_and(|end| end == "json");
            // One that cannot be read is nobody's second step any more.
            if is_note
                && !files::read::<Self>(&path)
                    .is_ok_and(|note| note.is_some_and(|note| note.expires_at > now_secs))
            {
                files::remove(&path)?;
            }
        }
        files::replace(&file, self)
    }

    /// Finds the note.
    pub fn find(profile: &Path, device_code: &str) -> Result<Option<Self>, AuthError> {
        files::read(&note(profile, device_code))
    }

    /// Removes the note: the code is spent.
    pub fn remove(profile: &Path, device_code: &str) -> Result<(), AuthError> {
        files::remove(&note(profile, device_code))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_code_that_is_good_for_ever_is_waited_for_an_hour() {
        let begun = Instant::now();
        let poll = async || Ok(Poll::<()>::Pending);
        let came = wait(Pace::new(Duration::MAX), Duration::MAX, false, poll, |_| {}).await;
        assert!(matches!(came, Err(Ended::Expired(None))), "{came:?}");
        assert_eq!(begun.elapsed(), MAX_WAIT);
    }

    fn failure(class: Class) -> ApiError {
        ApiError {
            class,
            endpoint: "POST /oauth/token",
            code: None,
            status: None,
            message: "the connection broke".to_owned(),
            hint: None,
        }
    }

    /// Plays the answers, and pending ones after them; returns how it ended, when each
    /// poll came, and how many troubles were told.
    async fn play(
        answers: Vec<Result<Poll<u8>, ApiError>>,
        first_at_once: bool,
    ) -> (Result<u8, Ended>, Vec<u64>, usize) {
        let (begun, mut times, mut troubles) = (Instant::now(), Vec::new(), 0);
        let mut answers = VecDeque::from(answers);
        let poll = async || {
            times.push(begun.elapsed().as_secs());
            answers.pop_front().unwrap_or(Ok(Poll::Pending))
        };
        let length = Duration::from_secs(240);
        let ended = wait(Pace::new(INTERVAL), length, first_at_once, poll, |_| troubles += 1).await;
        (ended, times, troubles)
    }

    #[tokio::test(start_paused = true)]
    async fn it_asks_as_often_as_it_may() {
        let answers =
            vec![Ok(Poll::Pending), Ok(Poll::SlowDown), Ok(Poll::Pending), Ok(Poll::Done(7))];
        let (ended, times, _) = play(answers, false).await;
        assert_eq!((ended.unwrap(), times), (7, vec![5, 10, 20, 30]));

        let (ended, times, _) = play(vec![Ok(Poll::Done(1))], true).await;
        assert_eq!((ended.unwrap(), times), (1, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_and_an_expiry_end_it() {
        let (ended, times, _) = play(vec![Ok(Poll::Pending), Ok(Poll::Denied)], false).await;
        assert!(matches!(ended, Err(Ended::Denied)));
        assert_eq!(times, [5, 10]);
        let (ended, times, _) = play(vec![Ok(Poll::Expired)], false).await;
        assert!(matches!(ended, Err(Ended::Expired(None))));
        assert_eq!(times.len(), 1);

        let begun = Instant::now();
        let (ended, times, _) = play(vec![], false).await;
        assert!(matches!(ended, Err(Ended::Expired(None))));
        assert_eq!((times.len(), begun.elapsed().as_secs()), (47, 240));
    }

    /// A laptop that sleeps through a change of networks is logged in all the same.
    #[tokio::test(start_paused = true)]
    async fn trouble_is_waited_out_and_told_once() {
        let broken = || Err(failure(Class::Unreachable));
        let answers = vec![broken(), broken(), Ok(Poll::Pending), broken(), Ok(Poll::Done(3))];
        let (ended, times, troubles) = play(answers, false).await;
        assert_eq!((ended.unwrap(), times, troubles), (3, vec![5, 11, 18, 25, 33], 2));

        let answers = (0..100).map(|_| Err(failure(Class::Transient))).collect();
        let (ended, _, _) = play(answers, false).await;
        assert!(matches!(ended, Err(Ended::Expired(Some(_)))));

        let (ended, times, _) = play(vec![Err(failure(Class::Config))], false).await;
        assert!(matches!(ended, Err(Ended::Failed(_))));
        assert_eq!(times.len(), 1, "a wrong secret stays wrong");
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_hangs_does_not_outlive_the_code() {
        let begun = Instant::now();
        let poll = async || std::future::pending::<Result<Poll<u8>, ApiError>>().await;
        let ended = wait(Pace::new(INTERVAL), Duration::from_secs(30), false, poll, |_| {}).await;
        assert!(matches!(ended, Err(Ended::Expired(None))));
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[test]
    fn the_pace_has_limits() {
        let mut pace = Pace::new(Duration::ZERO);
        assert_eq!(pace.pause().as_secs(), 5);
        for _ in 0..20 {
            pace.slow_down();
        }
        pace.trouble();
        assert_eq!(pace.pause().as_secs(), 60);
        assert_eq!(Pace::new(Duration::from_secs(900)).pause().as_secs(), 60);
    }

    #[test]
    fn the_name_of_a_note_does_not_tell_the_code() {
        let (a, b) = (note(Path::new("/p"), "secret-1"), note(Path::new("/p"), "secret-2"));
        assert!(a != b && !a.display().to_string().contains("secret"));
    }
}
