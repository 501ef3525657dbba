//! Whether an event's day is worked, closed, or only remembered.

/// What an event makes of its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Closed,
    Worked,
    /// A festival on which people work.
    Observed,
}

/// A mark, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) mark: Mark,
    /// By a sign that is made to tell closed days from worked ones, so that a calendar that has it needs no guessing.
    pub(super) certain: bool,
}

/// Summaries that hold a word of the other list by accident.
const CLOSED_FIRST: &[&str] = &["不上班", "non-working", "nonworking", "no work", "不补班"];
const WORKED: &[&str] = &[
    "补班",
    "補班",
    "上班",
    "调班",
    "調班",
    "工作日",
    "（班",
    "(班",
    "[班",
    "【班",
    "working day",
    "workday",
    "work day",
    "make-up day",
    "make up day",
    "makeup day",
];
const CLOSED: &[&str] = &[
    "（休",
    "(休",
    "[休",
    "【休",
    "放假",
    "假期",
    "休假",
    "公休",
    "补休",
    "補休",
    "休息日",
    "停工",
    "closed",
    "day off",
    "holiday",
    "vacation",
    "shutdown",
];

/// The mark of an event by its special day, its summary and its description; `None` where nothing says.
pub(super) fn of(special: Option<&str>, summary: &str, description: &str) -> Option<Found> {
    let certain = |mark| Some(Found { mark, certain: true });
    match special.map(str::to_ascii_uppercase).as_deref() {
        Some("ALTERNATE-WORKDAY") => return certain(Mark::Worked),
        Some("WORK-HOLIDAY") => return certain(Mark::Closed),
        _ => {}
    }
    let summary = summary.trim().to_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| summary.contains(word));
    // Standing apart, as in "国庆节 班": 值班 (on duty) and 培训班 (a course) end in the same character.
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let sign = |sign: char| {
        let (first, last) = (summary.strip_prefix(sign), summary.strip_suffix(sign));
        first.is_some_and(|rest| apart(rest.chars().next())) || last.is_some_and(|rest| apart(rest.chars().last()))
    };
    if holds(CLOSED_FIRST) {
        return certain(Mark::Closed);
    }
    if holds(WORKED) || sign('班') {
        return certain(Mark::Worked);
    }
    if summary.contains('休') && (holds(CLOSED) || sign('休')) {
        return certain(Mark::Closed);
    }
    let description = description.trim().to_lowercase();
    let tells = |words: &[&str]| words.iter().any(|word| description.starts_with(word));
    if tells(&["observance", "纪念日", "紀念日", "节日纪念日"]) {
        return Some(Found { mark: Mark::Observed, certain: false });
    }
    if holds(CLOSED) || tells(&["public holiday", "公众假期", "公眾假期", "法定节假日"]) {
        return Some(Found { mark: Mark::Closed, certain: false });
    }
    None
}
