//! Physical quantities and identities, validated where the API meets the user.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! positive {
    ($(#[$doc:meta])* $name:ident, $what:literal, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// # Errors
            /// `InvalidParameter` unless the value is finite and above zero.
            pub fn new(value: f64) -> Result<Self> {
                if value.is_finite() && value > 0.0 {
                    Ok(Self(value))
                } else {
                    Err(Error::parameter($what, concat!("finite and above 0 ", $unit), value))
                }
            }

            /// The bare number, in the unit the type is named after.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = Error;
            fn try_from(value: f64) -> Result<Self> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(q: $name) -> f64 {
                q.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $unit), self.0)
            }
        }
    };
}

positive!(
    /// A rate or frequency in hertz, finite and above zero.
    Hertz, "rate", "Hz"
);
positive!(
    /// A duration in seconds, finite and above zero.
    Seconds, "duration", "s"
);

impl Hertz {
    /// The rotation rate of a shaft at `rpm` revolutions a minute.
    ///
    /// # Errors
    /// `InvalidParameter` unless `rpm` is finite and above zero: a standing shaft has no rate.
    pub fn from_rpm(rpm: f64) -> Result<Self> {
        if rpm.is_finite() && rpm > 0.0 {
            Self::new(rpm / 60.0)
        } else {
            Err(Error::parameter("speed", "finite and above 0 rpm", rpm))
        }
    }

    /// Revolutions a minute.
    pub fn rpm(self) -> f64 {
        self.0 * 60.0
    }
}

/// One standard gravity in m/s², exact by definition (3rd General Conference on Weights and Measures, 1901).
pub const STANDARD_GRAVITY_M_PER_S2: f64 = 9.806_65;

/// The unit of accelerations.
///
/// ```
/// use prognos::quantity::AccelerationUnit;
/// let unit = AccelerationUnit::parse("g")?;
/// assert_eq!(2.0 * unit.m_per_s2(), 19.6133);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccelerationUnit {
    /// m/s². The default.
    #[default]
    #[serde(rename = "m/s²", alias = "m/s2", alias = "m/s^2")]
    MPerS2,
    /// Standard gravity, 9.80665 m/s².
    #[serde(rename = "g")]
    StandardGravity,
}

impl AccelerationUnit {
    /// From how channels name it: `g`, or `m/s²`, `m/s2`, `m/s^2`. Blanks around it mean nothing.
    ///
    /// # Errors
    /// `InvalidInput` for any other name.
    pub fn parse(name: &str) -> Result<Self> {
        match name.trim() {
            "g" => Ok(Self::StandardGravity),
            "m/s²" | "m/s2" | "m/s^2" => Ok(Self::MPerS2),
            other => Err(Error::input("unit of accelerations", "g or m/s²", format!("`{other}`"))),
        }
    }

    /// Its length in m/s²: what values in this unit are multiplied by.
    pub const fn m_per_s2(self) -> f64 {
        match self {
            Self::MPerS2 => 1.0,
            Self::StandardGravity => STANDARD_GRAVITY_M_PER_S2,
        }
    }

    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MPerS2 => "m/s²",
            Self::StandardGravity => "g",
        }
    }
}

impl std::str::FromStr for AccelerationUnit {
    type Err = Error;

    /// As [`parse`](AccelerationUnit::parse).
    fn from_str(name: &str) -> Result<Self> {
        Self::parse(name)
    }
}

impl fmt::Display for AccelerationUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An instant: nanoseconds since the Unix epoch.
///
/// Recordings that count cycles instead of time lay one cycle on one unit of their [`LifeUnit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the Unix epoch; saturates at the ends of the range (years 1677 and 2262).
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// `self - earlier` in seconds; negative where `earlier` is later. Exact to a nanosecond below 104 days.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (i128::from(self.0) - i128::from(earlier.0)) as f64 * 1e-9
    }
}

impl fmt::Display for Timestamp {
    /// Seconds since the Unix epoch with as many decimals as the nanoseconds need: `241 s`, `0.5 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let (whole, mut rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        write!(f, "{}{whole}", if self.0 < 0 { "-" } else { "" })?;
        if rest != 0 {
            let mut decimals = 9;
            while rest % 10 == 0 {
                rest /= 10;
                decimals -= 1;
            }
            write!(f, ".{rest:0decimals$}")?;
        }
        f.write_str(" s")
    }
}

/// The unit in which age, spans of features and remaining life are counted.
///
/// A unit has a name and a length on the time axis: hours are 3,600 s. A machine that is logged once a working cycle has
/// [`LifeUnit::Cycles`]: by convention its rows lie one second apart on the time axis, cycle `k` at `k` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LifeUnit {
    /// Working cycles, one second of the time axis each.
    Cycles,
    /// Seconds.
    Seconds,
    /// Hours of 3,600 s.
    Hours,
    /// Days of 86,400 s.
    Days,
}

impl LifeUnit {
    /// Nanoseconds of the time axis in one unit.
    pub const fn nanos(self) -> i64 {
        match self {
            Self::Cycles | Self::Seconds => 1_000_000_000,
            Self::Hours => 3_600_000_000_000,
            Self::Days => 86_400_000_000_000,
        }
    }

    /// The plural name, as printed behind a number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cycles => "cycles",
            Self::Seconds => "s",
            Self::Hours => "h",
            Self::Days => "days",
        }
    }

    /// `later - earlier` in this unit. Exact for differences below 2^53 ns that are whole units.
    pub fn between(self, earlier: Timestamp, later: Timestamp) -> f64 {
        (i128::from(later.0) - i128::from(earlier.0)) as f64 / self.nanos() as f64
    }

    /// The instant `count` whole units after the epoch; saturates at the ends of the range.
    pub const fn instant(self, count: i64) -> Timestamp {
        Timestamp(count.saturating_mul(self.nanos()))
    }
}

impl fmt::Display for LifeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A seed: the same seed gives the same result on every machine and thread count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// An independent seed for part `index` of a seeded whole (SplitMix64 over both numbers).
    #[must_use]
    pub fn part(self, index: u64) -> Self {
        let mut z = self
            .0
            .wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self(z ^ (z >> 31))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_refuse_what_is_not_positive_and_finite() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Hertz::new(bad).is_err(), "{bad}");
            assert!(rmp_serde::from_slice::<Seconds>(&rmp_serde::to_vec(&bad).unwrap()).is_err());
        }
        assert_eq!(Hertz::new(25_600.0).unwrap().to_string(), "25600 Hz");
    }

    #[test]
    fn units_of_acceleration_are_read_as_they_are_written() {
        for unit in [AccelerationUnit::MPerS2, AccelerationUnit::StandardGravity] {
            assert_eq!(AccelerationUnit::parse(&unit.to_string()).unwrap(), unit);
            assert_eq!(serde_json::to_string(&unit).unwrap(), format!("\"{unit}\""));
        }
        for name in ["m/s2", "m/s^2", "m/s²"] {
            assert_eq!(name.parse::<AccelerationUnit>().unwrap(), AccelerationUnit::MPerS2);
            let read: AccelerationUnit = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            assert_eq!(read, AccelerationUnit::MPerS2);
        }
        for bad in ["", "G", "mg", "m/s", "ms2"] {
            assert!(AccelerationUnit::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(AccelerationUnit::StandardGravity.m_per_s2(), 9.80665);
    }

    #[test]
    fn time_differences_do_not_overflow() {
        let (a, b) = (Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
        assert!(b.seconds_since(a) > 1.8e10 && LifeUnit::Days.between(b, a) < 0.0);
        assert_eq!(
            LifeUnit::Cycles.between(LifeUnit::Cycles.instant(3), LifeUnit::Cycles.instant(10)),
            7.0
        );
        assert_eq!(Timestamp::from_secs(i64::MAX).nanos(), i64::MAX);
    }

    #[test]
    fn instants_print_no_more_decimals_than_they_have() {
        for (nanos, printed) in [
            (0, "0 s"),
            (241_000_000_000, "241 s"),
            (1_050_000_000, "1.05 s"),
            (1, "0.000000001 s"),
            (-500_000_000, "-0.5 s"),
            (i64::MIN, "-9223372036.854775808 s"),
        ] {
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), printed);
        }
    }

    #[test]
    fn parts_of_a_seed_differ() {
        assert_ne!(Seed(1).part(0), Seed(1).part(1));
        assert_ne!(Seed(1).part(0), Seed(2).part(0));
    }
}
