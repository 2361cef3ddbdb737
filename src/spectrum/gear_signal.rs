//! The parts of a gear's synchronous average: regular, residual and difference signal.

use super::tapered::LENGTHS;
use crate::error::{Error, Result};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{fmt, sync::Arc};

/// Meshes of one shaft.
const MOST_MESHES: usize = 64;
/// Sidebands on either side of a harmonic.
const MOST_SIDEBANDS: usize = 1000;

/// The plan that parts synchronous averages of one length into what healthy gears do and the rest.
///
/// With the shaft's orders 1 to `shaft_orders`, the mesh orders and all their harmonics up to the Nyquist order, and around
/// each of those harmonics `sidebands` orders of the shaft on either side, those at or below zero and beyond the Nyquist order
/// left out,
///
/// | signal | holds |
/// |---|---|
/// | regular | the mean, the shaft's orders, the harmonics of the meshes |
/// | residual | the average less the regular signal: sidebands stay in it (NA4) |
/// | difference | the residual less the sidebands (FM4, M6A, M8A) |
///
/// so that `regular + residual` is the average. Each order is one bin of the transform of the whole average, cut at once.
/// Zakrajsek, Townsend & Decker part averages so: the shaft's frequency and its harmonics, the meshes' and theirs, and for the
/// difference the first-order sidebands; how many harmonics of the shaft they do not say. With two orders of the shaft and one
/// sideband `tsaregular`, `tsaresidual` and `tsadifference` of MATLAB part alike, but by default take only two harmonics of
/// each mesh. The regular signal with its sidebands is [`Parted::regular_with_sidebands`].
///
/// Where every bin is regular the residual is exactly zero, and where every bin is regular or a sideband the difference;
/// otherwise what holds nothing is rounding of the mesh, some 10⁻¹⁶ of it, and moments of it say nothing of the gear.
///
/// NaN or infinity makes all parts NaN.
///
/// # Cost
/// Three real transforms; nothing is allocated.
///
/// Sources: Zakrajsek, Townsend & Decker (1993), NASA TM-105950; Večeř, Kreidl & Šmíd (2005), *Condition indicators for gearbox
/// condition monitoring systems*, Acta Polytechnica 45(6).
///
/// ```
/// use prognos::spectrum::GearSignal;
/// // A gear of 20 teeth: its mesh, a sideband of first and one of third order.
/// let line = |order: f64, i: i32| (std::f64::consts::TAU * order * f64::from(i) / 256.0).sin();
/// let tsa: Vec<f64> = (0..256).map(|i| 5.0 * line(20.0, i) + 0.5 * line(21.0, i) + 0.1 * line(17.0, i)).collect();
/// let plan = GearSignal::new(256, 1, &[20.0], 2, 1)?;
/// let parts = plan.parts(&tsa)?;
/// assert!((parts.residual[50] - 0.5 * line(21.0, 50) - 0.1 * line(17.0, 50)).abs() < 1e-12);
/// assert!((parts.difference[50] - 0.1 * line(17.0, 50)).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct GearSignal {
    n: usize,
    /// Of each bin.
    kinds: Arc<[Kind]>,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    Sideband,
    Rest,
}

/// Work space of one thread for a [`GearSignal`].
#[derive(Clone)]
pub struct GearScratch {
    samples: Vec<f64>,
    transform: Vec<Complex<f64>>,
    part: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

/// The parts of a synchronous average, each as long as it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parted {
    /// Mean, shaft and meshes.
    pub regular: Vec<f64>,
    /// The average less the regular signal.
    pub residual: Vec<f64>,
    /// The residual less the sidebands.
    pub difference: Vec<f64>,
}

impl Parted {
    /// What is not in the difference signal: the regular signal and the sidebands, sample by sample.
    pub fn regular_with_sidebands(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        let residual = self.residual.iter().zip(&self.difference);
        self.regular.iter().zip(residual).map(|(g, (r, d))| g + (r - d))
    }
}

impl GearSignal {
    /// The plan for averages over `revolutions` of a shaft, as [`SynchronousAverage`](super::SynchronousAverage) gives them, with
    /// the orders of its meshes: the number of teeth of
    /// each gear on it, or what another mesh has by the ratio of the gears between.
    ///
    /// # Errors
    /// `InvalidParameter` unless both numbers are at least 1 and their product in 2..=2^24, there are at most 64 mesh orders,
    /// each above 0, below the Nyquist order and, times `revolutions`, whole to 1e-6 (others have no bin of their own), the
    /// shaft's orders and the sidebands lie below the Nyquist order, and there are at most 1,000 sidebands.
    pub fn new(
        samples_per_revolution: usize,
        revolutions: usize,
        mesh_orders: &[f64],
        shaft_orders: usize,
        sidebands: usize,
    ) -> Result<Self> {
        let n_samples = samples_per_revolution.saturating_mul(revolutions);
        if !LENGTHS.contains(&n_samples) {
            let expected = format!("with `revolutions`, together in {LENGTHS:?}");
            let got = format!("{samples_per_revolution} and {revolutions}");
            return Err(Error::parameter("samples_per_revolution", expected, got));
        }
        if mesh_orders.len() > MOST_MESHES {
            return Err(Error::parameter(
                "mesh_orders",
                format!("at most {MOST_MESHES}"),
                mesh_orders.len(),
            ));
        }
        let nyquist_order = 0.5 * samples_per_revolution as f64;
        for (name, v) in [("shaft_orders", shaft_orders), ("sidebands", sidebands)] {
            if v >= samples_per_revolution.div_ceil(2) {
                let expected = format!("below the Nyquist order, {nyquist_order}");
                return Err(Error::parameter(name, expected, v));
            }
        }
        if sidebands > MOST_SIDEBANDS {
            return Err(Error::parameter(
                "sidebands",
                format!("at most {MOST_SIDEBANDS}"),
                sidebands,
            ));
        }
        let n_bins = n_samples / 2 + 1;
        let mut kinds = vec![Kind::Rest; n_bins];
        kinds
            .iter_mut()
            .step_by(revolutions)
            .take(shaft_orders + 1)
            .for_each(|k| *k = Kind::Regular);
        // How many more harmonics have a sideband here than one revolution's order before.
        let mut begun = vec![0_i32; if sidebands > 0 { n_bins } else { 0 }];
        for &order in mesh_orders {
            let bin = order * revolutions as f64;
            if !(bin >= 0.5 && 2.0 * bin < n_samples as f64 && (bin - bin.round()).abs() <= 1e-6) {
                let expected = format!("above 0, below {nyquist_order}, and whole times {revolutions}");
                return Err(Error::parameter("mesh_orders", expected, order));
            }
            let bin = bin.round() as usize;
            for (harmonic, kind) in kinds.iter_mut().enumerate().step_by(bin).skip(1) {
                *kind = Kind::Regular;
                // Those at or below zero are left out.
                let first = harmonic - sidebands.min((harmonic - 1) / revolutions) * revolutions;
                let end = harmonic + (sidebands + 1) * revolutions;
                begun.get_mut(first).into_iter().for_each(|b| *b += 1);
                begun.get_mut(end).into_iter().for_each(|b| *b -= 1);
            }
        }
        for i in 0..begun.len() {
            let before = i
                .checked_sub(revolutions)
                .and_then(|i| begun.get(i))
                .copied()
                .unwrap_or(0);
            if let (Some(n), Some(kind)) = (begun.get_mut(i), kinds.get_mut(i)) {
                *n += before;
                if *n > 0 && *kind == Kind::Rest {
                    *kind = Kind::Sideband;
                }
            }
        }
        let mut planner = RealFftPlanner::new();
        Ok(Self {
            n: n_samples,
            kinds: kinds.into(),
            forward: planner.plan_fft_forward(n_samples),
            inverse: planner.plan_fft_inverse(n_samples),
        })
    }

    /// Samples of an average.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> GearScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        GearScratch {
            samples: vec![0.0; self.n],
            transform: vec![zero; self.n / 2 + 1],
            part: vec![zero; self.n / 2 + 1],
            work: vec![zero; self.forward.get_scratch_len().max(self.inverse.get_scratch_len())],
        }
    }

    /// Writes the parts of an average; `out` grows to its length.
    ///
    /// # Errors
    /// `InvalidInput` where the length of the average, or of what the scratch is for, is not the plan's.
    pub fn parts_into(&self, average: &[f64], scratch: &mut GearScratch, out: &mut Parted) -> Result<()> {
        let work = self.forward.get_scratch_len().max(self.inverse.get_scratch_len());
        for (what, expected, got) in [
            ("samples of an average", self.n, average.len()),
            ("samples a gear scratch is for", self.n, scratch.samples.len()),
            ("work space of a gear scratch", work, scratch.work.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        let Parted {
            regular,
            residual,
            difference,
        } = out;
        for part in [&mut *regular, &mut *residual, &mut *difference] {
            part.resize(self.n, 0.0);
        }
        scratch.samples.copy_from_slice(average);
        let work = scratch
            .work
            .get_mut(..self.forward.get_scratch_len())
            .unwrap_or_default();
        let done = self
            .forward
            .process_with_scratch(&mut scratch.samples, &mut scratch.transform, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))?;
        self.part(Kind::Regular, scratch, regular)?;
        self.part(Kind::Sideband, scratch, difference)?;
        if self.kinds.iter().all(|k| *k == Kind::Regular) && regular.iter().all(|g| g.is_finite()) {
            regular.copy_from_slice(average);
        }
        for ((r, g), x) in residual.iter_mut().zip(&*regular).zip(average) {
            *r = x - g;
        }
        // Zero but for rounding is zero; NaN stays.
        let has_rest = self.kinds.contains(&Kind::Rest);
        for (d, r) in difference.iter_mut().zip(&*residual) {
            *d = if has_rest || r.is_nan() { r - *d } else { 0.0 };
        }
        Ok(())
    }

    /// The parts of an average, in memory of their own.
    ///
    /// # Errors
    /// As [`parts_into`](GearSignal::parts_into).
    pub fn parts(&self, average: &[f64]) -> Result<Parted> {
        let mut out = Parted::default();
        self.parts_into(average, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// The signal of the bins of one kind, from `scratch.transform`.
    fn part(&self, kind: Kind, scratch: &mut GearScratch, out: &mut [f64]) -> Result<()> {
        let GearScratch {
            transform, part, work, ..
        } = scratch;
        // NaN in any bin is NaN in all samples.
        let spoilt = transform.first().is_none_or(|z| !(z.re.is_finite()));
        let scale = if spoilt { f64::NAN } else { 1.0 / self.n as f64 };
        for ((p, z), k) in part.iter_mut().zip(&*transform).zip(&*self.kinds) {
            *p = if *k == kind { *z } else { Complex { re: 0.0, im: 0.0 } };
        }
        // Both are real but for rounding, and the transform asks for it.
        if let Some(zero) = part.first_mut() {
            zero.im = 0.0;
        }
        if self.n.is_multiple_of(2)
            && let Some(nyquist) = part.last_mut()
        {
            nyquist.im = 0.0;
        }
        let work = work.get_mut(..self.inverse.get_scratch_len()).unwrap_or_default();
        let done = self.inverse.process_with_scratch(part, out, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))?;
        out.iter_mut().for_each(|v| *v *= scale);
        Ok(())
    }
}

impl fmt::Debug for GearSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GearSignal")
            .field("n_samples", &self.n)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GearScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GearScratch")
            .field("n_samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    fn close(got: &[f64], expected: &[f64]) -> bool {
        got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    /// Lines at these orders of an average of 240 samples over 3 revolutions.
    fn lines(orders: &[f64]) -> Vec<f64> {
        let line = |i: usize| orders.iter().map(|o| (TAU * o * i as f64 / 80.0 + o).cos()).sum();
        (0..240).map(line).collect()
    }

    #[test]
    fn each_order_lands_in_its_part() {
        // A mesh of 12 teeth, and another shaft's of 31 / 3.
        let plan = GearSignal::new(80, 3, &[12.0, 31.0 / 3.0], 2, 1).unwrap();
        let regular = [0.0, 1.0, 2.0, 12.0, 24.0, 36.0, 31.0 / 3.0, 62.0 / 3.0, 31.0];
        let sidebands = [11.0, 13.0, 23.0, 37.0, 28.0 / 3.0, 34.0 / 3.0, 65.0 / 3.0, 30.0, 32.0];
        let rest = [3.0, 10.0, 14.0, 5.0 / 3.0, 20.0, 38.0, 39.0];
        let all = [&regular[..], &sidebands, &rest].concat();
        let parts = plan.parts(&lines(&all)).unwrap();
        assert!(close(&parts.regular, &lines(&regular)));
        assert!(close(&parts.residual, &lines(&[&sidebands[..], &rest].concat())));
        assert!(close(&parts.difference, &lines(&rest)));
        let with: Vec<f64> = parts.regular_with_sidebands().collect();
        assert!(close(&with, &lines(&[&regular[..], &sidebands].concat())));
        // Without sidebands residual and difference are one.
        let plain = GearSignal::new(80, 3, &[12.0], 0, 0)
            .unwrap()
            .parts(&lines(&all))
            .unwrap();
        assert!(close(&plain.residual, &plain.difference));
    }

    #[test]
    fn what_has_no_bin_is_exactly_zero_and_orders_below_zero_are_none() {
        let x: Vec<f64> = (0..16).map(|i| f64::from(i * i % 7)).collect();
        // Orders 0 to 8: the mesh at 4 and 8, sidebands for the rest.
        let p = GearSignal::new(16, 1, &[4.0], 0, 3).unwrap().parts(&x).unwrap();
        assert!(p.difference == [0.0; 16] && p.residual.iter().any(|v| v.abs() > 0.1));
        let p = GearSignal::new(16, 1, &[1.0], 0, 3).unwrap().parts(&x).unwrap();
        assert!(p.regular == x && p.residual == [0.0; 16] && p.difference == [0.0; 16]);
        // A mesh of order 3 in 40: sidebands 1 and 2, not those that -1 and -2 would come back as; 19 and 20, none from beyond.
        let kinds = |plan: GearSignal| plan.kinds.iter().map(|k| *k as u8).collect::<Vec<_>>();
        for (revolutions, mesh, sides) in [
            (1, 3.0, 5),
            (1, 15.0, 4),
            (1, 19.0, 3),
            (3, 7.0 / 3.0, 2),
            (2, 4.5, 7),
            (1, 7.0, 0),
        ] {
            let n = 40 * revolutions;
            let bin = f64::round(mesh * revolutions as f64) as usize;
            let mut expected = vec![Kind::Rest as u8; n / 2 + 1];
            for harmonic in (bin..=n / 2).step_by(bin) {
                for side in 1..=sides {
                    for at in [
                        harmonic.checked_sub(side * revolutions),
                        Some(harmonic + side * revolutions),
                    ] {
                        if let Some(k) = at.filter(|at| *at > 0).and_then(|at| expected.get_mut(at)) {
                            *k = Kind::Sideband as u8;
                        }
                    }
                }
            }
            (bin..=n / 2)
                .step_by(bin)
                .chain([0, revolutions])
                .for_each(|k| expected[k] = Kind::Regular as u8);
            assert_eq!(
                kinds(GearSignal::new(40, revolutions, &[mesh], 1, sides).unwrap()),
                expected,
                "{revolutions} {mesh}"
            );
        }
    }

    #[test]
    fn the_largest_plan_is_made_soon() {
        let plan = GearSignal::new(1 << 20, 1, &[1.0, 2.0, 3.0, 50.0], 2, 1000).unwrap();
        assert_eq!(plan.n_samples(), 1 << 20);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_orthogonal(x in prop::collection::vec(-1.0..1.0_f64, 2..90), mesh in 1..20_u32, shaft in 0..3_usize, sides in 0..3_usize) {
            if let Ok(plan) = GearSignal::new(x.len(), 1, &[f64::from(mesh)], shaft, sides) {
                let p = plan.parts(&x).unwrap();
                let sum: Vec<f64> = p.regular.iter().zip(&p.residual).map(|(a, b)| a + b).collect();
                prop_assert!(close(&sum, &x));
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                prop_assert!(dot(&p.regular, &p.residual).abs() < 1e-11 && dot(&p.regular, &p.difference).abs() < 1e-11);
                prop_assert!((dot(&x, &x) - dot(&p.regular, &p.regular) - dot(&p.residual, &p.residual)).abs() < 1e-11);
                // Twice is once.
                let again = plan.parts(&p.difference).unwrap();
                prop_assert!(close(&again.difference, &p.difference));
            }
        }
    }

    #[test]
    fn bad_plans_are_refused_and_bad_averages_are_nan() {
        for (n, revolutions, mesh, shaft, sides) in [
            (1, 1, &[][..], 0, 0),
            (240, 0, &[], 0, 0),
            (1 << 20, 17, &[], 0, 0),
            (usize::MAX, 2, &[], 0, 0),
            (1 << 24, 1, &[1.0], 2, (1 << 23) - 1),
            (1 << 24, 1, &[1.0], 2, 1001),
            (240, 1, &[0.0], 2, 1),
            (240, 1, &[-5.0], 2, 1),
            (240, 1, &[120.0], 2, 1),
            (240, 1, &[12.5], 2, 1),
            (240, 1, &[f64::NAN], 2, 1),
            (240, 1, &[f64::INFINITY], 2, 1),
            (240, 1, &[12.0], 120, 1),
            (240, 1, &[12.0], 2, usize::MAX),
            (240, 1, &[12.0; 65], 2, 1),
        ] {
            let e = GearSignal::new(n, revolutions, mesh, shaft, sides).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
        }
        let plan = GearSignal::new(16, 1, &[5.0], 1, 1).unwrap();
        for bad in [f64::NAN, f64::INFINITY] {
            let mut x = [1.0; 16];
            x[3] = bad;
            let p = plan.parts(&x).unwrap();
            assert!(
                p.regular
                    .iter()
                    .chain(&p.residual)
                    .chain(&p.difference)
                    .all(|v| v.is_nan())
            );
        }
        let p = plan.parts(&[2.0; 16]).unwrap();
        assert!(p.regular.iter().all(|v| (v - 2.0).abs() < 1e-15) && p.difference.iter().all(|v| v.abs() < 1e-15));
        assert!(plan.parts(&[1.0; 15]).is_err());
        let mut other = GearSignal::new(18, 1, &[5.0], 1, 1).unwrap().new_scratch();
        assert!(plan.parts_into(&[1.0; 16], &mut other, &mut p.clone()).is_err());
    }
}
