//! Laws of rolling statistics: windows recomputed, batches against streams, states in the middle, no drift, bad input.

use prognos::{
    ErrorKind, Result,
    features::rolling::{
        Ewma, EwmaState, Rolling, RollingAutocorrelation, RollingKurtosis, RollingMax, RollingMean, RollingMedian,
        RollingMin, RollingQuantile, RollingSd, RollingSkewness, RollingSlope, RollingState, RollingVariance,
        Statistic,
    },
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn saved_and_loaded<T: Serialize + DeserializeOwned>(value: &T) -> T {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(value).unwrap()).unwrap()
}

/// Readings of a window: place or time, and value.
type Readings = Vec<(f64, f64)>;

fn mean(w: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = w.clone().count() as f64;
    // Twice, so that the first one's rounding is taken out.
    let first = w.clone().sum::<f64>() / n;
    first + w.map(|v| v - first).sum::<f64>() / n
}

fn moment(w: &Readings, power: i32) -> f64 {
    let m = mean(w.iter().map(|r| r.1));
    w.iter().map(|r| (r.1 - m).powi(power)).sum()
}

fn quantile(w: &Readings, q: f64) -> f64 {
    let mut sorted: Vec<f64> = w.iter().map(|r| r.1).collect();
    sorted.sort_by(f64::total_cmp);
    let h = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[h as usize], sorted[(h as usize + 1).min(sorted.len() - 1)]);
    low + (high - low) * h.fract()
}

fn constant(w: &Readings) -> bool {
    w.iter().all(|r| r.1 == w[0].1)
}

fn slope(w: &Readings) -> f64 {
    let (mt, mx) = (mean(w.iter().map(|r| r.0)), mean(w.iter().map(|r| r.1)));
    let tt: f64 = w.iter().map(|r| (r.0 - mt).powi(2)).sum();
    w.iter().map(|r| (r.0 - mt) * (r.1 - mx)).sum::<f64>() / tt
}

fn correlation(pairs: &Readings) -> f64 {
    let (ma, mb) = (mean(pairs.iter().map(|r| r.0)), mean(pairs.iter().map(|r| r.1)));
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|r| f(r.0 - ma, r.1 - mb)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// The first row of each window.
fn firsts(times: &[f64], rows: usize, span: Option<f64>) -> Vec<usize> {
    (0..times.len())
        .map(|i| {
            let first = (i + 1).saturating_sub(rows);
            let late = |j: &usize| span.is_none_or(|s| times[*j] > times[i] - s);
            (first..=i).find(late).unwrap()
        })
        .collect()
}

#[track_caller]
fn assert_near(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len());
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        let near = (g - e).abs() <= tolerance * e.abs().max(1.0) || (g.is_nan() && e.is_nan());
        assert!(near, "{what}, {i}: {g} {e}");
    }
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|v| v.to_bits()).collect()
}

struct Signal {
    times: Vec<f64>,
    x: Vec<f64>,
    /// Where the window is a span of time.
    span: Option<f64>,
    rows: usize,
    min_count: usize,
    /// After which rows the state is written down and read again.
    stops: usize,
}

impl Signal {
    /// Batch, stream and stored stream, which must agree to the last bit.
    fn values<S: Statistic>(&self, plan: Result<Rolling<S>>) -> Vec<f64> {
        let plan = plan.unwrap().min_count(self.min_count).unwrap();
        assert_eq!(saved_and_loaded(&plan), plan);
        let mut state = plan.new_state();
        let mut one_by_one = Vec::new();
        for (i, (t, v)) in self.times.iter().zip(&self.x).enumerate() {
            let value = match self.span {
                Some(_) => plan.step_at(&mut state, *t, *v),
                None => plan.step(&mut state, *v),
            };
            one_by_one.push(value.unwrap());
            if i % self.stops == 0 {
                state = saved_and_loaded(&state);
                assert_eq!(
                    plan.value(&state).unwrap().to_bits(),
                    one_by_one[i].to_bits(),
                    "{plan:?}"
                );
            }
        }
        let mut scratch = plan.new_scratch();
        let mut out = vec![0.0; self.x.len()];
        for _ in 0..2 {
            match self.span {
                Some(_) => plan.apply_at_into(&self.times, &self.x, &mut scratch, &mut out),
                None => plan.apply_into(&self.x, &mut scratch, &mut out),
            }
            .unwrap();
            assert_eq!(bits(&out), bits(&one_by_one), "{plan:?}");
        }
        out
    }

    /// What `f` gives of the readings of each window.
    fn naive(&self, f: impl Fn(&Readings) -> f64) -> Vec<f64> {
        let of = |(i, first): (usize, usize)| {
            let along = |j: usize| if self.span.is_some() { self.times[j] } else { j as f64 };
            let readings = (first..=i).filter(|j| self.x[*j].is_finite());
            let w: Readings = readings.map(|j| (along(j), self.x[j])).collect();
            if w.len() < self.min_count { f64::NAN } else { f(&w) }
        };
        firsts(&self.times, self.rows, self.span)
            .into_iter()
            .enumerate()
            .map(of)
            .collect()
    }

    fn check(&self) {
        macro_rules! plan {
            ($plan:ident $(, $more:expr)*) => {
                match self.span {
                    Some(span) => $plan::span(span, self.rows $(, $more)*),
                    None => $plan::rows(self.rows $(, $more)*),
                }
            };
        }
        // Readings of about 1 to 100 in windows of less than 2000: their moments round to below 1e-10.
        let var = |w: &Readings| moment(w, 2) / w.len() as f64;
        assert_near(
            &self.values(plan!(RollingMean)),
            &self.naive(|w| mean(w.iter().map(|r| r.1))),
            1e-12,
            "mean",
        );
        assert_near(
            &self.values(plan!(RollingVariance)),
            &self.naive(var),
            1e-10,
            "variance",
        );
        // Squared, since a root makes more of what a variance near zero has been rounded by.
        let sample = self.naive(|w| moment(w, 2) / (w.len() as f64 - 1.0));
        let sample: Vec<f64> = sample
            .into_iter()
            .map(|v| if v.is_finite() { v } else { f64::NAN })
            .collect();
        let sd = self.values(plan!(RollingSd).map(|p| p.ddof(1)));
        assert!(sd.iter().all(|v| v.is_nan() || *v >= 0.0));
        let squared: Vec<f64> = sd.iter().map(|v| v * v).collect();
        assert_near(&squared, &sample, 1e-10, "square of sd");
        let skewness = |w: &Readings| {
            if constant(w) {
                f64::NAN
            } else {
                moment(w, 3) / w.len() as f64 / var(w).powf(1.5)
            }
        };
        assert_near(
            &self.values(plan!(RollingSkewness)),
            &self.naive(skewness),
            1e-9,
            "skewness",
        );
        let kurtosis = |w: &Readings| {
            if constant(w) {
                f64::NAN
            } else {
                moment(w, 4) / w.len() as f64 / var(w).powi(2) - 3.0
            }
        };
        assert_near(
            &self.values(plan!(RollingKurtosis)),
            &self.naive(kurtosis),
            1e-9,
            "kurtosis",
        );
        let least = |w: &Readings| w.iter().fold(f64::INFINITY, |m, r| m.min(r.1));
        assert_near(&self.values(plan!(RollingMin)), &self.naive(least), 0.0, "min");
        let most = |w: &Readings| w.iter().fold(-f64::INFINITY, |m, r| m.max(r.1));
        assert_near(&self.values(plan!(RollingMax)), &self.naive(most), 0.0, "max");
        assert_near(
            &self.values(plan!(RollingMedian)),
            &self.naive(|w| quantile(w, 0.5)),
            1e-14,
            "median",
        );
        for q in [0.0, 0.13, 1.0] {
            assert_near(
                &self.values(plan!(RollingQuantile, q)),
                &self.naive(|w| quantile(w, q)),
                1e-12,
                "quantile",
            );
        }
        // Sums of `n` products about a row of the window round by `n u / 2` of themselves, `u` = 2^-53, and are at most `n`
        // times larger than those about the mean: `n² u / 2` of each, below 1.2e-10 for the 1,024 rows at the ends, and
        // that again where two roundings meet in a quotient. Slopes are at most `sqrt(Σ x² / Σ t²)`, here below 40; those
        // of many rows, where rounding counts, below 1.
        let lines = self.naive(|w| if w.len() < 2 { f64::NAN } else { slope(w) });
        assert_near(&self.values(plan!(RollingSlope)), &lines, 3e-10, "slope");
        for lag in [1, 3] {
            if self.rows < lag + self.min_count.max(2) {
                continue;
            }
            let pairs = firsts(&self.times, self.rows, self.span)
                .into_iter()
                .enumerate()
                .map(|(i, first)| {
                    let both = (first + lag..=i).map(|j| (self.x[j - lag], self.x[j]));
                    let pairs: Readings = both.filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
                    let flat = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().all(|p| f(p) == f(&pairs[0]));
                    if pairs.len() < self.min_count || flat(&|p| p.0) || flat(&|p| p.1) {
                        f64::NAN
                    } else {
                        correlation(&pairs)
                    }
                });
            let expected: Vec<f64> = pairs.collect();
            assert_near(
                &self.values(plan!(RollingAutocorrelation, lag)),
                &expected,
                3e-10,
                "autocorrelation",
            );
        }
    }
}

/// Noise without a generator's state.
fn noise(i: u64) -> f64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn windows_are_what_recomputing_them_gives(
        // 0 to 2: missing or infinite; then few distinct values.
        x in prop::collection::vec((0..12_i32, 0.25..6.0_f64), 1..220),
        whole in any::<bool>(),
        span in prop_oneof![Just(None), (0.3..90.0_f64).prop_map(Some)],
        rows in 1..120_usize,
        least in 1..10_usize,
        stops in 1..50_usize,
    ) {
        let value = |(i, (v, _)): (usize, &(i32, f64))| match v {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            _ if whole => f64::from(*v),
            _ => 10.0 + noise(i as u64),
        };
        let mut now = -40.0;
        let times = x.iter().map(|(_, step)| { now += step; now }).collect();
        let x = x.iter().enumerate().map(value).collect();
        Signal { times, x, span, rows, min_count: least.min(rows), stops }.check();
    }
}

/// Windows of more than one chunk, with stretches of missing rows longer than one.
#[test]
fn long_windows_are_what_recomputing_them_gives() {
    let gap = |i: usize| (1500..2300).contains(&i) || (3000..3010).contains(&i) || i == 2600;
    let x: Vec<f64> = (0..4500)
        .map(|i| if gap(i) { f64::NAN } else { 5.0 + noise(i as u64) })
        .collect();
    let times: Vec<f64> = (0..x.len()).map(|i| i as f64 + 0.4 * noise(7 * i as u64)).collect();
    for (rows, span) in [
        (511, None),
        (512, None),
        (513, None),
        (1700, None),
        (1800, Some(1400.0)),
    ] {
        let (times, x) = (times.clone(), x.clone());
        Signal {
            times,
            x,
            span,
            rows,
            min_count: 2,
            stops: 397,
        }
        .check();
    }
}

/// Signals whose whole level moves: what a quantile keeps in order is emptied at one end and filled at the other.
#[test]
fn quantiles_follow_moving_levels() {
    let fine = |i: u64| (i * 7919 % 10_007) as f64 / 10_007.0;
    let on_off: Vec<f64> = (0..24_000).map(|i| (i / 3000 % 2) as f64 * 10.0 + fine(i)).collect();
    let slow: Vec<f64> = (0..24_000)
        .map(|i| (f64::from(i) * std::f64::consts::TAU / 4000.0).sin())
        .collect();
    for x in [on_off, slow] {
        for n in [511, 512, 2000] {
            for q in [0.0, 0.5, 0.9] {
                let plan = RollingQuantile::rows(n, q).unwrap();
                let mut state = plan.new_state();
                let stream: Vec<f64> = x.iter().map(|v| plan.step(&mut state, *v).unwrap()).collect();
                assert_eq!(bits(&plan.apply(&x).unwrap()), bits(&stream), "{plan:?}");
                for i in (n - 1..x.len()).step_by(997) {
                    let w = x[i + 1 - n..=i].iter().map(|v| (0.0, *v)).collect();
                    assert!((stream[i] - quantile(&w, q)).abs() <= 1e-14 * 11.0, "{plan:?} {i}");
                }
            }
        }
    }
}

/// Ten million rows with an offset and outliers: the last window is as exact as the first.
#[test]
fn nothing_drifts() {
    const N: u64 = 10_000_000;
    let value = |i: u64| match i {
        _ if i % 1_000_003 == 1_000_000 => 1e12,
        _ => 1e6 + noise(i),
    };
    let x: Vec<f64> = (0..N).map(value).collect();
    let mut out = vec![0.0; x.len()];
    for n in [100, 1000] {
        let mut points: Vec<usize> = (1..400).map(|k| k * 24_989).chain([x.len() - 1]).collect();
        for outlier in (1_000_000..x.len()).step_by(1_000_003) {
            // In the window, as its oldest row, and just gone.
            points.extend(
                [1, n / 2, n - 1, n, n + 1, 2 * n]
                    .map(|k| outlier + k)
                    .iter()
                    .filter(|i| **i < x.len()),
            );
        }
        let window = |i: &usize| -> Readings { x[i + 1 - n..=*i].iter().map(|v| (0.0, *v)).collect() };
        let near = |out: &[f64], f: &dyn Fn(&Readings) -> f64, offset: f64, what: &str| {
            for i in &points {
                let e = f(&window(i));
                assert!(
                    (out[*i] - e).abs() <= 1e-9 * (e + offset).abs(),
                    "{what} of {n} at {i}: {} {e}",
                    out[*i]
                );
            }
        };
        RollingMean::rows(n)
            .unwrap()
            .apply_into(&x, &mut RollingMean::rows(n).unwrap().new_scratch(), &mut out)
            .unwrap();
        near(&out, &|w| mean(w.iter().map(|r| r.1)), 0.0, "mean");
        let plan = RollingVariance::rows(n).unwrap();
        plan.apply_into(&x, &mut plan.new_scratch(), &mut out).unwrap();
        near(&out, &|w| moment(w, 2) / n as f64, 0.0, "variance");
        let plan = RollingKurtosis::rows(n).unwrap();
        plan.apply_into(&x, &mut plan.new_scratch(), &mut out).unwrap();
        near(
            &out,
            &|w| moment(w, 4) * n as f64 / moment(w, 2).powi(2) - 3.0,
            3.0,
            "kurtosis",
        );
    }
}

#[test]
fn equal_values_have_no_variance() {
    let mut x = vec![0.1; 3000];
    x[1000] = 1e12;
    x[1001] = -7.3;
    for n in [10, 700] {
        let v = RollingVariance::rows(n).unwrap().apply(&x).unwrap();
        let k = RollingKurtosis::rows(n).unwrap().apply(&x).unwrap();
        let m = RollingMean::rows(n).unwrap().apply(&x).unwrap();
        for i in (n - 1..1000).chain(1001 + n..3000) {
            assert_eq!((v[i], m[i]), (0.0, 0.1), "{n} {i}");
            assert!(k[i].is_nan());
        }
        assert!(v.iter().all(|v| v.is_nan() || *v >= 0.0));
    }
}

#[test]
fn huge_values_pass() {
    let mut x: Vec<f64> = (0..400).map(noise).collect();
    (x[100], x[200], x[201]) = (1e300, f64::MAX, -f64::MAX);
    let after = |n: usize, i: usize| [100, 200, 201].iter().all(|h| !(*h..h + n).contains(&i));
    fn check<S: Statistic>(plan: Rolling<S>, x: &[f64], after: impl Fn(usize) -> bool) {
        let calm: Vec<f64> = (0..400).map(noise).collect();
        let (y, expected) = (plan.apply(x).unwrap(), plan.apply(&calm).unwrap());
        for i in (0..400).filter(|i| after(*i)) {
            let near = (y[i] - expected[i]).abs() < 1e-12 || (y[i].is_nan() && expected[i].is_nan());
            assert!(near, "{plan:?} {i}");
        }
        assert!(y.iter().all(|v| !v.is_infinite()), "{plan:?}");
    }
    let n = 20;
    check(RollingMean::rows(n).unwrap(), &x, |i| after(n, i));
    check(RollingSd::rows(n).unwrap(), &x, |i| after(n, i));
    check(RollingSkewness::rows(n).unwrap(), &x, |i| after(n, i));
    check(RollingKurtosis::rows(n).unwrap(), &x, |i| after(n, i));
    check(RollingMedian::rows(n).unwrap(), &x, |i| after(n, i));
    check(RollingQuantile::rows(n, 0.01).unwrap(), &x, |i| after(n, i));
    check(RollingSlope::rows(n).unwrap(), &x, |i| after(n, i));
    check(RollingAutocorrelation::rows(n, 2).unwrap(), &x, |i| after(n, i));
    // Values that sorting keys cannot tell apart are ordered all the same.
    let fine: Vec<f64> = (0..500).map(|i| 1.0 + f64::EPSILON * f64::from(i * 37 % 499)).collect();
    let plan = RollingMedian::rows(101).unwrap();
    let mut state = plan.new_state();
    let stream: Vec<f64> = fine.iter().map(|v| plan.step(&mut state, *v).unwrap()).collect();
    assert_eq!(bits(&plan.apply(&fine).unwrap()), bits(&stream));
}

#[test]
fn bad_plans_are_refused() {
    let bad = |e: Option<prognos::Error>| assert_eq!(e.unwrap().kind(), ErrorKind::InvalidParameter);
    bad(RollingMean::rows(0).err());
    bad(RollingMean::rows(usize::MAX).err());
    for span in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        bad(RollingMean::span(span, 10).err());
        bad(Ewma::time_half_life(span).err());
        bad(Ewma::half_life(span).err());
        bad(Ewma::span(span).err());
        bad(Ewma::alpha(span).err());
    }
    bad(RollingMean::span(1.0, 0).err());
    bad(RollingMean::rows(5).unwrap().min_count(6).err());
    bad(RollingMean::rows(5).unwrap().min_count(0).err());
    bad(Ewma::alpha(1.5).err());
    bad(Ewma::alpha(0.5).unwrap().min_count(0).err());
    for q in [-0.1, 1.1, f64::NAN] {
        bad(RollingQuantile::rows(5, q).err());
    }
    for (n, lag) in [(5, 0), (5, 4), (1, 1), (5, usize::MAX)] {
        bad(RollingAutocorrelation::rows(n, lag).err());
    }
    bad(RollingAutocorrelation::rows(5, 2).unwrap().min_count(4).err());
}

#[test]
fn bad_rows_change_nothing() {
    let plan = RollingSd::span(10.0, 100).unwrap();
    let mut state = plan.new_state();
    plan.push_at(&mut state, 1.0, 1.0).unwrap();
    plan.push_at(&mut state, 2.0, 5.0).unwrap();
    let before = rmp_serde::to_vec_named(&state).unwrap();
    for time in [2.0, 1.5, f64::NAN, f64::INFINITY, -f64::INFINITY] {
        assert_eq!(
            plan.push_at(&mut state, time, 0.0).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
    assert_eq!(plan.push(&mut state, 0.0).unwrap_err().kind(), ErrorKind::InvalidInput);
    let other = RollingSd::span(11.0, 100).unwrap();
    assert_eq!(
        other.push_at(&mut state, 3.0, 0.0).unwrap_err().kind(),
        ErrorKind::StateMismatch
    );
    assert_eq!(rmp_serde::to_vec_named(&state).unwrap(), before);
    assert_eq!(plan.value(&state).unwrap(), 2.0);
    assert_eq!(other.value(&state).unwrap_err().kind(), ErrorKind::StateMismatch);
    state.clear();
    assert_eq!(plan.step_at(&mut state, 0.0, 3.0).unwrap(), 0.0);

    let plan = RollingSd::rows(3).unwrap();
    assert_eq!(
        plan.push_at(&mut plan.new_state(), 0.0, 1.0).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let mut scratch = plan.new_scratch();
    assert!(plan.apply_into(&[1.0], &mut scratch, &mut []).is_err());
    assert!(plan.apply_at_into(&[1.0], &[1.0], &mut scratch, &mut [0.0]).is_err());
    assert!(plan.apply(&[]).unwrap().is_empty());
    assert!(plan.apply(&[1.0, 2.0]).unwrap().iter().all(|v| v.is_nan()));
    let timed = RollingMean::span(3.0, 5).unwrap();
    let mut out = [7.0; 2];
    assert!(
        timed
            .apply_at_into(&[1.0, 1.0], &[0.0; 2], &mut timed.new_scratch(), &mut out)
            .is_err()
    );
    assert!(
        timed
            .apply_at_into(&[1.0], &[0.0; 2], &mut timed.new_scratch(), &mut out)
            .is_err()
    );
    assert!(timed.apply_into(&[0.0; 2], &mut timed.new_scratch(), &mut out).is_err());
    assert_eq!(out, [7.0; 2]);
    // Work space of another plan is made to fit.
    let wide = RollingSd::rows(50).unwrap();
    let x: Vec<f64> = (0..200).map(noise).collect();
    let mut out = vec![0.0; 200];
    wide.apply_into(&x, &mut scratch, &mut out).unwrap();
    assert_eq!(bits(&out), bits(&wide.apply(&x).unwrap()));

    let ewma = Ewma::time_half_life(1.0).unwrap();
    let mut state = ewma.new_state();
    ewma.push_at(&mut state, 1.0, 1.0).unwrap();
    let before = state;
    assert!(ewma.push_at(&mut state, 1.0, 2.0).is_err() && ewma.push(&mut state, 2.0).is_err());
    let other = ewma.recursive();
    for refused in [
        other.push_at(&mut state, 2.0, 2.0).err(),
        other.mean(&state).err(),
        other.variance(&state).err(),
    ] {
        assert_eq!(refused.unwrap().kind(), ErrorKind::StateMismatch);
    }
    let mut out = [7.0; 3];
    for times in [[1.0, 2.0, 2.0], [1.0, 2.0, f64::NAN]] {
        assert!(ewma.mean_at_into(&times, &[1.0; 3], &mut out).is_err());
        assert!(ewma.variance_at_into(&times, &[1.0; 3], &mut out).is_err());
    }
    assert_eq!(out, [7.0; 3]);
    assert_eq!(state, before);
}

/// More rows than a span may keep: the oldest leave.
#[test]
fn spans_are_bounded() {
    let plan = RollingMean::span(1e6, 3).unwrap();
    let times: Vec<f64> = (0..6).map(f64::from).collect();
    assert_eq!(plan.apply_at(&times, &times).unwrap(), [0.0, 0.5, 1.0, 2.0, 3.0, 4.0]);
}

fn altered<T: Serialize + DeserializeOwned>(value: &T, alter: impl Fn(&mut Value)) -> Result<T, serde_json::Error> {
    let mut json = serde_json::to_value(value).unwrap();
    alter(&mut json);
    serde_json::from_value(json)
}

#[test]
fn hostile_states_do_not_deserialise() {
    let plan = RollingKurtosis::span(10.0, 1600).unwrap();
    let mut state = plan.new_state();
    for i in 0..1400 {
        plan.push_at(&mut state, f64::from(i) * 1e-3, f64::from(i % 7)).unwrap();
    }
    assert!(altered(&state, |_| ()).is_ok());
    type Alteration = fn(&mut Value);
    let alterations: [Alteration; 16] = [
        |s| s["plan"]["extent"]["span"]["span"] = json!(-1.0),
        |s| s["plan"]["extent"]["span"]["max_rows"] = json!(1399),
        |s| s["plan"]["extent"]["span"]["max_rows"] = json!(u64::MAX),
        |s| s["plan"]["extent"] = json!({ "rows": 1600 }),
        |s| s["plan"]["min_count"] = json!(0),
        |s| s["time"] = json!(0.5),
        |s| s["time"] = json!(null),
        |s| s["time"] = json!(1e9),
        |s| s["time"] = json!(1.4),
        |s| s["memory"]["oldest"] = json!(400),
        |s| s["memory"]["oldest"] = json!(u64::MAX),
        |s| s["memory"]["front"] = json!(u64::MAX / 2),
        |s| s["memory"]["back"] = json!(0),
        |s| s["memory"]["times"][5] = json!(0.0),
        |s| s["memory"]["times"][0] = json!(-9.0),
        |s| s["memory"]["values"] = json!([1.0]),
    ];
    for (i, alter) in alterations.into_iter().enumerate() {
        assert!(altered(&state, alter).is_err(), "alteration {i}");
    }

    let plan = RollingMedian::rows(3).unwrap();
    let mut state = plan.new_state();
    plan.push(&mut state, 1.0).unwrap();
    assert!(altered::<RollingState<_>>(&state, |s| s["memory"]["values"] = json!([1, 2, 3, 4])).is_err());
    assert!(altered::<RollingState<_>>(&state, |s| s["memory"]["times"] = json!([1])).is_err());
    assert!(altered::<RollingState<_>>(&state, |s| s["time"] = json!(1.0)).is_err());
    let plan = RollingMedian::span(5.0, 3).unwrap();
    assert!(altered::<RollingState<_>>(&plan.new_state(), |s| s["time"] = json!(1.0)).is_err());
    let mut state = plan.new_state();
    plan.push_at(&mut state, 1.0, f64::NAN).unwrap();
    assert!(altered::<RollingState<_>>(&state, |_| ()).is_ok());
    assert!(altered::<RollingState<_>>(&state, |s| s["time"] = json!(2.0)).is_err());
    assert!(altered(&RollingQuantile::rows(3, 0.5).unwrap(), |s| s["statistic"] = json!(1.5)).is_err());

    let plan = RollingSlope::rows(3).unwrap();
    let mut state = plan.new_state();
    plan.push(&mut state, 1.0).unwrap();
    assert!(altered::<RollingState<_>>(&state, |s| s["memory"]["n_rows"] = json!(5)).is_err());

    let plan = RollingAutocorrelation::span(100.0, 10, 2).unwrap();
    assert!(altered(&plan, |s| s["statistic"]["lag"] = json!(9)).is_err());
    let mut state = plan.new_state();
    for i in 0..5 {
        plan.push_at(&mut state, f64::from(i), f64::from(i * i)).unwrap();
    }
    assert!(altered::<RollingState<_>>(&state, |_| ()).is_ok());
    assert!(altered::<RollingState<_>>(&state, |s| s["memory"]["waiting"] = json!([])).is_err());
    assert!(altered::<RollingState<_>>(&state, |s| s["memory"]["waiting"] = json!([[9.0, 1.0], [8.0, 1.0]])).is_err());

    // The oldest pair is within the span of the newest pair's older row, but not of the newest row.
    assert!(altered::<RollingState<_>>(&state, |s| s["plan"]["extent"]["span"]["span"] = json!(3.5)).is_err());

    let ewma = Ewma::alpha(0.5).unwrap();
    let mut state = ewma.new_state();
    ewma.push(&mut state, 1.0).unwrap();
    assert!(altered::<EwmaState>(&state, |_| ()).is_ok());
    assert!(altered::<Ewma>(&ewma, |s| s["decay"]["alpha"] = json!(0.0)).is_err());
    for (field, value) in [
        ("weight", 2.0),
        ("weight", -1.0),
        ("products", -1.0),
        ("variance", -1.0),
        ("mean", 1e200),
    ] {
        assert!(
            altered::<EwmaState>(&state, |s| s[field] = json!(value)).is_err(),
            "{field}"
        );
    }
    assert!(altered::<EwmaState>(&state, |s| s["time"] = json!(1.0)).is_err());
    for field in ["weight", "products", "mean", "variance"] {
        assert!(altered::<EwmaState>(&ewma.new_state(), |s| s[field] = json!(0.5)).is_err());
    }
    for plan in [ewma, ewma.recursive()] {
        let mut state = plan.new_state();
        (0..40).for_each(|i| plan.push(&mut state, f64::from(i % 3)).unwrap());
        assert!(altered::<EwmaState>(&state, |_| ()).is_ok());
        // More than the weights have products.
        assert!(altered::<EwmaState>(&state, |s| s["products"] = json!(2.1)).is_err());
    }
    let timed = Ewma::time_half_life(1.0).unwrap().recursive();
    let mut state = timed.new_state();
    (0..40).for_each(|i| timed.push_at(&mut state, f64::from(i), 1.0).unwrap());
    assert!(altered::<EwmaState>(&state, |_| ()).is_ok());
    assert!(altered::<EwmaState>(&state, |s| s["weight"] = json!(1.5)).is_err());
}

/// JSON has no NaN: missing rows are none there.
#[test]
fn states_with_missing_rows_survive_as_text() {
    fn check<S: Statistic>(plan: Result<Rolling<S>>) {
        let plan = plan.unwrap().min_count(1).unwrap();
        let (mut state, mut read) = (plan.new_state(), plan.new_state());
        for i in 0..40 {
            let missing = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].get(i % 5);
            // Eighths, which text holds exactly.
            let x = missing.copied().unwrap_or((i * 7 % 16) as f64 / 8.0);
            let step = |state: &mut RollingState<S>| match plan.span_of_time() {
                Some(_) => plan.step_at(state, i as f64 / 2.0, x).unwrap(),
                None => plan.step(state, x).unwrap(),
            };
            assert_eq!(step(&mut state).to_bits(), step(&mut read).to_bits(), "{plan:?} {i}");
            read = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        }
    }
    check(RollingMean::rows(9));
    check(RollingKurtosis::span(4.0, 12));
    check(RollingMax::rows(9));
    check(RollingMedian::span(4.0, 12));
    check(RollingSlope::rows(9));
    check(RollingAutocorrelation::rows(9, 2));
    check(RollingAutocorrelation::span(4.0, 12, 1));
}

/// Weighted sums over all that came: the recursion's own definition.
#[test]
fn ewma_is_its_weighted_sums() {
    let x: Vec<f64> = (0..300)
        .map(|i| if i % 11 == 3 { f64::NAN } else { 1e3 + noise(i) })
        .collect();
    let mut now = 0.0;
    let times: Vec<f64> = (0..300)
        .map(|i| {
            now += 1.1 + noise(i + 999);
            now
        })
        .collect();
    let plan = Ewma::time_half_life(9.0).unwrap().bias_corrected();
    let (mut means, mut variances) = (vec![0.0; 300], vec![0.0; 300]);
    plan.mean_at_into(&times, &x, &mut means).unwrap();
    plan.variance_at_into(&times, &x, &mut variances).unwrap();
    let mut state = plan.new_state();
    for i in 0..300 {
        let readings = (0..=i).filter(|j| x[*j].is_finite());
        let weighted: Vec<(f64, f64)> = readings
            .map(|j| (0.5_f64.powf((times[i] - times[j]) / 9.0), x[j]))
            .collect();
        let sum = |f: &dyn Fn(f64, f64) -> f64| weighted.iter().map(|(w, v)| f(*w, *v)).sum::<f64>();
        let (w, w2) = (sum(&|w, _| w), sum(&|w, _| w * w));
        let m = 1e3 + sum(&|w, v| w * (v - 1e3)) / w;
        let v = sum(&|w, v| w * (v - m) * (v - m)) / w * w * w / (w * w - w2);
        // A few hundred roundings of values near 1e3, whose variance is about a third.
        assert!((means[i] - m).abs() < 1e-11, "{i}");
        assert!(
            (variances[i] - v).abs() < 1e-11 || (variances[i].is_nan() && weighted.len() < 2),
            "{i} {v}"
        );
        plan.push_at(&mut state, times[i], x[i]).unwrap();
        state = saved_and_loaded(&state);
        assert_eq!(plan.mean(&state).unwrap().to_bits(), means[i].to_bits());
        assert_eq!(plan.variance(&state).unwrap().to_bits(), variances[i].to_bits());
    }
    // A gap without end leaves the newest reading alone.
    plan.push_at(&mut state, 1e300, 5.0).unwrap();
    assert_eq!((plan.mean(&state).unwrap(), state.plan()), (5.0, &plan));
    let flat = Ewma::alpha(0.1).unwrap();
    let mut out = [1.0; 50];
    flat.variance_into(&[0.1; 50], &mut out).unwrap();
    assert_eq!(out, [0.0; 50]);
}
