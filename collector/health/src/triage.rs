//! What kind of trouble a finding is: a part of this server, its firmware, parts that do not fit, the room's cooling or power, or the way to it. Pure: what
//! the finding says, what the neighbours show and what changed before it are arguments.
//!
//! Read top to bottom: what many servers share goes before what a maker's list says, that before what changed lately, and that before what the fault itself
//! suggests. What stays without a fact that speaks for it is [`TriageClass::Unknown`], not the likeliest guess.

use crate::Fault;
use outband_schemas::{ComponentClass, ComponentId, Confidence, Triage, TriageClass};
use std::time::Duration;

/// A firmware that is in for so long explains no new trouble.
pub const FIRMWARE_IS_NEW: Duration = Duration::from_secs(7 * 24 * 3600);
/// A part that sits in its place for so long was put in well.
pub const PART_IS_NEW: Duration = Duration::from_secs(3 * 24 * 3600);
/// So many facts are told.
const TOLD: usize = 6;

/// What is to be told the kind of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case<'a> {
    /// What is wrong.
    pub fault: Fault,
    /// Where.
    pub component: &'a ComponentId,
    /// Whether a failure is predicted rather than seen.
    pub predicted: bool,
    /// Its reason and its facts, in words.
    pub facts: Vec<&'a str>,
}

/// Other servers that share something with this one, and how many of them show the same at the same time. This one is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mates {
    /// What they share: the name of a rack, a feed, a zone, an agent, a firmware.
    pub name: String,
    /// How many there are.
    pub of: usize,
    /// How many show the same.
    pub same: usize,
}

impl Mates {
    /// So many of them that it is no coincidence: two at least, and a third.
    fn many(&self) -> bool {
        self.same >= 2 && self.same * 3 >= self.of
    }

    /// Enough of them are well to say that what they share is well.
    fn are_well(&self) -> bool {
        self.of >= 2 && self.same == 0
    }

    fn say(&self, what: &str, shows: &str) -> String {
        format!("{} of {} other servers of {what} {} {shows}", self.same, self.of, self.name)
    }
}

/// Something that was changed before the condition began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How long before.
    pub before: Duration,
    /// What, in words.
    pub text: String,
}

/// What the list of parts that fit says of the part at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// It fits.
    Qualified,
    /// It is named as one that does not.
    Unqualified(String),
    /// The list names others for this server, and not this one.
    Missing(String),
}

/// What is known beside the finding. What is `None` is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Servers of its rack.
    pub rack: Option<Mates>,
    /// Servers of its cooling zone.
    pub zone: Option<Mates>,
    /// Servers of the feed of it that shows the most.
    pub feed: Option<Mates>,
    /// Servers that its agent polls.
    pub agent: Option<Mates>,
    /// Servers of its site.
    pub site: Option<Mates>,
    /// Servers of its model whose BMCs have the same firmware as new as its own.
    pub firmware: Option<Mates>,
    /// Of its rack: servers whose power supplies have lost their input.
    pub dark: Option<Mates>,
    /// What else is wrong with the same server now.
    pub beside: Vec<Fault>,
    /// The last change of the BMC's firmware before it.
    pub firmware_changed: Option<Change>,
    /// The last part that was put in at this place before it.
    pub part_changed: Option<Change>,
    /// What the list of parts that fit says; `None`: nothing, or there is none.
    pub listed: Option<Listed>,
    /// The cause that it shares with others, where one was found.
    pub cause: Option<Fault>,
    /// Of what is, or belongs to, many incidents: all that is known of each is that its BMC is silent.
    pub only_silence: bool,
}

/// What kind of trouble it is.
pub fn triage(case: &Case<'_>, around: &Surroundings) -> Triage {
    let said = shared(case, around)
        .or_else(|| misfit(case, around))
        .or_else(|| after_update(case, around))
        .or_else(|| by_fault(case, around));
    let Some(Said(class, confidence, mut because)) = said else {
        let because = vec!["nothing that is known speaks for one kind more than for another".to_owned()];
        return Triage { class: TriageClass::Unknown, confidence: Confidence::Weak, because };
    };
    because.truncate(TOLD);
    Triage { class, confidence, because }
}

struct Said(TriageClass, Confidence, Vec<String>);

fn said(class: TriageClass, confidence: Confidence, because: impl Into<String>) -> Option<Said> {
    Some(Said(class, confidence, vec![because.into()]))
}

use Confidence::{Likely, Strong, Weak};
use TriageClass::{Compatibility, EnvironmentCooling, EnvironmentPower, FirmwareConfiguration, Hardware, Network};

/// A cause that was found to be behind many, or is one itself.
fn shared(case: &Case<'_>, around: &Surroundings) -> Option<Said> {
    let cause = around.cause.unwrap_or(case.fault);
    let because = |what: &str| match around.cause {
        Some(_) => format!("it is a part of a larger incident: {what}"),
        None => what.to_owned(),
    };
    match cause {
        Fault::PowerFeedLost | Fault::FeedSilent if around.only_silence => {
            // A feed that goes takes supplies with it, and those whose other feed holds tell of that.
            said(Network, Likely, because("many BMCs are silent, and no power supply told of a lost input"))
        }
        Fault::PowerFeedLost => said(EnvironmentPower, Strong, because("a power feed is lost")),
        Fault::FeedSilent => {
            let what = "BMCs of one feed are silent, and power supplies of it told of a lost input";
            said(EnvironmentPower, Likely, because(what))
        }
        Fault::CoolingLost => said(EnvironmentCooling, Strong, because("a cooling zone gets too hot")),
        Fault::FirmwareWave => said(FirmwareConfiguration, Strong, because("trouble after a firmware update")),
        Fault::AgentBlind => said(Network, Strong, because("an agent is heard, and reaches its BMCs no more")),
        Fault::RackSilent => Some(rack_silent(around)),
        _ => None,
    }
}

/// A rack is dark where its feeds are; where they are not, its switch is.
fn rack_silent(around: &Surroundings) -> Said {
    match &around.dark {
        Some(dark) if dark.same > 0 => {
            Said(EnvironmentPower, Likely, vec![dark.say("rack", "lost the input of a power supply, too")])
        }
        _ => Said(
            Network,
            Likely,
            vec!["a whole rack is silent, and no power supply of it told of a lost input".to_owned()],
        ),
    }
}

/// Parts that are well, and not made for this server: as the BMC says, or a list.
fn misfit(case: &Case<'_>, around: &Surroundings) -> Option<Said> {
    if let Some(fact) = case.facts.iter().find(|fact| says_misfit(fact)) {
        return said(Compatibility, Strong, format!("the BMC says so: {fact}"));
    }
    // A part that fits nowhere may still fail; that it was seen to fail is told by itself.
    let fails = !case.predicted
        && matches!(case.fault, Fault::DiskFailure | Fault::DiskWear | Fault::PsuFailure | Fault::FanFailure);
    match &around.listed {
        Some(Listed::Unqualified(why)) if !fails => said(Compatibility, Strong, why.clone()),
        Some(Listed::Unqualified(why)) => said(Compatibility, Likely, why.clone()),
        Some(Listed::Missing(why)) if !fails => said(Compatibility, Likely, why.clone()),
        _ => None,
    }
}

/// The words by which BMCs name parts that they were not made for.
fn says_misfit(fact: &str) -> bool {
    const WORDS: [&str; 12] = [
        "unsupported",
        "not supported",
        "unqualified",
        "not qualified",
        "non-certified",
        "not certified",
        "uncertified",
        "incompatible",
        "not compatible",
        "not genuine",
        "not authenticated",
        "mismatch",
    ];
    let fact = fact.to_lowercase();
    // Of an attribute or a command that is not supported, nobody has to be told.
    let of_part = [
        "drive",
        "disk",
        "ssd",
        "dimm",
        "memory",
        "power supply",
        "psu",
        "fan",
        "card",
        "adapter",
        "part",
        "configuration",
    ];
    WORDS.iter().any(|word| fact.contains(word)) && of_part.iter().any(|part| fact.contains(part))
}

/// Faults that firmware can bring about.
fn may_be_firmware(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::BmcSilent
            | Fault::EventBurst
            | Fault::ComponentFailure
            | Fault::VoltageOutOfRange
            | Fault::FanFailure
            | Fault::Overheating
            | Fault::RedundancyLost
    )
}

/// What began with a firmware.
fn after_update(case: &Case<'_>, around: &Surroundings) -> Option<Said> {
    let changed = around.firmware_changed.as_ref().filter(|c| c.before <= FIRMWARE_IS_NEW);
    if let Some(wave) = around.firmware.as_ref().filter(|wave| wave.many())
        && may_be_firmware(case.fault)
    {
        let mut because = vec![wave.say("firmware", "show the same since the update")];
        because.extend(changed.map(|c| c.text.clone()));
        return Some(Said(FirmwareConfiguration, Strong, because));
    }
    let changed = changed?;
    let soon = changed.before <= Duration::from_secs(24 * 3600);
    let because = || format!("it began {} after {}", span(changed.before), changed.text);
    match case.fault {
        Fault::BmcSilent if !silent_together(around) => {
            said(FirmwareConfiguration, if soon { Likely } else { Weak }, because())
        }
        Fault::EventBurst | Fault::ComponentFailure | Fault::VoltageOutOfRange => {
            said(FirmwareConfiguration, if soon { Likely } else { Weak }, because())
        }
        _ => None,
    }
}

fn silent_together(around: &Surroundings) -> bool {
    [&around.rack, &around.agent, &around.site].into_iter().flatten().any(Mates::many)
}

/// What the fault itself suggests, with what the neighbours show.
fn by_fault(case: &Case<'_>, around: &Surroundings) -> Option<Said> {
    match case.fault {
        Fault::Overheating => Some(hot(case, around)),
        Fault::PowerInputLost => Some(no_input(around)),
        Fault::RedundancyLost => Some(no_redundancy(case, around)),
        Fault::VoltageOutOfRange => Some(voltage(case, around)),
        Fault::BmcSilent => silent(case, around),
        Fault::AgentSilent => said(Network, Likely, "the agent is not heard: its host, or the way from it to here"),
        Fault::NoticesStuck => {
            said(Network, Likely, "a channel takes no notices: the way to it, or the service at its end")
        }
        Fault::ClockStepped => {
            said(FirmwareConfiguration, Likely, "the clock of the collector's host is set by somebody, or by nothing")
        }
        Fault::StoreDamaged => {
            said(Hardware, Likely, "the disk or the memory of the collector's host spoilt the file of its store")
        }
        Fault::AgentUnreadable => {
            said(FirmwareConfiguration, Likely, "agent and collector are of versions that do not understand each other")
        }
        Fault::StoreNearlyFull => said(FirmwareConfiguration, Likely, "more is kept than the collector's disk holds"),
        Fault::EventBurst => burst(case),
        Fault::ComponentFailure => component(case, around),
        Fault::BusErrors | Fault::ProcessorErrors | Fault::MemoryErrors => Some(electrical(case, around)),
        Fault::DiskFailure | Fault::DiskWear | Fault::FanFailure | Fault::PsuFailure => Some(part(case, around)),
        Fault::PowerFeedLost
        | Fault::CoolingLost
        | Fault::RackSilent
        | Fault::FeedSilent
        | Fault::AgentBlind
        | Fault::FirmwareWave => None,
    }
}

/// Rack-mates that are hot together are the room's; one hot box is its own.
fn hot(case: &Case<'_>, around: &Surroundings) -> Said {
    for (what, mates) in [("zone", &around.zone), ("rack", &around.rack)] {
        if let Some(mates) = mates.as_ref().filter(|m| m.many()) {
            return Said(EnvironmentCooling, Strong, vec![mates.say(what, "are too hot at the same time")]);
        }
    }
    if around.beside.contains(&Fault::FanFailure) {
        return Said(Hardware, Strong, vec!["a fan of the same server is at fault".to_owned()]);
    }
    let takes_in = takes_in_air(case.component);
    let neighbours =
        [("rack", &around.rack), ("zone", &around.zone)].into_iter().find_map(|(what, m)| Some((what, m.as_ref()?)));
    match neighbours {
        Some((what, mates)) if mates.same > 0 => {
            let because = vec![mates.say(what, "are too hot at the same time")];
            match (mates.of <= 4, takes_in) {
                (true, _) => Said(EnvironmentCooling, Likely, because),
                (false, true) => Said(EnvironmentCooling, Weak, because),
                (false, false) => Said(Hardware, Weak, because),
            }
        }
        Some((what, mates)) if mates.are_well() => {
            let confidence = if takes_in { Weak } else { Likely };
            let mut because = vec![mates.say(what, "are too hot: one box alone")];
            because.extend(
                takes_in
                    .then(|| "it is the air that it takes in: a blocked intake, or a hot place of its own".to_owned()),
            );
            Said(Hardware, confidence, because)
        }
        _ if takes_in => Said(
            EnvironmentCooling,
            Weak,
            vec!["the air that it takes in is too warm, and what its neighbours take in is not known".to_owned()],
        ),
        _ => match around.site.as_ref().filter(|site| site.of >= 5 && site.same == 0) {
            Some(site) => Said(Hardware, Weak, vec![site.say("site", "are too hot: one box alone")]),
            None => Said(
                TriageClass::Unknown,
                Weak,
                vec!["where it stands, and so who its neighbours are, is not known".to_owned()],
            ),
        },
    }
}

fn takes_in_air(component: &ComponentId) -> bool {
    let slot = component.slot().to_lowercase();
    ["inlet", "intake", "ambient", "front"].iter().any(|word| slot.contains(word))
}

fn no_input(around: &Surroundings) -> Said {
    for (what, mates) in [("feed", &around.feed), ("rack", &around.rack)] {
        if let Some(mates) = mates.as_ref().filter(|m| m.many()) {
            return Said(EnvironmentPower, Strong, vec![mates.say(what, "lost the input of a power supply, too")]);
        }
    }
    match around.feed.as_ref().map(|m| ("feed", m)).or(around.rack.as_ref().map(|m| ("rack", m))) {
        Some((what, mates)) if mates.same > 0 => {
            Said(EnvironmentPower, Likely, vec![mates.say(what, "lost the input of a power supply, too")])
        }
        Some((what, mates)) if mates.are_well() => {
            let because = mates.say(what, "lost theirs: the cord, the outlet or the supply of this one");
            Said(Hardware, Likely, vec![because])
        }
        _ => Said(
            EnvironmentPower,
            Weak,
            vec!["a supply without input is well itself; who else is on its feed is not known".to_owned()],
        ),
    }
}

fn no_redundancy(case: &Case<'_>, around: &Surroundings) -> Said {
    let of_power = is_of_power(case.component);
    if of_power && around.beside.contains(&Fault::PowerInputLost) {
        let input = no_input(around);
        let mut because = vec!["a power supply of the same server has no input".to_owned()];
        because.extend(input.2);
        return Said(input.0, input.1, because);
    }
    if of_power && let Some(feed) = around.feed.as_ref().filter(|m| m.many()) {
        return Said(EnvironmentPower, Likely, vec![feed.say("feed", "lost theirs at the same time")]);
    }
    if around.beside.iter().any(|f| matches!(f, Fault::PsuFailure | Fault::FanFailure)) {
        return Said(Hardware, Strong, vec!["a part of the same server that it rests on is at fault".to_owned()]);
    }
    Said(Hardware, Weak, vec!["no feed of it is known to be lost".to_owned()])
}

fn is_of_power(component: &ComponentId) -> bool {
    let slot = component.slot().to_lowercase();
    component.class() == ComponentClass::PowerSupply || ["power", "psu", "ps "].iter().any(|word| slot.contains(word))
}

fn voltage(case: &Case<'_>, around: &Surroundings) -> Said {
    if let Some(feed) = around.feed.as_ref().filter(|m| m.many()) {
        return Said(EnvironmentPower, Strong, vec![feed.say("feed", "are out of their limits, too")]);
    }
    let slot = case.component.slot().to_lowercase();
    let mains = is_of_power(case.component) || ["vin", "ac ", "input", "mains"].iter().any(|word| slot.contains(word));
    match &around.feed {
        Some(feed) if feed.are_well() => Said(Hardware, Likely, vec![feed.say("feed", "are out of their limits")]),
        None if mains => Said(
            EnvironmentPower,
            Weak,
            vec!["it is the voltage of its input; who else is on its feed is not known".to_owned()],
        ),
        _ => Said(Hardware, Likely, vec!["a voltage that the server makes itself".to_owned()]),
    }
}

/// A silent BMC among silent neighbours is the network's; one alone is its own.
fn silent(case: &Case<'_>, around: &Surroundings) -> Option<Said> {
    if let Some(dark) = around.dark.as_ref().filter(|m| m.many()) {
        return said(EnvironmentPower, Likely, dark.say("rack", "lost the input of a power supply"));
    }
    for (what, mates) in [("rack", &around.rack), ("agent", &around.agent), ("site", &around.site)] {
        if let Some(mates) = mates.as_ref().filter(|m| m.many()) {
            return said(Network, if mates.same >= 3 { Strong } else { Likely }, mates.say(what, "are silent, too"));
        }
    }
    let text = case.facts.join(" ").to_lowercase();
    if ["denied", "certificate", "password", "login", "refused the login", "cipher", "not supported by the bmc"]
        .iter()
        .any(|word| text.contains(word))
    {
        return said(FirmwareConfiguration, Strong, "the BMC answers, and does not let the agent in");
    }
    if text.contains("busy") {
        return said(FirmwareConfiguration, Weak, "the BMC answers that it is busy");
    }
    let neighbours = [("rack", &around.rack), ("agent", &around.agent), ("site", &around.site)];
    let (what, mates) =
        neighbours.into_iter().find_map(|(what, m)| Some((what, m.as_ref().filter(|m| m.are_well())?)))?;
    said(Hardware, Likely, mates.say(what, "are silent: the BMC of this one, its port or its cable"))
}

/// The same entry again and again says by its words whose it is, or nothing does.
fn burst(case: &Case<'_>) -> Option<Said> {
    let text = case.facts.join(" ").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["corrected", "ecc", "correctable", "pcie", "predictive", "hardware error", "machine check"]) {
        return said(Hardware, Likely, "the entries tell of errors of a part");
    }
    if has(&["link down", "link is down", "network", "lost connection", "dhcp"]) {
        return said(Network, Likely, "the entries tell of a link");
    }
    if has(&["login", "session", "certificate", "license", "configuration", "time sync", "ntp", "firmware"]) {
        return said(FirmwareConfiguration, Likely, "the entries tell of settings or firmware");
    }
    None
}

fn component(case: &Case<'_>, around: &Surroundings) -> Option<Said> {
    match case.component.class() {
        ComponentClass::Firmware => said(FirmwareConfiguration, Likely, "the component is firmware"),
        ComponentClass::Bmc => said(FirmwareConfiguration, Weak, "the component is the BMC itself"),
        ComponentClass::Network => {
            said(Network, Weak, "the component is a network port: its partner may be the one at fault")
        }
        ComponentClass::Server | ComponentClass::Other => None,
        _ => Some(part(case, around)),
    }
}

/// What a part does to the signals around it. One that was put in a short while ago may sit badly, or not fit.
fn electrical(case: &Case<'_>, around: &Surroundings) -> Said {
    if let Some(change) = new_part(around) {
        let text = format!("{}; {}", began(change), "it may sit badly, or be faulty from the first");
        return Said(Hardware, Likely, vec![text]);
    }
    let sure = if case.predicted { Likely } else { Strong };
    let sure = if case.fault == Fault::BusErrors { sure.min(Likely) } else { sure };
    Said(Hardware, sure, vec![format!("{} tells of errors of its own", case.component)])
}

/// A part that fails, or wears, by itself.
fn part(case: &Case<'_>, around: &Surroundings) -> Said {
    let mut because = vec![match case.predicted {
        true => format!("{} shows signs of failing by itself", case.component),
        false => format!("{} was seen to fail", case.component),
    }];
    because.extend(new_part(around).map(|change| format!("{}; it may be faulty from the first", began(change))));
    let alone = [("rack", &around.rack)]
        .into_iter()
        .find_map(|(what, m)| Some(m.as_ref().filter(|m| m.are_well())?.say(what, "show the same")));
    because.extend(alone);
    Said(Hardware, if case.predicted { Likely } else { Strong }, because)
}

fn new_part(around: &Surroundings) -> Option<&Change> {
    around.part_changed.as_ref().filter(|c| c.before <= PART_IS_NEW)
}

fn began(change: &Change) -> String {
    format!("it began {} after {}", span(change.before), change.text)
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests;
