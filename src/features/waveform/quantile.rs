//! Quantiles of a window, without sorting all of it.

/// Which order statistics some probabilities need of windows of one length: `q = (1 - f) x₍ᵢ₎ + f x₍ᵢ₊₁₎` with
/// `i + f = p (N - 1)`, NumPy's default.
#[derive(Clone, Debug)]
pub(super) struct Quantiles {
    /// Rank and fraction of each probability.
    ranks: Vec<(usize, f64)>,
    n_buckets: usize,
}

/// Work space of one thread.
#[derive(Clone, Debug, Default)]
pub(super) struct QuantileScratch {
    values: Vec<f64>,
    bucket_of: Vec<u32>,
    /// Where each bucket starts among the sorted values; one place more than there are buckets.
    starts: Vec<u32>,
    /// Where the next value of a bucket goes; [`UNWANTED`] of a bucket that holds no rank asked for.
    places: Vec<u32>,
}

const UNWANTED: u32 = u32::MAX;
/// 2^52: the last bits of a number from there to 2^53 are a whole number.
const WHOLE: f64 = 4_503_599_627_370_496.0;

impl Quantiles {
    pub(super) fn new(probabilities: impl Iterator<Item = f64>, n_samples: usize) -> Self {
        let rank = |p: f64| {
            let place = p * (n_samples as f64 - 1.0);
            (place as usize, place.fract())
        };
        Self {
            ranks: probabilities.map(rank).collect(),
            n_buckets: (n_samples / 8).next_power_of_two().clamp(1, 1 << 16),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    pub(super) fn new_scratch(&self, n_samples: usize) -> QuantileScratch {
        if self.is_empty() {
            return QuantileScratch::default();
        }
        QuantileScratch {
            values: vec![0.0; n_samples],
            bucket_of: vec![0; n_samples],
            starts: vec![0; self.n_buckets + 1],
            places: vec![UNWANTED; self.n_buckets],
        }
    }

    /// Puts the ranks asked for of finite `x`, within `min..=max`, where they are when sorted.
    pub(super) fn place(&self, x: &[f64], min: f64, max: f64, scratch: &mut QuantileScratch) {
        if self.is_empty() {
            return;
        }
        let QuantileScratch {
            values,
            bucket_of,
            starts,
            places,
        } = scratch;
        // Buckets that follow each other in size: rounding keeps the order, no larger value is in an earlier bucket.
        let scale = (self.n_buckets - 1) as f64 / (max - min);
        if scale.is_finite() && scale > 0.0 {
            for (b, v) in bucket_of.iter_mut().zip(x) {
                *b = ((v - min) * scale + WHOLE).to_bits() as u32;
            }
        } else {
            bucket_of.fill(0); // no range, or one beyond that of numbers
        }
        starts.fill(0);
        for b in &*bucket_of {
            if let Some(count) = starts.get_mut(*b as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for s in starts.iter_mut() {
            sum += *s;
            *s = sum;
        }
        places.fill(UNWANTED);
        for (rank, fraction) in &self.ranks {
            for rank in *rank..=rank + usize::from(*fraction > 0.0) {
                let bucket = bucket_holding(rank, starts);
                if let (Some(place), Some(start)) = (places.get_mut(bucket), starts.get(bucket)) {
                    *place = *start;
                }
            }
        }
        for (b, v) in bucket_of.iter().zip(x) {
            if let Some(place) = places.get_mut(*b as usize)
                && *place != UNWANTED
            {
                if let Some(to) = values.get_mut(*place as usize) {
                    *to = *v;
                }
                *place += 1;
            }
        }
        for (start, place) in starts.iter().zip(&*places) {
            if let Some(members) = values.get_mut(*start as usize..*place as usize)
                && *place != UNWANTED
            {
                members.sort_unstable_by(f64::total_cmp);
            }
        }
    }

    /// Quantile number `index` of what was placed.
    pub(super) fn value(&self, index: usize, scratch: &QuantileScratch) -> f64 {
        let Some(&(rank, fraction)) = self.ranks.get(index) else {
            return f64::NAN;
        };
        let at = |rank: usize| scratch.values.get(rank).copied().unwrap_or(f64::NAN);
        if fraction == 0.0 {
            return at(rank);
        }
        at(rank) + fraction * (at(rank + 1) - at(rank))
    }
}

/// The bucket that holds this rank, from 0.
fn bucket_holding(rank: usize, starts: &[u32]) -> usize {
    starts
        .partition_point(|start| *start as usize <= rank)
        .saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantiles(x: &[f64], p: &[f64]) -> Vec<f64> {
        let plan = Quantiles::new(p.iter().copied(), x.len());
        let mut scratch = plan.new_scratch(x.len());
        scratch.values.fill(f64::NAN);
        let (min, max) = x.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
        plan.place(x, min, max, &mut scratch);
        (0..p.len()).map(|i| plan.value(i, &scratch)).collect()
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_sorted_window(
            mut x in prop::collection::vec(-10.0..10.0_f64, 1..200),
            p in prop::collection::vec(0.0..1.0_f64, 1..6),
            outlier in prop::sample::select(vec![0.0, 1e9, 1e300, -1e300]),
            coarse in any::<bool>(),
        ) {
            if coarse {
                x.iter_mut().for_each(|v| *v = v.round());
            }
            x[0] += outlier;
            let p: Vec<f64> = p.into_iter().chain([0.0, 0.5, 1.0]).collect();
            let mut sorted = x.clone();
            sorted.sort_by(f64::total_cmp);
            for (q, p) in quantiles(&x, &p).into_iter().zip(p) {
                let place = p * (x.len() as f64 - 1.0);
                let (i, f) = (place.floor() as usize, place.fract());
                let (low, high) = (sorted[i], sorted[(i + 1).min(x.len() - 1)]);
                let expected = if f == 0.0 { low } else { low + f * (high - low) };
                prop_assert!(q == expected, "{q} {expected}");
            }
        }
    }

    #[test]
    fn windows_without_a_range_or_with_too_large_a_one() {
        assert_eq!(quantiles(&[3.0; 100], &[0.0, 0.5, 1.0]), [3.0; 3]);
        let mut x = vec![1.0; 100];
        (x[3], x[7]) = (f64::MAX, f64::MIN);
        assert_eq!(quantiles(&x, &[0.0, 0.5, 1.0]), [f64::MIN, 1.0, f64::MAX]);
        assert!(Quantiles::new([].into_iter(), 10).is_empty());
    }
}
