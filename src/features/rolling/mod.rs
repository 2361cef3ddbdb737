//! Statistics over a window that moves with the signal: the last rows, or the last span of time.
//!
//! | plan | statistic | cost of a row, amortised |
//! |---|---|---|
//! | [`RollingMean`] | mean | `O(1)` |
//! | [`RollingVariance`], [`RollingSd`] | variance and its root | `O(1)` |
//! | [`RollingSkewness`], [`RollingKurtosis`] | skewness, excess kurtosis | `O(1)` |
//! | [`RollingMin`], [`RollingMax`] | least and greatest value | `O(1)` |
//! | [`RollingQuantile`], [`RollingMedian`] | any quantile | `O(log n)` |
//! | [`RollingSlope`] | slope of the line of least squares | `O(1)` |
//! | [`RollingAutocorrelation`] | autocorrelation at a lag | `O(1)` |
//! | [`Ewma`] | exponentially weighted mean and variance | `O(1)` |
//!
//! # Plan and state
//! A plan is made once, checked, and never changes. A state holds what was seen of one signal; it may be copied, written
//! down and read again in the middle of a signal. A signal that is there as a whole is run through at once by `apply_into`
//! (`apply_at_into` with times), to the last bit what a state gives row by row.
//!
//! # Windows
//! `rows(n)` is the last `n` rows, the newest among them; before `n` rows came it is those that did. `span(s, max_rows)` is
//! the rows with times in `(t - s, t]`, `t` being the newest, at any spacing; times must increase. Of more than `max_rows`
//! the oldest leave early.
//!
//! # Missing values
//! NaN and infinity are missing: they take a row's place in the window and count for nothing. Below `min_count` values
//! the result is NaN; unless set that is all `n` rows of a window counted in rows, and one for a span of time. A value so
//! large that a power of it leaves the range of `f64` makes results NaN as long as it is in the window, and no longer.
//! [`Ewma`] never forgets a value quite: to it one beyond 1e150 is missing.
//!
//! # Rounding
//! Nothing is ever subtracted from a sum: the window is the sum over the end of an older chunk of rows, computed backward,
//! and over the beginning of a newer one, both about a pivot that lies in the window; moments of whole chunks between them
//! are merged. So there is no drift, however long the signal; an outlier leaves no trace once it has left; an offset
//! costs nothing. Within a window, rounding is at worst that of 1,024 rows summed about their one outlier: below 1e-9 of the
//! variance, and of the fourth moment.
//!
//! # Memory
//! | statistic | bytes a row of the window | and |
//! |---|---|---|
//! | mean, variance, skewness, kurtosis | 8 | sums of up to 1,024 rows, at most 50 kB |
//! | slope, autocorrelation | 16 | likewise; 16 a row of the lag |
//! | least and greatest value | 16 | |
//! | quantiles, row by row | 30 | 4 kB |
//! | quantiles, a batch by rows | 72 to 97 | |
//! | [`Ewma`] | none | some 100 bytes in all |
//!
//! A span of time takes 8 bytes a row more. Room for rows doubles as they come, so it may be twice what they need. Nothing is
//! allocated but when it does: never once the window has been full. A copy of a state, or one that was read, takes room anew.

mod autocorrelation;
mod chunked;
mod ewma;
mod extent;
mod extremes;
mod kurtosis;
mod mean;
mod pairs;
mod powers;
mod quantile;
mod ranked;
mod recent;
mod skewness;
mod slope;
mod sorted;
mod statistic;
mod variance;

pub use autocorrelation::{Autocorrelation, RollingAutocorrelation};
pub use ewma::{Ewma, EwmaState};
pub use extremes::{Maximum, Minimum, RollingMax, RollingMin};
pub use kurtosis::{ExcessKurtosis, RollingKurtosis};
pub use mean::{Mean, RollingMean};
pub use quantile::{Median, Quantile, RollingMedian, RollingQuantile};
pub use skewness::{RollingSkewness, Skewness};
pub use slope::{RollingSlope, Slope};
pub use statistic::{Plain, Rolling, RollingScratch, RollingState, Statistic};
pub use variance::{RollingSd, RollingVariance, StandardDeviation, Variance};
