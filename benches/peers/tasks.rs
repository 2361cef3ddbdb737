//! What is timed: one line a task.

use crate::serve::{Job, Task, job};
use prognos::{
    features::{
        FeatureExtractor, WaveformExtractor,
        catch22::Catch22,
        rolling::{Rolling, RollingKurtosis, RollingMean, RollingMedian, RollingSd, Statistic},
    },
    quantity::Hertz,
    signal::{Channel, WindowSpec},
    spectrum::{AmplitudeSpectrum, Complex, Kurtogram, RealFft, Taper, Welch},
};
use realfft::RealFftPlanner;

const RATE_HZ: f64 = 25_600.0;
/// Samples of each of the windows in `windows_<n>`.
const WINDOW: usize = 2560;
/// The columns of `numpy_features.py`.
const FEATURES: [&str; 30] = [
    "mean",
    "total_rms",
    "rms",
    "peak",
    "peak_to_peak",
    "crest_factor",
    "shape_factor",
    "impulse_factor",
    "clearance_factor",
    "skewness",
    "excess_kurtosis",
    "zero_crossing_rate",
    "quantile_0.05",
    "quantile_0.25",
    "quantile_0.5",
    "quantile_0.75",
    "quantile_0.95",
    "hjorth_mobility",
    "hjorth_complexity",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flatness",
    "spectral_rolloff_0.85",
    "line_1_hz",
    "line_1_amplitude",
    "band_0_1000_hz_rms",
    "band_1000_3000_hz_rms",
    "band_3000_6000_hz_rms",
    "band_6000_12800_hz_rms",
];

pub const TASKS: &[Task] = &[
    Task::new("fft_2560", "signal_2560", 256, real_fft),
    Task::new("fft_25600", "signal_25600", 256, real_fft),
    Task::new("fft_1000000", "signal_1000000", 256, real_fft),
    Task::new("fft_1048576", "signal_1048576", 256, real_fft),
    Task::new("realfft_2560", "signal_2560", 256, realfft),
    Task::new("realfft_25600", "signal_25600", 256, realfft),
    Task::new("realfft_1000000", "signal_1000000", 256, realfft),
    Task::new("realfft_1048576", "signal_1048576", 256, realfft),
    Task::new("fft_destroying_2560", "signal_2560", 256, real_fft_destroying),
    Task::new("fft_destroying_25600", "signal_25600", 256, real_fft_destroying),
    Task::new("fft_destroying_1000000", "signal_1000000", 256, real_fft_destroying),
    Task::new("fft_destroying_1048576", "signal_1048576", 256, real_fft_destroying),
    Task::new("realfft_destroying_2560", "signal_2560", 256, realfft_destroying),
    Task::new("realfft_destroying_25600", "signal_25600", 256, realfft_destroying),
    Task::new("realfft_destroying_1000000", "signal_1000000", 256, realfft_destroying),
    Task::new("realfft_destroying_1048576", "signal_1048576", 256, realfft_destroying),
    Task::new("amplitude_2560", "signal_2560", 256, amplitude),
    Task::new("amplitude_25600", "signal_25600", 256, amplitude),
    Task::new("welch_1024", "signal_1000000", 5000, |x| welch(x, 1024)),
    Task::new("welch_4096", "signal_1000000", 10_000, |x| welch(x, 4096)),
    Task::new("kurtogram", "signal_25600", 4096, kurtogram),
    Task::new("features_30", "windows_10000", 2 * WINDOW, features),
    Task::new("rolling_mean_100", "rows_10000000", 5000, |x| {
        rolling(x, RollingMean::rows(100))
    }),
    Task::new("rolling_mean_1000", "rows_10000000", 5000, |x| {
        rolling(x, RollingMean::rows(1000))
    }),
    Task::new("rolling_sd_100", "rows_10000000", 5000, |x| rolling(x, sd(100))),
    Task::new("rolling_sd_1000", "rows_10000000", 5000, |x| rolling(x, sd(1000))),
    Task::new("rolling_kurtosis_100", "rows_10000000", 5000, |x| {
        rolling(x, kurtosis(100))
    }),
    Task::new("rolling_kurtosis_1000", "rows_10000000", 5000, |x| {
        rolling(x, kurtosis(1000))
    }),
    Task::new("rolling_median_100", "rows_10000000", 5000, |x| {
        rolling(x, RollingMedian::rows(100))
    }),
    Task::new("rolling_median_1000", "rows_10000000", 5000, |x| {
        rolling(x, RollingMedian::rows(1000))
    }),
    Task::new("catch22", "windows_200", 2 * WINDOW, catch22),
];

fn rate() -> Hertz {
    Hertz::new(RATE_HZ).unwrap()
}

fn parts(bins: &[Complex<f64>]) -> Vec<f64> {
    bins.iter().flat_map(|c| [c.re, c.im]).collect()
}

/// Samples are kept, which costs a copy.
fn real_fft(x: Vec<f64>) -> Box<dyn Job> {
    let plan = RealFft::new(x.len()).unwrap();
    let (scratch, out) = (plan.new_scratch(), vec![Complex::default(); plan.n_bins()]);
    job(
        (plan, x, scratch, out),
        |(plan, x, scratch, out)| plan.forward_into(x, scratch, out).unwrap(),
        |(.., out)| parts(out),
    )
}

/// The transform that this crate is built on, straight. It destroys its input too, so a copy is made first.
fn realfft(x: Vec<f64>) -> Box<dyn Job> {
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(x.len());
    let (input, out, work) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
    job(
        (fft, x, input, work, out),
        |(fft, x, input, work, out)| {
            input.copy_from_slice(x);
            fft.process_with_scratch(input, out, work).unwrap();
        },
        |(.., out)| parts(out),
    )
}

/// No copy: what is transformed is what the call before left, of zeros zeros.
fn real_fft_destroying(x: Vec<f64>) -> Box<dyn Job> {
    let plan = RealFft::new(x.len()).unwrap();
    let (scratch, out) = (plan.new_scratch(), vec![Complex::default(); plan.n_bins()]);
    job(
        (plan, vec![0.0; x.len()], scratch, out, x),
        |(plan, zeros, scratch, out, _)| plan.forward_destroying(zeros, scratch, out).unwrap(),
        |(plan, .., x)| {
            let mut out = vec![Complex::default(); plan.n_bins()];
            plan.forward_destroying(&mut x.clone(), &mut plan.new_scratch(), &mut out)
                .unwrap();
            parts(&out)
        },
    )
}

/// As [`real_fft_destroying`], by realfft straight.
fn realfft_destroying(x: Vec<f64>) -> Box<dyn Job> {
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(x.len());
    let (input, out, work) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
    job(
        (fft, input, work, out, x),
        |(fft, input, work, out, _)| fft.process_with_scratch(input, out, work).unwrap(),
        |(fft, .., x)| {
            let (mut out, mut work) = (fft.make_output_vec(), fft.make_scratch_vec());
            fft.process_with_scratch(&mut x.clone(), &mut out, &mut work).unwrap();
            parts(&out)
        },
    )
}

fn amplitude(x: Vec<f64>) -> Box<dyn Job> {
    let plan = AmplitudeSpectrum::new(x.len(), rate(), Taper::Hann).unwrap();
    let (scratch, out) = (plan.new_scratch(), vec![0.0; plan.n_bins()]);
    job(
        (plan, x, scratch, out),
        |(plan, x, scratch, out)| plan.amplitude_into(x, scratch, out).unwrap(),
        |(.., out)| out.clone(),
    )
}

fn welch(x: Vec<f64>, segment: usize) -> Box<dyn Job> {
    let plan = Welch::params(rate()).segment(segment).build().unwrap();
    let (scratch, out) = (plan.new_scratch(), vec![0.0; plan.n_bins()]);
    job(
        (plan, x, scratch, out),
        |(plan, x, scratch, out)| plan.psd_into(x, scratch, out).unwrap(),
        |(.., out)| out.clone(),
    )
}

fn kurtogram(x: Vec<f64>) -> Box<dyn Job> {
    let plan = Kurtogram::new(x.len(), rate(), 7.min(Kurtogram::deepest_level(x.len()))).unwrap();
    let (scratch, bands) = (plan.new_scratch(), plan.bands(&x).unwrap());
    job(
        (plan, x, scratch, bands),
        |(plan, x, scratch, bands)| plan.bands_into(x, scratch, bands).unwrap(),
        |(.., bands)| bands.iter().map(|b| b.kurtosis).collect(),
    )
}

fn features(x: Vec<f64>) -> Box<dyn Job> {
    let window = WindowSpec::new(WINDOW, WINDOW).unwrap();
    let params = WaveformExtractor::params(&[Channel::new("x", "g")], rate(), window);
    let plan = params.features(FEATURES).build().unwrap();
    let rows = vec![0.0; x.len() / WINDOW * plan.schema().len()];
    job(
        (plan.new_scratch(), plan, x, rows),
        |(scratch, plan, x, rows)| {
            for (window, row) in x.chunks_exact(WINDOW).zip(rows.chunks_exact_mut(FEATURES.len())) {
                plan.extract_into(&[window], scratch, row).unwrap();
            }
        },
        |(.., rows)| rows.clone(),
    )
}

/// As pandas and polars have it: the sample's, over one less than the rows.
fn sd(n: usize) -> prognos::Result<RollingSd> {
    RollingSd::rows(n).map(|plan| plan.ddof(1))
}

/// Likewise corrected for bias.
fn kurtosis(n: usize) -> prognos::Result<RollingKurtosis> {
    RollingKurtosis::rows(n).map(RollingKurtosis::bias_corrected)
}

fn rolling<S: Statistic + 'static>(x: Vec<f64>, plan: prognos::Result<Rolling<S>>) -> Box<dyn Job> {
    let plan = plan.unwrap();
    let (scratch, out) = (plan.new_scratch(), vec![0.0; x.len()]);
    job(
        (plan, x, scratch, out),
        |(plan, x, scratch, out)| plan.apply_into(x, scratch, out).unwrap(),
        |(.., out)| out.clone(),
    )
}

fn catch22(x: Vec<f64>) -> Box<dyn Job> {
    let plan = Catch22::new(WINDOW).unwrap();
    let rows = vec![[0.0; 22]; x.len() / WINDOW];
    job(
        (plan.new_scratch(), plan, x, rows),
        |(scratch, plan, x, rows)| {
            for (window, row) in x.chunks_exact(WINDOW).zip(rows) {
                plan.extract_into(window, scratch, row).unwrap();
            }
        },
        |(.., rows)| rows.concat(),
    )
}
