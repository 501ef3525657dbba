//! Reports from a store, in every format: figures agree, workbooks open, nothing that people wrote becomes a formula or markup.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use calamine::{Data, Reader, Xlsx};
use common::Home;
use common::month::{DAY, all, fill, opened, put, reports, server, store, t, terms, then};
use outband_collector::discretion;
use outband_collector::report::doc::{Cell, Doc};
use outband_collector::report::period::Period;
use outband_collector::report::sla::{Scope, SlaReport};
use outband_collector::report::{Format, Report, gather};
use outband_collector::words::{Audience, Lang};
use outband_proto::report as wire;
use outband_proto::report::report_service_client::ReportServiceClient;
use outband_schemas::{Inventory, Part, ServerId, Source};
use outband_store::{Applied, ServerInventory, Store};
use outband_ticket::{Action, Priority, Resolution, TicketNumber, Verdict, Visibility};
use std::io::Cursor;
use std::process::Command as Process;
use tonic::Code;

/// A customer of no name.
fn nobody() -> discretion::Reader {
    discretion::Reader::default()
}

/// The rows of a table in HTML: what programs read of each cell.
fn of_html(html: &str, key: &str) -> Vec<Vec<String>> {
    let Some((_, table)) = html.split_once(&format!("<table id=\"{key}\">")) else { return Vec::new() };
    let body = table.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
    let plain = |text: &str| {
        let text = text.replace("<br>", "\n").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text.replace("&#39;", "'").replace("&amp;", "&")
    };
    let cell = |td: &str| {
        let value = ["<data value=\"", "<time datetime=\""].iter().find_map(|tag| td.split_once(tag));
        match value {
            Some((_, rest)) => plain(rest.split_once('"').unwrap().0),
            None => plain(td.split_once('>').unwrap().1.split_once("</td>").unwrap().0),
        }
    };
    let row = |tr: &str| tr.split("<td").skip(1).map(cell).collect();
    body.split("<tr>").skip(1).map(row).collect()
}

/// The rows of a table in a CSV file of several.
fn of_csv(file: &[u8], key: &str) -> Vec<Vec<String>> {
    let text = std::str::from_utf8(file).unwrap().strip_prefix('\u{feff}').expect("a byte order mark");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> = reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
    // `csv` is strict: records of another length are an error.
    let of_table = rows.iter().filter(|r| r[0] == key);
    of_table.skip(1).map(|r| r[1..].to_vec()).collect()
}

/// Whether a cell of a workbook says what programs read in the others.
fn agrees(found: &Data, cell: &Cell, raw: &str, doc: &Doc) -> bool {
    match (found, cell) {
        (Data::Float(n), Cell::Span(_)) => (n * 86_400.0 - raw.parse::<f64>().unwrap()).abs() < 1e-3,
        (Data::Float(n), _) => (n - raw.parse::<f64>().unwrap()).abs() < 1e-9,
        (Data::DateTime(n), Cell::Span(_)) => (n.as_f64() * 86_400.0 - raw.parse::<f64>().unwrap()).abs() < 1e-3,
        (Data::DateTime(n), Cell::Time(at)) => {
            let expected = outband_collector::report::period::serial(*at, &doc.zone);
            (n.as_f64() - expected).abs() < 1e-9
        }
        (Data::String(text), _) => text == raw,
        _ => false,
    }
}

#[test]
fn figures_agree_in_all_formats_and_languages() {
    let (_dir, store) = store();
    fill(&store);
    let mut cells = 0;
    for report in reports(&store) {
        for lang in Lang::ALL {
            let doc = report.doc(lang);
            let file = |format| report.write(format, lang, None).unwrap();
            let (html, csv) = (String::from_utf8(file(Format::Html)).unwrap(), file(Format::Csv));
            let mut book: Xlsx<_> = Xlsx::new(Cursor::new(file(Format::Xlsx))).unwrap();
            for table in doc.tables() {
                let (in_html, in_csv) = (of_html(&html, table.key), of_csv(&csv, table.key));
                let sheet = book.worksheet_range(table.key).unwrap();
                assert_eq!((in_html.len(), in_csv.len()), (table.rows.len(), table.rows.len()), "{}", table.key);
                for (at, row) in table.rows.iter().enumerate() {
                    for (column, cell) in row.iter().enumerate() {
                        let html = &in_html[at][column];
                        // The quote before what would be a formula.
                        let csv = &in_csv[at][column];
                        let csv = if matches!(cell, Cell::Text(_)) { csv.trim_start_matches('\'') } else { csv };
                        assert_eq!(html, csv, "{} {at} {column}", table.key);
                        let found = sheet.get((at + 1, column)).unwrap();
                        assert!(agrees(found, cell, html, &doc), "{} {at} {column}: {found:?} {html:?}", table.key);
                        cells += 1;
                    }
                }
            }
        }
    }
    assert!(cells > 500, "{cells}");
}

#[test]
fn an_sla_report_lists_the_maintenance_windows_of_its_site_and_names_nobody_to_customers() {
    let (_dir, store) = store();
    fill(&store);
    let Report::Sla(sla) = reports(&store).swap_remove(0) else { panic!("the first is the SLA report") };
    let spans: Vec<_> = sla.maintenance.iter().map(|m| (m.from, m.to, m.covers.site.as_deref())).collect();
    // 2026-10-04 is its first Sunday.
    assert_eq!(spans, [(t(3 * DAY + 120), t(3 * DAY + 240), Some("dc1"))]);
    for format in [Format::Html, Format::Markdown, Format::Csv, Format::Json] {
        let text = |sla| String::from_utf8(Report::Sla(Box::new(sla)).write(format, Lang::En, None).unwrap()).unwrap();
        let (ours, customers) = (text(SlaReport::clone(&sla)), text(SlaReport::clone(&sla).for_customer(&nobody())));
        assert!(ours.contains("firmware, ask wang") && !ours.contains("elsewhere"), "{format:?}");
        assert!(customers.contains("firmware, ask ") && !customers.contains("wang"), "{format:?}");
    }
}

#[test]
fn what_people_wrote_is_neither_formula_nor_markup() {
    let (_dir, store) = store();
    fill(&store);
    for report in reports(&store) {
        let file = |format| String::from_utf8(report.write(format, Lang::En, None).unwrap()).unwrap();
        for format in [Format::Html, Format::Markdown] {
            assert!(!file(format).contains("<script>"), "{format:?}");
        }
        assert!(!file(Format::Html).contains("http://evil\""));
        let csv = file(Format::Csv);
        let rows =
            csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(csv.as_bytes()).into_records();
        for field in rows.flat_map(|r| r.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()) {
            assert!(!field.starts_with(['=', '+', '-', '@']), "{field}");
        }
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(report.write(Format::Xlsx, Lang::En, None).unwrap())).unwrap();
        for name in book.sheet_names() {
            assert!(book.worksheet_formula(&name).unwrap().is_empty(), "{name}");
        }
    }
}

#[test]
fn a_site_has_its_months_by_its_own_zone_and_only_its_own_tickets() {
    let (_dir, store) = store();
    fill(&store);
    let of = |site: Option<&str>, customer: Option<&str>| {
        let scope = Scope { customer: customer.map(str::to_owned), site: site.map(str::to_owned) };
        let terms = terms();
        let period = Period::parse("2026-10", &gather::zone(&terms, &scope, None)).unwrap();
        let report = gather::sla(&store, &terms, &all(), period, scope, t(70 * DAY)).unwrap();
        (report.period.zone.clone(), report.tickets.opened)
    };
    assert_eq!(of(Some("dc1"), None), ("Asia/Shanghai".to_owned(), 6));
    // Those of the first eight hours of October in Shanghai were opened in September.
    assert_eq!(of(None, Some("acme")), ("UTC".to_owned(), 1));
    assert_eq!(of(Some("dc9"), None).1, 0);
    assert_eq!(of(None, Some("nobody")).1, 0);
}

#[test]
fn a_customers_fault_report_holds_no_names_and_no_internal_remarks() {
    let (_dir, store) = store();
    fill(&store);
    let text = |audience| {
        let report = gather::fault(&store, &terms(), &all(), TicketNumber(1), (audience, &nobody()), t(70 * DAY))
            .unwrap()
            .unwrap();
        let report = Report::Fault(Box::new(report), jiff::tz::TimeZone::UTC);
        let write = |format| String::from_utf8(report.write(format, Lang::ZhCn, None).unwrap()).unwrap();
        write(Format::Markdown) + &write(Format::Json)
    };
    let (ours, theirs) = (text(Audience::Operator), text(Audience::Customer));
    for internal in ["wang", "we forgot it", "internal reason"] {
        assert!(ours.contains(internal) && !theirs.contains(internal), "{internal}");
    }
    for said in ["the drive is old", "watch its age", "worn out", "故障报告", "五个为什么"] {
        assert!(theirs.contains(said), "{said}");
    }
}

#[test]
fn names_of_colleagues_go_from_whatever_people_wrote_for_a_customer() {
    let (_dir, store) = store();
    let ticket = opened(1, "srv-1", Priority::P2, 0, "disk of zhaolei's rack, asked zhaolei");
    let ticket = then(ticket, 5, Action::Assign { to: "zhaolei".to_owned() });
    let ticket = then(ticket, 100, Action::Assign { to: "wang".to_owned() });
    let text = "why 1: zhaolei pulled the wrong drive\nprevent: 李伟 checks, wang labels".to_owned();
    let ticket = then(ticket, 110, Action::Comment { text, visibility: Visibility::Customer });
    let ticket = then(ticket, 120, Action::Assign { to: "李伟".to_owned() });
    let ticket = then(ticket, 5 * DAY, Action::Locate { root_cause: "worn out, says wang".to_owned() });
    let ticket = then(ticket, 5 * DAY + 1, Action::Resolve { resolution: Resolution::Repaired });
    let detail = "李伟 tested it".to_owned();
    let ticket = then(ticket, 5 * DAY + 2, Action::Verdict { verdict: Verdict::Confirmed, detail, part: None });
    put(&store, vec![server("srv-1", "dc1")], vec![ticket]);
    let fault = |audience| {
        let report = gather::fault(&store, &terms(), &all(), TicketNumber(1), (audience, &nobody()), t(70 * DAY))
            .unwrap()
            .unwrap();
        Report::Fault(Box::new(report), jiff::tz::TimeZone::UTC)
    };
    let month = Period::parse("2026-10", "Asia/Shanghai").unwrap();
    let sla = gather::sla(&store, &terms(), &all(), month, Scope::default(), t(70 * DAY)).unwrap();
    assert!(!sla.misses.is_empty());
    let text = |report: Report| {
        let write = |format| String::from_utf8(report.write(format, Lang::En, None).unwrap()).unwrap();
        write(Format::Markdown) + &write(Format::Json)
    };
    for (ours, theirs) in [
        (text(fault(Audience::Operator)), text(fault(Audience::Customer))),
        (text(Report::Sla(Box::new(sla.clone()))), text(Report::Sla(Box::new(sla.for_customer(&nobody()))))),
    ] {
        for name in ["zhaolei", "wang", "李伟"] {
            assert!(ours.contains(name) && !theirs.contains(name), "{name}: {theirs}");
        }
        assert!(theirs.contains("[person] pulled the wrong drive") && theirs.contains("worn out"), "{theirs}");
    }
}

#[test]
fn a_fault_report_names_the_old_and_the_new_part() {
    let (_dir, store) = store();
    fill(&store);
    let part = |serial: &str, minute| {
        let part = Part {
            component: "disk/Bay 1".parse().unwrap(),
            manufacturer: None,
            model: Some("PM1733".to_owned()),
            part_number: None,
            serial: Some(serial.to_owned()),
            firmware: None,
            capacity_bytes: None,
            source: Source::default(),
        };
        let inventory = Inventory {
            identity: server("srv-1", "dc1").identity,
            parts: vec![part],
            bmc_clock_offset_ms: None,
            observed_at: t(minute),
            source: Source::default(),
        };
        let inventories = vec![ServerInventory { server: ServerId::new("srv-1").unwrap(), inventory }];
        store.apply(Applied { inventories, ..Applied::default() }, t(minute)).unwrap();
    };
    part("OLD-1", -100);
    part("OLD-1", 20);
    part("NEW-1", 390);
    let report = gather::fault(&store, &terms(), &all(), TicketNumber(1), (Audience::Operator, &nobody()), t(70 * DAY))
        .unwrap()
        .unwrap();
    let parts: Vec<_> = report.parts.iter().map(|p| (p.serial.as_deref().unwrap(), p.new)).collect();
    assert_eq!(parts, [("OLD-1", false), ("NEW-1", true)]);
    assert_eq!((report.contract.as_deref(), report.package.as_deref()), (Some("acme-2026"), Some("gold")));
    let around: Vec<_> = report.around.iter().map(|e| (e.source, e.zh.as_str())).collect();
    assert!(around.iter().any(|(source, zh)| *source == "inventory" && zh.contains("NEW-1")), "{around:?}");
}

#[test]
fn one_table_alone_is_a_plain_file() {
    let (_dir, store) = store();
    fill(&store);
    let report = &reports(&store)[0];
    let file = report.write(Format::Csv, Lang::En, Some("misses")).unwrap();
    let text = std::str::from_utf8(&file).unwrap();
    assert!(text.starts_with("\u{feff}Ticket,Group,Title,"), "{text}");
    let error = report.write(Format::Csv, Lang::En, Some("nothing")).unwrap_err().to_string();
    assert!(error.contains("misses"), "{error}");
}

#[test]
fn a_browser_shows_the_report_as_it_was_written() {
    let (dir, store) = store();
    fill(&store);
    let chromium = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Process::new(name).arg("--version").output().is_ok_and(|out| out.status.success()));
    let Some(chromium) = chromium else {
        eprintln!("SKIPPED: no chromium on this machine");
        return;
    };
    for (number, report) in reports(&store).iter().enumerate() {
        let path = dir.path().join(format!("{number}.html"));
        std::fs::write(&path, report.write(Format::Html, Lang::ZhCn, None).unwrap()).unwrap();
        let dump = Process::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .arg(format!("file://{}", path.display()))
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&dump.stdout);
        let doc = report.doc(Lang::ZhCn);
        assert!(dom.contains("lang=\"zh-CN\"") && dom.contains(&*doc.title), "{dom}");
        for table in doc.tables().filter(|table| !table.rows.is_empty()) {
            let (_, rest) = dom.split_once(&format!("<table id=\"{}\">", table.key)).expect(table.key);
            let rows = rest.split_once("</tbody>").unwrap().0.matches("<tr>").count();
            assert_eq!(rows, table.rows.len() + 1, "{}", table.key);
        }
        assert!(!dom.contains("<script"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_come_over_the_wire_and_what_makes_no_sense_is_named() {
    let home = Home::new();
    let collector = home.start().await;
    fill(collector.store());
    let mut client = ReportServiceClient::new(home.operator(&collector).await);
    let span = |period: &str, site: &str| {
        Some(wire::Span { period: period.to_owned(), site: site.to_owned(), ..wire::Span::default() })
    };
    let style = |format: &str| Some(wire::Style { format: format.to_owned(), ..wire::Style::default() });
    let mut pieces = client
        .get_sla_report(wire::GetSlaReportRequest { span: span("2026-10", "sites/dc1"), style: style("json") })
        .await
        .unwrap()
        .into_inner();
    let mut file = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        file.extend(piece.chunk);
    }
    let report: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(report["scope"]["site"], "dc1");
    for (period, site, format) in
        [("2026-13", "", "json"), ("2026-10", "dc1", "json"), ("2026-10", "", "pdf"), ("", "", "json")]
    {
        let request = wire::GetSlaReportRequest { span: span(period, site), style: style(format) };
        assert_eq!(
            client.get_sla_report(request).await.unwrap_err().code(),
            Code::InvalidArgument,
            "{period} {site} {format}"
        );
    }
    let missing =
        wire::GetFaultReportRequest { name: "tickets/99".to_owned(), ..wire::GetFaultReportRequest::default() };
    assert_eq!(client.get_fault_report(missing).await.unwrap_err().code(), Code::NotFound);
    let fault = wire::GetFaultReportRequest { name: "tickets/1".to_owned(), ..wire::GetFaultReportRequest::default() };
    assert!(client.get_fault_report(fault).await.is_ok());
}

/// `cargo test -p outband-collector --test reports -- --ignored --nocapture`
#[test]
#[ignore = "takes its time; prints how long a year of 100,000 tickets takes"]
fn a_year_of_a_hundred_thousand_tickets() {
    let (_dir, store) = store();
    let servers: Vec<_> = (0..1000).map(|n| server(&format!("srv-{n}"), &format!("dc{}", n % 10))).collect();
    put(&store, servers, Vec::new());
    for batch in 0..100_u64 {
        let tickets = (0..1000).map(|n| {
            let number = batch * 1000 + n + 1;
            let minute = i64::try_from(number).unwrap() * 5 - 270 * DAY;
            let priority = Priority::ALL[usize::try_from(number % 4).unwrap()];
            let ticket = opened(number, &format!("srv-{}", number % 1000), priority, minute, "a disk");
            let ticket = then(ticket, minute + 3, Action::Assign { to: "wang".to_owned() });
            let ticket = then(ticket, minute + 10, Action::Locate { root_cause: "worn out".to_owned() });
            let after = i64::try_from(number % 700).unwrap() + 20;
            then(ticket, minute + after, Action::Resolve { resolution: Resolution::Repaired })
        });
        put(&store, Vec::new(), tickets.collect());
    }
    let terms = terms();
    for label in ["2026", "2026-06"] {
        let began = std::time::Instant::now();
        let period = Period::parse(label, "UTC").unwrap();
        let report = gather::sla(&store, &terms, &all(), period.clone(), Scope::default(), t(300 * DAY)).unwrap();
        let gathered = began.elapsed();
        let misses = report.misses.len();
        let report = Report::Sla(Box::new(report));
        let sizes = Format::ALL.map(|format| {
            let began = std::time::Instant::now();
            let size = report.write(format, Lang::En, None).unwrap().len();
            format!("{} {} kB in {:.1?}", format.as_str(), size / 1024, began.elapsed())
        });
        eprintln!("{label}: {misses} misses; gathered in {gathered:.1?}; {}", sizes.join(", "));
        let began = std::time::Instant::now();
        gather::reliability(&store, &terms, &all(), period, Scope::default(), t(300 * DAY)).unwrap();
        eprintln!("{label}: reliability in {:.1?}", began.elapsed());
    }
}
