//! Faults that are not there: what an exercise says of a server. They come from here and from nowhere else, and carry a rule of their own, so that nobody
//! takes one for an agent's word: no score falls, no redundancy is lost, no storm begins for one.

use outband_health::{Evidence, Fault, Finding, Incident, IncidentKey, Level, RuleId, Stage};
use outband_schemas::{ComponentClass, ComponentId, Timestamp};
use outband_store::drill::Drill;

/// The rule of every fault that an exercise says.
pub const RULE: RuleId = RuleId::new("drill.synthetic");

/// Whether an incident is an exercise's.
pub fn is_drill(incident: &Incident) -> bool {
    incident.rules.first() == Some(&RULE)
}

/// Where a drill says its fault: the place that was asked for, marked so that nothing real is ever there.
pub fn place(drill: &Drill) -> Option<ComponentId> {
    let fault = fault(&drill.fault)?;
    Some(match &drill.component {
        Some(asked) => ComponentId::lenient(asked.class(), format!("{} (drill {})", asked.slot(), drill.id)),
        None => ComponentId::lenient(class(fault), format!("drill {}", drill.id)),
    })
}

/// The incident of a drill, by its name.
pub(super) fn key(drill: &Drill) -> Option<IncidentKey> {
    Some(IncidentKey { server: drill.server.clone(), component: place(drill)?, fault: fault(&drill.fault)? })
}

/// The fault of a word, of those that a server can have.
pub fn fault(word: &str) -> Option<Fault> {
    let fault = Fault::ALL.into_iter().find(|f| f.as_str() == word)?;
    let of_server = !matches!(
        fault,
        Fault::PowerFeedLost
            | Fault::CoolingLost
            | Fault::RackSilent
            | Fault::FeedSilent
            | Fault::AgentBlind
            | Fault::FirmwareWave
            | Fault::ClockStepped
            | Fault::StoreNearlyFull
            | Fault::StoreDamaged
            | Fault::NoticesStuck
            | Fault::AgentUnreadable
    );
    of_server.then_some(fault)
}

fn class(fault: Fault) -> ComponentClass {
    match fault {
        Fault::DiskFailure | Fault::DiskWear => ComponentClass::Disk,
        Fault::FanFailure => ComponentClass::Fan,
        Fault::PsuFailure | Fault::PowerInputLost => ComponentClass::PowerSupply,
        Fault::Overheating => ComponentClass::Chassis,
        Fault::VoltageOutOfRange | Fault::BusErrors => ComponentClass::Board,
        Fault::MemoryErrors => ComponentClass::Memory,
        Fault::ProcessorErrors => ComponentClass::Cpu,
        Fault::BmcSilent => ComponentClass::Bmc,
        Fault::AgentSilent => ComponentClass::Agent,
        _ => ComponentClass::Server,
    }
}

/// What a drill says, as a rule would.
fn finding(drill: &Drill, component: ComponentId, fault: Fault) -> Finding {
    let said = format!("an exercise, not a fault: {}", drill.reason);
    let mut evidence = vec![Evidence { observed_at: drill.starts_at, text: said.clone() }];
    if !drill.runbook.is_empty() {
        evidence.push(Evidence { observed_at: drill.starts_at, text: format!("what to do: {}", drill.runbook) });
    }
    Finding {
        rule: RULE,
        fault,
        component,
        predicted: false,
        level: Level::Critical,
        penalty: 0,
        reason: said,
        evidence,
        onset: drill.starts_at,
        newest: drill.starts_at,
        confirm: 1,
        part_serial: None,
    }
}

/// The incident that a drill is, at `now` (the collector's clock).
pub(super) fn incident(drill: &Drill, now: Timestamp) -> Option<Incident> {
    let key = key(drill)?;
    let finding = finding(drill, key.component.clone(), key.fault);
    Some(Incident {
        stage: Stage::Open,
        predicted: false,
        level: finding.level,
        rules: vec![finding.rule],
        reason: finding.reason,
        evidence: finding.evidence,
        onset: finding.onset,
        noted_at: now,
        newest: now,
        hits: 1,
        actual_hits: 1,
        clean: 0,
        clean_at: None,
        part_serial: None,
        ticket: None,
        hold: None,
        members: Vec::new(),
        returns: Vec::new(),
        follows: None,
        sightings: Vec::new(),
        key,
    })
}
