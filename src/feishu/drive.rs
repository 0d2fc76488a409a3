//! Drive: the root folder and what is in a folder.

use std::time::Duration;

use serde::Deserialize;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, DriveEntry, Listed, wire};

const ROOT: Endpoint = Endpoint::named("GET /open-apis/drive/explorer/v2/root_folder/meta");
const FILES: Endpoint = Endpoint::named("GET /open-apis/drive/v1/files");

/// The largest page the service gives (docs: drive-v1/file/list).
const PAGE_ENTRIES: usize = 200;

#[derive(Deserialize)]
struct Root {
    #[serde(deserialize_with = "wire::token")]
    token: String,
}

/// docs: drive-v1/file/list
#[derive(Deserialize)]
struct Entry {
    #[serde(deserialize_with = "wire::token")]
    token: String,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(rename = "type", deserialize_with = "wire::token")]
    ty: String,
    #[serde(default, deserialize_with = "wire::number")]
    created_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    modified_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    owner_id: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    url: Option<String>,
    #[serde(default)]
    shortcut_info: Option<ShortcutInfo>,
}

#[derive(Deserialize)]
struct ShortcutInfo {
    #[serde(default, deserialize_with = "wire::text")]
    target_type: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    target_token: Option<String>,
}

impl From<Entry> for DriveEntry {
    fn from(entry: Entry) -> Self {
        let target =
            entry.shortcut_info.and_then(|info| Some((info.target_type?, info.target_token?)));
        Self {
            token: entry.token,
            name: entry.name.unwrap_or_default(),
            ty: entry.ty,
            created_secs: entry.created_time,
            modified_secs: entry.modified_time,
            owner: entry.owner_id,
            url: entry.url,
            target,
        }
    }
}

/// Calls that a listing of so many entries takes.
pub fn folder_pages(entries: usize) -> u64 {
    entries.div_ceil(PAGE_ENTRIES).max(1) as u64
}

/// How long so many calls for listings of folders take at best.
pub fn folder_listing_time(calls: u64, quota_share: f64) -> Duration {
    FILES.time_for(calls, quota_share)
}

impl Client {
    /// Token of the root folder of "My Space".
    ///
    /// The root is listed by this token and not by an empty one: that listing is neither
    /// paged nor does it show shortcuts (docs: drive-v1/file/list).
    pub async fn get_root_folder(&self) -> Result<String, ApiError> {
        let (root, _) = self.inner.call::<Root>(&Call::new(ROOT, &[])).await?;
        Ok(root.token)
    }

    /// Everything in a folder.
    ///
    /// # Errors
    /// An incomplete listing is an error: [`super::Class::Gone`] and
    /// [`super::Class::Forbidden`] are about the folder itself.
    pub async fn list_folder(&self, folder: &str) -> Result<Listed<DriveEntry>, ApiError> {
        // In order of creation, an edit in the middle of paging moves nothing.
        let call = Call::new(FILES, &[])
            .query("folder_token", folder)
            .query("page_size", PAGE_ENTRIES.to_string())
            .query("order_by", "CreatedTime")
            .query("direction", "ASC");
        self.inner.list(&call, |entry: Entry| DriveEntry::from(entry), |entry| &entry.token).await
    }
}
