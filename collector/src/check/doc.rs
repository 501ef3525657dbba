//! A report as people read it: one sentence, what to do about each finding, and a page.

use super::report::{Found, Report, Verdict};
use crate::report::doc::{Block, Cell, Doc, Table};
use crate::words::{self, Audience, Lang, triage};
use jiff::tz::TimeZone;
use outband_schemas::TriageClass;
use outband_store::check::Check;

/// The whole in a sentence or two.
pub fn summary(report: &Report, check: &Check, lang: Lang) -> String {
    let score = report.score.map_or_else(|| "–".to_owned(), |score| score.to_string());
    let foretold = report.findings.iter().filter(|f| f.predicted).count();
    let (name, n, unread) = (&report.server_name, report.findings.len(), report.unread.len());
    let told = match (report.verdict, lang) {
        (Verdict::Healthy, Lang::En) => format!("{name} was read whole and is well: score {score}."),
        (Verdict::Healthy, Lang::ZhCn) => format!("{name} 已完整巡检，状态正常：评分 {score}。"),
        (Verdict::Findings, Lang::En) => {
            format!("{name} was read whole: score {score}, {n} findings, {foretold} of them foretold.")
        }
        (Verdict::Findings, Lang::ZhCn) => {
            format!("{name} 已完整巡检：评分 {score}，发现 {n} 项问题，其中 {foretold} 项为预测。")
        }
        (Verdict::Unchecked, Lang::En) => {
            format!(
                "{name} could not be read now ({}); what follows is what was known before: score {score}, {n} findings.",
                check.why
            )
        }
        (Verdict::Unchecked, Lang::ZhCn) => {
            format!("{name} 当前无法读取（{}）；以下为此前已知情况：评分 {score}，问题 {n} 项。", check.why)
        }
    };
    let left = match (unread, lang) {
        (0, _) => String::new(),
        (n, Lang::En) => format!(" {n} things could not be read."),
        (n, Lang::ZhCn) => format!("有 {n} 项无法读取。"),
    };
    told + &left
}

/// What to do next about a finding: by the kind of trouble where that is no part's, else by the fault.
pub fn advice(found: &Found, lang: Lang) -> String {
    let of_fault = words::advice(found.fault, Audience::Operator, lang);
    match found.triage.as_ref().map(|t| t.class) {
        None | Some(TriageClass::Hardware | TriageClass::Unknown) => of_fault.to_owned(),
        Some(class) if lang == Lang::En => format!("{} {of_fault}", triage::next(class, lang)),
        Some(class) => format!("{}{of_fault}", triage::next(class, lang)),
    }
}

/// The report as a page.
pub fn page(report: &Report, check: &Check, lang: Lang) -> Doc {
    let pick = |en: &str, zh: &str| if lang == Lang::En { en.to_owned() } else { zh.to_owned() };
    let heads = |heads: &[(&str, &str)]| heads.iter().map(|(en, zh)| pick(en, zh)).collect::<Vec<_>>();
    let none = pick("none", "无");
    let table = |key: &'static str, title: (&str, &str), columns: Vec<String>, rows: Vec<Vec<Cell>>| {
        Block::Table(Table { key, title: pick(title.0, title.1), columns, rows, empty: none.clone() })
    };
    let finding = |f: &Found| {
        let kind = f.triage.as_ref().map_or_else(String::new, |t| {
            format!("{} ({})", triage::class(t.class, lang), triage::confidence(t.confidence, lang))
        });
        vec![
            Cell::text(f.component.clone()),
            Cell::text(words::fault(f.fault, Audience::Operator, lang)),
            Cell::text(kind),
            Cell::text(f.reason.clone()),
            Cell::Time(f.onset),
            f.ticket.map_or(Cell::None, Cell::Count),
            Cell::text(advice(f, lang)),
        ]
    };
    let loss = |l: &super::report::Loss| {
        vec![
            Cell::Count(l.points.into()),
            Cell::text(l.component.clone()),
            Cell::text(l.rule.clone()),
            Cell::text(l.reason.clone()),
        ]
    };
    let pair = |(a, b): (&String, &String)| vec![Cell::text(a.clone()), Cell::text(b.clone())];
    let blocks = vec![
        Block::Text(summary(report, check, lang)),
        Block::List(vec![
            format!("{}: {}", pick("Model", "型号"), report.model),
            format!("{}: {}", pick("Serial", "序列号"), report.serial),
            format!("{}: {}", pick("Site", "站点"), report.site),
        ]),
        table(
            "findings",
            ("Findings", "问题"),
            heads(&[
                ("Component", "部件"),
                ("Fault", "故障"),
                ("Kind of trouble", "故障归类"),
                ("Why", "原因"),
                ("Since", "开始时间"),
                ("Ticket", "工单"),
                ("What to do", "建议"),
            ]),
            report.findings.iter().map(finding).collect(),
        ),
        table(
            "losses",
            ("Points lost", "扣分项"),
            heads(&[("Points", "扣分"), ("Component", "部件"), ("Rule", "规则"), ("Why", "原因")]),
            report.losses.iter().map(loss).collect(),
        ),
        table(
            "unread",
            ("Could not be read", "无法读取"),
            heads(&[("What", "对象"), ("Why", "原因")]),
            report.unread.iter().map(|(what, why)| pair((what, why))).collect(),
        ),
        table(
            "changed",
            ("Others than at the last check", "与上次巡检的差异"),
            heads(&[("Component", "部件"), ("Was", "原为"), ("Is", "现为")]),
            report
                .changed
                .iter()
                .map(|(place, was, now)| {
                    vec![Cell::text(place.clone()), Cell::text(was.clone()), Cell::text(now.clone())]
                })
                .collect(),
        ),
        table(
            "firmware",
            ("Firmware", "固件"),
            heads(&[("Component", "部件"), ("Version", "版本")]),
            report.firmware.iter().map(pair).collect(),
        ),
        table(
            "entries",
            ("Log entries since the last check", "上次巡检以来的日志"),
            heads(&[("Time", "时间"), ("Severity", "级别"), ("Component", "部件"), ("Entry", "内容")]),
            report
                .entries
                .iter()
                .map(|e| {
                    vec![
                        Cell::Time(e.at),
                        Cell::text(e.severity.as_str()),
                        Cell::text(e.component.clone()),
                        Cell::text(e.message.clone()),
                    ]
                })
                .collect(),
        ),
        table(
            "trend",
            ("Scores", "评分趋势"),
            heads(&[("Time", "时间"), ("Score", "评分")]),
            report.trend.iter().map(|(at, score)| vec![Cell::Time(*at), Cell::Count((*score).into())]).collect(),
        ),
    ];
    let title = format!("{} {}: {}", pick("Health check", "健康巡检"), check.id, report.server_name);
    Doc { title, lang, zone: TimeZone::UTC, blocks }
}
