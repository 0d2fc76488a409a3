//! Bases: the tables in them, as tests make and edit them. What a record holds is
//! computed when it is read (`content/records.rs`), so fifty thousand of them cost
//! nothing. docs: bitable-v1/app-table, app-table-field, app-table-record.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::build::Item;
use super::content;
use super::ids::{self, Id};
use super::state::{ObjId, State, UserId};
use super::tenant::Tenant;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// `fld…`; stays when the field is renamed.
    pub id: String,
    /// Its title: the key of its cells.
    pub name: String,
    /// The service's number for its type.
    pub ty: i64,
}

/// What a table holds: `count` records were ever made, some are gone, some were edited.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Columns; the first one is primary.
    pub fields: Vec<Field>,
    /// Ids and titles; the first one is the grid that every table has.
    pub views: Vec<(String, String)>,
    /// Records ever made; their numbers are 0 to this.
    pub count: u64,
    /// Numbers of the deleted.
    pub gone: BTreeSet<u64>,
    /// How often a record was edited, and when last (ms since 1970).
    pub edits: BTreeMap<u64, (u64, i64)>,
    /// Cells that a test wrote, by record and field id; `null`: an empty cell.
    pub cells: BTreeMap<(u64, String), Value>,
    /// Attached files (numbers of media), by record.
    pub files: BTreeMap<u64, Vec<u32>>,
    /// Grows with each edit of a record or a field.
    pub revision: u64,
}

impl Table {
    /// A table with a column of every type and no record.
    fn new(seed: u64) -> Self {
        let fields = content::EVERY_TYPE.iter().enumerate();
        let fields = fields.map(|(n, (ty, name))| Field::new(seed, n, name, *ty)).collect();
        Self { fields, views: vec![view(seed, 0, "Grid 表格")], revision: 1, ..Self::default() }
    }

    /// Numbers of the records that are there.
    pub fn records(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.count).filter(|number| !self.gone.contains(number))
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX) - self.gone.len()
    }
}

impl Field {
    pub(super) fn new(seed: u64, number: usize, name: &str, ty: i64) -> Self {
        let id = format!("fld{:016x}", ids::scramble(seed ^ (1 << 40) ^ number as u64));
        Self { id, name: name.to_owned(), ty }
    }
}

pub(super) fn view(seed: u64, number: usize, title: &str) -> (String, String) {
    (format!("vew{:016x}", ids::scramble(seed ^ (2 << 40) ^ number as u64)), title.to_owned())
}

/// Tells the fields and records of one table from those of any other.
pub fn seed(obj: ObjId, table: &str) -> u64 {
    table.bytes().fold(u64::from(obj), |sum, byte| ids::scramble(sum ^ u64::from(byte)))
}

/// A table of a base, as tests hold it. What fills it is no edit; what edits it moves
/// the table's revision, the base's revision and the base's edit time.
#[derive(Debug, Clone)]
pub struct BaseTable {
    base: Item,
    obj: ObjId,
    id: String,
}

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl Item {
    /// A table of a base, added where there is none of that title: with a column of
    /// every type and no record.
    pub fn table(&self, title: &str) -> BaseTable {
        let mut state = self.tenant.lock();
        let obj = self.obj(&state);
        let id = state.tab_named(obj, title);
        let tables = &mut state.extras.entry(obj).or_default().tables;
        tables.entry(id.clone()).or_insert_with(|| Table::new(seed(obj, &id)));
        drop(state);
        BaseTable { base: self.clone(), obj, id }
    }

    /// Turns on a base's advanced permissions: only these users have a role. For others
    /// there are no records (see [`Tenant::strangers_fail`]), and attachments need the
    /// `extra` parameter.
    pub fn advanced(self, members: &[&str]) -> Self {
        let members: Vec<UserId> = members.iter().map(|name| self.tenant.user(name)).collect();
        self.extra(|_, _| Box::new(move |extra| extra.members = Some(members)))
    }
}

#[expect(clippy::return_self_not_must_use, reason = "made things are in the tenant, handle or not")]
impl BaseTable {
    /// Its `table_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As documents name it where they show it: `<app_token>_<table_id>`.
    pub fn block_token(&self) -> String {
        format!("{}_{}", self.base.token(), self.id)
    }

    /// Its revision.
    pub fn revision(&self) -> u64 {
        let state = self.tenant().lock();
        state.extras[&self.obj].tables[&self.id].revision
    }

    fn tenant(&self) -> &Tenant {
        &self.base.tenant
    }

    fn fill(&self, change: impl FnOnce(&mut Table)) {
        let mut state = self.tenant().lock();
        let tables = &mut state.extras.entry(self.obj).or_default().tables;
        change(tables.get_mut(&self.id).expect("a table stays"));
    }

    fn change(&self, change: impl FnOnce(&mut Table)) -> &Self {
        self.fill(|table| {
            change(table);
            table.revision += 1;
        });
        self.tenant().lock().bump(self.obj);
        self
    }

    // Filling what was just made.

    /// Gives it other columns: titles and the service's numbers for their types.
    pub fn fields(self, fields: &[(&str, i64)]) -> Self {
        let seed = seed(self.obj, &self.id);
        let fields = fields.iter().enumerate();
        let fields = fields.map(|(n, (name, ty))| Field::new(seed, n, name, *ty)).collect();
        self.fill(|table| table.fields = fields);
        self
    }

    /// Fills it with so many records, computed while they are read.
    pub fn records(self, count: u64) -> Self {
        self.fill(|table| table.count = count);
        self
    }

    /// Adds a view.
    pub fn view(self, title: &str) -> Self {
        let seed = seed(self.obj, &self.id);
        self.fill(|table| table.views.push(view(seed, table.views.len(), title)));
        self
    }

    /// Writes a cell of a record, as the service shows it; `null` empties it.
    pub fn cell(self, record: u64, field: &str, value: Value) -> Self {
        self.write(record, field, value);
        self
    }

    /// Attaches a file to a record, in the first column for attachments; returns its
    /// token. Filling, or the first half of an edit: [`BaseTable::edit_record`].
    pub fn attach(&self, record: u64, name: &str, bytes: impl Into<Bytes>) -> String {
        let mut state = self.tenant().lock();
        let media = state.add_media(self.obj, name, bytes.into(), Some(&self.id));
        let tables = &mut state.extras.entry(self.obj).or_default().tables;
        let table = tables.get_mut(&self.id).expect("a table stays");
        table.files.entry(record).or_default().push(media);
        ids::token(Id::Media(media), "media")
    }

    fn write(&self, record: u64, field: &str, value: Value) {
        self.fill(|table| {
            let field = table.fields.iter().find(|f| f.name == field).expect("a field").id.clone();
            table.cells.insert((record, field), value);
        });
    }

    // Edits.

    /// Adds a record at the end; returns its number.
    pub fn add_record(&self) -> u64 {
        self.change(|table| table.count += 1);
        self.tenant().lock().extras[&self.obj].tables[&self.id].count - 1
    }

    /// Changes what a record's cells hold, attachments apart.
    pub fn edit_record(&self, record: u64) -> &Self {
        let now = self.tenant().lock().clock.now().as_millisecond();
        self.change(|table| {
            let edit = table.edits.entry(record).or_default();
            *edit = (edit.0 + 1, now);
        })
    }

    /// Writes a cell of a record.
    pub fn edit_cell(&self, record: u64, field: &str, value: Value) -> &Self {
        self.write(record, field, value);
        self.edit_record(record)
    }

    /// Deletes a record.
    pub fn delete_record(&self, record: u64) -> &Self {
        self.change(|table| {
            table.gone.insert(record);
        })
    }

    /// Adds a column; the records have values in it, as computed.
    pub fn add_field(&self, name: &str, ty: i64) -> &Self {
        let seed = seed(self.obj, &self.id);
        self.change(|table| table.fields.push(Field::new(seed, table.fields.len(), name, ty)))
    }

    /// Renames a column: its id and its cells stay.
    pub fn rename_field(&self, old: &str, new: &str) -> &Self {
        self.change(|table| {
            for field in table.fields.iter_mut().filter(|field| field.name == old) {
                new.clone_into(&mut field.name);
            }
        })
    }

    /// What a record holds, as a search with `automatic_fields` shows it; `null` where
    /// it is gone.
    pub fn record(&self, record: u64) -> Value {
        let state = self.tenant().lock();
        let table = &state.extras[&self.obj].tables[&self.id];
        if record >= table.count || table.gone.contains(&record) {
            return Value::Null;
        }
        let at = content::Place { obj: self.obj, table: &self.id, origin: "http://sim" };
        let mut shown = Map::new();
        content::record(&state, table, at, record, true, |_| true, &mut shown);
        Value::Object(shown)
    }
}

impl State {
    /// What a table holds. One that no test made has the cells that an export prints.
    pub fn table(&self, obj: ObjId, id: &str) -> Option<Table> {
        let own = self.extras.get(&obj).and_then(|extra| extra.tables.get(id));
        own.cloned().or_else(|| content::made_table(self, obj, id))
    }
}
