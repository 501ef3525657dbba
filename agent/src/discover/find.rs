//! Who is there: the sweep over UDP, the look at each HTTPS port, and who announces itself.

use super::args::DiscoverArgs;
use super::progress::{Progress, Stage};
use outband_bmc::discover::presence::Presence;
use outband_bmc::discover::root::{self, Listener, Root};
use outband_bmc::discover::{ssdp, sweep};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(3);

/// What answers at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Over UDP.
    pub(super) ipmi: Option<Presence>,
    /// Port and root of its Redfish service.
    pub(super) redfish: Option<(u16, Root)>,
    /// What listens on an HTTPS port of a BMC and is no Redfish service, or could not say so.
    pub(super) other: Option<String>,
    /// It announced itself.
    pub(super) ssdp: bool,
}

/// Everything that answers at `addresses` and is, or may be, a BMC.
pub(super) async fn find(
    args: &DiscoverArgs,
    addresses: &BTreeSet<IpAddr>,
    progress: &mut Progress<'_>,
) -> io::Result<BTreeMap<IpAddr, Found>> {
    let mut found: BTreeMap<IpAddr, Found> = BTreeMap::new();
    let pace = sweep::Pace::default();
    let questions = addresses.len() * usize::from(pace.rounds);
    progress.begin(Stage::Ping, questions);
    let present = sweep::presence(addresses, args.ipmi_port, pace, |asked| progress.at(asked, None)).await?;
    for (address, presence) in present {
        found.entry(address).or_default().ipmi = Some(presence);
    }
    let mut doors: BTreeSet<(IpAddr, u16)> =
        addresses.iter().flat_map(|a| args.https_ports.iter().map(|p| (*a, *p))).collect();
    if !args.no_ssdp {
        for (address, port) in announced(addresses).await {
            found.entry(address).or_default().ssdp = true;
            doors.insert((address, port));
        }
    }
    progress.begin(Stage::Https, doors.len());
    let (mut left, mut done) = (doors.into_iter(), 0);
    let mut looking = JoinSet::new();
    loop {
        while looking.len() < usize::from(args.at_once) {
            let Some((address, port)) = left.next() else { break };
            let answer_within = Duration::from_secs(args.request_deadline);
            looking
                .spawn(async move { (address, port, root::look(address, port, CONNECT_WITHIN, answer_within).await) });
        }
        let (address, port, listener) = match looking.join_next().await {
            None => break,
            Some(Ok(looked)) => looked,
            Some(Err(error)) => {
                tracing::error!(%error, "a look at an address ended in a defect of the agent");
                continue;
            }
        };
        done += 1;
        progress.at(done, None);
        match listener {
            Listener::Redfish(root) => {
                let entry = found.entry(address).or_default();
                if entry.redfish.is_none() {
                    entry.redfish = Some((port, *root));
                }
            }
            Listener::Other { detail, .. } => {
                found.entry(address).or_default().other = Some(format!("port {port}: {detail}"))
            }
            Listener::Nothing => {}
        }
    }
    // A web server is no BMC for that alone.
    found.retain(|_, f| f.ipmi.is_some() || f.redfish.is_some() || f.ssdp);
    Ok(found)
}

async fn announced(addresses: &BTreeSet<IpAddr>) -> Vec<(IpAddr, u16)> {
    let Ok(group) = ssdp::GROUP.parse::<SocketAddr>() else { return Vec::new() };
    match sweep::announced(group, ANNOUNCED_WITHIN).await {
        Ok(all) => all.into_iter().filter(|a| addresses.contains(&a.address)).map(|a| (a.address, a.port)).collect(),
        Err(error) => {
            tracing::debug!(%error, "no search by multicast");
            Vec::new()
        }
    }
}
