//! Pictures and files inside of documents.

use serde_json::{Value, json};

use super::service::*;
use super::*;
use crate::apply::fetch::{Fetcher, Setback};
use crate::apply::media::{self, File, Media};
use crate::export::docx::markdown::Found;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture of 2,500 bytes.
fn picture() -> Vec<u8> {
    PNG.iter().copied().chain((0..=255).cycle()).take(2500).collect()
}

/// Downloads `tok` with these values of `extra`, and reads what came.
async fn get(
    world: &World,
    service: &Arc<Service>,
    extras: &[&str],
    max_size: Option<u64>,
) -> Result<Found<(String, Vec<u8>)>, Setback> {
    let settings = Settings { max_size, ..world.settings() };
    let fetcher = Fetcher::new(&world.tools(service, &Faults::default()), Arc::new(settings));
    let extras = extras.iter().map(|extra| (*extra).to_owned()).collect();
    let media = Media { token: "tok".to_owned(), extras, name: None };
    let found = media::get(&fetcher, &media).await?;
    Ok(found.map(|File { sealed, name }| {
        let bytes = fs::read(world.state().join("staging").join(&sealed.name)).unwrap();
        assert_eq!(sealed.blake3, ContentHash::from(blake3::hash(&bytes)));
        (name, bytes)
    }))
}

fn here() -> Found<(String, Vec<u8>)> {
    Found::Here(("tok.png".to_owned(), picture()))
}

#[tokio::test(start_paused = true)]
async fn a_large_one_comes_in_ranges_and_goes_on_where_it_was_cut() {
    let world = World::new();
    let service =
        Service::new(|asked| sent(asked, &picture(), None, (asked.nth == 1).then_some(300)));
    assert_eq!(get(&world, &service, &[], None).await.unwrap(), here());
    let calls = service.calls.lock().unwrap().clone();
    let ranges: Vec<&str> = calls.iter().filter_map(|call| call.split(' ').nth(2)).collect();
    assert_eq!(ranges, ["0..1024", "1024..2048", "1324..2348", "2348..3372"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_ranges_begins_again() {
    let world = World::new();
    let service = Service::new(|asked| {
        let whole = Asked { line: String::new(), body: Value::Null, range: None, nth: 0 };
        sent(&whole, &picture(), None, (asked.nth == 0).then_some(300))
    });
    assert_eq!(get(&world, &service, &[], None).await.unwrap(), here());
    assert_eq!(service.calls.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn replies_that_do_not_fit_together_are_given_up() {
    let world = World::new();
    let service =
        Service::new(|asked| sent(asked, &picture(), Some(&format!("v{}", asked.nth)), None));
    let Err(Setback::Trouble(trouble)) = get(&world, &service, &[], None).await else {
        panic!("joined from different replies");
    };
    assert!(trouble.failure.message.contains("do not fit"), "{trouble:?}");
    let staging = fs::read_dir(world.state().join("staging")).unwrap();
    let left = staging.filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "nothing stays in staging");
}

#[tokio::test(start_paused = true)]
async fn an_empty_one_is_a_file() {
    let world = World::new();
    let service = Service::new(|asked| sent(asked, b"", None, None));
    let found = get(&world, &service, &[], None).await.unwrap();
    assert_eq!(found, Found::Here(("tok.bin".to_owned(), Vec::new())));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_known_by_the_first_reply() {
    let world = World::new();
    let service = Service::new(|asked| sent(asked, &picture(), None, None));
    let found = get(&world, &service, &[], Some(2499)).await.unwrap();
    assert_eq!(found, Found::Absent("larger than max_size".to_owned()));
    assert_eq!(service.calls.lock().unwrap().len(), 1);
    assert_eq!(get(&world, &service, &[], Some(2500)).await.unwrap(), here());
}

/// Each way is tried once, in order, until one is open.
#[tokio::test(start_paused = true)]
async fn ways_are_tried_in_order() {
    // What opens it, and the calls until then.
    let cases = [
        ("/download", 3),
        ("/download?extra=one", 4),
        ("/download?extra=two", 5),
        ("/elsewhere?by=plain", 7),
        ("/elsewhere?by=one", 9),
        ("nothing", 8),
    ];
    for (open, calls) in cases {
        let world = World::new();
        let service = Service::new(move |asked| {
            if asked.line.ends_with(open) {
                return sent(asked, &picture(), None, None);
            }
            if !asked.line.contains("batch_get_tmp_download_url") {
                return refused(403, 1_061_004);
            }
            let by = match asked.line.split_once("extra=") {
                None => "plain",
                Some((_, "one")) => "one",
                // There need not be a link for each.
                Some(_) => return good(json!({"tmp_download_urls": []})),
            };
            let url = format!("https://files.example/elsewhere?by={by}");
            good(json!({"tmp_download_urls": [
                {"file_token": "tok", "tmp_download_url": url}]}))
        });
        let found = get(&world, &service, &["one", "two"], None).await.unwrap();
        let want = if open == "nothing" { Found::Forbidden } else { here() };
        assert_eq!(found, want, "{open}");
        let asked = service.calls.lock().unwrap().clone();
        assert_eq!(asked.len(), calls, "{open}: {asked:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_no_failure_and_what_fails_is() {
    let world = World::new();
    let gone = Service::new(|_| refused(404, 1_061_007));
    let found = get(&world, &gone, &["one"], None).await.unwrap();
    assert_eq!(found, Found::Absent("deleted".to_owned()));
    assert_eq!(gone.calls.lock().unwrap().len(), 1, "no other way leads to it");
    let broken = Service::new(|_| refused(500, 1_061_001));
    assert!(matches!(get(&world, &broken, &["one"], None).await, Err(Setback::Trouble(_))));
}
