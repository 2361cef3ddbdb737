//! The periodogram, and where its power lies.

use super::transform::RealTransform;
use crate::error::Result;
use realfft::num_complex::Complex;
use std::f64::consts::TAU;

/// The plan of a transform of `n` samples, filled up with zeros to the next power of two.
#[derive(Clone)]
pub(super) struct Periodogram {
    transform: RealTransform,
    n: usize,
    length: usize,
}

/// Work space of [`Periodogram`].
#[derive(Clone)]
pub(super) struct PeriodogramScratch {
    padded: Vec<f64>,
    half: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl Periodogram {
    pub(super) fn new(n: usize) -> Self {
        let length = n.next_power_of_two();
        let transform = RealTransform::new(length);
        Self { transform, n, length }
    }

    pub(super) fn new_scratch(&self) -> PeriodogramScratch {
        let (padded, half, work) = self.transform.new_buffers();
        PeriodogramScratch { padded, half, work }
    }

    /// With `Z[k]` the transform of length `L`, of which `m = L / 2 + 1` bins count: power in the lowest fifth,
    /// `2 / (L n) Σ_{k < ⌈m / 5⌉} |Z[k]|²`, and the angular frequency `2π k / L` up to which half of the sum lies.
    pub(super) fn summary(&self, z: &[f64], s: &mut PeriodogramScratch) -> Result<(f64, f64)> {
        self.transform.forward(z, &mut s.padded, &mut s.half, &mut s.work)?;
        let power = || s.half.iter().map(Complex::norm_sqr);
        let low: f64 = power().take(s.half.len().div_ceil(5)).sum();
        let total: f64 = power().sum();
        let mut sum = 0.0;
        let median = power().position(|p| {
            sum += p;
            sum >= 0.5 * total
        });
        let (length, n) = (self.length as f64, self.n as f64);
        let frequency = median.map_or(f64::NAN, |k| TAU * k as f64 / length);
        Ok((2.0 * low / (length * n), frequency))
    }
}
