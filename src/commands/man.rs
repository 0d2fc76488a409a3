//! `man`: the manual as roff, whole on stdout or a page a command in a folder.

use std::io;

use clap_mangen::Man;

use super::Session;
use super::exit::{self, Problem};
use crate::cli;

/// Prints or writes the manual.
pub fn run(session: &Session, args: &cli::Man) -> Result<u8, Problem> {
    let Some(dir) = &args.dir else {
        let page = whole().expect("writing to memory does not fail");
        session.ui.raw(&page);
        return Ok(exit::DONE);
    };
    let dir = session.cwd.join(dir);
    let written =
        std::fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(cli::command(), &dir));
    written.map_err(|error| Problem::io("write the pages to", &dir, &error))?;
    session.ui.line(&format!("wrote a page for each command to {}", dir.display()));
    Ok(exit::DONE)
}

/// The program's page, followed by a section for each command.
fn whole() -> io::Result<Vec<u8>> {
    let command = cli::command();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands() {
        let name = sub.get_bin_name().unwrap_or(sub.get_name()).to_owned();
        let man = Man::new(sub.clone());
        let mut text = Vec::new();
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        man.render_extra_section(&mut text)?;
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        // A page's sections become parts of this one's.
        let text = String::from_utf8_lossy(&text).replace("\n.SH ", "\n.SS ");
        let text = text.strip_prefix(".SH ").map(|rest| format!(".SS {rest}")).unwrap_or(text);
        page.extend_from_slice(text.as_bytes());
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_every_command() {
        let page = String::from_utf8(whole().unwrap()).unwrap();
        assert!(page.contains(".TH feishu-mirror 1"), "{page}");
        for sub in cli::command().get_subcommands() {
            let heading = format!(".SH \"FEISHU-MIRROR {}\"", sub.get_name().to_uppercase());
            assert!(page.contains(&heading), "{heading}");
        }
        assert!(page.contains(r"\-\-max\-delete"), "options of the commands");
    }
}
