//! The simulated tenant: a stand-in for Feishu that `demo` and the tests run against.
//!
//! ```text
//! fixture, generate, build ─► state ◄─ edit          (what is there, who may see it)
//!                               ▲
//!   transport (in-process) ─┐   │◄─ logins, scopes      (who agreed to what)
//!   serve (loopback TCP)  ──┴─► http ─► quota, faults, log   (what the service answers)
//!                               └─► content          (bytes, computed on demand)
//! ```
//!
//! Everything is a function of the tenant's content, its [`Clock`](crate::clock::Clock)
//! and the calls made: the same seed and the same calls give the same replies.
//! People log in to it as they do to the service: see [`Tenant::approve_login`].
//! Facts come from the public API reference of the Feishu Open Platform; each file
//! names the pages it follows. Where the pages are silent, the choice is said.
//!
//! Two things are kinder than the service, for the sake of `demo`: the app sees what
//! the default user sees (see [`Tenant::app_sees_everything`]), and the user token
//! [`USER_TOKEN`] does not expire unless a test says so ([`Tenant::token_lives`]).
//!
//! Start at [`Tenant::new`] and [`Item`].

mod apps;
mod bases;
mod boards;
mod build;
mod cells;
mod comments;
mod content;
mod demo;
mod edit;
mod faults;
mod fixture;
mod generate;
mod http;
mod ids;
mod knobs;
mod log;
mod logins;
mod look;
mod meetings;
mod minutes;
mod permit;
mod quota;
mod scopes;
mod serve;
mod sign_in;
mod state;
mod tenant;
mod transport;
mod write;

#[cfg(test)]
mod tests;

pub use apps::AppStanding;
pub use bases::BaseTable;
pub use boards::Board;
pub use build::Item;
pub use comments::Thread;
pub use demo::{demo_edits, demo_tenant};
pub use faults::{Effect, Fault, Replaced};
pub use fixture::FixtureError;
pub use generate::Shape;
pub use log::Call;
pub use logins::UserStanding;
pub use meetings::Meeting;
pub use minutes::Minute;
pub use permit::Who;
pub use quota::Quotas;
pub use serve::{Serving, serve};
pub use sign_in::Login;
pub use state::MediaRule;
pub use tenant::Tenant;
pub use transport::InProcess;

/// In every secret that a tenant knows or hands out, so that a leak is found by looking
/// for one word.
pub const CANARY: &str = "h0shP0wer";
/// The app that every tenant knows. Not a real credential.
pub const APP_ID: &str = "cli_demo";
/// Its secret. Not a real credential.
pub const APP_SECRET: &str = "demo-h0shP0wer-secret";
/// Access token of the default user, who owns "My Space". Not a real credential.
pub const USER_TOKEN: &str = "u-h0shP0wer-demo";
