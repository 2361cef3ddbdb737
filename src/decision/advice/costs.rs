//! What stops, failures and unused life cost.

use super::hazard::Moment;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Costs, lead times and lives are held below this, so that no product of them overflows.
pub(super) const LARGEST: f64 = 1e60;

/// The cost of a planned stop and of a failure, in one unit of money.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CostsRecord", into = "CostsRecord")]
pub struct MaintenanceCosts {
    planned: f64,
    failure: f64,
}

#[derive(Serialize, Deserialize)]
struct CostsRecord {
    planned: f64,
    failure: f64,
}

impl MaintenanceCosts {
    /// The cost of a planned stop, and of a failure with all that follows from it.
    ///
    /// # Errors
    /// `InvalidParameter` unless `planned` is above 0, and `failure` at least as much and at most 1e60.
    pub fn new(planned: f64, failure: f64) -> Result<Self> {
        if !(planned > 0.0 && planned <= LARGEST) {
            return Err(Error::parameter("planned", "above 0 and at most 1e60", planned));
        }
        if !(failure >= planned && failure <= LARGEST) {
            let expected = format!("at least the cost of a planned stop, {planned}, and at most 1e60");
            return Err(Error::parameter("failure", expected, failure));
        }
        Ok(Self { planned, failure })
    }

    /// Cost of a planned stop.
    pub fn planned(&self) -> f64 {
        self.planned
    }

    /// Cost of a failure.
    pub fn failure(&self) -> f64 {
        self.failure
    }

    /// What a failure costs more than a planned stop.
    pub(super) fn at_stake(&self) -> f64 {
        self.failure - self.planned
    }
}

impl TryFrom<CostsRecord> for MaintenanceCosts {
    type Error = Error;

    fn try_from(r: CostsRecord) -> Result<Self> {
        Self::new(r.planned, r.failure)
    }
}

impl From<MaintenanceCosts> for CostsRecord {
    fn from(costs: MaintenanceCosts) -> Self {
        let MaintenanceCosts { planned, failure } = costs;
        Self { planned, failure }
    }
}

/// What is to be least. `S(t)` is the chance of living until `t`, `F(t) = 1 - S(t)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Objective {
    /// The expected cost of one stop, `planned S(t) + failure F(t) + life_value E[max(T - t, 0)]`.
    ///
    /// For a machine whose unused life has a price: a part with so many hours in it, or a machine that is renewed again and
    /// again, with `life_value` the long-run cost a life unit of its kind. With that rate the advice is the renewal-optimal
    /// one for a machine of which more is known than of its kind. Without a value of life the latest time before any risk is
    /// advised. Costs of several machines add up: [`plan_services`](super::plan_services) groups by this one.
    OneStop {
        /// Value of a life unit that is not used, within 0 to 1e60.
        life_value: f64,
    },
    /// The long-run cost a life unit, `(planned S(t) + failure F(t)) / (age + E[min(T, t)])`, of a machine that is renewed at each
    /// stop or failure, by the theorem of renewal and reward.
    ///
    /// For a machine whose rate is not known from its kind; it takes this machine's life for that of all to come. Life that
    /// is not used needs no price: it shortens the denominator.
    ///
    /// Source: R. E. Barlow, L. C. Hunter, Oper. Res. 8, 1960, [doi:10.1287/opre.8.1.90](https://doi.org/10.1287/opre.8.1.90).
    LongRun {
        /// Life units since the last renewal, within 0 to 1e60.
        age: f64,
    },
}

impl Objective {
    pub(super) fn check(&self) -> Result<()> {
        let (name, value) = match *self {
            Self::OneStop { life_value } => ("life_value", life_value),
            Self::LongRun { age } => ("age", age),
        };
        if (0.0..=LARGEST).contains(&value) {
            return Ok(());
        }
        Err(Error::parameter(name, "within 0 to 1e60", value))
    }

    /// Expected cost of a stop at `moment`, where lives last `mean` on average.
    pub(super) fn cost(&self, costs: &MaintenanceCosts, moment: &Moment, mean: f64) -> f64 {
        let stop = costs.planned + costs.at_stake() * moment.failed;
        match *self {
            Self::OneStop { life_value } => stop + life_value * (mean - moment.lived).max(0.0),
            Self::LongRun { age } => stop / (age + moment.lived),
        }
    }
}
