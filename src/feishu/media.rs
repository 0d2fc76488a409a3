//! Images and attachments inside documents, sheets and bases.
//!
//! Three ways, each for where the one before is refused: by the token, by the token
//! with an `extra` parameter (bases with advanced permissions; docs:
//! drive-v1/media/download), by a temporary link of another host, which needs no token
//! and must not be shown one.

use std::ops::Range;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::call::Call;
use super::error::{ApiError, Class};
use super::quota::Endpoint;
use super::{Body, Client, wire};

const MEDIA: Endpoint = Endpoint::named("GET /open-apis/drive/v1/medias/:file_token/download");
const LINKS: Endpoint =
    Endpoint::named("GET /open-apis/drive/v1/medias/batch_get_tmp_download_url");

/// docs: `drive-v1/media/batch_get_tmp_download_url`
const MAX_LINKS: usize = 5;

/// A temporary link to a media, good for 24 hours. It is a secret: whoever has it can
/// read the content.
#[derive(Debug, Clone)]
pub struct MediaLink(pub(super) SecretString);

/// The `extra` parameter in a link to an attachment, as records of a base carry it
/// (`url` of an attachment; docs: bitable, "data structure of records").
pub fn media_extra(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let extra = url.query_pairs().find(|(name, _)| name == "extra")?.1.into_owned();
    (!extra.is_empty()).then_some(extra)
}

impl Client {
    /// A media, whole or a range of it (end exclusive), as [`Client::download_file`]
    /// gives a file. `extra` opens those of bases with advanced permissions
    /// ([`media_extra`]).
    ///
    /// # Errors
    /// [`Class::Forbidden`]: try `extra`, then [`Client::get_media_links`].
    pub async fn download_media(
        &self,
        token: &str,
        extra: Option<&str>,
        range: Option<Range<u64>>,
    ) -> Result<Body, ApiError> {
        let path = [token];
        let mut call = Call::new(MEDIA, &path);
        if let Some(extra) = extra {
            call = call.query("extra", extra);
        }
        self.download(call, range).await
    }

    /// Temporary links to medias, by token, five a call. One that the service gives no
    /// link for is missing.
    pub async fn get_media_links(
        &self,
        tokens: &[String],
        extra: Option<&str>,
    ) -> Result<Vec<(String, MediaLink)>, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            tmp_download_urls: Option<Vec<Link>>,
        }
        #[derive(Deserialize)]
        struct Link {
            #[serde(deserialize_with = "wire::token")]
            file_token: String,
            #[serde(default, deserialize_with = "wire::text")]
            tmp_download_url: Option<String>,
        }
        let mut links = Vec::new();
        for chunk in tokens.chunks(MAX_LINKS) {
            let mut call = Call::new(LINKS, &[]);
            for token in chunk {
                call = call.query("file_tokens", token);
            }
            if let Some(extra) = extra {
                call = call.query("extra", extra);
            }
            let (data, _) = self.inner.call::<Data>(&call).await?;
            let given = data.tmp_download_urls.unwrap_or_default().into_iter();
            links.extend(given.filter_map(|link| {
                Some((link.file_token, MediaLink(link.tmp_download_url?.into())))
            }));
        }
        Ok(links)
    }

    /// What a temporary link leads to, fetched without any token.
    ///
    /// # Errors
    /// [`Class::Forbidden`] where the link is a day old: get another one.
    pub async fn download_link(
        &self,
        link: &MediaLink,
        range: Option<Range<u64>>,
    ) -> Result<Body, ApiError> {
        let odd = |what: &str| ApiError::local(Class::Unexpected, Endpoint::LINK.name(), what);
        let url = Url::parse(link.0.expose_secret())
            .map_err(|_| odd("the service gave a link that is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(odd("the service gave a link of another kind than http"));
        }
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        // The path too is signed: neither may stand in a message.
        let mut secrets = vec![SecretString::from(target)];
        secrets.extend(url.query().map(SecretString::from));
        let secrets: Vec<&SecretString> = secrets.iter().collect();
        let mut call = Call::unsigned(Endpoint::LINK, &secrets);
        call.base = Some(url.origin().ascii_serialization());
        call.other = Some((Method::GET, target.to_owned()));
        self.download(call, range).await
    }
}
