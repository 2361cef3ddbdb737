//! Principal components of windows of rows: broken relations between sensors over time.

use crate::detect::{
    calibration::threshold::{check_probability, conservative_quantile},
    row::plane::{Components, LEAST_LIMIT, Plane, check_limits, check_plane, combined},
    rows::{Sequences, StreamRow},
    standard::{Row, Standard, StandardRecord, check_numbers},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::{Seed, Timestamp},
};
use serde::{Deserialize, Serialize};

/// The most columns of a window, so that the eigenvalues are found within seconds.
const MOST_COLUMNS: usize = 1024;
/// The largest magnitude of a remembered number.
const LARGEST_READING: f64 = 1e150;

/// Streaming detector by principal components of windows (dynamic PCA): a broken relation between sensors, now or over the
/// last rows.
///
/// Where sensors follow each other with a delay (a temperature behind a load, an outlet behind an inlet), a row alone says
/// little and [`PcaDetector`](crate::detect::PcaDetector) must allow for every delay; a window of rows shows the relation.
///
/// # Method
///
/// A row and the `l` rows of the machine before it, one behind the other, are one vector of `(l + 1) n_features` columns.
/// Over all such windows of the training rows, none across two machines or a gap, the model plane, T² and Q are found as
/// [`PcaDetector`](crate::detect::PcaDetector) says, and
///
/// ```text
/// score = T² / limit(T²) + Q / limit(Q)
/// ```
///
/// The limits are [`limit_quantile`](LaggedPcaParams::limit_quantile) quantiles over the training windows, at least 10⁻¹²;
/// they weigh the two parts only, the threshold comes from held-out machines. Q is left out where all directions are kept.
/// The contribution of a feature is the sum over its `l + 1` places in the window of what `PcaDetector` says; contributions
/// add up to the score, and one may be negative.
///
/// A machine's first `l` rows get no score. A gap is a time between two rows of more than
/// [`max_gap`](LaggedPcaParams::max_gap) times the median time between training rows. After one the window fills anew,
/// and until it is full the score is 0. Without times in training, or on a row, there is no gap.
///
/// What is usual does not change with a machine's rows, whatever the [`LearningPolicy`](crate::detect::LearningPolicy).
/// [`Start::Trained`](crate::detect::Start::Trained) would put the last training rows of another machine before a machine's first:
/// it is of no use here.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect); an unusable row is left out of the window. Fitting costs `O(n c² + c³)` time and
/// `O(n c)` memory for `n` rows and `c = (l + 1) n_features` columns of a window, at most 1024, once and once a fold. A row
/// costs `O(c K)` for `K` components and allocates nothing for up to 256 columns of a window. A machine's memory is its
/// last `l` rows.
///
/// # Source
///
/// Ku, Storer and Georgakis, "Disturbance detection and isolation by dynamic principal component analysis", Chemometrics
/// and Intelligent Laboratory Systems 30 (1995), doi
/// [10.1016/0169-7439(95)00076-3](https://doi.org/10.1016/0169-7439(95)00076-3).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::LaggedPca,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // The outlet follows the inlet one row later. Ten machines of 50 rows.
/// let schema = FeatureSchema::of_channels(&[Channel::new("inlet", "K"), Channel::new("outlet", "K")])?;
/// let inlet = |i: usize| ((613 * i * i + 7919 * i) % 997) as f64 / 997.0;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| inlet(i + 1 - j) + 0.01 * inlet(3 * i + 5));
/// let data = DatasetBase::new(FeatureTable::new(schema, values, (0..500).map(|i| i / 50).collect())?, ());
/// let detector = LaggedPca::params().n_lags(1).explained_variance(0.9).fit(&data)?;
///
/// let mut state = detector.new_state();
/// let mut anomalous = |row: [f64; 2]| {
///     let score = detector.step(&mut state, FeatureView::new(detector.schema(), &row)?)?;
///     Ok::<_, prognos::Error>(score.ready().is_some_and(|s| s.is_anomalous()))
/// };
/// assert!(!anomalous([0.2, 0.5])? && !anomalous([0.7, 0.2])?);
/// assert!(anomalous([0.4, 0.1])?); // the outlet should be at 0.7
/// # Ok::<(), prognos::Error>(())
/// ```
pub type LaggedPca = StreamDetector<LaggedPlane>;

/// Parameters of a [`LaggedPca`].
pub type LaggedPcaParams = StreamDetectorParams<LaggedPcaSettings>;

/// How a [`LaggedPca`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct LaggedPcaSettings {
    n_lags: usize,
    components: Components,
    limit_quantile: f64,
    max_gap: f64,
}

impl Default for LaggedPcaSettings {
    fn default() -> Self {
        Self {
            n_lags: 2,
            components: Components::Share(0.95),
            limit_quantile: 0.99,
            max_gap: 3.0,
        }
    }
}

impl LaggedPcaParams {
    /// Number `l` of earlier rows in a window, at least 1; a window has at most 1024 columns. Default 2.
    #[must_use]
    pub fn n_lags(self, n: usize) -> Self {
        self.with(|s| s.n_lags = n)
    }

    /// Keeps the fewest components that explain at least this share of the variance of the scaled windows, above 0 and at
    /// most 1. Default 0.95.
    #[must_use]
    pub fn explained_variance(self, share: f64) -> Self {
        self.with(|s| s.components = Components::Share(share))
    }

    /// Keeps this many components, at least 1 and at most the columns of a window; fewer where windows vary in fewer
    /// directions.
    #[must_use]
    pub fn n_components(self, n: usize) -> Self {
        self.with(|s| s.components = Components::Number(n))
    }

    /// Quantile of T² and Q that weighs the two in the score, above 0 and below 1. Default 0.99.
    #[must_use]
    pub fn limit_quantile(self, quantile: f64) -> Self {
        self.with(|s| s.limit_quantile = quantile)
    }

    /// The longest time between two rows of a window, in median times between training rows, at least 1. Default 3.
    #[must_use]
    pub fn max_gap(self, steps: f64) -> Self {
        self.with(|s| s.max_gap = steps)
    }
}

impl LaggedPca {
    /// Default parameters: two lags, 95 % of the variance, training units, a false alarm rate of 0.01, five folds.
    pub fn params() -> LaggedPcaParams {
        LaggedPcaParams::default()
    }

    /// Number of earlier rows in a window.
    pub fn n_lags(&self) -> usize {
        self.scorer.n_lags
    }

    /// Number of components kept.
    pub fn n_components(&self) -> usize {
        self.scorer.plane.n_components()
    }

    /// All eigenvalues of the correlation matrix of the training windows, highest first.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.scorer.plane.eigenvalues
    }

    /// The limits that T² and Q are divided by in the score; none for Q where all directions are kept.
    pub fn limits(&self) -> (f64, Option<f64>) {
        (self.scorer.t2_limit, self.scorer.q_limit)
    }

    /// The longest time between two rows of a window in seconds; none where training rows had no times.
    pub fn longest_gap_s(&self) -> Option<f64> {
        self.scorer.longest_gap_s
    }
}

/// The fitted half of a [`LaggedPca`].
#[derive(Clone, Debug)]
pub struct LaggedPlane {
    width: usize,
    n_lags: usize,
    longest_gap_s: Option<f64>,
    plane: Plane,
    t2_limit: f64,
    q_limit: Option<f64>,
}

/// What is written of a [`LaggedPlane`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaggedPlaneRecord {
    n_lags: u32,
    longest_gap_s: Option<f64>,
    standard: StandardRecord,
    eigenvalues: Vec<f64>,
    n_components: u32,
    components: Vec<f64>,
    t2_limit: f64,
    q_limit: Option<f64>,
}

/// The last rows of one machine since its last gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LaggedMemoryRecord")]
pub struct LaggedMemory {
    last: Option<Timestamp>,
    /// The oldest first, one behind the other.
    rows: Vec<f64>,
}

#[derive(Deserialize)]
struct LaggedMemoryRecord {
    last: Option<Timestamp>,
    rows: Vec<f64>,
}

impl TryFrom<LaggedMemoryRecord> for LaggedMemory {
    type Error = Error;

    fn try_from(r: LaggedMemoryRecord) -> Result<Self> {
        if r.rows.iter().all(|v| v.abs() <= LARGEST_READING) {
            Ok(Self {
                last: r.last,
                rows: r.rows,
            })
        } else {
            Err(Error::persistence("rows: expected numbers within ±1e150, got others"))
        }
    }
}

/// Whether a row at `time` does not follow on the one at `last`.
fn is_gap(last: Option<Timestamp>, time: Option<Timestamp>, longest_s: Option<f64>) -> bool {
    match (last, time, longest_s) {
        (Some(last), Some(time), Some(longest)) => {
            let elapsed = time.seconds_since(last);
            !(elapsed > 0.0 && elapsed <= longest)
        }
        _ => false,
    }
}

/// The median time between rows of the same sequence.
fn median_step_s(sequences: &Sequences) -> Option<f64> {
    let mut steps = Vec::new();
    for sequence in sequences.iter() {
        let mut last: Option<Timestamp> = None;
        for row in sequence {
            if let (Some(last), Some(time)) = (last, row.time) {
                steps.push(time.seconds_since(last));
            }
            last = row.time;
        }
    }
    steps.retain(|s| *s > 0.0);
    let middle = steps.len() / 2;
    (middle < steps.len()).then(|| *steps.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// Every window of `size` rows without a gap.
fn windows(sequences: &Sequences, size: usize, longest_gap_s: Option<f64>) -> Vec<&[f64]> {
    let (width, values) = (sequences.width(), sequences.all().values());
    let (mut windows, mut row) = (Vec::new(), 0);
    for sequence in sequences.iter() {
        let (mut last, mut held) = (None, 0);
        for x in sequence {
            held = if is_gap(last, x.time, longest_gap_s) {
                1
            } else {
                held + 1
            };
            last = x.time;
            row += 1;
            if held >= size {
                windows.extend(values.get((row - size) * width..row * width));
            }
        }
    }
    windows
}

impl StreamAlgorithm for LaggedPcaSettings {
    type Scorer = LaggedPlane;

    fn check(&self) -> Result<()> {
        if !(1..MOST_COLUMNS).contains(&self.n_lags) {
            return Err(Error::parameter(
                "n_lags",
                format!("from 1 to {}", MOST_COLUMNS - 1),
                self.n_lags,
            ));
        }
        self.components.check()?;
        check_probability("limit_quantile", self.limit_quantile)?;
        if self.max_gap.is_finite() && self.max_gap >= 1.0 {
            Ok(())
        } else {
            Err(Error::parameter(
                "max_gap",
                "finite and at least 1 median step",
                self.max_gap,
            ))
        }
    }

    /// # Errors
    /// `InvalidParameter` for windows of more than 1024 columns or more components than a window has columns;
    /// `InsufficientData` with fewer than two windows or where none of their columns varies; `NotConverged` where the
    /// eigenvalues are not found.
    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<LaggedPlane> {
        let (width, size) = (sequences.width(), self.n_lags + 1);
        let n_columns = width.saturating_mul(size);
        if n_columns > MOST_COLUMNS {
            let most = format!("windows of at most {MOST_COLUMNS} columns");
            return Err(Error::parameter(
                "n_lags",
                most,
                format!("{n_columns} with {width} features"),
            ));
        }
        if let Components::Number(n) = self.components
            && n > n_columns
        {
            let most = format!("at most {n_columns}, the columns of a window");
            return Err(Error::parameter("n_components", most, n));
        }
        let longest_gap_s = median_step_s(sequences).map(|s| s * self.max_gap);
        let windows = windows(sequences, size, longest_gap_s);
        if windows.len() < 2 {
            return Err(Error::insufficient(
                &format!("windows of {size} rows without a gap"),
                "at least 2",
                windows.len(),
            ));
        }
        let plane = Plane::fit(&windows, self.components)?;
        let (mut t2, mut q): (Vec<f64>, Vec<f64>) = windows.iter().map(|w| plane.statistics(w)).unzip();
        let limit = |of: &mut [f64]| conservative_quantile(of, self.limit_quantile).max(LEAST_LIMIT);
        Ok(LaggedPlane {
            width,
            n_lags: self.n_lags,
            longest_gap_s,
            t2_limit: limit(&mut t2),
            q_limit: (!plane.is_complete()).then(|| limit(&mut q)),
            plane,
        })
    }
}

impl LaggedPlane {
    /// The window that `x` ends, where it is full.
    #[inline]
    fn window(&self, memory: &LaggedMemory, x: StreamRow<'_>) -> Option<Row> {
        let full = memory.rows.len() == self.n_lags * self.width;
        (full && !is_gap(memory.last, x.time, self.longest_gap_s))
            .then(|| memory.rows.iter().chain(x.values).copied().collect())
    }
}

impl StreamScorer for LaggedPlane {
    const KIND: &'static str = "detect.lagged_pca";
    type Record = LaggedPlaneRecord;
    type Memory = LaggedMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> LaggedMemory {
        LaggedMemory {
            last: None,
            rows: Vec::with_capacity(self.n_lags * self.width),
        }
    }

    fn accepts(&self, memory: &LaggedMemory) -> bool {
        let n = memory.rows.len();
        n <= self.n_lags * self.width && n.is_multiple_of(self.width.max(1))
    }

    fn warm_up(&self) -> u32 {
        self.n_lags as u32
    }

    fn score(&self, memory: &LaggedMemory, x: StreamRow<'_>) -> f64 {
        self.window(memory, x).map_or(0.0, |w| {
            combined(self.plane.statistics(&w), self.t2_limit, self.q_limit)
        })
    }

    fn update(&self, memory: &mut LaggedMemory, x: StreamRow<'_>, _: bool) {
        if is_gap(memory.last, x.time, self.longest_gap_s) {
            memory.rows.clear();
        }
        memory.last = x.time.or(memory.last);
        let kept = (self.n_lags * self.width).saturating_sub(self.width);
        if memory.rows.len() > kept {
            let surplus = memory.rows.len() - kept;
            memory.rows.copy_within(surplus.., 0);
            memory.rows.truncate(kept);
        }
        memory.rows.extend(x.values);
    }

    fn contributions_into(&self, memory: &LaggedMemory, x: StreamRow<'_>, out: &mut [f64]) {
        if let Some(window) = self.window(memory, x) {
            self.plane
                .shares(&window, self.t2_limit, self.q_limit, |column, share| {
                    if let Some(o) = out.get_mut(column % self.width.max(1)) {
                        *o += share;
                    }
                });
        }
    }

    fn to_record(&self) -> LaggedPlaneRecord {
        LaggedPlaneRecord {
            n_lags: self.n_lags as u32,
            longest_gap_s: self.longest_gap_s,
            standard: self.plane.standard.to_persisted(),
            eigenvalues: self.plane.eigenvalues.clone(),
            n_components: self.plane.n_components,
            components: self.plane.components.clone(),
            t2_limit: self.t2_limit,
            q_limit: self.q_limit,
        }
    }

    fn from_record(r: LaggedPlaneRecord, width: usize) -> Result<Self> {
        let n_lags = r.n_lags as usize;
        let n_columns = width.saturating_mul(n_lags.saturating_add(1));
        if n_lags < 1 || n_columns > MOST_COLUMNS {
            return Err(Error::persistence(format!(
                "n_lags: expected at least 1 and windows of at most {MOST_COLUMNS} columns, got {n_lags} and {n_columns}"
            )));
        }
        let standard = Standard::from_persisted(r.standard, n_columns)?;
        check_plane(standard.len(), &r.eigenvalues, r.n_components, &r.components)?;
        check_limits(r.t2_limit, r.q_limit, (r.n_components as usize) < standard.len())?;
        let gap = r.longest_gap_s;
        check_numbers("longest gap", gap.as_slice(), usize::from(gap.is_some()), |g| {
            g.is_finite() && g > 0.0
        })?;
        Ok(Self {
            width,
            n_lags,
            longest_gap_s: r.longest_gap_s,
            plane: Plane {
                standard,
                eigenvalues: r.eigenvalues,
                n_components: r.n_components,
                components: r.components,
            },
            t2_limit: r.t2_limit,
            q_limit: r.q_limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Deterministic noise without a pattern.
    fn noise(i: usize, j: usize) -> f64 {
        (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    /// Rows of two sensors, the second one row behind the first, in sequences that end before the rows `ends`; times by
    /// `time`.
    fn sequences(n: usize, ends: &[usize], time: impl Fn(usize) -> Option<i64>) -> Sequences {
        let mut s = Sequences::new(2);
        for i in 0..n {
            if ends.contains(&i) {
                s.end();
            }
            let row = [noise(i + 1, 0), noise(i, 0) + 0.01 * noise(i, 1)];
            s.push(row, time(i).map(Timestamp::from_secs));
        }
        s.end();
        s
    }

    fn fitted(n_lags: usize, s: &Sequences) -> LaggedPlane {
        let settings = LaggedPcaSettings {
            n_lags,
            components: Components::Number(n_lags + 2), // as many movements as a window shows
            ..Default::default()
        };
        settings.fit(s, Seed(0)).unwrap()
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let p = LaggedPca::params;
        for (params, name) in [
            (p().n_lags(0), "n_lags"),
            (p().n_lags(usize::MAX), "n_lags"),
            (p().explained_variance(f64::NAN), "explained_variance"),
            (p().n_components(0), "n_components"),
            (p().limit_quantile(1.0), "limit_quantile"),
            (p().max_gap(0.5), "max_gap"),
            (p().max_gap(f64::NAN), "max_gap"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
            assert!(e.to_string().contains(name), "{e}");
        }
        let s = sequences(50, &[], |_| None);
        for (n_lags, components, kind) in [
            (512, Components::Share(0.9), ErrorKind::InvalidParameter),
            (1, Components::Number(5), ErrorKind::InvalidParameter),
            (49, Components::Share(0.9), ErrorKind::InsufficientData),
        ] {
            let settings = LaggedPcaSettings {
                n_lags,
                components,
                ..Default::default()
            };
            assert_eq!(settings.fit(&s, Seed(0)).unwrap_err().kind(), kind, "{n_lags}");
        }
    }

    #[test]
    fn windows_cross_no_end_and_no_gap() {
        let time = |i: usize| Some(10 * i as i64 + if i >= 15 { 1000 } else { 0 });
        let s = sequences(20, &[8], time);
        let longest = median_step_s(&s).map(|m| 3.0 * m);
        assert_eq!(longest, Some(30.0));
        let found = windows(&s, 3, longest);
        let rows = s.all();
        let expected: Vec<&[f64]> = (2..8)
            .chain(10..15)
            .chain(17..20)
            .map(|end| &rows.values()[(end - 2) * 2..(end + 1) * 2])
            .collect();
        assert_eq!(found, expected);
        // Without times only ends count.
        let s = sequences(20, &[8], |_| None);
        assert_eq!((windows(&s, 3, None).len(), median_step_s(&s)), (6 + 10, None));
    }

    #[test]
    fn scores_are_those_of_stacked_windows() {
        let s = sequences(300, &[100, 200], |i| Some(i as i64));
        let m = fitted(2, &s);
        let rows = s.all();
        let mut memory = m.new_memory();
        for i in 0..100 {
            let x = StreamRow {
                values: rows.get(i).unwrap(),
                time: Some(Timestamp::from_secs(i as i64)),
            };
            let expected = if i < 2 {
                0.0
            } else {
                let (t2, q) = m.plane.statistics(&rows.values()[(i - 2) * 2..(i + 1) * 2]);
                t2 / m.t2_limit + q / m.q_limit.unwrap()
            };
            assert_eq!(m.score(&memory, x), expected, "{i}");
            let mut out = [0.0; 2];
            m.contributions_into(&memory, x, &mut out);
            assert!((out[0] + out[1] - expected).abs() <= 1e-9 * (1.0 + expected));
            m.update(&mut memory, x, true);
            assert!(m.accepts(&memory) && memory.rows.capacity() == 4);
        }
    }

    #[test]
    fn a_gap_empties_the_window() {
        let s = sequences(300, &[], |i| Some(i as i64));
        let m = fitted(2, &s);
        assert_eq!(m.longest_gap_s, Some(3.0));
        let mut memory = m.new_memory();
        let mut zero = Vec::new();
        for i in 0..20 {
            let x = StreamRow {
                values: s.all().get(i).unwrap(),
                time: Some(Timestamp::from_secs(i as i64 + if i >= 10 { 3 } else { 0 })),
            };
            if m.score(&memory, x) == 0.0 {
                zero.push(i);
            }
            m.update(&mut memory, x, false);
        }
        assert_eq!(zero, [0, 1, 10, 11]);
    }

    #[test]
    fn a_broken_delay_is_seen() {
        let m = fitted(1, &sequences(400, &[200], |_| None));
        let mut memory = m.new_memory();
        let row = |values| StreamRow { values, time: None };
        m.update(&mut memory, row(&[0.3, 0.1]), true);
        assert!(m.score(&memory, row(&[0.1, 0.3])) < 2.0);
        assert!(m.score(&memory, row(&[0.1, -0.3])) > 100.0);
    }

    #[test]
    fn constant_and_equal_sensors_are_fitted() {
        let mut s = Sequences::new(3);
        (0..60).for_each(|i| s.push([noise(i, 0), noise(i, 0), 4.0], None));
        s.end();
        let settings = LaggedPcaSettings::default();
        let m = settings.fit(&s, Seed(0)).unwrap();
        let mut memory = m.new_memory();
        for values in [[1e150, -1e150, 1e150], [0.0; 3], [-1e150; 3], [1e6; 3]] {
            let x = StreamRow {
                values: &values,
                time: None,
            };
            assert!(m.score(&memory, x).is_finite());
            m.update(&mut memory, x, true);
        }
        let mut flat = Sequences::new(1);
        (0..60).for_each(|_| flat.push([1.0], None));
        flat.end();
        assert_eq!(
            settings.fit(&flat, Seed(0)).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        let none = settings.fit(&Sequences::new(2), Seed(0)).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InsufficientData);
    }

    #[test]
    fn broken_records_and_memories_are_refused() {
        let m = fitted(1, &sequences(100, &[], |i| Some(i as i64)));
        let good = m.to_record();
        assert_eq!(LaggedPlane::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut LaggedPlaneRecord);
        let breaks: [(&str, Break); 9] = [
            ("no lag", |r| r.n_lags = 0),
            ("fewer columns than the plane", |r| r.n_lags = u32::MAX),
            ("gap zero", |r| r.longest_gap_s = Some(0.0)),
            ("gap NaN", |r| r.longest_gap_s = Some(f64::NAN)),
            ("limit of T²", |r| r.t2_limit = 0.0),
            ("limit of Q missing", |r| r.q_limit = None),
            ("components", |r| r.components[0] += 0.01),
            ("eigenvalues", |r| r.eigenvalues.reverse()),
            ("column out of range", |r| r.standard.columns[3] = 4),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = LaggedPlane::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
        for (rows, taken) in [(0, true), (2, true), (1, false), (3, false), (4, false)] {
            let memory = LaggedMemory {
                last: None,
                rows: vec![0.0; rows],
            };
            assert_eq!(m.accepts(&memory), taken, "{rows}");
        }
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            let bytes = rmp_serde::to_vec_named(&LaggedMemory {
                last: None,
                rows: vec![bad],
            });
            assert!(rmp_serde::from_slice::<LaggedMemory>(&bytes.unwrap()).is_err());
        }
    }
}
