//! Drift monitors and trails without an allocation a row.

use crate::counting_allocator::allocations;
use prognos::{
    drift::{EstimateTrail, InputMonitor, InputReference, MachineRows},
    features::FeatureSchema,
    model::RulEstimate,
    quantity::LifeUnit,
    signal::Channel,
};

#[test]
fn nothing_is_allocated_a_row() {
    let channels: Vec<_> = (0..30).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values: Vec<f64> = (0..3000).map(|i| f64::from(i * 7919 % 1013)).collect();
    let mut rows = MachineRows::new(FeatureSchema::of_channels(&channels).unwrap());
    rows.push(values.chunks_exact(30)).unwrap();
    let reference = InputReference::fit(&rows).unwrap();
    let (mut monitor, other) = (InputMonitor::new(&reference), InputMonitor::new(&reference));
    let (mut trail, mut hour) = (EstimateTrail::new(), 0);
    let count = allocations(|| {
        for row in values.chunks_exact(30) {
            monitor.observe(&reference, row).unwrap();
            let estimate = RulEstimate::new(9.0, 8.0, 10.0, 0.9, LifeUnit::Hours).unwrap();
            trail.push(LifeUnit::Hours.instant(hour), &estimate).unwrap();
            hour += 1;
        }
        monitor.merge(&other).unwrap();
        monitor.reset();
    });
    assert_eq!((count, trail.seen()), (0, hour as u64));
    assert!(hour >= 100);
}
