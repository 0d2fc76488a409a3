//! Logging in: in a browser, by pasting an address, on another device; and all the ways
//! in which that goes wrong.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use feishu_mirror::auth::profiles::{Profile, Profiles};
use feishu_mirror::sim::{APP_ID, APP_SECRET, CANARY, Effect, Fault, Tenant};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::live::Person;
use crate::support::{Mirror, Run, tenant};

const TOKEN: (&str, &str) = ("POST", "/authen/v2/oauth/token");

fn refuse((method, path): (&str, &str), status: u16, code: i64) -> Fault {
    Fault::new(method, path, Effect::status(status, code))
}

/// A person with an empty home, whose app is in the environment.
fn newcomer(tenant: &Tenant) -> Mirror {
    let mut mirror = Mirror::of(tenant);
    mirror.vars.remove("FEISHU_USER_ACCESS_TOKEN");
    mirror.vars.insert("FEISHU_APP_ID".to_owned(), APP_ID.to_owned());
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), APP_SECRET.to_owned());
    mirror
}

fn profile(mirror: &Mirror, name: &str) -> Option<Profile> {
    Profiles::at(&mirror.folder().join("home")).open(name).unwrap()
}

/// Names of those who are logged in.
fn logged_in(mirror: &Mirror) -> Vec<String> {
    let logins = profile(mirror, "default").map_or(Vec::new(), |it| it.logins().unwrap());
    logins.into_iter().map(|login| login.name).collect()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

fn keys(event: &Value) -> Vec<&str> {
    event.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Reads the link of a code flow with `--json`.
async fn link(person: &Person) -> String {
    let line = person.reads("authorization_url").await;
    parsed(&line)["authorization_url"].as_str().unwrap().to_owned()
}

/// Reads the first step of a device flow with `--json`.
async fn device(person: &Person) -> Value {
    parsed(&person.reads("device_authorization").await)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

const PASTE: [&str; 4] = ["auth", "login", "--no-browser", "--json"];

/// From an empty home: the app in the environment becomes a profile, and the lines are
/// the contract's, key by key.
#[tokio::test(start_paused = true)]
async fn a_login_by_pasting_the_address() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let run = mirror
        .live(&PASTE, async |person| {
            let back = tenant.approve_login(&link(person).await, "demo");
            person.types(&back);
        })
        .await
        .success()
        .says(&["made profile \"default\"", APP_ID]);
    let events = run.events();
    assert_eq!(events.len(), 2);
    let (url, done) = (&events[0], &events[1]);
    assert_eq!(url["redirect_uri"], "http://localhost:9000/callback");
    let address = url::Url::parse(text(&url["authorization_url"])).unwrap();
    let query = |name: &str| {
        let found = address.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap()
    };
    assert_eq!(query("code_challenge_method"), "S256");
    assert!(query("state").len() >= 32 && query("code_challenge").len() == 43);
    let scopes: Vec<String> = query("scope").split(' ').map(str::to_owned).collect();
    assert_eq!(json!(scopes), url["requested_scopes"]);
    assert!(scopes.contains(&"offline_access".to_owned()));

    assert_eq!(
        keys(done),
        [
            "event",
            "expires_at",
            "granted_scopes",
            "missing_scopes",
            "refresh_expires_at",
            "refresh_token_present",
            "requested_scopes",
            "scope"
        ]
    );
    assert_eq!(done["event"], "authorization_complete");
    assert_eq!(done["expires_at"], "2026-03-01T04:30:00Z");
    assert_eq!(done["refresh_expires_at"], "2026-03-08T02:30:00Z");
    assert_eq!(done["refresh_token_present"], true);
    assert_eq!(done["requested_scopes"], json!(scopes));
    assert_eq!(done["granted_scopes"], json!(scopes));
    assert_eq!(done["missing_scopes"], json!([]));
    assert_eq!(text(&done["scope"]).split(' ').count(), scopes.len());
    assert_eq!(logged_in(&mirror), ["demo"]);

    // The profile has the app now, and runs are this user's.
    let mut mirror = mirror;
    mirror.vars.remove("FEISHU_APP_ID");
    mirror.vars.remove("FEISHU_APP_SECRET");
    tenant.root().docx("周报").text("一");
    mirror.sync().await.success();
    assert!(tenant.call_log().iter().any(|call| call.identity == "user:demo"));
}

/// Wrong addresses are said and may be corrected, but not for ever.
#[tokio::test(start_paused = true)]
async fn three_addresses_may_be_pasted() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let run = mirror
        .live(&PASTE, async |person| {
            let back = tenant.approve_login(&link(person).await, "demo");
            person.types("hello");
            person.types("http://localhost:9000/callback?code=x&state=guess");
            person.types(&back);
        })
        .await
        .success();
    run.says(&["this is no address", "wrong state"]);

    let run = mirror
        .live(&PASTE, async |person| {
            link(person).await;
            for _ in 0..3 {
                person.types("http://localhost:9000/callback?code=x&state=guess");
            }
        })
        .await;
    run.exits(4).says(&["wrong state", "given up", "auth login --no-browser"]);

    let run = mirror.live(&PASTE, async |_| {}).await;
    run.exits(4).says(&["no address was pasted", "--device"]);
    assert_eq!(tenant.calls(TOKEN.0, TOKEN.1), 1, "a wrong state is never redeemed");
}

/// A no, and codes that the service no longer takes: nothing is stored, not even the
/// profile, and the message says what to do.
#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_is_said() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let run = mirror
        .live(&PASTE, async |person| person.types(&tenant.deny_login(&link(person).await)))
        .await;
    run.exits(4).says(&["you said no", "feishu-mirror auth login"]);

    let run = mirror
        .live(&PASTE, async |person| {
            let back = tenant.approve_login(&link(person).await, "demo");
            tenant.jump(Duration::from_secs(301));
            person.types(&back);
        })
        .await;
    run.exits(4).says(&["expired", "20004", "feishu-mirror auth login"]);

    // The redirect URI of the console was taken away in between.
    let cases: [(i64, u8, &[&str]); 2] = [
        (20_065, 4, &["used already", "20065", "feishu-mirror auth login"]),
        (20_071, 1, &["http://localhost:9000/callback", "安全设置", "重定向"]),
    ];
    for (code, exit, words) in cases {
        tenant.fault(refuse(TOKEN, 400, code).once());
        let run = mirror
            .live(&PASTE, async |person| {
                person.types(&tenant.approve_login(&link(person).await, "demo"));
            })
            .await;
        run.exits(exit).says(words);
    }
    assert!(profile(&mirror, "default").is_none());
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What a browser does with an address on this machine; the whole reply.
async fn visit(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let port = url.port().unwrap();
    let talk = move || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

/// The loopback way: a guess does not end the login, the right answer does, and the page
/// knows whether it worked.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_through_the_loopback_listener() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let port = free_port().to_string();
    tenant.redirect_uri(&format!("http://localhost:{port}/callback"));
    let args = ["auth", "login", "--json", "--port", &port];
    let run = mirror
        .live(&args, async |person| {
            let link = link(person).await;
            let guess = format!("http://localhost:{port}/callback?code=x&state=guess");
            let page = visit(&guess).await;
            assert!(page.starts_with("HTTP/1.1 400") && page.contains("state"), "{page}");
            person.hears("wrong state").await;
            assert_eq!(tenant.calls(TOKEN.0, TOKEN.1), 0);

            let page = visit(&tenant.approve_login(&link, "demo")).await;
            assert!(page.starts_with("HTTP/1.1 200"), "{page}");
            assert!(page.contains("登录成功") && page.contains("demo"), "{page}");
            assert!(!page.contains(CANARY), "{page}");
        })
        .await
        .success();
    assert_eq!(run.events()[1]["missing_scopes"], json!([]));
    assert_eq!(logged_in(&mirror), ["demo"]);

    // Said no, and a failure at the token endpoint: the page says so as well.
    let run = mirror
        .live(&args, async |person| {
            let page = visit(&tenant.deny_login(&link(person).await)).await;
            assert!(page.contains("你拒绝了授权"), "{page}");
        })
        .await;
    run.exits(4).says(&["you said no"]);
    tenant.fault(refuse(TOKEN, 400, 20_065).once());
    let run = mirror
        .live(&args, async |person| {
            let page = visit(&tenant.approve_login(&link(person).await, "demo")).await;
            assert!(page.contains("登录失败") && page.contains("20065"), "{page}");
        })
        .await;
    run.exits(4);
    assert_eq!(logged_in(&mirror), ["demo"], "the login from before stays");
}

/// An unregistered redirect URI ends on a page of the service: nothing ever comes back.
#[tokio::test(start_paused = true)]
async fn a_browser_that_never_comes_back_is_explained() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let port = free_port().to_string();
    let begun = tokio::time::Instant::now();
    let run = mirror.run(&["auth", "login", "--port", &port]).await.exits(4);
    assert!(begun.elapsed() >= Duration::from_secs(300), "5 minutes, not less");
    assert!(begun.elapsed() < Duration::from_secs(310));
    let uri = format!("http://localhost:{port}/callback");
    run.says(&["5 minutes", &uri, "20029", "安全设置", "--device"]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_port_is_found_before_anybody_agrees() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = mirror.run(&["auth", "login", "--port", &port]).await.exits(1);
    assert!(run.out.is_empty(), "{}", run.out);
    run.says(&["in use", &port, "--port 9000", "安全设置", "--no-browser"]);
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_stops_the_waiting() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let port = free_port().to_string();
    let lines: [&[&str]; 3] = [
        &["auth", "login", "--json", "--port", &port],
        &["auth", "login", "--json", "--no-browser"],
        &["auth", "login", "--json", "--device"],
    ];
    for args in lines {
        let mut mirror = newcomer(&tenant);
        mirror.interrupt = CancellationToken::new();
        let stop = mirror.interrupt.clone();
        let run = mirror
            .live(args, async |person| {
                person.reads("event").await;
                stop.cancel();
            })
            .await;
        run.exits(130).says(&["nobody was logged in"]);
    }
    assert_eq!(logged_in(&mirror), Vec::<String>::new());
}

/// Stored is stored: Ctrl-C while the browser is still being told ends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_after_the_login_is_stored_is_too_late() {
    let tenant = tenant();
    let mut mirror = newcomer(&tenant);
    mirror.interrupt = CancellationToken::new();
    let stop = mirror.interrupt.clone();
    let port = free_port();
    tenant.redirect_uri(&format!("http://localhost:{port}/callback"));
    let args = ["auth", "login", "--json", "--port", &port.to_string()];
    let run = mirror
        .live(&args, async |person| {
            let link = link(person).await;
            // A browser's spare connection, on which nothing is ever sent.
            let idle = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            let page = visit(&tenant.approve_login(&link, "demo")).await;
            assert!(page.contains("登录成功"), "{page}");
            stop.cancel();
            person.reads("authorization_complete").await;
            drop(idle);
        })
        .await;
    run.success();
    assert_eq!(logged_in(&mirror), ["demo"]);
}

/// The app's secret is wrong, or there is no app: said before anybody opens a page.
#[tokio::test(start_paused = true)]
async fn without_a_good_app_no_page_is_opened() {
    let tenant = tenant();
    let mut mirror = newcomer(&tenant);
    mirror.vars.insert("FEISHU_APP_SECRET".to_owned(), "wrong".to_owned());
    for flow in ["--no-browser", "--device"] {
        let run = mirror.run(&["auth", "login", flow]).await.exits(4);
        assert!(run.out.is_empty(), "{}", run.out);
        run.says(&["凭证与基础信息", APP_ID, "FEISHU_APP_SECRET"]);
    }
    mirror.vars.remove("FEISHU_APP_SECRET");
    mirror.run(&["auth", "login"]).await.exits(4).says(&["FEISHU_APP_SECRET is not"]);
    mirror.vars.remove("FEISHU_APP_ID");
    let run = mirror.run(&["auth", "login"]).await.exits(4);
    run.says(&["profile add default --app-id cli_"]);
    let run = mirror.run(&["auth", "login", "--profile", "work"]).await.exits(1);
    run.says(&["work", "profile add work --app-id cli_"]);
}

/// What the app does not have is left out, so that the rest can be granted; what the
/// person leaves out is told as well.
#[tokio::test(start_paused = true)]
async fn missing_scopes_are_named_with_what_needs_them() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let all = [
        "drive:drive",
        "wiki:wiki:readonly",
        "drive:drive.metadata:readonly",
        "docx:document:readonly",
        "offline_access",
    ];
    tenant.enable_scopes(&all).publish();
    tenant.refuse_scopes("demo", &["wiki:wiki:readonly"]);
    let run = mirror
        .live(&PASTE, async |person| {
            person.types(&tenant.approve_login(&link(person).await, "demo"));
        })
        .await
        .success();
    let done = &run.events()[1];
    let requested = done["requested_scopes"].as_array().unwrap();
    assert!(requested.contains(&json!("drive:drive")), "{requested:?}");
    assert!(!requested.contains(&json!("docs:document:export")), "the app does not have it");
    let missing = done["missing_scopes"].as_array().unwrap();
    assert!(missing.contains(&json!("docs:document:export")), "{missing:?}");
    assert!(missing.contains(&json!("wiki:wiki:readonly")), "{missing:?}");
    assert!(!missing.contains(&json!("drive:drive")), "{missing:?}");
    let (warnings, hints) = (&done["warnings"], &done["hints"]);
    assert_eq!((warnings.as_array().unwrap().len(), hints.as_array().unwrap().len()), (2, 2));
    assert!(warnings[0].as_str().unwrap().contains("docs:document:export"));
    assert!(hints[1].as_str().unwrap().contains("auth login --scope \"wiki:wiki:readonly\""));

    let human = mirror
        .live(&["auth", "login", "--no-browser"], async |person| {
            let link = person.reads("http://127.0.0.1:9/").await;
            person.types(&tenant.approve_login(&link, "demo"));
        })
        .await
        .success();
    human.says(&[
        "logged in as demo",
        "missing: docs:document:export",
        "source \"drive\"",
        "版本管理与发布",
        "next: feishu-mirror doctor",
    ]);
}

/// Without refreshing in the console a login lives for two hours, and says so.
#[tokio::test(start_paused = true)]
async fn a_login_without_refresh_token_says_so() {
    let tenant = tenant();
    tenant.offline_access(false);
    let mirror = newcomer(&tenant);
    let run = mirror
        .live(&PASTE, async |person| {
            person.types(&tenant.approve_login(&link(person).await, "demo"));
        })
        .await
        .success();
    let done = &run.events()[1];
    assert_eq!(done["refresh_token_present"], false);
    assert_eq!(done.get("refresh_expires_at"), None);
    assert!(done["warnings"][0].as_str().unwrap().contains("refresh token"));
    assert!(done["hints"][0].as_str().unwrap().contains("刷新 user_access_token"));
}

/// The service stumbles once over the question who it is: the grant is not lost.
#[tokio::test(start_paused = true)]
async fn a_grant_survives_a_stumbling_service() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let login = async |fault: Fault| {
        tenant.fault(fault);
        mirror
            .live(&PASTE, async |person| {
                person.types(&tenant.approve_login(&link(person).await, "demo"));
            })
            .await
    };
    let user_info = ("GET", "/authen/v1/user_info");
    login(refuse(user_info, 500, 20_050).times(9)).await.success();
    tenant.calm();
    assert_eq!(logged_in(&mirror), ["demo"]);

    let run = login(refuse(user_info, 500, 20_050)).await;
    run.exits(1).says(&["you agreed", "nothing is stored", "feishu-mirror auth login"]);
}

/// `--user` names who is meant; somebody else's grant is given back.
#[tokio::test(start_paused = true)]
async fn the_wrong_person_is_not_stored() {
    let tenant = tenant();
    tenant.add_user("李雷", &format!("u-li-{CANARY}"));
    let mirror = newcomer(&tenant);
    let args = [&PASTE[..], &["--user", "demo"]].concat();
    let run = mirror
        .live(&args, async |person| {
            person.types(&tenant.approve_login(&link(person).await, "李雷"));
        })
        .await;
    run.exits(4).says(&["李雷", "demo", "nothing is stored"]);
    assert_eq!(logged_in(&mirror), Vec::<String>::new());
    assert_eq!(tenant.calls("POST", "/oauth/v1/revoke"), 2);
    let run = mirror
        .live(&args, async |person| {
            person.types(&tenant.approve_login(&link(person).await, "demo"));
        })
        .await;
    run.success();
    assert_eq!(logged_in(&mirror), ["demo"]);
}

/// Where a person's login is stored already, another grant of theirs is not given back:
/// to the service it may be the same one.
#[tokio::test(start_paused = true)]
async fn a_grant_is_not_given_back_at_the_cost_of_a_stored_login() {
    let tenant = tenant();
    tenant.add_user("李雷", &format!("u-li-{CANARY}"));
    let mirror = newcomer(&tenant);
    let log_in = async |more: &[&str]| {
        let args = [&PASTE[..], more].concat();
        mirror
            .live(&args, async |person| {
                person.types(&tenant.approve_login(&link(person).await, "李雷"));
            })
            .await
    };
    log_in(&[]).await.success();
    let run = log_in(&["--user", "demo"]).await.exits(4);
    run.says(&["李雷", "nothing is stored", "not given back"]);
    assert_eq!(tenant.calls("POST", "/oauth/v1/revoke"), 0);
    // Nor where nobody can say whose it is.
    tenant.fault(refuse(("GET", "/authen/v1/user_info"), 400, 20_005));
    log_in(&[]).await.says(&["you agreed", "not given back"]);
    tenant.calm();
    assert_eq!(tenant.calls("POST", "/oauth/v1/revoke"), 0);
    assert_eq!(logged_in(&mirror), ["李雷"]);
}

/// No room for a login: found out before anybody agrees.
#[tokio::test(start_paused = true)]
async fn nobody_agrees_to_what_cannot_be_stored() {
    let tenant = tenant();
    for (stored, in_the_way) in [(false, "home/profiles"), (true, "home/profiles/default/users")] {
        let mirror = newcomer(&tenant);
        std::fs::create_dir(mirror.folder().join("home")).unwrap();
        if stored {
            mirror.add_profile("default").await;
        }
        std::fs::write(mirror.folder().join(in_the_way), "a file").unwrap();
        for flow in [&["--no-browser"][..], &["--device"], &["--device-code", "x"]] {
            let run = mirror.run(&[&["auth", "login"], flow].concat()).await.exits(1);
            assert!(run.out.is_empty(), "{}", run.out);
            run.says(&["could not be stored", in_the_way, "FEISHU_MIRROR_HOME"]);
        }
    }
    assert_eq!(tenant.calls(TOKEN.0, TOKEN.1), 0);
}

/// It fails at the last moment: the grant is given back, and no later login is in the way.
#[tokio::test(start_paused = true)]
async fn a_grant_that_cannot_be_stored_is_given_back() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    mirror.add_profile("default").await;
    let users = mirror.folder().join("home/profiles/default/users");
    let spoil = || {
        let _ = std::fs::remove_dir_all(&users);
        std::fs::write(&users, "a file").unwrap();
    };
    let run = mirror
        .live(&PASTE, async |person| {
            let back = tenant.approve_login(&link(person).await, "demo");
            spoil();
            person.types(&back);
        })
        .await
        .exits(1);
    run.says(&["you agreed", "could not be stored", "given back", "feishu-mirror auth login"]);
    assert_eq!(tenant.calls("POST", "/oauth/v1/revoke"), 2);

    // What the first step left is in the way: the login counts nevertheless.
    std::fs::remove_file(&users).unwrap();
    let args = ["auth", "login", "--device", "--no-wait", "--json"];
    let first = mirror.run_for_secrets(&args, "").await.success().events().remove(0);
    tenant.approve(text(&first["user_code"]), "demo");
    let notes = mirror.folder().join("home/profiles/default/device");
    let note = std::fs::read_dir(&notes).unwrap().next().unwrap().unwrap().path();
    tenant.fault(Fault::new(
        TOKEN.0,
        TOKEN.1,
        Effect::run(move || {
            std::fs::remove_file(&note).unwrap();
            std::fs::create_dir(&note).unwrap();
        }),
    ));
    let second = ["auth", "login", "--json", "--device-code", text(&first["device_code"])];
    let run = mirror.run_for_secrets(&second, "").await.success();
    run.says(&["authorization_complete", "could not be removed"]);
    assert_eq!(logged_in(&mirror), ["demo"]);
}

const DEVICE: [&str; 4] = ["auth", "login", "--device", "--json"];

/// On a server: link and code, and a person who takes a while.
#[tokio::test(start_paused = true)]
async fn a_login_on_another_device() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let begun = tokio::time::Instant::now();
    let run = mirror
        .live(&DEVICE, async |person| {
            let device = device(person).await;
            tokio::time::sleep(Duration::from_secs(62)).await;
            tenant.approve(text(&device["user_code"]), "demo");
        })
        .await
        .success();
    assert_eq!(begun.elapsed().as_secs(), 65, "asked every 5 seconds");
    assert_eq!(tenant.calls(TOKEN.0, TOKEN.1), 13);
    let events = run.events();
    let (device, done) = (&events[0], &events[1]);
    assert_eq!(
        keys(device),
        [
            "device_code",
            "event",
            "expires_in",
            "interval",
            "requested_scopes",
            "user_code",
            "verification_uri_complete"
        ]
    );
    assert_eq!((&device["expires_in"], &device["interval"]), (&json!(240), &json!(5)));
    let uri = text(&device["verification_uri_complete"]);
    assert!(uri.contains(text(&device["user_code"])), "{uri}");
    assert_eq!(done["event"], "authorization_complete");
    assert_eq!(done["requested_scopes"], device["requested_scopes"]);
    assert_eq!(logged_in(&mirror), ["demo"]);
}

/// Stopped and begun again at once: that is asking too often, so the second process
/// waits longer from then on, and gets the login.
#[tokio::test(start_paused = true)]
async fn slow_down_is_obeyed() {
    let tenant = tenant();
    let mut mirror = newcomer(&tenant);
    let first = [&DEVICE[..], &["--no-wait"]].concat();
    let step = mirror.run_for_secrets(&first, "").await.success().events().remove(0);
    let args = ["auth", "login", "--json", "--device-code", text(&step["device_code"])];
    mirror.interrupt = CancellationToken::new();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        mirror.interrupt.cancel();
    };
    let (stopped, ()) = tokio::join!(mirror.run_for_secrets(&args, ""), stop);
    stopped.exits(130);

    mirror.interrupt = CancellationToken::new();
    tenant.forget_calls();
    let begun = tokio::time::Instant::now();
    tenant.approve(text(&step["user_code"]), "demo");
    mirror.run_for_secrets(&args, "").await.success();
    assert_eq!(tenant.calls(TOKEN.0, TOKEN.1), 2);
    assert_eq!(begun.elapsed().as_secs(), 10, "5 seconds more than before");
    assert_eq!(logged_in(&mirror), ["demo"]);
}

#[tokio::test(start_paused = true)]
async fn a_no_and_an_expiry_end_the_device_flow() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let run = mirror
        .live(&DEVICE, async |person| {
            tenant.deny(text(&device(person).await["user_code"]));
        })
        .await;
    run.exits(4).says(&["you said no", "auth login --device"]);

    let begun = tokio::time::Instant::now();
    let run = mirror.run_for_secrets(&DEVICE, "").await.exits(4);
    assert_eq!(begun.elapsed().as_secs(), 240);
    run.says(&["expired", "start again: feishu-mirror auth login --device"]);
    assert_eq!(logged_in(&mirror), Vec::<String>::new());
}

/// A network that goes away for a minute costs nothing but the minute.
#[tokio::test(start_paused = true)]
async fn the_device_flow_outlasts_a_dead_network() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let run = mirror
        .live(&DEVICE, async |person| {
            let device = device(person).await;
            tenant.fault(Fault::new(TOKEN.0, TOKEN.1, Effect::Unreachable));
            person.hears("still waiting").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            tenant.calm();
            tenant.approve(text(&device["user_code"]), "demo");
        })
        .await;
    run.success();
    assert_eq!(logged_in(&mirror), ["demo"]);
}

/// In two steps, the second of which knows what the first one asked for.
#[tokio::test(start_paused = true)]
async fn no_wait_leaves_what_the_second_step_needs() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let first = async |scope: &str| {
        let args = ["auth", "login", "--device", "--no-wait", "--json", "--scope", scope];
        let run = mirror.run_for_secrets(&args, "").await.success();
        assert_eq!(run.events().len(), 1);
        run.events().remove(0)
    };
    let second = async |code: &str| {
        mirror.run_for_secrets(&["auth", "login", "--json", "--device-code", code], "").await
    };
    let begun = tokio::time::Instant::now();
    let step = first("docx:document:readonly").await;
    assert_eq!(begun.elapsed().as_secs(), 0, "it does not wait");
    let code = text(&step["device_code"]).to_owned();
    tenant.approve(text(&step["user_code"]), "demo");
    let run = second(&code).await.success();
    assert_eq!(begun.elapsed().as_secs(), 0, "nor does the second, where it is decided");
    let want = json!(["docx:document:readonly", "offline_access"]);
    assert_eq!(run.events()[0]["requested_scopes"], want);
    assert_eq!(run.events()[0]["missing_scopes"], json!([]));

    // Spent: the note is gone, the service says no.
    let notes = || {
        let folder = mirror.folder().join("home/profiles/default/device");
        std::fs::read_dir(folder).unwrap().count()
    };
    assert_eq!(notes(), 0);
    second(&code).await.exits(4).says(&["nothing is known here", "expired"]);

    // Too late: said without asking.
    let step = first("docx:document:readonly").await;
    assert_eq!(notes(), 1);
    tenant.jump(Duration::from_secs(241));
    tenant.forget_calls();
    second(text(&step["device_code"])).await.exits(4).says(&["expired", "start again"]);
    assert_eq!((tenant.calls(TOKEN.0, TOKEN.1), notes()), (0, 0));

    // One that nobody came back for goes with the next.
    first("docx:document:readonly").await;
    tenant.jump(Duration::from_secs(241));
    first("docx:document:readonly").await;
    assert_eq!(notes(), 1);
}

/// For people: the link, the code, and the command that goes on.
#[tokio::test(start_paused = true)]
async fn the_device_flow_for_people() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let run: Run =
        mirror.run_for_secrets(&["auth", "login", "--device", "--no-wait"], "").await.success();
    let go_on = run.out.lines().last().unwrap().to_owned();
    assert!(go_on.starts_with("feishu-mirror auth login --device-code "), "{go_on}");
    assert!(!run.out.contains('█'), "no QR code where nobody can point a phone at it");
    run.says(&["http://127.0.0.1:9/oauth/v1/device/verify?user_code=", "code: ", "4 min 0 s"]);
}

/// More scopes than one request takes are refused here, not by the page.
#[tokio::test(start_paused = true)]
async fn too_many_scopes_are_refused_here() {
    let tenant = tenant();
    let mirror = newcomer(&tenant);
    let scopes: Vec<String> = (0..50).map(|n| format!("a:b{n}")).collect();
    let run = mirror.run(&["auth", "login", "--scope", &scopes.join(" ")]).await.exits(1);
    run.says(&["51", "50"]);
    let run = mirror.run(&["auth", "login", "--domain", "kitchen"]).await.exits(64);
    run.says(&["kitchen", "minutes"]);
    assert!(tenant.call_log().is_empty());
}
