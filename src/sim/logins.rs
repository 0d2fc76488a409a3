//! Who agreed to what, and the tokens that came of it. No HTTP here.
//!
//! A *grant* is one person agreeing once, on a page: it has the scopes of that page,
//! begins the 365 days, and is what a refresh token renews. What a person agreed to in
//! several grants of one app adds up in the tokens handed out later; a token keeps the
//! scopes that it was made with.
//!
//! docs: authentication-management/access-token/get-user-access-token and
//! refresh-user-access-token. The pages do not say which scopes outlive a revocation:
//! here, those of the grants that stand.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use jiff::Timestamp;

use super::CANARY;
use super::ids::scramble;
use super::scopes::{OFFLINE_ACCESS, Scopes};
use super::state::{State, Token, UserId};

/// Seconds for which an access token is good.
pub const ACCESS_SECS: i64 = 7200;
/// Seconds for which a refresh token is good.
pub const REFRESH_SECS: i64 = 604_800;
/// Seconds after a person agreed in which tokens are renewed.
pub const GRANT_SECS: i64 = 365 * 86_400;
/// Seconds for which an authorization code is good.
pub const CODE_SECS: i64 = 300;

/// How v2 tokens begin: they look like JWTs.
const JWT: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.";

/// Whether a person may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserStanding {
    /// They may.
    #[default]
    Active,
    /// The account was deleted.
    Gone,
    /// The account is frozen.
    Suspended,
    /// The app's availability range (可用范围) leaves this person out.
    OutOfRange,
}

/// One person agreeing once.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Index of the app.
    pub app: usize,
    /// Who agreed.
    pub user: UserId,
    /// To what.
    pub scopes: BTreeSet<String>,
    /// Seconds since 1970.
    pub at: i64,
    /// Ended by a revocation.
    pub revoked: bool,
}

/// What an authorization code stands for.
#[derive(Debug, Clone)]
pub struct Code {
    /// Index of the grant.
    pub grant: usize,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// PKCE: challenge, and whether it is the verifier's hash (`S256`).
    pub challenge: Option<(String, bool)>,
    /// Seconds since 1970.
    pub expires: i64,
    /// It is good for one use.
    pub used: bool,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// Index of the grant.
    pub grant: usize,
    /// Seconds since 1970.
    pub expires: i64,
    /// It is good for one use.
    pub used: bool,
}

/// What a person is asked on a page reached by a user code.
#[derive(Debug, Clone)]
pub enum Question {
    /// May this app (by index) act for you, within these scopes?
    LogIn(usize, BTreeSet<String>),
    /// Shall there be a new app?
    Register,
}

/// What the person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    None,
    /// No.
    Denied,
    /// Yes; index of the grant.
    Granted(usize),
    /// Yes; index of the new app.
    Registered(usize),
}

/// A device code and the question behind it.
#[derive(Debug, Clone)]
pub struct Device {
    /// For polling.
    pub code: String,
    /// For the person.
    pub user_code: String,
    /// What the person is asked.
    pub question: Question,
    /// What the person said.
    pub answer: Answer,
    /// Seconds since 1970.
    pub expires: i64,
    /// Seconds that a client has to wait between two polls.
    pub interval: i64,
    /// The poll before.
    pub polled: Option<Timestamp>,
    /// Tokens were handed out.
    pub used: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Logins {
    /// By index; never removed.
    pub grants: Vec<Grant>,
    /// By their text.
    pub codes: HashMap<String, Code>,
    /// By their text; the used ones stay, so that using one again can be told.
    pub refresh: HashMap<String, Refresh>,
    /// Oldest first.
    pub devices: Vec<Device>,
    /// Scopes that a user leaves out when agreeing.
    pub left_out: HashMap<UserId, BTreeSet<String>>,
    /// How many refresh tokens were spent.
    pub refreshes: usize,
    /// The interval of new device codes, where a test wants another one.
    pub interval: Option<i64>,
    /// New apps belong to a tenant of the other brand.
    pub lark: bool,
}

/// Tokens, as handed out.
#[derive(Debug, Clone)]
pub struct Handed {
    /// To call with.
    pub access: String,
    /// Good for one renewal.
    pub refresh: Option<String>,
    /// The access token's scopes, sorted.
    pub scopes: BTreeSet<String>,
}

impl State {
    /// A new secret: `prefix`, [`CANARY`], and 16 hex digits for each of `pieces`. No
    /// two are alike.
    pub fn secret(&mut self, prefix: &str, pieces: u64) -> String {
        let number = self.next();
        let mut text = format!("{prefix}{CANARY}");
        for piece in 0..pieces {
            let _ = write!(text, "{:016x}", scramble(number ^ (piece << 40)));
        }
        text
    }

    /// Something like a JWT, about as long as the service's: 1 to 2 KB.
    fn jwt(&mut self) -> String {
        let mut text = self.secret(JWT, 64);
        text.insert(JWT.len() + 900, '.');
        text
    }

    /// A person agrees; returns the grant's index. What the person leaves out (see
    /// [`Logins::left_out`]) and what the app has not enabled is not granted.
    pub fn agree(&mut self, app: usize, user: UserId, asked: &BTreeSet<String>) -> usize {
        let left_out = self.logins.left_out.get(&user).cloned().unwrap_or_default();
        let enabled = &self.apps[app].enabled;
        let scopes = asked.difference(&left_out).filter(|s| enabled.has(s)).cloned().collect();
        let at = self.now();
        self.logins.grants.push(Grant { app, user, scopes, at, revoked: false });
        self.logins.grants.len() - 1
    }

    /// What a token made for a grant may have: all that the person agreed to for this
    /// app and did not revoke. A refresh token is for those who asked for it, so
    /// `offline_access` counts only where it belongs to this grant.
    pub fn granted(&self, grant: usize) -> BTreeSet<String> {
        let this = &self.logins.grants[grant];
        let same = |g: &&Grant| g.app == this.app && g.user == this.user && !g.revoked;
        let all = self.logins.grants.iter().filter(same).flat_map(|g| &g.scopes);
        let mut scopes: BTreeSet<String> = all.filter(|s| *s != OFFLINE_ACCESS).cloned().collect();
        scopes.extend(this.scopes.get(OFFLINE_ACCESS).cloned());
        scopes
    }

    /// True where an app gets refresh tokens at all: the scope is enabled and published,
    /// and the console's switch is on.
    pub fn may_refresh(&self, app: usize) -> bool {
        self.apps[app].may_refresh && self.apps[app].published.has(OFFLINE_ACCESS)
    }

    /// Makes tokens for a grant, with `scopes` of those that were granted.
    pub fn hand_out(&mut self, grant: usize, scopes: BTreeSet<String>) -> Handed {
        let Grant { app, user, .. } = self.logins.grants[grant];
        let now = self.now();
        let access = self.jwt();
        let token = Token {
            user: Some(user),
            app,
            expires: Some(now + ACCESS_SECS),
            scopes: Scopes::Only(scopes.clone()),
            grant: Some(grant),
        };
        self.tokens.insert(access.clone(), token);
        let refresh = (scopes.contains(OFFLINE_ACCESS) && self.may_refresh(app)).then(|| {
            let text = self.jwt();
            let row = Refresh { grant, expires: now + REFRESH_SECS, used: false };
            self.logins.refresh.insert(text.clone(), row);
            text
        });
        Handed { access, refresh, scopes }
    }

    /// Ends a grant: its refresh tokens and its access tokens are good no more.
    pub fn revoke(&mut self, grant: usize) {
        self.logins.grants[grant].revoked = true;
        self.tokens.retain(|_, token| token.grant != Some(grant));
    }

    /// Asks a question; returns the new row. Codes that nobody can use any more go.
    pub fn ask(&mut self, question: Question, lives_secs: i64) -> &Device {
        let now = self.now();
        let interval = self.logins.interval.unwrap_or(5);
        let code = self.secret("d", 3);
        let user_code = self.user_code();
        // A day later nobody asks what became of a code.
        self.logins.devices.retain(|device| device.expires + 86_400 > now);
        self.logins.devices.push(Device {
            code,
            user_code,
            question,
            answer: Answer::None,
            expires: now + lives_secs,
            interval,
            polled: None,
            used: false,
        });
        self.logins.devices.last().expect("just added")
    }

    /// `ABCD-EFGH`, without vowels and look-alikes; no two codes are alike.
    fn user_code(&mut self) -> String {
        const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
        loop {
            let mut number = scramble(self.next());
            let mut text = String::with_capacity(9);
            for at in 0..8 {
                if at == 4 {
                    text.push('-');
                }
                let letter = usize::try_from(number % 20).expect("below 20");
                text.push(char::from(LETTERS[letter]));
                number /= 20;
            }
            if self.logins.devices.iter().all(|device| device.user_code != text) {
                return text;
            }
        }
    }

    /// The index of the question that a person reaches by a user code, which is typed in
    /// any case and with or without its dash.
    pub fn question(&self, user_code: &str) -> Option<usize> {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_uppercase()
        };
        let wanted = plain(user_code);
        self.logins.devices.iter().position(|device| plain(&device.user_code) == wanted)
    }

    /// A person answers; `None`: no. An answer given stands.
    pub fn answer(&mut self, device: usize, user: Option<UserId>) {
        let row = &self.logins.devices[device];
        if row.answer != Answer::None {
            return;
        }
        let answer = match (user, row.question.clone()) {
            (None, _) => Answer::Denied,
            (Some(user), Question::LogIn(app, asked)) => {
                Answer::Granted(self.agree(app, user, &asked))
            }
            (Some(user), Question::Register) => {
                let id = format!("cli_{:016x}", scramble(self.next()));
                let secret = self.secret("", 2);
                Answer::Registered(self.add_app(&id, &secret, user))
            }
        };
        self.logins.devices[device].answer = answer;
    }
}
