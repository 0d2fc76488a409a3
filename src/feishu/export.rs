//! Export tasks: create, poll; the product is fetched by `download`.

use std::sync::atomic::AtomicBool;

use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::download::PRODUCT;
use super::error::{ApiError, Class};
use super::quota::Endpoint;
use super::{Client, ExportJob, wire};
use crate::model::{ObjType, Object};

const CREATE: Endpoint = Endpoint::named("POST /open-apis/drive/v1/export_tasks");
const POLL: Endpoint = Endpoint::named("GET /open-apis/drive/v1/export_tasks/:ticket");

#[derive(Deserialize)]
struct Created {
    #[serde(deserialize_with = "wire::token")]
    ticket: String,
}

#[derive(Deserialize)]
struct Polled {
    result: Job,
}

/// docs: drive-v1/export_task/get
#[derive(Deserialize)]
struct Job {
    #[serde(default, rename = "job_status", deserialize_with = "wire::number")]
    status: Option<i64>,
    #[serde(default, rename = "job_error_msg", deserialize_with = "wire::text")]
    said: Option<String>,
    #[serde(default, deserialize_with = "wire::text")]
    file_token: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    file_size: Option<i64>,
}

impl Client {
    /// Starts an export and returns its ticket. `part` is the sheet or table of a CSV. `sent`
    /// tells whether the service may have begun, should nobody wait for the end of this.
    ///
    /// # Errors
    /// [`Class::Unsupported`] where the service has no such export for this type.
    pub async fn create_export(
        &self,
        object: &Object,
        extension: &str,
        part: Option<&str>,
        sent: &AtomicBool,
    ) -> Result<String, ApiError> {
        let mut body = json!({
            "file_extension": extension,
            "token": object.token.as_str(),
            "type": object.ty.as_str(),
        });
        if let Some(part) = part {
            body["sub_id"] = part.into();
        }
        let call = Call { sent: Some(sent), ..Call::new(CREATE, &[]).body(body) };
        let created = self.inner.call::<Created>(&call).await;
        created.map(|(created, _)| created.ticket).map_err(|error| refused_type(error, &object.ty))
    }

    /// How far an export is. Only the identity that created it may ask.
    ///
    /// # Errors
    /// [`Class::Gone`] where the ticket has expired or the document is deleted.
    pub async fn poll_export(&self, ticket: &str, object: &Object) -> Result<ExportJob, ApiError> {
        let path = [ticket];
        let call = Call::new(POLL, &path).query("token", object.token.as_str());
        let (polled, _) = self.inner.call::<Polled>(&call).await?;
        Ok(polled.result.into())
    }

    /// How often the service has said that exports are created, polled or downloaded too
    /// fast.
    pub fn export_throttles(&self) -> u64 {
        let freezes = |endpoint| self.inner.quota.freezes(endpoint);
        [CREATE, POLL, PRODUCT].into_iter().map(freezes).sum()
    }
}

/// Types that the docs do not list for export are refused with the codes of a wrong
/// type, and that is what a caller wants to know.
fn refused_type(error: ApiError, ty: &ObjType) -> ApiError {
    let documented = matches!(ty, ObjType::Doc | ObjType::Docx | ObjType::Sheet | ObjType::Bitable);
    // 1069904: invalid parameter; 1069914: token and type do not match.
    match error.code {
        Some(1_069_904 | 1_069_914) if !documented => {
            ApiError { class: Class::Unsupported, ..error }
        }
        _ => error,
    }
}

/// Job statuses of what has no export for its size. docs: drive-v1/export_task/get
const TOO_LARGE: i64 = 107;
const TOO_MANY_IMAGES: i64 = 6000;

impl ApiError {
    /// True where an export was refused because of how much is in the document.
    pub fn is_too_large_to_export(&self) -> bool {
        self.endpoint == POLL.name() && matches!(self.code, Some(TOO_LARGE | TOO_MANY_IMAGES))
    }
}

impl From<Job> for ExportJob {
    /// docs: drive-v1/export_task/get, field `job_status`
    fn from(job: Job) -> Self {
        let status = job.status.unwrap_or(-1);
        let said = job.said.filter(|msg| msg != "success").unwrap_or_default();
        let error = |class, what: &str, hint: Option<&str>| {
            let sep = if said.is_empty() { "" } else { ": " };
            let said = super::error::tidy(&said);
            let mut error = ApiError::local(
                class,
                POLL.name(),
                format!("{what}{sep}{said} (job status {status})"),
            );
            error.code = Some(status);
            error.hint = hint.map(str::to_owned);
            error
        };
        match status {
            // The status may be ahead of its file (client: larksuite/cli drive export).
            0 => match job.file_token {
                Some(file_token) => {
                    let size = job.file_size.and_then(|size| u64::try_from(size).ok());
                    Self::Ready { file_token, size: size.unwrap_or(0) }
                }
                None => Self::Pending,
            },
            1 | 2 => Self::Pending,
            3 => Self::Again(error(Class::Transient, "the export failed inside the service", None)),
            108 => Self::Again(error(Class::Transient, "the export timed out", None)),
            TOO_LARGE => Self::Refused(error(
                Class::Refused,
                "the document is too large to export",
                Some("choose another format for it, or split the document"),
            )),
            TOO_MANY_IMAGES => Self::Refused(error(
                Class::Refused,
                "the document holds too many images to export",
                Some("choose another format for it, or split the document"),
            )),
            109 => Self::Refused(error(
                Class::Refused,
                "the document holds blocks that this identity may not see",
                Some("share what the document embeds as well, or choose another format for it"),
            )),
            110 => Self::Refused(error(
                Class::Forbidden,
                "no permission to export it",
                Some("ask its owner to allow copies and downloads, or to share it for editing"),
            )),
            111 => Self::Refused(error(Class::Gone, "the document was deleted", None)),
            123 => Self::Refused(error(Class::Gone, "the document does not exist", None)),
            122 => Self::Refused(error(
                Class::Transient,
                "the document is still being copied",
                Some("the next run asks again"),
            )),
            _ => Self::Refused(error(Class::Refused, "the export was refused", None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feishu::fake::{Fake, json_reply};

    #[tokio::test(start_paused = true)]
    async fn job_states_mean_what_the_docs_say() {
        let doc = Object::new(ObjType::Docx, "doxC");
        let cases = [
            (json!({"job_status":1}), "Pending"),
            (json!({"job_status":2}), "Pending"),
            (json!({"job_status":0,"file_token":""}), "Pending"),
            (json!({"job_status":0,"file_token":"boxK","file_size":34_012}), "Ready boxK 34012"),
            (json!({"job_status":"0","file_token":"boxK","file_size":"9"}), "Ready boxK 9"),
            (json!({"job_status":3}), "Again Transient"),
            (json!({"job_status":108}), "Again Transient"),
            (json!({"job_status":107}), "Refused Refused"),
            (json!({"job_status":6000}), "Refused Refused"),
            (json!({"job_status":109}), "Refused Refused"),
            (json!({"job_status":110}), "Refused Forbidden"),
            (json!({"job_status":111}), "Refused Gone"),
            (json!({"job_status":123}), "Refused Gone"),
            (json!({"job_status":122}), "Refused Transient"),
            (json!({"job_status":777,"job_error_msg":"eaten"}), "Refused Refused"),
        ];
        let fake = Fake::app();
        let client = fake.client();
        for (result, want) in cases {
            fake.push(json_reply(json!({"code":0,"data":{"result":result}})));
            let got = match client.poll_export("tick", &doc).await.unwrap() {
                ExportJob::Pending => "Pending".to_owned(),
                ExportJob::Ready { file_token, size } => format!("Ready {file_token} {size}"),
                ExportJob::Again(error) => format!("Again {:?}", error.class),
                ExportJob::Refused(error) => format!("Refused {:?}", error.class),
            };
            assert_eq!(got, want, "{result}");
        }
        let last = fake.calls().pop().unwrap();
        assert_eq!(last, "GET /open-apis/drive/v1/export_tasks/tick?token=doxC");
    }

    #[tokio::test(start_paused = true)]
    async fn a_type_without_exports_is_unsupported() {
        let cases = [
            (ObjType::Slides, 1_069_914, Class::Unsupported),
            (ObjType::Mindnote, 1_069_904, Class::Unsupported),
            (ObjType::Docx, 1_069_918, Class::Unsupported),
            (ObjType::Docx, 1_069_914, Class::Unexpected),
            (ObjType::Docx, 1_069_902, Class::Forbidden),
        ];
        let fake = Fake::app();
        let client = fake.client();
        let sent = AtomicBool::new(false);
        for (ty, code, want) in cases {
            fake.push(json_reply(json!({"code":code,"msg":"no"})).status(400));
            let object = Object::new(ty.clone(), "tok");
            let error = client.create_export(&object, "pptx", None, &sent).await.unwrap_err();
            assert_eq!(error.class, want, "{ty} {code}");
        }
        fake.push(json_reply(json!({"code":0,"data":{"ticket":"7"}})));
        let sheet = Object::new(ObjType::Sheet, "shtA");
        let ticket = client.create_export(&sheet, "csv", Some("0b12"), &sent).await.unwrap();
        assert_eq!((ticket.as_str(), sent.into_inner()), ("7", true));
        let body = fake.last_body();
        assert_eq!(
            body,
            json!({"file_extension":"csv","token":"shtA","type":"sheet","sub_id":"0b12"})
        );
    }
}
