//! Any title becomes a safe, stable path.

use crate::support::{Mirror, SOURCES, tenant};

/// Titles that other tools lose, overwrite or choke on.
const TITLES: [&str; 19] = [
    "a/b",
    "..",
    ".",
    "",
    "CON",
    "nul.txt",
    "dots...",
    "  spaces  ",
    "emoji 🎉👨‍👩‍👧",
    "caf\u{e9}",
    "cafe\u{301}",
    "README",
    "readme",
    "same",
    "same",
    "same",
    "tab\tnew\nline\u{7}",
    "quo\"te<>|?*:",
    "back\\slash",
];

fn fill(tenant: &feishu_mirror::sim::Tenant, order: impl Iterator<Item = usize>) {
    let root = tenant.root();
    let long = "长".repeat(300);
    for n in order {
        let title = if n < TITLES.len() { TITLES[n] } else { &long };
        let seconds = 1_600_000_000 + i64::try_from(n).unwrap();
        root.docx(title).with_token(&format!("dox{n:024}")).created_at(seconds);
    }
}

/// Paths are portable, unique and do not depend on the order of the listing.
#[tokio::test(start_paused = true)]
async fn every_title_has_a_safe_path_whatever_the_order() {
    let (forward, backward) = (tenant(), tenant());
    fill(&forward, 0..=TITLES.len());
    fill(&backward, (0..=TITLES.len()).rev());
    let one = Mirror::of(&forward);
    let two = Mirror::of(&backward);
    one.sync().await.success();
    two.sync().await.success();

    let files = one.files();
    assert_eq!(files, two.files());
    assert_eq!(files.len(), TITLES.len() + 1, "{files:#?}");
    for file in &files {
        let name = file.strip_prefix("drive/").expect("all in their folder");
        assert!(!name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']), "{name:?}");
        assert!(!name.chars().any(char::is_control), "{name:?}");
        assert!(name.len() <= 240, "{name:?}");
        assert_eq!(name.trim(), name);
    }
    let mut folded: Vec<String> = files.iter().map(|name| name.to_lowercase()).collect();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), files.len(), "unique also where case does not count");
    one.sync().await.success();
    assert_eq!(one.files(), files);
}

/// A page with children beside a folder of its name, and a file that is a folder too.
#[tokio::test(start_paused = true)]
async fn wiki_pages_have_a_file_and_a_folder() {
    let tenant = tenant();
    let space = tenant.space("手册");
    let home = space.docx("首页");
    home.docx("常见问题");
    let licence = space.upload("LICENSE", b"MIT".to_vec());
    licence.docx("Notes");
    let root = tenant.root();
    root.docx("a.docx");
    root.upload("a.docx", b"uploaded".to_vec());
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();

    let files = mirror.files();
    for path in [
        "wiki/手册/首页.docx",
        "wiki/手册/首页/常见问题.docx",
        "wiki/手册/LICENSE",
        "wiki/手册/LICENSE~children/Notes.docx",
        "drive/a.docx",
    ] {
        assert!(files.iter().any(|file| file == path), "{path} is not in {files:#?}");
    }
    assert_eq!(files.len(), 6);
}

/// A new twin gets a suffix; the old one never moves.
#[tokio::test(start_paused = true)]
async fn a_new_twin_never_moves_the_old_one() {
    let tenant = tenant();
    let root = tenant.root();
    root.upload("Plan.txt", b"first".to_vec());
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    let before = mirror.snapshot();
    root.upload("PLAN.txt", b"second".to_vec()).created_at(1);
    mirror.sync().await.success();
    assert_eq!(mirror.read("drive/Plan.txt"), b"first");
    assert_eq!(mirror.changed_since(&before).len(), 1, "{:?}", mirror.changed_since(&before));
}

/// Symlinks planted on the way lead nothing out of the mirror.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_through_a_planted_symlink() {
    let tenant = tenant();
    let root = tenant.root();
    root.folder("Team").upload("in.txt", b"inside".to_vec());
    root.upload("plain.txt", b"plain".to_vec());
    let mirror = Mirror::with(&tenant, SOURCES);
    let outside = mirror.folder().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(mirror.path("drive")).unwrap();
    std::os::unix::fs::symlink(&outside, mirror.path("drive/Team")).unwrap();
    std::fs::write(outside.join("victim.txt"), "mine").unwrap();
    std::os::unix::fs::symlink(outside.join("victim.txt"), mirror.path("drive/plain.txt")).unwrap();

    mirror.sync().await.exits(2);

    let inside: Vec<_> =
        std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(inside, ["victim.txt"]);
    assert_eq!(std::fs::read(outside.join("victim.txt")).unwrap(), b"mine");
}

/// A folder of one's own where a link of the mirror stood is not trashed.
#[tokio::test(start_paused = true)]
async fn a_folder_in_place_of_a_link_is_left_alone() {
    let tenant = tenant();
    let root = tenant.root();
    let team = root.folder("Team");
    team.upload("a.txt", b"a".to_vec());
    root.shortcut_to(&team).titled("Link");
    let mirror = Mirror::of(&tenant);
    mirror.sync().await.success();
    std::fs::remove_file(mirror.path("drive/Link")).unwrap();
    std::fs::create_dir(mirror.path("drive/Link")).unwrap();
    std::fs::write(mirror.path("drive/Link/mine.txt"), "mine").unwrap();
    mirror.sync().await.exits(2).says(&["--adopt"]);
    assert_eq!(mirror.read("drive/Link/mine.txt"), b"mine");
}
