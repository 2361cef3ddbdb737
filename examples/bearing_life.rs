//! How long will a bearing live? FEMTO's bearings, run to failure on PRONOSTIA (the 2012 challenge of the IEEE PHM society).
//!
//! ```text
//! cargo run --release --features polars --example bearing_life -- --data DIR [--test DIR [--truth FILE.csv]]
//!     [--predictions FILE.csv] [--json]
//! ```
//!
//! `--data` holds bearings that ran to their end: `Bearing1_1.parquet` (feature `polars`) or folders `Bearing1_1/acc_*.csv` as
//! published. Each is left out in turn, a model is fitted on the others, and asked at 18 shares of the life of the one left
//! out, 0.10 to 0.95. `--test` holds bearings whose records were cut; each is asked about at its end, by a model of all of
//! `--data`, and `--predictions` gets a row `bearing,predicted_seconds,lower,upper` of each, median and 90% interval.
//!
//! Three models are beside each other: the lognormal life prior given the age survived; the same with every machine counting
//! the same, as it does in the score; and that one moved by a reading, where a reading has proved on lives held out,
//! inside the fold, that it knows more. Where none has, the program says so. The score of the challenge is printed
//! beside a constant and a share of the time elapsed, but is not the aim: it is a mean over a few bearings of a steep curve
//! of one guess, so that a bearing hit by luck is worth more than an interval that holds.

use clap::Parser;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
#[cfg(feature = "polars")]
use prognos::dataset::femto::Bearing as ParquetBearing;
use prognos::{
    Error, ErrorKind, Result,
    dataset::femto::{self, Condition, Snapshot},
    evaluate,
    features::{FeatureExtractor, FeatureSchema, FeatureTable, FeatureView, WaveformExtractor},
    model::{Assessment, OnlineModel, RulDistribution, RulRegressor},
    quantity::{Hertz, LifeUnit, Timestamp},
    rul::{LifePrior, LifeWeighting, RulLabels, UpdatedLifePrior},
    signal::{Channel, WindowSpec},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Level of the intervals.
const LEVEL: f64 = 0.90;
/// Seconds between snapshots.
const SPACING_S: i64 = 10;
/// What is followed of each snapshot, of both channels together; rises as health falls.
const READINGS: [&str; 4] = ["log_rms", "log_band_8000_12800_hz_rms", "log_peak", "log_kurtosis"];
/// What the extractor gives of each channel.
const FEATURES: [&str; 4] = ["rms", "band_8000_12800_hz_rms", "peak", "excess_kurtosis"];
const MODELS: [&str; 3] = ["life prior", "life prior, machines alike", "updated by the readings"];

#[derive(Parser)]
#[command(about = "Remaining life of FEMTO's bearings, and what their vibration adds to knowing how long others lived")]
struct Args {
    /// Folder of bearings that ran to their end: Bearing<c>_<n>.parquet, or Bearing<c>_<n>/acc_*.csv
    #[arg(long)]
    data: PathBuf,
    /// Folder of bearings whose records were cut, in either form; or one bearing's folder
    #[arg(long)]
    test: Option<PathBuf>,
    /// CSV file with the columns bearing and remaining_seconds, the truth of --test
    #[arg(long, requires = "test")]
    truth: Option<PathBuf>,
    /// File to write what is predicted for --test to
    #[arg(long, requires = "test")]
    predictions: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let schema = FeatureSchema::of_channels(&READINGS.map(|r| Channel::new(r, "")))?;
    let bearings = load(&args.data, true)?;
    if bearings.len() < 2 {
        let message = format!(
            "`{}`: expected at least 2 bearings, got {}",
            args.data.display(),
            bearings.len()
        );
        return Err(Error::new(ErrorKind::InsufficientData, message));
    }
    let mut folds = Vec::new();
    for out in 0..bearings.len() {
        folds.push(Fold::of(&schema, &bearings, out)?);
    }
    let report = Report::of(&folds);

    let predictions = match &args.test {
        Some(dir) => predict(&schema, &bearings, dir, args.truth.as_deref())?,
        None => Vec::new(),
    };
    if let Some(path) = &args.predictions {
        write(path, &predictions)?;
    }
    if args.json {
        let predictions: Vec<Value> = predictions.iter().map(Prediction::json).collect();
        println!(
            "{}",
            json!({ "leave_one_out": report.json(&folds), "predictions": predictions })
        );
        return Ok(());
    }
    report.print(&folds);
    print_predictions(&predictions);
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// Bearings

/// The readings of a bearing, snapshot by snapshot; its life began with snapshot 1.
struct Bearing {
    name: String,
    times: Vec<Timestamp>,
    rows: Vec<[f64; READINGS.len()]>,
}

impl Bearing {
    /// Age at snapshot `i` in seconds.
    fn age(&self, i: usize) -> f64 {
        self.times
            .get(i)
            .map_or(0.0, |t| LifeUnit::Seconds.between(Timestamp::default(), *t))
    }

    fn end(&self) -> f64 {
        self.age(self.times.len().saturating_sub(1))
    }

    /// The last snapshots up to 0.10, 0.15, .. 0.95 of its life, and what remained then.
    fn asked(&self) -> Vec<(usize, f64)> {
        let mut asked: Vec<(usize, f64)> = Vec::new();
        for k in 0..18 {
            let until = (0.10 + 0.05 * f64::from(k)) * self.end();
            let i = (0..self.times.len()).take_while(|&i| self.age(i) <= until).last();
            if let Some(i) = i.filter(|&i| asked.last().is_none_or(|l| l.0 < i)) {
                asked.push((i, self.end() - self.age(i)));
            }
        }
        asked
    }
}

/// The bearings in a folder, by name; `named` takes only those that are named as the challenge's are.
fn load(dir: &Path, named: bool) -> Result<Vec<Bearing>> {
    let failed = |e: std::io::Error| Error::new(ErrorKind::Io, format!("cannot list `{}`: {e}", dir.display()));
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut parquet_left_out = 0;
    let mut paths = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let is_parquet = path.is_file() && path.extension().is_some_and(|e| e == "parquet");
        let is_folder = path.is_dir() && femto::snapshots(&path).is_ok();
        let name = path
            .file_stem()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !(is_parquet || is_folder) {
            continue;
        }
        if named && Condition::of_bearing(&path).is_none() {
            eprintln!("note: `{}` is not named as a bearing is, left out", path.display());
        } else if is_parquet && cfg!(not(feature = "polars")) {
            parquet_left_out += 1;
        } else {
            // Where a bearing is there in both forms, the later path: its Parquet file.
            found.insert(name, path);
        }
    }
    if parquet_left_out > 0 {
        let message = format!(
            "`{}`: {parquet_left_out} Parquet files need the feature: cargo run --features polars --example bearing_life",
            dir.display()
        );
        if found.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        eprintln!("note: {message}; left out");
    }
    if found.is_empty() {
        let message = format!(
            "`{}`: expected bearings, Bearing1_1.parquet or Bearing1_1/acc_*.csv, got none",
            dir.display()
        );
        return Err(Error::new(ErrorKind::InsufficientData, message));
    }
    found.into_iter().map(|(name, path)| read(name, &path)).collect()
}

#[cfg(feature = "polars")]
fn read(name: String, path: &Path) -> Result<Bearing> {
    if path.is_dir() {
        return followed(name, path, femto::snapshots(path)?);
    }
    let bearing = ParquetBearing::read(path)?;
    followed(name, path, bearing.snapshots())
}

#[cfg(not(feature = "polars"))]
fn read(name: String, path: &Path) -> Result<Bearing> {
    followed(name, path, femto::snapshots(path)?)
}

/// Readings of the snapshots as they come. One that cannot be read is left out, as it would be on a live machine.
fn followed(name: String, path: &Path, snapshots: impl Iterator<Item = Result<Snapshot>>) -> Result<Bearing> {
    let channels = ["horizontal", "vertical"].map(|c| Channel::new(c, "g"));
    let window = WindowSpec::new(femto::N_SAMPLES, femto::N_SAMPLES)?;
    let extractor = WaveformExtractor::params(&channels, Hertz::new(femto::RATE_HZ)?, window)
        .features(FEATURES)
        .build()?;
    let mut scratch = extractor.new_scratch();
    let mut features = vec![0.0; extractor.schema().len()];
    let mut bearing = Bearing {
        name,
        times: Vec::new(),
        rows: Vec::new(),
    };
    for snapshot in snapshots {
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(e) => {
                eprintln!("note: left out: {e}");
                continue;
            }
        };
        extractor.extract_into(&snapshot.recording.slices(), &mut scratch, &mut features)?;
        let (horizontal, vertical) = features.split_at(FEATURES.len());
        let mut row = [f64::NAN; READINGS.len()];
        for (i, (out, (h, v))) in row.iter_mut().zip(horizontal.iter().zip(vertical)).enumerate() {
            *out = match i {
                // The fourth moment alone, and a dead channel hides nothing of the other.
                3 => (h.max(*v) + 3.0).ln(),
                2 => h.max(*v).ln(),
                _ => h.hypot(*v).ln(),
            };
        }
        let since_first = i64::from(snapshot.number).saturating_sub(1).saturating_mul(SPACING_S);
        bearing.times.push(LifeUnit::Seconds.instant(since_first));
        bearing.rows.push(row);
    }
    if bearing.rows.is_empty() {
        let message = format!("`{}`: expected a snapshot that can be read, got none", path.display());
        return Err(Error::new(ErrorKind::InsufficientData, message));
    }
    Ok(bearing)
}

// ---------------------------------------------------------------------------------------------------------------------
// Models

struct Models {
    priors: [LifePrior; 2],
    updated: UpdatedLifePrior,
}

/// What the models say of a bearing after a snapshot.
#[derive(Clone)]
struct Said {
    /// In the order of [`MODELS`]; `None` where there is no prognosis.
    of_models: [Option<RulDistribution>; MODELS.len()],
    /// How far the reading has moved the third, in nats.
    moved: f64,
}

impl Models {
    /// On the lives of these bearings, each of which failed at its end.
    fn fit<'a>(schema: &FeatureSchema, bearings: impl Iterator<Item = &'a Bearing>) -> Result<Self> {
        let (mut values, mut asset, mut times, mut rul) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, bearing) in (0..).zip(bearings) {
            for (i, row) in bearing.rows.iter().enumerate() {
                values.extend_from_slice(row);
                asset.push(number);
                rul.push(bearing.end() - bearing.age(i));
            }
            times.extend_from_slice(&bearing.times);
        }
        let values = Array2::from_shape_vec((asset.len(), READINGS.len()), values)
            .map_err(|e| Error::new(ErrorKind::InvalidInput, format!("rows: {e}")))?;
        let table = FeatureTable::new(schema.clone(), values, asset)?.at(times)?;
        let data = DatasetBase::new(table, RulLabels::new(rul, LifeUnit::Seconds)?);
        let prior = |weighting| LifePrior::params().weighting(weighting).interval(LEVEL).fit(&data);
        Ok(Self {
            priors: [prior(LifeWeighting::Instants)?, prior(LifeWeighting::Machines)?],
            updated: UpdatedLifePrior::params().interval(LEVEL).fit(&data)?,
        })
    }

    /// Takes the bearing's snapshots one by one; what is said after those in `at`, rising.
    fn follow(&self, schema: &FeatureSchema, bearing: &Bearing, at: &[usize]) -> Result<Vec<Said>> {
        let mut state = self.updated.new_state_since(Timestamp::default());
        let [a, b] = &self.priors;
        let priors = [
            a.new_state_since(Timestamp::default()),
            b.new_state_since(Timestamp::default()),
        ];
        let mut said = Vec::new();
        let mut last = Said {
            of_models: [None; MODELS.len()],
            moved: 0.0,
        };
        for (i, (row, time)) in bearing.rows.iter().zip(&bearing.times).enumerate() {
            let view = || Ok::<_, Error>(FeatureView::new(schema, row)?.at(*time));
            let asked = at.contains(&i);
            let updated = if asked {
                Some(self.updated.distribution(&state, view()?)?)
            } else {
                None
            };
            self.updated.update(&mut state, view()?)?;
            if let Some(updated) = updated {
                // An unusable snapshot leaves what was said at the one before.
                let say = |d: Assessment<RulDistribution>, before| match d {
                    Assessment::Ready(d) => Some(d),
                    Assessment::Unusable(_) => before,
                    _ => None,
                };
                let [x, y, z] = last.of_models;
                let model = self.updated.trajectory_model();
                last = Said {
                    of_models: [
                        say(a.distribution(&priors[0], view()?)?, x),
                        say(b.distribution(&priors[1], view()?)?, y),
                        say(updated, z),
                    ],
                    moved: model.moved(state.memory(), bearing.age(i)),
                };
                said.push(last.clone());
            }
        }
        Ok(said)
    }

    fn evidence(&self) -> Option<(&'static str, f64)> {
        let evidence = self.updated.trajectory_model().evidence()?;
        Some((READINGS.get(evidence.reading)?, evidence.power))
    }

    /// The verdict in words.
    fn verdict(&self) -> String {
        let gain = self.updated.trajectory_model().gain();
        let gain = gain.map(|g| format!("{:+.3} of a life, standard error {:.3}", g.mean, g.standard_error));
        let gain = gain.unwrap_or_else(|| "too few lives to tell".into());
        match self.evidence() {
            Some((reading, power)) => {
                format!("updated by {reading} to the power {power} (gain on lives held out: {gain})")
            }
            None => format!("no more than the prior (best gain of a reading on lives held out: {gain})"),
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Leave one bearing out

/// The score of the challenge over predictions, 0..=1; NaN of none.
fn challenge_score(predicted: &[f64], truth: &[f64]) -> f64 {
    evaluate::phm12_score(predicted, truth).unwrap_or(f64::NAN)
}

/// The share of truths within their intervals; one that is not known upwards holds all above its lower end.
fn covered(said: &[RulDistribution], truth: &[f64]) -> f64 {
    let holds = |d: &RulDistribution, t: f64| d.interval(LEVEL).is_ok_and(|(l, u)| l <= t && t <= u);
    mean(said.iter().zip(truth).map(|(d, t)| f64::from(u8::from(holds(d, *t)))))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

/// A bearing that was left out, and what was said of it.
struct Fold {
    bearing: String,
    life_s: f64,
    verdict: String,
    evidence: Option<(&'static str, f64)>,
    points: Vec<Point>,
}

struct Point {
    elapsed: f64,
    truth: f64,
    said: Said,
    /// Of the baselines [`BASELINES`], chosen on the other bearings.
    baselines: [f64; BASELINES.len()],
}

const BASELINES: [&str; 2] = ["constant", "share of elapsed time"];

/// Shares of the elapsed time that are tried.
fn shares() -> impl Iterator<Item = f64> {
    (1..=200).map(|i| f64::from(i) / 100.0)
}

fn best_share(asked: &[(f64, f64)]) -> (f64, f64) {
    let (elapsed, truth): (Vec<f64>, Vec<f64>) = asked.iter().copied().unzip();
    let score = |share: f64| challenge_score(&elapsed.iter().map(|e| share * e).collect::<Vec<_>>(), &truth);
    let scored = shares().map(|share| (share, score(share)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0.0, 0.0))
}

impl Fold {
    fn of(schema: &FeatureSchema, bearings: &[Bearing], out: usize) -> Result<Self> {
        let others = || {
            bearings
                .iter()
                .enumerate()
                .filter(move |(i, _)| *i != out)
                .map(|(_, b)| b)
        };
        let models = Models::fit(schema, others())?;
        let left_out = bearings
            .get(out)
            .ok_or_else(|| Error::new(ErrorKind::InvalidParameter, "no such bearing"))?;
        let mut asked_of_others: Vec<(f64, f64)> = Vec::new();
        for other in others() {
            asked_of_others.extend(other.asked().iter().map(|&(i, truth)| (other.age(i), truth)));
        }
        let mut truths: Vec<f64> = asked_of_others.iter().map(|a| a.1).collect();
        truths.sort_by(f64::total_cmp);
        let constant = truths.get(truths.len() / 2).copied().unwrap_or_default();
        let share = best_share(&asked_of_others).0;
        let asked = left_out.asked();
        let at: Vec<usize> = asked.iter().map(|a| a.0).collect();
        let points = models
            .follow(schema, left_out, &at)?
            .into_iter()
            .zip(&asked)
            .map(|(said, &(i, truth))| Point {
                elapsed: left_out.age(i),
                truth,
                said,
                baselines: [constant, share * left_out.age(i)],
            });
        Ok(Self {
            bearing: left_out.name.clone(),
            life_s: left_out.end(),
            verdict: models.verdict(),
            evidence: models.evidence(),
            points: points.collect(),
        })
    }
}

/// One model over all folds.
#[derive(Clone, Default)]
struct Line {
    /// Mean score of each bearing, in seconds.
    crps: Vec<f64>,
    covered: Option<Vec<f64>>,
    challenge: Vec<f64>,
    /// Questions without a prognosis.
    n_silent: usize,
}

struct Report {
    lines: Vec<(&'static str, Line)>,
    n_points: usize,
    /// Share of the elapsed time that scores best over all points, in hindsight, and its score.
    hindsight: (f64, f64),
}

impl Report {
    fn of(folds: &[Fold]) -> Self {
        let mut lines: Vec<(&'static str, Line)> = Vec::new();
        for (m, name) in MODELS.into_iter().enumerate() {
            let mut line = Line {
                covered: Some(Vec::new()),
                ..Line::default()
            };
            for fold in folds {
                let known = fold.points.iter().filter_map(|p| Some((p.said.of_models[m]?, p.truth)));
                let (said, truth): (Vec<RulDistribution>, Vec<f64>) = known.unzip();
                line.n_silent += fold.points.len() - said.len();
                line.crps.push(evaluate::crps(&said, &truth).unwrap_or(f64::NAN));
                let points: Vec<f64> = said.iter().map(point).collect();
                line.challenge.push(challenge_score(&points, &truth));
                line.covered.get_or_insert_default().push(covered(&said, &truth));
            }
            lines.push((name, line));
        }
        for (b, name) in BASELINES.into_iter().enumerate() {
            let mut line = Line::default();
            for fold in folds {
                let (said, truth): (Vec<f64>, Vec<f64>) = fold.points.iter().map(|p| (p.baselines[b], p.truth)).unzip();
                line.crps.push(evaluate::mae(&said, &truth).unwrap_or(f64::NAN));
                line.challenge.push(challenge_score(&said, &truth));
            }
            lines.push((name, line));
        }
        let all: Vec<(f64, f64)> = folds
            .iter()
            .flat_map(|f| f.points.iter().map(|p| (p.elapsed, p.truth)))
            .collect();
        Self {
            lines,
            n_points: all.len(),
            hindsight: best_share(&all),
        }
    }

    /// Difference of a line's scores from those of the life prior: mean over bearings and its standard error.
    fn against_prior(&self, line: &Line) -> (f64, f64) {
        let Some((_, prior)) = self.lines.first() else {
            return (f64::NAN, f64::NAN);
        };
        let differences: Vec<f64> = line.crps.iter().zip(&prior.crps).map(|(a, b)| a - b).collect();
        let n = differences.len() as f64;
        let middle = mean(differences.iter().copied());
        let squares: f64 = differences.iter().map(|d| (d - middle) * (d - middle)).sum();
        (middle, (squares / (n - 1.0) / n).sqrt())
    }

    fn print(&self, folds: &[Fold]) {
        println!(
            "leave one bearing out: {} bearings, {} questions at 0.10 to 0.95 of a life; means over bearings\n",
            folds.len(),
            self.n_points
        );
        println!(
            "{:<28}{:>9}{:>20}{:>12}{:>11}",
            "", "CRPS, s", "against the prior", "90% covers", "challenge"
        );
        for (name, line) in &self.lines {
            let (difference, error) = self.against_prior(line);
            let covered = line
                .covered
                .as_ref()
                .map_or("-".into(), |c| format!("{:.3}", mean(c.iter().copied())));
            println!(
                "{name:<28}{:>9.0}{:>20}{covered:>12}{:>11.3}{}",
                mean(line.crps.iter().copied()),
                format!("{difference:+.0} +- {error:.0}"),
                mean(line.challenge.iter().copied()),
                if line.n_silent > 0 {
                    format!("  ({} without a prognosis)", line.n_silent)
                } else {
                    String::new()
                },
            );
        }
        println!(
            "\n+- is a standard error over bearings. A single number's CRPS is its absolute error. Challenge: 1 is best.\n\
             In hindsight, {:.2} of the elapsed time would have scored {:.3}.\n",
            self.hindsight.0, self.hindsight.1
        );
        println!(
            "{:<14}{:>9}{:>27}{:>24}",
            "left out", "life, s", "CRPS: prior, alike, updated", "90% covers: the same"
        );
        for (i, fold) in folds.iter().enumerate() {
            let of = |get: &dyn Fn(&Line) -> Option<f64>, digits: usize, width: usize| -> String {
                let numbers = self.lines.iter().take(MODELS.len()).filter_map(|(_, l)| get(l));
                numbers.map(|v| format!("{v:>width$.digits$}")).collect()
            };
            println!(
                "{:<14}{:>9.0}{:>27}{:>24}",
                fold.bearing,
                fold.life_s,
                of(&|l| l.crps.get(i).copied(), 0, 9),
                of(&|l| l.covered.as_ref()?.get(i).copied(), 2, 8),
            );
            println!("    {}", fold.verdict);
        }
        let n_updated = folds.iter().filter(|f| f.evidence.is_some()).count();
        println!(
            "\nThe readings knew more than the prior, by the bearings inside the fold, in {n_updated} of {} folds.{}",
            folds.len(),
            if n_updated == 0 {
                " What the model says is the prior, and no more."
            } else {
                ""
            }
        );
    }

    fn json(&self, folds: &[Fold]) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|(name, line)| {
                let (difference, error) = self.against_prior(line);
                json!({
                    "model": name,
                    "crps_s": mean(line.crps.iter().copied()),
                    "crps_minus_prior_s": difference,
                    "standard_error_s": error,
                    "coverage_90": line.covered.as_ref().map(|c| mean(c.iter().copied())),
                    "challenge_score": mean(line.challenge.iter().copied()),
                    "without_prognosis": line.n_silent,
                    "crps_s_of_bearings": line.crps,
                    "coverage_90_of_bearings": line.covered,
                })
            })
            .collect();
        let folds: Vec<Value> = folds
            .iter()
            .map(|f| {
                json!({
                    "bearing": f.bearing,
                    "life_s": f.life_s,
                    "knows_more_than_prior": f.evidence.is_some(),
                    "reading": f.evidence.map(|e| e.0),
                    "power": f.evidence.map_or(0.0, |e| e.1),
                    "moved_nats": mean(f.points.iter().map(|p| p.said.moved)),
                    "verdict": f.verdict,
                })
            })
            .collect();
        json!({
            "n_questions": self.n_points,
            "models": lines,
            "share_in_hindsight": { "share": self.hindsight.0, "challenge_score": self.hindsight.1 },
            "folds": folds,
        })
    }
}

/// The number that is given for a distribution: its median.
fn point(d: &RulDistribution) -> f64 {
    d.estimate(LEVEL).map_or(f64::NAN, |e| e.rul)
}

// ---------------------------------------------------------------------------------------------------------------------
// Bearings whose records were cut

struct Prediction {
    bearing: String,
    elapsed: f64,
    said: Option<RulDistribution>,
    moved: f64,
    verdict: String,
    truth: Option<f64>,
}

fn predict(schema: &FeatureSchema, bearings: &[Bearing], dir: &Path, truth: Option<&Path>) -> Result<Vec<Prediction>> {
    let truth = truth.map(read_truth).transpose()?.unwrap_or_default();
    let of_all = Models::fit(schema, bearings.iter())?;
    let mut predictions = Vec::new();
    for cut in load(dir, false)? {
        // A bearing that is in both folders must not tell its own life.
        let is_known = bearings.iter().any(|b| b.name == cut.name);
        let own = if is_known {
            eprintln!(
                "note: `{}` is in --data too; its life there is left out for it",
                cut.name
            );
            Some(Models::fit(schema, bearings.iter().filter(|b| b.name != cut.name))?)
        } else {
            None
        };
        let models = own.as_ref().unwrap_or(&of_all);
        let last = cut.rows.len().saturating_sub(1);
        let said = models.follow(schema, &cut, &[last])?;
        let [_, _, updated] = said.first().map_or([None; MODELS.len()], |s| s.of_models);
        predictions.push(Prediction {
            elapsed: cut.end(),
            said: updated,
            moved: said.first().map_or(0.0, |s| s.moved),
            verdict: models.verdict(),
            truth: truth.get(&cut.name).copied(),
            bearing: cut.name,
        });
    }
    Ok(predictions)
}

/// Remaining seconds by bearing.
fn read_truth(path: &Path) -> Result<BTreeMap<String, f64>> {
    let failed = |e: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidInput, format!("`{}`: {e}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(|e| failed(&e))?;
    let mut truth = BTreeMap::new();
    for row in reader.deserialize::<(String, f64)>() {
        let (bearing, remaining) = row.map_err(|e| failed(&e))?;
        if !(remaining.is_finite() && remaining > 0.0) {
            return Err(failed(&format!(
                "`{bearing}`: expected a remaining life above 0, got {remaining}"
            )));
        }
        truth.insert(bearing, remaining);
    }
    Ok(truth)
}

impl Prediction {
    /// Median and interval in seconds.
    fn numbers(&self) -> Option<[f64; 3]> {
        let estimate = self.said?.estimate(LEVEL).ok()?;
        Some([estimate.rul, estimate.lower, estimate.upper])
    }

    fn json(&self) -> Value {
        let numbers = self.numbers();
        json!({
            "bearing": self.bearing,
            "elapsed_s": self.elapsed,
            "predicted_seconds": numbers.map(|n| n[0]),
            "lower": numbers.map(|n| n[1]),
            "upper": numbers.map(|n| n[2]),
            "moved_nats": self.moved,
            "verdict": self.verdict,
            "remaining_seconds": self.truth,
        })
    }
}

fn write(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let failed =
        |e: &dyn std::fmt::Display| Error::new(ErrorKind::Io, format!("cannot write `{}`: {e}", path.display()));
    let mut out = csv::Writer::from_path(path).map_err(|e| failed(&e))?;
    out.write_record(["bearing", "predicted_seconds", "lower", "upper"])
        .map_err(|e| failed(&e))?;
    for p in predictions {
        // Without a prognosis the numbers are left empty.
        let cells = p
            .numbers()
            .map_or([const { String::new() }; 3], |n| n.map(|v| format!("{v:.0}")));
        out.write_record(std::iter::once(&p.bearing).chain(&cells))
            .map_err(|e| failed(&e))?;
    }
    out.flush().map_err(|e| failed(&e))
}

fn print_predictions(predictions: &[Prediction]) {
    let Some(first) = predictions.first() else { return };
    println!(
        "\nat the end of each cut record, model of all bearings: {}\n",
        first.verdict
    );
    println!(
        "{:<14}{:>11}{:>13}{:>9}{:>9}{:>13}{:>10}",
        "bearing", "elapsed, s", "predicted, s", "lower", "upper", "moved, nats", "truth, s"
    );
    for p in predictions {
        let numbers = p.numbers().map_or_else(
            || format!("{:>31}", "older than the known lives"),
            |[value, lower, upper]| format!("{value:>13.0}{lower:>9.0}{upper:>9.0}"),
        );
        let truth = p.truth.map_or_else(|| "-".into(), |t| format!("{t:.0}"));
        println!(
            "{:<14}{:>11.0}{numbers}{:>13.3}{truth:>10}",
            p.bearing, p.elapsed, p.moved
        );
    }
    let known = predictions.iter().filter_map(|p| Some((p.said?, p.truth?)));
    let (said, truth): (Vec<RulDistribution>, Vec<f64>) = known.unzip();
    if !said.is_empty() {
        let points: Vec<f64> = said.iter().map(point).collect();
        println!(
            "\nof {} with known truth: CRPS {:.0} s, 90% covers {:.2}, challenge score {:.3}",
            said.len(),
            evaluate::crps(&said, &truth).unwrap_or(f64::NAN),
            covered(&said, &truth),
            challenge_score(&points, &truth),
        );
    }
}
