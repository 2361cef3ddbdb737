//! A pair of real transforms with their buffers checked in one place.

use crate::error::{Error, Result};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::sync::Arc;

/// Transforms of one length, forward and back.
#[derive(Clone)]
pub(super) struct RealTransform {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

/// Samples, half a spectrum, work space.
pub(super) type Buffers = (Vec<f64>, Vec<Complex<f64>>, Vec<Complex<f64>>);

impl RealTransform {
    pub(super) fn new(length: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            forward: planner.plan_fft_forward(length),
            inverse: planner.plan_fft_inverse(length),
        }
    }

    pub(super) fn new_buffers(&self) -> Buffers {
        let zero = Complex { re: 0.0, im: 0.0 };
        let work = self.forward.get_scratch_len().max(self.inverse.get_scratch_len());
        (
            self.forward.make_input_vec(),
            self.forward.make_output_vec(),
            vec![zero; work],
        )
    }

    /// The spectrum of `x`, filled up with zeros in `padded`.
    pub(super) fn forward(
        &self,
        x: &[f64],
        padded: &mut [f64],
        half: &mut [Complex<f64>],
        work: &mut [Complex<f64>],
    ) -> Result<()> {
        padded.fill(0.0);
        padded.iter_mut().zip(x).for_each(|(to, from)| *to = *from);
        let work = work.get_mut(..self.forward.get_scratch_len()).unwrap_or_default();
        let done = self.forward.process_with_scratch(padded, half, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))
    }

    /// The samples of a spectrum, times the length.
    pub(super) fn inverse(&self, half: &mut [Complex<f64>], out: &mut [f64], work: &mut [Complex<f64>]) -> Result<()> {
        let work = work.get_mut(..self.inverse.get_scratch_len()).unwrap_or_default();
        let done = self.inverse.process_with_scratch(half, out, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))
    }
}
