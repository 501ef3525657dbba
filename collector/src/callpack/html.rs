//! A pack to be printed: one file without anything from elsewhere, for A4.

use super::pack::{Line, Pack};
use super::{pick, speech};
use crate::words::Lang;
use std::fmt::Write as _;

/// So many lines of each list are printed: the newest.
const LINES: usize = 18;
/// Questions that are printed.
const QUESTIONS: usize = 14;
/// The longest text of a line, in characters.
const LONGEST: usize = 220;

const STYLE: &str = "\
@page{size:A4;margin:12mm}
*{box-sizing:border-box}
body{font:9.5pt/1.35 'Noto Sans','Noto Sans CJK SC','Microsoft YaHei','WenQuanYi Micro Hei',sans-serif;color:#111;margin:0 auto;max-width:190mm;overflow-wrap:anywhere}
h1{font-size:14pt;margin:0 0 2mm}
h2{font-size:10.5pt;margin:3mm 0 1mm;border-bottom:.3mm solid #888}
.drill{border:1mm solid #000;padding:2mm;font-weight:bold;text-align:center;margin-bottom:2mm}
.lead{font-size:11pt;font-weight:bold}
dl{display:grid;grid-template-columns:max-content 1fr max-content 1fr;gap:.4mm 3mm;margin:0}
dt{color:#444}dd{margin:0;font-weight:600}
dd.none{font-weight:normal;font-style:italic;color:#444}
table{border-collapse:collapse;width:100%}
td{vertical-align:top;padding:.3mm 1.5mm .3mm 0}
td:first-child{white-space:nowrap;width:1%}
tr{break-inside:avoid}
ol,ul{margin:0;padding-left:5mm}
.small{color:#444;font-size:8pt}
";

/// The page.
pub fn html(pack: &Pack) -> String {
    let lang = pack.lang();
    let t = |en, zh| pick(lang, en, zh);
    let mut page = Html(String::with_capacity(16 << 10));
    page.raw("<!DOCTYPE html>\n<html lang=\"").text(pack.language).raw("\"><head><meta charset=\"utf-8\">");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    page.raw("<title>").text(&format!("{} {}", t("Ticket", "工单"), pack.ticket)).raw("</title><style>").raw(STYLE);
    page.raw("</style></head><body>\n");
    if pack.drill {
        page.raw("<p class=\"drill\">")
            .text(t("THIS IS A DRILL. Nothing is broken.", "演练：设备没有故障"))
            .raw("</p>\n");
    }
    page.raw("<h1>").text(&format!("{} {} · {} · ", t("Ticket", "工单"), pack.ticket, pack.priority));
    page.text(match lang {
        Lang::En => pack.state,
        Lang::ZhCn => speech::state(pack.state),
    });
    page.raw("</h1>\n<p class=\"lead\">")
        .text(&pack.symptom)
        .raw("</p>\n<p>")
        .text(&pack.symptom_for_customers)
        .raw("</p>\n");
    page.raw("<p class=\"small\">");
    page.text(&format!("{} {} · {} {}", t("Times are", "时区"), pack.time_zone, t("as of", "截至"), pack.as_of))
        .raw("</p>\n");

    page.head(t("Server and contract", "服务器与合同")).raw("<dl>");
    for fact in &pack.facts {
        page.raw("<dt>").text(&fact.label).raw("</dt>");
        match &fact.value {
            Some(value) => page.raw("<dd>").text(&cut(value)),
            None => page.raw("<dd class=\"none\">").text(t("not on record", "没有记录")),
        };
        page.raw("</dd>");
    }
    page.raw("</dl>\n");

    page.head(t("Fault", "故障")).raw("<table>");
    if let Some(rule) = &pack.rule {
        page.row(t("Reason", "依据"), rule);
    }
    page.row(t("Seen", "系统记录"), &pack.reason);
    if let Some(kind) = &pack.triage {
        page.row(t("Kind of trouble", "故障归类"), kind);
    }
    page.row(t("First seen", "首次出现"), &pack.first_seen);
    page.row(t("Opened", "建单时间"), &pack.opened);
    page.row(t("How it shows", "持续或间歇"), &pack.course.text);
    let change = pack.last_change.as_ref().map(|c| format!("{} {}", c.time, c.text));
    page.row(t("Last change before", "故障前最近变更"), change.as_deref().unwrap_or(t("none on record", "没有记录")));
    page.row(t("Impact", "业务影响"), pack.impact.as_deref().unwrap_or(t("not on record", "没有记录")));
    if let Some(parent) = pack.part_of {
        page.row(t("Part of ticket", "所属工单"), &parent.to_string());
    }
    if pack.members_total > 0 {
        let named: Vec<String> = pack.members.iter().map(|m| m.ticket.to_string()).collect();
        page.row(t("Tickets in it", "子工单"), &format!("{}: {}", pack.members_total, named.join(", ")));
    }
    if pack.open_accesses > 0 {
        page.row(t("Open accesses", "未关闭的临时访问"), &pack.open_accesses.to_string());
    }
    page.raw("</table>\n");

    page.head(t("Evidence", "证据"));
    page.lines(&pack.evidence, lang);
    page.head(t("Already tried", "已做的处理"));
    page.lines(&pack.tried, lang);

    page.head(t("Still to be asked", "待确认问题")).raw("<ol>");
    for question in pack.questions.iter().filter(|q| q.answer.is_none()).take(QUESTIONS) {
        page.raw("<li>").text(&question.question).raw(" <span class=\"small\">");
        page.text(question.how.as_deref().unwrap_or_default()).raw("</span></li>");
    }
    page.raw("</ol>\n");
    page.head(t("Answered", "已有答案")).raw("<ul>");
    for question in pack.questions.iter().take(2 * QUESTIONS) {
        if let Some(answer) = &question.answer {
            page.raw("<li>").text(&question.question).raw(" <b>").text(&cut(answer)).raw("</b></li>");
        }
    }
    page.raw("</ul>\n");

    page.head(t("Contacts", "联系人")).raw("<table>");
    for contact in pack.contacts.iter().take(LINES) {
        let verified = match (&contact.verified, contact.stale) {
            (Some(day), false) => format!("{} {day}", t("verified", "已核实")),
            (Some(day), true) => format!("{} {day}", t("VERIFY FIRST, last verified", "请先核实，上次核实")),
            (None, _) => t("VERIFY FIRST, never verified", "请先核实，从未核实").to_owned(),
        };
        let parts = [Some(contact.name.clone()), contact.phone.clone(), contact.source.clone(), Some(verified)];
        page.row(&contact.role, &parts.into_iter().flatten().collect::<Vec<_>>().join(" · "));
    }
    page.raw("</table>");
    if pack.contacts.is_empty() {
        page.raw("<p>")
            .text(t(
                "none on record: take the number from the label on the chassis",
                "没有登记：以机箱标签上的电话为准",
            ))
            .raw("</p>");
    }
    page.head(t("What happened", "时间线"));
    page.lines(&pack.timeline, lang);
    page.raw("<p class=\"small\">").text(pack.course.rule).raw("</p>\n</body></html>\n");
    page.0
}

struct Html(String);

impl Html {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if c.is_control() => self.0.push(' '),
                // Would turn the rest of the line around.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
                c => self.0.push(c),
            }
        }
        self
    }

    fn head(&mut self, text: &str) -> &mut Self {
        self.raw("<h2>").text(text).raw("</h2>\n")
    }

    fn row(&mut self, name: &str, value: &str) {
        self.raw("<tr><td>").text(name).raw("</td><td>").text(&cut(value)).raw("</td></tr>\n");
    }

    fn lines(&mut self, lines: &[Line], lang: Lang) {
        let left = lines.len().saturating_sub(LINES);
        if left > 0 {
            let mut note = String::new();
            let (before, after) =
                pick(lang, "|earlier lines are in the file", "更早的|条见附件").split_once('|').unwrap_or_default();
            // Writing to a String cannot fail.
            write!(note, "{before} {left} {after}").unwrap_or_default();
            self.raw("<p class=\"small\">").text(note.trim()).raw("</p>");
        }
        self.raw("<table>");
        lines.iter().skip(left).for_each(|line| self.row(&line.time, &line.text));
        self.raw("</table>\n");
        if lines.is_empty() {
            self.raw("<p>").text(pick(lang, "nothing", "暂无")).raw("</p>\n");
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
