//! Who am I, and what was granted: the user behind a token, the app's scopes.

use secrecy::SecretString;

use super::Client;
use super::error::ApiError;

/// The user behind an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the service's own names")]
pub struct UserInfo {
    pub name: String,
    pub open_id: String,
    pub union_id: Option<String>,
    pub tenant_key: Option<String>,
}

/// A scope that the app has or asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppScope {
    /// `drive:file:download` and the like.
    pub name: String,
    /// `tenant` or `user`, where the service says it.
    pub kind: Option<String>,
    /// False: asked for, but no published version of the app has it yet.
    pub granted: bool,
}

/// The app itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppInfo {
    /// Its name.
    pub name: Option<String>,
    /// `open_id` of its owner.
    pub owner_id: Option<String>,
}

impl Client {
    /// The user whose token this client calls with (docs: authen-v1/user_info).
    pub async fn get_user_info(&self) -> Result<UserInfo, ApiError> {
        todo!()
    }

    /// The app's scopes (docs: application-v6/scope/list). Needs the app's identity and
    /// no scope.
    pub async fn list_app_scopes(&self) -> Result<Vec<AppScope>, ApiError> {
        todo!()
    }

    /// The app (docs: application-v6/application/get). Needs
    /// `application:application:self_manage`.
    pub async fn get_app(&self, app_id: &str) -> Result<AppInfo, ApiError> {
        let _ = app_id;
        todo!()
    }

    /// The access token that this client calls with, fetched or renewed where needed.
    pub async fn access_token(&self) -> Result<SecretString, ApiError> {
        todo!()
    }
}
