//! The config's rules as `crawl`, `layout` and `plan` ask them: formats, globs,
//! prune rules. Pure; `config` builds it.
//!
//! Globs match source + cleaned titles (no added extension, no `~` suffix).

use std::collections::BTreeMap;

use globset::GlobSet;

use crate::model::{Format, ObjType, SourceName};

/// Everything the config says about what is mirrored and how.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Formats a type, from `[export]`.
    pub formats: BTreeMap<ObjType, Vec<Format>>,
    /// `[[export.rule]]`, first match wins, type by type.
    pub export_rules: Vec<ExportRule>,
    /// How shortcuts are mirrored.
    pub shortcut: ShortcutMode,
    /// `[export.md]`.
    pub markdown: Markdown,
    /// `export.comments`, and how often they are read again where nothing shows an edit;
    /// `None`: none.
    pub comments_every_secs: Option<i64>,
    /// `[filter]`.
    pub filter: Filter,
    /// Larger uploaded files are left out; `None`: no limit.
    pub max_size: Option<u64>,
    /// True: forbidden places do not make the run exit 2.
    pub allow_forbidden: bool,
    /// `[prune] default`.
    pub prune_default: PruneAction,
    /// `[[prune.rule]]`, first match wins.
    pub prune_rules: Vec<(Globs, PruneAction)>,
    /// The deletion guard.
    pub max_delete: MaxDelete,
    /// All sources of the config; a recorded source not among them is orphaned.
    pub sources: Vec<SourceName>,
}

/// One `[[export.rule]]`.
#[derive(Debug, Clone)]
pub struct ExportRule {
    /// Which places.
    pub matches: Globs,
    /// Formats of the types it names; others fall through to `[export]`.
    pub formats: BTreeMap<ObjType, Vec<Format>>,
}

/// `[export.md]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Markdown {
    /// Colours are written, as HTML.
    pub colors: bool,
    /// The blocks are kept beside the page.
    pub raw: bool,
    /// How often what a page shows of sheets, bases and other documents is checked.
    pub embeds_every_secs: i64,
    /// The same for whiteboards, one call each.
    pub boards_every_secs: i64,
    /// Rows of an embedded sheet or base that are shown.
    pub table_rows: u32,
}

impl Default for Markdown {
    fn default() -> Self {
        const DAY: i64 = 86_400;
        Self {
            colors: false,
            raw: false,
            embeds_every_secs: DAY,
            boards_every_secs: 7 * DAY,
            table_rows: 100,
        }
    }
}

/// A compiled set of patterns with the spec's meaning: `*` stops at `/`, `**` does
/// not, `x/**` matches `x` too, case-sensitive.
#[derive(Debug, Clone, Default)]
pub struct Globs(GlobSet, Vec<String>);

impl Globs {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first pattern that is no glob, with what is wrong about it.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, globset::Error> {
        let mut set = globset::GlobSetBuilder::new();
        let mut texts = Vec::new();
        let glob = |text: &str| {
            globset::GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()
        };
        for pattern in patterns {
            set.add(glob(pattern)?);
            texts.push(pattern.to_owned());
            if let Some(folder) = pattern.strip_suffix("/**") {
                set.add(glob(folder)?);
            }
        }
        Ok(Self(set.build()?, texts))
    }

    /// True where some pattern matches `path`.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// `[filter]` without the size.
#[derive(Debug, Clone)]
pub struct Filter {
    /// What is mirrored.
    pub include: Globs,
    /// What is not, even where included.
    pub exclude: Globs,
    /// Only these types; empty: all.
    pub types: Vec<ObjType>,
}

impl Filter {
    /// The same for the same filter: what another one left out was not seen.
    pub fn print(&self) -> String {
        let types: Vec<&str> = self.types.iter().map(ObjType::as_str).collect();
        let all = (&self.include.1, &self.exclude.1, types);
        let text = serde_json::to_string(&all).expect("lists of texts have a JSON form");
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }

    /// True where `exclude` names it: a folder is then not even listed.
    pub fn excludes(&self, glob_path: &str) -> bool {
        self.exclude.matches(glob_path)
    }

    /// True where a place of this type at this path is mirrored. A folder (or space)
    /// is never left out by `types`.
    pub fn wants(&self, glob_path: &str, ty: &ObjType) -> bool {
        let typed = self.types.is_empty()
            || matches!(ty, ObjType::Folder | ObjType::Space)
            || self.types.contains(ty);
        typed && !self.excludes(glob_path) && self.include.matches(glob_path)
    }
}

/// `export.shortcut`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortcutMode {
    /// A relative symlink to the target's copy.
    Link,
    /// Fetched in place.
    Copy,
    /// A `.url` file.
    Url,
    /// Left out.
    Skip,
}

/// What happens to the copy of what is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PruneAction {
    /// It stays.
    Keep,
    /// It moves to the trash.
    Trash,
    /// It is removed, after two full walks in a row.
    Delete,
}

/// `prune.max_delete`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxDelete {
    /// At most so many files.
    Files(u64),
    /// At most this share of the files mirrored before the run, in percent; applies
    /// only above 10 files. 100 also overrides the empty-listing guard.
    Percent(f64),
}

impl MaxDelete {
    /// True for `--max-delete 100%`.
    pub fn is_everything(self) -> bool {
        matches!(self, Self::Percent(p) if p >= 100.0)
    }

    /// True where removing `planned` of `mirrored` files is too much.
    pub fn refuses(self, planned: u64, mirrored: u64) -> bool {
        match self {
            Self::Files(limit) => planned > limit,
            #[expect(clippy::cast_precision_loss, reason = "a share of file counts")]
            Self::Percent(p) => mirrored > 10 && planned as f64 > mirrored as f64 * p / 100.0,
        }
    }
}

impl Rules {
    /// The formats wanted of an object of this type at this place; empty for types
    /// that have none (folders, shortcuts, unknown ones).
    pub fn formats_at(&self, glob_path: &str, ty: &ObjType) -> &[Format] {
        if *ty == ObjType::File {
            return &[Format::File];
        }
        self.export_rules
            .iter()
            .filter(|rule| rule.matches.matches(glob_path))
            .find_map(|rule| rule.formats.get(ty))
            .or_else(|| self.formats.get(ty))
            .map_or(&[], Vec::as_slice)
    }

    /// What happens to the copy that stands (or stood last) at this path.
    pub fn prune_at(&self, path: &str) -> PruneAction {
        let rule = self.prune_rules.iter().find(|(globs, _)| globs.matches(path));
        rule.map_or(self.prune_default, |(_, action)| *action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_mean_what_the_config_says() {
        let cases = [
            // pattern            path                   matches
            ("**/tmp/**", "drive/a/tmp", true),
            ("**/tmp/**", "drive/a/tmp/x", true),
            ("drive/*", "drive/a/b", false),
            ("drive/*", "drive/a", true),
            ("wiki/Handbook/**", "wiki/Handbook", true),
            ("wiki/Handbook/**", "wiki/handbook/x", false),
            ("**", "drive/周报/2024", true),
            ("drive/{a,b}.txt", "drive/b.txt", true),
        ];
        for (pattern, path, want) in cases {
            let globs = Globs::new([pattern]).unwrap();
            assert_eq!(globs.matches(path), want, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_percentage_guards_only_above_ten_files() {
        let quarter = MaxDelete::Percent(25.0);
        assert!(!quarter.refuses(10, 10), "a tiny source may empty");
        assert!(!quarter.refuses(5, 20), "exactly a quarter");
        assert!(quarter.refuses(6, 20));
        assert!(MaxDelete::Files(0).refuses(1, 3));
    }
}
