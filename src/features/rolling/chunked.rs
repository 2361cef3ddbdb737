//! Sums over a moving window without subtraction of what left it.

use super::{extent::Extent, recent::there};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, fmt};

/// Rows in the oldest and the newest chunk together at most. Sums are taken about a row of the window, at worst its one
/// outlier, and are then `n` times larger than the central moment. Each addition rounds by half an ulp of a sum that grows:
/// `n u / 2` of the sum, `u` = 2^-53. The fourth moment is made of terms that add up to 14 such sums: `7 n² u` at worst, all
/// roundings going one way, which is 8e-10 for 1,024 rows.
const ENDS: usize = 1024;

/// What is summed over rows of `D` values: `K` functions of their distances from a pivot.
#[doc(hidden)]
pub trait Terms<const D: usize, const K: usize>: Copy + fmt::Debug {
    /// Count, mean and central moments.
    type Moments: Copy + fmt::Debug;

    fn terms(d: [f64; D]) -> [f64; K];

    /// Of `n >= 1` rows.
    fn moments(n: f64, pivot: [f64; D], sums: [f64; K]) -> Self::Moments;

    fn merge(a: &Self::Moments, b: &Self::Moments) -> Self::Moments;

    fn count(moments: &Self::Moments) -> f64;
}

/// The rows of a window in chunks: what is left of the oldest, whole ones, and the newest that grows.
///
/// Sums of the newest chunk grow by a row at a time; sums over each end of the oldest chunk are computed once, backward,
/// so that a row that leaves takes its part with it without a subtraction. Both are taken about one pivot, the first value
/// of the newest chunk: it lies in the window as long as they are used, so the sums are at most as many times larger than the
/// central moments as there are rows. Moments of whole chunks between both are kept in two stacks. All that is summed can be
/// computed again from the rows and their division.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct ChunkedSums<T: Terms<D, K>, const D: usize, const K: usize> {
    capacity: usize,
    /// Rows of a chunk at most.
    chunk: usize,
    span: Option<f64>,
    /// Oldest first; missing values are NaN.
    rows: VecDeque<[f64; D]>,
    /// Rows that there is room for in all of this.
    room: usize,
    /// Of each row, where the window is a span of time.
    times: VecDeque<f64>,
    /// Rows left of the oldest chunk.
    oldest: usize,
    /// Sums and counts over the ends of the oldest chunk, by where they begin; the last is empty.
    suffix: [Vec<f64>; K],
    suffix_n: Vec<f64>,
    /// Which of them is over all that is left.
    at: usize,
    /// The oldest chunk or the pivot changed since.
    stale: bool,
    /// Of oldest and newest chunk.
    pivot: Option<[f64; D]>,
    /// Moments of whole chunks, oldest last, each over itself and all after it in this list.
    front: Vec<Option<T::Moments>>,
    /// Moments of each whole chunk after those, oldest first, and of all of them.
    back: Vec<Option<T::Moments>>,
    back_total: Option<T::Moments>,
    /// Of all whole chunks.
    whole: Option<T::Moments>,
    newest: Newest<D, K>,
}

#[derive(Clone, Copy, Debug)]
struct Newest<const D: usize, const K: usize> {
    len: usize,
    n: f64,
    pivot: Option<[f64; D]>,
    sums: [f64; K],
}

impl<const D: usize, const K: usize> Newest<D, K> {
    const EMPTY: Self = Self {
        len: 0,
        n: 0.0,
        pivot: None,
        sums: [0.0; K],
    };

    /// Takes a row; says whether it became the pivot.
    #[inline]
    fn take<T: Terms<D, K>>(&mut self, row: [f64; D]) -> bool {
        self.len += 1;
        if !is_there(&row) {
            return false;
        }
        let first = self.pivot.is_none();
        let pivot = *self.pivot.get_or_insert(row);
        self.n += 1.0;
        add(&mut self.sums, T::terms(distance(&row, &pivot)));
        first
    }

    fn moments<T: Terms<D, K>>(&self) -> Option<T::Moments> {
        self.pivot.map(|pivot| T::moments(self.n, pivot, self.sums))
    }
}

#[inline]
fn is_there<const D: usize>(row: &[f64; D]) -> bool {
    row.iter().all(|v| v.is_finite())
}

#[inline]
fn distance<const D: usize>(row: &[f64; D], pivot: &[f64; D]) -> [f64; D] {
    std::array::from_fn(|i| row[i] - pivot[i])
}

#[inline]
fn add<const K: usize>(sums: &mut [f64; K], terms: [f64; K]) {
    for (s, t) in sums.iter_mut().zip(terms) {
        *s += t;
    }
}

fn merged<T: Terms<D, K>, const D: usize, const K: usize>(
    a: Option<T::Moments>,
    b: Option<T::Moments>,
) -> Option<T::Moments> {
    match (a, b) {
        (Some(a), Some(b)) => Some(T::merge(&a, &b)),
        (a, b) => a.or(b),
    }
}

/// Sums over the beginnings of a stretch of rows.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Prefixes<const K: usize>([Vec<f64>; K]);

impl<const K: usize> Default for Prefixes<K> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}

/// Rows and how they are divided into chunks.
#[doc(hidden)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChunkedRecord {
    /// Row after row, oldest first; none where missing, which unlike NaN every format can tell.
    values: Vec<Option<f64>>,
    times: Vec<f64>,
    /// Rows left of the oldest chunk.
    oldest: usize,
    /// Whole chunks in both stacks.
    front: usize,
    back: usize,
}

impl<T: Terms<D, K>, const D: usize, const K: usize> ChunkedSums<T, D, K> {
    /// Of at most `capacity` rows, of the last `span` where there is one.
    pub(super) fn new(extent: &Extent, capacity: usize) -> Self {
        Self {
            capacity,
            // A window this short never has more in its ends.
            chunk: if capacity <= ENDS { ENDS } else { ENDS / 2 },
            span: extent.reach(),
            rows: VecDeque::new(),
            room: 0,
            times: VecDeque::new(),
            oldest: 0,
            suffix: std::array::from_fn(|_| vec![0.0]),
            suffix_n: vec![0.0],
            at: 0,
            stale: false,
            pivot: None,
            front: Vec::new(),
            back: Vec::new(),
            back_total: None,
            whole: None,
            newest: Newest::EMPTY,
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.times.clear();
        self.oldest = 0;
        self.front.clear();
        self.back.clear();
        self.back_total = None;
        self.whole = None;
        self.newest = Newest::EMPTY;
        self.stale = true;
        self.refresh();
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64; D]> {
        self.rows.iter()
    }

    /// The time of row `i`, where the window is a span of time.
    pub(super) fn time(&self, i: usize) -> Option<f64> {
        self.times.get(i).copied()
    }

    /// Whether a window that ends at `now` holds a row of `since`.
    pub(super) fn reaches(&self, now: f64, since: f64) -> bool {
        self.span.is_none_or(|span| since > now - span)
    }

    /// Moves the window on to `now` without a row.
    pub(super) fn advance(&mut self, now: f64) {
        self.leave(now);
        self.refresh();
    }

    /// Takes a row that leaves as soon as the span ends after `since`; `now` is the time of the window's end.
    pub(super) fn push(&mut self, now: f64, since: f64, row: [f64; D]) {
        self.leave(now);
        if self.rows.len() >= self.capacity {
            self.drop_oldest();
        }
        if self.newest.len == self.chunk {
            self.close();
        }
        let row = if is_there(&row) { row } else { [f64::NAN; D] };
        self.rows.push_back(row);
        if self.room < self.rows.capacity() {
            self.make_room();
        }
        if self.span.is_some() {
            self.times.push_back(since);
        }
        self.stale |= self.newest.take::<T>(row);
        self.refresh();
    }

    /// Room for sums and chunks of as many rows as there is room for, however the window will be divided.
    #[inline(never)]
    fn make_room(&mut self) {
        self.room = self.rows.capacity();
        let rows = self.room.min(self.capacity);
        for s in self.suffix.iter_mut().chain([&mut self.suffix_n]) {
            s.reserve((rows.min(self.chunk) + 1).saturating_sub(s.len()));
        }
        let chunks = rows / self.chunk + 1;
        self.front.reserve(chunks.saturating_sub(self.front.len()));
        self.back.reserve(chunks.saturating_sub(self.back.len()));
    }

    /// The newest chunk becomes a whole one.
    fn close(&mut self) {
        let moments = self.newest.moments::<T>();
        self.back.push(moments);
        self.back_total = merged::<T, D, K>(self.back_total, moments);
        self.newest = Newest::EMPTY;
        self.sum_whole();
        self.stale = true;
    }

    fn sum_whole(&mut self) {
        self.whole = merged::<T, D, K>(self.front.last().copied().flatten(), self.back_total);
    }

    fn leave(&mut self, now: f64) {
        if let Some(span) = self.span {
            while self.times.front().is_some_and(|t| *t <= now - span) {
                self.drop_oldest();
            }
        }
    }

    fn drop_oldest(&mut self) {
        if self.oldest == 0 {
            if self.front.is_empty() && self.back.is_empty() {
                self.oldest = self.newest.len;
                self.newest = Newest::EMPTY;
            } else {
                self.pop_whole();
                self.oldest = self.chunk;
            }
            self.stale = true;
        }
        self.rows.pop_front();
        self.times.pop_front();
        self.oldest = self.oldest.saturating_sub(1);
        self.at += 1;
    }

    fn pop_whole(&mut self) {
        if self.front.is_empty() {
            self.turn_over();
        }
        self.front.pop();
        self.sum_whole();
    }

    /// Moves all chunks from the back stack to the front one.
    fn turn_over(&mut self) {
        while let Some(moments) = self.back.pop() {
            let after = self.front.last().copied().flatten();
            self.front.push(merged::<T, D, K>(moments, after));
        }
        self.back_total = None;
    }

    /// Sums over the ends of the oldest chunk, where they are not those any more.
    #[inline]
    fn refresh(&mut self) {
        if self.stale {
            self.sum_suffixes();
        }
    }

    #[inline(never)]
    fn sum_suffixes(&mut self) {
        self.stale = false;
        let n = self.oldest.min(self.rows.len());
        let last = || self.rows.range(..n).rev().find(|row| is_there(row)).copied();
        self.pivot = self.newest.pivot.or_else(last);
        self.at = 0;
        for s in self.suffix.iter_mut().chain([&mut self.suffix_n]) {
            s.clear();
            s.resize(n + 1, 0.0);
        }
        let Some(pivot) = self.pivot else {
            return;
        };
        let (mut sums, mut count) = ([0.0; K], 0.0);
        let mut columns = self.suffix.each_mut().map(|s| &mut s[..n]);
        let counts = &mut self.suffix_n[..n];
        for (i, row) in self.rows.range(..n).enumerate().rev() {
            if is_there(row) {
                count += 1.0;
                add(&mut sums, T::terms(distance(row, &pivot)));
            }
            counts[i] = count;
            for (column, s) in columns.iter_mut().zip(sums) {
                column[i] = s;
            }
        }
    }

    /// Moments of the window; none of a window without values.
    #[inline]
    pub(super) fn moments(&self) -> Option<T::Moments> {
        let n = self.suffix_n.get(self.at).copied().unwrap_or(0.0) + self.newest.n;
        let ends = match self.pivot {
            Some(pivot) if n > 0.0 => {
                let sums =
                    std::array::from_fn(|k| self.suffix[k].get(self.at).copied().unwrap_or(0.0) + self.newest.sums[k]);
                Some(T::moments(n, pivot, sums))
            }
            _ => None,
        };
        merged::<T, D, K>(ends, self.whole)
    }

    /// The value of what [`moments`](ChunkedSums::moments) gives; NaN below `min_count`.
    #[inline]
    pub(super) fn value(&self, min_count: usize, value: impl Fn(&T::Moments) -> f64) -> f64 {
        self.moments()
            .map_or(f64::NAN, |m| counted::<T, D, K>(&m, min_count as f64, value))
    }

    /// Takes rows one after another into a window counted in rows, and writes the value after each.
    pub(super) fn extend(
        &mut self,
        rows: &[[f64; D]],
        work: &mut Prefixes<K>,
        min_count: usize,
        value: impl Fn(&T::Moments) -> f64 + Copy,
        out: &mut [f64],
    ) {
        let mut i = 0;
        while let (Some(row), Some(o)) = (rows.get(i), out.get_mut(i)) {
            self.push(0.0, 0.0, *row);
            *o = self.value(min_count, value);
            i += 1;
            // From here no chunk begins or ends until one of both ends of the window has used its own up.
            if self.rows.len() < self.capacity || self.newest.pivot.is_none() {
                continue;
            }
            let until = i + self.oldest.min(self.chunk - self.newest.len);
            let (Some(rows), Some(out)) = (
                rows.get(i..until.min(rows.len())),
                out.get_mut(i..until.min(rows.len())),
            ) else {
                continue;
            };
            i += self.stretch(rows, work, min_count as f64, value, out);
        }
    }

    /// Takes rows up to the first with a missing value, each for one of the oldest chunk; gives their number.
    fn stretch(
        &mut self,
        rows: &[[f64; D]],
        work: &mut Prefixes<K>,
        min_count: f64,
        value: impl Fn(&T::Moments) -> f64 + Copy,
        out: &mut [f64],
    ) -> usize {
        let n = if rows.iter().fold(true, |all, row| all & is_there(row)) {
            rows.len()
        } else {
            rows.iter().take_while(|row| is_there(row)).count()
        };
        let Some(pivot) = self.newest.pivot else {
            return 0;
        };
        let (rows, out) = (&rows[..n], &mut out[..n]);
        for column in &mut work.0 {
            if column.len() < n {
                column.resize(ENDS, 0.0);
            }
        }
        let mut prefixes = work.0.each_mut().map(|column| &mut column[..n]);
        let mut sums = self.newest.sums;
        for (i, row) in rows.iter().enumerate() {
            add(&mut sums, T::terms(distance(row, &pivot)));
            for (column, s) in prefixes.iter_mut().zip(sums) {
                column[i] = s;
            }
        }
        let prefixes = prefixes.map(|column| &*column);
        let first = self.at + 1;
        let suffixes = self.suffix.each_ref().map(|s| &s[first..first + n]);
        let counts = &self.suffix_n[first..first + n];
        let before = self.newest.n;
        let count = |i: usize| counts[i] + (before + (i + 1) as f64);
        let ends = |i: usize, n: f64| {
            let sums = std::array::from_fn(|k| suffixes[k][i] + prefixes[k][i]);
            T::moments(n, pivot, sums)
        };
        // A value comes with each row, and one or none goes. Where the count stays, quotients of counts are taken once.
        let steady = (n > 0).then(|| count(0)).filter(|first| *first == count(n - 1));
        let rows_of_out = out.iter_mut().enumerate();
        match (&self.whole, steady) {
            (None, Some(n)) => {
                rows_of_out.for_each(|(i, o)| *o = counted::<T, D, K>(&ends(i, n), min_count, value));
            }
            (None, None) => {
                rows_of_out.for_each(|(i, o)| *o = counted::<T, D, K>(&ends(i, count(i)), min_count, value));
            }
            (Some(whole), Some(n)) => rows_of_out.for_each(|(i, o)| {
                *o = counted::<T, D, K>(&T::merge(&ends(i, n), whole), min_count, value);
            }),
            (Some(whole), None) => rows_of_out.for_each(|(i, o)| {
                *o = counted::<T, D, K>(&T::merge(&ends(i, count(i)), whole), min_count, value);
            }),
        }
        self.rows.drain(..n);
        self.rows.extend(rows);
        self.oldest -= n;
        self.at += n;
        self.newest.len += n;
        self.newest.n += n as f64;
        self.newest.sums = sums;
        n
    }

    pub(super) fn record(&self) -> ChunkedRecord {
        ChunkedRecord {
            values: self.rows.iter().flatten().map(|v| there(*v)).collect(),
            times: self.times.iter().copied().collect(),
            oldest: self.oldest,
            front: self.front.len(),
            back: self.back.len(),
        }
    }

    /// The sums of a record, and the time of its newest row.
    pub(super) fn restore(extent: &Extent, capacity: usize, record: ChunkedRecord) -> Result<(Self, Option<f64>)> {
        let bad = |what: &str| Error::persistence(format!("rolling state: {what}"));
        let mut new = Self::new(extent, capacity);
        let (rows, rest) = record.values.as_chunks::<D>();
        let whole = record
            .front
            .checked_add(record.back)
            .and_then(|n| n.checked_mul(new.chunk));
        let newest = whole
            .and_then(|n| n.checked_add(record.oldest))
            .and_then(|n| rows.len().checked_sub(n));
        let newest = newest
            .filter(|n| rest.is_empty() && rows.len() <= capacity && record.oldest <= new.chunk && *n <= new.chunk);
        let newest = newest.ok_or_else(|| bad("rows do not fit their division"))?;
        let last = record.times.last().copied();
        match extent.reach() {
            None if record.times.is_empty() => (),
            Some(span) if record.times.len() == rows.len() => {
                let ordered = record.times.iter().all(|t| t.is_finite()) && record.times.is_sorted_by(|a, b| a < b);
                let within = record
                    .times
                    .first()
                    .zip(last)
                    .is_none_or(|(a, b)| *a > b - span || *a == b);
                if !(ordered && within) {
                    return Err(bad("times are not those of a window"));
                }
            }
            _ => return Err(bad("rows and times do not fit")),
        }
        let row_of = |row: &[Option<f64>; D]| {
            let row = row.map(|v| v.unwrap_or(f64::NAN));
            if is_there(&row) { row } else { [f64::NAN; D] }
        };
        new.rows.extend(rows.iter().map(row_of));
        new.times.extend(record.times);
        new.oldest = record.oldest;
        let moments_at = |begin: usize, len: usize| {
            let mut chunk = Newest::EMPTY;
            for row in new.rows.range(begin..begin + len) {
                chunk.take::<T>(*row);
            }
            chunk
        };
        let chunks: Vec<_> = (0..record.front + record.back)
            .map(|i| moments_at(record.oldest + i * new.chunk, new.chunk).moments::<T>())
            .collect();
        let newest = moments_at(new.rows.len() - newest, newest);
        let (front, back) = chunks.split_at(record.front);
        new.back.extend(front);
        new.turn_over();
        for moments in back {
            new.back.push(*moments);
            new.back_total = merged::<T, D, K>(new.back_total, *moments);
        }
        new.newest = newest;
        new.sum_whole();
        new.stale = true;
        new.refresh();
        Ok((new, last))
    }
}

#[inline]
fn counted<T: Terms<D, K>, const D: usize, const K: usize>(
    moments: &T::Moments,
    min_count: f64,
    value: impl Fn(&T::Moments) -> f64,
) -> f64 {
    if T::count(moments) >= min_count {
        value(moments)
    } else {
        f64::NAN
    }
}
