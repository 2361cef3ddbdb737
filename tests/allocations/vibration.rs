//! From samples to feature rows without an allocation.

use crate::counting_allocator::allocations_once;
use prognos::{
    features::{FeatureExtractor, WaveformExtractor},
    quantity::{Hertz, Timestamp},
    signal::{Channel, Continuity, RowWindow, WaveformWindower, WindowSpec},
};

#[test]
fn windows_become_rows_without_allocating() {
    // A prime length takes another path through the transform, many channels one through the list of slices.
    for (n_channels, length, hop) in [(2, 2560, 2560), (2, 2560, 640), (1, 1009, 1500), (40, 256, 100)] {
        let rate = Hertz::new(25_600.0).unwrap();
        let channels: Vec<_> = (0..n_channels).map(|c| Channel::new(c.to_string(), "g")).collect();
        let window = WindowSpec::new(length, hop).unwrap();
        let extractor = WaveformExtractor::params(&channels, rate, window)
            .features([
                "time",
                "frequency",
                "complexity",
                "catch22",
                "total_harmonic_distortion_5",
            ])
            .build()
            .unwrap();
        let mut windower = WaveformWindower::new(n_channels, rate, window).unwrap();
        let mut scratch = extractor.new_scratch();
        let mut row = vec![0.0; extractor.schema().len()];
        let samples: Vec<f64> = (0..700).map(|i| f64::from(i * 7919 % 1013)).collect();
        let chunk = vec![&samples[..]; n_channels];

        // Measures of complexity make room when they see their first window.
        let first: Vec<f64> = (0..length as i32).map(|i| f64::from(i * 31 % 17)).collect();
        let first = vec![&first[..]; n_channels];
        extractor.extract_into(&first, &mut scratch, &mut row).unwrap();

        let mut n_windows = 0;
        let mut sum = 0.0;
        let (n, ()) = allocations_once(|| {
            for i in 0..40_i64 {
                // The clock jumps once, so that beginning anew is counted too.
                let jump = if i >= 30 { 5_000_000_000 } else { 0 };
                let start = Timestamp::from_nanos(i * 27_343_750 + jump);
                let pushed = windower
                    .push(start, &chunk, |_, x| {
                        extractor.extract_into(x, &mut scratch, &mut row)?;
                        sum += row.iter().sum::<f64>();
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(matches!(pushed.continuity, Continuity::Restarted { .. }), i == 30);
                n_windows += pushed.n_windows;
            }
        });
        assert!(n_windows >= 10 && sum > 0.0, "{n_windows} windows, {sum}");
        assert_eq!(
            n, 0,
            "{n_windows} windows of {length} samples, hop {hop}, {n_channels} channels"
        );
    }
}

#[test]
fn rows_go_round_without_allocating() {
    let mut window = RowWindow::new(5, 30.0, 1000).unwrap();
    let mut next = 0.0;
    let mut push = |window: &mut RowWindow| {
        next += 1.0;
        window.push(next, &[next; 5]).unwrap()
    };
    (0..30).for_each(|_| {
        push(&mut window);
    });
    let mut n_left = 0;
    let (n, ()) = allocations_once(|| (0..10_000).for_each(|_| n_left += push(&mut window)));
    assert_eq!((n, n_left, window.len()), (0, 10_000, 30));
}
