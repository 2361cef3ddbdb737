//! Numeric arrays of MATLAB 5 files (`.mat`, what MATLAB and SciPy write by default up to version 7).
//!
//! ```text
//! file    = 116 bytes of text, 8 of subsystem offset, version 0x0100, byte order "IM" or "MI", then elements
//! element = tag (type, length), data, padding to 8 bytes; a small one holds type, length and up to 4 bytes of data in 8
//! array   = element of type 14: flags and class, dimensions, name, real part, imaginary part
//! ```
//!
//! An element may be a zlib stream of one array (version 7). Parts may be stored in a narrower type than the array's class:
//! all become `f64`, which 64-bit integers beyond 2^53 round to. Both byte orders are read.
//!
//! Numeric and logical arrays are read. Cell, struct, object, character and sparse arrays and functions are passed over
//! and can be asked for by name in [`MatFile::passed_over`]. MATLAB 4 files and version 7.3 files, which are HDF5, are refused.
//!
//! Nothing a file declares is believed: lengths are held against the bytes that are there, an array's size against its
//! data, a stream against its checksum, and memory is bounded by [`MAX_VALUES`] and [`MAX_ARRAYS`]. An altered number in an
//! array that is not compressed cannot be seen, since only streams carry a checksum; nor can a file that was cut
//! off exactly between two of its arrays.
//!
//! Time and memory are linear in the bytes of the arrays: 8 bytes a value, beside the file and its largest array as stored.
//!
//! Source: The MathWorks, "MAT-File Format", [matfile_format.pdf](https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf).

use super::{MAX_FILE_BYTES, read_file, shown, too_large};
use crate::error::{Error, ErrorKind, Result};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use std::{collections::HashMap, path::Path};

/// The most numbers in one file, imaginary parts counted: 2^26, half a gibibyte of memory.
pub const MAX_VALUES: usize = 1 << 26;
/// The most variables in one file.
pub const MAX_ARRAYS: usize = 65_536;
/// The most dimensions of an array.
pub const MAX_DIMENSIONS: usize = 32;

/// The most bytes that the streams of one file may inflate to: those of [`MAX_VALUES`] doubles.
const MAX_INFLATED_BYTES: usize = 8 * MAX_VALUES;
const HEADER_BYTES: usize = 128;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const COMPLEX: u32 = 0x0800;

/// The numeric arrays of a file, in its order.
///
/// ```
/// use prognos::dataset::matlab::MatFile;
/// // As `save` writes `rpm = uint8([7; 9])`, without compression.
/// let mut bytes = format!("{:124}", "MATLAB 5.0 MAT-file").into_bytes();
/// bytes.extend([0, 1, b'I', b'M']);
/// bytes.extend([14, 0, 0, 0, 48, 0, 0, 0]);                           // an array of 48 bytes
/// bytes.extend([6, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);     // of class uint8
/// bytes.extend([5, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);     // 2 x 1
/// bytes.extend([1, 0, 3, 0, b'r', b'p', b'm', 0]);                    // its name
/// bytes.extend([2, 0, 2, 0, 7, 9, 0, 0]);                             // its numbers
/// let file = MatFile::from_bytes(&bytes)?;
/// let rpm = file.array("rpm").unwrap();
/// assert_eq!((rpm.shape(), rpm.values()), (&[2, 1][..], &[7.0, 9.0][..]));
/// assert!(MatFile::from_bytes(&bytes[..bytes.len() - 1]).is_err());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MatFile {
    arrays: Vec<MatArray>,
    passed_over: Vec<(String, &'static str)>,
}

/// A numeric array: its numbers column by column (the first index runs fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct MatArray {
    name: String,
    class: &'static str,
    shape: Vec<usize>,
    values: Vec<f64>,
    imaginary: Option<Vec<f64>>,
}

impl MatFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// `Io` where it cannot be read, and as [`from_bytes`](MatFile::from_bytes). Each names the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_bytes(&read_file(path)?).map_err(|e| e.context(path.display()))
    }

    /// Reads the content of a file; all of it, or nothing.
    ///
    /// # Errors
    /// `InvalidInput`, naming the array and where its element begins, for bytes that are no MATLAB 5 file, an element that
    /// ends beyond the file or beyond the element around it, a part of the wrong type or length, a stream that is damaged
    /// or holds anything but one array, a name that is taken or not UTF-8, more than [`MAX_FILE_BYTES`] bytes,
    /// [`MAX_VALUES`] numbers (or streams that inflate to more than that many doubles take), [`MAX_ARRAYS`] variables or
    /// [`MAX_DIMENSIONS`] dimensions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(too_large(format!("{} bytes", bytes.len())));
        }
        let mut reader = Reader {
            values_left: MAX_VALUES,
            inflated_left: MAX_INFLATED_BYTES,
        };
        let mut elements = Elements::of_file(bytes)?;
        let mut file = Self {
            arrays: Vec::new(),
            passed_over: Vec::new(),
        };
        let mut names = HashMap::new();
        while !elements.is_empty() {
            let at = bytes.len() - elements.rest.len();
            let here = |e: Error| e.context(format!("element at byte {at}"));
            let variable = reader.variable(elements.next().map_err(here)?).map_err(here)?;
            if names.len() == MAX_ARRAYS {
                return Err(here(Error::input("variables", format!("at most {MAX_ARRAYS}"), "more")));
            }
            let name = variable.name();
            // What MATLAB keeps for its own objects has no name.
            if name.is_empty() {
                continue;
            }
            if let Some(first) = names.insert(name.to_owned(), at) {
                let got = format!("{} twice, first at byte {first}", shown(name));
                return Err(here(Error::input("variables", "each name once", got)));
            }
            match variable {
                Variable::Numeric(array) => file.arrays.push(array),
                Variable::Other(name, class) => file.passed_over.push((name, class)),
            }
        }
        Ok(file)
    }

    /// Names of the numeric arrays, in the order of the file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.arrays.iter().map(MatArray::name)
    }

    /// The numeric arrays, in the order of the file.
    pub fn arrays(&self) -> &[MatArray] {
        &self.arrays
    }

    /// The numeric array `name`.
    pub fn array(&self, name: &str) -> Option<&MatArray> {
        self.arrays.iter().find(|a| a.name == name)
    }

    /// Name and class (`cell`, `struct`, `object`, `char`, `sparse`, `function`, `opaque`) of what the file holds beside.
    pub fn passed_over(&self) -> impl ExactSizeIterator<Item = (&str, &'static str)> {
        self.passed_over.iter().map(|(name, class)| (name.as_str(), *class))
    }
}

impl MatArray {
    /// The variable's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The class in MATLAB's words, `double`, `single`, `int8` .. `uint64`. Logical arrays are `uint8`.
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// Lengths along the dimensions, two at least.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers (of a complex array, the real parts), column by column.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The imaginary parts of a complex array, column by column.
    pub fn imaginary(&self) -> Option<&[f64]> {
        self.imaginary.as_deref()
    }

    /// The numbers of a real array that has a length other than 1 along one dimension at most: a row, a column, a number.
    pub fn vector(&self) -> Option<&[f64]> {
        let long = self.shape.iter().filter(|&&n| n != 1).count();
        (long <= 1 && self.imaginary.is_none()).then_some(&self.values)
    }

    /// The number of a real array that holds just one.
    pub fn scalar(&self) -> Option<f64> {
        match (self.values.as_slice(), &self.imaginary) {
            (&[x], None) => Some(x),
            _ => None,
        }
    }
}

enum Variable {
    Numeric(MatArray),
    Other(String, &'static str),
}

impl Variable {
    fn name(&self) -> &str {
        match self {
            Self::Numeric(array) => &array.name,
            Self::Other(name, _) => name,
        }
    }
}

/// MATLAB's name of a class, and whether its arrays are numeric.
fn class_of(number: u32) -> Option<(&'static str, bool)> {
    Some(match number {
        1 => ("cell", false),
        2 => ("struct", false),
        3 => ("object", false),
        4 => ("char", false),
        5 => ("sparse", false),
        6 => ("double", true),
        7 => ("single", true),
        8 => ("int8", true),
        9 => ("uint8", true),
        10 => ("int16", true),
        11 => ("uint16", true),
        12 => ("int32", true),
        13 => ("uint32", true),
        14 => ("int64", true),
        15 => ("uint64", true),
        16 => ("function", false),
        17 => ("opaque", false),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// `raw` with the least significant byte first.
    fn little<const N: usize>(self, mut raw: [u8; N]) -> [u8; N] {
        if let Self::Big = self {
            raw.reverse();
        }
        raw
    }

    fn u32(self, raw: [u8; 4]) -> u32 {
        u32::from_le_bytes(self.little(raw))
    }
}

/// One element: its type and its data, without padding.
#[derive(Clone, Copy)]
struct Element<'a> {
    kind: u32,
    data: &'a [u8],
    order: ByteOrder,
}

/// The elements that follow each other in some bytes.
#[derive(Clone, Copy)]
struct Elements<'a> {
    rest: &'a [u8],
    order: ByteOrder,
}

impl<'a> Elements<'a> {
    fn of_file(bytes: &'a [u8]) -> Result<Self> {
        let not_one = |got: &str| Error::input("file", "a MATLAB 5 file", got);
        if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
            return Err(not_one("an HDF5 file"));
        }
        let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(not_one(&format!("{} bytes, fewer than its header has", bytes.len())));
        };
        let (order, version) = match header.last_chunk() {
            Some(&[low, high, b'I', b'M']) => (ByteOrder::Little, [high, low]),
            Some(&[high, low, b'M', b'I']) => (ByteOrder::Big, [high, low]),
            _ => {
                return Err(not_one(
                    "bytes without its mark at 126 (MATLAB 4 and other formats are not read)",
                ));
            }
        };
        match version {
            [1, 0] => Ok(Self { rest, order }),
            [2, 0] => Err(not_one(
                "version 7.3, which is HDF5 (`save` with `-v7` writes what is read here)",
            )),
            [major, minor] => Err(not_one(&format!("version {major}.{minor}"))),
        }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, what: &str, n: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(Error::input(
                what,
                format!("{n} bytes"),
                format!("{}, then the end", self.rest.len()),
            ));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn take_u32(&mut self, what: &str) -> Result<u32> {
        let mut raw = [0; 4];
        raw.copy_from_slice(self.take(what, 4)?);
        Ok(self.order.u32(raw))
    }

    fn next(&mut self) -> Result<Element<'a>> {
        let order = self.order;
        let first = self.take_u32("tag of an element")?;
        if first >> 16 != 0 {
            // A small element: the length shares a word with the type, the data fill the second.
            let (kind, length) = (first & 0xFFFF, (first >> 16) as usize);
            let data = self.take("small element", 4)?;
            let data = data
                .get(..length)
                .ok_or_else(|| Error::input("length of a small element", "1 to 4", length))?;
            return Ok(Element { kind, data, order });
        }
        let length = self.take_u32("tag of an element")? as usize;
        let data = self.take("data of an element", length)?;
        if first != COMPRESSED {
            // Some writers leave out the padding of what stands last.
            let padding = length.wrapping_neg() % 8;
            self.rest = self.rest.get(padding..).unwrap_or_default();
        }
        Ok(Element {
            kind: first,
            data,
            order,
        })
    }

    fn next_of(&mut self, part: &str, kinds: &[u32]) -> Result<Element<'a>> {
        let element = self.next().map_err(|e| e.context(part))?;
        if kinds.contains(&element.kind) {
            Ok(element)
        } else {
            let expected = kinds.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
            Err(Error::input(&format!("type of the {part}"), expected, element.kind))
        }
    }
}

impl<'a> Element<'a> {
    fn elements(&self) -> Elements<'a> {
        Elements {
            rest: self.data,
            order: self.order,
        }
    }

    fn words(&self) -> impl Iterator<Item = u32> {
        let order = self.order;
        self.data.as_chunks().0.iter().map(move |&raw| order.u32(raw))
    }
}

/// What may still be allocated for one file.
struct Reader {
    values_left: usize,
    inflated_left: usize,
}

impl Reader {
    fn variable(&mut self, element: Element<'_>) -> Result<Variable> {
        let inflated;
        let array = match element.kind {
            MATRIX => element,
            COMPRESSED => {
                inflated = self.inflate(element.data)?;
                the_array_in(&inflated, element.order)?
            }
            kind => {
                let expected = format!("{MATRIX} (array) or {COMPRESSED} (compressed)");
                return Err(Error::input("type of an element", expected, kind));
            }
        };
        let mut parts = array.elements();
        let flags = parts.next_of("array flags", &[6])?;
        let mut words = flags.words();
        let (Some(flags), 8) = (words.next(), flags.data.len()) else {
            return Err(Error::input("array flags", "8 bytes", flags.data.len()));
        };
        let Some((class, is_numeric)) = class_of(flags & 0xFF) else {
            return Err(Error::input("class of an array", "1 to 17", flags & 0xFF));
        };
        if class == "opaque" {
            // Its parts are laid out otherwise: the name comes first.
            return Ok(Variable::Other(name_of(parts.next_of("name", &[1, 2, 16])?)?, class));
        }
        let shape = shape_of(parts.next_of("dimensions", &[5])?)?;
        let name = name_of(parts.next_of("name", &[1, 2, 16])?)?;
        if !is_numeric {
            return Ok(Variable::Other(name, class));
        }
        let complex = flags & COMPLEX != 0;
        self.numeric(name.clone(), class, shape, complex, parts)
            .map_err(|e| e.context(format!("array {}", shown(&name))))
    }

    fn inflate(&mut self, stream: &[u8]) -> Result<Vec<u8>> {
        let bytes = decompress_to_vec_zlib_with_limit(stream, self.inflated_left).map_err(|e| match e.status {
            TINFLStatus::HasMoreOutput => {
                let expected = format!("at most {MAX_INFLATED_BYTES} bytes of the file inflated");
                Error::input("compressed elements", expected, "more")
            }
            _ => Error::input("compressed element", "a zlib stream", format!("damage ({e})")),
        })?;
        self.inflated_left = self.inflated_left.saturating_sub(bytes.len());
        Ok(bytes)
    }

    fn numeric(
        &mut self,
        name: String,
        class: &'static str,
        shape: Vec<usize>,
        complex: bool,
        mut parts: Elements<'_>,
    ) -> Result<Variable> {
        let n = shape.iter().try_fold(1_usize, |n, &length| n.checked_mul(length));
        let n = n.filter(|&n| n <= MAX_VALUES).ok_or_else(|| {
            Error::input(
                "dimensions",
                format!("at most {MAX_VALUES} numbers"),
                format!("{shape:?}"),
            )
        })?;
        let values = self.part("real part", parts.next()?, n)?;
        let imaginary = match complex {
            true => Some(self.part("imaginary part", parts.next()?, n)?),
            false => None,
        };
        if !parts.is_empty() {
            return Err(Error::input(
                "array",
                "no more parts",
                format!("{} bytes more", parts.rest.len()),
            ));
        }
        Ok(Variable::Numeric(MatArray {
            name,
            class,
            shape,
            values,
            imaginary,
        }))
    }

    fn part(&mut self, part: &str, element: Element<'_>, n: usize) -> Result<Vec<f64>> {
        self.values_left = self
            .values_left
            .checked_sub(n)
            .ok_or_else(|| Error::input("numbers", format!("at most {MAX_VALUES}"), "more"))?;
        let (data, order) = (element.data, element.order);
        let values = match element.kind {
            1 => widened(data, n, |raw| f64::from(i8::from_le_bytes(raw))),
            2 => widened(data, n, |raw| f64::from(u8::from_le_bytes(raw))),
            3 => widened(data, n, |raw| f64::from(i16::from_le_bytes(order.little(raw)))),
            4 => widened(data, n, |raw| f64::from(u16::from_le_bytes(order.little(raw)))),
            5 => widened(data, n, |raw| f64::from(i32::from_le_bytes(order.little(raw)))),
            6 => widened(data, n, |raw| f64::from(u32::from_le_bytes(order.little(raw)))),
            7 => widened(data, n, |raw| f64::from(f32::from_le_bytes(order.little(raw)))),
            9 => widened(data, n, |raw| f64::from_le_bytes(order.little(raw))),
            12 => widened(data, n, |raw| i64::from_le_bytes(order.little(raw)) as f64),
            13 => widened(data, n, |raw| u64::from_le_bytes(order.little(raw)) as f64),
            kind => return Err(Error::input(&format!("type of the {part}"), "that of a number", kind)),
        };
        values.ok_or_else(|| {
            let got = format!("{} bytes of type {}", data.len(), element.kind);
            Error::input(part, format!("{n} numbers"), got)
        })
    }
}

/// The one element that an inflated stream holds.
fn the_array_in(inflated: &[u8], order: ByteOrder) -> Result<Element<'_>> {
    let mut elements = Elements { rest: inflated, order };
    let element = elements.next().map_err(|e| e.context("compressed element"))?;
    if element.kind != MATRIX || !elements.is_empty() {
        return Err(Error::input(
            "compressed element",
            "one array",
            "something else or more",
        ));
    }
    Ok(element)
}

/// The `n` numbers of `N` bytes that `data` consists of, or `None` where it has another length.
fn widened<const N: usize>(data: &[u8], n: usize, number: impl Fn([u8; N]) -> f64) -> Option<Vec<f64>> {
    let (chunks, rest) = data.as_chunks();
    (chunks.len() == n && rest.is_empty()).then(|| chunks.iter().map(|&raw| number(raw)).collect())
}

fn shape_of(element: Element<'_>) -> Result<Vec<usize>> {
    let n = element.data.len() / 4;
    if !(2..=MAX_DIMENSIONS).contains(&n) || !element.data.len().is_multiple_of(4) {
        let got = format!("{} bytes", element.data.len());
        return Err(Error::input(
            "dimensions",
            format!("2 to {MAX_DIMENSIONS} numbers of 4 bytes"),
            got,
        ));
    }
    let length = |word: u32| match i32::try_from(word) {
        Ok(length) => Ok(length as usize),
        Err(_) => Err(Error::input("dimensions", "lengths below 2147483648", word)),
    };
    element.words().map(length).collect()
}

fn name_of(element: Element<'_>) -> Result<String> {
    match std::str::from_utf8(element.data) {
        Ok(name) => Ok(name.to_owned()),
        Err(e) => Err(Error::new(ErrorKind::InvalidInput, "name: expected UTF-8, got another encoding").with_source(e)),
    }
}
