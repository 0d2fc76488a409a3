//! Bases as JSON: one file a table with its fields, views and records, and all attachments.
//!
//! A table is written while it is read, a page of records at a time: first the attachments
//! of the page, since the file names them, then its records. Tables come one after the
//! other, because the service refuses parallel calls to one base (docs:
//! bitable-v1/app-table-record/search, codes 1254290 and 1254607).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::disk::Sealed;
use crate::export::bitable::{self, Attachment, Shown};
use crate::export::docx::markdown::Found;
use crate::feishu::{ApiError, Base, Table, media_extra};
use crate::model::Format;
use crate::model::recorded::{ProductKey, Stamp, Why};
use crate::plan::Want;

use super::assets::{Assets, Ready};
use super::fetch::{About, Fetcher, Setback};
use super::journal::Journal;
use super::media::{self, FAILED, FORBIDDEN, Media, TOO_LARGE};
use super::page::{Places, Standing};
use super::parts::Side;
use super::sink::{Sink, blocking, discard};
use super::trouble::{Halt, Trouble};

/// Attachments fetched at once for one base.
const AT_ONCE: usize = 4;

/// How often a table that changed while it was read is read again.
const AGAIN: u32 = 3;

/// What came of a base.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Every table there is: id and title, in the service's order.
    pub all: Vec<(String, String)>,
    /// What was fetched, by table.
    pub files: Vec<(String, Result<Sealed, Trouble>)>,
    /// Attachments.
    pub assets: Assets,
    /// Tables that show no record, maybe only because this identity may not see any.
    pub hidden: BTreeSet<String>,
    /// An attachment did not come for now: the tables are published without it, count as
    /// failed, and are fetched again by the next run.
    pub trouble: Option<Trouble>,
    /// The run ended on the way, or `trouble` came: only `assets` is of use, so that a base
    /// with more attachments than one run may fetch is complete one day.
    pub ended: bool,
}

/// Fetches every table of a base, and the attachments that no place has yet.
///
/// `standing` is as long as `wants`.
pub(super) async fn get(
    fetcher: &Fetcher,
    about: &About,
    wants: &[Want],
    standing: &[Standing],
) -> Result<Tables, Setback> {
    let mut reading = Reading {
        fetcher,
        token: about.object.token.as_str(),
        places: Places(standing.iter().collect()),
        known: about.base.as_ref(),
        asked: HashMap::new(),
        files: Vec::new(),
        read: BTreeMap::new(),
        trouble: None,
    };
    let setback = match reading.base(wants).await {
        Ok(tables) => return Ok(tables),
        Err(setback) => setback,
    };
    let read = std::mem::take(&mut reading.read).into_values();
    discard(&fetcher.disk, read.filter_map(|read| read.file.ok())).await;
    let names = reading.files.iter().map(|(token, file)| (token.clone(), file.1.clone()));
    let all: BTreeMap<String, String> = names.collect();
    let files = reading.fetched();
    let trouble = match setback {
        Setback::Stopped if !all.is_empty() => None,
        Setback::Trouble(trouble) if !all.is_empty() && trouble.why == Why::Failed => Some(trouble),
        setback => {
            discard(&fetcher.disk, files.into_iter().map(|(_, sealed)| sealed)).await;
            return Err(setback);
        }
    };
    let assets = Assets { all, files, complete: false };
    Ok(Tables { assets, trouble, ended: true, ..Tables::default() })
}

/// A base on its way.
struct Reading<'a> {
    fetcher: &'a Fetcher,
    /// Of the base.
    token: &'a str,
    places: Places<'a>,
    /// Itself, where it was asked for before.
    known: Option<&'a Base>,
    /// Attachments that were asked for, by token.
    asked: HashMap<String, Shown>,
    /// Those that came, with their names.
    files: Vec<(String, (Sealed, String))>,
    /// Tables, by id.
    read: BTreeMap<String, Read>,
    trouble: Option<Trouble>,
}

/// A table that was read.
struct Read {
    /// As it was listed before.
    table: Table,
    file: Result<Sealed, Trouble>,
    /// Tokens of the attachments in it.
    attachments: BTreeSet<String>,
    records: u64,
}

/// What came of asking for an attachment.
enum Came {
    /// It stands at every place already, under this name.
    Here(String),
    File(Sealed, String),
    Missing(String),
    /// It did not come for now.
    Not(Trouble),
}

impl Reading<'_> {
    async fn base(&mut self, wants: &[Want]) -> Result<Tables, Setback> {
        let (fetcher, token) = (self.fetcher, self.token);
        let base = match self.known {
            Some(base) => base.clone(),
            None => self.call(fetcher.client.get_base(token)).await?,
        };
        let mut tables = self.call(fetcher.client.list_tables(token)).await?;
        let everything = wants.iter().any(reads_everything);
        let damaged = |table: &Table| {
            let product = ProductKey::json_table(&table.id);
            wants.iter().any(|want| want.damaged.contains(&product))
        };
        let is_wanted = |table: &&Table| everything || damaged(table);

        // Pages of records have no snapshot: what moved meanwhile is read again.
        let mut due: Vec<Table> = tables.iter().filter(is_wanted).cloned().collect();
        for _ in 0..=AGAIN {
            for table in std::mem::take(&mut due) {
                let new = self.table(&base, &table).await?;
                self.keep(table.id, new).await;
            }
            tables = self.call(fetcher.client.list_tables(token)).await?;
            let moved =
                |table: &&Table| self.read.get(&table.id).is_none_or(|read| read.table != **table);
            due = tables.iter().filter(is_wanted).filter(moved).cloned().collect();
            if due.is_empty() {
                break;
            }
        }
        for table in due {
            let Table { id, name, .. } = &table;
            let what = format!("table {name:?} ({id}) kept changing while it was read");
            let (attachments, records) = (BTreeSet::new(), 0);
            let file = Err(Trouble::failed(what));
            let lost = Read { table: table.clone(), file, attachments, records };
            self.keep(table.id, lost).await;
        }
        Ok(self.finish(&base, tables, everything).await)
    }

    /// Makes a call to the base.
    async fn call<T>(&self, call: impl Future<Output = Result<T, ApiError>>) -> Result<T, Setback> {
        self.fetcher.call(self.fetcher.learned.one_by_one(self.token, call)).await
    }

    /// Takes a table instead of what was read of it before.
    async fn keep(&mut self, id: String, new: Read) {
        let old = self.read.insert(id, new);
        discard(&self.fetcher.disk, old.and_then(|old| old.file.ok())).await;
    }

    /// Puts together what was read.
    async fn finish(&mut self, base: &Base, tables: Vec<Table>, everything: bool) -> Tables {
        let (mut files, mut used, mut hidden) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for table in &tables {
            let Some(read) = self.read.remove(&table.id) else { continue };
            if base.is_advanced && read.records == 0 && read.file.is_ok() {
                hidden.insert(table.id.clone());
            }
            used.extend(read.attachments);
            files.push((table.id.clone(), read.file));
        }
        // A table that went away while others were read.
        let gone = std::mem::take(&mut self.read).into_values();
        discard(&self.fetcher.disk, gone.filter_map(|read| read.file.ok())).await;
        if !hidden.is_empty() {
            self.fetcher.progress.warn(&format!(
                "base {:?} has advanced permissions, and {} of its tables show no records; what \
                 this identity may not see is missing",
                base.name,
                hidden.len()
            ));
        }
        let named = |token: &String| match self.asked.get(token) {
            Some(Shown::File(name)) => Some((token.clone(), name.clone())),
            _ => None,
        };
        let all = used.iter().filter_map(named).collect();
        let complete = everything
            && self.trouble.is_none()
            && hidden.is_empty()
            && files.iter().all(|(_, file)| file.is_ok());
        Tables {
            all: tables.into_iter().map(|table| (table.id, table.name)).collect(),
            files,
            assets: Assets { all, files: self.fetched(), complete },
            hidden,
            trouble: self.trouble.take(),
            ended: false,
        }
    }

    fn fetched(&mut self) -> Vec<(String, Sealed)> {
        let files = std::mem::take(&mut self.files).into_iter();
        files.map(|(token, (sealed, _))| (token, sealed)).collect()
    }

    /// Reads one table into staging.
    async fn table(&mut self, base: &Base, table: &Table) -> Result<Read, Setback> {
        let disk = self.fetcher.disk.clone();
        let mut sink = Sink::new(blocking(move || disk.stage()).await?);
        let (mut attachments, mut records) = (BTreeSet::new(), 0);
        let written = self.write(base, table, &mut sink, &mut attachments, &mut records).await;
        let file = match written {
            Ok(()) => Ok(sink.seal().await?),
            Err(setback) => {
                sink.drop_or_keep(false).await?;
                match setback {
                    Setback::Trouble(trouble) => Err(trouble),
                    other => return Err(other),
                }
            }
        };
        Ok(Read { table: table.clone(), file, attachments, records })
    }

    async fn write(
        &mut self,
        base: &Base,
        table: &Table,
        sink: &mut Sink,
        attachments: &mut BTreeSet<String>,
        count: &mut u64,
    ) -> Result<(), Setback> {
        let (fetcher, token) = (self.fetcher, self.token);
        let fields = self.call(fetcher.client.list_fields(token, &table.id)).await?;
        let views = self.call(fetcher.client.list_views(token, &table.id)).await?;
        let head = bitable::head(token, base, table, &fields, &views);
        sink.write(&head.into()).await?;
        let field_ids: HashMap<&str, &str> =
            fields.iter().map(|field| (field.name.as_str(), field.id.as_str())).collect();
        let mut records = fetcher.client.search_records(token, &table.id);
        while let Some(page) = self.call(records.next()).await? {
            let mut new: Vec<(Attachment, Media)> = Vec::new();
            for record in &page.records {
                for file in bitable::attachments(record) {
                    let first = attachments.insert(file.token.clone());
                    if first && !self.asked.contains_key(&file.token) {
                        let field = field_ids.get(file.field.as_str()).copied();
                        let media = media_of(&file, &table.id, field, &record.id);
                        new.push((file, media));
                    }
                }
            }
            self.ask(new).await?;
            let mut text = String::new();
            for record in page.records {
                if *count > 0 {
                    text.push_str(bitable::BETWEEN);
                }
                *count += 1;
                text.push_str(&bitable::line(record, |token| self.asked.get(token).cloned()));
            }
            sink.write(&text.into()).await?;
        }
        Ok(sink.write(&bitable::TAIL.into()).await?)
    }

    /// Asks for the attachments of a page of records.
    async fn ask(&mut self, new: Vec<(Attachment, Media)>) -> Result<(), Setback> {
        let (fetcher, places) = (self.fetcher, self.places.clone());
        let places = &places;
        let asks = stream::iter(new).map(|(file, media)| async move {
            let came = attachment(fetcher, places, &file, &media).await;
            (file.token, came)
        });
        let mut asks = std::pin::pin!(asks.buffer_unordered(AT_ONCE));
        while let Some((token, came)) = asks.next().await {
            let shown = match came? {
                Came::Here(name) => Shown::File(name),
                Came::File(sealed, name) => {
                    self.files.push((token.clone(), (sealed, name.clone())));
                    Shown::File(name)
                }
                Came::Missing(why) => Shown::Missing(why),
                Came::Not(trouble) => {
                    self.trouble.get_or_insert(trouble);
                    Shown::Missing(FAILED.to_owned())
                }
            };
            self.asked.insert(token, shown);
        }
        Ok(())
    }
}

/// True for a want that needs all tables to be read. A damaged attachment is one such: only
/// the records say how it can be had, and whether it still can.
fn reads_everything(want: &Want) -> bool {
    want.damaged.is_empty() || !want.damaged.iter().all(|p| p.format() == Some(Format::Json))
}

/// How an attachment is asked for. What opens it is in its link, and is else made of where
/// it stands (docs: drive-v1/media/download, `extra`).
fn media_of(file: &Attachment, table: &str, field: Option<&str>, record: &str) -> Media {
    let linked = file.url.as_deref().and_then(media_extra);
    let made = || {
        let field = field?;
        let place = json!({ field: { record: [file.token] } });
        Some(json!({"bitablePerm": {"tableId": table, "attachments": place}}).to_string())
    };
    Media {
        token: file.token.clone(),
        extras: linked.or_else(made).into_iter().collect(),
        name: file.name.clone(),
    }
}

async fn attachment(
    fetcher: &Fetcher,
    places: &Places<'_>,
    file: &Attachment,
    media: &Media,
) -> Result<Came, Setback> {
    let name = places.everywhere(&file.token).and_then(|copy| copy.row.part_name.clone());
    if let Some(name) = name {
        return Ok(Came::Here(name));
    }
    for copy in places.somewhere(&file.token) {
        if let Some(name) = &copy.row.part_name
            && let Some(sealed) = fetcher.copied(copy).await
        {
            return Ok(Came::File(sealed, name.clone()));
        }
    }
    // The record says how large it is: no call shows more.
    let size = file.size.unwrap_or_default();
    if fetcher.settings.max_size.is_some_and(|limit| size > limit) {
        return Ok(Came::Missing(TOO_LARGE.to_owned()));
    }
    if !fetcher.has_room(size).await {
        return Err(Setback::Stopped);
    }
    match media::get(fetcher, media).await {
        Ok(Found::Here(file)) => Ok(Came::File(file.sealed, file.name)),
        Ok(Found::Forbidden) => Ok(Came::Missing(FORBIDDEN.to_owned())),
        Ok(Found::Absent(why)) => Ok(Came::Missing(why)),
        Err(Setback::Trouble(trouble)) => Ok(Came::Not(trouble)),
        Err(Setback::TooLarge(_)) => Ok(Came::Missing(TOO_LARGE.to_owned())),
        Err(setback) => Err(setback),
    }
}

impl Journal {
    /// Brings the files of a base to every place that wants them.
    pub(super) fn publish_tables(
        &mut self,
        about: &About,
        wants: &[Want],
        stamp: &Stamp,
        tables: Tables,
    ) -> Result<(), Halt> {
        let Tables { all, files, mut assets, hidden, trouble, ended } = tables;
        // No table at all is what advanced permissions show, too.
        assets.complete &= !all.is_empty();
        let mut assets = Ready::new(assets);
        let mut side = Side::new(all, files);
        side.hidden = hidden;
        self.report.bytes += side.size() + assets.size();
        let mtime_secs = self.mtime_of(about.edited);
        for want in wants {
            self.flush()?;
            let with = self.publish_assets(&want.place, stamp, mtime_secs, &mut assets)?;
            if ended {
                // Why the run ended is told already.
                match (&trouble, with) {
                    (Some(trouble), _) => self.end_side(want, stamp, Err(trouble.clone()))?,
                    (None, Err(trouble)) => self.warn(trouble.failure.message),
                    (None, Ok(_)) => {}
                }
                continue;
            }
            // Tables are of use without their attachments too.
            let placed = self.place_side(about, want, stamp, &mut side)?;
            let mut placed = match (placed, with, &trouble) {
                (Ok(placed), Ok(bytes), None) => Ok(placed.map(|placed| placed.and(bytes))),
                (Err(trouble), _, _) | (Ok(_), Err(trouble), _) => Err(trouble),
                (Ok(_), Ok(_), Some(trouble)) => Err(trouble.clone()),
            };
            if let Ok(Some(_)) = placed
                && let Err(trouble) = self.drop_assets(&want.place, &assets)?
            {
                placed = Err(trouble);
            }
            self.end_side(want, stamp, placed)?;
        }
        self.discard_assets(assets);
        self.discard_side(side);
        Ok(())
    }
}
