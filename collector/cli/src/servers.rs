//! `outband servers`.

use crate::context::Context;
use crate::error::Error;
use crate::health::{View as Health, status_word};
use crate::output::{self, Block, Column, Document, List, Rows, Shown, bytes};
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use clap::Subcommand;
use outband_proto::health::{self as wire, GetServerRequest, ListServersRequest};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum ServersCommand {
    /// All servers
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<String>,
    },
    /// One server with its parts
    Get {
        /// Its name, as `outband servers` shows it
        name: String,
    },
}

#[derive(Debug, Serialize)]
struct View {
    name: String,
    /// What people call it: its host's name, or else its targets'.
    display_name: String,
    site: String,
    serial: String,
    uuid: String,
    manufacturer: String,
    model: String,
    hostname: String,
    targets: Vec<String>,
    last_seen: Time,
    health: Option<Health>,
    parts: Vec<Part>,
    etag: String,
}

#[derive(Debug, Serialize)]
struct Part {
    component: String,
    manufacturer: String,
    model: String,
    part_number: String,
    serial: String,
    firmware: String,
    capacity_bytes: u64,
    /// What the disk model says of a drive.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_model: Option<Judgement>,
}

#[derive(Debug, Serialize)]
struct Judgement {
    verdict: String,
    reason: String,
    probability: Option<f64>,
    model: String,
    since: Time,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Server, wide: false, cell: |v, _| name::short(&v.name), raw: |v| v.name.clone() },
    Column {
        key: "display_name",
        head: Word::Name,
        wide: false,
        cell: |v, _| v.display_name.clone(),
        raw: |v| v.display_name.clone(),
    },
    Column {
        key: "site",
        head: Word::Site,
        wide: false,
        cell: |v, _| v.site.trim_start_matches("sites/").to_owned(),
        raw: |v| v.site.clone(),
    },
    Column { key: "status", head: Word::Status, wide: false, cell: |v, s| status(v, s), raw: raw_status },
    Column { key: "score", head: Word::Score, wide: false, cell: |v, _| score(v), raw: score },
    Column {
        key: "manufacturer",
        head: Word::Manufacturer,
        wide: true,
        cell: |v, _| v.manufacturer.clone(),
        raw: |v| v.manufacturer.clone(),
    },
    Column { key: "model", head: Word::Model, wide: false, cell: |v, _| v.model.clone(), raw: |v| v.model.clone() },
    Column { key: "serial", head: Word::Serial, wide: false, cell: |v, _| v.serial.clone(), raw: |v| v.serial.clone() },
    Column {
        key: "hostname",
        head: Word::Hostname,
        wide: true,
        cell: |v, _| v.hostname.clone(),
        raw: |v| v.hostname.clone(),
    },
    Column { key: "uuid", head: Word::Uuid, wide: true, cell: |v, _| v.uuid.clone(), raw: |v| v.uuid.clone() },
    Column {
        key: "targets",
        head: Word::Targets,
        wide: true,
        cell: |v, _| v.targets.join(", "),
        raw: |v| v.targets.join(" "),
    },
    Column {
        key: "last_seen",
        head: Word::LastSeen,
        wide: false,
        cell: |v, s| v.last_seen.age(s.now_ms, s.lang),
        raw: |v| v.last_seen.text(),
    },
];

const PARTS: &[Column<Part>] = &[
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |p, _| p.component.clone(),
        raw: |p| p.component.clone(),
    },
    Column {
        key: "manufacturer",
        head: Word::Manufacturer,
        wide: true,
        cell: |p, _| p.manufacturer.clone(),
        raw: |p| p.manufacturer.clone(),
    },
    Column { key: "model", head: Word::Model, wide: false, cell: |p, _| p.model.clone(), raw: |p| p.model.clone() },
    Column {
        key: "part_number",
        head: Word::PartNumber,
        wide: true,
        cell: |p, _| p.part_number.clone(),
        raw: |p| p.part_number.clone(),
    },
    Column { key: "serial", head: Word::Serial, wide: false, cell: |p, _| p.serial.clone(), raw: |p| p.serial.clone() },
    Column {
        key: "firmware",
        head: Word::Firmware,
        wide: false,
        cell: |p, _| p.firmware.clone(),
        raw: |p| p.firmware.clone(),
    },
    Column {
        key: "capacity_bytes",
        head: Word::Size,
        wide: false,
        cell: |p, _| if p.capacity_bytes == 0 { String::new() } else { bytes(p.capacity_bytes as f64) },
        raw: |p| p.capacity_bytes.to_string(),
    },
    Column {
        key: "disk_model",
        head: Word::DiskModel,
        wide: false,
        cell: |p, s| p.disk_model.as_ref().map(|j| judged(j, s)).unwrap_or_default(),
        raw: |p| p.disk_model.as_ref().map(|j| j.verdict.clone()).unwrap_or_default(),
    },
];

/// What the disk model says of a drive, in words.
fn judged(judgement: &Judgement, shown: &Shown) -> String {
    let why = match (judgement.verdict.as_str(), judgement.reason.as_str()) {
        ("failing", _) => {
            let percent = judgement.probability.map(|p| format!(", {:.0} %", 100.0 * p)).unwrap_or_default();
            return shown.word(Word::DiskFailing) + &percent;
        }
        ("well", _) => return shown.word(Word::DiskWell),
        ("new", _) => return shown.word(Word::DiskNew),
        (_, "solid_state") => Word::DiskFlash,
        (_, "no_attributes") => Word::DiskHidden,
        (_, "unknown_maker") => Word::DiskMaker,
        (verdict, reason) => return format!("{verdict} {reason}").trim_end().to_owned(),
    };
    format!("{} ({}): {}", shown.word(Word::DiskNotJudged), shown.word(why), shown.word(Word::DiskRules))
}

fn status(view: &View, shown: &Shown) -> String {
    shown.word(view.health.as_ref().map_or(Word::Unknown, |h| status_word(h.status)))
}

fn raw_status(view: &View) -> String {
    view.health.as_ref().map_or("unknown", |h| h.status).to_owned()
}

fn score(view: &View) -> String {
    view.health.as_ref().and_then(|h| h.score).map_or_else(|| "–".to_owned(), |s| s.to_string())
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        // Every column, one below the other.
        let all = Shown { wide: true, ..*shown };
        let sheet = COLUMNS.iter().map(|c| (all.word(c.head), (c.cell)(self, &all))).collect();
        let mut blocks = vec![Block::Sheet(sheet)];
        blocks.extend(self.health.iter().filter_map(|h| h.penalty_table(shown)));
        if !self.parts.is_empty() {
            blocks.push(output::table_of(Some(Word::Parts), PARTS, &self.parts, shown));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        output::raw(COLUMNS, std::slice::from_ref(self))
    }
}

impl From<wire::Server> for View {
    fn from(s: wire::Server) -> Self {
        Self {
            display_name: display_name(&s.hostname, &s.targets),
            name: s.name,
            site: s.site,
            serial: s.serial,
            uuid: s.uuid,
            manufacturer: s.manufacturer,
            model: s.model,
            hostname: s.hostname,
            targets: s.targets,
            last_seen: Time(s.last_seen_ms),
            health: s.health.map(Health::from),
            parts: s.parts.into_iter().map(Part::from).collect(),
            etag: s.etag,
        }
    }
}

/// The host's name; a BMC that does not know it is known by the names that its agent's config gives it.
fn display_name(hostname: &str, targets: &[String]) -> String {
    if !hostname.is_empty() {
        return hostname.to_owned();
    }
    let own = |target: &String| target.split_once('/').map_or(target.as_str(), |(_agent, name)| name).to_owned();
    targets.iter().map(own).collect::<Vec<_>>().join(", ")
}

impl From<wire::Part> for Part {
    fn from(p: wire::Part) -> Self {
        Self {
            component: p.component,
            manufacturer: p.manufacturer,
            model: p.model,
            part_number: p.part_number,
            serial: p.serial,
            firmware: p.firmware,
            capacity_bytes: p.capacity_bytes,
            disk_model: p.disk_model.map(|j| Judgement {
                verdict: j.verdict,
                reason: j.reason,
                probability: j.probability,
                model: j.model,
                since: Time(j.since_ms),
            }),
        }
    }
}

pub(crate) async fn run(context: &Context, command: Option<ServersCommand>) -> Result<(), Error> {
    match command {
        Some(ServersCommand::Get { name }) => {
            watch::show(context, async || {
                let request = GetServerRequest { name: name::server(&name) };
                let answer = context.api.health().get_server(request).await?.into_inner();
                context.render(&View::from(answer.server.unwrap_or_default()))
            })
            .await
        }
        Some(ServersCommand::List { site }) => list(context, site.map(|s| name::site(&s)).unwrap_or_default()).await,
        None => list(context, String::new()).await,
    }
}

async fn list(context: &Context, site: String) -> Result<(), Error> {
    watch::show(context, async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request = ListServersRequest { page_size, page_token, site: site.clone() };
            let answer = context.api.health().list_servers(request).await?.into_inner();
            Ok((answer.servers.into_iter().map(View::from).collect(), answer.next_page_token))
        })
        .await?;
        context.render(&List { name: "servers", columns: COLUMNS, paged, none: Word::NoServers })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_by_its_host_and_else_by_its_targets_without_their_agent() {
        let targets = ["dc1/r7-ipmi".to_owned(), "dc1/r7-redfish".to_owned()];
        assert_eq!(display_name("db-7", &targets), "db-7");
        assert_eq!(display_name("", &targets), "r7-ipmi, r7-redfish");
        assert_eq!(display_name("", &["odd".to_owned()]), "odd");
    }
}
