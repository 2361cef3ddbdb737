//! The weights that samples are multiplied with before a transform.

use serde::{Deserialize, Serialize};
use std::{f64::consts::TAU, sync::Arc};

/// The weights that samples are multiplied with before a transform, in their periodic form (`w[i]` has period `N`), as
/// spectra need them.
///
/// Coherent gain is `Σ w / N`: what a sine keeps of its amplitude. ENBW, the equivalent noise bandwidth in bins, is
/// `N Σ w² / (Σ w)²`: how much wider than a bin noise is heard. Both for large `N`; exact values for a length by
/// [`coherent_gain`](Taper::coherent_gain) and [`enbw_bins`](Taper::enbw_bins).
///
/// | taper | coherent gain | ENBW, bins | highest side lobe, dB | for |
/// |---|---|---|---|---|
/// | `Rectangular` | 1 | 1 | -13 | lines at the centres of bins, transients that end within the window |
/// | `Hann` | 0.5 | 1.5 | -31 | everything, unless there is a reason |
/// | `Hamming` | 0.54 | 1.36 | -43 | lines close to each other |
/// | `Blackman` | 0.42 | 1.73 | -58 | weak lines not far from strong ones |
/// | `BlackmanHarris` | 0.359 | 2.00 | -92 | very weak lines beside strong ones |
/// | `FlatTop` | 0.2156 | 3.77 | -93 | the amplitude of a line wherever it lies in its bin, within 0.01 dB |
///
/// Source: Harris (1978), <https://doi.org/10.1109/PROC.1978.10837>; the flat top of D'Antona & Ferrero (2006), as in SciPy.
///
/// ```
/// use prognos::spectrum::Taper;
/// assert!((Taper::Hann.enbw_bins(1024) - 1.5).abs() < 1e-12);
/// assert!((Taper::FlatTop.coherent_gain(1024) - 0.21557895).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Taper {
    /// `(1 - cos(2 π i / N)) / 2`: lines leak little into far bins. The default.
    #[default]
    Hann,
    /// All ones: exact for lines at the centre of a bin, leaks far otherwise.
    Rectangular,
    /// `0.54 - 0.46 cos(2 π i / N)`.
    Hamming,
    /// `0.42 - 0.5 cos(2 π i / N) + 0.08 cos(4 π i / N)`.
    Blackman,
    /// Four terms of cosines with side lobes below -92 dB.
    BlackmanHarris,
    /// Five terms of cosines with a flat main lobe: the taper of calibration.
    FlatTop,
}

impl Taper {
    /// The weights of `n` samples.
    pub fn weights(self, n: usize) -> Arc<[f64]> {
        // w[i] = Σ_k (-1)^k a_k cos(2 π k i / n)
        let terms: &[f64] = match self {
            // sin² keeps its relative accuracy at the ends, where 1 - cos cancels.
            Self::Hann => return (0..n).map(|i| sin_squared(i, n)).collect(),
            Self::Rectangular => return vec![1.0; n].into(),
            Self::Hamming => &[0.54, 0.46],
            Self::Blackman => &[0.42, 0.5, 0.08],
            Self::BlackmanHarris => &[0.35875, 0.48829, 0.14128, 0.01168],
            Self::FlatTop => &[0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368],
        };
        let weight = |i: usize| {
            let term = |(k, a): (usize, &f64)| {
                let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                sign * a * libm::cos(TAU * ((k * i) % n) as f64 / n as f64)
            };
            terms.iter().enumerate().map(term).sum()
        };
        (0..n).map(weight).collect()
    }

    /// Bins from the centre of a line to the first zero beside it: half the width of the main lobe, which holds all but
    /// a thousandth of a line's power and more with every taper except `Rectangular`.
    pub fn half_lobe_bins(self) -> usize {
        match self {
            Self::Rectangular => 1,
            Self::Hann | Self::Hamming => 2,
            Self::Blackman => 3,
            Self::BlackmanHarris => 4,
            Self::FlatTop => 5,
        }
    }

    /// `Σ w / n`.
    pub fn coherent_gain(self, n: usize) -> f64 {
        self.weights(n).iter().sum::<f64>() / n as f64
    }

    /// The equivalent noise bandwidth in bins, `n Σ w² / (Σ w)²`.
    pub fn enbw_bins(self, n: usize) -> f64 {
        let w = self.weights(n);
        let sum: f64 = w.iter().sum();
        n as f64 * w.iter().map(|w| w * w).sum::<f64>() / (sum * sum)
    }
}

fn sin_squared(i: usize, n: usize) -> f64 {
    let s = libm::sin(0.5 * TAU * i as f64 / n as f64);
    s * s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_and_bandwidths_are_those_of_the_table() {
        for (taper, gain, enbw) in [
            (Taper::Rectangular, 1.0, 1.0),
            (Taper::Hann, 0.5, 1.5),
            (Taper::Hamming, 0.54, 1.3628),
            (Taper::Blackman, 0.42, 1.7268),
            (Taper::BlackmanHarris, 0.35875, 2.0044),
            (Taper::FlatTop, 0.21557895, 3.7702),
        ] {
            assert!((taper.coherent_gain(1000) - gain).abs() < 1e-12, "{taper:?}");
            assert!(
                (taper.enbw_bins(1000) - enbw).abs() < 1e-4,
                "{taper:?} {}",
                taper.enbw_bins(1000)
            );
            assert!(taper.weights(0).is_empty());
        }
    }
}
