//! Pictures and files inside of documents and bases, and the pictures of whiteboards.
//!
//! What a token names never changes, so that parts of two replies may be joined as long
//! as their lengths agree, and what is there needs no second download.

use futures_util::StreamExt;

use crate::disk::Sealed;
use crate::export::docx::markdown::Found;
use crate::feishu::{ApiError, Body, Class, Client, MediaLink};

use super::fetch::{Fetcher, Setback};
use super::file_kind::{self, HEAD, TAIL};
use super::sink::{Sink, blocking};
use super::trouble::Trouble;

/// Bytes asked for at once: a plain request for a large file may be refused.
const RANGE: u64 = if cfg!(test) { 1 << 10 } else { 64 << 20 };

/// Bytes that make a cut connection worth going on with as often as it takes.
const PROGRESS: u64 = 256 << 10;

/// New beginnings after the first, where two replies do not fit together.
const RESTARTS: u32 = 2;

/// Why something is not shown for now.
pub(super) const FAILED: &str = "could not be fetched";

/// Why something is not shown: the service refused it to this identity.
pub(super) const FORBIDDEN: &str = "may not be read";

/// Why something is not shown: it was there once.
pub(super) const DELETED: &str = "deleted";

/// Why something is not shown: the config says so.
pub(super) const TOO_LARGE: &str = "larger than max_size";

/// Why something is not shown: the service has no other word for it.
pub(super) const REFUSED: &str = "refused by the service";

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

/// Why a download did not come.
#[derive(Debug)]
pub(super) enum Refused {
    /// Larger than `filter.max_size`.
    TooLarge,
    /// The service said no, or could not be heard.
    Api(ApiError),
}

/// Where bytes come from.
enum Way<'a> {
    /// By the token, with a value of `extra`.
    Token(Option<&'a str>),
    /// By a temporary link.
    Link(&'a MediaLink),
    /// A whiteboard's picture, which comes whole only.
    Board,
}

/// Downloads it, whole, within `filter.max_size`. What may not be read, is gone or too
/// large is no setback: the page or record says so.
pub(super) async fn get(fetcher: &Fetcher, media: &Media) -> Result<Found<File>, Setback> {
    if fetcher.learned.media_are_closed() {
        return Ok(Found::Forbidden);
    }
    let extras = || std::iter::once(None).chain(media.extras.iter().map(|e| Some(e.as_str())));
    for extra in extras() {
        match found(fetcher, media, &Way::Token(extra)).await? {
            Found::Forbidden if fetcher.learned.media_are_closed() => return Ok(Found::Forbidden),
            Found::Forbidden => {}
            found => return Ok(found),
        }
    }
    for extra in extras() {
        let token = [media.token.clone()];
        let links = match fetcher.unless_quit(fetcher.client.get_media_links(&token, extra)).await?
        {
            Ok(links) => links,
            Err(error) if is_forbidden(&error) => continue,
            // The other way needs a scope of its own.
            Err(error) if error.lacks_scope() => {
                fetcher.learned.warn_once(fetcher, &error);
                return Ok(Found::Forbidden);
            }
            Err(error) => return Err(fetcher.judge(error)),
        };
        let Some((_, link)) = links.into_iter().find(|(token, _)| *token == media.token) else {
            continue;
        };
        match found(fetcher, media, &Way::Link(&link)).await? {
            Found::Forbidden => {}
            found => return Ok(found),
        }
    }
    Ok(Found::Forbidden)
}

/// Downloads the picture of a whiteboard.
pub(super) async fn board(
    fetcher: &Fetcher,
    token: &str,
) -> Result<Result<File, Refused>, Setback> {
    let media = Media { token: token.to_owned(), ..Media::default() };
    download(fetcher, &media, &Way::Board).await
}

/// A token as a part of a file name.
pub(super) fn safe(token: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    token.chars().map(safe).collect()
}

async fn found(fetcher: &Fetcher, media: &Media, way: &Way<'_>) -> Result<Found<File>, Setback> {
    Ok(match download(fetcher, media, way).await? {
        Ok(file) => Found::Here(file),
        Err(Refused::TooLarge) => Found::Absent(TOO_LARGE.to_owned()),
        Err(Refused::Api(error)) if is_forbidden(&error) => Found::Forbidden,
        // A page or base is of use without its pictures. It was read itself, so that it is
        // not the app as a whole that is refused.
        Err(Refused::Api(error)) if error.lacks_scope() => {
            fetcher.learned.close_media();
            fetcher.learned.warn_once(fetcher, &error);
            Found::Forbidden
        }
        Err(Refused::Api(error)) => match error.class {
            Class::Gone => Found::Absent(DELETED.to_owned()),
            Class::Refused | Class::Unsupported => Found::Absent(REFUSED.to_owned()),
            _ => return Err(fetcher.judge(error)),
        },
    })
}

/// True where another way may be open. A base with advanced permissions answers HTTP 400
/// to a call without `extra` (docs: drive-v1/media/download), with no code of its own.
fn is_forbidden(error: &ApiError) -> bool {
    error.class == Class::Forbidden
        || (error.class == Class::Unexpected && error.status == Some(400))
}

impl Way<'_> {
    async fn ask(&self, client: &Client, token: &str, offset: u64) -> Result<Body, ApiError> {
        let range = Some(offset..offset + RANGE);
        match self {
            Self::Token(extra) => client.download_media(token, *extra, range).await,
            Self::Link(link) => client.download_link(link, range).await,
            Self::Board => client.download_board_image(token).await,
        }
    }
}

/// A download under way.
struct Current {
    sink: Sink,
    head: Vec<u8>,
    /// The last bytes so far.
    tail: Vec<u8>,
    total: Option<u64>,
    etag: Option<String>,
    media_type: Option<String>,
}

impl Current {
    async fn begin(fetcher: &Fetcher, body: &Body) -> Result<Self, Setback> {
        let disk = fetcher.disk.clone();
        let staged = blocking(move || disk.stage()).await?;
        Ok(Self {
            sink: Sink::new(staged),
            head: Vec::new(),
            tail: Vec::new(),
            total: body.total,
            etag: body.etag.clone(),
            media_type: body.content_type.clone(),
        })
    }

    /// True where a reply goes on where this ends.
    fn fits(&self, body: &Body) -> bool {
        body.offset == self.sink.size() && body.total == self.total && body.etag == self.etag
    }

    async fn write(&mut self, chunk: &bytes::Bytes) -> Result<(), Setback> {
        let missing = HEAD.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        self.tail.extend_from_slice(&chunk[chunk.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        Ok(self.sink.write(chunk).await?)
    }

    async fn finish(self, media: &Media) -> Result<File, Setback> {
        let Self { sink, head, media_type, .. } = self;
        let extension = file_kind::extension(&head, media.name.as_deref(), media_type.as_deref());
        let name = format!("{}.{extension}", safe(&media.token));
        Ok(File { sealed: sink.seal().await?, name })
    }
}

/// Downloads it one way. What was staged of a download that does not end goes away.
async fn download(
    fetcher: &Fetcher,
    media: &Media,
    way: &Way<'_>,
) -> Result<Result<File, Refused>, Setback> {
    let (mut cuts, mut restarts, mut longest) = (0, 0, 0);
    let mut partial: Option<Current> = None;
    loop {
        let offset = partial.as_ref().map_or(0, |partial| partial.sink.size());
        let Some(asking) = fetcher.may_download() else { return Err(Setback::Stopped) };
        let ask = way.ask(&fetcher.client, &media.token, offset);
        let mut body = match fetcher.unless_quit(ask).await? {
            Ok(body) => body,
            Err(error) => return Ok(Err(Refused::Api(error))),
        };
        drop(asking);
        let limit = fetcher.settings.max_size;
        if body.total.zip(limit).is_some_and(|(total, limit)| total > limit) {
            return Ok(Err(Refused::TooLarge));
        }
        if !fetcher.has_room(body.total.unwrap_or(0)).await {
            return Err(Setback::Stopped);
        }
        let mut current = match partial.take() {
            Some(current) if current.fits(&body) => current,
            _ if body.offset == 0 => Current::begin(fetcher, &body).await?,
            _ => {
                again(&mut restarts)?;
                continue;
            }
        };
        let before = current.sink.size();
        let mut cut = None;
        while let Some(chunk) = fetcher.unless_quit(body.stream.next()).await? {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    cut = Some(error);
                    break;
                }
            };
            fetcher.progress.received(chunk.len() as u64);
            current.write(&chunk).await?;
            if limit.is_some_and(|limit| current.sink.size() > limit) {
                return Ok(Err(Refused::TooLarge));
            }
        }
        let size = current.sink.size();
        if let Some(error) = cut {
            // Progress makes up for earlier cuts: a large file over a bad line.
            cuts = if size >= longest + PROGRESS { 1 } else { cuts + 1 };
            longest = longest.max(size);
            if cuts > fetcher.settings.retries {
                return Ok(Err(Refused::Api(error)));
            }
            partial = Some(current);
            fetcher.pause(cuts).await?;
            continue;
        }
        match body.total {
            Some(total) if size > total => again(&mut restarts)?,
            Some(total) if size < total && size == before => {
                // Would never end.
                return Err(Trouble::failed("the service sent an empty range").into());
            }
            Some(total) if size < total => partial = Some(current),
            // Nothing says how long the picture of a whiteboard is, but its own end.
            None if matches!(way, Way::Board)
                && !file_kind::is_whole(&current.head, &current.tail) =>
            {
                cuts += 1;
                if cuts > fetcher.settings.retries {
                    return Err(Trouble::failed("the picture came without its end").into());
                }
                fetcher.pause(cuts).await?;
            }
            _ => return current.finish(media).await.map(Ok),
        }
    }
}

fn again(restarts: &mut u32) -> Result<(), Setback> {
    *restarts += 1;
    if *restarts <= RESTARTS {
        return Ok(());
    }
    Err(Trouble::failed("parts of the download do not fit together").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_safe_in_file_names() {
        for (token, want) in [("boxcnA_1-b", "boxcnA_1-b"), ("../a b\u{e9}", "___a_b_")] {
            assert_eq!(safe(token), want);
        }
    }
}
