//! Images and attachments: three ways to them.

use super::*;

const DIRECT: &str = "/drive/v1/medias/:file_token/download";
const LINKS: &str = "/drive/v1/medias/batch_get_tmp_download_url";

#[tokio::test(start_paused = true)]
async fn a_media_comes_whole_and_in_ranges() {
    let tenant = tenant();
    let doc = tenant.root().docx("Page");
    let token = doc.picture("a.png", "0123456789", None);
    let client = client(&tenant);
    let whole = client.download_media(&token, None, None).await.unwrap();
    assert_eq!((whole.offset, whole.total), (0, Some(10)));
    assert_eq!(whole.content_type.as_deref(), Some("image/png"));
    let etag = whole.etag.clone();
    assert!(etag.is_some());
    assert_eq!(bytes(whole).await, b"0123456789");
    let part = client.download_media(&token, None, Some(4..7)).await.unwrap();
    assert_eq!((part.offset, part.total, &part.etag), (4, Some(10), &etag));
    assert_eq!(bytes(part).await, b"456");
    let error = client.download_media("boxNothing", None, None).await.err().unwrap();
    assert_eq!(error.class, Class::Gone);
}

#[tokio::test(start_paused = true)]
async fn an_attachment_of_a_base_with_advanced_permissions_needs_its_extra() {
    let tenant = tenant();
    let base = tenant.root().bitable("Base").advanced(&["demo"]);
    let table = base.table("Tasks").records(3);
    let token = table.attach(1, "a.txt", "hello");
    let client = client(&tenant);
    let error = client.download_media(&token, None, None).await.err().unwrap();
    assert_eq!(error.class, Class::Forbidden);

    let page = client.search_records(&base.token(), table.id()).next().await.unwrap().unwrap();
    let file = &page.records[1].fields["Attachment"][0];
    assert_eq!((&file["file_token"], &file["size"]), (&json!(token), &json!(5)));
    let extra = media_extra(file["url"].as_str().unwrap()).unwrap();
    let body = client.download_media(&token, Some(&extra), None).await.unwrap();
    assert_eq!(bytes(body).await, b"hello");
    // The long form, which names the place of the file.
    let long = json!({"bitablePerm": {"tableId": table.id(), "attachments":
        {"fldX": {page.records[1].id.as_str(): [token]}}}});
    assert!(client.download_media(&token, Some(&long.to_string()), None).await.is_ok());
    let wrong = json!({"bitablePerm": {"tableId": "tblOther", "rev": 1}}).to_string();
    assert!(client.download_media(&token, Some(&wrong), None).await.is_err());
    assert!(client.get_media_links(std::slice::from_ref(&token), None).await.unwrap().is_empty());
    assert_eq!(client.get_media_links(&[token], Some(&extra)).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_link_is_followed_without_a_token() {
    let tenant = tenant();
    let doc = tenant.root().docx("Page");
    let mut tokens: Vec<String> =
        (0..7).map(|n| doc.picture(&format!("{n}.png"), format!("picture {n}"), None)).collect();
    for token in &tokens {
        tenant.media_rule(token, MediaRule::LinkOnly);
    }
    tenant.media_rule(&tokens[6], MediaRule::Forbidden);
    tokens.push("boxNothing".to_owned());
    let client = client(&tenant);
    let error = client.download_media(&tokens[0], None, None).await.err().unwrap();
    assert_eq!((error.class, error.status), (Class::Forbidden, Some(403)));

    tenant.forget_calls();
    let links = client.get_media_links(&tokens, None).await.unwrap();
    let given: Vec<&String> = links.iter().map(|(token, _)| token).collect();
    assert_eq!(given, tokens[..6].iter().collect::<Vec<_>>(), "no link for the rest");
    assert_eq!(tenant.calls("GET", LINKS), 2, "five a call");
    let body = client.download_link(&links[3].1, None).await.unwrap();
    assert_eq!(body.content_type.as_deref(), Some("image/png"));
    assert_eq!(bytes(body).await, b"picture 3");
    let body = client.download_link(&links[3].1, Some(0..4)).await.unwrap();
    assert_eq!((body.total, bytes(body).await), (Some(9), b"pict".to_vec()));
    let log = tenant.call_log();
    let call = log.iter().rev().find(|call| call.path.starts_with("/sim/media/")).unwrap();
    assert_eq!((call.status, call.identity.as_str()), (206, ""), "a token is refused there");
    assert!(!format!("{:?}", links[3].1).contains("sim"), "a link is a secret");

    // A day later it is of no use, which is no question of logging in.
    tokio::time::sleep(Duration::from_secs(86_401)).await;
    let error = client.download_link(&links[3].1, None).await.err().unwrap();
    assert_eq!((error.class, error.status), (Class::Forbidden, Some(403)));
    assert!(!error.message.contains(&call.path), "{error}");
}

#[tokio::test(start_paused = true)]
async fn downloads_keep_to_five_a_second() {
    let tenant = tenant();
    let doc = tenant.root().docx("Page");
    let tokens: Vec<String> =
        (0..40).map(|n| doc.picture(&format!("{n}.png"), vec![b'x'; 2000], None)).collect();
    let client = client(&tenant);
    let begun = Instant::now();
    let one = async |token: &String| {
        let body = client.download_media(token, None, None).await.unwrap();
        assert_eq!(bytes(body).await.len(), 2000);
    };
    futures_util::future::join_all(tokens.iter().map(one)).await;
    let secs = begun.elapsed().as_secs_f64();
    assert!((8.0..10.0).contains(&secs), "{secs} s");
    assert_eq!((tenant.rate_limited(), tenant.calls("GET", DIRECT)), (0, 40));
}
