//! Whose copy it is: the hosts of a brand, and what the manifest remembers of the
//! identity that a mirror was made with.

use serde::{Deserialize, Serialize};

/// Hosts, no slash at the end.
///
/// Tokens, apps and users are not shared between brands, so a credential is only ever
/// sent to the hosts that it was stored with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Open API: `https://open.feishu.cn` and the like.
    pub open: String,
    /// Consent page, device flow, revocation.
    pub accounts: String,
}

impl Domain {
    /// 飞书, in China (docs: api-call-guide).
    pub fn feishu() -> Self {
        Self {
            open: "https://open.feishu.cn".to_owned(),
            accounts: "https://accounts.feishu.cn".to_owned(),
        }
    }

    /// Lark, everywhere else.
    pub fn lark() -> Self {
        Self {
            open: "https://open.larksuite.com".to_owned(),
            accounts: "https://accounts.larksuite.com".to_owned(),
        }
    }

    /// `feishu`, `lark`, or the Open API's address.
    pub fn name(&self) -> &str {
        if *self == Self::feishu() {
            "feishu"
        } else if *self == Self::lark() {
            "lark"
        } else {
            &self.open
        }
    }
}

/// The identity that a mirror was made with, as its manifest records it. No secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The Open API's address: tells the brands apart.
    pub open: String,
    /// The app; `None` where only a user's token was given and its app is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The user; `None`: the app itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<AccountUser>,
}

/// The user of an [`Account`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUser {
    /// Names the user to one app.
    pub open_id: String,
    /// The user's tenant, where the service said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<String>,
    /// For readers.
    #[serde(default)]
    pub name: String,
    /// Of an access token given by hand: a short hash, so that the same token need not
    /// be asked again whose it is. Nothing of the token can be told from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_print: Option<String>,
}
