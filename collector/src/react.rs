//! What a change of an incident does to its ticket. Pure: the loop in [`crate::assess`] stores the answer.

use outband_health::incident::storm::is_only_silence;
use outband_health::{Fault, Incident, IncidentChange, Level, Stage, What};
use outband_schemas::{SiteId, Timestamp, Triage};
use outband_store::TicketWrite;
use outband_ticket::{
    Action, Command, Evidence, Impact, LinkKind, Opening, Priority, Rebase, Redundancy, Rejected, Resolution, State,
    Ticket, TicketNumber, Transition, Verdict, apply,
};
use std::collections::BTreeSet;

/// Who moves tickets when nobody does.
pub const WHO: &str = "collector";

/// What the ticket needs to know beside the incident.
#[derive(Debug, Clone)]
pub struct Context {
    /// The site of the server, where it is known.
    pub site: Option<SiteId>,
    /// What people call the server: its host's name, its targets' or its id.
    pub server_name: String,
    /// Whether another part can take over.
    pub redundancy: Redundancy,
    /// Whether it is about a server, or what servers share; otherwise it is the collector's own.
    pub is_server: bool,
    /// The exercise that it is opened for.
    pub drill: Option<Exercise>,
    /// What people decided otherwise than the rules, and had a part in this.
    pub overruled: Vec<Overruled>,
    /// What kind of trouble it is, where a ticket is opened.
    pub triage: Option<Triage>,
    /// From when the clocks of another priority count, as its ticket's policy has it.
    pub reprioritise: Rebase,
}

/// An exercise that opens a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exercise {
    /// Its number.
    pub id: u64,
    /// Whether people are paged for it.
    pub pages: bool,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// What a person decided otherwise than the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// What.
    pub what: String,
    /// Until when.
    pub until: Timestamp,
}

/// What to write for a change, if anything. `ticket` is the incident's ticket as it stands; `number` is asked only where a ticket is to be opened.
pub fn react<E: From<Rejected>>(
    change: &IncidentChange,
    ticket: Option<&Ticket>,
    context: &Context,
    number: impl FnOnce() -> Result<TicketNumber, E>,
    at: Timestamp,
) -> Result<Option<TicketWrite>, E> {
    let incident = &change.incident;
    let live = ticket.filter(|t| t.state != State::Closed);
    let Some(ticket) = live else {
        return match &change.what {
            What::Opened | What::Recurred => Ok(Some(open(incident, context, number()?, at))),
            // The ticket is closed, or there never was one: nothing is left to move.
            What::Noted
            | What::Evidence
            | What::Escalated
            | What::Recovered
            | What::Replaced { .. }
            | What::Verified
            | What::Dropped => Ok(None),
        };
    };
    let mut pen = Pen::new(ticket, at);
    // What is known first: an entry about a ticket that this change closes would come too late.
    pen.tell(change, context)?;
    match &change.what {
        What::Noted | What::Dropped | What::Opened | What::Evidence => {}
        What::Escalated => pen.escalate(incident, context)?,
        What::Recovered => {
            if ticket.is_open() {
                pen.act("it ended by itself", Action::Resolve { resolution: Resolution::Recovered })?;
            }
            // The clean polls that ended it have verified it, too.
            if matches!(incident.stage, Stage::Ended { .. }) {
                pen.act("clean polls verified it", Action::Close)?;
            }
        }
        What::Replaced { old, new } => {
            if ticket.is_open() {
                let why = format!("part {old} was replaced by {new}");
                pen.unverified(&why)?;
                pen.act(&why, Action::Resolve { resolution: Resolution::Repaired })?;
            }
        }
        What::Verified => {
            if ticket.state == State::Resolved {
                let why = "clean polls verified the repair";
                pen.unverified(why)?;
                pen.act(why, Action::Close)?;
            }
        }
        What::Recurred => {
            if ticket.state == State::Resolved {
                pen.act(&incident.reason, Action::Reopen)?;
                pen.escalate(incident, context)?;
            }
        }
    }
    Ok(pen.done())
}

/// Closes a ticket that was merged into another.
pub fn merged(ticket: &Ticket, at: Timestamp) -> Result<Option<TicketWrite>, Rejected> {
    let Some(into) = ticket.merged_into.filter(|_| ticket.state != State::Closed) else { return Ok(None) };
    let mut pen = Pen::new(ticket, at);
    let why = format!("merged into {into}");
    if ticket.is_open() {
        pen.act(&why, Action::Resolve { resolution: Resolution::Merged })?;
    }
    pen.act(&why, Action::Close)?;
    Ok(pen.done())
}

/// How urgent an incident is.
pub fn priority(incident: &Incident, context: &Context) -> Priority {
    let impact = match (incident.level, incident.predicted) {
        (Level::Fatal, false) => Impact::ServiceDown,
        (Level::Advice, _) => Impact::Advice,
        (_, true) => Impact::FailurePredicted,
        (Level::Warning | Level::Critical, false) => Impact::PartFailed,
    };
    Priority::of(impact, context.redundancy)
}

fn open(incident: &Incident, context: &Context, number: TicketNumber, at: Timestamp) -> TicketWrite {
    let key = &incident.key;
    let opening = Opening {
        number,
        priority: priority(incident, context),
        title: title(incident, context),
        site: context.site.clone(),
        server: key.server.clone(),
        component: key.component.clone(),
        fault: key.fault.as_str().to_owned(),
        rule: incident.rules.first().map_or_else(String::new, ToString::to_string),
        predicted: incident.predicted,
        reason: incident.reason.clone(),
        evidence: Evidence::merged(&[], &facts(incident)),
        onset: incident.onset,
        part_serial: incident.part_serial.clone(),
    };
    let (ticket, transition) = Ticket::open(opening, WHO, at);
    let mut write = TicketWrite { ticket, expected_revision: None, transitions: vec![transition] };
    for command in remarks(incident, context) {
        // A new ticket takes every remark and every note.
        if let Ok(entry) = apply(&write.ticket, command, at) {
            write.ticket = write.ticket.after(&entry);
            write.transitions.push(entry);
        }
    }
    write
}

/// What is to be known of a new ticket beside its opening.
fn remarks(incident: &Incident, context: &Context) -> Vec<Command> {
    let command = |why: &str, action| Command { who: WHO.to_owned(), why: why.to_owned(), action };
    let mut commands = Vec::new();
    if let Some(drill) = &context.drill {
        commands.push(command("an exercise", Action::Drill));
        if !drill.pages {
            let by = format!("drill {}", drill.id);
            commands.push(command("nobody is paged for it", Action::Suppress { by, until: Some(drill.until) }));
        }
    }
    if let Some(triage) = &context.triage {
        let why = triage.because.first().map_or("", String::as_str);
        commands.push(command(why, Action::Triage { triage: triage.clone() }));
    }
    if let Some(before) = incident.follows {
        let action = Action::Link { kind: LinkKind::FollowsUp, to: TicketNumber(before) };
        commands.push(command("it goes on after that", action));
    }
    for Overruled { who, why, what, until } in &context.overruled {
        let action = Action::Override { what: what.clone(), until: Some(*until) };
        commands.push(Command { who: who.clone(), why: why.clone(), action });
    }
    commands
}

fn title(incident: &Incident, context: &Context) -> String {
    let what = match (incident.key.fault, incident.predicted) {
        (Fault::DiskFailure, true) => "Disk failure predicted",
        (Fault::DiskFailure, false) => "Disk failed",
        (Fault::DiskWear, _) => "Disk is nearly worn out",
        (Fault::FanFailure, true) => "Fan failure predicted",
        (Fault::FanFailure, false) => "Fan failed",
        (Fault::PsuFailure, true) => "Power supply failure predicted",
        (Fault::PsuFailure, false) => "Power supply failed",
        (Fault::PowerInputLost, _) => "Power supply has no input",
        (Fault::RedundancyLost, _) => "Redundancy lost",
        (Fault::Overheating, true) => "Will be too hot soon",
        (Fault::Overheating, false) => "Too hot",
        (Fault::VoltageOutOfRange, _) => "Voltage out of range",
        (Fault::MemoryErrors, _) => "Memory errors",
        (Fault::ProcessorErrors, _) => "Processor errors",
        (Fault::BusErrors, _) => "Bus errors",
        (Fault::ComponentFailure, _) => "Component not well",
        (Fault::EventBurst, _) => "The same event again and again",
        (Fault::BmcSilent, _) => "BMC gives no readings",
        (Fault::AgentSilent, _) => "Agent is not heard",
        (Fault::PowerFeedLost, _) => "Power feed lost",
        (Fault::CoolingLost, _) => "Cooling zone too hot",
        (Fault::RackSilent, _) => "Rack is dark",
        (Fault::FeedSilent, _) => "Power feed lost",
        (Fault::AgentBlind, _) => "Agent reaches its BMCs no more",
        (Fault::FirmwareWave, _) => "Trouble after a BMC firmware update",
        (Fault::ClockStepped, _) => "The collector's clock stepped",
        (Fault::StoreDamaged, _) => "The collector's store is damaged",
        (Fault::StoreNearlyFull, _) => "The collector's disk is nearly full",
        (Fault::NoticesStuck, _) => "Notices are not delivered",
        (Fault::AgentUnreadable, _) => "What an agent sends is not understood",
    };
    let component = &incident.key.component;
    let is_silent = matches!(incident.key.fault, Fault::RackSilent | Fault::FeedSilent);
    if is_silent && is_only_silence(&incident.members) {
        // What was seen, and not what may be behind it.
        let servers: BTreeSet<_> = incident.members.iter().map(|member| &member.server).collect();
        return format!(
            "{} BMCs of {} of {} do not answer (a common cause is likely: feed, management switch)",
            servers.len(),
            component.slot(),
            context.server_name
        );
    }
    let told = match (incident.members.is_empty(), context.is_server) {
        // What servers share is no part of one.
        (false, _) => format!("{what}: {} of {}", component.slot(), context.server_name),
        (true, true) => format!("{what}: {component} of {}", context.server_name),
        (true, false) => format!("{what}: {}", component.slot()),
    };
    if context.drill.is_some() { format!("DRILL: {told}") } else { told }
}

/// The incident's facts.
fn facts(incident: &Incident) -> Vec<Evidence> {
    incident.evidence.iter().map(|f| Evidence { observed_at: f.observed_at, text: f.text.clone() }).collect()
}

/// What an override is called by which a person decides how urgent a ticket is.
pub const PRIORITY: &str = "priority";

/// Writes on one ticket, and knows what it looked like before.
struct Pen<'a> {
    before: &'a Ticket,
    ticket: Ticket,
    transitions: Vec<Transition>,
    at: Timestamp,
}

impl<'a> Pen<'a> {
    fn new(before: &'a Ticket, at: Timestamp) -> Self {
        Self { before, ticket: before.clone(), transitions: Vec::new(), at }
    }

    fn act(&mut self, why: &str, action: Action) -> Result<(), Rejected> {
        let command = Command { who: WHO.to_owned(), why: why.to_owned(), action };
        let transition = apply(&self.ticket, command, self.at)?;
        self.ticket = self.ticket.after(&transition);
        self.transitions.push(transition);
        Ok(())
    }

    /// Says of a prediction that ends what is known of it, where nobody has: that the part was seen to, and not whether it was going to fail.
    fn unverified(&mut self, why: &str) -> Result<(), Rejected> {
        if !self.ticket.predicted || self.ticket.verdict.is_some() || self.ticket.drill {
            return Ok(());
        }
        let verdict = Verdict::ReplacedWithoutTest;
        self.act(why, Action::Verdict { verdict, detail: why.to_owned(), part: None })
    }

    /// Raises the ticket to what the incident has become; never lowers it.
    fn escalate(&mut self, incident: &Incident, context: &Context) -> Result<(), Rejected> {
        if self.ticket.predicted && !incident.predicted {
            self.act("the predicted failure was seen", Action::Escalate)?;
        }
        let priority = priority(incident, context);
        // How urgent it is, a person may have decided.
        if priority < self.ticket.priority && !self.ticket.overrides.iter().any(|o| o.what == PRIORITY) {
            self.act(&incident.reason, Action::Prioritise { priority, rebase: context.reprioritise })?;
        }
        Ok(())
    }

    /// Logs what the incident says that the ticket does not.
    fn tell(&mut self, change: &IncidentChange, context: &Context) -> Result<(), Rejected> {
        if matches!(change.what, What::Noted | What::Dropped) {
            return Ok(());
        }
        let (incident, ticket) = (&change.incident, &self.ticket);
        let mut shown = Evidence::merged(&ticket.evidence, &facts(incident));
        // What would not be shown is not told.
        shown.retain(|fact| !ticket.evidence.contains(fact));
        let reason = (incident.reason != ticket.reason).then(|| incident.reason.clone());
        let escalates =
            matches!(change.what, What::Escalated | What::Recurred) && ticket.predicted && !incident.predicted;
        // What many share may show as something else, once more of it is seen.
        let retells = escalates || !incident.members.is_empty();
        let title = retells.then(|| title(incident, context)).filter(|title| *title != ticket.title);
        let part_serial = incident.part_serial.clone().filter(|_| ticket.part_serial.is_none());
        if shown.is_empty() && reason.is_none() && title.is_none() && part_serial.is_none() {
            return Ok(());
        }
        self.act("more is known", Action::Evidence { facts: shown, reason, title, part_serial })
    }

    fn done(self) -> Option<TicketWrite> {
        let expected_revision = Some(self.before.revision);
        let changed = self.ticket != *self.before;
        changed.then_some(TicketWrite { ticket: self.ticket, expected_revision, transitions: self.transitions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_health::{Evidence as Fact, IncidentKey, RuleId};
    use outband_schemas::{ComponentClass, ComponentId, ServerId};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn incident() -> Incident {
        Incident {
            key: IncidentKey {
                server: ServerId::new("s1").unwrap(),
                component: ComponentId::new(ComponentClass::Disk, "3").unwrap(),
                fault: Fault::DiskFailure,
            },
            stage: Stage::Open,
            predicted: true,
            level: Level::Warning,
            rules: vec![RuleId::new("disk.smart_growth")],
            reason: "reallocated sectors grow".into(),
            evidence: vec![Fact { observed_at: at(0), text: "8 -> 16".into() }],
            onset: at(0),
            noted_at: at(1),
            newest: at(2),
            hits: 3,
            actual_hits: 0,
            clean: 0,
            clean_at: None,
            part_serial: Some("D1".into()),
            ticket: None,
            hold: None,
            members: Vec::new(),
            returns: Vec::new(),
            follows: None,
            sightings: Vec::new(),
        }
    }

    fn context() -> Context {
        Context {
            site: None,
            server_name: "web1".into(),
            redundancy: Redundancy::Unknown,
            is_server: true,
            drill: None,
            triage: None,
            overruled: Vec::new(),
            reprioritise: Rebase::Change,
        }
    }

    fn run(incident: Incident, what: What, ticket: Option<&Ticket>) -> Option<TicketWrite> {
        let number = || Ok::<_, Rejected>(TicketNumber(7));
        react(&IncidentChange { incident, what }, ticket, &context(), number, at(10)).unwrap()
    }

    fn opened() -> Ticket {
        run(incident(), What::Opened, None).unwrap().ticket
    }

    #[test]
    fn a_predicted_failure_opens_a_p3_ticket_with_its_reason() {
        let ticket = opened();
        assert_eq!((ticket.number, ticket.priority, ticket.predicted), (TicketNumber(7), Priority::P3, true));
        assert_eq!(ticket.title, "Disk failure predicted: disk/3 of web1");
        assert_eq!(ticket.reason, "reallocated sectors grow");
    }

    #[test]
    fn later_evidence_is_appended_to_the_same_ticket_once() {
        let mut more = incident();
        more.evidence.push(Fact { observed_at: at(5), text: "16 -> 32".into() });
        let ticket = opened();
        let write = run(more.clone(), What::Evidence, Some(&ticket)).unwrap();
        assert_eq!(write.expected_revision, Some(ticket.revision));
        assert_eq!((write.ticket.evidence.len(), write.transitions.len()), (2, 1));
        assert_eq!(run(more, What::Evidence, Some(&write.ticket)), None);
    }

    #[test]
    fn an_open_ticket_is_never_opened_twice() {
        assert_eq!(run(incident(), What::Opened, Some(&opened())), None);
    }

    #[test]
    fn a_prediction_that_comes_true_escalates_its_ticket() {
        let failed = Incident { predicted: false, level: Level::Critical, ..incident() };
        let write = run(failed, What::Escalated, Some(&opened())).unwrap();
        assert_eq!((write.ticket.predicted, write.ticket.priority), (false, Priority::P2));
        assert_eq!(write.ticket.title, "Disk failed: disk/3 of web1");
        let words: Vec<_> = write.transitions.iter().map(|entry| entry.action.word()).collect();
        assert_eq!(words, ["evidence", "escalate", "prioritise"]);
    }

    #[test]
    fn from_when_the_clocks_of_a_raised_ticket_count_is_what_its_policy_says() {
        let failed = Incident { predicted: false, level: Level::Critical, ..incident() };
        for reprioritise in [Rebase::Change, Rebase::Creation] {
            let change = IncidentChange { incident: failed.clone(), what: What::Escalated };
            let context = Context { reprioritise, ..context() };
            let number = || Ok::<_, Rejected>(TicketNumber(7));
            let write = react(&change, Some(&opened()), &context, number, at(10)).unwrap().unwrap();
            let raised = write.transitions.iter().find_map(|entry| match entry.action {
                Action::Prioritise { rebase, .. } => Some(rebase),
                _ => None,
            });
            assert_eq!(raised, Some(reprioritise));
        }
    }

    #[test]
    fn a_new_part_resolves_and_clean_polls_close() {
        let replaced = What::Replaced { old: "D1".into(), new: "D2".into() };
        let resolved = run(incident(), replaced, Some(&opened())).unwrap().ticket;
        assert_eq!((resolved.state, resolved.resolution), (State::Resolved, Some(Resolution::Repaired)));
        let closed = run(incident(), What::Verified, Some(&resolved)).unwrap().ticket;
        assert_eq!(closed.state, State::Closed);
    }

    #[test]
    fn a_finding_after_the_repair_reopens() {
        let replaced = What::Replaced { old: "D1".into(), new: "D2".into() };
        let resolved = run(incident(), replaced, Some(&opened())).unwrap().ticket;
        assert_eq!(run(incident(), What::Recurred, Some(&resolved)).unwrap().ticket.state, State::Reopened);
    }

    #[test]
    fn what_ended_by_itself_is_counted_as_recovered() {
        let over = Incident { stage: Stage::Ended { at: at(9) }, ..incident() };
        let ticket = run(over, What::Recovered, Some(&opened())).unwrap().ticket;
        assert_eq!((ticket.state, ticket.resolution), (State::Closed, Some(Resolution::Recovered)));
    }
}
