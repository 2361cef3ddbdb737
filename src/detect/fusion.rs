//! Several detectors as one.

use super::{
    AnyDetector, AnyDetectorParams, AnyDetectorRecord, AnyDetectorState, ConformalPValues, PValueRule,
    calibration::threshold::{ThresholdParams, block_of, folds_of, threshold_setters},
    row_detector::check_places,
    standard::check_numbers,
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel, fingerprint_of},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The most detectors of one fusion.
const MOST_MEMBERS: usize = 64;
/// The least p-value that counts; its score is 690.
const LEAST_P: f64 = 1e-300;

/// Several detectors as one, by calibrated p-values.
///
/// Scores of different detectors have different scales. Each member's score is turned into the share of held-out healthy
/// rows that scored as high ([`ConformalPValues`]), and these p-values into one by a [`PValueRule`].
///
/// # Method
///
/// ```text
/// p_k   = (1 + #{held-out scores of member k that are at least its score}) / (n + 1)
/// score = - ln combine(p_1, .., p_K)
/// ```
///
/// Held-out scores are those of each fold's machines under members fitted on the others, row by row as online. Members look
/// at the same rows, so that the combined value is no p-value by most rules; the threshold is therefore the quantile
/// `1 - false_alarm_rate` of held-out *combined* scores, which holds its rate whatever the dependence. A score cannot exceed
/// what `n` held-out rows can tell: `ln(n + 1)` where one member alone is sure, by the default rule less `ln K`.
///
/// A feature's contribution is its share of the absolute contributions to each member, members weighed by `- ln p_k`;
/// contributions add up to the score.
///
/// # Missing values, cost
///
/// A row that a member cannot use is [`Unusable`](Assessment::Unusable), one that a member is not ready for
/// [`Warmup`](Assessment::Warmup). Fitting fits each member `n_folds + 1` times, each with its own threshold. A row costs
/// what its members cost and a binary search a member.
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, ParamGuard, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::{FusedDetector, MahalanobisDetector, MewmaChart, PValueRule},
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let load = |i: usize| (i as f64 * 0.7).sin();
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * load(i) + (j as f64) * load(7 * i));
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let params = FusedDetector::params()
///     .member(MahalanobisDetector::params()) // a single odd row
///     .member(MewmaChart::params()) // a small shift that lasts
///     .rule(PValueRule::Cauchy);
/// let fused = params.check()?.fit(&DatasetBase::new(table, ()))?;
/// let score = fused.step(&mut fused.new_state(), FeatureView::new(&schema, &[55.0, 45.0])?)?.ready().unwrap();
/// assert!(score.is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FusedDetector {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    members: Vec<Member>,
    rule: PValueRule,
    threshold: f64,
    n_rows: u64,
}

#[derive(Clone, Debug)]
struct Member {
    detector: AnyDetector,
    calibration: ConformalPValues,
}

/// Parameters of a [`FusedDetector`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct FusionParams(FusionValidParams);

/// Checked parameters of a [`FusedDetector`].
#[derive(Clone, Debug, PartialEq)]
pub struct FusionValidParams {
    members: Vec<AnyDetectorParams>,
    rule: PValueRule,
    threshold: ThresholdParams,
}

impl FusedDetector {
    /// No member yet, the Cauchy rule, a false alarm rate of 0.01, five folds.
    pub fn params() -> FusionParams {
        FusionParams(FusionValidParams {
            members: Vec::new(),
            rule: PValueRule::Cauchy,
            threshold: ThresholdParams::default(),
        })
    }

    /// The score above which a row is anomalous.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Training rows on which all members gave held-out scores.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The members, in their order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &AnyDetector> {
        self.members.iter().map(|m| &m.detector)
    }

    /// The p-value of each member for the row, in their order.
    ///
    /// # Errors
    /// As [`assess`](OnlineModel::assess).
    pub fn p_values(&self, state: &FusionState, x: FeatureView<'_>) -> Result<Assessment<Vec<f64>>> {
        Ok(self.member_p_values(state, x)?.map(|p| p.to_vec()))
    }

    /// Refuses a state of another model, or one that this model cannot have made.
    pub(crate) fn expect_state(&self, state: &FusionState) -> Result<()> {
        self.expect_own(state)?;
        let mut members = self.members.iter().zip(&state.members);
        members.try_for_each(|(m, s)| m.detector.expect_state(s))
    }

    fn expect_own(&self, state: &FusionState) -> Result<()> {
        if state.model != self.fingerprint {
            return Err(Error::state(
                "state",
                format!("one of model {}", self.fingerprint),
                format!("one of model {}", state.model),
            ));
        }
        if state.members.len() != self.members.len() {
            return Err(Error::state(
                "state",
                format!("{} members", self.members.len()),
                state.members.len(),
            ));
        }
        Ok(())
    }

    fn member_p_values(&self, state: &FusionState, x: FeatureView<'_>) -> Result<Assessment<PValues>> {
        self.schema.expect(x.schema())?;
        self.expect_own(state)?;
        let members = self.members.iter().zip(&state.members);
        gather(members.map(|(m, s)| Ok((&m.calibration, m.detector.assess(s, x)?))))
    }

    fn score(&self, p: &[f64]) -> AnomalyScore {
        AnomalyScore {
            value: score_of(self.rule, p),
            threshold: self.threshold,
        }
    }
}

type PValues = SmallVec<[f64; MOST_MEMBERS]>;

/// The p-values of members' outcomes: what is worst of them decides.
fn gather<'a>(
    outcomes: impl Iterator<Item = Result<(&'a ConformalPValues, Assessment<AnomalyScore>)>>,
) -> Result<Assessment<PValues>> {
    let mut p = PValues::new();
    let mut cold: Option<(u32, u32)> = None;
    let mut unusable = None;
    for outcome in outcomes {
        match outcome? {
            (calibration, Assessment::Ready(score)) => p.push(calibration.p_value(score.value)),
            (_, Assessment::Unusable(reason)) => unusable = unusable.or(Some(reason)),
            // No detector has this outcome; were there one, it would say nothing either.
            (_, Assessment::NoPrognosis(reason)) => return Ok(Assessment::NoPrognosis(reason)),
            (_, Assessment::Held) => return Ok(Assessment::Held),
            (_, Assessment::Warmup { seen, needed }) => {
                let left = |(seen, needed): (u32, u32)| needed.saturating_sub(seen);
                if cold.is_none_or(|c| left((seen, needed)) > left(c)) {
                    cold = Some((seen, needed));
                }
            }
        }
    }
    Ok(match (unusable, cold) {
        (Some(reason), _) => Assessment::Unusable(reason),
        (None, Some((seen, needed))) => Assessment::Warmup { seen, needed },
        (None, None) => Assessment::Ready(p),
    })
}

fn score_of(rule: PValueRule, p: &[f64]) -> f64 {
    let p = rule.combine(p);
    // No member says nothing here, and none says NaN.
    if p.is_nan() {
        0.0
    } else {
        -libm::log(p.clamp(LEAST_P, 1.0))
    }
}

impl FusionParams {
    /// Adds a detector.
    #[must_use]
    pub fn member(mut self, detector: impl Into<AnyDetectorParams>) -> Self {
        self.0.members.push(detector.into());
        self
    }

    /// How p-values become one. Default [`PValueRule::Cauchy`].
    #[must_use]
    pub fn rule(mut self, rule: PValueRule) -> Self {
        self.0.rule = rule;
        self
    }

    threshold_setters!();
}

impl ParamGuard for FusionParams {
    type Checked = FusionValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&FusionValidParams> {
        let n = self.0.members.len();
        if !(1..=MOST_MEMBERS).contains(&n) {
            return Err(Error::parameter("member", format!("1 to {MOST_MEMBERS} detectors"), n));
        }
        for (i, member) in self.0.members.iter().enumerate() {
            member.check().map_err(|e| e.context(format_args!("member {i}")))?;
        }
        self.0.threshold.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<FusionValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Targets are not looked at.
impl<T> Fit<FeatureTable, T, Error> for FusionValidParams {
    type Object = FusedDetector;

    /// # Errors
    /// Those of the members; `InsufficientData` with fewer than two usable rows a fold or where no held-out row has a score
    /// of every member.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, T>) -> Result<FusedDetector> {
        self.fit_table(dataset.records())
            .map_err(|e| e.context(FusedDetector::KIND))
    }
}

impl FusionValidParams {
    fn fit_table(&self, table: &FeatureTable) -> Result<FusedDetector> {
        let held_out = self.held_out_scores(table)?;
        let calibrations: Vec<ConformalPValues> = held_out
            .iter()
            .enumerate()
            .map(|(k, scores)| ConformalPValues::fit(scores).map_err(|e| e.context(format_args!("member {k}"))))
            .collect::<Result<_>>()?;
        let mut combined = Vec::with_capacity(table.n_rows());
        let mut p = PValues::new();
        for row in 0..table.n_rows() {
            p.clear();
            let scores = held_out.iter().filter_map(|s| s.get(row));
            p.extend(scores.zip(&calibrations).map(|(s, c)| c.p_value(*s)));
            if p.iter().all(|p| !p.is_nan()) {
                combined.push(score_of(self.rule, &p));
            }
        }
        if combined.is_empty() {
            return Err(Error::insufficient(
                "held-out rows with a score of every member",
                "at least 1",
                format!("none of {}", table.n_rows()),
            ));
        }
        let n_rows = combined.len() as u64;
        let threshold = self.threshold.of_scores(&mut combined)?;
        let members = self
            .members
            .iter()
            .zip(calibrations)
            .enumerate()
            .map(|(k, (params, calibration))| {
                let detector = params
                    .fit(table.clone())
                    .map_err(|e| e.context(format_args!("member {k}")))?;
                Ok(MemberRecord {
                    detector: detector.to_record(),
                    calibration,
                })
            });
        FusedDetector::from_persisted(FusionRecord {
            schema: table.schema().clone(),
            members: members.collect::<Result<_>>()?,
            rule: self.rule,
            threshold,
            n_rows,
        })
    }

    /// Of each member the score of each row under a model fitted on other machines; NaN where it gives none.
    fn held_out_scores(&self, table: &FeatureTable) -> Result<Vec<Vec<f64>>> {
        let n = table.n_rows();
        let usable: Vec<bool> = table.rows().map(|r| r.iter().all(|v| v.is_finite())).collect();
        let n_usable = usable.iter().filter(|u| **u).count();
        let n_folds = self.threshold.n_folds;
        if n_usable < n_folds.saturating_mul(2) {
            return Err(Error::insufficient(
                "training rows without a missing value",
                format!("at least two for each of {n_folds} folds"),
                format!("{n_usable} of {n}"),
            ));
        }
        // Machines without a usable row get no number, so that no fold holds out all there is.
        let mut number: Vec<Option<usize>> = vec![None; table.n_assets()];
        for (&a, _) in table.asset().iter().zip(&usable).filter(|(_, u)| **u) {
            if let Some(slot) = number.get_mut(a as usize) {
                *slot = Some(0);
            }
        }
        number.iter_mut().flatten().enumerate().for_each(|(i, slot)| *slot = i);
        let n_machines = number.iter().flatten().count();
        // Folds by machine; a single machine is cut into contiguous blocks.
        let (n_folds, fold_of): (usize, Vec<usize>) = if n_machines >= 2 {
            let (n_folds, fold_of) = folds_of(n_machines, n_folds, self.threshold.seed)?;
            let fold = |a: u32| fold_of.get(number.get(a as usize).copied().flatten()?).copied();
            let of_row = table.asset().iter().map(|&a| fold(a).unwrap_or(0)); // what has no number gives no score
            (n_folds, of_row.collect())
        } else {
            let mut before = 0;
            let of_row = usable.iter().map(|&u| {
                let block = block_of(before, n_usable, n_folds);
                before += usize::from(u);
                block.min(n_folds - 1)
            });
            (n_folds, of_row.collect())
        };
        let mut scores = vec![vec![f64::NAN; n]; self.members.len()];
        for fold in 0..n_folds {
            let (train, _) = table.filtered(|i| fold_of.get(i) != Some(&fold))?;
            for (k, (params, scores)) in self.members.iter().zip(&mut scores).enumerate() {
                let context = |e: Error| {
                    e.context(format_args!(
                        "member {k}, fold {} of {n_folds}, for the p-values",
                        fold + 1
                    ))
                };
                let detector = params.fit(train.clone()).map_err(context)?;
                let mut states: Vec<_> = (0..table.n_assets()).map(|_| detector.new_state()).collect();
                let rows = table.views().zip(table.asset()).zip(&fold_of).zip(scores);
                for (((x, &asset), _), score) in rows.filter(|((_, f), _)| **f == fold) {
                    if let Some(state) = states.get_mut(asset as usize)
                        && let Assessment::Ready(s) = detector.step(state, x)?
                    {
                        *score = s.value;
                    }
                }
            }
        }
        Ok(scores)
    }
}

/// What a [`FusedDetector`] remembers of one machine; carries the detector's fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FusionState {
    model: Fingerprint,
    members: Vec<AnyDetectorState>,
}

impl OnlineModel for FusedDetector {
    type State = FusionState;
    type Output = AnomalyScore;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) -> FusionState {
        FusionState {
            model: self.fingerprint,
            members: self.members.iter().map(|m| m.detector.new_state()).collect(),
        }
    }

    fn assess(&self, state: &FusionState, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        Ok(self.member_p_values(state, x)?.map(|p| self.score(&p)))
    }

    fn update(&self, state: &mut FusionState, x: FeatureView<'_>) -> Result<()> {
        self.step(state, x).map(|_| ())
    }

    /// A row that any member cannot use is taken by none.
    fn step(&self, state: &mut FusionState, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        let outcome = self.assess(state, x)?;
        if !matches!(outcome, Assessment::Unusable(_)) {
            let mut members = self.members.iter().zip(&mut state.members);
            members.try_for_each(|(m, s)| m.detector.update(s, x))?;
        }
        Ok(outcome)
    }
}

impl AnomalyDetector for FusedDetector {
    fn contributions_into(&self, state: &FusionState, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        check_places(out, self.schema.len())?;
        let p = match self.member_p_values(state, x)? {
            Assessment::Ready(p) => p,
            other => return Ok(other.map(|_| ())),
        };
        let surprise = |p: f64| -libm::log(p.clamp(LEAST_P, 1.0));
        let total: f64 = p.iter().map(|p| surprise(*p)).sum();
        let score = score_of(self.rule, &p);
        out.fill(0.0);
        let mut own: SmallVec<[f64; 256]> = SmallVec::from_elem(0.0, out.len());
        for ((member, state), p) in self.members.iter().zip(&state.members).zip(&p) {
            // Where no member is surprised all count alike.
            let weight = if total > 0.0 {
                surprise(*p) / total
            } else {
                1.0 / self.members.len() as f64
            };
            member.detector.contributions_into(state, x, &mut own)?;
            let size: f64 = own.iter().map(|c| c.abs()).sum();
            for (o, c) in out.iter_mut().zip(&own) {
                let share = if size > 0.0 {
                    c.abs() / size
                } else {
                    1.0 / own.len() as f64
                };
                *o += score * weight * share;
            }
        }
        Ok(Assessment::Ready(()))
    }
}

/// What is written of a [`FusedDetector`].
#[derive(Serialize, Deserialize)]
pub struct FusionRecord {
    schema: FeatureSchema,
    members: Vec<MemberRecord>,
    rule: PValueRule,
    threshold: f64,
    n_rows: u64,
}

#[derive(Serialize, Deserialize)]
struct MemberRecord {
    detector: AnyDetectorRecord,
    calibration: ConformalPValues,
}

impl PersistentModel for FusedDetector {
    const KIND: &'static str = "detect.fusion";
    const KIND_VERSION: u32 = 1;
    type Persisted = FusionRecord;

    fn to_persisted(&self) -> FusionRecord {
        let member = |m: &Member| MemberRecord {
            detector: m.detector.to_record(),
            calibration: m.calibration.clone(),
        };
        FusionRecord {
            schema: self.schema.clone(),
            members: self.members.iter().map(member).collect(),
            rule: self.rule,
            threshold: self.threshold,
            n_rows: self.n_rows,
        }
    }

    fn from_persisted(p: FusionRecord) -> Result<Self> {
        check_numbers("threshold", &[p.threshold], 1, f64::is_finite)?;
        if !(1..=MOST_MEMBERS).contains(&p.members.len()) {
            return Err(Error::persistence(format!(
                "members: expected 1 to {MOST_MEMBERS}, got {}",
                p.members.len()
            )));
        }
        let schema = p.schema;
        let member = |m: MemberRecord| {
            let detector = AnyDetector::from_record(m.detector)?;
            if *detector.schema() != schema {
                return Err(Error::persistence(
                    "members: expected detectors of the fusion's schema, got another",
                ));
            }
            Ok(Member {
                detector,
                calibration: m.calibration,
            })
        };
        let members = p.members.into_iter().map(member).collect::<Result<_>>()?;
        let mut model = Self {
            schema,
            fingerprint: Fingerprint::of(&[]),
            members,
            rule: p.rule,
            threshold: p.threshold,
            n_rows: p.n_rows,
        };
        // Of what would be written: a file may say more than a model keeps.
        model.fingerprint = fingerprint_of(Self::KIND, &model.to_persisted())?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Seed;
    use crate::{
        ErrorKind,
        detect::{EwmaChart, MahalanobisDetector, PcaDetector},
        signal::Channel,
    };
    use ndarray::Array2;

    fn table(n: usize, n_assets: u32) -> DatasetBase<FeatureTable, ()> {
        let channels: Vec<_> = (0..3).map(|j| Channel::new(format!("c{j}"), "")).collect();
        let schema = FeatureSchema::of_channels(&channels).unwrap();
        let noise = |i: usize, j: usize| (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64;
        let values = Array2::from_shape_fn((n, 3), |(i, j)| noise(i, 9) + noise(i, j));
        let asset = (0..n).map(|i| i as u32 % n_assets).collect();
        DatasetBase::new(FeatureTable::new(schema, values, asset).unwrap(), ())
    }

    fn both() -> FusionParams {
        FusedDetector::params()
            .member(MahalanobisDetector::params())
            .member(EwmaChart::params())
    }

    #[test]
    fn rules_and_p_values_make_the_score() {
        let data = table(400, 8);
        for rule in PValueRule::ALL {
            let fused = both().rule(rule).fit(&data).unwrap();
            let state = fused.new_state();
            let x = FeatureView::new(fused.schema(), &[2.5, -0.5, 1.0]).unwrap();
            let p = fused.p_values(&state, x).unwrap().ready().unwrap();
            // Farther out than each of the 400 held-out rows by one member at least.
            assert!(p.iter().any(|p| (p - 1.0 / 401.0).abs() < 1e-12), "{p:?}");
            let score = fused.assess(&state, x).unwrap().ready().unwrap();
            assert!((score.value + rule.combine(&p).min(1.0).ln()).abs() < 1e-12);
            assert!(score.is_anomalous(), "{rule:?} {score:?}");
        }
    }

    #[test]
    fn the_threshold_holds_its_rate_whatever_the_rule() {
        let (train, fresh) = (table(600, 10), table(5000, 1));
        for rule in PValueRule::ALL {
            let fused = both().rule(rule).false_alarm_rate(0.05).fit(&train).unwrap();
            let mut state = fused.new_state();
            // Rows past those trained on.
            let outcomes = fresh
                .records()
                .views()
                .skip(600)
                .map(|x| fused.step(&mut state, x).unwrap().ready().unwrap());
            let rate = outcomes.filter(|s| s.is_anomalous()).count() as f64 / 4400.0;
            // 600 held-out rows know the rate to a standard error of 0.009; the averages' rows depend on each other.
            assert!(rate < 0.05 + 4.0 * 0.009, "{rule:?} {rate}");
        }
    }

    #[test]
    fn machines_without_a_usable_row_change_nothing() {
        let clean = table(200, 1);
        let schema = clean.records().schema().clone();
        // Every other row is one of a machine whose first sensor is broken.
        let row = |i: usize, j: usize| match i % 2 {
            0 => clean.records().rows().nth(i / 2).unwrap()[j],
            _ => [f64::NAN, 1.0, 2.0][j],
        };
        let asset = (0..400).map(|i| i % 2).collect();
        let holed = FeatureTable::new(schema, Array2::from_shape_fn((400, 3), |(i, j)| row(i, j)), asset).unwrap();
        let (one, two) = (
            both().fit(&clean).unwrap(),
            both().fit(&DatasetBase::new(holed, ())).unwrap(),
        );
        assert_eq!((one.n_rows(), one.fingerprint()), (two.n_rows(), two.fingerprint()));
    }

    #[test]
    fn states_with_a_member_less_are_refused() {
        let fused = both().fit(&table(200, 4)).unwrap();
        let mut state = fused.new_state();
        state.members.pop();
        let x = FeatureView::new(fused.schema(), &[0.0; 3]).unwrap();
        let e = fused.step(&mut state, x).unwrap_err();
        assert!(
            e.kind() == ErrorKind::StateMismatch && e.to_string().contains("2 members"),
            "{e}"
        );
    }

    #[test]
    fn wrong_parameters_are_named() {
        let e = FusedDetector::params().fit(&table(100, 5)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        let e = both()
            .member(PcaDetector::params().explained_variance(2.0))
            .fit(&table(100, 5))
            .unwrap_err();
        assert!(
            e.to_string().contains("member 2") && e.to_string().contains("explained_variance"),
            "{e}"
        );
        for n in [1, 5] {
            assert_eq!(
                both().fit(&table(n, 1)).unwrap_err().kind(),
                ErrorKind::InsufficientData
            );
        }
    }
}
