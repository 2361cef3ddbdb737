//! A random cut tree over a sample of points, and the points that trees share.

use crate::detect::draws::Draws;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The most points of a tree's sample: places have 15 bits.
pub(in crate::detect) const LARGEST_SAMPLE: usize = 4096;
/// The place of nothing.
const NONE: u16 = u16::MAX;
/// Marks the place of a leaf.
const LEAF: u16 = 0x8000;
/// Nodes over at most this many rows keep no bounds: they are found from their points where needed.
const SMALL: u16 = 6;
/// In a record, a leaf instead of the column of a cut.
const RECORD_LEAF: u32 = u32::MAX;
/// Trees that are walked down side by side: while one waits for its next node, others go on.
const ABREAST: usize = 8;
/// Nodes above a leaf whose boxes are asked for before they are needed.
const LAST: usize = 4;
/// The most numbers for which a tree makes room before it needs it.
const RESERVED: usize = 1 << 14;
/// Numbers between one touch of memory and the next: a line of a cache.
const LINE: usize = 8;

/// Points, each kept as long as someone counts on it.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Points {
    width: usize,
    values: Vec<f64>,
    counts: Vec<u32>,
    free: Vec<u32>,
}

impl Points {
    pub fn new(width: usize) -> Self {
        Self {
            width,
            values: Vec::new(),
            counts: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Makes room for `n` points beforehand, where they are not too large.
    pub fn reserve(&mut self, n: usize) {
        let n = n.min(64 * RESERVED / self.width.max(1));
        self.values.reserve_exact(n * self.width);
        self.counts.reserve_exact(n);
        self.free.reserve_exact(n);
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.counts.len() - self.free.len()
    }

    #[inline]
    pub fn get(&self, point: u32) -> &[f64] {
        let start = point as usize * self.width;
        self.values.get(start..start + self.width).unwrap_or_default()
    }

    /// A new point, on which nobody counts yet.
    pub fn add(&mut self, x: &[f64]) -> u32 {
        match self.free.pop() {
            Some(point) => {
                let start = point as usize * self.width;
                let place = self.values.iter_mut().skip(start);
                place.zip(x).for_each(|(v, x)| *v = *x);
                point
            }
            None => {
                self.values.extend_from_slice(x);
                self.counts.push(0);
                self.counts.len() as u32 - 1
            }
        }
    }

    pub fn keep(&mut self, point: u32) {
        if let Some(count) = self.counts.get_mut(point as usize) {
            *count += 1;
        }
    }

    pub fn release(&mut self, point: u32) {
        if let Some(count) = self.counts.get_mut(point as usize) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.free.push(point);
            }
        }
    }

    /// Whether someone counts on every point.
    pub fn all_kept(&self) -> bool {
        self.counts.iter().all(|&c| c > 0)
    }

    /// Bytes on the heap.
    pub fn n_bytes(&self) -> usize {
        8 * self.values.capacity() + 4 * (self.counts.capacity() + self.free.capacity())
    }
}

/// What a walk needs of a node.
#[derive(Clone, Copy, Debug)]
struct Node {
    cut: f64,
    column: u16,
    /// Where `x[column] <= cut`, and the other side.
    sides: [u16; 2],
    parent: u16,
}

impl Node {
    #[inline]
    fn side_of(&self, x: &[f64]) -> u16 {
        let is_above = x[usize::from(self.column)] > self.cut;
        self.sides[usize::from(is_above)]
    }

    /// The other side than `place`.
    #[inline]
    fn sibling(&self, place: u16) -> u16 {
        self.sides[usize::from(self.sides[0] == place)]
    }
}

/// What lies below a node.
#[derive(Clone, Copy, Debug)]
struct Extent {
    mass: u16,
    /// Its place among the bounds, or nothing.
    bounds: u16,
}

#[derive(Clone, Copy, Debug)]
struct Leaf {
    point: u32,
    mass: u16,
    parent: u16,
}

/// Places in `items` that are used again once free.
#[derive(Clone, Debug)]
struct Pool<T> {
    items: Vec<T>,
    free: Vec<u16>,
}

impl<T: Copy> Pool<T> {
    fn new(capacity: usize) -> Self {
        Self {
            items: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
        }
    }

    fn add(&mut self, item: T) -> u16 {
        match self.free.pop() {
            Some(place) => {
                self.items[usize::from(place)] = item;
                place
            }
            None => {
                self.items.push(item);
                self.items.len() as u16 - 1
            }
        }
    }

    fn n_bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>() + 2 * self.free.capacity()
    }
}

/// A random cut tree over a time-decayed sample of the rows seen.
///
/// Links are made here or checked on reading (`from_record`): every place leads to a node, a leaf or nothing, and every
/// node's left side holds what its cut says. So places index without a check of their own.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Tree {
    root: u16,
    nodes: Pool<Node>,
    /// Of the node in the same place.
    extents: Vec<Extent>,
    leaves: Pool<Leaf>,
    /// Lower and upper corners, one behind the other.
    bounds: Vec<f64>,
    free_bounds: Vec<u16>,
    /// The sample, the largest weight first, as a heap.
    sample: Vec<(f64, u32)>,
}

/// Where a way down a tree has come.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Found {
    place: u16,
    depth: u32,
    /// The last nodes on the way, that of a depth in the place `depth % LAST`.
    last: [u16; LAST],
}

impl Found {
    const NOTHING: Self = Self {
        place: NONE,
        depth: 0,
        last: [NONE; LAST],
    };
}

/// What is written of a tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::detect) struct TreeRecord {
    /// Columns of cuts, each node before its left and that before its right side; `u32::MAX` for a leaf.
    columns: Vec<u32>,
    /// In the order of the nodes among them.
    cuts: Vec<f64>,
    /// Points of the leaves among them.
    leaves: Vec<u32>,
    /// The heap of the sample.
    weights: Vec<f64>,
    points: Vec<u32>,
}

/// How far `x` lies outside a box and how wide the box is, summed over columns: in a fixed order, two running sums.
#[inline]
fn extension(x: &[f64], lower: &[f64], upper: &[f64]) -> (f64, f64) {
    let larger = |a: f64, b: f64| if a > b { a } else { b };
    let (mut outside, mut range) = ([0.0; 2], [0.0; 2]);
    let ((x2, x), (l2, l), (u2, u)) = (x.as_chunks::<2>(), lower.as_chunks::<2>(), upper.as_chunks::<2>());
    for ((x, l), u) in x2.iter().zip(l2).zip(u2) {
        let below: [f64; 2] = std::array::from_fn(|i| l[i] - x[i]);
        let above: [f64; 2] = std::array::from_fn(|i| x[i] - u[i]);
        let off: [f64; 2] = std::array::from_fn(|i| larger(larger(below[i], above[i]), 0.0));
        outside = std::array::from_fn(|i| outside[i] + off[i]);
        range = std::array::from_fn(|i| range[i] + (u[i] - l[i]));
    }
    for ((x, l), u) in x.iter().zip(l).zip(u) {
        outside[0] += larger(larger(l - x, x - u), 0.0);
        range[0] += u - l;
    }
    (outside[0] + outside[1], range[0] + range[1])
}

/// Makes a box hold all that lies between `low` and `high`.
#[inline]
fn stretch(lower: &mut [f64], upper: &mut [f64], low: &[f64], high: &[f64]) {
    let ((lower2, lower), (upper2, upper)) = (lower.as_chunks_mut::<2>(), upper.as_chunks_mut::<2>());
    let ((low2, low), (high2, high)) = (low.as_chunks::<2>(), high.as_chunks::<2>());
    for (((l, u), low), high) in lower2.iter_mut().zip(upper2).zip(low2).zip(high2) {
        *l = std::array::from_fn(|i| if low[i] < l[i] { low[i] } else { l[i] });
        *u = std::array::from_fn(|i| if high[i] > u[i] { high[i] } else { u[i] });
    }
    for (((l, u), &low), &high) in lower.iter_mut().zip(upper).zip(low).zip(high) {
        *l = if low < *l { low } else { *l };
        *u = if high > *u { high } else { *u };
    }
}

/// A column and a cut between the box and `x`, drawn evenly from the gaps between them, of which `at` of the total counts
/// from the first.
fn cut_between(x: &[f64], lower: &[f64], upper: &[f64], mut at: f64, uniform: f64) -> (u32, f64) {
    let mut chosen = (0, 0.0);
    for (j, ((&x, &l), &u)) in x.iter().zip(lower).zip(upper).enumerate() {
        let (from, to) = if x < l { (x, l) } else { (u, x) };
        let gap = to - from;
        if gap > 0.0 {
            let cut = from + uniform * gap;
            chosen = (j as u32, if cut < to { cut } else { from });
            if at < gap {
                break;
            }
            at -= gap;
        }
    }
    chosen
}

impl Tree {
    /// Over samples of up to `capacity` points of `width` numbers.
    pub fn new(capacity: usize, width: usize) -> Self {
        // Seldom more than a third of the nodes keep bounds.
        let n_bounds = (capacity / 2).min(RESERVED / (2 * width.max(1)));
        Self {
            root: NONE,
            nodes: Pool::new(capacity.saturating_sub(1)),
            extents: Vec::with_capacity(capacity.saturating_sub(1)),
            leaves: Pool::new(capacity),
            bounds: Vec::with_capacity(n_bounds * 2 * width),
            free_bounds: Vec::with_capacity(n_bounds),
            sample: Vec::with_capacity(capacity),
        }
    }

    /// Rows in the sample.
    pub fn mass(&self) -> usize {
        self.sample.len()
    }

    /// Bytes on the heap.
    pub fn n_bytes(&self) -> usize {
        let lists = 8 * self.bounds.capacity()
            + 2 * self.free_bounds.capacity()
            + 16 * self.sample.capacity()
            + size_of::<Extent>() * self.extents.capacity();
        lists + self.nodes.n_bytes() + self.leaves.n_bytes()
    }

    fn node(&self, place: u16) -> &Node {
        &self.nodes.items[usize::from(place)]
    }

    fn node_mut(&mut self, place: u16) -> &mut Node {
        &mut self.nodes.items[usize::from(place)]
    }

    fn extent(&self, place: u16) -> Extent {
        self.extents[usize::from(place)]
    }

    fn extent_mut(&mut self, place: u16) -> &mut Extent {
        &mut self.extents[usize::from(place)]
    }

    fn add_node(&mut self, node: Node, extent: Extent) -> u16 {
        let place = self.nodes.add(node);
        match self.extents.get_mut(usize::from(place)) {
            Some(e) => *e = extent,
            None => self.extents.push(extent),
        }
        place
    }

    fn leaf(&self, place: u16) -> &Leaf {
        &self.leaves.items[usize::from(place & !LEAF)]
    }

    fn leaf_mut(&mut self, place: u16) -> &mut Leaf {
        &mut self.leaves.items[usize::from(place & !LEAF)]
    }

    fn mass_of(&self, place: u16) -> u16 {
        if place & LEAF == 0 {
            self.extent(place).mass
        } else {
            self.leaf(place).mass
        }
    }

    /// Puts `child` below `parent`, in place of `before`.
    fn link(&mut self, parent: u16, before: u16, child: u16) {
        if parent == NONE {
            self.root = child;
        } else {
            let node = self.node_mut(parent);
            node.sides[usize::from(node.sides[0] != before)] = child;
        }
        self.set_parent(child, parent);
    }

    fn set_parent(&mut self, child: u16, parent: u16) {
        if child & LEAF == 0 {
            self.node_mut(child).parent = parent;
        } else {
            self.leaf_mut(child).parent = parent;
        }
    }

    /// The lower corner and the upper behind it.
    #[inline]
    fn both_corners(&self, bounds: u16, width: usize) -> &[f64] {
        let start = 2 * width * usize::from(bounds);
        &self.bounds[start..start + 2 * width]
    }

    #[inline]
    fn corners(&self, bounds: u16, width: usize) -> (&[f64], &[f64]) {
        self.both_corners(bounds, width).split_at(width)
    }

    fn corners_mut(&mut self, bounds: u16, width: usize) -> (&mut [f64], &mut [f64]) {
        let start = 2 * width * usize::from(bounds);
        self.bounds[start..start + 2 * width].split_at_mut(width)
    }

    /// Keeps a box; returns its place.
    fn add_bounds(&mut self, corners: &[f64]) -> u16 {
        match self.free_bounds.pop() {
            Some(place) => {
                let start = corners.len() * usize::from(place);
                self.bounds[start..start + corners.len()].copy_from_slice(corners);
                place
            }
            None => {
                self.bounds.extend_from_slice(corners);
                (self.bounds.len() / corners.len() - 1) as u16
            }
        }
    }

    /// Frees the bounds of a node, where it has any.
    fn drop_bounds(&mut self, node: u16) {
        let bounds = std::mem::replace(&mut self.extent_mut(node).bounds, NONE);
        if bounds != NONE {
            self.free_bounds.push(bounds);
        }
    }

    /// Makes a box hold what lies below `place`.
    #[inline]
    fn stretch_over(&self, points: &Points, place: u16, lower: &mut [f64], upper: &mut [f64]) {
        if place & LEAF == 0 {
            self.stretch_over_node(points, place, lower, upper);
        } else {
            let point = points.get(self.leaf(place).point);
            stretch(lower, upper, point, point);
        }
    }

    fn stretch_over_node(&self, points: &Points, place: u16, lower: &mut [f64], upper: &mut [f64]) {
        let bounds = self.extent(place).bounds;
        if bounds == NONE {
            // A small node: few levels.
            for side in self.node(place).sides {
                self.stretch_over(points, side, lower, upper);
            }
        } else {
            let (l, u) = self.corners(bounds, points.width());
            stretch(lower, upper, l, u);
        }
    }

    /// The box of what lies below two places, of which the second may be nothing, into `own`.
    fn box_into(&self, points: &Points, places: [u16; 2], own: &mut [f64]) {
        let (lower, upper) = own.split_at_mut(points.width());
        lower.fill(f64::INFINITY);
        upper.fill(f64::NEG_INFINITY);
        for place in places.into_iter().filter(|p| *p != NONE) {
            self.stretch_over(points, place, lower, upper);
        }
    }

    /// The leaf on the way of `x`, and its depth; nothing in an empty tree.
    #[inline]
    pub fn locate(&self, x: &[f64]) -> Found {
        let mut found = self.top();
        while self.descend(x, &mut found) {}
        found
    }

    #[inline]
    fn top(&self) -> Found {
        Found {
            place: self.root,
            ..Found::NOTHING
        }
    }

    /// One level down; false at a leaf.
    #[inline]
    fn descend(&self, x: &[f64], found: &mut Found) -> bool {
        let goes_on = found.place & LEAF == 0;
        if goes_on {
            found.last[found.depth as usize % LAST] = found.place;
            found.place = self.node(found.place).side_of(x);
            found.depth += 1;
        }
        goes_on
    }

    /// Reads a number of each line of memory that the score is likely to need, so that it is on its way while other trees
    /// are at work; what comes back means nothing.
    #[inline]
    fn touch(&self, points: &Points, found: &Found) -> f64 {
        let lines = |values: &[f64]| values.iter().step_by(LINE).sum::<f64>();
        let of = |place: u16| match self.leaves.items.get(usize::from(place & !LEAF)) {
            Some(leaf) if place & LEAF != 0 => lines(points.get(leaf.point)),
            _ => 0.0,
        };
        let mut sum = 0.0;
        for &node in found.last.iter().filter(|place| **place != NONE) {
            let bounds = self.extent(node).bounds;
            sum += if bounds == NONE {
                self.node(node).sides.into_iter().map(of).sum::<f64>()
            } else {
                lines(self.both_corners(bounds, points.width()))
            };
        }
        sum
    }

    /// Visits the boxes of the nodes from above the leaf up to the root, with their depths and how far `x` lies outside
    /// and how wide they are, until `x` lies within one. `own` is room for a box.
    #[inline]
    fn climb(
        &self,
        points: &Points,
        x: &[f64],
        found: Found,
        own: &mut [f64],
        mut visit: impl FnMut(u32, (f64, f64), &[f64], &[f64]),
    ) {
        let (own_lower, own_upper) = own.split_at_mut(points.width());
        let Leaf { point, parent, .. } = *self.leaf(found.place);
        let (mut child, mut place, mut depth) = (found.place, parent, found.depth);
        while place != NONE {
            depth = depth.saturating_sub(1);
            let node = self.node(place);
            let bounds = self.extent(place).bounds;
            let (lower, upper) = if bounds == NONE {
                if child == found.place {
                    let point = points.get(point);
                    own_lower.copy_from_slice(point);
                    own_upper.copy_from_slice(point);
                }
                self.stretch_over(points, node.sibling(child), own_lower, own_upper);
                (&*own_lower, &*own_upper)
            } else {
                self.corners(bounds, points.width())
            };
            let (outside, range) = extension(x, lower, upper);
            if outside <= 0.0 {
                return;
            }
            visit(depth, (outside, range), lower, upper);
            (child, place) = (place, node.parent);
        }
    }

    /// The score of a row that lies in the tree: `1 / (depth + log2(mass + 1))`, less where the leaf holds much of it.
    fn seen(&self, found: Found) -> f64 {
        let mass = f64::from(self.leaf(found.place).mass);
        let damp = 1.0 - 0.5 * mass / self.mass().max(1) as f64;
        damp / (f64::from(found.depth) + libm::log2(mass + 1.0))
    }

    /// How much `x`, whose way ends at `found`, would displace; 0 for an empty tree. `own` is room for a box.
    fn score(&self, points: &Points, x: &[f64], found: Found, own: &mut [f64]) -> f64 {
        if found.place == NONE {
            return 0.0;
        }
        if points.get(self.leaf(found.place).point) == x {
            return self.seen(found);
        }
        let mut score = 1.0 / f64::from(found.depth + 1);
        self.climb(points, x, found, own, |depth, (outside, range), _, _| {
            let p = outside / (outside + range);
            score = p / f64::from(depth + 1) + (1.0 - p) * score;
        });
        score
    }

    /// Each column's parts of the score, for lying low and for lying high, added to `out`, `rate` times; a point is
    /// several rows of `out.len()` columns. `parts` is room for as much, `own` for a box.
    pub fn attribute(
        &self,
        points: &Points,
        x: &[f64],
        rate: f64,
        own: &mut [f64],
        parts: &mut [[f64; 2]],
        out: &mut [[f64; 2]],
    ) {
        let found = self.locate(x);
        if found.place == NONE {
            return;
        }
        let n = parts.len().max(1);
        let point = points.get(self.leaf(found.place).point);
        let add = |parts: &mut [[f64; 2]], depth: u32, total: f64, lower: &[f64], upper: &[f64]| {
            let unit = 1.0 / f64::from(depth + 1);
            for (j, ((x, l), u)) in x.iter().zip(lower).zip(upper).enumerate() {
                if let Some([low, high]) = parts.get_mut(j % n) {
                    *low += (l - x).max(0.0) / total * unit;
                    *high += (x - u).max(0.0) / total * unit;
                }
            }
        };
        if point == x {
            parts.fill([self.seen(found) / (2 * n) as f64; 2]);
        } else {
            parts.fill([0.0; 2]);
            add(parts, found.depth, extension(x, point, point).0, point, point);
            self.climb(points, x, found, own, |depth, (outside, range), lower, upper| {
                let total = outside + range;
                let keep = 1.0 - outside / total;
                parts.iter_mut().flatten().for_each(|c| *c *= keep);
                add(parts, depth, total, lower, upper);
            });
        }
        for (out, part) in out.iter_mut().flatten().zip(parts.iter().flatten()) {
            *out += rate * part;
        }
    }

    /// Whether `takes` would surely say no to the weight `ln(-ln u) - age`, told without logarithms: with `a = -age - w`
    /// for the largest weight `w`, where `(1 - u) (1 + a + a²/2 + a³/6 + a⁴/24) > 1`, because `1 - u <= -ln u` and the sum
    /// is at most `exp(a)`. The margin is wide of rounding.
    #[inline]
    pub fn passes_over(&self, uniform: f64, age: f64, capacity: usize) -> bool {
        let largest = self.sample.first().filter(|_| self.sample.len() >= capacity);
        largest.is_some_and(|(w, _)| {
            let a = -age - w;
            let below_exp = 1.0 + a * (1.0 + a / 2.0 * (1.0 + a / 3.0 * (1.0 + a / 4.0)));
            a > 0.0 && (1.0 - uniform) * below_exp > 1.0 + 1e-6
        })
    }

    /// Offers a point of this weight to a sample of `capacity`: the one of the largest weight is not in it.
    pub fn takes(&self, weight: f64, capacity: usize) -> bool {
        self.sample.len() < capacity || self.sample.first().is_some_and(|(w, _)| weight < *w)
    }

    /// Takes the point in, in place of the one of the largest weight where the sample is full.
    /// `own` is room for a box.
    pub fn take(
        &mut self,
        points: &mut Points,
        (point, weight): (u32, f64),
        capacity: usize,
        draws: &mut Draws,
        own: &mut [f64],
    ) {
        points.keep(point);
        if self.sample.len() < capacity {
            self.sample.push((weight, point));
            let mut i = self.sample.len() - 1;
            while i > 0 && self.sample[(i - 1) / 2].0 < self.sample[i].0 {
                self.sample.swap(i, (i - 1) / 2);
                i = (i - 1) / 2;
            }
        } else {
            let (_, evicted) = std::mem::replace(&mut self.sample[0], (weight, point));
            let mut i = 0;
            loop {
                let mut top = i;
                for child in [2 * i + 1, 2 * i + 2] {
                    if self.sample.get(child).is_some_and(|(w, _)| *w > self.sample[top].0) {
                        top = child;
                    }
                }
                if top == i {
                    break;
                }
                self.sample.swap(i, top);
                i = top;
            }
            self.remove(points, evicted, own);
            points.release(evicted);
        }
        self.insert(points, point, draws, own);
    }

    fn insert(&mut self, points: &mut Points, point: u32, draws: &mut Draws, own: &mut [f64]) {
        if self.root == NONE {
            points.keep(point);
            self.root = LEAF
                | self.leaves.add(Leaf {
                    point,
                    mass: 1,
                    parent: NONE,
                });
            return;
        }
        let (mut place, mut parent) = (self.root, NONE);
        let width = points.width();
        loop {
            let x = points.get(point);
            let is_leaf = place & LEAF != 0;
            let known = if is_leaf { NONE } else { self.extent(place).bounds };
            if known == NONE {
                self.box_into(points, [place, NONE], own);
            }
            let (lower, upper) = match known {
                NONE => own.split_at(width),
                _ => self.corners(known, width),
            };
            let (outside, range) = extension(x, lower, upper);
            if outside > 0.0 {
                let at = draws.uniform() * (outside + range);
                if is_leaf || at < outside {
                    let (column, cut) = cut_between(x, lower, upper, at, draws.uniform());
                    if known != NONE {
                        own.copy_from_slice(self.both_corners(known, width));
                    }
                    let (lower, upper) = own.split_at_mut(width);
                    stretch(lower, upper, x, x);
                    let below = x.get(column as usize).is_some_and(|x| *x <= cut);
                    points.keep(point);
                    let leaf = LEAF
                        | self.leaves.add(Leaf {
                            point,
                            mass: 1,
                            parent: NONE,
                        });
                    let mass = self.mass_of(place) + 1;
                    let bounds = if mass > SMALL { self.add_bounds(own) } else { NONE };
                    let node = Node {
                        cut,
                        column: column as u16,
                        sides: if below { [leaf, place] } else { [place, leaf] },
                        parent,
                    };
                    let node = self.add_node(node, Extent { mass, bounds });
                    self.link(parent, place, node);
                    self.set_parent(leaf, node);
                    self.set_parent(place, node);
                    return;
                }
            } else if is_leaf {
                self.leaf_mut(place).mass += 1;
                return;
            }
            let mass = self.extent(place).mass + 1;
            self.extent_mut(place).mass = mass;
            if known == NONE {
                if mass > SMALL {
                    let (lower, upper) = own.split_at_mut(width);
                    stretch(lower, upper, x, x);
                    self.extent_mut(place).bounds = self.add_bounds(own);
                }
            } else if outside > 0.0 {
                let (lower, upper) = self.corners_mut(known, width);
                stretch(lower, upper, x, x);
            }
            parent = place;
            place = self.node(place).side_of(x);
        }
    }

    /// Takes one row of the values of `point` out of the leaf that holds it.
    fn remove(&mut self, points: &mut Points, point: u32, own: &mut [f64]) {
        let found = self.locate(points.get(point));
        std::hint::black_box(self.touch(points, &found));
        let place = found.place;
        let leaf = *self.leaf(place);
        let mut at = leaf.parent;
        let mut shrinks = leaf.mass == 1;
        if leaf.mass > 1 {
            self.leaf_mut(place).mass -= 1;
        } else {
            self.leaves.free.push(place & !LEAF);
            if at == NONE {
                self.root = NONE;
            } else {
                let node = *self.node(at);
                self.link(node.parent, at, node.sibling(place));
                self.drop_bounds(at);
                self.nodes.free.push(at);
                at = node.parent;
            }
        }
        while at != NONE {
            let Node { sides, parent, .. } = *self.node(at);
            let extent = self.extent_mut(at);
            extent.mass -= 1;
            let Extent { mass, bounds } = *extent;
            if mass <= SMALL {
                self.drop_bounds(at);
            } else if shrinks {
                let (lower, upper) = self.corners(bounds, points.width());
                let x = points.get(point);
                shrinks = x.iter().zip(lower).zip(upper).any(|((x, l), u)| x == l || x == u);
                if shrinks {
                    self.box_into(points, sides, own);
                    let start = 2 * points.width() * usize::from(bounds);
                    self.bounds[start..start + own.len()].copy_from_slice(own);
                }
            }
            at = parent;
        }
        if leaf.mass == 1 {
            points.release(leaf.point);
        }
    }

    /// What is written of the tree; `number` gives a point its number in the record.
    pub fn to_record(&self, mut number: impl FnMut(u32) -> u32) -> TreeRecord {
        let mut record = TreeRecord {
            columns: Vec::new(),
            cuts: Vec::new(),
            leaves: Vec::new(),
            weights: self.sample.iter().map(|(w, _)| *w).collect(),
            points: self.sample.iter().map(|(_, p)| number(*p)).collect(),
        };
        let mut open = Vec::new();
        open.extend((self.root != NONE).then_some(self.root));
        while let Some(place) = open.pop() {
            if place & LEAF == 0 {
                let node = self.node(place);
                record.columns.push(u32::from(node.column));
                record.cuts.push(node.cut);
                open.extend([node.sides[1], node.sides[0]]);
            } else {
                record.columns.push(RECORD_LEAF);
                record.leaves.push(number(self.leaf(place).point));
            }
        }
        record
    }

    /// The tree that was written as `record`, its points counted in `points`.
    ///
    /// # Errors
    /// `Persistence` unless the record is that of one whole tree whose leaves hold the sample and nothing else.
    pub fn from_record(record: &TreeRecord, points: &mut Points) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::persistence(format!(
                "tree of the forest: expected {what}, got another"
            )))
        };
        let (n_sample, n_leaves) = (record.points.len(), record.leaves.len());
        if n_sample > LARGEST_SAMPLE || record.weights.len() != n_sample || n_leaves > n_sample {
            return wrong("a sample of at most 4096 points, each with a weight, in no more leaves");
        }
        let n_nodes = n_leaves.saturating_sub(1);
        if record.cuts.len() != n_nodes || record.columns.len() != n_nodes + n_leaves {
            return wrong("one cut less than leaves");
        }
        if (n_sample == 0) != (n_leaves == 0) {
            return wrong("leaves for a sample");
        }
        if !record.weights.iter().chain(&record.cuts).all(|w| w.is_finite()) {
            return wrong("finite weights and cuts");
        }
        let mut known = record.points.iter().chain(&record.leaves);
        if known.any(|&p| p as usize >= points.counts.len()) {
            return wrong("points that are there");
        }
        let mut tree = Self::new(n_sample, points.width());
        let heap = record.weights.iter().copied().zip(record.points.iter().copied());
        tree.sample.extend(heap);
        if (1..n_sample).any(|i| tree.sample[i].0 > tree.sample[(i - 1) / 2].0) {
            return wrong("a heap of weights");
        }
        // Open ends, to be filled left before right: the node, and whether its right side is meant.
        let mut open = vec![(NONE, false)];
        let (mut cuts, mut leaves) = (record.cuts.iter(), record.leaves.iter());
        for &column in &record.columns {
            let Some((parent, right)) = open.pop() else {
                return wrong("a tree without left-overs");
            };
            let place = if column == RECORD_LEAF {
                let Some(&point) = leaves.next() else {
                    return wrong("a point for each leaf");
                };
                LEAF | tree.leaves.add(Leaf { point, mass: 0, parent })
            } else {
                let Some(&cut) = cuts.next() else {
                    return wrong("a cut for each node");
                };
                if column as usize >= points.width() {
                    return wrong("cuts of columns that are there");
                }
                let node = Node {
                    cut,
                    column: column as u16,
                    sides: [NONE; 2],
                    parent,
                };
                tree.add_node(node, Extent { mass: 0, bounds: NONE })
            };
            match parent {
                NONE => tree.root = place,
                _ => tree.node_mut(parent).sides[usize::from(right)] = place,
            }
            if place & LEAF == 0 {
                open.extend([(place, true), (place, false)]);
            }
        }
        if !open.is_empty() && n_leaves > 0 {
            return wrong("a whole tree");
        }
        for i in 0..n_sample {
            let x = points.get(record.points[i]);
            let place = tree.locate(x).place;
            if points.get(tree.leaf(place).point) != x {
                return wrong("leaves that hold the sample");
            }
            tree.leaf_mut(place).mass += 1;
        }
        if tree.leaves.items.iter().any(|l| l.mass == 0) {
            return wrong("leaves that hold the sample");
        }
        // Nodes were added before those below them, so from the last to the first all below is done.
        let mut own = vec![0.0; 2 * points.width()];
        for place in (0..n_nodes as u16).rev() {
            let sides = tree.node(place).sides;
            let mass = sides.into_iter().map(|side| tree.mass_of(side)).sum();
            tree.extent_mut(place).mass = mass;
            if mass > SMALL {
                tree.box_into(points, sides, &mut own);
                tree.extent_mut(place).bounds = tree.add_bounds(&own);
            }
        }
        record.points.iter().chain(&record.leaves).for_each(|&p| points.keep(p));
        Ok(tree)
    }
}

/// The sum of what `x` would displace in each tree. `own` is room for a box.
pub(in crate::detect) fn score_of_all(trees: &[Tree], points: &Points, x: &[f64], own: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    let mut all = [Found::NOTHING; ABREAST];
    for trees in trees.chunks(ABREAST) {
        trees.iter().zip(&mut all).for_each(|(tree, found)| *found = tree.top());
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            for (tree, found) in trees.iter().zip(&mut all) {
                goes_on |= tree.descend(x, found);
            }
        }
        let touched = trees.iter().zip(&all).map(|(tree, found)| tree.touch(points, found));
        std::hint::black_box(touched.sum::<f64>());
        for (tree, found) in trees.iter().zip(&all) {
            sum += tree.score(points, x, *found, own);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, quantity::Seed};

    /// The definition: boxes made anew from all points below, no links, no store, no early end.
    #[derive(Clone)]
    enum Naive {
        Leaf(Vec<f64>, u32),
        Node(usize, f64, Box<Naive>, Box<Naive>),
    }

    impl Naive {
        fn box_of(&self) -> (Vec<f64>, Vec<f64>) {
            match self {
                Self::Leaf(x, _) => (x.clone(), x.clone()),
                Self::Node(_, _, left, right) => {
                    let ((l1, u1), (l2, u2)) = (left.box_of(), right.box_of());
                    let lower = l1.iter().zip(&l2).map(|(a, b)| a.min(*b)).collect();
                    (lower, u1.iter().zip(&u2).map(|(a, b)| a.max(*b)).collect())
                }
            }
        }

        fn insert(self, x: &[f64], draws: &mut Draws) -> Self {
            let (lower, upper) = self.box_of();
            let (outside, range) = extension(x, &lower, &upper);
            if outside > 0.0 {
                let at = draws.uniform() * (outside + range);
                if matches!(self, Self::Leaf(..)) || at < outside {
                    let (column, cut) = cut_between(x, &lower, &upper, at, draws.uniform());
                    let leaf = Box::new(Self::Leaf(x.to_vec(), 1));
                    let (left, right) = if x[column as usize] <= cut {
                        (leaf, Box::new(self))
                    } else {
                        (Box::new(self), leaf)
                    };
                    return Self::Node(column as usize, cut, left, right);
                }
            }
            match self {
                Self::Leaf(x, mass) => Self::Leaf(x, mass + 1),
                Self::Node(column, cut, left, right) if x[column] <= cut => {
                    Self::Node(column, cut, Box::new(left.insert(x, draws)), right)
                }
                Self::Node(column, cut, left, right) => Self::Node(column, cut, left, Box::new(right.insert(x, draws))),
            }
        }

        fn remove(self, x: &[f64]) -> Option<Self> {
            match self {
                Self::Leaf(_, 1) => None,
                Self::Leaf(x, mass) => Some(Self::Leaf(x, mass - 1)),
                Self::Node(column, cut, left, right) => Some(if x[column] <= cut {
                    match left.remove(x) {
                        Some(left) => Self::Node(column, cut, Box::new(left), right),
                        None => *right,
                    }
                } else {
                    match right.remove(x) {
                        Some(right) => Self::Node(column, cut, left, Box::new(right)),
                        None => *left,
                    }
                }),
            }
        }

        fn score(&self, x: &[f64], depth: u32, total: f64) -> f64 {
            let (lower, upper) = self.box_of();
            let (outside, range) = extension(x, &lower, &upper);
            let own = 1.0 / f64::from(depth + 1);
            match self {
                Self::Leaf(_, mass) if outside == 0.0 => {
                    let mass = f64::from(*mass);
                    (1.0 - 0.5 * mass / total) / (f64::from(depth) + libm::log2(mass + 1.0))
                }
                Self::Leaf(..) => own,
                Self::Node(column, cut, left, right) => {
                    let side = if x[*column] <= *cut { left } else { right };
                    let p = outside / (outside + range);
                    p / f64::from(depth + 1) + (1.0 - p) * side.score(x, depth + 1, total)
                }
            }
        }
    }

    /// Everything the tree keeps up, made anew.
    fn check(tree: &Tree, points: &Points) {
        let mut open = vec![(tree.root, NONE)];
        let (mut n_nodes, mut n_leaves, mut n_bounds) = (0, 0, 0);
        open.retain(|(place, _)| *place != NONE);
        while let Some((place, parent)) = open.pop() {
            if place & LEAF != 0 {
                assert!(tree.leaf(place).parent == parent && tree.leaf(place).mass > 0);
                n_leaves += 1;
                continue;
            }
            let node = *tree.node(place);
            assert_eq!(node.parent, parent);
            let Extent { mass, bounds } = tree.extent(place);
            assert_eq!(mass, node.sides.iter().map(|side| tree.mass_of(*side)).sum::<u16>());
            assert_eq!(bounds != NONE, mass > SMALL);
            if bounds != NONE {
                let mut own = vec![0.0; 2 * points.width()];
                tree.box_into(points, node.sides, &mut own);
                assert_eq!(tree.both_corners(bounds, points.width()), own);
                n_bounds += 1;
            }
            n_nodes += 1;
            open.extend(node.sides.map(|side| (side, place)));
        }
        assert_eq!(tree.nodes.items.len() - tree.nodes.free.len(), n_nodes);
        assert_eq!(tree.leaves.items.len() - tree.leaves.free.len(), n_leaves);
        assert_eq!(
            tree.bounds.len() / (2 * points.width()) - tree.free_bounds.len(),
            n_bounds
        );
    }

    fn score(tree: &Tree, points: &Points, x: &[f64]) -> f64 {
        score_of_all(std::slice::from_ref(tree), points, x, &mut vec![0.0; 2 * x.len()])
    }

    fn attribute(tree: &Tree, points: &Points, x: &[f64], out: &mut [[f64; 2]]) {
        tree.attribute(points, x, 1.0, &mut vec![0.0; 2 * x.len()], &mut out.to_vec(), out);
    }

    fn take(tree: &mut Tree, points: &mut Points, new: (u32, f64), capacity: usize, draws: &mut Draws) {
        let mut own = vec![0.0; 2 * points.width()];
        tree.take(points, new, capacity, draws, &mut own);
    }

    fn rows(n: usize, width: usize) -> Vec<Vec<f64>> {
        let mut draws = Draws::new(Seed(8));
        let mut row = |i: usize| -> Vec<f64> {
            match i % 7 {
                0 => vec![0.5; width],                                                // again and again
                1 => (0..width).map(|_| draws.below(3) as f64).collect(),             // on a lattice
                2 => (0..width).map(|_| 1e6 * draws.uniform() - 5e5).collect(),       // far away
                _ => (0..width).map(|_| draws.uniform() + draws.uniform()).collect(), // the usual
            }
        };
        (0..n).map(&mut row).collect()
    }

    #[test]
    fn a_tree_is_that_of_the_definition() {
        for (width, capacity) in [(1, 3), (3, 20), (6, 40)] {
            let mut points = Points::new(width);
            let mut tree = Tree::new(capacity, width);
            let mut naive: Option<Naive> = None;
            let mut sample: Vec<(f64, Vec<f64>)> = Vec::new();
            for (i, x) in rows(400, width).iter().enumerate() {
                if let Some(naive) = &naive {
                    let expected = naive.score(x, 0, sample.len() as f64);
                    assert_eq!(score(&tree, &points, x), expected, "row {i}");
                    let mut parts = vec![[0.0; 2]; width];
                    attribute(&tree, &points, x, &mut parts);
                    let sum: f64 = parts.iter().flatten().sum();
                    // At most 20 terms a column, each rounded once more than in the score.
                    assert!((sum - expected).abs() < 1e-13 && parts.iter().flatten().all(|c| *c >= 0.0));
                }
                let mut draws = Draws::new(Seed(3).part(i as u64));
                let mut twin = draws.clone();
                let weight = (i * 7919 % 1009) as f64 - i as f64;
                let (uniform, age) = ((-weight.exp()).exp(), 0.0);
                assert!(!tree.passes_over(uniform, age, capacity) || !tree.takes(weight, capacity));
                if !tree.takes(weight, capacity) {
                    assert!(sample.len() == capacity && sample.iter().all(|(w, _)| *w <= weight));
                    continue;
                }
                let point = points.add(x);
                take(&mut tree, &mut points, (point, weight), capacity, &mut draws);
                if sample.len() == capacity {
                    let largest = (0..capacity)
                        .max_by(|&a, &b| sample[a].0.total_cmp(&sample[b].0))
                        .unwrap();
                    let (_, gone) = sample.remove(largest);
                    naive = naive.and_then(|n| n.remove(&gone));
                }
                sample.push((weight, x.clone()));
                naive = Some(match naive {
                    Some(naive) => naive.insert(x, &mut twin),
                    None => Naive::Leaf(x.clone(), 1),
                });
                check(&tree, &points);
            }
            assert!(points.len() <= 2 * capacity && tree.mass() == capacity);
        }
    }

    #[test]
    fn two_points_by_hand() {
        let mut points = Points::new(1);
        let mut tree = Tree::new(4, 1);
        assert_eq!(score(&tree, &points, &[7.0]), 0.0);
        for (i, x) in [0.0, 1.0].into_iter().enumerate() {
            let point = points.add(&[x]);
            take(&mut tree, &mut points, (point, i as f64), 4, &mut Draws::new(Seed(1)));
        }
        // Both leaves at depth 1 hold one row of two.
        assert_eq!(score(&tree, &points, &[0.0]), 0.75 / 2.0);
        // At 3, two parts of three of a cut lie beyond the box, which ends the walk at the root; else it ends at depth 1.
        let (expected, got) = (2.0 / 3.0 + 1.0 / 6.0, score(&tree, &points, &[3.0]));
        assert!((got - expected).abs() < 1e-15, "{got}");
        let mut parts = [[0.0; 2]];
        attribute(&tree, &points, &[3.0], &mut parts);
        assert!(parts[0][0] == 0.0 && (parts[0][1] - expected).abs() < 1e-15);
    }

    #[test]
    fn trees_are_distributed_as_if_drawn_anew() {
        // The box is 3 wide and 1 high: three of four first cuts go across its width, whatever came and went.
        const N: u64 = 2000;
        let across = (0..N).filter(|&seed| {
            let mut points = Points::new(2);
            let mut tree = Tree::new(4, 2);
            let rows = [[0.0, 0.0], [50.0, 80.0], [3.0, 1.0], [0.0, 1.0], [3.0, 0.0]];
            for (i, x) in rows.iter().enumerate() {
                let point = points.add(x);
                let weight = if i == 1 { 9.0 } else { 0.0 }; // the far one is the first to go
                let mut draws = Draws::new(Seed(seed).part(i as u64));
                take(&mut tree, &mut points, (point, weight), 4, &mut draws);
            }
            tree.node(tree.root).column == 0
        });
        // Standard deviation of the share: sqrt(3/16 / 2000) = 0.0097.
        let share = across.count() as f64 / N as f64;
        assert!((share - 0.75).abs() < 0.04, "{share}");
    }

    #[test]
    fn cuts_lie_between() {
        let mut draws = Draws::new(Seed(2));
        for (x, l, u) in [
            ([1.0, 5.0], [2.0, 4.0], [3.0, 6.0]),
            ([0.0, 1.0], [0.0, 0.0], [0.0, 1.0 - f64::EPSILON / 2.0]),
            ([-1e150, 0.0], [1e150, 0.0], [1e150, 0.0]),
            ([5e-324, 0.0], [0.0, 0.0], [0.0, 0.0]),
        ] {
            let (outside, _) = extension(&x, &l, &u);
            for _ in 0..100 {
                let (column, cut) = cut_between(&x, &l, &u, draws.uniform() * outside, draws.uniform());
                let j = column as usize;
                let (from, to) = if x[j] < l[j] { (x[j], l[j]) } else { (u[j], x[j]) };
                assert!(from <= cut && cut < to, "{from} {cut} {to}");
            }
        }
    }

    #[test]
    fn records_that_no_tree_leaves_are_refused() {
        let mut points = Points::new(2);
        let mut tree = Tree::new(8, 2);
        for (i, x) in rows(30, 2).iter().enumerate() {
            let mut draws = Draws::new(Seed(3).part(i as u64));
            let weight = draws.uniform() - i as f64;
            let point = points.add(x);
            take(&mut tree, &mut points, (point, weight), 8, &mut draws);
        }
        // In a store of their own, in the order of the record.
        let mut order = Vec::new();
        let good = tree.to_record(|p| {
            let known = order.iter().position(|&o| o == p);
            known.unwrap_or_else(|| {
                order.push(p);
                order.len() - 1
            }) as u32
        });
        let read = |record: &TreeRecord| {
            let mut store = Points::new(2);
            order.iter().for_each(|&p| {
                store.add(points.get(p));
            });
            Tree::from_record(record, &mut store).map(|t| (t, store))
        };
        let (again, store) = read(&good).unwrap();
        check(&again, &store);
        assert_eq!(again.to_record(|p| p), good);
        let last = good.points.len() - 1;
        let change: [&dyn Fn(&mut TreeRecord); 14] = [
            &|r| r.columns[0] = 2,
            &|r| r.columns[0] = RECORD_LEAF,
            &|r| r.columns.truncate(3),
            &|r| r.columns.reverse(),
            &|r| r.cuts[0] = f64::NAN,
            &|r| r.cuts[0] = 1e300,
            &|r| r.cuts.push(0.0),
            &|r| r.leaves[0] = 99,
            &|r| r.leaves[0] = r.leaves[1],
            &|r| r.leaves.clear(),
            &|r| r.points[last] = u32::MAX,
            &|r| r.weights[last] = 1e300,
            &|r| r.weights[0] = f64::INFINITY,
            &|r| {
                *r = TreeRecord {
                    columns: vec![0],
                    cuts: vec![0.0],
                    leaves: vec![],
                    weights: vec![],
                    points: vec![],
                }
            },
        ];
        for (i, change) in change.iter().enumerate() {
            let mut record = good.clone();
            change(&mut record);
            let e = read(&record).err().unwrap_or_else(|| panic!("change {i} was taken"));
            assert_eq!(e.kind(), ErrorKind::Persistence);
        }
    }
}
