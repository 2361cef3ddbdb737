//! The score of the Numenta Anomaly Benchmark.

use super::ranking::expect_finite_scores;
use crate::{
    error::{Error, Result},
    quantity::Timestamp,
};
use std::{fmt, str::FromStr};

/// The share of a file's first rows that is not scored, in per cent, and the most rows that are not.
const PROBATION_PER_CENT: usize = 15;
const MAX_PROBATION: usize = 750;
/// Windows behind a window at which a false alarm costs all it can.
const FAR_BEHIND: f64 = 3.0;

/// What is to be avoided most.
///
/// ```
/// use prognos::evaluate::NabProfile;
/// assert_eq!(NabProfile::LowFalsePositives.weights().false_positive, 0.22);
/// assert_eq!("standard".parse::<NabProfile>()?, NabProfile::Standard);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NabProfile {
    /// A missed window costs 1, a false alarm at most 0.11.
    Standard,
    /// False alarms cost 0.22.
    LowFalsePositives,
    /// Missed windows cost 2.
    LowFalseNegatives,
}

/// What a profile counts an outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NabWeights {
    /// The most a window can earn.
    pub true_positive: f64,
    /// The most an alarm outside windows can cost.
    pub false_positive: f64,
    /// What a window without an alarm costs.
    pub false_negative: f64,
}

impl NabProfile {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Standard, Self::LowFalsePositives, Self::LowFalseNegatives];

    /// As the benchmark calls it: `standard`, `reward_low_FP_rate`, `reward_low_FN_rate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::LowFalsePositives => "reward_low_FP_rate",
            Self::LowFalseNegatives => "reward_low_FN_rate",
        }
    }

    /// What outcomes count in it.
    pub const fn weights(self) -> NabWeights {
        let (false_positive, false_negative) = match self {
            Self::Standard => (0.11, 1.0),
            Self::LowFalsePositives => (0.22, 1.0),
            Self::LowFalseNegatives => (0.11, 2.0),
        };
        NabWeights {
            true_positive: 1.0,
            false_positive,
            false_negative,
        }
    }
}

impl fmt::Display for NabProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NabProfile {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == s);
        let expected = "one of standard, reward_low_FP_rate, reward_low_FN_rate";
        found.ok_or_else(|| Error::parameter("profile", expected, format!("`{s}`")))
    }
}

/// How alarms on one file of `n` rows are scored: its windows of anomalies, and what an alarm in each row is worth.
///
/// With `s(x) = 2 / (1 + exp(5x)) - 1`, `A_tp`, `A_fp`, `A_fn` of [`NabWeights`], rows and windows counted in rows, the
/// score of a file is the sum of
/// - for each window of rows `a..=b`: `A_tp s(-(b - i + 1) / (b - a + 1)) / s(-1)` where `i` is its first row with an
///   alarm (so an alarm in its first row earns `A_tp`), or `-A_fn` without an alarm;
/// - for each alarm in a row `i` outside windows: `A_fp s((i - b) / (b - a))` with `a..=b` the last window before it, or
///   `-A_fp` before all windows, from three widths behind on, and behind a window of a single row.
///
/// The first `min(floor(0.15 n), 750)` rows are a probation in which a detector may learn: alarms there count nothing, and
/// a window wholly inside is none.
///
/// Source: A. Lavin, S. Ahmad, "Evaluating real-time anomaly detection algorithms - the Numenta Anomaly Benchmark", ICMLA
/// 2015, [doi:10.1109/ICMLA.2015.141](https://doi.org/10.1109/ICMLA.2015.141). The paper leaves open which row of a window
/// has which position; here as in the benchmark's public scorer, whose scores these equal.
///
/// ```
/// use prognos::evaluate::{NabFile, NabProfile, nab_normalised};
/// let file = NabFile::new(100, &[(40, 49)])?;
/// let mut scores = [0.0; 100];
/// assert_eq!(file.score(&scores, 0.5, NabProfile::Standard)?, -1.0); // missed
/// scores[40] = 0.9;
/// assert_eq!(file.score(&scores, 0.5, NabProfile::Standard)?, 1.0); // found at once
/// scores[20] = 0.9; // and a false alarm
/// let raw = file.score(&scores, 0.5, NabProfile::Standard)?;
/// assert_eq!(raw, 0.89);
/// assert!((nab_normalised(raw, file.n_windows(), NabProfile::Standard)? - 94.5).abs() < 1e-9);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NabFile {
    n_rows: usize,
    probation: usize,
    /// First and last row of each window that probation leaves.
    windows: Vec<(usize, usize)>,
    /// What an alarm in a row earns, before weights: above 0 in windows, at most 0 outside.
    worth: Vec<f64>,
    /// The window of each row, if any.
    window_of: Vec<Option<u32>>,
}

impl NabFile {
    /// Of a file of `n_rows` rows with anomalies in `windows`, each its first and last row, in order.
    ///
    /// # Errors
    /// `InsufficientData` without a row; `InvalidInput`, naming the window, where one ends before it starts, reaches
    /// beyond the rows, or does not start behind the one before.
    pub fn new(n_rows: usize, windows: &[(usize, usize)]) -> Result<Self> {
        if n_rows == 0 {
            return Err(Error::insufficient("file", "at least 1 row", 0));
        }
        let mut free = 0;
        for (k, &(first, last)) in windows.iter().enumerate() {
            if !(free <= first && first <= last && last < n_rows) {
                let expected = format!("first row <= last row, both in {free}..{n_rows}");
                return Err(Error::input(
                    &format!("window {k}"),
                    expected,
                    format!("{first}..={last}"),
                ));
            }
            free = last + 1;
        }
        // floor(0.15 n) without rounding: 0.15 is no binary fraction.
        let probation =
            (n_rows / 100 * PROBATION_PER_CENT + n_rows % 100 * PROBATION_PER_CENT / 100).min(MAX_PROBATION);
        let scored: Vec<_> = windows.iter().copied().filter(|w| w.1 >= probation).collect();
        let mut file = Self {
            n_rows,
            probation,
            windows: scored,
            worth: Vec::with_capacity(n_rows),
            window_of: Vec::with_capacity(n_rows),
        };
        file.weigh(windows);
        Ok(file)
    }

    fn weigh(&mut self, windows: &[(usize, usize)]) {
        let skipped = windows.len() - self.windows.len();
        let mut next = windows.iter().copied().enumerate().peekable();
        let mut before: Option<(usize, usize)> = None;
        for row in 0..self.n_rows {
            let (worth, window) = match next.peek() {
                Some(&(k, (first, last))) if first <= row => {
                    let position = (last - row + 1) as f64 / (last - first + 1) as f64;
                    if row == last {
                        before = Some((first, last));
                        next.next();
                    }
                    // Windows under probation come first, and their rows are not looked at.
                    let window = k.checked_sub(skipped).and_then(|k| u32::try_from(k).ok());
                    (sigmoid(-position) / sigmoid(-1.0), window)
                }
                _ => {
                    let behind = before.map(|(first, last)| (row - last) as f64 / (last - first) as f64);
                    (sigmoid(behind.unwrap_or(f64::INFINITY)), None)
                }
            };
            self.worth.push(worth);
            self.window_of.push(window);
        }
    }

    /// Of a file whose rows have these instants, with anomalies in `windows` of time, both ends among them.
    ///
    /// A window's first row is the first with the instant of its start; where no row has it, the first that is later. Its
    /// last row is the first with the instant of its end; where no row has it, the one before the first that is later.
    /// Instants may repeat and step back, as clocks do; hence each window costs a pass over the rows.
    ///
    /// # Errors
    /// As [`new`](Self::new), and `InvalidInput` for a window without a row.
    pub fn from_times(times: &[Timestamp], windows: &[(Timestamp, Timestamp)]) -> Result<Self> {
        let first_with = |instant| times.iter().position(|&t| t == instant);
        let first_later = |instant| times.iter().position(|&t| t > instant).unwrap_or(times.len());
        let mut rows = Vec::with_capacity(windows.len());
        for (k, &(start, end)) in windows.iter().enumerate() {
            let first = first_with(start).unwrap_or_else(|| first_later(start));
            let last = first_with(end).or_else(|| first_later(end).checked_sub(1));
            match last {
                Some(last) if first <= last && start <= end => rows.push((first, last)),
                _ => {
                    let got = format!("{start} to {end}");
                    return Err(Error::input(&format!("window {k}"), "a row inside", got));
                }
            }
        }
        Self::new(times.len(), &rows)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of first rows that are not scored.
    pub fn probation(&self) -> usize {
        self.probation
    }

    /// Number of windows that are scored.
    pub fn n_windows(&self) -> usize {
        self.windows.len()
    }

    /// First and last row of each window that is scored. The first may lie under probation.
    pub fn windows(&self) -> &[(usize, usize)] {
        &self.windows
    }

    /// The score of the alarms that `scores >= threshold` give. Linear in the rows.
    ///
    /// # Errors
    /// `InvalidInput` where there is not one score a row, or one is not finite; `InvalidParameter` for a threshold of NaN.
    pub fn score(&self, scores: &[f64], threshold: f64, profile: NabProfile) -> Result<f64> {
        self.expect_scores(scores)?;
        if threshold.is_nan() {
            return Err(Error::parameter("threshold", "a number", threshold));
        }
        Ok(self.total(scores.iter().map(|&s| s >= threshold), profile))
    }

    /// The score of given alarms, one entry a row.
    ///
    /// # Errors
    /// `InvalidInput` where there is not one entry a row.
    pub fn score_alarms(&self, alarms: &[bool], profile: NabProfile) -> Result<f64> {
        self.expect_rows("alarms", alarms.len())?;
        Ok(self.total(alarms.iter().copied(), profile))
    }

    fn total(&self, alarms: impl Iterator<Item = bool>, profile: NabProfile) -> f64 {
        let weights = profile.weights();
        let mut found = vec![false; self.windows.len()];
        let (mut earned, mut lost) = (0.0, 0.0);
        for ((alarm, &worth), window) in alarms.zip(&self.worth).zip(&self.window_of).skip(self.probation) {
            if !alarm {
                continue;
            }
            match window.and_then(|k| found.get_mut(k as usize)) {
                // Later alarms in a window are worth less.
                Some(seen) => {
                    earned += if *seen { 0.0 } else { weights.true_positive * worth };
                    *seen = true;
                }
                None => lost += weights.false_positive * worth,
            }
        }
        let missed = found.iter().filter(|&&seen| !seen).count();
        earned + lost - weights.false_negative * missed as f64
    }

    fn expect_scores(&self, scores: &[f64]) -> Result<()> {
        self.expect_rows("scores", scores.len())?;
        expect_finite_scores(scores)
    }

    fn expect_rows(&self, what: &str, got: usize) -> Result<()> {
        if got == self.n_rows {
            Ok(())
        } else {
            let expected = format!("{} rows as in the file", self.n_rows);
            Err(Error::input(&format!("`{what}`"), expected, got))
        }
    }
}

/// The scaled sigmoid: almost 1 a width before the window's end, 0 at it, -1 from [`FAR_BEHIND`] on.
fn sigmoid(position: f64) -> f64 {
    if position >= FAR_BEHIND {
        -1.0
    } else {
        2.0 / (1.0 + libm::exp(5.0 * position)) - 1.0
    }
}

/// The sum of raw scores over a corpus on a scale from 0, a detector that never raises an alarm, to 100, one that raises
/// one alarm in the first row of each window and no other: `100 (raw + A_fn n) / ((A_tp + A_fn) n)` for `n` windows. False
/// alarms make it negative.
///
/// # Errors
/// `InvalidInput` for a sum that is not finite; `InsufficientData` without a window.
pub fn nab_normalised(raw_sum: f64, n_windows: usize, profile: NabProfile) -> Result<f64> {
    if !raw_sum.is_finite() {
        return Err(Error::input("raw sum", "a finite number", raw_sum));
    }
    if n_windows == 0 {
        return Err(Error::insufficient("normalised score", "at least 1 window", 0));
    }
    let (weights, n) = (profile.weights(), n_windows as f64);
    let null = -weights.false_negative * n;
    Ok(100.0 * (raw_sum - null) / (weights.true_positive * n - null))
}

/// The threshold that suits a corpus best.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NabOptimum {
    /// A score is an alarm from here on; infinite where no alarm at all is best.
    pub threshold: f64,
    /// The sum of the files' scores with it.
    pub raw_sum: f64,
    /// [`nab_normalised`] of that.
    pub normalised: f64,
}

/// The one threshold for all files that gives the highest sum of scores, as the benchmark's table of results chooses it;
/// of equal ones the highest. It is tuned on what it is judged by: a figure to compare with that table, not a forecast.
///
/// `files` are pairs of a file and the scores of its rows. Cost: a sort of all rows.
///
/// ```
/// use prognos::evaluate::{NabFile, NabProfile, nab_best_threshold};
/// let file = NabFile::new(10, &[(4, 6)])?;
/// let scores = [0.0, 0.0, 0.3, 0.0, 0.8, 0.9, 0.1, 0.2, 0.0, 0.0];
/// let best = nab_best_threshold(&[(&file, &scores[..])], NabProfile::Standard)?;
/// assert_eq!((best.threshold, best.raw_sum, best.normalised), (0.8, 1.0, 100.0));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput`, naming the file by its place, where there is not one score a row, or one is not finite;
/// `InsufficientData` without a window in any file.
pub fn nab_best_threshold(files: &[(&NabFile, &[f64])], profile: NabProfile) -> Result<NabOptimum> {
    let weights = profile.weights();
    let mut rows = Vec::new();
    let mut n_windows = 0;
    for (place, &(file, scores)) in files.iter().enumerate() {
        file.expect_scores(scores)
            .map_err(|e| e.context(format!("file {place}")))?;
        let windows = scores.iter().zip(&file.worth).zip(&file.window_of).skip(file.probation);
        for ((&score, &worth), window) in windows {
            rows.push((score, worth, window.map(|k| n_windows + k as usize)));
        }
        n_windows += file.n_windows();
    }
    if n_windows == 0 {
        return Err(Error::insufficient("best threshold", "at least 1 window", 0));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));

    // What each window earns so far; a window that is found earns more as lower thresholds find it earlier.
    let mut earned: Vec<Option<f64>> = vec![None; n_windows];
    let mut raw = -weights.false_negative * n_windows as f64;
    let mut best = (f64::INFINITY, raw);
    let mut rows = rows.into_iter().peekable();
    while let Some((score, worth, window)) = rows.next() {
        match window.and_then(|k| earned.get_mut(k)) {
            Some(slot) => {
                let worth = weights.true_positive * worth;
                let before = slot.unwrap_or(-weights.false_negative);
                let after = slot.map_or(worth, |s| s.max(worth));
                raw += after - before;
                *slot = Some(after);
            }
            None => raw += weights.false_positive * worth,
        }
        // A threshold takes all rows of its score; 0 and -0 are one.
        if rows.peek().is_none_or(|next| next.0 != score) && raw > best.1 {
            best = (score, raw);
        }
    }
    // The running sum has rounded once a row; the score is summed anew.
    let mut raw_sum = 0.0;
    for &(file, scores) in files {
        raw_sum += file.total(scores.iter().map(|&s| s >= best.0), profile);
    }
    Ok(NabOptimum {
        threshold: best.0,
        raw_sum,
        normalised: nab_normalised(raw_sum, n_windows, profile)?,
    })
}
