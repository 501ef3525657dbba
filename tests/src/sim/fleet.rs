//! A simulated site: servers in racks, half of them with an IPMI BMC, half with a Redfish one, some of which will fail.

use super::ipmi_bmc::{self, IpmiBmc};
use super::machine::{Fault, FaultKind, Machine, Shared, Spec};
use super::redfish_bmc::{self, Etag, Login, Push, RedfishServer, Service};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::io;

/// What a BMC speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RMCP+ over UDP.
    Ipmi,
    /// Redfish over HTTPS.
    Redfish,
}

/// What a Redfish BMC can do beyond answering: makers differ, and so do the servers of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abilities {
    /// Nothing.
    Plain,
    /// `$expand` and ETags.
    Queries,
    /// The same, an event stream and subscriptions.
    Push,
}

impl Abilities {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Queries => "$expand, ETags",
            Self::Push => "$expand, ETags, event stream, subscriptions",
        }
    }

    fn options(self, login: Login) -> redfish_bmc::Options {
        let plain = redfish_bmc::Options { login: Some(login), ..Default::default() };
        let features = serde_json::json!({
            "ExpandQuery": {"ExpandAll": false, "NoLinks": true, "Links": false, "Levels": true, "MaxLevels": 1},
            "SelectQuery": true, "OnlyMemberQuery": true,
        });
        let queries = redfish_bmc::Options { features: Some(features), etag: Etag::Weak, ..plain.clone() };
        match self {
            Self::Plain => plain,
            Self::Queries => queries,
            Self::Push => redfish_bmc::Options { push: Some(Push::default()), ..queries },
        }
    }
}

/// One server to be: what it is, what its BMC speaks, what will go wrong with it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it is.
    pub spec: Spec,
    /// What its BMC speaks.
    pub protocol: Protocol,
    /// What its BMC can do, where that speaks Redfish.
    pub abilities: Abilities,
    /// What will go wrong.
    pub faults: Vec<Fault>,
}

/// Racks of a site.
const RACKS: usize = 3;

/// A site of `count` servers in three racks, all of them sound.
pub fn sound_site(count: usize, seed: u64) -> Vec<Plan> {
    let mut random = StdRng::seed_from_u64(seed);
    let a_rack = count.div_ceil(RACKS).max(1);
    (0..count)
        .map(|i| {
            let (rack, unit) = (i / a_rack, i % a_rack * 2 + 1);
            let serial = format!("NG{:07}", 2_100_000 + random.random_range(0..90_000) * 10 + i % 10);
            let mut spec = Spec::new(format!("r{}-u{unit:02}", rack + 1), serial, random.random());
            spec.rack = rack;
            spec.drives = [6, 8, 8, 12][random.random_range(0..4)];
            // BMC clocks are seldom right.
            spec.clock_offset_s = random.random_range(-90..90);
            let protocol = if i % 2 == 0 { Protocol::Redfish } else { Protocol::Ipmi };
            let abilities = [Abilities::Push, Abilities::Queries, Abilities::Plain][i / 2 % 3];
            Plan { spec, protocol, abilities, faults: Vec::new() }
        })
        .collect()
}

/// A site on which, within the first minutes, a drive wears, fans wear, a power supply loses its input, memory corrects errors in bursts, the
/// last rack runs hot and a BMC falls silent; each hits another server as far as there are enough.
pub fn troubled_site(count: usize, seed: u64) -> Vec<Plan> {
    let mut plans = sound_site(count, seed);
    let mut random = StdRng::seed_from_u64(seed ^ 0x0760_0b1e);
    let hot = plans.iter().map(|p| p.spec.rack).max().filter(|r| *r > 0);
    for plan in plans.iter_mut().filter(|p| Some(p.spec.rack) == hot) {
        plan.faults.push(Fault { kind: FaultKind::InletRunsHot, onset: 30.0, over: 90.0 });
    }
    // Servers of the hot rack have enough on their hands; where there is no other, they take what is left.
    let mut cool: Vec<usize> = (0..plans.len()).filter(|i| Some(plans[*i].spec.rack) != hot).collect();
    cool.shuffle(&mut random);
    let mut take = |protocol: Option<Protocol>, plans: &[Plan]| {
        let fits = |i: &usize| protocol.is_none_or(|p| plans[*i].protocol == p);
        match cool.iter().position(fits) {
            Some(at) => Some(cool.remove(at)),
            None => (0..plans.len()).filter(fits).collect::<Vec<_>>().choose(&mut StdRng::seed_from_u64(seed)).copied(),
        }
    };
    // IPMI has no SMART counters: a drive's decline shows on Redfish long before its slot's sensor says anything.
    let wishes = [
        (Some(Protocol::Redfish), "disk", 6.0, 50.0),
        (Some(Protocol::Ipmi), "fan", 6.0, 40.0),
        (None, "psu", 20.0, 1.0),
        (None, "ecc", 12.0, 60.0),
        (Some(Protocol::Redfish), "fan", 40.0, 60.0),
        (None, "silent", 75.0, 1.0),
    ];
    for (protocol, wish, onset, over) in wishes {
        let Some(server) = take(protocol, &plans) else { continue };
        let spec = &plans[server].spec;
        let mut random = StdRng::seed_from_u64(spec.seed);
        let kind = match wish {
            // The first two bays are flash.
            "disk" => FaultKind::DiskWears { bay: random.random_range(2..spec.drives) },
            "fan" => FaultKind::FanWears { fan: random.random_range(0..spec.fans) },
            "psu" => FaultKind::PsuInputLost { psu: random.random_range(0..spec.psus) },
            "ecc" => FaultKind::EccBursts { dimm: random.random_range(0..spec.dimms) },
            _ => FaultKind::BmcSilent,
        };
        plans[server].faults.push(Fault { kind, onset, over });
    }
    plans
}

/// A BMC that runs.
#[derive(Debug)]
pub enum Bmc {
    /// Over UDP.
    Ipmi(IpmiBmc),
    /// Over HTTPS.
    Redfish(Service),
}

impl Bmc {
    /// Its address as a client writes it.
    pub fn url(&self) -> String {
        match self {
            Bmc::Ipmi(bmc) => bmc.url(),
            Bmc::Redfish(service) => service.url(),
        }
    }

    /// What it is and can do, in words.
    pub fn describe(&self, plan: &Plan) -> String {
        match self {
            Bmc::Ipmi(_) => "IPMI".to_owned(),
            Bmc::Redfish(_) => format!("Redfish: {}", plan.abilities.as_str()),
        }
    }

    /// Sessions that are open now.
    pub fn open_sessions(&self) -> usize {
        match self {
            Bmc::Ipmi(bmc) => bmc.open_sessions(),
            Bmc::Redfish(service) => service.open_sessions(),
        }
    }
}

/// A server that runs, with its BMC.
#[derive(Debug)]
pub struct Server {
    /// What it was to be.
    pub plan: Plan,
    /// The server itself.
    pub machine: Shared,
    /// Its BMC.
    pub bmc: Bmc,
}

/// Who may log in to every BMC of a site.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Starts a site on loopback, each BMC on a port of its own; `scale` seconds pass there in each second. Needs a tokio runtime.
pub async fn start(plans: Vec<Plan>, credentials: &Credentials, scale: f64) -> io::Result<Vec<Server>> {
    let mut servers = Vec::with_capacity(plans.len());
    for plan in plans {
        let machine = Shared::new(Machine::new(plan.spec.clone(), plan.faults.clone()), scale);
        let bmc = match plan.protocol {
            Protocol::Ipmi => {
                let options = ipmi_bmc::Options::new(&credentials.user, &credentials.password);
                Bmc::Ipmi(IpmiBmc::start(machine.clone(), options).await?)
            }
            Protocol::Redfish => {
                let login = Login { user: credentials.user.clone(), password: credentials.password.clone() };
                Bmc::Redfish(RedfishServer::serve(machine.clone(), plan.abilities.options(login)).await?)
            }
        };
        servers.push(Server { plan, machine, bmc });
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn servers_of_a_site_have_names_serials_and_uuids_of_their_own() {
        let plans = sound_site(24, 1);
        let distinct = |f: fn(&Plan) -> String| plans.iter().map(f).collect::<HashSet<_>>().len();
        assert_eq!(distinct(|p| p.spec.name.clone()), 24);
        assert_eq!(distinct(|p| p.spec.serial.clone()), 24);
        assert_eq!(distinct(|p| p.spec.uuid_text()), 24);
        assert_eq!(plans.iter().filter(|p| p.protocol == Protocol::Ipmi).count(), 12);
        assert_eq!(distinct(|p| p.spec.rack.to_string()), 3);
        let redfish = plans.iter().filter(|p| p.protocol == Protocol::Redfish);
        assert_eq!(redfish.filter(|p| p.abilities == Abilities::Push).count(), 4);
    }

    #[test]
    fn the_same_seed_makes_the_same_trouble() {
        let faults = |seed| troubled_site(24, seed).iter().map(|p| p.faults.clone()).collect::<Vec<_>>();
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
    }

    #[test]
    fn a_drive_and_a_fan_wear_on_sites_of_every_size() {
        for count in 2..30 {
            let all: Vec<_> = troubled_site(count, 3).into_iter().flat_map(|p| p.faults).map(|f| f.kind).collect();
            assert!(all.iter().any(|k| matches!(k, FaultKind::DiskWears { .. })), "{count}");
            assert!(all.iter().any(|k| matches!(k, FaultKind::FanWears { .. })), "{count}");
        }
    }
}
