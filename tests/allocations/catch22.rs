//! The 22 canonical characteristics without an allocation after the first call.

use crate::counting_allocator::allocations;
use prognos::features::catch22::Catch22;

#[test]
fn nothing_is_allocated_a_window() {
    for n in [10, 2560, 2579] {
        let noise: Vec<f64> = (0..n as i32).map(|i| f64::from(i * 7919 % 1013) - 500.0).collect();
        // Slow, so that transitions are thinned out as far as they may.
        let slow: Vec<f64> = (0..n).map(|i| (6.0 * i as f64 / n as f64).sin()).collect();
        // One value far out: the most thresholds and bins.
        let mut spike = noise.clone();
        spike[n / 2] = 1e9;
        let plan = Catch22::new(n).unwrap();
        let mut scratch = plan.new_scratch();
        let mut out = [0.0; 22];
        // The first window is none of the others' kind: work space is there from the start.
        plan.extract_into(&noise, &mut scratch, &mut out).unwrap();
        let mut windows = [&slow, &spike, &noise].into_iter().cycle();
        for _ in 0..3 {
            let count = allocations(|| {
                let x = windows.next().unwrap();
                plan.extract_into(x, &mut scratch, &mut out).unwrap();
            });
            assert_eq!(count, 0);
        }
    }
}
