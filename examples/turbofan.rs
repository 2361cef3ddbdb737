//! Remaining useful life of C-MAPSS turbofan engines: trains on a subset's run-to-failure engines, predicts at the last
//! row of each of its test engines, and prints the errors as published tables do.
//!
//! ```text
//! cargo run --release --example turbofan -- --data DIR --subset FD001 [--method stack] [--uncapped] [--cv] [--json]
//!     [--predictions FILE.csv] [--model FILE]
//! ```
//!
//! `DIR` holds `train_FD001.txt`, `test_FD001.txt` and `RUL_FD001.txt` as NASA ships them. Settings are the same for all
//! subsets; they were chosen by cross-validation over training engines (`--cv`), never on test labels.

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use prognos::{
    Error, Result,
    dataset::cmapss::{self, Subset},
    decision::AlarmPolicy,
    detect::PcaDetector,
    diagnose::HealthIndicesParams,
    evaluate,
    features::telemetry,
    fleet::Fleet,
    model::RulEstimate,
    pipeline::{CrossValidation, Pipeline, PipelineParams, Progress},
    preprocess::Regimes,
    quantity::Seed,
    rul::{AnyRulParams, FourierRidge, GradientBoosting, RidgeRul, StackedRul},
    signal::FleetHistory,
};
use std::{path::PathBuf, time::Instant};

/// Remaining lives above are learned, and judged, as this.
const LABEL_CAP: f64 = 125.0;
/// The cap of the model that is judged against lives as they are.
const UNCAPPED_LABEL_CAP: f64 = 150.0;

/// The regressor.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    /// Gradient-boosted trees
    GradientBoosting,
    /// Ridge regression on random Fourier features
    FourierRidge,
    /// Ridge regression
    Ridge,
    /// Gradient-boosted trees and Fourier ridge, weighed by machines held out
    Stack,
}

#[derive(Parser)]
#[command(about = "Remaining useful life of C-MAPSS turbofan engines")]
struct Args {
    /// Folder with the subset's three files as NASA ships them
    #[arg(long)]
    data: PathBuf,
    /// FD001, FD002, FD003 or FD004
    #[arg(long)]
    subset: Subset,
    /// The regressor
    #[arg(long, value_enum, default_value = "gradient_boosting")]
    method: Method,
    /// Fit a second model whose labels are capped at 150, judged against lives as they are
    #[arg(long)]
    uncapped: bool,
    /// Cross-validate over training engines as well (five folds by engine); test files may then be absent
    #[arg(long)]
    cv: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write `unit,true_rul,predicted,lower,upper` of each test engine: truth as it is, estimate and 90% interval at most 125
    #[arg(long)]
    predictions: Option<PathBuf>,
    /// Save the fitted chain (for remaining life; its detector is at its defaults)
    #[arg(long)]
    model: Option<PathBuf>,
}

/// The regressor: one setting for every subset.
fn regressor(method: Method, label_cap: f64) -> AnyRulParams {
    let trees = GradientBoosting::params().n_ensembles(2).column_fraction(0.3);
    let curve = FourierRidge::params();
    match method {
        Method::GradientBoosting => trees.label_cap(label_cap).interval(0.90).into(),
        Method::FourierRidge => curve.label_cap(label_cap).interval(0.90).into(),
        Method::Ridge => RidgeRul::params().label_cap(label_cap).interval(0.90).into(),
        Method::Stack => {
            let stack = StackedRul::params().bases([trees.into(), curve.into()]);
            stack.label_cap(label_cap).interval(0.90).into()
        }
    }
}

/// The chain: one setting for every subset.
fn chain(method: Method, label_cap: f64) -> PipelineParams {
    Pipeline::params()
        .regimes(Regimes::automatic(8).on(["setting_1", "setting_2", "setting_3"]))
        .min_label_correlation(0.02)
        .health_indices(
            HealthIndicesParams::default(),
            telemetry()
                .ewma([3.0, 6.0, 12.0, 25.0, 50.0])
                .slope([15.0, 30.0, 60.0, 120.0, 240.0, 480.0])
                .residual_sd([30.0])
                .endpoint([30.0])
                .ewma_change(12.0, [10.0, 25.0, 50.0, 100.0]),
        )
        .features(
            telemetry()
                .ewma([8.0, 30.0])
                .slope([30.0, 60.0])
                .residual_sd([30.0])
                .age(),
        )
        .detector(PcaDetector::params().explained_variance(0.95))
        .rul(regressor(method, label_cap))
        .alarm(AlarmPolicy::m_of_n(3, 5))
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args = Args::parse();
    let train = cmapss::load_train(&args.data, args.subset)?;
    let test = match cmapss::load_test(&args.data, args.subset) {
        Ok(test) => Some(test),
        Err(e) if args.cv && e.kind() == prognos::ErrorKind::Io => {
            eprintln!("no test engines: {e}");
            None
        }
        Err(e) => return Err(e),
    };

    let bar = ProgressBar::new(1).with_style(
        ProgressStyle::with_template("{msg:>16} [{bar:30}] {pos}/{len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let show = |p: Progress| {
        bar.set_length(p.total.into());
        bar.set_position(p.done.into());
        bar.set_message(p.stage);
    };

    let mut stage = (String::new(), Instant::now());
    let mut features_seconds = 0.0;
    let start = Instant::now();
    let model = chain(args.method, LABEL_CAP).fit_with(&train, |p| {
        if stage.0 == "features" {
            features_seconds = stage.1.elapsed().as_secs_f64();
        }
        stage = (p.stage.to_owned(), Instant::now());
        show(p);
    })?;
    let fit_seconds = start.elapsed().as_secs_f64();
    if let Some(path) = &args.model {
        model.save(path)?;
    }

    let on_test = test.as_ref().map(|test| OnTest::run(&model, test)).transpose()?;
    if let (Some(path), Some(t)) = (&args.predictions, &on_test) {
        t.write(path)?;
    }
    let held_out = args
        .cv
        .then(|| chain(args.method, LABEL_CAP).cross_validate(&train, 5, Seed(1), show))
        .transpose()?;
    let uncapped = args
        .uncapped
        .then(|| Uncapped::run(args.method, &train, test.as_ref(), args.cv))
        .transpose()?;
    bar.finish_and_clear();
    let cv = held_out.as_ref().map(Errors::cross_validated).transpose()?;
    let errors = on_test.as_ref().map(OnTest::errors).transpose()?;

    if args.json {
        let of = |pick: fn(&Errors) -> f64| (errors.as_ref().map(pick), cv.as_ref().map(pick));
        let report = serde_json::json!({
            "subset": args.subset.to_string(),
            "n_train_units": train.assets().len(),
            "n_test_units": test.as_ref().map_or(0, |t| t.assets().len()),
            "rmse": of(|e| e.rmse).0,
            "rmse_capped": of(|e| e.rmse_capped).0,
            "phm08": of(|e| e.phm08).0,
            "phm08_capped": of(|e| e.phm08_capped).0,
            "coverage_90": of(|e| e.coverage).0,
            "width_90": of(|e| e.width).0,
            "cv_rmse_capped": of(|e| e.rmse_capped).1,
            "cv_coverage_90": of(|e| e.coverage).1,
            "cv_width_90": of(|e| e.width).1,
            "uncapped_rmse": uncapped.as_ref().and_then(|u| u.test.map(|t| t.0)),
            "uncapped_phm08": uncapped.as_ref().and_then(|u| u.test.map(|t| t.1)),
            "cv_uncapped_rmse": uncapped.as_ref().and_then(|u| u.cross_validated),
            "features_seconds": features_seconds,
            "fit_seconds": fit_seconds,
            "predict_micros_per_row": on_test.as_ref().map(|t| t.micros_per_row),
        });
        println!("{report}");
        return Ok(());
    }
    println!(
        "{}: {} training engines, {} rows, {} operating regimes, {} features",
        args.subset,
        train.assets().len(),
        train.n_rows(),
        model.n_regimes(),
        model.feature_schema().len()
    );
    println!("fit {fit_seconds:.2} s with intervals, of it features of the final fit {features_seconds:.2} s");
    if let Some(e) = &cv {
        e.print("cross-validation");
    }
    if let (Some(e), Some(t)) = (&errors, &on_test) {
        e.print("test");
        println!(
            "{:>18}: {} engines, {:.1} µs a row; online equals batch to the last bit on every engine",
            "",
            t.truth.len(),
            t.micros_per_row
        );
        Errors::of(&t.truth, &vec![constant(&train); t.truth.len()], None)?.print("constant guess");
    }
    if let Some(u) = &uncapped {
        u.print();
    }
    Ok(())
}

/// A second model, its labels capped at 150 instead of 125, against lives as they are.
struct Uncapped {
    /// Root mean square error over the rows that [`Errors::cross_validated`] judges.
    cross_validated: Option<f64>,
    /// Root mean square error and PHM08 score at the last rows of the test engines.
    test: Option<(f64, f64)>,
}

impl Uncapped {
    fn run(method: Method, train: &FleetHistory, test: Option<&FleetHistory>, cv: bool) -> Result<Self> {
        let chain = chain(method, UNCAPPED_LABEL_CAP);
        let on_test = test
            .map(|test| OnTest::run(&chain.fit(train)?, test)?.errors())
            .transpose()?;
        let held_out = cv
            .then(|| chain.cross_validate(train, 5, Seed(1), |_| ()))
            .transpose()?;
        let errors = held_out.as_ref().map(Errors::cross_validated).transpose()?;
        Ok(Self {
            cross_validated: errors.map(|e| e.rmse),
            test: on_test.map(|e| (e.rmse, e.phm08)),
        })
    }

    fn print(&self) {
        let name = "uncapped RUL";
        println!("{name:>18}: labels capped at {UNCAPPED_LABEL_CAP}, judged against lives as they are");
        if let Some(rmse) = self.cross_validated {
            println!("{:>18}  cross-validation RMSE {rmse:.2}", "");
        }
        if let Some((rmse, phm08)) = self.test {
            println!("{:>18}  test RMSE {rmse:.2}, PHM08 {phm08:.0}", "");
        }
    }
}

/// The baseline that looks at no sensor: the mean capped life left over all training rows.
fn constant(train: &FleetHistory) -> RulEstimate {
    let lives = train
        .assets()
        .iter()
        .filter_map(|a| a.rul(train.life_unit()))
        .flatten()
        .map(|r| r.min(LABEL_CAP));
    let (sum, n) = lives.fold((0.0, 0.0), |(s, n), r| (s + r, n + 1.0));
    RulEstimate {
        rul: sum / n,
        lower: 0.0,
        upper: LABEL_CAP,
        level: 0.9,
        unit: train.life_unit(),
    }
}

/// Predictions at the last row of each test engine.
struct OnTest {
    units: Vec<String>,
    truth: Vec<f64>,
    estimates: Vec<RulEstimate>,
    micros_per_row: f64,
}

impl OnTest {
    fn run(model: &Pipeline, test: &FleetHistory) -> Result<Self> {
        let mut this = Self {
            units: vec![],
            truth: vec![],
            estimates: vec![],
            micros_per_row: f64::NAN,
        };
        // All engines at once, row by row as they would come, against each one's whole recording.
        let mut fleet = Fleet::<String>::new(model.clone());
        let mut passes = Vec::new();
        for asset in test.assets() {
            let truth = asset.rul(test.life_unit()).and_then(|r| r.last().copied());
            let batch = model.assess_history(asset)?;
            for ((time, row), batch) in asset.rows().zip(&batch) {
                let online = fleet.push(asset.asset(), time, row)?;
                if format!("{online:?}") != format!("{batch:?}") {
                    return Err(Error::new(
                        prognos::ErrorKind::InvalidInput,
                        format!("unit {}: online {online:?} differs from batch {batch:?}", asset.asset()),
                    ));
                }
            }
            let last = batch
                .into_iter()
                .rev()
                .find_map(|a| a.ready().and_then(|d| d.condition().rul));
            let (Some(truth), Some(estimate)) = (truth, last) else {
                eprintln!("unit {}: no estimate", asset.asset());
                continue;
            };
            this.units.push(asset.asset().to_owned());
            this.truth.push(truth);
            this.estimates.push(estimate);
        }
        for _ in 0..3 {
            let start = Instant::now();
            for asset in test.assets() {
                std::hint::black_box(model.assess_history(asset)?);
            }
            passes.push(start.elapsed().as_secs_f64() * 1e6 / test.n_rows() as f64);
        }
        passes.sort_by(f64::total_cmp);
        this.micros_per_row = passes[1];
        Ok(this)
    }

    fn errors(&self) -> Result<Errors> {
        Errors::of(&self.truth, &self.estimates, None)
    }

    fn write(&self, path: &std::path::Path) -> Result<()> {
        let failed = |e: csv::Error| {
            Error::new(
                prognos::ErrorKind::Io,
                format!("cannot write `{}`: {e}", path.display()),
            )
        };
        let mut out = csv::Writer::from_path(path).map_err(failed)?;
        out.write_record(["unit", "true_rul", "predicted", "lower", "upper"])
            .map_err(failed)?;
        for ((unit, truth), e) in self.units.iter().zip(&self.truth).zip(&self.estimates) {
            let fields = [
                unit.clone(),
                truth.to_string(),
                e.rul.to_string(),
                e.lower.to_string(),
                e.upper.to_string(),
            ];
            out.write_record(fields).map_err(failed)?;
        }
        out.flush().map_err(|e| failed(e.into()))
    }
}

/// Root mean square errors in cycles, PHM08 scores, and the interval's coverage and mean width against capped truth.
struct Errors {
    rmse: f64,
    rmse_capped: f64,
    phm08: f64,
    phm08_capped: f64,
    coverage: f64,
    width: f64,
}

impl Errors {
    fn of(truth: &[f64], estimates: &[RulEstimate], weights: Option<&[f64]>) -> Result<Self> {
        let capped: Vec<f64> = truth.iter().map(|t| t.min(LABEL_CAP)).collect();
        let pick = |f: fn(&RulEstimate) -> f64| estimates.iter().map(f).collect::<Vec<_>>();
        let (point, lower, upper) = (pick(|e| e.rul), pick(|e| e.lower), pick(|e| e.upper));
        let even = vec![1.0; truth.len()];
        let w = weights.unwrap_or(&even);
        Ok(Self {
            rmse: evaluate::rmse_weighted(&point, truth, w)?,
            rmse_capped: evaluate::rmse_weighted(&point, &capped, w)?,
            phm08: evaluate::phm08_score_weighted(&point, truth, w)?,
            phm08_capped: evaluate::phm08_score_weighted(&point, &capped, w)?,
            coverage: evaluate::coverage_weighted(&lower, &upper, &capped, w)?,
            width: evaluate::mean_width_weighted(&lower, &upper, w)?,
        })
    }

    /// Rows of held-out engines with a remaining life in 5..min(life - 20, 160), each engine weighing one.
    fn cross_validated(cv: &CrossValidation) -> Result<Self> {
        let judged =
            |r: &&prognos::pipeline::HeldOutRow| r.truth >= 5.0 && r.truth < (r.n_rows as f64 - 20.0).min(160.0);
        let rows: Vec<_> = cv.rows.iter().filter(judged).collect();
        let truth: Vec<f64> = rows.iter().map(|r| r.truth).collect();
        let estimates: Vec<RulEstimate> = rows.iter().map(|r| r.estimate).collect();
        let engines: Vec<usize> = rows.iter().map(|r| r.asset).collect();
        Self::of(&truth, &estimates, Some(&evaluate::asset_weights(&engines)?))
    }

    fn print(&self, what: &str) {
        println!(
            "{what:>18}: RMSE {:.2} against capped truth, {:.2} uncapped; PHM08 {:.0} capped, {:.0} uncapped; 90% interval covers {:.3}, width {:.1}",
            self.rmse_capped, self.rmse, self.phm08_capped, self.phm08, self.coverage, self.width
        );
    }
}
