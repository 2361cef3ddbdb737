//! Laws of survival models, and data that have no answer.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    ErrorKind,
    features::{FeatureSchema, FeatureTable},
    model::{Assessment, NoPrognosis, OnlineModel, PersistentModel, RulRegressor},
    quantity::LifeUnit,
    rul::{
        RulLabels,
        survival::{
            CoxModel, CoxRul, KaplanMeier, KaplanMeierRul, LifeSpells, LogNormalAft, LogNormalAftRul, NelsonAalen,
            WeibullAft, WeibullAftRul,
        },
    },
    signal::Channel,
};
use proptest::prelude::*;

/// Rows `(start, stop, failed, covariates)`; ages are whole tens, so that there are ties.
type Row = (f64, f64, bool, [f64; 2]);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..5u32, 1..30u32, any::<bool>(), [-3.0..3.0f64, -3.0..3.0f64])
        .prop_map(|(a, b, failed, x)| (f64::from(10 * a), f64::from(10 * (a + b)), failed, x));
    proptest::collection::vec(row, 8..60).prop_map(|mut rows| {
        rows[0].2 = true;
        rows
    })
}

fn spells(rows: &[Row]) -> LifeSpells {
    LifeSpells::new(rows.iter().map(|r| r.1).collect(), rows.iter().map(|r| r.2).collect())
        .unwrap()
        .entering(rows.iter().map(|r| r.0).collect())
        .unwrap()
        .with_covariates(["a", "b"], rows.iter().flat_map(|r| r.3).collect())
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn curves_fall_and_order_changes_no_bit(rows in rows(), turn in 0..60usize) {
        let mut turned = rows.clone();
        turned.rotate_left(turn % rows.len());
        let (s, t) = (spells(&rows), spells(&turned));
        prop_assert_eq!(KaplanMeier::fit(&s), KaplanMeier::fit(&t));
        prop_assert_eq!(NelsonAalen::fit(&s), NelsonAalen::fit(&t));
        let params = CoxModel::params().penalizer(0.1);
        let (model, other) = (params.fit(&s).unwrap(), params.fit(&t).unwrap());
        prop_assert_eq!(format!("{model:?}"), format!("{other:?}"));
        let (km, aft) = (KaplanMeier::fit(&s), WeibullAft::params().penalizer(0.1).fit(&s).unwrap());
        let fall = |f: &dyn Fn(f64) -> f64| (0..40).map(|i| f(f64::from(10 * i))).is_sorted_by(|a, b| a >= b && *a <= 1.0 && *b >= 0.0);
        prop_assert!(fall(&|t| km.survival(t)) && fall(&|t| model.survival(&rows[0].3, t).unwrap()));
        prop_assert!(fall(&|t| aft.survival(&rows[0].3, t).unwrap()));
    }

    /// A failure turned into the end of a record.
    #[test]
    fn more_censoring_never_shortens_life(rows in rows(), which in 0..60usize) {
        let mut censored: Vec<Row> = rows.iter().map(|r| (0.0, r.1, r.2, r.3)).collect();
        let before = spells(&censored);
        let which = 1 + which % (rows.len() - 1);
        censored[which].2 = false;
        let after = spells(&censored);
        let (km, fewer) = (KaplanMeier::fit(&before), KaplanMeier::fit(&after));
        let (na, less) = (NelsonAalen::fit(&before), NelsonAalen::fit(&after));
        for age in (0..35).map(|i| f64::from(10 * i)) {
            prop_assert!(fewer.survival(age) >= km.survival(age) - 1e-12);
            prop_assert!(less.cumulative_hazard(age) <= na.cumulative_hazard(age) + 1e-12);
        }
    }

    /// Lives that are all longer by a factor have the same slopes and shape, and the logarithm of the factor more intercept.
    #[test]
    fn accelerated_lives_shift(rows in rows(), factor in 0.1..10.0f64) {
        let longer: Vec<Row> = rows.iter().map(|r| (r.0 * factor, r.1 * factor, r.2, r.3)).collect();
        let params = WeibullAft::params().penalizer(0.05);
        let (a, b) = (params.fit(&spells(&rows)).unwrap(), params.fit(&spells(&longer)).unwrap());
        prop_assert!((b.intercept().value - a.intercept().value - factor.ln()).abs() < 1e-5);
        prop_assert!((b.log_shape().value - a.log_shape().value).abs() < 1e-5);
        prop_assert!((b.coefficients()[0].value - a.coefficients()[0].value).abs() < 1e-5);
    }
}

#[test]
fn what_has_no_answer_is_refused() {
    let n = 40;
    let stop: Vec<f64> = (0..n).map(|i| f64::from(10 + (7 * i) % 40)).collect();
    let noise: Vec<f64> = (0..n).map(|i| f64::from((11 * i) % 17)).collect();
    let table = |failed: Vec<bool>, second: &dyn Fn(usize) -> f64| {
        let values = noise.iter().enumerate().flat_map(|(i, x)| [*x, second(i)]).collect();
        LifeSpells::new(stop.clone(), failed)
            .unwrap()
            .with_covariates(["noise", "flag"], values)
            .unwrap()
    };
    let failed: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
    type Fit = fn(&LifeSpells) -> prognos::Result<()>;
    let fits: [Fit; 3] = [
        |s| WeibullAft::fit(s).map(|_| ()),
        |s| LogNormalAft::fit(s).map(|_| ()),
        |s| CoxModel::fit(s).map(|_| ()),
    ];
    for (which, fit) in fits.into_iter().enumerate() {
        let e = fit(&table(vec![false; n as usize], &|i| (i % 3) as f64)).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InsufficientData && e.to_string().contains("all censored"),
            "{e}"
        );
        let e = fit(&table(failed.clone(), &|i| 3.0 - 2.0 * noise[i])).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidInput && e.to_string().contains("`flag`, a linear combination of `noise`"),
            "{e}"
        );
        // Only the flagged fail.
        let e =
            fit(&table(failed.clone(), &|i| f64::from(i % 2 == 0))).expect_err(["Weibull", "log-normal", "Cox"][which]);
        assert!(
            e.kind() == ErrorKind::NotConverged && e.to_string().contains("`flag`"),
            "{e}"
        );
        // A constant says nothing.
        fit(&table(failed.clone(), &|_| 5.0)).unwrap();
    }
    assert!(
        CoxModel::params()
            .penalizer(f64::NAN)
            .fit(&table(failed.clone(), &|_| 1.0))
            .is_err()
    );
    assert!(
        WeibullAft::params()
            .penalizer(-1.0)
            .fit(&table(failed, &|_| 1.0))
            .is_err()
    );
    // An exponential life of mean 1: shape 1 is where the data put it, the scale in closed form.
    let lives: Vec<f64> = (0..4000).map(|i| -((f64::from(i) + 0.5) / 4000.0).ln()).collect();
    let model = WeibullAft::fit(&LifeSpells::new(lives, vec![true; 4000]).unwrap()).unwrap();
    assert!(
        model.intercept().value.abs() < 1e-3 && model.log_shape().value.abs() < 1e-3,
        "{model:?}"
    );
}

#[test]
fn machines_are_followed_to_where_knowledge_ends() {
    let (mut values, mut asset, mut times, mut left) = (vec![], vec![], vec![], vec![]);
    for m in 0..20u32 {
        for hour in 0..20 + m {
            values.extend([f64::from(39 - m) + f64::from((7 * m + 5 * hour) % 6), 1.0]);
            asset.push(m);
            times.push(LifeUnit::Cycles.instant(hour.into()));
            left.push(f64::from(20 + m - hour));
        }
    }
    let n = left.len();
    let schema = FeatureSchema::of_channels(&[Channel::new("load", "kW"), Channel::new("still", "V")]).unwrap();
    let table = FeatureTable::new(schema, Array2::from_shape_vec((n, 2), values).unwrap(), asset)
        .unwrap()
        .at(times)
        .unwrap();
    let data = |censored: bool| {
        let labels = RulLabels::censored(left.clone(), vec![censored; n], LifeUnit::Cycles).unwrap();
        DatasetBase::new(table.clone(), labels)
    };
    fn lives_and_ends<M>(model: &M, table: &FeatureTable)
    where
        M: RulRegressor + PersistentModel,
    {
        let mut state = model.new_state();
        // The last machine, which lives longest.
        for view in table.views().skip(table.n_rows() - 39) {
            let d = model.distribution(&state, view).unwrap().ready().unwrap();
            assert!(d.quantile(0.05) <= d.quantile(0.5));
            model.update(&mut state, view).unwrap();
        }
    }
    lives_and_ends(&KaplanMeierRul::params().fit(&data(false)).unwrap(), &table);
    lives_and_ends(&CoxRul::params().fit(&data(false)).unwrap(), &table);
    lives_and_ends(&WeibullAftRul::params().fit(&data(false)).unwrap(), &table);
    lives_and_ends(&LogNormalAftRul::params().fit(&data(false)).unwrap(), &table);
    for e in [
        KaplanMeierRul::params().fit(&data(true)).map(|_| ()).unwrap_err(),
        CoxRul::params().fit(&data(true)).map(|_| ()).unwrap_err(),
        WeibullAftRul::params().fit(&data(true)).map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
    }
    assert!(CoxRul::params().ridge(-1.0).fit(&data(false)).is_err());
    // Past the oldest failure, at 39.
    let km = KaplanMeierRul::params().fit(&data(false)).unwrap();
    let state = km.new_state_since(LifeUnit::Cycles.instant(-40));
    let first = table.views().next().unwrap();
    assert_eq!(
        km.assess(&state, first).unwrap(),
        Assessment::NoPrognosis(NoPrognosis::BeyondKnownLives)
    );
    // Where 3 of 20 failed, most lives lie beyond what is known: a distribution of the rest, but no number.
    let censored: Vec<bool> = table.asset().iter().map(|machine| *machine >= 3).collect();
    let labels = RulLabels::censored(left, censored, LifeUnit::Cycles).unwrap();
    let few = KaplanMeierRul::params()
        .fit(&DatasetBase::new(table.clone(), labels))
        .unwrap();
    let mut state = few.new_state();
    let known = few.distribution(&state, first).unwrap().ready().unwrap();
    assert!(known.median().is_none() && known.quantile(0.05) == 20.0 && (known.beyond() - 0.85).abs() < 1e-9);
    let no_number = Assessment::NoPrognosis(NoPrognosis::BeyondKnownLives);
    assert_eq!(few.assess(&state, first).unwrap(), no_number);
    assert_eq!(few.step(&mut state, first).unwrap(), no_number);
}
