//! Snapshots that are cut, altered, put together of others or forged are refused: without a panic, and without taking memory on
//! the word of a length. The first snapshot ever written is still read.

use crate::{
    counting_allocator::measured,
    machines::{
        MODEL, OTHER_DETECTOR, Row, at, built, memories, push, push_all, readings, settings, snapshot, sound_rows,
    },
};
use prognos::{ErrorKind, Result, fleet::Fleet, pipeline::Pipeline};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use sha2::{Digest, Sha256};
use std::{fmt::Write, fs, path::PathBuf, sync::LazyLock};

const MACHINES: u8 = 1;
const LEFT: u8 = 2;
const END: u8 = 255;

/// Some machines, with rows that wait.
static FLEET: LazyLock<Fleet<u32>> = LazyLock::new(|| {
    let mut fleet = built(settings().lateness(crate::machines::seconds(2.0)));
    push_all(&mut fleet, &sound_rows(3, 9));
    fleet
});

fn restore(bytes: &[u8]) -> Result<Fleet<u32>> {
    settings().restore(MODEL.clone(), bytes)
}

/// Refused, as `Persistence`, holding no more than a small multiple of what came.
#[track_caller]
fn refused(bytes: &[u8], words: &str) {
    LazyLock::force(&MODEL);
    // An empty fleet holds the buffers of its model, whatever comes.
    let (_, empty) = measured(|| built(settings()));
    let (result, held) = measured(|| restore(bytes));
    let e = result.map(|fleet| fleet.len()).expect_err(words);
    assert_eq!(e.kind(), ErrorKind::Persistence, "{e}");
    assert!(e.to_string().contains(words), "`{words}` is not in: {e}");
    let bound = empty + 16 * bytes.len() as i64 + 200_000;
    assert!(held <= bound, "{held} bytes held, of a file of {}: {e}", bytes.len());
}

/// A snapshot taken apart.
#[derive(Clone)]
struct Parts {
    version: u32,
    header: Vec<u8>,
    blocks: Vec<(u8, Vec<u8>)>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let n_header = word(12);
        let mut rest = 16 + n_header + 32;
        let mut blocks = Vec::new();
        while rest < bytes.len() {
            let n = word(rest + 1);
            blocks.push((bytes[rest], bytes[rest + 5..rest + 5 + n].to_vec()));
            rest += 5 + n + 32;
        }
        Self {
            version: word(8) as u32,
            header: bytes[16..16 + n_header].to_vec(),
            blocks,
        }
    }

    /// Put together again, with every digest made to fit.
    fn sealed(&self) -> Vec<u8> {
        let mut bytes = b"PROGFLT\0".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.header.len() as u32).to_le_bytes());
        bytes.extend(&self.header);
        let mut digest = Sha256::digest(&bytes).to_vec();
        bytes.extend(&digest);
        for (tag, payload) in &self.blocks {
            let mut block = vec![*tag];
            block.extend((payload.len() as u32).to_le_bytes());
            block.extend(payload);
            digest = Sha256::digest([digest.as_slice(), &block].concat()).to_vec();
            bytes.extend(block);
            bytes.extend(&digest);
        }
        bytes
    }

    fn block(&mut self, tag: u8) -> &mut Vec<u8> {
        let block = self.blocks.iter_mut().find(|(t, _)| *t == tag);
        &mut block.unwrap().1
    }
}

/// The first whole number named `name` in MessagePack replaced.
fn with_number(bytes: &[u8], name: &str, value: u64) -> Vec<u8> {
    let key = [&[0xa0 | name.len() as u8], name.as_bytes()].concat();
    let start = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let n = match bytes[start] {
        0..0x80 => 1,
        0xcc => 2,
        0xcd => 3,
        0xce => 5,
        0xcf => 9,
        other => panic!("{name}: no whole number but {other:x}"),
    };
    [&bytes[..start], &[0xcf], &value.to_be_bytes(), &bytes[start + n..]].concat()
}

#[test]
fn a_snapshot_taken_apart_fits_together() {
    let good = snapshot(&FLEET);
    assert_eq!(Parts::of(&good).sealed(), good);
    assert_eq!(memories(&restore(&good).unwrap()), memories(&FLEET));
}

#[test]
fn every_cut_is_refused() {
    let good = snapshot(&FLEET);
    for n in 0..good.len() {
        refused(&good[..n], "snapshot: ");
    }
    refused(&[good.as_slice(), &[0]].concat(), "followed by other bytes");
    refused(&[good.as_slice(), &good].concat(), "followed by other bytes");
}

#[test]
fn flipped_bits_are_refused() {
    let good = snapshot(&FLEET);
    let mut rng = Xoshiro256Plus::seed_from_u64(6);
    for _ in 0..2_000 {
        let bit = rng.gen_range(0..8 * good.len());
        let mut altered = good.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        refused(&altered, "snapshot: ");
    }
}

/// Blocks as they were written, digests and all, but in another place or file.
#[test]
fn blocks_are_bound_to_their_place() {
    let mut fleet = built(settings());
    push_all(&mut fleet, &sound_rows(3, 5));
    let base = snapshot(&fleet);
    let mark = fleet.write_snapshot(std::io::sink()).unwrap();
    fleet.retire(&1).unwrap();
    push_all(&mut fleet, &sound_rows(1, 7));
    let mut changes = Vec::new();
    fleet.write_changes(&mark, &mut changes).unwrap();

    let cut = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let parts = Parts::of(bytes);
        let mut rest = 16 + parts.header.len() + 32;
        let mut cuts = vec![bytes[..rest].to_vec()];
        for (_, payload) in &parts.blocks {
            let end = rest + 5 + payload.len() + 32;
            cuts.push(bytes[rest..end].to_vec());
            rest = end;
        }
        cuts
    };
    let apply = |bytes: &[u8]| {
        let mut fleet = restore(&base).unwrap();
        let before = memories(&fleet);
        let result = fleet.apply(bytes);
        // All or nothing.
        assert!(result.is_ok() || memories(&fleet) == before);
        result.map(|()| fleet)
    };
    let [head, left, machines, end] = cut(&changes).try_into().unwrap();
    assert_eq!((left[0], machines[0], end[0]), (LEFT, MACHINES, END));
    assert_eq!(memories(&apply(&changes).unwrap()), memories(&fleet));
    let other = cut(&base);
    for wrong in [
        vec![&head, &machines, &left, &end],
        vec![&head, &left, &left, &machines, &end],
        vec![&head, &left, &machines, &machines, &end],
        vec![&head, &left, &machines, &end, &end],
        vec![&head, &left, &end],
        vec![&head, &machines, &end],
        vec![&head, &end],
        vec![&head, &left, &other[1], &end],
        vec![&head, &left, &machines, &other[2]],
        vec![&other[0], &left, &machines, &end],
    ] {
        let bytes = wrong.into_iter().flatten().copied().collect::<Vec<u8>>();
        assert_eq!(apply(&bytes).unwrap_err().kind(), ErrorKind::Persistence);
    }
    // Changes are no whole, a whole no changes, and changes follow but once.
    refused(&changes, "a whole one expected");
    assert_eq!(apply(&base).unwrap_err().kind(), ErrorKind::Persistence);
    let mut twice = apply(&changes).unwrap();
    assert_eq!(
        twice.apply(changes.as_slice()).unwrap_err().kind(),
        ErrorKind::Persistence
    );
    let e = settings()
        .restore::<u32>(OTHER_DETECTOR.clone(), base.as_slice())
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StateMismatch);
}

/// Lengths that promise what does not come, with digests that fit.
#[test]
fn forged_lengths_take_no_memory() {
    let good = Parts::of(&snapshot(&FLEET));
    let sealed = good.sealed();
    let mut long_header = sealed.clone();
    long_header[12..16].copy_from_slice(&(1u32 << 20).to_le_bytes());
    refused(&long_header, "truncated");
    long_header[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&long_header, "a header of at most");
    let block = 16 + good.header.len() + 32;
    let mut long_block = sealed.clone();
    long_block[block + 1..block + 5].copy_from_slice(&(64u32 << 20).to_le_bytes());
    refused(&long_block, "truncated");
    long_block[block + 1..block + 5].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&long_block, "a block of at most");

    // In MessagePack: lists, maps, texts and bytes of four thousand million, as a machine and in one.
    for promise in [0xdd_u8, 0xdf, 0xdb, 0xc6] {
        let mut bytes = vec![promise];
        bytes.extend([0xff; 4]);
        for before in [&[][..], &[0x92], &[0x92, 0x01]] {
            let mut forged = good.clone();
            *forged.block(MACHINES) = [before, &bytes].concat();
            refused(&forged.sealed(), "cannot be read");
        }
        let mut forged = good.clone();
        forged.header = bytes;
        refused(&forged.sealed(), "header of a snapshot");
    }
    // Every list and map of the machines promises more than there is.
    let machines = good.clone().block(MACHINES).clone();
    for i in 0..machines.len() {
        let promise = match machines[i] {
            0x80..=0x8f => 0xdf_u8,
            0x90..=0x9f => 0xdd,
            0xa0..=0xbf => 0xdb,
            _ => continue,
        };
        let mut forged = good.clone();
        *forged.block(MACHINES) = [&machines[..i], &[promise], &[0xff; 4], &machines[i + 1..]].concat();
        let bytes = forged.sealed();
        let (result, held) = measured(|| restore(&bytes));
        // A byte of a number may look like a list.
        drop(result);
        assert!(held < 4_000_000, "{held} bytes held, at {i}");
    }
}

/// Contents that no fleet writes, with digests that fit.
#[test]
fn forged_contents_are_refused() {
    let good = Parts::of(&snapshot(&FLEET));
    let forged = |change: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        change(&mut parts);
        parts.sealed()
    };
    assert!(restore(&forged(&|_| {})).is_ok());
    refused(&forged(&|p| p.version = 2), "version");
    refused(&forged(&|p| p.version = 0), "version");
    refused(&forged(&|p| p.blocks[0].0 = 3), "block of kind");
    refused(&forged(&|p| p.block(END).truncate(7)), "another number of machines");
    refused(&forged(&|p| p.block(END)[0] += 1), "another number of machines");
    refused(
        &forged(&|p| p.blocks.insert(1, (LEFT, vec![5]))),
        "another number of machines",
    );
    let left = |p: &mut Parts| {
        p.blocks.insert(1, (LEFT, vec![5]));
        p.block(END)[0] += 1;
    };
    refused(&forged(&left), "machines that left in a whole one");
    let twice = |p: &mut Parts| {
        let machines = p.blocks[0].clone();
        p.blocks.insert(1, machines);
        p.block(END)[0] *= 2;
    };
    refused(&forged(&twice), "a machine twice");
    let number = |p: &mut Parts| p.header = with_number(&p.header, "number", 1);
    refused(&forged(&number), "number");
    let mut header = good.clone();
    header.header.push(0);
    refused(&header.sealed(), "header of a snapshot");

    // Counts at the end of their range: refused, or harmless.
    for (in_header, name) in [
        (true, "call"),
        (true, "number"),
        (false, "number"),
        (false, "rows"),
        (false, "charged"),
    ] {
        for value in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let bytes = forged(&|p| {
                if in_header {
                    p.header = with_number(&p.header, name, value);
                } else {
                    let machines = p.block(MACHINES);
                    *machines = with_number(machines, name, value);
                }
            });
            refused(&bytes, "counts");
        }
    }
}

/// A machine's bytes as an eviction gives them may be forged, too.
#[test]
fn forged_memories_of_machines_do_not_overflow() {
    let params = settings()
        .max_assets(1)
        .when_full(prognos::fleet::WhenFull::EvictLongestSilent);
    let mut fleet = built(params);
    push_all(&mut fleet, &sound_rows(2, 1));
    let (_, remembered) = crate::machines::evicted(fleet.events()).remove(0);
    for name in ["rows", "charged"] {
        let forged = with_number(&remembered, name, u64::MAX);
        assert_eq!(
            fleet.readmit(5, &forged).unwrap_err().kind(),
            ErrorKind::Persistence,
            "{name}"
        );
    }
    // Any altered byte is refused, or taken for a machine that can be stepped and written.
    let mut rng = Xoshiro256Plus::seed_from_u64(8);
    for _ in 0..2_000 {
        let mut altered = remembered.clone();
        let i = rng.gen_range(0..altered.len());
        altered[i] = rng.r#gen();
        let mut fleet = built(settings());
        let (result, held) = measured(|| fleet.readmit(5, &altered));
        assert!(held < 4_000_000, "{held} bytes held");
        if result.is_ok() {
            for k in 0..5 {
                let _ = fleet.push(&5, at(1_000 + k), &readings(5, 3));
            }
            snapshot(&fleet);
        }
    }
}

/// Changes that would bring more machines than the settings allow.
#[test]
fn changes_keep_to_the_bound_on_machines() {
    let mut fleet = built(settings());
    push_all(&mut fleet, &sound_rows(3, 2));
    let mut bounded: Fleet<u32> = settings()
        .max_assets(3)
        .restore(MODEL.clone(), snapshot(&fleet).as_slice())
        .unwrap();
    let mark = fleet.write_snapshot(std::io::sink()).unwrap();
    fleet.push(&7, at(0), &readings(7, 0)).unwrap();
    let mut changes = Vec::new();
    fleet.write_changes(&mark, &mut changes).unwrap();
    assert_eq!(
        bounded.apply(changes.as_slice()).unwrap_err().kind(),
        ErrorKind::InvalidParameter
    );
    assert_eq!(bounded.len(), 3);
    // One leaves and one comes: there is room.
    fleet.retire(&0).unwrap();
    let mut changes = Vec::new();
    fleet.write_changes(&mark, &mut changes).unwrap();
    bounded.apply(changes.as_slice()).unwrap();
    assert_eq!(memories(&bounded), memories(&fleet));
}

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden", name].iter().collect()
}

/// Rows `from..to` of three machines, by turns.
fn golden_rows(from: usize, to: usize) -> Vec<Row> {
    let row = |i: usize, asset: u32| Row {
        asset,
        time: at(i as i64),
        values: readings(asset, i).to_vec(),
    };
    (from..to)
        .flat_map(|i| (0..3).map(move |asset| row(i, asset)))
        .collect()
}

/// Score and remaining life of each row, by machine and instant.
fn next_scores(fleet: &mut Fleet<u32>) -> String {
    let mut text = String::new();
    let mut told = Vec::new();
    for row in golden_rows(30, 60) {
        push(fleet, &row);
        told.extend(fleet.released().to_vec());
    }
    fleet.advance(at(1_000)).unwrap();
    told.extend(fleet.released().to_vec());
    for r in told {
        let decision = r.outcome.ready().unwrap();
        let (condition, alarm) = (decision.condition(), decision.alarm().is_some());
        let (score, rul) = (condition.score.value, condition.rul.unwrap().rul);
        writeln!(text, "{},{},{score:.12e},{rul:.12e},{alarm}", r.asset, r.time.nanos()).unwrap();
    }
    text
}

/// Writes the golden files: `cargo test --test fleet -- --ignored first_fleet_is_written`.
#[test]
#[ignore = "writes files"]
fn first_fleet_is_written() {
    let mut fleet = built(settings().lateness(crate::machines::seconds(2.0)));
    push_all(&mut fleet, &golden_rows(0, 30));
    MODEL.save(golden("first_fleet.prognos")).unwrap();
    fs::write(golden("first_fleet.snapshot"), snapshot(&fleet)).unwrap();
    fs::write(golden("first_fleet.csv"), next_scores(&mut fleet)).unwrap();
}

/// A snapshot of version 1 of the layout goes on with the outcomes it would have had then.
#[test]
fn first_fleet_goes_on_as_it_would_have() {
    let model = Pipeline::load(golden("first_fleet.prognos")).unwrap();
    let bytes = fs::read(golden("first_fleet.snapshot")).unwrap();
    let params = settings().lateness(crate::machines::seconds(2.0));
    let mut fleet: Fleet<u32> = params.restore(model, bytes.as_slice()).unwrap();
    assert_eq!(fleet.len(), 3);
    assert_eq!(fleet.metrics().rows_held, 6);
    let now = next_scores(&mut fleet);
    let then = fs::read_to_string(golden("first_fleet.csv")).unwrap();
    assert_eq!(now.lines().count(), 96);
    assert_eq!(then.lines().count(), 96);
    for (now, then) in now.lines().zip(then.lines()) {
        let (now, then): (Vec<&str>, Vec<&str>) = (now.split(',').collect(), then.split(',').collect());
        assert_eq!((now[0], now[1], now[4]), (then[0], then[1], then[4]));
        for (a, b) in now[2..4].iter().zip(&then[2..4]) {
            let (a, b): (f64, f64) = (a.parse().unwrap(), b.parse().unwrap());
            // Twelve digits are written; platforms may fuse multiplications.
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{now:?}, then {then:?}");
        }
    }
}
