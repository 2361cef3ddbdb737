//! A fleet of turbofans run to failure under changing flight conditions.

use super::random::Random;
use crate::{
    error::{Error, Result},
    quantity::{LifeUnit, Seed},
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What wears out. The two leave different marks on the sensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMode {
    /// The high-pressure compressor loses efficiency: hotter core, less air at its outlet.
    Compressor,
    /// The fan loses flow: the core makes up for it.
    Fan,
}

impl fmt::Display for FaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Compressor => "compressor",
            Self::Fan => "fan",
        })
    }
}

/// A flight condition: the settings, how fast it wears an engine, and how noisy its sensors are, both beside the first.
struct Regime {
    altitude_kft: f64,
    mach: f64,
    throttle_percent: f64,
    severity: f64,
    noise: f64,
}

#[rustfmt::skip]
const REGIMES: [Regime; 6] = [
    Regime { altitude_kft:  0.0, mach: 0.00, throttle_percent: 100.0, severity: 1.30, noise: 1.00 },
    Regime { altitude_kft:  8.0, mach: 0.40, throttle_percent:  95.0, severity: 1.15, noise: 1.00 },
    Regime { altitude_kft: 15.0, mach: 0.55, throttle_percent:  90.0, severity: 1.00, noise: 1.10 },
    Regime { altitude_kft: 25.0, mach: 0.62, throttle_percent:  65.0, severity: 0.70, noise: 1.30 },
    Regime { altitude_kft: 33.0, mach: 0.80, throttle_percent:  85.0, severity: 0.95, noise: 1.15 },
    Regime { altitude_kft: 39.0, mach: 0.82, throttle_percent:  80.0, severity: 0.90, noise: 1.20 },
];

/// Name, unit, decimals that are logged, and standard deviation about the regime's value.
const SETTINGS: [(&str, &str, u32, f64); 3] = [
    ("setting_1", "kft", 2, 0.02),
    ("setting_2", "", 3, 0.002),
    ("setting_3", "%", 1, 0.1),
];

/// A sensor: its level on the ground at full throttle; how that follows total temperature, total pressure and throttle
/// (exponents); the relative change at the end of life in either fault mode; relative noise; decimals that are logged.
struct Sensor {
    name: &'static str,
    unit: &'static str,
    level: f64,
    temperature: f64,
    pressure: f64,
    throttle: f64,
    compressor: f64,
    fan: f64,
    noise: f64,
    decimals: u32,
}

#[rustfmt::skip]
const SENSORS: [Sensor; 12] = [
    Sensor { name: "t2",   unit: "°R",      level:  518.7, temperature: 1.0, pressure: 0.0, throttle:  0.00, compressor:  0.0000, fan:  0.0000, noise: 0.0004, decimals: 1 },
    Sensor { name: "t24",  unit: "°R",      level:  642.0, temperature: 1.0, pressure: 0.0, throttle:  0.10, compressor:  0.0030, fan:  0.0040, noise: 0.0009, decimals: 1 },
    Sensor { name: "t30",  unit: "°R",      level: 1585.0, temperature: 1.0, pressure: 0.0, throttle:  0.30, compressor:  0.0120, fan:  0.0070, noise: 0.0035, decimals: 0 },
    Sensor { name: "t50",  unit: "°R",      level: 1400.0, temperature: 1.0, pressure: 0.0, throttle:  0.40, compressor:  0.0200, fan:  0.0150, noise: 0.0040, decimals: 0 },
    Sensor { name: "p30",  unit: "psia",    level:  554.0, temperature: 0.0, pressure: 1.0, throttle:  1.00, compressor: -0.0060, fan:  0.0070, noise: 0.0014, decimals: 1 },
    Sensor { name: "nf",   unit: "rpm",     level: 2388.0, temperature: 0.5, pressure: 0.0, throttle:  0.50, compressor:  0.0001, fan:  0.0010, noise: 0.0003, decimals: 1 },
    Sensor { name: "nc",   unit: "rpm",     level: 9050.0, temperature: 0.5, pressure: 0.0, throttle:  0.20, compressor:  0.0045, fan:  0.0000, noise: 0.0012, decimals: 0 },
    Sensor { name: "ps30", unit: "psia",    level:   47.5, temperature: 0.0, pressure: 1.0, throttle:  0.90, compressor:  0.0180, fan:  0.0120, noise: 0.0040, decimals: 2 },
    Sensor { name: "phi",  unit: "pps/psi", level:  521.0, temperature: 0.5, pressure: 0.0, throttle:  0.15, compressor: -0.0060, fan:  0.0080, noise: 0.0014, decimals: 1 },
    Sensor { name: "bpr",  unit: "",        level:    8.4, temperature: 0.0, pressure: 0.0, throttle: -0.30, compressor:  0.0120, fan: -0.0140, noise: 0.0040, decimals: 2 },
    Sensor { name: "w31",  unit: "lbm/s",   level:   38.9, temperature: -0.5, pressure: 1.0, throttle: 0.90, compressor: -0.0130, fan:  0.0000, noise: 0.0040, decimals: 2 },
    Sensor { name: "far",  unit: "",        level:   0.03, temperature: 0.0, pressure: 0.0, throttle:  0.00, compressor:  0.0000, fan:  0.0000, noise: 0.0000, decimals: 2 },
];

const N_CHANNELS: usize = SETTINGS.len() + SENSORS.len();
/// Spread of a sensor's level from engine to engine, in units of its noise.
const MANUFACTURING: f64 = 0.5;
/// Wear of a new engine: uniform from 0 to this.
const INITIAL_WEAR: f64 = 0.08;
/// Bounds of the exponent of wear.
const ACCELERATION: (f64, f64) = (2.0, 3.0);
/// Standard deviation of the logarithm of one cycle's wear.
const CYCLE_TO_CYCLE: f64 = 0.5;

const MAX_ASSETS: u32 = 10_000;
const MAX_CYCLES: u32 = 10_000;
const MAX_ROWS: u64 = 4_000_000;

/// Settings of the generator: [`TurbofanFleet::params`].
///
/// Serialised, it is the record from which a fleet is made again to the byte. Values are checked when a fleet is
/// [generated](TurbofanParams::generate).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurbofanParams {
    seed: Seed,
    n_assets: u32,
    n_regimes: u32,
    fault_modes: Vec<FaultMode>,
    healthy_cycles: (u32, u32),
    wear_cycles: (u32, u32),
    noise: f64,
    missing: f64,
}

impl Default for TurbofanParams {
    fn default() -> Self {
        Self {
            seed: Seed(0),
            n_assets: 40,
            n_regimes: 6,
            fault_modes: vec![FaultMode::Compressor, FaultMode::Fan],
            healthy_cycles: (30, 200),
            wear_cycles: (90, 150),
            noise: 1.0,
            missing: 0.002,
        }
    }
}

impl TurbofanParams {
    /// The seed; 0 unless set.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Number of engines, 1..=10,000; 40 unless set. Engine `k` is the same in a fleet of any size.
    #[must_use]
    pub fn n_assets(mut self, n_assets: u32) -> Self {
        self.n_assets = n_assets;
        self
    }

    /// Number of flight conditions, 1..=6, one drawn each cycle; 6 unless set.
    #[must_use]
    pub fn n_regimes(mut self, n_regimes: u32) -> Self {
        self.n_regimes = n_regimes;
        self
    }

    /// The fault modes, one of which each engine has, as likely as the others; both unless set.
    #[must_use]
    pub fn fault_modes(mut self, modes: impl IntoIterator<Item = FaultMode>) -> Self {
        self.fault_modes = modes.into_iter().collect();
        self
    }

    /// Fewest and most cycles before wear sets in, 1 <= fewest <= most <= 10,000; 30..=200 unless set.
    #[must_use]
    pub fn healthy_cycles(mut self, fewest: u32, most: u32) -> Self {
        self.healthy_cycles = (fewest, most);
        self
    }

    /// Fewest and most cycles from then to failure, 1 <= fewest <= most <= 10,000; 90..=150 unless set.
    #[must_use]
    pub fn wear_cycles(mut self, fewest: u32, most: u32) -> Self {
        self.wear_cycles = (fewest, most);
        self
    }

    /// Factor on the noise of all sensors, 0..=100; 1 unless set.
    #[must_use]
    pub fn noise(mut self, factor: f64) -> Self {
        self.noise = factor;
        self
    }

    /// Probability that a sensor's reading is missing, 0..=0.5; 0.002 unless set. Settings are never missing.
    #[must_use]
    pub fn missing(mut self, probability: f64) -> Self {
        self.missing = probability;
        self
    }

    fn check(&self) -> Result<()> {
        if !(1..=MAX_ASSETS).contains(&self.n_assets) {
            return Err(Error::parameter("n_assets", format!("1..={MAX_ASSETS}"), self.n_assets));
        }
        if !(1..=REGIMES.len() as u32).contains(&self.n_regimes) {
            return Err(Error::parameter(
                "n_regimes",
                format!("1..={}", REGIMES.len()),
                self.n_regimes,
            ));
        }
        if self.fault_modes.is_empty() || self.fault_modes.len() > 64 {
            return Err(Error::parameter("fault_modes", "1..=64 modes", self.fault_modes.len()));
        }
        for (name, (fewest, most)) in [
            ("healthy_cycles", self.healthy_cycles),
            ("wear_cycles", self.wear_cycles),
        ] {
            if !(1 <= fewest && fewest <= most && most <= MAX_CYCLES) {
                let expected = format!("1 <= fewest <= most <= {MAX_CYCLES}");
                return Err(Error::parameter(name, expected, format!("{fewest}..={most}")));
            }
        }
        if !(0.0..=100.0).contains(&self.noise) {
            return Err(Error::parameter("noise", "from 0 to 100", self.noise));
        }
        if !(0.0..=0.5).contains(&self.missing) {
            return Err(Error::parameter("missing", "from 0 to 0.5", self.missing));
        }
        let rows = u64::from(self.n_assets) * u64::from(self.healthy_cycles.1 + self.wear_cycles.1);
        if rows > MAX_ROWS {
            let expected = format!("so that all engines together live at most {MAX_ROWS} cycles");
            return Err(Error::parameter(
                "n_assets",
                expected,
                format!("{} ({rows} cycles)", self.n_assets),
            ));
        }
        Ok(())
    }

    /// Generates the fleet. Time and memory are linear in its rows; some 2 µs a row.
    ///
    /// # Errors
    /// `InvalidParameter` for a setting outside its range, or where the longest lives of all engines together exceed
    /// four million cycles.
    pub fn generate(&self) -> Result<TurbofanFleet> {
        self.check()?;
        let settings = SETTINGS.iter().map(|&(name, unit, ..)| Channel::new(name, unit));
        let sensors = SENSORS.iter().map(|s| Channel::new(s.name, s.unit));
        let mut history = FleetHistory::new(settings.chain(sensors).collect(), LifeUnit::Cycles)?;
        let mut truth = Vec::new();
        for index in 0..self.n_assets {
            let mut random = Random::new(self.seed.part(u64::from(index)));
            let engine = Engine::draw(self, &mut random);
            let name = format!("{}", index + 1);
            let readings = engine.readings(self, &mut random);
            let times = (1..=engine.regimes.len() as i64)
                .map(|k| LifeUnit::Cycles.instant(k))
                .collect();
            history.push(AssetHistory::new(
                name.as_str(),
                times,
                readings,
                N_CHANNELS,
                EndOfLife::Failed,
            )?)?;
            truth.push(TurbofanTruth {
                asset: name,
                fault_mode: engine.fault_mode,
                onset_cycle: engine.onset,
                health: engine.health,
                regimes: engine.regimes,
            });
        }
        Ok(TurbofanFleet { history, truth })
    }
}

/// What is hidden from a model that sees the recording of one engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurbofanTruth {
    /// The engine's name.
    pub asset: String,
    /// What wears out.
    pub fault_mode: FaultMode,
    /// The last cycle before wear sets in.
    pub onset_cycle: u32,
    /// Health at each row: at most 1, never rising, 0 at the last.
    pub health: Vec<f64>,
    /// Flight condition at each row, from 0.
    pub regimes: Vec<u32>,
}

/// A generated fleet of turbofans run to failure, with its truth.
///
/// ```
/// use prognos::{quantity::Seed, simulate::{FaultMode, TurbofanFleet}};
/// let fleet = TurbofanFleet::params()
///     .n_assets(5)
///     .fault_modes([FaultMode::Fan])
///     .seed(Seed(7))
///     .generate()?;
/// let (engine, truth) = (&fleet.history.assets()[0], &fleet.truth[0]);
/// assert_eq!(truth.health.len(), engine.n_rows());
/// assert_eq!(truth.health.last(), Some(&0.0));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # The model
///
/// *Flight conditions.* At each cycle one of up to six is drawn, each as likely: altitude `h` (in thousand feet, `setting_1`),
/// Mach number `M` (`setting_2`) and throttle `p` (in percent, `setting_3`) are its values plus a little normal noise. With the
/// standard atmosphere's temperature and pressure ratios `θ(h)` and `δ(h)`, the engine meets the total ratios
///
/// ```text
/// θt = θ (1 + 0.2 M²)        δt = δ (1 + 0.2 M²)^3.5
/// ```
///
/// *Wear.* Engine `u` is healthy for `H` cycles (uniform in 30..=200), then wears until it fails `D` cycles later (uniform in
/// 90..=150). A cycle counts for more in a harsh condition and varies beside: `v = severity · exp(0.5 ε)`. With
/// `s(t)` the sum of `v` since the onset over that sum at failure, wear is
///
/// ```text
/// w(t) = w0 + (1 - w0) (exp(κ s(t)) - 1) / (exp(κ) - 1)        w0 ~ U(0, 0.08),  κ ~ U(2, 3)
/// ```
///
/// so it stays at `w0` up to the onset, accelerates, and reaches 1 in the last row. Health is `1 - w`.
///
/// *Sensors.* Sensor `j` follows the laws of corrected engine parameters; the fault mode `m` moves it by the fraction
/// `g(j, m)` of its level at the end of life, in proportion to throttle:
///
/// ```text
/// y = L θt^a δt^b (p/100)^c · (1 + 0.5 σ ε(u, j) + g(j, m) w p/100 + σ n ε)
/// ```
///
/// `ε` are independent standard normals, `ε(u, j)` one an engine and sensor (manufacturing), `σ` the sensor's relative noise and
/// `n` the condition's. Pressure and fuel sensors move in opposite directions in the two modes. Readings are rounded to the
/// decimals that are logged; each is missing (NaN) with probability 0.002. `far` is constant, and `t2` knows nothing of wear.
///
/// The levels and noise are of the size found in real turbofans, but no engine and no recording was copied. The laws of
/// corrected parameters are in A. J. Volponi, "Gas Turbine Parameter Corrections", J. Eng. Gas Turbines Power 121(4), 1999,
/// [doi:10.1115/1.2818516](https://doi.org/10.1115/1.2818516); exponential wear to a threshold and fault modes after A. Saxena et al.,
/// PHM 2008, [doi:10.1109/PHM.2008.4711414](https://doi.org/10.1109/PHM.2008.4711414).
#[derive(Clone, Debug, PartialEq)]
pub struct TurbofanFleet {
    /// The recording: three settings and twelve sensors a cycle; every engine ends [`Failed`](EndOfLife::Failed).
    pub history: FleetHistory,
    /// The truth of each engine, in the same order.
    pub truth: Vec<TurbofanTruth>,
}

impl TurbofanFleet {
    /// The generator's settings, to change and [`generate`](TurbofanParams::generate) from.
    pub fn params() -> TurbofanParams {
        TurbofanParams::default()
    }
}

/// A fleet of 40 turbofans run to failure, in six flight conditions and with two fault modes; [`TurbofanFleet`] describes it.
///
/// ```
/// use prognos::{quantity::Seed, simulate};
/// let fleet = simulate::turbofan_fleet(Seed(7))?;
/// assert_eq!((fleet.assets().len(), fleet.channels().len()), (40, 15));
/// assert!(fleet.assets().iter().all(|engine| (120..=350).contains(&engine.n_rows())));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// None; the result lets it stand where a loader stood.
pub fn turbofan_fleet(seed: Seed) -> Result<FleetHistory> {
    Ok(TurbofanFleet::params().seed(seed).generate()?.history)
}

/// One engine before its sensors are read.
struct Engine {
    fault_mode: FaultMode,
    onset: u32,
    /// Flight condition and health at each cycle.
    regimes: Vec<u32>,
    health: Vec<f64>,
}

impl Engine {
    fn draw(params: &TurbofanParams, random: &mut Random) -> Self {
        let whole = |random: &mut Random, (fewest, most): (u32, u32)| {
            fewest + random.below((most - fewest + 1) as usize) as u32
        };
        let mode = random.below(params.fault_modes.len());
        let fault_mode = params.fault_modes.get(mode).copied().unwrap_or(FaultMode::Compressor);
        let onset = whole(random, params.healthy_cycles);
        let life = onset + whole(random, params.wear_cycles);
        let initial = random.between(0.0, INITIAL_WEAR);
        let acceleration = random.between(ACCELERATION.0, ACCELERATION.1);

        let regimes: Vec<u32> = (0..life)
            .map(|_| random.below(params.n_regimes as usize) as u32)
            .collect();
        // Load taken since the onset, up to and with each cycle.
        let mut load = 0.0;
        let mut loads = Vec::with_capacity(regimes.len());
        for (cycle, &r) in (1..).zip(&regimes) {
            let step = regime(r).severity * libm::exp(CYCLE_TO_CYCLE * random.normal());
            if cycle > onset {
                load += step;
            }
            loads.push(load);
        }
        let grown = |load_so_far: f64| libm::expm1(acceleration * (load_so_far / load)) / libm::expm1(acceleration);
        // Never rising, whatever the last bit of the exponential does.
        let mut least = 1.0 - initial;
        let health = loads.iter().map(|&l| {
            least = least.min((1.0 - initial) * (1.0 - grown(l)));
            least
        });
        Self {
            fault_mode,
            onset,
            health: health.collect(),
            regimes,
        }
    }

    /// Row-major readings, `N_CHANNELS` a cycle.
    fn readings(&self, params: &TurbofanParams, random: &mut Random) -> Vec<f64> {
        let offsets = SENSORS
            .each_ref()
            .map(|s| MANUFACTURING * s.noise * params.noise * random.normal());
        let mut out = Vec::with_capacity(self.regimes.len() * N_CHANNELS);
        for (&r, &health) in self.regimes.iter().zip(&self.health) {
            let regime = regime(r);
            let set = [regime.altitude_kft, regime.mach, regime.throttle_percent];
            let [altitude, mach, throttle] = std::array::from_fn(|i| {
                let (_, _, decimals, spread) = SETTINGS[i];
                // An engine at rest on the ground stays there; the others move a little about the setting.
                let moved = if set[i] == 0.0 {
                    0.0
                } else {
                    set[i] + spread * random.normal()
                };
                out.push(logged(moved, decimals));
                moved
            });
            let air = Air::at(altitude, mach);
            let power = throttle / 100.0;
            for (sensor, offset) in SENSORS.iter().zip(offsets) {
                let gain = match self.fault_mode {
                    FaultMode::Compressor => sensor.compressor,
                    FaultMode::Fan => sensor.fan,
                };
                let level = sensor.level
                    * libm::pow(air.temperature, sensor.temperature)
                    * libm::pow(air.pressure, sensor.pressure)
                    * libm::pow(power, sensor.throttle);
                let noise = params.noise * sensor.noise * regime.noise * random.normal();
                let reading = logged(
                    level * (1.0 + offset + gain * (1.0 - health) * power + noise),
                    sensor.decimals,
                );
                // Drawn in any case, so that the probability changes nothing else.
                let missing = random.uniform() < params.missing;
                out.push(if missing { f64::NAN } else { reading });
            }
        }
        out
    }
}

fn regime(index: u32) -> &'static Regime {
    REGIMES.get(index as usize).unwrap_or(&REGIMES[0])
}

/// Total temperature and pressure before the fan, over those of the standard day at rest on the ground.
struct Air {
    temperature: f64,
    pressure: f64,
}

impl Air {
    /// In the International Standard Atmosphere at `altitude_kft` thousand feet, at Mach number `mach`.
    fn at(altitude_kft: f64, mach: f64) -> Self {
        /// Thousand feet at which temperature stops falling.
        const TROPOPAUSE: f64 = 36.0892;
        let theta = 1.0 - 0.006_875_59 * altitude_kft.min(TROPOPAUSE);
        let above = (altitude_kft - TROPOPAUSE).max(0.0);
        let delta = libm::pow(theta, 5.255_88) * libm::exp(-0.048_063_4 * above);
        let ram = 1.0 + 0.2 * mach * mach;
        Self {
            temperature: theta * ram,
            pressure: delta * libm::pow(ram, 3.5),
        }
    }
}

/// The double nearest to the decimal that is logged; it prints with no more than `decimals` decimals.
fn logged(x: f64, decimals: u32) -> f64 {
    let scale = f64::from(10_u32.pow(decimals));
    (x * scale).round() / scale + 0.0 // no negative zero
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn air_is_the_standard_atmosphere() {
        // ICAO Doc 7488: 8.0 kft 272.30 K 752.62 hPa, 25 kft 238.62 K 376.01 hPa, 39 kft 216.65 K 196.77 hPa.
        for (kft, kelvin, hpa) in [
            (0.0, 288.15, 1013.25),
            (8.0, 272.30, 752.62),
            (25.0, 238.62, 376.01),
            (39.0, 216.65, 196.77),
        ] {
            let air = Air::at(kft, 0.0);
            assert!(
                (air.temperature * 288.15 - kelvin).abs() < 0.02,
                "{kft} kft: {} K",
                air.temperature * 288.15
            );
            assert!(
                (air.pressure * 1013.25 - hpa).abs() < 0.1,
                "{kft} kft: {} hPa",
                air.pressure * 1013.25
            );
        }
        // Isentropic flow tables, M = 0.8: T0/T = 1.1280, p0/p = 1.5243.
        let (still, moving) = (Air::at(33.0, 0.0), Air::at(33.0, 0.8));
        assert!((moving.temperature / still.temperature - 1.1280).abs() < 1e-4);
        assert!((moving.pressure / still.pressure - 1.5243).abs() < 1e-4);
    }

    #[test]
    fn readings_print_with_the_decimals_that_are_logged() {
        assert_eq!(logged(641.8249, 1).to_string(), "641.8");
        assert_eq!(logged(-0.0004, 2).to_string(), "0");
        assert_eq!(logged(8.406, 2).to_string(), "8.41");
    }
}
