//! Stories: each drives the whole command line against a simulated tenant, on tokio's
//! paused clock, and counts calls as well as bytes.

#![expect(clippy::print_stdout, reason = "long runs tell what they measured")]

mod support;

mod accounts;
mod changes;
mod cheap;
mod comments;
#[cfg(unix)]
mod crash;
mod doctor;
mod early;
mod exports;
mod faults;
mod formats;
mod gone;
#[cfg(unix)]
mod hostile;
mod identity;
mod login;
mod login_state;
mod markdown;
#[cfg(unix)]
mod model;
mod process;
mod quotas;
mod scale;
mod sdk;
mod sources;
mod tickets;
mod titles;
mod uploads;
mod verify;
mod walks;
mod wrong_input;
