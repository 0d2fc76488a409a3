//! Profiles: names, the active one, renames and removals with others at work.

use std::fs;

use super::{CANARY, Home, app, bare, grant, login, process, token};
use crate::auth::AuthError;
use crate::auth::profiles::{DEFAULT, Profiles};
use crate::feishu::oauth::AppKey;
use crate::model::account::Domain;

#[test]
fn nothing_is_there_at_first_and_looking_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = Profiles::at(&folder.path().join("home"));
    assert!(profiles.names().unwrap().is_empty());
    assert!(profiles.open("default").unwrap().is_none());
    assert_eq!(profiles.active().unwrap(), DEFAULT);
    assert_eq!(profiles.previous().unwrap(), None);
    assert!(!folder.path().join("home").exists());
}

#[test]
fn only_what_can_name_a_folder_names_a_profile() {
    let home = Home::new();
    let profiles = home.profiles();
    fs::create_dir(home.path().join("profiles/empty")).unwrap();
    fs::write(home.path().join("profile.json"), "{}").unwrap();
    for name in ["", ".", "..", "a/b", "../work", "工作", "a b", &"x".repeat(65)] {
        assert!(profiles.open(name).unwrap().is_none(), "{name:?}");
        assert!(matches!(profiles.remove(name), Err(AuthError::NoProfile { .. })), "{name:?}");
        let added = profiles.add(name, &app(), &Domain::lark());
        assert!(matches!(added, Err(AuthError::BadName(_))), "{name:?}");
        assert!(matches!(profiles.rename("work", name), Err(AuthError::BadName(_))), "{name:?}");
    }
    assert_eq!(profiles.names().unwrap(), ["work"], "a folder without a profile is none");
    let error = profiles.get("wrok").unwrap_err();
    assert!(error.hint().unwrap().contains("work"), "{error:?}");
}

#[test]
fn a_profile_keeps_what_it_was_given() {
    let home = Home::new();
    let profiles = home.profiles();
    let added = profiles.add("lark", &app(), &Domain::lark()).unwrap();
    assert_eq!(added.domain, Domain::lark());
    assert!(matches!(profiles.add("lark", &app(), &Domain::lark()), Err(AuthError::Taken(_))));
    let mut opened = profiles.get("lark").unwrap();
    opened.set_secret(&"another".into()).unwrap();
    assert_eq!(bare(&opened.app.secret), "another");
    let again = profiles.get("lark").unwrap();
    assert_eq!((&*again.app.id, &*bare(&again.app.secret)), ("cli_1", "another"));
    assert!(!format!("{again:?} {:?}", again.logins()).contains(CANARY));
}

#[test]
fn use_goes_back_and_forth_and_follows_renames() {
    let home = Home::new();
    let profiles = home.profiles();
    profiles.add("mine", &app(), &Domain::feishu()).unwrap();
    let stands = || (profiles.active().unwrap(), profiles.previous().unwrap());
    profiles.activate("work").unwrap();
    assert_eq!(stands(), ("work".into(), None), "nothing of that name was before it");
    profiles.activate("mine").unwrap();
    profiles.activate("mine").unwrap();
    assert_eq!(stands(), ("mine".into(), Some("work".into())), "twice is once");
    profiles.activate("work").unwrap();
    assert_eq!(stands(), ("work".into(), Some("mine".into())));
    profiles.rename("work", "job").unwrap();
    assert_eq!(stands(), ("job".into(), Some("mine".into())));
    // As a process leaves it that is killed between the two steps of a rename.
    fs::rename(home.path().join("profiles/job"), home.path().join("profiles/task")).unwrap();
    assert_eq!(stands(), ("task".into(), Some("mine".into())));
    assert!(matches!(profiles.activate("nobody"), Err(AuthError::NoProfile { .. })));

    profiles.remove("task").unwrap();
    assert_eq!(stands(), (DEFAULT.into(), Some("mine".into())), "nobody is switched silently");
    profiles.remove("mine").unwrap();
    assert_eq!(stands(), (DEFAULT.into(), None));
}

#[test]
fn a_rename_takes_the_logins_along_and_takes_no_others_name() {
    let home = Home::new();
    let profiles = home.profiles();
    profiles.add("mine", &app(), &Domain::feishu()).unwrap();
    assert!(matches!(profiles.rename("work", "mine"), Err(AuthError::Taken(_))));
    assert!(matches!(profiles.rename("nobody", "x"), Err(AuthError::NoProfile { .. })));
    let mut before = home.work();
    profiles.rename("work", "job").unwrap();
    assert_eq!(profiles.names().unwrap(), ["job", "mine"]);
    assert_eq!(home.stored("job"), Some(token(0)));

    // Who opened it before goes on with it.
    before.store(&login("ou_2", "Han Meimei", 1)).unwrap();
    assert_eq!(before.name, "job");
    assert_eq!(profiles.get("job").unwrap().logins().unwrap().len(), 2);
    assert!(!home.path().join("profiles/work").exists(), "not made again");
}

#[test]
fn a_removed_profile_leaves_no_secret_and_is_not_confused_with_a_new_one() {
    let home = Home::new();
    let profiles = home.profiles();
    let mut before = home.work();
    profiles.remove("work").unwrap();
    assert!(profiles.names().unwrap().is_empty());
    profiles.add("work", &app(), &Domain::feishu()).unwrap();
    let error = before.store(&login("ou_2", "Han Meimei", 1)).unwrap_err();
    assert!(matches!(error, AuthError::NoProfile { .. }));
    assert!(home.work().logins().unwrap().is_empty());
    for file in home.files() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&format!("u-{CANARY}")), "{}", file.display());
    }
}

/// The first replaced file of a removal is `active.json`, after the profile has its
/// hidden name: a process that dies there has removed nothing yet.
#[test]
fn a_removal_cut_short_is_finished_by_the_next_command() {
    let home = Home::new();
    home.profiles().activate("work").unwrap();
    let mut command = process("remove", home.path());
    let ran = command.env("FEISHU_MIRROR_DIE_AT", "created").output().unwrap();
    assert!(!ran.status.success());
    let secrets = || {
        let holds = |file: &std::path::PathBuf| fs::read_to_string(file).unwrap().contains(CANARY);
        home.files().iter().filter(|file| holds(file)).count()
    };
    assert_eq!(secrets(), 2, "the secrets were still there: app and login");
    assert!(home.profiles().open("work").unwrap().is_none(), "and the profile was not");
    assert_eq!(secrets(), 0);
    assert!(home.profiles().names().unwrap().is_empty());
}

#[test]
fn a_damaged_profile_can_be_removed() {
    let home = Home::new();
    fs::write(home.path().join("profiles/work/profile.json"), "{").unwrap();
    assert!(matches!(home.profiles().open("work"), Err(AuthError::Damaged { .. })));
    assert_eq!(home.profiles().names().unwrap(), ["work"], "listed, so that it can be named");
    home.profiles().remove("work").unwrap();
    assert!(!home.path().join("profiles/work").exists());
}

#[test]
fn a_newer_versions_files_are_left_alone() {
    let home = Home::new();
    let path = home.path().join("profiles/work/profile.json");
    let newer = fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 2");
    fs::write(&path, &newer).unwrap();
    assert!(matches!(home.profiles().open("work"), Err(AuthError::Newer { version: 2, .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn users_are_found_by_id_by_name_or_as_the_default_one() {
    let home = Home::new();
    let mut work = home.work();
    assert_eq!(work.default_user.as_deref(), Some("ou_1"), "the first one");
    work.store(&login("ou_2", "Han Meimei", 2)).unwrap();
    work.store(&login("ou_3", "Li Lei", 3)).unwrap();
    let who = |name: Option<&str>| home.work().login(name).map(|it| it.unwrap().open_id);
    assert_eq!(who(None).unwrap(), "ou_1");
    assert_eq!(who(Some("ou_3")).unwrap(), "ou_3");
    assert_eq!(who(Some("Han Meimei")).unwrap(), "ou_2");
    assert!(matches!(who(Some("Li Lei")), Err(AuthError::ManyUsers { count: 2, .. })));
    let error = who(Some("Lucy")).unwrap_err();
    assert!(error.hint().unwrap().contains("Han Meimei"), "{error:?}");

    work.set_default("ou_3").unwrap();
    assert_eq!(who(None).unwrap(), "ou_3");
    assert!(matches!(work.set_default("ou_9"), Err(AuthError::NoUser { .. })));
    work.forget("ou_3").unwrap();
    assert_eq!(work.default_user.as_deref(), Some("ou_2"), "the first by name");
    work.forget("ou_3").unwrap();
    work.forget("ou_2").unwrap();
    work.forget("ou_1").unwrap();
    assert_eq!(home.work().default_user, None);
    assert!(home.work().login(None).unwrap().is_none());
}

#[test]
fn an_open_id_from_the_service_is_no_path() {
    let home = Home::new();
    let mut work = home.work();
    for id in ["../../../evil", "a/b", "", "x.json", "工", &"y".repeat(300)] {
        let file = work.login_file(id);
        assert_eq!(file.parent(), Some(&*work.folder.join("users")), "{id:?}");
        assert!(file.file_name().unwrap().len() < 100, "{id:?}");
        work.store(&login(id, "Nobody", 1)).unwrap();
        assert!(file.exists());
        assert_eq!(work.login(Some(id)).unwrap().unwrap().open_id, id);
        work.forget(id).unwrap();
        assert!(!file.exists());
    }
}

#[test]
fn tokens_of_another_app_are_not_taken_for_this_apps() {
    let home = Home::new();
    // Somebody removed the file by hand and stored another app under the name.
    fs::remove_file(home.path().join("profiles/work/profile.json")).unwrap();
    let other = AppKey { id: "cli_2".to_owned(), ..app() };
    home.profiles().add("work", &other, &Domain::feishu()).unwrap();
    assert!(home.work().logins().unwrap().is_empty());
    assert!(matches!(home.work().login(Some("ou_1")), Err(AuthError::NoUser { .. })));
}

/// Logins of many users at once, and the secret replaced meanwhile: nothing is lost.
#[test]
fn changes_at_the_same_time_do_not_lose_each_other() {
    let home = Home::new();
    let names: Vec<String> = (0..8).map(|n| format!("ou_x{n}")).collect();
    std::thread::scope(|threads| {
        for (n, id) in names.iter().enumerate() {
            let home = &home;
            threads.spawn(move || home.work().store(&login(id, id, n)).unwrap());
        }
        threads.spawn(|| home.work().set_secret(&"another".into()).unwrap());
        threads.spawn(|| home.work().set_default("ou_1").unwrap());
        threads.spawn(|| home.profiles().rename("work", "job").unwrap_or(()));
    });
    let name = home.profiles().names().unwrap().remove(0);
    let profile = home.profiles().get(&name).unwrap();
    assert_eq!(profile.logins().unwrap().len(), 9);
    assert_eq!(bare(&profile.app.secret), "another");
    assert_eq!(profile.default_user.as_deref(), Some("ou_1"));
}

/// Two people take the same user's login through at once: one of the two is stored.
#[test]
fn of_two_logins_of_one_user_one_whole_one_stays() {
    let home = Home::new();
    std::thread::scope(|threads| {
        for n in 1..5 {
            let home = &home;
            threads.spawn(move || home.work().store(&login("ou_1", "Li Lei", n)).unwrap());
        }
    });
    let stored = home.work().login(None).unwrap().unwrap();
    let pairs: Vec<_> = (1..5).map(grant).collect();
    let whole = pairs.iter().any(|pair| {
        bare(&pair.access_token) == bare(&stored.access_token)
            && pair.refresh_token.as_ref().map(bare) == stored.refresh_token.as_ref().map(bare)
    });
    assert!(whole);
}

/// A newer program, or a crash, left another user's file as it is: that is not this
/// user's trouble.
#[test]
fn somebody_elses_unreadable_login_stops_nobody() {
    let home = Home::new();
    let mut work = home.work();
    work.store(&login("ou_2", "Han Meimei", 2)).unwrap();
    fs::write(work.login_file("ou_2"), "{").unwrap();
    let who = |name: Option<&str>| home.work().login(name).map(|it| it.unwrap().open_id);
    for name in [None, Some("ou_1"), Some("Li Lei")] {
        assert_eq!(who(name).unwrap(), "ou_1", "{name:?}");
    }
    // Who may be the one that cannot be read is not told to be logged out.
    for name in ["ou_2", "Han Meimei"] {
        assert!(matches!(who(Some(name)), Err(AuthError::Damaged { .. })), "{name}");
    }
    let (logins, unreadable) = home.work().readable_logins().unwrap();
    assert_eq!((logins.len(), unreadable.len()), (1, 1));
    assert!(home.work().logins().is_err());
    // The default user's own file: nobody else takes the place.
    work.set_default("ou_1").unwrap();
    fs::write(work.login_file("ou_1"), "{").unwrap();
    work.store(&login("ou_2", "Han Meimei", 2)).unwrap();
    assert!(matches!(who(None), Err(AuthError::Damaged { .. })));
}

/// A profile on its way from one name to another is not taken for one that is gone.
#[test]
fn a_login_is_held_however_often_its_profile_is_renamed() {
    let home = Home::new();
    let work = home.work();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..150 {
                home.profiles().rename("work", "job").unwrap();
                home.profiles().rename("job", "work").unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            let held = work.hold_login("ou_1").unwrap().expect("it is there under some name");
            assert!(held.read().unwrap().is_some());
        }
    });
    home.profiles().remove("work").unwrap();
    let before = home.files();
    assert!(work.hold_login("ou_1").unwrap().is_none());
    assert_eq!(home.files(), before, "and no lock is made for what is gone");
}

/// What the hint for a damaged `profile.json` promises, and those for the other files.
#[test]
fn a_damaged_file_is_replaced_as_its_hint_says() {
    let home = Home::new();
    let damage = |below: &str| {
        let path = home.path().join(below);
        fs::write(&path, "{").unwrap();
        path
    };
    let file = damage("profiles/work/profile.json");
    let hint = home.profiles().open("work").unwrap_err().hint().unwrap();
    assert!(hint.contains("feishu-mirror profile add work --app-id"), "{hint}");
    assert!(hint.contains("logins are still there"), "{hint}");
    fs::remove_file(file).unwrap();
    home.profiles().add("work", &app(), &Domain::feishu()).unwrap();
    assert_eq!(home.stored("work"), Some(token(0)));

    let file = damage("profiles/work/users/ou_1.json");
    let hint = home.work().login(Some("ou_1")).unwrap_err().hint().unwrap();
    let rm = format!("rm '{}'; feishu-mirror auth login --profile work", file.display());
    assert!(hint.contains(&rm), "{hint}");

    let file = damage("active.json");
    let hint = home.profiles().active().unwrap_err().hint().unwrap();
    assert!(hint.contains("feishu-mirror profile use NAME") && !hint.contains("log in"), "{hint}");
    fs::remove_file(file).unwrap();
    home.profiles().activate("work").unwrap();

    let hint = AuthError::Taken("work".to_owned()).hint().unwrap();
    assert!(hint.ends_with("feishu-mirror profile remove work"), "{hint}");
    home.work().forget("ou_1").unwrap();
    let hint = home.work().login(Some("Lucy")).unwrap_err().hint().unwrap();
    assert!(hint.ends_with("feishu-mirror auth login --profile work"), "{hint}");
}
