//! Every secret of the simulated tenant holds a canary. Where it turns up in anything
//! that a command prints, logs or leaves on disk (but for the folder of the profiles,
//! which is there to hold them), the story fails.

use std::path::Path;

use feishu_mirror::sim::CANARY;

/// Larger files hold content, and the tenant's content holds no secrets.
const ENOUGH: u64 = 4 << 20;

/// Fails where a secret is printed.
#[track_caller]
pub fn none_in(what: &str, text: &str) {
    if let Some(at) = text.find(CANARY) {
        let line = text[..at].lines().last().unwrap_or_default();
        panic!("a secret is in {what}: {line}<here>");
    }
}

/// Fails where a secret lies in a file below `folder`, the profiles' own excepted.
#[track_caller]
pub fn none_below(folder: &Path) {
    let walk = walkdir::WalkDir::new(folder).into_iter().filter_entry(|entry| {
        let path = entry.path();
        !(path.ends_with("profiles") && path.parent().is_some_and(|up| up.ends_with("home")))
    });
    for entry in walk.filter_map(Result::ok) {
        let small = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= ENOUGH);
        if !small {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "a secret is in {}", entry.path().display());
    }
}
