//! What the mean squares of a spectrum's bins tell.

use super::{
    logarithm::ln,
    time::{LANES, sum, sum_of_products},
};
use std::ops::Range;

/// Total, centroid and spread of the bins after the first, counted in bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) total: f64,
    pub(super) centroid: f64,
    pub(super) spread: f64,
}

impl Shape {
    /// That of a spectrum nobody looked at.
    pub(super) const UNKNOWN: Self = Self {
        total: f64::NAN,
        centroid: f64::NAN,
        spread: f64::NAN,
    };

    pub(super) fn of(power: &[f64]) -> Self {
        let bins = power.get(1..).unwrap_or_default();
        let total = sum(bins);
        let centroid = moment(bins, |k| k) / total;
        let second = moment(bins, |k| (k - centroid) * (k - centroid)) / total;
        Self {
            total,
            centroid,
            spread: second.sqrt(),
        }
    }
}

/// `Σ p[k] f(k)`, `k` from 1.
fn moment(bins: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let (lanes, rest) = bins.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    let mut k: [f64; LANES] = std::array::from_fn(|i| 1.0 + i as f64);
    for lane in lanes {
        for i in 0..LANES {
            sums[i] += lane[i] * f(k[i]);
            k[i] += LANES as f64;
        }
    }
    let done = (lanes.len() * LANES) as f64 + 1.0;
    let rest = rest.iter().enumerate().map(|(i, p)| p * f(done + i as f64));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

/// How evenly power is spread over the bins after the first: normalised entropy, and flatness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evenness {
    pub(super) entropy: f64,
    pub(super) flatness: f64,
}

impl Evenness {
    /// That of a spectrum nobody looked at.
    pub(super) const UNKNOWN: Self = Self {
        entropy: f64::NAN,
        flatness: f64::NAN,
    };

    /// `logs` is work space, as long as `power`.
    pub(super) fn of(power: &[f64], total: f64, logs: &mut [f64]) -> Self {
        let (bins, logs) = (
            power.get(1..).unwrap_or_default(),
            logs.get_mut(1..power.len()).unwrap_or_default(),
        );
        let n = bins.len() as f64;
        let scale = n / total;
        if !(scale > 0.0 && scale.is_finite()) {
            return Self::UNKNOWN;
        }
        // Of shares of the mean, so that no power over- or underflows; an empty bin adds nothing to the entropy and
        // makes the geometric mean zero.
        for (log, p) in logs.iter_mut().zip(bins) {
            *log = ln(p * scale);
        }
        let weighted = scale * sum_of_products(bins, logs);
        let logs = if bins.contains(&0.0) {
            f64::NEG_INFINITY
        } else {
            sum(logs)
        };
        Self {
            entropy: 1.0 - weighted / (n * libm::log(n)),
            flatness: libm::exp(logs / n),
        }
    }
}

/// The first bin at which the bins after the first, summed up to it and with it, hold this share of the total.
pub(super) fn rolloff_bin(power: &[f64], total: f64, share: f64) -> Option<usize> {
    let mut left = share * total;
    // The total was summed in another order, within a few roundings.
    let nothing = 4.0 * f64::EPSILON * total;
    if !(left.is_finite() && total > 0.0) {
        return None;
    }
    let within = |(_, p): &(usize, &f64)| {
        left -= **p;
        left > nothing
    };
    let below = power.iter().enumerate().skip(1).take_while(within).count();
    // Sums of both ends round differently: the last bin holds what is left.
    Some((below + 1).min(power.len().saturating_sub(1)))
}

/// The highest lines of a spectrum, highest first: bins higher than the bin before and not lower than the one after, the
/// first bin being no line. Returns how many there are, `lines.len()` at most; of equal ones the first is first.
pub(super) fn highest_lines(power: &[f64], lines: &mut [usize]) -> usize {
    if lines.is_empty() {
        return 0;
    }
    let mut n = 0;
    let mut floor = 0.0;
    let at = |k: usize| power.get(k).copied().unwrap_or(0.0);
    for k in 1..power.len() {
        let p = at(k);
        if !(p > floor && p > at(k - 1) && p >= at(k + 1)) {
            continue;
        }
        let place = lines.iter().take(n).position(|l| at(*l) < p).unwrap_or(n);
        if n < lines.len() {
            n += 1;
        }
        if let Some(tail) = lines.get_mut(place..n) {
            tail.rotate_right(1);
            if let Some(first) = tail.first_mut() {
                *first = k;
            }
        }
        if n == lines.len() {
            floor = lines.last().map_or(0.0, |l| at(*l));
        }
    }
    n
}

/// Bins of a line around place `centre`, in bins: those of a main lobe `half_width` to either side.
pub(super) fn lobe(centre: f64, half_width: usize, n_bins: usize) -> Range<usize> {
    let k = centre.round() as usize;
    k.saturating_sub(half_width).max(1)..(k + half_width + 1).min(n_bins)
}

/// Power of the harmonics after the first over that of the first, rooted: of the fundamental at bin `line`, refined to the
/// centroid of its lobe. Harmonics beyond the last bin do not count. NaN where lobes overlap or no second harmonic is
/// below the last bin.
pub(super) fn distortion(power: &[f64], line: usize, n_harmonics: usize, half_width: usize) -> f64 {
    if line <= 2 * half_width {
        return f64::NAN;
    }
    let range = lobe(line as f64, half_width, power.len());
    let first = power.get(range.clone()).unwrap_or_default();
    let weighted: f64 = range.clone().zip(first).map(|(k, p)| k as f64 * p).sum();
    let centre = weighted / sum(first);
    let last = power.len().saturating_sub(1) as f64;
    let harmonics = (2..=n_harmonics)
        .map(|h| h as f64 * centre)
        .take_while(|c| c.round() <= last);
    let (mut rest, mut n) = (0.0, 0);
    for c in harmonics {
        rest += sum(power.get(lobe(c, half_width, power.len())).unwrap_or_default());
        n += 1;
    }
    if n == 0 { f64::NAN } else { (rest / sum(first)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shape_and_evenness_are_what_their_definitions_say(p in prop::collection::vec(0.0..1.0_f64, 4..80)) {
            let total: f64 = p[1..].iter().sum();
            let shares: Vec<f64> = p[1..].iter().map(|v| v / total).collect();
            let centroid: f64 = shares.iter().zip(1..).map(|(s, k)| s * f64::from(k)).sum();
            let spread = shares.iter().zip(1..).map(|(s, k)| s * (f64::from(k) - centroid).powi(2)).sum::<f64>().sqrt();
            let shape = Shape::of(&p);
            prop_assert!((shape.centroid - centroid).abs() < 1e-12 && (shape.spread - spread).abs() < 1e-11);
            let n = shares.len() as f64;
            let entropy = -shares.iter().filter(|s| **s > 0.0).map(|s| s * s.ln()).sum::<f64>() / n.ln();
            let flatness = (p[1..].iter().map(|v| v.ln()).sum::<f64>() / n).exp() / (total / n);
            let even = Evenness::of(&p, total, &mut [0.0; 80]);
            prop_assert!((even.entropy - entropy).abs() < 1e-12 && (even.flatness - flatness).abs() < 1e-12);
            for share in [0.1, 0.85, 1.0] {
                let k = rolloff_bin(&p, total, share).unwrap();
                prop_assert!(p[1..=k].iter().sum::<f64>() >= share * total * (1.0 - 1e-14));
                prop_assert!(k == 1 || p[1..k].iter().sum::<f64>() < share * total * (1.0 + 1e-14));
            }
        }

        #[test]
        fn lines_come_highest_first(p in prop::collection::vec(0..20_u8, 2..60), n in 1..6_usize) {
            let p: Vec<f64> = p.into_iter().map(f64::from).collect();
            let at = |k: usize| p.get(k).copied().unwrap_or(0.0);
            let mut all: Vec<usize> = (1..p.len()).filter(|&k| at(k) > at(k - 1) && at(k) >= at(k + 1)).collect();
            all.sort_by(|a, b| at(*b).total_cmp(&at(*a)));
            all.truncate(n);
            let mut lines = vec![0; n];
            let found = highest_lines(&p, &mut lines);
            prop_assert_eq!(&lines[..found], &all[..]);
        }
    }

    #[test]
    fn silence_and_extremes() {
        let shape = Shape::of(&[0.0; 8]);
        assert!(shape.total == 0.0 && shape.centroid.is_nan() && shape.spread.is_nan());
        let even = Evenness::of(&[0.0; 8], 0.0, &mut [0.0; 80]);
        assert!(even.entropy.is_nan() && even.flatness.is_nan());
        for (power, total) in [(1e308, f64::INFINITY), (1e-309, 7e-309)] {
            let even = Evenness::of(&[power; 8], total, &mut [0.0; 80]);
            assert!(even.entropy.is_nan() && even.flatness.is_nan());
        }
        // A line alone has all of the power, however its sum was rounded.
        assert_eq!(
            rolloff_bin(&[0.0, 0.0, 1.0, 0.0, 0.0], 1.0 + f64::EPSILON, 1.0),
            Some(2)
        );
        assert_eq!(rolloff_bin(&[0.0; 8], 0.0, 0.5), None);
        assert_eq!(highest_lines(&[0.0; 8], &mut [0; 3]), 0);
        assert_eq!(highest_lines(&[], &mut [0; 3]), 0);
        assert!(distortion(&[1.0; 8], 2, 5, 2).is_nan());
        let one = Evenness::of(&[0.0, 0.0, 5.0, 0.0], 5.0, &mut [0.0; 80]);
        assert!(one.entropy.abs() < 1e-15 && one.flatness == 0.0);
        let flat = Evenness::of(&[1e300; 5], 4e300, &mut [0.0; 80]);
        assert!((flat.entropy - 1.0).abs() < 1e-15 && (flat.flatness - 1.0).abs() < 1e-15);
    }
}
