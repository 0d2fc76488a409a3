//! Configs that nobody means: any bytes, the example with something wrong in it, links made
//! to lead elsewhere. Bodies are plain functions over bytes, for a fuzzer too.

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};

use super::*;
use crate::layout;

fn run<S: Strategy>(cases: u32, strategy: &S, check: impl Fn(S::Value)) {
    let long = std::env::var_os("FEISHU_MIRROR_LONG").is_some_and(|value| value == "1");
    let cases = if long { cases * 100 } else { cases };
    let config = Runs { cases, failure_persistence: None, ..Runs::default() };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        check(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Either a config whose sources are folders of their own inside the copy, or mistakes
/// that each name a line of the file.
fn no_panic_on_config(bytes: &[u8]) {
    // What is no UTF-8 never comes so far: the file cannot be read as text.
    let Ok(text) = str::from_utf8(bytes) else { return };
    match parse(text) {
        Ok(config) => {
            assert!(config.path.is_absolute() && config.state.is_absolute());
            let names: Vec<&str> = config.sources.iter().map(|s| s.name.as_str()).collect();
            for name in &names {
                assert!(crate::model::recorded::is_component(name) && !name.starts_with('.'));
            }
            let mut folded: Vec<String> = names.iter().map(|name| layout::fold(name)).collect();
            folded.sort();
            folded.dedup();
            assert_eq!(folded.len(), names.len(), "two sources share a folder: {names:?}");
            for source in &config.sources {
                check_tokens(&source.kind);
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.mistakes.is_empty());
            let lines = 1 + text.split('\n').count();
            for mistake in &mistakes.mistakes {
                assert!((1..=lines).contains(&mistake.line), "line {} of {lines}", mistake.line);
                assert!(!mistake.message.is_empty());
            }
            assert!(mistakes.to_string().starts_with("/m/mirror.toml:"), "{mistakes}");
        }
    }
}

/// What goes into paths of calls.
fn check_tokens(kind: &SourceKind) {
    let tokens: Vec<&str> = match kind {
        SourceKind::Drive { folder } => folder.iter().map(String::as_str).collect(),
        SourceKind::Wiki(WikiScope::Space(token) | WikiScope::Subtree(token)) => vec![token],
        SourceKind::Wiki(_) => Vec::new(),
        SourceKind::Docs(documents) => documents.iter().map(|(_, token)| token.as_str()).collect(),
    };
    for token in tokens {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(!token.is_empty() && token.chars().all(plain), "{token:?} is no token");
    }
}

/// The example with every default switched on, so that every key can go wrong.
fn example() -> String {
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[[") || rest.contains(" = ") && !rest.contains("Sizes") => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(on).collect::<Vec<_>>().join("\n")
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "\"\"",
            "1",
            "-1",
            "0",
            "true",
            "[]",
            "{}",
            "[[]]",
            "[{}]",
            "nan",
            "inf",
            "1e400",
            "99999999999999999999",
            "0x10",
            "0o7",
            "\"..\"",
            "\"/\"",
            "\"../../x\"",
            "\".hidden\"",
            "\".feishu-mirror\"",
            "\"CON\"",
            "\"a/b\"",
            "\"\\u0000\"",
            "\"**\"",
            "\"[\"",
            "\"{a\"",
            "1979-05-27T07:32:00Z",
            "\"5 XB\"",
            "\"1e9999 GiB\"",
            "\"-1s\"",
            "\"9999999999999999d\"",
            "\"110%\"",
            "\"NaN%\"",
            "\"1e309%\"",
            "[\"docx\", \"docx\"]",
            "[1, [2], \"x\"]",
            "\"https://x.feishu.cn/docx/../../etc\"",
            "\"https://x.feishu.cn/wiki/%2e%2e\"",
            "\"file:///etc/passwd\"",
            "\"javascript:alert(1)\"",
            "{ open = \"ftp://x\" }",
            "{ open = \"http://u:p@x/\", accounts = \"x\" }",
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| format!("{text:?}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
    ]
}

#[test]
fn the_example_with_something_wrong_in_it_names_the_line() {
    let wrong = (any::<prop::sample::Index>(), value(), 0..5_u8);
    run(1_500, &prop::collection::vec(wrong, 1..4), |wrongs| {
        let mut lines: Vec<String> = example().lines().map(str::to_owned).collect();
        for (at, value, how) in wrongs {
            let at = at.index(lines.len());
            match how {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => lines[at] = value,
                _ => {
                    if let Some((key, _)) = lines[at].split_once(" = ") {
                        lines[at] = format!("{key} = {value}");
                    }
                }
            }
            if lines.is_empty() {
                break;
            }
        }
        no_panic_on_config(lines.join("\n").as_bytes());
    });
}

#[test]
fn one_wrong_value_is_told_with_its_line_and_its_key() {
    let keys: Vec<(usize, String)> = ONE
        .lines()
        .chain(example().lines().collect::<Vec<_>>())
        .enumerate()
        .filter_map(|(n, line)| Some((n, line.split_once(" = ")?.0.trim().to_owned())))
        .collect();
    let mut told = 0;
    for (line, key) in keys {
        let mut lines: Vec<String> =
            ONE.lines().chain(example().lines().collect::<Vec<_>>()).map(str::to_owned).collect();
        lines[line] = format!("{key} = [[1979-05-27]]");
        let Err(mistakes) = parse(&lines.join("\n")) else { continue };
        let here = mistakes.mistakes.iter().filter(|mistake| mistake.line == line + 1);
        assert!(here.clone().any(|mistake| mistake.message.contains(&key)), "{key}: {mistakes}");
        told += 1;
    }
    assert!(told > 30, "only {told} keys were tried");
}

#[test]
fn any_bytes_are_a_config_or_a_mistake() {
    run(400, &prop::collection::vec(any::<u8>(), 0..200), |bytes| no_panic_on_config(&bytes));
    run(400, &"[\\[\\]{}=\"'#.,a-z0-9\n -]{0,120}", |text: String| {
        no_panic_on_config(text.as_bytes());
    });
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    run(400, &damage, |(at, byte, how)| {
        let mut bytes = example().into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes.truncate(at),
            1 => bytes[at] = byte,
            _ => bytes.insert(at, byte),
        }
        no_panic_on_config(&bytes);
    });
    no_panic_on_config("[".repeat(20_000).as_bytes());
    no_panic_on_config(format!("a = {}", "[".repeat(20_000)).as_bytes());
    no_panic_on_config(format!("a = {}1", "{a = ".repeat(20_000)).as_bytes());
    no_panic_on_config(vec!["a"; 20_000].join(".").as_bytes());
}

#[test]
fn a_link_gives_a_token_or_is_refused() {
    let link = prop_oneof![
        any::<String>(),
        "https?://[a-z.@:/]{1,20}(feishu.cn|larksuite.com)/(docx|wiki|drive/folder|sheets|base|file|wiki/settings|minutes)/[A-Za-z0-9%./?#_-]{0,30}",
        "(https://x.feishu.cn)?/(docx|wiki)/(\\.\\.|%2e%2e|%2F|%00| |\u{202e})[a-z]{0,5}",
    ];
    run(2_000, &link, |link| {
        for (kind, key) in [("drive", "folder"), ("wiki", "space"), ("docs", "urls")] {
            let quoted = toml::Value::from(link.clone()).to_string();
            let value = if key == "urls" { format!("[{quoted}]") } else { quoted };
            let text = format!("[[source]]\nname = \"s\"\nkind = \"{kind}\"\n{key} = {value}\n");
            no_panic_on_config(text.as_bytes());
        }
    });
}
