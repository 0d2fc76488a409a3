//! Places, objects, types and paths: plain data, valid by construction.
//!
//! Pure: no file system, no clock, no network.

pub mod account;
pub mod carried;
pub mod change;
pub mod local;
pub mod page;
pub mod recorded;
pub mod source;
pub mod tree;

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the service's own spelling.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text as the service spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_newtype! {
    /// Names where something stands: a Drive entry's token, a wiki `node_token`, a
    /// wiki space's id, or a document's token in a `docs` source.
    PlaceToken
}
text_newtype! {
    /// Names the content that stands at a place (`obj_token`).
    ObjToken
}
text_newtype! {
    /// A configured source, also the top folder of its copy.
    SourceName
}

/// What kind of thing the service says an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ObjType {
    /// A Drive folder.
    Folder,
    /// A document of the new kind.
    Docx,
    /// A document of the old kind.
    Doc,
    /// A spreadsheet.
    Sheet,
    /// A base (多维表格).
    Bitable,
    /// A presentation.
    Slides,
    /// A mind map.
    Mindnote,
    /// An uploaded file.
    File,
    /// Another name for a target.
    Shortcut,
    /// A wiki space, which has a folder in the copy but is not counted as a place.
    Space,
    /// A word this program does not know; passed through.
    Other(String),
}

impl ObjType {
    /// The service's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Folder => "folder",
            Self::Docx => "docx",
            Self::Doc => "doc",
            Self::Sheet => "sheet",
            Self::Bitable => "bitable",
            Self::Slides => "slides",
            Self::Mindnote => "mindnote",
            Self::File => "file",
            Self::Shortcut => "shortcut",
            Self::Space => "space",
            Self::Other(word) => word,
        }
    }

    /// True where the service keeps a revision that decides whether content changed.
    pub fn has_revision(&self) -> bool {
        matches!(self, Self::Docx | Self::Sheet | Self::Bitable)
    }

    /// True for documents whose comments are mirrored: those whose comments the service
    /// shows, less uploaded files (docs: CommentAPI/list).
    pub fn has_comments(&self) -> bool {
        matches!(self, Self::Docx | Self::Doc | Self::Sheet | Self::Slides)
    }
}

impl From<String> for ObjType {
    fn from(word: String) -> Self {
        Self::from(word.as_str())
    }
}

impl From<&str> for ObjType {
    fn from(word: &str) -> Self {
        match word {
            "folder" => Self::Folder,
            "docx" => Self::Docx,
            "doc" => Self::Doc,
            "sheet" => Self::Sheet,
            "bitable" => Self::Bitable,
            "slides" => Self::Slides,
            "mindnote" => Self::Mindnote,
            "file" => Self::File,
            "shortcut" => Self::Shortcut,
            "space" => Self::Space,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl From<ObjType> for String {
    fn from(ty: ObjType) -> Self {
        ty.as_str().to_owned()
    }
}

impl fmt::Display for ObjType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: ObjType,
    /// Its token.
    pub token: ObjToken,
}

impl Object {
    /// An object of a type and a token.
    pub fn new(ty: ObjType, token: impl Into<String>) -> Self {
        Self { ty, token: ObjToken::new(token) }
    }
}

/// A place as the manifest keys it: several sources may list one token, and each
/// has its own copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlaceKey {
    /// The configured source that lists it.
    pub source: SourceName,
    /// Its token there.
    pub token: PlaceToken,
}

impl PlaceKey {
    /// A place of a source.
    pub fn new(source: &SourceName, token: &PlaceToken) -> Self {
        Self { source: source.clone(), token: token.clone() }
    }
}

impl fmt::Display for PlaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.token)
    }
}

/// Where an edit time was read. Times of different channels are never compared:
/// they are kept by different services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// `drive/v1/files`, field `modified_time`.
    Drive,
    /// `wiki/v2/spaces/:id/nodes` and `get_node`, field `obj_edit_time`.
    Wiki,
    /// `drive/v1/metas/batch_query`, field `latest_modify_time`.
    Metas,
}

/// An edit time as one channel showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// Who said so.
    pub channel: Channel,
    /// Seconds since 1970.
    pub at_secs: i64,
    /// The server's own clock at the time of the reply, seconds since 1970.
    pub seen_secs: i64,
}

impl Edited {
    /// An edit may follow within the same second, or still be on its way into the
    /// listing: a time this young is looked at again next run.
    pub const SETTLED_AFTER_SECS: i64 = 5;
}

/// One file format a product can have; `File` is an uploaded file's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Docx,
    Pdf,
    Md,
    Xlsx,
    Csv,
    Json,
    Pptx,
    /// An uploaded file as it is.
    File,
    /// A shortcut file for a browser that stands in for what cannot be exported.
    Url,
    /// A relative symlink.
    Link,
    /// Pictures and files that a page or a base holds: a side folder.
    Assets,
    /// A document's blocks as the service sent them.
    Blocks,
    /// What people wrote about a document.
    Comments,
}

impl Format {
    /// The word used in the config, in `--json` output and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docx => "docx",
            Self::Pdf => "pdf",
            Self::Md => "md",
            Self::Xlsx => "xlsx",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Pptx => "pptx",
            Self::File => "file",
            Self::Url => "url",
            Self::Link => "link",
            Self::Assets => "assets",
            Self::Blocks => "blocks",
            Self::Comments => "comments",
        }
    }

    /// True where pictures and attached files stand beside it, in `Title.assets`.
    pub fn has_assets(self) -> bool {
        matches!(self, Self::Md | Self::Json)
    }

    /// The name that its files stand under. `csv` and `json` share the side folder of a
    /// base, `Title.tables`.
    pub fn slot(self) -> recorded::Slot {
        recorded::Slot::Product(match self {
            Self::Json => Self::Csv,
            format => format,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path below the mirror's root: one or more safe components.
///
/// No component is empty, `.` or `..`, or holds `/`, `\` or NUL, so joining it to a
/// folder cannot leave that folder (symlinks are `disk`'s business).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// Why a text is no [`RelPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a path inside the mirror")]
pub struct NotRelative(pub String);

impl RelPath {
    /// Checks and wraps `a/b/c`.
    pub fn new(text: impl Into<String>) -> Result<Self, NotRelative> {
        let text = text.into();
        let sound = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0'])
        };
        if text.split('/').all(sound) { Ok(Self(text)) } else { Err(NotRelative(text)) }
    }

    /// This path with more components below it.
    pub fn join(&self, below: &str) -> Result<Self, NotRelative> {
        Self::new(format!("{}/{below}", self.0))
    }

    /// `a/b/c`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Everything before the last component; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// True where `self` is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl TryFrom<String> for RelPath {
    type Error = NotRelative;
    fn try_from(text: String) -> Result<Self, NotRelative> {
        Self::new(text)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A BLAKE3 hash, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ContentHash {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let hash = blake3::Hash::from_hex(&text).map_err(|e| e.to_string())?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl From<blake3::Hash> for ContentHash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_mirror() {
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\0b"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
        let path = RelPath::new("wiki/手册/Intro.docx").unwrap();
        assert_eq!(path.name(), "Intro.docx");
        assert_eq!(path.parent().unwrap().as_str(), "wiki/手册");
        assert!(path.is_within(&RelPath::new("wiki").unwrap()));
        assert!(!path.is_within(&RelPath::new("wik").unwrap()));
    }

    #[test]
    fn a_hash_survives_its_text() {
        let hash = ContentHash::from(blake3::hash(b"hello"));
        assert_eq!(ContentHash::try_from(hash.to_string()).unwrap(), hash);
    }
}
