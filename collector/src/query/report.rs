//! Reports, as files.

use crate::auth;
use crate::query::problem::{self, invalid, not_found};
use crate::query::{Desk, name};
use crate::report::gather;
use crate::report::period::{self, Period};
use crate::report::sla::Scope;
use crate::report::{self, Format, Report};
use crate::token::{Principal, Role};
use crate::words::{Audience, Lang};
use jiff::tz::TimeZone;
use outband_proto::report as wire;
use outband_proto::report::report_service_server::ReportService;
use outband_schemas::{Clock, Timestamp};
use outband_store::Store;
use outband_store::change::Changes;
use outband_store::maintenance::Maintenance;
use tokio_stream::Iter;
use tonic::{Request, Response, Status};

/// The longest piece that is handed on, in bytes.
const PIECE: usize = 1 << 20;

type Pieces<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

#[tonic::async_trait]
impl<S: Store + Changes + Maintenance, C: Clock + Send + Sync + 'static> ReportService for Desk<S, C> {
    type GetSlaReportStream = Pieces<wire::GetSlaReportResponse>;

    async fn get_sla_report(
        &self,
        request: Request<wire::GetSlaReportRequest>,
    ) -> Result<Response<Self::GetSlaReportStream>, Status> {
        let who = auth::principal(&request)?;
        let (sight, r) = (self.sight(&who), request.into_inner());
        let reader = self.reader(&who);
        let style = Style::read(r.style.unwrap_or_default(), &who)?;
        let span = r.span.unwrap_or_default();
        let file = self
            .make(style, move |store, terms, style, now| {
                let (period, scope, as_of) = read(terms, span, now)?;
                let report = gather::sla(store, terms, &sight, period, scope, as_of).map_err(|e| problem_of(&e))?;
                let report = if style.audience == Audience::Customer { report.for_customer(&reader) } else { report };
                Ok(Report::Sla(Box::new(report)))
            })
            .await?;
        Ok(pieces(file, |chunk| wire::GetSlaReportResponse { chunk }))
    }

    type GetReliabilityReportStream = Pieces<wire::GetReliabilityReportResponse>;

    async fn get_reliability_report(
        &self,
        request: Request<wire::GetReliabilityReportRequest>,
    ) -> Result<Response<Self::GetReliabilityReportStream>, Status> {
        let who = auth::principal(&request)?;
        let (sight, r) = (self.sight(&who), request.into_inner());
        let style = Style::read(r.style.unwrap_or_default(), &who)?;
        let span = r.span.unwrap_or_default();
        let file = self
            .make(style, move |store, terms, _, now| {
                let (period, scope, as_of) = read(terms, span, now)?;
                let report =
                    gather::reliability(store, terms, &sight, period, scope, as_of).map_err(|e| problem_of(&e))?;
                Ok(Report::Reliability(report))
            })
            .await?;
        Ok(pieces(file, |chunk| wire::GetReliabilityReportResponse { chunk }))
    }

    type GetFaultReportStream = Pieces<wire::GetFaultReportResponse>;

    async fn get_fault_report(
        &self,
        request: Request<wire::GetFaultReportRequest>,
    ) -> Result<Response<Self::GetFaultReportStream>, Status> {
        let who = auth::principal(&request)?;
        let (sight, r) = (self.sight(&who), request.into_inner());
        let reader = self.reader(&who);
        let style = Style::read(r.style.unwrap_or_default(), &who)?;
        let number = name::read_ticket(&r.name)?;
        let asked = Some(r.zone).filter(|zone| !zone.is_empty());
        let file = self
            .make(style, move |store, terms, style, now| {
                let audience = (style.audience, &reader);
                let report = gather::fault(store, terms, &sight, number, audience, now).map_err(|e| problem_of(&e))?;
                let report = report.ok_or_else(|| {
                    not_found("Ticket", &name::ticket(number), "list the tickets to see those there are")
                })?;
                let scope = Scope { customer: report.customer.clone(), site: report.site.clone() };
                let zone = gather::zone(terms, &scope, asked.as_deref());
                let zone = TimeZone::get(&zone).map_err(|_| no_period(&period::Error::Zone(zone)))?;
                Ok(Report::Fault(Box::new(report), zone))
            })
            .await?;
        Ok(pieces(file, |chunk| wire::GetFaultReportResponse { chunk }))
    }
}

impl<S: Store, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// Makes a report and writes it, on a thread that may block.
    async fn make(
        &self,
        style: Style,
        make: impl FnOnce(&S, &crate::judgement::Terms, &Style, Timestamp) -> Result<Report, Status> + Send + 'static,
    ) -> Result<Vec<u8>, Status> {
        let (store, terms, now) = (self.store.clone(), self.terms(), self.now());
        let work = move || {
            let report = make(&store, &terms, &style, now)?;
            report.write(style.format, style.lang, style.table.as_deref()).map_err(|e| match e {
                report::Error::NoTable { .. } => invalid("style.table", e.to_string()),
                other => Status::internal(other.to_string()),
            })
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| problem::shutting_down())?
    }
}

/// How it is to be written.
#[derive(Debug)]
struct Style {
    format: Format,
    lang: Lang,
    audience: Audience,
    table: Option<String>,
}

impl Style {
    fn read(style: wire::Style, who: &Principal) -> Result<Self, Status> {
        let wire::Style { format, lang, audience, table } = style;
        let format = match format.as_str() {
            "" => Format::Html,
            word => Format::from_word(word)
                .ok_or_else(|| invalid("style.format", format!("{word:?} is none of html, md, csv, xlsx and json")))?,
        };
        let lang = match lang.as_str() {
            "" => Lang::En,
            tag => {
                Lang::from_tag(tag).ok_or_else(|| invalid("style.lang", format!("{tag:?} is neither en nor zh-CN")))?
            }
        };
        let audience = match audience.as_str() {
            // Whatever they ask for.
            _ if who.role == Role::Customer => Audience::Customer,
            "" | "operator" => Audience::Operator,
            "customer" => Audience::Customer,
            other => return Err(invalid("style.audience", format!("{other:?} is neither operator nor customer"))),
        };
        Ok(Self { format, lang, audience, table: Some(table).filter(|table| !table.is_empty()) })
    }
}

fn read(
    terms: &crate::judgement::Terms,
    span: wire::Span,
    now: Timestamp,
) -> Result<(Period, Scope, Timestamp), Status> {
    let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let site = given(span.site).map(|site| name::read_site("span.site", &site)).transpose()?;
    let scope = Scope { customer: given(span.customer), site: site.map(|site| site.to_string()) };
    let zone = gather::zone(terms, &scope, given(span.zone).as_deref());
    let period = Period::parse(&span.period, &zone).map_err(|e| no_period(&e))?;
    let as_of = span.as_of_ms.map_or(now, |ms| Timestamp::from_millis(ms).min(now));
    Ok((period, scope, as_of))
}

fn no_period(error: &period::Error) -> Status {
    match error {
        period::Error::Label(_) => invalid("span.period", error.to_string()),
        period::Error::Zone(_) => invalid("span.zone", error.to_string()),
    }
}

fn problem_of(error: &gather::Error) -> Status {
    match error {
        gather::Error::Store(error) => problem::of_store(error),
        gather::Error::Period(error) => no_period(error),
    }
}

fn pieces<T>(file: Vec<u8>, piece: impl Fn(Vec<u8>) -> T) -> Response<Pieces<T>> {
    let all: Vec<Result<T, Status>> = file.chunks(PIECE).map(|chunk| Ok(piece(chunk.to_vec()))).collect();
    Response::new(tokio_stream::iter(all))
}
