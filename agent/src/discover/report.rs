//! What a discovery found, for people and for scripts.

use super::args::Prefer;
use super::find::Found;
use super::login::{Entry, Login};
use comfy_table::{Table, presets};
use outband_bmc::{Address, Fingerprint};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

/// A BMC that was found.
#[derive(Debug)]
pub(super) struct Bmc {
    pub(super) address: IpAddr,
    pub(super) found: Found,
    /// Its URL in the config, where it is known already.
    pub(super) known: Option<String>,
    pub(super) redfish: Entry,
    pub(super) ipmi: Entry,
}

/// A row of a targets file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) credentials: String,
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Bmc {
    fn redfish_url(&self) -> Option<String> {
        let (port, _) = self.found.redfish.as_ref()?;
        let address = Address::Redfish { host: self.address.to_string(), port: *port };
        Some(if *port == 443 { format!("https://{}", bracketed(self.address)) } else { address.to_string() })
    }

    fn ipmi_url(&self, port: u16) -> Option<String> {
        self.found.ipmi?;
        let address = Address::Ipmi { host: self.address.to_string(), port };
        Some(if port == 623 { format!("ipmi://{}", bracketed(self.address)) } else { address.to_string() })
    }

    /// The targets that it becomes. Where no login was tried, or none was right, the column of the login is left for the operator.
    pub(super) fn targets(&self, prefer: Prefer, ipmi_port: u16) -> Vec<Target> {
        if self.known.is_some() {
            return Vec::new();
        }
        let id = format!("bmc-{}", self.address.to_string().replace(['.', ':'], "-"));
        let certificate = self.found.redfish.as_ref().and_then(|(_, root)| root.certificate);
        let redfish = self.redfish_url().map(|url| (url, certificate, &self.redfish));
        let ipmi = self.ipmi_url(ipmi_port).map(|url| (url, None, &self.ipmi));
        let both = match prefer {
            Prefer::Redfish | Prefer::Both => [redfish, ipmi],
            Prefer::Ipmi => [ipmi, redfish],
        };
        let mut rows: Vec<_> = both.into_iter().flatten().collect();
        if prefer != Prefer::Both {
            // The first that lets us in, else simply the first.
            let best = rows.iter().position(|(.., entry)| entry.profile().is_some()).unwrap_or(0);
            rows = rows.into_iter().skip(best).take(1).collect();
        }
        let row = |(n, (url, fingerprint, entry)): (usize, (String, Option<Fingerprint>, &Entry))| Target {
            id: if n == 0 { id.clone() } else { format!("{id}-ipmi") },
            url,
            credentials: entry.profile().unwrap_or_default().to_owned(),
            fingerprint,
        };
        rows.into_iter().enumerate().map(row).collect()
    }

    fn vendor(&self) -> Option<&str> {
        let by_root = self.found.redfish.as_ref().and_then(|(_, root)| root.product.vendor.as_deref());
        by_root.or_else(|| self.found.ipmi.and_then(outband_bmc::discover::Presence::maker))
    }
}

fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

/// For people.
pub(super) fn table(bmcs: &[Bmc], logins: &[Login], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut head = vec!["ADDRESS", "SPEAKS", "VENDOR", "MODEL", "BMC", "FIRMWARE", "CERTIFICATE"];
    head.extend((!logins.is_empty()).then_some("LOGIN"));
    table.set_header(head);
    for bmc in bmcs {
        let root = bmc.found.redfish.as_ref().map(|(_, root)| root);
        let product = root.map(|r| &r.product);
        let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let of =
            |f: fn(&outband_bmc::discover::Product) -> &Option<String>| dash(product.and_then(|p| f(p).as_deref()));
        let certificate = root.and_then(|r| r.certificate).map(|c| c.to_string());
        let mut row = vec![
            bmc.address.to_string(),
            speaks(&bmc.found),
            dash(bmc.vendor()),
            of(|p| &p.model),
            of(|p| &p.bmc),
            of(|p| &p.firmware),
            certificate.map_or_else(|| "-".to_owned(), |c| format!("{}…", c.chars().take(16).collect::<String>())),
        ];
        row.extend((!logins.is_empty()).then(|| login_words(bmc)));
        table.add_row(row);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn speaks(found: &Found) -> String {
    let ipmi = found.ipmi.map(|p| if p.rmcp_plus || !p.channel { "IPMI" } else { "IPMI 1.5 only" });
    let redfish = found.redfish.as_ref().map(|(_, root)| match &root.product.redfish {
        Some(version) => format!("Redfish {version}"),
        None => "Redfish".to_owned(),
    });
    let words: Vec<String> = redfish.into_iter().chain(ipmi.map(str::to_owned)).collect();
    if words.is_empty() { "SSDP only".to_owned() } else { words.join(", ") }
}

fn login_words(bmc: &Bmc) -> String {
    if let Some(url) = &bmc.known {
        return format!("a target already ({url})");
    }
    let entries = [("Redfish", &bmc.redfish), ("IPMI", &bmc.ipmi)];
    let words = entries.iter().filter_map(|(what, entry)| entry.words().map(|w| format!("{what}: {w}")));
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join("; ") }
}

/// For scripts.
pub(super) fn lines(bmcs: &[Bmc], asked: usize, ipmi_port: u16, out: &mut impl Write) -> io::Result<()> {
    for bmc in bmcs {
        let redfish = bmc.found.redfish.as_ref().map(|(port, root)| {
            let p = &root.product;
            json!({"url": bmc.redfish_url(), "port": port, "version": p.redfish, "vendor": p.vendor, "model": p.model, "bmc": p.bmc,
                "firmware": p.firmware, "serial": p.serial, "uuid": p.uuid, "fingerprint": root.certificate.map(|c| c.to_string()),
                "login": bmc.redfish.json()})
        });
        let ipmi = bmc.found.ipmi.map(|p| {
            json!({"url": bmc.ipmi_url(ipmi_port), "pong": p.pong, "ipmi_2_0": p.rmcp_plus, "enterprise": p.enterprise, "login": bmc.ipmi.json()})
        });
        let line = json!({"type": "bmc", "address": bmc.address, "vendor": bmc.vendor(), "redfish": redfish, "ipmi": ipmi,
            "ssdp": bmc.found.ssdp, "other": bmc.found.other, "known": bmc.known});
        writeln!(out, "{line}")?;
    }
    let mut vendors: BTreeMap<&str, usize> = BTreeMap::new();
    for bmc in bmcs {
        *vendors.entry(bmc.vendor().unwrap_or("unknown")).or_default() += 1;
    }
    writeln!(out, "{}", json!({"type": "summary", "addresses": asked, "found": bmcs.len(), "vendors": vendors}))
}
