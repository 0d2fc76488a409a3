//! Command lines of `api` against a simulated tenant, with an account at hand.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::auth::quota::StateWriter;
use crate::cli::{self, Command};
use crate::clock::Clock;
use crate::commands::exit::{FAILED, LOGIN};
use crate::faults::Faults;
use crate::feishu::{Credentials, Settings};
use crate::model::account::Domain;
use crate::sim::{Effect, Fault, Tenant, USER_TOKEN};
use crate::ui::Ui;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a command line did.
struct Done {
    result: Result<u8, Problem>,
    out: Vec<u8>,
    err: String,
}

impl Done {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    fn problem(&self) -> &Problem {
        self.result.as_ref().unwrap_err()
    }
}

fn tenant() -> Tenant {
    Tenant::new(Clock::from_tokio("2026-03-01T02:30:00Z".parse().unwrap()))
}

/// Runs `feishu-mirror api …` in `folder`, as the tenant's user.
async fn api(tenant: &Tenant, folder: &Path, terminal: bool, words: &[&str]) -> Done {
    let line = ["feishu-mirror", "api"].iter().chain(words).map(Into::into).collect();
    let cli = cli::parse(line).unwrap();
    let Command::Api(args) = cli.command else { panic!("another command") };
    let (out, err) = (Buffer::default(), Buffer::default());
    let streams = (Box::new(out.clone()), Box::new(err.clone()));
    let session = Session {
        state_writer: StateWriter::default(),
        logins: Arc::default(),
        clients: Arc::default(),
        vars: BTreeMap::new(),
        cwd: folder.to_owned(),
        clock: tenant.clock(),
        http: Some(tenant.http()),
        interrupt: tokio_util::sync::CancellationToken::new(),
        faults: Faults::default(),
        input: Arc::new(Mutex::new(Box::new(io::empty()))),
        input_is_terminal: false,
        out_is_terminal: terminal,
        err_is_terminal: terminal,
        global: cli.global.clone(),
        ui: Ui::new(streams.0, streams.1, terminal, terminal, &cli.global),
    };
    let settings = Settings {
        domain: Domain::feishu(),
        credentials: Credentials::User(USER_TOKEN.into()),
        quota_share: 1.0,
        concurrency: 8,
        retries: 2,
        request_timeout: Duration::from_secs(60),
        bandwidth: 0,
        max_calls: 0,
    };
    let client = Client::new(settings, tenant.http(), tenant.clock());
    let result = async {
        let wanted = input::Wanted::parse(&args, folder, || Ok(String::new()))?;
        let call = wanted.call(&Domain::feishu())?;
        let target = Target::of(&session, &args);
        Run { session: &session, target, client, call, other: None }.go(args.page_all).await
    };
    let result = result.await;
    let out = out.0.lock().unwrap().clone();
    let err = String::from_utf8(err.0.lock().unwrap().clone()).unwrap();
    Done { result, out, err }
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn json_is_pretty_for_people_and_one_line_for_programs() {
    let (tenant, here) = (tenant(), tempfile::tempdir().unwrap());
    let words = ["GET", "/authen/v1/user_info"];
    let piped = api(&tenant, here.path(), false, &words).await;
    assert_eq!(piped.result, Ok(DONE));
    assert_eq!(piped.text().lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(piped.text()).unwrap();
    assert_eq!((value["code"].as_i64(), value["data"]["name"].as_str()), (Some(0), Some("demo")));
    let shown = api(&tenant, here.path(), true, &words).await;
    assert!(shown.text().starts_with("{\n  \""), "{}", shown.text());
    assert_eq!(serde_json::from_str::<serde_json::Value>(shown.text()).unwrap(), value);
    let json = api(&tenant, here.path(), true, &[words[0], words[1], "--json"]).await;
    assert_eq!(json.text(), piped.text());
}

#[tokio::test(start_paused = true)]
async fn all_pages_come_as_one_reply() {
    let (tenant, here) = (tenant(), tempfile::tempdir().unwrap());
    for n in 0..7 {
        tenant.root().docx(&format!("d{n}"));
    }
    let path = format!("/drive/v1/files?folder_token={}&page_size=2", tenant.root().token());
    let done = api(&tenant, here.path(), false, &["GET", &path, "--page-all"]).await;
    assert_eq!(done.result, Ok(DONE));
    let value: serde_json::Value = serde_json::from_str(done.text()).unwrap();
    assert_eq!(value["data"]["files"].as_array().unwrap().len(), 7);
    assert_eq!(value["data"]["has_more"], false);
    assert!(value["data"].get("next_page_token").is_none());
    assert_eq!(tenant.calls("GET", "/drive/v1/files"), 4);
    // A listing cut short prints nothing that could be taken for the whole.
    let broken = Fault::new("GET", "/drive/v1/files", Effect::status(403, 1_061_004)).nth(3);
    tenant.fault(broken);
    let done = api(&tenant, here.path(), false, &["GET", &path, "--page-all"]).await;
    assert_eq!(done.problem().code, FAILED);
    assert!(done.out.is_empty(), "{}", done.text());
}

#[tokio::test(start_paused = true)]
async fn bytes_go_to_a_file_or_a_pipe_and_never_to_a_terminal() {
    let (tenant, here) = (tenant(), tempfile::tempdir().unwrap());
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let file = tenant.root().upload("logo.png", bytes.clone());
    let path = format!("/drive/v1/files/{}/download", file.token());

    let done = api(&tenant, here.path(), true, &["GET", &path, "-o", "logo.png"]).await;
    assert_eq!(done.result, Ok(DONE));
    assert_eq!(std::fs::read(here.path().join("logo.png")).unwrap(), bytes);
    assert!(done.out.is_empty() && done.err.contains("200000 bytes written"), "{}", done.err);
    assert_eq!(files(here.path()), ["logo.png"]);

    assert_eq!(api(&tenant, here.path(), false, &["GET", &path]).await.out, bytes);
    assert_eq!(api(&tenant, here.path(), true, &["GET", &path, "-o", "-"]).await.out, bytes);
    for words in [&["GET", &path][..], &["GET", &path, "--json"]] {
        let done = api(&tenant, here.path(), words.len() == 2, words).await;
        assert_eq!(done.problem().code, USAGE);
        assert!(done.problem().hint.as_ref().unwrap().contains("--output FILE"));
        assert!(done.out.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_never_saved_as_a_file() {
    let (tenant, here) = (tenant(), tempfile::tempdir().unwrap());
    let file = tenant.root().upload("logo.png", "bytes");
    let path = format!("/drive/v1/files/{}/download", file.token());
    std::fs::write(here.path().join("logo.png"), "what was there").unwrap();
    let cut = Fault::new("GET", "/drive/v1/files/:file_token/download", Effect::CutAfter(2));
    tenant.fault(cut);
    let done = api(&tenant, here.path(), true, &["GET", &path, "-o", "logo.png"]).await;
    assert_eq!(done.problem().code, FAILED);
    for status in [403, 200] {
        tenant.calm();
        let effect = Effect::status(status, 1_061_004);
        tenant.fault(Fault::new("GET", "/drive/v1/files/:file_token/download", effect));
        let done = api(&tenant, here.path(), true, &["GET", &path, "-o", "logo.png"]).await;
        assert_eq!(done.problem().code, FAILED, "HTTP {status}");
    }
    assert_eq!(std::fs::read(here.path().join("logo.png")).unwrap(), b"what was there");
    assert_eq!(files(here.path()), ["logo.png"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_in_words_and_with_json_in_the_services_own() {
    let (tenant, here) = (tenant(), tempfile::tempdir().unwrap());
    let words = ["GET", "/drive/v1/files?folder_token=fldNONE", "--json"];
    let done = api(&tenant, here.path(), false, &words).await;
    let problem = done.problem();
    assert_eq!(problem.code, FAILED);
    let said: serde_json::Value = serde_json::from_str(done.text()).unwrap();
    let code = said["code"].as_i64().unwrap();
    assert!(problem.message.contains(&format!("code {code}")), "{problem}");
    assert!(problem.message.contains("log id"), "{problem}");
    let quiet = api(&tenant, here.path(), false, &words[..2]).await;
    assert!(quiet.out.is_empty(), "{}", quiet.text());

    tenant.token_lives(USER_TOKEN, Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let done = api(&tenant, here.path(), false, &["GET", "/authen/v1/user_info"]).await;
    assert_eq!(done.problem().code, LOGIN);
    assert!(!format!("{:?}", done.problem()).contains(USER_TOKEN));
}
