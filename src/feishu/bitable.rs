//! Bases: tables, fields, views, and records page by page.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::error::{ApiError, Class};
use super::paging::Paged;
use super::quota::Endpoint;
use super::{Client, wire};

const BASE: Endpoint = Endpoint::named("GET /open-apis/bitable/v1/apps/:app_token");
const TABLES: Endpoint = Endpoint::named("GET /open-apis/bitable/v1/apps/:app_token/tables");
const FIELDS: Endpoint =
    Endpoint::named("GET /open-apis/bitable/v1/apps/:app_token/tables/:table_id/fields");
const VIEWS: Endpoint =
    Endpoint::named("GET /open-apis/bitable/v1/apps/:app_token/tables/:table_id/views");
const SEARCH: Endpoint =
    Endpoint::named("POST /open-apis/bitable/v1/apps/:app_token/tables/:table_id/records/search");

/// The largest page of records (docs: bitable-v1/app-table-record/search).
const MOST_RECORDS: u32 = 500;
/// "Response too large", and "timeout": a smaller page may do (docs: same page).
const TOO_MUCH: [i64; 2] = [1_254_030, 1_255_040];

/// A base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its title.
    pub name: String,
    /// Grows with any change in it.
    pub revision: Option<i64>,
    /// Advanced permissions are on: whoever has no role in it may be shown no records
    /// at all, without an error (docs: bitable-v1, "advanced permissions").
    pub is_advanced: bool,
    /// As in `Asia/Shanghai`.
    pub time_zone: Option<String>,
}

/// A table of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `table_id`.
    pub id: String,
    /// Its title.
    pub name: String,
    /// Grows with each change of its records and fields.
    pub revision: Option<i64>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// `field_id`; stays when the field is renamed.
    pub id: String,
    /// Its title: the key of its cells in [`Record::fields`].
    pub name: String,
    /// The service's number for its type (docs: bitable, "field guide").
    pub ty: i64,
    /// A finer word for its type: `Text`, `Barcode`, `Currency` …
    pub ui_type: Option<String>,
    /// Options, formats and the like, as the service sent them; `null` for none.
    pub property: Value,
    /// A text or parts of one, as the service sent it; `null` for none.
    pub description: Value,
    /// The first column.
    pub is_primary: bool,
    /// Not shown in the first view.
    pub is_hidden: bool,
}

/// A view of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// `view_id`.
    pub id: String,
    /// Its title.
    pub name: String,
    /// `grid`, `kanban`, `gallery`, `gantt`, `form`.
    pub ty: String,
    /// `Public`, `Locked`, `Private`.
    pub public_level: Option<String>,
}

/// A record of a table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// `record_id`.
    #[serde(rename = "record_id", deserialize_with = "wire::token")]
    pub id: String,
    /// Cells by the titles of their fields, as the service sent them: the shape depends
    /// on the field's type (docs: bitable, "data structure of records"). An empty cell
    /// has no key.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// Milliseconds since 1970.
    #[serde(default, rename = "created_time", deserialize_with = "wire::number")]
    pub created_ms: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(default, rename = "last_modified_time", deserialize_with = "wire::number")]
    pub modified_ms: Option<i64>,
    /// A person, as the service sent it; `null` where unknown.
    #[serde(default)]
    pub created_by: Value,
    /// A person, as the service sent it; `null` where unknown.
    #[serde(default, rename = "last_modified_by")]
    pub modified_by: Value,
}

/// docs: bitable-v1/app-table/list
#[derive(Deserialize)]
struct RawTable {
    #[serde(deserialize_with = "wire::token")]
    table_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    revision: Option<i64>,
}

/// docs: bitable-v1/app-table-field/list
#[derive(Deserialize)]
struct RawField {
    #[serde(deserialize_with = "wire::token")]
    field_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    field_name: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "wire::number")]
    ty: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    ui_type: Option<String>,
    #[serde(default)]
    property: Value,
    #[serde(default)]
    description: Value,
    #[serde(default)]
    is_primary: Option<bool>,
    #[serde(default)]
    is_hidden: Option<bool>,
}

/// docs: bitable-v1/app-table-view/list
#[derive(Deserialize)]
struct RawView {
    #[serde(rename = "view_id", deserialize_with = "wire::token")]
    id: String,
    #[serde(default, rename = "view_name", deserialize_with = "wire::text")]
    name: Option<String>,
    #[serde(default, rename = "view_type", deserialize_with = "wire::text")]
    ty: Option<String>,
    #[serde(default, rename = "view_public_level", deserialize_with = "wire::text")]
    public_level: Option<String>,
}

impl Client {
    /// A base's title, revision and permissions.
    pub async fn get_base(&self, base: &str) -> Result<Base, ApiError> {
        #[derive(Deserialize)]
        struct Data {
            app: App,
        }
        #[derive(Deserialize)]
        struct App {
            #[serde(default, deserialize_with = "wire::text")]
            name: Option<String>,
            #[serde(default, deserialize_with = "wire::number")]
            revision: Option<i64>,
            #[serde(default)]
            is_advanced: Option<bool>,
            #[serde(default, deserialize_with = "wire::text")]
            time_zone: Option<String>,
        }
        let path = [base];
        let (Data { app }, _) = self.inner.call::<Data>(&Call::new(BASE, &path)).await?;
        Ok(Base {
            name: app.name.unwrap_or_default(),
            revision: app.revision,
            is_advanced: app.is_advanced.unwrap_or(false),
            time_zone: app.time_zone,
        })
    }

    /// Every table of a base with its revision: one call tells which ones to read again.
    pub async fn list_tables(&self, base: &str) -> Result<Vec<Table>, ApiError> {
        let path = [base];
        let call = Call::new(TABLES, &path).query("page_size", "100");
        let convert = |raw: RawTable| Table {
            id: raw.table_id,
            name: raw.name.unwrap_or_default(),
            revision: raw.revision,
        };
        Ok(self.inner.list(&call, convert, |table| &table.id).await?.items)
    }

    /// The columns of a table, in the order of its first view.
    pub async fn list_fields(&self, base: &str, table: &str) -> Result<Vec<Field>, ApiError> {
        let path = [base, table];
        let call = Call::new(FIELDS, &path).query("page_size", "100");
        let convert = |raw: RawField| Field {
            id: raw.field_id,
            name: raw.field_name.unwrap_or_default(),
            ty: raw.ty.unwrap_or(0),
            ui_type: raw.ui_type,
            property: raw.property,
            description: raw.description,
            is_primary: raw.is_primary.unwrap_or(false),
            is_hidden: raw.is_hidden.unwrap_or(false),
        };
        let fields = self.inner.list(&call, convert, |field| &field.id).await?.items;
        if fields.is_empty() {
            // Even an empty table has its primary field.
            let what = format!("{base} table {table} came without any field");
            return Err(ApiError::local(Class::Transient, FIELDS.name(), what));
        }
        Ok(fields)
    }

    /// The views of a table.
    pub async fn list_views(&self, base: &str, table: &str) -> Result<Vec<View>, ApiError> {
        let path = [base, table];
        let call =
            Call::new(VIEWS, &path).query("page_size", "100").query("user_id_type", "open_id");
        let convert = |raw: RawView| View {
            id: raw.id,
            name: raw.name.unwrap_or_default(),
            ty: raw.ty.unwrap_or_default(),
            public_level: raw.public_level,
        };
        let views = self.inner.list(&call, convert, |view| &view.id).await?.items;
        if views.is_empty() {
            // A table has one as long as nobody deletes it: once more, to be sure.
            return Ok(self.inner.list(&call, convert, |view| &view.id).await?.items);
        }
        Ok(views)
    }

    /// All records of a table, page by page. Sends nothing before [`Records::next`].
    ///
    /// Pages have no snapshot: who wants all records of one revision compares the
    /// table's revision before and after. A base with advanced permissions may show
    /// none, without an error: see [`Base::is_advanced`].
    pub fn search_records(&self, base: &str, table: &str) -> Records {
        let (client, path) = (self.clone(), [base.to_owned(), table.to_owned()]);
        Records {
            client,
            path,
            paged: Paged::default(),
            size: MOST_RECORDS,
            doubted: false,
            before: HashSet::new(),
        }
    }
}

/// Records on their way, see [`Client::search_records`].
pub struct Records {
    client: Client,
    path: [String; 2],
    paged: Paged,
    /// Records of a page; halved where the service finds a reply too large.
    size: u32,
    /// True once a first page without anything was asked for again.
    doubted: bool,
    /// Ids of the page before: one that comes twice is taken once.
    before: HashSet<String>,
}

/// A page of records.
#[derive(Debug, Clone)]
pub struct RecordPage {
    /// In the service's order; empty pages occur.
    pub records: Vec<Record>,
    /// Records of the whole table, as the service counts them.
    pub total: Option<u64>,
}

impl Records {
    /// The next page of at most 500 records; `None` after the last one. Only one page is
    /// ever in memory. Tables must not be read in parallel: the service answers that
    /// with 1254290 and its kind (docs: bitable-v1/app-table-record/search).
    ///
    /// # Errors
    /// [`super::Class::Refused`] where a single record is too large. After an error that passes,
    /// the same page is asked for again.
    pub async fn next(&mut self) -> Result<Option<RecordPage>, ApiError> {
        let path = [self.path[0].as_str(), self.path[1].as_str()];
        loop {
            let call = Call::new(SEARCH, &path)
                .query("page_size", self.size.to_string())
                .query("user_id_type", "open_id")
                // Without it neither times nor people come.
                .body(json!({ "automatic_fields": true }));
            let page = match self.paged.next::<Record>(&self.client.inner, &call).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(None),
                Err(error)
                    if self.size > 1 && error.code.is_some_and(|c| TOO_MUCH.contains(&c)) =>
                {
                    self.size /= 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if page.items.is_empty() && page.total != Some(0) && self.paged.ended_at_once() {
                if !self.doubted {
                    // An empty reply would empty the whole table: once more, to be sure.
                    self.doubted = true;
                    self.paged = Paged::default();
                    continue;
                }
                if page.total.is_none() {
                    let what = "the reply has neither records nor their number";
                    return Err(ApiError::local(Class::Transient, SEARCH.name(), what));
                }
            }
            self.paged.note(&call, !page.items.is_empty())?;
            let total = page.total.and_then(|total| u64::try_from(total).ok());
            let mut records = page.items;
            let ids = records.iter().map(|record| record.id.clone()).collect();
            let before = std::mem::replace(&mut self.before, ids);
            records.retain(|record| !before.contains(&record.id));
            return Ok(Some(RecordPage { records, total }));
        }
    }
}
