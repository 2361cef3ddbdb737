//! A random cut tree over a sample of points, and the points that trees share.

use crate::detect::draws::Draws;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

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

/// One corner of a box; of up to 256 columns it stays on the stack.
type Corner = SmallVec<[f64; 256]>;

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

#[derive(Clone, Copy, Debug)]
struct Node {
    cut: f64,
    column: u32,
    /// Where `x[column] <= cut`.
    left: u16,
    right: u16,
    parent: u16,
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
    leaves: Pool<Leaf>,
    /// Lower and upper corners, one behind the other.
    bounds: Vec<f64>,
    free_bounds: Vec<u16>,
    /// The sample, the largest weight first, as a heap.
    sample: Vec<(f64, u32)>,
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

/// How far `x` lies outside a box and how wide the box is, summed over columns: in a fixed order, four running sums.
#[inline]
fn extension(x: &[f64], lower: &[f64], upper: &[f64]) -> (f64, f64) {
    let positive = |d: f64| if d > 0.0 { d } else { 0.0 };
    let ((x4, x1), (l4, l1), (u4, u1)) = (x.as_chunks::<4>(), lower.as_chunks::<4>(), upper.as_chunks::<4>());
    let (mut outside, mut range) = ([0.0; 4], [0.0; 4]);
    for ((x, l), u) in x4.iter().zip(l4).zip(u4) {
        for i in 0..4 {
            outside[i] += positive(l[i] - x[i]) + positive(x[i] - u[i]);
            range[i] += u[i] - l[i];
        }
    }
    for (i, ((x, l), u)) in x1.iter().zip(l1).zip(u1).enumerate() {
        outside[i] += positive(l - x) + positive(x - u);
        range[i] += u - l;
    }
    let sum = |s: [f64; 4]| (s[0] + s[1]) + (s[2] + s[3]);
    (sum(outside), sum(range))
}

/// Makes a box hold `x`.
#[inline]
fn stretch(lower: &mut [f64], upper: &mut [f64], x: &[f64]) {
    for ((l, u), &x) in lower.iter_mut().zip(upper).zip(x) {
        *l = if x < *l { x } else { *l };
        *u = if x > *u { x } else { *u };
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
    pub fn new(capacity: usize) -> Self {
        Self {
            root: NONE,
            nodes: Pool::new(capacity.saturating_sub(1)),
            leaves: Pool::new(capacity),
            bounds: Vec::new(),
            free_bounds: Vec::new(),
            sample: Vec::with_capacity(capacity),
        }
    }

    /// Rows in the sample.
    pub fn mass(&self) -> usize {
        self.sample.len()
    }

    /// Bytes on the heap.
    pub fn n_bytes(&self) -> usize {
        let lists = 8 * self.bounds.capacity() + 2 * self.free_bounds.capacity() + 16 * self.sample.capacity();
        lists + self.nodes.n_bytes() + self.leaves.n_bytes()
    }

    fn node(&self, place: u16) -> &Node {
        &self.nodes.items[usize::from(place)]
    }

    fn node_mut(&mut self, place: u16) -> &mut Node {
        &mut self.nodes.items[usize::from(place)]
    }

    fn leaf(&self, place: u16) -> &Leaf {
        &self.leaves.items[usize::from(place & !LEAF)]
    }

    fn leaf_mut(&mut self, place: u16) -> &mut Leaf {
        &mut self.leaves.items[usize::from(place & !LEAF)]
    }

    fn mass_of(&self, place: u16) -> u16 {
        if place & LEAF == 0 {
            self.node(place).mass
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
            *(if node.left == before {
                &mut node.left
            } else {
                &mut node.right
            }) = child;
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

    fn corners(&self, bounds: u16, width: usize) -> (&[f64], &[f64]) {
        let start = 2 * width * usize::from(bounds);
        self.bounds[start..start + 2 * width].split_at(width)
    }

    fn corners_mut(&mut self, bounds: u16, width: usize) -> (&mut [f64], &mut [f64]) {
        let start = 2 * width * usize::from(bounds);
        self.bounds[start..start + 2 * width].split_at_mut(width)
    }

    fn add_bounds(&mut self, lower: &[f64], upper: &[f64]) -> u16 {
        let width = lower.len();
        let place = self.free_bounds.pop().unwrap_or_else(|| {
            let place = self.bounds.len() / (2 * width);
            self.bounds.resize(self.bounds.len() + 2 * width, 0.0);
            place as u16
        });
        let (l, u) = self.corners_mut(place, width);
        l.copy_from_slice(lower);
        u.copy_from_slice(upper);
        place
    }

    /// Frees the bounds of a node, where it has any.
    fn drop_bounds(&mut self, node: u16) {
        let bounds = std::mem::replace(&mut self.node_mut(node).bounds, NONE);
        if bounds != NONE {
            self.free_bounds.push(bounds);
        }
    }

    /// Makes a box hold what lies below `place`.
    fn stretch_over(&self, points: &Points, place: u16, lower: &mut [f64], upper: &mut [f64]) {
        if place & LEAF != 0 {
            return stretch(lower, upper, points.get(self.leaf(place).point));
        }
        let node = *self.node(place);
        if node.bounds == NONE {
            // A small node: few levels.
            self.stretch_over(points, node.left, lower, upper);
            self.stretch_over(points, node.right, lower, upper);
        } else {
            let (l, u) = self.corners(node.bounds, points.width());
            stretch(lower, upper, l);
            stretch(lower, upper, u);
        }
    }

    /// The box of what lies below `place`, into two corners.
    fn box_into(&self, points: &Points, place: u16, lower: &mut Corner, upper: &mut Corner) {
        lower.clear();
        lower.resize(points.width(), f64::INFINITY);
        upper.clear();
        upper.resize(points.width(), f64::NEG_INFINITY);
        self.stretch_over(points, place, lower, upper);
    }

    /// The leaf on the way of `x`, and its depth; the tree is not empty.
    #[inline]
    fn locate(&self, x: &[f64]) -> (u16, u32) {
        let (mut place, mut depth) = (self.root, 0);
        while place & LEAF == 0 {
            let node = self.node(place);
            place = if x[node.column as usize] <= node.cut {
                node.left
            } else {
                node.right
            };
            depth += 1;
        }
        (place, depth)
    }

    /// Visits the boxes from the leaf up to the root, with their depths, until `visit` says no.
    #[inline]
    fn climb(
        &self,
        points: &Points,
        (leaf, mut depth): (u16, u32),
        mut visit: impl FnMut(u32, &[f64], &[f64]) -> bool,
    ) {
        let Leaf { point, parent, .. } = *self.leaf(leaf);
        let point = points.get(point);
        if !visit(depth, point, point) {
            return;
        }
        let (mut lower, mut upper) = (Corner::new(), Corner::new());
        let (mut child, mut place) = (leaf, parent);
        while place != NONE {
            depth -= 1;
            let node = *self.node(place);
            let goes_on = if node.bounds == NONE {
                if lower.is_empty() {
                    lower.extend_from_slice(point);
                    upper.extend_from_slice(point);
                }
                let sibling = if node.left == child { node.right } else { node.left };
                self.stretch_over(points, sibling, &mut lower, &mut upper);
                visit(depth, &lower, &upper)
            } else {
                let (lower, upper) = self.corners(node.bounds, points.width());
                visit(depth, lower, upper)
            };
            if !goes_on {
                return;
            }
            (child, place) = (place, node.parent);
        }
    }

    /// The score of a row that lies in the tree: `1 / (depth + log2(mass + 1))`, less where the leaf holds much of it.
    fn seen(&self, (leaf, depth): (u16, u32)) -> f64 {
        let mass = f64::from(self.leaf(leaf).mass);
        let damp = 1.0 - 0.5 * mass / self.mass().max(1) as f64;
        damp / (f64::from(depth) + libm::log2(mass + 1.0))
    }

    /// How much `x` would displace; 0 for an empty tree.
    pub fn score(&self, points: &Points, x: &[f64]) -> f64 {
        if self.root == NONE {
            return 0.0;
        }
        let found = self.locate(x);
        let (mut score, mut is_leaf) = (0.0, true);
        self.climb(points, found, |depth, lower, upper| {
            let (outside, range) = extension(x, lower, upper);
            let own = 1.0 / f64::from(depth + 1);
            if is_leaf {
                is_leaf = false;
                score = if outside > 0.0 { own } else { self.seen(found) };
            } else if outside > 0.0 {
                let p = outside / (outside + range);
                score = p * own + (1.0 - p) * score;
            }
            outside > 0.0
        });
        score
    }

    /// Each column's parts of the score, for lying low and for lying high, added to `out`, `rate` times; a point is
    /// several rows of `out.len()` columns. `own` is room for as much.
    pub fn attribute(&self, points: &Points, x: &[f64], rate: f64, own: &mut [[f64; 2]], out: &mut [[f64; 2]]) {
        if self.root == NONE {
            return;
        }
        own.fill([0.0; 2]);
        let found = self.locate(x);
        let n = own.len().max(1);
        self.climb(points, found, |depth, lower, upper| {
            let (outside, range) = extension(x, lower, upper);
            let total = outside + range;
            if outside > 0.0 {
                let keep = 1.0 - outside / total;
                own.iter_mut().flatten().for_each(|c| *c *= keep);
                let unit = 1.0 / f64::from(depth + 1);
                for (j, ((x, l), u)) in x.iter().zip(lower).zip(upper).enumerate() {
                    if let Some([low, high]) = own.get_mut(j % n) {
                        *low += (l - x).max(0.0) / total * unit;
                        *high += (x - u).max(0.0) / total * unit;
                    }
                }
            } else if total == 0.0 {
                own.fill([self.seen(found) / (2 * n) as f64; 2]);
            }
            outside > 0.0
        });
        for (out, own) in out.iter_mut().flatten().zip(own.iter().flatten()) {
            *out += rate * own;
        }
    }

    /// Offers a point of this weight to a sample of `capacity`: the one of the largest weight is not in it.
    pub fn takes(&self, weight: f64, capacity: usize) -> bool {
        self.sample.len() < capacity || self.sample.first().is_some_and(|(w, _)| weight < *w)
    }

    /// Takes the point in, in place of the one of the largest weight where the sample is full.
    pub fn take(&mut self, points: &mut Points, point: u32, weight: f64, capacity: usize, draws: &mut Draws) {
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
            self.remove(points, evicted);
            points.release(evicted);
        }
        self.insert(points, point, draws);
    }

    fn insert(&mut self, points: &mut Points, point: u32, draws: &mut Draws) {
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
        let (mut own_lower, mut own_upper) = (Corner::new(), Corner::new());
        loop {
            let x = points.get(point);
            let is_leaf = place & LEAF != 0;
            let known = if is_leaf { NONE } else { self.node(place).bounds };
            if known == NONE {
                self.box_into(points, place, &mut own_lower, &mut own_upper);
            }
            let (lower, upper) = match known {
                NONE => (&own_lower[..], &own_upper[..]),
                _ => self.corners(known, points.width()),
            };
            let (outside, range) = extension(x, lower, upper);
            if outside > 0.0 {
                let at = draws.uniform() * (outside + range);
                if is_leaf || at < outside {
                    let (column, cut) = cut_between(x, lower, upper, at, draws.uniform());
                    if known != NONE {
                        let (lower, upper) = self.corners(known, points.width());
                        own_lower.clear();
                        own_lower.extend_from_slice(lower);
                        own_upper.clear();
                        own_upper.extend_from_slice(upper);
                    }
                    stretch(&mut own_lower, &mut own_upper, x);
                    let below = x.get(column as usize).is_some_and(|x| *x <= cut);
                    points.keep(point);
                    let leaf = LEAF
                        | self.leaves.add(Leaf {
                            point,
                            mass: 1,
                            parent: NONE,
                        });
                    let mass = self.mass_of(place) + 1;
                    let bounds = if mass > SMALL {
                        self.add_bounds(&own_lower, &own_upper)
                    } else {
                        NONE
                    };
                    let (left, right) = if below { (leaf, place) } else { (place, leaf) };
                    let node = self.nodes.add(Node {
                        cut,
                        column,
                        left,
                        right,
                        parent,
                        mass,
                        bounds,
                    });
                    self.link(parent, place, node);
                    self.set_parent(left, node);
                    self.set_parent(right, node);
                    return;
                }
            } else if is_leaf {
                self.leaf_mut(place).mass += 1;
                return;
            }
            let node = *self.node(place);
            self.node_mut(place).mass += 1;
            if known == NONE {
                if node.mass + 1 > SMALL {
                    stretch(&mut own_lower, &mut own_upper, x);
                    self.node_mut(place).bounds = self.add_bounds(&own_lower, &own_upper);
                }
            } else if outside > 0.0 {
                let (lower, upper) = self.corners_mut(known, points.width());
                stretch(lower, upper, x);
            }
            parent = place;
            place = if x[node.column as usize] <= node.cut {
                node.left
            } else {
                node.right
            };
        }
    }

    /// Takes one row of the values of `point` out of the leaf that holds it.
    fn remove(&mut self, points: &mut Points, point: u32) {
        let (place, _) = self.locate(points.get(point));
        let leaf = *self.leaf(place);
        let mut at = leaf.parent;
        let mut shrinks = leaf.mass == 1;
        let (mut own_lower, mut own_upper) = (Corner::new(), Corner::new());
        if leaf.mass > 1 {
            self.leaf_mut(place).mass -= 1;
        } else {
            self.leaves.free.push(place & !LEAF);
            if at == NONE {
                self.root = NONE;
            } else {
                let node = *self.node(at);
                let sibling = if node.left == place { node.right } else { node.left };
                self.link(node.parent, at, sibling);
                self.drop_bounds(at);
                self.nodes.free.push(at);
                at = node.parent;
            }
        }
        while at != NONE {
            let node = self.node_mut(at);
            node.mass -= 1;
            let Node {
                mass,
                bounds,
                left,
                right,
                parent,
                ..
            } = *node;
            if mass <= SMALL {
                self.drop_bounds(at);
            } else if shrinks {
                let (lower, upper) = self.corners(bounds, points.width());
                let x = points.get(point);
                shrinks = x.iter().zip(lower).zip(upper).any(|((x, l), u)| x == l || x == u);
                if shrinks {
                    self.box_into(points, left, &mut own_lower, &mut own_upper);
                    self.stretch_over(points, right, &mut own_lower, &mut own_upper);
                    let (l, u) = self.corners_mut(bounds, points.width());
                    l.copy_from_slice(&own_lower);
                    u.copy_from_slice(&own_upper);
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
                record.columns.push(node.column);
                record.cuts.push(node.cut);
                open.extend([node.right, node.left]);
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
        let mut tree = Self::new(n_sample);
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
                tree.nodes.add(Node {
                    cut,
                    column,
                    left: NONE,
                    right: NONE,
                    parent,
                    mass: 0,
                    bounds: NONE,
                })
            };
            match (parent, right) {
                (NONE, _) => tree.root = place,
                (_, false) => tree.node_mut(parent).left = place,
                (_, true) => tree.node_mut(parent).right = place,
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
            let (place, _) = tree.locate(x);
            if points.get(tree.leaf(place).point) != x {
                return wrong("leaves that hold the sample");
            }
            tree.leaf_mut(place).mass += 1;
        }
        if tree.leaves.items.iter().any(|l| l.mass == 0) {
            return wrong("leaves that hold the sample");
        }
        // Nodes were added before those below them, so from the last to the first all below is done.
        let (mut lower, mut upper) = (Corner::new(), Corner::new());
        for place in (0..n_nodes as u16).rev() {
            let Node { left, right, .. } = *tree.node(place);
            let mass = tree.mass_of(left) + tree.mass_of(right);
            tree.node_mut(place).mass = mass;
            if mass > SMALL {
                tree.box_into(points, left, &mut lower, &mut upper);
                tree.stretch_over(points, right, &mut lower, &mut upper);
                tree.node_mut(place).bounds = tree.add_bounds(&lower, &upper);
            }
        }
        record.points.iter().chain(&record.leaves).for_each(|&p| points.keep(p));
        Ok(tree)
    }
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
                    p * own + (1.0 - p) * side.score(x, depth + 1, total)
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
            assert_eq!(node.mass, tree.mass_of(node.left) + tree.mass_of(node.right));
            assert_eq!(node.bounds != NONE, node.mass > SMALL);
            if node.bounds != NONE {
                let (mut lower, mut upper) = (Corner::new(), Corner::new());
                tree.box_into(points, node.left, &mut lower, &mut upper);
                tree.stretch_over(points, node.right, &mut lower, &mut upper);
                assert_eq!(tree.corners(node.bounds, points.width()), (&lower[..], &upper[..]));
                n_bounds += 1;
            }
            n_nodes += 1;
            open.extend([(node.left, place), (node.right, place)]);
        }
        assert_eq!(tree.nodes.items.len() - tree.nodes.free.len(), n_nodes);
        assert_eq!(tree.leaves.items.len() - tree.leaves.free.len(), n_leaves);
        assert_eq!(
            tree.bounds.len() / (2 * points.width()) - tree.free_bounds.len(),
            n_bounds
        );
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
            let mut tree = Tree::new(capacity);
            let mut naive: Option<Naive> = None;
            let mut sample: Vec<(f64, Vec<f64>)> = Vec::new();
            for (i, x) in rows(400, width).iter().enumerate() {
                if let Some(naive) = &naive {
                    let expected = naive.score(x, 0, sample.len() as f64);
                    assert_eq!(tree.score(&points, x), expected, "row {i}");
                    let (mut own, mut parts) = (vec![[0.0; 2]; width], vec![[0.0; 2]; width]);
                    tree.attribute(&points, x, 1.0, &mut own, &mut parts);
                    let sum: f64 = parts.iter().flatten().sum();
                    // At most 20 terms a column, each rounded once more than in the score.
                    assert!((sum - expected).abs() < 1e-13 && parts.iter().flatten().all(|c| *c >= 0.0));
                }
                let mut draws = Draws::new(Seed(3).part(i as u64));
                let mut twin = draws.clone();
                let weight = (i * 7919 % 1009) as f64 - i as f64;
                if !tree.takes(weight, capacity) {
                    assert!(sample.len() == capacity && sample.iter().all(|(w, _)| *w <= weight));
                    continue;
                }
                let point = points.add(x);
                tree.take(&mut points, point, weight, capacity, &mut draws);
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
        let mut tree = Tree::new(4);
        assert_eq!(tree.score(&points, &[7.0]), 0.0);
        for (i, x) in [0.0, 1.0].into_iter().enumerate() {
            let point = points.add(&[x]);
            tree.take(&mut points, point, i as f64, 4, &mut Draws::new(Seed(1)));
        }
        // Both leaves at depth 1 hold one row of two.
        assert_eq!(tree.score(&points, &[0.0]), 0.75 / 2.0);
        // At 3, two parts of three of a cut lie beyond the box, which ends the walk at the root; else it ends at depth 1.
        let (expected, got) = (2.0 / 3.0 + 1.0 / 6.0, tree.score(&points, &[3.0]));
        assert!((got - expected).abs() < 1e-15, "{got}");
        let mut parts = [[0.0; 2]];
        tree.attribute(&points, &[3.0], 1.0, &mut [[0.0; 2]], &mut parts);
        assert!(parts[0][0] == 0.0 && (parts[0][1] - expected).abs() < 1e-15);
    }

    #[test]
    fn trees_are_distributed_as_if_drawn_anew() {
        // The box is 3 wide and 1 high: three of four first cuts go across its width, whatever came and went.
        const N: u64 = 2000;
        let across = (0..N).filter(|&seed| {
            let mut points = Points::new(2);
            let mut tree = Tree::new(4);
            let rows = [[0.0, 0.0], [50.0, 80.0], [3.0, 1.0], [0.0, 1.0], [3.0, 0.0]];
            for (i, x) in rows.iter().enumerate() {
                let point = points.add(x);
                let weight = if i == 1 { 9.0 } else { 0.0 }; // the far one is the first to go
                tree.take(
                    &mut points,
                    point,
                    weight,
                    4,
                    &mut Draws::new(Seed(seed).part(i as u64)),
                );
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
        let mut tree = Tree::new(8);
        for (i, x) in rows(30, 2).iter().enumerate() {
            let mut draws = Draws::new(Seed(3).part(i as u64));
            let weight = draws.uniform() - i as f64;
            let point = points.add(x);
            tree.take(&mut points, point, weight, 8, &mut draws);
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
