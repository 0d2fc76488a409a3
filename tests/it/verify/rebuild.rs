//! `rebuild`: a manifest made again from the index and the files.

use super::*;

/// Removed, garbage, cut short, of an old backup, of somebody else: the manifest is made
/// again, the old one is kept, and an unchanged tenant fetches nothing.
#[tokio::test(start_paused = true)]
async fn a_lost_manifest_is_made_again() {
    let tenant = tenant();
    let items = a_bit_of_everything(&tenant);
    let mirror = Mirror::with(&tenant, &everything());
    mirror.sync().await.success();
    let manifest = mirror.state("manifest.redb");
    let older = fs::read(&manifest).unwrap();
    items[1].replace(b"%PDF-1.4 another scan altogether".to_vec());
    tenant.root().docx("Later");
    tokio::time::advance(Duration::from_secs(60)).await;
    mirror.sync().await.success();
    let whole = fs::read(&manifest).unwrap();
    let marker = fs::read(mirror.state("root.json")).unwrap();
    let stranger = {
        let state = tempfile::tempdir().unwrap();
        drop(Store::open(state.path(), "somebody-else", &Faults::default()).unwrap());
        fs::read(state.path().join("manifest.redb")).unwrap()
    };
    let away = mirror.folder().join("away");
    fs::rename(&manifest, &away).unwrap();
    for command in ["sync", "verify", "ls"] {
        mirror.run(&[command]).await.exits(1).says(&["feishu-mirror rebuild", "--init"]);
    }
    fs::rename(&away, &manifest).unwrap();
    let rows = mirror.run(&["ls", "--json"]).await.success().out;
    let before = mirror.snapshot();

    let kills: [(&str, Option<&[u8]>); 5] = [
        ("removed", None),
        ("garbage", Some(b"not a database at all, but some text")),
        ("cut short", Some(&whole[..whole.len() / 2])),
        ("older", Some(&older)),
        ("somebody else's", Some(&stranger)),
    ];
    for (how, bytes) in kills {
        fs::remove_file(&manifest).unwrap();
        if let Some(bytes) = bytes {
            fs::write(&manifest, bytes).unwrap();
        }
        if how != "older" {
            mirror.run(&["sync"]).await.exits(1);
            mirror.run(&["verify"]).await.exits(1);
        }
        let run = mirror.run(&["rebuild", "--json"]).await.success();
        assert_eq!(run.summary()["rebuilt"], true, "{how}: {}", run.out);
        assert_eq!(run.count("adopted"), mirror.files().len() as u64, "{how}");
        if let Some(bytes) = bytes {
            let kept = run.summary()["aside"].as_str().unwrap().to_owned();
            assert_eq!(fs::read(kept).unwrap(), bytes, "{how}: put aside, not deleted");
        }
        assert_eq!(fs::read(mirror.state("root.json")).unwrap(), marker, "{how}");
        assert_eq!(mirror.run(&["ls", "--json"]).await.success().out, rows, "{how}");
        tenant.forget_calls();
        assert_eq!(changes(&mirror.sync().await.success()), [""; 0], "{how}");
        assert_eq!(fetches(&tenant), 0, "{how}");
        assert_eq!(mirror.changed_since(&before), [""; 0], "{how}");
    }
    mirror.run(&["rebuild"]).await.success().says(&["sound", "nothing was changed"]);
}

/// What is missing or differs is left to the next sync; what differs goes to the trash.
#[tokio::test(start_paused = true)]
async fn a_rebuilt_manifest_vouches_only_for_what_matches() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let before = mirror.snapshot();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();
    let good = mirror.read("drive/Team/scan.pdf");
    flip(&mirror.path("drive/Team/scan.pdf"), 12);
    let bad = mirror.read("drive/Team/scan.pdf");
    fs::remove_file(mirror.path("wiki/Handbook/Intro.docx")).unwrap();
    fs::write(mirror.path("drive/Team/mine.txt"), "mine").unwrap();

    let run = mirror.run(&["rebuild", "--json"]).await.success();
    assert_eq!((run.count("missing"), run.count("altered"), run.count("untracked")), (1, 1, 1));
    let run = mirror.sync().await.success();
    let want = ["restore drive/Team/scan.pdf", "restore wiki/Handbook/Intro.docx"];
    assert_eq!(changes(&run), want);
    assert_eq!(mirror.read("drive/Team/scan.pdf"), good);
    assert_eq!(trash(&mirror), [bad]);
    let changed = mirror.changed_since(&before);
    assert_eq!(changed, ["drive/Team/mine.txt", "drive/Team/scan.pdf", "wiki/Handbook/Intro.docx"]);
}

/// Damaged lines are skipped and counted, and the rest is worth as much as before.
#[tokio::test(start_paused = true)]
async fn a_damaged_index_gives_what_it_can() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let before = mirror.snapshot();
    let index = mirror.state("index.jsonl");
    let text = fs::read_to_string(&index).unwrap();
    let team = text.lines().position(|line| line.contains("\"title\":\"Team\"")).unwrap();
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    lines[team] = b"\xff\xfe{not a line".to_vec();
    let damaged = [lines.join(&b'\n'), b"\n".to_vec()].concat();
    fs::write(&index, &damaged).unwrap();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();

    let run = mirror.run(&["rebuild", "--json"]).await.success();
    run.summary();
    assert_eq!(run.count("lost_lines"), 1);
    assert_eq!(run.count("adopted"), mirror.files().len() as u64, "each line says where");
    let kept = fs::read_dir(mirror.state("")).unwrap().map(|entry| entry.unwrap().path());
    let kept =
        kept.filter(|path| path.to_str().unwrap().contains("index.jsonl.2")).collect::<Vec<_>>();
    assert_eq!(fs::read(&kept[0]).unwrap(), damaged, "put aside");
    mirror.run(&["verify", "--strict"]).await.success();
    tenant.forget_calls();
    mirror.sync().await.success();
    assert_eq!(fetches(&tenant), 0, "a folder's line alone costs nothing");
    assert_eq!(mirror.changed_since(&before), [""; 0]);
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);

    // Every line in turn, the first one too: nothing that matched is fetched but what the
    // line itself was about.
    let text = fs::read_to_string(&index).unwrap();
    for n in 0..text.lines().count() {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[n] = "{\"half\":";
        fs::write(&index, lines.join("\n") + "\n").unwrap();
        fs::remove_file(mirror.state("manifest.redb")).unwrap();
        let run = mirror.run(&["rebuild", "--json"]).await.success();
        assert_eq!(run.count("lost_lines"), 1, "line {n}");
        tenant.forget_calls();
        mirror.sync().await.success();
        assert!(fetches(&tenant) <= 3, "line {n}: {:?}", tenant.call_log());
        assert_eq!(mirror.changed_since(&before), [""; 0], "line {n}");
        assert_eq!(changes(&mirror.sync().await.success()), [""; 0], "line {n}");
    }
}

/// Without an index, or with nothing but garbage, it says so, and `sync --init` goes on.
#[tokio::test(start_paused = true)]
async fn without_an_index_nothing_is_made_up() {
    let tenant = tenant();
    let mirror = synced(&tenant).await;
    let before = mirror.snapshot();
    let index = mirror.state("index.jsonl");
    fs::write(mirror.state("manifest.redb"), "garbage").unwrap();
    let foreign =
        fs::read_to_string(&index).unwrap().replacen("\"mirror_id\":\"", "\"mirror_id\":\"x", 1);
    fs::write(&index, foreign).unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["another mirror"]);
    fs::write(&index, "{\"index_version\":99}\n").unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["newer program"]);
    fs::write(&index, "all\nof\nit\n").unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["not one line", "--init"]);
    fs::remove_file(&index).unwrap();
    mirror.run(&["rebuild"]).await.exits(1).says(&["no index", "feishu-mirror sync --init"]);
    assert_eq!(fs::read(mirror.state("manifest.redb")).unwrap(), b"garbage");

    mirror.run(&["sync"]).await.exits(1).says(&["rebuild"]);
    mirror.run(&["diff", "--init"]).await.success();
    mirror.run(&["sync", "--init"]).await.success();
    assert_eq!(mirror.changed_since(&before), [""; 0], "what is there is adopted");
    mirror.run(&["verify", "--strict"]).await.success();
}

/// Whose mirror it is comes back too: another identity is refused as before.
#[tokio::test(start_paused = true)]
async fn a_rebuilt_manifest_knows_whose_it_is() {
    let tenant = tenant();
    tenant.root().docx("Page");
    let mut mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();
    mirror.run(&["rebuild"]).await.success();

    tenant.add_user("Somebody Else", "u-another-token");
    let own = mirror.vars.insert("FEISHU_USER_ACCESS_TOKEN".into(), "u-another-token".into());
    mirror.sync().await.exits(1).says(&["another identity", "--accept-identity-change"]);
    mirror.vars.insert("FEISHU_USER_ACCESS_TOKEN".into(), own.unwrap());
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);

    // An index of an older program has no account, and does as well.
    let index = mirror.state("index.jsonl");
    let text = fs::read_to_string(&index).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(first).unwrap();
    assert!(header.as_object_mut().unwrap().remove("account").is_some(), "{first}");
    fs::write(&index, format!("{header}\n{rest}")).unwrap();
    fs::remove_file(mirror.state("manifest.redb")).unwrap();
    mirror.run(&["rebuild"]).await.success();
    assert_eq!(changes(&mirror.sync().await.success()), [""; 0]);
}
