//! Training rows as algorithms see them: complete, in standard units, in one block of memory.

use crate::quantity::Timestamp;
use ndarray::ArrayView2;

/// `(n_rows, width)` numbers, one row behind the other, every one of them finite.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f64],
    width: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `width` columns; what is left over at the end is no row.
    pub(crate) fn new(values: &'a [f64], width: usize) -> Self {
        let n = values.len().checked_div(width).unwrap_or(0);
        let values = values.get(..n * width).unwrap_or_default();
        Self { values, width }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers, row by row.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Row `i`; `None` beyond the last.
    pub fn get(&self, i: usize) -> Option<&'a [f64]> {
        if i >= self.len() {
            return None;
        }
        self.values.get(i * self.width..(i + 1) * self.width)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f64]> + use<'a> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// The numbers of column `j`, in the order of rows.
    pub fn column(&self, j: usize) -> impl Iterator<Item = f64> + use<'a> {
        self.values
            .chunks_exact(self.width.max(1))
            .filter_map(move |r| r.get(j).copied())
    }

    /// The rows as an array.
    pub fn view(&self) -> ArrayView2<'a, f64> {
        // The length is a product by construction.
        ArrayView2::from_shape((self.len(), self.width), self.values)
            .unwrap_or_else(|_| ArrayView2::from(&[[0.0; 0]; 0]))
    }
}

/// One row of a machine's stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamRow<'a> {
    /// Finite numbers, in the units the detector's [`Scaling`](super::Scaling) says.
    pub values: &'a [f64],
    /// The row's instant, where it has one; later than that of the machine's row before.
    pub time: Option<Timestamp>,
}

/// What machines sent, each machine's rows in the order they came.
#[derive(Clone, Debug)]
pub struct Sequences {
    width: usize,
    values: Vec<f64>,
    /// One a row, or none at all.
    times: Vec<Timestamp>,
    /// The row at which each sequence ends.
    ends: Vec<usize>,
}

impl Sequences {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            values: Vec::new(),
            times: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Appends a row to the sequence under way.
    pub(crate) fn push(&mut self, values: impl IntoIterator<Item = f64>, time: Option<Timestamp>) {
        let before = self.values.len();
        self.values.extend(values.into_iter().take(self.width));
        self.values.resize(before + self.width, 0.0);
        self.times.extend(time);
    }

    /// Ends the sequence under way; an empty one is none.
    pub(crate) fn end(&mut self) {
        let n = self.all().len();
        if n > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(n);
        }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The rows of all sequences, one sequence behind the other.
    pub fn all(&self) -> Rows<'_> {
        Rows::new(&self.values, self.width)
    }

    /// Each sequence, row by row.
    pub fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = StreamRow<'_>>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(move |(start, &end)| {
            (start..end).filter_map(move |i| {
                Some(StreamRow {
                    values: self.all().get(i)?,
                    time: self.times.get(i).copied(),
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_put_in() {
        let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0, 5.0], 2);
        assert_eq!(
            (rows.len(), rows.width(), rows.get(1), rows.get(2)),
            (2, 2, Some(&[3.0, 4.0][..]), None)
        );
        assert_eq!(rows.column(1).collect::<Vec<_>>(), [2.0, 4.0]);
        assert_eq!(rows.view()[[1, 0]], 3.0);
        let none = Rows::new(&[1.0], 0);
        assert!(none.is_empty() && none.iter().len() == 0 && none.view().is_empty() && none.get(0).is_none());
    }

    #[test]
    fn sequences_keep_their_ends() {
        let mut s = Sequences::new(1);
        s.end();
        for v in [1.0, 2.0] {
            s.push([v], Some(Timestamp::from_secs(v as i64)));
        }
        s.end();
        s.end();
        s.push([3.0], Some(Timestamp::from_secs(0)));
        s.end();
        let lists: Vec<Vec<f64>> = s.iter().map(|q| q.map(|r| r.values[0]).collect()).collect();
        assert_eq!(lists, [vec![1.0, 2.0], vec![3.0]]);
        assert_eq!((s.len(), s.all().len()), (2, 3));
        assert_eq!(
            s.iter().nth(1).unwrap().next().unwrap().time,
            Some(Timestamp::from_secs(0))
        );
    }
}
