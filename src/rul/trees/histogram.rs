//! Sums of gradients by column and bin, in whole numbers.

use super::binned::Binned;

/// The most rows trees can be grown on: row counts share a machine word with gradient sums.
pub(crate) const MAX_ROWS: usize = (1 << COUNT_BITS) - 1;

const COUNT_BITS: u32 = 20;
const COUNT_MASK: i64 = (1 << COUNT_BITS) - 1;
/// Gradients are rounded to whole numbers of at most this size, so that sums are exact in any order.
const LARGEST: f64 = (1 << 22) as f64;

/// A gradient sum and the number of its rows in one word.
pub(super) fn packed(gradient: i64) -> i64 {
    (gradient << COUNT_BITS) + 1
}

/// The number of rows in a packed sum.
pub(super) fn count(total: i64) -> i64 {
    total & COUNT_MASK
}

/// The gradients in a packed sum.
pub(super) fn gradients(total: i64) -> i64 {
    total >> COUNT_BITS
}

/// The power of two that brings numbers of at most `largest` up to the size gradients are rounded at; a power of two, so that
/// scaling itself does not round. `None` where there is nothing to scale.
pub(super) fn scale_of(largest: f64) -> Option<f64> {
    if !(largest > 0.0 && largest.is_finite()) {
        return None;
    }
    let mut scale = 1.0f64;
    while largest * scale > LARGEST {
        scale *= 0.5;
    }
    while largest * scale * 2.0 <= LARGEST && scale < 1e300 {
        scale *= 2.0;
    }
    Some(scale)
}

/// `x` as the nearest whole number, ties to even, for `|x| < 2^51`: adding 1.5 x 2^52 leaves no bits behind the point.
/// (`f64::round` is a call on processors without an instruction for it.)
pub(super) fn rounded(x: f64) -> i64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (x + SHIFT).to_bits() as i64 - SHIFT.to_bits() as i64
}

/// Sums of `values` over `rows`, by the given columns and `B` bins each; `gathered` is room for one value a row.
pub(super) fn accumulate<const B: usize>(
    data: &Binned,
    columns: &[usize],
    rows: &[u32],
    values: &[i64],
    gathered: &mut [i64],
    out: &mut [i64],
) {
    let gathered = &mut gathered[..rows.len()];
    for (p, &r) in gathered.iter_mut().zip(rows) {
        *p = values[r as usize];
    }
    out.fill(0);
    let (four, _) = columns.as_chunks::<4>();
    let mut tables = out.chunks_exact_mut(4 * B);
    for (columns, tables) in four.iter().zip(&mut tables) {
        let [a, b, c, d] = columns.map(|f| data.column(f));
        let (ta, rest) = tables.split_at_mut(B);
        let (tb, rest) = rest.split_at_mut(B);
        let (tc, td) = rest.split_at_mut(B);
        for (&r, &p) in rows.iter().zip(&*gathered) {
            let r = r as usize;
            ta[a[r] as usize & (B - 1)] += p;
            tb[b[r] as usize & (B - 1)] += p;
            tc[c[r] as usize & (B - 1)] += p;
            td[d[r] as usize & (B - 1)] += p;
        }
    }
    let done = four.len() * 4;
    for (&f, table) in columns[done..].iter().zip(tables.into_remainder().chunks_exact_mut(B)) {
        let column = data.column(f);
        for (&r, &p) in rows.iter().zip(&*gathered) {
            table[column[r as usize] as usize & (B - 1)] += p;
        }
    }
}
