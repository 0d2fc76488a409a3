//! One user's login: tokens, their ends, what was granted. Times in seconds since 1970.

use secrecy::SecretString;

use crate::feishu::UserInfo;
use crate::feishu::oauth::Grant;

/// Refreshing stops so long after the person agreed (docs:
/// authentication-management/access-token/refresh-user-access-token).
pub const GRANT_SECS: i64 = 365 * 86_400;

/// The end of a grant is announced so long before.
pub const WARN_SECS: i64 = 14 * 86_400;

/// A stored login.
#[derive(Debug, Clone)]
pub struct Login {
    /// Names the user to this app.
    pub open_id: String,
    /// The person's name.
    pub name: String,
    /// The tenant.
    pub tenant_key: Option<String>,
    /// To call with.
    pub access_token: SecretString,
    /// Its end.
    pub expires_at: i64,
    /// Good for one renewal.
    pub refresh_token: Option<SecretString>,
    /// Its end.
    pub refresh_expires_at: Option<i64>,
    /// When the person agreed; renewals do not move it.
    pub granted_at: i64,
    /// Granted scopes, separated by spaces.
    pub scope: String,
}

/// How good an access token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's own words")]
pub enum TokenStatus {
    Valid,
    NeedsRefresh,
    Expired,
}

/// Whether a person has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's own words")]
pub enum Health {
    Healthy,
    MissingRefreshToken,
    NeedsRelogin,
}

impl Login {
    /// A login as it begins.
    pub fn new(user: UserInfo, grant: Grant, now_secs: i64) -> Self {
        let _ = (user, grant, now_secs);
        todo!()
    }

    /// The same user with what a renewal brought. A reply without a refresh token
    /// leaves none: the old one is spent.
    #[must_use]
    pub fn renewed(&self, grant: Grant, now_secs: i64) -> Self {
        let _ = (grant, now_secs);
        todo!()
    }

    /// `Valid` while the access token is not due; `NeedsRefresh` where a refresh token
    /// can renew it; else `Expired`.
    pub fn status(&self, now_secs: i64) -> TokenStatus {
        let _ = now_secs;
        todo!()
    }

    /// See [`Health`].
    pub fn health(&self, now_secs: i64) -> Health {
        let _ = now_secs;
        todo!()
    }

    /// The end of the 365 days, where refreshing stops.
    pub fn grant_ends_at(&self) -> i64 {
        self.granted_at + GRANT_SECS
    }

    /// True where the refresh token, if there is one, is not past its end.
    pub fn refresh_is_valid(&self, now_secs: i64) -> bool {
        let _ = now_secs;
        todo!()
    }

    /// Words of warning: the grant ends soon, there is no refresh token.
    pub fn warning(&self, now_secs: i64) -> Option<String> {
        let _ = now_secs;
        todo!()
    }

    /// Granted scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split_whitespace()
    }
}
