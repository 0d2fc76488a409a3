//! The tenant's apps, as the developer console (开发者后台) has them.

use super::scopes::Scopes;
use super::state::{State, UserId};

/// Whether an app may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppStanding {
    /// It may.
    #[default]
    Working,
    /// The tenant has not installed it.
    NotInstalled,
    /// It was switched off.
    Disabled,
}

/// A registered app.
#[derive(Debug, Clone)]
pub struct App {
    /// `cli_…`.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The tenant token now handed out.
    pub current: Option<String>,
    /// Who made it.
    pub creator: UserId,
    /// Scopes chosen in the developer console.
    pub enabled: Scopes,
    /// Scopes of the version that was published: these count.
    pub published: Scopes,
    /// Redirect URLs (重定向 URL) entered in the console.
    pub redirects: Vec<String>,
    /// The console's switch "refresh `user_access_token`".
    pub may_refresh: bool,
    /// Whether it may be used.
    pub standing: AppStanding,
}

impl State {
    /// Registers an app with every scope, enabled and published; returns its index.
    pub fn add_app(&mut self, id: &str, secret: &str, creator: UserId) -> usize {
        self.apps.push(App {
            id: id.to_owned(),
            secret: secret.to_owned(),
            current: None,
            creator,
            enabled: Scopes::All,
            published: Scopes::All,
            redirects: vec!["http://localhost:9000/callback".to_owned()],
            may_refresh: true,
            standing: AppStanding::Working,
        });
        self.apps.len() - 1
    }
}
