//! Sources -> [`RemoteTree`], concurrently, under the quotas; then the questions that
//! the plan still has.
//!
//! `drive`, `wiki` and `docs` find a source's top, `walk` lists everything below it. Where
//! that takes hours, `cheap` looks at what is known instead, and `kept` lets several runs
//! share a walk. `ask` answers the plan. How fast requests may follow each other is the client's
//! business: here only enough of them are kept waiting.

mod ask;
mod cheap;
mod docs;
mod drive;
mod kept;
mod recheck;
mod settle;
#[cfg(test)]
mod tests;
mod walk;
mod wiki;

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use tokio_util::sync::CancellationToken;

pub use self::ask::ask;
pub use self::cheap::Known;
pub use self::kept::{KeepsNothing, WalkKeeper, Walked, planned_line};
use crate::feishu::{ApiError, Class, Client};
use crate::model::SourceName;
use crate::model::change::Failure;
use crate::model::source::{Source, SourceKind};
use crate::model::tree::{Node, RemoteSource, RemoteTree, Sifted};
use crate::progress::Progress;
use crate::rules::Rules;

/// Requests that one source (or one kind of question) keeps waiting at the client.
/// Above `limits.concurrency`, so that the client never idles; bounded, because a
/// future for each folder of a large tenant would be gigabytes.
const WAITING: usize = 64;

/// How a source is looked at.
pub enum Way<'a> {
    /// Every parent is listed, less what earlier runs listed of this walk.
    Full(Option<Walked>),
    /// Between two full walks.
    Cheap(Known<'a>),
}

/// How this run fits in with those before and after it.
pub struct Nights<'a> {
    /// Sources that are not simply walked from the beginning.
    pub ways: BTreeMap<SourceName, Way<'a>>,
    /// Where walks are kept that this run does not finish.
    pub keeper: &'a dyn WalkKeeper,
    /// Now, seconds since 1970.
    pub now_secs: i64,
    /// What of a source that is walked from the beginning the tree need not have.
    pub sift: &'a Sift<'a>,
    /// Hears of each place of a walk that is continued. What earlier runs listed of it is put
    /// in order in the end, as a whole, so nothing may be left out.
    pub hear: &'a Sift<'a>,
}

/// Says of a place of a source, as found at a glob path, whether the tree needs it.
pub type Sift<'a> = dyn Fn(&SourceName, &str, &Node) -> Sifted + Sync + 'a;

/// Walks the sources. What `sift` finds quiet is walked too, and left out of the tree.
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
    nights: Nights<'_>,
) -> Result<RemoteTree, ApiError> {
    let run = Run::new(client, progress, stop);
    let Nights { mut ways, keeper, now_secs, sift, hear } = nights;
    // Boxed: a future that borrows each source in its own way could not be `Send`.
    let mut walks: Vec<BoxFuture<'_, _>> = Vec::with_capacity(sources.len());
    for source in sources {
        let mut walk = walk::Walk::new(&run, rules, &source.name);
        let way = match (ways.remove(&source.name), &source.kind) {
            // One call, or a few: there is nothing to keep.
            (_, SourceKind::Docs(_)) => {
                walk.sift = Some(sift);
                None
            }
            (Some(Way::Cheap(known)), _) => {
                walk.source.quiet.unsifted = true;
                Some(known)
            }
            (way, kind) => {
                let walked = way.and_then(|way| if let Way::Full(it) = way { it } else { None });
                walk.sift = Some(if walked.is_none() { sift } else { hear });
                walk.source.quiet.unsifted = walked.is_some();
                walk.keep(kept::Log::new(keeper, kind.entry(), now_secs), walked);
                None
            }
        };
        walks.push(look_at(walk, source, as_user, way).boxed());
    }
    let walked = try_join_all(walks).await?;
    let names = sources.iter().map(|source| source.name.clone());
    Ok(RemoteTree { sources: names.zip(walked).collect() })
}

async fn look_at(
    walk: walk::Walk<'_>,
    source: &Source,
    as_user: bool,
    known: Option<Known<'_>>,
) -> Result<RemoteSource, ApiError> {
    let walked = match (known, &source.kind) {
        (Some(known), kind) => cheap::look(walk, kind, as_user, known).await,
        (None, SourceKind::Drive { folder }) => drive::walk(walk, folder.as_deref()).await,
        (None, SourceKind::Wiki(scope)) => wiki::walk(walk, scope, as_user).await,
        (None, SourceKind::Docs(urls)) => docs::list(walk, urls).await,
    };
    walked.map(|walked| RemoteSource { entry: source.kind.entry(), ..walked })
}

/// What the parts of one crawl share.
struct Run<'a> {
    client: &'a Client,
    progress: &'a dyn Progress,
    stop: &'a CancellationToken,
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
        Self { client, progress, stop, spent: Mutex::new(None) }
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
