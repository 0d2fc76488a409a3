//! Renewal: once, stored before it is used, never at the cost of what is stored.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;

use super::{CANARY, Home, NOW, bare, clock_at, grant, login, process, token};
use crate::auth::profiles::Profiles;
use crate::auth::renew::StoredLogin;
use crate::clock::Clock;
use crate::feishu::oauth::{AppKey, Grant};
use crate::feishu::{ApiError, Class, TokenSource};
use crate::model::account::Domain;

/// The tokens have expired.
const LATE: i64 = NOW + 7200;
/// They are due, and good for another two minutes.
const DUE: i64 = NOW + 7080;

fn open(home: &Home, secs: i64) -> StoredLogin {
    StoredLogin::open(&home.work(), "ou_1", clock_at(secs)).unwrap()
}

/// A token endpoint: which refresh tokens were spent, and what it answers.
#[derive(Default)]
struct Service {
    spent: Mutex<Vec<String>>,
    answers: Mutex<Vec<Result<Grant, ApiError>>>,
}

impl Service {
    fn answering(answers: impl IntoIterator<Item = Result<Grant, ApiError>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self { answers: Mutex::new(answers), ..Self::default() }
    }

    fn calls(&self) -> usize {
        self.spent.lock().unwrap().len()
    }

    async fn refresh(&self, app: AppKey, spent: SecretString) -> Result<Grant, ApiError> {
        assert_eq!(app.id, "cli_1");
        let number = {
            let mut all = self.spent.lock().unwrap();
            assert!(!all.contains(&bare(&spent)), "a refresh token is good for one renewal");
            all.push(bare(&spent));
            all.len()
        };
        // Long enough for everybody else to come and wait.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = self.answers.lock().unwrap().pop();
        if matches!(answer, Some(Err(_))) {
            // Not accepted, not spent.
            self.spent.lock().unwrap().retain(|it| *it != bare(&spent));
            self.spent.lock().unwrap().push(format!("try {number}"));
        }
        answer.unwrap_or_else(|| Ok(grant(number)))
    }

    async fn token(&self, login: &StoredLogin) -> Result<String, ApiError> {
        let token = login.token_by(None, |app, spent| self.refresh(app, spent)).await?;
        Ok(bare(&token))
    }

    async fn instead_of(&self, login: &StoredLogin, refused: &str) -> Result<String, ApiError> {
        let refused = refused.into();
        let token = login.token_by(Some(&refused), |app, spent| self.refresh(app, spent)).await?;
        Ok(bare(&token))
    }
}

fn failing(class: Class, code: Option<i64>, hint: Option<&str>) -> ApiError {
    ApiError {
        class,
        endpoint: "POST /open-apis/authen/v2/oauth/token",
        code,
        status: None,
        message: "what the client says".to_owned(),
        hint: hint.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_good_token_is_handed_out_without_a_call() {
    let home = Home::new();
    let (service, before) = (Service::default(), fs::read(home.login_file()).unwrap());
    let login = open(&home, NOW + 3600);
    assert_eq!(service.token(&login).await.unwrap(), token(0));
    assert_eq!(service.instead_of(&login, "u-of-yesterday").await.unwrap(), token(0));
    assert_eq!((service.calls(), fs::read(home.login_file()).unwrap()), (0, before));
    assert!(!format!("{login:?}").contains(CANARY));
}

#[tokio::test]
async fn twenty_tasks_of_two_processes_renew_once() {
    let home = Home::new();
    let service = Service::default();
    // Two of them: their locks exclude each other as those of two processes do.
    let (one, two) = (open(&home, LATE), open(&home, LATE));
    let tokens = join_all((0..20).map(|n| service.token(if n % 2 == 0 { &one } else { &two })));
    for got in tokens.await {
        assert_eq!(got.unwrap(), token(1));
    }
    assert_eq!(*service.spent.lock().unwrap(), [format!("ur-{CANARY}-0")]);
    assert_eq!(home.stored("work"), Some(token(1)));
    let stored = home.work().login(None).unwrap().unwrap();
    assert_eq!(stored.granted_at, NOW, "a renewal is no new grant");
    assert!((LATE..LATE + 60).contains(&(stored.expires_at - 7200)));
}

#[tokio::test]
async fn the_new_tokens_are_on_disk_before_anybody_has_them() {
    let home = Home::new();
    let (service, login) = (Service::default(), open(&home, LATE));
    let got = service.token(&login).await.unwrap();
    assert_eq!(home.stored("work"), Some(got));
}

#[tokio::test]
async fn a_refused_token_is_renewed_however_young() {
    let home = Home::new();
    let (service, login) = (Service::default(), open(&home, NOW));
    assert_eq!(service.instead_of(&login, &token(0)).await.unwrap(), token(1));
    // Those who had the old one are handed the new one.
    assert_eq!(service.instead_of(&login, &token(0)).await.unwrap(), token(1));
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn what_another_process_renewed_is_taken_over() {
    let home = Home::new();
    let (service, ours) = (Service::default(), open(&home, LATE));
    let mut theirs = login("ou_1", "Li Lei", 7);
    theirs.expires_at = LATE + 7200;
    home.work().store(&theirs).unwrap();
    assert_eq!(service.token(&ours).await.unwrap(), token(7));
    assert_eq!(service.calls(), 0);
}

#[tokio::test]
async fn who_logged_out_elsewhere_stays_logged_out() {
    let home = Home::new();
    let service = Service::default();
    let (late, due) = (open(&home, LATE), open(&home, DUE));
    home.work().forget("ou_1").unwrap();
    for login in [&late, &due] {
        for _ in 0..2 {
            let error = service.token(login).await.unwrap_err();
            assert_eq!(error.class, Class::Login);
            assert!(error.message.contains("logged out"), "{error}");
        }
    }
    assert_eq!(service.calls(), 0);
    assert!(home.work().logins().unwrap().is_empty());

    let home = Home::new();
    let login = open(&home, LATE);
    home.profiles().remove("work").unwrap();
    assert_eq!(service.token(&login).await.unwrap_err().class, Class::Login);
    assert!(home.profiles().names().unwrap().is_empty(), "not made again");
}

#[tokio::test]
async fn a_profile_renamed_in_the_middle_is_followed() {
    let home = Home::new();
    let (service, login) = (Service::default(), open(&home, LATE));
    home.profiles().rename("work", "job").unwrap();
    assert_eq!(service.token(&login).await.unwrap(), token(1));
    assert_eq!(home.stored("job"), Some(token(1)));

    // While the call is under way, a rename waits.
    let login = StoredLogin::open(&home.profiles().get("job").unwrap(), "ou_1", clock_at(LATE * 2));
    let (login, profiles) = (login.unwrap(), home.profiles());
    let (renaming, renamed) = (Mutex::new(None), Arc::new(AtomicUsize::new(0)));
    let got = login.token_by(None, async |_, _| {
        let (profiles, done) = (profiles.clone(), Arc::clone(&renamed));
        let rename = move || {
            profiles.rename("job", "task").unwrap();
            done.store(1, Ordering::SeqCst);
        };
        *renaming.lock().unwrap() = Some(std::thread::spawn(rename));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(renamed.load(Ordering::SeqCst), 0);
        Ok(grant(2))
    });
    assert_eq!(bare(&got.await.unwrap()), token(2));
    drop(login);
    let renaming = renaming.into_inner().unwrap().unwrap();
    renaming.join().unwrap();
    assert_eq!(home.stored("task"), Some(token(2)));
}

#[tokio::test]
async fn a_networks_failure_changes_nothing_and_passes() {
    let home = Home::new();
    let before = fs::read(home.login_file()).unwrap();
    let down = || Err(failing(Class::Unreachable, None, Some("check the network")));
    let service = Service::answering([down(), down()]);
    let login = open(&home, LATE);
    // A hundred tasks that wait for one failed renewal share it.
    for got in join_all((0..100).map(|_| service.token(&login))).await {
        let error = got.unwrap_err();
        assert_eq!(error.class, Class::Unreachable);
        assert!(error.message.contains("Li Lei"), "{error}");
        assert_eq!(error.hint.as_deref(), Some("check the network"));
    }
    assert_eq!(service.calls(), 1);
    // Who asks later tries again.
    assert!(service.token(&login).await.is_err());
    assert_eq!(fs::read(home.login_file()).unwrap(), before);
    assert!(service.token(&login).await.is_ok());
    assert_eq!(service.calls(), 3);
}

#[tokio::test]
async fn a_token_that_is_merely_due_is_used_to_its_end() {
    let home = Home::new();
    let service = Service::answering([Err(failing(Class::Unreachable, None, None))]);
    let login = open(&home, DUE);
    for _ in 0..5 {
        assert_eq!(service.token(&login).await.unwrap(), token(0));
    }
    assert_eq!(service.calls(), 1, "and nobody asks again at once");
    let error = service.instead_of(&login, &token(0)).await;
    assert_eq!(error.unwrap(), token(2), "but a refused one is renewed now");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stands_for_a_minute_and_names_the_command() {
    let home = Home::new();
    let before = fs::read(home.login_file()).unwrap();
    let said = "run: feishu-mirror auth login";
    let service = Service::answering([Err(failing(Class::Login, Some(20_064), Some(said)))]);
    let at = jiff::Timestamp::from_second(LATE).unwrap();
    let login = StoredLogin::open(&home.work(), "ou_1", Clock::from_tokio(at)).unwrap();
    for _ in 0..100 {
        let error = service.token(&login).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Login, Some(20_064)));
        assert!(error.message.contains("Li Lei") && error.message.contains("work"), "{error}");
        let hint = error.hint.unwrap();
        assert_eq!(hint, "run: feishu-mirror auth login --profile work");
    }
    assert_eq!(service.calls(), 1);
    assert_eq!(fs::read(home.login_file()).unwrap(), before, "never erased");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(service.token(&login).await.is_ok(), "somebody may have put it right");

    let wrong = Service::answering([Err(failing(Class::Login, Some(20_002), None))]);
    let home = Home::new();
    let login = StoredLogin::open(&home.work(), "ou_1", Clock::from_tokio(at)).unwrap();
    let hint = wrong.token(&login).await.unwrap_err().hint.unwrap();
    assert!(hint.ends_with("profile add work --app-id cli_1"), "{hint}");

    // The command is whole: without the domain it would be refused.
    let wrong = Service::answering([Err(failing(Class::Login, Some(10_014), None))]);
    let (folder, domain) = (tempfile::tempdir().unwrap(), Domain::lark());
    let mut lark = Profiles::at(folder.path()).add("home", &super::app(), &domain).unwrap();
    lark.store(&super::login("ou_1", "Li Lei", 0)).unwrap();
    let login = StoredLogin::open(&lark, "ou_1", Clock::from_tokio(at)).unwrap();
    let hint = wrong.token(&login).await.unwrap_err().hint.unwrap();
    assert!(hint.ends_with("profile add home --app-id cli_1 --domain lark"), "{hint}");
}

#[tokio::test]
async fn without_a_refresh_token_a_person_has_to_come() {
    let home = Home::new();
    let mut theirs = login("ou_1", "Li Lei", 0);
    theirs.refresh_token = None;
    home.work().store(&theirs).unwrap();
    let service = Service::default();
    assert_eq!(service.token(&open(&home, DUE)).await.unwrap(), token(0), "good to its end");
    let expired = service.token(&open(&home, LATE)).await.unwrap_err();
    let refused = service.instead_of(&open(&home, NOW), &token(0)).await.unwrap_err();
    assert!(expired.message.contains("has expired"), "{expired}");
    assert!(refused.message.contains("no longer accepted"), "{refused}");
    for error in [expired, refused] {
        assert_eq!(error.class, Class::Login);
        let text = format!("{error} {:?}", error.hint);
        for word in ["Li Lei", "\"work\"", "feishu-mirror auth login --profile work"] {
            assert!(text.contains(word), "{text}");
        }
        assert!(!text.contains(CANARY), "{text}");
    }
    assert_eq!(service.calls(), 0);
}

/// The reply is there and the disk is not: the run goes on with the tokens, says so,
/// and stores them as soon as it can.
#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_stored_are_used_and_stored_later() {
    let home = Home::new();
    let (users, aside) = (home.work().folder.join("users"), home.path().join("aside"));
    let said = Arc::new(Mutex::new(Vec::<String>::new()));
    let sink = Arc::clone(&said);
    let at = jiff::Timestamp::from_second(LATE).unwrap();
    let login = StoredLogin::open(&home.work(), "ou_1", Clock::from_tokio(at))
        .unwrap()
        .telling(move |text| sink.lock().unwrap().push(text.to_owned()));
    let got = login.token_by(None, async |_, _| {
        fs::rename(&users, &aside).unwrap();
        fs::write(&users, "in the way").unwrap();
        Ok(grant(1))
    });
    assert_eq!(bare(&got.await.unwrap()), token(1), "a good token is not thrown away");
    {
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("could not be stored"), "{said:?}");
        assert!(said[0].contains("feishu-mirror auth login --profile work"), "{said:?}");
        assert!(!said[0].contains(CANARY), "{said:?}");
    }
    let service = Service::default();
    assert_eq!(service.token(&login).await.unwrap(), token(1));

    fs::remove_file(&users).unwrap();
    fs::rename(&aside, &users).unwrap();
    assert_eq!(home.stored("work"), Some(token(0)));
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(service.token(&login).await.unwrap(), token(1));
    assert_eq!(home.stored("work"), Some(token(1)), "at the next chance");
    assert_eq!((service.calls(), said.lock().unwrap().len()), (0, 2));
}

/// Where a new login could not be stored, the old one is not spent on it.
#[tokio::test]
async fn no_refresh_token_is_spent_where_its_successor_has_no_place() {
    let home = Home::new();
    let (service, login) = (Service::default(), open(&home, LATE));
    let lock = home.login_file().with_extension("lock");
    let _ = fs::remove_file(&lock);
    fs::create_dir(&lock).unwrap();
    let error = service.token(&login).await.unwrap_err();
    assert_eq!((error.class, service.calls()), (Class::Config, 0));
    assert!(error.hint.unwrap().contains("as it was"));
    fs::remove_dir(&lock).unwrap();
    assert_eq!(service.token(&login).await.unwrap(), token(1));
}

/// A limit on file sizes stands in for a full disk: the login would fit, the room that is
/// made sure of before does not.
#[cfg(target_os = "linux")]
#[test]
fn no_refresh_token_is_spent_on_a_full_disk() {
    let home = Home::new();
    fs::create_dir(home.path().join("calls")).unwrap();
    let before = fs::read(home.login_file()).unwrap();
    // Without the trap the first byte too many would end the process.
    let ran = super::through_sh("trap '' XFSZ; ulimit -f 16; exec \"$@\"", "renew", home.path());
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("cannot be renewed"), "{ran:?}");
    assert_eq!(fs::read_dir(home.path().join("calls")).unwrap().count(), 0, "nobody was asked");
    assert_eq!(fs::read(home.login_file()).unwrap(), before);
    assert!(home.files().iter().all(|file| file.extension().is_none_or(|it| it != "tmp")));
}

/// A call that is given up does not take the renewal's lock with it for ever.
#[tokio::test]
async fn a_renewal_given_up_before_its_reply_can_be_tried_again() {
    let home = Home::new();
    let (service, login) = (Service::default(), open(&home, LATE));
    let stuck = login.token_by(None, |_, _| std::future::pending::<Result<Grant, ApiError>>());
    tokio::time::timeout(Duration::from_millis(50), stuck).await.unwrap_err();
    assert_eq!(service.token(&login).await.unwrap(), token(1));
}

/// The program is ending: a renewal that began now would be killed before its reply is
/// stored.
#[tokio::test]
async fn once_settled_nothing_is_renewed() {
    let home = Home::new();
    let service = Service::default();
    let (due, late) = (open(&home, DUE), open(&home, LATE));
    for login in [&due, &late] {
        login.settle().await;
    }
    assert_eq!(service.token(&due).await.unwrap(), token(0), "the present one is good");
    assert_eq!(service.token(&late).await.unwrap_err().class, Class::Transient);
    assert_eq!(service.calls(), 0);
}

/// `watch` runs for months; the secret is replaced once in a while.
#[tokio::test(start_paused = true)]
async fn a_secret_replaced_meanwhile_is_used() {
    let home = Home::new();
    let at = jiff::Timestamp::from_second(LATE).unwrap();
    // This one began with a secret of the environment.
    let mut from_env = home.work();
    from_env.app.secret = "from-env".into();
    for (profile, first) in [(home.work(), format!("{CANARY}-app")), (from_env, "from-env".into())]
    {
        let login = StoredLogin::open(&profile, "ou_1", Clock::from_tokio(at)).unwrap();
        let wrong = || failing(Class::Login, Some(20_002), None);
        let refused = login.token_by(None, async |app, _| {
            assert_eq!(bare(&app.secret), first);
            Err(wrong())
        });
        refused.await.unwrap_err();
        let newer = format!("{CANARY}-newer-than-{first}");
        home.work().set_secret(&newer.as_str().into()).unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
        let got = login.token_by(None, async |app, _| {
            assert_eq!(bare(&app.secret), newer);
            Err(wrong())
        });
        got.await.unwrap_err();
        home.work().set_secret(&super::app().secret).unwrap();
    }
}

#[tokio::test]
async fn a_login_knows_its_profiles_name_of_today() {
    let home = Home::new();
    let (service, login) = (Service::default(), open(&home, LATE));
    assert_eq!(login.profile().as_deref(), Some("work"));
    home.profiles().rename("work", "job").unwrap();
    service.token(&login).await.unwrap();
    assert_eq!(login.profile().as_deref(), Some("job"));
}

/// The task `renew` of a child process: notes each call to the service.
pub(super) fn renew_in(home: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let profile = Profiles::at(home).get("work").unwrap();
    let login = StoredLogin::open(&profile, "ou_1", clock_at(LATE)).unwrap();
    let got = runtime.block_on(login.token_by(None, async |_, _| {
        let calls = fs::read_dir(home.join("calls")).unwrap().count();
        fs::write(home.join(format!("calls/{}", std::process::id())), "").unwrap();
        Ok(grant(calls + 1))
    }));
    let line = format!("token={}\n", bare(&got.unwrap()));
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

#[test]
fn many_processes_at_the_same_moment_make_one_call() {
    let home = Home::new();
    fs::create_dir(home.path().join("calls")).unwrap();
    let start = || process("renew", home.path()).stdout(Stdio::piped()).spawn().unwrap();
    let running: Vec<_> = (0..12).map(|_| start()).collect();
    for child in running {
        let ran = child.wait_with_output().unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success() && text.contains(&format!("token={}", token(1))), "{text}");
    }
    assert_eq!(fs::read_dir(home.path().join("calls")).unwrap().count(), 1);
    assert_eq!(home.stored("work"), Some(token(1)));
}

#[test]
fn a_renewing_process_killed_at_any_step_leaves_the_old_login_or_the_new_one() {
    let steps = ["reply", "created", "written", "synced", "renamed", "folder-synced"];
    for (at, step) in steps.into_iter().enumerate() {
        let home = Home::new();
        fs::create_dir(home.path().join("calls")).unwrap();
        let mut command = process("renew", home.path());
        let ran = command.env("FEISHU_MIRROR_DIE_AT", step).output().unwrap();
        assert!(!ran.status.success(), "{step}");
        assert!(!String::from_utf8_lossy(&ran.stdout).contains("token="), "{step}: used");
        let want = if at < 4 { token(0) } else { token(1) };
        assert_eq!(home.stored("work"), Some(want), "{step}");
        // Its lock went with it, and so does what it left, with the next login.
        home.work().store(&login("ou_1", "Li Lei", 5)).unwrap();
        let temp = |file: &&std::path::PathBuf| file.extension().is_some_and(|it| it == "tmp");
        assert_eq!(home.files().iter().filter(temp).count(), 0, "{step}");
    }
}
