//! Fitting the chain.

use super::{
    Pipeline, PipelineParams,
    front::{ForRegressor, FrontEnd, Specs},
    one_sided::OneSided,
};
use crate::{
    diagnose::{HealthIndices, LabelledRow},
    drift::{InputReference, MachineRows},
    envelope::{Fingerprint, Provenance},
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, telemetry},
    model::AssetFolds,
    preprocess::RegimeNormalizer,
    quantity::{LifeUnit, Timestamp},
    rul::{
        AnyRulParams, AnyUncalibrated, LabelSettings, RulLabels,
        conformal::{BinnedIntervals, CalibrationRow},
    },
    signal::{AssetHistory, EndOfLife, FleetHistory},
};
use ndarray::Array2;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// How far a fit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub total: u32,
    /// What is done next.
    pub stage: &'static str,
}

/// What a fit needs of the fleet besides its assets.
#[derive(Clone, Copy)]
struct Job<'a> {
    params: &'a PipelineParams,
    input: &'a FeatureSchema,
    unit: LifeUnit,
}

impl PipelineParams {
    /// Fits every part on recorded machines.
    ///
    /// Intervals come from machines held out: for each fold, the whole chain (regimes, scaling, health indices, regressor)
    /// is fitted without them.
    ///
    /// # Errors
    /// `InvalidParameter` for settings out of range, or where more rows fall into a span than a window may hold;
    /// `InsufficientData` without an asset, with fewer assets of known end
    /// than folds, or too few rows for a part; `InvalidInput` where the fleet's channels are not the extractor's.
    pub fn fit(&self, fleet: &FleetHistory) -> Result<Pipeline> {
        self.fit_with(fleet, |_| {})
    }

    /// [`fit`](PipelineParams::fit), telling how far it is before each step and at the end.
    ///
    /// # Errors
    /// As [`fit`](PipelineParams::fit).
    pub fn fit_with(&self, fleet: &FleetHistory, mut progress: impl FnMut(Progress)) -> Result<Pipeline> {
        self.check()?;
        if fleet.assets().is_empty() {
            return Err(Error::insufficient("training fleet", "at least 1 asset", 0));
        }
        let input = self.input_schema(fleet)?;
        self.check_rows_fit_spans(fleet)?;
        for (channel, _) in &self.one_sided {
            if !input.features().iter().any(|f| f.channel == *channel) {
                return Err(Error::parameter(
                    "one_sided",
                    "a channel of the fleet",
                    format!("`{channel}`"),
                ));
            }
        }
        let job = Job {
            params: self,
            input: &input,
            unit: fleet.life_unit(),
        };
        let all: Vec<&AssetHistory> = fleet.assets().iter().collect();
        let labelled: Vec<&AssetHistory> = all.iter().copied().filter(|a| a.end() != EndOfLife::Unknown).collect();
        let held_out = match &self.rul {
            Some(rul) => rul.labels()?,
            None => None,
        };
        let n_folds = held_out.map_or(0, |settings| settings.n_folds);
        let total = n_folds as u32 + 2 + u32::from(self.rul.is_some());
        let mut done = 0;
        let mut tell = |stage| {
            progress(Progress { done, total, stage });
            done += 1;
        };
        let mut metrics = BTreeMap::new();
        let intervals = match (&self.rul, held_out) {
            (Some(rul), Some(settings)) => Some(job.intervals((rul, settings), &labelled, &mut metrics, &mut tell)?),
            _ => None,
        };
        tell("features");
        let front = job.front(&all)?;
        let rul = match (&self.rul, intervals) {
            (Some(rul), Some(intervals)) => {
                let (table, labels) = job.labelled_table(&front, &labelled)?;
                tell("remaining life");
                Some(rul.fit_point(&table, &labels, false)?.calibrated(intervals)?)
            }
            (Some(rul), None) => {
                let (table, labels) = job.whole_lives(&front, &all)?;
                tell("remaining life");
                Some(rul.fit(table, labels)?)
            }
            _ => None,
        };
        tell("detector");
        let healthy = job.healthy_table(&front, &all)?;
        let one_sided = OneSided::fit(&self.one_sided, &healthy)?;
        let detector = self.detector.fit(healthy)?;
        let seed = held_out.map(|settings| settings.seed.0);
        let mut rows = MachineRows::new(front.input().clone());
        for asset in fleet.assets() {
            rows.push(asset.rows().map(|(_, values)| values))?;
        }
        let inputs = Some(InputReference::fit(&rows)?);
        let provenance = Provenance {
            parameters: self.described(),
            seed,
            training_data_sha256: Some(training_data_sha256(fleet)),
            n_rows: fleet.n_rows() as u64,
            n_assets: all.len() as u64,
            metrics,
            date: None,
        };
        progress(Progress {
            done: total,
            total,
            stage: "done",
        });
        Pipeline {
            fingerprint: Fingerprint::of(&[]),
            life_unit: fleet.life_unit(),
            extractor: self.extractor.clone(),
            front,
            detector,
            rul,
            alarm: self.alarm,
            one_sided,
            inputs,
            prognose_every: self.prognose_every,
            provenance,
            cause_names: Vec::new(),
            cause_of_feature: Vec::new(),
        }
        .finished()
    }

    /// Refuses rows so dense that a window could not hold those of its span: the feature would be of another span.
    fn check_rows_fit_spans(&self, fleet: &FleetHistory) -> Result<()> {
        let indices = self.health_indices.as_ref().map(|(_, spec)| spec);
        for spec in [Some(&self.features), Some(&self.detector_features), indices]
            .into_iter()
            .flatten()
        {
            let (span, max_rows) = (spec.longest_window(), spec.row_bound());
            for asset in fleet.assets() {
                let (times, mut oldest, mut most) = (asset.times(), 0, 0);
                for (i, &now) in times.iter().enumerate() {
                    while fleet.life_unit().between(times[oldest], now) >= span && oldest < i {
                        oldest += 1;
                    }
                    most = most.max(i + 1 - oldest);
                }
                // One more is remembered, for the row a change is taken against.
                if span > 0.0 && most >= max_rows {
                    return Err(Error::parameter(
                        "telemetry max_rows",
                        format!(
                            "above {most}, the rows of asset `{}` within a span of {span} {}",
                            asset.asset(),
                            fleet.life_unit()
                        ),
                        max_rows,
                    ));
                }
            }
        }
        Ok(())
    }

    fn input_schema(&self, fleet: &FleetHistory) -> Result<FeatureSchema> {
        let Some(extractor) = &self.extractor else {
            return FeatureSchema::of_channels(fleet.channels());
        };
        let schema = crate::features::FeatureExtractor::schema(extractor);
        let wanted = schema.features().iter().map(|f| &f.name);
        if !wanted.clone().eq(fleet.channels().iter().map(|c| &c.name)) {
            let list = |names: Vec<&String>| names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::input(
                "channels of the training fleet",
                format!("the extractor's features {}", list(wanted.collect())),
                list(fleet.channels().iter().map(|c| &c.name).collect()),
            ));
        }
        Ok(schema.clone())
    }
}

impl Job<'_> {
    /// Intervals from assets held out of the whole chain.
    fn intervals(
        &self,
        (rul, settings): (&AnyRulParams, &LabelSettings),
        assets: &[&AssetHistory],
        metrics: &mut BTreeMap<String, f64>,
        tell: &mut impl FnMut(&'static str),
    ) -> Result<BinnedIntervals> {
        let folds = AssetFolds::new(assets.len(), settings.n_folds, settings.seed)
            .map_err(|e| e.context("assets of known end of life"))?;
        let stride = self.stride(assets);
        let mut rows = Vec::new();
        for fold in 0..folds.n_folds() {
            tell("intervals");
            let part = |held: bool| {
                let chosen = assets
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| folds.holds_out(fold, *i) == held);
                chosen.map(|(i, a)| (i, *a)).collect::<Vec<_>>()
            };
            let train: Vec<&AssetHistory> = part(false).into_iter().map(|(_, a)| a).collect();
            let front = self.front(&train)?;
            let (table, labels) = self.labelled_table(&front, &train)?;
            let model = rul.fit_point(&table, &labels, true)?;
            for (i, asset) in part(true) {
                self.held_out_rows(&front, &model, settings, (i as u32, asset), stride, &mut rows)?;
            }
        }
        let squared: f64 = rows
            .iter()
            .map(|r| (r.predicted - r.truth) * (r.predicted - r.truth))
            .sum();
        metrics.insert("out_of_fold_rmse".into(), (squared / rows.len().max(1) as f64).sqrt());
        BinnedIntervals::fit(settings.level, &rows)
    }

    fn held_out_rows(
        &self,
        front: &FrontEnd,
        model: &AnyUncalibrated,
        settings: &LabelSettings,
        (number, asset): (u32, &AssetHistory),
        stride: usize,
        rows: &mut Vec<CalibrationRow>,
    ) -> Result<()> {
        let rul = asset.rul(self.unit).unwrap_or_default();
        self.each_row(front, asset, |i, _, features, _| {
            if i % stride == 0 && settings.calibrates(rul[i]) {
                let predicted = model.point(features);
                rows.push(CalibrationRow {
                    asset: number,
                    predicted,
                    truth: settings.capped(rul[i]),
                });
            }
        })
    }

    /// Every how many rows one is taken.
    fn stride(&self, assets: &[&AssetHistory]) -> usize {
        let n_rows: usize = assets.iter().map(|a| a.n_rows()).sum();
        n_rows.div_ceil(self.params.training_rows).max(1)
    }

    fn front(&self, assets: &[&AssetHistory]) -> Result<FrontEnd> {
        let rows = assets.iter().flat_map(|a| a.rows().map(|(_, row)| row));
        let mut normalizer = RegimeNormalizer::fit(&self.params.regimes, self.input, rows)?;
        let needs_rows = self.params.min_label_correlation > 0.0 || self.params.health_indices.is_some();
        let mut indices = None;
        if needs_rows && self.params.rul.is_some() {
            let mut normal = self.normalized(&normalizer, assets)?;
            if self.params.min_label_correlation > 0.0 {
                let kept = self.correlated(&normal, normalizer.output().len())?;
                if kept.len() < normalizer.output().len() {
                    normalizer = normalizer.select(&kept)?;
                    normal.keep_columns(&kept);
                }
            }
            if let Some((params, _)) = &self.params.health_indices {
                let (schema, n_regimes) = (normalizer.output().clone(), normalizer.n_regimes());
                indices = Some(HealthIndices::fit(params, &schema, n_regimes, normal.labelled())?);
            }
        }
        let specs = Specs {
            sensors: self.params.features.clone(),
            indices: self
                .params
                .health_indices
                .as_ref()
                .map_or_else(telemetry, |(_, spec)| spec.clone()),
            detector: self.params.detector_features.clone(),
        };
        FrontEnd::new(normalizer, indices, specs)
    }

    fn normalized(&self, normalizer: &RegimeNormalizer, assets: &[&AssetHistory]) -> Result<NormalRows> {
        let n = normalizer.output().len();
        let n_rows: usize = assets.iter().map(|a| a.n_rows()).sum();
        let mut rows = NormalRows {
            n,
            values: Vec::with_capacity(n_rows * n),
            known: Vec::with_capacity(n_rows),
        };
        let mut z = vec![0.0; n];
        for asset in assets {
            let rul = asset.rul(self.unit);
            let mut starts_asset = true;
            for (i, (_, row)) in asset.rows().enumerate() {
                if let Ok(regime) = normalizer.normalize_into(row, &mut z)? {
                    rows.values.extend_from_slice(&z);
                    rows.known.push((regime, rul.as_ref().map(|r| r[i]), starts_asset));
                    starts_asset = false;
                }
            }
        }
        Ok(rows)
    }

    /// The sensors whose correlation with the capped remaining life is large enough.
    fn correlated(&self, rows: &NormalRows, n: usize) -> Result<Vec<usize>> {
        let Some(rul) = &self.params.rul else {
            return Ok((0..n).collect());
        };
        let settings = rul.labels()?;
        let capped = |life: f64| settings.map_or(life, |s| s.capped(life));
        let correlation = |c: usize| {
            let (mut count, mut sx, mut sy, mut sxx, mut syy, mut sxy) = (0.0f64, 0.0, 0.0, 0.0, 0.0, 0.0);
            for row in rows.labelled() {
                if let (Some(rul), x) = (row.rul, row.sensors[c])
                    && x.is_finite()
                {
                    let y = capped(rul);
                    count += 1.0;
                    sx += x;
                    sy += y;
                    sxx += x * x;
                    syy += y * y;
                    sxy += x * y;
                }
            }
            let (vx, vy) = (sxx - sx * sx / count, syy - sy * sy / count);
            (sxy - sx * sy / count) / (vx * vy).sqrt()
        };
        let least = self.params.min_label_correlation;
        let kept: Vec<usize> = (0..n).filter(|&c| correlation(c).abs() > least).collect();
        if kept.is_empty() {
            let what = "sensors whose correlation with remaining life is large enough";
            return Err(Error::insufficient(what, format!("at least one above {least}"), "none"));
        }
        Ok(kept)
    }

    /// Runs an asset through the front; unusable rows are passed over as they would be online.
    fn each_row(
        &self,
        front: &FrontEnd,
        asset: &AssetHistory,
        mut take: impl FnMut(usize, Timestamp, &[f64], Option<&Vec<f64>>),
    ) -> Result<()> {
        let (mut state, mut scratch) = (front.new_state(), front.new_scratch());
        let mut born = None; // by the first usable row, as online
        for (i, (time, row)) in asset.rows().enumerate() {
            let age = self.unit.between(born.unwrap_or(time), time);
            if front
                .step(&mut state, age, row, ForRegressor::Written, &mut scratch)?
                .is_ok()
            {
                born = born.or(Some(time));
                take(
                    i,
                    time,
                    &scratch.features,
                    front.is_settled(&state).then_some(&scratch.detector_features),
                );
            }
        }
        Ok(())
    }

    fn labelled_table(&self, front: &FrontEnd, assets: &[&AssetHistory]) -> Result<(FeatureTable, RulLabels)> {
        let stride = self.stride(assets);
        let n_rows: usize = assets.iter().map(|a| a.n_rows()).sum();
        let mut values = Vec::with_capacity((n_rows / stride + 1) * front.features.schema().len());
        let (mut number, mut rul, mut passed) = (Vec::new(), Vec::new(), 0usize);
        let mut n_used = 0;
        for asset in assets {
            let Some(lives) = asset.rul(self.unit) else { continue };
            let before = rul.len();
            self.each_row(front, asset, |i, _, features, _| {
                if passed % stride == 0 {
                    values.extend_from_slice(features);
                    number.push(n_used);
                    rul.push(lives[i]);
                }
                passed += 1;
            })?;
            n_used += u32::from(rul.len() > before);
        }
        let table = table_of(
            front.features.schema(),
            values,
            number,
            "rows with known remaining life",
        )?;
        Ok((table, RulLabels::new(rul, self.unit)?))
    }

    /// Every row with its instant, for a regressor that follows each machine; lives of unknown end are known to be longer than
    /// recorded.
    fn whole_lives(&self, front: &FrontEnd, assets: &[&AssetHistory]) -> Result<(FeatureTable, RulLabels)> {
        let (mut values, mut number, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let (mut lives, mut censored, mut n_used) = (Vec::new(), Vec::new(), 0);
        for asset in assets {
            let last = asset.times()[asset.n_rows() - 1];
            let known = asset.rul(self.unit);
            let before = lives.len();
            self.each_row(front, asset, |i, time, features, _| {
                values.extend_from_slice(features);
                number.push(n_used);
                times.push(time);
                lives.push(known.as_ref().map_or_else(|| self.unit.between(time, last), |k| k[i]));
                censored.push(known.is_none());
            })?;
            n_used += u32::from(lives.len() > before);
        }
        let table = table_of(front.features.schema(), values, number, "usable rows")?.at(times)?;
        Ok((table, RulLabels::censored(lives, censored, self.unit)?))
    }

    fn healthy_table(&self, front: &FrontEnd, assets: &[&AssetHistory]) -> Result<FeatureTable> {
        let (mut values, mut number, mut times, mut n_used) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for asset in assets {
            let n_healthy = ((asset.n_rows() as f64 * self.params.healthy_share).ceil() as usize).max(1);
            let before = number.len();
            self.each_row(front, asset, |i, time, _, features| {
                if let Some(features) = features
                    && i < n_healthy
                    && features.iter().all(|v| v.is_finite())
                {
                    values.extend_from_slice(features);
                    number.push(n_used);
                    times.push(time);
                }
            })?;
            n_used += u32::from(number.len() > before);
        }
        let span = front.detector_features.longest_span();
        let what = format!("healthy rows older than the detector's longest span of {span}");
        table_of(front.detector_features.schema(), values, number, &what)?.at(times)
    }
}

fn table_of(schema: &FeatureSchema, values: Vec<f64>, asset: Vec<u32>, what: &str) -> Result<FeatureTable> {
    if asset.is_empty() {
        return Err(Error::insufficient(what, "at least 1", 0));
    }
    let values = Array2::from_shape_vec((asset.len(), schema.len()), values)
        .map_err(|e| Error::input(what, "a full table", e))?;
    FeatureTable::new(schema.clone(), values, asset)
}

/// Normalised rows with what is known of each: regime, remaining life, whether it starts an asset.
struct NormalRows {
    n: usize,
    values: Vec<f64>,
    known: Vec<(usize, Option<f64>, bool)>,
}

impl NormalRows {
    fn labelled(&self) -> impl Iterator<Item = LabelledRow<'_>> + Clone {
        self.values
            .chunks_exact(self.n)
            .zip(&self.known)
            .map(|(sensors, &(regime, rul, starts_asset))| LabelledRow {
                sensors,
                regime,
                rul,
                starts_asset,
            })
    }

    fn keep_columns(&mut self, kept: &[usize]) {
        self.values = self
            .values
            .chunks_exact(self.n)
            .flat_map(|row| kept.iter().map(|&c| row[c]))
            .collect();
        self.n = kept.len();
    }
}

/// SHA-256 over channel names, asset names, instants, bits of the readings and ends of life.
fn training_data_sha256(fleet: &FleetHistory) -> String {
    let mut hash = Sha256::new();
    let mut bytes = Vec::new();
    for c in fleet.channels() {
        hash.update(format!("{}\0{}\0", c.name, c.unit));
    }
    for asset in fleet.assets() {
        hash.update(format!("{}\0{:?}\0{}\0", asset.asset(), asset.end(), asset.n_rows()));
        bytes.clear();
        for (time, row) in asset.rows() {
            bytes.extend_from_slice(&time.nanos().to_le_bytes());
            row.iter()
                .for_each(|v| bytes.extend_from_slice(&v.to_bits().to_le_bytes()));
        }
        hash.update(&bytes);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl Pipeline {
    /// Derives what follows from the parts; the last step of fitting and of loading.
    pub(super) fn finished(mut self) -> Result<Self> {
        let features = self.front.detector_features.schema().features();
        let mut names: Vec<Arc<str>> = Vec::new();
        self.cause_of_feature = features
            .iter()
            .map(|f| {
                names.iter().position(|n| **n == *f.channel).unwrap_or_else(|| {
                    names.push(f.channel.as_str().into());
                    names.len() - 1
                })
            })
            .collect();
        self.cause_names = names;
        use crate::model::PersistentModel;
        self.fingerprint = crate::model::fingerprint_of(Self::KIND, &self.to_persisted())?;
        Ok(self)
    }
}
