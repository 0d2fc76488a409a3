//! `init`: writes a commented config.

use std::fs::File;
use std::io::{ErrorKind, Write};

use super::Session;
use super::exit::{self, Problem};
use crate::cli::Init;
use crate::config::{EXAMPLE, FILE_NAME};
use crate::ui::text::escaped;

/// Never overwrites.
pub fn run(session: &Session, args: &Init) -> Result<u8, Problem> {
    let mut file = session.cwd.join(&args.file);
    if file.is_dir() {
        file.push(FILE_NAME);
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Problem::io("make the folder", folder, &e))?;
    }
    let mut new = File::create_new(&file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Problem::failed(format!("{} exists already", file.display()))
            .hint("it is left as it is; name another file, or move it away first"),
        _ => Problem::io("write", &file, &error),
    })?;
    let written = new.write_all(EXAMPLE.as_bytes()).and_then(|()| new.sync_all());
    written.map_err(|error| Problem::io("write", &file, &error))?;

    let shown = file.strip_prefix(&session.cwd).unwrap_or(&file).display().to_string();
    let here = file.file_name().is_some_and(|name| name == FILE_NAME)
        && file.parent() == Some(session.cwd.as_path());
    let with = if here { String::new() } else { format!(" -C {}", escaped(&shown)) };
    let ui = &session.ui;
    ui.line(&format!("wrote {}", escaped(&shown)));
    ui.line("");
    ui.line("Next:");
    ui.line("  1. look at its sources");
    ui.line("  2. store your app (企业自建应用); outside China with --domain lark:");
    ui.line("       feishu-mirror profile add default --app-id cli_…");
    ui.line("  3. for a user's own library, log in once; without, the app's identity is used:");
    ui.line(&format!("       feishu-mirror{with} auth login"));
    ui.line(&format!("  4. feishu-mirror{with} doctor  checks everything"));
    ui.line(&format!("  5. feishu-mirror{with} diff    shows what would be done"));
    ui.line(&format!("  6. feishu-mirror{with} sync    does it"));
    Ok(exit::DONE)
}
