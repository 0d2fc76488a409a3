//! Whiteboards: what is on them, and their picture.

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Body, Client};
use crate::model::ContentHash;

const NODES: Endpoint = Endpoint::named("GET /open-apis/board/v1/whiteboards/:whiteboard_id/nodes");
const IMAGE: Endpoint =
    Endpoint::named("GET /open-apis/board/v1/whiteboards/:whiteboard_id/download_as_image");

/// Equal for equal nodes: all there is to tell whether a whiteboard changed.
pub fn board_hash(nodes: &[Value]) -> ContentHash {
    let text = serde_json::to_vec(nodes).expect("JSON has a JSON form");
    ContentHash::from(blake3::hash(&text))
}

impl Client {
    /// The nodes of a whiteboard as the service sent them, in one reply (docs:
    /// board-v1/whiteboard-node/list). A whiteboard has no revision: an equal hash of
    /// these means that nothing changed.
    pub async fn get_board_nodes(&self, whiteboard: &str) -> Result<Vec<Value>, ApiError> {
        /// An empty whiteboard may leave the field out.
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            nodes: Option<Vec<Value>>,
        }
        let path = [whiteboard];
        let call = Call::new(NODES, &path).query("user_id_type", "open_id");
        let (data, _) = self.inner.call::<Data>(&call).await?;
        Ok(data.nodes.unwrap_or_default())
    }

    /// The picture of a whiteboard. [`Body::content_type`] says of which kind it is: PNG,
    /// JPEG, GIF or SVG (docs: `board-v1/whiteboard/download_as_image`).
    pub async fn download_board_image(&self, whiteboard: &str) -> Result<Body, ApiError> {
        let path = [whiteboard];
        self.download(Call::new(IMAGE, &path), None).await
    }
}
