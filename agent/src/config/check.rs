//! From [`File`] to [`Config`]: what each value means, and every value that means nothing.

mod orders;
mod push;

use super::file::{CadenceTable, CollectorTable, CredentialsTable, File, PollTable, TargetTable};
use super::problem::{Problem, Problems, Step};
use super::{Cadence, Collector, Config, HOST_TARGET, Limits, Surroundings, TargetConfig, secret, targets_csv, units};
use crate::enrol::identity::Identity;
use crate::uplink::Credential;
use outband_bmc::{Address, BmcKey, CipherSuite, Credentials, Target, Trust};
use outband_schemas::{AgentId, SiteId, TargetId};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const DEFAULT_DATA_DIR: &str = "/var/lib/outband-agent";
/// Three days of a thousand BMCs; see the sizing table in deploy/README.md.
const DEFAULT_QUOTA: u64 = 6 << 30;
const LEAST_QUOTA: u64 = 4 << 20;
const MIN_CADENCE: Duration = Duration::from_millis(500);
const MAX_CADENCE: Duration = Duration::from_secs(7 * 86_400);

/// Where problems of one table go: to a path in the TOML file, or to a line of the CSV.
struct Place<'p, 'a> {
    problems: &'p mut Problems<'a>,
    at: At,
}

enum At {
    Toml(Vec<Step>),
    Csv { file: PathBuf, line: usize },
}

impl Place<'_, '_> {
    fn add(&mut self, field: &str, message: impl Display) {
        match &self.at {
            At::Toml(steps) => {
                let mut steps = steps.clone();
                steps.extend(field.split('.').filter(|f| !f.is_empty()).map(|f| Step::Key(f.to_owned())));
                self.problems.add(&steps, message);
            }
            At::Csv { file, line } => self.problems.add_foreign(Problem {
                file: file.clone(),
                line: Some(*line),
                field: field.to_owned(),
                message: message.to_string(),
            }),
        }
    }

    fn required(&mut self, field: &str, value: Option<String>, example: &str) -> Option<String> {
        if value.is_none() {
            self.add(field, format!("is missing; e.g. {field} = \"{example}\""));
        }
        value
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, field: &str, value: Option<String>) -> Option<T> {
        value.and_then(|text| text.parse().map_err(|e: T::Err| self.add(field, e)).ok())
    }

    fn duration(
        &mut self,
        field: &str,
        value: Option<&str>,
        default: Duration,
        range: (Duration, Duration),
    ) -> Duration {
        let Some(text) = value else { return default };
        match outband_schemas::time::duration(text) {
            Ok(d) if (range.0..=range.1).contains(&d) => return d,
            Ok(_) => self.add(field, format!("{text:?} is out of range: {:?} to {:?}", range.0, range.1)),
            Err(error) => self.add(field, error),
        }
        default
    }

    fn pem(&mut self, field: &str, path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => return Some(pem),
            Ok(_) => self.add(field, format!("{} holds no certificate in PEM form", path.display())),
            Err(error) => self.add(field, format!("{}: {error}", path.display())),
        }
        None
    }
}

fn place<'p, 'a>(problems: &'p mut Problems<'a>, steps: &[Step]) -> Place<'p, 'a> {
    Place { problems, at: At::Toml(steps.to_vec()) }
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// What the tables of targets refer to.
struct Context<'a> {
    dir: &'a Path,
    around: &'a Surroundings,
    credentials: BTreeMap<String, Option<Credentials>>,
    cadence: Cadence,
    request_deadline: Duration,
}

/// The config that `file` means; `None`, or noted problems, where it is not usable.
pub(super) fn check(path: &Path, file: File, around: &Surroundings, problems: &mut Problems<'_>) -> Option<Config> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut agent = place(problems, &[key("agent")]);
    let id = agent.required("id", file.agent.id, "dc1-agent-1");
    let id = agent.parsed("id", id);
    let site = agent.required("site", file.agent.site, "dc1");
    let site = agent.parsed("site", site);
    let default_dir = || around.state_dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    let data_dir = file.agent.data_dir.map_or_else(default_dir, |d| dir.join(d));

    let collector = collector(file.collector, (id.as_ref(), site.as_ref()), dir, around, problems);
    let cadence = cadence(&file.cadence, Cadence::default(), "", &mut place(problems, &[key("cadence")]));
    let (limits, request_deadline, host_every) = limits(&file.poll, &mut place(problems, &[key("poll")]));
    let spool_quota = quota(file.spool.quota.as_deref(), &mut place(problems, &[key("spool")]));

    let push = push::push(file.push, dir, around, &mut place(problems, &[key("push")]));

    let orders = orders::orders(file.orders, &mut place(problems, &[key("orders")]));

    let mut credentials = BTreeMap::new();
    for (name, table) in file.credentials {
        let mut place = place(problems, &[key("credentials"), key(&name)]);
        let login = login(table, dir, around, &mut place);
        credentials.insert(name, login);
    }

    let context = Context { dir, around, credentials, cadence, request_deadline };
    let mut targets = BTreeMap::new();
    for (index, table) in file.targets.into_iter().enumerate() {
        let mut place = place(problems, &[key("targets"), Step::Index(index)]);
        add_target(table, &context, &mut targets, &mut place);
    }
    if let Some(csv) = file.targets_csv {
        let csv = dir.join(csv);
        let (rows, found) = targets_csv::read(&csv);
        found.into_iter().for_each(|p| problems.add_foreign(p));
        for row in rows {
            let mut place = Place { problems, at: At::Csv { file: csv.clone(), line: row.line } };
            add_target(row.target, &context, &mut targets, &mut place);
        }
    }
    let collector = collector?;
    let profiles = context.credentials.into_iter().filter_map(|(name, login)| Some((name, login?))).collect();
    let (agent, site) = (id?, site?);
    Some(Config {
        agent,
        site,
        data_dir,
        collector,
        cadence,
        limits,
        host_every,
        spool_quota,
        push,
        orders,
        profiles,
        targets: Arc::new(targets),
    })
}

/// Whether the file holds this agent's key and certificate, for nobody else to read.
fn identity_is_usable(
    path: &Path,
    (id, site): (Option<&AgentId>, Option<&SiteId>),
    credentials_dir: Option<&Path>,
) -> Result<(), String> {
    secret::check_mode(path, credentials_dir).map_err(|e| e.to_string())?;
    let identity = Identity::read(path).map_err(|e| e.to_string())?;
    let other = id.is_some_and(|id| *id != identity.agent) || site.is_some_and(|site| *site != identity.site);
    if other {
        return Err(format!(
            "{} is of agent {} at site {}: agent.id and agent.site have to say the same",
            path.display(),
            identity.agent,
            identity.site
        ));
    }
    Ok(())
}

fn collector(
    table: CollectorTable,
    agent: (Option<&AgentId>, Option<&SiteId>),
    dir: &Path,
    around: &Surroundings,
    problems: &mut Problems<'_>,
) -> Option<Collector> {
    let endpoints = table.endpoints.unwrap_or_default();
    let mut good = !endpoints.is_empty();
    for (index, endpoint) in endpoints.iter().enumerate() {
        if let Err(why) = endpoint_is_usable(endpoint) {
            good = false;
            place(problems, &[key("collector"), key("endpoints"), Step::Index(index)]).add("", why);
        }
    }
    let mut place = place(problems, &[key("collector")]);
    if endpoints.is_empty() {
        place.add("endpoints", "is missing; e.g. endpoints = [\"https://collector.example:7442\"]");
    }
    let credentials_dir = around.credentials_dir.as_deref();
    let ca_file = place.required("ca_file", table.ca_file, "collector-ca.pem");
    let ca_file = ca_file.map(|f| secret::resolve(&f, dir, credentials_dir));
    let ca_file = ca_file.filter(|path| place.pem("ca_file", path).is_some());
    let resolved = |file: &str| secret::resolve(file, dir, credentials_dir);
    let credential = match (table.identity_file, table.token_file) {
        (Some(file), None) => identity_is_usable(&resolved(&file), agent, credentials_dir)
            .map_err(|why| place.add("identity_file", why))
            .map(|()| Credential::Identity { file: resolved(&file), renewed: 0 })
            .ok(),
        (None, Some(file)) => {
            read_secret(&file, "token_file", dir, around, &mut place).map(|_| Credential::Token(resolved(&file)))
        }
        (Some(_), Some(_)) => {
            place.add("token_file", "stands beside identity_file; keep one of the two");
            None
        }
        (None, None) => {
            place.add(
                "identity_file",
                "is missing, and so is token_file; `outband-agent join` makes one and prints what has to stand here",
            );
            None
        }
    };
    good.then_some(())?;
    Some(Collector { endpoints, ca_file: ca_file?, credential: credential?, domain: table.domain })
}

fn endpoint_is_usable(text: &str) -> Result<(), String> {
    let shape = "write https://HOST:PORT";
    let url = url::Url::parse(text).map_err(|e| format!("{text:?} is no URL: {e}; {shape}"))?;
    match url.scheme() {
        "https" if !url.username().is_empty() || url.password().is_some() => {
            Err(format!("an endpoint holds no user or password; {shape}"))
        }
        "https" if url.host_str().is_some_and(|h| !h.is_empty()) && matches!(url.path(), "" | "/") => Ok(()),
        "https" => Err(format!("{text:?} is no collector's address; {shape}")),
        _ => Err(format!("{text:?} is not https, so the token would be sent in the clear; {shape}")),
    }
}

fn cadence(table: &CadenceTable, default: Cadence, prefix: &str, place: &mut Place<'_, '_>) -> Cadence {
    let mut read = |field: &str, value: &Option<String>, default| {
        place.duration(&format!("{prefix}{field}"), value.as_deref(), default, (MIN_CADENCE, MAX_CADENCE))
    };
    Cadence {
        sensors: read("sensors", &table.sensors, default.sensors),
        drives: read("drives", &table.drives, default.drives),
        log: read("log", &table.log, default.log),
        inventory: read("inventory", &table.inventory, default.inventory),
    }
}

fn limits(table: &PollTable, place: &mut Place<'_, '_>) -> (Limits, Duration, Duration) {
    let secs = Duration::from_secs;
    let at_once = table.at_once.unwrap_or(64);
    if at_once == 0 {
        place.add("at_once", "is 0, so nothing would be polled; leave it out for 64");
    }
    let second = Duration::from_secs(1);
    let request = place.duration("request_deadline", table.request_deadline.as_deref(), secs(10), (second, secs(300)));
    let poll_deadline =
        place.duration("poll_deadline", table.poll_deadline.as_deref(), secs(180), (second, secs(3600)));
    let host = place.duration("host", table.host.as_deref(), secs(60), (MIN_CADENCE, MAX_CADENCE));
    (Limits { at_once: usize::from(at_once), poll_deadline }, request, host)
}

fn quota(text: Option<&str>, place: &mut Place<'_, '_>) -> u64 {
    match text.map(units::size) {
        None => return DEFAULT_QUOTA,
        Some(Ok(bytes)) if bytes >= LEAST_QUOTA => return bytes,
        Some(Ok(_)) => place.add("quota", "is too small to be of use; the least is \"4MiB\""),
        Some(Err(error)) => place.add("quota", error),
    }
    DEFAULT_QUOTA
}

fn read_secret(
    file: &str,
    field: &str,
    dir: &Path,
    around: &Surroundings,
    place: &mut Place<'_, '_>,
) -> Option<outband_bmc::Secret> {
    let credentials_dir = around.credentials_dir.as_deref();
    let path = secret::resolve(file, dir, credentials_dir);
    secret::from_file(&path, credentials_dir).map_err(|e| place.add(field, e)).ok()
}

fn login(table: CredentialsTable, dir: &Path, around: &Surroundings, place: &mut Place<'_, '_>) -> Option<Credentials> {
    let user = place.required("user", table.user, "monitor");
    let password = match (table.password_file, table.password_env) {
        (Some(file), None) => read_secret(&file, "password_file", dir, around, place),
        (None, Some(name)) => secret::from_env(&name).map_err(|e| place.add("password_env", e)).ok(),
        (Some(_), Some(_)) => {
            place.add("password_env", "stands beside password_file; keep one of the two");
            None
        }
        (None, None) => {
            place.add(
                "password_file",
                "is missing; e.g. password_file = \"bmc.pass\", or password_env = \"BMC_PASSWORD\"",
            );
            None
        }
    };
    let bmc_key = match table.bmc_key_file {
        None => None,
        Some(file) => {
            let text = read_secret(&file, "bmc_key_file", dir, around, place)?;
            Some(text.expose().parse::<BmcKey>().map_err(|e| place.add("bmc_key_file", e)).ok()?)
        }
    };
    Some(Credentials { user: user?, password: password?, bmc_key })
}

fn add_target(
    table: TargetTable,
    context: &Context<'_>,
    targets: &mut BTreeMap<TargetId, TargetConfig>,
    place: &mut Place<'_, '_>,
) {
    let id = place.required("id", table.id.clone(), "rack1-u12");
    let id: Option<TargetId> = place.parsed("id", id);
    if let Some(id) = &id {
        if id.as_str() == HOST_TARGET {
            place.add("id", "\"agent\" is the agent's own host; choose another name");
        }
        if targets.contains_key(id) {
            place.add("id", format!("{id} is the name of another target already"));
        }
    }
    let url = place.required("url", table.url.clone(), "https://10.0.0.12");
    let address: Option<Address> = place.parsed("url", url);
    let address = address.map(|address| with_smartctl(address, &table, place));
    let credentials = match &address {
        Some(Address::Local { .. }) => no_login(&table, place),
        _ => find_login(&table, context, place),
    };
    let cadence = cadence(&table.cadence, context.cadence, "cadence.", place);
    let cipher = cipher(&table, address.as_ref(), place);
    let trust = trust(&table, address.as_ref(), context, place);
    let push = push::mode(&table, address.as_ref(), place);
    if let (Some(id), Some(address), Some(credentials), Some(trust)) = (id, address, credentials, trust) {
        let target = Target { address, credentials, cipher, trust, request_deadline: context.request_deadline };
        targets.entry(id.clone()).or_insert(TargetConfig { id, target, cadence, push });
    }
}

/// Where smartctl is named, it is kept with the address that it belongs to.
fn with_smartctl(address: Address, table: &TargetTable, place: &mut Place<'_, '_>) -> Address {
    let Some(named) = &table.smartctl else { return address };
    match address {
        Address::Local { device, .. } => {
            if !Path::new(named).is_absolute() {
                place.add("smartctl", format!("{named:?} is no absolute path, e.g. \"/usr/sbin/smartctl\""));
            } else if !Path::new(named).is_file() {
                place.add("smartctl", format!("{named} is not there; apt install smartmontools, or leave it out"));
            }
            Address::Local { device, smartctl: Some(named.clone()) }
        }
        other => {
            place.add("smartctl", "is for local:// targets only");
            other
        }
    }
}

/// Who may open the device may ask: there is nobody to log in.
fn no_login(table: &TargetTable, place: &mut Place<'_, '_>) -> Option<Credentials> {
    if table.credentials.is_some() {
        place.add("credentials", "is for ipmi:// and https:// targets only; nobody logs in at local://");
    }
    Some(Credentials::new("", outband_bmc::Secret::new("")))
}

fn find_login(table: &TargetTable, context: &Context<'_>, place: &mut Place<'_, '_>) -> Option<Credentials> {
    let name = place.required("credentials", table.credentials.clone(), "default")?;
    match context.credentials.get(&name) {
        Some(login) => login.clone(),
        None => {
            let known: Vec<&str> = context.credentials.keys().map(String::as_str).collect();
            let known =
                if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
            place.add("credentials", format!("no [credentials.{name}] in the config; {known}"));
            None
        }
    }
}

fn cipher(table: &TargetTable, address: Option<&Address>, place: &mut Place<'_, '_>) -> Option<CipherSuite> {
    let name = table.cipher.as_ref()?.to_string();
    if matches!(address, Some(Address::Redfish { .. } | Address::Local { .. })) {
        place.add("cipher", "is for ipmi:// targets only");
    }
    name.parse().map_err(|e| place.add("cipher", format!("{name} is not supported; {e}"))).ok()
}

fn trust(
    table: &TargetTable,
    address: Option<&Address>,
    context: &Context<'_>,
    place: &mut Place<'_, '_>,
) -> Option<Trust> {
    let given = [("fingerprint", &table.fingerprint), ("ca_file", &table.ca_file)];
    if matches!(address, Some(Address::Ipmi { .. } | Address::Local { .. })) {
        for (field, _) in given.iter().filter(|(_, v)| v.is_some()) {
            place.add(field, "is for https:// targets only");
        }
        return Some(Trust::FirstUse);
    }
    match (&table.fingerprint, &table.ca_file) {
        (None, None) => Some(Trust::FirstUse),
        (Some(print), None) => place.parsed("fingerprint", Some(print.clone())).map(Trust::Pinned),
        (None, Some(file)) => {
            let path = secret::resolve(file, context.dir, context.around.credentials_dir.as_deref());
            place.pem("ca_file", &path).map(Trust::Ca)
        }
        (Some(_), Some(_)) => {
            place.add("ca_file", "stands beside fingerprint; keep one of the two");
            None
        }
    }
}
