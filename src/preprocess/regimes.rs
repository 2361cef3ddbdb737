//! Operating regimes: sensors made comparable between the conditions a machine works under.

use super::{GramAccumulator, Standardizer, StandardizerRecord};
use crate::{
    error::{Error, Result},
    features::{Feature, FeatureSchema},
    model::UnusableReason,
    quantity::Seed,
};
use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_clustering::KMeans;
use ndarray::{Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

/// How operating regimes are found.
///
/// With regimes, [`RegimeNormalizer`] clusters the rows on the *setting* columns by k-means (settings standardised, ten
/// seeded starts, at most 2,048 rows evenly taken), then within each regime regresses every other column on the settings'
/// small deviation from the regime's centre and standardises what is left. Without settings all rows are one regime and
/// only the standardisation remains.
///
/// ```
/// use prognos::preprocess::Regimes;
/// let fixed = Regimes::kmeans(6).on(["setting_1", "setting_2", "setting_3"]);
/// let found = Regimes::automatic(10).on(["load", "speed"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regimes {
    choice: Choice,
    settings: Vec<String>,
    seed: Seed,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Single,
    KMeans(usize),
    Automatic(usize),
}

/// The most regimes that may be asked for.
const MAX_REGIMES: usize = 64;
/// Rows the clusters are fitted on.
const CLUSTER_ROWS: usize = 2_048;
/// Starts of k-means; the best is kept.
const STARTS: usize = 10;
/// `automatic` takes the smallest count that leaves at most this share of the settings' variance within regimes.
const WITHIN_SHARE: f64 = 0.005;
/// Settings further off, in standard deviations, belong to no regime.
const LARGEST_SETTING: f64 = 1e6;
/// Normalised readings are held within this: a sensor a thousand standard deviations off has failed or its machine has,
/// and further off says no more than that, but would outlast its cause in every mean it enters.
const LARGEST_READING: f64 = 1e3;

impl Regimes {
    /// One regime for all rows; every column is a sensor.
    pub fn single() -> Self {
        Self {
            choice: Choice::Single,
            settings: Vec::new(),
            seed: Seed(0),
        }
    }

    /// Exactly `n` regimes.
    pub fn kmeans(n: usize) -> Self {
        Self {
            choice: Choice::KMeans(n),
            ..Self::single()
        }
    }

    /// As many regimes as the settings show, up to `n_max`: the smallest count that leaves at most 0.5% of the settings'
    /// variance within regimes, and one where none does (the settings then vary without forming groups).
    pub fn automatic(n_max: usize) -> Self {
        Self {
            choice: Choice::Automatic(n_max),
            ..Self::single()
        }
    }

    /// The setting columns. They are left out of the normalised rows.
    #[must_use]
    pub fn on(mut self, settings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings = settings.into_iter().map(Into::into).collect();
        self
    }

    /// The seed of the starts.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    fn setting_columns(&self, schema: &FeatureSchema) -> Result<Vec<usize>> {
        let n = match self.choice {
            Choice::Single => return Ok(Vec::new()),
            Choice::KMeans(n) | Choice::Automatic(n) => n,
        };
        if !(1..=MAX_REGIMES).contains(&n) {
            return Err(Error::parameter("regimes", format!("1..={MAX_REGIMES}"), n));
        }
        if self.settings.is_empty() {
            return Err(Error::parameter("regimes.on", "at least one setting column", "none"));
        }
        let find = |name: &String| {
            schema.position(name).ok_or_else(|| {
                let have: Vec<_> = schema.features().iter().map(|f| f.name.as_str()).collect();
                Error::parameter(
                    "regimes.on",
                    format!("names among {}", have.join(", ")),
                    format!("`{name}`"),
                )
            })
        };
        let columns = self.settings.iter().map(find).collect::<Result<Vec<_>>>()?;
        match columns.iter().enumerate().find(|(i, c)| columns[..*i].contains(c)) {
            Some((i, _)) => Err(Error::parameter(
                "regimes.on",
                "each name once",
                format!("`{}` twice", self.settings[i]),
            )),
            None => Ok(columns),
        }
    }

    /// Standardised cluster centres, sorted so that numbering does not depend on the start.
    fn centroids(&self, settings: &ArrayView2<f64>) -> Result<Array2<f64>> {
        let n_settings = settings.ncols();
        let stride = settings.nrows().div_ceil(CLUSTER_ROWS).max(1);
        let taken: Vec<usize> = (0..settings.nrows()).step_by(stride).collect();
        let rows = settings.select(Axis(0), &taken);
        let n_distinct = count_distinct(&rows, MAX_REGIMES);
        let n_least = 2 * (n_settings + 2);
        let total: f64 = rows.iter().map(|v| v * v).sum();
        let single = || Array2::zeros((1, n_settings));
        let fitted = |k: usize| -> Result<(Array2<f64>, f64, usize)> {
            // linfa draws its starts by weighted distance and cannot place more of them than there are points.
            if k > n_distinct {
                return Err(Error::insufficient(
                    &format!("{k} operating regimes"),
                    format!("{k} distinct settings"),
                    n_distinct,
                ));
            }
            let rng = Xoshiro256Plus::seed_from_u64(self.seed.0);
            let data = DatasetBase::from(rows.clone());
            let model = KMeans::params_with_rng(k, rng)
                .n_runs(STARTS)
                .max_n_iterations(100)
                .tolerance(1e-6)
                .fit(&data)
                .map_err(|e| Error::not_converged(format!("k-means of {k} regimes: {e}")).with_source(e))?;
            // The reported counts may belong to another start than the centroids: count anew.
            let labels = model.predict(&rows);
            let mut counts = vec![0usize; k];
            let mut within = 0.0;
            for (row, &label) in rows.rows().into_iter().zip(&labels) {
                counts[label] += 1;
                within += row
                    .iter()
                    .zip(model.centroids().row(label))
                    .map(|(a, b)| (a - b) * (a - b))
                    .sum::<f64>();
            }
            Ok((model.centroids().clone(), within, counts.into_iter().min().unwrap_or(0)))
        };
        let centroids = match self.choice {
            Choice::Single => single(),
            Choice::KMeans(k) => {
                let (centroids, _, smallest) = fitted(k)?;
                if smallest * stride < n_least {
                    return Err(Error::insufficient(
                        &format!("{k} operating regimes"),
                        format!("about {n_least} rows in each"),
                        format!("{} in the smallest", smallest * stride),
                    ));
                }
                centroids
            }
            Choice::Automatic(n_max) => {
                let mut found = single();
                let most = n_max.min(n_distinct);
                // What the most regimes leave within them, fewer leave too: where that is too much there are none.
                let grouped = most >= 2 && fitted(most)?.1 <= WITHIN_SHARE * total;
                for k in 2..=if grouped { most } else { 1 } {
                    let (centroids, within, smallest) = fitted(k)?;
                    if within <= WITHIN_SHARE * total {
                        if smallest * stride >= n_least {
                            found = centroids;
                        }
                        break;
                    }
                }
                found
            }
        };
        let mut order: Vec<usize> = (0..centroids.nrows()).collect();
        order.sort_by(|&a, &b| {
            let pairs = centroids
                .row(a)
                .into_iter()
                .zip(centroids.row(b))
                .map(|(x, y)| x.total_cmp(y));
            pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        Ok(Array2::from_shape_fn(centroids.raw_dim(), |(i, j)| {
            centroids[[order[i], j]]
        }))
    }
}

fn count_distinct(rows: &Array2<f64>, enough: usize) -> usize {
    let mut distinct: Vec<Vec<u64>> = Vec::new();
    for row in rows.rows() {
        let bits: Vec<u64> = row.iter().map(|v| v.to_bits()).collect();
        if !distinct.contains(&bits) {
            distinct.push(bits);
            if distinct.len() >= enough {
                break;
            }
        }
    }
    distinct.len()
}

/// Rows freed of the operating regime: every sensor column as its deviation from what its regime and settings explain, in
/// standard deviations of the training rows.
///
/// For regime `r` (the nearest centre), settings `s` and sensor `x`:
/// `z = (x - a_r - b_r . (s - c_r)) / sd_r`. Settings and columns that are constant in every regime are left out of the
/// normalised row. A sensor that does not vary in one regime is measured there by its spread in the others. A missing
/// or infinite reading becomes NaN; `z` is held within a thousand standard deviations. A setting that is missing,
/// or as far out, makes the row unusable. Cost `O(n_regimes n_settings + n_sensors n_settings)` a row, no allocation up
/// to 64 settings.
#[derive(Clone, Debug, PartialEq)]
pub struct RegimeNormalizer {
    input: FeatureSchema,
    output: FeatureSchema,
    setting_columns: Vec<usize>,
    sensor_columns: Vec<usize>,
    settings: Standardizer,
    /// `(n_regimes, n_settings)`, standardised.
    centroids: Vec<f64>,
    /// Per regime and sensor: intercept, inverse standard deviation, one slope a setting.
    lines: Vec<f64>,
}

/// A [`RegimeNormalizer`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegimeNormalizerRecord {
    input: FeatureSchema,
    setting_columns: Vec<usize>,
    sensor_columns: Vec<usize>,
    settings: StandardizerRecord,
    centroids: Vec<f64>,
    lines: Vec<f64>,
}

impl RegimeNormalizer {
    /// Fits on `rows` of `schema`; non-finite readings are left out column by column.
    ///
    /// # Errors
    /// `InvalidParameter` for unknown or repeated settings or a count outside 1..=64; `InsufficientData` without usable
    /// rows, with fewer distinct settings than regimes, or where every sensor is constant.
    pub fn fit<'a, I>(regimes: &Regimes, schema: &FeatureSchema, rows: I) -> Result<Self>
    where
        I: Iterator<Item = &'a [f64]> + Clone,
    {
        let setting_columns = regimes.setting_columns(schema)?;
        let sensor_columns: Vec<usize> = (0..schema.len()).filter(|c| !setting_columns.contains(c)).collect();
        let n_settings = setting_columns.len();
        let usable = || {
            rows.clone()
                .filter(|r| setting_columns.iter().all(|&c| r.get(c).is_some_and(|v| v.is_finite())))
        };
        let flat: Vec<f64> = usable().flat_map(|r| setting_columns.iter().map(|&c| r[c])).collect();
        let n_rows = usable().count();
        if n_rows == 0 {
            return Err(Error::insufficient(
                "operating regimes",
                "at least 1 row with all settings",
                0,
            ));
        }
        let settings = Standardizer::fit(
            n_settings,
            (0..n_rows).map(|i| &flat[i * n_settings..(i + 1) * n_settings]),
        )?;
        let mut standard = vec![0.0; flat.len()];
        for i in 0..n_rows {
            let part = i * n_settings..(i + 1) * n_settings;
            settings.transform_into(&flat[part.clone()], &mut standard[part]);
        }
        let standard = ArrayView2::from_shape((n_rows, n_settings), &standard)
            .map_err(|e| Error::input("settings", "a table", e))?;
        let centroids = regimes.centroids(&standard)?;
        let mut normalizer = Self {
            input: schema.clone(),
            output: schema.clone(),
            setting_columns: setting_columns.clone(),
            sensor_columns,
            settings,
            centroids: centroids.iter().copied().collect(),
            lines: Vec::new(),
        };
        normalizer.fit_lines(usable())?;
        normalizer.with_output()
    }

    fn fit_lines<'a>(&mut self, rows: impl Iterator<Item = &'a [f64]> + Clone) -> Result<()> {
        let (n_settings, n_regimes) = (self.setting_columns.len(), self.n_regimes());
        let mut gap = vec![0.0; n_settings];
        let mut members: Vec<Vec<(&[f64], usize)>> = vec![Vec::new(); n_regimes];
        let mut gaps: Vec<Vec<f64>> = vec![Vec::new(); n_regimes];
        for row in rows {
            if let Some(r) = self.regime_into(row, &mut gap) {
                members[r].push((row, gaps[r].len()));
                gaps[r].extend_from_slice(&gap);
            }
        }
        let width = 2 + n_settings;
        let mut lines = vec![0.0; n_regimes * self.sensor_columns.len() * width];
        let mut place = lines.chunks_exact_mut(width);
        for r in 0..n_regimes {
            // The settings' noise within a regime may be far below one standard deviation of all settings: rescale it.
            let noise = Standardizer::fit(
                n_settings,
                members[r].iter().map(|&(_, at)| &gaps[r][at..at + n_settings]),
            );
            let noise = noise.map_err(|e| e.context(format!("operating regime {r}")))?;
            for &c in &self.sensor_columns {
                let finite = members[r].iter().filter(|(row, _)| row[c].is_finite());
                let offset = finite.clone().map(|(row, _)| row[c]).next().unwrap_or(0.0);
                let mut gram = GramAccumulator::new(n_settings, 1);
                let mut x = vec![0.0; n_settings];
                for (row, at) in finite.clone() {
                    for ((x, g), s) in x.iter_mut().zip(&gaps[r][*at..]).zip(noise.inverse_sd()) {
                        *x = g * s;
                    }
                    gram.add(&x, &[row[c] - offset]);
                }
                let Some(line) = place.next() else { break };
                if gram.n_rows() < 2 {
                    continue; // scale 0: constant here
                }
                if n_settings > 0 && gram.n_rows() > 2 * (n_settings + 1) {
                    let solution = gram.solve(1e-6 * gram.n_rows() as f64)?;
                    line[0] = solution.intercepts[0] + offset;
                    for (slope, (b, s)) in line[2..]
                        .iter_mut()
                        .zip(solution.coefficients.row(0).iter().zip(noise.inverse_sd()))
                    {
                        *slope = b * s;
                    }
                } else {
                    line[0] = finite.clone().map(|(row, _)| row[c]).sum::<f64>() / gram.n_rows() as f64;
                }
                let residual = |row: &[f64], at: usize| {
                    let explained: f64 = line[2..].iter().zip(&gaps[r][at..]).map(|(b, g)| b * g).sum();
                    row[c] - line[0] - explained
                };
                let residuals: Vec<f64> = finite.clone().map(|(row, at)| residual(row, *at)).collect();
                let largest = finite.map(|(row, _)| row[c].abs()).fold(0.0, f64::max);
                let n = residuals.len() as f64;
                let sd = (residuals.iter().map(|e| e * e).sum::<f64>() / n).sqrt();
                line[1] = if sd.is_finite() && sd > 1e-9 * largest {
                    1.0 / sd
                } else {
                    0.0
                };
                if !line.iter().all(|v| v.is_finite()) {
                    line.fill(0.0); // readings whose sum overflows tell nothing
                }
            }
        }
        self.lines = lines;
        Ok(())
    }

    /// Leaves out the sensors that are constant in every regime.
    fn with_output(mut self) -> Result<Self> {
        let (n_sensors, width) = (self.sensor_columns.len(), self.setting_columns.len() + 2);
        let varies = |s: &usize| (0..self.n_regimes()).any(|r| self.lines[(r * n_sensors + s) * width + 1] > 0.0);
        let kept: Vec<usize> = (0..n_sensors).filter(varies).collect();
        // A sensor that does not vary in one regime is measured there by how it varies in the others.
        for s in &kept {
            let at = |r: usize| (r * n_sensors + s) * width;
            let scales = (0..self.n_regimes())
                .map(|r| self.lines[at(r) + 1])
                .filter(|scale| *scale > 0.0);
            let (sum, n) = scales.fold((0.0, 0.0), |(sum, n), scale| (sum + 1.0 / (scale * scale), n + 1.0));
            let pooled = (n / sum).sqrt();
            for r in 0..self.n_regimes() {
                let line = &mut self.lines[at(r)..at(r) + width];
                if line[1] == 0.0 && line[0] != 0.0 && pooled.is_finite() {
                    line[1] = pooled;
                }
            }
        }
        if kept.is_empty() {
            return Err(Error::insufficient(
                "sensors",
                "at least one that varies in the training rows",
                "none",
            ));
        }
        if kept.len() < n_sensors {
            let mut lines = Vec::with_capacity(self.n_regimes() * kept.len() * width);
            for r in 0..self.n_regimes() {
                for s in &kept {
                    lines.extend_from_slice(&self.lines[(r * n_sensors + s) * width..][..width]);
                }
            }
            self.lines = lines;
            self.sensor_columns = kept.iter().map(|&s| self.sensor_columns[s]).collect();
        }
        self.output = Self::output_schema(&self.input, &self.sensor_columns)?;
        Ok(self)
    }

    fn output_schema(input: &FeatureSchema, sensors: &[usize]) -> Result<FeatureSchema> {
        let standard = |&c: &usize| {
            input.features().get(c).map(|f| Feature {
                unit: "SD".into(),
                ..f.clone()
            })
        };
        let features: Option<Vec<_>> = sensors.iter().map(standard).collect();
        FeatureSchema::new(features.unwrap_or_default(), input.sampling())
    }

    /// The rows taken.
    pub fn input(&self) -> &FeatureSchema {
        &self.input
    }

    /// The rows given: the sensors that vary, in standard deviations.
    pub fn output(&self) -> &FeatureSchema {
        &self.output
    }

    /// Number of regimes found.
    pub fn n_regimes(&self) -> usize {
        match self.setting_columns.len() {
            0 => 1,
            n => self.centroids.len() / n,
        }
    }

    /// The same normaliser that gives only the sensors at `kept` of [`output`](RegimeNormalizer::output), in that order.
    ///
    /// # Errors
    /// `InvalidInput` for an index out of range, repeated, or none.
    pub fn select(&self, kept: &[usize]) -> Result<Self> {
        let output = self.output.select(kept)?;
        let (n_sensors, width) = (self.sensor_columns.len(), self.setting_columns.len() + 2);
        let lines = (0..self.n_regimes())
            .flat_map(|r| {
                kept.iter()
                    .flat_map(move |s| (r * n_sensors + s) * width..(r * n_sensors + s + 1) * width)
            })
            .filter_map(|i| self.lines.get(i).copied())
            .collect();
        let sensor_columns = kept
            .iter()
            .filter_map(|&s| self.sensor_columns.get(s).copied())
            .collect();
        Ok(Self {
            output,
            lines,
            sensor_columns,
            ..self.clone()
        })
    }

    /// Regime of a row, its settings' standardised gap from the centre in `gap`; `None` where a setting is missing or out of
    /// all bounds.
    fn regime_into(&self, row: &[f64], gap: &mut [f64]) -> Option<usize> {
        let n = self.setting_columns.len();
        if n == 0 {
            return Some(0);
        }
        for (g, &c) in gap.iter_mut().zip(&self.setting_columns) {
            let value = *row.get(c)?;
            if !value.is_finite() {
                return None;
            }
            *g = value;
        }
        // Standardise in place: `transform_into` wants two slices.
        self.settings.transform_in_place(gap);
        if !gap.iter().all(|g| g.abs() <= LARGEST_SETTING) {
            return None;
        }
        let distance = |c: &[f64]| c.iter().zip(&*gap).map(|(c, g)| (g - c) * (g - c)).sum::<f64>();
        let mut best = (0, f64::INFINITY);
        for (r, c) in self.centroids.chunks_exact(n).enumerate() {
            let d = distance(c);
            if d < best.1 {
                best = (r, d);
            }
        }
        for (g, c) in gap.iter_mut().zip(&self.centroids[best.0 * n..]) {
            *g -= c;
        }
        Some(best.0)
    }

    /// Writes the normalised sensors of `row` into `out` and gives the regime, or why the row is unusable (`out` is then
    /// unspecified): a setting is missing or out of all bounds (counted among the settings), or more than half of the sensors the
    /// normaliser uses are (counted among those).
    ///
    /// # Errors
    /// `SchemaMismatch` where `row` or `out` has another length than the schemas.
    pub fn normalize_into(&self, row: &[f64], out: &mut [f64]) -> Result<std::result::Result<usize, UnusableReason>> {
        if row.len() != self.input.len() || out.len() != self.output.len() {
            return Err(Error::schema(
                "row to normalise",
                format!("{} values into {}", self.input.len(), self.output.len()),
                format!("{} into {}", row.len(), out.len()),
            ));
        }
        let n = self.setting_columns.len();
        let mut gap = smallvec::SmallVec::<[f64; 64]>::from_elem(0.0, n);
        let missing = |n_missing: usize, n_values: usize, first: usize| UnusableReason::MissingValues {
            n_missing: n_missing as u32,
            n_values: n_values as u32,
            first: first as u32,
        };
        let Some(regime) = self.regime_into(row, &mut gap) else {
            let sound = |i: usize, x: f64| x.is_finite() && self.settings.standard(i, x).abs() <= LARGEST_SETTING;
            let columns = self.setting_columns.iter().enumerate();
            let mut absent = columns.filter(|(i, c)| !sound(*i, row[**c])).map(|(_, c)| *c);
            let first = absent.next().unwrap_or(0);
            return Ok(Err(missing(1 + absent.count(), n, first)));
        };
        let width = n + 2;
        let lines = self.lines[regime * self.sensor_columns.len() * width..].chunks_exact(width);
        let (mut n_missing, mut first) = (0, 0);
        for ((o, &c), line) in out.iter_mut().zip(&self.sensor_columns).zip(lines) {
            let explained: f64 = line[2..].iter().zip(&gap).map(|(b, g)| b * g).sum();
            let z = ((row[c] - line[0] - explained) * line[1]).clamp(-LARGEST_READING, LARGEST_READING);
            let sound = row[c].is_finite() && !z.is_nan();
            *o = if sound { z } else { f64::NAN };
            if !sound {
                first = if n_missing == 0 { c } else { first };
                n_missing += 1;
            }
        }
        Ok(if 2 * n_missing > out.len() {
            Err(missing(n_missing, out.len(), first))
        } else {
            Ok(regime)
        })
    }

    /// As it is written to files.
    pub fn to_record(&self) -> RegimeNormalizerRecord {
        RegimeNormalizerRecord {
            input: self.input.clone(),
            setting_columns: self.setting_columns.clone(),
            sensor_columns: self.sensor_columns.clone(),
            settings: self.settings.to_record(),
            centroids: self.centroids.clone(),
            lines: self.lines.clone(),
        }
    }

    /// Reads back a record.
    ///
    /// # Errors
    /// `Persistence` where a length, index or number is not as [`fit`](RegimeNormalizer::fit) leaves it.
    pub fn from_record(r: RegimeNormalizerRecord) -> Result<Self> {
        let broken = |what: &str| Error::persistence(format!("regime normaliser: {what}"));
        let settings = Standardizer::from_record(r.settings)?;
        let (n_in, n_settings, n_sensors) = (r.input.len(), r.setting_columns.len(), r.sensor_columns.len());
        let mut used = vec![false; n_in];
        for &c in r.setting_columns.iter().chain(&r.sensor_columns) {
            match used.get_mut(c) {
                Some(u) if !*u => *u = true,
                _ => return Err(broken(&format!("expected each column once and below {n_in}, got {c}"))),
            }
        }
        let n_regimes = r.centroids.len().checked_div(n_settings).unwrap_or(1);
        if settings.n_columns() != n_settings
            || n_regimes == 0
            || n_regimes > MAX_REGIMES
            || r.centroids.len() != n_settings * n_regimes
            || n_sensors == 0
            || r.lines.len() != n_regimes * n_sensors * (n_settings + 2)
        {
            return Err(broken("expected lists whose lengths agree"));
        }
        if !r.centroids.iter().chain(&r.lines).all(|v| v.is_finite()) {
            return Err(broken("expected finite centres and lines"));
        }
        let output = Self::output_schema(&r.input, &r.sensor_columns).map_err(|e| broken(&e.to_string()))?;
        Ok(Self {
            input: r.input,
            output,
            setting_columns: r.setting_columns,
            sensor_columns: r.sensor_columns,
            settings,
            centroids: r.centroids,
            lines: r.lines,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, signal::Channel};

    fn schema() -> FeatureSchema {
        let names = ["load", "speed", "a", "b", "dead"];
        FeatureSchema::of_channels(&names.map(|n| Channel::new(n, ""))).unwrap()
    }

    /// Three regimes; sensor a = level + 5 x settings noise + residual; b differs in scale by regime.
    fn rows() -> Vec<[f64; 5]> {
        let noise = |i: usize, k: usize| ((i * k) % 101) as f64 / 50.0 - 1.0;
        let row = |i: usize| {
            let r = (i * 7 % 3) as f64;
            let ds = 0.01 * noise(i, 37);
            [
                10.0 * r + ds,
                1.0 - r,
                100.0 * r + 5.0 * ds + 0.5 * noise(i, 53),
                (1.0 + r) * noise(i, 71),
                4.0,
            ]
        };
        (0..3000).map(row).collect()
    }

    fn iter(rows: &[[f64; 5]]) -> impl Iterator<Item = &[f64]> + Clone {
        rows.iter().map(|r| &r[..])
    }

    #[test]
    fn regimes_are_found_and_explained_away() {
        let rows = rows();
        for choice in [Regimes::kmeans(3), Regimes::automatic(8)] {
            let n = RegimeNormalizer::fit(&choice.on(["load", "speed"]), &schema(), iter(&rows)).unwrap();
            assert_eq!(n.n_regimes(), 3);
            let names: Vec<_> = n.output().features().iter().map(|f| f.name.as_str()).collect();
            assert_eq!(names, ["a", "b"], "settings and the constant column are left out");
            let mut z = [[0.0; 2]; 3000];
            for (row, z) in rows.iter().zip(&mut z) {
                n.normalize_into(row, z).unwrap().unwrap();
            }
            for c in 0..2 {
                let mean = z.iter().map(|z| z[c]).sum::<f64>() / 3000.0;
                let sd = (z.iter().map(|z| z[c] * z[c]).sum::<f64>() / 3000.0).sqrt();
                assert!(mean.abs() < 1e-6 && (sd - 1.0).abs() < 1e-3, "{mean} {sd}");
                // Nothing of the settings' noise is left.
                let r = (0..3000)
                    .map(|i| z[i][c] * (((i * 37) % 101) as f64 / 50.0 - 1.0))
                    .sum::<f64>()
                    / 3000.0;
                assert!(r.abs() < 0.05, "{r}");
            }
            let back = RegimeNormalizer::from_record(n.to_record()).unwrap();
            assert_eq!(back, n);
        }
    }

    #[test]
    fn settings_that_form_no_groups_are_one_regime() {
        let rows: Vec<[f64; 5]> = (0..2000)
            .map(|i| {
                let u = ((i * 7919) % 2003) as f64 / 2003.0;
                [u, ((i * 104_729) % 1999) as f64 / 1999.0, u, 1.0 - u * u, 0.0]
            })
            .collect();
        let n = RegimeNormalizer::fit(&Regimes::automatic(8).on(["load", "speed"]), &schema(), iter(&rows)).unwrap();
        assert_eq!(n.n_regimes(), 1);
        let constant = rows.iter().map(|r| [1.0, 2.0, r[2], r[3], r[4]]).collect::<Vec<_>>();
        let n =
            RegimeNormalizer::fit(&Regimes::automatic(8).on(["load", "speed"]), &schema(), iter(&constant)).unwrap();
        assert_eq!(n.n_regimes(), 1);
    }

    #[test]
    fn bad_configurations_are_named() {
        let rows = rows();
        let fit = |r: Regimes| RegimeNormalizer::fit(&r, &schema(), iter(&rows)).unwrap_err();
        assert!(fit(Regimes::kmeans(3).on(["lod"])).to_string().contains("`lod`"));
        assert!(fit(Regimes::kmeans(3)).to_string().contains("at least one setting"));
        assert!(fit(Regimes::kmeans(0).on(["load"])).to_string().contains("1..=64"));
        assert!(
            fit(Regimes::kmeans(2).on(["load", "load"]))
                .to_string()
                .contains("twice")
        );
        let few = [[1.0; 5], [2.0; 5]];
        let e = RegimeNormalizer::fit(&Regimes::kmeans(3).on(["load"]), &schema(), iter(&few)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
        let e = RegimeNormalizer::fit(&Regimes::single(), &schema(), iter(&[[1.0; 5]; 9])).unwrap_err();
        assert!(e.to_string().contains("varies"), "{e}");
        let nan = [[f64::NAN; 5]; 9];
        assert!(RegimeNormalizer::fit(&Regimes::kmeans(2).on(["load"]), &schema(), iter(&nan)).is_err());
    }

    #[test]
    fn bad_readings_are_outcomes() {
        let rows = rows();
        let n = RegimeNormalizer::fit(&Regimes::kmeans(3).on(["load", "speed"]), &schema(), iter(&rows)).unwrap();
        let mut z = [0.0; 2];
        let mut one = rows[0];
        one[2] = 1e300;
        assert!(n.normalize_into(&one, &mut z).unwrap().is_ok() && z[0] == LARGEST_READING && z[1].is_finite());
        one[2] = f64::NAN;
        one[3] = f64::INFINITY;
        let reason = n.normalize_into(&one, &mut z).unwrap().unwrap_err();
        assert_eq!(
            reason,
            UnusableReason::MissingValues {
                n_missing: 2,
                n_values: 2,
                first: 2
            }
        );
        let mut lost = rows[0];
        lost[1] = f64::NAN;
        let reason = n.normalize_into(&lost, &mut z).unwrap().unwrap_err();
        assert_eq!(
            reason,
            UnusableReason::MissingValues {
                n_missing: 1,
                n_values: 2,
                first: 1
            }
        );
        // A setting as far out is none: the nearest of such distances is no regime.
        for wild in [1e9, f64::MAX, f64::MIN] {
            lost[1] = wild;
            assert_eq!(n.normalize_into(&lost, &mut z).unwrap().unwrap_err(), reason);
        }
        assert_eq!(
            n.normalize_into(&lost[..4], &mut z).unwrap_err().kind(),
            ErrorKind::SchemaMismatch
        );
    }

    #[test]
    fn a_sensor_quiet_in_one_regime_is_not_deaf_there() {
        let mut rows = rows();
        for row in rows.iter_mut().filter(|r| r[0] < 5.0) {
            row[3] = 7.0; // does not vary in the first regime
        }
        let n = RegimeNormalizer::fit(&Regimes::kmeans(3).on(["load", "speed"]), &schema(), iter(&rows)).unwrap();
        let mut row = *rows.iter().find(|r| r[0] < 5.0).unwrap();
        let mut z = [0.0; 2];
        n.normalize_into(&row, &mut z).unwrap().unwrap();
        assert!(z[1].abs() < 1e-6, "{z:?}");
        row[3] = 70.0;
        n.normalize_into(&row, &mut z).unwrap().unwrap();
        assert!(z[1] > 10.0, "{z:?}");
    }

    #[test]
    fn broken_records_are_refused() {
        let rows = rows();
        let n = RegimeNormalizer::fit(&Regimes::kmeans(3).on(["load", "speed"]), &schema(), iter(&rows)).unwrap();
        let broken: [fn(&mut RegimeNormalizerRecord); 6] = [
            |r| r.setting_columns[0] = 99,
            |r| r.sensor_columns[0] = r.setting_columns[0],
            |r| r.lines.truncate(1),
            |r| r.lines[0] = f64::NAN,
            |r| r.centroids.clear(),
            |r| r.sensor_columns.clear(),
        ];
        for (i, breaks) in broken.iter().enumerate() {
            let mut r = n.to_record();
            breaks(&mut r);
            assert_eq!(
                RegimeNormalizer::from_record(r).unwrap_err().kind(),
                ErrorKind::Persistence,
                "{i}"
            );
        }
        let selected = n.select(&[1]).unwrap();
        let (mut all, mut one) = ([0.0; 2], [0.0]);
        n.normalize_into(&rows[5], &mut all).unwrap().unwrap();
        selected.normalize_into(&rows[5], &mut one).unwrap().unwrap();
        assert_eq!(all[1], one[0]);
    }
}
