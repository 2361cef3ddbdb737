//! The nearest of a set of rows, exactly: a k-d tree with tight boxes over rows that lie eight side by side.

use crate::detect::{
    rows::Rows,
    standard::{Z_MAX, check_numbers},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use rand_xoshiro::{
    Xoshiro256Plus,
    rand_core::{RngCore, SeedableRng},
};
use smallvec::SmallVec;

/// The most neighbours that can be asked for; as many stay on the stack.
pub(in crate::detect) const MOST_NEIGHBOURS: usize = 128;
/// The most rows that can be searched.
pub(in crate::detect) const MOST_ROWS: usize = 1_000_000;
/// Rows whose distances are summed side by side.
const LANES: usize = 8;
/// The most rows of a leaf: its distances cost some ten times what its box costs, so that a tree whose boxes rule nothing
/// out (many columns without relation) is hardly slower than a pass over all rows.
const LEAF: usize = 4 * LANES;
/// Columns summed before a block of rows that is too far already is left.
const COLUMNS_AT_ONCE: usize = 16;
/// The number of no row, after every other.
const NONE: u32 = u32::MAX;

/// A row near to the one that was asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Neighbour {
    /// The squared distance: `Σ (z_j - row_j)²`, summed in the order of columns.
    pub square: f64,
    /// Its place among the rows that the search was made of.
    pub row: u32,
    slot: u32,
}

impl Neighbour {
    const NOBODY: Self = Self {
        square: f64::INFINITY,
        row: NONE,
        slot: NONE,
    };

    /// The distance.
    pub fn distance(&self) -> f64 {
        self.square.sqrt()
    }

    /// Whether this comes before `other`: nearer, or as near and of a lower place.
    #[inline]
    fn before(&self, other: &Self) -> bool {
        self.square < other.square || (self.square == other.square && self.row < other.row)
    }
}

/// Neighbours, the nearest first, of equally near ones that of the lowest place.
pub(in crate::detect) type Neighbours = SmallVec<[Neighbour; MOST_NEIGHBOURS]>;

#[derive(Clone, Copy, Debug)]
enum Node {
    /// These blocks of rows.
    Leaf { first: u32, n: u32 },
    /// The next node, the node `right`, and the place of their boxes.
    Split { right: u32, boxes: u32 },
}

/// Rows in an order that finds the nearest ones.
#[derive(Clone, Debug)]
pub(in crate::detect) struct NeighbourSearch {
    width: usize,
    n_rows: usize,
    /// Block by block, column by column: that column of [`LANES`] rows. Infinite where there is no row.
    blocks: Vec<[f64; LANES]>,
    /// The place of each row of a block.
    places: Vec<[u32; LANES]>,
    nodes: Vec<Node>,
    /// For each split, column by column: the range of the left part and that of the right.
    boxes: Vec<[f64; 4]>,
}

/// The neighbours found so far.
struct Nearest {
    found: Neighbours,
    worst: f64,
    skip: u32,
}

impl Nearest {
    #[inline]
    fn offer(&mut self, new: Neighbour) {
        let beaten = self.found.last().is_some_and(|last| new.before(last));
        if !beaten || new.row == self.skip {
            return;
        }
        self.found.pop();
        let at = self.found.partition_point(|other| other.before(&new));
        self.found.insert(at, new);
        self.worst = self.found.last().map_or(f64::INFINITY, |last| last.square);
    }
}

impl NeighbourSearch {
    /// A search among `rows`, of which there are at most [`MOST_ROWS`].
    pub fn new(rows: Rows<'_>) -> Self {
        let (n_rows, width) = (rows.len(), rows.width());
        let mut search = Self {
            width,
            n_rows,
            blocks: vec![[f64::INFINITY; LANES]; n_rows.div_ceil(LANES) * width],
            places: vec![[NONE; LANES]; n_rows.div_ceil(LANES)],
            nodes: Vec::new(),
            boxes: Vec::new(),
        };
        let mut order: Vec<u32> = (0..n_rows as u32).collect();
        let ranges = ranges(rows, &order);
        search.grow(rows, &mut order, 0, &ranges);
        for (slot, &row) in order.iter().enumerate() {
            let (block, lane) = (slot / LANES, slot % LANES);
            if let Some(place) = search.places.get_mut(block).and_then(|p| p.get_mut(lane)) {
                *place = row;
            }
            let columns = search.blocks.iter_mut().skip(block * width);
            for (column, &v) in columns.zip(rows.get(row as usize).unwrap_or_default()) {
                if let Some(place) = column.get_mut(lane) {
                    *place = v;
                }
            }
        }
        search
    }

    /// A search among rows of `width` columns that were written one behind the other as `what`.
    ///
    /// # Errors
    /// `Persistence` unless they are at least `least` rows, at most [`MOST_ROWS`], within the range of standard units.
    pub fn of_record(what: &str, values: &[f64], width: usize, least: usize) -> Result<Self> {
        let n = values.len().checked_div(width).unwrap_or(0);
        if n < least || n > MOST_ROWS {
            return Err(Error::persistence(format!(
                "{what}: expected {least} to {MOST_ROWS} rows, got {n}"
            )));
        }
        check_numbers(what, values, n * width, |v| v.abs() <= Z_MAX)?;
        Ok(Self::new(Rows::new(values, width)))
    }

    /// Splits `order`, whose first row has the slot `first`, at the median of the widest column until leaves are small.
    /// Every part but the last has whole blocks.
    fn grow(&mut self, rows: Rows<'_>, order: &mut [u32], first: usize, own: &[[f64; 2]]) {
        let node = self.nodes.len();
        if order.len() <= LEAF {
            self.nodes.push(Node::Leaf {
                first: (first / LANES) as u32,
                n: order.len().div_ceil(LANES) as u32,
            });
            return;
        }
        let extent = |j: &usize| own.get(*j).map_or(0.0, |[low, high]| high - low);
        let widest = (0..self.width).fold(0, |best, j| if extent(&j) > extent(&best) { j } else { best });
        let value = |row: u32| {
            rows.get(row as usize)
                .and_then(|r| r.get(widest))
                .copied()
                .unwrap_or(0.0)
        };
        let half = (order.len() / 2).next_multiple_of(LANES); // below the length, which is above a leaf's
        order.select_nth_unstable_by(half, |&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
        let (left, right) = order.split_at_mut(half);
        let (left_ranges, right_ranges) = (ranges(rows, left), ranges(rows, right));
        let boxes = (self.boxes.len() / self.width.max(1)) as u32;
        let pairs = left_ranges.iter().zip(&right_ranges);
        self.boxes.extend(pairs.map(|(&[a, b], &[c, d])| [a, b, c, d]));
        self.nodes.push(Node::Split { right: 0, boxes });
        self.grow(rows, left, first, &left_ranges);
        let right_node = self.nodes.len() as u32;
        if let Some(Node::Split { right, .. }) = self.nodes.get_mut(node) {
            *right = right_node;
        }
        self.grow(rows, right, first + half, &right_ranges);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The `k` nearest rows, at most [`MOST_NEIGHBOURS`]; fewer where there are fewer. The row of place `skip` is not among
    /// them.
    ///
    /// Exact to the last bit: a box's distance is summed as a row's is, and rounding keeps order, so no box is ruled out
    /// that holds a nearer row.
    pub fn nearest(&self, z: &[f64], k: usize, skip: Option<u32>) -> Neighbours {
        let mut nearest = Nearest {
            found: SmallVec::from_elem(Neighbour::NOBODY, k.min(MOST_NEIGHBOURS)),
            worst: f64::INFINITY,
            skip: skip.unwrap_or(NONE),
        };
        let mut waiting: SmallVec<[(f64, u32); 64]> = SmallVec::new(); // one a level, and two
        waiting.push((0.0, 0));
        while let Some((bound, node)) = waiting.pop() {
            if bound > nearest.worst {
                continue;
            }
            match self.nodes.get(node as usize) {
                Some(&Node::Leaf { first, n }) => (first..first + n).for_each(|b| self.scan(z, b, &mut nearest)),
                Some(&Node::Split { right, boxes }) => {
                    let [left_bound, right_bound] = self.bounds(z, boxes as usize);
                    let (left, right) = ((left_bound, node + 1), (right_bound, right));
                    // The last in is looked at first.
                    let both = if left_bound <= right_bound {
                        [right, left]
                    } else {
                        [left, right]
                    };
                    waiting.extend(both.into_iter().filter(|(bound, _)| *bound <= nearest.worst));
                }
                None => {}
            }
        }
        while nearest.found.last().is_some_and(|last| last.row == NONE) {
            nearest.found.pop();
        }
        nearest.found
    }

    /// Offers the rows of a block.
    #[inline]
    fn scan(&self, z: &[f64], block: u32, nearest: &mut Nearest) {
        let block = block as usize;
        let columns = self.blocks.get(block * self.width..(block + 1) * self.width);
        let (Some(columns), Some(places)) = (columns, self.places.get(block)) else {
            return;
        };
        let mut squares = [0.0; LANES];
        for (columns, z) in columns.chunks(COLUMNS_AT_ONCE).zip(z.chunks(COLUMNS_AT_ONCE)) {
            for (column, z) in columns.iter().zip(z) {
                for (square, v) in squares.iter_mut().zip(column) {
                    let d = z - v;
                    *square += d * d;
                }
            }
            if squares.iter().all(|s| *s > nearest.worst) {
                return;
            }
        }
        for (lane, (&square, &row)) in squares.iter().zip(places).enumerate() {
            if square <= nearest.worst {
                let slot = (block * LANES + lane) as u32;
                nearest.offer(Neighbour { square, row, slot });
            }
        }
    }

    /// The squared distances from `z` to both boxes of a split.
    #[inline]
    fn bounds(&self, z: &[f64], split: usize) -> [f64; 2] {
        let boxes = self.boxes.get(split * self.width..(split + 1) * self.width);
        let mut sum = [0.0; 2];
        for (&[low, high, right_low, right_high], &z) in boxes.unwrap_or_default().iter().zip(z) {
            let d = (low - z).max(z - high).max(0.0);
            let e = (right_low - z).max(z - right_high).max(0.0);
            let [left, right] = &mut sum;
            *left += d * d;
            *right += e * e;
        }
        sum
    }

    /// Deals `amount` over the columns, each by its share of the squared distance from `z` to its neighbour; evenly where
    /// that is zero.
    pub fn add_shares(&self, z: &[f64], neighbour: &Neighbour, amount: f64, out: &mut [f64]) {
        if neighbour.square <= 0.0 {
            let even = amount / self.width.max(1) as f64;
            out.iter_mut().take(self.width).for_each(|o| *o += even);
            return;
        }
        for ((o, z), v) in out.iter_mut().zip(z).zip(self.row_of_slot(neighbour.slot as usize)) {
            let d = z - v;
            *o += amount * (d * d / neighbour.square);
        }
    }

    fn row_of_slot(&self, slot: usize) -> impl Iterator<Item = f64> {
        let columns = self.blocks.iter().skip(slot / LANES * self.width).take(self.width);
        columns.filter_map(move |column| column.get(slot % LANES).copied())
    }

    /// The rows in the order they were given in, one behind the other.
    pub fn to_rows(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.n_rows * self.width];
        for (slot, &row) in self.places.iter().flatten().enumerate().take(self.n_rows) {
            let places = out.iter_mut().skip(row as usize * self.width);
            places.zip(self.row_of_slot(slot)).for_each(|(o, v)| *o = v);
        }
        out
    }
}

/// The range of each column over the rows `order`.
fn ranges(rows: Rows<'_>, order: &[u32]) -> Vec<[f64; 2]> {
    let mut out = vec![[f64::INFINITY, f64::NEG_INFINITY]; rows.width()];
    for row in order.iter().filter_map(|&i| rows.get(i as usize)) {
        for ([low, high], &v) in out.iter_mut().zip(row) {
            *low = low.min(v);
            *high = high.max(v);
        }
    }
    out
}

/// At most `most` of the rows, in their order, one behind the other: all, or a sample without replacement.
pub(in crate::detect) fn sample_rows(rows: Rows<'_>, most: usize, seed: Seed) -> Vec<f64> {
    let chosen = sample_positions(rows.len(), most, seed).filter_map(|i| rows.get(i));
    let mut out = Vec::with_capacity(rows.len().min(most) * rows.width());
    chosen.for_each(|row| out.extend_from_slice(row));
    out
}

/// At most `most` of the numbers below `n`, rising: all, or a sample without replacement.
pub(in crate::detect) fn sample_positions(n: usize, most: usize, seed: Seed) -> impl Iterator<Item = usize> {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed.0);
    let mut wanted = most.min(n) as u128;
    // Each is taken with the share of those wanted among those left (Knuth, The Art of Computer Programming 2, 3.4.2).
    (0..n).filter(move |i| {
        let left = (n - i) as u128;
        let taken = (u128::from(rng.next_u64()) * left) >> 64 < wanted;
        wanted -= u128::from(taken);
        taken
    })
}

/// Fails unless 1 to [`MOST_NEIGHBOURS`] neighbours are asked for, and the reference holds more rows than that, at most
/// [`MOST_ROWS`].
pub(in crate::detect) fn check_sizes(n_neighbors: usize, max_reference_rows: usize) -> Result<()> {
    if !(1..=MOST_NEIGHBOURS).contains(&n_neighbors) {
        return Err(Error::parameter(
            "n_neighbors",
            format!("1 to {MOST_NEIGHBOURS}"),
            n_neighbors,
        ));
    }
    if max_reference_rows <= n_neighbors || max_reference_rows > MOST_ROWS {
        let expected = format!("above n_neighbors = {n_neighbors} and at most {MOST_ROWS}");
        return Err(Error::parameter("max_reference_rows", expected, max_reference_rows));
    }
    Ok(())
}

/// Fails unless there are more rows than neighbours.
pub(in crate::detect) fn check_enough(n_neighbors: usize, n_rows: usize) -> Result<()> {
    if n_rows > n_neighbors {
        return Ok(());
    }
    Err(Error::insufficient(
        "reference rows",
        format!("more than n_neighbors = {n_neighbors}"),
        n_rows,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every distance, sorted.
    fn naive(rows: Rows<'_>, z: &[f64], k: usize, skip: Option<u32>) -> Vec<(f64, u32)> {
        let square = |r: &[f64]| r.iter().zip(z).fold(0.0, |s, (r, z)| s + (z - r) * (z - r));
        let mut all: Vec<(f64, u32)> = rows.iter().enumerate().map(|(i, r)| (square(r), i as u32)).collect();
        all.retain(|(_, i)| Some(*i) != skip);
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(k);
        all
    }

    fn found(search: &NeighbourSearch, z: &[f64], k: usize, skip: Option<u32>) -> Vec<(f64, u32)> {
        let nearest = search.nearest(z, k, skip);
        nearest.iter().map(|n| (n.square, n.row)).collect()
    }

    /// Deterministic noise without a pattern.
    fn noise(i: usize) -> f64 {
        (Seed(i as u64).part(1).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        /// Coarse steps make duplicates and ties common, `step` of none leaves none.
        #[test]
        fn equals_the_naive_search(
            seed: u32, width in 1_usize..40, n in 1_usize..400, k in 1_usize..30, step in 0_usize..3, far in 0_usize..3,
            skip in prop::option::of(0_u32..400),
        ) {
            let value = |i: usize| {
                let v = 4.0 * noise(seed as usize + i);
                [v, v.round(), (v / 2.0).round()][step]
            };
            let values: Vec<f64> = (0..n * width).map(value).collect();
            let rows = Rows::new(&values, width);
            let search = NeighbourSearch::new(rows);
            prop_assert_eq!(search.to_rows(), values.clone());
            for q in 0..4 {
                let z: Vec<f64> = (0..width).map(|j| value(n * width + q * width + j) * [1.0, 10.0, 1e6][far]).collect();
                prop_assert_eq!(found(&search, &z, k, skip), naive(rows, &z, k, skip));
            }
            let own = rows.get(n / 2).unwrap();
            prop_assert_eq!(found(&search, own, k, skip), naive(rows, own, k, skip));
        }
    }

    #[test]
    fn copies_of_one_row_are_told_by_their_place() {
        let values = vec![2.0; 3 * 500];
        let search = NeighbourSearch::new(Rows::new(&values, 3));
        let expected: Vec<(f64, u32)> = [0, 1, 2, 4, 5].map(|i| (3.0, i)).to_vec();
        assert_eq!(found(&search, &[1.0; 3], 5, Some(3)), expected);
        assert_eq!(search.nearest(&[1.0; 3], 400, None).len(), MOST_NEIGHBOURS);
        assert_eq!(
            NeighbourSearch::new(Rows::new(&[], 3))
                .nearest(&[1.0; 3], 2, None)
                .len(),
            0
        );
    }

    #[test]
    fn shares_add_up() {
        let values = [0.0, 0.0, 3.0, 4.0];
        let search = NeighbourSearch::new(Rows::new(&values, 2));
        let nearest = search.nearest(&[0.0, 0.0], 2, None);
        let shares = |i: usize| {
            let mut out = [0.0; 2];
            search.add_shares(&[0.0, 0.0], &nearest[i], 50.0, &mut out);
            out
        };
        assert_eq!((nearest[1].distance(), shares(1)), (5.0, [18.0, 32.0]));
        assert_eq!(shares(0), [25.0, 25.0]);
    }

    #[test]
    fn a_sample_keeps_the_order_and_every_row_has_its_chance() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let rows = Rows::new(&values, 2);
        assert_eq!(sample_rows(rows, 10, Seed(1)), values);
        let mut count = [0_u32; 10];
        for seed in 0..2_000 {
            let sample = sample_rows(rows, 3, Seed(seed));
            assert_eq!(sample.len(), 6);
            let firsts: Vec<f64> = sample.chunks(2).map(|r| r[0]).collect();
            assert!(firsts.windows(2).all(|w| w[0] < w[1]), "{firsts:?}");
            firsts.iter().for_each(|f| count[*f as usize / 2] += 1);
        }
        // Binomial with mean 600 and deviation 20.5; five of them.
        assert!(count.iter().all(|c| (498..=702).contains(c)), "{count:?}");
        assert_ne!(sample_rows(rows, 3, Seed(1)), sample_rows(rows, 3, Seed(2)));
    }
}
