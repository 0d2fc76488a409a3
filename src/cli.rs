//! clap types; nobody else knows flags.
