//! A report as people read it, whatever the format: headings, sentences and tables of typed cells. Every format is written from the same
//! document, so that no figure can differ between them.

use crate::words::Lang;
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use std::time::Duration;

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    /// What it is called.
    pub title: String,
    /// The language that it speaks.
    pub lang: Lang,
    /// The zone of its times.
    pub zone: TimeZone,
    /// What it says, in this order.
    pub blocks: Vec<Block>,
}

/// A piece of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading below the title.
    Heading(String),
    /// A sentence or more.
    Text(String),
    /// Sentences, one a line.
    List(Vec<String>),
    /// Rows under heads.
    Table(Table),
}

/// Rows of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// By which programs know it: lower case letters and `_`, at most 31 bytes, unique in its report.
    pub key: &'static str,
    /// What people call it.
    pub title: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// What stands there where there are no rows.
    pub empty: String,
}

/// A value in a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// How many.
    Count(u64),
    /// A number with decimals, and how many of them are shown.
    Number(f64, usize),
    /// So many of so many; of none there is no share, which is not the same as all.
    Share(u64, u64),
    /// A length of time.
    Span(Duration),
    /// A point in time.
    Time(Timestamp),
    /// Nothing is known, or there is nothing.
    None,
}

impl Cell {
    /// Words, or nothing where there are none.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::None } else { Self::Text(text) }
    }

    /// A number of things.
    pub fn count(n: usize) -> Self {
        Self::Count(u64::try_from(n).unwrap_or(u64::MAX))
    }

    /// A span that may not be known.
    pub fn span(span: Option<Duration>) -> Self {
        span.map_or(Self::None, Self::Span)
    }

    /// A time that may not be known.
    pub fn time(at: Option<Timestamp>) -> Self {
        at.map_or(Self::None, Self::Time)
    }

    /// As people read it.
    pub fn shown(&self, lang: Lang, zone: &TimeZone) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(n) => n.to_string(),
            Self::Number(n, digits) => format!("{n:.digits$}"),
            Self::Share(_, 0) | Self::None => none(lang).to_owned(),
            Self::Share(part, of) => format!("{:.2} %", share(*part, *of) * 100.0),
            Self::Span(span) => words_of(*span, lang),
            Self::Time(at) => super::period::local(*at, zone).replace('T', " "),
        }
    }

    /// As programs read it: spans in seconds, shares of 1, times as RFC 3339.
    pub fn raw(&self, lang: Lang, zone: &TimeZone) -> String {
        match self {
            Self::Share(part, of) if *of > 0 => format!("{:.6}", share(*part, *of)),
            Self::Number(n, _) => n.to_string(),
            Self::Span(span) => seconds(*span),
            Self::Time(at) => super::period::local(*at, zone),
            Self::Text(_) | Self::Count(_) | Self::Share(..) | Self::None => self.shown(lang, zone),
        }
    }
}

/// What is shown where there is nothing.
pub fn none(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "none",
        Lang::ZhCn => "无",
    }
}

/// A share as a number between 0 and 1, never rounded up to 1: a miss among a million is no 100 %.
pub fn share(part: u64, of: u64) -> f64 {
    if part == of {
        return 1.0;
    }
    // Counts of tickets are far below 2^53.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let share = part as f64 / of as f64;
    // To the digits that are shown, downwards.
    (share * 1e4).floor() / 1e4
}

/// `15`, or `0.5`.
fn seconds(span: Duration) -> String {
    match span.subsec_millis() {
        0 => span.as_secs().to_string(),
        _ => format!("{:.3}", span.as_secs_f64()).trim_end_matches('0').to_owned(),
    }
}

/// `3 h 12 min`: the units that are not zero, down to the second; of days no seconds.
pub fn words_of(span: Duration, lang: Lang) -> String {
    let units = match lang {
        Lang::En => [" d", " h", " min", " s"],
        Lang::ZhCn => [" 天", " 小时", " 分钟", " 秒"],
    };
    let secs = span.as_secs();
    let parts = [secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60];
    let shown: Vec<String> =
        parts.iter().zip(units).filter(|(n, _)| **n > 0).take(3).map(|(n, unit)| format!("{n}{unit}")).collect();
    if shown.is_empty() { format!("0{}", units[3]) } else { shown.join(" ") }
}

impl Doc {
    /// Its tables, in their order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Table(table) => Some(table),
            _ => None,
        })
    }

    /// Only the table of this key; `None` where there is none.
    #[must_use]
    pub fn only(mut self, key: &str) -> Option<Self> {
        self.blocks.retain(|block| matches!(block, Block::Table(table) if table.key == key));
        (!self.blocks.is_empty()).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_none_there_is_no_share_and_a_miss_is_never_rounded_away() {
        let shown = |cell: Cell| cell.shown(Lang::En, &TimeZone::UTC);
        assert_eq!(shown(Cell::Share(0, 0)), "none");
        assert_eq!(Cell::Share(0, 0).raw(Lang::ZhCn, &TimeZone::UTC), "无");
        assert_eq!(shown(Cell::Share(999_999, 1_000_000)), "99.99 %");
        assert_eq!(shown(Cell::Share(7, 7)), "100.00 %");
        assert_eq!(shown(Cell::Share(0, 3)), "0.00 %");
    }

    #[test]
    fn spans_are_seconds_for_programs_and_words_for_people() {
        let span = Cell::Span(Duration::from_millis(11_520_500));
        assert_eq!(span.raw(Lang::En, &TimeZone::UTC), "11520.5");
        assert_eq!(span.shown(Lang::En, &TimeZone::UTC), "3 h 12 min");
        assert_eq!(Cell::Span(Duration::ZERO).shown(Lang::ZhCn, &TimeZone::UTC), "0 秒");
    }
}
