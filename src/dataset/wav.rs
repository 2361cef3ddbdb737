//! Waveforms in WAV files: whole numbers of 8, 16, 24 and 32 bits, floats of 32 and 64.
//!
//! Samples become numbers by the [`Scale`] of their channel. With `b` bits a sample, `v` as it is stored and `s` the
//! sensitivity,
//!
//! | scale | whole numbers | floats |
//! |---|---|---|
//! | [`Scale::FullScale`] | `v / 2^(b-1)`, in -1 .. 1 | `v` |
//! | [`Scale::PerFullScale(s)`](Scale::PerFullScale) | `s v / 2^(b-1)` | `s v` |
//! | [`Scale::Stored`] | `v` | `v` |
//!
//! 8 bits are stored without a sign and count from 128. NaN in floats is a missing sample.
//!
//! Nothing a file declares is believed: a chunk that is longer than what follows is an error, and so are a file that
//! ends before the length in its first chunk and a recording whose lengths were never filled in. Only `fmt ` and the first
//! `data` are looked at, other chunks passed over. Compressed samples, RF64 and samples that are stored in more bytes than
//! they have bits (writers differ on which bytes those are) are refused.
//!
//! Time is linear in the file, memory 8 bytes a sample and channel beside the file.

use super::{MAX_FILE_BYTES, read_file, shown, too_large};
use crate::{
    error::{Error, ErrorKind, Result},
    quantity::{Hertz, Timestamp},
    signal::{Channel, Recording},
};
use std::{io::Read, path::Path};

/// The most samples in one file, of all channels: 2^26, half a gibibyte of memory.
pub const MAX_SAMPLES: usize = 1 << 26;

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;

/// How the samples of a channel become numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Scale {
    /// The largest number that can be stored is 1. The default.
    #[default]
    FullScale,
    /// The numbers as they are stored: counts of the converter, where they are whole.
    Stored,
    /// So many units at full scale: 50 for a converter whose range is ±50 g.
    PerFullScale(f64),
}

impl Scale {
    fn check(self) -> Result<()> {
        match self {
            Self::PerFullScale(s) if !(s.is_finite() && s > 0.0) => {
                Err(Error::parameter("units per full scale", "finite and above 0", s))
            }
            _ => Ok(()),
        }
    }

    /// What a stored number is multiplied with, where full scale is `full_scale`.
    fn factor(self, full_scale: f64) -> f64 {
        match self {
            Self::FullScale => 1.0 / full_scale,
            Self::Stored => 1.0,
            Self::PerFullScale(units) => units / full_scale,
        }
    }
}

/// Reads a file with its channels named `channel_1`, `channel_2` .., full scale 1, from instant 0 on.
///
/// # Errors
/// As [`WavReader::read`].
pub fn load(path: impl AsRef<Path>) -> Result<Recording> {
    WavReader::params().build()?.read(path)
}

/// Settings of a [`WavReader`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WavReaderParams {
    channels: Option<Vec<Channel>>,
    scales: Vec<Scale>,
    start: Timestamp,
}

impl WavReaderParams {
    /// Names and units of the channels, in the order of the file; a file with another number of them is refused. Without
    /// this they are `channel_1`, `channel_2` .., without a unit.
    #[must_use]
    pub fn channels(mut self, channels: impl IntoIterator<Item = Channel>) -> Self {
        self.channels = Some(channels.into_iter().collect());
        self
    }

    /// One scale for all channels.
    #[must_use]
    pub fn scale(self, scale: Scale) -> Self {
        self.scales([scale])
    }

    /// A scale for each channel, in the order of the file.
    #[must_use]
    pub fn scales(mut self, scales: impl IntoIterator<Item = Scale>) -> Self {
        self.scales = scales.into_iter().collect();
        self
    }

    /// Instant of the first sample; 0 unless set.
    #[must_use]
    pub fn start(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `InvalidParameter` for units per full scale that are not finite and above zero, and where there are neither one
    /// scale nor as many as named channels.
    pub fn build(self) -> Result<WavReader> {
        self.scales.iter().try_for_each(|s| s.check())?;
        if let Some(channels) = &self.channels
            && self.scales.len() > 1
            && self.scales.len() != channels.len()
        {
            let expected = format!("1 or {}, one a channel", channels.len());
            return Err(Error::parameter("number of scales", expected, self.scales.len()));
        }
        Ok(WavReader { params: self })
    }
}

/// Reads WAV files of one layout.
///
/// ```
/// use prognos::{dataset::wav::{Scale, WavReader}, signal::Channel};
/// let mut bytes = b"RIFF\x2a\0\0\0WAVEfmt \x10\0\0\0".to_vec();
/// bytes.extend([1, 0, 1, 0, 0, 100, 0, 0, 0, 200, 0, 0, 2, 0, 16, 0]);    // whole numbers, mono, 25,600 Hz, 16 bits
/// bytes.extend(b"data\x06\0\0\0");
/// bytes.extend([0_i16, 16_384, -32_768].iter().flat_map(|v| v.to_le_bytes()));
/// let reader =
///     WavReader::params().channels([Channel::new("gearbox", "g")]).scale(Scale::PerFullScale(50.0)).build()?;
/// let recording = reader.from_bytes(&bytes)?;
/// assert_eq!(recording.channel_named("gearbox"), Some(&[0.0, 25.0, -50.0][..]));
/// assert_eq!(recording.rate().get(), 25_600.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WavReader {
    params: WavReaderParams,
}

impl WavReader {
    /// Settings to build one from.
    pub fn params() -> WavReaderParams {
        WavReaderParams::default()
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// `Io` where it cannot be read, and as [`from_bytes`](WavReader::from_bytes). Each names the path.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Recording> {
        let path = path.as_ref();
        self.from_bytes(&read_file(path)?)
            .map_err(|e| e.context(path.display()))
    }

    /// Reads the content of a file; all of it, or nothing.
    ///
    /// # Errors
    /// `InsufficientData` without a sample. `InvalidInput` for bytes that are no WAV file or less than it declares, samples
    /// in another form than those listed [above](self), another number of channels than were named or given scales, a rate
    /// of zero, and more than [`MAX_FILE_BYTES`] bytes or [`MAX_SAMPLES`] samples.
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<Recording> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_large(format!("{} bytes", bytes.len())));
        }
        let (format, data) = format_and_data(bytes)?;
        let n_channels = usize::from(format.n_channels);
        let n_samples = format.n_samples(data)?;
        let channels = self.channels(n_channels)?;
        let factors = self.factors(&format, n_channels)?;
        let rate = Hertz::new(f64::from(format.rate)).map_err(|_| Error::input("rate", "above 0 Hz", format.rate))?;
        let samples = if format.is_float && format.bits == 64 {
            let (doubles, _) = data.as_chunks();
            apart(
                doubles.iter().map(|&raw| Ok(f64::from_le_bytes(raw))),
                &factors,
                n_samples,
            )
        } else {
            let header = format.header(data.len())?;
            let reader = hound::WavReader::new(header.chain(data)).map_err(unreadable)?;
            if format.is_float {
                apart(
                    reader.into_samples::<f32>().map(|v| v.map(f64::from)),
                    &factors,
                    n_samples,
                )
            } else {
                apart(
                    reader.into_samples::<i32>().map(|v| v.map(f64::from)),
                    &factors,
                    n_samples,
                )
            }
        };
        Recording::new(channels, rate, self.params.start, samples.map_err(unreadable)?)
    }

    fn channels(&self, n_channels: usize) -> Result<Vec<Channel>> {
        match &self.params.channels {
            None => Ok((1..=n_channels)
                .map(|i| Channel::new(format!("channel_{i}"), ""))
                .collect()),
            Some(channels) if channels.len() == n_channels => Ok(channels.clone()),
            Some(channels) => Err(Error::input(
                "channels",
                format!("{}, as named", channels.len()),
                n_channels,
            )),
        }
    }

    /// What the samples of each channel are multiplied with.
    fn factors(&self, format: &Format, n_channels: usize) -> Result<Vec<f64>> {
        let full_scale = if format.is_float {
            1.0
        } else {
            libm::exp2(f64::from(format.bits) - 1.0)
        };
        let factor = |scale: &Scale| scale.factor(full_scale);
        match self.params.scales.as_slice() {
            [] => Ok(vec![factor(&Scale::default()); n_channels]),
            [one] => Ok(vec![factor(one); n_channels]),
            scales if scales.len() == n_channels => Ok(scales.iter().map(factor).collect()),
            scales => Err(Error::input(
                "channels",
                format!("{}, one a scale", scales.len()),
                n_channels,
            )),
        }
    }
}

/// Samples in turn of all channels, as one vector a channel.
fn apart<E>(
    mut samples: impl Iterator<Item = Result<f64, E>>,
    factors: &[f64],
    n_samples: usize,
) -> Result<Vec<Vec<f64>>, E> {
    let mut channels: Vec<Vec<f64>> = factors.iter().map(|_| Vec::with_capacity(n_samples)).collect();
    for _ in 0..n_samples {
        for ((channel, factor), sample) in channels.iter_mut().zip(factors).zip(&mut samples) {
            channel.push(sample? * factor);
        }
    }
    Ok(channels)
}

fn unreadable(e: hound::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("samples: expected a readable form, got: {e}"),
    )
    .with_source(e)
}

/// What the `fmt ` chunk says.
struct Format {
    is_float: bool,
    n_channels: u16,
    rate: u32,
    bytes_a_row: u16,
    bits: u16,
}

impl Format {
    fn parse(chunk: &[u8]) -> Result<Self> {
        let short = || Error::input("`fmt ` chunk", "at least 16 bytes", chunk.len());
        let u16_at = |at: usize| -> Option<u16> { Some(u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?)) };
        let field = |at: usize| u16_at(at).ok_or_else(short);
        let tag = field(0)?;
        // An extensible format has its tag at the head of a longer identifier, and says how many bits are used.
        let (form, used) = match tag {
            EXTENSIBLE => (
                u16_at(24).ok_or_else(|| Error::input("extensible `fmt ` chunk", "at least 40 bytes", chunk.len()))?,
                u16_at(18).filter(|&bits| bits != 0),
            ),
            tag => (tag, None),
        };
        let format = Self {
            is_float: form == FLOAT,
            n_channels: field(2)?,
            rate: u32::from(field(4)?) | u32::from(field(6)?) << 16,
            bytes_a_row: field(12)?,
            bits: field(14)?,
        };
        let known = match form {
            PCM => matches!(format.bits, 8 | 16 | 24 | 32),
            FLOAT => matches!(format.bits, 32 | 64),
            _ => false,
        };
        if !known {
            let got = format!("{} bits of form {form}", format.bits);
            return Err(Error::input(
                "samples",
                "8, 16, 24 or 32 bits of PCM (1), or 32 or 64 of float (3)",
                got,
            ));
        }
        if format.n_channels == 0 {
            return Err(Error::input("channels", "at least 1", 0));
        }
        let expected = u32::from(format.n_channels) * u32::from(format.bits / 8);
        if u32::from(format.bytes_a_row) != expected || used.is_some_and(|used| used != format.bits) {
            let got = format!(
                "{} bytes, {} bits used",
                format.bytes_a_row,
                used.unwrap_or(format.bits)
            );
            let expected = format!("{expected} bytes, {} bits used", format.bits);
            return Err(Error::input("samples of one instant", expected, got));
        }
        Ok(format)
    }

    /// Samples of each channel in `data`.
    fn n_samples(&self, data: &[u8]) -> Result<usize> {
        let a_row = usize::from(self.bytes_a_row);
        if !data.len().is_multiple_of(a_row) {
            return Err(Error::input(
                "samples",
                format!("a multiple of {a_row} bytes"),
                data.len(),
            ));
        }
        let n = data.len() / usize::from(self.bits / 8);
        if n > MAX_SAMPLES {
            return Err(Error::input(
                "samples of all channels",
                format!("at most {MAX_SAMPLES}"),
                n,
            ));
        }
        Ok(data.len() / a_row)
    }

    /// The plainest header that says the same: hound takes some files amiss for chunks of odd length, for longer `fact` and
    /// `fmt ` chunks than it knows, and for rates of bytes that nobody needs.
    fn header(&self, n_bytes: usize) -> Result<Vec<u8>> {
        let too_long = |_| Error::input("samples", "less than 4 GiB", format!("{n_bytes} bytes"));
        let length = u32::try_from(n_bytes).map_err(too_long)?;
        let form = if self.is_float { FLOAT } else { PCM };
        let bytes_a_second = u32::from(self.bytes_a_row).wrapping_mul(self.rate);
        let mut header = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        header.extend(form.to_le_bytes());
        header.extend(self.n_channels.to_le_bytes());
        header.extend(self.rate.to_le_bytes());
        header.extend(bytes_a_second.to_le_bytes());
        header.extend(self.bytes_a_row.to_le_bytes());
        header.extend(self.bits.to_le_bytes());
        header.extend(b"data");
        header.extend(length.to_le_bytes());
        Ok(header)
    }
}

/// The format, and the bytes of the samples.
fn format_and_data(bytes: &[u8]) -> Result<(Format, &[u8])> {
    let no_wav = |got: String| Error::input("file", "a WAV file", got);
    let Some((&[b'R', b'I', b'F', b'F', length @ .., b'W', b'A', b'V', b'E'], mut rest)) =
        bytes.split_first_chunk::<12>()
    else {
        let start = bytes.get(..bytes.len().min(12)).unwrap_or_default();
        return Err(no_wav(format!(
            "one that begins with {}",
            shown(&String::from_utf8_lossy(start))
        )));
    };
    let declared = u64::from(u32::from_le_bytes(length)) + 8;
    // Some writers leave out the byte that fills up the last chunk.
    if (bytes.len() as u64) + 1 < declared {
        let got = format!("{} (cut off, or never finished)", bytes.len());
        return Err(Error::input("file", format!("{declared} bytes, as it declares"), got));
    }
    let mut format = None;
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let &[a, b, c, d, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        let Some((chunk, behind)) = behind.split_at_checked(length) else {
            let name = shown(&String::from_utf8_lossy(&[a, b, c, d]));
            let got = format!("{}, then the end", behind.len());
            return Err(Error::input(&format!("chunk {name}"), format!("{length} bytes"), got));
        };
        match (&[a, b, c, d], format.take()) {
            (b"data", Some(format)) => return Ok((format, chunk)),
            (b"data", None) => return Err(no_wav("samples before their format".into())),
            (b"fmt ", None) => format = Some(Format::parse(chunk)?),
            (b"fmt ", Some(_)) => return Err(no_wav("two `fmt ` chunks".into())),
            (_, found) => format = found,
        }
        rest = behind.get(length % 2..).unwrap_or_default();
    }
    Err(no_wav("one without a `data` chunk".into()))
}
