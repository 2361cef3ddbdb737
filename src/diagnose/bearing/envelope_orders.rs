//! The squared-envelope spectrum over orders of the shaft, and combs of lines in it.

use crate::{
    error::Result,
    quantity::Hertz,
    signal::MedianFilter,
    spectrum::{AnalyticSignal, Scaling, Welch},
};

/// Orders up to which lines are looked at.
const HIGHEST_ORDER: f64 = 23.0;
/// Width of the surroundings that a line stands out of.
const SURROUNDINGS_HZ: f64 = 30.0;
/// Lines nearer to a multiple of the shaft than this, in orders, tell nothing of a bearing.
const SHAFT_ORDER_WIDTH: f64 = 0.03;
/// Harmonics of a comb.
pub(super) const HARMONICS: u32 = 3;

/// The squared envelope of `x`, over its mean, less 1; none where there is no power.
pub(super) fn squared_envelope(x: &[f64]) -> Result<Option<Vec<f64>>> {
    let analytic = AnalyticSignal::new(x.len())?.signal(x)?;
    let mut envelope: Vec<f64> = analytic.iter().map(|z| z.norm_sqr()).collect();
    let mean = envelope.iter().sum::<f64>() / envelope.len() as f64;
    if !(mean.is_finite() && mean > 0.0) {
        return Ok(None);
    }
    envelope.iter_mut().for_each(|e| *e = *e / mean - 1.0);
    Ok(Some(envelope))
}

/// A power spectrum over orders, with the height of each bin above its surroundings.
pub(super) struct EnvelopeOrders {
    power: Vec<f64>,
    floor: Vec<f64>,
    /// The highest of each bin and its neighbours over the floor, in nepers of power.
    height: Vec<f64>,
    orders_per_bin: f64,
}

/// The best place of a comb within its slip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comb {
    /// Mean height of its lines in nepers of power.
    pub(super) score: f64,
    /// Order of its first line.
    pub(super) order: f64,
    /// Whether the best place lies inside the slip, not beyond its edge.
    pub(super) is_inside: bool,
}

impl EnvelopeOrders {
    /// Averaged over segments of `segment_s` seconds.
    pub(super) fn of(envelope: &[f64], rate: Hertz, shaft: Hertz, segment_s: f64) -> Result<Self> {
        let n = ((segment_s * rate.get()).round() as usize).clamp(2, envelope.len());
        let welch = Welch::params(rate).segment(n).scaling(Scaling::Spectrum).build()?;
        let mut power = welch.psd(envelope)?;
        let spacing = welch.frequency_hz(1);
        power.truncate((HIGHEST_ORDER * shaft.get() / spacing) as usize);
        let width = (2 * (0.5 * SURROUNDINGS_HZ / spacing).round() as usize + 1).max(5);
        let floor = MedianFilter::new(width)?.apply(&power)?;
        let single = |(p, f): (&f64, &f64)| if *f > 0.0 { libm::log((p / f).max(1e-9)) } else { 0.0 };
        let heights: Vec<f64> = power.iter().zip(&floor).map(single).collect();
        let around = |i: usize| {
            let near = heights
                .get(i.saturating_sub(1)..(i + 2).min(heights.len()))
                .unwrap_or_default();
            near.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        };
        Ok(Self {
            height: (0..heights.len()).map(around).collect(),
            power,
            floor,
            orders_per_bin: spacing / shaft.get(),
        })
    }

    /// Height at `order` in nepers of power, the highest of three bins; none beyond the spectrum.
    pub(super) fn height(&self, order: f64) -> Option<f64> {
        let bin = (order / self.orders_per_bin).round() as usize;
        (bin + 2 < self.height.len()).then(|| self.height.get(bin).copied())?
    }

    /// Mean height of the lines at multiples of `order`, without those on multiples of the shaft; none without a line.
    fn score(&self, order: f64, harmonics: impl Iterator<Item = u32>) -> Option<f64> {
        let (mut sum, mut n) = (0.0, 0.0);
        for h in harmonics {
            let line = order * f64::from(h);
            if (line - line.round()).abs() < SHAFT_ORDER_WIDTH {
                continue;
            }
            if let Some(height) = self.height(line) {
                (sum, n) = (sum + height, n + 1.0);
            }
        }
        (n > 0.0).then(|| sum / n)
    }

    /// The best place of a comb about `order`, within a relative `slip`; half as far again is searched, so that a comb
    /// that belongs elsewhere is seen to.
    pub(super) fn comb(&self, order: f64, slip: f64) -> Comb {
        let mut best = Comb {
            score: 0.0,
            order,
            is_inside: true,
        };
        let mut outside = f64::NEG_INFINITY;
        for i in -30..=30 {
            let shift = slip * f64::from(i) / 20.0;
            let place = order * (1.0 + shift);
            let Some(score) = self.score(place, 1..=HARMONICS) else {
                continue;
            };
            if shift.abs() > slip * 1.01 {
                outside = outside.max(score);
            } else if score > best.score {
                best = Comb {
                    score,
                    order: place,
                    is_inside: true,
                };
            }
        }
        best.is_inside = best.score >= outside - 1e-9;
        best
    }

    /// The strongest comb of all orders from 1.2 to 11.
    pub(super) fn strongest(&self) -> Comb {
        let mut best = Comb {
            score: 0.0,
            order: 0.0,
            is_inside: true,
        };
        let mut order: f64 = 1.2;
        while order < 11.0 {
            if let Some(score) = self.score(order, 1..=HARMONICS)
                && score > best.score
            {
                best = Comb { score, order, ..best };
            }
            order *= 1.0008;
        }
        best
    }

    /// The highest mean height of lines at the multiples of `order / 2` or `order / 3` that are none of `order`: where it is
    /// high, `order` is but a harmonic of something slower.
    pub(super) fn between(&self, order: f64) -> f64 {
        let mut best = 0.0_f64;
        for part in [2, 3] {
            for i in -4..=4 {
                let place = order / f64::from(part) * (1.0 + 0.0005 * f64::from(i));
                let score = self.score(place, (1..=HARMONICS * part).filter(|h| h % part != 0));
                best = best.max(score.unwrap_or(0.0));
            }
        }
        best
    }

    /// Amplitude of the line at `order` above its surroundings, relative to the mean of the envelope.
    pub(super) fn amplitude(&self, order: f64) -> f64 {
        let bin = (order / self.orders_per_bin).round() as usize;
        let lobe = bin.saturating_sub(2)..bin + 3;
        let (Some(power), Some(floor)) = (self.power.get(lobe.clone()), self.floor.get(lobe)) else {
            return 0.0;
        };
        // The median of the power of noise is ln 2 of its mean; Hann's taper spreads a line over 1.5 bins.
        let above: f64 = power
            .iter()
            .zip(floor)
            .map(|(p, f)| p - f / std::f64::consts::LN_2)
            .sum();
        (2.0 * above.max(0.0) / 1.5).sqrt()
    }

    /// Root of the sum of squares of the amplitudes of a comb's lines: the depth of modulation.
    pub(super) fn depth(&self, order: f64) -> f64 {
        let lines = (1..=HARMONICS).map(|h| self.amplitude(order * f64::from(h)));
        lines.map(|a| a * a).sum::<f64>().sqrt()
    }
}
