//! The power goes.

use super::{End, Loss, Scene, scenes};
use crate::support::dice::Dice;
use crate::support::scale;
use feishu_mirror::faults::Op;

/// Every step, or with `FEISHU_MIRROR_LONG=1` unset one in so many.
fn steps(scene: &Scene, one_in: usize) -> impl Iterator<Item = usize> + use<> {
    (0..scene.steps).step_by(scale(one_in, 1))
}

/// The process dies before each step; nothing that it wrote is lost.
#[tokio::test(start_paused = true)]
async fn long_a_run_that_dies_is_finished_by_the_next() {
    for mut scene in [scenes::first().await, scenes::busy().await] {
        let mut cases = 0;
        for step in steps(&scene, 23) {
            scene.reset();
            // The number of steps differs a little from run to run.
            let Some(told) = scene.cut(step, Loss::Nothing).await else { continue };
            let case = format!("step {step} of {}\n{told}", scene.steps);
            scene.recovers(&case).await;
            cases += 1;
        }
        println!("{}: {cases} of {} steps", scene.name, scene.steps);
        assert!(cases > 5, "{cases}");
    }
}

/// The power goes: what no fsync made last is lost, all of it or any part of it.
#[tokio::test(start_paused = true)]
async fn long_a_power_cut_loses_nothing_that_was_recorded() {
    let images = scale(30, 2_000);
    let mut made = 0;
    for mut scene in [scenes::first().await, scenes::busy().await] {
        let rounds = (images / 2).div_ceil(scene.steps).max(1);
        let one_in = (scene.steps * rounds * 2 / images).max(1);
        for step in (0..scene.steps).step_by(one_in) {
            for round in 0..rounds {
                let seed = (step * rounds + round) as u64;
                let loss = || match round % 8 {
                    7 => Loss::All,
                    _ => Loss::Some(Dice::new(seed)),
                };
                scene.reset();
                let Some(told) = scene.cut(step, loss()).await else { break };
                let case = format!("step {step} of {}, seed {seed}\n{told}", scene.steps);
                scene.recovers(&case).await;
                made += 1;
            }
        }
    }
    println!("{made} disk images");
}

/// The power goes again while the next run brings things in line.
#[tokio::test(start_paused = true)]
async fn long_power_cuts_in_a_row_are_survived() {
    let mut dice = Dice::new(4);
    for mut scene in [scenes::first().await, scenes::busy().await] {
        for round in 0..scale(4, 100) {
            scene.reset();
            let mut told = String::new();
            for cut in 0..2 + round % 2 {
                let step = dice.below(scene.steps);
                let loss = if dice.below(2) == 0 {
                    Loss::Nothing
                } else {
                    Loss::Some(Dice::new(dice.below(1 << 30) as u64))
                };
                if let Some(steps) = scene.cut(step, loss).await {
                    told = format!("{told}cut {cut} at step {step}:\n{steps}\n");
                }
            }
            scene.recovers(&format!("round {round}\n{told}")).await;
        }
    }
}

/// A folder out of the way in the middle of a swap is put where it belongs by the next run,
/// with all that is in it.
#[tokio::test(start_paused = true)]
async fn a_folder_parked_when_the_power_went_comes_back() {
    let mut scene = scenes::busy().await;
    let parked = |scene: &Scene| scene.mirror.state("staging/parked").read_dir().unwrap().count();
    let mut seen = 0;
    for step in 0..scene.steps {
        scene.reset();
        scene.cut(step, Loss::Nothing).await;
        if parked(&scene) == 0 {
            if seen > 0 {
                break;
            }
            continue;
        }
        seen += 1;
        if seen > 2 {
            continue;
        }
        scene.recovers(&format!("step {step}")).await;
        assert_eq!(parked(&scene), 0);
        assert_eq!(scene.mirror.read("drive/One/in two.txt"), b"two");
    }
    assert!(seen > 2, "{seen}");
}

/// A run is killed just after it moved something into the trash, and the power goes while
/// the next one brings things in line: what was thrown away is still in the trash.
#[tokio::test(start_paused = true)]
async fn what_a_killed_run_threw_away_is_not_lost_in_a_power_cut() {
    let mut scene = scenes::busy().await;
    // The next run settles what is open before anything else.
    for step in 8..32 {
        scene.reset();
        scene.cut_when(End::After(Op::Trash), Loss::Nothing).await.expect("it is killed");
        let told = scene.cut(step, Loss::All).await.expect("the power goes");
        scene.recovers(&format!("killed, then step {step}\n{told}")).await;
    }
}
