//! `demo`: the whole job against a simulated tenant on loopback.
//!
//! The commands that it shows are run as a user would run them: a whole command line,
//! a config on disk, real HTTP. Only the tenant is not real.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::exit::{self, Problem};
use super::{Host, Session};
use crate::cli::{self, Demo, When};
use crate::sim::{self, Quotas, Serving, Tenant};
use crate::ui::text::{bytes, counted, escaped};
use crate::ui::{Tone, Ui};

/// The tenant's quotas, and the client's share of them, as multiples of the official
/// ones: with those alone the demo would take minutes.
const FASTER: f64 = 100.0;

/// Tells the demo's own folder from any other.
const MARK: &str = ".feishu-mirror-demo";

/// Calls that list, or find out where a listing begins.
const LISTINGS: [&str; 6] = [
    "/drive/v1/files",
    "/drive/explorer/v2/root_folder/meta",
    "/wiki/v2/spaces",
    "/wiki/v2/spaces/:space_id",
    "/wiki/v2/spaces/:space_id/nodes",
    "/wiki/v2/spaces/get_node",
];

/// So many lines of the copy are shown.
const SHOWN: usize = 60;

/// Runs the demo, or only the tenant.
pub async fn run(session: &Session, args: &Demo) -> Result<u8, Problem> {
    let tenant = tenant(session, args.fixture.as_deref())?;
    let times = args.quotas.map_or(FASTER, f64::from);
    tenant.quotas(Quotas::official().times(times));
    match args.serve {
        Some(addr) => serve_only(session, tenant, addr, times).await,
        None => show(session, args, tenant).await,
    }
}

fn tenant(session: &Session, fixture: Option<&Path>) -> Result<Tenant, Problem> {
    let clock = session.clock.clone();
    let Some(file) = fixture else { return Ok(sim::demo_tenant(clock)) };
    let file = session.cwd.join(file);
    let json = std::fs::read_to_string(&file).map_err(|e| Problem::io("read", &file, &e))?;
    Tenant::from_fixture(&json, clock)
        .map_err(|error| Problem::failed(format!("{}: {error}", file.display())))
}

async fn serve(tenant: Tenant, addr: SocketAddr) -> Result<(SocketAddr, Serving), Problem> {
    sim::serve(tenant, addr).await.map_err(|error| {
        Problem::failed(format!("cannot listen at {addr}: {error}"))
            .hint("name a free loopback address, for example --serve 127.0.0.1:0")
    })
}

async fn serve_only(
    session: &Session,
    tenant: Tenant,
    addr: SocketAddr,
    times: f64,
) -> Result<u8, Problem> {
    let (addr, serving) = serve(tenant, addr).await?;
    let ui = &session.ui;
    if ui.is_json() {
        ui.json(&serde_json::json!({ "event": "serving", "url": format!("http://{addr}") }));
    } else {
        ui.result(&format!("a simulated tenant listens at http://{addr} until Ctrl-C"));
        ui.result(&format!("its quotas are {times} times the official ones"));
        ui.result("\nin mirror.toml:\n");
        ui.result(&format!("[account]\ndomain = {}", domain(addr)));
        ui.result(&format!("[limits]\nquota_share = {times:.1}"));
        ui.result("\nin the environment, one of:\n");
        ui.result(&format!("export FEISHU_USER_ACCESS_TOKEN={}", sim::USER_TOKEN));
        ui.result(&format!(
            "export FEISHU_APP_ID={} FEISHU_APP_SECRET={}",
            sim::APP_ID,
            sim::APP_SECRET
        ));
        ui.result("\nor as people do it:\n");
        ui.result(&format!(
            "echo {} | feishu-mirror profile add demo --app-id {} --domain http://{addr} \
             --app-secret-stdin --use",
            sim::APP_SECRET,
            sim::APP_ID
        ));
        ui.result("feishu-mirror auth login");
    }
    ui.flush();
    tokio::select! {
        () = session.interrupt.cancelled() => Ok(exit::DONE),
        () = serving.wait() => Ok(exit::DONE),
    }
}

fn domain(addr: SocketAddr) -> String {
    format!("{{ open = \"http://{addr}\", accounts = \"http://{addr}\" }}")
}

async fn show(session: &Session, args: &Demo, tenant: Tenant) -> Result<u8, Problem> {
    let dir = prepare_folder(session, &args.dir)?;
    let (addr, _serving) = serve(tenant.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let config = dir.join(crate::config::FILE_NAME);
    std::fs::write(&config, config_text(addr)).map_err(|e| Problem::io("write", &config, &e))?;
    let ui = &session.ui;
    let stage = Stage { session, tenant: &tenant, dir: &dir };

    stage.say(&format!(
        "A simulated tenant listens at http://{addr}. Its quotas are {FASTER} times the official \
         ones, so that this does not take minutes. The config is {}.",
        config.display()
    ));
    stage.say("1. The first sync fetches everything.");
    stage.run(&["sync"]).await?;
    stage.say("The copy: plain files, at the places where they are in Feishu.");
    print_tree(ui, &dir.join("mirror"));

    stage.say("2. Nothing changed, so the second sync only lists.");
    stage.run(&["sync"]).await?;
    stage.say_calls();

    let edits = sim::demo_edits(&tenant);
    if edits.is_empty() {
        stage.say("3. (The edits of the demo belong to its built-in tenant.)");
    } else {
        stage.say("3. Meanwhile, in Feishu, somebody:");
        for edit in &edits {
            ui.line(&format!("  - {}", escaped(edit)));
        }
        stage.say("What would a sync do now?");
        stage.run(&["diff"]).await?;
        stage.say("4. And now it does exactly that.");
        stage.run(&["sync", "-v"]).await?;
        stage.say_calls();
    }

    stage.say("Look around:");
    ui.line(&format!("  ls -lR {}", dir.join("mirror").display()));
    ui.line(&format!("  feishu-mirror -C {} ls", config.display()));
    ui.line(&format!("  feishu-mirror -C {} status", config.display()));
    ui.line("  feishu-mirror demo --serve     the same tenant, to try your own commands against");
    ui.line("  feishu-mirror init             your own copy");
    Ok(exit::DONE)
}

/// Makes the folder, or empties that of an earlier demo.
fn prepare_folder(session: &Session, dir: &Path) -> Result<PathBuf, Problem> {
    let dir = session.cwd.join(dir);
    let mark = dir.join(MARK);
    if !mark.is_file() {
        let used = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
        if used || dir.is_file() {
            return Err(Problem::failed(format!(
                "{} is there already, and no demo made it",
                dir.display()
            ))
            .hint("name another folder: feishu-mirror demo --dir NEW"));
        }
        std::fs::create_dir_all(&dir).map_err(|e| Problem::io("make the folder", &dir, &e))?;
        let about = "`feishu-mirror demo` made this folder and may make it again.\n";
        std::fs::write(&mark, about).map_err(|e| Problem::io("write", &mark, &e))?;
    }
    for made in ["mirror", "home"] {
        let made = dir.join(made);
        match std::fs::remove_dir_all(&made) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Problem::io("remove the last demo in", &made, &error));
            }
            _ => {}
        }
    }
    Ok(dir)
}

fn config_text(addr: SocketAddr) -> String {
    format!(
        "# Written by `feishu-mirror demo`; `feishu-mirror init` writes a commented one.\n\
         [mirror]\npath = \"mirror\"\nmin_free = \"100 MiB\"\n\n\
         [account]\ndomain = {}\n\n\
         [[source]]\nname = \"drive\"\nkind = \"drive\"\n\n\
         [[source]]\nname = \"wiki\"\nkind = \"wiki\"\n\n\
         [prune]\ndefault = \"trash\"\n\n\
         # The simulated tenant has {FASTER} times the official quotas; a real one has not.\n\
         [limits]\nquota_share = {FASTER:.1}\n",
        domain(addr)
    )
}

/// Where the commands of the demo are run.
struct Stage<'a> {
    session: &'a Session,
    tenant: &'a Tenant,
    dir: &'a Path,
}

impl Stage<'_> {
    fn say(&self, text: &str) {
        let ui = &self.session.ui;
        ui.line("");
        ui.line(&ui.paint(Tone::Bold, text));
    }

    /// Runs a command line as `main` would. Something that has no copy is shown by the
    /// command itself and is no reason to end the demo.
    async fn run(&self, words: &[&str]) -> Result<(), Problem> {
        let session = self.session;
        let ui = &session.ui;
        ui.line(&ui.paint(Tone::Dim, &format!("$ feishu-mirror {}", words.join(" "))));
        self.tenant.forget_calls();
        let mut args: Vec<OsString> = vec![cli::NAME.into()];
        args.extend(words.iter().map(OsString::from));
        if ui.is_json() {
            args.push("--json".into());
        }
        if ui.is_quiet() {
            args.push("-q".into());
        }
        let word = |when: When| match when {
            When::Auto => "auto",
            When::Always => "always",
            When::Never => "never",
        };
        args.push(format!("--color={}", word(session.global.color)).into());
        args.push(format!("--progress={}", word(session.global.progress)).into());
        let host = Host {
            vars: self.vars(),
            cwd: self.dir.to_owned(),
            clock: session.clock.clone(),
            http: None,
            input: Box::new(io::empty()),
            input_is_terminal: false,
            out: Box::new(Through { ui: ui.clone(), err: false }),
            err: Box::new(Through { ui: ui.clone(), err: true }),
            err_is_terminal: session.err_is_terminal,
            out_is_terminal: session.out_is_terminal,
            interrupt: session.interrupt.clone(),
            faults: session.faults.clone(),
        };
        match super::run(args, host).await {
            exit::DONE | exit::PARTIAL => Ok(()),
            exit::INTERRUPTED => Err(Problem::interrupted()),
            code => Err(Problem::new(code, format!("`{}` ended with exit code {code}", words[0]))),
        }
    }

    /// The environment of those commands: nothing of the user's own accounts.
    fn vars(&self) -> BTreeMap<String, String> {
        let mut vars = self.session.vars.clone();
        vars.retain(|name, _| !name.starts_with("FEISHU_"));
        let home = self.dir.join("home").display().to_string();
        vars.insert("FEISHU_MIRROR_HOME".to_owned(), home);
        vars.insert("FEISHU_USER_ACCESS_TOKEN".to_owned(), sim::USER_TOKEN.to_owned());
        vars
    }

    /// What the tenant counted during the last command.
    fn say_calls(&self) {
        let all = self.tenant.total_calls();
        let log = self.tenant.call_log();
        let listing = log.iter().filter(|call| LISTINGS.contains(&call.pattern.as_str())).count();
        let calls = counted(all as u64, "call", "calls");
        self.session.ui.line(&if listing == all {
            format!("The tenant counted {calls}: listings, and nothing else.")
        } else {
            format!("The tenant counted {calls}: {listing} for listing, {} more.", all - listing)
        });
    }
}

/// The copy as a tree.
fn print_tree(ui: &Ui, root: &Path) {
    let walk = walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name().into_iter();
    let entries = walk.filter_entry(|entry| entry.file_name() != ".feishu-mirror");
    let mut lines = 0;
    for entry in entries.filter_map(Result::ok) {
        lines += 1;
        if lines > SHOWN {
            continue;
        }
        let name = entry.file_name().to_string_lossy();
        let name = escaped(&name);
        let indent = "  ".repeat(entry.depth());
        let line = if entry.file_type().is_dir() {
            format!("{indent}{name}/")
        } else if let Ok(target) = std::fs::read_link(entry.path()) {
            format!("{indent}{name} -> {}", escaped(&target.to_string_lossy()))
        } else {
            let size = entry.metadata().map_or(0, |meta| meta.len());
            format!("{indent}{name}  {}", ui.paint(Tone::Dim, &bytes(size)))
        };
        ui.line(&line);
    }
    if lines > SHOWN {
        ui.line(&format!("  … and {} more", lines - SHOWN));
    }
}

/// A stream of an inner command, into the outer one's.
struct Through {
    ui: Ui,
    err: bool,
}

impl Write for Through {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.err {
            self.ui.raw_err(bytes);
        } else {
            self.ui.raw(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ui.flush();
        Ok(())
    }
}
