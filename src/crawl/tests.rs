//! Stories of walks over a scripted service, on tokio's paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;
use crate::feishu::{ByteStream, Credentials, HttpSend, SendError, Settings};
use crate::model::source::WikiScope;
use crate::model::tree::{Existence, Listing, Node, Sifted};
use crate::model::{Channel, ObjType, Object, PlaceKey, PlaceToken, SourceName};
use crate::plan::{Answers, Questions};
use crate::progress::Silent;
use crate::rules::{Filter, Globs, MaxDelete, PruneAction, ShortcutMode};

/// Every reply takes this long.
const LATENCY: Duration = Duration::from_millis(200);

/// What a request is answered with, by `METHOD path?query` less paging and page sizes;
/// the last of several replies is repeated.
#[derive(Default)]
struct Service {
    replies: Mutex<BTreeMap<String, Vec<(u16, Value)>>>,
    calls: Mutex<Vec<(Instant, String)>>,
}

impl Service {
    /// Items of a listing, in pages of two.
    fn lists(&self, call: &str, field: &str, items: &[Value]) {
        let cursor = if call.contains("drive/v1/files") { "next_page_token" } else { "page_token" };
        let mut pages = items.chunks(2).map(<[Value]>::to_vec).collect::<Vec<_>>();
        if pages.is_empty() {
            pages.push(Vec::new());
        }
        let count = pages.len();
        for (n, page) in pages.into_iter().enumerate() {
            let more = n + 1 < count;
            let mut data = json!({field: page, "has_more": more});
            if more {
                data[cursor] = json!(format!("page{}", n + 1));
            }
            let at = if n == 0 { String::new() } else { format!(" page{n}") };
            self.says(&format!("{call}{at}"), &data);
        }
    }

    fn folder(&self, token: &str, entries: &[Value]) {
        self.lists(&folder_call(token), "files", entries);
    }

    fn nodes(&self, space: &str, parent: Option<&str>, nodes: &[Value]) {
        self.lists(&nodes_call(space, parent), "items", nodes);
    }

    fn says(&self, call: &str, data: &Value) {
        self.answers(call, 200, json!({"code": 0, "msg": "ok", "data": data}));
    }

    fn refuses(&self, call: &str, status: u16, code: i64) {
        self.answers(call, status, json!({"code": code, "msg": "refused"}));
    }

    fn answers(&self, call: &str, status: u16, body: Value) {
        self.replies.lock().unwrap().entry(call.to_owned()).or_default().push((status, body));
    }

    /// How many calls began so.
    fn calls(&self, begin: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|(_, call)| call.starts_with(begin)).count()
    }

    /// Most calls that began so within some window.
    fn busiest(&self, begin: &str, window: Duration) -> usize {
        let calls = self.calls.lock().unwrap();
        let times: Vec<Instant> =
            calls.iter().filter(|(_, call)| call.starts_with(begin)).map(|(at, _)| *at).collect();
        let within = |from: Instant, at: Instant| at >= from && at - from < window;
        let count = |from: &Instant| times.iter().filter(|at| within(*from, **at)).count();
        times.iter().map(count).max().unwrap_or(0)
    }

    fn reply(&self, call: &str) -> (u16, Value) {
        self.calls.lock().unwrap().push((Instant::now(), call.to_owned()));
        let mut replies = self.replies.lock().unwrap();
        let Some(queue) = replies.get_mut(call) else {
            panic!("nothing is scripted for {call:?}");
        };
        if queue.len() > 1 { queue.remove(0) } else { queue[0].clone() }
    }
}

impl HttpSend for Service {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, SendError>> {
        let mut page = String::new();
        let mut query = Vec::new();
        for pair in request.uri().query().unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("page_token", token)) if !token.is_empty() => page = format!(" {token}"),
                Some(("folder_token" | "parent_node_token" | "token", value))
                    if !value.is_empty() =>
                {
                    query.push(value.to_owned());
                }
                _ => {}
            }
        }
        let path = request.uri().path().trim_start_matches("/open-apis");
        let call = format!("{} {path}?{}{page}", request.method(), query.join("&"));
        Box::pin(async move {
            tokio::time::sleep(LATENCY).await;
            let (status, body) = self.reply(&call);
            let bytes = Bytes::from(body.to_string());
            let stream = futures_util::stream::iter([Ok(bytes)]).boxed();
            let reply =
                Response::builder().status(status).header("content-type", "application/json");
            Ok(reply.body(stream).unwrap())
        })
    }
}

fn folder_call(token: &str) -> String {
    format!("GET /drive/v1/files?{token}")
}

fn nodes_call(space: &str, parent: Option<&str>) -> String {
    format!("GET /wiki/v2/spaces/{space}/nodes?{}", parent.unwrap_or_default())
}

fn entry(token: &str, ty: &str, name: &str) -> Value {
    json!({"token": token, "type": ty, "name": name, "created_time": "100", "modified_time": "200"})
}

fn node(space: &str, token: &str, title: &str, has_child: bool) -> Value {
    json!({"space_id": space, "node_token": token, "obj_token": format!("obj_{token}"),
        "obj_type": "docx", "node_type": "origin", "origin_node_token": token,
        "has_child": has_child, "title": title, "parent_node_token": "",
        "obj_edit_time": "200", "node_create_time": "100", "obj_create_time": "100"})
}

fn client_of(service: &Arc<Service>, max_calls: u64) -> Client {
    let settings = Settings {
        domain: crate::config::values::domain("http://127.0.0.1:1").unwrap(),
        credentials: Credentials::User("u-test".to_owned().into()),
        quota_share: 1.0,
        concurrency: 8,
        retries: 2,
        request_timeout: Duration::from_secs(60),
        bandwidth: 0,
        max_calls,
    };
    let start = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let http: Arc<dyn HttpSend> = service.clone();
    Client::new(settings, http, Clock::from_tokio(start))
}

fn rules(exclude: &[&str]) -> Rules {
    Rules {
        formats: BTreeMap::new(),
        export_rules: Vec::new(),
        shortcut: ShortcutMode::Link,
        filter: Filter {
            include: Globs::new(["**"]).unwrap(),
            exclude: Globs::new(exclude.iter().copied()).unwrap(),
            types: Vec::new(),
        },
        max_size: None,
        markdown: crate::rules::Markdown::default(),
        comments_every_secs: None,
        allow_forbidden: false,
        prune_default: PruneAction::Keep,
        prune_rules: Vec::new(),
        max_delete: MaxDelete::Percent(25.0),
        sources: Vec::new(),
    }
}

/// Nobody walked before, and nobody will.
fn nights() -> Nights<'static> {
    Nights {
        ways: BTreeMap::new(),
        keeper: &KeepsNothing,
        now_secs: 0,
        sift: &|_, _, _| Sifted::Keep,
        hear: &|_, _, _| Sifted::Keep,
    }
}

fn source(kind: SourceKind) -> Source {
    Source { name: SourceName::from("s"), kind, allow_empty: false }
}

fn drive(folder: Option<&str>) -> SourceKind {
    SourceKind::Drive { folder: folder.map(str::to_owned) }
}

/// Walks one source as a user.
async fn walk(service: &Arc<Service>, kind: SourceKind, exclude: &[&str]) -> RemoteSource {
    let stop = CancellationToken::new();
    walk_with(&client_of(service, 0), kind, exclude, &stop).await.unwrap()
}

async fn walk_with(
    client: &Client,
    kind: SourceKind,
    exclude: &[&str],
    stop: &CancellationToken,
) -> Result<RemoteSource, ApiError> {
    let sources = [source(kind)];
    let tree = crawl(client, &sources, &rules(exclude), true, &Silent, stop, nights()).await?;
    Ok(tree.sources.into_values().next().unwrap())
}

fn listing<'a>(source: &'a RemoteSource, place: &str) -> &'a Listing {
    let place = (!place.is_empty()).then(|| PlaceToken::from(place));
    &source.listings[&place]
}

fn place<'a>(source: &'a RemoteSource, token: &str) -> &'a Node {
    &source.nodes[&PlaceToken::from(token)]
}

fn parent_of(source: &RemoteSource, token: &str) -> Option<String> {
    place(source, token).parent.as_ref().map(ToString::to_string)
}

#[tokio::test(start_paused = true)]
async fn a_drive_source_starts_at_the_roots_real_token() {
    let service = Arc::new(Service::default());
    service.says("GET /drive/explorer/v2/root_folder/meta?", &json!({"token": "root", "id": "1"}));
    let shortcut = json!({"token": "shc", "type": "shortcut", "name": "Link",
        "shortcut_info": {"target_type": "folder", "target_token": "far"},
        "created_time": "100", "modified_time": "200"});
    service.folder(
        "root",
        &[
            entry("fld", "folder", "Plans"),
            shortcut,
            entry("doc", "docx", "A"),
            entry("new", "hologram", "Later"),
        ],
    );
    service.folder("fld", &[entry("file", "file", "a.pdf")]);

    let source = walk(&service, drive(None), &[]).await;

    assert_eq!((source.root.as_str(), source.is_full()), ("root", true));
    assert_eq!(service.calls("GET /drive/v1/files?root"), 2, "two pages");
    assert_eq!(source.nodes.len(), 5);
    assert_eq!(parent_of(&source, "doc"), None);
    assert_eq!(parent_of(&source, "file").as_deref(), Some("fld"));
    let edited = place(&source, "doc").edited.unwrap();
    assert_eq!((edited.channel, edited.at_secs), (Channel::Drive, 200));
    assert!(place(&source, "fld").edited.is_none(), "a folder has no content");
    assert_eq!(place(&source, "new").object.ty, ObjType::Other("hologram".into()));
    let link = place(&source, "shc");
    assert_eq!(link.object, Object::new(ObjType::Shortcut, "far"));
    assert_eq!(link.target.as_ref().unwrap().object, Object::new(ObjType::Folder, "far"));
    assert!(!source.listings.contains_key(&Some(PlaceToken::from("shc"))), "never descended");
}

#[tokio::test(start_paused = true)]
async fn an_excluded_folder_is_there_but_nobody_lists_it() {
    let service = Arc::new(Service::default());
    service.folder("top", &[entry("tmp", "folder", "tmp"), entry("keep", "folder", "Keep")]);
    service.folder("keep", &[entry("a", "docx", "a.docx"), entry("b", "docx", "b")]);

    let source = walk(&service, drive(Some("top")), &["**/tmp/**", "s/Keep/a"]).await;

    assert!(matches!(listing(&source, "tmp"), Listing::Excluded));
    assert!(place(&source, "tmp").filtered && place(&source, "a").filtered);
    assert!(!place(&source, "keep").filtered && !place(&source, "b").filtered);
    assert!(source.is_full(), "nobody wanted to know");
    assert_eq!(service.calls("GET"), 2);
}

#[tokio::test(start_paused = true)]
async fn one_bad_folder_spoils_only_its_own_listing() {
    let service = Arc::new(Service::default());
    let names = ["closed", "gone", "broken", "fine"];
    service.folder("top", &names.map(|name| entry(name, "folder", name)));
    service.refuses(&folder_call("closed"), 403, 1_061_004);
    service.refuses(&folder_call("gone"), 404, 1_061_003);
    service.lists(
        &folder_call("broken"),
        "files",
        &[1, 2, 3].map(|n| entry(&format!("d{n}"), "docx", "D")),
    );
    service.replies.lock().unwrap().get_mut(&format!("{} page1", folder_call("broken"))).unwrap()
        [0] = (500, json!({"code": 1_061_001, "msg": "internal"}));
    service.folder("fine", &[entry("doc", "docx", "Doc")]);

    let source = walk(&service, drive(Some("top")), &[]).await;

    let Listing::Forbidden(failure) = listing(&source, "closed") else { panic!("forbidden") };
    assert!(failure.message.contains("s/closed"), "{failure:?}");
    assert!(failure.hint.is_some());
    assert!(matches!(listing(&source, "gone"), Listing::Failed(_)));
    assert!(matches!(listing(&source, "broken"), Listing::Failed(_)), "its second page failed");
    assert!(matches!(listing(&source, "fine"), Listing::Complete));
    assert!(matches!(listing(&source, ""), Listing::Complete));
    assert_eq!(parent_of(&source, "doc").as_deref(), Some("fine"));
    assert_eq!(source.failures().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn empty_pages_go_on_and_looping_cursors_end() {
    let service = Arc::new(Service::default());
    service.folder("top", &[entry("hole", "folder", "hole"), entry("loop", "folder", "loop")]);
    let page = |files: Value, next: &str| json!({"files": files, "has_more": !next.is_empty(), "next_page_token": next});
    let hole = folder_call("hole");
    service.says(&hole, &page(json!([]), "h1"));
    service.says(&format!("{hole} h1"), &page(json!([]), "h2"));
    service.says(&format!("{hole} h2"), &page(json!([entry("doc", "docx", "D")]), ""));
    let looping = folder_call("loop");
    service.says(&looping, &page(json!([entry("x", "docx", "X")]), "l1"));
    service.says(&format!("{looping} l1"), &page(json!([entry("y", "docx", "Y")]), "l1"));

    let source = walk(&service, drive(Some("top")), &[]).await;

    assert!(matches!(listing(&source, "hole"), Listing::Complete));
    assert_eq!(parent_of(&source, "doc").as_deref(), Some("hole"));
    assert!(matches!(listing(&source, "loop"), Listing::Failed(_)));
    assert!(service.calls(&looping) < 10, "it does not go round for ever");
}

#[tokio::test(start_paused = true)]
async fn folders_within_themselves_are_listed_once() {
    let service = Arc::new(Service::default());
    service.folder("top", &[entry("a", "folder", "a"), entry("b", "folder", "b")]);
    service.folder("a", &[entry("b", "folder", "b"), entry("top", "folder", "top")]);
    service.folder("b", &[entry("a", "folder", "a"), entry("doc", "docx", "d")]);

    let source = walk(&service, drive(Some("top")), &[]).await;

    assert_eq!(service.calls("GET"), 3);
    assert_eq!((parent_of(&source, "a"), parent_of(&source, "b")), (None, None));
    assert!(!source.nodes.contains_key(&PlaceToken::from("top")));
}

#[tokio::test(start_paused = true)]
async fn a_wide_drive_is_walked_many_folders_at_a_time_within_the_quota() {
    let service = Arc::new(Service::default());
    let folders: Vec<Value> =
        (0..100).map(|n| entry(&format!("f{n:03}"), "folder", &format!("f{n}"))).collect();
    service.folder("top", &folders);
    for n in 0..100 {
        service.folder(&format!("f{n:03}"), &[entry(&format!("d{n}"), "docx", "D")]);
    }
    let start = Instant::now();

    let source = walk(&service, drive(Some("top")), &[]).await;

    assert_eq!(source.nodes.len(), 200);
    let calls = "GET /drive/v1/files";
    assert_eq!(service.calls(calls), 150, "50 pages of the top, 100 folders");
    assert!(service.busiest(calls, Duration::from_secs(1)) <= 20, "20 a second is the limit");
    let one_by_one = LATENCY * 150;
    assert!(start.elapsed() < one_by_one * 2 / 3, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_large_wiki_never_exceeds_a_hundred_calls_a_minute() {
    let service = Arc::new(Service::default());
    let tops: Vec<Value> =
        (0..240).map(|n| node("7", &format!("n{n}"), &format!("N{n}"), true)).collect();
    service.nodes("7", None, &tops);
    for n in 0..240 {
        service.nodes("7", Some(&format!("n{n}")), &[node("7", &format!("c{n}"), "C", false)]);
    }

    let source = walk(&service, SourceKind::Wiki(WikiScope::Space("7".into())), &[]).await;

    assert_eq!((source.nodes.len(), source.is_full()), (480, true));
    let busiest = service.busiest("GET /wiki/v2/spaces/7/nodes", Duration::from_secs(60));
    assert!(busiest <= 100, "{busiest} in a minute");
    assert_eq!(service.calls("GET"), 120 + 240);
}

#[tokio::test(start_paused = true)]
async fn all_spaces_and_with_a_user_the_library() {
    let service = Arc::new(Service::default());
    let space = |id: &str, name: &str| json!({"space_id": id, "name": name, "space_type": "team"});
    service.lists(
        "GET /wiki/v2/spaces?",
        "items",
        &[space("70", "Team"), space("9", "Team"), space("8", "Secret")],
    );
    service.says(
        "GET /wiki/v2/spaces/my_library?",
        &json!({"space": {"space_id": "71", "name": "我的文档库", "space_type": "my_library"}}),
    );
    service.nodes("70", None, &[node("70", "n1", "One", false)]);
    service.nodes("9", None, &[]);
    service.nodes("71", None, &[node("71", "n2", "Two", false)]);

    let source = walk(&service, SourceKind::Wiki(WikiScope::All), &["s/Secret/**"]).await;

    assert_eq!(source.root, "all");
    assert_eq!(place(&source, "71").title, "My Library");
    assert_eq!(place(&source, "71").object.ty, ObjType::Space);
    assert!(matches!(listing(&source, "8"), Listing::Excluded));
    assert!(matches!(listing(&source, ""), Listing::Complete));
    assert_eq!(parent_of(&source, "n2").as_deref(), Some("71"));
    let age = |id| place(&source, id).created_secs;
    assert!(age("9") < age("70"), "of two spaces with one name the smaller id is older");

    // An app has no library, and does not ask for one.
    let before = service.calls("GET /wiki/v2/spaces/my_library");
    let (client, stop) = (client_of(&service, 0), CancellationToken::new());
    let (sources, rules) = ([source_of(WikiScope::All)], rules(&["s/Secret/**"]));
    let tree = crawl(&client, &sources, &rules, false, &Silent, &stop, nights()).await.unwrap();
    assert_eq!(tree.sources[&SourceName::from("s")].listings.len(), 4, "the top and 3 spaces");
    assert_eq!(service.calls("GET /wiki/v2/spaces/my_library"), before);
}

fn source_of(scope: WikiScope) -> Source {
    source(SourceKind::Wiki(scope))
}

#[tokio::test(start_paused = true)]
async fn an_app_has_no_library_of_its_own() {
    let service = Arc::new(Service::default());
    let client = client_of(&service, 0);
    let sources = [source_of(WikiScope::MyLibrary)];
    let stop = CancellationToken::new();
    let error = crawl(&client, &sources, &rules(&[]), false, &Silent, &stop, nights())
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(error.class, Class::Config);
    assert_eq!(service.calls(""), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wiki_subtree_is_its_node_and_what_is_below() {
    let service = Arc::new(Service::default());
    let top = node("7", "top", "Top", true);
    service.says("GET /wiki/v2/spaces/get_node?top", &json!({"node": top}));
    let mut shortcut = node("7", "link", "Link", true);
    shortcut["node_type"] = json!("shortcut");
    shortcut["origin_node_token"] = json!("top");
    shortcut["obj_token"] = json!("obj_top");
    service.nodes("7", Some("top"), &[shortcut, node("7", "leaf", "Leaf", false)]);

    let source = walk(&service, SourceKind::Wiki(WikiScope::Subtree("top".into())), &[]).await;

    assert_eq!(source.root, "top");
    assert_eq!(parent_of(&source, "top"), None);
    assert!(place(&source, "top").has_children);
    assert_eq!(parent_of(&source, "leaf").as_deref(), Some("top"));
    let link = place(&source, "link");
    let target = link.target.as_ref().unwrap();
    assert_eq!(link.object, Object::new(ObjType::Shortcut, "obj_top"));
    assert_eq!(target.object, Object::new(ObjType::Docx, "obj_top"));
    assert_eq!(target.place, Some(PlaceToken::from("top")));
    assert!(!link.has_children, "its children are its target's");
    assert_eq!(service.calls("GET"), 2);
    assert!(matches!(listing(&source, "top"), Listing::Complete));
    assert_eq!(source.listings.len(), 2, "the top's and the node's");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_not_there_leaves_the_others_alone() {
    let service = Arc::new(Service::default());
    service.refuses("GET /wiki/v2/spaces/get_node?lost", 400, 131_005);
    service.refuses(&nodes_call("7", None), 400, 131_006);

    let lost = walk(&service, SourceKind::Wiki(WikiScope::Subtree("lost".into())), &[]).await;
    assert!(matches!(listing(&lost, ""), Listing::Failed(_)));
    assert_eq!(lost.root, "lost");

    let closed = walk(&service, SourceKind::Wiki(WikiScope::Space("7".into())), &[]).await;
    assert!(matches!(listing(&closed, ""), Listing::Forbidden(_)));
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_marks_what_was_not_listed() {
    let service = Arc::new(Service::default());
    let folders: Vec<Value> = ["a", "b", "c", "d"].map(|f| entry(f, "folder", f)).into();
    service.folder("top", &folders);
    for folder in ["a", "b", "c", "d"] {
        service.folder(folder, &[]);
    }
    let client = client_of(&service, 4);
    let stop = CancellationToken::new();
    let source = walk_with(&client, drive(Some("top")), &[], &stop).await.unwrap();

    assert_eq!(service.calls("GET"), 4, "two pages of the top, two folders");
    assert_eq!(source.failures().count(), 2);
    assert_eq!(source.listings.len(), 5, "every parent has an entry");
    assert!(!source.is_full());
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_walk_at_once() {
    let service = Arc::new(Service::default());
    service.folder("top", &[entry("a", "folder", "a")]);
    service.folder("a", &[entry("b", "folder", "b")]);
    let stop = CancellationToken::new();
    let client = client_of(&service, 0);
    let start = Instant::now();
    let (source, ()) = tokio::join!(walk_with(&client, drive(Some("top")), &[], &stop), async {
        tokio::time::sleep(LATENCY + LATENCY / 2).await;
        stop.cancel();
    });
    let source = source.unwrap();
    assert_eq!(start.elapsed(), LATENCY + LATENCY / 2);
    assert!(matches!(listing(&source, ""), Listing::Complete));
    let Listing::Failed(failure) = listing(&source, "a") else { panic!("not listed") };
    assert!(failure.message.contains("interrupted") && failure.retryable);
}

#[tokio::test(start_paused = true)]
async fn single_documents_cost_one_call() {
    let service = Arc::new(Service::default());
    let meta = |token: &str, ty: &str, asked: (&str, &str)| {
        json!({"doc_token": token, "doc_type": ty, "title": "T", "create_time": "100",
            "latest_modify_time": "200", "url": "https://t.example/x",
            "request_doc_info": {"doc_type": asked.0, "doc_token": asked.1}})
    };
    service.says(
        "POST /drive/v1/metas/batch_query?",
        &json!({"metas": [meta("dox", "docx", ("docx", "dox")), meta("real", "sheet", ("wiki", "wik"))],
            "failed_list": [{"token": "gone", "code": 970_005}, {"token": "hid", "code": 970_003}]}),
    );
    let asked = [("docx", "dox"), ("wiki", "wik"), ("docx", "gone"), ("sheet", "hid")];
    let urls = asked.map(|(ty, token)| (ty.to_owned(), token.to_owned())).to_vec();

    let source = walk(&service, SourceKind::Docs(urls), &[]).await;

    assert!(source.pinned && source.is_full());
    assert_eq!(place(&source, "wik").object, Object::new(ObjType::Sheet, "real"));
    assert_eq!(place(&source, "dox").edited.unwrap().channel, Channel::Metas);
    assert_eq!(source.known[&PlaceToken::from("gone")], Existence::Gone);
    assert_eq!(source.known[&PlaceToken::from("hid")], Existence::Hidden);
    assert_eq!(service.calls(""), 1);
}

/// Pages of a wiki have an order, whatever page of the listing they came on; all else has
/// none. Who owns something is said by each listing in its own words.
#[tokio::test(start_paused = true)]
async fn order_and_owner_are_those_of_the_listing() {
    let service = Arc::new(Service::default());
    let nodes = ["c", "a", "b"].map(|token| {
        let mut node = node("7", token, "T", token == "a");
        node["owner"] = json!(format!("ou_{token}"));
        node
    });
    service.nodes("7", None, &nodes);
    service.nodes("7", Some("a"), &[node("7", "below", "T", false)]);
    let wiki = walk(&service, SourceKind::Wiki(WikiScope::Space("7".into())), &[]).await;
    let seen = |source: &RemoteSource, token: &str| {
        (place(source, token).order, place(source, token).owner.clone())
    };
    let owner = |id: &str| Some(id.to_owned());
    assert_eq!(seen(&wiki, "c"), (0, owner("ou_c")));
    assert_eq!(seen(&wiki, "a"), (1, owner("ou_a")));
    assert_eq!(seen(&wiki, "b"), (2, owner("ou_b")), "on the second page of the listing");
    assert_eq!(seen(&wiki, "below"), (0, None));

    let files = ["x", "y", "z"].map(|token| {
        let mut file = entry(token, "docx", "T");
        file["owner_id"] = json!(format!("ou_{token}"));
        file
    });
    service.folder("fld", &files);
    let drive = walk(&service, drive(Some("fld")), &[]).await;
    assert_eq!(seen(&drive, "z"), (0, owner("ou_z")));

    service.says(
        "POST /drive/v1/metas/batch_query?",
        &json!({"metas": [{"doc_token": "dox", "doc_type": "docx", "title": "T",
            "create_time": "100", "latest_modify_time": "200", "owner_id": "ou_d",
            "request_doc_info": {"doc_type": "docx", "doc_token": "dox"}}], "failed_list": []}),
    );
    let urls = vec![("docx".to_owned(), "dox".to_owned())];
    let docs = walk(&service, SourceKind::Docs(urls), &[]).await;
    assert_eq!(seen(&docs, "dox"), (0, owner("ou_d")));
}

#[tokio::test(start_paused = true)]
async fn the_plans_questions_go_to_the_right_place() {
    let service = Arc::new(Service::default());
    service.says("GET /docx/v1/documents/dox?", &json!({"document": {"revision_id": 7}}));
    service.refuses("GET /docx/v1/documents/lost?", 404, 1_770_002);
    service.refuses("GET /wiki/v2/spaces/get_node?wgone", 400, 131_005);
    service.refuses("GET /wiki/v2/spaces/get_node?whid", 400, 131_006);
    service.says(
        "GET /wiki/v2/spaces/get_node?wthere",
        &json!({"node": node("7", "wthere", "T", false)}),
    );
    service.refuses("GET /wiki/v2/spaces/77?", 400, 131_006);
    service.says(
        "POST /drive/v1/metas/batch_query?",
        &json!({"metas": [], "failed_list": [{"token": "fld", "code": 970_005}]}),
    );
    let (d, w) = (SourceName::from("d"), SourceName::from("w"));
    let tree = RemoteTree {
        sources: BTreeMap::from([
            (d.clone(), RemoteSource::default()),
            (
                w.clone(),
                RemoteSource { family: crate::model::tree::Family::Wiki, ..Default::default() },
            ),
        ]),
    };
    let ask_of = |source: &SourceName, token: &str, ty| {
        (PlaceKey::new(source, &PlaceToken::from(token)), Object::new(ty, token))
    };
    let existence = vec![
        ask_of(&d, "fld", ObjType::Folder),
        ask_of(&d, "shc", ObjType::Shortcut),
        ask_of(&w, "wgone", ObjType::Docx),
        ask_of(&w, "whid", ObjType::Shortcut),
        ask_of(&w, "wthere", ObjType::Docx),
        ask_of(&w, "77", ObjType::Space),
    ];
    let questions = Questions {
        revisions: ["dox", "lost"].map(|t| Object::new(ObjType::Docx, t)).to_vec(),
        metas: Vec::new(),
        existence: existence.clone(),
        boards: Vec::new(),
    };
    let mut answers = Answers::default();
    let client = client_of(&service, 0);
    let stop = CancellationToken::new();
    ask(&client, &questions, &tree, &mut answers, &Silent, &stop).await.unwrap();

    let revision = |token: &str| answers.revisions[&Object::new(ObjType::Docx, token)];
    assert_eq!((revision("dox"), revision("lost")), (Some(7), None));
    let got: Vec<&Existence> = existence.iter().map(|(key, _)| &answers.existence[key]).collect();
    let want = [
        &Existence::Gone,
        &Existence::Exists,
        &Existence::Gone,
        &Existence::Hidden,
        &Existence::Exists,
        &Existence::Hidden,
    ];
    assert_eq!(got, want);
}

#[tokio::test(start_paused = true)]
async fn after_an_interrupt_every_question_is_answered_with_nothing_known() {
    let service = Arc::new(Service::default());
    let object = Object::new(ObjType::Docx, "dox");
    let key = PlaceKey::new(&SourceName::from("d"), &PlaceToken::from("dox"));
    let questions = Questions {
        revisions: vec![object.clone()],
        metas: vec![object.clone()],
        existence: vec![(key.clone(), object.clone())],
        boards: Vec::new(),
    };
    let stop = CancellationToken::new();
    stop.cancel();
    let mut answers = Answers::default();
    let client = client_of(&service, 0);
    ask(&client, &questions, &RemoteTree::default(), &mut answers, &Silent, &stop).await.unwrap();

    assert_eq!(answers.revisions[&object], None);
    assert!(matches!(answers.metas[&object], Err(Existence::Unknown(_))));
    assert!(matches!(answers.existence[&key], Existence::Unknown(_)));
    assert_eq!(service.calls(""), 0);
}

/// `commands` may spawn them.
#[tokio::test(start_paused = true)]
async fn the_futures_can_move_between_threads() {
    fn can_move<T: Send>(_: T) {}
    let service = Arc::new(Service::default());
    let client = client_of(&service, 0);
    let (rules, stop, tree) = (rules(&[]), CancellationToken::new(), RemoteTree::default());
    can_move(crawl(&client, &[], &rules, true, &Silent, &stop, nights()));
    let (questions, mut answers) = (Questions::default(), Answers::default());
    can_move(ask(&client, &questions, &tree, &mut answers, &Silent, &stop));
}
