//! Revisions, and the sheets and tables that an export to CSV is made of.

use serde::Deserialize;

use super::call::Call;
use super::error::ApiError;
use super::quota::Endpoint;
use super::{Client, Part, wire};
use crate::model::{ObjType, Object};

const DOCX: Endpoint = Endpoint::named("GET /open-apis/docx/v1/documents/:document_id");
const SHEET: Endpoint =
    Endpoint::named("GET /open-apis/sheets/v2/spreadsheets/:spreadsheetToken/metainfo");
const BASE: Endpoint = Endpoint::named("GET /open-apis/bitable/v1/apps/:app_token");
const SHEETS: Endpoint =
    Endpoint::named("GET /open-apis/sheets/v3/spreadsheets/:spreadsheet_token/sheets/query");
const TABLES: Endpoint = Endpoint::named("GET /open-apis/bitable/v1/apps/:app_token/tables");

/// docs: docx-v1/document/get, sheets/v2 metainfo, bitable-v1/app/get
#[derive(Deserialize)]
struct Revision {
    #[serde(alias = "document", alias = "properties", alias = "app")]
    of: Numbers,
}

#[derive(Deserialize)]
struct Numbers {
    #[serde(default, alias = "revision_id", deserialize_with = "wire::number")]
    revision: Option<i64>,
}

/// docs: sheets-v3/spreadsheet-sheet/query
#[derive(Deserialize)]
struct Sheets {
    sheets: Vec<Sheet>,
}

#[derive(Deserialize)]
struct Sheet {
    #[serde(rename = "sheet_id", deserialize_with = "wire::token")]
    id: String,
    #[serde(default, deserialize_with = "wire::text")]
    title: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    resource_type: Option<String>,
}

/// docs: bitable-v1/app-table/list
#[derive(Deserialize)]
struct Table {
    #[serde(deserialize_with = "wire::token")]
    table_id: String,
    #[serde(default, deserialize_with = "wire::text")]
    name: Option<String>,
}

impl From<Sheet> for Part {
    fn from(sheet: Sheet) -> Self {
        Self {
            id: sheet.id,
            title: sheet.title.unwrap_or_default(),
            // A tab that is a base, or of a kind the API does not know, has no cells.
            exportable: sheet.resource_type.is_none_or(|kind| kind == "sheet"),
        }
    }
}

impl From<Table> for Part {
    fn from(table: Table) -> Self {
        Self { id: table.table_id, title: table.name.unwrap_or_default(), exportable: true }
    }
}

impl Client {
    /// docx `revision_id`, sheet and bitable `revision`; `None` for other types, which
    /// cost no call.
    pub async fn get_revision(&self, object: &Object) -> Result<Option<i64>, ApiError> {
        let endpoint = match object.ty {
            ObjType::Docx => DOCX,
            ObjType::Sheet => SHEET,
            ObjType::Bitable => BASE,
            _ => return Ok(None),
        };
        let path = [object.token.as_str()];
        let (data, _) = self.inner.call::<Revision>(&Call::new(endpoint, &path)).await?;
        Ok(data.of.revision)
    }

    /// Sheets of a spreadsheet or tables of a base; none for other types.
    pub async fn list_parts(&self, object: &Object) -> Result<Vec<Part>, ApiError> {
        let path = [object.token.as_str()];
        match object.ty {
            ObjType::Sheet => {
                let (data, _) = self.inner.call::<Sheets>(&Call::new(SHEETS, &path)).await?;
                Ok(data.sheets.into_iter().map(Part::from).collect())
            }
            ObjType::Bitable => {
                let call = Call::new(TABLES, &path).query("page_size", "100");
                let tables =
                    self.inner.list(&call, |table: Table| Part::from(table), |part| &part.id);
                Ok(tables.await?.items)
            }
            _ => Ok(Vec::new()),
        }
    }
}
