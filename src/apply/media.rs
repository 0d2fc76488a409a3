//! Pictures and files inside of documents and bases.

use futures_util::StreamExt;

use crate::disk::Sealed;
use crate::export::docx::markdown::Found;
use crate::feishu::Class;

use super::fetch::{Fetcher, Setback};
use super::sink::{Sink, blocking};

/// A picture or file to download.
#[derive(Debug, Clone, Default)]
pub(super) struct Media {
    /// Its token.
    pub token: String,
    /// What opens it where the plain call may not, each a value of the `extra` parameter.
    pub extras: Vec<String>,
    /// Its file name, where it has one.
    pub name: Option<String>,
}

/// A downloaded picture or file.
#[derive(Debug)]
pub(super) struct File {
    /// Its bytes, in staging.
    pub sealed: Sealed,
    /// Its name in the side folder: `<token>.<extension by content>`.
    pub name: String,
}

/// Downloads it, whole, within `filter.max_size`. What may not be read, is gone or too
/// large is no setback: the page or record says so.
pub(super) async fn get(fetcher: &Fetcher, media: &Media) -> Result<Found<File>, Setback> {
    let extras = std::iter::once(None).chain(media.extras.iter().map(|e| Some(e.as_str())));
    for extra in extras {
        let call = fetcher.client.download_media(&media.token, extra, None);
        let mut body = match fetcher.unless_quit(call).await? {
            Ok(body) => body,
            Err(error) if error.class == Class::Forbidden => continue,
            Err(error) if error.class == Class::Gone => {
                return Ok(Found::Absent("deleted".to_owned()));
            }
            Err(error) => return Err(fetcher.judge(error)),
        };
        let disk = fetcher.disk.clone();
        let mut sink = Sink::new(blocking(move || disk.stage()).await?);
        while let Some(chunk) = body.stream.next().await {
            let chunk = chunk.map_err(|error| fetcher.judge(error))?;
            sink.write(&chunk).await?;
        }
        let extension = media.name.as_deref().and_then(|name| name.rsplit_once('.'));
        let extension = extension.map_or("bin", |(_, extension)| extension);
        let name = format!("{}.{extension}", media.token);
        return Ok(Found::Here(File { sealed: sink.seal().await?, name }));
    }
    Ok(Found::Forbidden)
}
