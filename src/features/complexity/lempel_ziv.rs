//! Lempel-Ziv complexity.

use crate::error::{Error, Result};

/// Windows longer than this have no complexity here: the work may grow with their square.
const MOST_SAMPLES: usize = 1 << 17;

/// Lempel-Ziv complexity of the signal as ones above its median and zeros elsewhere.
///
/// The sequence is read from left to right into the fewest words of which each is the shortest that did not occur before
/// (LZ76, by the scan of Kaspar and Schuster); with `c` words, `c log₂ n / n`. About 1 for noise, near 0 for regular
/// signals.
///
/// NaN for a window shorter than 2 or longer than 2^17 samples, or with NaN in it.
///
/// # Cost
/// `O(n²)` at worst, `O(n²/ log n)` for noise.
///
/// Sources: Lempel & Ziv (1976), <https://doi.org/10.1109/TIT.1976.1055501>; Kaspar & Schuster (1987),
/// <https://doi.org/10.1103/PhysRevA.36.842>.
///
/// ```
/// use prognos::features::complexity::LempelZiv;
/// let lz = LempelZiv;
/// let square: Vec<f64> = (0..256).map(|i| f64::from(i % 2)).collect();
/// assert_eq!(lz.value(&square, &mut lz.new_scratch()), 3.0 * 8.0 / 256.0); // 0 | 1 | 010101..
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LempelZiv;

/// Work space of one thread for [`LempelZiv`]; it grows to the longest window.
#[derive(Clone, Debug, Default)]
pub struct LempelZivScratch {
    sorted: Vec<f64>,
    symbols: Vec<bool>,
}

impl LempelZiv {
    /// Work space for one thread.
    pub fn new_scratch(&self) -> LempelZivScratch {
        LempelZivScratch::default()
    }

    /// The complexity of a window.
    pub fn value(&self, x: &[f64], scratch: &mut LempelZivScratch) -> f64 {
        if !(2..=MOST_SAMPLES).contains(&x.len()) || x.iter().any(|v| v.is_nan()) {
            return f64::NAN;
        }
        let LempelZivScratch { sorted, symbols } = scratch;
        sorted.clear();
        sorted.extend_from_slice(x);
        let n = x.len();
        let (below, &mut upper, _) = sorted.select_nth_unstable_by(n / 2, f64::total_cmp);
        let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let median = if n.is_multiple_of(2) {
            0.5 * lower + 0.5 * upper
        } else {
            upper
        };
        symbols.clear();
        symbols.extend(x.iter().map(|v| *v > median));
        words(symbols) as f64 * libm::log2(n as f64) / n as f64
    }

    /// The number of words of a sequence of symbols.
    ///
    /// # Errors
    /// `InvalidInput` above 2^17 symbols.
    pub fn words(&self, symbols: &[bool]) -> Result<usize> {
        if symbols.len() > MOST_SAMPLES {
            return Err(Error::input(
                "symbols",
                format!("at most {MOST_SAMPLES}"),
                symbols.len(),
            ));
        }
        Ok(words(symbols))
    }
}

fn words(s: &[bool]) -> usize {
    let (mut count, mut start) = (0, 0);
    while start < s.len() {
        // The longest stretch from `start` that also begins somewhere before it.
        let rest = s.get(start..).unwrap_or_default();
        let alike = |from: usize| s.iter().skip(from).zip(rest).take_while(|(a, b)| a == b).count();
        let longest = (0..start).map(alike).max().unwrap_or(0);
        count += 1;
        start += longest + 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_papers() {
        let bits = |s: &str| s.chars().map(|c| c == '1').collect::<Vec<_>>();
        // Kaspar and Schuster's example: 0 | 001 | 10 | 100 | 1000 | 101
        assert_eq!(LempelZiv.words(&bits("0001101001000101")).unwrap(), 6);
        assert_eq!(LempelZiv.words(&bits("0000000000")).unwrap(), 2);
        assert_eq!(LempelZiv.words(&[]).unwrap(), 0);
        assert!(LempelZiv.words(&vec![true; MOST_SAMPLES + 1]).is_err());
        let mut s = LempelZiv.new_scratch();
        assert!(LempelZiv.value(&[], &mut s).is_nan() && LempelZiv.value(&[1.0, f64::NAN], &mut s).is_nan());
        assert_eq!(LempelZiv.value(&[5.0; 16], &mut s), 2.0 * 4.0 / 16.0);
    }
}
