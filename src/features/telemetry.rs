//! Rolling features of telemetry rows, at any spacing in time.

use super::{Feature, FeatureSchema};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The longest span, in life units.
const MAX_SPAN: f64 = 1e6;
/// Rows a window keeps at most unless told otherwise.
const DEFAULT_MAX_ROWS: usize = 512;
/// Rows a straight line needs before its slope is given.
const LEAST_ROWS_FOR_SLOPE: f64 = 3.0;
/// Features of one channel at most.
const MAX_FEATURES_A_CHANNEL: usize = 1_000;
/// Features of all channels at most, as in a schema.
const MAX_FEATURES: usize = 65_535;
/// An EWMA's weight decays no further: a sensor that is silent for good holds its last value instead of underflowing.
/// Against the weight of one reading it is nothing.
const LEAST_WEIGHT: f64 = 1e-100;
/// Rows whose instants vary by less than this part of their squares, counted from the sums' origin, lie too close together
/// for a slope: it would be all rounding.
const LEAST_SPREAD: f64 = 1e-12;

/// Which rolling features are computed of each channel; spans are in life units.
///
/// | feature | of a channel's readings `v_i` at ages `t_i`, now being `t` |
/// |---|---|
/// | `ewma_<s>` | `sum(v_i d^(t - t_i)) / sum(d^(t - t_i))`, `d = 1 - 2/(s+1)`: pandas' `ewm(span=s)` at unit spacing |
/// | `slope_<s>` | slope of the least-squares line through the readings with `t_i > t - s`, per life unit |
/// | `residual_sd_<s>` | standard deviation of the readings about that line, with `n - 2` degrees of freedom |
/// | `endpoint_<s>` | that line's value at `t` |
/// | `ewma_<s>_change_<l>` | `ewma_<s>` now less `ewma_<s>` at the latest row with `t_i <= t - l` |
///
/// A missing reading (NaN, or beyond 10^150) is left out of its channel's sums; the EWMA then holds. Slope, residual and endpoint are NaN
/// below three readings, or where these lie too close together in time to tell a slope; the change before there is a row old enough, the EWMA before the first reading.
///
/// ```
/// let spec = prognos::features::telemetry().ewma([3.0, 12.0]).slope([15.0, 30.0]).age();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetrySpec {
    ewma: Vec<f64>,
    slope: Vec<f64>,
    residual_sd: Vec<f64>,
    endpoint: Vec<f64>,
    ewma_change: Vec<(f64, f64)>,
    age: bool,
    max_rows: Option<usize>,
}

/// An empty choice of rolling features; add to it what is wanted.
pub fn telemetry() -> TelemetrySpec {
    TelemetrySpec::default()
}

impl TelemetrySpec {
    /// Exponentially weighted means over these spans, each at least 1.
    #[must_use]
    pub fn ewma(mut self, spans: impl IntoIterator<Item = f64>) -> Self {
        self.ewma.extend(spans);
        self
    }

    /// Slopes of least-squares lines over these spans.
    #[must_use]
    pub fn slope(mut self, spans: impl IntoIterator<Item = f64>) -> Self {
        self.slope.extend(spans);
        self
    }

    /// Standard deviations about least-squares lines over these spans.
    #[must_use]
    pub fn residual_sd(mut self, spans: impl IntoIterator<Item = f64>) -> Self {
        self.residual_sd.extend(spans);
        self
    }

    /// Values now of least-squares lines over these spans.
    #[must_use]
    pub fn endpoint(mut self, spans: impl IntoIterator<Item = f64>) -> Self {
        self.endpoint.extend(spans);
        self
    }

    /// Changes of the EWMA over `span` since each of `lags` ago.
    #[must_use]
    pub fn ewma_change(mut self, span: f64, lags: impl IntoIterator<Item = f64>) -> Self {
        self.ewma_change.extend(lags.into_iter().map(|lag| (span, lag)));
        self
    }

    /// The asset's age: life units since its first row.
    #[must_use]
    pub fn age(mut self) -> Self {
        self.age = true;
        self
    }

    /// Bounds the rows a window remembers (512 unless set): where more fall into a span, the oldest leave first and the
    /// span is in effect shorter.
    #[must_use]
    pub fn max_rows(mut self, n: usize) -> Self {
        self.max_rows = Some(n);
        self
    }

    /// Features of each channel.
    fn n_features(&self) -> usize {
        let lines = self.slope.len() + self.residual_sd.len() + self.endpoint.len();
        self.ewma.len() + lines + self.ewma_change.len()
    }

    /// The longest stretch of rows a window remembers.
    pub(crate) fn longest_window(&self) -> f64 {
        let spans = self.slope.iter().chain(&self.residual_sd).chain(&self.endpoint);
        spans
            .chain(self.ewma_change.iter().map(|(_, lag)| lag))
            .fold(0.0, |m, s| s.max(m))
    }

    /// The longest of all spans and lags.
    fn longest_span(&self) -> f64 {
        let spans = self.ewma.iter().chain(self.ewma_change.iter().map(|(span, _)| span));
        spans.fold(self.longest_window(), |m, s| s.max(m))
    }

    pub(crate) fn row_bound(&self) -> usize {
        self.max_rows.unwrap_or(DEFAULT_MAX_ROWS)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.n_features() > MAX_FEATURES_A_CHANNEL {
            return Err(Error::parameter(
                "telemetry features of a channel",
                format!("at most {MAX_FEATURES_A_CHANNEL}"),
                self.n_features(),
            ));
        }
        let spans = self.slope.iter().chain(&self.residual_sd).chain(&self.endpoint);
        let lags = self.ewma_change.iter().map(|(_, lag)| lag);
        for span in spans.chain(lags) {
            if !(*span > 0.0 && *span <= MAX_SPAN) {
                return Err(Error::parameter(
                    "telemetry span",
                    format!("above 0 and at most {MAX_SPAN}"),
                    span,
                ));
            }
        }
        for span in self.ewma.iter().chain(self.ewma_change.iter().map(|(span, _)| span)) {
            if !(*span >= 1.0 && *span <= MAX_SPAN) {
                return Err(Error::parameter(
                    "telemetry EWMA span",
                    format!("at least 1 and at most {MAX_SPAN}"),
                    span,
                ));
            }
        }
        if let Some(n) = self.max_rows
            && !(3..=1 << 20).contains(&n)
        {
            return Err(Error::parameter("telemetry max_rows", "3..=1048576", n));
        }
        Ok(())
    }
}

/// Rolling features of channels in groups, each group with its own [`TelemetrySpec`].
///
/// The extractor is immutable; what one machine showed so far is a [`TelemetryState`]. A row costs
/// `O(n_channels n_spans)`, amortised: sums are carried along, and rebuilt from the remembered rows once in as many rows
/// as the window holds, so that rounding does not pile up. Memory of a state: the rows of the longest span.
#[derive(Clone, Debug)]
pub struct TelemetryExtractor {
    n_channels: usize,
    output: FeatureSchema,
    age: bool,
    longest_span: f64,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    channels: Vec<usize>,
    /// Distinct EWMA spans as decay per unit, of `ewma` and `ewma_change`.
    decays: Vec<f64>,
    /// Distinct spans of lines.
    spans: Vec<f64>,
    /// Distinct lags.
    lags: Vec<f64>,
    max_rows: usize,
    outputs: Vec<Output>,
}

#[derive(Clone, Copy, Debug)]
enum Output {
    Ewma(usize),
    Slope(usize),
    ResidualSd(usize),
    Endpoint(usize),
    Change { ewma: usize, lag: usize },
}

impl TelemetryExtractor {
    /// An extractor for rows of `input`: each group names columns of it and the features wanted of them.
    ///
    /// # Errors
    /// `InvalidParameter` for spans, lags or bounds out of range; `InvalidInput` for a column out of range, a feature
    /// asked for twice, or no feature at all.
    pub fn new(input: &FeatureSchema, groups: &[(Vec<usize>, TelemetrySpec)]) -> Result<Self> {
        let mut features = Vec::new();
        let age = groups.iter().any(|(_, spec)| spec.age);
        if age {
            features.push(Feature {
                name: "age".into(),
                unit: "life units".into(),
                channel: "age".into(),
            });
        }
        let mut built = Vec::with_capacity(groups.len());
        let mut n_features = 0usize;
        for (channels, spec) in groups {
            spec.check()?;
            n_features = n_features.saturating_add(channels.len().saturating_mul(spec.n_features()));
            if n_features > MAX_FEATURES {
                return Err(Error::input(
                    "telemetry features",
                    format!("at most {MAX_FEATURES}"),
                    n_features,
                ));
            }
            let group = Group::new(channels.clone(), spec);
            for &c in channels {
                let source = input
                    .features()
                    .get(c)
                    .ok_or_else(|| Error::input("telemetry column", format!("below {}", input.len()), c))?;
                features.extend(group.features_of(source, spec));
            }
            if !group.outputs.is_empty() && !channels.is_empty() {
                built.push(group);
            }
        }
        let output = FeatureSchema::new(features, None)?;
        Ok(Self {
            n_channels: input.len(),
            output,
            age,
            longest_span: groups.iter().fold(0.0, |m, (_, spec)| spec.longest_span().max(m)),
            groups: built,
        })
    }

    /// The columns given: `age` where asked for, then per group and channel its features.
    pub fn schema(&self) -> &FeatureSchema {
        &self.output
    }

    /// The state of a machine of which no row was seen.
    pub fn new_state(&self) -> TelemetryState {
        TelemetryState {
            n_rows: 0,
            first_age: 0.0,
            age: 0.0,
            groups: GroupStates(self.groups.iter().map(GroupState::new).collect()),
        }
    }

    /// Takes a row at `age` (life units since the asset's first row) and writes the features as of this row into `out`.
    ///
    /// # Errors
    /// `InvalidInput` for slices of other lengths or an age that is not finite or not above the last one;
    /// `StateMismatch` for a state of another extractor. The state is then unchanged.
    pub fn step_into(&self, state: &mut TelemetryState, age: f64, row: &[f64], out: &mut [f64]) -> Result<()> {
        self.step(state, age, row, &mut Decays::default(), Some(out))
    }

    /// [`step_into`](TelemetryExtractor::step_into), which takes decays from `decays` where the last row came after as long a
    /// time, and writes no features where no place is given.
    pub(crate) fn step(
        &self,
        state: &mut TelemetryState,
        age: f64,
        row: &[f64],
        decays: &mut Decays,
        out: Option<&mut [f64]>,
    ) -> Result<()> {
        let wrong_place = out.as_ref().is_some_and(|out| out.len() != self.output.len());
        if row.len() != self.n_channels || wrong_place {
            return Err(Error::input(
                "telemetry row",
                format!("{} values into {} features", self.n_channels, self.output.len()),
                format!("{} into {}", row.len(), out.map_or(0, |out| out.len())),
            ));
        }
        self.check_state(state)?;
        if !(age.is_finite() && (state.n_rows == 0 || age > state.age)) {
            return Err(Error::input(
                "age of a telemetry row",
                format!("finite and above {}", state.age),
                age,
            ));
        }
        let dt = if state.n_rows == 0 { 0.0 } else { age - state.age };
        if state.n_rows == 0 {
            state.first_age = age;
        }
        state.n_rows = state.n_rows.saturating_add(1);
        state.age = age;
        let mut factors = decays.over(dt, &self.groups);
        for (group, memory) in self.groups.iter().zip(&mut state.groups.0) {
            let (own, rest) = factors.split_at(group.decays.len());
            memory.take(group, age, own, row);
            factors = rest;
        }
        if let Some(out) = out {
            self.write(state, out);
        }
        Ok(())
    }

    /// The features as of the last row taken.
    fn write(&self, state: &TelemetryState, out: &mut [f64]) {
        let mut at = usize::from(self.age);
        out[..at].fill(state.age);
        for (group, memory) in self.groups.iter().zip(&state.groups.0) {
            let n = group.channels.len() * group.outputs.len();
            memory.write(group, state.age, &mut out[at..at + n]);
            at += n;
        }
    }

    /// Writes the features as of the last row taken; all NaN before the first.
    ///
    /// # Errors
    /// `InvalidInput` for another number of places, `StateMismatch` for a state of another extractor.
    pub(crate) fn features_into(&self, state: &TelemetryState, out: &mut [f64]) -> Result<()> {
        self.check_state(state)?;
        if out.len() != self.output.len() {
            return Err(Error::input("telemetry features", self.output.len(), out.len()));
        }
        if state.n_rows == 0 {
            out.fill(f64::NAN);
        } else {
            self.write(state, out);
        }
        Ok(())
    }

    /// The longest of all spans and lags asked for.
    pub(crate) fn longest_span(&self) -> f64 {
        self.longest_span
    }

    /// Whether the rows taken reach back over the longest span.
    pub(crate) fn is_settled(&self, state: &TelemetryState) -> bool {
        state.age - state.first_age >= self.longest_span
    }

    /// Whether `state` was made for these features.
    pub(crate) fn check_state(&self, state: &TelemetryState) -> Result<()> {
        if state.groups.0.len() == self.groups.len() && state.groups.0.iter().zip(&self.groups).all(|(s, g)| s.fits(g))
        {
            Ok(())
        } else {
            Err(Error::state(
                "telemetry state",
                "one of this extractor",
                "one of another",
            ))
        }
    }
}

fn position_or_push(list: &mut Vec<f64>, value: f64) -> usize {
    list.iter().position(|v| *v == value).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    })
}

/// Finite, and small enough that its square and sums of it stay finite.
fn is_reading(v: f64) -> bool {
    v.abs() <= 1e150
}

fn decay_of(span: f64) -> f64 {
    1.0 - 2.0 / (span + 1.0)
}

impl Group {
    fn new(channels: Vec<usize>, spec: &TelemetrySpec) -> Self {
        let (mut decays, mut spans, mut lags, mut outputs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // Changes first, so that their EWMAs, whose past is remembered, come first.
        let changes: Vec<Output> = spec
            .ewma_change
            .iter()
            .map(|&(span, lag)| Output::Change {
                ewma: position_or_push(&mut decays, decay_of(span)),
                lag: position_or_push(&mut lags, lag),
            })
            .collect();
        outputs.extend(
            spec.ewma
                .iter()
                .map(|&s| Output::Ewma(position_or_push(&mut decays, decay_of(s)))),
        );
        outputs.extend(
            spec.slope
                .iter()
                .map(|&s| Output::Slope(position_or_push(&mut spans, s))),
        );
        outputs.extend(
            spec.residual_sd
                .iter()
                .map(|&s| Output::ResidualSd(position_or_push(&mut spans, s))),
        );
        outputs.extend(
            spec.endpoint
                .iter()
                .map(|&s| Output::Endpoint(position_or_push(&mut spans, s))),
        );
        outputs.extend(changes);
        let max_rows = spec.max_rows.unwrap_or(DEFAULT_MAX_ROWS);
        Self {
            channels,
            decays,
            spans,
            lags,
            max_rows,
            outputs,
        }
    }

    fn features_of<'a>(&self, source: &'a Feature, spec: &'a TelemetrySpec) -> impl Iterator<Item = Feature> + 'a {
        let same = |stat: String| (stat, source.unit.clone());
        let per_unit = |stat: String| {
            (
                stat,
                if source.unit.is_empty() {
                    "1/life unit".into()
                } else {
                    format!("{}/life unit", source.unit)
                },
            )
        };
        let ewma = spec.ewma.iter().map(move |s| same(format!("ewma_{s}")));
        let slope = spec.slope.iter().map(move |s| per_unit(format!("slope_{s}")));
        let sd = spec.residual_sd.iter().map(move |s| same(format!("residual_sd_{s}")));
        let endpoint = spec.endpoint.iter().map(move |s| same(format!("endpoint_{s}")));
        let change = spec
            .ewma_change
            .iter()
            .map(move |(s, l)| same(format!("ewma_{s}_change_{l}")));
        ewma.chain(slope)
            .chain(sd)
            .chain(endpoint)
            .chain(change)
            .map(|(stat, unit)| Feature {
                name: format!("{}.{stat}", source.name),
                unit,
                channel: source.channel.clone(),
            })
    }

    /// Values remembered of a row: each channel's reading, then each channel's EWMA whose past is asked for.
    fn width(&self) -> usize {
        self.channels.len() * (1 + self.n_remembered_ewmas())
    }

    fn n_remembered_ewmas(&self) -> usize {
        let changes = self.outputs.iter().filter_map(|o| match o {
            Output::Change { ewma, .. } => Some(ewma + 1),
            _ => None,
        });
        changes.max().unwrap_or(0)
    }
}

/// What one machine showed so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryState {
    n_rows: u64,
    first_age: f64,
    age: f64,
    groups: GroupStates,
}

/// One in place: most chains need no more, and a machine's memory is then in one piece. Read as a list, which grows as its
/// elements come and not as its length promises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<GroupState>", into = "Vec<GroupState>")]
struct GroupStates(SmallVec<[GroupState; 1]>);

impl From<Vec<GroupState>> for GroupStates {
    fn from(states: Vec<GroupState>) -> Self {
        Self(states.into_iter().collect())
    }
}

impl From<GroupStates> for Vec<GroupState> {
    fn from(states: GroupStates) -> Self {
        states.0.into_vec()
    }
}

/// How much of an EWMA is left after the time between two rows: machines that send rows as often share a power.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decays {
    over: f64,
    /// Of every group, one after the other.
    factors: SmallVec<[f64; 16]>,
}

impl Decays {
    fn over(&mut self, dt: f64, groups: &[Group]) -> &[f64] {
        let n: usize = groups.iter().map(|g| g.decays.len()).sum();
        if self.factors.len() != n || self.over.to_bits() != dt.to_bits() {
            self.over = dt;
            self.factors.clear();
            let decays = groups.iter().flat_map(|g| &g.decays);
            let factor = |&decay: &f64| if dt == 1.0 { decay } else { libm::pow(decay, dt) }.max(LEAST_WEIGHT);
            self.factors.extend(decays.map(factor));
        }
        &self.factors
    }
}

impl TelemetryState {
    /// Rows taken.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Age at the last row, in life units.
    pub fn age(&self) -> f64 {
        self.age
    }
}

/// Sums behind the line through a window, one place a channel in each list.
///
/// Times count from `origin` and readings from each channel's `zero`, both moved at every rebuild, so that squares stay
/// small against what they are the difference of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LineSums {
    /// Remembered rows outside this window: its first row is `ring[skipped]`.
    skipped: usize,
    origin: f64,
    since_rebuild: usize,
    /// `n, t, tt, v, tv, vv` of channel 0, then of channel 1, ...
    sums: Vec<[f64; 6]>,
    zero: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GroupState {
    /// Weighted sum and weight of each EWMA of each channel.
    ewma: Vec<[f64; 2]>,
    lines: Vec<LineSums>,
    /// Rows outside each lag, less one: the row the change is taken against is `ring[beyond - 1]`.
    beyond: Vec<usize>,
    /// The remembered rows, oldest first from `head`, as a ring.
    ages: Vec<f64>,
    values: Vec<f64>,
    head: usize,
}

impl GroupState {
    fn new(group: &Group) -> Self {
        let line = LineSums {
            skipped: 0,
            origin: 0.0,
            since_rebuild: 0,
            sums: vec![[0.0; 6]; group.channels.len()],
            zero: vec![f64::NAN; group.channels.len()],
        };
        Self {
            ewma: vec![[0.0; 2]; group.channels.len() * group.decays.len()],
            lines: vec![line; group.spans.len()],
            beyond: vec![0; group.lags.len()],
            ages: Vec::new(),
            values: Vec::new(),
            head: 0,
        }
    }

    /// Whether every length and index is one this group can have: states come from files, too.
    fn fits(&self, group: &Group) -> bool {
        let (n_channels, n_rows) = (group.channels.len(), self.ages.len());
        self.ewma.len() == n_channels * group.decays.len()
            && self.lines.len() == group.spans.len()
            && self.beyond.len() == group.lags.len()
            && n_rows <= group.max_rows
            && self.values.len() == n_rows * group.width()
            && (self.head < n_rows || self.head == 0)
            && self.beyond.iter().all(|b| *b <= n_rows)
            && self
                .lines
                .iter()
                .all(|l| l.skipped <= n_rows && l.sums.len() == n_channels && l.zero.len() == n_channels)
    }

    fn slot(&self, i: usize) -> usize {
        let at = self.head + i;
        if at >= self.ages.len() {
            at - self.ages.len()
        } else {
            at
        }
    }

    fn age_of(&self, i: usize) -> f64 {
        self.ages[self.slot(i)]
    }

    fn take(&mut self, group: &Group, age: f64, factors: &[f64], row: &[f64]) {
        let n_channels = group.channels.len();
        let n_decays = group.decays.len();
        if n_decays > 0 {
            for (ewmas, &c) in self.ewma.chunks_exact_mut(n_decays).zip(&group.channels) {
                let v = row[c];
                let sound = is_reading(v);
                for ([sum, weight], &factor) in ewmas.iter_mut().zip(factors) {
                    let factor = if *weight > LEAST_WEIGHT { factor } else { 1.0 };
                    *sum *= factor;
                    *weight *= factor;
                    if sound {
                        *sum += v;
                        *weight += 1.0;
                    }
                }
            }
        }
        if group.spans.is_empty() && group.lags.is_empty() {
            return;
        }
        self.forget(group, age);
        let width = group.width();
        let slot = self.remember(group.max_rows, age, n_channels, width);
        for (k, &c) in group.channels.iter().enumerate() {
            self.values[slot * width + k] = if is_reading(row[c]) { row[c] } else { f64::NAN };
        }
        for e in 0..group.n_remembered_ewmas() {
            for k in 0..n_channels {
                let [sum, weight] = self.ewma[k * n_decays + e];
                self.values[slot * width + (1 + e) * n_channels + k] = sum / weight;
            }
        }
        for i in 0..self.lines.len() {
            self.add_to_line(i, slot, age, n_channels, width);
        }
    }

    /// Takes out of each window the rows that no longer belong to it, and drops those no window wants.
    fn forget(&mut self, group: &Group, age: f64) {
        let (n_channels, width) = (group.channels.len(), group.width());
        for (i, &span) in group.spans.iter().enumerate() {
            while self.lines[i].skipped < self.ages.len() && self.age_of(self.lines[i].skipped) <= age - span {
                self.take_from_line(i, n_channels, width);
            }
            if self.lines[i].skipped == self.ages.len() {
                // Nothing is left: times count anew, or their squares would drown the next rows' differences.
                let line = &mut self.lines[i];
                line.origin = age;
                line.since_rebuild = 0;
                line.sums.fill([0.0; 6]);
            }
        }
        for (b, &lag) in group.lags.iter().enumerate() {
            while self.beyond[b] < self.ages.len() && self.age_of(self.beyond[b]) <= age - lag {
                self.beyond[b] += 1;
            }
        }
    }

    /// A place for a new row: a forgotten one's, a new one while the ring may grow, else the oldest one's.
    fn remember(&mut self, max_rows: usize, age: f64, n_channels: usize, width: usize) -> usize {
        let n_rows = self.ages.len();
        let oldest_is_done =
            n_rows > 0 && self.lines.iter().all(|l| l.skipped >= 1) && self.beyond.iter().all(|b| *b >= 2);
        if oldest_is_done || n_rows >= max_rows {
            for i in 0..self.lines.len() {
                if self.lines[i].skipped == 0 {
                    self.take_from_line(i, n_channels, width);
                }
                self.lines[i].skipped -= 1;
            }
            for b in &mut self.beyond {
                *b = b.saturating_sub(1);
            }
            let slot = self.head;
            self.ages[slot] = age;
            self.head = if self.head + 1 == n_rows { 0 } else { self.head + 1 };
            return slot;
        }
        if self.head != 0 {
            // Growing a ring that has turned: put the oldest row first again.
            self.ages.rotate_left(self.head);
            self.values.rotate_left(self.head * width);
            self.head = 0;
        }
        self.ages.push(age);
        self.values.resize(self.values.len() + width, f64::NAN);
        n_rows
    }

    fn take_from_line(&mut self, i: usize, n_channels: usize, width: usize) {
        let slot = self.slot(self.lines[i].skipped);
        let row = &self.values[slot * width..][..n_channels];
        let line = &mut self.lines[i];
        line.skipped += 1;
        let t = self.ages[slot] - line.origin;
        for ((s, z), &v) in line.sums.iter_mut().zip(&line.zero).zip(row) {
            if !v.is_nan() {
                let v = v - z;
                *s = [s[0] - 1.0, s[1] - t, s[2] - t * t, s[3] - v, s[4] - t * v, s[5] - v * v];
            }
        }
    }

    fn add_to_line(&mut self, i: usize, slot: usize, age: f64, n_channels: usize, width: usize) {
        let n_in_window = self.ages.len() - self.lines[i].skipped;
        self.lines[i].since_rebuild = self.lines[i].since_rebuild.saturating_add(1);
        if self.lines[i].since_rebuild > n_in_window.max(16) {
            return self.rebuild_line(i, age, n_channels, width);
        }
        let row = &self.values[slot * width..][..n_channels];
        let line = &mut self.lines[i];
        let t = age - line.origin;
        for ((s, z), &v) in line.sums.iter_mut().zip(&mut line.zero).zip(row) {
            if v.is_nan() {
                continue;
            }
            if s[0] == 0.0 {
                // The first reading in the window: nothing is left of rounding from before.
                *s = [0.0; 6];
                *z = v;
            }
            let v = v - *z;
            *s = [s[0] + 1.0, s[1] + t, s[2] + t * t, s[3] + v, s[4] + t * v, s[5] + v * v];
        }
    }

    fn rebuild_line(&mut self, i: usize, age: f64, n_channels: usize, width: usize) {
        let n_rows = self.ages.len();
        let newest = self.slot(n_rows - 1);
        let first = self.lines[i].skipped;
        {
            let line = &mut self.lines[i];
            line.origin = age;
            line.since_rebuild = 0;
            line.sums.fill([0.0; 6]);
            let row = &self.values[newest * width..][..n_channels];
            for (z, &v) in line.zero.iter_mut().zip(row) {
                *z = if v.is_nan() { *z } else { v };
            }
        }
        for k in first..n_rows {
            let slot = self.slot(k);
            let row = &self.values[slot * width..][..n_channels];
            let line = &mut self.lines[i];
            let t = self.ages[slot] - age;
            for ((s, z), &v) in line.sums.iter_mut().zip(&mut line.zero).zip(row) {
                if v.is_nan() {
                    continue;
                }
                if z.is_nan() {
                    *z = v;
                }
                let v = v - *z;
                *s = [s[0] + 1.0, s[1] + t, s[2] + t * t, s[3] + v, s[4] + t * v, s[5] + v * v];
            }
        }
    }

    fn write(&self, group: &Group, age: f64, out: &mut [f64]) {
        let (n_channels, n_decays, width) = (group.channels.len(), group.decays.len(), group.width());
        for (k, out) in out.chunks_exact_mut(group.outputs.len()).enumerate() {
            for (o, output) in out.iter_mut().zip(&group.outputs) {
                *o = match *output {
                    Output::Ewma(d) => {
                        let [sum, weight] = self.ewma[k * n_decays + d];
                        sum / weight // NaN before the first reading
                    }
                    Output::Slope(i) => self.lines[i].fit(k, age).0,
                    Output::Endpoint(i) => self.lines[i].fit(k, age).1,
                    Output::ResidualSd(i) => self.lines[i].fit(k, age).2,
                    Output::Change { ewma, lag } => match self.beyond[lag] {
                        0 => f64::NAN,
                        b => {
                            let [sum, weight] = self.ewma[k * n_decays + ewma];
                            let past = self.slot(b - 1) * width + (1 + ewma) * n_channels + k;
                            sum / weight - self.values[past]
                        }
                    },
                };
            }
        }
    }
}

impl LineSums {
    /// Slope, value now and residual standard deviation of channel `k`'s line.
    #[inline]
    fn fit(&self, k: usize, age: f64) -> (f64, f64, f64) {
        let [n, t, tt, v, tv, vv] = self.sums[k];
        let stt = tt - t * t / n;
        if !(n >= LEAST_ROWS_FOR_SLOPE && stt > LEAST_SPREAD * tt) {
            return (f64::NAN, f64::NAN, f64::NAN);
        }
        let stv = tv - t * v / n;
        let svv = vv - v * v / n;
        let slope = stv / stt;
        let endpoint = self.zero[k] + v / n + slope * (age - self.origin - t / n);
        (slope, endpoint, ((svv - slope * stv).max(0.0) / (n - 2.0)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, signal::Channel};
    use proptest::prelude::*;

    fn schema(n: usize) -> FeatureSchema {
        let channels: Vec<_> = (0..n).map(|i| Channel::new(format!("c{i}"), "V")).collect();
        FeatureSchema::of_channels(&channels).unwrap()
    }

    fn all_kinds(max_rows: usize) -> TelemetrySpec {
        telemetry()
            .ewma([3.0, 12.0])
            .slope([5.0, 20.0])
            .residual_sd([20.0])
            .endpoint([20.0])
            .ewma_change(12.0, [4.0, 10.0])
            .age()
            .max_rows(max_rows)
    }

    /// The definitions in the table of [`TelemetrySpec`], computed anew from all rows.
    fn naive(rows: &[(f64, f64)], max_rows: usize) -> Vec<f64> {
        let now = rows[rows.len() - 1].0;
        let ewma = |span: f64, upto: usize| {
            let (mut sum, mut weight) = (0.0, 0.0);
            let then = rows[upto].0;
            for (t, v) in rows[..=upto].iter().filter(|(_, v)| v.is_finite()) {
                let w = (1.0 - 2.0 / (span + 1.0)).powf(then - t);
                sum += w * v;
                weight += w;
            }
            sum / weight
        };
        let remembered = rows.len().saturating_sub(max_rows);
        let line = |span: f64| {
            let used: Vec<_> = rows[remembered..]
                .iter()
                .filter(|(t, v)| *t > now - span && v.is_finite())
                .copied()
                .collect();
            let n = used.len() as f64;
            if n < 3.0 {
                return (f64::NAN, f64::NAN, f64::NAN);
            }
            let (mt, mv) = (
                used.iter().map(|r| r.0).sum::<f64>() / n,
                used.iter().map(|r| r.1).sum::<f64>() / n,
            );
            let stt: f64 = used.iter().map(|(t, _)| (t - mt).powi(2)).sum();
            let slope = used.iter().map(|(t, v)| (t - mt) * (v - mv)).sum::<f64>() / stt;
            let ssr: f64 = used.iter().map(|(t, v)| (v - mv - slope * (t - mt)).powi(2)).sum();
            (slope, mv + slope * (now - mt), (ssr / (n - 2.0)).sqrt())
        };
        let change = |lag: f64| match rows.iter().rposition(|(t, _)| *t <= now - lag) {
            Some(i) if i >= remembered => ewma(12.0, rows.len() - 1) - ewma(12.0, i),
            _ => f64::NAN,
        };
        let last = rows.len() - 1;
        vec![
            now,
            ewma(3.0, last),
            ewma(12.0, last),
            line(5.0).0,
            line(20.0).0,
            line(20.0).2,
            line(20.0).1,
            change(4.0),
            change(10.0),
        ]
    }

    fn close(a: f64, b: f64, scale: f64) -> bool {
        // Sums of up to 30 squares of readings near `scale`, cancelled: 1e-16 x 30 x scale relative to the spread, and
        // the root of that for a standard deviation of nearly nothing.
        (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * scale.max(1.0)
    }

    proptest! {
        #[test]
        fn equals_recomputation_at_any_spacing(
            rows in proptest::collection::vec((0.1f64..4.0, prop_oneof![9 => -10.0f64..10.0, 1 => Just(f64::NAN)]), 1..150),
            offset in -1e3f64..1e3,
            max_rows in 3usize..40,
        ) {
            let x = TelemetryExtractor::new(&schema(1), &[(vec![0], all_kinds(max_rows))]).unwrap();
            let mut state = x.new_state();
            let mut out = vec![0.0; x.schema().len()];
            let (mut age, mut seen) = (0.0, Vec::new());
            for (dt, v) in rows {
                age += dt;
                seen.push((age, v + offset));
                x.step_into(&mut state, age, &[v + offset], &mut out).unwrap();
                let expected = naive(&seen, max_rows);
                for (f, (a, b)) in x.schema().features().iter().zip(out.iter().zip(&expected)) {
                    prop_assert!(close(*a, *b, offset.abs()), "{}: {a} against {b} at {age}", f.name);
                }
            }
        }

        #[test]
        fn a_restored_state_goes_on_bit_for_bit(n in 1usize..80, at in 0usize..80) {
            let x = TelemetryExtractor::new(&schema(2), &[(vec![1], all_kinds(25)), (vec![0, 1], telemetry().slope([7.0]))]).unwrap();
            let (mut state, mut out, mut other) = (x.new_state(), vec![0.0; x.schema().len()], vec![0.0; x.schema().len()]);
            let mut copy = None;
            for i in 0..n {
                let row = [(i as f64).sin(), (i as f64 * 0.7).cos()];
                if i == at {
                    let bytes = rmp_serde::to_vec_named(&state).unwrap();
                    copy = Some(rmp_serde::from_slice::<TelemetryState>(&bytes).unwrap());
                }
                x.step_into(&mut state, i as f64, &row, &mut out).unwrap();
                if let Some(copy) = &mut copy {
                    x.step_into(copy, i as f64, &row, &mut other).unwrap();
                    prop_assert!(out.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits()));
                }
            }
        }
    }

    #[test]
    fn long_streams_do_not_drift() {
        let x =
            TelemetryExtractor::new(&schema(1), &[(vec![0], telemetry().slope([30.0]).residual_sd([30.0]))]).unwrap();
        let (mut state, mut out) = (x.new_state(), [0.0; 2]);
        let value = |i: usize| 1e4 + ((i * 7919) % 1009) as f64 / 100.0;
        let n = 200_000;
        for i in 0..n {
            x.step_into(&mut state, i as f64, &[value(i)], &mut out).unwrap();
        }
        let window: Vec<(f64, f64)> = (n - 30..n).map(|i| (i as f64 - n as f64, value(i) - 1e4)).collect();
        let (mt, mv) = (
            window.iter().map(|r| r.0).sum::<f64>() / 30.0,
            window.iter().map(|r| r.1).sum::<f64>() / 30.0,
        );
        let stt: f64 = window.iter().map(|(t, _)| (t - mt).powi(2)).sum();
        let slope = window.iter().map(|(t, v)| (t - mt) * (v - mv)).sum::<f64>() / stt;
        assert!(
            (out[0] - slope).abs() < 1e-9 * slope.abs().max(1.0),
            "{} {slope}",
            out[0]
        );
    }

    #[test]
    fn a_silent_sensor_holds_its_mean() {
        let spec = || telemetry().ewma([1.0, 3.0, 50.0]);
        let x = TelemetryExtractor::new(&schema(1), &[(vec![0], spec())]).unwrap();
        let (mut state, mut out) = (x.new_state(), [0.0; 3]);
        for i in 0..30 {
            x.step_into(&mut state, f64::from(i), &[7.25], &mut out).unwrap();
        }
        for i in 30..100_000 {
            x.step_into(&mut state, f64::from(i), &[f64::NAN], &mut out).unwrap();
            assert!(out.iter().all(|v| (v - 7.25).abs() < 1e-12), "{out:?} at {i}");
        }
        x.step_into(&mut state, 1e9, &[f64::NAN], &mut out).unwrap();
        assert!(out.iter().all(|v| (v - 7.25).abs() < 1e-12), "{out:?}");
        // Its first reading after that is all there is.
        x.step_into(&mut state, 1e9 + 1.0, &[-3.5], &mut out).unwrap();
        assert!(out.iter().all(|v| (v + 3.5).abs() < 1e-12), "{out:?}");
    }

    #[test]
    fn lines_begin_anew_after_a_long_gap() {
        let spec = telemetry().slope([10.0]).residual_sd([10.0]).endpoint([10.0]);
        let x = TelemetryExtractor::new(&schema(1), &[(vec![0], spec)]).unwrap();
        for (first, gap) in [(0.0, 3e7), (0.0, 1e10), (1e10, 1e3)] {
            let (mut state, mut out) = (x.new_state(), [0.0; 3]);
            for i in 0..20 {
                x.step_into(&mut state, first + f64::from(i), &[5.0], &mut out).unwrap();
            }
            for i in 0..30 {
                let t = f64::from(i);
                x.step_into(&mut state, first + gap + t, &[2.0 * t - 40.0], &mut out)
                    .unwrap();
                if i < 2 {
                    assert!(out.iter().all(|v| v.is_nan()), "{out:?}");
                } else {
                    let expected = [2.0, 0.0, 2.0 * t - 40.0];
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
                    assert!(out.iter().zip(&expected).all(near), "{out:?} at {i} after {gap}");
                }
            }
        }
    }

    #[test]
    fn rows_too_close_together_have_no_slope() {
        let x = TelemetryExtractor::new(&schema(1), &[(vec![0], telemetry().slope([30.0]))]).unwrap();
        for spacing in [1e-2, 1e-4, 1e-6, 1e-8] {
            let (mut state, mut out) = (x.new_state(), [0.0]);
            x.step_into(&mut state, 0.0, &[0.0], &mut out).unwrap();
            // A burst that starts just before the first row leaves the window, and is all that is left of it then.
            let mut rows = Vec::new();
            for i in 0..12 {
                let age = 30.0 + spacing * (f64::from(i) - 2.5);
                let value = f64::from(i * 7 % 5);
                x.step_into(&mut state, age, &[value], &mut out).unwrap();
                rows.push((age - 30.0, value));
                if i < 3 {
                    continue;
                }
                let n = rows.len() as f64;
                let (mt, mv) = (
                    rows.iter().map(|r| r.0).sum::<f64>() / n,
                    rows.iter().map(|r| r.1).sum::<f64>() / n,
                );
                let stt: f64 = rows.iter().map(|(t, _)| (t - mt).powi(2)).sum();
                let slope = rows.iter().map(|(t, v)| (t - mt) * (v - mv)).sum::<f64>() / stt;
                let near = (out[0] - slope).abs() <= 1e-2 / spacing;
                assert!(near || out[0].is_nan(), "{} for {slope}, rows {spacing} apart", out[0]);
                assert!(spacing < 1e-3 || near, "rows {spacing} apart are far enough");
            }
        }
    }

    #[test]
    fn a_request_for_too_much_is_refused_before_it_is_built() {
        let e = TelemetryExtractor::new(&schema(1), &[(vec![], telemetry().slope((1..=2000).map(f64::from)))]);
        let e = e.unwrap_err();
        assert!(e.to_string().contains("at most 1000"), "{e}");
        let wide = schema(1000);
        let spec = telemetry().slope((1..=500).map(f64::from));
        let e = TelemetryExtractor::new(&wide, &[((0..1000).collect(), spec)]).unwrap_err();
        assert!(e.to_string().contains("at most 65535"), "{e}");
    }

    #[test]
    fn bad_configurations_and_rows_are_named() {
        let one = |spec: TelemetrySpec| TelemetryExtractor::new(&schema(1), &[(vec![0], spec)]);
        for spec in [
            telemetry(),
            telemetry().slope([0.0]),
            telemetry().slope([f64::NAN]),
            telemetry().ewma([0.5]),
            telemetry().ewma_change(3.0, [-1.0]),
            telemetry().ewma([3.0, 3.0]),
            telemetry().slope([3.0]).max_rows(usize::MAX),
        ] {
            assert!(one(spec.clone()).is_err(), "{spec:?}");
        }
        assert!(TelemetryExtractor::new(&schema(1), &[(vec![1], telemetry().ewma([3.0]))]).is_err());
        let x = one(telemetry().ewma([3.0])).unwrap();
        let mut state = x.new_state();
        x.step_into(&mut state, 0.0, &[1.0], &mut [0.0]).unwrap();
        let before = state.clone();
        for age in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(
                x.step_into(&mut state, age, &[1.0], &mut [0.0]).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        assert!(x.step_into(&mut state, 1.0, &[1.0, 2.0], &mut [0.0]).is_err());
        assert_eq!(state, before);
        let other = one(telemetry().ewma([3.0, 4.0])).unwrap();
        assert_eq!(
            other
                .step_into(&mut state, 1.0, &[1.0], &mut [0.0; 2])
                .unwrap_err()
                .kind(),
            ErrorKind::StateMismatch
        );
    }
}
