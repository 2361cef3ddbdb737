//! Fatigue: rainflow counting of load cycles, and the damage they add up to.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Turning points that are kept at most; see [`Rainflow`].
const MAX_REVERSALS: usize = 4096;

/// A counted load cycle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadCycle {
    /// Highest less lowest load, in the unit of the load.
    pub range: f64,
    /// Mean of highest and lowest load.
    pub mean: f64,
    /// 1 for a whole cycle, 0.5 for a half one.
    pub count: f64,
}

impl LoadCycle {
    fn between(a: f64, b: f64, count: f64) -> Self {
        // Halves first: loads near the ends of the range do not overflow in the mean.
        Self {
            range: (a - b).abs(),
            mean: 0.5 * a + 0.5 * b,
            count,
        }
    }
}

/// Rainflow counting of ASTM E1049-85 (section 5.4.4), one load at a time.
///
/// A load history is reduced to its turning points. With `X` the range of the last two and `Y` that of the two before, `Y`
/// is counted once `X >= Y`: as half a cycle if it holds the first point of the history, which is then dropped, else as a
/// whole one, whose two points are dropped. What is left in the end counts as half cycles,
/// [`finish`](Rainflow::finish).
///
/// # Bad samples
/// NaN and infinity are skipped and counted in [`n_skipped`](Rainflow::n_skipped).
///
/// # Cost
/// Amortised O(1) a load. At most 4,096 turning points are kept; the oldest is then counted as half a cycle and dropped, as
/// if the history began after it. That takes 4,096 loads in a row that swing ever less; a
/// [`hysteresis`](Rainflow::with_hysteresis) makes it impossible in practice. Nothing is allocated but the growth to that
/// size. State serialises.
///
/// ```
/// use prognos::features::fatigue::Rainflow;
/// let mut counter = Rainflow::new();
/// let mut cycles = Vec::new();
/// for load in [-2.0, 1.0, -3.0, 5.0, -1.0, 3.0, -4.0, 4.0, -2.0] {
///     counter.push(load, |c| cycles.push((c.range, c.count)));
/// }
/// counter.finish(|c| cycles.push((c.range, c.count)));
/// // The example of the standard, Fig. 6.
/// assert_eq!(cycles, [(3.0, 0.5), (4.0, 0.5), (4.0, 1.0), (8.0, 0.5), (9.0, 0.5), (8.0, 0.5), (6.0, 0.5)]);
/// ```
///
/// Source: ASTM E1049-85(2017), <https://doi.org/10.1520/E1049-85R17>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RainflowData", into = "RainflowData")]
pub struct Rainflow {
    data: RainflowData,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RainflowData {
    /// Turning points, neighbours differing, ups and downs in turn; the last may still move on.
    reversals: Vec<f64>,
    hysteresis: f64,
    n_skipped: u64,
}

impl Default for Rainflow {
    fn default() -> Self {
        Self::new()
    }
}

impl Rainflow {
    /// A counter before its first load.
    pub fn new() -> Self {
        Self {
            data: RainflowData {
                reversals: Vec::new(),
                hysteresis: 0.0,
                n_skipped: 0,
            },
        }
    }

    /// A counter for which swings of at most `range` are no turning points: noise of the sensor does not count as cycles.
    ///
    /// # Errors
    /// `InvalidParameter` unless `range` is finite and not negative.
    pub fn with_hysteresis(range: f64) -> Result<Self> {
        if !(range.is_finite() && range >= 0.0) {
            return Err(Error::parameter("hysteresis", "finite and not negative", range));
        }
        let mut counter = Self::new();
        counter.data.hysteresis = range;
        Ok(counter)
    }

    /// Takes one load; hands over each cycle that is now complete.
    pub fn push(&mut self, load: f64, mut on_cycle: impl FnMut(LoadCycle)) {
        let RainflowData {
            reversals,
            hysteresis,
            n_skipped,
        } = &mut self.data;
        if !load.is_finite() {
            *n_skipped += 1;
            return;
        }
        match **reversals {
            [] => reversals.push(load),
            [only] => {
                if (load - only).abs() > *hysteresis {
                    reversals.push(load);
                }
            }
            [.., before, last] => {
                if (last > before && load >= last) || (last < before && load <= last) {
                    // It goes on as it went.
                    if let Some(last) = reversals.last_mut() {
                        *last = load;
                    }
                } else if (load - last).abs() > *hysteresis {
                    // `last` was a turning point.
                    reduce(reversals, &mut on_cycle);
                    if reversals.len() >= MAX_REVERSALS {
                        drop_first(reversals, &mut on_cycle);
                    }
                    reversals.push(load);
                }
            }
        }
    }

    /// Ends the history: hands over what is left, and begins anew.
    pub fn finish(&mut self, mut on_cycle: impl FnMut(LoadCycle)) {
        let reversals = &mut self.data.reversals;
        reduce(reversals, &mut on_cycle);
        for pair in reversals.windows(2) {
            if let [a, b] = pair {
                on_cycle(LoadCycle::between(*a, *b, 0.5));
            }
        }
        reversals.clear();
    }

    /// The half cycles that [`finish`](Rainflow::finish) would hand over now, counting on.
    pub fn residue(&self) -> impl Iterator<Item = LoadCycle> + '_ {
        let pairs = self.data.reversals.windows(2);
        pairs.filter_map(|p| match p {
            [a, b] => Some(LoadCycle::between(*a, *b, 0.5)),
            _ => None,
        })
    }

    /// Loads that were NaN or infinite.
    pub fn n_skipped(&self) -> u64 {
        self.data.n_skipped
    }

    /// All cycles of a whole history.
    pub fn cycles(loads: &[f64]) -> Vec<LoadCycle> {
        let (mut counter, mut cycles) = (Self::new(), Vec::new());
        loads.iter().for_each(|&l| counter.push(l, |c| cycles.push(c)));
        counter.finish(|c| cycles.push(c));
        cycles
    }
}

/// Counts and drops what is complete at the end of `reversals`, the last of which is a turning point.
fn reduce(reversals: &mut Vec<f64>, on_cycle: &mut impl FnMut(LoadCycle)) {
    while let [.., a, b, c] = **reversals {
        if (c - b).abs() < (b - a).abs() {
            return;
        }
        if reversals.len() == 3 {
            drop_first(reversals, on_cycle);
        } else {
            on_cycle(LoadCycle::between(a, b, 1.0));
            let end = reversals.len();
            reversals.drain(end - 3..end - 1);
        }
    }
}

/// Counts the first two points as half a cycle and drops the first.
fn drop_first(reversals: &mut Vec<f64>, on_cycle: &mut impl FnMut(LoadCycle)) {
    if let [a, b, ..] = **reversals {
        on_cycle(LoadCycle::between(a, b, 0.5));
        reversals.remove(0);
    }
}

impl TryFrom<RainflowData> for Rainflow {
    type Error = Error;

    fn try_from(data: RainflowData) -> Result<Self> {
        Self::with_hysteresis(data.hysteresis)?;
        let r = &data.reversals;
        let in_turn = r.windows(3).all(|w| match w {
            [a, b, c] => (b > a) != (c > b),
            _ => true,
        });
        let differ = r.windows(2).all(|w| w.first() != w.last());
        if r.len() > MAX_REVERSALS || !r.iter().all(|v| v.is_finite()) || !differ || !in_turn {
            let expected = format!("at most {MAX_REVERSALS} finite turning points, up and down in turn");
            return Err(Error::input("rainflow state", expected, format!("{} others", r.len())));
        }
        Ok(Self { data })
    }
}

impl From<Rainflow> for RainflowData {
    fn from(r: Rainflow) -> Self {
        r.data
    }
}

/// A stress-life (Wöhler) curve: how many cycles of a stress amplitude a part endures.
///
/// Basquin's line `N(S) = N_k (S / S_k)^(-k)` through the knee `(N_k, S_k)` with exponent `k`; below the knee the part
/// endures for ever, or by a flatter line of exponent `2k - 1` (Haibach). A mean stress `m` is accounted for by Goodman's
/// line where the tensile strength `R` is given: `S / (1 - m / R)` for tensile means, `m >= R` is failure at once.
///
/// Sources: Basquin (1910); Goodman (1899); Haibach (1970). Palmgren (1924) and Miner (1945),
/// <https://doi.org/10.1115/1.4009458>, for the sum of damage.
///
/// ```
/// use prognos::features::fatigue::{Rainflow, StressLife};
/// let curve = StressLife::basquin(100.0, 1e6, 5.0)?; // amplitude 100 MPa for a million cycles, exponent 5
/// assert!((curve.cycles_to_failure(200.0, 0.0) - 1e6 / 32.0).abs() < 1e-6);
/// let damage = curve.miner_sum(&Rainflow::cycles(&[0.0, 400.0, 0.0, 400.0, 0.0]));
/// assert!((damage - 2.0 * 32.0 / 1e6).abs() < 1e-15); // two cycles of amplitude 200
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StressLifeData", into = "StressLifeData")]
pub struct StressLife(StressLifeData);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct StressLifeData {
    amplitude: f64,
    cycles: f64,
    exponent: f64,
    below: BelowKnee,
    tensile_strength: Option<f64>,
}

/// What amplitudes below the knee of a [`StressLife`] curve do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BelowKnee {
    /// The same line goes on (Miner elementary); the cautious default.
    #[default]
    SameSlope,
    /// A flatter line of exponent `2k - 1` (Haibach).
    Haibach,
    /// No damage (Miner original).
    NoDamage,
}

impl StressLife {
    /// The curve through `cycles` at stress `amplitude` (half the range), of slope `exponent`.
    ///
    /// # Errors
    /// `InvalidParameter` unless all are finite and above zero, and the exponent at least 1.
    pub fn basquin(amplitude: f64, cycles: f64, exponent: f64) -> Result<Self> {
        StressLifeData {
            amplitude,
            cycles,
            exponent,
            below: BelowKnee::default(),
            tensile_strength: None,
        }
        .try_into()
    }

    /// The same curve with another course below its knee.
    #[must_use]
    pub fn below_knee(mut self, below: BelowKnee) -> Self {
        self.0.below = below;
        self
    }

    /// The same curve with Goodman's correction of mean stress.
    ///
    /// # Errors
    /// `InvalidParameter` unless the tensile strength is finite and above zero.
    pub fn goodman(mut self, tensile_strength: f64) -> Result<Self> {
        self.0.tensile_strength = Some(tensile_strength);
        self.0.try_into()
    }

    /// Cycles of this stress amplitude about this mean that a part endures: infinite where there is no damage, zero where
    /// the mean alone reaches the tensile strength, NaN for NaN.
    pub fn cycles_to_failure(&self, amplitude: f64, mean: f64) -> f64 {
        let StressLifeData {
            amplitude: knee,
            cycles,
            exponent,
            below,
            tensile_strength,
        } = self.0;
        let mut amplitude = amplitude.abs();
        if let Some(strength) = tensile_strength
            && (mean > 0.0 || mean.is_nan())
        {
            let left = 1.0 - mean / strength;
            if left <= 0.0 {
                return 0.0;
            }
            amplitude /= left;
        }
        if amplitude.is_nan() {
            return f64::NAN;
        }
        let exponent = match below {
            _ if amplitude >= knee => exponent,
            BelowKnee::SameSlope => exponent,
            BelowKnee::Haibach => 2.0 * exponent - 1.0,
            BelowKnee::NoDamage => return f64::INFINITY,
        };
        cycles * libm::pow(amplitude / knee, -exponent)
    }

    /// The damage of one counted cycle, `count / N`; failure is expected where the sum reaches 1.
    pub fn damage(&self, cycle: &LoadCycle) -> f64 {
        cycle.count / self.cycles_to_failure(0.5 * cycle.range, cycle.mean)
    }

    /// Miner's sum `Σ count / N` over cycles.
    pub fn miner_sum<'a>(&self, cycles: impl IntoIterator<Item = &'a LoadCycle>) -> f64 {
        cycles.into_iter().map(|c| self.damage(c)).sum()
    }
}

impl TryFrom<StressLifeData> for StressLife {
    type Error = Error;

    fn try_from(d: StressLifeData) -> Result<Self> {
        let strength = d.tensile_strength.unwrap_or(1.0);
        for (name, value, least) in [
            ("amplitude", d.amplitude, 0.0),
            ("cycles", d.cycles, 0.0),
            ("tensile_strength", strength, 0.0),
            ("exponent", d.exponent, 1.0_f64.next_down()),
        ] {
            if !(value.is_finite() && value > least) {
                let expected = if least > 0.0 {
                    "finite and at least 1"
                } else {
                    "finite and above 0"
                };
                return Err(Error::parameter(name, expected, value));
            }
        }
        Ok(Self(d))
    }
}

impl From<StressLife> for StressLifeData {
    fn from(s: StressLife) -> Self {
        s.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{decode, encode};
    use proptest::prelude::*;

    /// The algorithm of the standard over a whole history, on a list of turning points, step by step.
    fn naive(loads: &[f64]) -> Vec<LoadCycle> {
        let mut points: Vec<f64> = Vec::new();
        for &l in loads {
            if points.last() == Some(&l) {
                continue;
            }
            if let [.., a, b] = points[..]
                && (b > a) == (l > b)
            {
                points.pop();
            }
            points.push(l);
        }
        let (mut stack, mut out) = (Vec::new(), Vec::new());
        for p in points {
            stack.push(p);
            while stack.len() >= 3 {
                let n = stack.len();
                let x = (stack[n - 1] - stack[n - 2]).abs();
                let y = (stack[n - 2] - stack[n - 3]).abs();
                if x < y {
                    break;
                }
                if n == 3 {
                    out.push(LoadCycle::between(stack[0], stack[1], 0.5));
                    stack.remove(0);
                } else {
                    out.push(LoadCycle::between(stack[n - 3], stack[n - 2], 1.0));
                    let last = stack[n - 1];
                    stack.truncate(n - 3);
                    stack.push(last);
                }
            }
        }
        for w in stack.windows(2) {
            out.push(LoadCycle::between(w[0], w[1], 0.5));
        }
        out
    }

    proptest! {
        #[test]
        fn it_is_the_standards_algorithm(loads in prop::collection::vec(-5..5_i32, 0..60)) {
            let loads: Vec<f64> = loads.into_iter().map(f64::from).collect();
            prop_assert_eq!(Rainflow::cycles(&loads), naive(&loads));
        }

        #[test]
        fn the_largest_cycle_spans_the_history_and_states_go_on(
            loads in prop::collection::vec(-1e3..1e3_f64, 3..200), cut in 0..200_usize, gate in 0.0..50.0_f64,
        ) {
            let cycles = Rainflow::cycles(&loads);
            let lowest = loads.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = loads.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let largest = cycles.iter().map(|c| c.range).fold(0.0, f64::max);
            prop_assert_eq!(largest, highest - lowest);

            let mut whole = Rainflow::with_hysteresis(gate).unwrap();
            let mut parts = whole.clone();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for (i, &l) in loads.iter().enumerate() {
                if i == cut {
                    parts = decode(&encode(&parts).unwrap()).unwrap();
                    prop_assert!(parts.residue().count() < MAX_REVERSALS);
                }
                whole.push(l, |c| a.push(c));
                parts.push(l, |c| b.push(c));
            }
            whole.finish(|c| a.push(c));
            parts.finish(|c| b.push(c));
            prop_assert_eq!(&a, &b);
            prop_assert!(a.iter().all(|c| c.range > gate));
        }
    }

    #[test]
    fn bad_loads_are_skipped_and_memory_is_bounded() {
        let mut r = Rainflow::new();
        let mut n = 0.0;
        // Swings that die away slowly: nothing ever closes.
        for i in 0..3 * MAX_REVERSALS {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            r.push(sign * (1e6 - i as f64), |c| n += c.count);
            r.push(f64::NAN, |_| unreachable!());
            r.push(f64::INFINITY, |_| unreachable!());
        }
        assert!(r.data.reversals.len() <= MAX_REVERSALS);
        assert_eq!(r.n_skipped(), 6 * MAX_REVERSALS as u64);
        r.finish(|c| n += c.count);
        assert_eq!(n, 0.5 * (3 * MAX_REVERSALS - 1) as f64);
        assert!(Rainflow::cycles(&[]).is_empty() && Rainflow::cycles(&[3.0; 9]).is_empty());
        let huge = Rainflow::cycles(&[f64::MAX, -f64::MAX, f64::MAX]);
        assert!(huge.iter().all(|c| c.mean == 0.0));
        for text in [
            r#"{"reversals":[1.0,1.0],"hysteresis":0.0,"n_skipped":0}"#,
            r#"{"reversals":[1.0,2.0,3.0],"hysteresis":0.0,"n_skipped":0}"#,
            r#"{"reversals":[],"hysteresis":-1.0,"n_skipped":0}"#,
        ] {
            assert!(serde_json::from_str::<Rainflow>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn curves_bend_at_their_knee_and_bad_ones_are_refused() {
        let line = StressLife::basquin(50.0, 2e6, 3.0).unwrap();
        assert_eq!(line.cycles_to_failure(50.0, 0.0), 2e6);
        assert!((line.cycles_to_failure(25.0, 0.0) - 16e6).abs() < 1e-6);
        let flat = line.below_knee(BelowKnee::Haibach);
        assert!((flat.cycles_to_failure(25.0, 0.0) - 2e6 * 32.0).abs() < 1e-6);
        assert_eq!(flat.cycles_to_failure(100.0, 0.0), line.cycles_to_failure(100.0, 0.0));
        assert_eq!(
            line.below_knee(BelowKnee::NoDamage).cycles_to_failure(49.9, 0.0),
            f64::INFINITY
        );
        let goodman = line.goodman(400.0).unwrap();
        assert_eq!(
            goodman.cycles_to_failure(25.0, 200.0),
            line.cycles_to_failure(50.0, 0.0)
        );
        assert_eq!(
            goodman.cycles_to_failure(25.0, -200.0),
            line.cycles_to_failure(25.0, 0.0)
        );
        assert_eq!(goodman.cycles_to_failure(25.0, 400.0), 0.0);
        assert!(goodman.cycles_to_failure(f64::NAN, 0.0).is_nan());
        assert!(line.goodman(f64::NAN).is_err() && line.goodman(0.0).is_err());
        for (a, n, k) in [
            (0.0, 1.0, 1.0),
            (1.0, f64::NAN, 1.0),
            (1.0, 1.0, 0.9),
            (1.0, 1.0, f64::INFINITY),
        ] {
            assert!(StressLife::basquin(a, n, k).is_err());
        }
    }
}
