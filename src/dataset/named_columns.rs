//! Columns of a text table, found by their names in the first line.

use super::{shown, utf8};
use crate::error::{Error, ErrorKind, Result};

/// The most columns of a table: a line that is all separators is refused before it is taken apart.
const MAX_COLUMNS: usize = 1024;

/// Where the wanted columns stand.
pub(super) struct NamedColumns {
    separator: char,
    /// For each column of the table, which of the wanted ones it is.
    wanted: Vec<Option<usize>>,
    found: Vec<bool>,
}

impl NamedColumns {
    /// Of the table whose first line is `header`; blanks around names mean nothing. A name may be absent, not twice.
    pub(super) fn of(header: &str, separator: char, names: &[&str]) -> Result<Self> {
        let n_columns = header.split(separator).take(MAX_COLUMNS + 1).count();
        if n_columns > MAX_COLUMNS {
            return Err(Error::input("columns", format!("at most {MAX_COLUMNS}"), "more"));
        }
        let mut found = vec![false; names.len()];
        let mut wanted = Vec::with_capacity(n_columns);
        for field in header.split(separator) {
            let place = names.iter().position(|&name| name == field.trim());
            if let Some(seen) = place.and_then(|i| found.get_mut(i)) {
                if *seen {
                    return Err(Error::input("header", "each column once", shown(field)));
                }
                *seen = true;
            }
            wanted.push(place);
        }
        Ok(Self {
            separator,
            wanted,
            found,
        })
    }

    /// Whether the table has the wanted column `i`.
    pub(super) fn has(&self, i: usize) -> bool {
        self.found.get(i).copied().unwrap_or(false)
    }

    /// The names of the columns of the table that are none of the wanted ones.
    pub(super) fn others<'h>(&self, header: &'h str) -> impl Iterator<Item = &'h str> {
        let fields = header.split(self.separator).zip(&self.wanted);
        fields.filter(|(_, wanted)| wanted.is_none()).map(|(field, _)| field)
    }

    /// The wanted fields of a line, in the order in which they were asked for; nothing where there is no such column.
    pub(super) fn fields<'l>(&self, line: &'l str, out: &mut Vec<&'l str>) -> Result<()> {
        out.clear();
        out.resize(self.found.len(), "");
        let mut fields = line.split(self.separator);
        let mut n = 0;
        for (wanted, field) in self.wanted.iter().zip(&mut fields) {
            n += 1;
            if let Some(slot) = wanted.and_then(|i| out.get_mut(i)) {
                *slot = field.trim();
            }
        }
        let more = fields.next().is_some();
        if n < self.wanted.len() || more {
            let expected = self.wanted.len();
            let got = if more { "more".to_owned() } else { n.to_string() };
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("expected {expected} columns as in the header, got {got}"),
            ));
        }
        Ok(())
    }
}

/// The lines of a text with their numbers from 1, without a byte order mark and without blank lines at its end.
pub(super) fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>> {
    let text = utf8(bytes)?.trim_ascii_end();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(text.lines().enumerate().map(|(i, line)| (i + 1, line)))
}

/// A reading; NaN for nothing or a NaN in any case.
pub(super) fn reading(field: &str) -> Option<f64> {
    if field.is_empty() {
        return Some(f64::NAN);
    }
    match field.parse::<f64>() {
        Ok(x) if x.is_finite() => Some(x),
        Ok(x) if x.is_nan() => Some(f64::NAN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let columns = NamedColumns::of("b; a ;x", ';', &["a", "b", "c"]).unwrap();
        assert_eq!((columns.has(0), columns.has(1), columns.has(2)), (true, true, false));
        assert_eq!(columns.others("b; a ;x").collect::<Vec<_>>(), ["x"]);
        let mut fields = Vec::new();
        columns.fields("1;2;3", &mut fields).unwrap();
        assert_eq!(fields, ["2", "1", ""]);
        for bad in ["", "1;2", "1;2;3;4", "1,2,3"] {
            assert!(columns.fields(bad, &mut fields).is_err(), "{bad}");
        }
        assert!(NamedColumns::of("a;b;a", ';', &["a"]).is_err());
        assert!(NamedColumns::of("x;b;x", ';', &["a"]).is_ok());
        assert!(NamedColumns::of(&";".repeat(MAX_COLUMNS), ';', &["a"]).is_err());
        assert!(NamedColumns::of(&";".repeat(MAX_COLUMNS - 1), ';', &["a"]).is_ok());
    }

    #[test]
    fn missing_readings_are_nan_and_words_are_none() {
        for nan in ["", "NaN", "nan", "-NAN"] {
            assert!(reading(nan).is_some_and(f64::is_nan), "{nan}");
        }
        assert_eq!(reading("-1.5e300"), Some(-1.5e300));
        for bad in ["x", "1,5", "inf", "-infinity", "1e999", "0x1", "1_0", "--1"] {
            assert_eq!(reading(bad), None, "{bad}");
        }
    }
}
