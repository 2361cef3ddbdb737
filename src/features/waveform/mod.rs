//! Features of waveform windows, chosen by name: level and impulsiveness, spectrum, complexity.

mod feature;
mod frequency;
mod logarithm;
mod quantile;
mod time;

use super::schema::MAX_FEATURES;
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{
        Feature, FeatureExtractor, FeatureSchema, Sampling,
        catch22::{Catch22, Catch22Scratch},
        complexity::{EntropyScratch, FluctuationScratch, LempelZivScratch, PermutationScratch},
    },
    quantity::Hertz,
    signal::{Channel, WindowSpec, check_names},
    spectrum::{AmplitudeSpectrum, SpectrumScratch, Taper},
};
use feature::{Complexity, MOST_LINES, WaveformFeature};
use frequency::{Evenness, Shape};
use quantile::{QuantileScratch, Quantiles};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::{collections::HashSet, fmt, ops::Range, sync::Arc};
use time::{Differences, Magnitudes, Moments};

/// The shortest window that has features.
const MIN_LENGTH: usize = 4;
/// A band's edge this near a bin's centre lies on it, counted in bins: edges such as 0.1 of the rate have no exact number.
const ON_A_BIN: f64 = 1e-9;
/// An edge this near the Nyquist frequency is it, relatively.
const IS_NYQUIST: f64 = 1e-12;

/// Features of each channel of a waveform window, chosen by name, one by one or in sets.
///
/// With `x` the `N` samples of a channel, `m` their mean, `d = x - m` and `p[k]` the mean square of bin `k` of
/// [`AmplitudeSpectrum`], `f[k]` its frequency, the columns are named `<channel>.<feature>`:
///
/// | feature | value | unit |
/// |---|---|---|
/// | `mean` | `m` | of the channel |
/// | `rms`, `sd` | `√(Σ d² / N)`: the mean is removed, that of an accelerometer is its bias | of the channel |
/// | `total_rms` | `√(Σ x² / N)` | of the channel |
/// | `peak` | `max \|d\|` | of the channel |
/// | `peak_to_peak` | `max x - min x` | of the channel |
/// | `crest_factor` | `peak / rms` | |
/// | `shape_factor` | `rms / (Σ \|d\| / N)` | |
/// | `impulse_factor` | `peak / (Σ \|d\| / N)` | |
/// | `clearance_factor` | `peak / (Σ √\|d\| / N)²` | |
/// | `skewness` | `√N Σ d³ / (Σ d²)^(3/2)` | |
/// | `excess_kurtosis` | `N Σ d⁴ / (Σ d²)² - 3`; 0 for Gaussian noise, -1.5 for a sine | |
/// | `zero_crossing_rate` | changes of the sign of `d`, 0 counting as positive, over `(N - 1) / rate` | 1/s |
/// | `hjorth_activity` | `var x` | its square |
/// | `hjorth_mobility` | `√(var Δx / var x) · rate`, `Δ` the difference to the sample before | 1/s |
/// | `hjorth_complexity` | `√(var ΔΔx / var Δx) / √(var Δx / var x)` | |
/// | `quantile_<p>` | `p` in [0, 1]: linear between order statistics, place `p (N - 1)` | of the channel |
/// | `band_<lo>_<hi>_hz_rms` | `√(Σ p)` over the band's bins | of the channel |
/// | `band_<lo>_<hi>_hz_share` | `Σ p` over the band's bins, of that over all | |
/// | `spectral_centroid` | `Σ f p / Σ p` | Hz |
/// | `spectral_spread` | `√(Σ (f - centroid)² p / Σ p)` | Hz |
/// | `spectral_entropy` | `-Σ q ln q / ln n`, `q = p / Σ p` over `n` bins: 1 for a flat spectrum, about `1 - 0.42 / ln n` for a window of white noise | |
/// | `spectral_flatness` | geometric over arithmetic mean of `p`: 1 for a flat spectrum, about 0.56 for a window of white noise | |
/// | `spectral_rolloff_<s>` | the least frequency up to which the share `s` of `Σ p` lies, `0 < s <= 1` | Hz |
/// | `line_<k>_hz`, `line_<k>_amplitude` | the `k`-th highest line of the mean squares, `k` in 1..=64: a bin above the one before and not below the one after | Hz, of the channel |
/// | `harmonics_<f>_hz_1_to_<n>_rms` | `√(Σ p)` over the main lobes around `f, 2 f, .. n f` | of the channel |
/// | `total_harmonic_distortion_<f>_hz_<n>` | `√(Σ p over the lobes of 2 f .. n f / Σ p over that of f)` | |
/// | `total_harmonic_distortion_<n>` | the same of the highest line, harmonics up to the Nyquist frequency | |
/// | `permutation_entropy_<order>_<delay>`, `sample_entropy_<m>_<r>`, `approximate_entropy_<m>_<r>`, `lempel_ziv_complexity`, `detrended_fluctuation`, `higuchi_dimension_<k>` | see [`complexity`](crate::features::complexity) | |
/// | `catch22_<name>` | see [`catch22`](crate::features::catch22), of windows of at least 10 samples | |
///
/// Centroid to lines leave out bin 0. Sets stand for several:
///
/// | set | holds |
/// |---|---|
/// | `vibration`, the default | `rms`, `peak`, `crest_factor`, `excess_kurtosis`, `bands_10` |
/// | `bands_<n>` | `n` equal bands from zero to Nyquist, each `band_<lo>_<hi>_hz_rms` |
/// | `time` | 18 features: `mean` and `rms` to Hjorth's, with quantiles 0.05, 0.25, 0.5, 0.75, 0.95 |
/// | `frequency` | centroid, spread, entropy, flatness, roll-off 0.85, three lines, `bands_10` |
/// | `catch22` | the 22 canonical characteristics |
/// | `complexity` | all six, at usual settings; sample and approximate entropy cost `O(N²)` |
///
/// # Bands
/// A band holds the bins with `lo <= f < hi`; one that ends at the Nyquist frequency holds that too. Neighbouring bands
/// share no bin, so the squares of bands that cover zero to Nyquist add up to `rms²` with [`Taper::Rectangular`], and to
/// the taper-weighted variance `Σ w² d² / Σ w²` with [`Taper::Hann`], the default. Bands may overlap.
///
/// # Bad samples
/// All features of a channel with NaN or infinity among its samples are NaN; other channels keep theirs. Where all samples
/// are equal, what has the channel's unit is its level or zero, and ratios are NaN; so are lines that are not there. A
/// feature that leaves the range of `f64` (samples above about 1e77 for kurtosis) is NaN, as is an infinite sample entropy;
/// where the variance leaves it, above about 1e154, all are.
///
/// # Cost
/// What no column needs is not computed: a pass for each of moments, magnitudes, differences and quantiles, one real
/// transform for what has to do with frequency, and what [`complexity`](crate::features::complexity) says. Nothing is
/// allocated for a window once there was one. Clones share plan and tables.
///
/// Sources: ISO 20816-1:2016 for RMS and peak; Randall, *Vibration-based Condition Monitoring* (Wiley, 2011),
/// <https://doi.org/10.1002/9780470977668>, for factors, kurtosis and bands; Hjorth (1970),
/// <https://doi.org/10.1016/0013-4694(70)90143-4>; Peeters, *A large set of audio features* (2004) for spectral shape.
///
/// ```
/// use prognos::features::{FeatureExtractor, WaveformExtractor};
/// use prognos::{quantity::Hertz, signal::{Channel, WindowSpec}};
/// let extractor =
///     WaveformExtractor::params(&[Channel::new("bearing", "g")], Hertz::new(1000.0)?, WindowSpec::new(200, 100)?)
///         .features(["rms", "crest_factor", "line_1_hz", "bands_2"])
///         .build()?;
/// let names: Vec<_> = extractor.schema().features().iter().map(|f| f.name.as_str()).collect();
/// assert_eq!(names[2..], ["bearing.line_1_hz", "bearing.band_0_250_hz_rms", "bearing.band_250_500_hz_rms"]);
///
/// let samples: Vec<f64> = (0..200).map(|i| 2.0 * (std::f64::consts::TAU * 0.05 * f64::from(i)).sin()).collect();
/// let mut row = vec![0.0; extractor.schema().len()];
/// extractor.extract_into(&[&samples], &mut extractor.new_scratch(), &mut row)?;
/// assert!((row[0] - 2.0_f64.sqrt()).abs() < 1e-12); // RMS of a sine of amplitude 2
/// assert_eq!(row[2], 50.0);
/// assert!((row[3] - row[0]).abs() < 1e-12); // all of it below 250 Hz
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "WaveformSettings", into = "WaveformSettings")]
pub struct WaveformExtractor {
    settings: Arc<WaveformSettings>,
    schema: FeatureSchema,
    spectrum: AmplitudeSpectrum,
    columns: Arc<[Column]>,
    quantiles: Arc<Quantiles>,
    catch22: Option<Arc<Catch22>>,
    needs: Needs,
    /// Amplitude over the root of the mean square, of a line.
    amplitude_of_rms: f64,
}

/// What an extractor is made from, as it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WaveformSettings {
    channels: Vec<Channel>,
    rate: Hertz,
    window: WindowSpec,
    taper: Taper,
    features: Vec<String>,
}

/// What a column is made of, for windows of one length.
#[derive(Clone, Debug)]
enum Column {
    Plain(WaveformFeature),
    /// Number of the quantile.
    Quantile(usize),
    BandRms(Range<usize>),
    BandShare(Range<usize>),
    Rolloff(f64),
    /// Place among the lines.
    LineFrequency(usize),
    LineAmplitude(usize),
    /// Bins of each harmonic.
    Harmonics(Vec<Range<usize>>),
    Distortion(Vec<Range<usize>>),
    DistortionOfHighest(usize),
    Complexity(Complexity),
    Catch22(usize),
}

/// What the columns need of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    magnitudes: bool,
    differences: bool,
    spectrum: bool,
    shape: bool,
    evenness: bool,
    n_lines: usize,
}

/// Parameters of a [`WaveformExtractor`], checked by [`build`](WaveformParams::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct WaveformParams(WaveformSettings);

impl WaveformParams {
    /// The features by name, and sets of them, in the order of their columns; the set `vibration` unless changed. What is named
    /// twice, or is in two sets, is one column.
    pub fn features<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.0.features = names.into_iter().map(Into::into).collect();
        self
    }

    /// The RMS of frequency bands `(lo, hi)` in hertz, behind the features so far: short for `band_<lo>_<hi>_hz_rms`.
    pub fn and_bands_hz(mut self, bands: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let names = bands
            .into_iter()
            .map(|(lo, hi)| WaveformFeature::BandRms(lo, hi).to_string());
        self.0.features.extend(names);
        self
    }

    /// The taper of the spectrum; Hann unless changed.
    pub fn taper(mut self, taper: Taper) -> Self {
        self.0.taper = taper;
        self
    }

    /// The extractor.
    ///
    /// # Errors
    /// `InvalidParameter` where a name stands for no feature or has a number out of its range; where a band
    /// has not `0 <= lo < hi <= rate / 2` or holds no bin of windows this short, or lobes of harmonics overlap or lie
    /// beyond the Nyquist frequency; where windows are shorter than 4 samples; without features or channels, or where a
    /// channel's name is empty or taken.
    pub fn build(self) -> Result<WaveformExtractor> {
        self.0.try_into()
    }
}

/// Work space of one thread for a [`WaveformExtractor`].
#[derive(Clone, Debug)]
pub struct WaveformScratch {
    /// Of the columns it was made for.
    schema: Fingerprint,
    spectrum: SpectrumScratch,
    mean_square: Vec<f64>,
    logs: Vec<f64>,
    quantiles: QuantileScratch,
    lines: Vec<usize>,
    permutations: SmallVec<[PermutationScratch; 1]>,
    entropy: EntropyScratch,
    lempel_ziv: LempelZivScratch,
    fluctuation: FluctuationScratch,
    catch22: Option<Catch22Scratch>,
    characteristics: [f64; 22],
}

/// What the passes over one channel found.
struct Measured<'a> {
    x: &'a [f64],
    moments: Moments,
    magnitudes: Magnitudes,
    differences: Differences,
    shape: Shape,
    evenness: Evenness,
    n_lines: usize,
}

impl WaveformExtractor {
    /// Parameters for windows of these channels: the set `vibration` and a Hann taper, unless changed.
    pub fn params(channels: &[Channel], rate: Hertz, window: WindowSpec) -> WaveformParams {
        WaveformParams(WaveformSettings {
            channels: channels.to_vec(),
            rate,
            window,
            taper: Taper::default(),
            features: vec!["vibration".into()],
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

    /// The names of the features of each channel, as they were given.
    pub fn features(&self) -> &[String] {
        &self.settings.features
    }

    fn extract_channel(&self, x: &[f64], scratch: &mut WaveformScratch, out: &mut [f64]) -> Result<()> {
        let moments = Moments::of(x);
        if !moments.m2.is_finite() {
            out.fill(f64::NAN);
            return Ok(());
        }
        let mean = moments.mean;
        if self.needs.spectrum {
            let WaveformScratch {
                spectrum, mean_square, ..
            } = scratch;
            self.spectrum.mean_square_about(mean, x, spectrum, mean_square)?;
        }
        self.quantiles
            .place(x, moments.min, moments.max, &mut scratch.quantiles);
        let power = &scratch.mean_square;
        let shape = if self.needs.shape {
            Shape::of(power)
        } else {
            Shape::UNKNOWN
        };
        let measured = Measured {
            x,
            moments,
            magnitudes: if self.needs.magnitudes {
                Magnitudes::of(x, mean)
            } else {
                Magnitudes::default()
            },
            differences: if self.needs.differences {
                Differences::of(x, mean)
            } else {
                Differences::default()
            },
            shape,
            evenness: if self.needs.evenness {
                Evenness::of(power, shape.total, &mut scratch.logs)
            } else {
                Evenness::UNKNOWN
            },
            n_lines: frequency::highest_lines(power, &mut scratch.lines),
        };
        if let (Some(plan), Some(space)) = (&self.catch22, &mut scratch.catch22) {
            plan.extract_into(x, space, &mut scratch.characteristics)?;
        }
        let mut n_permutations = 0;
        for (column, out) in self.columns.iter().zip(out) {
            let value = match column {
                Column::Plain(feature) => self.plain(*feature, &measured),
                Column::Quantile(index) => self.quantiles.value(*index, &scratch.quantiles),
                Column::Catch22(k) => scratch.characteristics.get(*k).copied().unwrap_or(f64::NAN),
                Column::Complexity(c) => complexity(c, &measured, scratch, &mut n_permutations),
                of_spectrum => self.of_spectrum(of_spectrum, &measured, scratch),
            };
            // Zero over zero is the NaN of a window without variance.
            *out = if value.is_finite() { value } else { f64::NAN };
        }
        Ok(())
    }

    fn plain(&self, feature: WaveformFeature, of: &Measured<'_>) -> f64 {
        use WaveformFeature as F;
        let m = &of.moments;
        let (rms, rate) = (m.m2.sqrt(), self.rate().get());
        let (difference, second) = (of.differences.variance, of.differences.second_variance);
        let bin_hz = self.spectrum.frequency_hz(1);
        match feature {
            F::Mean => m.mean,
            F::Rms | F::Sd => rms,
            F::TotalRms => libm::hypot(rms, m.mean),
            F::Peak => m.peak(),
            F::PeakToPeak => m.max - m.min,
            F::CrestFactor => m.peak() / rms,
            F::ShapeFactor => rms / of.magnitudes.mean,
            F::ImpulseFactor => m.peak() / of.magnitudes.mean,
            F::ClearanceFactor => m.peak() / (of.magnitudes.mean_root * of.magnitudes.mean_root),
            F::Skewness => m.m3 / (m.m2 * rms),
            F::ExcessKurtosis => m.m4 / (m.m2 * m.m2) - 3.0,
            F::ZeroCrossingRate => of.differences.crossings as f64 * rate / (of.x.len() as f64 - 1.0),
            F::HjorthActivity => m.m2,
            F::HjorthMobility => (difference / m.m2).sqrt() * rate,
            F::HjorthComplexity => (second / difference).sqrt() / (difference / m.m2).sqrt(),
            F::SpectralCentroid => of.shape.centroid * bin_hz,
            F::SpectralSpread => of.shape.spread * bin_hz,
            F::SpectralEntropy => of.evenness.entropy,
            F::SpectralFlatness => of.evenness.flatness,
            // Those with numbers are columns of their own.
            _ => f64::NAN,
        }
    }

    fn of_spectrum(&self, column: &Column, of: &Measured<'_>, scratch: &WaveformScratch) -> f64 {
        let power = &scratch.mean_square;
        let sum = |bins: &Range<usize>| time::sum(power.get(bins.clone()).unwrap_or_default());
        let line = |place: usize| scratch.lines.get(..of.n_lines)?.get(place).copied();
        match column {
            Column::BandRms(bins) => sum(bins).sqrt(),
            Column::BandShare(bins) => sum(bins) / (of.shape.total + power.first().unwrap_or(&0.0)),
            Column::Rolloff(share) => frequency::rolloff_bin(power, of.shape.total, *share)
                .map_or(f64::NAN, |k| self.spectrum.frequency_hz(k)),
            Column::LineFrequency(place) => line(*place).map_or(f64::NAN, |k| self.spectrum.frequency_hz(k)),
            Column::LineAmplitude(place) => line(*place).map_or(f64::NAN, |k| {
                let single = 2 * k == self.window().length();
                let square = power.get(k).copied().unwrap_or(f64::NAN) * if single { 0.5 } else { 1.0 };
                square.sqrt() * self.amplitude_of_rms
            }),
            Column::Harmonics(lobes) => lobes.iter().map(sum).sum::<f64>().sqrt(),
            Column::Distortion(lobes) => {
                let of_lobes = lobes
                    .split_first()
                    .map(|(first, rest)| rest.iter().map(sum).sum::<f64>() / sum(first));
                of_lobes.map_or(f64::NAN, f64::sqrt)
            }
            Column::DistortionOfHighest(n) => line(0).map_or(f64::NAN, |k| {
                frequency::distortion(power, k, *n, self.taper().half_lobe_bins())
            }),
            Column::Plain(_) | Column::Quantile(_) | Column::Complexity(_) | Column::Catch22(_) => f64::NAN,
        }
    }
}

fn complexity(c: &Complexity, of: &Measured<'_>, scratch: &mut WaveformScratch, n_permutations: &mut usize) -> f64 {
    match c {
        Complexity::Permutation(entropy) => {
            let space = scratch.permutations.get_mut(*n_permutations);
            *n_permutations += 1;
            space.map_or(f64::NAN, |space| entropy.value(of.x, space))
        }
        Complexity::Sample(entropy) => entropy.value(of.x, &mut scratch.entropy),
        Complexity::Approximate(entropy) => entropy.value(of.x, &mut scratch.entropy),
        Complexity::LempelZiv(complexity) => complexity.value(of.x, &mut scratch.lempel_ziv),
        Complexity::Fluctuation(exponent) => exponent.value(of.x, &mut scratch.fluctuation),
        Complexity::Higuchi(dimension) => dimension.value(of.x),
    }
}

impl FeatureExtractor for WaveformExtractor {
    type Scratch = WaveformScratch;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn new_scratch(&self) -> WaveformScratch {
        let permutations = self.columns.iter().filter_map(|c| match c {
            Column::Complexity(Complexity::Permutation(entropy)) => Some(entropy.new_scratch()),
            _ => None,
        });
        WaveformScratch {
            schema: self.schema.fingerprint(),
            spectrum: self.spectrum.new_scratch(),
            mean_square: vec![0.0; self.spectrum.n_bins()],
            logs: vec![0.0; if self.needs.evenness { self.spectrum.n_bins() } else { 0 }],
            quantiles: self.quantiles.new_scratch(self.window().length()),
            lines: vec![0; self.needs.n_lines],
            permutations: permutations.collect(),
            entropy: EntropyScratch::default(),
            lempel_ziv: crate::features::complexity::LempelZiv.new_scratch(),
            fluctuation: crate::features::complexity::DetrendedFluctuation.new_scratch(),
            catch22: self.catch22.as_ref().map(|plan| plan.new_scratch()),
            characteristics: [f64::NAN; 22],
        }
    }

    fn extract_into(&self, window: &[&[f64]], scratch: &mut WaveformScratch, out: &mut [f64]) -> Result<()> {
        let (n_channels, length) = (self.channels().len(), self.window().length());
        for (what, expected, got) in [
            ("waveform window, channels", n_channels, window.len()),
            ("waveform features", self.schema.len(), out.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        if scratch.schema != self.schema.fingerprint() {
            return Err(Error::input(
                "waveform scratch",
                format!("one of the schema {}", self.schema.fingerprint()),
                scratch.schema,
            ));
        }
        if let Some((c, x)) = self.channels().iter().zip(window).find(|(_, x)| x.len() != length) {
            return Err(Error::input(
                &format!("waveform window, samples of channel `{}`", c.name),
                length,
                x.len(),
            ));
        }
        for (x, out) in window.iter().zip(out.chunks_exact_mut(self.columns.len())) {
            self.extract_channel(x, scratch, out)?;
        }
        Ok(())
    }
}

impl WaveformSettings {
    /// Bins of the band `(lo, hi)`.
    fn bins(&self, name: &str, (lo, hi): (f64, f64), spectrum: &AmplitudeSpectrum) -> Result<Range<usize>> {
        let nyquist = 0.5 * self.rate.get();
        if !(lo >= 0.0 && lo < hi && hi <= nyquist * (1.0 + IS_NYQUIST)) {
            return Err(Error::parameter(
                &format!("feature `{name}`"),
                format!("a band with 0 <= lo < hi <= {nyquist} Hz, the Nyquist frequency"),
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
                &format!("feature `{name}`"),
                format!(
                    "a band that holds a bin of windows of {} samples, {spacing} Hz apart",
                    self.window.length()
                ),
                format!("({lo}, {hi}); take longer windows or a wider band"),
            ));
        }
        Ok(bins)
    }

    /// Bins of the lobes of `n` harmonics of `hz`.
    fn lobes(&self, name: &str, hz: f64, n: usize, spectrum: &AmplitudeSpectrum) -> Result<Vec<Range<usize>>> {
        let half = self.taper.half_lobe_bins();
        let spacing = spectrum.frequency_hz(1);
        let least = (2 * half + 1) as f64 * spacing;
        let most = 0.5 * self.rate.get() / n as f64;
        if !((1..=MOST_LINES).contains(&n) && hz >= least && hz <= most * (1.0 + IS_NYQUIST)) {
            return Err(Error::parameter(
                &format!("feature `{name}`"),
                format!(
                    "1 to {MOST_LINES} harmonics of a frequency of at least {least} Hz, the main lobe of the taper for windows of {} \
                     samples, up to the Nyquist frequency {} Hz",
                    self.window.length(),
                    0.5 * self.rate.get()
                ),
                format!("{n} harmonics of {hz} Hz"),
            ));
        }
        let lobe = |h: usize| frequency::lobe(h as f64 * hz / spacing, half, spectrum.n_bins());
        Ok((1..=n).map(lobe).collect())
    }

    /// The column that a feature is.
    fn column(
        &self,
        feature: WaveformFeature,
        spectrum: &AmplitudeSpectrum,
        probabilities: &mut Vec<f64>,
    ) -> Result<Column> {
        use WaveformFeature as F;
        let name = feature.to_string();
        let refuse = |expected: &str| Err(Error::parameter("features", expected, format!("`{name}`")));
        if let Some(measure) = feature::complexity(feature) {
            let measure = measure.map_err(|e| e.context(format!("feature `{name}`")))?;
            return Ok(Column::Complexity(measure));
        }
        Ok(match feature {
            F::Quantile(p) if (0.0..=1.0).contains(&p) => {
                probabilities.push(p);
                Column::Quantile(probabilities.len() - 1)
            }
            F::Quantile(_) => return refuse("quantiles of a probability in 0..=1"),
            F::BandRms(lo, hi) => Column::BandRms(self.bins(&name, (lo, hi), spectrum)?),
            F::BandShare(lo, hi) => Column::BandShare(self.bins(&name, (lo, hi), spectrum)?),
            F::SpectralRolloff(share) if share > 0.0 && share <= 1.0 => Column::Rolloff(share),
            F::SpectralRolloff(_) => return refuse("a roll-off at a share above 0 and at most 1"),
            F::LineFrequency(k) | F::LineAmplitude(k) if !(1..=MOST_LINES).contains(&k) => {
                return refuse("lines 1 to 64");
            }
            F::LineFrequency(k) => Column::LineFrequency(k - 1),
            F::LineAmplitude(k) => Column::LineAmplitude(k - 1),
            F::HarmonicsRms(hz, n) => Column::Harmonics(self.lobes(&name, hz, n, spectrum)?),
            F::TotalHarmonicDistortion(_, n) if !(2..=MOST_LINES).contains(&n) => {
                return refuse("distortion by 2 to 64 harmonics");
            }
            F::TotalHarmonicDistortion(Some(hz), n) => Column::Distortion(self.lobes(&name, hz, n, spectrum)?),
            F::TotalHarmonicDistortion(None, n) => Column::DistortionOfHighest(n),
            F::Catch22(k) => Column::Catch22(k),
            plain => Column::Plain(plain),
        })
    }

    fn schema(&self, features: &[WaveformFeature]) -> Result<FeatureSchema> {
        let of_channel = |c: &Channel| {
            let column = |f: &WaveformFeature| Feature {
                name: format!("{}.{f}", c.name),
                unit: f.unit(&c.unit),
                channel: c.name.clone(),
            };
            features.iter().map(column).collect::<Vec<_>>()
        };
        let (rate, window) = (self.rate, self.window);
        FeatureSchema::new(
            self.channels.iter().flat_map(of_channel).collect(),
            Some(Sampling { rate, window }),
        )
    }
}

impl Needs {
    fn of(columns: &[Column]) -> Self {
        use WaveformFeature as F;
        let mut needs = Self::default();
        for column in columns {
            match column {
                Column::Plain(F::ShapeFactor | F::ImpulseFactor | F::ClearanceFactor) => needs.magnitudes = true,
                Column::Plain(F::ZeroCrossingRate | F::HjorthMobility | F::HjorthComplexity) => {
                    needs.differences = true
                }
                Column::Plain(F::SpectralCentroid | F::SpectralSpread) | Column::BandShare(_) | Column::Rolloff(_) => {
                    (needs.spectrum, needs.shape) = (true, true);
                }
                Column::Plain(F::SpectralEntropy | F::SpectralFlatness) => {
                    (needs.spectrum, needs.shape, needs.evenness) = (true, true, true);
                }
                Column::BandRms(_) | Column::Harmonics(_) | Column::Distortion(_) => needs.spectrum = true,
                Column::LineFrequency(k) | Column::LineAmplitude(k) => {
                    (needs.spectrum, needs.n_lines) = (true, needs.n_lines.max(k + 1));
                }
                Column::DistortionOfHighest(_) => (needs.spectrum, needs.n_lines) = (true, needs.n_lines.max(1)),
                Column::Plain(_) | Column::Quantile(_) | Column::Complexity(_) | Column::Catch22(_) => {}
            }
        }
        needs
    }
}

impl TryFrom<WaveformSettings> for WaveformExtractor {
    type Error = Error;

    fn try_from(settings: WaveformSettings) -> Result<Self> {
        check_names(&settings.channels).map_err(|e| Error::parameter("channels", "named channels", e))?;
        let length = settings.window.length();
        if length < MIN_LENGTH {
            return Err(Error::parameter(
                "window length",
                format!("at least {MIN_LENGTH} samples"),
                length,
            ));
        }
        let (mut features, mut seen) = (Vec::new(), HashSet::new());
        for name in &settings.features {
            // What is in several sets is one column, where it comes first.
            let new = feature::named(name, settings.rate)?
                .into_iter()
                .filter(|f| seen.insert(f.to_string()));
            features.extend(new);
            let n_columns = features.len().saturating_mul(settings.channels.len());
            if n_columns > MAX_FEATURES {
                let expected = format!("at most {MAX_FEATURES} columns");
                return Err(Error::parameter("features", expected, format!("{n_columns} and more")));
            }
        }
        let schema = settings
            .schema(&features)
            .map_err(|e| Error::parameter("features", "names that make a schema", e))?;
        let spectrum = AmplitudeSpectrum::new(length, settings.rate, settings.taper)?;
        let mut probabilities = Vec::new();
        let columns = features
            .iter()
            .map(|f| settings.column(*f, &spectrum, &mut probabilities));
        let columns = columns.collect::<Result<Arc<[Column]>>>()?;
        let catch22 = match columns.iter().any(|c| matches!(c, Column::Catch22(_))) {
            true => Some(Catch22::new(length).map_err(|e| e.context("features catch22"))?.into()),
            false => None,
        };
        Ok(Self {
            schema,
            catch22,
            needs: Needs::of(&columns),
            columns,
            quantiles: Arc::new(Quantiles::new(probabilities.into_iter(), length)),
            amplitude_of_rms: (2.0 * spectrum.noise_bandwidth_hz() / spectrum.frequency_hz(1)).sqrt(),
            spectrum,
            settings: Arc::new(settings),
        })
    }
}

impl From<WaveformExtractor> for WaveformSettings {
    fn from(e: WaveformExtractor) -> Self {
        Arc::unwrap_or_clone(e.settings)
    }
}

impl fmt::Debug for WaveformExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaveformExtractor").field(&self.settings).finish()
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

    fn params(n_channels: usize, rate: f64, length: usize) -> WaveformParams {
        let channels: Vec<_> = (0..n_channels).map(|c| Channel::new(format!("c{c}"), "g")).collect();
        WaveformExtractor::params(
            &channels,
            Hertz::new(rate).unwrap(),
            WindowSpec::new(length, length).unwrap(),
        )
    }

    /// The features before the bands.
    const PLAIN: [&str; 4] = ["rms", "peak", "crest_factor", "excess_kurtosis"];

    fn banded(n_channels: usize, rate: f64, length: usize, bands: &[(f64, f64)]) -> WaveformParams {
        params(n_channels, rate, length)
            .features(PLAIN)
            .and_bands_hz(bands.iter().copied())
    }

    fn extract(e: &WaveformExtractor, window: &[&[f64]]) -> Vec<f64> {
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
            vec![(12.0, 18.0)], // bins are 10 Hz apart
        ] {
            let e = banded(1, 1000.0, 100, &bands).build().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{bands:?}: {e}");
            assert!(e.to_string().contains("band_"), "{e}");
        }
        for p in [params(0, 1000.0, 100), banded(1, 1000.0, 3, &[]), params(1, 1000.0, 10)] {
            assert_eq!(p.build().unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
        let twins = vec![Channel::new("a", "g"); 2];
        let e = WaveformExtractor::params(&twins, Hertz::new(1.0).unwrap(), WindowSpec::new(100, 1).unwrap());
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
    fn measures_of_complexity_are_those_asked_of_themselves() {
        use crate::features::complexity as c;
        let x: Vec<f64> = (0..200)
            .map(|i| f64::from(i * i % 37) + 0.1 * f64::from(i % 11))
            .collect();
        let names = ["complexity", "permutation_entropy_3_2"];
        let e = params(1, 1000.0, 200).features(names).build().unwrap();
        let ordered = |order, delay| {
            let entropy = c::PermutationEntropy::new(order, delay).unwrap();
            entropy.value(&x, &mut entropy.new_scratch())
        };
        let expected = [
            ordered(5, 1),
            c::SampleEntropy::new(2, 0.2)
                .unwrap()
                .value(&x, &mut c::EntropyScratch::default()),
            c::ApproximateEntropy::new(2, 0.2)
                .unwrap()
                .value(&x, &mut c::EntropyScratch::default()),
            c::LempelZiv.value(&x, &mut c::LempelZiv.new_scratch()),
            c::DetrendedFluctuation.value(&x, &mut c::DetrendedFluctuation.new_scratch()),
            c::HiguchiDimension::new(10).unwrap().value(&x),
            ordered(3, 2),
        ];
        assert_eq!(extract(&e, &[&x]), expected);
    }

    #[test]
    fn characteristics_are_those_asked_of_themselves() {
        use crate::features::catch22::{Catch22, NAMES};
        let x: Vec<f64> = (0..200)
            .map(|i| f64::from(i * i % 37) + 0.1 * f64::from(i % 11))
            .collect();
        let e = params(1, 1000.0, 200).features(["catch22"]).build().unwrap();
        let row = extract(&e, &[&x]);
        assert_eq!(row, Catch22::new(200).unwrap().extract(&x).unwrap());
        for (feature, name) in e.schema().features().iter().zip(NAMES) {
            assert_eq!(feature.name, format!("c0.catch22_{name}"));
        }
        assert_eq!(e.schema().features()[18].unit, "samples");
        assert!(params(1, 1000.0, 9).features(["catch22_dfa"]).build().is_err());
    }

    #[test]
    fn features_do_not_depend_on_what_else_is_asked_for() {
        let x: Vec<f64> = (0..200)
            .map(|i| f64::from(i * i % 37) + 0.1 * f64::from(i % 11))
            .collect();
        let sets = ["time", "frequency", "complexity"];
        let all = params(1, 1000.0, 200).features(sets).build().unwrap();
        let together = extract(&all, &[&x]);
        assert!(together.iter().all(|v| v.is_finite()), "{together:?}");
        for (feature, value) in all.schema().features().iter().zip(together) {
            let alone = params(1, 1000.0, 200)
                .features([&feature.name["c0.".len()..]])
                .build()
                .unwrap();
            assert_eq!(extract(&alone, &[&x]), [value], "{}", feature.name);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for name in [
            "quantile_1.1",
            "quantile_NaN",
            "spectral_rolloff_0",
            "spectral_rolloff_inf",
            "line_0_hz",
            "line_65_amplitude",
            "line_1.5_hz",
            "harmonics_40_hz_1_to_5_rms", // bins are 10 Hz apart, lobes 5 bins wide
            "harmonics_200_hz_1_to_3_rms",
            "harmonics_60_hz_1_to_0_rms",
            "harmonics_NaN_hz_1_to_2_rms",
            "total_harmonic_distortion_1",
            "total_harmonic_distortion_60_hz_99",
            "permutation_entropy_9_1",
            "sample_entropy_2_NaN",
            "higuchi_dimension_1e9",
            "unheard_of",
        ] {
            let e = params(1, 1000.0, 100).features([name]).build().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{name}: {e}");
            assert!(e.to_string().contains(name), "{name}: {e}");
        }
        for (names, once) in [
            (["rms", "rms"], 1),
            (["vibration", "bands_10"], 14),
            (["time", "rms"], 18),
            (["quantile_0.5", "quantile_0.50"], 1),
        ] {
            let e = params(1, 1000.0, 100).features(names).build().unwrap();
            assert_eq!(e.schema().len(), once, "{names:?}");
        }
        assert!(params(1, 1000.0, 100).features([""; 0]).build().is_err());
        let many = (1..=10_000).map(|n| format!("bands_{n}"));
        let e = params(1, 1e9, 1 << 20).features(many).build().unwrap_err();
        assert!(e.to_string().contains("65535 columns"), "{e}");
    }

    #[test]
    fn no_bands_means_no_spectrum() {
        let e = banded(1, 1000.0, 4, &[]).build().unwrap();
        // Two-valued: peak = rms, and the kurtosis is the least there is.
        assert_eq!(extract(&e, &[&[3.0, 1.0, 1.0, 3.0]]), [1.0, 1.0, 1.0, -2.0]);
    }

    #[test]
    fn wrong_shapes_are_refused_and_nothing_written() {
        let e = banded(2, 1000.0, 100, &[(0.0, 500.0)]).build().unwrap();
        let other = params(2, 1000.0, 200).build().unwrap();
        let five = [
            "rms",
            "spectral_entropy",
            "spectral_flatness",
            "quantile_0.5",
            "catch22_dfa",
        ];
        let twin = params(2, 1000.0, 100).features(five).build().unwrap();
        let (x, short, mut out) = ([1.0; 100], [1.0; 99], [7.0; 11]);
        for (window, scratch, n_out) in [
            (&[&x[..]][..], &e, 10),
            (&[&x, &short], &e, 10),
            (&[&x, &x], &e, 11),
            (&[&x, &x], &other, 10),
            // As many columns and samples, but others.
            (&[&x, &x], &twin, 10),
        ] {
            let err = e
                .extract_into(window, &mut scratch.new_scratch(), &mut out[..n_out])
                .unwrap_err();
            assert_eq!((err.kind(), out), (ErrorKind::InvalidInput, [7.0; 11]));
        }
    }

    #[test]
    fn it_is_saved_and_checked_when_read() {
        let e = banded(2, 1000.0, 100, &[(0.0, 30.5), (20.0, 500.0)])
            .taper(Taper::Rectangular)
            .build()
            .unwrap();
        let bytes = encode(&e).unwrap();
        let back: WaveformExtractor = decode(&bytes).unwrap();
        assert_eq!((back.schema(), encode(&back).unwrap()), (e.schema(), bytes));
        let x: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 11)).collect();
        assert_eq!(extract(&back, &[&x, &x]), extract(&e, &[&x, &x]));

        let mut hostile = WaveformSettings::clone(&e.settings);
        hostile.features = vec!["band_NaN_30_hz_rms".into()];
        assert!(decode::<WaveformExtractor>(&encode(&hostile).unwrap()).is_err());
        hostile.features = vec!["rms".into()];
        hostile.channels.clear();
        assert!(decode::<WaveformExtractor>(&encode(&hostile).unwrap()).is_err());
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
                let p = match bands { Some(b) => banded(1, rate, x.len(), b), None => params(1, rate, x.len()) };
                let p = p.taper(taper);
                // Random edges may leave a band without a bin.
                let e = match p.build() { Ok(e) => e, Err(_) if bands.is_some() => continue, Err(e) => panic!("{e}") };
                let row = extract(&e, &[&x]);
                let energy: f64 = row[4..].iter().map(|b| b * b).sum();
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
