//! Whether a channel's samples can be trusted: gaps, frozen values, clipping, spikes, impossible values.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Samples on either side that a spike must stand out from.
const REACH: usize = 8;
/// Samples at the end that are not judged, as an impact may just have begun.
const UNJUDGED: usize = 4;
/// How many times higher a spike is than those.
const PROMINENCE: f64 = 4.0;
/// Fewer steps than these between least and greatest value, and a plateau is none of a crest's.
const MIN_STEPS: f64 = 8.0;
/// `1 / Φ⁻¹(3/4)` and `√(π / 2)`: what makes the median and the mean deviation of Gaussian noise its standard deviation.
const MAD_TO_SD: f64 = 1.482_602_218_505_602;
const MEAN_TO_SD: f64 = 1.253_314_137_315_500_1;

/// One thing wrong with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QualityFlag {
    /// Fewer samples than asked for.
    TooShort,
    /// Too many samples are NaN or infinite.
    Missing,
    /// Values stand still for too long.
    Flatline,
    /// Values are held at the ends of the range.
    Clipped,
    /// One or two samples stand far out, alone.
    Spikes,
    /// Values lie outside the physical limits.
    OutOfRange,
}

impl QualityFlag {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::TooShort,
        Self::Missing,
        Self::Flatline,
        Self::Clipped,
        Self::Spikes,
        Self::OutOfRange,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::TooShort => "too short",
            Self::Missing => "missing samples",
            Self::Flatline => "flatline",
            Self::Clipped => "clipped",
            Self::Spikes => "spikes",
            Self::OutOfRange => "out of range",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`QualityFlag`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<QualityFlag>", into = "Vec<QualityFlag>")]
pub struct QualityFlags(u8);

impl QualityFlags {
    /// Whether `flag` is set.
    pub fn contains(self, flag: QualityFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// No flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those set, in order.
    pub fn iter(self) -> impl Iterator<Item = QualityFlag> {
        QualityFlag::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<QualityFlag> for QualityFlags {
    fn from_iter<I: IntoIterator<Item = QualityFlag>>(flags: I) -> Self {
        Self(flags.into_iter().fold(0, |bits, f| bits | f.bit()))
    }
}

impl From<Vec<QualityFlag>> for QualityFlags {
    fn from(flags: Vec<QualityFlag>) -> Self {
        flags.into_iter().collect()
    }
}

impl From<QualityFlags> for Vec<QualityFlag> {
    fn from(flags: QualityFlags) -> Self {
        flags.iter().collect()
    }
}

impl fmt::Display for QualityFlags {
    /// `missing samples, spikes`; `none` where none is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, flag) in self.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { ", " } else { "" }, flag.name())?;
        }
        Ok(())
    }
}

/// What was found in one channel of one window. Counts are of samples, out of `n_samples`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelQuality {
    /// Samples looked at.
    pub n_samples: usize,
    /// NaN or infinite.
    pub n_missing: usize,
    /// Within runs of equal values that are long enough to count; all that are not missing where they are all equal and more
    /// than one.
    pub n_flat: usize,
    /// The longest run of equal values.
    pub longest_run: usize,
    /// Held at the least or greatest value, or at full scale.
    pub n_clipped: usize,
    /// Spikes, each one or two samples wide.
    pub n_spikes: usize,
    /// Outside the physical limits.
    pub n_out_of_range: usize,
    /// What exceeds the settings.
    pub flags: QualityFlags,
}

impl ChannelQuality {
    /// No flag is set.
    pub fn is_usable(&self) -> bool {
        self.flags.is_empty()
    }

    /// `n_missing` over all samples; 1 without samples.
    pub fn missing_share(&self) -> f64 {
        self.share(self.n_missing, 1.0)
    }

    /// `n_flat` over all samples; 0 without samples.
    pub fn flat_share(&self) -> f64 {
        self.share(self.n_flat, 0.0)
    }

    /// `n_clipped` over all samples; 0 without samples.
    pub fn clipped_share(&self) -> f64 {
        self.share(self.n_clipped, 0.0)
    }

    /// `n_out_of_range` over all samples; 0 without samples.
    pub fn out_of_range_share(&self) -> f64 {
        self.share(self.n_out_of_range, 0.0)
    }

    fn share(&self, n: usize, of_none: f64) -> f64 {
        match self.n_samples {
            0 => of_none,
            all => n as f64 / all as f64,
        }
    }
}

/// Settings of a [`QualityCheck`]; the defaults are for windows of vibration.
///
/// | setting | flags | default |
/// |---|---|---|
/// | `min_samples` | fewer samples | 2 |
/// | `max_missing_share` | a larger share NaN or infinite | 0.01 |
/// | `flat_run`, `max_flat_share` | a larger share in runs of at least so many equal values | 10, 0.1 |
/// | `clip_run`, `max_clipped_share` | a larger share in runs of so many samples at the least or greatest value | 3, 0.001 |
/// | `full_scale` | instead: a larger share than `max_clipped_share` at or beyond ± this | none |
/// | `spike_sigmas`, `max_spikes` | more spikes, each beyond so many robust standard deviations | 12, 0 |
/// | `range`, `max_out_of_range_share` | a larger share outside these limits | none, 0 |
///
/// Slow telemetry stands still by nature, and a switch lies at its ends: set `max_flat_share` or `max_clipped_share` to 1 there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct QualityParams {
    min_samples: usize,
    max_missing_share: f64,
    flat_run: usize,
    max_flat_share: f64,
    clip_run: usize,
    max_clipped_share: f64,
    full_scale: Option<f64>,
    spike_sigmas: f64,
    max_spikes: usize,
    range: Option<(f64, f64)>,
    max_out_of_range_share: f64,
}

impl Default for QualityParams {
    fn default() -> Self {
        Self {
            min_samples: 2,
            max_missing_share: 0.01,
            flat_run: 10,
            max_flat_share: 0.1,
            clip_run: 3,
            max_clipped_share: 0.001,
            full_scale: None,
            spike_sigmas: 12.0,
            max_spikes: 0,
            range: None,
            max_out_of_range_share: 0.0,
        }
    }
}

impl QualityParams {
    /// The fewest samples that are enough.
    pub fn min_samples(mut self, n: usize) -> Self {
        self.min_samples = n;
        self
    }

    /// The largest share of missing samples that is usable.
    pub fn max_missing_share(mut self, share: f64) -> Self {
        self.max_missing_share = share;
        self
    }

    /// The shortest run of equal values that counts as flat.
    pub fn flat_run(mut self, n_samples: usize) -> Self {
        self.flat_run = n_samples;
        self
    }

    /// The largest flat share that is usable.
    pub fn max_flat_share(mut self, share: f64) -> Self {
        self.max_flat_share = share;
        self
    }

    /// The shortest run at the least or greatest value that counts as clipped.
    pub fn clip_run(mut self, n_samples: usize) -> Self {
        self.clip_run = n_samples;
        self
    }

    /// The largest clipped share that is usable.
    pub fn max_clipped_share(mut self, share: f64) -> Self {
        self.max_clipped_share = share;
        self
    }

    /// The magnitude at which the sensor or converter ends: samples at or beyond it are clipped, others are not.
    pub fn full_scale(mut self, magnitude: f64) -> Self {
        self.full_scale = Some(magnitude);
        self
    }

    /// How many robust standard deviations a spike has at least.
    pub fn spike_sigmas(mut self, n: f64) -> Self {
        self.spike_sigmas = n;
        self
    }

    /// The most spikes that are usable.
    pub fn max_spikes(mut self, n: usize) -> Self {
        self.max_spikes = n;
        self
    }

    /// The least and greatest values that are possible.
    pub fn range(mut self, least: f64, greatest: f64) -> Self {
        self.range = Some((least, greatest));
        self
    }

    /// The largest share of impossible values that is usable.
    pub fn max_out_of_range_share(mut self, share: f64) -> Self {
        self.max_out_of_range_share = share;
        self
    }

    /// The check.
    ///
    /// # Errors
    /// `InvalidParameter` unless shares lie in 0..=1, runs are of at least 2 samples, sigmas and full scale finite and above
    /// zero, and limits finite and rising.
    pub fn build(self) -> Result<QualityCheck> {
        for (name, share) in [
            ("max_missing_share", self.max_missing_share),
            ("max_flat_share", self.max_flat_share),
            ("max_clipped_share", self.max_clipped_share),
            ("max_out_of_range_share", self.max_out_of_range_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::parameter(name, "in 0..=1", share));
            }
        }
        for (name, run) in [("flat_run", self.flat_run), ("clip_run", self.clip_run)] {
            if run < 2 {
                return Err(Error::parameter(name, "at least 2 samples", run));
            }
        }
        let full_scale = self.full_scale.unwrap_or(1.0);
        for (name, value) in [("spike_sigmas", self.spike_sigmas), ("full_scale", full_scale)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::parameter(name, "finite and above 0", value));
            }
        }
        if let Some((least, greatest)) = self.range
            && !(least.is_finite() && greatest.is_finite() && least < greatest)
        {
            let got = format!("{least} and {greatest}");
            return Err(Error::parameter("range", "two finite limits, rising", got));
        }
        Ok(QualityCheck { params: self })
    }
}

/// A check of windows for what makes samples useless, channel by channel. It judges samples, not machines: a fault must not
/// set a flag.
///
/// **Missing** samples are NaN or infinite; all else is judged without them, and they end runs.
///
/// **Flat** samples lie in runs of at least `flat_run` equal values. Noise of some units of the
/// converter changes sooner.
///
/// **Clipped** samples lie in runs of at least `clip_run` at the window's least or greatest value, which a signal that turns
/// on its own touches for one sample or two. A slow crest in steps of the converter is no clipping: as far again beyond a
/// run's end as from its middle, a parabola has fallen by at most four steps, `(1 + k / h)²` at `k` samples with `h` half the
/// run. A run counts where the signal has fallen further on either side, or where there is nothing beside it. A step is the
/// least difference between neighbours; between fewer than eight steps any run counts. So a wave cut by two steps or more is
/// clipped. A constant is flat, not clipped. Where the full scale is known, samples at or beyond it are clipped, and no others.
///
/// **Spikes** are one or two samples that stand out alone. With `r[i] = x[i] - median(x[i-2 ..= i+2])` (at the ends the
/// nearest five samples) and `σ = 1.4826 median |r|`, a spike has `|r| > spike_sigmas σ`. Where that median is 0, as in a
/// reading that mostly stands still, `σ` is `√(π/2) mean |r|`, and at least the smallest `|r|` above 0 where more than two are:
/// a value that flickers by a step of its converter, now and then, has no spikes, while one sample or two alone are one.
/// Of the eight samples on either side, all but one beside it lie nearer to its median than a quarter of its `|r|`. So an
/// impact, whose ring lasts three samples or more, is no spike, nor is a step or the crest of a wave. Not found are spikes
/// eight samples apart or less, which hide each other, those below four times what the signal changes by itself within nine
/// samples, and those in the last four, where an impact may just have begun. Gaussian noise exceeds 12 σ in fewer than one of
/// 10¹³ samples. Five samples are needed.
///
/// # Cost
/// One pass for all but spikes, which take another with a median of five, and a selection; `O(n)`. Nothing is allocated after
/// the first call of that length.
///
/// Source: Hampel (1974), <https://doi.org/10.1080/01621459.1974.10482962>, for the deviation; the rules are this crate's.
///
/// ```
/// use prognos::signal::{QualityCheck, QualityFlag};
/// let check = QualityCheck::params().range(-50.0, 50.0).build()?;
/// let mut x: Vec<f64> = (0..1000).map(|i| 3.0 * (0.3 * f64::from(i)).sin()).collect();
/// assert!(check.assess(&x, &mut check.new_scratch()).is_usable());
/// x[500] = 60.0;
/// let quality = check.assess(&x, &mut check.new_scratch());
/// assert_eq!(quality.flags.iter().collect::<Vec<_>>(), [QualityFlag::Spikes, QualityFlag::OutOfRange]);
/// assert_eq!((quality.n_spikes, quality.flags.to_string().as_str()), (1, "spikes, out of range"));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "QualityParams", into = "QualityParams")]
pub struct QualityCheck {
    params: QualityParams,
}

/// Work space of one thread for a [`QualityCheck`].
#[derive(Clone, Debug, Default)]
pub struct QualityScratch {
    deviations: Vec<f64>,
    selected: Vec<f64>,
}

/// Equal values in a row, and what was seen of the ends of the range.
#[derive(Default)]
struct Runs {
    value: f64,
    length: usize,
    n_values: usize,
    /// The least difference between neighbours; 0 where none differ.
    step: f64,
    longest: usize,
    n_flat: usize,
    least: Option<(f64, usize)>,
    greatest: Option<(f64, usize)>,
}

impl Runs {
    fn end(&mut self, params: &QualityParams) {
        let (v, n) = (self.value, std::mem::take(&mut self.length));
        if n == 0 {
            return;
        }
        self.longest = self.longest.max(n);
        self.n_flat += if n >= params.flat_run { n } else { 0 };
        let held = if n >= params.clip_run { n } else { 0 };
        for (end, sign) in [(&mut self.least, -1.0), (&mut self.greatest, 1.0)] {
            match end {
                Some((e, n)) if v == *e => *n += held,
                Some((e, _)) if sign * v < sign * *e => {}
                _ => *end = Some((v, held)),
            }
        }
    }
}

impl QualityCheck {
    /// Settings with their defaults.
    pub fn params() -> QualityParams {
        QualityParams::default()
    }

    /// The settings.
    pub fn settings(&self) -> QualityParams {
        self.params
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> QualityScratch {
        QualityScratch::default()
    }

    /// The quality of one channel.
    pub fn assess(&self, x: &[f64], scratch: &mut QualityScratch) -> ChannelQuality {
        let p = &self.params;
        let mut q = ChannelQuality {
            n_samples: x.len(),
            ..ChannelQuality::default()
        };
        let mut runs = Runs::default();
        for &v in x {
            if !v.is_finite() {
                q.n_missing += 1;
                runs.end(p);
                continue;
            }
            if runs.length == 0 || v != runs.value {
                if runs.length > 0 {
                    let step = (v - runs.value).abs();
                    runs.step = if runs.step > 0.0 { runs.step.min(step) } else { step };
                }
                runs.end(p);
                runs.value = v;
            }
            runs.length += 1;
            runs.n_values += 1;
            q.n_clipped += usize::from(p.full_scale.is_some_and(|f| v.abs() >= f));
            q.n_out_of_range += usize::from(p.range.is_some_and(|(lo, hi)| v < lo || v > hi));
        }
        runs.end(p);
        q.longest_run = runs.longest;
        q.n_flat = runs.n_flat;
        if let (Some((least, n_least)), Some((greatest, n_greatest))) = (runs.least, runs.greatest) {
            if least == greatest && runs.n_values > 1 {
                q.n_flat = runs.n_values;
            } else if least < greatest && p.full_scale.is_none() {
                q.n_clipped = match n_least + n_greatest {
                    0 => 0,
                    n if runs.step * MIN_STEPS > greatest - least => n,
                    _ => held(x, (least, greatest), runs.step, p.clip_run),
                };
            }
            if least < greatest {
                q.n_spikes = self.spikes(x, scratch);
            }
        }
        let is_still = q.n_flat > 0 && q.n_flat == runs.n_values;
        let set = [
            (QualityFlag::TooShort, q.n_samples < p.min_samples),
            (QualityFlag::Missing, q.missing_share() > p.max_missing_share),
            (
                QualityFlag::Flatline,
                q.flat_share() > p.max_flat_share || (is_still && p.max_flat_share < 1.0),
            ),
            (QualityFlag::Clipped, q.clipped_share() > p.max_clipped_share),
            (QualityFlag::Spikes, q.n_spikes > p.max_spikes),
            (
                QualityFlag::OutOfRange,
                q.out_of_range_share() > p.max_out_of_range_share,
            ),
        ];
        q.flags = set
            .into_iter()
            .filter_map(|(flag, is_set)| is_set.then_some(flag))
            .collect();
        q
    }

    /// Writes the quality of each channel of a window, or of a recording by its
    /// [`slices`](super::Recording::slices).
    ///
    /// # Errors
    /// `InvalidInput` where `out` has not one place a channel; it is unchanged then.
    pub fn assess_window_into(
        &self,
        window: &[&[f64]],
        scratch: &mut QualityScratch,
        out: &mut [ChannelQuality],
    ) -> Result<()> {
        if out.len() != window.len() {
            let expected = format!("one for each of {} channels", window.len());
            return Err(Error::input("places of qualities", expected, out.len()));
        }
        for (o, x) in out.iter_mut().zip(window) {
            *o = self.assess(x, scratch);
        }
        Ok(())
    }

    /// The quality of each channel of a window, in memory of its own.
    ///
    /// ```
    /// # use prognos::signal::QualityCheck;
    /// let check = QualityCheck::params().build()?;
    /// let quality = check.assess_window(&[&[1.0, 2.0, 1.5], &[0.0, 0.0, 0.0]]);
    /// assert!(quality[0].is_usable() && !quality[1].is_usable());
    /// # Ok::<(), prognos::Error>(())
    /// ```
    pub fn assess_window(&self, window: &[&[f64]]) -> Vec<ChannelQuality> {
        let mut scratch = self.new_scratch();
        window.iter().map(|x| self.assess(x, &mut scratch)).collect()
    }

    fn spikes(&self, x: &[f64], scratch: &mut QualityScratch) -> usize {
        let QualityScratch { deviations, selected } = scratch;
        deviations.clear();
        deviations.extend(x.iter().enumerate().map(|(i, v)| match v.is_finite() {
            true => (v - local_median(x, i)).abs(),
            false => f64::NAN,
        }));
        let sigma = deviation_to_sd(deviations, selected);
        let threshold = self.params.spike_sigmas * sigma;
        if threshold.is_nan() {
            return 0;
        }
        let judged = deviations
            .iter()
            .enumerate()
            .take(deviations.len().saturating_sub(UNJUDGED));
        let candidates = judged.filter(|(_, r)| **r > threshold);
        candidates.filter(|(i, r)| is_spike(x, deviations, *i, **r)).count()
    }
}

/// Whether sample `i`, or it and one beside it, stands out from all others around.
fn is_spike(x: &[f64], deviations: &[f64], i: usize, r: f64) -> bool {
    let median = local_median(x, i);
    let mut n_beside = 0;
    let around = x.iter().zip(deviations).enumerate().take(i + REACH + 1);
    let around = around.skip(i.saturating_sub(REACH));
    for (k, (v, &deviation)) in around.filter(|(k, (v, _))| *k != i && v.is_finite()) {
        let is_beside = k.abs_diff(i) == 1;
        // Of two that are equal the first is the spike.
        if is_beside && (deviation > r || (deviation == r && k < i)) {
            return false;
        }
        if PROMINENCE * (v - median).abs() >= r {
            n_beside += 1;
            if !is_beside || n_beside > 1 {
                return false;
            }
        }
    }
    true
}

/// The median of five samples around `i`, at the ends of the nearest five; NaN where fewer than three are finite.
fn local_median(x: &[f64], i: usize) -> f64 {
    let first = i.saturating_sub(2).min(x.len().saturating_sub(5));
    let five = x.get(first..).and_then(|w| w.first_chunk::<5>());
    five.map_or(f64::NAN, |w| median_of_5(*w))
}

/// The robust standard deviation of deviations, NaN left out; NaN where there are none.
fn deviation_to_sd(deviations: &[f64], selected: &mut Vec<f64>) -> f64 {
    selected.clear();
    selected.extend(deviations.iter().filter(|d| !d.is_nan()));
    let n = selected.len();
    if n == 0 {
        return f64::NAN;
    }
    let (_, &mut median, _) = selected.select_nth_unstable_by(n / 2, f64::total_cmp);
    if median > 0.0 {
        return MAD_TO_SD * median;
    }
    let sd = MEAN_TO_SD * selected.iter().map(|d| d / n as f64).sum::<f64>();
    let mut n_above = 0;
    let least = selected.iter().filter(|d| **d > 0.0).fold(f64::INFINITY, |least, d| {
        n_above += 1;
        least.min(*d)
    });
    if n_above > 2 { sd.max(least) } else { sd }
}

/// Samples in runs of at least `clip_run` at either end of the range that are no crests in steps of `step`.
fn held(x: &[f64], (least, greatest): (f64, f64), step: f64, clip_run: usize) -> usize {
    let (mut n_held, mut i) = (0, 0);
    let (mut before, mut rest): (&[f64], _) = (&[], x);
    while let Some(&v) = rest.first() {
        let n = rest.iter().take_while(|u| **u == v).count().max(1);
        i += n;
        let (_, after) = rest.split_at(n);
        if n >= clip_run && (v == least || v == greatest) && !is_crest(before, v, n, after, step) {
            n_held += n;
        }
        (before, rest) = (x.get(..i).unwrap_or(x), after);
    }
    n_held
}

/// Whether what lies before and after a run of `n` samples `v` is what a parabola allows that a converter of `step` has cut.
fn is_crest(before: &[f64], v: f64, n: usize, after: &[f64], step: f64) -> bool {
    let half = 0.5 * (n as f64 - 1.0);
    let reach = ((n - 1) / 2).max(1);
    let mut fallen = None;
    let mut look = |side: &mut dyn Iterator<Item = &f64>| {
        if let Some((k, u)) = side.take(reach).take_while(|u| u.is_finite()).enumerate().last() {
            let ratio = 1.0 + (k + 1) as f64 / half;
            // A thousandth for steps that are rounded.
            let is_less = (u - v).abs() <= 1.001 * step * ratio * ratio;
            fallen = Some(fallen.unwrap_or(true) && is_less);
        }
    };
    look(&mut before.iter().rev());
    look(&mut after.iter());
    fallen.unwrap_or(false)
}

/// The median of those that are finite; NaN for fewer than three.
fn median_of_5(mut w: [f64; 5]) -> f64 {
    let n = w.iter().filter(|v| v.is_finite()).count();
    if n == 5 {
        let [a, b, c, d, e] = w;
        // The least and the greatest of four cannot be the median of five.
        let (lo, hi) = (a.min(b), a.max(b));
        let (lo2, hi2) = (c.min(d), c.max(d));
        let (x, y) = (lo.max(lo2), hi.min(hi2));
        return x.min(y).max(x.max(y).min(e));
    }
    if n < 3 {
        return f64::NAN;
    }
    w.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = f64::INFINITY);
    w.sort_unstable_by(f64::total_cmp);
    let at = |i: usize| w.get(i).copied().unwrap_or(f64::NAN);
    if n == 3 { at(1) } else { 0.5 * at(1) + 0.5 * at(2) }
}

impl TryFrom<QualityParams> for QualityCheck {
    type Error = Error;
    fn try_from(params: QualityParams) -> Result<Self> {
        params.build()
    }
}

impl From<QualityCheck> for QualityParams {
    fn from(check: QualityCheck) -> Self {
        check.params
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use QualityFlag::*;
    use proptest::prelude::*;

    fn assess(check: QualityParams, x: &[f64]) -> ChannelQuality {
        check.build().unwrap().assess(x, &mut QualityScratch::default())
    }

    fn flags(check: QualityParams, x: &[f64]) -> Vec<QualityFlag> {
        assess(check, x).flags.iter().collect()
    }

    /// Even noise in -0.5..0.5, by a full period of a generator modulo a prime.
    fn noise(n: i64) -> Vec<f64> {
        (1..=n)
            .map(|i| (i * i * i * 48_271 % 65_537) as f64 / 65_537.0 - 0.5)
            .collect()
    }

    fn sine(n: usize, step: f64) -> Vec<f64> {
        (0..n).map(|i| (step * i as f64).sin()).collect()
    }

    proptest! {
        #[test]
        fn counts_are_those_of_naive_runs(x in prop::collection::vec(prop_oneof![6 => 0..4_i32, 1 => Just(9)], 0..80), run in 2..6_usize) {
            let x: Vec<f64> = x.into_iter().map(|v| if v == 9 { f64::NAN } else { f64::from(v) }).collect();
            let q = assess(QualityCheck::params().flat_run(run).clip_run(run).range(0.5, 2.5), &x);
            let finite: Vec<f64> = x.iter().copied().filter(|v| v.is_finite()).collect();
            let (least, greatest) = finite.iter().fold((9.0_f64, -9.0_f64), |(l, g), v| (l.min(*v), g.max(*v)));
            let (mut flat, mut clipped, mut longest, mut i) = (0, 0, 0, 0);
            while i < x.len() {
                let n = x[i..].iter().take_while(|v| **v == x[i]).count();
                let end = x[i] == least || x[i] == greatest;
                longest = longest.max(n);
                flat += if n >= run { n } else { 0 };
                clipped += if n >= run && end && least < greatest { n } else { 0 };
                i += n.max(1);
            }
            if least == greatest && finite.len() > 1 { flat = finite.len(); }
            prop_assert_eq!((q.n_samples, q.n_missing), (x.len(), x.len() - finite.len()));
            prop_assert_eq!((q.n_flat, q.n_clipped, q.longest_run), (flat, clipped, longest));
            prop_assert_eq!(q.n_out_of_range, finite.iter().filter(|v| **v == 0.0 || **v == 3.0).count());
        }

        #[test]
        fn medians_of_five_are_those_of_sorting(w in prop::array::uniform5(prop_oneof![4 => -3..3_i32, 1 => Just(9)])) {
            let w = w.map(|v| if v == 9 { f64::INFINITY } else { f64::from(v) });
            let mut sorted: Vec<f64> = w.iter().copied().filter(|v| v.is_finite()).collect();
            sorted.sort_by(f64::total_cmp);
            let n = sorted.len();
            let got = median_of_5(w);
            let is_median = n >= 3 && got == 0.5 * sorted[(n - 1) / 2] + 0.5 * sorted[n / 2];
            prop_assert!(is_median || (n < 3 && got.is_nan()), "{got}");
        }

        #[test]
        fn nothing_panics_and_counts_are_bounded(x in prop::collection::vec(any::<f64>(), 0..60)) {
            let q = assess(QualityCheck::params(), &x);
            prop_assert!([q.n_missing, q.n_flat, q.n_clipped, q.n_spikes, q.longest_run].iter().all(|n| *n <= x.len()));
        }

        /// What is infinite is missing, as NaN is, and nothing else.
        #[test]
        fn infinities_are_as_nan(gaps in prop::collection::vec((0..200_usize, any::<bool>()), 0..20), spikes in prop::collection::vec(0..200_usize, 0..3)) {
            let mut x = noise(200);
            for at in spikes {
                x[at] += 100.0;
            }
            let mut with_nan = x.clone();
            for &(at, is_above) in &gaps {
                x[at] = if is_above { f64::INFINITY } else { f64::NEG_INFINITY };
                with_nan[at] = f64::NAN;
            }
            prop_assert_eq!(assess(QualityCheck::params(), &x), assess(QualityCheck::params(), &with_nan));
        }

        /// One or two samples far out are found wherever they are judged, and counted once.
        #[test]
        fn spikes_are_found_anywhere(at in 0..995_usize, two in any::<bool>(), height in prop_oneof![-1e6..-10.0_f64, 10.0..1e6_f64], second in 0.3..1.0_f64) {
            let mut x = noise(1000);
            x[at] += height;
            if two {
                x[at + 1] += height * second;
            }
            let q = assess(QualityCheck::params(), &x);
            prop_assert_eq!((q.n_spikes, q.flags), (1, [Spikes].into_iter().collect()));
        }
    }

    #[test]
    fn good_signals_have_no_flag() {
        let mixed: Vec<f64> = noise(2000)
            .iter()
            .zip(sine(2000, 0.01))
            .map(|(n, s)| 0.1 * n + s)
            .collect();
        let steps = [vec![0.0; 9], vec![5.0; 9]].concat();
        let steps: Vec<f64> = steps
            .iter()
            .cycle()
            .take(1800)
            .zip(noise(1800))
            .map(|(s, n)| s + 0.01 * n)
            .collect();
        let saw: Vec<f64> = (0..2000).map(|i| f64::from(i % 50)).collect();
        let all = [
            noise(3000),
            sine(3000, 0.3),
            sine(3000, 0.001),
            sine(3000, 2.9),
            mixed,
            steps,
            saw,
        ];
        for (i, x) in all.iter().enumerate() {
            let q = assess(QualityCheck::params(), x);
            assert!(q.is_usable(), "{i}: {q:?}");
        }
        // Rings of impacts: from three samples a period to slow, dying away within some.
        for (step, decay) in [(2.1, 0.2), (1.0, 0.3), (2.9, 0.1), (0.5, 0.3)] {
            let ring = |i: usize| 50.0 * (-decay * i as f64).exp() * (step * i as f64).cos();
            let x: Vec<f64> = noise(3000).iter().enumerate().map(|(i, n)| n + ring(i % 100)).collect();
            // Whole, and cut off just after an impact.
            for n in (2901..2912).chain([3000]) {
                let q = assess(QualityCheck::params(), &x[..n]);
                assert!(q.is_usable(), "{step} {decay} {n}: {q:?}");
            }
        }
    }

    #[test]
    fn crests_in_steps_of_a_converter_are_not_clipped() {
        let none = QualityCheck::params;
        for (amplitude, step) in [
            (1000.0, 0.007_363),
            (40.0, 0.007),
            (9.0, 0.01),
            (200.0, 0.1),
            (30_000.0, 0.01),
            (300.0, 0.05),
        ] {
            for scale in [1.0, 2.44e-4, 1.0 / 3.0] {
                let whole = |x: Vec<f64>| {
                    x.into_iter()
                        .map(|v| scale * (amplitude * v).round())
                        .collect::<Vec<_>>()
                };
                let x = whole(sine(25_600, step));
                assert_eq!(flags(none().max_flat_share(1.0), &x), [], "{amplitude} {step} {scale}");
                // Cut by two steps of the converter and more it is.
                for cut in [0.7, 0.9, 1.0 - 2.5 / amplitude] {
                    let cut = |v: &f64| v.min((scale * (amplitude * cut).round()).min(scale * (amplitude - 2.0)));
                    let x: Vec<f64> = x.iter().map(cut).collect();
                    assert_eq!(
                        flags(none().max_flat_share(1.0), &x),
                        [Clipped],
                        "{amplitude} {step} {scale}"
                    );
                }
            }
        }
        // Noise of a few samples' length, cut at two of its standard deviations, as it is and in whole numbers.
        let noise: Vec<f64> = noise(20_000).windows(12).map(|w| w.iter().sum::<f64>()).collect();
        assert_eq!(flags(none(), &noise), []);
        let cut = |x: &f64| x.clamp(-2.0, 2.0);
        assert_eq!(flags(none(), &noise.iter().map(cut).collect::<Vec<_>>()), [Clipped]);
        let whole: Vec<f64> = noise.iter().map(|v| (20.0 * v).round()).collect();
        assert_eq!(flags(none(), &whole), []);
        assert_eq!(
            flags(none(), &whole.iter().map(|v| v.clamp(-40.0, 40.0)).collect::<Vec<_>>()),
            [Clipped]
        );
        // A run at the window's end, and one between gaps.
        let ramp: Vec<f64> = (0..100).map(|i| f64::from(i).min(90.0)).collect();
        assert_eq!(assess(none(), &ramp).n_clipped, 10);
        let mut alone = sine(100, 0.3);
        alone[50..55].copy_from_slice(&[f64::NAN, 2.0, 2.0, 2.0, f64::INFINITY]);
        assert_eq!(assess(none(), &alone).n_clipped, 3);
    }

    #[test]
    fn a_flicker_of_one_step_is_no_spike() {
        let flicker: Vec<f64> = (0..1000).map(|i| if i % 37 == 5 { 20.1 } else { 20.0 }).collect();
        assert_eq!(assess(QualityCheck::params(), &flicker).n_spikes, 0);
        let mut spiky = flicker;
        spiky[500] = 25.0;
        spiky[700] = 0.0;
        assert_eq!(assess(QualityCheck::params(), &spiky).n_spikes, 2);
        let mut lone = vec![20.0; 1000];
        lone[500] = 0.0;
        assert_eq!(assess(QualityCheck::params(), &lone).n_spikes, 1);
        lone[501] = 0.0;
        assert_eq!(assess(QualityCheck::params(), &lone).n_spikes, 1);
    }

    #[test]
    fn each_fault_sets_its_flag_alone() {
        let params = QualityCheck::params;
        let with = |f: fn(usize, f64) -> f64| {
            noise(1000)
                .iter()
                .enumerate()
                .map(|(i, v)| f(i, *v))
                .collect::<Vec<_>>()
        };
        let lost = with(|i, v| if i % 50 == 7 { f64::NAN } else { v });
        assert_eq!(flags(params(), &lost), [Missing]);
        let frozen = with(|i, v| if i < 200 { 0.1 } else { v });
        assert_eq!(flags(params(), &frozen), [Flatline]);
        assert_eq!(
            (assess(params(), &frozen).n_flat, assess(params(), &frozen).longest_run),
            (200, 200)
        );
        let clipped: Vec<f64> = sine(1000, 0.1).iter().map(|v| v.clamp(-2.0, 0.97)).collect();
        assert_eq!(flags(params(), &clipped), [Clipped]);
        assert_eq!(
            assess(params(), &clipped).n_clipped,
            clipped.iter().filter(|v| **v == 0.97).count()
        );
        assert_eq!(flags(params().full_scale(0.97), &clipped), [Clipped]);
        assert_eq!(flags(params().full_scale(1.1), &clipped), []);
        assert_eq!(flags(params().range(-0.3, 0.6), &noise(1000)), [OutOfRange]);
        assert_eq!(flags(params().range(-0.6, 0.6), &noise(1000)), []);
        let mut spiky = sine(1000, 0.02);
        spiky[400] += 3.0;
        spiky[500] -= 2.0;
        assert_eq!(
            (flags(params(), &spiky), assess(params(), &spiky).n_spikes),
            (vec![Spikes], 2)
        );
        assert_eq!(flags(params().max_spikes(2), &spiky), []);
    }

    #[test]
    fn signals_without_variation_or_samples_have_flags() {
        let params = QualityCheck::params;
        assert_eq!(flags(params(), &[]), [TooShort, Missing]);
        assert_eq!(flags(params(), &[1.0]), [TooShort]);
        assert_eq!(flags(params(), &[1.0, 2.0]), []);
        for n in [2, 5, 9, 100] {
            assert_eq!(flags(params(), &vec![3.0; n]), [Flatline], "{n}");
            assert_eq!(flags(params().max_flat_share(1.0), &vec![3.0; n]), [], "{n}");
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let q = assess(params(), &vec![bad; n]);
                assert_eq!(
                    (q.flags, q.missing_share(), q.n_flat),
                    ([Missing].into_iter().collect(), 1.0, 0)
                );
            }
        }
        let mut still = vec![0.0; 500];
        still[100] = 1.0;
        // Held at the least value, too.
        assert_eq!(flags(params(), &still), [Flatline, Clipped, Spikes]);
        let huge = [f64::MAX, f64::MIN, f64::MAX, 0.0, f64::MIN, f64::MAX];
        assert_eq!(assess(params(), &huge).n_samples, 6);
    }

    #[test]
    fn windows_are_assessed_channel_by_channel() {
        let check = QualityCheck::params().build().unwrap();
        let (good, bad) = (noise(100), vec![0.0; 100]);
        let mut out = [ChannelQuality::default(); 2];
        let mut scratch = check.new_scratch();
        check
            .assess_window_into(&[&good, &bad], &mut scratch, &mut out)
            .unwrap();
        assert_eq!(check.assess_window(&[&good, &bad]), out);
        assert_eq!(
            out,
            [check.assess(&good, &mut scratch), check.assess(&bad, &mut scratch)]
        );
        assert!(out[0].is_usable() && !out[1].is_usable());
        let before = out;
        let e = check.assess_window_into(&[&bad], &mut scratch, &mut out).unwrap_err();
        assert_eq!((e.kind(), out), (ErrorKind::InvalidInput, before));
        let text = serde_json::to_string(&out[1]).unwrap();
        assert!(text.contains(r#""flags":["flatline"]"#), "{text}");
        assert_eq!(serde_json::from_str::<ChannelQuality>(&text).unwrap(), out[1]);
    }

    #[test]
    fn bad_settings_are_refused() {
        let p = QualityCheck::params;
        let nan = f64::NAN;
        for (i, bad) in [
            p().max_missing_share(-0.1),
            p().max_missing_share(nan),
            p().max_flat_share(1.1),
            p().max_clipped_share(f64::INFINITY),
            p().max_out_of_range_share(nan),
            p().flat_run(1),
            p().clip_run(0),
            p().spike_sigmas(0.0),
            p().spike_sigmas(nan),
            p().full_scale(-1.0),
            p().full_scale(nan),
            p().range(1.0, 1.0),
            p().range(nan, 1.0),
            p().range(0.0, f64::INFINITY),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(bad.build().unwrap_err().kind(), ErrorKind::InvalidParameter, "{i}");
        }
        let check = p().range(-1.0, 1.0).build().unwrap();
        let text = serde_json::to_string(&check).unwrap();
        assert_eq!(serde_json::from_str::<QualityCheck>(&text).unwrap(), check);
        assert!(serde_json::from_str::<QualityCheck>(&text.replace("12.0", "-12.0")).is_err());
        assert!(serde_json::from_str::<QualityCheck>(r#"{"clip_runs":3}"#).is_err());
        assert_eq!(
            serde_json::from_str::<QualityCheck>("{}").unwrap(),
            p().build().unwrap()
        );
    }
}
