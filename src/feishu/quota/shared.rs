//! One quota, several processes: who else is there, and what that means.
//!
//! A limit counts the calls of an app, so each of n processes takes an nth part of every
//! rate. Nobody sends heartbeats. Before a call, a process whose last look is older than
//! [`LOOK`] looks who is there ([`QuotaKeeper::users`], some microseconds), so its calls
//! never rest on an older view:
//!
//! - A newcomer finds others, and sends nothing before they must have noticed it; nor has
//!   it a burst to begin with. Alone, it begins at once.
//! - Where somebody has gone, their calls still count for the rest of a window: the others
//!   take that part a window later.
//!
//! So the sum stays within every limit of as many calls a window as there are processes.
//! Start at [`Crowd`].

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::kept::Kept;
use super::table::MINUTE;

/// How old a look at the others may be.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Until the calls of one who has gone are out of every window.
const GONE: Duration = MINUTE.saturating_add(LOOK);

/// Between two exchanges with what is kept. Meanwhile two processes make at most a
/// hundred downloads that the other one does not know of; a day has 500 to spare.
pub(super) const EXCHANGE: Duration = Duration::from_secs(10);

/// Where the processes of an app meet, and what outlives them.
///
/// `auth` implements it over files; the client knows none.
pub trait QuotaKeeper: Send + Sync + fmt::Debug {
    /// Processes that use the quota now, this one included, which from the first call on
    /// is one of them. Quick.
    fn users(&self) -> usize;

    /// What is kept; nothing where there is none yet, or none that can be read.
    fn load(&self) -> Kept;

    /// Reads, changes and, where `change` says that it did, replaces what is kept while
    /// nobody else does. Waits for the disk. Returns what is kept from now on.
    ///
    /// # Errors
    /// Where it cannot be written; it is then as before.
    fn exchange(&self, change: &mut dyn FnMut(&mut Kept) -> bool) -> io::Result<Kept>;
}

/// How many share the quota, as far as this process goes by.
#[derive(Debug)]
pub(super) struct Crowd {
    users: usize,
    /// Since when there are fewer, and the most of these.
    fewer: Option<(Instant, usize)>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { users: 1, fewer: None }
    }
}

impl Crowd {
    pub(super) fn users(&self) -> usize {
        self.users
    }

    /// More count at once, fewer once what the others called has left every window.
    pub(super) fn see(&mut self, users: usize, now: Instant) {
        let users = users.max(1);
        if users >= self.users {
            (self.users, self.fewer) = (users, None);
            return;
        }
        let (since, most) = self.fewer.get_or_insert((now, users));
        *most = users.max(*most);
        if now.saturating_duration_since(*since) >= GONE {
            (self.users, self.fewer) = (*most, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn more_count_at_once_and_fewer_a_window_later() {
        let start = Instant::now();
        let mut crowd = Crowd::default();
        // Seconds, seen, users from then on.
        let story = [
            (0, 1, 1),
            (1, 3, 3),
            (2, 2, 3),
            (30, 1, 3),
            (62, 1, 3),
            (63, 1, 2),
            (64, 2, 2),
            (65, 1, 2),
            (125, 1, 2),
            (126, 1, 1),
        ];
        for (second, seen, users) in story {
            crowd.see(seen, start + Duration::from_secs(second));
            assert_eq!(crowd.users(), users, "at {second} s");
        }
    }
}
