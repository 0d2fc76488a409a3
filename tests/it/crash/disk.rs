//! The disk refuses, once or from then on: nothing is lost, the run says so, and the next
//! one on a sound disk ends as if nothing had happened.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::{Scene, scenes};
use crate::support::scale;
use feishu_mirror::faults::{Faults, Hook, Op};

/// A disk on which one call fails, or all that write from that one on.
struct Broken {
    calls: AtomicUsize,
    fails_at: usize,
    stays_so: bool,
    error: Errno,
    failed: Mutex<Option<String>>,
}

/// What each error can be the answer to.
fn fits(error: Errno, op: Op) -> bool {
    let looks = [Op::Open, Op::Scan, Op::Look, Op::Read, Op::FreeBytes].contains(&op);
    let opens = [Op::Open, Op::Scan, Op::Read, Op::Create, Op::Copy].contains(&op);
    match error {
        Errno::IO => true,
        Errno::MFILE => opens,
        Errno::NOSPC | Errno::DQUOT => {
            !looks && ![Op::Remove, Op::RemoveFolder, Op::Dress, Op::SetMtime].contains(&op)
        }
        _ => !looks,
    }
}

impl Hook for Broken {
    fn before(&self, op: Op, path: &str) -> Option<io::Error> {
        if !fits(self.error, op) {
            return None;
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let fails = call == self.fails_at || self.stays_so && call > self.fails_at;
        if !fails {
            return None;
        }
        let mut failed = self.failed.lock().unwrap();
        failed.get_or_insert_with(|| format!("call {call}: {op:?} {path:?}"));
        Some(self.error.into())
    }
}

/// Plays a run on a disk whose call number `fails_at` fails. `false`: there was no such call.
async fn refused(scene: &mut Scene, error: Errno, fails_at: usize, stays_so: bool) -> bool {
    scene.reset();
    let (calls, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let broken = Arc::new(Broken { calls, fails_at, stays_so, error, failed });
    let run = scene.run(Faults::hooked(broken.clone())).await;
    let Some(failed) = broken.failed.lock().unwrap().clone() else { return false };
    let way = if stays_so { "from then on" } else { "once" };
    let case = format!("{error:?} {way} at {failed}\nexit {}\n{}", run.code, run.err);
    match run.code {
        0 => {
            let differs = scene.mirror.differs_from(&scene.after);
            assert!(differs.is_empty(), "{}: exit 0 though {differs:#?}\n{case}", scene.name);
        }
        1 | 2 => assert!(run.err.contains("error") || run.out.contains("failed"), "{case}"),
        other => panic!("{}: exit {other}\n{case}", scene.name),
    }
    scene.recovers(&case).await;
    true
}

/// Every error at every call that it can be the answer to.
#[tokio::test(start_paused = true)]
async fn long_a_disk_that_refuses_loses_nothing() {
    let errors = [Errno::NOSPC, Errno::DQUOT, Errno::IO, Errno::ROFS, Errno::MFILE];
    let mut cases = 0;
    for mut scene in [scenes::first().await, scenes::busy().await] {
        for (nth, error) in errors.into_iter().enumerate() {
            let mut call = scale(nth * 29, 0);
            let every = scale(223, 1);
            while refused(&mut scene, error, call, false).await {
                cases += 1;
                call += every;
            }
            // A full disk stays full, and one that the system has made read-only stays so.
            let mut call = scale(nth * 31, 0);
            let every = scale(331, 7);
            while error != Errno::MFILE && refused(&mut scene, error, call, true).await {
                cases += 1;
                call += every;
            }
        }
    }
    println!("{cases} disks that refused");
    assert!(cases > 20, "{cases}");
}
