//! A distribution of remaining life as stretches of time over which the chance of having failed rises along a line.

use crate::model::RulDistribution;

/// A time and what has happened until then.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moment {
    /// Time from now.
    pub time: f64,
    /// The chance of having failed before it.
    pub failed: f64,
    /// Expected life until it, `E[min(T, time)]`.
    pub lived: f64,
}

impl Moment {
    /// The same for a machine that no stop keeps from failing.
    pub fn ran_out(self) -> Self {
        Self { failed: 1.0, ..self }
    }
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub start: f64,
    pub end: f64,
    /// The chance of having failed until the start, a jump there included.
    pub failed: f64,
    /// By how much it rises along the stretch: 0 before the shortest life, else 0.01.
    pub rise: f64,
    /// Expected life until the start.
    pub lived: f64,
}

impl Piece {
    pub fn length(&self) -> f64 {
        self.end - self.start
    }

    /// The moment at a share of the stretch.
    pub fn at(&self, share: f64) -> Moment {
        let time = if share < 1.0 {
            self.start + share * self.length()
        } else {
            self.end
        };
        Moment {
            time: time.min(self.end),
            failed: self.failed + share * self.rise,
            lived: self.lived + share * self.length() * (1.0 - self.failed - share * self.rise / 2.0),
        }
    }

    /// From which share on the stretch is at or after `time`: 0 where all of it is, `None` where none.
    pub fn share_at(&self, time: f64) -> Option<f64> {
        if time <= self.start {
            Some(0.0)
        } else if time <= self.end {
            Some(((time - self.start) / self.length()).min(1.0))
        } else {
            None
        }
    }
}

/// The stretches from now to the last percentile that is known: first the one without failures, of length 0 where some fail
/// at once, then those between percentiles that differ. Percentiles that are equal make a jump between stretches; the end
/// of the one before lies before the jump.
pub(super) fn pieces(life: &RulDistribution) -> impl Iterator<Item = Piece> + '_ {
    let percentiles = life.percentiles();
    let first = percentiles.first().copied().unwrap_or(0.0);
    let before = Piece {
        start: 0.0,
        end: first,
        failed: 0.0,
        rise: 0.0,
        lived: 0.0,
    };
    let pairs = percentiles.iter().zip(percentiles.iter().skip(1)).enumerate();
    let known = pairs.take_while(|(_, (_, high))| high.is_finite());
    let rest = known
        .filter(|(_, (low, high))| low < high)
        .scan(first, |lived, (i, (&low, &high))| {
            let piece = Piece {
                start: low,
                end: high,
                failed: i as f64 / 100.0,
                rise: 0.01,
                lived: *lived,
            };
            *lived = piece.at(1.0).lived;
            Some(piece)
        });
    std::iter::once(before).chain(rest)
}
