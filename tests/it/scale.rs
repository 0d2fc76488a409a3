//! Large tenants: memory, time and bytes a place. The copy is not fetched but filled in: a
//! plan says which files there are to be, and each gets a few bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Instant;

use feishu_mirror::clock::Clock;
use feishu_mirror::config::Config;
use feishu_mirror::crawl::{self, KeepsNothing, Nights};
use feishu_mirror::feishu::{Client, Credentials, Settings};
use feishu_mirror::model::local::LocalState;
use feishu_mirror::model::recorded::{ProductKey, ProductRow, Recorded, Slot, Stamp};
use feishu_mirror::model::tree::{RemoteTree, Sifted};
use feishu_mirror::model::{ContentHash, Format};
use feishu_mirror::plan::{self, Answers, Inputs, Options};
use feishu_mirror::progress::Silent;
use feishu_mirror::sim::{Quotas, Shape, Tenant, USER_TOKEN, serve};
use feishu_mirror::store::Store;
use tokio_util::sync::CancellationToken;

use crate::support::program::BINARY;
use crate::support::scale;
use feishu_mirror::faults::Faults;

const CONTENT: &[u8] = b"as good as any other document";

/// A mirror in a folder of its own, of a tenant that this process serves.
struct Large {
    folder: tempfile::TempDir,
    recorded: Recorded,
}

impl Large {
    async fn of(tenant: &Tenant, base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[account]\ndomain = {{ open = \"{base}\", accounts = \"{base}\" }}\n\
             [limits]\nquota_share = 1000.0\n\
             [[source]]\nname = \"drive\"\nkind = \"drive\"\n\
             [[source]]\nname = \"wiki\"\nkind = \"wiki\"\nallow_empty = true\n\
             [crawl]\nfull_every = \"0\"\n"
        );
        std::fs::write(folder.path().join("mirror.toml"), text).unwrap();
        let config = Config::load(None, &BTreeMap::default(), folder.path()).unwrap();
        let tree = listed(tenant, &config).await;
        let recorded = filled(&tree, &config);
        Self { folder, recorded }
    }

    /// Makes an empty mirror, then writes rows and files as a first run would have.
    fn fill(&self) {
        let none = self.sync(&["--max-calls", "1"]);
        assert_eq!(none.0, Some(2), "the budget ends");
        let state = self.folder.path().join("mirror/.feishu-mirror");
        let id = Store::identity(&state).unwrap().unwrap();
        let store = Store::open(&state, &id, &Faults::default()).unwrap();
        let mut folders = BTreeSet::new();
        let mut files = 0;
        for (key, row) in &self.recorded.places {
            for product in row.products.keys() {
                let at = self.recorded.product(key, product).unwrap();
                let path = self.folder.path().join("mirror").join(at.in_mirror().unwrap().as_str());
                if folders.insert(path.parent().unwrap().to_owned()) {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                }
                std::fs::write(&path, CONTENT).unwrap();
                let mtime = std::time::UNIX_EPOCH
                    + std::time::Duration::from_secs(
                        u64::try_from(row.products[product].mtime_secs).unwrap(),
                    );
                std::fs::File::options()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_modified(mtime)
                    .unwrap();
                files += 1;
            }
            if row.names.contains_key(&Slot::Dir) {
                let at = self.recorded.slot(key, Slot::Dir).unwrap();
                let path = self.folder.path().join("mirror").join(at.in_mirror().unwrap().as_str());
                std::fs::create_dir_all(path).unwrap();
            }
        }
        store
            .put_all(self.recorded.places.iter().map(|(k, row)| (k.clone(), row.clone())))
            .unwrap();
        println!("{files} files in {} folders", folders.len());
    }

    /// Runs the program to its end: exit code, output, peak of its memory in bytes.
    fn sync(&self, more: &[&str]) -> (Option<i32>, String, u64) {
        let mut child = std::process::Command::new(BINARY)
            .args(["sync", "--json"])
            .args(more)
            .current_dir(self.folder.path())
            .env("FEISHU_MIRROR_HOME", self.folder.path().join("home"))
            .env("FEISHU_USER_ACCESS_TOKEN", USER_TOKEN)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let watch = std::thread::spawn(move || {
            let mut most = 0;
            while let Some(now) = peak(pid) {
                most = most.max(now);
                std::thread::park_timeout(std::time::Duration::from_millis(20));
            }
            most
        });
        let mut out = String::new();
        std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut out).unwrap();
        let code = child.wait().unwrap().code();
        (code, out, watch.join().unwrap())
    }
}

/// The most memory that a process has had, in bytes; `None` once it has ended.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

async fn listed(tenant: &Tenant, config: &Config) -> RemoteTree {
    let settings = Settings {
        domain: feishu_mirror::config::values::domain("http://127.0.0.1:9").unwrap(),
        credentials: Credentials::User(USER_TOKEN.to_owned().into()),
        quota_share: 1000.0,
        concurrency: 8,
        retries: 2,
        request_timeout: std::time::Duration::from_secs(60),
        bandwidth: 0,
        max_calls: 0,
    };
    let client = Client::new(settings, tenant.http(), tenant.clock());
    let nights = Nights {
        ways: BTreeMap::new(),
        keeper: &KeepsNothing,
        now_secs: 0,
        sift: &|_, _, _| Sifted::Keep,
        hear: &|_, _, _| Sifted::Keep,
    };
    let stop = CancellationToken::new();
    let (sources, rules) = (&config.sources, &config.rules);
    crawl::crawl(&client, sources, rules, true, &Silent, &stop, nights).await.unwrap()
}

/// The manifest once everything that the first plan wants is there.
fn filled(tree: &RemoteTree, config: &Config) -> Recorded {
    let (recorded, local, answers) =
        (Recorded::default(), LocalState::default(), Answers::default());
    let options = Options::default();
    let inputs = Inputs {
        tree,
        recorded: &recorded,
        local: &local,
        rules: &config.rules,
        options: &options,
        answers: &answers,
        now_secs: 2_000_000_000,
    };
    let plan = plan::plan(&inputs);
    let mut recorded =
        Recorded { places: plan.records.into_iter().collect(), sources: plan.sources };
    let blake3 = ContentHash::from(blake3::hash(CONTENT));
    for fetch in plan.fetches {
        let revision = fetch.object.ty.has_revision().then_some(1);
        for want in fetch.wants {
            let product = ProductKey::whole(want.format.slot());
            let row = recorded.places.get_mut(&want.place).unwrap();
            let file = ProductRow {
                part_name: None,
                size: CONTENT.len() as u64,
                blake3,
                mtime_secs: fetch.edited.unwrap().at_secs,
                link: None,
                stamp: Stamp::of(fetch.edited, revision),
                doubtful: false,
            };
            row.products.insert(product, file);
            if want.format == Format::Pptx && row.url.is_none() {
                row.url = Some(format!("https://demo.feishu.cn/slides/{}", row.object.token));
            }
        }
    }
    recorded
}

/// Everything is as it was: no call but the listings, little memory, little time to find
/// that out. With `FEISHU_MIRROR_LONG=1`: 1,000,000 places (in release: `--release`).
#[tokio::test(flavor = "multi_thread")]
async fn long_a_large_unchanged_tenant_takes_little_memory() {
    let nodes = scale(3_000, 1_000_000);
    let shape = Shape { wiki_percent: 10, file_percent: 40, fan_out: 200, ..Shape::of(nodes) };
    let tenant = Tenant::generate(7, &shape, Clock::system());
    tenant.quotas(Quotas::official().times(1000.0));
    let (address, _serving) = serve(tenant.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let large = Large::of(&tenant, &format!("http://{address}")).await;
    let rows = large.recorded.places.len();
    large.fill();
    let manifest = large.folder.path().join("mirror/.feishu-mirror/manifest.redb");

    let first = large.sync(&[]);
    assert_eq!(first.0, Some(0), "{}", first.1);
    tenant.forget_calls();
    let began = Instant::now();
    let (code, out, memory) = large.sync(&[]);
    let summary: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(out.lines().count(), 1, "{out}");
    let places = rows - shape.spaces;
    assert_eq!(summary["unchanged"], places, "{summary}");
    let listings = tenant.calls("GET", "/drive/v1/files") + tenant.calls("GET", "/wiki/v2/spaces");
    println!(
        "unchanged run of {rows} places: {} MiB resident at most, {:.1} s, {listings} listings",
        memory >> 20,
        began.elapsed().as_secs_f64(),
    );
    let bytes = std::fs::metadata(&manifest).unwrap().len();
    println!("manifest: {} bytes a place", bytes / rows as u64);
    let limit = if nodes >= 1_000_000 { 300 << 20 } else { 80 << 20 };
    assert!(memory < limit, "{memory} bytes");
}
