//! Features of vibration windows: level, impulsiveness, and energy by frequency band.

use crate::{
    error::{Error, Result},
    features::{Feature, FeatureExtractor, FeatureSchema, Sampling},
    quantity::Hertz,
    signal::{Channel, WindowSpec, check_names, mean_of},
    spectrum::{AmplitudeSpectrum, SpectrumScratch, Taper},
};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range, sync::Arc};

/// The shortest window that has features.
const MIN_LENGTH: usize = 4;
/// Bands where none are asked for.
const DEFAULT_BANDS: usize = 10;
/// Features of a channel before its bands.
const N_TIME: usize = 4;
/// A band's edge this near a bin's centre lies on it, counted in bins: edges such as 0.1 of the rate have no exact number.
const ON_A_BIN: f64 = 1e-9;
/// An edge this near the Nyquist frequency is it, relatively.
const IS_NYQUIST: f64 = 1e-12;

/// Level, impulsiveness and band energies of each channel of a vibration window.
///
/// With `x` the `N` samples of a channel, `m` their mean and `d = x - m`, the columns are, channel after channel,
///
/// | column | value | unit |
/// |---|---|---|
/// | `<channel>.rms` | `√(Σ d² / N)` | of the channel |
/// | `<channel>.peak` | `max \|d\|` | of the channel |
/// | `<channel>.crest_factor` | `peak / rms` | |
/// | `<channel>.excess_kurtosis` | `N Σ d⁴ / (Σ d²)² - 3`; 0 for Gaussian noise, -1.5 for a sine | |
/// | `<channel>.band_<lo>_<hi>_hz_rms` | `√(Σ mean_square)` over the band's bins | of the channel |
///
/// The mean is removed from all of them and is no column itself: the mean of an accelerometer is its bias. `mean_square` is
/// that of [`AmplitudeSpectrum`], so the squares of bands that cover zero to Nyquist add up to `rms²` with
/// [`Taper::Rectangular`], and to the taper-weighted variance `Σ w² d² / Σ w²` with [`Taper::Hann`], the default.
///
/// # Bands
/// A band holds the bins with `lo <= f < hi`; one that ends at the Nyquist frequency holds that too. Neighbouring bands
/// share no bin. The default is ten equal bands from zero to Nyquist. Bands may overlap, and may be none: no spectrum is
/// made then.
///
/// # Bad samples
/// All features of a channel with NaN or infinity among its samples are NaN; other channels keep theirs. Where all samples
/// are equal, RMS, peak and bands are zero, crest factor and kurtosis NaN. A feature that leaves the range of `f64` (samples
/// above about 1e77 for kurtosis) is NaN.
///
/// # Cost
/// Three passes and one real transform a channel. Nothing is allocated per window. Clones share plan and tables.
///
/// Sources: ISO 20816-1:2016 for RMS and peak; Randall, *Vibration-based Condition Monitoring* (Wiley, 2011),
/// <https://doi.org/10.1002/9780470977668>, for crest factor, kurtosis and bands.
///
/// ```
/// use prognos::features::{FeatureExtractor, VibrationExtractor};
/// use prognos::{quantity::Hertz, signal::{Channel, WindowSpec}};
/// let extractor =
///     VibrationExtractor::params(&[Channel::new("bearing", "g")], Hertz::new(1000.0)?, WindowSpec::new(200, 100)?)
///         .bands_hz([(0.0, 100.0), (100.0, 500.0)])
///         .build()?;
/// let names: Vec<_> = extractor.schema().features().iter().map(|f| f.name.as_str()).collect();
/// assert_eq!(names[3..], ["bearing.excess_kurtosis", "bearing.band_0_100_hz_rms", "bearing.band_100_500_hz_rms"]);
///
/// let samples: Vec<f64> = (0..200).map(|i| 2.0 * (std::f64::consts::TAU * 0.05 * f64::from(i)).sin()).collect();
/// let mut row = vec![0.0; extractor.schema().len()];
/// extractor.extract_into(&[&samples], &mut extractor.new_scratch(), &mut row)?;
/// assert!((row[0] - 2.0_f64.sqrt()).abs() < 1e-12); // RMS of a sine of amplitude 2
/// assert!((row[3] + 1.5).abs() < 1e-12);
/// assert!((row[4] - row[0]).abs() < 1e-12); // all of it at 50 Hz
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "VibrationSettings", into = "VibrationSettings")]
pub struct VibrationExtractor {
    settings: Arc<VibrationSettings>,
    schema: FeatureSchema,
    spectrum: AmplitudeSpectrum,
    /// Bins of each band.
    bins: Arc<[Range<usize>]>,
}

/// What an extractor is made from, as it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct VibrationSettings {
    channels: Vec<Channel>,
    rate: Hertz,
    window: WindowSpec,
    taper: Taper,
    bands_hz: Vec<(f64, f64)>,
}

/// Parameters of a [`VibrationExtractor`], checked by [`build`](VibrationParams::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct VibrationParams(VibrationSettings);

impl VibrationParams {
    /// Frequency bands `(lo, hi)` in hertz, in the order of their columns.
    pub fn bands_hz(mut self, bands: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.0.bands_hz = bands.into_iter().collect();
        self
    }

    /// The taper of the spectrum that bands are read from.
    pub fn taper(mut self, taper: Taper) -> Self {
        self.0.taper = taper;
        self
    }

    /// The extractor.
    ///
    /// # Errors
    /// `InvalidParameter` where a band has not `0 <= lo < hi <= rate / 2`, comes twice, or holds no bin of windows this
    /// short; where windows are shorter than 4 samples; without channels, or where a channel's name is empty or taken.
    pub fn build(self) -> Result<VibrationExtractor> {
        self.0.try_into()
    }
}

/// Work space of one thread for a [`VibrationExtractor`].
#[derive(Clone, Debug)]
pub struct VibrationScratch {
    spectrum: SpectrumScratch,
    mean_square: Vec<f64>,
}

impl VibrationExtractor {
    /// Parameters for windows of these channels: ten equal bands up to Nyquist and a Hann taper, unless changed.
    pub fn params(channels: &[Channel], rate: Hertz, window: WindowSpec) -> VibrationParams {
        let nyquist = 0.5 * rate.get();
        let edge = |i: usize| match i {
            DEFAULT_BANDS => nyquist,
            _ => i as f64 * nyquist / DEFAULT_BANDS as f64,
        };
        VibrationParams(VibrationSettings {
            channels: channels.to_vec(),
            rate,
            window,
            taper: Taper::default(),
            bands_hz: (0..DEFAULT_BANDS).map(|i| (edge(i), edge(i + 1))).collect(),
        })
    }

    /// The channels, in the order of a window's slices.
    pub fn channels(&self) -> &[Channel] {
        &self.settings.channels
    }

    /// Samples a second.
    pub fn rate(&self) -> Hertz {
        self.settings.rate
    }

    /// Length and hop of the windows.
    pub fn window(&self) -> WindowSpec {
        self.settings.window
    }

    /// The taper of the spectrum.
    pub fn taper(&self) -> Taper {
        self.settings.taper
    }

    /// The bands in hertz.
    pub fn bands_hz(&self) -> &[(f64, f64)] {
        &self.settings.bands_hz
    }

    fn extract_channel(&self, x: &[f64], scratch: &mut VibrationScratch, out: &mut [f64]) -> Result<()> {
        let moments = Moments::of(x);
        let Some((time, bands)) = out.split_at_mut_checked(N_TIME) else {
            return Ok(());
        };
        if !moments.m2.is_finite() {
            time.fill(f64::NAN);
            bands.fill(f64::NAN);
            return Ok(());
        }
        let rms = moments.m2.sqrt();
        // Zero over zero is the NaN of a window without variance.
        time.copy_from_slice(&[
            rms,
            finite_or_nan(moments.peak),
            finite_or_nan(moments.peak / rms),
            finite_or_nan(moments.m4 / (moments.m2 * moments.m2) - 3.0),
        ]);
        if bands.is_empty() {
            return Ok(());
        }
        let VibrationScratch { spectrum, mean_square } = scratch;
        self.spectrum
            .mean_square_about(moments.mean, x, spectrum, mean_square)?;
        for (band, bins) in bands.iter_mut().zip(&*self.bins) {
            *band = finite_or_nan(sum(mean_square.get(bins.clone()).unwrap_or_default()).sqrt());
        }
        Ok(())
    }
}

impl FeatureExtractor for VibrationExtractor {
    type Scratch = VibrationScratch;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn new_scratch(&self) -> VibrationScratch {
        VibrationScratch {
            spectrum: self.spectrum.new_scratch(),
            mean_square: vec![0.0; self.spectrum.n_bins()],
        }
    }

    fn extract_into(&self, window: &[&[f64]], scratch: &mut VibrationScratch, out: &mut [f64]) -> Result<()> {
        let (n_channels, length) = (self.channels().len(), self.window().length());
        for (what, expected, got) in [
            ("vibration window, channels", n_channels, window.len()),
            ("vibration features", self.schema.len(), out.len()),
            (
                "bins the vibration scratch is for",
                self.spectrum.n_bins(),
                scratch.mean_square.len(),
            ),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        if let Some((c, x)) = self.channels().iter().zip(window).find(|(_, x)| x.len() != length) {
            return Err(Error::input(
                &format!("vibration window, samples of channel `{}`", c.name),
                length,
                x.len(),
            ));
        }
        let per_channel = N_TIME + self.bins.len();
        for (x, out) in window.iter().zip(out.chunks_exact_mut(per_channel)) {
            self.extract_channel(x, scratch, out)?;
        }
        Ok(())
    }
}

fn finite_or_nan(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::NAN }
}

/// Sums that go side by side: as many as fit into vector registers together with the moments' other two.
const LANES: usize = 4;

fn sum(x: &[f64]) -> f64 {
    let (lanes, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(s, v)| *s += v);
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// Mean, and moments and peak about it.
struct Moments {
    mean: f64,
    m2: f64,
    m4: f64,
    peak: f64,
}

impl Moments {
    fn of(x: &[f64]) -> Self {
        let mean = mean_of(x);
        let (mut s2, mut s4, mut peak) = ([0.0; LANES], [0.0; LANES], [0.0_f64; LANES]);
        let mut add = |lanes: &[f64; LANES]| {
            for (i, v) in lanes.iter().enumerate() {
                let d = v - mean;
                let d2 = d * d;
                s2[i] += d2;
                s4[i] += d2 * d2;
                peak[i] = if d.abs() > peak[i] { d.abs() } else { peak[i] };
            }
        };
        let (lanes, rest) = x.as_chunks();
        lanes.iter().for_each(&mut add);
        // Places that are left over hold the mean, which adds nothing.
        let mut last = [mean; LANES];
        last.iter_mut().zip(rest).for_each(|(place, v)| *place = *v);
        add(&last);
        let n = x.len() as f64;
        Self {
            mean,
            m2: s2.iter().sum::<f64>() / n,
            m4: s4.iter().sum::<f64>() / n,
            peak: peak.into_iter().fold(0.0, f64::max),
        }
    }
}

impl VibrationSettings {
    /// Bins of the band `(lo, hi)`.
    fn bins(&self, (lo, hi): (f64, f64), spectrum: &AmplitudeSpectrum) -> Result<Range<usize>> {
        let nyquist = 0.5 * self.rate.get();
        if !(lo >= 0.0 && lo < hi && hi <= nyquist * (1.0 + IS_NYQUIST)) {
            return Err(Error::parameter(
                "bands_hz",
                format!("bands with 0 <= lo < hi <= {nyquist} Hz, the Nyquist frequency"),
                format!("({lo}, {hi})"),
            ));
        }
        let bin = |f: f64| (f / self.rate.get() * self.window.length() as f64 - ON_A_BIN).ceil() as usize;
        let end = if hi >= nyquist * (1.0 - IS_NYQUIST) {
            spectrum.n_bins()
        } else {
            bin(hi)
        };
        let bins = bin(lo)..end.min(spectrum.n_bins());
        if bins.is_empty() {
            let spacing = spectrum.frequency_hz(1);
            return Err(Error::parameter(
                "bands_hz",
                format!(
                    "bands that hold a bin of windows of {} samples, {spacing} Hz apart",
                    self.window.length()
                ),
                format!("({lo}, {hi}); take longer windows or wider bands"),
            ));
        }
        Ok(bins)
    }

    fn schema(&self) -> Result<FeatureSchema> {
        let mut features = Vec::with_capacity(self.channels.len() * (N_TIME + self.bands_hz.len()));
        for c in &self.channels {
            let mut add = |name: &str, unit: &str| {
                features.push(Feature {
                    name: format!("{}.{name}", c.name),
                    unit: unit.into(),
                    channel: c.name.clone(),
                });
            };
            add("rms", &c.unit);
            add("peak", &c.unit);
            add("crest_factor", "");
            add("excess_kurtosis", "");
            for (lo, hi) in &self.bands_hz {
                add(&format!("band_{lo}_{hi}_hz_rms"), &c.unit);
            }
        }
        let (rate, window) = (self.rate, self.window);
        FeatureSchema::new(features, Some(Sampling { rate, window }))
    }
}

impl TryFrom<VibrationSettings> for VibrationExtractor {
    type Error = Error;

    fn try_from(settings: VibrationSettings) -> Result<Self> {
        check_names(&settings.channels).map_err(|e| Error::parameter("channels", "named channels", e))?;
        let length = settings.window.length();
        if length < MIN_LENGTH {
            return Err(Error::parameter(
                "window length",
                format!("at least {MIN_LENGTH} samples"),
                length,
            ));
        }
        let spectrum = AmplitudeSpectrum::new(length, settings.rate, settings.taper)?;
        let bins = settings.bands_hz.iter().map(|&b| settings.bins(b, &spectrum));
        let bins = bins.collect::<Result<_>>()?;
        let schema = settings
            .schema()
            .map_err(|e| Error::parameter("bands_hz", "bands that make a schema", e))?;
        Ok(Self {
            settings: Arc::new(settings),
            schema,
            spectrum,
            bins,
        })
    }
}

impl From<VibrationExtractor> for VibrationSettings {
    fn from(e: VibrationExtractor) -> Self {
        Arc::unwrap_or_clone(e.settings)
    }
}

impl fmt::Debug for VibrationExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VibrationExtractor").field(&self.settings).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::{decode, encode},
        error::ErrorKind,
    };
    use proptest::prelude::*;

    fn params(n_channels: usize, rate: f64, length: usize) -> VibrationParams {
        let channels: Vec<_> = (0..n_channels).map(|c| Channel::new(format!("c{c}"), "g")).collect();
        VibrationExtractor::params(
            &channels,
            Hertz::new(rate).unwrap(),
            WindowSpec::new(length, length).unwrap(),
        )
    }

    fn extract(e: &VibrationExtractor, window: &[&[f64]]) -> Vec<f64> {
        // What an earlier window left behind must not show.
        let mut scratch = e.new_scratch();
        let before: Vec<f64> = (0..e.window().length()).map(|i| (i * i % 7) as f64 * 1e9).collect();
        let mut out = vec![1e300; e.schema().len()];
        e.extract_into(&vec![&before[..]; e.channels().len()], &mut scratch, &mut out)
            .unwrap();
        scratch.mean_square.fill(f64::NAN);
        e.extract_into(window, &mut scratch, &mut out).unwrap();
        out
    }

    #[test]
    fn columns_have_names_units_and_channels() {
        let e = params(2, 25_600.0, 2560).build().unwrap();
        let f = e.schema().features();
        assert_eq!(f.len(), 28);
        let shown: Vec<_> = f[..6]
            .iter()
            .map(|f| (f.name.as_str(), f.unit.as_str(), f.channel.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("c0.rms", "g", "c0"),
                ("c0.peak", "g", "c0"),
                ("c0.crest_factor", "", "c0"),
                ("c0.excess_kurtosis", "", "c0"),
                ("c0.band_0_1280_hz_rms", "g", "c0"),
                ("c0.band_1280_2560_hz_rms", "g", "c0"),
            ]
        );
        assert_eq!(f[27].name, "c1.band_11520_12800_hz_rms");
        let sampling = e.schema().sampling().unwrap();
        assert_eq!((sampling.rate, sampling.window), (e.rate(), e.window()));
    }

    #[test]
    fn bad_parameters_are_refused() {
        let nyquist = 500.0;
        for bands in [
            vec![(0.0, nyquist * (1.0 + 1e-9))],
            vec![(5.0, 5.0)],
            vec![(9.0, 5.0)],
            vec![(-1.0, 5.0)],
            vec![(f64::NAN, 5.0)],
            vec![(0.0, f64::NAN)],
            vec![(0.0, f64::INFINITY)],
            vec![(0.0, 100.0), (0.0, 100.0)],
            vec![(12.0, 18.0)], // bins are 10 Hz apart
        ] {
            let e = params(1, 1000.0, 100).bands_hz(bands.clone()).build().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{bands:?}: {e}");
            assert!(e.to_string().contains("bands_hz"), "{e}");
        }
        for p in [
            params(0, 1000.0, 100),
            params(1, 1000.0, 3).bands_hz([]),
            params(1, 1000.0, 10),
        ] {
            assert_eq!(p.build().unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
        let twins = vec![Channel::new("a", "g"); 2];
        let e = VibrationExtractor::params(&twins, Hertz::new(1.0).unwrap(), WindowSpec::new(100, 1).unwrap());
        assert_eq!(e.build().unwrap_err().kind(), ErrorKind::InvalidParameter);
    }

    #[test]
    fn bad_samples_spoil_their_channel_alone() {
        let e = params(3, 1000.0, 100).build().unwrap();
        let good: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 11)).collect();
        let clean = extract(&e, &[&good, &good, &good]);
        assert!(clean.iter().all(|v| v.is_finite()));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            for at in [0, 50, 99] {
                let mut spoilt = good.clone();
                spoilt[at] = bad;
                let row = extract(&e, &[&good, &spoilt, &good]);
                assert_eq!((&row[..14], &row[28..]), (&clean[..14], &clean[28..]));
                assert!(row[14..28].iter().all(|v| v.is_nan()), "{bad} at {at}: {row:?}");
            }
        }
    }

    #[test]
    fn a_window_without_variance_is_silent() {
        let e = params(1, 1000.0, 103).build().unwrap();
        for level in [0.0, -0.0, 0.1, -7.3e9, 1e-300] {
            let row = extract(&e, &[&[level; 103]]);
            assert_eq!(&row[..2], [0.0; 2], "{level}");
            assert!(row[2].is_nan() && row[3].is_nan(), "{level}");
            assert_eq!(&row[4..], [0.0; 10], "{level}");
        }
    }

    #[test]
    fn no_bands_means_no_spectrum() {
        let e = params(1, 1000.0, 4).bands_hz([]).build().unwrap();
        // Two-valued: peak = rms, and the kurtosis is the least there is.
        assert_eq!(extract(&e, &[&[3.0, 1.0, 1.0, 3.0]]), [1.0, 1.0, 1.0, -2.0]);
    }

    #[test]
    fn wrong_shapes_are_refused_and_nothing_written() {
        let e = params(2, 1000.0, 100).bands_hz([(0.0, 500.0)]).build().unwrap();
        let other = params(2, 1000.0, 200).build().unwrap();
        let (x, short, mut out) = ([1.0; 100], [1.0; 99], [7.0; 11]);
        for (window, scratch, n_out) in [
            (&[&x[..]][..], &e, 10),
            (&[&x, &short], &e, 10),
            (&[&x, &x], &e, 11),
            (&[&x, &x], &other, 10),
        ] {
            let err = e
                .extract_into(window, &mut scratch.new_scratch(), &mut out[..n_out])
                .unwrap_err();
            assert_eq!((err.kind(), out), (ErrorKind::InvalidInput, [7.0; 11]));
        }
    }

    #[test]
    fn it_is_saved_and_checked_when_read() {
        let e = params(2, 1000.0, 100)
            .bands_hz([(0.0, 30.5), (20.0, 500.0)])
            .taper(Taper::Rectangular)
            .build()
            .unwrap();
        let bytes = encode(&e).unwrap();
        let back: VibrationExtractor = decode(&bytes).unwrap();
        assert_eq!((back.schema(), encode(&back).unwrap()), (e.schema(), bytes));
        let x: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 11)).collect();
        assert_eq!(extract(&back, &[&x, &x]), extract(&e, &[&x, &x]));

        let mut hostile = VibrationSettings::clone(&e.settings);
        hostile.bands_hz = vec![(f64::NAN, 30.0)];
        assert!(decode::<VibrationExtractor>(&encode(&hostile).unwrap()).is_err());
        hostile.bands_hz = vec![];
        hostile.channels.clear();
        assert!(decode::<VibrationExtractor>(&encode(&hostile).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn bands_that_tile_the_spectrum_hold_all_of_the_variance(
            x in prop::collection::vec(-1.0..1.0_f64, 20..300),
            rate in 0.1..1e5_f64,
            inner in prop::collection::vec(0.01..0.99_f64, 0..4),
        ) {
            let nyquist = 0.5 * rate;
            let mut edges: Vec<f64> = inner.iter().map(|f| f * nyquist).chain([0.0, nyquist]).collect();
            edges.sort_by(f64::total_cmp);
            let bands: Vec<_> = edges.windows(2).map(|w| (w[0], w[1])).collect();
            for (bands, taper) in [
                (None, Taper::Rectangular), (None, Taper::Hann),
                (Some(&bands), Taper::Rectangular), (Some(&bands), Taper::Hann),
            ] {
                let p = params(1, rate, x.len()).taper(taper);
                let p = match bands { Some(b) => p.bands_hz(b.iter().copied()), None => p };
                // Random edges may leave a band without a bin.
                let e = match p.build() { Ok(e) => e, Err(_) if bands.is_some() => continue, Err(e) => panic!("{e}") };
                let row = extract(&e, &[&x]);
                let energy: f64 = row[N_TIME..].iter().map(|b| b * b).sum();
                let n = x.len() as f64;
                let mean = x.iter().sum::<f64>() / n;
                let w = |i: usize| match taper {
                    Taper::Hann => 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n).cos(),
                    _ => 1.0,
                };
                let weighted: f64 = x.iter().enumerate().map(|(i, v)| (w(i) * (v - mean)).powi(2)).sum();
                let expected = weighted / (0..x.len()).map(|i| w(i) * w(i)).sum::<f64>();
                // Sums of n terms and a transform: relative errors of a few log2(n) roundings, squared and rooted again.
                prop_assert!((energy - expected).abs() <= 1e-13 * expected, "{energy} {expected}");
                if taper == Taper::Rectangular {
                    prop_assert!((energy - row[0] * row[0]).abs() <= 1e-13 * energy);
                }
            }
        }

        #[test]
        fn scale_and_offset_act_as_units_do(
            x in prop::collection::vec(-1.0..1.0_f64, 20..100),
            exponent in -20..20_i32,
        ) {
            // A power of two scales without rounding, and so must every feature.
            let e = params(1, 1000.0, x.len()).build().unwrap();
            let factor = 2.0_f64.powi(exponent);
            let scaled: Vec<f64> = x.iter().map(|v| v * factor).collect();
            let (a, b) = (extract(&e, &[&x]), extract(&e, &[&scaled]));
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                let pure = i == 2 || i == 3;
                prop_assert_eq!(if pure { *a } else { a * factor }, *b, "column {}", i);
            }
        }
    }
}
