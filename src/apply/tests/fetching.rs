//! How much is fetched at once.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use super::service::*;
use super::*;
use crate::apply::fetch::{Fetcher, Finished, Job};
use crate::apply::page::Standing;

/// While the publisher is busy no more pages are read than wait for it in memory.
#[tokio::test(start_paused = true)]
async fn pages_that_wait_for_the_publisher_hold_up_further_ones() {
    let world = World::new();
    let service = Service::new(|asked| {
        let page = json!({"block_id": "d", "block_type": 1, "children": []});
        if asked.line.contains("/blocks") {
            good(json!({"items": [page], "has_more": false}))
        } else {
            good(json!({"document": {"document_id": "d", "revision_id": 1}}))
        }
    });
    let jobs = (0..40).map(|n| {
        let token = format!("d{n}");
        let wants = vec![want(&key(&token), Format::Md, &format!("drive/{n}.md"))];
        let fetch = fetch(ObjType::Docx, &token, wants);
        let (copies, standing) = (vec![None], vec![Standing::default()]);
        Job { fetch, copies, standing, pages: BTreeMap::new() }
    });
    let tools = world.tools(&service, &Faults::default());
    let fetcher = Fetcher::new(&tools, Arc::new(world.settings()));
    let (sender, mut finished) = mpsc::channel::<Finished>(64);
    let publisher = async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(service.count("/blocks"), 8, "twice the concurrency");
        let mut all = 0;
        while finished.recv().await.is_some() {
            all += 1;
        }
        all
    };
    let ((), all) = tokio::join!(fetcher.run(jobs.collect(), sender), publisher);
    assert_eq!((all, service.count("/blocks")), (40, 40));
}
