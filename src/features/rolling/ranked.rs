//! Quantiles of all windows of a signal, by sorting it in blocks.

use super::recent::comparable;

/// Rows of a block at least.
const LEAST_BLOCK: usize = 64;

/// Work space: two neighbouring blocks, sorted each and together.
///
/// A window lies in two neighbouring blocks of at least its length. Their values are ranked together, and the window is the
/// set of its ranks, a bit each. A row that comes or goes sets or clears a bit; the rank asked for moves by a bit or two.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
pub struct Ranked {
    /// Keys of the rows of the earlier and the later block, sorted; missing ones left out. A key is the row's value and, in
    /// its lowest bits, its place in `values`.
    earlier: Vec<u64>,
    later: Vec<u64>,
    /// Of both together.
    both: Vec<u64>,
    /// Value and rank of each row of both blocks; `MISSING` where it has none.
    values: Vec<f64>,
    ranks: Vec<u32>,
    /// Values of both blocks by value.
    sorted: Vec<f64>,
    bits: Vec<u64>,
}

const MISSING: u32 = u32::MAX;

/// A rank in the set, and how many of the set lie below it.
struct Cursor {
    rank: usize,
    below: usize,
}

impl Ranked {
    pub(super) fn run(&mut self, rows: usize, q: f64, min_count: usize, x: &[f64], out: &mut [f64]) {
        let block = rows.min(x.len()).max(LEAST_BLOCK);
        let half = block.next_power_of_two();
        for keys in [&mut self.earlier, &mut self.later] {
            keys.clear();
            keys.reserve(block);
        }
        // Missing rows take no room: another signal may need more than this one.
        self.both.clear();
        self.both.reserve(2 * block);
        self.sorted.clear();
        self.sorted.reserve(2 * block);
        self.bits.clear();
        self.bits.reserve(2 * block / 64 + 1);
        self.values.clear();
        self.values.resize(2 * half, 0.0);
        self.ranks.clear();
        self.ranks.resize(2 * half, MISSING);
        let mut n = 0;
        for (b, (x, out)) in x.chunks(block).zip(out.chunks_mut(block)).enumerate() {
            // Blocks take turns in both halves of `values` and `ranks`.
            let (begin, before) = if b.is_multiple_of(2) { (0, half) } else { (half, 0) };
            std::mem::swap(&mut self.earlier, &mut self.later);
            self.sort(x, begin);
            self.rank();
            // The window as of the last row before this block.
            self.bits.clear();
            self.bits.resize(self.sorted.len() / 64 + 1, 0);
            for rank in &self.ranks[before + block - rows.min(block)..before + block] {
                if *rank != MISSING {
                    set(&mut self.bits, *rank as usize);
                }
            }
            n = self.slide((rows, block), (begin, before), (q, min_count), n, out);
        }
    }

    /// Sorts a block into `later`, its places beginning at `begin`.
    fn sort(&mut self, x: &[f64], begin: usize) {
        let mask = self.values.len() as u64 - 1;
        let places = self.values[begin..].iter_mut().zip(&mut self.ranks[begin..]);
        self.later.clear();
        for (i, (v, (value, rank))) in x.iter().zip(places).enumerate() {
            *value = comparable(*v);
            *rank = MISSING;
            if v.is_finite() {
                // The lowest bits of the value give way to the place.
                self.later.push((ordered(*value) & !mask) | (begin + i) as u64);
            }
        }
        self.later.sort_unstable();
    }

    /// Ranks the rows of both blocks together.
    fn rank(&mut self) {
        let Self {
            earlier,
            later,
            both,
            values,
            sorted,
            ranks,
            ..
        } = self;
        merge(earlier, later, both);
        let mask = values.len() - 1;
        let place = |key: u64| key as usize & mask;
        sorted.clear();
        sorted.extend(both.iter().map(|key| values[place(*key)]));
        if !sorted.is_sorted() {
            // Some values differ only in the bits that keys have lost.
            both.sort_unstable_by(|a, b| values[place(*a)].total_cmp(&values[place(*b)]));
            sorted.sort_unstable_by(f64::total_cmp);
        }
        for (rank, key) in both.iter().enumerate() {
            ranks[place(*key)] = rank as u32;
        }
    }

    /// Moves the window through the later block; gives the number of values in it at the end.
    fn slide(
        &mut self,
        (rows, block): (usize, usize),
        (begin, before): (usize, usize),
        (q, min_count): (f64, usize),
        mut n: usize,
        out: &mut [f64],
    ) -> usize {
        let Self {
            sorted, ranks, bits, ..
        } = self;
        let mut cursor = Cursor { rank: 0, below: 0 };
        let (mut of, mut rank, mut t) = (0, 0, 0.0);
        let coming = &ranks[begin..begin + out.len()];
        let held = rows.min(block);
        let going = ranks[before + block - held..before + block].iter().chain(coming);
        for ((o, comes), goes) in out.iter_mut().zip(coming).zip(going) {
            if *goes != MISSING {
                clear(bits, *goes as usize);
                cursor.below -= usize::from((*goes as usize) < cursor.rank);
                n -= 1;
            }
            if *comes != MISSING {
                set(bits, *comes as usize);
                cursor.below += usize::from((*comes as usize) < cursor.rank);
                n += 1;
            }
            if n < min_count {
                *o = f64::NAN;
                continue;
            }
            if n != of {
                of = n;
                (rank, t) = rank_of(q, n);
            }
            cursor.seek(bits, rank);
            let low = sorted[cursor.rank];
            let high = if t > 0.0 {
                sorted[next(bits, cursor.rank + 1)]
            } else {
                low
            };
            *o = between(low, high, t);
        }
        n
    }
}

/// Merges two sorted lists, from both ends at once: what is compared next waits for what was compared last, and two such
/// chains run side by side. No jump depends on the values.
fn merge(a: &[u64], b: &[u64], out: &mut Vec<u64>) {
    out.clear();
    out.resize(a.len() + b.len(), 0);
    // Half of the steps from either end cannot leave the longer list, and leave the shorter only where it is used up.
    let half = out.len() / 2;
    let (low, high) = out.split_at_mut(half);
    let (mut i, mut j) = (0, 0);
    let (mut k, mut l) = (a.len(), b.len());
    let at = |list: &[u64], i: usize, beyond: u64| list.get(i).copied().unwrap_or(beyond);
    for (up, down) in low.iter_mut().zip(high.iter_mut().rev()) {
        let (x, y) = (at(a, i, u64::MAX), at(b, j, u64::MAX));
        *up = x.min(y);
        i += usize::from(x < y);
        j += usize::from(x >= y);
        let (x, y) = (at(a, k.wrapping_sub(1), 0), at(b, l.wrapping_sub(1), 0));
        *down = x.max(y);
        k -= usize::from(x > y);
        l -= usize::from(x <= y);
    }
    // The one in the middle of an odd number.
    if high.len() > half {
        high[0] = at(a, i, u64::MAX).min(at(b, j, u64::MAX));
    }
}

/// A number whose order is the value's.
#[inline]
fn ordered(v: f64) -> u64 {
    let bits = v.to_bits();
    bits ^ (((bits as i64 >> 63) as u64) | (1 << 63))
}

#[inline]
fn set(bits: &mut [u64], i: usize) {
    bits[i / 64] |= 1 << (i % 64);
}

#[inline]
fn clear(bits: &mut [u64], i: usize) {
    bits[i / 64] &= !(1 << (i % 64));
}

/// The first of the set at or above `i`; there must be one.
#[inline]
fn next(bits: &[u64], i: usize) -> usize {
    let mut word = i / 64;
    let mut left = bits[word] & (!0 << (i % 64));
    while left == 0 {
        word += 1;
        left = bits[word];
    }
    64 * word + left.trailing_zeros() as usize
}

/// The last of the set below `i`; there must be one.
#[inline]
fn previous(bits: &[u64], i: usize) -> usize {
    let mut word = i / 64;
    let mut left = bits[word] & !(!0 << (i % 64));
    while left == 0 {
        word -= 1;
        left = bits[word];
    }
    64 * word + 63 - left.leading_zeros() as usize
}

impl Cursor {
    /// Moves to the rank of the set that `below` others lie below; there must be more than `below`.
    #[inline]
    fn seek(&mut self, bits: &[u64], below: usize) {
        // Mostly it is at most a bit away in the same word. Which way is chance: all ways are looked at, without a jump.
        let (word, bit) = (bits[self.rank / 64], self.rank % 64);
        let from = !0 << bit;
        let (before, after) = (word & !from, word & from);
        let after = if self.below < below {
            after & after.wrapping_sub(1)
        } else {
            after
        };
        let back = self.below > below;
        let left = if back { before } else { after };
        let near = (self.below + 1).wrapping_sub(below) < 3;
        if near && left != 0 {
            let place = if back {
                63 - left.leading_zeros()
            } else {
                left.trailing_zeros()
            };
            self.rank = self.rank / 64 * 64 + place as usize;
            self.below = below;
        } else {
            self.walk(bits, below);
        }
    }

    #[inline(never)]
    fn walk(&mut self, bits: &[u64], below: usize) {
        while self.below > below {
            self.rank = previous(bits, self.rank);
            self.below -= 1;
        }
        self.rank = next(bits, self.rank);
        while self.below < below {
            self.rank = next(bits, self.rank + 1);
            self.below += 1;
        }
    }
}

/// Which ranks of `n >= 1` sorted values a quantile lies between: the lower, and how far above it.
#[inline]
pub(super) fn rank_of(q: f64, n: usize) -> (usize, f64) {
    let h = q * (n - 1) as f64;
    let rank = (h as usize).min(n - 1);
    (rank, h - rank as f64)
}

/// The value that lies the part `t` of the way from `a` to `b`, from the nearer of both.
#[inline]
pub(super) fn between(a: f64, b: f64, t: f64) -> f64 {
    let apart = b - a;
    if !apart.is_finite() {
        return a * (1.0 - t) + b * t;
    }
    let v = if t < 0.5 { a + apart * t } else { b - apart * (1.0 - t) };
    v + 0.0
}
