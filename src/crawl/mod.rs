//! Sources -> [`RemoteTree`], concurrently, under the quotas; then the questions that
//! the plan still has.
//!
//! `drive`, `wiki` and `docs` find a source's top, `walk` lists everything below it,
//! `ask` answers the plan. How fast requests may follow each other is the client's
//! business: here only enough of them are kept waiting.

mod ask;
mod docs;
mod drive;
#[cfg(test)]
mod tests;
mod walk;
mod wiki;

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use tokio_util::sync::CancellationToken;

pub use self::ask::ask;
use crate::feishu::{ApiError, Class, Client};
use crate::model::SourceName;
use crate::model::change::Failure;
use crate::model::source::{Source, SourceKind};
use crate::model::tree::{Node, RemoteSource, RemoteTree};
use crate::progress::Progress;
use crate::rules::Rules;

/// Requests that one source (or one kind of question) keeps waiting at the client.
/// Above `limits.concurrency`, so that the client never idles; bounded, because a
/// future for each folder of a large tenant would be gigabytes.
const WAITING: usize = 64;

/// Hears of each place as soon as it is listed, once. Must return at once.
pub trait Listener: Sync {
    /// `path` is what globs see; parent and `filtered` of the node are known.
    fn place(&self, source: &SourceName, path: &str, node: &Node);
}

/// Walks the sources.
///
/// A folder that cannot be listed is part of the tree ([`crate::model::tree::Listing`]),
/// and so is a source's top that does not exist.
///
/// # Errors
/// Only what ends the run: no usable credential, the app or the config needs an
/// operator, the API cannot be reached. A budget or `stop` ends the walk early with the
/// unlisted parents marked as failed.
pub async fn crawl(
    client: &Client,
    sources: &[Source],
    rules: &Rules,
    as_user: bool,
    progress: &dyn Progress,
    stop: &CancellationToken,
    listener: Option<&dyn Listener>,
) -> Result<RemoteTree, ApiError> {
    let run = Run { listener, ..Run::new(client, progress, stop) };
    // Boxed: a future that borrows each source in its own way could not be `Send`.
    let mut walks: Vec<BoxFuture<'_, _>> = Vec::with_capacity(sources.len());
    for source in sources {
        walks.push(walk_source(&run, source, rules, as_user).boxed());
    }
    let walked = try_join_all(walks).await?;
    let names = sources.iter().map(|source| source.name.clone());
    Ok(RemoteTree { sources: names.zip(walked).collect() })
}

async fn walk_source(
    run: &Run<'_>,
    source: &Source,
    rules: &Rules,
    as_user: bool,
) -> Result<RemoteSource, ApiError> {
    let walk = walk::Walk::new(run, rules, &source.name);
    let walked = match &source.kind {
        SourceKind::Drive { folder } => drive::walk(walk, folder.as_deref()).await,
        SourceKind::Wiki(scope) => wiki::walk(walk, scope, as_user).await,
        SourceKind::Docs(urls) => docs::list(walk, urls).await,
    };
    walked.map(|walked| RemoteSource { entry: source.kind.entry(), ..walked })
}

/// What the parts of one crawl share.
struct Run<'a> {
    client: &'a Client,
    progress: &'a dyn Progress,
    stop: &'a CancellationToken,
    listener: Option<&'a dyn Listener>,
    /// Why nothing new is asked any more: a budget is used up.
    spent: Mutex<Option<Failure>>,
}

/// What a call without an answer means for the run.
enum Trouble {
    /// It ends here.
    Ends(ApiError),
    /// Nothing more is asked in this run: interrupted, or a budget is used up.
    Cut(Failure),
    /// Only what was asked for has no answer.
    Here(ApiError),
}

impl<'a> Run<'a> {
    fn new(client: &'a Client, progress: &'a dyn Progress, stop: &'a CancellationToken) -> Self {
        Self { client, progress, stop, listener: None, spent: Mutex::new(None) }
    }

    /// Why nothing new may be asked, if so.
    fn cut(&self) -> Option<Failure> {
        if self.stop.is_cancelled() {
            return Some(interrupted());
        }
        self.spent.lock().expect("nobody panics while holding it").clone()
    }

    /// Waits for a call, but not beyond an interrupt, and sorts its error.
    async fn call<T>(&self, call: impl Future<Output = Result<T, ApiError>>) -> Result<T, Trouble> {
        if let Some(cut) = self.cut() {
            return Err(Trouble::Cut(cut));
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Trouble::Cut(interrupted())),
            reply = call => reply.map_err(|error| self.sort(error)),
        }
    }

    fn sort(&self, error: ApiError) -> Trouble {
        match error.class {
            Class::Login | Class::Config | Class::Unreachable => Trouble::Ends(error),
            Class::Budget => {
                let failure = error.to_failure();
                let mut spent = self.spent.lock().expect("nobody panics while holding it");
                if spent.is_none() {
                    self.progress.warn(&failure.message);
                    *spent = Some(failure.clone());
                }
                Trouble::Cut(failure)
            }
            _ => Trouble::Here(error),
        }
    }
}

fn interrupted() -> Failure {
    Failure { retryable: true, ..Failure::new("the run was interrupted", "run it again") }
}
