//! The last rows of telemetry of one machine.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most columns a row may have.
const MAX_COLUMNS: usize = 65_535;
/// The most values a window may hold: 2^28.
const MAX_VALUES: usize = 1 << 28;
/// Rows there is room for at first.
const FIRST_ROWS: usize = 16;

/// The telemetry rows of the last `span` of time, at any spacing, at most `max_rows` of them.
///
/// A row at time `t` belongs to the window as long as the newest row is at less than `t + span`: of rows one cycle apart, a
/// span of 30 cycles holds 30. Rows leave oldest first, each shown to the caller of [`push_with`](RowWindow::push_with)
/// before it goes, so that running sums can be kept. NaN values are stored as they are.
///
/// # Cost
/// A ring buffer of `8 (n_columns + 1)` bytes a row. Its room doubles as rows come, up to `max_rows`; nothing is allocated
/// once it is large enough. A push costs `n_columns` copies, and each row leaves once.
///
/// ```
/// use prognos::signal::RowWindow;
/// let mut window = RowWindow::new(1, 10.0, 1000)?;
/// let mut sum = 0.0;
/// for (hour, reading) in [(0.0, 5.0), (4.0, 6.0), (9.5, 7.0), (12.0, 8.0)] {
///     window.push_with(hour, &[reading], |_, gone| sum -= gone[0])?;
///     sum += reading;
/// }
/// assert_eq!(sum, 6.0 + 7.0 + 8.0);
/// assert_eq!(window.rows().map(|(time, _)| time).collect::<Vec<_>>(), [4.0, 9.5, 12.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "RowWindowData", into = "RowWindowData")]
pub struct RowWindow {
    n_columns: usize,
    span: f64,
    max_rows: usize,
    /// Rings of `times.len()` places, `head` the oldest row's.
    times: Vec<f64>,
    values: Vec<f64>,
    head: usize,
    len: usize,
}

#[derive(Serialize, Deserialize)]
struct RowWindowData {
    n_columns: usize,
    span: f64,
    max_rows: usize,
    /// Oldest first.
    times: Vec<f64>,
    values: Vec<f64>,
}

impl RowWindow {
    /// An empty window of rows of `n_columns` values; `span` in the unit of the times that will be pushed.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_columns` is in 1..=65,535, `span` is finite and above zero, and `max_rows` is at least
    /// one with `n_columns * max_rows` at most 2^28.
    pub fn new(n_columns: usize, span: f64, max_rows: usize) -> Result<Self> {
        if !(1..=MAX_COLUMNS).contains(&n_columns) {
            return Err(Error::parameter("n_columns", format!("1..={MAX_COLUMNS}"), n_columns));
        }
        if !(span.is_finite() && span > 0.0) {
            return Err(Error::parameter("span", "finite and above 0", span));
        }
        if max_rows == 0 || max_rows > MAX_VALUES / n_columns {
            let most = MAX_VALUES / n_columns;
            return Err(Error::parameter(
                "max_rows",
                format!("1..={most} rows of {n_columns} values"),
                max_rows,
            ));
        }
        Ok(Self {
            n_columns,
            span,
            max_rows,
            times: Vec::new(),
            values: Vec::new(),
            head: 0,
            len: 0,
        })
    }

    /// Values in a row.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Time that the window reaches back.
    pub fn span(&self) -> f64 {
        self.span
    }

    /// The most rows it keeps.
    pub fn max_rows(&self) -> usize {
        self.max_rows
    }

    /// Rows in the window.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a row; gives the number of rows that left for it.
    ///
    /// # Errors
    /// As [`push_with`](RowWindow::push_with).
    pub fn push(&mut self, time: f64, row: &[f64]) -> Result<usize> {
        self.push_with(time, row, |_, _| ())
    }

    /// Takes a row, after calling `on_leave` with time and values of each row that leaves, oldest first. Gives the number
    /// of those.
    ///
    /// # Errors
    /// `InvalidInput` where `row` has not `n_columns` values, or `time` is not finite or not after the newest row's; nothing
    /// is changed then.
    pub fn push_with(&mut self, time: f64, row: &[f64], mut on_leave: impl FnMut(f64, &[f64])) -> Result<usize> {
        if row.len() != self.n_columns {
            return Err(Error::input(
                "telemetry row",
                format!("{} values", self.n_columns),
                row.len(),
            ));
        }
        if !time.is_finite() {
            return Err(Error::input("time of a telemetry row", "finite", time));
        }
        if let Some((newest, _)) = self.newest()
            && time <= newest
        {
            return Err(Error::input(
                "time of a telemetry row",
                format!("after {newest}, the newest row's"),
                time,
            ));
        }
        let mut n_left = 0;
        while let Some((oldest, values)) = self.oldest()
            && (time - oldest >= self.span || self.len == self.max_rows)
        {
            on_leave(oldest, values);
            self.head = (self.head + 1) % self.times.len();
            self.len -= 1;
            n_left += 1;
        }
        if self.len == self.times.len() {
            self.grow((2 * self.len).clamp(FIRST_ROWS.min(self.max_rows), self.max_rows));
        }
        let place = (self.head + self.len) % self.times.len();
        self.times[place] = time;
        self.values[place * self.n_columns..][..self.n_columns].copy_from_slice(row);
        self.len += 1;
        Ok(n_left)
    }

    /// Time and values of row `index`, counted from the oldest; `None` beyond the newest.
    pub fn row(&self, index: usize) -> Option<(f64, &[f64])> {
        if index >= self.len {
            return None;
        }
        let place = (self.head + index) % self.times.len();
        Some((
            self.times[place],
            &self.values[place * self.n_columns..][..self.n_columns],
        ))
    }

    /// Time and values of the oldest row.
    pub fn oldest(&self) -> Option<(f64, &[f64])> {
        self.row(0)
    }

    /// Time and values of the newest row.
    pub fn newest(&self) -> Option<(f64, &[f64])> {
        self.row(self.len.checked_sub(1)?)
    }

    /// Time and values of all rows, oldest first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (f64, &[f64])> + DoubleEndedIterator + Clone {
        let (n_columns, split) = (self.n_columns, self.times.len() - self.head);
        (0..self.len).map(move |i| {
            let place = if i < split { self.head + i } else { i - split };
            (self.times[place], &self.values[place * n_columns..][..n_columns])
        })
    }

    /// Forgets all rows; the room for them stays.
    pub fn clear(&mut self) {
        (self.head, self.len) = (0, 0);
    }

    fn grow(&mut self, n_rows: usize) {
        let mut times = Vec::with_capacity(n_rows);
        let mut values = Vec::with_capacity(n_rows * self.n_columns);
        for (time, row) in self.rows() {
            times.push(time);
            values.extend_from_slice(row);
        }
        times.resize(n_rows, 0.0);
        values.resize(n_rows * self.n_columns, 0.0);
        (self.times, self.values, self.head) = (times, values, 0);
    }
}

impl From<RowWindow> for RowWindowData {
    fn from(w: RowWindow) -> Self {
        Self {
            n_columns: w.n_columns,
            span: w.span,
            max_rows: w.max_rows,
            times: w.rows().map(|r| r.0).collect(),
            values: w.rows().flat_map(|r| r.1).copied().collect(),
        }
    }
}

impl TryFrom<RowWindowData> for RowWindow {
    type Error = Error;

    fn try_from(data: RowWindowData) -> Result<Self> {
        let mut w = Self::new(data.n_columns, data.span, data.max_rows)?;
        if data.times.len().checked_mul(w.n_columns) != Some(data.values.len()) {
            return Err(Error::input(
                "values of a row window",
                format!("{} rows of {}", data.times.len(), w.n_columns),
                data.values.len(),
            ));
        }
        for (&time, row) in data.times.iter().zip(data.values.chunks_exact(w.n_columns)) {
            if w.push(time, row)? > 0 {
                return Err(Error::input(
                    "rows of a row window",
                    format!("at most {} within {}", w.max_rows, w.span),
                    format!("{} up to {time}", data.times.len()),
                ));
            }
        }
        Ok(w)
    }
}

impl fmt::Debug for RowWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowWindow")
            .field("n_columns", &self.n_columns)
            .field("span", &self.span)
            .field("max_rows", &self.max_rows)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::{decode, encode},
        error::ErrorKind,
    };
    use proptest::prelude::*;

    #[test]
    fn parameters_are_checked() {
        for (columns, span, rows) in [
            (0, 1.0, 1),
            (65_536, 1.0, 1),
            (1, 0.0, 1),
            (1, -1.0, 1),
            (1, f64::NAN, 1),
            (1, f64::INFINITY, 1),
            (1, 1.0, 0),
            (2, 1.0, usize::MAX),
        ] {
            let e = RowWindow::new(columns, span, rows).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{columns} {span} {rows}");
        }
    }

    #[test]
    fn bad_rows_change_nothing() {
        let mut w = RowWindow::new(2, 10.0, 5).unwrap();
        w.push(1.0, &[1.0, f64::NAN]).unwrap();
        let before = encode(&w).unwrap();
        for (time, row) in [
            (1.0, &[0.0, 0.0][..]),
            (0.5, &[0.0, 0.0]),
            (f64::NAN, &[0.0, 0.0]),
            (f64::INFINITY, &[0.0, 0.0]),
            (2.0, &[0.0]),
            (2.0, &[0.0; 3]),
        ] {
            let e = w
                .push_with(time, row, |_, _| panic!("a row left at {time}"))
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            assert_eq!(encode(&w).unwrap(), before);
        }
    }

    #[test]
    fn unit_spacing_holds_span_rows_and_room_stays() {
        let mut w = RowWindow::new(1, 30.0, 1000).unwrap();
        for t in 0..100 {
            w.push(f64::from(t), &[0.0]).unwrap();
        }
        assert_eq!((w.len(), w.times.len()), (30, 32));
        let room = w.values.as_ptr();
        for t in 100..1000 {
            w.push(f64::from(t), &[0.0]).unwrap();
        }
        assert_eq!((w.len(), w.values.as_ptr()), (30, room));
        w.clear();
        assert!(w.is_empty() && w.newest().is_none() && w.rows().next().is_none());
        assert_eq!(w.push(0.0, &[1.0]).unwrap(), 0);
    }

    #[test]
    fn hostile_states_do_not_deserialise() {
        let data = |n_columns, max_rows, times: &[f64], n_values| RowWindowData {
            n_columns,
            span: 2.0,
            max_rows,
            times: times.to_vec(),
            values: vec![f64::NAN; n_values],
        };
        for bad in [
            data(0, 1, &[], 0),
            data(1, usize::MAX, &[], 0),
            data(1, 5, &[1.0], 2),
            data(2, 5, &[1.0], 1),
            data(1, 5, &[1.0, 1.0], 2),
            data(1, 5, &[f64::NAN], 1),
            data(1, 5, &[0.0, 2.0], 2),
            data(1, 1, &[0.0, 1.0], 2),
        ] {
            assert!(decode::<RowWindow>(&encode(&bad).unwrap()).is_err());
        }
        let good = data(2, 5, &[0.0, 1.0], 4);
        let w: RowWindow = decode(&encode(&good).unwrap()).unwrap();
        assert_eq!(encode(&w).unwrap(), encode(&good).unwrap());
    }

    proptest! {
        #[test]
        fn it_is_the_naive_window(
            n_columns in 1..4_usize,
            span in 0.5..30.0_f64,
            max_rows in 1..40_usize,
            steps in prop::collection::vec((prop_oneof![Just(1.0), 0.01..12.0_f64], any::<bool>()), 0..150),
        ) {
            let mut window = RowWindow::new(n_columns, span, max_rows).unwrap();
            let mut naive: Vec<(f64, Vec<f64>)> = Vec::new();
            let mut time = -20.0;
            for (i, (step, restore)) in steps.into_iter().enumerate() {
                time += step;
                let row: Vec<f64> = (0..n_columns).map(|c| (10 * i + c) as f64).collect();
                let mut left = Vec::new();
                let n = window.push_with(time, &row, |t, r| left.push((t, r.to_vec()))).unwrap();
                let all = { naive.push((time, row)); naive.clone() };
                let keep = all.iter().rev().take(max_rows).take_while(|(t, _)| time - t < span).count();
                naive = all[all.len() - keep..].to_vec();
                prop_assert_eq!(&left[..], &all[..all.len() - keep]);
                prop_assert_eq!(n, left.len());
                if restore {
                    window = decode(&encode(&window).unwrap()).unwrap();
                }
                prop_assert_eq!(window.rows().map(|(t, r)| (t, r.to_vec())).collect::<Vec<_>>(), naive.clone());
                let back: Vec<_> = window.rows().rev().map(|r| r.0).collect();
                prop_assert_eq!(back, naive.iter().rev().map(|r| r.0).collect::<Vec<_>>());
                for (i, (t, r)) in naive.iter().enumerate() {
                    prop_assert_eq!(window.row(i), Some((*t, &r[..])));
                }
                prop_assert_eq!(window.row(naive.len()), None);
                prop_assert_eq!(window.newest().map(|r| r.0), Some(time));
            }
        }
    }
}
