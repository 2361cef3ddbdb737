//! Sets of one folder a group, one CSV file a series.

use super::{MAX_ASSETS, too_many_assets};
use crate::error::{Error, Result};
use std::{
    cmp::Ordering,
    fs,
    path::{Path, PathBuf},
};

/// The most entries of one folder that are looked at.
const MAX_ENTRIES: usize = 1 << 20;

/// Every `<group>/<name>.csv` below `dir`, by group and name in natural order (`2` before `10`): the two joined by `/`, and
/// the path. Links to files and folders are followed, no deeper than that.
///
/// # Errors
/// `Io` where a folder cannot be read; `InvalidInput` for a name that is not UTF-8 or more than [`MAX_ASSETS`] files;
/// `InsufficientData` without a file. Each names the path.
pub(super) fn grouped_csv_files(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for (group, path) in entries(dir)? {
        if !path.is_dir() {
            continue;
        }
        for (name, path) in entries(&path)? {
            let is_csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
            if !is_csv || !path.is_file() {
                continue;
            }
            if files.len() == MAX_ASSETS {
                return Err(too_many_assets().context(dir.display()));
            }
            files.push((format!("{group}/{name}"), path));
        }
    }
    if files.is_empty() {
        let e = Error::insufficient("folder", "at least 1 file `<group>/<name>.csv`", 0);
        return Err(e.context(dir.display()));
    }
    Ok(files)
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |e| Error::io("list", dir, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().map_err(|name| {
            let got = name.to_string_lossy().into_owned();
            Error::input("file name", "UTF-8", super::shown(&got)).context(dir.display())
        })?;
        if found.len() == MAX_ENTRIES {
            let e = Error::input("entries of the folder", format!("at most {MAX_ENTRIES}"), "more");
            return Err(e.context(dir.display()));
        }
        found.push((name, entry.path()));
    }
    found.sort_by(|a, b| natural_order(&a.0, &b.0));
    Ok(found)
}

/// Digits in a row count as one number; where that decides nothing, text does.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    while let (Some(p), Some(q)) = (x.chars().next(), y.chars().next()) {
        if p.is_ascii_digit() && q.is_ascii_digit() {
            let ((n, rest_x), (m, rest_y)) = (number(x), number(y));
            // Without leading zeros the longer one is the larger.
            match n.len().cmp(&m.len()).then_with(|| n.cmp(m)) {
                Ordering::Equal => (x, y) = (rest_x, rest_y),
                decided => return decided,
            }
        } else if p == q {
            (x, y) = (x.split_at(p.len_utf8()).1, y.split_at(q.len_utf8()).1);
        } else {
            return p.cmp(&q);
        }
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

/// The digits that `text` begins with, without leading zeros, and what follows.
fn number(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(end);
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = [
            "10.csv",
            "2.csv",
            "1.csv",
            "b",
            "a10b",
            "a9c",
            "a09c",
            "a",
            "é1",
            "a99999999999999999999999",
            "0",
            "00",
            "",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        let expected = [
            "",
            "0",
            "00",
            "1.csv",
            "2.csv",
            "10.csv",
            "a",
            "a09c",
            "a9c",
            "a10b",
            "a99999999999999999999999",
            "b",
            "é1",
        ];
        assert_eq!(names, expected);
        for (a, b) in names.iter().zip(names.iter().skip(1)) {
            assert_eq!(natural_order(a, b), natural_order(b, a).reverse());
        }
    }
}
