//! Vibration severity of machines by the zones of ISO 20816-3 and its predecessors.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The edition of the standard whose boundaries are used; every [`Severity`] carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SeverityEdition {
    /// ISO 20816-3:2022, speeds of 120 to 30,000 rpm.
    #[default]
    #[serde(rename = "ISO 20816-3:2022")]
    Iso20816Part3Of2022,
    /// ISO 10816-3:2009, speeds of 120 to 15,000 rpm. Pumps are left to ISO 10816-7.
    #[serde(rename = "ISO 10816-3:2009")]
    Iso10816Part3Of2009,
    /// ISO 10816-3:1998, which had groups of its own for pumps.
    #[serde(rename = "ISO 10816-3:1998")]
    Iso10816Part3Of1998,
}

impl SeverityEdition {
    /// The standard's number and year, such as `ISO 20816-3:2022`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iso20816Part3Of2022 => "ISO 20816-3:2022",
            Self::Iso10816Part3Of2009 => "ISO 10816-3:2009",
            Self::Iso10816Part3Of1998 => "ISO 10816-3:1998",
        }
    }

    /// The speeds the edition is for, in rpm.
    pub fn speeds_rpm(self) -> (f64, f64) {
        match self {
            Self::Iso20816Part3Of2022 => (120.0, 30_000.0),
            _ => (120.0, 15_000.0),
        }
    }
}

impl fmt::Display for SeverityEdition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of machine it is, none of them for 15 kW or less; by rated power, or by the height of the shaft for electrical machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MachineGroup {
    /// Group 1: above 300 kW (to 50 MW; 40 MW in 2022), or electrical machines with a shaft height of 315 mm or more.
    Large,
    /// Group 2: above 15 kW up to 300 kW, or electrical machines with a shaft height of 160 mm up to 315 mm.
    Medium,
    /// Group 3 of 1998: pumps above 15 kW with a separate driver.
    PumpSeparateDriver,
    /// Group 4 of 1998: pumps above 15 kW with an integrated driver.
    PumpIntegratedDriver,
}

/// How the machine stands: rigid where the lowest natural frequency of machine and support in the direction of measurement
/// lies a quarter above the main frequency of excitation (mostly the shaft's) or higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mounting {
    /// On a rigid support.
    Rigid,
    /// On a flexible support.
    Flexible,
}

/// The evaluation zone of a machine, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SeverityZone {
    /// As newly commissioned machines.
    A,
    /// Fit for long-term operation without restriction.
    B,
    /// Not fit for long-term operation: to be remedied at the next opportunity.
    C,
    /// Severe enough to do damage.
    D,
}

impl fmt::Display for SeverityZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        })
    }
}

/// The quantity that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeverityQuantity {
    /// Root-mean-square velocity in mm/s.
    VelocityMmS,
    /// Root-mean-square displacement in micrometres.
    DisplacementUm,
}

/// Zone boundaries of one kind of machine by one edition of the standard.
///
/// The quantity is the broad-band RMS velocity, from 10 Hz (2 Hz for machines below 600 rpm) to 1,000 Hz, on bearing
/// housings in steady operation; the largest of the measured directions counts. Displacement is judged likewise where low
/// frequencies are expected, and the worse of both zones holds.
///
/// | group | mounting | velocity A/B, B/C, C/D, mm/s | displacement, µm |
/// |---|---|---|---|
/// | large (1) | rigid | 2.3, 4.5, 7.1 | 29, 57, 90 |
/// | large (1) | flexible | 3.5, 7.1, 11.0 | 45, 90, 140 |
/// | medium (2) | rigid | 1.4, 2.8, 4.5 | 22, 45, 71 |
/// | medium (2) | flexible | 2.3, 4.5, 7.1 | 37, 71, 113 |
/// | pump, separate driver (3) | rigid | 2.3, 4.5, 7.1 | 18, 36, 56 |
/// | pump, separate driver (3) | flexible | 3.5, 7.1, 11.0 | 28, 56, 90 |
/// | pump, integrated driver (4) | rigid | 1.4, 2.8, 4.5 | 11, 22, 36 |
/// | pump, integrated driver (4) | flexible | 2.3, 4.5, 7.1 | 18, 36, 56 |
///
/// Groups 3 and 4 exist in the edition of 1998 only. A value on a boundary belongs to the better zone. NaN, infinity and
/// negative readings have no zone.
///
/// The numbers were taken from secondary sources; the standards themselves are not free. For the edition of 2022 those
/// agree on B/C and C/D but not on whether zones A and B are still told apart: treat A against B there as advice.
///
/// ```
/// use prognos::features::severity::{MachineGroup, Mounting, SeverityEdition, SeverityLimits, SeverityZone};
/// let pump_motor = SeverityLimits::new(SeverityEdition::default(), MachineGroup::Medium, Mounting::Rigid)?;
/// let severity = pump_motor.of_velocity(3.1);
/// assert_eq!(severity.zone, Some(SeverityZone::C));
/// assert_eq!(severity.to_string(), "zone C by ISO 20816-3:2022: 3.10 mm/s RMS (A/B 1.4, B/C 2.8, C/D 4.5)");
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "(SeverityEdition, MachineGroup, Mounting)",
    into = "(SeverityEdition, MachineGroup, Mounting)"
)]
pub struct SeverityLimits {
    edition: SeverityEdition,
    group: MachineGroup,
    mounting: Mounting,
    velocity_mm_s: [f64; 3],
    displacement_um: [f64; 3],
}

impl SeverityLimits {
    /// The boundaries for this kind of machine.
    ///
    /// # Errors
    /// `InvalidParameter` where the edition has no such group.
    pub fn new(edition: SeverityEdition, group: MachineGroup, mounting: Mounting) -> Result<Self> {
        use {MachineGroup as G, Mounting as M};
        let is_pump = matches!(group, G::PumpSeparateDriver | G::PumpIntegratedDriver);
        if is_pump && edition != SeverityEdition::Iso10816Part3Of1998 {
            let expected = format!("large or medium for {edition}; pumps are in ISO 10816-7, or in ISO 10816-3:1998");
            return Err(Error::parameter("group", expected, format!("{group:?}")));
        }
        let (velocity_mm_s, displacement_um) = match (group, mounting) {
            (G::Large, M::Rigid) => ([2.3, 4.5, 7.1], [29.0, 57.0, 90.0]),
            (G::Large, M::Flexible) => ([3.5, 7.1, 11.0], [45.0, 90.0, 140.0]),
            (G::Medium, M::Rigid) => ([1.4, 2.8, 4.5], [22.0, 45.0, 71.0]),
            (G::Medium, M::Flexible) => ([2.3, 4.5, 7.1], [37.0, 71.0, 113.0]),
            (G::PumpSeparateDriver, M::Rigid) => ([2.3, 4.5, 7.1], [18.0, 36.0, 56.0]),
            (G::PumpSeparateDriver, M::Flexible) => ([3.5, 7.1, 11.0], [28.0, 56.0, 90.0]),
            (G::PumpIntegratedDriver, M::Rigid) => ([1.4, 2.8, 4.5], [11.0, 22.0, 36.0]),
            (G::PumpIntegratedDriver, M::Flexible) => ([2.3, 4.5, 7.1], [18.0, 36.0, 56.0]),
        };
        Ok(Self {
            edition,
            group,
            mounting,
            velocity_mm_s,
            displacement_um,
        })
    }

    /// The edition of the standard.
    pub fn edition(&self) -> SeverityEdition {
        self.edition
    }

    /// The group of machines.
    pub fn group(&self) -> MachineGroup {
        self.group
    }

    /// How the machine stands.
    pub fn mounting(&self) -> Mounting {
        self.mounting
    }

    /// The band in hertz over which velocity is to be measured, for a machine that turns at `shaft`.
    ///
    /// From acceleration: [`Integrator`](crate::signal::Integrator), whose high-pass rises from a stop frequency to the lower
    /// end of this band (8 to 10 Hz, say: that pair is no band), then a low-pass at the upper end
    /// ([`Butterworth`](crate::signal::Butterworth)), then RMS.
    pub fn band_hz(shaft: crate::quantity::Hertz) -> (f64, f64) {
        (if shaft.rpm() < 600.0 { 2.0 } else { 10.0 }, 1000.0)
    }

    /// The severity of an RMS velocity in mm/s.
    pub fn of_velocity(&self, rms_mm_s: f64) -> Severity {
        self.of(SeverityQuantity::VelocityMmS, rms_mm_s, self.velocity_mm_s)
    }

    /// The severity of an RMS displacement in micrometres.
    pub fn of_displacement(&self, rms_um: f64) -> Severity {
        self.of(SeverityQuantity::DisplacementUm, rms_um, self.displacement_um)
    }

    fn of(&self, quantity: SeverityQuantity, value: f64, boundaries: [f64; 3]) -> Severity {
        let zone = (value.is_finite() && value >= 0.0).then(|| {
            let passed = boundaries.iter().filter(|b| value > **b).count();
            match passed {
                0 => SeverityZone::A,
                1 => SeverityZone::B,
                2 => SeverityZone::C,
                _ => SeverityZone::D,
            }
        });
        Severity {
            zone,
            edition: self.edition,
            group: self.group,
            mounting: self.mounting,
            quantity,
            value,
            boundaries,
        }
    }
}

impl TryFrom<(SeverityEdition, MachineGroup, Mounting)> for SeverityLimits {
    type Error = Error;
    fn try_from((edition, group, mounting): (SeverityEdition, MachineGroup, Mounting)) -> Result<Self> {
        Self::new(edition, group, mounting)
    }
}

impl From<SeverityLimits> for (SeverityEdition, MachineGroup, Mounting) {
    fn from(l: SeverityLimits) -> Self {
        (l.edition, l.group, l.mounting)
    }
}

/// The zone of one reading, with all that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Severity {
    /// The zone; none where the reading is NaN, infinite or negative.
    pub zone: Option<SeverityZone>,
    /// The edition of the standard.
    pub edition: SeverityEdition,
    /// The group of machines.
    pub group: MachineGroup,
    /// How the machine stands.
    pub mounting: Mounting,
    /// What was judged, and its unit.
    pub quantity: SeverityQuantity,
    /// The reading.
    pub value: f64,
    /// The boundaries A/B, B/C and C/D.
    pub boundaries: [f64; 3],
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.quantity {
            SeverityQuantity::VelocityMmS => "mm/s",
            SeverityQuantity::DisplacementUm => "µm",
        };
        match self.zone {
            Some(zone) => write!(f, "zone {zone}")?,
            None => f.write_str("no zone")?,
        }
        let [ab, bc, cd] = self.boundaries;
        write!(
            f,
            " by {}: {:.2} {unit} RMS (A/B {ab}, B/C {bc}, C/D {cd})",
            self.edition, self.value
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Hertz;

    const GROUPS: [MachineGroup; 4] = [
        MachineGroup::Large,
        MachineGroup::Medium,
        MachineGroup::PumpSeparateDriver,
        MachineGroup::PumpIntegratedDriver,
    ];

    #[test]
    fn boundaries_part_the_zones_and_rise() {
        for group in GROUPS {
            for mounting in [Mounting::Rigid, Mounting::Flexible] {
                let l = SeverityLimits::new(SeverityEdition::Iso10816Part3Of1998, group, mounting).unwrap();
                for (of, b) in [
                    (SeverityLimits::of_velocity as fn(&_, _) -> _, l.velocity_mm_s),
                    (SeverityLimits::of_displacement, l.displacement_um),
                ] {
                    assert!(b[0] < b[1] && b[1] < b[2]);
                    let zones: Vec<_> = [
                        0.0,
                        b[0],
                        b[0].next_up(),
                        b[1],
                        b[1].next_up(),
                        b[2],
                        b[2].next_up(),
                        1e300,
                    ]
                    .iter()
                    .map(|v| of(&l, *v).zone.unwrap())
                    .collect();
                    use SeverityZone::{A, B, C, D};
                    assert_eq!(zones, [A, A, B, B, C, C, D, D]);
                }
                // A flexible support allows more than a rigid one.
                let rigid = SeverityLimits::new(l.edition, group, Mounting::Rigid).unwrap();
                assert!(l.velocity_mm_s.iter().zip(rigid.velocity_mm_s).all(|(a, b)| *a >= b));
            }
        }
    }

    #[test]
    fn bad_readings_have_no_zone() {
        let l = SeverityLimits::new(SeverityEdition::default(), MachineGroup::Large, Mounting::Rigid).unwrap();
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            let s = l.of_velocity(v);
            assert_eq!((s.zone, s.edition), (None, SeverityEdition::Iso20816Part3Of2022));
            assert!(s.to_string().starts_with("no zone by ISO 20816-3:2022"), "{s}");
        }
    }

    #[test]
    fn pumps_are_in_the_edition_of_1998_only() {
        for edition in [
            SeverityEdition::Iso20816Part3Of2022,
            SeverityEdition::Iso10816Part3Of2009,
        ] {
            let e = SeverityLimits::new(edition, MachineGroup::PumpSeparateDriver, Mounting::Rigid).unwrap_err();
            assert!(e.to_string().contains("ISO 10816-7"), "{e}");
            let text = serde_json::to_string(&(edition, MachineGroup::PumpSeparateDriver, Mounting::Rigid)).unwrap();
            assert!(serde_json::from_str::<SeverityLimits>(&text).is_err());
        }
        let l = SeverityLimits::new(
            SeverityEdition::Iso10816Part3Of2009,
            MachineGroup::Medium,
            Mounting::Flexible,
        )
        .unwrap();
        let text = serde_json::to_string(&l).unwrap();
        assert_eq!(text, r#"["ISO 10816-3:2009","medium","flexible"]"#);
        assert_eq!(serde_json::from_str::<SeverityLimits>(&text).unwrap(), l);
    }

    #[test]
    fn slow_machines_are_measured_from_lower_frequencies() {
        assert_eq!(SeverityLimits::band_hz(Hertz::from_rpm(599.0).unwrap()), (2.0, 1000.0));
        assert_eq!(SeverityLimits::band_hz(Hertz::from_rpm(600.0).unwrap()), (10.0, 1000.0));
    }
}
