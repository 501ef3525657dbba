//! A pack to be read aloud: short sentences, one a line; what has to be written down by the other side is spelled.

use super::Zone;
use super::pack::Pack;
use super::spell::spell;
use crate::words::Lang;
use outband_schemas::Timestamp;

/// So many things that happened are read out at most: the newest.
const HAPPENED: usize = 12;
/// So many things that were tried.
const TRIED: usize = 10;

/// The text.
pub fn text(pack: &Pack) -> String {
    match pack.lang() {
        Lang::En => english(pack),
        Lang::ZhCn => chinese(pack),
    }
}

/// Lines under headings.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, text: &str) {
        self.0.push_str(if self.0.is_empty() { "" } else { "\n" });
        self.line(text);
    }

    fn line(&mut self, text: &str) {
        // Nothing that a terminal would act on, nor that turns a line around.
        let harmless = |c: char| if c.is_control() { ' ' } else { c };
        let turns = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        self.0.extend(text.trim_end().chars().filter(|c| !turns(c)).map(harmless));
        self.0.push('\n');
    }
}

fn said(pack: &Pack, key: &str, lang: Lang) -> Option<String> {
    let fact = pack.facts.iter().find(|f| f.key == key)?;
    let value = fact.value.as_deref()?;
    Some(if fact.spelled { spell(value, lang) } else { value.to_owned() })
}

fn english(pack: &Pack) -> String {
    let mut page = Page::default();
    if pack.drill {
        page.line("THIS IS A DRILL. Nothing is broken.");
        page.line("");
    }
    page.line(&format!("Ticket {}. Priority {}. It is {}.", pack.ticket, pack.priority, pack.state.replace('_', " ")));
    page.line(&format!("All times are {}. This is as of {}.", pack.time_zone, pack.as_of));
    if let Some(parent) = pack.part_of {
        page.line(&format!("It is a part of the larger incident in ticket {parent}."));
    }
    page.head("WHICH SERVER");
    facts(&mut page, pack, Lang::En);
    page.head("WHAT IS WRONG");
    page.line(&format!("{}.", sentence(&pack.symptom)));
    page.line(&format!("In plain words: {}.", sentence(&pack.symptom_for_customers)));
    if let Some(rule) = &pack.rule {
        page.line(&format!("Why we say so: {}.", sentence(rule)));
    }
    page.line(&format!("What was seen: {}.", sentence(&pack.reason)));
    if let Some(kind) = &pack.triage {
        page.line(&format!("What kind of trouble it is: {}.", sentence(kind)));
    }
    page.line(&format!(
        "First seen: {}. Ticket opened: {}.",
        said_at(pack, pack.first_seen_ms),
        said_at(pack, pack.opened_ms)
    ));
    page.line(&pack.course.text);
    match &pack.last_change {
        Some(change) => page.line(&format!(
            "The last change before it began: {}, {}.",
            said_at(pack, change.at_ms),
            sentence(&change.text)
        )),
        None => page.line("No change in the 30 days before it began is on record."),
    }
    match &pack.impact {
        Some(impact) => page.line(&format!("Impact: {}.", sentence(impact))),
        None => page.line("The impact is not on record."),
    }
    if pack.members_total > 0 {
        page.line(&format!("{} open tickets are a part of it.", pack.members_total));
    }
    page.head("WHAT WAS ALREADY TRIED");
    let left = pack.tried.len().saturating_sub(TRIED);
    if left > 0 {
        page.line(&format!("{left} earlier steps are left out here."));
    }
    pack.tried
        .iter()
        .skip(left)
        .for_each(|line| page.line(&format!("{}: {}.", said_at(pack, line.at_ms), sentence(&line.text))));
    if pack.tried.is_empty() {
        page.line("Nothing yet.");
    }
    page.head("WHAT HAPPENED");
    let left = pack.timeline.len().saturating_sub(HAPPENED);
    if left > 0 {
        page.line(&format!("{left} earlier entries are left out here; the file has them."));
    }
    pack.timeline
        .iter()
        .skip(left)
        .for_each(|line| page.line(&format!("{}: {}.", said_at(pack, line.at_ms), sentence(&line.text))));
    page.head("STILL TO BE ASKED");
    for (i, question) in pack.questions.iter().filter(|q| q.answer.is_none()).enumerate() {
        page.line(&format!("{}. {} {}", i + 1, question.question, question.how.as_deref().unwrap_or_default()));
    }
    page.head("ANSWERED ALREADY");
    for question in &pack.questions {
        if let Some(answer) = &question.answer {
            let source = question.source.as_deref().unwrap_or_default();
            page.line(&format!("{} {}. Source: {}.", question.question, sentence(answer), sentence(source)));
        }
    }
    page.head("WHOM TO CALL");
    for contact in &pack.contacts {
        let phone = contact
            .phone
            .as_deref()
            .map_or("no number on record".to_owned(), |p| format!("number {}", spell(p, Lang::En)));
        let verified = match &contact.verified {
            Some(day) if contact.stale => format!("last verified on {day}: make sure first"),
            Some(day) => format!("verified on {day}"),
            None => "never verified: make sure first".to_owned(),
        };
        page.line(&format!("{}: {}, {phone}, {verified}.", contact.role, contact.name));
    }
    if pack.contacts.is_empty() {
        page.line("No contact is on record. Take the number from the label on the chassis or the warranty card, never from a search result.");
    }
    page.head("BY WHICH RULE IT IS CONSTANT OR INTERMITTENT");
    page.line(pack.course.rule);
    if pack.open_accesses > 0 {
        page.head("ACCESS");
        page.line(&format!("{} temporary accesses are open. End them when the work is done.", pack.open_accesses));
    }
    page.0
}

fn chinese(pack: &Pack) -> String {
    let mut page = Page::default();
    if pack.drill {
        page.line("【演练】这是一次演练，设备没有故障。");
        page.line("");
    }
    page.line(&format!("工单 {}，级别 {}，状态：{}。", pack.ticket, pack.priority, state(pack.state)));
    page.line(&format!("所有时间均为 {} 时区，信息截至 {}。", pack.time_zone, pack.as_of));
    if let Some(parent) = pack.part_of {
        page.line(&format!("本单属于工单 {parent} 的整体故障。"));
    }
    page.head("一、哪台服务器");
    facts(&mut page, pack, Lang::ZhCn);
    page.head("二、什么故障");
    page.line(&format!("{}。", sentence(&pack.symptom)));
    page.line(&format!("通俗地说：{}。", sentence(&pack.symptom_for_customers)));
    if let Some(rule) = &pack.rule {
        page.line(&format!("判断依据：{}。", sentence(rule)));
    }
    page.line(&format!("系统记录：{}。", sentence(&pack.reason)));
    if let Some(kind) = &pack.triage {
        page.line(&format!("故障归类：{}。", sentence(kind)));
    }
    page.line(&format!(
        "首次出现：{}。建单时间：{}。",
        said_at(pack, pack.first_seen_ms),
        said_at(pack, pack.opened_ms)
    ));
    page.line(&pack.course.text);
    match &pack.last_change {
        Some(change) => {
            page.line(&format!("故障前最近一次变更：{}，{}。", said_at(pack, change.at_ms), sentence(&change.text)))
        }
        None => page.line("故障前 30 天内没有变更记录。"),
    }
    match &pack.impact {
        Some(impact) => page.line(&format!("业务影响：{}。", sentence(impact))),
        None => page.line("业务影响：没有记录。"),
    }
    if pack.members_total > 0 {
        page.line(&format!("包含 {} 张未关闭的子工单。", pack.members_total));
    }
    page.head("三、已经做过什么");
    let left = pack.tried.len().saturating_sub(TRIED);
    if left > 0 {
        page.line(&format!("更早的 {left} 步此处略去。"));
    }
    pack.tried
        .iter()
        .skip(left)
        .for_each(|line| page.line(&format!("{}：{}。", said_at(pack, line.at_ms), sentence(&line.text))));
    if pack.tried.is_empty() {
        page.line("暂无。");
    }
    page.head("四、发生过什么");
    let left = pack.timeline.len().saturating_sub(HAPPENED);
    if left > 0 {
        page.line(&format!("更早的 {left} 条此处略去，附件中有全部记录。"));
    }
    pack.timeline
        .iter()
        .skip(left)
        .for_each(|line| page.line(&format!("{}：{}。", said_at(pack, line.at_ms), sentence(&line.text))));
    page.head("五、还要问清的问题");
    for (i, question) in pack.questions.iter().filter(|q| q.answer.is_none()).enumerate() {
        page.line(&format!("{}. {}{}", i + 1, question.question, question.how.as_deref().unwrap_or_default()));
    }
    page.head("六、已有答案的问题");
    for question in &pack.questions {
        if let Some(answer) = &question.answer {
            let source = question.source.as_deref().unwrap_or_default();
            page.line(&format!("{}{}。来源：{}。", question.question, sentence(answer), sentence(source)));
        }
    }
    page.head("七、联系谁");
    for contact in &pack.contacts {
        let phone = contact
            .phone
            .as_deref()
            .map_or("没有登记电话".to_owned(), |p| format!("电话 {}", spell(p, Lang::ZhCn)));
        let verified = match &contact.verified {
            Some(day) if contact.stale => format!("上次核实 {day}，请先核实"),
            Some(day) => format!("{day} 已核实"),
            None => "从未核实，请先核实".to_owned(),
        };
        page.line(&format!("{}：{}，{phone}，{verified}。", contact.role, contact.name));
    }
    if pack.contacts.is_empty() {
        page.line("没有登记联系人。请以机箱标签或保修卡上的电话为准，不要使用搜索结果。");
    }
    page.head("八、持续或间歇的判定");
    page.line(pack.course.rule);
    if pack.open_accesses > 0 {
        page.head("九、临时访问");
        page.line(&format!("有 {} 个临时访问未关闭，处理完请关闭。", pack.open_accesses));
    }
    page.0
}

fn facts(page: &mut Page, pack: &Pack, lang: Lang) {
    for fact in &pack.facts {
        // What is only nice to have is not read out where it is missing.
        match (said(pack, fact.key, lang), fact.ask.0.is_empty(), lang) {
            (Some(value), _, Lang::En) => page.line(&format!("{}: {value}.", fact.label)),
            (Some(value), _, Lang::ZhCn) => page.line(&format!("{}：{value}。", fact.label)),
            (None, true, _) => {}
            (None, false, Lang::En) => page.line(&format!("{}: not on record.", fact.label)),
            (None, false, Lang::ZhCn) => page.line(&format!("{}：没有记录。", fact.label)),
        }
    }
}

/// A time as one says it.
fn said_at(pack: &Pack, at_ms: i64) -> String {
    let at = Timestamp::from_millis(at_ms);
    Zone::of(&pack.time_zone).map_or_else(|| at.to_string(), |zone| zone.said(at, pack.lang()))
}

/// Without the stop at its end: one is put there anyway.
fn sentence(text: &str) -> &str {
    text.trim().trim_end_matches(['.', '。'])
}

/// A state in words.
pub(super) fn state(word: &str) -> &str {
    match word {
        "new" => "新建",
        "assigned" => "已分派",
        "in_progress" => "处理中",
        "waiting_for_customer" => "等待客户",
        "waiting_for_parts" => "等待备件",
        "resolved" => "已解决",
        "closed" => "已关闭",
        "reopened" => "重新打开",
        other => other,
    }
}
