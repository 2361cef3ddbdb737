//! Instants as tables of data sets write them: `2014-04-01 00:05:00`.

use super::shown;
use crate::{
    error::{Error, Result},
    quantity::Timestamp,
};

/// The instant that `field` names in UTC: `year-month-day hour:minute:second` with up to nine decimals, `T` in place of
/// the blank allowed. Calendars are Gregorian throughout; a leap second is none.
///
/// # Errors
/// `InvalidInput` for anything else, and for days that do not exist or lie beyond the range of [`Timestamp`].
pub(super) fn instant(field: &str) -> Result<Timestamp> {
    nanos(field).map(Timestamp::from_nanos).ok_or_else(|| {
        let expected = "a time such as 2014-04-01 00:05:00 between the years 1678 and 2261";
        Error::input("time", expected, shown(field))
    })
}

fn nanos(field: &str) -> Option<i64> {
    let (date, time) = field.split_once([' ', 'T'])?;
    let [year, month, day] = three(date, '-')?;
    let (clock, decimals) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = three(clock, ':')?;
    let year = digits(year, 4)?;
    let (month, day) = (digits(month, 2)?, digits(day, 2)?);
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    let within = (1678..=2261).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !within || decimals.len() > 9 {
        return None;
    }
    let parts = digits(decimals, decimals.len())? * 10_i64.pow(9 - u32::try_from(decimals.len()).ok()?);
    let seconds = ((days_before(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(parts)
}

fn three(text: &str, separator: char) -> Option<[&str; 3]> {
    let (first, rest) = text.split_once(separator)?;
    let (second, third) = rest.split_once(separator)?;
    Some([first, second, third])
}

/// The number that exactly `n` decimal digits write, at least one and at most nine.
fn digits(text: &str, n: usize) -> Option<i64> {
    let fits = text.len() == n && (1..=9).contains(&n) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the first of January 1970 to this day.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // Leap days up to the end of the year before.
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let months: i64 = (1..month).map(|m| days_in(year, m)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_those_of_the_calendar() {
        // By Python: int(datetime(..., tzinfo=timezone.utc).timestamp()).
        for (text, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2014-04-01 00:05:00", 1_396_310_700),
            ("2000-02-29 23:59:59", 951_868_799),
            ("2000-03-01 00:00:00", 951_868_800),
            ("1900-03-01T00:00:00", -2_203_891_200),
            ("1678-01-01 00:00:00", -9_214_560_000),
            ("2261-12-31 23:59:59", 9_214_646_399),
        ] {
            assert_eq!(instant(text).unwrap(), Timestamp::from_secs(seconds), "{text}");
        }
        let fine = instant("2014-04-10 07:15:00.000001").unwrap();
        assert_eq!(fine.nanos(), 1_397_114_100_000_001_000);
        assert_eq!(instant("1969-12-31 23:59:59.5").unwrap().nanos(), -500_000_000);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = days_before(1678, 1, 1);
        for year in 1678..=2261 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days_before(year, month, day), expected);
                    expected += 1;
                }
            }
        }
        assert_eq!(days_before(1970, 1, 1), 0);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2014-04-01",
            "2014-04-01 00:05",
            "2014-4-1 00:05:00",
            "2014-02-29 00:00:00",
            "1900-02-29 00:00:00",
            "2014-13-01 00:00:00",
            "2014-00-01 00:00:00",
            "2014-01-00 00:00:00",
            "2014-04-01 24:00:00",
            "2014-04-01 00:60:00",
            "2014-04-01 00:00:60",
            "2014-04-01 00:00:00.",
            "2014-04-01 00:00:00.0123456789",
            "2014-04-01 00:00:00Z",
            "2014-04-01  00:00:00",
            "2014-04-01 +1:00:00",
            "-014-04-01 00:00:00",
            "1677-12-31 00:00:00",
            "2262-01-01 00:00:00",
            "2014-04-01 00:00:0１",
            "99999999999999999999-04-01 00:00:00",
            "NaN",
        ] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
