//! When a difference between service and training is drift.

use super::{
    machine_rows::MachineRows,
    monitor::{DriftLevel, Figures},
    null_windows::{self, Thresholds},
    reference::InputReference,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// When a difference between service and training is drift: size, and evidence.
///
/// **Size.** PSI of 0.1 is moderate, 0.25 major: the rule of scorecards (N. Siddiqi, *Credit Risk Scorecards*, Wiley 2006, doi
/// 10.1002/9781119201731). For the Kolmogorov-Smirnov statistic 0.125 and 0.2, which is what a shifted normal channel shows at these
/// PSI (shifts of 0.32 and 0.5 standard deviations). Either is enough.
///
/// **Evidence.** With few machines such sizes come by chance (PSI without drift is about `(1/m + 1/n)` times the bins; B. Yurdakul
/// and J. Naranjo, *Journal of Risk Model Validation* 14 (2020), doi 10.21314/JRMV.2020.227), and rows of a machine follow one
/// another, so tests that count rows reject nearly always. There are two ways to evidence:
///
/// - *By machines*, the default. Each machine counts as one observation in both tests. Whatever the dependence within
///   machines, the mean of `m` machines' distributions varies no more than `m` independent rows would: the variance of a machine's own
///   share in a bin is at most that of a single row, by the law of total variance. So p-values are too large rather than too
///   small, as long as machines are independent and seen at ages that training saw as often. The two tests of each of `c`
///   channels share the significance: a p-value counts times `2c`. (Design effects in tests of counts: J. Rao and A. Scott,
///   *JASA* 76 (1981), doi 10.1080/01621459.1981.10477633.)
/// - *Calibrated*, where [`calibrated`](Self::calibrated) has seen how far windows of held-out training machines lie from the
///   others. It finds more, where machines vary less than by the worst case: the statistic must exceed what all but the
///   significance of those windows show in their worst channel.
///
/// Neither knows why a channel moved. A fleet that is all new, or all old, differs from training rows of whole lives and is
/// reported: its rows are not what the model was fitted on. The significance is that of one window; of 100 windows without
/// drift, one may be called major.
///
/// ```
/// use prognos::drift::DriftPolicy;
/// let policy = DriftPolicy::default().window(5_000).psi(0.1, 0.3).significance(0.05, 0.001);
/// policy.check()?;
/// assert!(DriftPolicy::default().psi(0.3, 0.1).check().is_err());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct DriftPolicy {
    settings: Settings,
    thresholds: Option<Thresholds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    window_rows: u64,
    least_rows: u64,
    psi: (f64, f64),
    ks: (f64, f64),
    significance: (f64, f64),
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    settings: Settings,
    thresholds: Option<Thresholds>,
}

impl Default for DriftPolicy {
    /// Windows of 2,000 rows, at least 100; PSI 0.1 and 0.25, KS 0.125 and 0.2, significance 0.05 and 0.01; not calibrated.
    fn default() -> Self {
        Self {
            settings: Settings {
                window_rows: 2_000,
                least_rows: 100,
                psi: (0.1, 0.25),
                ks: (0.125, 0.2),
                significance: (0.05, 0.01),
            },
            thresholds: None,
        }
    }
}

impl DriftPolicy {
    /// Rows a window, 1..=2^40.
    #[must_use]
    pub fn window(mut self, rows: u64) -> Self {
        self.settings.window_rows = rows;
        self
    }

    /// The fewest rows that are judged, at least 1.
    #[must_use]
    pub fn at_least(mut self, rows: u64) -> Self {
        self.settings.least_rows = rows;
        self
    }

    /// The population stability index that is moderate and that is major: above 0, rising.
    #[must_use]
    pub fn psi(mut self, moderate: f64, major: f64) -> Self {
        self.settings.psi = (moderate, major);
        self
    }

    /// The Kolmogorov-Smirnov statistic that is moderate and that is major: above 0, rising, at most 1.
    #[must_use]
    pub fn ks(mut self, moderate: f64, major: f64) -> Self {
        self.settings.ks = (moderate, major);
        self
    }

    /// The share of windows without drift that may be called moderate or worse in any channel, and major: above 0,
    /// below 1, falling. Set it before [`calibrated`](Self::calibrated), which is done for it.
    #[must_use]
    pub fn significance(mut self, moderate: f64, major: f64) -> Self {
        self.settings.significance = (moderate, major);
        self
    }

    /// Fails unless all settings are in range.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the first that is not.
    pub fn check(&self) -> Result<()> {
        let Settings {
            window_rows,
            least_rows,
            psi,
            ks,
            significance,
        } = self.settings;
        if !(1..=1 << 40).contains(&window_rows) {
            return Err(Error::parameter("window", "1..=2^40 rows", window_rows));
        }
        if least_rows == 0 {
            return Err(Error::parameter("at_least", "at least 1 row", least_rows));
        }
        if !(psi.0 > 0.0 && psi.0 <= psi.1 && psi.1.is_finite()) {
            return Err(Error::parameter(
                "psi",
                "above 0, finite and rising",
                format!("{psi:?}"),
            ));
        }
        if !(ks.0 > 0.0 && ks.0 <= ks.1 && ks.1 <= 1.0) {
            return Err(Error::parameter(
                "ks",
                "above 0, at most 1 and rising",
                format!("{ks:?}"),
            ));
        }
        let (moderate, major) = significance;
        if !(major > 0.0 && major <= moderate && moderate < 1.0) {
            let got = format!("{significance:?}");
            return Err(Error::parameter("significance", "above 0, below 1 and falling", got));
        }
        Ok(())
    }

    /// The same policy with thresholds from training machines: 1,000 windows like those in service, rows in a run from each
    /// of `machines` machines, are compared with the rows of the other machines, and of each window the channel that lies
    /// farthest out is kept. What all but the significance of those keep within is the threshold.
    ///
    /// A window takes `window / machines` rows in a run from each machine, beginning anywhere, going on at the record's beginning where it
    /// ends (as a failed machine is replaced by a new one; the circular blocks of Politis and Romano, 1992); machines are
    /// drawn without replacement by the number of their rows (Efraimidis and Spirakis, doi 10.1016/j.ipl.2005.11.003). At most half of the
    /// machines are held out; where the window has more, thresholds are those of the smaller group, so too wide. A window
    /// that later has fewer machines than were calibrated for has its thresholds widened by `(1/m' + 1/n) / (1/m + 1/n)`, for KS by the root.
    ///
    /// The windows come from few machines and resemble one another, so that the rate is near the significance, not equal: in
    /// simulated fleets (autocorrelation 0.95, machines that differ not at all up to three times their own spread; 40 machines at
    /// training, 3,200 windows of 10 others a case) 4.4 to 6.6% were called moderate or worse for 5%, 0.7 to 1.4% major for
    /// 1%. By machines, without calibration, it was at most 0.2%.
    ///
    /// At most 8,192 rows of a window are looked at, evenly. Cost: 1,000 times those rows.
    ///
    /// # Errors
    /// As [`check`](Self::check); `InsufficientData` for fewer than 8 training machines; `SchemaMismatch` where the rows are not
    /// those of the reference; `InvalidParameter` unless `machines` is at least 1.
    pub fn calibrated(
        mut self,
        reference: &InputReference,
        training: &MachineRows<'_>,
        machines: u32,
        seed: Seed,
    ) -> Result<Self> {
        self.check()?;
        let Settings {
            window_rows,
            significance,
            ..
        } = self.settings;
        let thresholds = null_windows::thresholds(reference, training, (window_rows, machines), significance, seed)?;
        self.thresholds = Some(thresholds);
        Ok(self)
    }

    /// Whether thresholds come from training machines.
    pub fn is_calibrated(&self) -> bool {
        self.thresholds.is_some()
    }

    /// Rows a window.
    pub fn window_rows(&self) -> u64 {
        self.settings.window_rows
    }

    /// The fewest rows that are judged.
    pub fn least_rows(&self) -> u64 {
        self.settings.least_rows
    }

    pub(super) fn expect(&self, reference: &InputReference) -> Result<()> {
        self.check()?;
        match &self.thresholds {
            Some(thresholds) => thresholds.expect(reference),
            None => Ok(()),
        }
    }

    /// The level of channel `i` of so many.
    pub(super) fn level(
        &self,
        (i, n_channels): (usize, usize),
        figures: &Figures,
        (ks_p, bins_p): (f64, f64),
        machines: f64,
    ) -> DriftLevel {
        let s = &self.settings;
        let tests = 2.0 * n_channels as f64;
        let reached = |psi: f64, ks: f64, significance: f64, major: bool| {
            let (psi_shown, ks_shown) = match &self.thresholds {
                Some(t) => t.exceeded(i, (figures.psi, figures.ks), machines, major),
                None => (tests * bins_p <= significance, tests * ks_p <= significance),
            };
            (figures.psi >= psi && psi_shown) || (figures.ks >= ks && ks_shown)
        };
        if reached(s.psi.1, s.ks.1, s.significance.1, true) {
            DriftLevel::Major
        } else if reached(s.psi.0, s.ks.0, s.significance.0, false) {
            DriftLevel::Moderate
        } else {
            DriftLevel::Stable
        }
    }
}

impl TryFrom<Record> for DriftPolicy {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        let policy = Self {
            settings: record.settings,
            thresholds: record.thresholds,
        };
        policy
            .check()
            .map_err(|e| Error::persistence(format!("drift policy: {e}")))?;
        if let Some(thresholds) = &policy.thresholds {
            thresholds.check()?;
        }
        Ok(policy)
    }
}

impl From<DriftPolicy> for Record {
    fn from(policy: DriftPolicy) -> Self {
        Self {
            settings: policy.settings,
            thresholds: policy.thresholds,
        }
    }
}
