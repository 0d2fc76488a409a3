//! Uploaded files: in ranges, resumed where a connection was cut, never spliced from
//! two versions.
//!
//! docs: drive-v1/file/download. The reply names no version, sometimes an `ETag`. Bytes
//! of two replies are joined only where it is certain that they are of one version:
//! under one strong `ETag`, or else while the object's edit time stands still.

use futures_util::StreamExt;

use crate::disk::{Sealed, Validators};
use crate::feishu::Body;
use crate::model::Edited;
use crate::model::tree::Existence;

use super::fetch::{About, Fetcher, Setback};
use super::sink::{Sink, blocking};
use super::trouble::Trouble;

/// Bytes asked for at once: a plain request for a large file may be refused.
const RANGE: u64 = if cfg!(test) { 1 << 10 } else { 64 << 20 };

/// Bytes that make a cut connection worth going on with as often as it takes.
const PROGRESS: u64 = 256 << 10;

/// New beginnings after the first, where the file is replaced meanwhile.
const RESTARTS: u32 = 2;

/// What came of appending one reply.
enum Came {
    /// All of it.
    Whole,
    /// The connection broke.
    Cut(crate::feishu::ApiError),
}

/// A download under way.
struct Partial {
    sink: Sink,
    validators: Validators,
    /// True where bytes of more than one reply are in it.
    joined: bool,
}

/// Downloads one uploaded file into staging.
pub(super) async fn file(fetcher: &Fetcher, about: &About) -> Result<Sealed, Setback> {
    let mut restarts = 0;
    // The edit time (metas) that everything staged is known to be not older than.
    let mut base: Option<i64> = None;
    let mut partial = found(fetcher, about).await?;
    let mut cuts = 0;
    loop {
        // Without an `ETag` the edit time must vouch for what is staged: an edit before
        // the listing that this run saw is in the bytes already. Asked before the next
        // range, not while its body waits, which would hold a place in the queue.
        if let Some(staged) = &partial
            && staged.validators.etag.is_none()
            && base.is_none()
        {
            let edited = match edit_time(fetcher, about).await {
                Ok(edited) => edited,
                Err(setback) => {
                    keep(partial.take()).await?;
                    return Err(setback);
                }
            };
            base = Some(edited.at_secs);
            if !before_listing(edited, about.edited) {
                // Not a replacement for sure, so it does not count as one.
                discard(partial.take()).await?;
            }
        }
        // Each range is one more call; what came of it so far waits for the next run.
        if partial.as_ref().is_some_and(|partial| partial.sink.size() > 0)
            && fetcher.may_download().is_none()
        {
            keep(partial.take()).await?;
            return Err(Setback::Stopped);
        }
        let offset = partial.as_ref().map_or(0, |partial| partial.sink.size());
        let range = offset..offset + RANGE;
        let call = fetcher.client.download_file(about.object.token.as_str(), Some(range));
        let body = match fetcher.call(call).await {
            Ok(body) => body,
            Err(setback) => {
                keep(partial.take()).await?;
                return Err(setback);
            }
        };
        if let (Some(total), Some(limit)) = (body.total, fetcher.settings.max_size)
            && total > limit
        {
            discard(partial.take()).await?;
            return Err(Setback::TooLarge(total));
        }
        let mut current = match partial.take() {
            None => begin(fetcher, about, &body).await?,
            Some(mut current) => {
                if !fits(&current, &body) {
                    discard(Some(current)).await?;
                    again(&mut restarts)?;
                    continue;
                }
                current.joined = true;
                current
            }
        };
        let total = body.total;
        let before = current.sink.size();
        let came = match append(fetcher, &mut current, body).await {
            Ok(came) => came,
            Err(Setback::Stopped) => {
                keep(Some(current)).await?;
                return Err(Setback::Stopped);
            }
            Err(setback) => {
                discard(Some(current)).await?;
                return Err(setback);
            }
        };
        let size = current.sink.size();
        match came {
            Came::Cut(error) => {
                // Progress makes up for earlier cuts: a large file over a bad line.
                cuts = if size >= before + PROGRESS { 1 } else { cuts + 1 };
                partial = Some(current);
                if cuts > fetcher.settings.retries {
                    keep(partial.take()).await?;
                    return Err(fetcher.judge(error));
                }
                if let Err(stopped) = fetcher.pause(cuts).await {
                    keep(partial.take()).await?;
                    return Err(stopped);
                }
            }
            Came::Whole if total.is_some_and(|total| size < total) => {
                if size == before {
                    // Would never end.
                    keep(Some(current)).await?;
                    return Err(Trouble::failed("the service sent an empty range").into());
                }
                partial = Some(current);
            }
            Came::Whole => {
                if total.is_some_and(|total| size != total) {
                    discard(Some(current)).await?;
                    again(&mut restarts)?;
                    continue;
                }
                if current.joined && current.validators.etag.is_none() {
                    let edited = match edit_time(fetcher, about).await {
                        Ok(edited) => edited,
                        Err(setback) => {
                            keep(Some(current)).await?;
                            return Err(setback);
                        }
                    };
                    if base != Some(edited.at_secs) {
                        base = Some(edited.at_secs);
                        discard(Some(current)).await?;
                        again(&mut restarts)?;
                        continue;
                    }
                }
                return Ok(current.sink.seal().await?);
            }
        }
    }
}

/// True where a reply goes on where `current` ends, in the same version as far as the
/// reply shows.
fn fits(current: &Partial, body: &Body) -> bool {
    let seen = &current.validators;
    body.offset == current.sink.size() && body.total == seen.total && body.etag == seen.etag
}

/// A partial download of an earlier run, where it may be gone on with.
async fn found(fetcher: &Fetcher, about: &About) -> Result<Option<Partial>, Setback> {
    let (disk, name) = (fetcher.disk.clone(), about.object.token.as_str().to_owned());
    let Some((staged, validators)) = blocking(move || disk.resume(&name)).await? else {
        return Ok(None);
    };
    let partial = Partial { sink: Sink::new(staged), validators, joined: true };
    let seen = &partial.validators;
    // Without an `ETag` only a listing that shows the same edit time vouches for it.
    let same_time =
        seen.edited_secs.is_some() && seen.edited_secs == about.edited.map(|edited| edited.at_secs);
    let size = partial.sink.size();
    let usable = size > 0 && seen.total.is_some_and(|total| size <= total);
    if usable && (seen.etag.is_some() || same_time) {
        return Ok(Some(partial));
    }
    discard(Some(partial)).await?;
    Ok(None)
}

async fn begin(fetcher: &Fetcher, about: &About, body: &Body) -> Result<Partial, Setback> {
    if body.offset != 0 {
        return Err(Trouble::failed(format!(
            "the service sent bytes from {} on where the beginning was asked for",
            body.offset
        ))
        .into());
    }
    let validators = Validators {
        etag: body.etag.clone(),
        total: body.total,
        edited_secs: about.edited.map(|edited| edited.at_secs),
    };
    let (disk, name) = (fetcher.disk.clone(), about.object.token.as_str().to_owned());
    let given = validators.clone();
    let staged = blocking(move || disk.stage_partial(&name, &given)).await?;
    Ok(Partial { sink: Sink::new(staged), validators, joined: false })
}

/// Writes a reply's bytes as they come.
async fn append(fetcher: &Fetcher, current: &mut Partial, mut body: Body) -> Result<Came, Setback> {
    while let Some(chunk) = fetcher.unless_quit(body.stream.next()).await? {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => return Ok(Came::Cut(error)),
        };
        fetcher.progress.received(chunk.len() as u64);
        current.sink.write(&chunk).await?;
        let size = current.sink.size();
        if fetcher.settings.max_size.is_some_and(|limit| size > limit) {
            return Err(Setback::TooLarge(size));
        }
    }
    Ok(Came::Whole)
}

/// The object's edit time as its metadata shows it now.
async fn edit_time(fetcher: &Fetcher, about: &About) -> Result<Edited, Setback> {
    let asked = [(about.object.ty.as_str().to_owned(), about.object.token.as_str().to_owned())];
    let answers = fetcher.call(fetcher.client.query_metas(&asked)).await?;
    match answers.into_iter().next() {
        Some((_, Ok(meta))) => Ok(meta.edited),
        Some((_, Err(Existence::Unknown(failure)))) => {
            let mut trouble = Trouble::failed(failure.message.clone());
            trouble.failure = failure;
            Err(trouble.into())
        }
        Some((_, Err(_))) | None => {
            Err(Trouble::failed("the file's edit time could not be checked between two ranges")
                .into())
        }
    }
}

/// True where an edit is certainly older than the listing that this run goes by.
fn before_listing(edited: Edited, listed: Option<Edited>) -> bool {
    let settled = edited.at_secs.saturating_add(Edited::SETTLED_AFTER_SECS);
    listed.is_some_and(|listed| settled <= listed.seen_secs)
}

fn again(restarts: &mut u32) -> Result<(), Setback> {
    *restarts += 1;
    if *restarts <= RESTARTS {
        return Ok(());
    }
    Err(Trouble::failed("the file kept changing while it was downloaded").into())
}

async fn keep(partial: Option<Partial>) -> Result<(), Setback> {
    match partial {
        Some(partial) => Ok(partial.sink.drop_or_keep(true).await?),
        None => Ok(()),
    }
}

async fn discard(partial: Option<Partial>) -> Result<(), Setback> {
    match partial {
        Some(partial) => Ok(partial.sink.drop_or_keep(false).await?),
        None => Ok(()),
    }
}
