//! Rows of one machine put in order of time, and stamps that cannot be true set aside.

use super::FleetParams;
use crate::{error::Error, quantity::Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Rows that must agree before a leap of the clock is believed.
pub(super) const AGREEING_ROWS: usize = 3;

/// A row that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HeldRow {
    pub(super) time: Timestamp,
    pub(super) values: Vec<f64>,
}

/// The rows of one machine that wait for their turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "InboxRecord")]
pub(super) struct Inbox {
    /// The latest believed instant.
    newest: Option<Timestamp>,
    /// The last row handed on.
    released: Option<Timestamp>,
    /// In order of time.
    held: VecDeque<HeldRow>,
    /// Set aside, in order of time, each within a step of the one before.
    suspects: Vec<HeldRow>,
    /// Rows handed on, kept for their room.
    #[serde(skip)]
    spare: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct InboxRecord {
    newest: Option<Timestamp>,
    released: Option<Timestamp>,
    held: VecDeque<HeldRow>,
    suspects: Vec<HeldRow>,
}

impl TryFrom<InboxRecord> for Inbox {
    type Error = Error;

    fn try_from(r: InboxRecord) -> Result<Self, Error> {
        let times = || r.held.iter().map(|h| h.time);
        let ordered = times().zip(times().skip(1)).all(|(a, b)| a < b)
            && r.suspects.windows(2).all(|w| w[0].time < w[1].time)
            && r.suspects.len() < AGREEING_ROWS
            && r.released.is_none_or(|t| times().all(|h| h > t))
            && r.newest
                .is_none_or(|t| times().all(|h| h <= t) && r.released.is_none_or(|r| r <= t))
            && (r.newest.is_some() || (r.held.is_empty() && r.released.is_none()));
        if !ordered {
            return Err(Error::persistence("rows that wait: expected them in order of time"));
        }
        Ok(Self {
            newest: r.newest,
            released: r.released,
            held: r.held,
            suspects: r.suspects,
            spare: Vec::new(),
        })
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It waits.
    Held,
    /// A row of that instant, or a later one that cannot wait, is there already.
    TooLate { duplicate: bool },
    /// Three rows agree that the clock went forward, from here.
    Forward { from: Timestamp },
    /// Three rows agree that the clock was set back, from here: all that waits belongs to the machine's former time.
    Back { from: Timestamp },
}

impl Inbox {
    /// The latest believed instant.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// The rows that wait.
    pub(super) fn n_held(&self) -> usize {
        self.held.len() + self.suspects.len()
    }

    /// Whether each row waiting has `width` readings: files may say otherwise.
    pub(super) fn fits(&self, width: usize) -> bool {
        self.held.iter().chain(&self.suspects).all(|h| h.values.len() == width)
    }

    fn keep(&mut self, time: Timestamp, values: &[f64]) -> HeldRow {
        let mut room = self.spare.pop().unwrap_or_default();
        room.clear();
        room.extend_from_slice(values);
        HeldRow { time, values: room }
    }

    /// Takes a row; gives what became of it, and how many rows set aside before are dropped by it.
    pub(super) fn receive(&mut self, params: &FleetParams, time: Timestamp, values: &[f64]) -> (Received, u32) {
        let after = |a: Timestamp, b: Timestamp| i128::from(b.nanos()) - i128::from(a.nanos());
        if let (Some(step), Some(newest)) = (params.largest_step_ns, self.newest) {
            let ahead = after(newest, time);
            let step = i128::from(step);
            if ahead > step || -ahead > step + i128::from(params.lateness_ns) {
                let agrees = self
                    .suspects
                    .last()
                    .is_some_and(|s| (1..=step).contains(&after(s.time, time)));
                let dropped = if agrees { 0 } else { self.drop_suspects() };
                let row = self.keep(time, values);
                self.suspects.push(row);
                if self.suspects.len() < AGREEING_ROWS {
                    return (Received::Held, dropped);
                }
                return (
                    if ahead > 0 {
                        Received::Forward { from: newest }
                    } else {
                        Received::Back { from: newest }
                    },
                    dropped,
                );
            }
        }
        let dropped = self.drop_suspects();
        (self.insert(time, values), dropped)
    }

    fn insert(&mut self, time: Timestamp, values: &[f64]) -> Received {
        if self.released.is_some_and(|last| time <= last) {
            return Received::TooLate {
                duplicate: self.released == Some(time),
            };
        }
        let place = self.held.partition_point(|h| h.time < time);
        if self.held.get(place).is_some_and(|h| h.time == time) {
            return Received::TooLate { duplicate: true };
        }
        let row = self.keep(time, values);
        self.held.insert(place, row);
        self.newest = self.newest.max(Some(time));
        Received::Held
    }

    fn drop_suspects(&mut self) -> u32 {
        let n = self.suspects.len() as u32;
        self.spare.extend(self.suspects.drain(..).map(|h| h.values));
        n
    }

    /// Believes the rows set aside: they are the machine's next ones.
    pub(super) fn believe(&mut self) {
        let rows = std::mem::take(&mut self.suspects);
        self.newest = rows.last().map(|h| h.time).max(self.newest);
        self.held.extend(rows);
    }

    /// Forgets the time before the rows set aside, which are believed.
    pub(super) fn begin_anew(&mut self) {
        (self.newest, self.released) = (None, None);
        self.spare.extend(self.held.drain(..).map(|h| h.values));
        self.believe();
    }

    /// The next row whose turn it is, of those that wait, where it is at least `now` for the machine.
    pub(super) fn next(&mut self, params: &FleetParams, now: Option<Timestamp>) -> Option<HeldRow> {
        let now = self.newest.max(now)?.nanos();
        let first = self.held.front()?;
        let due = self.held.len() > params.max_held || first.time.nanos() <= now.saturating_sub(params.lateness_ns);
        if !due {
            return None;
        }
        let row = self.held.pop_front()?;
        self.released = Some(row.time);
        Some(row)
    }

    /// Takes back the room of a row handed on.
    pub(super) fn give_back(&mut self, row: HeldRow) {
        if self.spare.len() < 64 {
            self.spare.push(row.values);
        }
    }
}
