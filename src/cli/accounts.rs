//! clap types of the commands about accounts: `auth`, `profile`, `doctor`, `api`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::config::values;

/// `auth`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A user's login is stored in the profile and renewed by every run, so one login serves a year of
nightly runs. An app needs no login: its id and secret are enough.

Examples:
  feishu-mirror auth login                in a browser on this machine
  feishu-mirror auth login --device       on a server: open the link on any device
  feishu-mirror auth status --verify
  feishu-mirror auth users")]
pub enum Auth {
    /// Log a user in
    Login(Login),
    /// Show who is logged in and for how long
    Status(Status),
    /// Check that scopes were granted
    Check(Check),
    /// Print an access token, renewed where it is due
    Token(Token),
    /// Log a user out: revoke the login and remove it here
    Logout(Logout),
    /// List the users of the profile; the default one has a star
    Users(Users),
}

/// `auth login`.
#[derive(Debug, Args)]
#[command(after_help = "\
In a browser: the app must have the redirect URL (重定向 URL) http://localhost:9000/callback (with
--port, that port) in the developer console under Security Settings (安全设置). With --device no
redirect URL is needed, and the link can be opened on any device.

Without --scope, --domain and --recommend, the scopes are asked for that the sources and formats of
mirror.toml need, in the form in which the app has them; what the app does not have is left out and
named. offline_access, which makes the login renew itself, is always added. What was granted before
stays granted.

The app is the profile's. Where there is no profile, FEISHU_APP_ID and FEISHU_APP_SECRET become one
by logging in. With --user, nobody else is logged in.

With --json: authorization_url or device_authorization, then authorization_complete.

Exit codes: 0 logged in, also where scopes are missing (they are named); 4 nobody was: refused,
expired, no app; 1 the app or this machine has to be set up first.

Examples:
  feishu-mirror auth login
  feishu-mirror auth login --no-browser           paste the final address back here
  feishu-mirror auth login --device
  feishu-mirror auth login --device --no-wait --json
  feishu-mirror auth login --device-code CODE     go on with what --no-wait printed
  feishu-mirror auth login --domain drive,wiki --recommend
  feishu-mirror auth login --default              runs use this user from now on
  feishu-mirror auth login --scope 'docs:document:export'")]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Login {
    /// Ask for these scopes, separated by spaces or commas
    #[arg(long, value_name = "SCOPES", conflicts_with_all = ["domain", "recommend"])]
    pub scope: Option<String>,
    /// Ask for what these need: drive, wiki, docs, sheets, base, boards, search, minutes,
    /// events, all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub domain: Vec<String>,
    /// The scopes this program recommends: with --domain of these domains (which alone means the
    /// same), else of all
    #[arg(long)]
    pub recommend: bool,
    /// Port for the browser's way back [default: 9000]
    #[arg(
        long,
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..),
        conflicts_with_all = ["device", "device_code"]
    )]
    pub port: Option<u16>,
    /// Do not open a browser: print the link and read the final address from the terminal
    #[arg(long, conflicts_with_all = ["device", "device_code"])]
    pub no_browser: bool,
    /// Show a link and a code for any device
    #[arg(long)]
    pub device: bool,
    /// With --device: print the link and return at once
    #[arg(long, requires = "device", conflicts_with = "device_code")]
    pub no_wait: bool,
    /// Go on with the code that --no-wait printed
    #[arg(long, value_name = "CODE")]
    pub device_code: Option<String>,
    /// Make this user the profile's default one, whom runs without --user use
    #[arg(long)]
    pub default: bool,
}

/// `auth status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0 also where nobody is logged in, since an app needs no login; 1 where what is stored
cannot be read. The end of a login, 365 days after it was granted, is announced 14 days before.

Examples:
  feishu-mirror auth status
  feishu-mirror auth status --verify --json
  feishu-mirror auth status --user 王芳")]
pub struct Status {
    /// Ask the service whether the token is accepted; one that is due is renewed first
    #[arg(long)]
    pub verify: bool,
}

/// `auth check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all are granted; 4 some are missing, or nobody is logged in. Without --scope and
without a config, what `auth login` asks for there is checked.

Examples:
  feishu-mirror auth check                        what mirror.toml needs
  feishu-mirror auth check --scope 'drive:file:download docs:document:export'")]
pub struct Check {
    /// Scopes, separated by spaces or commas [default: what mirror.toml needs]
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
}

/// Whose token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum As {
    /// A user's
    User,
    /// The app's
    App,
    /// Whosever a run would be
    #[default]
    Auto,
}

/// `auth token`.
#[derive(Debug, Args)]
#[command(after_help = "\
A user's token is renewed first where it is due. It is a secret: whoever has it reads what it may
read, for up to two hours. With --json also whose it is (user or app) and, where known, its end.

With --as auto it is the token that a run would use: of the identity in mirror.toml, or of the one
that the mirror was made with; else a user's if one is logged in, and the app's if not.

Examples:
  TOKEN=$(feishu-mirror auth token --as user)
  feishu-mirror auth token --as app --json")]
pub struct Token {
    /// Whose: user, app, or auto (as a run)
    #[arg(long = "as", value_name = "WHO", default_value = "auto", hide_possible_values = true)]
    pub whose: As,
}

/// `auth logout`.
#[derive(Debug, Args)]
#[command(after_help = "\
The login is ended at the service first, then removed here. Where the service cannot be told,
nothing is removed, unless --force says so: the tokens then stay good there until they end. The
mirrored files and the profile stay.

Examples:
  feishu-mirror auth logout                the default user
  feishu-mirror auth logout --user 王芳
  feishu-mirror auth logout --all")]
pub struct Logout {
    /// Every user of the profile
    #[arg(long)]
    pub all: bool,
    /// Remove the login here even where the service cannot be told
    #[arg(long)]
    pub force: bool,
}

/// `auth users`.
#[derive(Debug, Args)]
#[command(after_help = "\
The default user, marked by a star, is the one that runs use without --user.

Examples:
  feishu-mirror auth users
  feishu-mirror auth users --default 王芳
  feishu-mirror auth users --profile work --json")]
pub struct Users {
    /// Make this user (name or open id) the default one
    #[arg(long, value_name = "USER")]
    pub default: Option<String>,
}

/// `profile`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A profile holds an app (id, secret, feishu or lark) and the users who logged in to it. Which one
counts: --profile, FEISHU_MIRROR_PROFILE, profile in mirror.toml, the active one, default.

Examples:
  feishu-mirror profile add work --app-id cli_a1b2 --use
  feishu-mirror profile add work --app-id cli_a1b2 --app-secret-stdin < secret.txt
  feishu-mirror profile add mine --create-app
  feishu-mirror profile use work
  feishu-mirror profile use -             back to the one before")]
pub enum Profile {
    /// Store an app under a name
    Add(ProfileAdd),
    /// List the profiles; the active one has a star
    #[command(after_help = LIST)]
    List,
    /// Print the name of the profile that counts here, and why
    #[command(after_help = CURRENT)]
    Current,
    /// Make a profile the active one; - goes back
    Use(ProfileName),
    /// Give a profile another name
    Rename(ProfileRename),
    /// Remove a profile with its logins
    Remove(ProfileRemove),
}

const LIST: &str = "\
Columns: a star at the active one, name, app id, feishu or lark, users.

Examples:
  feishu-mirror profile list
  feishu-mirror profile list --json";

const CURRENT: &str = "\
Examples:
  feishu-mirror profile current
  feishu-mirror profile current -C ~/feishu/mirror.toml    what that mirror uses";

/// `profile add`.
#[derive(Debug, Args)]
#[command(after_help = "\
The secret is read from --app-secret-stdin, from FEISHU_APP_SECRET, or asked for; it is never an
argument, where other users of the machine could read it.

--create-app shows a link and a code; whoever opens it and agrees has a new app, whose id and secret
are stored without being printed.

A profile of that name and app keeps its logins; its secret is replaced.

Examples:
  feishu-mirror profile add work --app-id cli_a1b2
  feishu-mirror profile add work --app-id cli_a1b2 --app-secret-stdin --use < secret.txt
  feishu-mirror profile add abroad --app-id cli_c3d4 --domain lark
  feishu-mirror profile add mine --create-app")]
#[command(group = ArgGroup::new("app").required(true).args(["app_id", "create_app"]))]
pub struct ProfileAdd {
    /// The profile's name: letters, digits, - and _
    #[arg(value_name = "NAME", value_parser = values::profile)]
    pub name: String,
    /// App ID from the developer console (cli_…); without an app there: --create-app
    #[arg(long, value_name = "ID")]
    pub app_id: Option<String>,
    /// Read the app secret from stdin
    #[arg(long)]
    pub app_secret_stdin: bool,
    /// feishu, lark, or the Open API's address; with a comma, the accounts host's too
    #[arg(long, value_name = "DOMAIN", default_value = "feishu", value_parser = values::domain)]
    pub domain: crate::model::account::Domain,
    /// Make it the active profile
    #[arg(long = "use")]
    pub activate: bool,
    /// Register a new app in the browser instead of naming one
    #[arg(long, conflicts_with = "app_secret_stdin")]
    pub create_app: bool,
}

/// A profile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  feishu-mirror profile use work
  feishu-mirror profile use -             back to the one before")]
pub struct ProfileName {
    /// The profile's name, or - for the one that was active before
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    pub name: String,
}

/// `profile rename`.
#[derive(Debug, Args)]
#[command(after_help = "\
Its logins stay, and it stays the active one if it was. A mirror.toml that names it (profile in
[account]) is not changed.

Examples:
  feishu-mirror profile rename default work")]
pub struct ProfileRename {
    /// The profile's present name
    #[arg(value_name = "OLD")]
    pub from: String,
    /// Its new name
    #[arg(value_name = "NEW", value_parser = values::profile)]
    pub to: String,
}

/// `profile remove`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The app's secret and the logins are removed here; the mirrored files stay. To end the logins at the
service too, log out first.

Examples:
  feishu-mirror auth logout --all --profile work
  feishu-mirror profile remove work
  feishu-mirror profile remove work --yes")]
pub struct ProfileRemove {
    /// The profile's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Do not ask
    #[arg(short = 'y', long)]
    pub yes: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 nothing failed (warnings are allowed); 1 something did.

Examples:
  feishu-mirror doctor
  feishu-mirror doctor --user 王芳
  feishu-mirror doctor --only scopes,user_token
  feishu-mirror doctor --offline --json")]
pub struct Doctor {
    /// Only these checks
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Make no call
    #[arg(long)]
    pub offline: bool,
}

/// `api`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the service's own reply. The same quotas and retries as sync, and with --as auto the same
identity: that in mirror.toml, or the one that the mirror was made with; else a user's if one is
logged in, and the app's if not.

Examples:
  feishu-mirror api GET /drive/v1/files --query folder_token=fldcn… --page-all
  feishu-mirror api GET /open-apis/authen/v1/user_info --as user
  feishu-mirror api POST /drive/v1/metas/batch_query --data @query.json
  feishu-mirror api GET /drive/v1/files/boxcn…/download --output logo.png")]
pub struct Api {
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(value_name = "METHOD")]
    pub method: String,
    /// With or without /open-apis; a query may follow
    #[arg(value_name = "PATH")]
    pub path: String,
    /// A query parameter; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub query: Vec<String>,
    /// A JSON body: text, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
    /// Whose identity: user, app, or auto (as a run)
    #[arg(long = "as", value_name = "WHO", default_value = "auto", hide_possible_values = true)]
    pub whose: As,
    /// Fetch all pages of a listing
    #[arg(long, conflicts_with = "output")]
    pub page_all: bool,
    /// Write the reply to a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
