//! The product of an export into staging: whole, of the right length and kind.

use futures_util::StreamExt;

use crate::disk::{DiskError, Sealed};
use crate::feishu::Class;
use crate::model::Format;

use super::fetch::{Fetcher, Setback};
use super::signature::signature;
use super::sink::{Sink, blocking};
use super::trouble::Trouble;

/// Tries after the first for a product that arrives damaged.
const DAMAGED: u32 = 2;

/// Why a product did not come.
#[derive(Debug)]
pub(super) enum Lost {
    /// It died (10 minutes after it was ready): a new task makes another.
    Expired(crate::feishu::ApiError),
    For(Setback),
}

/// Downloads a product and checks its length and first bytes.
pub(super) async fn download(
    fetcher: &Fetcher,
    product: &str,
    size: u64,
    format: Format,
) -> Result<Sealed, Lost> {
    let (mut cut, mut damaged) = (0, 0);
    loop {
        let body = match fetcher.unless_quit(fetcher.client.download_export(product)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                let dead = error.class == Class::Gone || error.status == Some(404);
                return Err(if dead {
                    Lost::Expired(error)
                } else {
                    Lost::For(fetcher.judge(error))
                });
            }
            Err(stopped) => return Err(Lost::For(stopped)),
        };
        let disk = fetcher.disk.clone();
        let staged = blocking(move || disk.stage()).await.map_err(Lost::disk)?;
        let mut sink = Sink::new(staged);
        let mut stream = body.stream;
        let mut broken = None;
        loop {
            let chunk = match fetcher.unless_quit(stream.next()).await {
                Err(stopped) => {
                    sink.drop_or_keep(false).await.map_err(Lost::disk)?;
                    return Err(Lost::For(stopped));
                }
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    broken = Some(error);
                    break;
                }
                Ok(Some(Ok(chunk))) => chunk,
            };
            fetcher.progress.received(chunk.len() as u64);
            sink.write(&chunk).await.map_err(Lost::disk)?;
        }
        if let Some(error) = broken {
            // The service knows no ranges here: from the beginning.
            sink.drop_or_keep(false).await.map_err(Lost::disk)?;
            cut += 1;
            if cut > fetcher.settings.retries {
                return Err(Lost::For(fetcher.judge(error)));
            }
            fetcher.pause(cut).await.map_err(Lost::For)?;
            continue;
        }
        let trouble = if sink.size() != size {
            format!("the export has {} bytes, its job said {size}", sink.size())
        } else if !sink.head().starts_with(signature(format)) {
            format!("the export does not begin like a {format} file")
        } else {
            return sink.seal().await.map_err(Lost::disk);
        };
        sink.drop_or_keep(false).await.map_err(Lost::disk)?;
        damaged += 1;
        if damaged > DAMAGED {
            return Err(Lost::For(Trouble::failed(trouble).into()));
        }
        fetcher.pause(damaged).await.map_err(Lost::For)?;
    }
}

impl Lost {
    fn disk(error: DiskError) -> Self {
        Self::For(Setback::Disk(error))
    }
}
