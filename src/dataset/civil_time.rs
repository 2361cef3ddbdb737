//! Instants as tables of data sets write them: `2014-04-01 00:05:00`.

use super::shown;
use crate::{
    error::{Error, Result},
    quantity::Timestamp,
};
use chrono::NaiveDateTime;

/// The instant that `field` names in UTC: `year-month-day hour:minute:second` with decimals or without, `T` in place of the
/// blank allowed; a leap second is the second after it.
///
/// # Errors
/// `InvalidInput` for anything else, and for days that do not exist or lie beyond the range of [`Timestamp`].
pub(super) fn instant(field: &str) -> Result<Timestamp> {
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let time = formats
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(field, f).ok());
    let nanos = time.and_then(|t| t.and_utc().timestamp_nanos_opt());
    nanos.map(Timestamp::from_nanos).ok_or_else(|| {
        let expected = "a time such as 2014-04-01 00:05:00 between the years 1678 and 2261";
        Error::input("time", expected, shown(field))
    })
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
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2014-04-01",
            "2014-04-01 00:05",
            "2014-02-29 00:00:00",
            "1900-02-29 00:00:00",
            "2014-13-01 00:00:00",
            "2014-00-01 00:00:00",
            "2014-01-00 00:00:00",
            "2014-04-01 24:00:00",
            "2014-04-01 00:60:00",
            "2014-04-01 00:00:00.",
            "2014-04-01 00:00:00Z",
            "2014-04-01 +1:00:00",
            "-014-04-01 00:00:00",
            "1677-01-01 00:00:00",
            "2263-01-01 00:00:00",
            "2014-04-01 00:00:0１",
            "99999999999999999999-04-01 00:00:00",
            "NaN",
        ] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
