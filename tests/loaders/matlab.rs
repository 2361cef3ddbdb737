//! MATLAB 5 files: as SciPy writes and reads them, in both byte orders, and hostile ones.

use crate::{
    counting_allocator::measured,
    waveform_files::{damaged, golden, noise_after, refused},
};
use miniz_oxide::deflate::compress_to_vec_zlib;
use prognos::{
    ErrorKind,
    dataset::{
        MAX_FILE_BYTES,
        matlab::{MAX_ARRAYS, MAX_DIMENSIONS, MAX_VALUES, MatFile},
    },
};
use serde_json::Value;

/// Writes elements with the least significant byte first, or last.
#[derive(Clone, Copy)]
struct Writer {
    big: bool,
}

const LITTLE: Writer = Writer { big: false };
const BIG: Writer = Writer { big: true };

impl Writer {
    fn bytes<const N: usize>(self, little: [u8; N]) -> Vec<u8> {
        let mut bytes = little.to_vec();
        if self.big {
            bytes.reverse();
        }
        bytes
    }

    fn file(self, elements: &[Vec<u8>]) -> Vec<u8> {
        let mut file = format!("{:124}", "MATLAB 5.0 MAT-file").into_bytes();
        file.extend(self.bytes([0, 1]));
        file.extend(if self.big { b"MI" } else { b"IM" });
        file.extend(elements.concat());
        file
    }

    fn word(self, word: u32) -> Vec<u8> {
        self.bytes(word.to_le_bytes())
    }

    fn element(self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut element = [self.word(kind), self.word(data.len() as u32), data.to_vec()].concat();
        if kind != 15 {
            element.resize(element.len().next_multiple_of(8), 0);
        }
        element
    }

    fn small(self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut element = [self.word((data.len() as u32) << 16 | kind), data.to_vec()].concat();
        element.resize(8, 0);
        element
    }

    fn flags(self, class: u32) -> Vec<u8> {
        self.element(6, &[self.word(class), self.word(0)].concat())
    }

    fn shape(self, lengths: &[u32]) -> Vec<u8> {
        self.element(5, &lengths.iter().flat_map(|&n| self.word(n)).collect::<Vec<_>>())
    }

    /// A matrix of `class` with its data stored as `kind`.
    fn matrix(self, name: &str, class: u32, shape: &[u32], kind: u32, data: &[u8]) -> Vec<u8> {
        let name = self.element(1, name.as_bytes());
        let parts = [self.flags(class), self.shape(shape), name, self.element(kind, data)];
        self.element(14, &parts.concat())
    }

    fn doubles(self, name: &str, values: &[f64]) -> Vec<u8> {
        let data: Vec<u8> = values.iter().flat_map(|v| self.bytes(v.to_le_bytes())).collect();
        self.matrix(name, 6, &[values.len() as u32, 1], 9, &data)
    }

    fn compressed(self, element: &[u8]) -> Vec<u8> {
        self.element(15, &compress_to_vec_zlib(element, 6))
    }
}

fn scipy_files() -> Vec<(Vec<u8>, Value)> {
    let unhex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let golden = golden();
    let files = golden["mat"].as_array().unwrap();
    files
        .iter()
        .map(|file| (unhex(file["hex"].as_str().unwrap()), file.clone()))
        .collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn what_scipy_writes_is_read_as_scipy_reads_it() {
    for (bytes, golden) in scipy_files() {
        let file = MatFile::from_bytes(&bytes).unwrap();
        let expected = golden["arrays"].as_array().unwrap();
        assert_eq!(file.arrays().len(), expected.len());
        assert!(file.names().eq(expected.iter().map(|a| a["name"].as_str().unwrap())));
        let numbers = |list: &Value| -> Option<Vec<f64>> {
            Some(
                list.as_array()?
                    .iter()
                    .map(|v| v.as_str().unwrap().parse().unwrap())
                    .collect(),
            )
        };
        for expected in expected {
            let name = expected["name"].as_str().unwrap();
            let array = file.array(name).unwrap();
            assert_eq!(array.class(), expected["class"], "{name}");
            let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
            assert_eq!(serde_json::json!(shape), expected["shape"], "{name}");
            assert_eq!(
                bits(array.values()),
                bits(&numbers(&expected["real"]).unwrap()),
                "{name}"
            );
            let imaginary = numbers(&expected["imaginary"]);
            assert_eq!(array.imaginary().map(bits), imaginary.as_deref().map(bits), "{name}");
        }
        let others: Vec<_> = file
            .passed_over()
            .map(|(name, class)| serde_json::json!([name, class]))
            .collect();
        assert_eq!(serde_json::json!(others), golden["others"]);
        assert_eq!(file.array("text"), None);
    }
}

#[test]
fn vectors_and_scalars_are_told_from_other_shapes() {
    let file = MatFile::from_bytes(&scipy_files()[1].0).unwrap();
    let array = |name: &str| file.array(name).unwrap();
    assert_eq!(array("X105RPM").scalar(), Some(1797.0));
    assert_eq!(array("X105RPM").vector(), Some(&[1797.0][..]));
    assert_eq!(array("X105_DE_time").vector().unwrap().len(), 37);
    assert_eq!(array("X105_DE_time").scalar(), None);
    assert_eq!(
        (
            array("bytes").vector().unwrap().len(),
            array("signed").vector().unwrap().len()
        ),
        (7, 2)
    );
    for other in ["integers", "cube", "z", "none"] {
        assert_eq!((array(other).vector(), array(other).scalar()), (None, None), "{other}");
    }
}

#[test]
fn both_byte_orders_all_storage_types_and_small_elements_are_read() {
    let values = [1.0, -0.0, f64::MAX, 5e-324];
    for w in [LITTLE, BIG] {
        let stored = |kind: u32, data: Vec<u8>| w.matrix("x", 6, &[1, 2], kind, &data);
        for (element, expected) in [
            (w.doubles("x", &values), &values[..]),
            (w.compressed(&w.doubles("x", &values)), &values),
            // Doubles that were stored in fewer bytes.
            (stored(1, vec![0xFF, 0x7F]), &[-1.0, 127.0]),
            (stored(2, vec![0xFF, 0x7F]), &[255.0, 127.0]),
            (
                stored(
                    3,
                    [w.bytes((-2_i16).to_le_bytes()), w.bytes(258_i16.to_le_bytes())].concat(),
                ),
                &[-2.0, 258.0],
            ),
            (
                stored(
                    4,
                    [w.bytes(65_534_u16.to_le_bytes()), w.bytes(258_u16.to_le_bytes())].concat(),
                ),
                &[65_534.0, 258.0],
            ),
            (
                stored(5, [w.word(-7_i32 as u32), w.word(66_051)].concat()),
                &[-7.0, 66_051.0],
            ),
            (
                stored(6, [w.word(u32::MAX), w.word(66_051)].concat()),
                &[4_294_967_295.0, 66_051.0],
            ),
            (
                stored(
                    7,
                    [w.bytes(0.1_f32.to_le_bytes()), w.bytes(2_f32.to_le_bytes())].concat(),
                ),
                &[f64::from(0.1_f32), 2.0],
            ),
            (
                stored(
                    12,
                    [w.bytes(i64::MIN.to_le_bytes()), w.bytes(3_i64.to_le_bytes())].concat(),
                ),
                &[-9_223_372_036_854_775_808.0, 3.0],
            ),
            (
                stored(
                    13,
                    [w.bytes(u64::MAX.to_le_bytes()), w.bytes(3_u64.to_le_bytes())].concat(),
                ),
                &[18_446_744_073_709_551_616.0, 3.0],
            ),
            // Name and numbers in small elements.
            (
                w.element(
                    14,
                    &[w.flags(9), w.shape(&[1, 3]), w.small(1, b"x"), w.small(2, &[1, 2, 3])].concat(),
                ),
                &[1.0, 2.0, 3.0],
            ),
        ] {
            let file = MatFile::from_bytes(&w.file(&[element])).unwrap();
            assert_eq!(bits(file.array("x").unwrap().values()), bits(expected));
        }
        let complex = [
            w.flags(6 | 0x800),
            w.shape(&[1, 1]),
            w.small(1, b"z"),
            w.small(2, &[3]),
            w.small(1, &[0xFC]),
        ];
        let file = MatFile::from_bytes(&w.file(&[w.element(14, &complex.concat())])).unwrap();
        let z = file.array("z").unwrap();
        assert_eq!(
            (z.values(), z.imaginary(), z.scalar()),
            (&[3.0][..], Some(&[-4.0][..]), None)
        );
    }
    assert_eq!(MatFile::from_bytes(&LITTLE.file(&[])).unwrap().names().len(), 0);
}

#[test]
fn malformed_files_are_named() {
    let w = LITTLE;
    let x = w.doubles("x", &[1.0, 2.0]);
    let parts = |parts: &[Vec<u8>]| vec![w.element(14, &parts.concat())];
    let named = || w.small(1, b"x");
    for (elements, words) in [
        (
            vec![w.element(9, &[0; 8])],
            &["byte 128", "type of an element", "9"][..],
        ),
        (
            vec![x.clone(), x.clone()],
            &["byte 208", "`x` twice, first at byte 128"],
        ),
        (
            vec![w.matrix("x", 6, &[3, 1], 9, &[0; 16])],
            &["`x`", "real part", "3 numbers", "16 bytes"],
        ),
        (vec![w.matrix("x", 6, &[2, 1], 9, &[0; 17])], &["2 numbers", "17 bytes"]),
        (
            vec![w.matrix("x", 6, &[1, 1], 16, &[0; 8])],
            &["type of the real part", "16"],
        ),
        (
            vec![w.matrix("x", 6, &[1 << 31, 1], 9, &[])],
            &["dimensions", "2147483648"],
        ),
        (
            vec![w.matrix("x", 6, &[0x7FFF_FFFF; 4], 9, &[])],
            &["`x`", "dimensions", &MAX_VALUES.to_string()],
        ),
        // 65536 x 65536 is 0 in 32 bits.
        (
            vec![w.matrix("x", 6, &[65_536, 65_536], 9, &[])],
            &["dimensions", "[65536, 65536]"],
        ),
        (vec![w.matrix("x", 6, &[1], 9, &[0; 8])], &["dimensions", "4 bytes"]),
        (
            vec![w.matrix("x", 6, &[1; MAX_DIMENSIONS + 1], 9, &[0; 8])],
            &["dimensions", "132 bytes"],
        ),
        (vec![w.matrix("x", 18, &[1, 1], 9, &[0; 8])], &["class", "18"]),
        (vec![w.matrix("x", 0, &[1, 1], 9, &[0; 8])], &["class", "0"]),
        (parts(&[w.element(6, &[0; 4])]), &["array flags", "4"]),
        (parts(&[w.element(5, &[0; 8])]), &["array flags", "5"]),
        (parts(&[]), &["array flags", "4 bytes", "0, then the end"]),
        (
            parts(&[w.flags(6), w.shape(&[1, 1]), w.element(1, &[0xFF; 3])]),
            &["name", "UTF-8"],
        ),
        (
            parts(&[w.flags(6), w.shape(&[1, 1]), named()]),
            &["`x`", "tag of an element"],
        ),
        (
            parts(&[w.flags(6 | 0x800), w.shape(&[1, 1]), named(), w.small(2, &[1])]),
            &["`x`", "tag of an element"],
        ),
        (
            parts(&[
                w.flags(6),
                w.shape(&[1, 1]),
                named(),
                w.small(2, &[1]),
                w.small(2, &[1]),
            ]),
            &["no more parts", "8 bytes more"],
        ),
        (
            parts(&[w.flags(6), w.shape(&[1, 1]), named(), w.word(5 << 16 | 2), w.word(0)]),
            &["small element", "1 to 4", "5"],
        ),
        (
            vec![w.compressed(&w.compressed(&x))],
            &["compressed element", "one array"],
        ),
        (
            vec![w.compressed(&[x.clone(), w.doubles("y", &[1.0])].concat())],
            &["compressed element", "or more"],
        ),
        (
            vec![w.compressed(&x[..x.len() - 8])],
            &["compressed element", "data of an element"],
        ),
        (vec![w.compressed(&[])], &["compressed element", "tag"]),
        (vec![w.element(15, &[])], &["compressed element", "damage"]),
        (
            vec![w.element(15, b"no stream at all")],
            &["compressed element", "damage"],
        ),
    ] {
        refused(MatFile::from_bytes(&w.file(&elements)), ErrorKind::InvalidInput, words);
    }
    let mut version = w.file(&[]);
    version[125] = 2;
    refused(MatFile::from_bytes(&version), ErrorKind::InvalidInput, &["7.3", "HDF5"]);
    version[125] = 9;
    refused(MatFile::from_bytes(&version), ErrorKind::InvalidInput, &["version 9.0"]);
    refused(
        MatFile::from_bytes(b"\x89HDF\r\n\x1a\n"),
        ErrorKind::InvalidInput,
        &["HDF5"],
    );
    refused(MatFile::from_bytes(&[0; 128]), ErrorKind::InvalidInput, &["MATLAB 4"]);
    refused(
        MatFile::from_bytes(b""),
        ErrorKind::InvalidInput,
        &["MATLAB 5", "0 bytes"],
    );
    refused(MatFile::read("no.mat"), ErrorKind::Io, &["no.mat"]);
}

#[test]
fn every_truncation_but_between_arrays_is_refused() {
    let w = BIG;
    let elements = [
        w.doubles("a", &[1.0; 3]),
        w.compressed(&w.doubles("b", &[2.0; 3])),
        w.doubles("c", &[3.0]),
    ];
    let built = (w.file(&elements), elements.map(|e| e.len()).to_vec());
    let mut files = vec![built];
    for (bytes, _) in scipy_files() {
        let (mut at, mut lengths) = (128, Vec::new());
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize + 8;
            lengths.push(length);
            at += length;
        }
        files.push((bytes, lengths));
    }
    for (bytes, lengths) in files {
        let whole = MatFile::from_bytes(&bytes).unwrap();
        let mut ends = vec![128];
        for n in lengths {
            ends.push(ends.last().unwrap() + n);
        }
        assert_eq!(ends.last(), Some(&bytes.len()));
        for n in 0..bytes.len() {
            match MatFile::from_bytes(&bytes[..n]) {
                Ok(file) => {
                    assert!(ends.contains(&n), "cut at {n}");
                    assert_eq!(file.arrays(), &whole.arrays()[..file.arrays().len()]);
                }
                Err(e) => {
                    assert!(!ends.contains(&n), "cut at {n}: {e}");
                    assert_eq!(e.kind(), ErrorKind::InvalidInput);
                }
            }
        }
    }
}

/// What an outcome must be whatever the bytes are.
#[track_caller]
fn is_harmless(bytes: &[u8], most: i64) -> bool {
    let (result, held) = measured(|| MatFile::from_bytes(bytes));
    assert!(held <= most, "{held} bytes of memory for {} of file", bytes.len());
    match result {
        Ok(file) => {
            for array in file.arrays() {
                assert_eq!(array.values().len(), array.shape().iter().product::<usize>());
                assert!(array.imaginary().is_none_or(|i| i.len() == array.values().len()));
            }
            true
        }
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
            false
        }
    }
}

/// Memory for a file without streams: an `f64` for each byte, an array for each 48 of them, and what errors take.
fn plainly(n: usize) -> i64 {
    16 * n as i64 + 4_096
}

#[test]
fn damage_of_any_kind_neither_panics_nor_takes_memory() {
    let scipy = scipy_files();
    let w = BIG;
    let mixed = w.file(&[
        w.compressed(&w.doubles("X105_DE_time", &[0.5; 9])),
        w.matrix("small", 9, &[2, 2], 2, &[1, 2, 3, 4]),
        w.compressed(&w.matrix("text", 4, &[1, 2], 16, b"ab")),
    ]);
    // Deflate makes at most 1,032 bytes of one, and a byte may be a number; its state is 43 kB.
    let streamed = |n: usize| 1_032 * 9 * n as i64 + 65_536;
    let (mut taken, mut tried) = (0, 0);
    for (bytes, has_streams) in [(&scipy[0].0, false), (&scipy[1].0, true), (&mixed, true)] {
        let limit = |n: usize| if has_streams { streamed(n) } else { plainly(n) };
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                taken += usize::from(is_harmless(&bytes, limit(bytes.len())));
                tried += 1;
            }
        }
        for seed in 0..6_000 {
            let bytes = damaged(bytes, seed);
            taken += usize::from(is_harmless(&bytes, streamed(bytes.len())));
            tried += 1;
        }
        for seed in 0..500 {
            let bytes = noise_after(&bytes[..128 + (seed % 64) as usize], 200, seed);
            is_harmless(&bytes, streamed(bytes.len()));
        }
    }
    // A changed number is a number; the rest must have been refused.
    assert!(taken > tried / 50 && taken < tried / 2, "{taken} of {tried} were taken");
}

#[test]
fn a_flipped_bit_in_a_stream_is_seen() {
    let element = LITTLE.compressed(&LITTLE.doubles("x", &[0.25, 7.0, -3.5]));
    let bytes = LITTLE.file(&[element]);
    let whole = MatFile::from_bytes(&bytes).unwrap();
    let mut unseen = 0;
    for at in 136..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            match MatFile::from_bytes(&bytes) {
                // The bits that fill the last byte before the checksum mean nothing.
                Ok(file) => {
                    assert_eq!(file, whole);
                    unseen += 1;
                }
                e => drop(refused(e, ErrorKind::InvalidInput, &["compressed element"])),
            }
        }
    }
    assert!(unseen < 8, "{unseen}");
}

#[test]
fn declared_sizes_are_not_believed() {
    let huge = |length: u32| [LITTLE.word(14), LITTLE.word(length), LITTLE.flags(6)].concat();
    for length in [1 << 20, 0x7FFF_FFFF, 0xFFFF_FFF8, 0xFFFF_FFFF] {
        let file = LITTLE.file(&[huge(length)]);
        assert!(!is_harmless(&file, plainly(file.len())), "{length}");
        let shape = LITTLE.shape(&[MAX_VALUES as u32, 1]);
        let data = [LITTLE.word(9), LITTLE.word(length), vec![0; 64]].concat();
        let parts = [LITTLE.flags(6), shape, LITTLE.small(1, b"x"), data].concat();
        let file = LITTLE.file(&[LITTLE.element(14, &parts)]);
        assert!(!is_harmless(&file, plainly(file.len())), "{length}");
    }
}

/// A zlib stream of about 230 MB of zeros without a checksum, of single codes: a zero, then copies of 258 bytes each.
fn bomb() -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false]; // the last block, fixed codes
    bits.extend([false, false, true, true, false, false, false, false]); // the literal 0
    // Length 258 and distance 1.
    let copy = [
        true, true, false, false, false, true, false, true, false, false, false, false, false,
    ];
    for _ in 0..900_000 {
        bits.extend(copy);
    }
    bits.extend([false; 7]); // the end
    let mut stream = vec![0x78, 0x01];
    stream.extend(
        bits.chunks(8)
            .map(|byte| byte.iter().enumerate().map(|(i, &b)| u8::from(b) << i).sum::<u8>()),
    );
    stream
}

#[test]
fn bombs_are_stopped() {
    let stream = bomb();
    let file = LITTLE.file(&[LITTLE.element(15, &stream)]);
    // 1.5 MB that become 230: without a checksum they are refused at the end.
    let (result, held) = measured(|| MatFile::from_bytes(&file));
    refused(result, ErrorKind::InvalidInput, &["byte 128", "damage"]);
    assert!(held < (512 << 20) + (1 << 20), "{held}");

    // More names than are taken: each array small, the file too.
    let many: Vec<Vec<u8>> = (0..=MAX_ARRAYS)
        .map(|i| LITTLE.matrix(&format!("x{i}"), 9, &[0, 0], 2, &[]))
        .collect();
    refused(
        MatFile::from_bytes(&LITTLE.file(&many)),
        ErrorKind::InvalidInput,
        &["variables", "65536"],
    );
    assert_eq!(
        MatFile::from_bytes(&LITTLE.file(&many[1..])).unwrap().arrays().len(),
        MAX_ARRAYS
    );

    // More numbers than are taken, of a byte each.
    let half = LITTLE.matrix("a", 9, &[MAX_VALUES as u32 / 2, 1], 2, &vec![0; MAX_VALUES / 2]);
    let more = LITTLE.matrix("b", 9, &[MAX_VALUES as u32 / 2 + 1, 1], 2, &vec![0; MAX_VALUES / 2 + 1]);
    let (result, held) = measured(|| MatFile::from_bytes(&LITTLE.file(&[half, more])));
    refused(result, ErrorKind::InvalidInput, &["`b`", "67108864"]);
    assert!(held < (512 << 20), "{held}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.mat");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(MAX_FILE_BYTES + 1)
        .unwrap();
    refused(
        MatFile::read(&path),
        ErrorKind::InvalidInput,
        &["large.mat", "268435456"],
    );
}
