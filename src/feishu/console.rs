//! Who am I, and what was granted: the user behind a token, the app's scopes.

use secrecy::SecretString;
use serde::Deserialize;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, wire};

const USER_INFO: Endpoint = Endpoint::named("GET /open-apis/authen/v1/user_info");
const SCOPES: Endpoint = Endpoint::named("GET /open-apis/application/v6/scopes");
const APP: Endpoint = Endpoint::named("GET /open-apis/application/v6/applications/:app_id");

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
        #[derive(Deserialize)]
        struct Data {
            #[serde(default, deserialize_with = "wire::text")]
            name: Option<String>,
            #[serde(deserialize_with = "wire::token")]
            open_id: String,
            #[serde(default, deserialize_with = "wire::text")]
            union_id: Option<String>,
            #[serde(default, deserialize_with = "wire::text")]
            tenant_key: Option<String>,
        }
        let (data, _) = self.inner.call::<Data>(&Call::new(USER_INFO, &[])).await?;
        Ok(UserInfo {
            name: data.name.unwrap_or_default(),
            open_id: data.open_id,
            union_id: data.union_id,
            tenant_key: data.tenant_key,
        })
    }

    /// The app's scopes (docs: application-v6/scope/list). Needs the app's identity and
    /// no scope.
    pub async fn list_app_scopes(&self) -> Result<Vec<AppScope>, ApiError> {
        /// `grant_status` of a scope that a published version of the app has.
        const GRANTED: i64 = 1;
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            scopes: Option<Vec<Scope>>,
        }
        #[derive(Deserialize)]
        struct Scope {
            #[serde(rename = "scope_name", deserialize_with = "wire::token")]
            name: String,
            /// Only in the official SDKs' types.
            #[serde(rename = "scope_type", default, deserialize_with = "wire::text")]
            kind: Option<String>,
            #[serde(default, deserialize_with = "wire::number")]
            grant_status: Option<i64>,
        }
        let (data, _) = self.inner.call::<Data>(&Call::new(SCOPES, &[])).await?;
        let scopes = data.scopes.unwrap_or_default().into_iter();
        Ok(scopes
            .map(|scope| AppScope {
                name: scope.name,
                kind: scope.kind,
                granted: scope.grant_status == Some(GRANTED),
            })
            .collect())
    }

    /// The app (docs: application-v6/application/get). Needs
    /// `application:application:self_manage`.
    pub async fn get_app(&self, app_id: &str) -> Result<AppInfo, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            app: App,
        }
        #[derive(Deserialize)]
        struct App {
            #[serde(default, deserialize_with = "wire::text")]
            app_name: Option<String>,
            #[serde(default)]
            owner: Option<Owner>,
        }
        #[derive(Deserialize)]
        struct Owner {
            #[serde(default, deserialize_with = "wire::text")]
            owner_id: Option<String>,
        }
        let path = [app_id];
        // The language of the names, without which the call is refused.
        let call = Call::new(APP, &path).query("lang", "zh_cn");
        let (data, _) = self.inner.call::<Data>(&call).await?;
        let owner_id = data.app.owner.and_then(|owner| owner.owner_id);
        Ok(AppInfo { name: data.app.app_name, owner_id })
    }

    /// The access token that this client calls with, fetched or renewed where needed.
    pub async fn access_token(&self) -> Result<SecretString, ApiError> {
        self.inner.token(None).await
    }
}
