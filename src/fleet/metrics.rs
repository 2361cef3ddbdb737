//! What a fleet did, counted.

use serde::Serialize;
use std::fmt::Write;

/// Buckets of [`LatencyHistogram`]: up to 2^7 ns, 2^8 ns, ..., 2^30 ns (about a second), and beyond.
const N_BUCKETS: usize = 25;
const FIRST_POWER: u32 = 7;

/// Durations in buckets whose ends double, from 128 ns to about a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencyHistogram {
    counts: [u64; N_BUCKETS],
    sum_ns: u64,
}

impl LatencyHistogram {
    pub(super) fn record(&mut self, nanos: u64) {
        let power = u64::BITS - nanos.saturating_sub(1).leading_zeros();
        let bucket = power.saturating_sub(FIRST_POWER).min(N_BUCKETS as u32 - 1);
        if let Some(count) = self.counts.get_mut(bucket as usize) {
            *count += 1;
        }
        self.sum_ns = self.sum_ns.saturating_add(nanos);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// Durations recorded.
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_ns as f64 * 1e-9
    }

    /// Upper end of each bucket in seconds, the last infinite, and the durations in it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.counts.iter().enumerate().map(|(i, n)| {
            let end = if i + 1 == N_BUCKETS {
                f64::INFINITY
            } else {
                (1u64 << (FIRST_POWER + i as u32)) as f64 * 1e-9
            };
            (end, *n)
        })
    }

    /// The end of the bucket that holds the quantile `p`: at most twice the true one. `None` without durations.
    pub fn quantile_s(&self, p: f64) -> Option<f64> {
        let wanted = (p.clamp(0.0, 1.0) * self.n() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets().find_map(|(end, n)| {
            seen += n;
            (seen >= wanted).then_some(end)
        })
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $help:literal;)*) => {
        /// What a fleet has done since it was made or restored. Rows are counted once each: all rows taken are either judged, in
        /// warm-up, without prognosis, unusable, refused, dropped, or held back still, here or by a machine that was evicted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct FleetMetrics {
            $($(#[$doc])* pub $name: u64,)*
            /// Machines known.
            pub assets: u64,
            /// Rows held back or set aside.
            pub rows_held: u64,
            /// Bytes that what is remembered takes, as [`FleetParams::memory_budget`](super::FleetParams::memory_budget) counts
            /// them; 0 where there is no budget.
            pub remembered_bytes: u64,
            /// How long a push took, of those timed.
            pub push: LatencyHistogram,
        }

        impl FleetMetrics {
            pub(super) fn merge(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                self.assets += other.assets;
                self.rows_held += other.rows_held;
                self.remembered_bytes += other.remembered_bytes;
                self.push.merge(&other.push);
            }

            /// Prometheus' text format, version 0.0.4, with `labels` (name and value) on every line.
            ///
            /// ```
            /// # use prognos::fleet::FleetMetrics;
            /// let text = FleetMetrics::default().to_prometheus(&[("model", "pumps")]);
            /// assert!(text.contains("prognos_rows_total{model=\"pumps\"} 0\n"));
            /// ```
            pub fn to_prometheus(&self, labels: &[(&str, &str)]) -> String {
                let mut text = Exposition::new(labels);
                $(text.one(concat!("prognos_", stringify!($name), "_total"), "counter", $help, self.$name as f64);)*
                text.one("prognos_assets", "gauge", "Machines known.", self.assets as f64);
                text.one("prognos_rows_held", "gauge", "Rows held back or set aside.", self.rows_held as f64);
                text.one(
                    "prognos_remembered_bytes",
                    "gauge",
                    "Bytes remembered of all machines, as counted for the budget.",
                    self.remembered_bytes as f64,
                );
                text.histogram("prognos_push_seconds", "Time of a push, of those timed.", &self.push);
                text.text
            }
        }
    };
}

counters! {
    /// Rows taken, waveform windows included.
    rows, "Rows taken, waveform windows included.";
    /// Rows judged.
    rows_judged, "Rows judged.";
    /// Rows taken while a model warmed up, or without a prognosis to give.
    rows_unjudged, "Rows taken in warm-up.";
    /// Rows with too many readings missing.
    rows_missing, "Rows with too many readings missing.";
    /// Rows that came too late.
    rows_late, "Rows that came too late.";
    /// Rows with the instant of another.
    rows_duplicate, "Rows with the instant of another.";
    /// Rows dropped for a stamp that cannot be true, and those that waited when a clock was set back or a machine retired.
    rows_dropped, "Rows dropped for their stamps, or that waited when their machine left.";
    /// Rows refused: no room for their machine.
    rows_refused, "Rows refused for want of room.";
    /// Calls that were an error: malformed rows.
    errors, "Malformed rows.";
    /// Rows at which an alarm stood.
    rows_in_alarm, "Rows at which an alarm stood.";
    /// Events told.
    events, "Events told.";
    /// Machines made known.
    admitted, "Machines made known.";
    /// Machines retired.
    retired, "Machines retired.";
    /// Machines evicted.
    evicted, "Machines evicted.";
}

struct Exposition {
    labels: String,
    text: String,
}

impl Exposition {
    fn new(labels: &[(&str, &str)]) -> Self {
        let mut line = String::new();
        for (name, value) in labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let comma = if line.is_empty() { "" } else { "," };
            // What is no name in the format would spoil all lines.
            let name: String = name
                .chars()
                .enumerate()
                .map(|(i, c)| {
                    if c.is_ascii_alphabetic() || c == '_' || (i > 0 && c.is_ascii_digit()) {
                        c
                    } else {
                        '_'
                    }
                })
                .collect();
            let _ = write!(line, "{comma}{name}=\"{value}\"");
        }
        Self {
            labels: line,
            text: String::new(),
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, more: &str, value: f64) {
        let comma = if self.labels.is_empty() || more.is_empty() {
            ""
        } else {
            ","
        };
        let all = format!("{}{comma}{more}", self.labels);
        let _ = if all.is_empty() {
            writeln!(self.text, "{name} {value}")
        } else {
            writeln!(self.text, "{name}{{{all}}} {value}")
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn histogram(&mut self, name: &str, help: &str, of: &LatencyHistogram) {
        self.head(name, "histogram", help);
        let mut below = 0;
        for (end, n) in of.buckets() {
            below += n;
            let le = if end.is_finite() {
                end.to_string()
            } else {
                "+Inf".into()
            };
            self.line(&format!("{name}_bucket"), &format!("le=\"{le}\""), below as f64);
        }
        self.line(&format!("{name}_sum"), "", of.sum_s());
        self.line(&format!("{name}_count"), "", of.n() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_lie_in_their_buckets() {
        let mut h = LatencyHistogram::default();
        for nanos in [0, 1, 128, 129, 256, 257, 1 << 30, (1 << 30) + 1, u64::MAX] {
            h.record(nanos);
        }
        let counts: Vec<u64> = h.buckets().map(|b| b.1).collect();
        assert_eq!(
            (counts[0], counts[1], counts[2], counts[23], counts[24]),
            (3, 2, 1, 1, 2)
        );
        assert_eq!(h.quantile_s(0.5), Some(256e-9));
        assert_eq!(h.quantile_s(1.0), Some(f64::INFINITY));
        assert_eq!(LatencyHistogram::default().quantile_s(0.5), None);
    }

    #[test]
    fn labels_are_escaped_and_buckets_cumulate() {
        let mut m = FleetMetrics::default();
        m.push.record(100);
        m.push.record(200);
        let text = m.to_prometheus(&[("a b", "x\"\\\n")]);
        assert!(text.contains("prognos_assets{a_b=\"x\\\"\\\\\\n\"} 0\n"), "{text}");
        assert!(
            text.contains("le=\"0.000000128\"} 1\n") && text.contains("le=\"+Inf\"} 2\n"),
            "{text}"
        );
        let plain = m.to_prometheus(&[]);
        assert!(plain.contains("prognos_rows_total 0\n") && plain.contains("prognos_push_seconds_count 2\n"));
        for line in plain.lines().filter(|l| !l.starts_with('#')) {
            assert!(line.split_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
        }
    }
}
