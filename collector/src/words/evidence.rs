//! What the disk model's evidence says, in other words: the facts of `disk.predicted` are written in one way, in English, and read here.

use super::{Audience, Lang};

/// A fact of a foretold disk failure, for this reader; `None`: it is no such fact, and stands as it is.
pub fn evidence(text: &str, audience: Audience, lang: Lang) -> Option<String> {
    let fact = Fact::read(text)?;
    Some(match (audience, lang) {
        (Audience::Operator, Lang::En) => text.to_owned(),
        (Audience::Operator, Lang::ZhCn) => fact.operator_zh(),
        (Audience::Customer, Lang::En) => fact.customer_en(),
        (Audience::Customer, Lang::ZhCn) => fact.customer_zh(),
    })
}

/// How an attribute came to where it is, or that it stands there.
#[derive(Debug, Clone, Copy)]
enum Course<'a> {
    Moved { rose: bool, old: &'a str, new: &'a str, when: When<'a> },
    Back { level: &'a str, when: When<'a> },
    Stands(&'a str),
    Missing,
}

#[derive(Debug, Clone, Copy)]
enum When<'a> {
    On(&'a str),
    Between(&'a str, &'a str),
}

#[derive(Debug, Clone, Copy)]
enum Fact<'a> {
    /// An attribute, by its number, and its points.
    Attribute {
        number: &'a str,
        course: Course<'a>,
        points: &'a str,
    },
    /// The drive as a whole.
    Drive {
        points: &'a str,
    },
    Score {
        score: &'a str,
        threshold: &'a str,
        base: &'a str,
        listed: &'a str,
        rest: &'a str,
    },
    Cohort {
        drives: &'a str,
        of: &'a str,
        rose: &'a str,
        failed: &'a str,
        whose: &'a str,
    },
}

/// What stands in the places marked `{}` of a pattern.
fn holes<'a, const N: usize>(pattern: &str, text: &'a str) -> Option<[&'a str; N]> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut found = [""; N];
    let mut places = found.iter_mut();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let end = if piece.is_empty() && pieces.peek().is_none() { rest.len() } else { rest.find(piece)? };
        *places.next()? = rest.get(..end)?;
        rest = rest.get(end + piece.len()..)?;
    }
    rest.is_empty().then_some(found)
}

impl<'a> When<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if let Some([first, last]) = holes("between {} and {}", text) {
            return Some(Self::Between(first, last));
        }
        holes("on {}", text).map(|[day]| Self::On(day))
    }

    fn zh(self) -> String {
        match self {
            Self::On(day) => format!("{day} 当日"),
            Self::Between(first, last) => format!("{first} 至 {last} 间"),
        }
    }

    fn en(self) -> String {
        match self {
            Self::On(day) => format!("on {day}"),
            Self::Between(first, last) => format!("between {first} and {last}"),
        }
    }
}

impl<'a> Course<'a> {
    fn read(text: &'a str) -> Option<Self> {
        for (rose, pattern) in [(true, "rose from {} to {} {}"), (false, "fell from {} to {} {}")] {
            if let Some([old, new, when]) = holes(pattern, text) {
                return Some(Self::Moved { rose, old, new, when: When::read(when)? });
            }
        }
        if let Some([level, when]) = holes("moved and is {} again, {}", text) {
            return Some(Self::Back { level, when: When::read(when)? });
        }
        if text == "is not reported" {
            return Some(Self::Missing);
        }
        holes("stands at {}", text).map(|[level]| Self::Stands(level))
    }

    fn zh(self) -> String {
        match self {
            Self::Moved { rose, old, new, when } => {
                format!("{}由 {old} {}至 {new}", when.zh(), if rose { "升" } else { "降" })
            }
            Self::Back { level, when } => format!("{}有变动，现又为 {level}", when.zh()),
            Self::Stands(level) => format!("为 {level}"),
            Self::Missing => "未上报".to_owned(),
        }
    }

    fn en(self) -> String {
        match self {
            Self::Moved { rose, old, new, when } => {
                format!("{} from {old} to {new} {}", if rose { "rose" } else { "fell" }, when.en())
            }
            Self::Back { level, when } => format!("changed {} and is {level} again", when.en()),
            Self::Stands(level) => format!("is {level}"),
            Self::Missing => "is not reported".to_owned(),
        }
    }
}

impl<'a> Fact<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if let Some([number, _, rest]) = holes("SMART {} ({}) {}", text) {
            let (course, points) = rest.rsplit_once(": ")?;
            return Some(Self::Attribute { number, course: Course::read(course)?, points });
        }
        if let Some([points]) = holes("days with errors, age, maker and size: {}", text) {
            return Some(Self::Drive { points });
        }
        let score =
            "score {}, a ticket opens at {}: {} for any drive with new errors, {} for what is listed, {} for the rest";
        if let Some([score, threshold, base, listed, rest]) = holes(score, text) {
            return Some(Self::Score { score, threshold, base, listed, rest });
        }
        let cohort = "of {} drives of {} with this pattern ({} rose within 30 days), {} failed within 30 days ({})";
        let [drives, of, rose, failed, whose] = holes(cohort, text)?;
        Some(Self::Cohort { drives, of, rose, failed, whose })
    }

    fn operator_zh(self) -> String {
        match self {
            Self::Attribute { number, course, points } => {
                format!("SMART {number}（{}）{}，得分 {points}", named_zh(number), course.zh())
            }
            Self::Drive { points } => format!("出错天数、使用时长、厂商与容量，得分 {points}"),
            Self::Score { score, threshold, base, listed, rest } => {
                format!("总分 {score}，达到 {threshold} 即开单：凡新出错的硬盘 {base}，以上各项 {listed}，其余 {rest}")
            }
            Self::Cohort { drives, of, rose, failed, whose } => format!(
                "{drives} 块{}硬盘有相同征兆（30 天内属性 {rose} 上升），其中 {failed} 块在 30 天内失效（{}）",
                of_zh(of),
                whose_zh(whose)
            ),
        }
    }

    fn customer_zh(self) -> String {
        match self {
            Self::Attribute { number, course, .. } => format!("{}{}", plain_zh(number), course.zh()),
            Self::Drive { .. } => "出错的天数、使用时长和型号也计入判断。".to_owned(),
            Self::Score { .. } => "综合以上征兆，已达到应提前更换的程度。".to_owned(),
            Self::Cohort { drives, failed, .. } => {
                format!("以往有相同征兆的 {drives} 块硬盘中，{failed} 块在 30 天内失效。")
            }
        }
    }

    fn customer_en(self) -> String {
        match self {
            Self::Attribute { number, course, .. } => format!("{} {}", plain_en(number), course.en()),
            Self::Drive { .. } => "On how many days it made errors, its age and its make count, too.".to_owned(),
            Self::Score { .. } => {
                "Together these signs reach the point from which on we replace a disk before it fails.".to_owned()
            }
            Self::Cohort { drives, failed, .. } => {
                format!("Of {drives} disks that showed the same before, {failed} failed within 30 days.")
            }
        }
    }
}

fn named_zh(number: &str) -> &'static str {
    match number {
        "5" => "重映射扇区",
        "10" => "起转重试",
        "12" => "通电次数",
        "187" => "已上报不可纠正错误",
        "188" => "命令超时",
        "189" => "磁头飞高写入",
        "196" => "重映射事件",
        "197" => "待映射扇区",
        "198" => "离线不可纠正扇区",
        _ => "属性",
    }
}

fn plain_zh(number: &str) -> &'static str {
    match number {
        "5" | "196" => "已损坏并被替换的区域数",
        "187" => "未能正确读出的次数",
        "197" | "198" => "读不出的区域数",
        "188" => "应答过慢的次数",
        _ => "硬盘自身的一项计数",
    }
}

fn plain_en(number: &str) -> &'static str {
    match number {
        "5" | "196" => "The number of damaged spots that the disk has replaced",
        "187" => "The number of times the disk could not read data",
        "197" | "198" => "The number of spots that the disk cannot read",
        "188" => "The number of times the disk answered too late",
        _ => "A count that the disk keeps of itself",
    }
}

fn of_zh(of: &str) -> String {
    if of == "any model" { "各型号".to_owned() } else { format!(" {of} ") }
}

fn whose_zh(whose: &str) -> String {
    match holes("training data to {}", whose) {
        Some([day]) => format!("训练数据，截至 {day}"),
        None => "本机群".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `disk.predicted` writes them: its own tests pin these texts.
    const FACTS: [&str; 9] = [
        "SMART 197 (pending sectors) rose from 0 to 24 between 2026-05-03 and 2026-05-09: +1.84",
        "SMART 187 (reported uncorrectable errors) rose from 0 to 7 on 2026-05-04: +0.28",
        "SMART 197 (pending sectors) fell from 24 to 8 on 2026-05-04: +0.11",
        "SMART 198 (offline uncorrectable sectors) moved and is 3 again, between 2026-05-03 and 2026-05-09: +0.10",
        "SMART 5 (reallocated sectors) stands at 48: +1.00",
        "SMART 196 (reallocation events) is not reported: +0.02",
        "days with errors, age, maker and size: +0.66",
        "score +1.27, a ticket opens at +0.49: -2.13 for any drive with new errors, +3.50 for what is listed, -0.10 for the rest",
        "of 412 drives of ST4000DM000 with this pattern (187, 197 rose within 30 days), 131 failed within 30 days (training data to 2015-09-30)",
    ];

    fn told(fact: &str, audience: Audience, lang: Lang) -> String {
        evidence(fact, audience, lang).unwrap_or_else(|| panic!("not read: {fact}"))
    }

    #[test]
    fn every_fact_of_a_foretold_disk_is_told_to_everybody_in_both_languages() {
        for fact in FACTS {
            for audience in Audience::ALL {
                for lang in Lang::ALL {
                    let text = told(fact, audience, lang);
                    let han = text.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).count();
                    assert_eq!(han > 1, lang == Lang::ZhCn, "{text}");
                    assert!(
                        audience == Audience::Operator || !text.contains("SMART") && !text.contains("+1"),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn values_days_and_counts_stay_what_they_are() {
        assert_eq!(
            told(FACTS[0], Audience::Operator, Lang::ZhCn),
            "SMART 197（待映射扇区）2026-05-03 至 2026-05-09 间由 0 升至 24，得分 +1.84"
        );
        assert_eq!(
            told(FACTS[0], Audience::Customer, Lang::En),
            "The number of spots that the disk cannot read rose from 0 to 24 between 2026-05-03 and 2026-05-09"
        );
        assert_eq!(
            told(FACTS[8], Audience::Operator, Lang::ZhCn),
            "412 块 ST4000DM000 硬盘有相同征兆（30 天内属性 187, 197 上升），其中 131 块在 30 天内失效（训练数据，截至 2015-09-30）"
        );
        assert_eq!(
            told(FACTS[8], Audience::Customer, Lang::ZhCn),
            "以往有相同征兆的 412 块硬盘中，131 块在 30 天内失效。"
        );
    }

    #[test]
    fn what_other_rules_say_stands_as_it_is() {
        for fact in ["reallocated_sectors 0 -> 64", "SMART passed", "score", "of 3 drives", ""] {
            assert_eq!(evidence(fact, Audience::Operator, Lang::ZhCn), None, "{fact}");
        }
    }
}
