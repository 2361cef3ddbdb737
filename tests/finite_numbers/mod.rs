//! Numbers that no sensor should send, and some may.

use proptest::prelude::*;

/// Any finite number, extremes included.
pub fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        -10.0..10.0,
        Just(0.0),
        prop::sample::select(vec![
            1e300,
            -1e300,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            -1e-160
        ]),
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
    ]
}
