//! Boosted trees against an exact implementation without histograms, and against scikit-learn's; intervals against their
//! nominal level.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{OnlineModel, RulEstimate},
    quantity::{LifeUnit, Seed},
    rul::{GradientBoosting, GradientBoostingParams, RidgeRul, RulLabels},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

type Data = DatasetBase<FeatureTable, RulLabels>;

fn dataset(x: &[Vec<f64>], y: &[f64], asset: Vec<u32>) -> Data {
    let width = x[0].len();
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("x{j}"), "")).collect();
    let values = Array2::from_shape_vec((x.len(), width), x.concat()).unwrap();
    let table = FeatureTable::new(FeatureSchema::of_channels(&channels).unwrap(), values, asset).unwrap();
    DatasetBase::new(table, RulLabels::new(y.to_vec(), LifeUnit::Hours).unwrap())
}

fn estimates<M: OnlineModel<State = (), Output = RulEstimate>>(model: &M, x: &[Vec<f64>]) -> Vec<RulEstimate> {
    let one = |row: &Vec<f64>| model.assess(&(), FeatureView::new(model.schema(), row).unwrap());
    x.iter().map(|row| one(row).unwrap().ready().unwrap()).collect()
}

fn points<M: OnlineModel<State = (), Output = RulEstimate>>(model: &M, x: &[Vec<f64>]) -> Vec<f64> {
    estimates(model, x).into_iter().map(|e| e.rul).collect()
}

fn rms(differences: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = differences.len() as f64;
    (differences.map(|d| d * d).sum::<f64>() / n).sqrt()
}

/// Every row and column for every tree.
fn plain(n_trees: usize) -> GradientBoostingParams {
    GradientBoosting::params()
        .n_trees(n_trees)
        .n_ensembles(1)
        .row_fraction(1.0)
        .column_fraction(1.0)
        .n_folds(2)
}

/// The definitions in the documentation of [`GradientBoosting`], tried split by split on plain floats.
mod exact {
    pub struct Settings {
        pub n_trees: usize,
        pub max_leaves: usize,
        pub min_leaf_rows: usize,
        pub l2: f64,
        pub learning_rate: f64,
    }

    #[derive(Clone)]
    enum Node {
        Leaf(f64),
        Split(Split, usize, usize),
    }

    #[derive(Clone, Copy)]
    struct Split {
        gain: f64,
        feature: usize,
        cut: f64,
        missing_left: bool,
    }

    impl Split {
        fn left(&self, row: &[f64]) -> bool {
            let v = row[self.feature];
            if v.is_nan() { self.missing_left } else { v <= self.cut }
        }
    }

    pub struct Model {
        base: f64,
        trees: Vec<Vec<Node>>,
    }

    impl Model {
        pub fn fit(x: &[Vec<f64>], y: &[f64], s: &Settings) -> Self {
            let cuts: Vec<Vec<f64>> = (0..x[0].len()).map(|f| cuts(x, f)).collect();
            let base = y.iter().sum::<f64>() / y.len() as f64;
            let mut model = Self {
                base,
                trees: Vec::new(),
            };
            let mut residual: Vec<f64> = y.iter().map(|y| y - base).collect();
            for _ in 0..s.n_trees {
                let tree = grow(x, &residual, &cuts, s);
                for (r, row) in residual.iter_mut().zip(x) {
                    *r -= value(&tree, row);
                }
                model.trees.push(tree);
            }
            model
        }

        pub fn predict(&self, row: &[f64]) -> f64 {
            self.base + self.trees.iter().map(|t| value(t, row)).sum::<f64>()
        }
    }

    fn value(tree: &[Node], row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            match &tree[at] {
                Node::Leaf(v) => return *v,
                Node::Split(s, left, right) => at = if s.left(row) { *left } else { *right },
            }
        }
    }

    /// Halfway between neighbouring values.
    fn cuts(x: &[Vec<f64>], f: usize) -> Vec<f64> {
        let mut values: Vec<f64> = x.iter().map(|r| r[f]).filter(|v| !v.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values.windows(2).map(|w| w[0] + (w[1] - w[0]) / 2.0).collect()
    }

    fn grow(x: &[Vec<f64>], residual: &[f64], cuts: &[Vec<f64>], s: &Settings) -> Vec<Node> {
        let leaf = |rows: &[usize]| {
            let sum: f64 = rows.iter().map(|&r| residual[r]).sum();
            Node::Leaf(s.learning_rate * sum / (rows.len() as f64 + s.l2))
        };
        let all: Vec<usize> = (0..x.len()).collect();
        let mut nodes = vec![leaf(&all)];
        let mut leaves = vec![(0, best(x, residual, cuts, s, &all), all)];
        while leaves.len() < s.max_leaves {
            let gain = |l: &(usize, Option<Split>, Vec<usize>)| l.1.map_or(0.0, |s| s.gain);
            let (i, most) = leaves
                .iter()
                .map(gain)
                .enumerate()
                .fold((0, 0.0), |b, (i, g)| if g > b.1 { (i, g) } else { b });
            if most <= 0.0 {
                break;
            }
            let (node, split, rows) = leaves.swap_remove(i);
            let split = split.unwrap();
            let (left, right): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(|&r| split.left(&x[r]));
            nodes[node] = Node::Split(split, nodes.len(), nodes.len() + 1);
            for rows in [left, right] {
                leaves.push((nodes.len(), best(x, residual, cuts, s, &rows), rows.clone()));
                nodes.push(leaf(&rows));
            }
        }
        nodes
    }

    fn best(x: &[Vec<f64>], residual: &[f64], cuts: &[Vec<f64>], s: &Settings, rows: &[usize]) -> Option<Split> {
        let part = |sum: f64, n: usize| sum * sum / (n as f64 + s.l2);
        let total: f64 = rows.iter().map(|&r| residual[r]).sum();
        let mut best: Option<Split> = None;
        for (feature, cuts) in cuts.iter().enumerate() {
            let n_missing = rows.iter().filter(|&&r| x[r][feature].is_nan()).count();
            for missing_left in [false, true] {
                for &cut in cuts {
                    let mut split = Split {
                        gain: 0.0,
                        feature,
                        cut,
                        missing_left,
                    };
                    let left = rows.iter().filter(|&&r| split.left(&x[r]));
                    let (n, sum) = left.fold((0, 0.0), |(n, sum), &r| (n + 1, sum + residual[r]));
                    if n < s.min_leaf_rows || rows.len() - n < s.min_leaf_rows {
                        continue;
                    }
                    let parts = part(sum, n) + part(total - sum, rows.len() - n);
                    split.gain = parts - part(total, rows.len());
                    if n_missing == 0 {
                        // A value that was never missing here goes with the many when it is.
                        split.missing_left = n > rows.len() - n;
                    }
                    // Later ones must be better by more than rounding.
                    let least = best.map_or(1e-12 * parts, |b| b.gain + 1e-12 * parts);
                    if split.gain > least {
                        best = Some(split);
                    }
                }
            }
        }
        best
    }
}

/// Rows whose features take few values, so that there are cuts between all of them, some missing.
fn few_valued(seed: u64, n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut row = || {
        let steps = [7.0, 15.0, 20.0, 3.0];
        let mut x: Vec<f64> = steps
            .iter()
            .map(|s| (rng.r#gen::<f64>() * s).floor() / s - 0.4)
            .collect();
        let noise = rng.r#gen::<f64>() + rng.r#gen::<f64>();
        let y = 100.0 + 30.0 * x[0] * x[1] + 40.0 * x[2].abs() + 5.0 * x[3] + 4.0 * noise;
        let (a, b): (f64, f64) = (rng.r#gen(), rng.r#gen());
        // One goes missing at random, one where it matters.
        x[1] = if a < 0.1 { f64::NAN } else { x[1] };
        x[2] = if b < x[2] { f64::NAN } else { x[2] };
        (x, y)
    };
    (0..n).map(|_| row()).unzip()
}

#[test]
fn trees_are_those_of_an_exact_search() {
    for (seed, l2, learning_rate, max_leaves) in [
        (1, 2.0, 0.1, 8),
        (2, 0.0, 0.3, 15),
        (3, 50.0, 1.0, 2),
        (4, 1.0, 0.05, 31),
    ] {
        let (x, y) = few_valued(seed, 600);
        let (fresh, _) = few_valued(seed + 100, 200);
        let settings = exact::Settings {
            n_trees: 20,
            max_leaves,
            min_leaf_rows: 12,
            l2,
            learning_rate,
        };
        let expected = exact::Model::fit(&x, &y, &settings);
        let params = plain(settings.n_trees)
            .max_leaves(max_leaves)
            .min_leaf_rows(settings.min_leaf_rows)
            .l2(l2)
            .learning_rate(learning_rate);
        let model = params
            .fit(&dataset(&x, &y, (0..600).map(|i| i % 10).collect()))
            .unwrap();
        // A gradient is rounded by at most the largest residual (below 60) over 2^22. Each tree adds that times its
        // learning rate, and averaging over leaves does not enlarge the root mean square of what the trees before left.
        let rounding = 60.0 / f64::from(1 << 22);
        let bound = rounding * learning_rate * settings.n_trees as f64;
        let differences = |rows: &[Vec<f64>]| {
            let ours = points(&model, rows);
            let pairs = rows.iter().zip(ours);
            pairs.map(|(r, got)| got - expected.predict(r)).collect::<Vec<f64>>()
        };
        let on_training = differences(&x);
        assert!(
            rms(on_training.iter().copied()) <= bound,
            "seed {seed}: {} over {bound}",
            rms(on_training.into_iter())
        );
        // Another split anywhere would move some row by far more.
        for (row, d) in fresh.iter().zip(differences(&fresh)) {
            assert!(d.abs() <= 20.0 * bound, "seed {seed}, {row:?}: {d} over {bound}");
        }
        let nothing = vec![f64::NAN, f64::NAN, f64::NAN, 0.1];
        assert!(differences(&[nothing])[0].abs() <= 20.0 * bound);
    }
}

#[test]
fn errors_are_scikit_learns() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/gradient_boosting.json")).unwrap();
    let number = |key: &str| golden[key].as_f64().unwrap();
    let (n_train, n_features) = (number("n_train") as usize, number("n_features") as usize);
    let mut rng = Xoshiro256Plus::seed_from_u64(number("seed") as u64);
    let mut uniform = || rng.r#gen::<f64>();
    let mut row = || {
        let mut x: Vec<f64> = (0..n_features).map(|_| uniform()).collect();
        let noise = uniform() + uniform() + uniform() - 1.5;
        let y = 10.0 * (std::f64::consts::PI * x[0] * x[1]).sin()
            + 20.0 * (x[2] - 0.5).powi(2)
            + 10.0 * x[3]
            + 5.0 * x[4]
            + 10.0
            + 2.0 * noise;
        if uniform() < 0.2 * x[3] {
            x[3] = f64::NAN;
        }
        (x, y)
    };
    let (x, y): (Vec<_>, Vec<_>) = (0..n_train + number("n_test") as usize).map(|_| row()).unzip();
    let sum: f64 = y.iter().sum();
    assert!((sum - number("sum_of_y")).abs() < 1e-6, "the same table");
    let s = &golden["settings"];
    let (count, value) = (
        |key: &str| s[key].as_u64().unwrap() as usize,
        |key: &str| s[key].as_f64().unwrap(),
    );
    let params = plain(count("n_trees"))
        .learning_rate(value("learning_rate"))
        .max_leaves(count("max_leaves"))
        .min_leaf_rows(count("min_leaf_rows"))
        .l2(value("l2"))
        .n_bins(count("n_bins"));
    let (train, test) = (&x[..n_train], &x[n_train..]);
    let data = dataset(train, &y[..n_train], (0..n_train as u32).map(|i| i % 10).collect());
    let model = params.fit(&data).unwrap();
    let error = |x: &[Vec<f64>], y: &[f64]| rms(points(&model, x).into_iter().zip(y).map(|(p, y)| p - y));
    for (what, got, expected) in [
        ("training", error(train, &y[..n_train]), number("rmse_train")),
        ("test", error(test, &y[n_train..]), number("rmse_test")),
    ] {
        // Bins are cut at other quantiles; two per cent is what the seed of the table changes, too.
        assert!(
            (got / expected - 1.0).abs() < 0.03,
            "{what}: {got}, scikit-learn {expected}"
        );
    }
    assert!(
        number("rmse_test") < 0.4 * number("rmse_constant"),
        "there is something to learn"
    );
    // What the defaults add, drawn rows and columns, must not be worse by much.
    let drawn = params
        .row_fraction(0.6)
        .column_fraction(0.6)
        .n_ensembles(3)
        .fit(&data)
        .unwrap();
    let error = rms(points(&drawn, test).into_iter().zip(&y[n_train..]).map(|(p, y)| p - y));
    assert!(error < 1.05 * number("rmse_test"), "{error}");
}

/// Machines of which each has an error of its own: 20 rows a machine that are far from independent.
fn machines(seed: u64, n: usize) -> (Vec<Vec<f64>>, Vec<f64>, Vec<u32>) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let (mut x, mut y, mut asset) = (Vec::new(), Vec::new(), Vec::new());
    for machine in 0..n {
        let own = rng.r#gen::<f64>() + rng.r#gen::<f64>() - 1.0;
        for k in 0..20 {
            let life = 100.0 - 5.0 * f64::from(k);
            // Wear shows late: the same reading means anything from 60 up, and near the end one life.
            let shown = (life.min(60.0) + (2.0 + life / 8.0) * (own + 0.5 * (rng.r#gen::<f64>() - 0.5))).max(0.0);
            x.push(vec![shown, rng.r#gen()]);
            y.push(life);
            asset.push(machine as u32);
        }
    }
    (x, y, asset)
}

/// The law of the intervals: over training fleets and machines, they hold the nominal share of truths.
#[test]
fn intervals_hold_their_level() {
    for level in [0.5, 0.8, 0.9, 0.95] {
        let (mut inside, mut all, mut by_fleet) = (0, 0, Vec::new());
        for fleet in 0..12 {
            let (x, y, asset) = machines(fleet, 60);
            let params = RidgeRul::params().lambda(1.0).interval(level).seed(Seed(fleet));
            let model = params.fit(&dataset(&x, &y, asset)).unwrap();
            let (x, y, _) = machines(1000 + fleet, 100);
            let held = estimates(&model, &x)
                .iter()
                .zip(&y)
                .filter(|(e, y)| e.lower <= **y && **y <= e.upper)
                .count();
            by_fleet.push(held as f64 / y.len() as f64);
            inside += held;
            all += y.len();
        }
        let share = inside as f64 / all as f64;
        // 1,200 machines whose rows hang together, calibrated on 60 each: the spread between fleets says a standard error
        // of the mean of 0.006. A narrow interval beside its point is widened to hold it, and then holds more.
        let most = if level < 0.8 { 1.0 } else { level + 0.03 };
        assert!(
            (level - 0.03..most).contains(&share),
            "{level}: {share}, by fleet {by_fleet:?}"
        );
    }
}
