//! A process killed at any instant leaves the last complete snapshot.

use crate::machines::{MODEL, at, built, readings, settings, snapshot};
use prognos::{
    fleet::{Fleet, SnapshotFolder},
    pipeline::Pipeline,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const FOLDER: &str = "PROGNOS_KILLED_FOLDER";
const STEPS: &str = "PROGNOS_KILLED_STEPS";
/// Steps from one snapshot to the next.
const BETWEEN: u64 = 7;
const KILLS: u32 = 220;

/// What happens at a step: the same in every process.
fn step(fleet: &mut Fleet<u32>, i: u64) {
    let asset = (i % 5) as u32;
    if i % 31 == 17 {
        let _ = fleet.retire(&((i / 31 % 5) as u32));
    }
    fleet
        .push(&asset, at(i as i64), &readings(asset, (i / 5) as usize))
        .unwrap();
}

fn restored(folder: &Path, model: Pipeline) -> (SnapshotFolder, Option<Fleet<u32>>) {
    let mut snapshots = SnapshotFolder::open(folder).unwrap().changes_between(5);
    let fleet = snapshots.restore(settings(), model).unwrap();
    (snapshots, fleet)
}

/// The process that is killed; does nothing as a test.
#[test]
fn writes_until_it_is_killed() {
    let (Ok(folder), Ok(steps)) = (env::var(FOLDER), env::var(STEPS)) else {
        return;
    };
    let model = Pipeline::load(Path::new(&folder).join("model.prognos")).unwrap();
    let (mut snapshots, fleet) = restored(&Path::new(&folder).join("fleet"), model.clone());
    let mut fleet = fleet.unwrap_or_else(|| settings().build(model).unwrap());
    println!("\nready");
    let mut done: u64 = steps.parse().unwrap();
    loop {
        (0..BETWEEN).for_each(|k| step(&mut fleet, done + k));
        done += BETWEEN;
        snapshots.save(&fleet).unwrap();
        println!("\nsaved {done}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(name).collect()
}

#[test]
fn a_killed_process_leaves_its_last_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    MODEL.save(dir.path().join("model.prognos")).unwrap();
    let folder = dir.path().join("fleet");
    // The fleet that was never stopped, and the steps it has taken.
    let (mut straight, mut steps) = (built(settings()), 0);
    let mut rng = Xoshiro256Plus::seed_from_u64(1);
    let (mut acknowledged_last, mut unacknowledged) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::writes_until_it_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .env(STEPS, steps.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        // A few are killed while they start; the others at work.
        if kill % 16 != 0 {
            assert!(lines.any(|line| line == "ready"), "the process did not start");
        }
        thread::sleep(Duration::from_micros(rng.gen_range(1_000..30_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = lines
            .filter_map(|line| line.strip_prefix("saved ")?.parse().ok())
            .last()
            .unwrap_or(steps);

        let (_, fleet) = restored(&folder, (**MODEL).clone());
        while steps < acknowledged {
            step(&mut straight, steps);
            steps += 1;
        }
        let Some(fleet) = fleet else {
            assert_eq!(acknowledged, 0, "kill {kill}: saved, and nothing is there");
            continue;
        };
        // What was acknowledged is there, or the one snapshot after it that was complete but not told yet.
        let found = snapshot(&fleet);
        if found != snapshot(&straight) || steps == 0 {
            for _ in 0..BETWEEN {
                step(&mut straight, steps);
                steps += 1;
            }
            unacknowledged += 1;
            assert!(
                found == snapshot(&straight),
                "kill {kill}: another fleet than after {acknowledged} or {steps} steps"
            );
        } else {
            acknowledged_last += 1;
        }
        let begun = names(&folder).into_iter().find(|name| name.starts_with('.'));
        assert_eq!(begun, None, "what a killed process had begun stays");
    }
    println!("{KILLS} kills, {steps} steps; {acknowledged_last} at what was told, {unacknowledged} one beyond");
    assert!(
        steps > u64::from(KILLS),
        "{steps} steps: too few to have been killed at work"
    );
    // Whatever the kills left, the next whole snapshot clears away.
    let mut snapshots = SnapshotFolder::open(&folder).unwrap().changes_between(0);
    snapshots.save(&straight).unwrap();
    assert_eq!(names(&folder).len(), 1);
}
