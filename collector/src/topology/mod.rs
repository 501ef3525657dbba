//! Where servers stand and what feeds them, from a CSV file:
//! `server,rack,unit,power_feed,cooling_zone,model,customer,rack_limit_w,feed_limit_w`. Only `server` has to be there; it holds the id, the serial or the
//! target of a server. Several feeds of one server are separated by semicolons, and so are their limits, in the order of the feeds. A limit is what the rack
//! or the feed as a whole can carry, in W; it may stand in the rows of some of its servers only.

pub(crate) mod csv;

use outband_store::ServerRecord;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The columns that are known.
const COLUMNS: [&str; 9] =
    ["server", "rack", "unit", "power_feed", "cooling_zone", "model", "customer", "rack_limit_w", "feed_limit_w"];

/// Why there is no topology.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the topology {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("the topology {path} cannot be used: line {line}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// Where one server stands. What is `None` is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The rack.
    pub rack: Option<String>,
    /// The unit in the rack, as people write it.
    pub unit: Option<String>,
    /// The power feeds.
    pub feeds: Vec<String>,
    /// The cooling zone.
    pub zone: Option<String>,
    /// The model, as the inventory of the house has it.
    pub model: Option<String>,
    /// Whose server it is.
    pub customer: Option<String>,
    /// What the rack can carry, in W.
    pub rack_limit: Option<u32>,
    /// What each of [`Place::feeds`] can carry, in W.
    pub feed_limits: Vec<Option<u32>>,
}

/// Where all servers stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    by_name: BTreeMap<String, Place>,
}

impl Topology {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|(line, what)| Error::Wrong { path: path.to_owned(), line, what })
    }

    /// Reads the text of a file, or says which line is wrong and why.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut rows = csv::rows(text)?.into_iter();
        let (_, head) =
            rows.next().ok_or_else(|| (1, format!("the first line names the columns: {}", COLUMNS.join(","))))?;
        let mut columns = Vec::new();
        for name in &head {
            let known = COLUMNS.iter().find(|c| **c == name.trim().to_lowercase());
            let known = known.ok_or_else(|| (1, format!("no column {name:?}; there are {}", COLUMNS.join(", "))))?;
            if columns.contains(known) {
                return Err((1, format!("the column {known} stands twice")));
            }
            columns.push(*known);
        }
        if !columns.contains(&"server") {
            return Err((1, "the column server is missing".to_owned()));
        }
        let mut by_name = BTreeMap::new();
        for (line, row) in rows {
            if row.len() > columns.len() {
                return Err((line, format!("{} values for {} columns", row.len(), columns.len())));
            }
            let of = |column: &str| {
                let at = columns.iter().position(|c| *c == column)?;
                row.get(at).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
            };
            let server = of("server").ok_or_else(|| (line, "no server".to_owned()))?;
            let feeds = of("power_feed").unwrap_or_default();
            let feeds: Vec<String> = feeds.split(';').map(|f| f.trim().to_owned()).filter(|f| !f.is_empty()).collect();
            let place = Place {
                rack: of("rack"),
                unit: of("unit"),
                rack_limit: of("rack_limit_w").map(|text| watts(&text)).transpose().map_err(|what| (line, what))?,
                feed_limits: limits(of("feed_limit_w").as_deref(), &feeds).map_err(|what| (line, what))?,
                feeds,
                zone: of("cooling_zone"),
                model: of("model"),
                customer: of("customer"),
            };
            if by_name.insert(server.clone(), place).is_some() {
                return Err((line, format!("{server} stands twice")));
            }
        }
        Ok(Self { by_name })
    }

    /// Where a server stands: looked for by its id, its serial, its targets.
    pub fn place(&self, server: &ServerRecord) -> Option<&Place> {
        if self.by_name.is_empty() {
            return None;
        }
        let names = [Some(server.id.as_str()), server.identity.serial.as_deref()].into_iter().flatten();
        names.chain(server.targets.iter().map(|t| t.target.as_str())).find_map(|name| self.by_name.get(name))
    }

    /// How many servers it names.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// A limit in W.
fn watts(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no power in W: a whole number above 0");
    text.parse().ok().filter(|watts| *watts > 0).ok_or_else(wrong)
}

/// The limit of each feed; where one stands alone, it is that of each of them.
fn limits(text: Option<&str>, feeds: &[String]) -> Result<Vec<Option<u32>>, String> {
    let Some(text) = text else { return Ok(vec![None; feeds.len()]) };
    let one = |text: &str| Some(text.trim()).filter(|t| !t.is_empty()).map(watts).transpose();
    let told: Vec<Option<u32>> = text.split(';').map(one).collect::<Result<_, _>>()?;
    match told.as_slice() {
        [one] => Ok(vec![*one; feeds.len()]),
        all if all.len() == feeds.len() => Ok(told),
        all => Err(format!("{} limits for {} feeds", all.len(), feeds.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{AgentId, Identity, ServerId, SiteId, TargetId, Timestamp};
    use outband_store::AgentTarget;

    fn server(id: &str, serial: &str, target: &str) -> ServerRecord {
        ServerRecord {
            id: ServerId::new(id).unwrap(),
            site: SiteId::new("dc1").unwrap(),
            identity: Identity { serial: Some(serial.to_owned()), ..Identity::default() },
            targets: vec![AgentTarget { agent: AgentId::new("a1").unwrap(), target: TargetId::new(target).unwrap() }],
            first_seen: Timestamp::EPOCH,
            last_seen: Timestamp::EPOCH,
            merged_into: None,
            rev: 1,
        }
    }

    #[test]
    fn a_server_is_found_by_its_id_its_serial_or_its_target() {
        let topology = Topology::parse("server,rack,power_feed\nsrv-1,R1,A;B\nSN2,R2,\nbmc3,R3,C\n").unwrap();
        let rack = |s: &ServerRecord| topology.place(s).and_then(|p| p.rack.clone());
        assert_eq!(rack(&server("srv-1", "x", "y")).as_deref(), Some("R1"));
        assert_eq!(rack(&server("srv-2", "SN2", "y")).as_deref(), Some("R2"));
        assert_eq!(rack(&server("srv-3", "x", "bmc3")).as_deref(), Some("R3"));
        assert_eq!(rack(&server("srv-4", "x", "y")), None);
        assert_eq!(topology.place(&server("srv-1", "x", "y")).unwrap().feeds, ["A", "B"]);
    }

    #[test]
    fn columns_may_stand_in_any_order_and_values_in_quotes() {
        let topology = Topology::parse("\u{feff}Customer,server\r\n\"Wang, Li & Co\",srv-1\r\n\r\n").unwrap();
        assert_eq!(topology.place(&server("srv-1", "x", "y")).unwrap().customer.as_deref(), Some("Wang, Li & Co"));
    }

    #[test]
    fn racks_and_feeds_may_have_limits() {
        let head = "server,rack,rack_limit_w,power_feed,feed_limit_w\n";
        let rows = "s1,R1,6000,A;B,20000;18000\ns2,R1,,A;B,20000\ns3,R1,,A;B,;18000\ns4,R1,,,\n";
        let topology = Topology::parse(&format!("{head}{rows}")).unwrap();
        let limits = |id: &str| {
            let place = topology.place(&server(id, "x", "y")).unwrap();
            (place.rack_limit, place.feed_limits.clone())
        };
        assert_eq!(limits("s1"), (Some(6000), vec![Some(20_000), Some(18_000)]));
        assert_eq!(limits("s2"), (None, vec![Some(20_000), Some(20_000)]));
        assert_eq!(limits("s3"), (None, vec![None, Some(18_000)]));
        assert_eq!(limits("s4"), (None, vec![]));
        for wrong in ["s1,R1,6 kW,A,", "s1,R1,0,A,", "s1,R1,-5,A,", "s1,R1,,A;B,1;2;3", "s1,R1,,A,x"] {
            assert_eq!(Topology::parse(&format!("{head}{wrong}\n")).unwrap_err().0, 2, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = |text: &str| Topology::parse(text).unwrap_err().0;
        assert_eq!(wrong(""), 1);
        assert_eq!(wrong("server,shelf\n"), 1);
        assert_eq!(wrong("rack\nR1\n"), 1);
        assert_eq!(wrong("server,rack\ns1,R1\n,R2\n"), 3);
        assert_eq!(wrong("server,rack\ns1,R1\ns1,R2\n"), 3);
        assert_eq!(wrong("server,rack\ns1,R1,x\n"), 2);
        assert_eq!(wrong("server\n\"s1\n"), 2);
    }
}
