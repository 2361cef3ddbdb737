//! WAV files, built byte by byte: every form of sample, and hostile ones.

use crate::{
    counting_allocator::measured,
    waveform_files::{damaged, noise_after, refused},
};
use prognos::{
    ErrorKind,
    dataset::{
        MAX_FILE_BYTES,
        wav::{self, MAX_SAMPLES, Scale, WavReader},
    },
    quantity::Timestamp,
    signal::{Channel, Recording},
};

const PCM: u16 = 1;
const FLOAT: u16 = 3;

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = [&name[..], &(content.len() as u32).to_le_bytes(), content].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WAVE".to_vec(), chunks.concat()].concat())
}

fn format(form: u16, n_channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let a_row = n_channels.wrapping_mul(bits / 8);
    let mut format = [form.to_le_bytes(), n_channels.to_le_bytes()].concat();
    format.extend(rate.to_le_bytes());
    format.extend(u32::from(a_row).wrapping_mul(rate).to_le_bytes());
    format.extend([a_row, bits].map(u16::to_le_bytes).concat());
    format
}

fn extensible(form: u16, n_channels: u16, bits: u16, used: u16) -> Vec<u8> {
    let mut format = format(0xFFFE, n_channels, 25_600, bits);
    format.extend([22, used, 3, 0, form].map(u16::to_le_bytes).concat());
    format.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    format
}

fn file(format: &[u8], data: &[u8]) -> Vec<u8> {
    riff(&[chunk(b"fmt ", format), chunk(b"data", data)])
}

fn read(bytes: &[u8], scale: Scale) -> prognos::Result<Recording> {
    WavReader::params().scale(scale).build()?.from_bytes(bytes)
}

/// A stereo file of 16 bits, 40 samples a channel.
fn stereo() -> Vec<u8> {
    let data: Vec<u8> = (0..80_i16).flat_map(|i| (i * 400 - 16_000).to_le_bytes()).collect();
    file(&format(PCM, 2, 48_000, 16), &data)
}

#[test]
fn every_form_of_sample_is_read() {
    // The least, the greatest and two others of each form: as stored, and as parts of full scale.
    let i16s = [i16::MIN, i16::MAX, 0, -1].map(i16::to_le_bytes).concat();
    let i24s = [[0, 0, 0x80], [0xFF, 0xFF, 0x7F], [0, 0, 0], [0xFF, 0xFF, 0xFF]].concat();
    let i32s = [i32::MIN, i32::MAX, 0, -1].map(i32::to_le_bytes).concat();
    let f32s = [-1.5_f32, 0.1, f32::NAN, f32::MAX].map(f32::to_le_bytes).concat();
    let f64s = [-1.5_f64, 0.1, f64::NAN, f64::MIN_POSITIVE]
        .map(f64::to_le_bytes)
        .concat();
    let stored16 = [-32_768.0, 32_767.0, 0.0, -1.0];
    let stored24 = [-8_388_608.0, 8_388_607.0, 0.0, -1.0];
    let stored32 = [-2_147_483_648.0, 2_147_483_647.0, 0.0, -1.0];
    let widened = [-1.5, f64::from(0.1_f32), f64::NAN, f64::from(f32::MAX)];
    for (form, bits, data, stored, full_scale) in [
        (PCM, 8, vec![0, 255, 128, 127], [-128.0, 127.0, 0.0, -1.0], 128.0),
        (PCM, 16, i16s, stored16, 32_768.0),
        (PCM, 24, i24s, stored24, 8_388_608.0),
        (PCM, 32, i32s, stored32, 2_147_483_648.0),
        (FLOAT, 32, f32s, widened, 1.0),
        (FLOAT, 64, f64s, [-1.5, 0.1, f64::NAN, f64::MIN_POSITIVE], 1.0),
    ] {
        let plain = format(form, 2, 25_600, bits);
        let with_size = [plain.clone(), vec![0, 0]].concat();
        let with_more = [plain.clone(), vec![7; 24]].concat();
        for format in [
            plain,
            with_size,
            with_more,
            extensible(form, 2, bits, bits),
            extensible(form, 2, bits, 0),
        ] {
            let bytes = file(&format, &data);
            for (scale, factor) in [
                (Scale::Stored, 1.0),
                (Scale::FullScale, 1.0 / full_scale),
                (Scale::PerFullScale(50.0), 50.0 / full_scale),
            ] {
                let recording = read(&bytes, scale).unwrap();
                assert_eq!((recording.rate().get(), recording.n_samples()), (25_600.0, 2));
                for (i, stored) in stored.iter().enumerate() {
                    // Full scale of whole numbers is a power of two: exact.
                    let value = recording.channel(i % 2).unwrap()[i / 2];
                    assert_eq!(
                        (value == stored * factor, value.is_nan()),
                        (!stored.is_nan(), stored.is_nan()),
                        "{form} {bits}"
                    );
                }
            }
        }
    }
}

#[test]
fn channels_have_the_names_units_and_scales_they_are_given() {
    let reader = WavReader::params()
        .channels([Channel::new("motor", "g"), Channel::new("noise", "Pa")])
        .scales([Scale::PerFullScale(32_768.0), Scale::FullScale])
        .start(Timestamp::from_secs(7));
    let recording = reader.build().unwrap().from_bytes(&stereo()).unwrap();
    assert_eq!(recording.channel_named("motor").unwrap()[1], 2.0 * 400.0 - 16_000.0);
    assert_eq!(
        recording.channel_named("noise").unwrap()[1],
        (3.0 * 400.0 - 16_000.0) / 32_768.0
    );
    assert_eq!(
        (recording.channels()[1].unit.as_str(), recording.start()),
        ("Pa", Timestamp::from_secs(7))
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stereo.wav");
    std::fs::write(&path, stereo()).unwrap();
    let plain = wav::load(&path).unwrap();
    assert!(
        plain
            .channels()
            .iter()
            .map(|c| c.name.as_str())
            .eq(["channel_1", "channel_2"])
    );
    assert_eq!(plain, read(&stereo(), Scale::FullScale).unwrap());
    refused(wav::load(folder.path().join("no.wav")), ErrorKind::Io, &["no.wav"]);
}

#[test]
fn other_chunks_are_passed_over() {
    let content = [
        chunk(b"fmt ", &format(PCM, 1, 8_000, 16)),
        chunk(b"data", &[1, 0, 2, 0]),
    ];
    let [fmt, data] = &content;
    let odd = chunk(b"LIST", b"odd");
    let fact = chunk(b"fact", &[9; 12]);
    for chunks in [
        vec![
            odd.clone(),
            fmt.clone(),
            odd.clone(),
            fact.clone(),
            data.clone(),
            odd.clone(),
        ],
        vec![fact, fmt.clone(), chunk(b"\xFF\0\n ", &[]), data.clone(), data.clone()],
    ] {
        let recording = read(&riff(&chunks), Scale::Stored).unwrap();
        assert_eq!(recording.channel(0), Some(&[1.0, 2.0][..]));
    }
}

#[test]
fn malformed_files_are_named() {
    let mono = format(PCM, 1, 8_000, 16);
    let with = |at: usize, value: u16| {
        let mut format = format(PCM, 1, 8_000, 16);
        format[at..at + 2].copy_from_slice(&value.to_le_bytes());
        file(&format, &[0; 4])
    };
    let mut unfinished = stereo();
    unfinished[4..8].copy_from_slice(&[0xFF; 4]);
    let mut placeholder = stereo();
    placeholder[40..44].copy_from_slice(&[0xFF; 4]);
    for (bytes, words) in [
        (b"".to_vec(), &["WAV file"][..]),
        (b"RF64\xFF\xFF\xFF\xFFWAVEds64".to_vec(), &["WAV file", "RF64"]),
        (b"RIFF\x04\0\0\0AVI ".to_vec(), &["WAV file", "AVI"]),
        (riff(&[]), &["without a `data` chunk"]),
        (riff(&[chunk(b"fmt ", &mono)]), &["without a `data` chunk"]),
        (
            riff(&[chunk(b"data", &[0; 4]), chunk(b"fmt ", &mono)]),
            &["before their format"],
        ),
        (
            riff(&[chunk(b"fmt ", &mono), chunk(b"fmt ", &mono), chunk(b"data", &[0; 4])]),
            &["two `fmt ` chunks"],
        ),
        (
            riff(&[chunk(b"fmt ", &mono[..15]), chunk(b"data", &[0; 4])]),
            &["`fmt ` chunk", "16 bytes", "15"],
        ),
        (
            file(&extensible(PCM, 1, 16, 16)[..24], &[0; 4]),
            &["extensible", "40 bytes", "24"],
        ),
        (
            file(&extensible(PCM, 1, 32, 24), &[0; 4]),
            &["32 bits used", "24 bits used"],
        ),
        (file(&extensible(PCM, 1, 16, 500), &[0; 4]), &["500 bits used"]),
        (with(0, 2), &["16 bits of form 2"]),
        (with(0, FLOAT), &["16 bits of form 3"]),
        (with(2, 0), &["channels", "0"]),
        (with(2, u16::MAX), &["131070 bytes"]),
        (with(4, 0), &["rate", "0"]),
        (with(12, 4), &["samples of one instant", "4 bytes"]),
        (with(14, 12), &["12 bits"]),
        (with(14, 0), &["0 bits"]),
        (file(&mono, &[0; 3]), &["multiple of 2", "3"]),
        (unfinished, &["4294967303 bytes", "never finished"]),
        (placeholder, &["chunk `data`", "4294967295 bytes"]),
        (vec![0; MAX_FILE_BYTES as usize + 1], &["268435456"]),
        (
            file(&format(PCM, 1, 8_000, 8), &vec![0; MAX_SAMPLES + 1]),
            &["67108864", "67108865"],
        ),
    ] {
        let (result, held) = measured(|| read(&bytes, Scale::Stored));
        refused(result, ErrorKind::InvalidInput, words);
        assert!(held < 10_000, "{words:?}: {held}");
    }
    refused(
        read(&file(&mono, &[]), Scale::Stored),
        ErrorKind::InsufficientData,
        &["1 sample"],
    );
}

#[test]
fn wrong_settings_are_named() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let result = WavReader::params().scale(Scale::PerFullScale(bad)).build();
        refused(result, ErrorKind::InvalidParameter, &["units per full scale"]);
    }
    let named = |n: usize| WavReader::params().channels((0..n).map(|i| Channel::new(format!("{i}"), "")));
    let result = named(3).scales([Scale::Stored; 2]).build();
    refused(result, ErrorKind::InvalidParameter, &["number of scales", "3", "2"]);
    for n in [0, 1, 3] {
        let result = named(n).build().unwrap().from_bytes(&stereo());
        refused(
            result,
            ErrorKind::InvalidInput,
            &["channels", &format!("{n}, as named"), "got 2"],
        );
    }
    let result = WavReader::params()
        .scales([Scale::Stored; 3])
        .build()
        .unwrap()
        .from_bytes(&stereo());
    refused(result, ErrorKind::InvalidInput, &["channels", "one a scale", "got 2"]);
    let twice = WavReader::params()
        .channels([Channel::new("a", ""), Channel::new("a", "")])
        .build()
        .unwrap();
    refused(twice.from_bytes(&stereo()), ErrorKind::InvalidInput, &["unique", "`a`"]);
}

#[test]
fn every_truncation_is_refused() {
    let odd = file(&format(PCM, 1, 8_000, 8), &[1, 2, 3]);
    let listed = riff(&[
        chunk(b"fmt ", &format(FLOAT, 1, 8_000, 64)),
        chunk(b"data", &[0; 16]),
        chunk(b"LIST", &[1; 8]),
    ]);
    for (bytes, spare) in [(stereo(), 0), (listed, 1), (odd, 1)] {
        read(&bytes, Scale::Stored).unwrap();
        for n in 0..bytes.len() - spare {
            refused(read(&bytes[..n], Scale::Stored), ErrorKind::InvalidInput, &["got"]);
        }
        // The byte that fills up the last chunk, or the end of a chunk that nobody reads.
        assert_eq!(
            read(&bytes[..bytes.len() - spare], Scale::Stored).unwrap(),
            read(&bytes, Scale::Stored).unwrap()
        );
    }
}

#[test]
fn damage_of_any_kind_neither_panics_nor_takes_memory() {
    let double = file(&extensible(FLOAT, 2, 64, 64), &[7; 320]);
    let (mut taken, mut tried) = (0, 0);
    for bytes in [stereo(), double] {
        // An f64 for each byte and a vector, a name and a factor for each of some 65,535 channels of nothing.
        let most = 8 * bytes.len() as i64 + (1 << 24);
        let mut attempt = |bytes: &[u8]| {
            let (result, held) = measured(|| read(bytes, Scale::FullScale));
            assert!(held <= most, "{held}");
            match result {
                Ok(recording) => {
                    assert!(recording.n_samples() * recording.channels().len() <= bytes.len());
                    taken += 1;
                }
                Err(e) => assert!(
                    matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::InsufficientData),
                    "{e}"
                ),
            }
            tried += 1;
        };
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                attempt(&bytes);
            }
        }
        for seed in 0..10_000 {
            attempt(&damaged(&bytes, seed));
        }
        for seed in 0..500 {
            attempt(&noise_after(&bytes[..(seed % 60) as usize], 200, seed));
        }
    }
    assert!(
        taken > tried / 50 && taken < tried * 3 / 4,
        "{taken} of {tried} were taken"
    );
}
