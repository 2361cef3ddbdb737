//! The speed of the shaft, refined from the vibration itself.

use crate::{
    error::Result,
    quantity::Hertz,
    signal::MedianFilter,
    spectrum::{AmplitudeSpectrum, Taper},
};

/// How far the true speed may lie from the stated one.
const TOLERANCE: f64 = 0.02;
/// Speeds that are tried on either side of the stated one.
const STEPS: i32 = 80;
/// A best speed this near the last one tried may be the foot of a better one beyond.
const EDGE: usize = 4;
/// Harmonics of the shaft that are looked at.
const HARMONICS: u32 = 8;
/// A line counts up to this many nepers above its surroundings, so that one strong line does not decide alone.
const MOST: f64 = 6.0;
/// Width of the surroundings.
const SURROUNDINGS_HZ: f64 = 10.0;
/// Samples that are looked at, at most.
const MOST_SAMPLES: usize = 1 << 21;

/// The rate near `stated` at which most power stands on its harmonics 1 to 8, summed over the spectra of `signals`; none where
/// the best lies at the edge of the tolerance, and so perhaps beyond it.
pub(super) fn refine(signals: [&[f64]; 2], rate: Hertz, stated: Hertz) -> Result<Option<Hertz>> {
    let factors: Vec<f64> = (-STEPS..=STEPS)
        .map(|i| 1.0 + TOLERANCE * f64::from(i) / f64::from(STEPS))
        .collect();
    let mut heights = vec![0.0; factors.len()];
    for x in signals {
        let x = x.get(..x.len().min(MOST_SAMPLES)).unwrap_or(x);
        // Four times as many bins as samples: the grid of speeds is finer than the resolution.
        let weights = Taper::Hann.weights(x.len());
        let mut padded: Vec<f64> = x.iter().zip(&*weights).map(|(v, w)| v * w).collect();
        padded.resize((4 * x.len()).next_power_of_two(), 0.0);
        let plan = AmplitudeSpectrum::new(padded.len(), rate, Taper::Rectangular)?;
        let mut power = vec![0.0; plan.n_bins()];
        plan.mean_square_into(&padded, &mut plan.new_scratch(), &mut power)?;
        let spacing = plan.frequency_hz(1);
        let highest = (f64::from(HARMONICS) + 1.5) * stated.get() / spacing;
        power.truncate(highest.ceil() as usize + 1);
        let width = 2 * (0.5 * SURROUNDINGS_HZ / spacing) as usize + 1;
        let floor = MedianFilter::new(width)?.apply(&power)?;
        for (factor, height) in factors.iter().zip(&mut heights) {
            for h in 1..=HARMONICS {
                let bin = (f64::from(h) * factor * stated.get() / spacing).round() as usize;
                if let (Some(p), Some(f)) = (power.get(bin), floor.get(bin))
                    && *f > 0.0
                {
                    *height += libm::log(p / f).clamp(0.0, MOST);
                }
            }
        }
    }
    let best = (0..heights.len()).max_by(|&a, &b| heights[a].total_cmp(&heights[b]));
    match best {
        Some(i) if i >= EDGE && i + EDGE < factors.len() => Ok(Some(Hertz::new(stated.get() * factors[i])?)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    #[test]
    fn a_misstated_speed_is_mended_and_one_beyond_the_tolerance_is_not_guessed() {
        let rate = Hertz::new(12_000.0).unwrap();
        let turning = 29.53;
        let mut rng = Xoshiro256Plus::seed_from_u64(1);
        let x: Vec<f64> = (0..60_000)
            .map(|i| {
                let t = f64::from(i) / 12_000.0;
                let noise = rng.r#gen::<f64>() - 0.5;
                noise
                    + (1..=4)
                        .map(|h| 0.1 * (std::f64::consts::TAU * turning * f64::from(h) * t).sin())
                        .sum::<f64>()
            })
            .collect();
        let stated = |factor: f64| Hertz::new(turning * factor).unwrap();
        for factor in [0.985, 1.0, 1.013] {
            let found = refine([&x, &x], rate, stated(factor)).unwrap().unwrap();
            // Five seconds resolve 0.2 Hz, 0.05 Hz on the fourth harmonic.
            assert!((found.get() - turning).abs() < 0.06, "{factor}: {found}");
        }
    }
}
