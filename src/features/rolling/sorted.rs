//! A sorted multiset with a place that is remembered.

/// A part of so many values is split.
const PART: usize = 512;
/// Two neighbours of no more values together become one part.
const JOINED: usize = PART / 4 * 3;

/// Sorted values in parts of less than 512: a value is found by halving, first among parts, then in one, and moves no more
/// than a part. No part is empty, and two neighbours hold together more than 384, so parts are few. The part asked for last
/// and the number of values before it are remembered: ranks that change little are found at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    parts: Vec<Vec<f64>>,
    /// Emptied parts, whose memory is used again.
    spare: Vec<Vec<f64>>,
    len: usize,
    /// The part asked for last, and the values before it.
    last: usize,
    before: usize,
}

impl Sorted {
    pub(super) fn clear(&mut self) {
        while let Some(mut part) = self.parts.pop() {
            part.clear();
            self.spare.push(part);
        }
        (self.len, self.last, self.before) = (0, 0, 0);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for so many values however they are arranged: any two neighbours hold more than 384, one part may be
    /// left over, and one more is there between a split and the join that follows.
    pub(super) fn make_room(&mut self, values: usize) {
        let most = if values < PART {
            1
        } else {
            2 * (values / (JOINED + 1)) + 2
        };
        self.parts.reserve(most.saturating_sub(self.parts.len()));
        self.spare.reserve(most.saturating_sub(self.spare.len()));
        while self.parts.len() + self.spare.len() < most {
            self.spare.push(Vec::with_capacity(PART));
        }
    }

    /// The first part whose greatest value is not below `v`, or the last one.
    fn part_of(&self, v: f64) -> usize {
        if self.parts.len() == 1 {
            return 0;
        }
        // No part is empty, so this is true of parts up to some one.
        let below = |part: &Vec<f64>| part.last().is_some_and(|greatest| *greatest < v);
        self.parts
            .partition_point(below)
            .min(self.parts.len().saturating_sub(1))
    }

    pub(super) fn insert(&mut self, v: f64) {
        if self.parts.is_empty() {
            let part = self.empty_part();
            self.parts.push(part);
        }
        let p = self.part_of(v);
        let Some(part) = self.parts.get_mut(p) else {
            return;
        };
        part.insert(part.partition_point(|s| *s < v), v);
        self.len += 1;
        self.before += usize::from(p < self.last);
        if part.len() == PART {
            self.split(p);
        }
    }

    /// A part without values; there is room to keep it when it is empty again.
    fn empty_part(&mut self) -> Vec<f64> {
        self.spare.pop().unwrap_or_else(|| {
            self.spare.reserve(self.parts.len() + 1);
            Vec::with_capacity(PART)
        })
    }

    #[inline(never)]
    fn split(&mut self, p: usize) {
        let mut upper = self.empty_part();
        if let Some(part) = self.parts.get_mut(p) {
            upper.extend(part.drain(PART / 2..));
        }
        self.parts.insert(p + 1, upper);
        self.last += usize::from(p < self.last);
        self.join(p + 1);
        self.join(p);
    }

    /// Removes one value that equals `v`.
    pub(super) fn remove(&mut self, v: f64) {
        let p = self.part_of(v);
        let Some(part) = self.parts.get_mut(p) else {
            return;
        };
        let at = part.partition_point(|s| *s < v);
        if part.get(at) != Some(&v) {
            return;
        }
        part.remove(at);
        self.len -= 1;
        self.before -= usize::from(p < self.last);
        if part.is_empty() {
            let part = self.parts.remove(p);
            self.spare.push(part);
            self.last -= usize::from(p < self.last);
        } else if part.len() < JOINED {
            self.join(p);
        }
    }

    /// Joins a part with a neighbour where both are small enough.
    fn join(&mut self, p: usize) {
        let room = |i: usize| {
            self.parts
                .get(i)
                .zip(self.parts.get(i + 1))
                .is_some_and(|(a, b)| a.len() + b.len() <= JOINED)
        };
        let first = if room(p) {
            p
        } else if p > 0 && room(p - 1) {
            p - 1
        } else {
            return;
        };
        let mut second = self.parts.remove(first + 1);
        if let Some(part) = self.parts.get_mut(first) {
            if self.last == first + 1 {
                self.before -= part.len();
            }
            part.extend_from_slice(&second);
        }
        self.last -= usize::from(self.last > first);
        second.clear();
        self.spare.push(second);
    }

    /// The value of a rank and the one after it, or the same again where it is the greatest.
    pub(super) fn pair_at(&mut self, rank: usize) -> Option<(f64, f64)> {
        if self.last >= self.parts.len() {
            (self.last, self.before) = (0, 0);
        }
        while self.before > rank {
            self.last = self.last.checked_sub(1)?;
            self.before -= self.parts.get(self.last)?.len();
        }
        let mut part = self.parts.get(self.last)?;
        while rank - self.before >= part.len() {
            self.before += part.len();
            self.last += 1;
            part = self.parts.get(self.last)?;
        }
        let at = rank - self.before;
        let low = *part.get(at)?;
        let next = part.get(at + 1).or_else(|| self.parts.get(self.last + 1)?.first());
        Some((low, next.copied().unwrap_or(low)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn it_is_a_sorted_vector(steps in prop::collection::vec((0..400_i32, 0..4_u8, 0.0..1.0_f64), 1..4000), growing in 1..4_u8) {
            let (mut sorted, mut naive) = (Sorted::default(), Vec::new());
            for (v, kind, share) in steps {
                let v = f64::from(v);
                if kind <= growing || naive.is_empty() {
                    sorted.insert(v);
                    naive.insert(naive.partition_point(|s| *s < v), v);
                } else {
                    let gone: f64 = naive.remove((share * naive.len() as f64) as usize);
                    sorted.remove(gone);
                }
                prop_assert_eq!(sorted.len(), naive.len());
                prop_assert!(well_divided(&sorted));
                if !naive.is_empty() {
                    let rank = (share * naive.len() as f64) as usize;
                    let next = *naive.get(rank + 1).unwrap_or(&naive[rank]);
                    prop_assert_eq!(sorted.pair_at(rank), Some((naive[rank], next)));
                }
            }
            let all: Vec<f64> = sorted.parts.iter().flatten().copied().collect();
            prop_assert_eq!(all, naive);
        }

        /// A window over a signal whose level moves: whole parts empty at one end while others fill.
        #[test]
        fn it_is_a_sorted_window(
            rows in 1..2500_usize,
            levels in prop::collection::vec((-9..9_i32, -0.02..0.02_f64, 1..1500_usize), 2..8),
            q in 0.0..1.0_f64,
        ) {
            check_window(rows, &levels, q)?;
        }
    }

    fn check_window(rows: usize, levels: &[(i32, f64, usize)], q: f64) -> Result<(), TestCaseError> {
        let (mut sorted, mut window) = (Sorted::default(), VecDeque::new());
        sorted.make_room(rows);
        let (room, mut i) = (sorted.parts.len() + sorted.spare.len(), 0_u32);
        for &(level, step, n) in levels {
            for k in 0..n {
                i += 1;
                let v = f64::from(level) + step * k as f64 + f64::from(i * 7919 % 10_007) / 10_007.0;
                if window.len() == rows {
                    window.pop_front().into_iter().for_each(|gone| sorted.remove(gone));
                }
                window.push_back(v);
                sorted.insert(v);
                prop_assert_eq!(sorted.len(), window.len());
                prop_assert!(well_divided(&sorted));
                let rank = (q * window.len() as f64) as usize;
                let pair = sorted.pair_at(rank);
                if i % 97 == 0 {
                    let mut naive: Vec<f64> = window.iter().copied().collect();
                    naive.sort_by(f64::total_cmp);
                    let next = *naive.get(rank + 1).unwrap_or(&naive[rank]);
                    prop_assert_eq!(pair, Some((naive[rank], next)));
                    let all: Vec<f64> = sorted.parts.iter().flatten().copied().collect();
                    prop_assert_eq!(all, naive);
                }
            }
        }
        prop_assert_eq!(sorted.parts.len() + sorted.spare.len(), room);
        Ok(())
    }

    /// A split of the middle one of three parts needs a fourth for a moment.
    #[test]
    fn a_split_has_room() {
        check_window(678, &[(7, -0.0075, 257), (-2, -0.0129, 325), (5, -0.0161, 559)], 0.0).unwrap();
    }

    /// No part is empty or full, and no two neighbours could be one.
    fn well_divided(sorted: &Sorted) -> bool {
        sorted.parts.iter().all(|p| !p.is_empty() && p.len() < PART)
            && sorted.parts.windows(2).all(|w| w[0].len() + w[1].len() > JOINED)
    }

    #[test]
    fn parts_grow_and_go() {
        let mut sorted = Sorted::default();
        for i in 0..100_000 {
            sorted.insert(f64::from(i * 7919 % 100_003));
        }
        assert!(sorted.parts.len() > 100 && sorted.parts.iter().all(|p| p.len() < PART && p.capacity() == PART));
        assert!(sorted.pair_at(50_000).unwrap() == sorted.pair_at(50_000).unwrap());
        for i in 0..99_999 {
            sorted.remove(f64::from(i * 7919 % 100_003));
        }
        assert_eq!((sorted.len(), sorted.parts.len()), (1, 1));
        let left = f64::from(99_999 * 7919 % 100_003);
        assert_eq!(sorted.pair_at(0), Some((left, left)));
        sorted.remove(left);
        assert_eq!(sorted.pair_at(0), None);
        sorted.remove(1.0);
        assert_eq!(sorted.len(), 0);
    }
}
