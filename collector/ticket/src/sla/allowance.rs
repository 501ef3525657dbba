//! How much time a target allows, and how it is written.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How much time a target allows. Text form: `15 min`, `4 h`, `next business day`, `5 business days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Allowance {
    /// So much open time.
    Within(Duration),
    /// Until the end of the n-th business day after it began; 1 is the next business day.
    BusinessDays(u32),
}

/// The text is no allowance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no allowance such as `90 s`, `15 min`, `4 h`, `next business day` or `5 business days`")]
pub struct BadAllowance(String);

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BusinessDays(1) => f.write_str("next business day"),
            Self::BusinessDays(n) => write!(f, "{n} business days"),
            Self::Within(d) => match d.as_secs() {
                s if s >= 3600 && s.is_multiple_of(3600) => write!(f, "{} h", s / 3600),
                s if s >= 60 && s.is_multiple_of(60) => write!(f, "{} min", s / 60),
                s => write!(f, "{s} s"),
            },
        }
    }
}

impl FromStr for Allowance {
    type Err = BadAllowance;

    fn from_str(text: &str) -> Result<Self, BadAllowance> {
        let bad = || BadAllowance(text.to_owned());
        let text = text.trim();
        if text == "next business day" {
            return Ok(Self::BusinessDays(1));
        }
        let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(end);
        let number: u32 = number.parse().map_err(|_| bad())?;
        let seconds = |each: u64| Self::Within(Duration::from_secs(u64::from(number) * each));
        match unit.trim() {
            "s" => Ok(seconds(1)),
            "m" | "min" => Ok(seconds(60)),
            "h" => Ok(seconds(3600)),
            "business day" | "business days" if number > 0 => Ok(Self::BusinessDays(number)),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Allowance {
    type Error = BadAllowance;
    fn try_from(text: String) -> Result<Self, BadAllowance> {
        text.parse()
    }
}

impl From<Allowance> for String {
    fn from(a: Allowance) -> String {
        a.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_reads_back_what_it_prints() {
        for text in ["90 s", "15 min", "4 h", "next business day", "5 business days"] {
            assert_eq!(text.parse::<Allowance>().unwrap().to_string(), text);
        }
        assert!("soon".parse::<Allowance>().is_err());
        assert!("15".parse::<Allowance>().is_err());
    }
}
