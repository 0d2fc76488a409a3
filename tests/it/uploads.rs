//! Uploaded files: any bytes, any size, over any connection.

use crate::support::{Mirror, SOURCES, tenant};
use feishu_mirror::sim::{Effect, Fault};

const DOWNLOAD: &str = "/drive/v1/files/:file_token/download";

/// JSON and HTML files arrive as they are; an error body never becomes a file.
#[tokio::test(start_paused = true)]
async fn json_and_html_files_are_content() {
    let tenant = tenant();
    let root = tenant.root();
    let json = br#"{"code":99991400,"msg":"my own notes"}"#;
    root.upload("notes.json", json.to_vec());
    root.upload("page.html", b"<html>mine</html>".to_vec());
    root.upload("empty.bin", Vec::new());
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    assert_eq!(mirror.read("drive/notes.json"), json);
    assert_eq!(mirror.read("drive/page.html"), b"<html>mine</html>");
    assert_eq!(mirror.read("drive/empty.bin"), b"");

    root.upload("late.bin", b"late".to_vec());
    tenant.fault(Fault::new("GET", DOWNLOAD, Effect::ErrorWith200(1_061_004)));
    mirror.sync().await.exits(2);
    assert!(!mirror.path("drive/late.bin").exists());
}

/// A connection cut in the middle goes on where it was.
#[tokio::test(start_paused = true)]
async fn a_cut_download_resumes() {
    let tenant = tenant();
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    tenant.root().upload("big.bin", bytes.clone());
    tenant.fault(Fault::new("GET", DOWNLOAD, Effect::CutAfter(12_000_000)).nth(1));
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    assert!(mirror.read("drive/big.bin") == bytes);
    assert_eq!(tenant.calls("GET", DOWNLOAD), 2);
}

/// A file replaced between two ranges is never spliced from both.
#[tokio::test(start_paused = true)]
async fn a_file_replaced_between_two_ranges_is_never_spliced() {
    for etags in [true, false] {
        let tenant = tenant();
        tenant.etags(etags);
        let file = tenant.root().upload("big.bin", vec![b'a'; 12_000_000]);
        tenant.fault(Fault::new("GET", DOWNLOAD, Effect::CutAfter(8_000_000)).nth(1));
        let replaced = file.clone();
        let replace = Effect::run(move || {
            replaced.replace(vec![b'b'; 12_000_000]);
        });
        tenant.fault(Fault::new("GET", DOWNLOAD, replace).nth(2));
        let mirror = Mirror::of(&tenant);
        mirror.sync().await;
        mirror.sync().await.success();
        let bytes = mirror.read("drive/big.bin");
        let (a, b) = (bytes.contains(&b'a'), bytes.contains(&b'b'));
        assert_eq!((a, b, bytes.len()), (false, true, 12_000_000), "etags: {etags}");
    }
}

/// Larger files than wanted are left out, and reported; the run is not partial for it.
#[tokio::test(start_paused = true)]
async fn a_file_above_max_size_is_skipped() {
    let tenant = tenant();
    tenant.root().upload("big.bin", vec![1; 5_000_000]);
    tenant.root().upload("small.bin", vec![2; 10]);
    let config = format!("{SOURCES}\n[filter]\nmax_size = \"1 MiB\"\n");
    let mirror = Mirror::with(&tenant, &config);
    let run = mirror.sync().await.success();
    assert_eq!(run.count("skipped"), 1);
    assert_eq!(mirror.files(), ["drive/small.bin"]);
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(tenant.calls("GET", DOWNLOAD), 0, "not asked again");
}

/// What a run that ended early left to the next one is neither mirrored nor failed.
#[tokio::test(start_paused = true)]
async fn what_no_run_fetched_yet_is_told() {
    let tenant = tenant();
    for n in 0..6 {
        tenant.root().upload(&format!("{n}.txt"), format!("{n}"));
    }
    let mirror = Mirror::with(&tenant, SOURCES);
    let run = mirror.run(&["sync", "--json", "--max-calls", "8"]).await.exits(2);
    let there = mirror.files().len() as u64;
    assert!((1..6).contains(&there), "{}", run.out);
    let status = mirror.run(&["status", "--json"]).await.success().events().remove(0);
    assert_eq!(status["types"]["file"], there);
    assert_eq!(status["unfetched"], 6 - there);
    mirror.run(&["status"]).await.success().says(&["places, not fetched yet"]);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    mirror.run(&["sync"]).await.success().says(&["to fetch: "]);
    let quiet = mirror.run(&["sync"]).await.success();
    assert!(!quiet.err.contains("to fetch"), "{}", quiet.err);
    mirror.run(&["status"]).await.success().says(&["nothing"]);
}
