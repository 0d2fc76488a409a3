//! `profile`: apps and their users under names. Makes no call, logs nobody in or out.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::exit::{DONE, FAILED, Problem, USAGE};
use super::{Session, account};
use crate::auth::AuthError;
use crate::auth::profiles::{DEFAULT, Profile, Profiles, add_command};
use crate::cli::accounts::{self, ProfileAdd, ProfileName, ProfileRemove, ProfileRename};
use crate::feishu::oauth::AppKey;
use crate::ui::text::{columns, counted, escaped};

/// Runs it.
pub async fn run(session: &Session, args: &accounts::Profile) -> Result<u8, Problem> {
    match args {
        accounts::Profile::Add(args) if args.create_app => {
            super::profile_create::run(session, args).await
        }
        accounts::Profile::Add(args) => add(session, args),
        accounts::Profile::List => list(session),
        accounts::Profile::Current => current(session),
        accounts::Profile::Use(args) => choose(session, args),
        accounts::Profile::Rename(args) => rename(session, args),
        accounts::Profile::Remove(args) => {
            // It asks, and whoever waits for an answer hears no Ctrl-C.
            let (asking, args) = (session.clone(), args.clone());
            let removed = tokio::task::spawn_blocking(move || remove(&asking, &args));
            tokio::select! {
                biased;
                () = session.interrupt.cancelled() => Err(Problem::interrupted()),
                removed = removed => removed.expect("removing does not panic"),
            }
        }
    }
}

fn add(session: &Session, args: &ProfileAdd) -> Result<u8, Problem> {
    let profiles = account::profiles(session)?;
    let (name, ui) = (&args.name, &session.ui);
    let id =
        args.app_id.as_deref().map(str::trim).filter(|id| !id.is_empty()).ok_or_else(|| {
            Problem::new(USAGE, "--app-id is empty").hint("it looks like cli_a1b2c3d4e5f6a7b8")
        })?;
    if !id.starts_with("cli_") {
        ui.warn(&format!(
            "{id:?} does not look like an app ID (cli_…); you find it in the developer console \
             under Credentials & Basic Info (凭证与基础信息)"
        ));
    }
    // Before anybody is asked for a secret.
    let there = open(session, &profiles, name)?;
    let same_app = |profile: &Profile| profile.app.id == id && profile.domain == args.domain;
    if let Some(profile) = there.as_ref().filter(|profile| !same_app(profile)) {
        return Err(Problem::failed(format!(
            "there is a profile {name:?} already, for the app {} on {}",
            profile.app.id,
            profile.domain.name()
        ))
        .hint(format!(
            "choose another name, or remove that one first: feishu-mirror profile remove {name}"
        )));
    }
    let app = AppKey { id: id.to_owned(), secret: secret(session, args, id)? };
    let (profile, change) = match there {
        Some(mut profile) => {
            profile.set_secret(&app.secret)?;
            (profile, "secret_replaced")
        }
        None => (profiles.add(name, &app, &args.domain)?, "added"),
    };
    if args.activate {
        profiles.activate(name)?;
    }
    if ui.is_json() {
        ui.json(&changed(event(session, &profiles, &profile)?, change));
        return Ok(DONE);
    }
    let on = args.domain.name();
    match change {
        "added" => ui.line(&format!("profile {name}: stored the app {} for {on}", escaped(id))),
        _ => ui.line(&format!("profile {name} was there: replaced the secret of its app")),
    }
    if args.activate {
        ui.line(&format!("profile {name} is the active one now"));
    }
    let flag = if profiles.active()? == *name {
        String::new()
    } else {
        ui.line(&format!("make it the active one: feishu-mirror profile use {name}"));
        format!(" --profile {name}")
    };
    ui.line("");
    ui.line("Next:");
    ui.line(&format!(
        "  feishu-mirror auth login --profile {name}    for a user's own library, once"
    ));
    ui.line(&format!("  feishu-mirror doctor{flag}    checks everything"));
    Ok(DONE)
}

/// From stdin, the environment or a prompt; never from an argument.
fn secret(session: &Session, args: &ProfileAdd, id: &str) -> Result<SecretString, Problem> {
    let set =
        |name: &str| session.vars.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let own = set("FEISHU_APP_ID").is_none_or(|other| other == id);
    let (text, whence) = if args.app_secret_stdin {
        (read_line(session)?, "stdin")
    } else if let Some(secret) = set("FEISHU_APP_SECRET").filter(|_| own) {
        (secret.to_owned(), "FEISHU_APP_SECRET")
    } else if session.input_is_terminal {
        let prompt = format!("App secret of {} (not shown): ", escaped(id));
        let text = rpassword::prompt_password(prompt).map_err(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => Problem::interrupted(),
            _ => Problem::failed(format!("cannot ask for the app secret: {error}")),
        })?;
        (text, "the answer")
    } else {
        let what = if own {
            "no app secret: stdin is no terminal to ask at".to_owned()
        } else {
            format!("FEISHU_APP_SECRET belongs to another app (FEISHU_APP_ID is not {id})")
        };
        return Err(Problem::new(USAGE, what).hint(format!(
            "hand it in: {} --app-secret-stdin < FILE",
            add_command(&args.name, id, &args.domain)
        )));
    };
    match text.trim() {
        "" => Err(Problem::new(USAGE, format!("no app secret: {whence} is empty")).hint(
            "you find it in the developer console under Credentials & Basic Info \
             (凭证与基础信息)",
        )),
        secret => Ok(secret.into()),
    }
}

fn read_line(session: &Session) -> Result<String, Problem> {
    let mut line = String::new();
    let mut input = session.input.lock().expect("nobody panics while reading");
    input
        .read_line(&mut line)
        .map_err(|error| Problem::failed(format!("cannot read stdin: {error}")))?;
    Ok(line)
}

/// Opens a profile and says what was wrong with its files.
fn open(session: &Session, profiles: &Profiles, name: &str) -> Result<Option<Profile>, Problem> {
    let profile = profiles.open(name)?;
    for repaired in profile.iter().flat_map(|profile| &profile.repaired) {
        session.ui.warn(&format!(
            "{repaired}; if others use this machine, log in again and replace the app secret"
        ));
    }
    Ok(profile)
}

/// A profile without its secrets.
fn event(session: &Session, profiles: &Profiles, profile: &Profile) -> Result<Value, Problem> {
    let (logins, unreadable) = profile.readable_logins()?;
    for error in &unreadable {
        session.ui.warn(&error.to_string());
    }
    let users: Vec<Value> = logins
        .into_iter()
        .map(|login| {
            let default = profile.default_user.as_ref() == Some(&login.open_id);
            json!({ "open_id": login.open_id, "name": login.name, "default": default })
        })
        .collect();
    Ok(json!({
        "event": "profile",
        "name": profile.name,
        "active": profiles.active()? == profile.name,
        "app_id": profile.app.id,
        "domain": profile.domain.name(),
        "users": users,
    }))
}

fn changed(mut event: Value, change: &str) -> Value {
    event["change"] = json!(change);
    event
}

fn list(session: &Session) -> Result<u8, Problem> {
    let profiles = account::profiles(session)?;
    let (names, active, ui) = (profiles.names()?, profiles.active()?, &session.ui);
    let (mut rows, mut code) = (Vec::new(), DONE);
    for name in &names {
        let read = open(session, &profiles, name).and_then(|profile| {
            profile.map(|it| Ok((event(session, &profiles, &it)?, it))).transpose()
        });
        let star = if *name == active { "*" } else { "" };
        match read {
            // Removed at this moment.
            Ok(None) => {}
            Ok(Some((event, _))) if ui.is_json() => ui.json(&event),
            Ok(Some((event, profile))) => {
                let users = event["users"].as_array().into_iter().flatten();
                let users: Vec<_> = users.filter_map(|user| user["name"].as_str()).collect();
                let users = if users.is_empty() { "-".to_owned() } else { users.join(", ") };
                let app = escaped(&profile.app.id).into_owned();
                let domain = profile.domain.name().to_owned();
                rows.push(vec![
                    star.to_owned(),
                    name.clone(),
                    app,
                    domain,
                    escaped(&users).into_owned(),
                ]);
            }
            Err(problem) => {
                ui.error(&problem.message, problem.hint.as_deref());
                rows.push(vec![star.to_owned(), name.clone(), "?".to_owned()]);
                code = FAILED;
            }
        }
    }
    if !ui.is_json() && !rows.is_empty() {
        ui.raw(columns(&rows, &[]).as_bytes());
    }
    if names.is_empty() {
        ui.note("no profiles; store an app: feishu-mirror profile add default --app-id cli_…");
    }
    Ok(code)
}

fn current(session: &Session) -> Result<u8, Problem> {
    let config = account::maybe_config(session)?;
    let (name, by) = account::profile_name(session, config.as_ref())?;
    let profiles = account::profiles(session)?;
    let profile = open(session, &profiles, &name)?;
    let ui = &session.ui;
    if ui.is_json() {
        let mut line = match &profile {
            Some(profile) => event(session, &profiles, profile)?,
            None => json!({ "event": "profile", "name": name }),
        };
        line["chosen_by"] = json!(by);
        line["exists"] = json!(profile.is_some());
        ui.json(&line);
        return Ok(DONE);
    }
    ui.result(&name);
    ui.note(&format!("chosen by {by}"));
    if profile.is_none() {
        ui.note(&format!("it is not there yet: feishu-mirror profile add {name} --app-id cli_…"));
    }
    Ok(DONE)
}

fn choose(session: &Session, args: &ProfileName) -> Result<u8, Problem> {
    let profiles = account::profiles(session)?;
    let name = match args.name.as_str() {
        "-" => profiles.previous()?.ok_or_else(|| {
            Problem::failed("there is no profile to go back to")
                .hint("name one: feishu-mirror profile use NAME; `profile list` shows them")
        })?,
        name => name.to_owned(),
    };
    profiles.activate(&name)?;
    let ui = &session.ui;
    if ui.is_json() {
        let mut line = changed(event(session, &profiles, &profiles.get(&name)?)?, "activated");
        line["previous"] = json!(profiles.previous()?);
        ui.json(&line);
    } else {
        ui.line(&format!("profile {name} is the active one now"));
    }
    // What stands above the choice still does. A config that cannot be read is not this
    // command's business.
    let config = account::maybe_config(session).ok().flatten();
    let (counts, by) = account::profile_name(session, config.as_ref())?;
    if counts != name {
        ui.warn(&format!("here, {counts} counts nevertheless: {by} names it"));
    }
    Ok(DONE)
}

fn rename(session: &Session, args: &ProfileRename) -> Result<u8, Problem> {
    let profiles = account::profiles(session)?;
    profiles.rename(&args.from, &args.to)?;
    if session.ui.is_json() {
        let mut line = changed(event(session, &profiles, &profiles.get(&args.to)?)?, "renamed");
        line["from"] = json!(args.from);
        session.ui.json(&line);
    } else {
        session.ui.line(&format!("profile {} is called {} now", args.from, args.to));
    }
    let config = account::maybe_config(session).ok().flatten();
    if config.is_some_and(|config| config.profile.as_ref() == Some(&args.from)) {
        session
            .ui
            .warn(&format!("the config still names {}: change profile in [account]", args.from));
    }
    Ok(DONE)
}

fn remove(session: &Session, args: &ProfileRemove) -> Result<u8, Problem> {
    let profiles = account::profiles(session)?;
    let (name, ui) = (&args.name, &session.ui);
    // One that cannot be read can be removed, and nobody can say whose logins it holds.
    let users = match profiles.get(name).and_then(|profile| profile.logins()) {
        Ok(logins) => Some(logins.into_iter().map(|login| login.name).collect::<Vec<_>>()),
        Err(error @ AuthError::NoProfile { .. }) => return Err(error.into()),
        Err(error) => {
            ui.warn(&format!("{error}"));
            None
        }
    };
    let what = match users.as_deref() {
        None => format!("profile {name} and every login in it"),
        Some([]) => format!("profile {name}, to which nobody is logged in"),
        Some(users) => format!(
            "profile {name} with {} ({})",
            counted(users.len() as u64, "login", "logins"),
            escaped(&users.join(", "))
        ),
    };
    let in_use = profiles.active()? == *name;
    if !args.yes {
        if !session.input_is_terminal {
            return Err(Problem::new(USAGE, format!("this would remove {what}"))
                .hint(format!("if so: feishu-mirror profile remove {name} --yes")));
        }
        if users.as_ref().is_none_or(|users| !users.is_empty()) {
            ui.note(&format!(
                "the service is not told; to end the logins there as well, first: feishu-mirror \
                 auth logout --all --profile {name}"
            ));
        }
        ui.raw_err(format!("Remove {what}? [y/N] ").as_bytes());
        let answer = read_line(session)?;
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Err(Problem::failed("nothing was removed"));
        }
    }
    profiles.remove(name)?;
    if ui.is_json() {
        ui.json(&json!({
            "event": "profile", "change": "removed", "name": name, "users": users,
        }));
    } else {
        ui.line(&format!("removed {what}"));
    }
    if in_use && name != DEFAULT {
        ui.note("it was the active one; choose another: feishu-mirror profile use NAME");
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests;
