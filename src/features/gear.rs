//! Orders of gears, and indicators of their condition from synchronous averages.

use crate::{
    error::{Error, Result},
    quantity::Hertz,
    signal::mean_of,
    spectrum::Parted,
};
use serde::{Deserialize, Serialize};

/// Teeth of a gear.
const MOST_TEETH: u32 = 10_000;
/// Sidebands on either side of a harmonic.
const MOST_SIDEBANDS: u32 = 1000;

/// Two gears in mesh, the first on the shaft whose revolutions are counted.
///
/// ```
/// use prognos::{features::gear::GearPair, quantity::Hertz};
/// let pair = GearPair::new(20, 33)?;
/// let shaft = Hertz::from_rpm(1500.0)?;
/// assert_eq!(pair.mesh_order(), 20.0);
/// assert_eq!(pair.mesh_frequency_hz(shaft), 500.0);
/// assert_eq!(pair.sideband_frequencies_hz(shaft, 1, 1)?.collect::<Vec<_>>(), [475.0, 525.0]);
/// assert_eq!(pair.hunting_tooth_revolutions(), 33);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "GearPairData", into = "GearPairData")]
pub struct GearPair {
    teeth: u32,
    partner_teeth: u32,
}

#[derive(Serialize, Deserialize)]
struct GearPairData {
    teeth: u32,
    partner_teeth: u32,
}

impl GearPair {
    /// Gears of this many teeth.
    ///
    /// # Errors
    /// `InvalidParameter` unless both have 2 to 10,000 teeth.
    pub fn new(teeth: u32, partner_teeth: u32) -> Result<Self> {
        for (name, v) in [("teeth", teeth), ("partner_teeth", partner_teeth)] {
            if !(2..=MOST_TEETH).contains(&v) {
                return Err(Error::parameter(name, format!("in 2..={MOST_TEETH}"), v));
            }
        }
        Ok(Self { teeth, partner_teeth })
    }

    /// Teeth of the gear on the shaft.
    pub fn teeth(&self) -> u32 {
        self.teeth
    }

    /// Teeth of its partner.
    pub fn partner_teeth(&self) -> u32 {
        self.partner_teeth
    }

    /// How often teeth meet, in revolutions of the shaft: the number of its teeth.
    pub fn mesh_order(&self) -> f64 {
        f64::from(self.teeth)
    }

    /// The order of the partner's shaft: revolutions of it to one of the shaft.
    pub fn partner_order(&self) -> f64 {
        f64::from(self.teeth) / f64::from(self.partner_teeth)
    }

    /// How often teeth meet, in hertz, where the shaft turns at this rate.
    pub fn mesh_frequency_hz(&self, shaft: Hertz) -> f64 {
        self.mesh_order() * shaft.get()
    }

    /// The sidebands of harmonic `harmonic` of the mesh at the shaft's rate, `count` on either side, from below to above: where a
    /// local fault of the gear on the shaft shows. Those at or below zero are left out.
    ///
    /// # Errors
    /// `InvalidParameter` above 1,000 sidebands on either side.
    pub fn sideband_frequencies_hz(
        &self,
        shaft: Hertz,
        harmonic: u32,
        count: u32,
    ) -> Result<impl Iterator<Item = f64> + use<>> {
        if count > MOST_SIDEBANDS {
            return Err(Error::parameter("count", format!("at most {MOST_SIDEBANDS}"), count));
        }
        let (carrier, count) = (f64::from(harmonic) * self.mesh_order(), i64::from(count));
        let sides = (-count..=count).filter(|k| *k != 0).map(move |k| carrier + k as f64);
        Ok(sides.filter(|order| *order > 0.0).map(move |order| order * shaft.get()))
    }

    /// The orders that harmonic `harmonic` of the mesh and its `count` sidebands on either side lie in, half an order more at
    /// each end, none below zero.
    pub fn sideband_orders(&self, harmonic: u32, count: u32) -> (f64, f64) {
        let (carrier, reach) = (f64::from(harmonic) * self.mesh_order(), f64::from(count) + 0.5);
        ((carrier - reach).max(0.0), carrier + reach)
    }

    /// Revolutions of the shaft until the same teeth meet again.
    pub fn hunting_tooth_revolutions(&self) -> u32 {
        self.partner_teeth / gcd(self.teeth, self.partner_teeth)
    }
}

impl TryFrom<GearPairData> for GearPair {
    type Error = Error;

    fn try_from(data: GearPairData) -> Result<Self> {
        Self::new(data.teeth, data.partner_teeth)
    }
}

impl From<GearPair> for GearPairData {
    fn from(p: GearPair) -> Self {
        Self {
            teeth: p.teeth,
            partner_teeth: p.partner_teeth,
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// FM0 of a synchronous average: its peak-to-peak value over the sum of the amplitudes of the mesh's harmonics,
/// `(max - min) / Σ A_h`. It rises with heavy wear (harmonics fall) and with a broken tooth (the peak rises).
///
/// `mesh_amplitudes` are those of as many harmonics as wanted, from an amplitude spectrum of the average. NaN where the sum is
/// 0 or anything is not finite.
///
/// Source: Stewart (1977), *Some useful data analysis techniques for gearbox diagnostics*, University of Southampton;
/// Zakrajsek, Townsend & Decker (1993), NASA TM-105950.
///
/// ```
/// assert_eq!(prognos::features::gear::fm0(&[1.0, -2.0, 0.5], &[1.0, 0.5]), 2.0);
/// ```
pub fn fm0(average: &[f64], mesh_amplitudes: &[f64]) -> f64 {
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in average {
        if !v.is_finite() {
            return f64::NAN;
        }
        (lo, hi) = (v.min(lo), v.max(hi));
    }
    let sum: f64 = mesh_amplitudes.iter().sum();
    ratio(hi - lo, sum)
}

/// FM4 of a difference signal: its kurtosis, `N Σ (d - d̄)⁴ / (Σ (d - d̄)²)²`. 3 for the noise of healthy gears, more where
/// one or two teeth are damaged, less again where many are.
///
/// NaN for signals that are constant, empty, or hold NaN or infinity. Of a signal that holds nothing but rounding it is the
/// kurtosis of rounding: [`GearSignal`](crate::spectrum::GearSignal) gives exact zeros where no order is left, and no others.
///
/// Source: Stewart (1977); Zakrajsek, Townsend & Decker (1993), NASA TM-105950.
///
/// ```
/// let tooth: Vec<f64> = (0..100).map(|i| if i == 40 { 1.0 } else { 0.0 }).collect();
/// assert!(prognos::features::gear::fm4(&tooth) > 90.0);
/// ```
pub fn fm4(difference: &[f64]) -> f64 {
    standardised_moment(difference, 2)
}

/// M6A of a difference signal: `N² Σ (d - d̄)⁶ / (Σ (d - d̄)²)³`, the sixth moment as FM4 is the fourth; 15 for Gaussian noise.
///
/// NaN as [`fm4`].
///
/// Source: Martin (1989), *Statistical moment analysis as a surface damage diagnostic technique*, Surface Topography 2;
/// Zakrajsek, Townsend & Decker (1993), NASA TM-105950.
pub fn m6a(difference: &[f64]) -> f64 {
    standardised_moment(difference, 3)
}

/// M8A of a difference signal: `N³ Σ (d - d̄)⁸ / (Σ (d - d̄)²)⁴`, the eighth moment; 105 for Gaussian noise.
///
/// NaN as [`fm4`].
///
/// Source: as [`m6a`].
pub fn m8a(difference: &[f64]) -> f64 {
    standardised_moment(difference, 4)
}

/// Energy ratio: the standard deviation of the difference signal over that of all else of the average (the regular signal with
/// its sidebands). It rises with wear that many teeth share.
///
/// NaN where the regular signal is constant, or anything is not finite.
///
/// Source: Zakrajsek, Townsend & Decker (1993), NASA TM-105950.
///
/// ```
/// use prognos::{features::gear, spectrum::GearSignal};
/// let line = |order: f64, i: i32| (std::f64::consts::TAU * order * f64::from(i) / 64.0).sin();
/// let average: Vec<f64> = (0..64).map(|i| 4.0 * line(10.0, i) + line(15.0, i)).collect();
/// let parts = GearSignal::new(64, 1, &[10.0], 2, 1)?.parts(&average)?;
/// assert!((gear::energy_ratio(&parts) - 0.25).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn energy_ratio(parts: &Parted) -> f64 {
    let regular = parts.regular_with_sidebands();
    let (n, sum) = regular.clone().fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + v));
    let mean = sum / n;
    let power = regular.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    ratio(variance(&parts.difference), power).sqrt()
}

/// `n^(p-1) Σ d^(2p) / (Σ d²)^p` of the deviations from the mean.
fn standardised_moment(x: &[f64], power: u32) -> f64 {
    let mean = mean_of(x);
    let v = variance(x);
    // Each over the variance first: nothing over- or underflows that need not.
    // By products: the same bits everywhere.
    let powered = |d: f64| (1..power).fold(d, |product, _| product * d);
    let sum: f64 = x.iter().map(|x| powered((x - mean) * (x - mean) / v)).sum();
    ratio(sum, x.len() as f64)
}

/// `Σ (x - x̄)² / N`, NaN where it is zero.
fn positive_variance(x: &[f64]) -> f64 {
    let v = variance(x);
    if v > 0.0 && v.is_finite() { v } else { f64::NAN }
}

fn variance(x: &[f64]) -> f64 {
    let mean = mean_of(x);
    x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64
}

/// `a / b`, NaN where `b` is not above zero or either is not finite.
fn ratio(a: f64, b: f64) -> f64 {
    if a.is_finite() && b.is_finite() && b > 0.0 {
        a / b
    } else {
        f64::NAN
    }
}

/// NA4 and NB4: the fourth moment of a signal, over the square of the mean variance of all records so far.
///
/// With `v_j` the variance `Σ (r - r̄)² / N` of record `j`, for record `M`
///
/// ```text
/// NA4 = 1/N Σ (r - r̄)⁴ / ( 1/M Σ_(j ≤ M) v_j )²
/// ```
///
/// of the residual signal. While nothing changes it is the kurtosis; unlike FM4 it goes on rising as damage spreads, since the
/// denominator remembers. NB4 is the same of the envelope of the mesh with its sidebands, as
/// [`AnalyticSignal::of_band`](crate::spectrum::AnalyticSignal::of_band) gives it.
///
/// The mean may be frozen once the gear has run in, by calling [`against`](GearBaseline::against) instead of
/// [`update`](GearBaseline::update) (NA4*, in which the growing damage cannot raise its own reference).
///
/// The state is three numbers; keep it with the machine.
///
/// Sources: Zakrajsek, Townsend & Decker (1993), NASA TM-105950 (NA4); Zakrajsek, Handschuh & Decker (1994), NASA TM-106467 (NB4);
/// Decker, Handschuh & Zakrajsek (1994), NASA TM-106553 (NA4*).
///
/// ```
/// use prognos::features::gear::GearBaseline;
/// let mut baseline = GearBaseline::default();
/// let healthy = [1.0, -1.0, 1.0, -1.0];
/// assert_eq!(baseline.update(&healthy), 1.0);
/// // Twice the size: the mean variance is (1 + 4) / 2.
/// assert!((baseline.update(&healthy.map(|v| 2.0 * v)) - 16.0 / 6.25).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BaselineRecord", into = "BaselineRecord")]
pub struct GearBaseline {
    n_records: u64,
    mean_variance: f64,
}

#[derive(Serialize, Deserialize)]
struct BaselineRecord {
    n_records: u64,
    mean_variance: f64,
}

impl GearBaseline {
    /// Records in the mean.
    pub fn n_records(&self) -> u64 {
        self.n_records
    }

    /// The mean variance; NaN before the first record.
    pub fn mean_variance(&self) -> f64 {
        if self.n_records == 0 {
            f64::NAN
        } else {
            self.mean_variance
        }
    }

    /// Takes the record into the mean and gives its indicator. A record that is constant, empty, or holds NaN or infinity gives
    /// NaN and leaves the mean as it was.
    pub fn update(&mut self, signal: &[f64]) -> f64 {
        let v = positive_variance(signal);
        if v.is_nan() {
            return f64::NAN;
        }
        self.n_records = self.n_records.saturating_add(1);
        self.mean_variance += (v - self.mean_variance) / self.n_records as f64;
        self.against(signal)
    }

    /// The indicator of a record that is left out of the mean; NaN before the first and for such records as
    /// [`update`](GearBaseline::update) leaves out.
    pub fn against(&self, signal: &[f64]) -> f64 {
        if positive_variance(signal).is_nan() {
            return f64::NAN;
        }
        let (mean, reference) = (mean_of(signal), self.mean_variance());
        let sum: f64 = signal
            .iter()
            .map(|x| {
                let d = (x - mean) * (x - mean) / reference;
                d * d
            })
            .sum();
        ratio(sum, signal.len() as f64)
    }
}

impl TryFrom<BaselineRecord> for GearBaseline {
    type Error = Error;

    fn try_from(r: BaselineRecord) -> Result<Self> {
        let v = r.mean_variance;
        let fits = if r.n_records == 0 {
            v == 0.0
        } else {
            v.is_finite() && v > 0.0
        };
        if !fits {
            let expected = "finite and above 0, and 0 without records";
            return Err(Error::parameter(
                "mean_variance",
                expected,
                format!("{v} of {}", r.n_records),
            ));
        }
        Ok(Self {
            n_records: r.n_records,
            mean_variance: v,
        })
    }
}

impl From<GearBaseline> for BaselineRecord {
    fn from(b: GearBaseline) -> Self {
        Self {
            n_records: b.n_records,
            mean_variance: b.mean_variance,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        spectrum::{AmplitudeSpectrum, AnalyticSignal, GearSignal, Taper},
    };
    use proptest::prelude::*;
    use rand_distr_free::gaussian;
    use std::f64::consts::TAU;

    /// Gaussian noise without another crate.
    mod rand_distr_free {
        use rand::{Rng, SeedableRng};
        use rand_xoshiro::Xoshiro256Plus;

        pub fn gaussian(n: usize, seed: u64) -> Vec<f64> {
            let mut rng = Xoshiro256Plus::seed_from_u64(seed);
            let mut one = || -> f64 {
                let (u, v) = (1.0 - rng.r#gen::<f64>(), rng.r#gen::<f64>());
                (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            };
            (0..n).map(|_| one()).collect()
        }
    }

    #[test]
    fn moments_are_those_of_known_distributions() {
        // Over whole periods the moments of a sine are exact: 3/2, 5/2, 35/8.
        let sine: Vec<f64> = (0..360)
            .map(|i| 7.0 + 0.3 * (TAU * f64::from(i) / 90.0).sin())
            .collect();
        for (got, expected) in [(fm4(&sine), 1.5), (m6a(&sine), 2.5), (m8a(&sine), 4.375)] {
            assert!((got - expected).abs() < 1e-11, "{got} {expected}");
        }
        // Of n Gaussians the estimates scatter by about √(96/n), √(9,360/n), √(1.9e6/n); four of those.
        let n = 400_000;
        let noise = gaussian(n, 3);
        for (got, expected, scatter) in [
            (fm4(&noise), 3.0, 96.0_f64),
            (m6a(&noise), 15.0, 9360.0),
            (m8a(&noise), 105.0, 1.9e6),
        ] {
            assert!(
                (got - expected).abs() < 4.0 * (scatter / n as f64).sqrt(),
                "{got} {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn indicators_forget_offset_and_scale(x in prop::collection::vec(-1.0..1.0_f64, 3..60), scale in -8.0..8.0_f64, offset in -10.0..10.0_f64) {
            prop_assume!(variance(&x) > 1e-3 && scale.abs() > 0.1);
            let moved: Vec<f64> = x.iter().map(|v| scale * v + offset).collect();
            for f in [fm4, m6a, m8a] {
                prop_assert!((f(&moved) - f(&x)).abs() <= 1e-9 * f(&x), "{} {}", f(&moved), f(&x));
                prop_assert!(f(&x) >= 1.0 - 1e-12);
            }
            // A first record's NA4 is its kurtosis.
            let mut baseline = GearBaseline::default();
            prop_assert!((baseline.update(&x) - fm4(&x)).abs() <= 1e-12 * fm4(&x));
            // And the mean is that of all variances.
            baseline.update(&moved);
            let mean = 0.5 * (variance(&x) + variance(&moved));
            prop_assert!((baseline.mean_variance() - mean).abs() <= 1e-12 * mean);
            let na4 = fm4(&x) * (variance(&x) / mean).powi(2);
            prop_assert!((baseline.against(&x) - na4).abs() <= 1e-9 * na4);
        }
    }

    /// An average of a gear of 30 teeth whose tooth at 90 degrees strikes.
    fn average(damage: f64) -> Vec<f64> {
        let noise = gaussian(1024, 9);
        (0..1024)
            .map(|i| {
                let turned = i as f64 / 1024.0;
                // And gives way: the mesh is weaker until the next has taken the load.
                let dip = 1.0 - 0.3 * damage * (-((turned - 0.25 - 1.0 / 30.0) / 0.015).powi(2)).exp();
                let mesh = dip * (2.0 * (TAU * 30.0 * turned).sin() + 0.5 * (TAU * 60.0 * turned).sin());
                let strike = (-((turned - 0.25) / 0.01).powi(2)).exp() * (TAU * 150.0 * turned).sin();
                mesh + 0.05 * noise[i] + damage * strike
            })
            .collect()
    }

    #[test]
    fn a_damaged_tooth_raises_every_indicator() {
        let plan = GearSignal::new(1024, 1, &[30.0], 2, 1).unwrap();
        let spectrum = AmplitudeSpectrum::new(1024, Hertz::new(1024.0).unwrap(), Taper::Rectangular).unwrap();
        let band = AnalyticSignal::of_band(1024, Hertz::new(1024.0).unwrap(), (15.5, 44.5)).unwrap();
        let (mut na4, mut nb4) = (GearBaseline::default(), GearBaseline::default());
        let mut look = |damage: f64| {
            let x = average(damage);
            let (parts, a) = (plan.parts(&x).unwrap(), spectrum.amplitude(&x).unwrap());
            let envelope: Vec<f64> = band.signal(&x).unwrap().iter().map(|z| z.norm()).collect();
            let d = &parts.difference;
            [
                fm0(&x, &[a[30], a[60]]),
                fm4(d),
                m6a(d),
                m8a(d),
                energy_ratio(&parts),
                na4.update(&parts.residual),
                nb4.update(&envelope),
            ]
        };
        let healthy = look(0.0);
        assert!(
            (healthy[1] - 3.0).abs() < 0.6 && (healthy[4] - 0.05 / 2.125_f64.sqrt()).abs() < 4e-3,
            "{healthy:?}"
        );
        assert!((1.7..2.0).contains(&healthy[0]), "{healthy:?}");
        let damaged = look(1.0);
        for (i, (before, after)) in healthy.iter().zip(&damaged).enumerate() {
            assert!(*after > 1.05 * before, "{i}: {before} {after}");
        }
    }

    #[test]
    fn what_has_no_answer_is_nan_and_leaves_the_baseline() {
        let mut nan = [1.0, 2.0, 3.0];
        nan[1] = f64::NAN;
        let mut baseline = GearBaseline::default();
        assert!(baseline.against(&[1.0, -1.0]).is_nan() && baseline.mean_variance().is_nan());
        baseline.update(&[1.0, -1.0]);
        let before = baseline;
        for bad in [
            &[][..],
            &[1.0],
            &[5.0; 9],
            &nan,
            &[f64::INFINITY, 1.0],
            &[1e300, -1e300],
        ] {
            assert!(fm4(bad).is_nan() && m6a(bad).is_nan() && m8a(bad).is_nan(), "{bad:?}");
            assert!(baseline.update(bad).is_nan() && baseline.against(bad).is_nan());
            assert_eq!(baseline, before);
        }
        assert!(fm0(&nan, &[1.0]).is_nan() && fm0(&[1.0, 2.0], &[]).is_nan() && fm0(&[], &[1.0]).is_nan());
        assert!(fm0(&[1.0, 2.0], &[f64::NAN]).is_nan() && fm0(&[1.0, 2.0], &[0.0]).is_nan());
        assert!(energy_ratio(&Parted::default()).is_nan());
        let flat = Parted {
            regular: vec![1.0; 4],
            residual: vec![0.0; 4],
            difference: vec![0.0; 4],
        };
        assert!(energy_ratio(&flat).is_nan());
    }

    #[test]
    fn states_and_pairs_are_read_back_through_their_checks() {
        let mut baseline = GearBaseline::default();
        let json = |b: &GearBaseline| serde_json::to_string(b).unwrap();
        assert_eq!(
            serde_json::from_str::<GearBaseline>(&json(&baseline)).unwrap(),
            baseline
        );
        baseline.update(&[1.0, 2.0, 4.0]);
        assert_eq!(
            serde_json::from_str::<GearBaseline>(&json(&baseline)).unwrap(),
            baseline
        );
        for bad in [
            r#"{"n_records":0,"mean_variance":1.0}"#,
            r#"{"n_records":3,"mean_variance":0.0}"#,
            r#"{"n_records":3,"mean_variance":-1.0}"#,
        ] {
            assert!(serde_json::from_str::<GearBaseline>(bad).is_err(), "{bad}");
        }
        for (a, b) in [(0, 20), (20, 1), (20, 10_001)] {
            assert_eq!(GearPair::new(a, b).unwrap_err().kind(), ErrorKind::InvalidParameter);
            let text = format!(r#"{{"teeth":{a},"partner_teeth":{b}}}"#);
            assert!(serde_json::from_str::<GearPair>(&text).is_err());
        }
        let pair = GearPair::new(24, 36).unwrap();
        let text = r#"{"teeth":24,"partner_teeth":36}"#;
        assert_eq!(serde_json::to_string(&pair).unwrap(), text);
        assert_eq!(serde_json::from_str::<GearPair>(text).unwrap(), pair);
        assert_eq!(
            (pair.hunting_tooth_revolutions(), pair.sideband_orders(2, 3)),
            (3, (44.5, 51.5))
        );
        assert!((pair.partner_order() - 2.0 / 3.0).abs() < 1e-15);
        // At and below zero there are no sidebands.
        let few = GearPair::new(3, 7).unwrap();
        let one = Hertz::new(1.0).unwrap();
        let sides: Vec<f64> = few.sideband_frequencies_hz(one, 1, 5).unwrap().collect();
        assert_eq!(sides, [1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(few.sideband_orders(1, 5), (0.0, 8.5));
        for count in [1001, u32::MAX] {
            let e = few.sideband_frequencies_hz(one, 1, count).err().unwrap();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        }
    }
}
