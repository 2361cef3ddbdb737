//! Recursive filters as a cascade of second-order sections: streaming, and forward and backward without delay.

use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use realfft::num_complex::Complex;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::f64::consts::TAU;

/// The most sections of a filter.
const MAX_SECTIONS: usize = 32;
/// The largest magnitude of a sample, so that no sum within a filter overflows.
const MAX_SAMPLE: f64 = 1e150;
/// The least magnitude of a section's denominator on the unit circle: there, rounding of its coefficients alone shifts the
/// response by a millionth.
const MIN_DENOMINATOR: f64 = 1e6 * f64::EPSILON;

/// `(b0 + b1 z⁻¹ + b2 z⁻²) / (1 + a1 z⁻¹ + a2 z⁻²)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Section {
    pub(super) b: [f64; 3],
    pub(super) a: [f64; 2],
}

impl Section {
    /// Distance of the outermost pole from zero.
    pub(super) fn radius(&self) -> f64 {
        let [a1, a2] = self.a;
        match a1 * a1 - 4.0 * a2 {
            d if d < 0.0 => a2.sqrt(),
            d => 0.5 * (a1.abs() + d.sqrt()),
        }
    }

    /// Both poles lie inside the unit circle.
    fn is_stable(&self) -> bool {
        let [a1, a2] = self.a;
        a2.abs() < 1.0 && a1.abs() < 1.0 + a2
    }

    /// The least magnitude of the denominator on the unit circle: its square is quadratic in the cosine of the angle.
    fn least_denominator(&self) -> f64 {
        let [a1, a2] = self.a;
        let vertex = -a1 * (1.0 + a2) / (4.0 * a2);
        let vertex = if vertex.abs() < 1.0 { vertex } else { 1.0 };
        let at = |cos: f64| {
            let sin = ((1.0 - cos) * (1.0 + cos)).sqrt();
            let re = 1.0 + a1 * cos + a2 * (2.0 * cos * cos - 1.0);
            libm::hypot(re, a1 * sin + 2.0 * a2 * sin * cos)
        };
        at(-1.0).min(at(1.0)).min(at(vertex))
    }

    fn gain_at_zero(&self) -> f64 {
        self.b.iter().sum::<f64>() / (1.0 + self.a[0] + self.a[1])
    }
}

/// A recursive filter for samples at one rate: a cascade of second-order sections, made by
/// [`Butterworth`](super::Butterworth), [`Notch`](super::Notch) or from coefficients.
///
/// Each section is `y[i] = b0 x[i] + b1 x[i-1] + b2 x[i-2] - a1 y[i-1] - a2 y[i-2]`, in the transposed direct form II, as in
/// `scipy.signal.sosfilt`.
///
/// # Streaming
/// [`filter_into`](IirFilter::filter_into) takes chunks of any size and a [`FilterState`] between them: the result is that of
/// all samples at once, to the last bit. The state starts as if the samples before had been zero, or as if they had been the
/// first one ([`FilterStart`]).
///
/// # Missing samples
/// A sample that is NaN, infinite or beyond ±10¹⁵⁰ is bad. The filter takes the last good one in its place, so that its clock
/// runs on, and gives NaN; later samples are not spoilt. Before the first good sample a steady start waits. Where values
/// overflow within a filter of given coefficients, it gives NaN and starts anew.
///
/// # Cost
/// Five multiplications a sample and section; nothing is allocated. A filter of up to four sections has a state without
/// memory of its own.
///
/// ```
/// use prognos::{quantity::Hertz, signal::{Butterworth, FilterBand, FilterStart}};
/// let filter = Butterworth::new(4, FilterBand::LowPass(100.0))?.design(Hertz::new(1000.0)?)?;
/// let x: Vec<f64> = (0..300).map(|i| f64::from(i * 7919 % 1013)).collect();
/// let whole = filter.filter(&x, FilterStart::Steady)?;
/// let (mut state, mut y) = (filter.new_state(FilterStart::Steady), vec![0.0; 300]);
/// for (x, y) in x.chunks(7).zip(y.chunks_mut(7)) {
///     filter.filter_into(x, &mut state, y)?;
/// }
/// assert_eq!(y, whole);
/// assert!((filter.response(100.0).norm() - 0.5_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "FilterData", into = "FilterData")]
pub struct IirFilter {
    rate: Hertz,
    sections: Vec<Section>,
    /// Of rate and coefficients.
    hash: u64,
}

#[derive(Serialize, Deserialize)]
struct FilterData {
    rate: Hertz,
    sections: Vec<[f64; 6]>,
}

impl IirFilter {
    /// A filter of sections `[b0, b1, b2, a0, a1, a2]`, first to last, as SciPy's `sos` has them.
    ///
    /// # Errors
    /// `InvalidParameter` unless there are 1 to 32 sections of finite coefficients with `a0` not 0, and every section is
    /// stable: its poles lie inside the unit circle, and rounding of its coefficients shifts its response by less than a
    /// millionth anywhere (the denominator is at least 10⁶ times the machine's precision).
    pub fn from_sections(rate: Hertz, sections: &[[f64; 6]]) -> Result<Self> {
        let normed = |s: &[f64; 6]| {
            let [b0, b1, b2, a0, a1, a2] = *s;
            Section {
                b: [b0 / a0, b1 / a0, b2 / a0],
                a: [a1 / a0, a2 / a0],
            }
        };
        if !(1..=MAX_SECTIONS).contains(&sections.len()) {
            return Err(Error::parameter(
                "sections",
                format!("1 to {MAX_SECTIONS}"),
                sections.len(),
            ));
        }
        Self::new(rate, sections.iter().map(normed).collect())
    }

    pub(super) fn new(rate: Hertz, sections: Vec<Section>) -> Result<Self> {
        for (i, s) in sections.iter().enumerate() {
            if !s.b.iter().chain(&s.a).all(|c| c.is_finite()) {
                return Err(Error::parameter(
                    &format!("section {i}"),
                    "finite, a0 not 0",
                    format!("{s:?}"),
                ));
            }
            let least = s.least_denominator();
            if !(s.is_stable() && least >= MIN_DENOMINATOR) {
                let expected = "stable beyond rounding: frequencies or widths less small against the sampling rate";
                let got = format!(
                    "poles at {} of the unit circle, a denominator down to {least:e}",
                    s.radius()
                );
                return Err(Error::parameter(&format!("section {i}"), expected, got));
            }
        }
        // FNV-1a, over the bits of all numbers.
        let numbers = sections.iter().flat_map(|s| s.b.into_iter().chain(s.a));
        let bytes = std::iter::once(rate.get())
            .chain(numbers)
            .flat_map(|v| v.to_bits().to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Ok(Self { rate, sections, hash })
    }

    /// Samples a second.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// The sections, first to last: `[b0, b1, b2, 1, a1, a2]`.
    pub fn sections(&self) -> impl ExactSizeIterator<Item = [f64; 6]> + '_ {
        self.sections.iter().map(|s| {
            let ([b0, b1, b2], [a1, a2]) = (s.b, s.a);
            [b0, b1, b2, 1.0, a1, a2]
        })
    }

    /// The complex response at `f_hz`: its magnitude is the gain, its angle the phase in radians. It repeats every sampling
    /// rate.
    ///
    /// ```
    /// # use prognos::{quantity::Hertz, signal::Notch};
    /// let filter = Notch::new(50.0, 30.0)?.design(Hertz::new(1000.0)?)?;
    /// assert!(filter.response(50.0).norm() < 1e-12 && (filter.response(0.0).norm() - 1.0).abs() < 1e-12);
    /// # Ok::<(), prognos::Error>(())
    /// ```
    pub fn response(&self, f_hz: f64) -> Complex<f64> {
        let angle = TAU * f_hz / self.rate.get();
        let z1 = Complex::new(libm::cos(angle), -libm::sin(angle));
        let z2 = z1 * z1;
        self.sections
            .iter()
            .map(|s| (z1 * s.b[1] + z2 * s.b[2] + s.b[0]) / (z1 * s.a[0] + z2 * s.a[1] + 1.0))
            .product()
    }

    /// A state before the first sample.
    pub fn new_state(&self, start: FilterStart) -> FilterState {
        let mut state = FilterState {
            filter: self.hash,
            start,
            last: None,
            delays: SmallVec::from_elem([0.0; 2], self.sections.len()),
        };
        state.reset();
        state
    }

    /// Writes the filtered samples, which follow those the state has seen; tells how many were bad.
    ///
    /// # Errors
    /// `StateMismatch` where the state is of another filter; `InvalidInput` where `out` has another length than `x`. State and
    /// `out` are unchanged then.
    pub fn filter_into(&self, x: &[f64], state: &mut FilterState, out: &mut [f64]) -> Result<usize> {
        if out.len() != x.len() {
            return Err(Error::input("places of a filter", x.len(), out.len()));
        }
        self.check(state)?;
        let mut n_bad = 0;
        for (x, o) in x.iter().zip(out) {
            *o = self.step(*x, state, &mut n_bad);
        }
        Ok(n_bad)
    }

    /// As [`filter_into`](IirFilter::filter_into), over the samples themselves.
    ///
    /// # Errors
    /// `StateMismatch` where the state is of another filter.
    pub fn filter_in_place(&self, x: &mut [f64], state: &mut FilterState) -> Result<usize> {
        self.check(state)?;
        let mut n_bad = 0;
        for v in x {
            *v = self.step(*v, state, &mut n_bad);
        }
        Ok(n_bad)
    }

    /// The filtered samples, in memory of their own.
    ///
    /// # Errors
    /// None for a filter that was made.
    pub fn filter(&self, x: &[f64], start: FilterStart) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        self.filter_into(x, &mut self.new_state(start), &mut out)?;
        Ok(out)
    }

    /// Samples that [`zero_phase_into`](IirFilter::zero_phase_into) puts before and after a signal: three times the number
    /// of coefficients. A signal must be longer.
    pub fn n_padding(&self) -> usize {
        let first_order = |zero: fn(&Section) -> bool| self.sections.iter().filter(|s| zero(s)).count();
        let n_less = first_order(|s| s.b[2] == 0.0).min(first_order(|s| s.a[1] == 0.0));
        3 * (2 * self.sections.len() + 1 - n_less)
    }

    /// Work space of one thread for zero-phase filtering.
    pub fn new_zero_phase_scratch(&self) -> ZeroPhaseScratch {
        ZeroPhaseScratch {
            extended: Vec::new(),
            state: self.new_state(FilterStart::Steady),
        }
    }

    /// Writes the signal filtered forward and then backward: without delay, its gain that of the filter squared. Tells how
    /// many samples were bad.
    ///
    /// Both ends are extended by [`n_padding`](IirFilter::n_padding) samples, turned about the end sample (`2 x[0] - x[i]`),
    /// and each run starts steady: padding as in SciPy's `sosfiltfilt` with its defaults. Bad samples (as in streaming) are bridged by a
    /// straight line between their neighbours, at the ends by the nearest, and NaN in the result; without a good sample all of
    /// it is NaN. Where values overflow within a filter of given coefficients the result is NaN, there and
    /// where the filter carries it.
    ///
    /// Ten multiplications a sample and section; nothing is allocated after the first call of that length.
    ///
    /// # Errors
    /// `InsufficientData` where `x` has not more samples than the padding; `InvalidInput` where `out` has another length than
    /// `x`; `StateMismatch` where the scratch is of another filter.
    ///
    /// ```
    /// # use prognos::{quantity::Hertz, signal::{Butterworth, FilterBand}};
    /// let filter = Butterworth::new(4, FilterBand::LowPass(50.0))?.design(Hertz::new(1000.0)?)?;
    /// let sine = |f: f64| move |i: i32| (std::f64::consts::TAU * f * f64::from(i) / 1000.0).sin();
    /// let x: Vec<f64> = (0..1000).map(|i| sine(5.0)(i) + sine(300.0)(i)).collect();
    /// let y = filter.zero_phase(&x)?;
    /// assert!((y[510] - sine(5.0)(510)).abs() < 1e-6);
    /// # Ok::<(), prognos::Error>(())
    /// ```
    pub fn zero_phase_into(&self, x: &[f64], scratch: &mut ZeroPhaseScratch, out: &mut [f64]) -> Result<usize> {
        let (n, edge) = (x.len(), self.n_padding());
        if out.len() != n {
            return Err(Error::input("places of a filter", n, out.len()));
        }
        self.check(&scratch.state)?;
        if n <= edge {
            let needed = format!("more samples than the padding of {edge}");
            return Err(Error::insufficient("zero-phase filtering", needed, n));
        }
        let ZeroPhaseScratch { extended, state } = scratch;
        let n_bad = bridge(x, out);
        if n_bad == n {
            return Ok(n_bad); // all NaN
        }
        extended.clear();
        let (first, last) = (out.first().copied().unwrap_or(0.0), out.last().copied().unwrap_or(0.0));
        let before = out.iter().skip(1).take(edge).rev();
        extended.extend(before.map(|v| 2.0 * first - v));
        extended.extend_from_slice(out);
        let after = out.iter().rev().skip(1).take(edge);
        extended.extend(after.map(|v| 2.0 * last - v));
        self.pass(extended.iter_mut(), &mut state.delays);
        self.pass(extended.iter_mut().rev(), &mut state.delays);
        for ((o, y), x) in out.iter_mut().zip(extended.iter().skip(edge)).zip(x) {
            *o = if is_good(*x) && y.is_finite() { *y } else { f64::NAN };
        }
        Ok(n_bad)
    }

    /// The signal filtered forward and backward, in memory of its own.
    ///
    /// # Errors
    /// `InsufficientData` where `x` has not more samples than the padding.
    pub fn zero_phase(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        self.zero_phase_into(x, &mut self.new_zero_phase_scratch(), &mut out)?;
        Ok(out)
    }

    fn check(&self, state: &FilterState) -> Result<()> {
        if state.filter == self.hash && state.delays.len() == self.sections.len() {
            return Ok(());
        }
        let described =
            |n_sections: usize, hash: u64| format!("that of a filter of {n_sections} sections, mark {hash:016x}");
        Err(Error::state(
            "filter state",
            described(self.sections.len(), self.hash),
            described(state.delays.len(), state.filter),
        ))
    }

    fn step(&self, x: f64, state: &mut FilterState, n_bad: &mut usize) -> f64 {
        let good = is_good(x);
        *n_bad += usize::from(!good);
        let value = match (good, state.last) {
            (true, _) => x,
            (false, Some(last)) => last,
            (false, None) => return f64::NAN,
        };
        if state.last.is_none() {
            self.settle(value, &mut state.delays);
        }
        state.last = Some(value);
        let y = self.run(value, &mut state.delays);
        if y.is_finite() {
            return if good { y } else { f64::NAN };
        }
        state.reset();
        f64::NAN
    }

    fn run(&self, x: f64, delays: &mut [[f64; 2]]) -> f64 {
        self.sections.iter().zip(delays).fold(x, |x, (s, d)| {
            let y = s.b[0] * x + d[0];
            d[0] = s.b[1] * x - s.a[0] * y + d[1];
            d[1] = s.b[2] * x - s.a[1] * y;
            y
        })
    }

    /// Delays as after endlessly many samples `x`.
    fn settle(&self, x: f64, delays: &mut [[f64; 2]]) {
        self.sections.iter().zip(delays).fold(x, |x, (s, d)| {
            let y = s.gain_at_zero() * x;
            *d = [y - s.b[0] * x, s.b[2] * x - s.a[1] * y];
            y
        });
    }

    /// Filters in the order given, from a steady start.
    fn pass<'a>(&self, x: impl Iterator<Item = &'a mut f64>, delays: &mut [[f64; 2]]) {
        for (i, v) in x.enumerate() {
            if i == 0 {
                self.settle(*v, delays);
            }
            *v = self.run(*v, delays);
        }
    }
}

/// Neither NaN nor beyond the largest magnitude.
fn is_good(x: f64) -> bool {
    x.abs() <= MAX_SAMPLE
}

/// Copies `x`, bad samples replaced by straight lines between good ones, at the ends by the nearest; how many were bad.
/// All NaN where all are.
fn bridge(x: &[f64], out: &mut [f64]) -> usize {
    out.copy_from_slice(x);
    let mut n_bad = 0;
    let mut before: Option<(usize, f64)> = None;
    for (i, &v) in x.iter().enumerate() {
        if !is_good(v) {
            n_bad += 1;
            continue;
        }
        let from = before.map_or(0, |(at, _)| at + 1);
        let places = out.iter_mut().enumerate().take(i).skip(from);
        match before {
            Some((at, u)) => places.for_each(|(k, o)| *o = u + (v - u) * ((k - at) as f64 / (i - at) as f64)),
            None => places.for_each(|(_, o)| *o = v),
        }
        before = Some((i, v));
    }
    let (from, value) = before.map_or((0, f64::NAN), |(at, v)| (at + 1, v));
    out.iter_mut().skip(from).for_each(|o| *o = value);
    n_bad
}

impl TryFrom<FilterData> for IirFilter {
    type Error = Error;
    fn try_from(data: FilterData) -> Result<Self> {
        Self::from_sections(data.rate, &data.sections)
    }
}

impl From<IirFilter> for FilterData {
    fn from(f: IirFilter) -> Self {
        Self {
            rate: f.rate,
            sections: f.sections().collect(),
        }
    }
}

/// What a filter takes for the samples before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterStart {
    /// Zeros.
    Zero,
    /// The first good sample: an offset of the sensor makes no transient. The default.
    #[default]
    Steady,
}

/// What an [`IirFilter`] remembers of one channel between chunks: two numbers a section, and the last good sample.
///
/// It belongs to the filter it was made by, or one of the same rate and coefficients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StateData", into = "StateData")]
pub struct FilterState {
    /// Hash of the filter.
    filter: u64,
    start: FilterStart,
    /// The last good sample; none before a steady start.
    last: Option<f64>,
    delays: SmallVec<[[f64; 2]; 4]>,
}

#[derive(Serialize, Deserialize)]
struct StateData {
    filter: u64,
    start: FilterStart,
    last: Option<f64>,
    delays: Vec<[f64; 2]>,
}

impl FilterState {
    /// Forgets all samples, as after a gap.
    pub fn reset(&mut self) {
        self.delays.fill([0.0; 2]);
        self.last = match self.start {
            FilterStart::Zero => Some(0.0),
            FilterStart::Steady => None,
        };
    }
}

impl TryFrom<StateData> for FilterState {
    type Error = Error;
    fn try_from(data: StateData) -> Result<Self> {
        if !(1..=MAX_SECTIONS).contains(&data.delays.len()) {
            let expected = format!("1 to {MAX_SECTIONS} sections");
            return Err(Error::input("filter state", expected, data.delays.len()));
        }
        if let Some(v) = data.delays.iter().flatten().find(|v| !v.is_finite()) {
            return Err(Error::input("filter state", "finite numbers", v));
        }
        match (data.last, data.start) {
            (Some(v), _) if !is_good(v) => return Err(Error::input("filter state", "a good last sample", v)),
            (None, FilterStart::Zero) => return Err(Error::input("filter state", "a last sample", "none")),
            _ => {}
        }
        Ok(Self {
            filter: data.filter,
            start: data.start,
            last: data.last,
            delays: SmallVec::from_vec(data.delays),
        })
    }
}

impl From<FilterState> for StateData {
    fn from(s: FilterState) -> Self {
        Self {
            filter: s.filter,
            start: s.start,
            last: s.last,
            delays: s.delays.into_vec(),
        }
    }
}

/// Work space of one thread for [`IirFilter::zero_phase_into`].
#[derive(Clone, Debug)]
pub struct ZeroPhaseScratch {
    extended: Vec<f64>,
    state: FilterState,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        signal::{Butterworth, FilterBand},
    };
    use proptest::prelude::*;

    fn rate() -> Hertz {
        Hertz::new(1000.0).unwrap()
    }

    fn band_pass(order: usize) -> IirFilter {
        let band = FilterBand::BandPass(50.0, 200.0);
        Butterworth::new(order, band).unwrap().design(rate()).unwrap()
    }

    fn bits(x: &[f64]) -> Vec<u64> {
        x.iter().map(|v| v.to_bits()).collect()
    }

    fn sample() -> impl Strategy<Value = f64> {
        prop_oneof![8 => -1.0..1.0_f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(1e200)]
    }

    proptest! {
        #[test]
        fn chunks_give_what_the_whole_gives(
            x in prop::collection::vec(sample(), 0..200), cuts in prop::collection::vec(0..60_usize, 0..20),
            order in 1..7_usize, steady in any::<bool>(),
        ) {
            let filter = band_pass(order);
            let start = if steady { FilterStart::Steady } else { FilterStart::Zero };
            let mut whole = vec![0.0; x.len()];
            let n_bad = filter.filter_into(&x, &mut filter.new_state(start), &mut whole).unwrap();
            prop_assert_eq!(n_bad, x.iter().filter(|v| !is_good(**v)).count());
            let mut y = x.clone();
            let (mut rest, mut state) = (&mut y[..], filter.new_state(start));
            for cut in cuts {
                let (chunk, after) = rest.split_at_mut(cut.min(rest.len()));
                filter.filter_in_place(chunk, &mut state).unwrap();
                // Between chunks the state goes through bytes.
                let bytes = rmp_serde::to_vec_named(&state).unwrap();
                let read: FilterState = rmp_serde::from_slice(&bytes).unwrap();
                prop_assert_eq!(&read, &state);
                state = read;
                rest = after;
            }
            filter.filter_in_place(rest, &mut state).unwrap();
            prop_assert_eq!(bits(&y), bits(&whole));
            prop_assert!(x.iter().zip(&y).all(|(x, y)| y.is_nan() != is_good(*x)));
        }

        /// A missing sample is filtered as the last good one.
        #[test]
        fn bad_samples_are_held(x in prop::collection::vec(sample(), 1..100)) {
            let filter = band_pass(3);
            let start = x.iter().position(|v| is_good(*v)).unwrap_or(x.len());
            let mut held = x[start..].to_vec();
            for i in 1..held.len() {
                if !is_good(held[i]) { held[i] = held[i - 1]; }
            }
            let (got, expected) = (filter.filter(&x, FilterStart::Steady).unwrap(), filter.filter(&held, FilterStart::Steady).unwrap());
            prop_assert!(x[start..].iter().zip(&got[start..]).zip(&expected).all(|((x, g), e)| g == e || !is_good(*x)));
        }

        /// Zero-phase filtering is that of the bridged signal, and turns round with the signal in its middle.
        #[test]
        fn zero_phase_bridges_bad_samples(x in prop::collection::vec(sample(), 40..200)) {
            let filter = band_pass(2);
            let mut bridged = vec![0.0; x.len()];
            let n_bad = bridge(&x, &mut bridged);
            prop_assume!(n_bad < x.len());
            prop_assert!(bridged.iter().all(|v| is_good(*v)));
            let (got, expected) = (filter.zero_phase(&x).unwrap(), filter.zero_phase(&bridged).unwrap());
            for ((x, g), e) in x.iter().zip(&got).zip(&expected) {
                let kept = if is_good(*x) { g == e } else { g.is_nan() };
                prop_assert!(kept);
            }
        }
    }

    #[test]
    fn a_steady_start_has_no_transient() {
        let low = Butterworth::new(5, FilterBand::LowPass(20.0))
            .unwrap()
            .design(rate())
            .unwrap();
        // Each of three sections rounds relative to its gain of 1, amplified by the denominator, above 1e-3 here.
        let y = low.filter(&[7.0; 500], FilterStart::Steady).unwrap();
        assert!(y.iter().all(|v| (v - 7.0).abs() < 1e-10), "{y:?}");
        let y = low.filter(&[7.0; 500], FilterStart::Zero).unwrap();
        assert!(y[0].abs() < 0.01 && (y[499] - 7.0).abs() < 1e-3);
        let y = low.zero_phase(&[7.0; 500]).unwrap();
        assert!(y.iter().all(|v| (v - 7.0).abs() < 1e-10));
        let mut state = low.new_state(FilterStart::Zero);
        low.filter_in_place(&mut [1.0, 2.0], &mut state).unwrap();
        assert_ne!(state, low.new_state(FilterStart::Zero));
        state.reset();
        assert_eq!(state, low.new_state(FilterStart::Zero));
    }

    #[test]
    fn gaps_are_bridged_by_lines() {
        let nan = f64::NAN;
        let mut out = [0.0; 8];
        assert_eq!(bridge(&[nan, 1.0, nan, nan, 4.0, 5.0, nan, f64::INFINITY], &mut out), 5);
        assert_eq!(out, [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0]);
        let filter = band_pass(1);
        let y = filter.zero_phase(&[nan; 50]).unwrap();
        assert!(y.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn the_response_is_that_of_an_impulse() {
        let filter = band_pass(3);
        let mut x = vec![0.0; 2000];
        x[0] = 1.0;
        let h = filter.filter(&x, FilterStart::Zero).unwrap();
        for f_hz in [0.0, 30.0, 50.0, 120.0, 430.0, 500.0] {
            let sum: Complex<f64> = h
                .iter()
                .enumerate()
                .map(|(i, v)| Complex::from_polar(*v, -TAU * f_hz * i as f64 / 1000.0))
                .sum();
            // Two thousand roundings of an angle of up to 6000 turns and of values below 1.
            assert!((filter.response(f_hz) - sum).norm() < 1e-11, "{f_hz}");
        }
        assert!(filter.response(f64::NAN).re.is_nan());
    }

    #[test]
    fn overflow_starts_anew() {
        let loud = [1e200, 0.0, 0.0, 1.0, 0.0, 0.0];
        let filter = IirFilter::from_sections(rate(), &[loud; 2]).unwrap();
        let mut state = filter.new_state(FilterStart::Steady);
        let mut y = [0.0; 3];
        filter.filter_into(&[1.0, 1.0, 1e-300], &mut state, &mut y).unwrap();
        assert!(
            y[0].is_nan() && y[1].is_nan() && (y[2] / 1e100 - 1.0).abs() < 1e-12,
            "{y:?}"
        );
        // Once forward, twice backward; infinity is no result.
        for x in [[1.0; 40], [1e149; 40]] {
            assert!(filter.zero_phase(&x).unwrap().iter().all(|v| v.is_nan()));
        }
        let loud = IirFilter::from_sections(rate(), &[[1e160, 0.0, 0.0, 1.0, 0.0, 0.0]]).unwrap();
        assert!(loud.zero_phase(&[1.0; 40]).unwrap().iter().all(|v| v.is_nan()));
        // Where the backward run meets a lone sample, its sum alone overflows.
        let mut x = [0.0; 40];
        x[20] = 1.0;
        let y = loud.zero_phase(&x).unwrap();
        assert!(
            y[20].is_nan() && y[30] == 0.0 && y.iter().all(|v| !v.is_infinite()),
            "{y:?}"
        );
    }

    #[test]
    fn unstable_and_malformed_sections_are_refused() {
        let nan = f64::NAN;
        for sections in [
            &[][..],
            &[[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]; 33],
            &[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]],
            &[[nan, 0.0, 0.0, 1.0, 0.0, 0.0]],
            &[[1.0, 0.0, 0.0, 1.0, nan, 0.0]],
            &[[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]],  // on the circle
            &[[1.0, 0.0, 0.0, 1.0, -1.0, 0.0]], // an integrator
            &[[1.0, 0.0, 0.0, 1.0, -2.1, 1.1]],
            &[[1.0, 0.0, 0.0, 1.0, 0.0, -1.0 + 1e-10]], // within rounding of it
            &[[1.0, 0.0, 0.0, 1.0, 0.0, 1.0 - 1e-10]],
        ] {
            let e = IirFilter::from_sections(rate(), sections).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{sections:?}");
            assert!(e.to_string().contains("section"), "{e}");
        }
        let doubled = IirFilter::from_sections(rate(), &[[2.0, 4.0, 6.0, 2.0, 1.0, 0.5]]).unwrap();
        assert_eq!(doubled.sections().next(), Some([1.0, 2.0, 3.0, 1.0, 0.5, 0.25]));
        let text = serde_json::to_string(&doubled).unwrap();
        assert_eq!(serde_json::from_str::<IirFilter>(&text).unwrap(), doubled);
        assert!(serde_json::from_str::<IirFilter>(&text.replace("0.25", "1.25")).is_err());
    }

    #[test]
    fn states_of_other_filters_and_wrong_lengths_are_refused() {
        let (a, b) = (band_pass(2), band_pass(3));
        let same_size = Butterworth::new(4, FilterBand::LowPass(50.0))
            .unwrap()
            .design(rate())
            .unwrap();
        let mut out = [3.0; 2];
        for other in [&b, &same_size] {
            let mut state = other.new_state(FilterStart::Zero);
            let e = a.filter_into(&[1.0; 2], &mut state, &mut out).unwrap_err();
            assert_eq!((e.kind(), out), (ErrorKind::StateMismatch, [3.0; 2]));
            assert!(a.filter_in_place(&mut [1.0; 2], &mut state).is_err());
            let mut places = [0.0; 100];
            assert!(
                a.zero_phase_into(&[1.0; 100], &mut other.new_zero_phase_scratch(), &mut places)
                    .is_err()
            );
        }
        assert!(
            a.filter_into(&[1.0; 3], &mut a.new_state(FilterStart::Zero), &mut out)
                .is_err()
        );
        assert!(
            a.zero_phase_into(&[1.0; 100], &mut a.new_zero_phase_scratch(), &mut out)
                .is_err()
        );
        assert_eq!(a.n_padding(), 15);
        assert_eq!(
            a.zero_phase(&[1.0; 15]).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        assert_eq!(a.zero_phase(&[1.0; 16]).unwrap().len(), 16);
        assert!(a.filter(&[], FilterStart::Steady).unwrap().is_empty());
    }

    #[test]
    fn altered_states_are_refused() {
        let good = r#"{"filter":1,"start":"zero","last":0.0,"delays":[[0.0,0.0]]}"#;
        assert!(serde_json::from_str::<FilterState>(good).is_ok());
        for (what, with) in [
            ("[[0.0,0.0]]", "[]"),
            ("[0.0,0.0]", "[1e999,0.0]"),
            ("\"last\":0.0", "\"last\":1e200"),
            ("\"last\":0.0", "\"last\":null"),
        ] {
            assert!(
                serde_json::from_str::<FilterState>(&good.replace(what, with)).is_err(),
                "{with}"
            );
        }
    }
}
