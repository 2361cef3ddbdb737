//! The tapered real transform of one window, which all spectra here are made from.

use super::Taper;
use crate::error::{Error, Result};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{ops::RangeInclusive, sync::Arc};

/// Window lengths that are transformed.
pub(super) const LENGTHS: RangeInclusive<usize> = 2..=1 << 24;

/// Weights and plan of windows of one length.
#[derive(Clone)]
pub(super) struct TaperedTransform {
    taper: Taper,
    weights: Arc<[f64]>,
    pub(super) sum: f64,
    pub(super) sum_of_squares: f64,
    fft: Arc<dyn RealToComplex<f64>>,
}

/// Buffers of one thread.
#[derive(Clone)]
pub(super) struct TransformScratch {
    pub(super) tapered: Vec<f64>,
    /// The transform, bins zero to Nyquist.
    pub(super) transform: Vec<Complex<f64>>,
    pub(super) work: Vec<Complex<f64>>,
}

impl TaperedTransform {
    pub(super) fn new(name: &str, n: usize, taper: Taper) -> Result<Self> {
        if !LENGTHS.contains(&n) {
            return Err(Error::parameter(name, format!("in {LENGTHS:?}"), n));
        }
        let weights = taper.weights(n);
        Ok(Self {
            taper,
            sum: weights.iter().sum(),
            sum_of_squares: weights.iter().map(|w| w * w).sum(),
            weights,
            fft: RealFftPlanner::new().plan_fft_forward(n),
        })
    }

    pub(super) fn n_samples(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn n_bins(&self) -> usize {
        self.weights.len() / 2 + 1
    }

    pub(super) fn taper(&self) -> Taper {
        self.taper
    }

    #[cfg(test)]
    pub(super) fn weights(&self) -> &[f64] {
        &self.weights
    }

    pub(super) fn new_scratch(&self) -> TransformScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        TransformScratch {
            tapered: vec![0.0; self.n_samples()],
            transform: vec![zero; self.n_bins()],
            work: vec![zero; self.fft.get_scratch_len()],
        }
    }

    /// Fails unless lengths are the plan's.
    pub(super) fn check(&self, n_samples: usize, n_out: usize, scratch: &TransformScratch) -> Result<()> {
        for (what, expected, got) in [
            ("samples of a spectrum", self.n_samples(), n_samples),
            ("bins of a spectrum", self.n_bins(), n_out),
            (
                "samples a spectrum's scratch is for",
                self.n_samples(),
                scratch.tapered.len(),
            ),
            (
                "work space of a spectrum",
                self.fft.get_scratch_len(),
                scratch.work.len(),
            ),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        Ok(())
    }

    /// Fills `scratch.transform` from `samples` less `mean + slope (i - centre)`; lengths were checked.
    pub(super) fn run(&self, samples: &[f64], (mean, slope): (f64, f64), scratch: &mut TransformScratch) -> Result<()> {
        let TransformScratch {
            tapered,
            transform,
            work,
        } = scratch;
        if slope == 0.0 {
            for ((t, x), w) in tapered.iter_mut().zip(samples).zip(&*self.weights) {
                *t = (x - mean) * w;
            }
        } else {
            let centre = 0.5 * (self.n_samples() as f64 - 1.0);
            for (i, ((t, x), w)) in tapered.iter_mut().zip(samples).zip(&*self.weights).enumerate() {
                *t = (x - mean - slope * (i as f64 - centre)) * w;
            }
        }
        self.fft
            .process_with_scratch(tapered, transform, work)
            .map_err(|e| Error::input("transform", "buffers of its length", e))
    }

    /// Multiplies by `factor`, and by half of it the bins that have no twin at a negative frequency.
    pub(super) fn scale<T: std::ops::MulAssign<f64>>(&self, bins: &mut [T], factor: f64) {
        bins.iter_mut().for_each(|b| *b *= factor);
        if let Some(zero) = bins.first_mut() {
            *zero *= 0.5;
        }
        if self.n_samples().is_multiple_of(2)
            && let Some(nyquist) = bins.last_mut()
        {
            *nyquist *= 0.5;
        }
    }
}
