//! Permutation entropy.

use crate::error::{Error, Result};

/// Permutation entropy: how evenly the orders of rank of successive samples are spread, in [0, 1].
///
/// Of every `m` samples `delay` apart the permutation that sorts them is taken, equal samples in their order of time; with
/// `p` the share of each permutation, `-Σ p log p / log m!`. 0 for a ramp, near 1 for noise.
///
/// NaN for a window shorter than `(m - 1) delay + 1` or with NaN in it.
///
/// # Cost
/// `O(n m²)` comparisons and `m!` counters.
///
/// Source: Bandt & Pompe (2002), <https://doi.org/10.1103/PhysRevLett.88.174102>.
///
/// ```
/// use prognos::features::complexity::PermutationEntropy;
/// let entropy = PermutationEntropy::new(3, 1)?;
/// let mut scratch = entropy.new_scratch();
/// assert_eq!(entropy.value(&[1.0, 2.0, 3.0, 5.0, 8.0], &mut scratch), 0.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PermutationEntropy {
    order: usize,
    delay: usize,
    n_permutations: usize,
}

/// Work space of one thread for a [`PermutationEntropy`].
#[derive(Clone, Debug)]
pub struct PermutationScratch(Vec<u32>);

impl PermutationEntropy {
    /// The entropy of permutations of `order` samples, `delay` apart.
    ///
    /// # Errors
    /// `InvalidParameter` unless the order is in 2..=8 and the delay in 1..=65,536.
    pub fn new(order: usize, delay: usize) -> Result<Self> {
        if !(2..=8).contains(&order) {
            return Err(Error::parameter("order", "in 2..=8", order));
        }
        if !(1..=65_536).contains(&delay) {
            return Err(Error::parameter("delay", "in 1..=65536 samples", delay));
        }
        Ok(Self {
            order,
            delay,
            n_permutations: (1..=order).product(),
        })
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> PermutationScratch {
        PermutationScratch(vec![0; self.n_permutations])
    }

    /// The entropy of a window.
    pub fn value(&self, x: &[f64], scratch: &mut PermutationScratch) -> f64 {
        let counts = &mut scratch.0;
        let span = (self.order - 1) * self.delay + 1;
        if x.len() < span || counts.len() != self.n_permutations || x.iter().any(|v| v.is_nan()) {
            return f64::NAN;
        }
        counts.fill(0);
        for window in x.windows(span) {
            // Lehmer's code: how many later samples are smaller than each.
            let mut code = 0;
            for i in 0..self.order {
                let at = |j: usize| window.get(j * self.delay);
                let smaller = (i + 1..self.order).filter(|&j| at(j) < at(i)).count();
                code = code * (self.order - i) + smaller;
            }
            if let Some(count) = counts.get_mut(code) {
                *count += 1;
            }
        }
        let n = (x.len() - span + 1) as f64;
        let term = |c: &u32| {
            let p = f64::from(*c) / n;
            if p > 0.0 { -p * libm::log(p) } else { 0.0 }
        };
        (counts.iter().map(term).sum::<f64>() / libm::log(self.n_permutations as f64)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rising_functions_change_nothing(x in prop::collection::vec(-2.0..2.0_f64, 10..80), order in 2..5_usize) {
            let e = PermutationEntropy::new(order, 2).unwrap();
            let mut s = e.new_scratch();
            let a = e.value(&x, &mut s);
            let y: Vec<f64> = x.iter().map(|v| v.exp()).collect();
            prop_assert_eq!(a, e.value(&y, &mut s));
            prop_assert!((0.0..=1.0 + 1e-12).contains(&a));
        }
    }

    #[test]
    fn bad_parameters_and_windows() {
        assert!(PermutationEntropy::new(1, 1).is_err() && PermutationEntropy::new(9, 1).is_err());
        assert!(PermutationEntropy::new(3, 0).is_err() && PermutationEntropy::new(3, usize::MAX).is_err());
        let e = PermutationEntropy::new(3, 2).unwrap();
        let mut s = e.new_scratch();
        assert!(e.value(&[1.0; 4], &mut s).is_nan() && e.value(&[], &mut s).is_nan());
        assert!(e.value(&[1.0, f64::NAN, 2.0, 3.0, 4.0, 5.0], &mut s).is_nan());
        assert_eq!(e.value(&[1.0; 9], &mut s), 0.0);
        assert!(
            e.value(&[1.0; 9], &mut PermutationEntropy::new(2, 1).unwrap().new_scratch())
                .is_nan()
        );
    }
}
