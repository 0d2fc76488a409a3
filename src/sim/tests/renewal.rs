//! Living on refresh tokens, and the end of a grant.

use super::oauth::authorize_url;
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_spent_by_its_use() {
    let tenant = quiet();
    let first = tenant.log_in("demo");
    let old = first.refresh_token.clone().unwrap();
    assert!(!format!("{first:?}").contains(CANARY));
    let got = refresh(&tenant, &old).await;
    assert_eq!((got.status, got.code(), tenant.refreshes()), (200, 0, 1));
    assert_eq!(got.field("scope"), first.scope);
    for token in [&first.access_token, &got.field("access_token")] {
        assert_eq!(get_as(&tenant, token, "/drive/v1/files").await.code(), 0, "both live on");
    }
    assert_eq!(refresh(&tenant, &old).await.code(), 20_073);
    let new = got.field("refresh_token");
    assert_ne!(new, old);

    // The reply is lost, the token is spent all the same.
    tenant.fault(Fault::new("POST", "/authen/v2/oauth/token", Effect::CutAfter(0)).once());
    assert!(refresh(&tenant, &new).await.body.is_err());
    assert_eq!(refresh(&tenant, &new).await.code(), 20_073);
    assert_eq!(tenant.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn refreshing_ends_after_a_week_of_silence_or_a_year() {
    let tenant = quiet();
    let start = tenant.clock().now_secs();
    let idle = tenant.log_in("demo").refresh_token.unwrap();
    let mut token = tenant.log_in("demo").refresh_token.unwrap();
    tenant.jump(Duration::from_secs(604_799));
    token = refresh(&tenant, &token).await.field("refresh_token");
    tenant.jump(Duration::from_secs(1));
    assert_eq!(refresh(&tenant, &idle).await.code(), 20_037);

    let mut days = 7;
    while days < 364 {
        tenant.jump(DAY);
        days += 1;
        let got = refresh(&tenant, &token).await;
        assert_eq!(got.code(), 0, "day {days}");
        token = got.field("refresh_token");
    }
    assert_eq!(tenant.clock().now_secs() - start, 364 * 86_400);
    tenant.jump(DAY);
    assert_eq!(refresh(&tenant, &token).await.code(), 20_037, "a year after the consent");
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_refresh_are_told_apart() {
    let tenant = quiet();
    let other = format!("other-{CANARY}");
    tenant.add_app("cli_other", &other);
    let login = tenant.log_in("demo");
    let token = login.refresh_token.unwrap();
    let grant = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let with = |extra: &[(&'static str, &'static str)]| [&grant[..], extra].concat();

    assert_eq!(refresh(&tenant, "ur-garbage").await.code(), 20_026);
    assert_eq!(refresh(&tenant, "").await.code(), 20_001);
    let theirs = [&grant[..], &[("client_id", "cli_other"), ("client_secret", &other)]].concat();
    assert_eq!(ask_token(&tenant, &theirs).await.code(), 20_024);
    let twice = with(&[("scope", "offline_access offline_access")]);
    assert_eq!(ask_token(&tenant, &twice).await.code(), 20_067);
    let alien = with(&[("scope", "mail:everything")]);
    assert_eq!(ask_token(&tenant, &alien).await.code(), 20_068);
    tenant.offline_access(false);
    let got = refresh(&tenant, &token).await;
    assert_eq!((got.code(), got.field("error").as_str()), (20_074, "unauthorized_client"));
    tenant.offline_access(true);
    tenant.enable_scopes(&["drive:drive:readonly"]).publish();
    assert_eq!(refresh(&tenant, &token).await.code(), 20_074, "offline_access is gone");
    tenant.enable_scopes(&["drive:drive:readonly", "offline_access"]).publish();

    let standings = [
        (AppStanding::NotInstalled, 20_009, 99_991_673),
        (AppStanding::Disabled, 20_069, 99_991_662),
    ];
    for (standing, code, gateway) in standings {
        tenant.app_is(standing);
        assert_eq!(refresh(&tenant, &token).await.code(), code);
        let call = get_as(&tenant, &login.access_token, "/authen/v1/user_info").await;
        assert_eq!(call.code(), gateway);
        let body = json!({"app_id": APP_ID, "app_secret": APP_SECRET});
        let got = post(&tenant, "/auth/v3/tenant_access_token/internal", body).await;
        assert_eq!(got.code(), 10_014);
        assert!(visit(&tenant, &authorize_url(&[])).await.text().contains(&code.to_string()));
    }
    tenant.app_is(AppStanding::Working);
    let standings = [
        (UserStanding::Gone, 20_008, 99_991_668),
        (UserStanding::Suspended, 20_066, 99_991_668),
        (UserStanding::OutOfRange, 20_010, 0),
    ];
    for (standing, code, gateway) in standings {
        tenant.user_is("demo", standing);
        assert_eq!(refresh(&tenant, &token).await.code(), code);
        let call = get_as(&tenant, &login.access_token, "/authen/v1/user_info").await;
        assert_eq!(call.code(), gateway, "{standing:?}");
    }
    tenant.user_is("demo", UserStanding::Active);

    for (status, code) in [(500, 20_050), (503, 20_072)] {
        let fault = Fault::new("POST", "/authen/v2/oauth/token", Effect::status(status, code));
        tenant.fault(fault.once());
        let got = refresh(&tenant, &token).await;
        assert_eq!((got.status, got.code()), (status, code));
        assert!(!got.field("error").is_empty(), "in the words of OAuth");
    }
    assert_eq!(tenant.refreshes(), 0);
    assert_eq!(refresh(&tenant, &token).await.code(), 0, "nothing above spent it");

    let login = tenant.log_in("demo");
    tenant.revoke_user("demo");
    let got = refresh(&tenant, &login.refresh_token.unwrap()).await;
    assert_eq!((got.status, got.code()), (400, 20_064));
    assert_eq!(
        get_as(&tenant, &login.access_token, "/authen/v1/user_info").await.code(),
        99_991_668
    );
    assert_eq!(get(&tenant, "/authen/v1/user_info").await.code(), 0, "belongs to no grant");
}

#[tokio::test(start_paused = true)]
async fn logging_out_ends_a_token_or_the_grant() {
    let tenant = quiet();
    tenant.add_app("cli_other", &format!("other-{CANARY}"));
    let revoke = async |token: &str, extra: &[(&str, &str)]| {
        let mut fields =
            vec![("token", token), ("client_id", APP_ID), ("client_secret", APP_SECRET)];
        fields.retain(|(name, _)| extra.iter().all(|(given, _)| given != name));
        fields.extend_from_slice(extra);
        form(&tenant, "/oauth/v1/revoke", &fields).await
    };
    let works = async |token: &str| get_as(&tenant, token, "/authen/v1/user_info").await.code();
    let login = tenant.log_in("demo");
    let token = login.refresh_token.clone().unwrap();
    let secret = format!("other-{CANARY}");
    let theirs = [("client_id", "cli_other"), ("client_secret", secret.as_str())];
    assert_eq!(revoke(&token, &theirs).await.code(), 20_024);
    assert_eq!(revoke(&login.access_token, &theirs).await.code(), 20_024);
    assert_eq!(revoke(&token, &[("client_secret", "wrong")]).await.code(), 20_002);
    assert_eq!(revoke("", &[]).await.code(), 20_001);

    let got = revoke(&login.access_token, &[("token_type_hint", "access_token")]).await;
    assert_eq!((got.status, got.code()), (200, 0));
    assert_eq!(works(&login.access_token).await, 99_991_668);
    let next = refresh(&tenant, &token).await;
    assert_eq!(next.code(), 0, "the grant stands");

    let token = next.field("refresh_token");
    let got = revoke(&token, &[("token_type_hint", "refresh_token")]).await;
    assert_eq!((got.status, got.code()), (200, 0));
    assert_eq!(works(&next.field("access_token")).await, 99_991_668);
    assert_eq!(refresh(&tenant, &token).await.code(), 20_064);
    assert_eq!(revoke(&token, &[]).await.status, 200, "once more does no harm");
    assert_eq!(revoke("never seen", &[]).await.status, 200);
}
