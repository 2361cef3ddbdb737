//! What the tests of waveform loaders share: damage to files, and files that are read.

use prognos::{Error, ErrorKind, Result};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde_json::Value;
use std::path::PathBuf;

#[track_caller]
pub fn refused<T>(result: Result<T>, kind: ErrorKind, words: &[&str]) -> Error {
    let Err(e) = result else {
        panic!("taken, not refused with {kind:?}")
    };
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
    e
}

/// `bytes` with one to six of: a bit flipped, a byte or a word replaced, bytes cut out, put in or repeated.
pub fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Xoshiro256Plus::seed_from_u64(seed);
    let mut out = bytes.to_vec();
    for _ in 0..random.gen_range(1..=6) {
        if out.is_empty() {
            break;
        }
        let at = random.gen_range(0..out.len());
        let end = out.len().min(at + random.gen_range(1..=32));
        match random.gen_range(0..7) {
            0 => out[at] ^= 1 << random.gen_range(0..8),
            1 => out[at] = [0, 1, 0x7F, 0x80, 0xFF][random.gen_range(0..5)],
            2 => {
                let word = [0_u32, 1, 4, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8, 0xFFFF_FFFF][random.gen_range(0..7)];
                for (b, w) in out[at..].iter_mut().zip(word.to_le_bytes()) {
                    *b = w;
                }
            }
            3 => out[at] = random.r#gen(),
            4 => drop(out.drain(at..end)),
            5 => {
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
            _ => {
                let noise: Vec<u8> = (at..end).map(|_| random.r#gen()).collect();
                out.splice(at..at, noise);
            }
        }
    }
    out
}

/// Random bytes, of which the first `kept.len()` are `kept`.
pub fn noise_after(kept: &[u8], n: usize, seed: u64) -> Vec<u8> {
    let mut random = Xoshiro256Plus::seed_from_u64(seed);
    let mut out = kept.to_vec();
    out.extend((0..n).map(|_| random.r#gen::<u8>()));
    out
}

/// The folder `set` of the recorded data; `None`, said on standard error, where `PROGNOS_DATA` is not set.
pub fn recorded(set: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("PROGNOS_DATA") else {
        eprintln!("skipped: PROGNOS_DATA is not set, the recordings of {set} are not read");
        return None;
    };
    let folder = PathBuf::from(root).join(set);
    assert!(folder.is_dir(), "{} is no folder", folder.display());
    Some(folder)
}

pub fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/waveforms.json")).unwrap()
}

/// Holds samples to their golden summary: the length and chosen samples exactly; sums as far as adding in another order
/// may differ, n roundings of the sum of absolute values.
#[track_caller]
pub fn is_as_summarised(x: &[f64], golden: &Value) {
    assert_eq!(x.len() as u64, golden["n"], "length");
    let places = golden["at"].as_array().unwrap().iter();
    for (at, value) in places.zip(golden["values"].as_array().unwrap()) {
        assert_eq!(
            x[at.as_u64().unwrap() as usize],
            value.as_str().unwrap().parse::<f64>().unwrap(),
            "sample {at}"
        );
    }
    let error = x.len() as f64 * f64::EPSILON;
    let size: f64 = x.iter().map(|v| v.abs()).sum();
    let sum: f64 = x.iter().sum();
    assert!(
        (sum - golden["sum"].as_f64().unwrap()).abs() <= error * size,
        "sum {sum}"
    );
    let squares: f64 = x.iter().map(|v| v * v).sum();
    let expected = golden["sum_of_squares"].as_f64().unwrap();
    assert!(
        (squares - expected).abs() <= error * expected,
        "sum of squares {squares}"
    );
}
