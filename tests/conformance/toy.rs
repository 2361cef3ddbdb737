//! A small regressor with a memory, sound or with one flaw: the suite must pass the first and find every other.

use crate::suite::{self, Rows};
use prognos::{
    Error, ErrorKind, Result,
    envelope::Fingerprint,
    features::{FeatureSchema, FeatureView},
    model::{
        Assessment, N_PERCENTILES, OnlineModel, PersistentModel, RulDistribution, RulEstimate, RulRegressor,
        UnusableReason,
    },
    quantity::LifeUnit,
};
use serde::{Deserialize, Serialize};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

const SOUND: u8 = 0;
const ASSESS_REMEMBERS: u8 = 1;
const MACHINES_SHARE: u8 = 2;
const UNUSABLE_COUNTS: u8 = 3;
const NAN_IS_AN_ERROR: u8 = 4;
const INFINITE: u8 = 5;
const NAN_STAYS: u8 = 6;
const ANY_SCHEMA: u8 = 7;
const ANY_STATE: u8 = 8;
const UNSAVED_STATE: u8 = 9;
const STEP_FORGETS: u8 = 10;
const NEVER_READY: u8 = 11;
const FIT_DIFFERS: u8 = 12;
const FILE_UNCHECKED: u8 = 13;
const LOAD_CHANGES: u8 = 14;
const NEGATIVE_LIFE: u8 = 15;
const CROSSED_INTERVAL: u8 = 16;
const ANY_VERSION: u8 = 17;
const NO_DISTRIBUTION: u8 = 18;
const FLAWS: u8 = 19;

struct Toy<const FLAW: u8> {
    schema: FeatureSchema,
    life: f64,
    hidden: AtomicU32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Memory {
    model: Fingerprint,
    seen: u32,
    mean: f64,
    #[serde(skip)]
    unsaved: u32,
}

#[derive(Serialize, Deserialize)]
struct Persisted {
    schema: FeatureSchema,
    life: f64,
}

static FITS: AtomicU32 = AtomicU32::new(0);

impl<const FLAW: u8> Toy<FLAW> {
    fn fit(schema: &FeatureSchema, life: f64) -> Self {
        let extra = if FLAW == FIT_DIFFERS {
            FITS.fetch_add(1, Relaxed)
        } else {
            0
        };
        Self {
            schema: schema.clone(),
            life: life + f64::from(extra),
            hidden: AtomicU32::new(0),
        }
    }

    fn check(&self, state: &Memory, x: FeatureView<'_>) -> Result<Option<UnusableReason>> {
        if FLAW != ANY_SCHEMA {
            self.schema.expect(x.schema())?;
        }
        if FLAW != ANY_STATE && state.model != self.fingerprint() {
            return Err(Error::new(ErrorKind::StateMismatch, "another model's state"));
        }
        let n_missing = x.values().iter().filter(|v| !v.is_finite()).count() as u32;
        if FLAW == NAN_IS_AN_ERROR && n_missing > 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "missing"));
        }
        Ok((n_missing > 0).then_some(UnusableReason::MissingValues {
            n_missing,
            n_values: x.values().len() as u32,
            first: 0,
        }))
    }
}

impl<const FLAW: u8> OnlineModel for Toy<FLAW> {
    type State = Memory;
    type Output = RulEstimate;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_value(&self.to_persisted()).unwrap()
    }

    fn new_state(&self) -> Memory {
        Memory {
            model: self.fingerprint(),
            seen: 0,
            mean: 0.0,
            unsaved: 0,
        }
    }

    fn assess(&self, state: &Memory, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        if let Some(reason) = self.check(state, x)? {
            return Ok(Assessment::Unusable(reason));
        }
        if state.seen < 2 || FLAW == NEVER_READY {
            return Ok(Assessment::Warmup {
                seen: state.seen,
                needed: 2,
            });
        }
        let hidden = match FLAW {
            ASSESS_REMEMBERS => self.hidden.fetch_add(1, Relaxed),
            MACHINES_SHARE => self.hidden.load(Relaxed),
            UNSAVED_STATE => state.unsaved,
            _ => 0,
        };
        let spent = f64::from(state.seen + hidden) + state.mean.abs().min(10.0);
        let mut rul = (self.life - spent).max(0.0);
        match FLAW {
            INFINITE if x.values()[0].abs() > 1e200 => rul = x.values()[0] * 1e200,
            NAN_STAYS => rul += 0.0 * state.mean,
            NEGATIVE_LIFE => rul = -1.0,
            _ => {}
        }
        let (lower, upper) = if FLAW == CROSSED_INTERVAL {
            (rul + 2.0, rul + 1.0)
        } else {
            (rul * 0.5, rul + 1.0)
        };
        Ok(Assessment::Ready(RulEstimate {
            rul,
            lower,
            upper,
            level: 0.9,
            unit: LifeUnit::Cycles,
        }))
    }

    fn update(&self, state: &mut Memory, x: FeatureView<'_>) -> Result<()> {
        if self.check(state, x)?.is_some() {
            state.seen += u32::from(FLAW == UNUSABLE_COUNTS);
            return Ok(());
        }
        state.seen += 1;
        state.unsaved += 1;
        let value = x.values()[0];
        // Half the old and half the new; a square that overflows and stays is the flaw.
        state.mean = if FLAW == NAN_STAYS {
            state.mean * 0.5 + value * value
        } else {
            state.mean * 0.5 + value * 0.5
        };
        if FLAW == MACHINES_SHARE {
            self.hidden.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn step(&self, state: &mut Memory, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        let outcome = self.assess(state, x)?;
        if FLAW != STEP_FORGETS || state.seen < 5 {
            self.update(state, x)?;
        }
        Ok(outcome)
    }
}

impl<const FLAW: u8> RulRegressor for Toy<FLAW> {
    fn distribution(&self, state: &Memory, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        let estimate = match self.assess(state, x)? {
            Assessment::Ready(e) => e,
            other => return Ok(other.map(|_| unreachable!())),
        };
        if FLAW == NO_DISTRIBUTION {
            return Ok(Assessment::Warmup { seen: 0, needed: 1 });
        }
        // From nothing at all, or from half to a little more than the estimate.
        let mut percentiles = [0.0; N_PERCENTILES];
        for (i, q) in percentiles.iter_mut().enumerate() {
            *q = 0.5 * estimate.rul + (0.5 * estimate.rul + 1.0) * i as f64 / 100.0;
        }
        RulDistribution::new(percentiles, estimate.unit).map(Assessment::Ready)
    }
}

impl<const FLAW: u8> PersistentModel for Toy<FLAW> {
    const KIND: &'static str = "test.toy";
    const KIND_VERSION: u32 = 1;
    type Persisted = Persisted;

    fn to_persisted(&self) -> Persisted {
        Persisted {
            schema: self.schema.clone(),
            life: self.life,
        }
    }

    fn from_persisted(p: Persisted) -> Result<Self> {
        if FLAW != FILE_UNCHECKED && !(p.life >= 0.0 && p.life < 1e6) {
            return Err(Error::new(ErrorKind::Persistence, "life"));
        }
        Ok(Self {
            schema: p.schema,
            life: if FLAW == LOAD_CHANGES { p.life.next_up() } else { p.life },
            hidden: AtomicU32::new(0),
        })
    }

    fn read_payload(version: u32, payload: &[u8]) -> Result<Self> {
        if FLAW != ANY_VERSION && version != 1 {
            return Err(Error::new(ErrorKind::Persistence, "version"));
        }
        Self::from_persisted(prognos::envelope::decode(payload)?)
    }
}

fn whole_suite<const FLAW: u8>(rows: &Rows) {
    let fit = |life: f64| Toy::<FLAW>::fit(rows.table.schema(), life);
    suite::regressor(|| fit(200.0), rows);
    suite::refuses_states_of(&fit(200.0), &fit(300.0), rows);
}

#[test]
fn a_sound_model_passes() {
    whole_suite::<SOUND>(&suite::telemetry().1);
}

#[test]
fn every_flaw_is_found() {
    let rows = suite::telemetry().1;
    macro_rules! found {
        ($($flaw:ident: $law:literal,)*) => {{
            let mut n = 1;
            $(
                let outcome = catch_unwind(AssertUnwindSafe(|| whole_suite::<$flaw>(&rows)));
                let panic = outcome.expect_err(concat!(stringify!($flaw), " passed"));
                let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                assert!(message.contains($law), "{}: {message}", stringify!($flaw));
                n += 1;
            )*
            n
        }};
    }
    let n = found!(
        ASSESS_REMEMBERS: "two assessments differ",
        MACHINES_SHARE: "step gives another outcome than assess",
        UNUSABLE_COUNTS: "is unusable, yet changed the state",
        NAN_IS_AN_ERROR: "is an error: missing",
        INFINITE: "inf)",
        NAN_STAYS: "NaN)",
        ANY_SCHEMA: "another schema was taken",
        ANY_STATE: "a state of another model was taken",
        UNSAVED_STATE: "saving states every 1 rows changes outcomes",
        STEP_FORGETS: "step leaves another state than update",
        NEVER_READY: "0 of 90 clean rows ready",
        FIT_DIFFERS: "two fits on the same data and seed differ",
        FILE_UNCHECKED: "the model of a file with inf",
        LOAD_CHANGES: "loading changes the model",
        NEGATIVE_LIFE: "rul: -1.0",
        CROSSED_INTERVAL: "lower: ",
        ANY_VERSION: "a file of a later version was taken",
        NO_DISTRIBUTION: "a distribution where there is no estimate, or the reverse",
    );
    assert_eq!(n, FLAWS);
}
