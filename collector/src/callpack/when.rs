//! Times as people tell them.

use crate::words::Lang;
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;

/// The time zone in which times are told.
#[derive(Debug, Clone)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// The zone of an IANA name; empty: UTC. `None` where there is no such zone.
    pub fn of(name: &str) -> Option<Self> {
        let name = if name.is_empty() { "UTC" } else { name };
        Some(Self { name: name.to_owned(), zone: TimeZone::get(name).ok()? })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `2026-01-31 16:00:05`.
    pub fn exact(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_millisecond(at.as_millis()) {
            Ok(time) => time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => at.to_string(),
        }
    }

    /// `31 January, 16:00`, `1月31日16点00分`.
    pub fn said(&self, at: Timestamp, lang: Lang) -> String {
        let Ok(time) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return at.to_string() };
        let time = time.to_zoned(self.zone.clone());
        match lang {
            Lang::En => time.strftime("%-d %B, %H:%M").to_string(),
            Lang::ZhCn => time.strftime("%-m月%-d日%-H点%M分").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_zone() {
        let at: Timestamp = "2026-01-31T16:05:09Z".parse().unwrap();
        let shanghai = Zone::of("Asia/Shanghai").unwrap();
        assert_eq!(shanghai.exact(at), "2026-02-01 00:05:09");
        assert_eq!(Zone::of("").unwrap().said(at, Lang::En), "31 January, 16:05");
        assert_eq!(shanghai.said(at, Lang::ZhCn), "2月1日0点05分");
        assert!(Zone::of("Mars/Olympus").is_none());
        assert_eq!(
            Zone::of("").unwrap().exact(Timestamp::from_millis(i64::MAX)),
            Timestamp::from_millis(i64::MAX).to_string()
        );
    }
}
