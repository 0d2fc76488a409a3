//! Configs right and wrong, as tables.

mod hostile;

use super::*;
use crate::model::source::{SourceKind, WikiScope};
use crate::model::{Format, ObjType};
use crate::rules::{Markdown, MaxDelete, PruneAction, ShortcutMode};

const ONE: &str = "[[source]]\nname = \"drive\"\nkind = \"drive\"\n";

fn vars(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(text: &str) -> Result<Config, Mistakes> {
    Config::parse(text, Path::new("/m/mirror.toml"), &vars(&[("HOME", "/home/me")]))
}

/// A source and some more lines.
fn with(more: &str) -> Config {
    parse(&format!("{more}\n{ONE}")).unwrap_or_else(|error| panic!("{more}\n{error}"))
}

#[test]
fn everything_but_a_source_has_a_default() {
    let config = parse(ONE).unwrap();
    assert_eq!(config.path, Path::new("/m/mirror"));
    assert_eq!(config.state, Path::new("/m/mirror/.feishu-mirror"));
    assert_eq!((config.min_free, config.keep_runs), (1 << 30, 90));
    assert_eq!(config.identity, Identity::Auto);
    assert_eq!((config.profile, config.domain), (None, None));
    assert_eq!(config.sources[0].kind, SourceKind::Drive { folder: None });
    let rules = &config.rules;
    let formats = |ty| rules.formats_at("drive/x", &ty).to_vec();
    assert_eq!(formats(ObjType::Docx), [Format::Docx]);
    assert_eq!(formats(ObjType::Doc), [Format::Docx]);
    assert_eq!(formats(ObjType::Sheet), [Format::Xlsx]);
    assert_eq!(formats(ObjType::Bitable), [Format::Xlsx]);
    assert_eq!(formats(ObjType::Slides), [Format::Pptx]);
    assert_eq!(formats(ObjType::Mindnote), [Format::Pdf]);
    assert_eq!(rules.shortcut, ShortcutMode::Link);
    assert_eq!((rules.markdown, rules.comments_every_secs), (Markdown::default(), None));
    assert!(rules.filter.wants("drive/tmp/x", &ObjType::Docx));
    assert_eq!(rules.max_size, Some(10 << 30));
    assert!(!rules.allow_forbidden);
    assert_eq!(rules.prune_at("drive/x"), PruneAction::Keep);
    assert_eq!(rules.max_delete, MaxDelete::Percent(25.0));
    assert_eq!(config.trash_retention, Duration::from_secs(30 * 86_400));
    assert_eq!(config.crawl.full_every, Duration::from_secs(7 * 86_400));
    assert_eq!(config.crawl.full_under, Duration::from_secs(7_200));
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn what_is_set_counts() {
    let config = with(
        "[mirror]\npath = \"../copy\"\nstate = \"~/state\"\nmin_free = 5\nkeep_runs = 3\n\
         [account]\nidentity = \"app\"\ndomain = { open = \"http://127.0.0.1:9/\" }\n\
         [export]\ndocx = [\"pdf\", \"docx\", \"md\"]\nbitable = [\"json\"]\nshortcut = \"url\"\n\
         comments = true\nmd = { colors = true, raw = true, embeds_every = \"6h\", \
         boards_every = \"0\", table_rows = 5 }\n\
         [[export.rule]]\nmatch = \"drive/Plans/**\"\nsheet = [\"csv\"]\n\
         [filter]\nexclude = [\"**/tmp/**\"]\ntypes = [\"docx\"]\nmax_size = \"0\"\n\
         allow_forbidden = true\n\
         [crawl]\nfull_every = \"0\"\n\
         [prune]\ndefault = \"trash\"\nmax_delete = 8\n\
         [[prune.rule]]\nmatch = \"drive/a/**\"\naction = \"delete\"\n\
         [limits]\nquota_share = 100\nbandwidth = \"1 MiB\"\nmax_calls = 0x10\n\
         [minutes]\ntimezone = \"Asia/Shanghai\"\n[watch]\nsubscribe = 5\n[notify]",
    );
    assert_eq!(config.path, Path::new("/copy"));
    assert_eq!(config.state, Path::new("/home/me/state"));
    assert_eq!((config.min_free, config.keep_runs), (5, 3));
    let domain = config.domain.unwrap();
    assert_eq!(domain.open, "http://127.0.0.1:9");
    assert_eq!(domain.accounts, domain.open);
    let rules = &config.rules;
    assert_eq!(
        rules.formats_at("drive/x", &ObjType::Docx),
        [Format::Pdf, Format::Docx, Format::Md]
    );
    assert_eq!(rules.formats_at("drive/x", &ObjType::Bitable), [Format::Json]);
    let markdown = Markdown {
        colors: true,
        raw: true,
        embeds_every_secs: 6 * 3_600,
        boards_every_secs: 0,
        table_rows: 5,
    };
    assert_eq!((rules.markdown, rules.comments_every_secs), (markdown, Some(0)));
    assert_eq!(rules.formats_at("drive/Plans/x", &ObjType::Sheet), [Format::Csv]);
    assert_eq!(rules.formats_at("drive/x", &ObjType::Sheet), [Format::Xlsx]);
    assert!(!rules.filter.wants("drive/a/tmp/b", &ObjType::Docx));
    assert!(!rules.filter.wants("drive/a", &ObjType::Sheet));
    assert_eq!(rules.max_size, None);
    assert_eq!(rules.prune_at("drive/a/b"), PruneAction::Delete);
    assert_eq!(rules.prune_at("drive/b"), PruneAction::Trash);
    assert_eq!(rules.max_delete, MaxDelete::Files(8));
    assert_eq!(config.crawl.full_every, Duration::ZERO);
    assert!((config.limits.quota_share - 100.0).abs() < f64::EPSILON);
    assert_eq!((config.limits.bandwidth, config.limits.max_calls), (1 << 20, 16));
}

#[test]
fn sources_say_what_they_cover() {
    let docs = |list: &[(&str, &str)]| {
        let pairs = list.iter().map(|(ty, token)| ((*ty).to_owned(), (*token).to_owned()));
        SourceKind::Docs(pairs.collect())
    };
    let folder = |token: Option<&str>| SourceKind::Drive { folder: token.map(str::to_owned) };
    let cases = [
        ("kind = \"drive\"\nfolder = \"root\"", folder(None)),
        ("kind = \"drive\"\nfolder = \"fldcnA\"", folder(Some("fldcnA"))),
        (
            "kind = \"drive\"\nfolder = \"https://a.feishu.cn/drive/folder/fldcnA\"",
            folder(Some("fldcnA")),
        ),
        ("kind = \"drive\"\nfolder = \"https://a.feishu.cn/drive/me\"", folder(None)),
        ("kind = \"wiki\"", SourceKind::Wiki(WikiScope::All)),
        ("kind = \"wiki\"\nspace = \"my_library\"", SourceKind::Wiki(WikiScope::MyLibrary)),
        ("kind = \"wiki\"\nspace = \"712\"", SourceKind::Wiki(WikiScope::Space("712".into()))),
        (
            "kind = \"wiki\"\nspace = \"https://a.feishu.cn/wiki/WikA\"",
            SourceKind::Wiki(WikiScope::Subtree("WikA".into())),
        ),
        (
            "kind = \"docs\"\nurls = [\"https://a.feishu.cn/docx/DoxA\", \
             \"https://a.larksuite.com/wiki/WikA\"]",
            docs(&[("docx", "DoxA"), ("wiki", "WikA")]),
        ),
    ];
    for (text, want) in cases {
        let config = parse(&format!("[[source]]\nname = \"s\"\n{text}\n"));
        assert_eq!(config.unwrap().sources[0].kind, want, "{text}");
    }
}

/// Every mistake once: the line, and words that the message must have.
#[test]
fn mistakes_say_where_what_and_what_is_allowed() {
    let cases: [(&str, usize, &[&str]); 60] = [
        (
            "[filter]\nexlude = []",
            2,
            &[
                "unknown key \"exlude\" in [filter]",
                "did you mean \"exclude\"?",
                "allowed: include, exclude, types, max_size, allow_forbidden",
            ],
        ),
        ("[filtr]", 1, &["unknown key \"filtr\" in the file", "\"filter\""]),
        ("[prune]\n[prune.rules]", 2, &["unknown key \"rules\" in [prune]", "\"rule\""]),
        ("[mirror]\npath = 3", 2, &["path in [mirror]", "expected a text in quotes, found 3"]),
        ("[mirror]\npath = \"\"", 2, &["no name"]),
        ("[mirror]\nstate = \"mirror\"", 2, &["state in [mirror]", "mixes with the copy"]),
        ("[mirror]\nstate = \"mirror/x\"", 2, &["/m/mirror/.feishu-mirror"]),
        ("[mirror]\nmin_free = \"much\"", 2, &["\"much\" is no size", "1 GiB"]),
        ("[mirror]\nkeep_runs = -1", 2, &["a whole number from 1", "found -1"]),
        ("[account]\nidentity = \"robot\"", 2, &["\"robot\" is not allowed", "auto, user, app"]),
        ("[account]\nprofile = \"a/b\"", 2, &["profile", "\"a/b\"", "letters"]),
        (
            "[account]\ndomain = \"fieshu\"",
            2,
            &["did you mean \"feishu\"?", "feishu, lark, { open"],
        ),
        ("[account]\ndomain = { open = \"http://a.cn\" }", 2, &["unencrypted", "127.0.0.1"]),
        ("[account]\ndomain = { accounts = \"https://a.cn\" }", 2, &["no \"open\""]),
        (
            "[account]\ndomain = { open = \"https://a.cn\", opne = 1 }",
            2,
            &["\"opne\"", "open, accounts"],
        ),
        ("[account]\ndomain = 7", 2, &["\"feishu\", \"lark\" or a table"]),
        ("[export]\ndocx = [\"odt\"]", 2, &["\"odt\" is not allowed", "docx, pdf"]),
        ("[export]\ndocx = \"pdf\"", 2, &["a list of texts", "found \"pdf\""]),
        ("[export]\ndocx = []", 2, &["at least one format", "types"]),
        ("[export]\ndocx = [\"pdf\", \"pdf\"]", 2, &["twice"]),
        ("[export]\ndoc = [\"md\"]", 2, &["doc in [export]", "\"md\" is not allowed", "docx, pdf"]),
        ("[export]\nsheet = [\"json\"]", 2, &["\"json\" is not allowed", "xlsx, csv"]),
        ("[export]\ncomments = \"all\"", 2, &["comments", "true or false, found \"all\""]),
        ("[export.md]\ncolours = true", 2, &["did you mean \"colors\"?", "raw, embeds_every"]),
        ("[export.md]\nraw = 1", 2, &["raw in [export.md]", "true or false"]),
        ("[export.md]\nboards_every = 7", 2, &["boards_every in [export.md]", "no length of time"]),
        ("[export.md]\ntable_rows = 0", 2, &["table_rows in [export.md]", "from 1 to 100000"]),
        ("[export]\nshortcut = \"follow\"", 2, &["link, copy, url, skip"]),
        ("[export]\npdf = true", 2, &["unknown key \"pdf\" in [export]", "docx, doc, sheet"]),
        ("[export.md]\nembeds_every = \"often\"", 2, &["embeds_every in [export.md]", "7d"]),
        ("[[export.rule]]\ndocx = [\"pdf\"]", 1, &["no `match`"]),
        ("[[export.rule]]\nmatch = \"a[\"\ndocx = [\"pdf\"]", 2, &["\"a[\" is no pattern"]),
        ("[[export.rule]]\nmatch = \"**\"\nslides = [\"docx\"]", 3, &["pptx, pdf"]),
        ("[export]\nrule = \"wiki\"", 2, &["[[export.rule]]"]),
        ("[filter]\ninclude = \"**\"", 2, &["a list of texts"]),
        ("[filter]\ninclude = [1]", 2, &["a text in quotes, found 1"]),
        ("[filter]\nexclude = [\"/tmp\"]", 2, &["matches nothing"]),
        ("[filter]\ntypes = [\"docs\"]", 2, &["\"docs\" is not allowed; did you mean \"doc\"?"]),
        ("[filter]\nallow_forbidden = \"yes\"", 2, &["true or false, found \"yes\""]),
        ("[crawl]\nfull_every = 7", 2, &["\"7\" is no length of time"]),
        ("[prune]\ndefault = \"burn\"", 2, &["\"burn\" is not allowed", "keep, trash, delete"]),
        ("[prune]\nmax_delete = \"lots\"", 2, &["25%"]),
        ("[[prune.rule]]\nmatch = \"**\"", 1, &["no `action`"]),
        ("[limits]\nconcurrency = 0", 2, &["from 1 to 256, found 0"]),
        ("[limits]\nquota_share = 0.0", 2, &["above 0"]),
        ("[limits]\nrequest_timeout = \"0\"", 2, &["1s or more"]),
        (
            "[watch]\nlisten = \"x\"",
            2,
            &["unknown key \"listen\" in [watch]", "interval, subscribe"],
        ),
        ("[notify]\nurl = \"x\"", 2, &["unknown key \"url\" in [notify]"]),
        ("[mirror", 1, &["this is not TOML"]),
        ("[mirror]\npath = \"a\"\npath = \"b\"", 3, &["this is not TOML", "duplicate key"]),
        ("[[source]]\nkind = \"drive\"", 1, &["no `name`"]),
        ("[[source]]\nname = \"x\"", 1, &["no `kind`", "drive, wiki, docs, minutes"]),
        ("[[source]]\nname = \"a/b\"\nkind = \"drive\"", 2, &["\"a_b\" would be"]),
        ("[[source]]\nname = \".feishu-mirror\"\nkind = \"drive\"", 2, &["begins with a dot"]),
        ("[[source]]\nname = \"con\"\nkind = \"drive\"", 2, &["no portable folder name"]),
        (
            "[[source]]\nname = \"m\"\nkind = \"minutes\"",
            3,
            &["minutes", "not in this version yet"],
        ),
        (
            "[[source]]\nname = \"w\"\nkind = \"wiki\"\nfolder = \"root\"",
            4,
            &["folder", "kind = \"drive\""],
        ),
        (
            "[[source]]\nname = \"d\"\nkind = \"drive\"\nfolder = \"https://a.feishu.cn/docx/DoxA\"",
            4,
            &["a document", "kind = \"docs\""],
        ),
        (
            "[[source]]\nname = \"p\"\nkind = \"docs\"\nurls = [\"https://a.cn/docx/A\",\n\"https://a.cn/docx/A\"]",
            5,
            &["twice"],
        ),
        ("[[source]]\nname = \"p\"\nkind = \"docs\"", 1, &["no `urls`"]),
    ];
    for (text, line, words) in cases {
        let text = format!("{text}\n{ONE}");
        let error = parse(&text).expect_err(&text);
        let [mistake] = error.mistakes.as_slice() else { panic!("{text}\n{error}") };
        assert_eq!(mistake.line, line, "{text}\n{error}");
        for word in words {
            assert!(mistake.message.contains(word), "{word:?} is not in: {error}\n{text}");
        }
        assert!(error.to_string().starts_with("/m/mirror.toml:"), "{error}");
    }
}

#[test]
fn two_sources_never_share_a_folder() {
    for (one, two) in [("Drive", "drive"), ("caf\u{e9}", "CAF\u{c9}"), ("straße", "STRASSE")] {
        let source = |name| format!("[[source]]\nname = \"{name}\"\nkind = \"drive\"\n");
        let error = parse(&format!("{}{}", source(one), source(two))).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("line 5"), "{error}");
        assert!(error.contains(one) && error.contains(two), "{error}");
    }
}

#[test]
fn a_config_without_sources_is_told_how_to_have_one() {
    let error = parse("[mirror]\npath = \"x\"\n").unwrap_err().to_string();
    assert!(error.contains("[[source]]") && error.contains("kind = \"drive\""), "{error}");
}

/// All mistakes are shown at once, in the order of their lines.
#[test]
fn all_mistakes_come_at_once() {
    let text = "[mirror]\nkeep_run = 1\n[[source]]\nname = \"Drive\"\nkind = \"drvie\"\n\
                [filter]\ntypes = [\"page\"]\n[export]\ndocx = [\"doc\", \"odt\"]\n";
    insta::assert_snapshot!(parse(text).unwrap_err(), @r#"
    /m/mirror.toml:2: unknown key "keep_run" in [mirror]; did you mean "keep_runs"? allowed: path, state, min_free, keep_runs
    /m/mirror.toml:5: kind in [[source]]: "drvie" is not allowed; did you mean "drive"? allowed: drive, wiki, docs, minutes
    /m/mirror.toml:7: types in [filter]: "page" is not allowed; allowed: docx, doc, sheet, bitable, slides, mindnote, file, shortcut
    /m/mirror.toml:9: docx in [export]: "doc" is not allowed; did you mean "docx"? allowed: docx, pdf, md
    /m/mirror.toml:9: docx in [export]: "odt" is not allowed; allowed: docx, pdf, md
    "#);
}

/// Comments are read again as often as a source is walked fully.
#[test]
fn comments_follow_the_full_walks() {
    let every = |more: &str| {
        let text = format!("[export]\ncomments = true\n[crawl]\n{more}");
        with(&text).rules.comments_every_secs
    };
    assert_eq!(every(""), Some(7 * 86_400));
    assert_eq!(every("full_every = \"1d\""), Some(86_400));
}

/// `init`'s file is the defaults, and so is every line that it has commented out.
#[test]
fn the_example_says_the_defaults() {
    let plain = parse(EXAMPLE).unwrap();
    assert_eq!(plain.sources.len(), 2, "one drive and one wiki source");
    let default = parse(
        "[[source]]\nname = \"drive\"\nkind = \"drive\"\n[[source]]\nname = \"wiki\"\n\
         kind = \"wiki\"\n",
    )
    .unwrap();
    let debug = |config: &Config| format!("{config:#?}");
    assert_eq!(debug(&plain), debug(&default));

    let setting = |line: &str| {
        let key = line.split([' ', '=']).next().unwrap_or_default();
        line.starts_with("[[")
            || line.contains(" = ")
                && !key.is_empty()
                && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    let mut uncommented = 0;
    let all: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if setting(rest) => {
                uncommented += 1;
                rest
            }
            _ => line,
        })
        .collect();
    assert!(uncommented > 35, "{uncommented}");
    let mut full = parse(&all.join("\n")).unwrap();
    // Left out, these two are chosen elsewhere; what the file shows is the last resort.
    assert_eq!(full.profile.take().as_deref(), Some("default"));
    assert_eq!(full.domain.take(), Some(Domain::feishu()));
    // The examples of further sources and rules are no defaults.
    assert_eq!(full.sources.pop().unwrap().name.as_str(), "pinned");
    full.rules.sources.pop();
    assert_eq!(full.rules.export_rules.len(), 1);
    full.rules.export_rules.clear();
    assert_eq!(full.rules.prune_rules.len(), 1);
    full.rules.prune_rules.clear();
    assert_eq!(debug(&full), debug(&default));
}

#[test]
fn the_config_is_found_as_the_help_says() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let deep = root.join("a/b");
    let global = root.join("xdg/feishu-mirror");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::create_dir_all(&global).unwrap();
    let xdg = root.join("xdg").display().to_string();
    let env = vars(&[("XDG_CONFIG_HOME", &xdg)]);
    let found = |env: &BTreeMap<String, String>, flag: Option<&str>| {
        find(flag.map(Path::new), env, &deep)
            .map(|file| file.strip_prefix(root).unwrap().to_owned())
    };

    let error = found(&env, None).unwrap_err();
    assert!(error.hint().contains("feishu-mirror init"), "{error}");
    std::fs::write(global.join(FILE_NAME), ONE).unwrap();
    assert_eq!(found(&env, None).unwrap(), Path::new("xdg/feishu-mirror/mirror.toml"));
    std::fs::write(root.join(FILE_NAME), ONE).unwrap();
    assert_eq!(found(&env, None).unwrap(), Path::new("mirror.toml"));
    std::fs::write(deep.join(FILE_NAME), ONE).unwrap();
    assert_eq!(found(&env, None).unwrap(), Path::new("a/b/mirror.toml"));
    let named = vars(&[("FEISHU_MIRROR_CONFIG", "env.toml"), ("XDG_CONFIG_HOME", &xdg)]);
    assert_eq!(found(&named, None).unwrap(), Path::new("a/b/env.toml"));
    assert_eq!(found(&named, Some("flag.toml")).unwrap(), Path::new("a/b/flag.toml"));

    let missing = Config::load(Some(Path::new("none.toml")), &env, &deep).unwrap_err();
    assert!(missing.to_string().contains("none.toml"), "{missing}");
}

#[test]
fn the_program_has_a_folder_of_its_own() {
    let cases = [
        (vec![("FEISHU_MIRROR_HOME", "/h")], Some("/h")),
        (vec![("XDG_CONFIG_HOME", "/x"), ("HOME", "/home/me")], Some("/x/feishu-mirror")),
        (
            vec![("XDG_CONFIG_HOME", "x"), ("HOME", "/home/me")],
            Some("/home/me/.config/feishu-mirror"),
        ),
        (vec![], None),
    ];
    for (env, want) in cases {
        assert_eq!(home(&vars(&env)).as_deref(), want.map(Path::new), "{env:?}");
    }
}
