//! What a run prints, for people and for programs.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::Ui;
use super::reporter::{Reporter, change_line};
use super::summary::Summary;
use crate::cli::Global;
use crate::clock::Clock;
use crate::model::change::{Change, ChangeKind, Event, Failure};
use crate::model::{ContentHash, Format, ObjToken, ObjType, PlaceToken, RelPath, SourceName};
use crate::progress::Progress;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn ui(global: &Global) -> (Ui, Buffer, Buffer) {
    let (out, err) = (Buffer::default(), Buffer::default());
    let ui = Ui::new(Box::new(out.clone()), Box::new(err.clone()), false, false, global);
    (ui, out, err)
}

fn clock() -> Clock {
    Clock::from_tokio("2026-03-01T02:30:00Z".parse().unwrap())
}

fn change(kind: ChangeKind, path: &str, format: Option<Format>) -> Change {
    Change {
        kind,
        path: RelPath::new(path).unwrap(),
        from: None,
        source: SourceName::from("drive"),
        token: PlaceToken::from("DoxA"),
        obj_token: ObjToken::from("DoxA"),
        ty: if format.is_none() { ObjType::Folder } else { ObjType::Docx },
        format,
        reason: None,
    }
}

/// One event of each kind, then a summary.
fn tell(reporter: &Reporter) {
    let docx = || change(ChangeKind::Update, "drive/a\nb.docx", Some(Format::Docx));
    let edited = Change { reason: Some("edited".to_owned()), ..docx() };
    reporter.listed(&SourceName::from("drive"), 1200);
    reporter.event(&Event::Change { change: edited.clone() });
    reporter.planned(3);
    reporter.event(&Event::Done {
        change: edited,
        bytes: 2048,
        blake3: Some(ContentHash::from(blake3::hash(b"x"))),
        written: true,
    });
    let error = Failure {
        code: Some(1_069_902),
        message: "may not be read\nby this identity".to_owned(),
        hint: Some("share it with the user".to_owned()),
        retryable: false,
    };
    reporter.event(&Event::Failed { change: docx(), error });
    reporter.print_problems();
    let summary = Summary {
        nodes: 1200,
        unchanged: 1198,
        updated: 1,
        failed: 1,
        bytes: 2048,
        api_requests: 17,
        elapsed_ms: 65_000,
        exit_code: 2,
        ..Summary::new("sync", "20260301T023000Z")
    };
    reporter.summary(&summary);
}

/// Field by field as documented: scripts read it.
#[tokio::test(start_paused = true)]
async fn json_lines_are_as_documented() {
    let (ui, out, _) = ui(&Global { json: true, ..Global::default() });
    tell(&Reporter::new(&ui, &clock()));
    insta::assert_snapshot!("json_events", out.text());
}

#[tokio::test(start_paused = true)]
async fn people_see_what_failed_and_a_summary() {
    let (ui, out, err) = ui(&Global::default());
    tell(&Reporter::new(&ui, &clock()));
    insta::assert_snapshot!("human_run", format!("{}--- stderr\n{}", out.text(), err.text()));
}

/// cron mails whatever is printed: only what needs somebody.
#[tokio::test(start_paused = true)]
async fn a_quiet_run_prints_failures_only() {
    let (ui, out, err) = ui(&Global { quiet: true, ..Global::default() });
    let reporter = Reporter::new(&ui, &clock());
    ui.warn("a warning");
    reporter.summary(&Summary::new("sync", "r"));
    assert_eq!(out.text() + &err.text(), "");
    tell(&reporter);
    assert_eq!(out.text(), "");
    assert!(err.text().starts_with("failed"), "{}", err.text());
}

#[test]
fn a_change_is_one_line() {
    let (ui, ..) = ui(&Global::default());
    let file = |kind| change(kind, "drive/a.docx", Some(Format::Docx));
    let moved = Change {
        from: Some(RelPath::new("drive/old").unwrap()),
        ..change(ChangeKind::Move, "drive/new\u{1b}[2J", None)
    };
    let skipped = Change { reason: Some("too large".to_owned()), ..file(ChangeKind::Skip) };
    let cases = [
        (file(ChangeKind::Add), "A drive/a.docx"),
        (file(ChangeKind::Update), "U drive/a.docx"),
        (file(ChangeKind::Restore), "R drive/a.docx"),
        (file(ChangeKind::Prune), "P drive/a.docx"),
        (moved, "M drive/old/ -> drive/new\\u{1b}[2J/"),
        (skipped, "S drive/a.docx  (too large)"),
    ];
    for (change, want) in cases {
        assert_eq!(change_line(&ui, &change), want);
    }
}

/// `… | head` is no error; a full disk behind a redirection is one.
#[test]
fn a_reader_who_went_away_is_no_error() {
    struct Broken(io::ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (kind, fine) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
        let (out, err) = (Box::new(Broken(kind)), Box::new(io::sink()));
        let ui = Ui::new(out, err, false, false, &Global::default());
        ui.result("a");
        ui.result("b");
        assert_eq!(ui.finish().is_ok(), fine, "{kind}");
    }
}
