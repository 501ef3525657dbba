//! Times as BMCs write them.

use super::as_text;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;
use outband_schemas::Timestamp;
use serde_json::Value;

/// What was met beside RFC 3339, after [`plain`]. Where the zone is missing it is taken for UTC.
const FORMATS: [&str; 13] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M%:z",
    // DMTF's own mockups.
    "%Y-%m-%dT%H:%M.%S%:z",
    // Month first, as the makers of servers write it.
    "%m-%d-%Y %H:%M:%S",
    // XCC's metrics: 02 Aug 2024, 05:14:30.000 PM
    "%d %b %Y %I:%M:%S%.f %p",
    "%d %b %Y %H:%M:%S%.f",
    // C's asctime, with and without the name of the day: Thu Aug  8 18:48:11 2024
    "%a %b %d %H:%M:%S %Y",
    "%b %d %H:%M:%S %Y",
    "%b %d %Y %H:%M:%S",
    // HTTP: Tue, 06 Jun 2017 17:07:48 GMT
    "%a %d %b %Y %H:%M:%S",
    "%Y%m%dT%H%M%SZ",
];

/// A field's time: RFC 3339, and the forms of makers (slashes, month names, no zone, seconds since 1970). Without a zone it is taken for UTC. `None` where it
/// is null, zeros or no date.
pub fn time(value: &Value, field: &str) -> Option<Timestamp> {
    as_time(value.get(field)?)
}

/// Like [`time`], of a value itself.
pub fn as_time(value: &Value) -> Option<Timestamp> {
    let text = as_text(value).filter(|_| !value.is_boolean())?;
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number);
    }
    let found = text.parse().ok().or_else(|| {
        let plain = plain(&text);
        plain.parse().ok().or_else(|| FORMATS.iter().find_map(|format| read(format, &plain)))
    });
    // Earlier ones are zeros in some system's calendar: year 1, 1601.
    found.filter(|t: &Timestamp| t.as_millis() >= YEAR_1900)
}

const YEAR_1900: i64 = -2_208_988_800_000;

/// Seconds since 1970, or milliseconds: the size tells. Small numbers count from the start of the BMC and are no dates; larger ones lie beyond 2100.
fn epoch(number: f64) -> Option<Timestamp> {
    const YEAR_2000: f64 = 946_684_800.0;
    const YEAR_2100: f64 = 4_102_444_800.0;
    let is_seconds = |n: f64| (YEAR_2000..YEAR_2100).contains(&n);
    let millis = [number * 1000.0, number].into_iter().find(|m| is_seconds(m / 1000.0))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked above; a part of a millisecond says nothing"
    )]
    Some(Timestamp::from_millis(millis as i64))
}

/// One spelling for what the makers vary without meaning: slashes in dates, runs of blanks, commas, words for UTC, a colon before the zone, and no `T`.
fn plain(text: &str) -> String {
    let words = text.split([' ', ',', '\t']).filter(|w| !w.is_empty() && !matches!(*w, "UTC" | "GMT" | "Z"));
    let mut plain = words.collect::<Vec<_>>().join(" ").replace('/', "-").replace(":+", "+").replace(":-", "-");
    let is_date = plain
        .bytes()
        .take(10)
        .enumerate()
        .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    if is_date && matches!(plain.as_bytes().get(10), Some(b' ' | b'-' | b't')) {
        plain.replace_range(10..11, "T");
    }
    // "2024-08-08T18:48:07 +08:00"
    plain.replace(" +", "+").trim_end_matches(['Z', 'z']).to_owned()
}

fn read(format: &str, text: &str) -> Option<Timestamp> {
    let parts = BrokenDownTime::parse(format, text).ok()?;
    let offset = parts.offset().unwrap_or(Offset::UTC);
    let at = offset.to_timestamp(parts.to_datetime().ok()?).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Option<String> {
        as_time(&json!(text)).map(|t| t.to_string())
    }

    #[test]
    fn every_makers_spelling_of_a_time_is_read() {
        for (text, at) in [
            ("2024-08-08T18:48:07Z", "2024-08-08T18:48:07Z"),
            ("2024-08-08T18:48:07-05:00", "2024-08-08T23:48:07Z"),
            ("2024-06-11T00:14:55-0500", "2024-06-11T05:14:55Z"),
            ("2019-07-25 11:00:03+08:00", "2019-07-25T03:00:03Z"),
            ("2019-07-25 11:00:03 +08:00", "2019-07-25T03:00:03Z"),
            ("2024-08-08T18:48:07", "2024-08-08T18:48:07Z"),
            ("2024-08-08 18:48:07", "2024-08-08T18:48:07Z"),
            ("2024-08-08 18:48:07 UTC", "2024-08-08T18:48:07Z"),
            ("2012-03-07T14:44", "2012-03-07T14:44:00Z"),
            ("2012-03-07T14:44+06:00", "2012-03-07T08:44:00Z"),
            ("2016-03-07T14:44.30-05:00", "2016-03-07T19:44:30Z"),
            ("2022-04-20T15:28:36.064781408Z", "2022-04-20T15:28:36.064Z"),
            ("2023-11-30T21:04:18:+00:00", "2023-11-30T21:04:18Z"),
            ("2022/04/19 20:06:42", "2022-04-19T20:06:42Z"),
            ("2020/07/09-11:44:00", "2020-07-09T11:44:00Z"),
            ("08/12/2024 01:02:03", "2024-08-12T01:02:03Z"),
            ("02 Aug 2024, 05:14:30.000 PM", "2024-08-02T17:14:30Z"),
            ("02 Aug 2024, 12:00:00.000 AM", "2024-08-02T00:00:00Z"),
            ("Thu Aug  8 18:48:11 2024", "2024-08-08T18:48:11Z"),
            ("Mon Apr 19 07:00:00 2021 UTC", "2021-04-19T07:00:00Z"),
            ("Tue Nov 15 01:08:20 GMT 2022", "2022-11-15T01:08:20Z"),
            ("Tue, 06 Jun 2017 17:07:48 GMT", "2017-06-06T17:07:48Z"),
            ("1723142887", "2024-08-08T18:48:07Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(at), "{text}");
        }
        assert_eq!(as_time(&json!(1_723_142_887)), as_time(&json!(1_723_142_887_000_i64)));
        assert_eq!(as_time(&json!("2038-01-19T03:14:08Z")).unwrap().as_secs(), 1 << 31, "the future is a time too");
    }

    #[test]
    fn zeros_words_and_impossible_dates_are_no_time() {
        for text in [
            "0000-00-00T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "00:00:00Z",
            "T00:00:00Z",
            "N/A",
            "TIME_NA",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-08-08T25:00:00Z",
            "2024-08-08T18:48:07Z junk",
            "2024-08-08",
            "7",
            "-1",
            "1e300",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for value in [json!(null), json!(true), json!({}), json!(0)] {
            assert_eq!(as_time(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_as_rfc_3339_is_read_back(millis in YEAR_1900..250_000_000_000_000) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(as_time(&json!(at.to_string())), Some(at));
        }

        #[test]
        fn any_text_is_a_time_or_not_without_panic(text in "[0-9TZ:/.,+ A-Za-zé-]{0,40}") {
            prop_assert!(as_time(&json!(text)).is_none_or(|t| t.as_millis() >= YEAR_1900));
        }
    }
}
