//! One user's login: tokens, their ends, what was granted. Times in seconds since 1970.
//!
//! Pure but for its JSON form, `LoginFile`, which nobody outside `auth` sees.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::feishu::UserInfo;
use crate::feishu::oauth::Grant;

/// Refreshing stops so long after the person agreed (docs:
/// authentication-management/access-token/refresh-user-access-token).
pub const GRANT_SECS: i64 = 365 * 86_400;

/// The end of a grant is announced so long before.
pub const WARN_SECS: i64 = 14 * 86_400;

/// An access token is renewed so long before its end, or for the second half of its
/// life where that is shorter: long enough for a call that waits for its turn.
const DUE_SECS: i64 = 5 * 60;

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
    /// When it was asked for.
    pub obtained_at: i64,
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
    /// A login as it begins. `now_secs` is when it was asked for, so that what the
    /// service and the way took counts as used.
    pub fn new(user: UserInfo, grant: Grant, now_secs: i64) -> Self {
        Self {
            open_id: user.open_id,
            name: user.name,
            tenant_key: user.tenant_key,
            access_token: grant.access_token,
            obtained_at: now_secs,
            expires_at: now_secs.saturating_add(grant.expires_in),
            refresh_token: grant.refresh_token,
            refresh_expires_at: grant.refresh_expires_in.map(|secs| now_secs.saturating_add(secs)),
            granted_at: now_secs,
            scope: grant.scope,
        }
    }

    /// The same user with what a renewal brought. A reply without a refresh token
    /// leaves none: the old one is spent.
    #[must_use]
    pub fn renewed(&self, grant: Grant, now_secs: i64) -> Self {
        let user = UserInfo {
            name: self.name.clone(),
            open_id: self.open_id.clone(),
            union_id: None,
            tenant_key: self.tenant_key.clone(),
        };
        let mut renewed = Self::new(user, grant, now_secs);
        renewed.granted_at = self.granted_at;
        if renewed.scopes().next().is_none() {
            // A reply that does not say so changes nothing (RFC 6749, section 5.1).
            renewed.scope.clone_from(&self.scope);
        }
        renewed
    }

    /// True where the access token should be renewed before it is used again.
    pub fn is_due(&self, now_secs: i64) -> bool {
        let life = self.expires_at.saturating_sub(self.obtained_at);
        let left = self.expires_at.saturating_sub(now_secs);
        left <= 0 || left < DUE_SECS.min(life / 2)
    }

    /// True where the access token is past its end.
    pub fn is_expired(&self, now_secs: i64) -> bool {
        now_secs >= self.expires_at
    }

    /// `Valid` while the access token is not due; `NeedsRefresh` where a refresh token
    /// can renew it; else `Expired`.
    pub fn status(&self, now_secs: i64) -> TokenStatus {
        if !self.is_due(now_secs) {
            TokenStatus::Valid
        } else if self.refresh_is_valid(now_secs) {
            TokenStatus::NeedsRefresh
        } else {
            TokenStatus::Expired
        }
    }

    /// See [`Health`].
    pub fn health(&self, now_secs: i64) -> Health {
        if self.refresh_is_valid(now_secs) {
            Health::Healthy
        } else if self.refresh_token.is_none() && !self.is_expired(now_secs) {
            Health::MissingRefreshToken
        } else {
            Health::NeedsRelogin
        }
    }

    /// The end of the 365 days, where refreshing stops.
    pub fn grant_ends_at(&self) -> i64 {
        self.granted_at + GRANT_SECS
    }

    /// True where there is a refresh token that is not past its end or its grant's.
    pub fn refresh_is_valid(&self, now_secs: i64) -> bool {
        let end = self.grant_ends_at();
        let end = self.refresh_expires_at.map_or(end, |own| own.min(end));
        self.refresh_token.is_some() && now_secs < end
    }

    /// Words of warning: the grant ends soon, there is no refresh token.
    pub fn warning(&self, now_secs: i64) -> Option<String> {
        let name = &self.name;
        if self.refresh_token.is_none() && !self.is_expired(now_secs) {
            let minutes = (self.expires_at - now_secs).div_euclid(60);
            return Some(format!(
                "the login of {name} cannot be renewed and ends in {minutes} min: it has no \
                 refresh token. Add the scope offline_access to the app, switch on \"refresh \
                 user_access_token\" under Security Settings (安全设置) in the developer \
                 console, publish a version, log in again"
            ));
        }
        if !self.refresh_is_valid(now_secs) {
            return Some(format!("the login of {name} has ended: log in again"));
        }
        let left = self.grant_ends_at() - now_secs;
        (left <= WARN_SECS).then(|| {
            let days = left.div_euclid(86_400);
            let when = match days {
                0 => "today".to_owned(),
                1 => "in 1 day".to_owned(),
                days => format!("in {days} days"),
            };
            format!("the login of {name} ends {when}, 365 days after it was granted: log in again")
        })
    }

    /// Granted scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split_whitespace()
    }
}

/// The format that this program writes, and the newest one that it reads.
pub(super) const LOGIN_VERSION: u32 = 1;

/// A login as its file has it. Has no `Debug`: the secrets are bare here.
#[derive(Serialize, Deserialize)]
pub(super) struct LoginFile {
    version: u32,
    /// The app that the tokens were handed out to; to another one they are of no use.
    pub(super) app_id: String,
    open_id: String,
    #[serde(default)]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_key: Option<String>,
    access_token: String,
    obtained_at: i64,
    expires_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_expires_at: Option<i64>,
    granted_at: i64,
    #[serde(default)]
    scope: String,
}

impl LoginFile {
    pub(super) fn new(login: &Login, app_id: &str) -> Self {
        let bare = |secret: &SecretString| secret.expose_secret().to_owned();
        Self {
            version: LOGIN_VERSION,
            app_id: app_id.to_owned(),
            open_id: login.open_id.clone(),
            name: login.name.clone(),
            tenant_key: login.tenant_key.clone(),
            access_token: bare(&login.access_token),
            obtained_at: login.obtained_at,
            expires_at: login.expires_at,
            refresh_token: login.refresh_token.as_ref().map(bare),
            refresh_expires_at: login.refresh_expires_at,
            granted_at: login.granted_at,
            scope: login.scope.clone(),
        }
    }
}

impl From<LoginFile> for Login {
    fn from(file: LoginFile) -> Self {
        Self {
            open_id: file.open_id,
            name: file.name,
            tenant_key: file.tenant_key,
            access_token: file.access_token.into(),
            obtained_at: file.obtained_at,
            expires_at: file.expires_at,
            refresh_token: file.refresh_token.map(SecretString::from),
            refresh_expires_at: file.refresh_expires_at,
            granted_at: file.granted_at,
            scope: file.scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_700_000_000;

    fn grant(expires_in: i64, refresh: bool) -> Grant {
        Grant {
            access_token: "u-1".into(),
            expires_in,
            refresh_token: refresh.then(|| "ur-1".into()),
            refresh_expires_in: refresh.then_some(7 * DAY),
            scope: "drive:drive offline_access".to_owned(),
        }
    }

    fn login(expires_in: i64, refresh: bool) -> Login {
        let user = UserInfo {
            name: "Li Lei".to_owned(),
            open_id: "ou_1".to_owned(),
            union_id: None,
            tenant_key: Some("t1".to_owned()),
        };
        Login::new(user, grant(expires_in, refresh), NOW)
    }

    #[test]
    fn a_token_is_due_five_minutes_early_or_in_its_second_half() {
        let cases = [
            // lives, left, due
            (7200, 7200, false),
            (7200, 300, false),
            (7200, 299, true),
            (7200, 0, true),
            (7200, -5, true),
            (120, 120, false),
            (120, 60, false),
            (120, 59, true),
            (1, 1, false),
            (0, 0, true),
        ];
        for (lives, left, due) in cases {
            let got = login(lives, true).is_due(NOW + lives - left);
            assert_eq!(got, due, "{left} s of {lives} left");
        }
    }

    #[test]
    fn status_and_health_say_what_a_person_has_to_do() {
        use Health::{Healthy, MissingRefreshToken, NeedsRelogin};
        use TokenStatus::{Expired, NeedsRefresh, Valid};
        let cases = [
            // refresh token, after, status, health
            (true, 0, Valid, Healthy),
            (true, 7200 - 299, NeedsRefresh, Healthy),
            (true, 7200, NeedsRefresh, Healthy),
            (true, 7 * DAY - 1, NeedsRefresh, Healthy),
            (true, 7 * DAY, Expired, NeedsRelogin),
            (false, 0, Valid, MissingRefreshToken),
            (false, 7199, Expired, MissingRefreshToken),
            (false, 7200, Expired, NeedsRelogin),
        ];
        for (refresh, after, status, health) in cases {
            let login = login(7200, refresh);
            let got = (login.status(NOW + after), login.health(NOW + after));
            assert_eq!(got, (status, health), "{after} s after, refresh token: {refresh}");
        }
    }

    #[test]
    fn a_renewal_moves_the_tokens_ends_and_not_the_grants() {
        let first = login(7200, true);
        let later = NOW + 360 * DAY;
        let renewed = first.renewed(Grant { scope: String::new(), ..grant(3600, true) }, later);
        assert_eq!(renewed.expires_at, later + 3600);
        assert_eq!(renewed.refresh_expires_at, Some(later + 7 * DAY));
        assert_eq!(renewed.granted_at, NOW);
        assert_eq!((&*renewed.name, &*renewed.open_id), ("Li Lei", "ou_1"));
        assert_eq!(renewed.scope, first.scope, "a reply that names no scope changes none");
        assert!(renewed.refresh_is_valid(NOW + GRANT_SECS - 1));
        assert!(!renewed.refresh_is_valid(NOW + GRANT_SECS), "the 365 days end it");

        let last = renewed.renewed(grant(3600, false), later);
        assert!(last.refresh_token.is_none() && last.refresh_expires_at.is_none());
    }

    #[test]
    fn warnings_come_fourteen_days_early() {
        let renewed_at = |day: i64| login(7200, true).renewed(grant(7200, true), NOW + day * DAY);
        let said = |day| renewed_at(day).warning(NOW + day * DAY);
        assert_eq!(said(350), None);
        assert!(said(351).unwrap().contains("in 14 days"));
        assert!(said(352).unwrap().contains("in 13 days"));
        assert!(said(364).unwrap().contains("in 1 day,"));
        assert!(renewed_at(365).warning(NOW + 365 * DAY).unwrap().contains("has ended"));
        assert!(login(7200, false).warning(NOW).unwrap().contains("offline_access"));
        assert!(login(7200, false).warning(NOW + 7200).unwrap().contains("has ended"));
    }

    #[test]
    fn the_file_gives_back_what_was_stored() {
        for refresh in [true, false] {
            let login = login(7200, refresh);
            let text = serde_json::to_string(&LoginFile::new(&login, "cli_1")).unwrap();
            let file: LoginFile = serde_json::from_str(&text).unwrap();
            assert_eq!(file.app_id, "cli_1");
            let again = Login::from(file);
            assert_eq!(serde_json::to_string(&LoginFile::new(&again, "cli_1")).unwrap(), text);
            assert!(text.contains("u-1") && !format!("{again:?}").contains("u-1"));
        }
    }
}
