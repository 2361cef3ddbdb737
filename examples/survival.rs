//! Lives of which many are still running: how long machines last, what shortens their lives, and whether a model of that
//! foretells failures of machines it has not seen better than their age alone.
//!
//! ```text
//! cargo run --release --example survival [-- --data DIR] [--folds N] [--seed N] [--json]
//! ```
//!
//! `DIR` holds `ai4i2020.csv` (AI4I 2020, Matzka): ten thousand products of a milling machine, and the minutes its tool had
//! worn before each. A tool is an asset: it works on one product after the other, with the temperatures, speed and torque of
//! each, until it is replaced, whether the machine failed meanwhile or not. Its age is its wear. The failure modes in the
//! table are no inputs. Without `--data`, machines are generated whose lives two covariates stretch and shorten by known
//! factors, and of which a part is taken out of service before it fails.

use clap::Parser;
use prognos::{
    Error, ErrorKind, Result,
    evaluate::roc_auc,
    model::AssetFolds,
    quantity::{LifeUnit, Seed},
    rul::survival::{CoxModel, Estimate, KaplanMeier, LifeSpells, LogNormalAft, NelsonAalen, WeibullAft},
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::path::{Path, PathBuf};

#[derive(Parser)]
#[command(about = "How long machines last, what shortens their lives, and how well that foretells failures")]
struct Args {
    /// Folder with `ai4i2020.csv`; without it, machines are generated
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folds by asset
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed of folds and of generated machines
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Spells of work under constant covariates.
#[derive(Default)]
struct Recorded {
    what: &'static str,
    unit: &'static str,
    names: Vec<&'static str>,
    asset: Vec<u32>,
    start: Vec<f64>,
    stop: Vec<f64>,
    failed: Vec<bool>,
    covariates: Vec<f64>,
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
    let recorded = match &args.data {
        Some(dir) => Recorded::milling(&dir.join("ai4i2020.csv"))?,
        None => Recorded::generated(Seed(args.seed))?,
    };
    let spells = recorded.spells(|_| true)?;
    let (curve, hazard) = (KaplanMeier::fit(&spells), NelsonAalen::fit(&spells));
    let weibull = WeibullAft::fit(&spells)?;
    let log_normal = LogNormalAft::fit(&spells)?;
    let cox = CoxModel::fit(&spells)?;
    let held_out = recorded.held_out(args.folds, Seed(args.seed))?;
    let ages: Vec<f64> = [0.1, 0.25, 0.5, 0.75, 0.9]
        .iter()
        .filter_map(|p| curve.quantile(*p))
        .collect();

    if args.json {
        let of = |estimates: &[Estimate]| {
            estimates
                .iter()
                .map(|e| (e.value, e.standard_error))
                .collect::<Vec<_>>()
        };
        println!(
            "{}",
            serde_json::json!({
                "what": recorded.what,
                "n_assets": recorded.n_assets(),
                "n_rows": spells.n_rows(),
                "n_failed": spells.n_failed(),
                "median_life": curve.median(),
                "covariates": recorded.names,
                "cox": of(cox.coefficients()),
                "weibull_aft": of(weibull.coefficients()),
                "log_normal_aft": of(log_normal.coefficients()),
                "held_out_auc": { "kaplan_meier": held_out[0], "weibull_aft": held_out[1], "log_normal_aft": held_out[2], "cox": held_out[3] },
            })
        );
        return Ok(());
    }
    println!(
        "{}: {} assets, {} spells, {} failures; the others were running, or were taken out of service.",
        recorded.what,
        recorded.n_assets(),
        spells.n_rows(),
        spells.n_failed()
    );
    println!(
        "\n{:>8}  survival (95% band, Kaplan-Meier)   cumulative hazard (Nelson-Aalen)",
        recorded.unit
    );
    for &age in &ages {
        let (low, high) = curve.interval(age, 0.95)?;
        println!(
            "{age:>8.0}  {:.3} ({low:.3}..{high:.3}) {:>34.3}",
            curve.survival(age),
            hazard.cumulative_hazard(age)
        );
    }
    if let (Some(&age), Some(median)) = (ages.first(), curve.median())
        && let Ok(left) = curve.remaining_after(age, LifeUnit::Hours)?
    {
        let upper = left.interval(0.9)?.1;
        let upper = if upper.is_finite() {
            format!("{upper:.0}")
        } else {
            "?".to_owned()
        };
        println!(
            "Half have failed by {median:.0} {0}. Of those that reach {age:.0} {0}, half live another {1} {0}; 90% within {2:.0}..{upper} {0}.",
            recorded.unit,
            left.median().map_or("?".to_owned(), |m| format!("{m:.0}")),
            left.interval(0.9)?.0
        );
    }
    println!(
        "\n{:>22}  {:>20} {:>20} {:>20}",
        "a unit more of", "hazard x (Cox)", "life x (Weibull)", "life x (log-normal)"
    );
    let factor = |e: &Estimate| {
        format!(
            "{:.3} ({:.3}..{:.3})",
            e.value.exp(),
            (e.value - 1.96 * e.standard_error).exp(),
            (e.value + 1.96 * e.standard_error).exp()
        )
    };
    for (i, name) in recorded.names.iter().enumerate() {
        let row = [
            &cox.coefficients()[i],
            &weibull.coefficients()[i],
            &log_normal.coefficients()[i],
        ]
        .map(factor);
        println!("{name:>22}  {:>20} {:>20} {:>20}", row[0], row[1], row[2]);
    }
    println!(
        "{:>22}  {:>20.1} {:>20.1} {:>20.1}",
        "log likelihood",
        cox.log_likelihood(),
        weibull.log_likelihood(),
        log_normal.log_likelihood()
    );
    println!(
        "\nWhich spells of assets not seen in training end in failure, area under the ROC curve, {} folds by asset:",
        args.folds
    );
    for (name, auc) in ["age alone (Kaplan-Meier)", "Weibull", "log-normal", "Cox"]
        .iter()
        .zip(held_out)
    {
        println!("{name:>26}  {auc:.3}");
    }
    println!("An asset's age alone is the baseline; 0.5 is chance.");
    Ok(())
}

impl Recorded {
    fn n_assets(&self) -> usize {
        self.asset.iter().max().map_or(0, |a| *a as usize + 1)
    }

    fn push(&mut self, asset: usize, (start, stop): (f64, f64), failed: bool, covariates: &[f64]) {
        self.asset.push(asset as u32);
        self.start.push(start);
        self.stop.push(stop);
        self.failed.push(failed);
        self.covariates.extend_from_slice(covariates);
    }

    /// Machines under a load and at a temperature, whose Weibull lives (shape 2.2, scale 4,000 h) these shorten by factors of
    /// exp(-0.5) and exp(-0.2) a unit; a quarter or so is taken out of service first.
    fn generated(seed: Seed) -> Result<Self> {
        let mut rng = Xoshiro256Plus::seed_from_u64(seed.0);
        let mut all = Self {
            what: "Generated machines; lives shortened by exp(-0.5) = 0.607 a unit of load, exp(-0.2) = 0.819 of temperature",
            unit: "h",
            names: vec!["load", "temperature"],
            ..Self::default()
        };
        for asset in 0..500 {
            let (load, temperature) = (rng.gen_range(-1.5..1.5), rng.gen_range(-1.5..1.5f64));
            let scale = 4_000.0 * (-0.5 * load - 0.2 * temperature).exp();
            let life = scale * (-rng.gen_range(f64::MIN_POSITIVE..1.0).ln()).powf(1.0 / 2.2);
            let end = rng.gen_range(1_000.0..9_000.0);
            all.push(asset, (0.0, life.min(end)), life <= end, &[load, temperature]);
        }
        Ok(all)
    }

    /// The AI4I table: a row works the tool from its wear to that wear and what a product of its type takes.
    fn milling(path: &Path) -> Result<Self> {
        let failed = |e: csv::Error| Error::new(ErrorKind::Io, format!("cannot read `{}`: {e}", path.display()));
        let mut reader = csv::Reader::from_path(path).map_err(failed)?;
        let headers = reader.headers().map_err(failed)?.clone();
        let column = |name: &str| {
            headers.iter().position(|h| h == name).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("`{}`: expected a column `{name}`, got {headers:?}", path.display()),
                )
            })
        };
        let inputs = [
            "Air temperature [K]",
            "Process temperature [K]",
            "Rotational speed [rpm]",
            "Torque [Nm]",
        ];
        let inputs = inputs.iter().map(|n| column(n)).collect::<Result<Vec<_>>>()?;
        let (kind, wear, failure) = (column("Type")?, column("Tool wear [min]")?, column("Machine failure")?);
        let mut all = Self {
            what: "Tools of the AI4I milling machine",
            unit: "min",
            names: vec!["air, K", "process above air, K", "speed, 100 rpm", "torque, 10 Nm"],
            ..Self::default()
        };
        let (mut tool, mut before) = (0, f64::NEG_INFINITY);
        for (i, record) in reader.records().enumerate() {
            let record = record.map_err(failed)?;
            let text = |c: usize| record.get(c).unwrap_or_default().trim();
            let number = |c: usize| {
                text(c).parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
                    let at = format!("`{}`, line {}, column `{}`", path.display(), i + 2, &headers[c]);
                    Error::new(
                        ErrorKind::InvalidInput,
                        format!("{at}: expected a number, got `{}`", text(c)),
                    )
                })
            };
            let minutes = match text(kind) {
                "L" => 2.0,
                "M" => 3.0,
                "H" => 5.0,
                other => {
                    let at = format!("`{}`, line {}", path.display(), i + 2);
                    return Err(Error::new(
                        ErrorKind::InvalidInput,
                        format!("{at}: expected type L, M or H, got `{other}`"),
                    ));
                }
            };
            let age = number(wear)?;
            tool += usize::from(age < before);
            before = age;
            let x = inputs.iter().map(|c| number(*c)).collect::<Result<Vec<_>>>()?;
            let row = [x[0], x[1] - x[0], x[2] / 100.0, x[3] / 10.0];
            all.push(tool, (age, age + minutes), text(failure) == "1", &row);
        }
        Ok(all)
    }

    /// The spells of the rows to keep; a tool may fail, be mended and fail again, so rows stand by themselves.
    fn spells(&self, keep: impl Fn(usize) -> bool) -> Result<LifeSpells> {
        let rows: Vec<usize> = (0..self.asset.len()).filter(|i| keep(*i)).collect();
        let of = |x: &[f64]| rows.iter().map(|&i| x[i]).collect::<Vec<_>>();
        let width = self.names.len();
        let covariates = rows.iter().flat_map(|&i| &self.covariates[i * width..(i + 1) * width]);
        LifeSpells::new(of(&self.stop), rows.iter().map(|&i| self.failed[i]).collect())?
            .entering(of(&self.start))?
            .with_covariates(self.names.iter().copied(), covariates.copied().collect())
    }

    /// Areas under the curve of the chance to fail within a spell, by models fitted on other assets: age alone, Weibull,
    /// log-normal, Cox. Where every asset has one spell, the chance is that of failing within the median life.
    fn held_out(&self, n_folds: usize, seed: Seed) -> Result<[f64; 4]> {
        let folds = AssetFolds::new(self.n_assets(), n_folds, seed)?;
        let width = self.names.len();
        let once = self.n_assets() == self.asset.len();
        let (mut scores, mut labels) = ([const { Vec::new() }; 4], Vec::new());
        for fold in 0..n_folds {
            let out = |i: usize| folds.holds_out(fold, self.asset[i] as usize);
            let train = self.spells(|i| !out(i))?;
            let curve = KaplanMeier::fit(&train);
            let weibull = WeibullAft::fit(&train)?;
            let log_normal = LogNormalAft::fit(&train)?;
            let cox = CoxModel::fit(&train)?;
            let horizon = curve.median().unwrap_or(f64::INFINITY);
            for i in (0..self.asset.len()).filter(|i| out(*i)) {
                let row = &self.covariates[i * width..(i + 1) * width];
                let (start, stop) = if once {
                    (0.0, horizon)
                } else {
                    (self.start[i], self.stop[i])
                };
                if once && !self.failed[i] && self.stop[i] < horizon {
                    continue; // taken out of service before the question was settled
                }
                labels.push(self.failed[i] && (!once || self.stop[i] <= horizon));
                let lives = |later: f64, earlier: f64| if earlier > 0.0 { later / earlier } else { 0.0 };
                let chance = [
                    lives(curve.survival(stop), curve.survival(start)),
                    lives(weibull.survival(row, stop)?, weibull.survival(row, start)?),
                    lives(log_normal.survival(row, stop)?, log_normal.survival(row, start)?),
                    cox.survival_given(row, start, stop - start)?,
                ];
                scores.iter_mut().zip(chance).for_each(|(s, lives)| s.push(1.0 - lives));
            }
        }
        let mut areas = [0.0; 4];
        for (area, scores) in areas.iter_mut().zip(&scores) {
            *area = roc_auc(scores, &labels)?;
        }
        Ok(areas)
    }
}
