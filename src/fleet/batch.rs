//! Many rows in one call, on several threads where the feature `parallel` is on.

use super::{
    Fleet,
    shard::{Models, Place, Shard},
};
use crate::{decision::Decision, error::Result, model::Assessment, quantity::Timestamp};
use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
};

/// A row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct FleetRow<'a, Q: ?Sized> {
    /// The machine.
    pub asset: &'a Q,
    /// The instant of the row.
    pub time: Timestamp,
    /// Readings in the order of the model's schema; NaN is a missing one.
    pub values: &'a [f64],
}

impl<K: Eq + Hash + Clone> Fleet<K> {
    /// Takes many rows, of any machines, and gives a result for each: one that fails stops no other. The same as
    /// [`push`](Fleet::push) row by row, to the last bit; [`events`](Fleet::events) and [`released`](Fleet::released) are
    /// those of all rows.
    pub fn push_rows<'a, Q>(
        &mut self,
        rows: impl IntoIterator<Item = (&'a Q, Timestamp, &'a [f64])>,
    ) -> Vec<Result<Assessment<Decision>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized + 'a,
    {
        self.begin();
        let mut last = None;
        let outcomes = rows
            .into_iter()
            .map(|(asset, time, values)| {
                last = last.max(Some(time));
                self.push_further(asset, time, values)
            })
            .collect();
        if let Some(time) = last {
            self.watch(time);
        }
        outcomes
    }

    /// Takes many rows, as [`push_rows`](Fleet::push_rows), and tells `each` the place and the outcome of every row. With the
    /// feature `parallel` the [shards](super::FleetParams::shards) are worked on by the threads of rayon's current pool, and
    /// `each` is called from them: rows of one machine in their order, others in any. No outcome depends on the threads. Of
    /// events those of a shard come together.
    ///
    /// Where a bound on machines is set and a row is of an unknown one, all rows are worked on in their order.
    pub fn for_each_row<Q>(
        &mut self,
        rows: &[FleetRow<'_, Q>],
        each: impl Fn(usize, Result<Assessment<Decision>>) + Send + Sync,
    ) where
        K: Borrow<Q> + Send + Sync,
        Q: Eq + Hash + ToOwned<Owned = K> + Sync + ?Sized,
    {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("prognos.rows", n = rows.len()).entered();
        self.begin();
        let last = rows.iter().map(|row| row.time).max();
        let bounded = self.is_bounded() && rows.iter().any(|row| self.slot(row.asset).is_none());
        if bounded || rows.len() > u32::MAX as usize {
            for (i, row) in rows.iter().enumerate() {
                let outcome = self.push_further(row.asset, row.time, row.values);
                each(i, outcome);
            }
        } else {
            self.side_by_side(rows, &each);
        }
        if let Some(time) = last {
            self.watch(time);
        }
    }

    fn side_by_side<Q>(
        &mut self,
        rows: &[FleetRow<'_, Q>],
        each: &(impl Fn(usize, Result<Assessment<Decision>>) + Send + Sync),
    ) where
        K: Borrow<Q> + Send + Sync,
        Q: Eq + Hash + ToOwned<Owned = K> + Sync + ?Sized,
    {
        let mut mine: Vec<Vec<(u32, u64)>> = self.shards.iter().map(|_| Vec::new()).collect();
        for (i, row) in rows.iter().enumerate() {
            let (hash, shard) = self.place(row.asset);
            if let Some(list) = mine.get_mut(shard) {
                list.push((i as u32, hash));
            }
        }
        let models = Models::of(&self.params, &self.model, &self.shadow, self.call);
        // A machine's number is that of the row that made it known: the same on any number of threads.
        let (number, hasher) = (self.number, &self.hasher);
        let work = |(shard, list): (&mut Shard<K>, &Vec<(u32, u64)>)| {
            shard.begin();
            for &(i, hash) in list {
                let Some(row) = rows.get(i as usize) else { continue };
                let outcome = shard.push(
                    models,
                    Place {
                        hash,
                        is_asset: |key: &K| key.borrow() == row.asset,
                        hash_of: |key: &K| hasher.hash_one(key),
                    },
                    || Some((number + u64::from(i), row.asset.to_owned())),
                    row.time,
                    row.values,
                );
                each(i as usize, outcome);
            }
        };
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            self.shards.par_iter_mut().zip(&mine).for_each(work);
        }
        #[cfg(not(feature = "parallel"))]
        self.shards.iter_mut().zip(&mine).for_each(work);
        self.number += rows.len() as u64;
        self.n_assets = self.shards.iter().map(|shard| shard.slots.len()).sum();
        self.gather();
    }
}
