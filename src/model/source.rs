//! A configured source, as `config` checked it and `crawl` walks it.

use super::SourceName;

/// One `[[source]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, also the top folder of its copy.
    pub name: SourceName,
    /// What it covers.
    pub kind: SourceKind,
    /// True: listing nothing, ever, is no warning.
    pub allow_empty: bool,
}

/// What a source covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A Drive folder.
    Drive {
        /// Its token; `None`: the root of "My Space".
        folder: Option<String>,
    },
    /// A wiki.
    Wiki(WikiScope),
    /// Single documents: type word (`wiki` for a wiki link) and token, in the order of
    /// the config.
    Docs(Vec<(String, String)>),
}

/// What of the wiki.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WikiScope {
    /// Every listed space, and with a user identity also `my_library`.
    All,
    /// The user's own library.
    MyLibrary,
    /// One space.
    Space(String),
    /// A node and what is below it.
    Subtree(String),
}

impl SourceKind {
    /// The entry as text, to tell whether it changed. A `docs` source is one set of
    /// places, whichever they are.
    pub fn entry(&self) -> String {
        match self {
            Self::Drive { folder: None } => "drive root".to_owned(),
            Self::Drive { folder: Some(token) } => format!("drive {token}"),
            Self::Wiki(WikiScope::All) => "wiki all".to_owned(),
            Self::Wiki(WikiScope::MyLibrary) => "wiki my_library".to_owned(),
            Self::Wiki(WikiScope::Space(id)) => format!("wiki space {id}"),
            Self::Wiki(WikiScope::Subtree(token)) => format!("wiki node {token}"),
            Self::Docs(_) => "docs".to_owned(),
        }
    }
}
