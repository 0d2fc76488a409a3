//! Stories about the tenant itself: what a client meets, call by call.

mod console;
mod content;
mod device;
mod gateway;
mod inside;
mod minutes;
mod oauth;
mod places;
mod renewal;
mod search;

use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::feishu::{HttpSend, SendError};

const NOW: i64 = 1_790_000_000;

fn clock() -> Clock {
    Clock::from_tokio(Timestamp::from_second(NOW).unwrap())
}

/// A tenant without quotas.
fn quiet() -> Tenant {
    let tenant = Tenant::new(clock());
    tenant.quotas(Quotas::none());
    tenant
}

struct Got {
    status: u16,
    headers: ::http::HeaderMap,
    body: Result<Vec<u8>, SendError>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    fn code(&self) -> i64 {
        self.json()["code"].as_i64().unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap()
    }

    /// A field at the top of the reply.
    fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    fn bytes(&self) -> &[u8] {
        self.body.as_ref().unwrap()
    }
}

async fn send(tenant: &Tenant, request: Request<Bytes>) -> Result<Got, SendError> {
    let mut response = tenant.http().send(request).await?;
    let mut body = Ok(Vec::new());
    while let Some(piece) = response.body_mut().next().await {
        match (piece, &mut body) {
            (Ok(bytes), Ok(all)) => all.extend_from_slice(&bytes),
            (Err(error), _) => body = Err(error),
            _ => {}
        }
    }
    Ok(Got { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

async fn get_as(tenant: &Tenant, token: &str, path: &str) -> Got {
    let request = Request::get(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {token}"));
    send(tenant, request.body(Bytes::new()).unwrap()).await.unwrap()
}

async fn get(tenant: &Tenant, path: &str) -> Got {
    get_as(tenant, USER_TOKEN, path).await
}

async fn post_as(tenant: &Tenant, token: &str, path: &str, body: Value) -> Got {
    let request = Request::post(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {token}"));
    send(tenant, request.body(Bytes::from(body.to_string())).unwrap()).await.unwrap()
}

async fn post(tenant: &Tenant, path: &str, body: Value) -> Got {
    post_as(tenant, USER_TOKEN, path, body).await
}

/// `k=v&k=v`, encoded.
fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Posts a form to a path below the host, with further headers.
async fn form_with(
    tenant: &Tenant,
    path: &str,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Got {
    let mut request = Request::post(format!("http://sim{path}"))
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(tenant, request.body(Bytes::from(encoded(fields))).unwrap()).await.unwrap()
}

async fn form(tenant: &Tenant, path: &str, fields: &[(&str, &str)]) -> Got {
    form_with(tenant, path, fields, &[]).await
}

/// A page below the host.
async fn visit(tenant: &Tenant, path: &str) -> Got {
    let request = Request::get(format!("http://sim{path}")).body(Bytes::new()).unwrap();
    send(tenant, request).await.unwrap()
}

const TOKEN: &str = "/open-apis/authen/v2/oauth/token";

/// Asks the token endpoint with the app's credentials, `fields` before them: the first
/// of two equal names counts.
async fn ask_token(tenant: &Tenant, fields: &[(&str, &str)]) -> Got {
    let mut all = fields.to_vec();
    for (name, value) in [("client_id", APP_ID), ("client_secret", APP_SECRET)] {
        if fields.iter().all(|(given, _)| *given != name) {
            all.push((name, value));
        }
    }
    form(tenant, TOKEN, &all).await
}

async fn refresh(tenant: &Tenant, token: &str) -> Got {
    ask_token(tenant, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn ranged(tenant: &Tenant, path: &str, range: &str) -> Got {
    let request = Request::get(format!("http://sim/open-apis{path}"))
        .header("authorization", format!("Bearer {USER_TOKEN}"))
        .header("range", range);
    send(tenant, request.body(Bytes::new()).unwrap()).await.unwrap()
}

async fn app_token(tenant: &Tenant) -> String {
    let body = json!({"app_id": APP_ID, "app_secret": APP_SECRET});
    let got = post(tenant, "/auth/v3/tenant_access_token/internal", body).await;
    got.json()["tenant_access_token"].as_str().unwrap().to_owned()
}

/// Every entry of a folder, oldest first, page by page.
async fn drive_files(tenant: &Tenant, folder: &str, size: usize) -> Vec<Value> {
    let mut files = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!(
            "/drive/v1/files?folder_token={folder}&page_size={size}&page_token={token}\
             &order_by=CreatedTime&direction=ASC"
        );
        let data = get(tenant, &path).await.json()["data"].clone();
        files.extend_from_slice(data["files"].as_array().unwrap());
        if data["has_more"] == false {
            return files;
        }
        data["next_page_token"].as_str().unwrap().clone_into(&mut token);
    }
}

/// Exports and downloads, as a client does.
async fn export(tenant: &Tenant, token: &str, ty: &str, extension: &str, sub: &str) -> Vec<u8> {
    let body = json!({"file_extension": extension, "token": token, "type": ty, "sub_id": sub});
    let created = post(tenant, "/drive/v1/export_tasks", body).await.json();
    let ticket = created["data"]["ticket"].as_str().expect("a ticket");
    let mut seen = Vec::new();
    loop {
        let path = format!("/drive/v1/export_tasks/{ticket}?token={token}");
        let result = get(tenant, &path).await.json()["data"]["result"].clone();
        let status = result["job_status"].as_i64().unwrap();
        let product = result["file_token"].as_str().unwrap();
        seen.push((status, product.is_empty()));
        if status == 0 && !product.is_empty() {
            let path = format!("/drive/v1/export_tasks/file/{product}/download");
            let got = get(tenant, &path).await;
            assert_eq!(got.bytes().len() as u64, result["file_size"].as_u64().unwrap());
            seen.dedup();
            assert_eq!(seen, [(1, true), (2, true), (0, true), (0, false)]);
            return got.bytes().to_vec();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
