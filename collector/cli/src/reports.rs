//! `outband reports`.

use crate::context::Context;
use crate::error::Error;
use crate::name;
use crate::output::{self, Format};
use crate::when;
use crate::words::Lang;
use clap::{Args, Subcommand, ValueEnum};
use outband_proto::report as wire;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub(crate) const HELP: &str = "\
Examples:
  outband reports sla --month 2026-10 --customer acme --format html --out acme.html
  outband reports sla --month 2026-10 --site dc1 --format xlsx --out dc1.xlsx --lang zh-CN
  outband reports sla --month 2026-10 --format csv --table misses     every missed promise, one a line
  outband reports fault 12 --lang zh-CN --format html --out 12.html   after the repair; before it, a diagnosis
  outband reports reliability --year 2026 --format md                 MTTA, MTTR and MTBF by model, site and customer

Months are those of the site's zone, else the customer's, else that of the usual business hours; --zone says otherwise. With --as-of a report
of the past says again what it said then. `-o json` is `--format json`; without --out the file goes to standard output.
How everything is counted stands at the end of each report.";

#[derive(Debug, Subcommand)]
pub(crate) enum ReportsCommand {
    /// How promises were kept in a month, with every miss and its timeline
    Sla {
        #[command(flatten)]
        span: SpanArgs,
        #[command(flatten)]
        style: StyleArgs,
    },
    /// MTTA, MTTR and MTBF by model, site and customer, with counts and intervals
    Reliability {
        #[command(flatten)]
        span: SpanArgs,
        #[command(flatten)]
        style: StyleArgs,
    },
    /// What a ticket was about: cause, evidence, timeline, clocks, parts, five whys
    Fault {
        /// The ticket
        ticket: String,
        /// The zone of its times, e.g. Asia/Shanghai
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        style: StyleArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SpanArgs {
    /// Which month, e.g. 2026-10
    #[arg(long, required_unless_present = "year")]
    month: Option<String>,
    /// Which year, e.g. 2026
    #[arg(long, conflicts_with = "month")]
    year: Option<String>,
    /// Only of this customer, as the topology or the contract names it
    #[arg(long)]
    customer: Option<String>,
    /// Only of this site
    #[arg(long)]
    site: Option<String>,
    /// The zone in which the month is meant, e.g. Asia/Shanghai
    #[arg(long)]
    zone: Option<String>,
    /// What was known then: a time, or how long ago [default: now]
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StyleArgs {
    /// How the file is written [default: by the name of --out, else md]
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
    /// Who reads it: customers read no names of people and no internal remarks
    #[arg(long, value_enum, default_value_t = Audience::Operator)]
    audience: Audience,
    /// Only this table of it, e.g. misses
    #[arg(long)]
    table: Option<String>,
    /// The file to write; `-`: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// One file for people, to mail or print
    Html,
    /// For wikis and mails
    Md,
    /// For spreadsheets and programs, with a byte order mark
    Csv,
    /// A workbook
    Xlsx,
    /// For programs
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Audience {
    Operator,
    Customer,
}

impl StyleArgs {
    fn format(&self, context: &Context) -> ReportFormat {
        let ending = self.out.as_ref().and_then(|path| path.extension()?.to_str());
        let by_name = ending.and_then(|ending| ReportFormat::from_str(ending, true).ok());
        self.format.or(by_name).unwrap_or(match context.format {
            Format::Json => ReportFormat::Json,
            Format::Csv => ReportFormat::Csv,
            Format::Table | Format::Wide | Format::Yaml => ReportFormat::Md,
        })
    }

    fn wire(&self, context: &Context) -> wire::Style {
        let word = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
        wire::Style {
            format: word(self.format(context).to_possible_value()).unwrap_or_default(),
            lang: match context.lang {
                Lang::En => "en".to_owned(),
                Lang::ZhCn => "zh-CN".to_owned(),
            },
            audience: word(self.audience.to_possible_value()).unwrap_or_default(),
            table: self.table.clone().unwrap_or_default(),
        }
    }
}

impl SpanArgs {
    fn wire(self, context: &Context) -> Result<wire::Span, Error> {
        let as_of_ms = self.as_of.map(|text| when::parse(&text, context.shown().now_ms)).transpose()?;
        let site = self.site.map(|site| format!("sites/{}", site.trim_start_matches("sites/")));
        Ok(wire::Span {
            period: self.month.or(self.year).unwrap_or_default(),
            customer: self.customer.unwrap_or_default(),
            site: site.unwrap_or_default(),
            zone: self.zone.unwrap_or_default(),
            as_of_ms,
        })
    }
}

pub(crate) async fn run(context: &Context, command: ReportsCommand) -> Result<(), Error> {
    let mut file = Vec::new();
    let style = match command {
        ReportsCommand::Sla { span, style } => {
            let request =
                wire::GetSlaReportRequest { span: Some(span.wire(context)?), style: Some(style.wire(context)) };
            let mut pieces = context.api.reports().get_sla_report(request).await?.into_inner();
            while let Some(piece) = pieces.message().await? {
                file.extend(piece.chunk);
            }
            style
        }
        ReportsCommand::Reliability { span, style } => {
            let (span, wanted) = (Some(span.wire(context)?), Some(style.wire(context)));
            let request = wire::GetReliabilityReportRequest { span, style: wanted };
            let mut pieces = context.api.reports().get_reliability_report(request).await?.into_inner();
            while let Some(piece) = pieces.message().await? {
                file.extend(piece.chunk);
            }
            style
        }
        ReportsCommand::Fault { ticket, zone, style } => {
            let (name, wanted) = (name::ticket(&ticket), Some(style.wire(context)));
            let request = wire::GetFaultReportRequest { name, style: wanted, zone: zone.unwrap_or_default() };
            let mut pieces = context.api.reports().get_fault_report(request).await?.into_inner();
            while let Some(piece) = pieces.message().await? {
                file.extend(piece.chunk);
            }
            style
        }
    };
    match style.out.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => write(path, &file),
        None => print(&file, style.format(context)),
    }
}

/// Under its name there is the whole file, or what was there before.
fn write(path: &Path, file: &[u8]) -> Result<(), Error> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let failed = |source| Error::File { path: partial.clone(), source };
    // For the eyes of whoever asked: it tells of customers.
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(failed)?;
    out.write_all(file).and_then(|()| out.sync_all()).map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}

fn print(file: &[u8], format: ReportFormat) -> Result<(), Error> {
    if format == ReportFormat::Xlsx && std::io::stdout().is_terminal() {
        return Err(Error::Usage("a workbook is no text; say where to write it: --out FILE".to_owned()));
    }
    match std::str::from_utf8(file) {
        Ok(text) => output::print(text),
        Err(_) => std::io::stdout().lock().write_all(file).map_err(Error::Output),
    }
}
