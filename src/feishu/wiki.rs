//! Wiki: spaces and their nodes.

use std::time::Duration;

use serde::Deserialize;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, Listed, Space, WikiNode, wire};

const SPACES: Endpoint = Endpoint::named("GET /open-apis/wiki/v2/spaces");
const SPACE: Endpoint = Endpoint::named("GET /open-apis/wiki/v2/spaces/:space_id");
const NODES: Endpoint = Endpoint::named("GET /open-apis/wiki/v2/spaces/:space_id/nodes");
const NODE: Endpoint = Endpoint::named("GET /open-apis/wiki/v2/spaces/get_node");

/// The largest page the service gives (docs: wiki-v2/space-node/list).
const PAGE_NODES: usize = 50;

/// docs: wiki-v2/space/list
#[derive(Deserialize)]
struct RawSpace {
    #[serde(deserialize_with = "wire::token")]
    space_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    space_type: Option<String>,
}

impl From<RawSpace> for Space {
    fn from(raw: RawSpace) -> Self {
        Self {
            space_id: raw.space_id,
            name: raw.name.unwrap_or_default(),
            space_type: raw.space_type.unwrap_or_default(),
        }
    }
}

/// docs: wiki-v2/space-node/list
#[derive(Deserialize)]
struct RawNode {
    #[serde(default, deserialize_with = "wire::text")]
    space_id: Option<String>,
    #[serde(deserialize_with = "wire::token")]
    node_token: String,
    #[serde(deserialize_with = "wire::token")]
    obj_token: String,
    #[serde(deserialize_with = "wire::token")]
    obj_type: String,
    #[serde(default, deserialize_with = "wire::text")]
    parent_node_token: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    node_type: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    origin_node_token: Option<String>,
    #[serde(default)]
    has_child: Option<bool>,
    #[serde(default, deserialize_with = "wire::text")]
    title: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    obj_edit_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::number")]
    node_create_time: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    owner: Option<String>,
}

impl From<RawNode> for WikiNode {
    fn from(raw: RawNode) -> Self {
        Self {
            space_id: raw.space_id.unwrap_or_default(),
            node_token: raw.node_token,
            obj_token: raw.obj_token,
            obj_type: raw.obj_type,
            parent_node_token: raw.parent_node_token,
            is_shortcut: raw.node_type.as_deref() == Some("shortcut"),
            origin_node_token: raw.origin_node_token,
            has_child: raw.has_child.unwrap_or(false),
            title: raw.title.unwrap_or_default(),
            obj_edit_secs: raw.obj_edit_time,
            node_create_secs: raw.node_create_time,
            owner: raw.owner,
        }
    }
}

/// Calls that a listing of so many nodes takes.
pub fn node_pages(nodes: usize) -> u64 {
    nodes.div_ceil(PAGE_NODES).max(1) as u64
}

/// How long so many calls for listings of nodes take at best.
pub fn node_listing_time(calls: u64, quota_share: f64) -> Duration {
    NODES.time_for(calls, quota_share)
}

impl Client {
    /// Every space that this identity may see; `my_library` is never among them.
    pub async fn list_spaces(&self) -> Result<Listed<Space>, ApiError> {
        let call = Call::new(SPACES, &[]).query("page_size", PAGE_NODES.to_string());
        self.inner.list(&call, |raw: RawSpace| Space::from(raw), |space| &space.space_id).await
    }

    /// A space by its id, or `my_library` (a user's only), which answers with its real id.
    pub async fn get_space(&self, id: &str) -> Result<Space, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            space: RawSpace,
        }
        let (data, _) = self.inner.call::<Data>(&Call::new(SPACE, &[id])).await?;
        Ok(data.space.into())
    }

    /// The children of a node, or the top level of a space.
    pub async fn list_nodes(
        &self,
        space: &str,
        parent: Option<&str>,
    ) -> Result<Listed<WikiNode>, ApiError> {
        let path = [space];
        let mut call = Call::new(NODES, &path).query("page_size", PAGE_NODES.to_string());
        if let Some(parent) = parent {
            call = call.query("parent_node_token", parent);
        }
        self.inner.list(&call, |raw: RawNode| WikiNode::from(raw), |node| &node.node_token).await
    }

    /// A node by its token, and the server's clock (seconds since 1970).
    ///
    /// # Errors
    /// [`super::Class::Gone`] where the wiki has no such node (131005).
    pub async fn get_node(&self, token: &str) -> Result<(WikiNode, i64), ApiError> {
        #[derive(Deserialize)]
        struct Data {
            node: RawNode,
        }
        let call = Call::new(NODE, &[]).query("token", token);
        let (data, seen_secs) = self.inner.call::<Data>(&call).await?;
        Ok((data.node.into(), seen_secs))
    }
}
