//! Switches: how the service behaves where its pages leave a choice, or a test wants
//! the worst.

use std::time::Duration;

use super::tenant::Tenant;

/// Switches that tests turn.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Knobs {
    /// The app reads all that the users own.
    pub app_sees_everything: bool,
    /// Presentations can be exported.
    pub slides_export: bool,
    /// Mind maps can be exported to PDF (the service's pages list no such export).
    pub mindnote_export: bool,
    /// Every export of one revision has other bytes.
    pub unstable_exports: bool,
    /// Downloads carry an `ETag`.
    pub etags: bool,
    /// Node listings begin with an empty page that has more.
    pub wiki_empty_pages: bool,
    /// A download without `Range` above this many bytes is refused.
    pub plain_get_limit: Option<u64>,
    /// Milliseconds an export takes, whatever its type; `None`: by type.
    pub export_millis: Option<i64>,
    /// Whether exports of one type take different times.
    pub exports_vary: bool,
    /// Seconds by which metadata in bulk shows other edit times than listings do.
    pub metas_offset: i64,
    /// Seconds by which the index of searches is behind.
    pub search_delay: i64,
    /// Items on a page of a listing at most, however many are asked for.
    pub longest_page: usize,
    /// Milliseconds every reply takes.
    pub latency_millis: u64,
    /// Page tokens of blocks are refused once the document was edited.
    pub edits_end_pages: bool,
    /// Bytes of cells above which a reply is refused.
    pub values_limit: usize,
    /// Bytes of records above which a reply is refused.
    pub records_limit: usize,
    /// Replies that a list of comments shows of each.
    pub inline_replies: usize,
    /// Reading the records of a base with advanced permissions fails for strangers; else
    /// it succeeds and shows none.
    pub strangers_fail: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            app_sees_everything: true,
            slides_export: true,
            mindnote_export: false,
            unstable_exports: false,
            etags: true,
            wiki_empty_pages: false,
            plain_get_limit: None,
            export_millis: None,
            exports_vary: false,
            metas_offset: 0,
            search_delay: 0,
            longest_page: usize::MAX,
            latency_millis: 0,
            edits_end_pages: false,
            values_limit: 10 << 20,
            records_limit: usize::MAX,
            inline_replies: 20,
            strangers_fail: false,
        }
    }
}

impl Tenant {
    fn turn(&self, change: impl FnOnce(&mut Knobs)) -> &Self {
        change(&mut self.lock().knobs);
        self
    }

    /// Whether the app reads all that users own. The service shows an app only what was
    /// shared with it; this stands for a tenant that shared everything. Default: true.
    pub fn app_sees_everything(&self, yes: bool) -> &Self {
        self.turn(|k| k.app_sees_everything = yes)
    }

    /// Whether presentations can be exported. Default: true.
    pub fn exports_slides(&self, yes: bool) -> &Self {
        self.turn(|k| k.slides_export = yes)
    }

    /// Whether mind maps can be exported. Default: false, as the service has it.
    pub fn exports_mindnotes(&self, yes: bool) -> &Self {
        self.turn(|k| k.mindnote_export = yes)
    }

    /// Whether each export of one revision has other bytes. Default: false.
    pub fn unstable_exports(&self, yes: bool) -> &Self {
        self.turn(|k| k.unstable_exports = yes)
    }

    /// How long every export takes; `None`: by type, 0.8 to 4 s.
    pub fn exports_take(&self, time: Option<Duration>) -> &Self {
        let millis = time.map(|t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX / 4));
        self.turn(|k| k.export_millis = millis)
    }

    /// Whether some exports take much longer than others of their type, as large
    /// documents do: half of them up to a third longer, one in fifty ten times as long.
    /// Default: false.
    pub fn exports_vary(&self, yes: bool) -> &Self {
        self.turn(|k| k.exports_vary = yes)
    }

    /// Whether file downloads carry a strong `ETag`. Default: true.
    pub fn etags(&self, yes: bool) -> &Self {
        self.turn(|k| k.etags = yes)
    }

    /// Whether node listings begin with an empty page that has more. Default: false.
    pub fn wiki_empty_pages(&self, yes: bool) -> &Self {
        self.turn(|k| k.wiki_empty_pages = yes)
    }

    /// Above so many bytes, a download without `Range` is refused. Default: never.
    pub fn plain_get_limit(&self, bytes: Option<u64>) -> &Self {
        self.turn(|k| k.plain_get_limit = bytes)
    }

    /// By how many seconds the edit times of `metas/batch_query` differ from those of
    /// listings: different services keep them. Default: 0.
    pub fn metas_offset(&self, secs: i64) -> &Self {
        self.turn(|k| k.metas_offset = secs)
    }

    /// How far the index of searches is behind. Default: not at all.
    pub fn search_delay(&self, time: Duration) -> &Self {
        self.turn(|k| k.search_delay = i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 4))
    }

    /// Whether an edit ends the paging of a document's blocks (1770022). Where it does
    /// not, later pages show the edited document. Default: false.
    pub fn edits_end_pages(&self, yes: bool) -> &Self {
        self.turn(|k| k.edits_end_pages = yes)
    }

    /// Bytes of cells above which a reply is refused (90221). Default: 10 MB, as the
    /// service has it.
    pub fn values_limit(&self, bytes: usize) -> &Self {
        self.turn(|k| k.values_limit = bytes)
    }

    /// Bytes of records above which a reply is refused (1254030). Default: none, since
    /// no page tells the number.
    pub fn records_limit(&self, bytes: usize) -> &Self {
        self.turn(|k| k.records_limit = bytes)
    }

    /// How many replies a list of comments shows of each. Default: 20; no page tells
    /// the number.
    pub fn inline_replies(&self, count: usize) -> &Self {
        self.turn(|k| k.inline_replies = count)
    }

    /// Whether reading the records of a base with advanced permissions fails for those
    /// without a role (1254302). Default: false: it succeeds and shows none.
    pub fn strangers_fail(&self, yes: bool) -> &Self {
        self.turn(|k| k.strangers_fail = yes)
    }

    /// How many items pages of folders, wikis, blocks and comments have at most, however
    /// many are asked for; no page promises that they are full. Default: no limit.
    pub fn longest_page(&self, items: usize) -> &Self {
        self.turn(|k| k.longest_page = items.max(1))
    }

    /// How long every reply takes. Default: no time.
    pub fn latency(&self, time: Duration) -> &Self {
        self.turn(|k| k.latency_millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}
