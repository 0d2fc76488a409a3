//! A stored login as the client's source of tokens: renewed when due or refused, once
//! for all tasks and all processes, on disk before it is used.

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::AuthError;
use super::profiles::Profile;
use crate::clock::Clock;
use crate::feishu::oauth::OAuth;
use crate::feishu::{ApiError, TokenSource};

/// A user's login in a profile.
pub struct StoredLogin {
    // Private fields.
}

impl StoredLogin {
    /// The login of `open_id`, which is there.
    pub fn open(profile: &Profile, open_id: &str, clock: Clock) -> Result<Self, AuthError> {
        let _ = (profile, open_id, clock);
        todo!()
    }
}

impl std::fmt::Debug for StoredLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredLogin").finish_non_exhaustive()
    }
}

impl TokenSource for StoredLogin {
    fn token<'a>(
        &'a self,
        oauth: OAuth<'a>,
        refused: Option<&'a SecretString>,
    ) -> BoxFuture<'a, Result<SecretString, ApiError>> {
        let _ = (oauth, refused);
        todo!()
    }
}
