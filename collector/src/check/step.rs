//! What happens to a check: its agent is asked to read the BMC, what was read arrives and is assessed, the report is written. A check always ends, and where
//! nothing could be read its report says why.

use super::report;
use crate::config::check::HealthCheckConfig;
use crate::ingest::Registry;
use crate::judgement::Terms;
use outband_proto::ingest as wire;
use outband_proto::order::{Answer, AnswerBody, Outcome};
use outband_schemas::order::READ_NOW;
use outband_schemas::{AgentId, Lane, Timestamp};
use outband_store::check::{Asked, Check, CheckState, Checks};
use outband_store::order::Orders;
use outband_store::{AgentRecord, AgentTarget, Epoch, ServerRecord, Store, StoreError};
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use wire::stream_response::Message as Down;

/// How long a check waits for its agent to connect.
const AGENT_WITHIN: Duration = Duration::from_secs(60);
/// How long what was read may take to arrive and to be assessed.
const ASSESS_WITHIN: Duration = Duration::from_secs(180);
/// So many rows of an event lane are read at once.
const ROWS: usize = 200;

/// What checks are made by.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The config in force.
    pub config: &'a HealthCheckConfig,
    /// Where servers stand, and what is promised.
    pub terms: &'a Terms,
    /// Who is connected.
    pub registry: &'a Registry,
}

/// What is remembered between two looks; nothing that could not be found out again.
#[derive(Debug, Default)]
pub struct Sent {
    /// On which connection each check was last asked for, by its number.
    on: HashMap<u64, Epoch>,
    /// How far the event lane of each agent was read for a check, by its number.
    read: HashMap<u64, i64>,
}

/// Looks once at every check that is not over. Whether there are such.
pub fn take<S: Store + Orders + Checks>(
    store: &S,
    by: &By<'_>,
    sent: &mut Sent,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let open = store.open_checks()?;
    if open.is_empty() {
        *sent = Sent::default();
        return Ok(false);
    }
    let agents = agents(store)?;
    let mut reading: BTreeMap<AgentId, u32> = BTreeMap::new();
    for check in open.iter().filter(|c| c.state == CheckState::Reading) {
        if let Some(asked) = &check.asked {
            *reading.entry(asked.agent.clone()).or_default() += 1;
        }
    }
    // Those that people wait for go first.
    let (people, planned): (Vec<Check>, Vec<Check>) = open.into_iter().partition(|c| c.plan.is_none());
    for check in people.into_iter().chain(planned) {
        match check.state {
            CheckState::Waiting => wait(store, by, check, &agents, &mut reading, now)?,
            CheckState::Reading => read(store, by, sent, check, &agents, now)?,
            CheckState::Assessing => assess(store, by, check, &agents, now)?,
            CheckState::Done | CheckState::Unread => {}
        }
    }
    Ok(true)
}

/// What is known of the agents.
pub(super) fn agents<S: Store>(store: &S) -> Result<BTreeMap<AgentId, AgentRecord>, StoreError> {
    Ok(store.agents()?.into_iter().map(|a| (a.agent.clone(), a)).collect())
}

/// The BMCs of a server that some agent still lists as its own. The host of an agent has none.
pub(super) fn polled<'a>(
    record: &'a ServerRecord,
    agents: &'a BTreeMap<AgentId, AgentRecord>,
) -> impl Iterator<Item = &'a AgentTarget> {
    record.targets.iter().filter(|t| agents.get(&t.agent).is_some_and(|a| a.targets.contains(&t.target)))
}

/// Writes a check. `None`: somebody else was faster; the next look sees.
fn put<S: Checks>(store: &S, check: Check) -> Result<(), StoreError> {
    match store.put_check(Check { revision: check.revision + 1, ..check }) {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks the agent, once it is connected and not busy with others.
fn wait<S: Store + Orders + Checks>(
    store: &S,
    by: &By<'_>,
    check: Check,
    agents: &BTreeMap<AgentId, AgentRecord>,
    reading: &mut BTreeMap<AgentId, u32>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(record) = store.server(&check.server)? else {
        return end(
            store,
            by,
            Check { why: "the server is no longer known".to_owned(), ..check },
            CheckState::Unread,
            now,
        );
    };
    let targets: Vec<_> = polled(&record, agents).collect();
    let Some(first) = targets.first() else {
        let why = "no agent polls this server any more".to_owned();
        return end(store, by, Check { why, ..check }, CheckState::Unread, now);
    };
    let Some(target) = targets.iter().find(|t| by.registry.epoch(&t.agent).is_some()) else {
        let heard = agents.get(&first.agent).map(|a| now.since(a.last_heard).as_secs()).unwrap_or_default();
        let why = format!("the agent {} is not connected; it was last heard {heard} s ago", first.agent);
        let patient = now.since(check.requested_at) < AGENT_WITHIN;
        return match patient {
            true if check.why == why || !check.why.is_empty() => Ok(()),
            true => put(store, Check { why, ..check }),
            false => end(store, by, Check { why, ..check }, CheckState::Unread, now),
        };
    };
    let busy = reading.entry(target.agent.clone()).or_default();
    // Whoever waits in person is one more, not one behind the schedule's.
    if check.plan.is_some() && *busy >= by.config.at_once {
        return Ok(());
    }
    *busy += 1;
    let asked = Asked {
        agent: target.agent.clone(),
        target: target.target.clone(),
        at: now,
        after: store.last_log_row()?,
        telemetry_through: None,
        assess_through: None,
        answered_at: None,
    };
    put(store, Check { state: CheckState::Reading, why: String::new(), asked: Some(asked), ..check })
}

/// Sends the order where that was not done on the agent's connection yet, and looks for its answer.
fn read<S: Store + Orders + Checks>(
    store: &S,
    by: &By<'_>,
    sent: &mut Sent,
    check: Check,
    agents: &BTreeMap<AgentId, AgentRecord>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(asked) = check.asked.clone() else { return Ok(()) };
    let expires = asked.at.plus(by.config.patience.duration());
    if let Some(epoch) = by.registry.epoch(&asked.agent)
        && sent.on.get(&check.id) != Some(&epoch)
        && let Some(agent) = agents.get(&asked.agent)
    {
        let order = wire::Order {
            id: check.wire_id(),
            kind: READ_NOW.to_owned(),
            target: asked.target.to_string(),
            expires_at_ms: expires.as_millis(),
            approval: format!("health check {}, asked for by {}", check.id, check.requester),
            agent: asked.agent.to_string(),
            spool_id: agent.spool_id.to_string(),
            ..wire::Order::default()
        };
        let message = wire::StreamResponse { message: Some(Down::Order(order)) };
        if by.registry.push(&asked.agent, epoch, message) {
            sent.on.insert(check.id, epoch);
        }
    }
    if let Some(answer) = answer(store, sent, &check, &asked)? {
        sent.on.remove(&check.id);
        sent.read.remove(&check.id);
        return answered(store, by, check, asked, answer, now);
    }
    // The agent answers a little after the order's time at the latest.
    if now >= expires.plus(Duration::from_secs(30)) {
        let why = match by.registry.epoch(&asked.agent) {
            Some(_) => format!("the agent {} gave no answer within {}", asked.agent, by.config.patience),
            None => format!("the agent {} went away before it answered", asked.agent),
        };
        return end(store, by, Check { why, ..check }, CheckState::Unread, now);
    }
    Ok(())
}

/// The agent's answer, once it is in its event lane.
fn answer<S: Orders>(store: &S, sent: &mut Sent, check: &Check, asked: &Asked) -> Result<Option<Answer>, StoreError> {
    let id = check.wire_id();
    loop {
        let after = sent.read.get(&check.id).copied().unwrap_or(asked.after);
        let rows = store.event_rows_after(&asked.agent, after, ROWS)?;
        let Some(last) = rows.last() else { return Ok(None) };
        sent.read.insert(check.id, last.id);
        let bodies = rows.iter().filter_map(|row| AnswerBody::decode(row.body.as_slice()).ok()?.answer);
        if let Some(answer) = bodies.into_iter().find(|a| a.id == id) {
            return Ok(Some(answer));
        }
    }
}

fn answered<S: Store + Orders + Checks>(
    store: &S,
    by: &By<'_>,
    check: Check,
    asked: Asked,
    answer: Answer,
    now: Timestamp,
) -> Result<(), StoreError> {
    let unread: Vec<(String, String)> = answer.unread.iter().map(|u| (u.section.clone(), u.why.clone())).collect();
    let told = |why: String| Check { why, unread: unread.clone(), ..check.clone() };
    match answer.outcome() {
        Outcome::Done => {
            let asked = Asked { telemetry_through: Some(answer.telemetry_through), answered_at: Some(now), ..asked };
            put(store, Check { state: CheckState::Assessing, asked: Some(asked), ..told(String::new()) })
        }
        // An agent from before health checks knows no such word.
        Outcome::Refused if answer.detail.contains("knows no order") => {
            let why = format!("the agent {} is of a version that cannot read a BMC when asked: update it", asked.agent);
            end(store, by, told(why), CheckState::Unread, now)
        }
        Outcome::Failed => {
            end(store, by, told(format!("the BMC could not be read: {}", answer.detail)), CheckState::Unread, now)
        }
        Outcome::Refused | Outcome::Unknown | Outcome::Unspecified => {
            let why = format!("the agent {} did not read it: {}", asked.agent, answer.detail);
            end(store, by, told(why), CheckState::Unread, now)
        }
    }
}

/// Waits until all that was read is stored and assessed, then writes the report.
fn assess<S: Store + Orders + Checks>(
    store: &S,
    by: &By<'_>,
    check: Check,
    agents: &BTreeMap<AgentId, AgentRecord>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(asked) = check.asked.clone() else { return Ok(()) };
    let late = asked.answered_at.is_some_and(|at| now.since(at) >= ASSESS_WITHIN);
    let give_up = |why: &str| end(store, by, Check { why: why.to_owned(), ..check.clone() }, CheckState::Unread, now);
    let Some(through) = asked.assess_through else {
        let lanes = agents.get(&asked.agent).map(|a| a.lanes.as_slice()).unwrap_or_default();
        let stored = lanes.iter().find(|l| l.lane == Lane::Telemetry).map_or(0, |l| l.committed);
        return if stored >= asked.telemetry_through.unwrap_or(0) {
            let assess_through = Some(store.last_log_row()?);
            put(store, Check { asked: Some(Asked { assess_through, ..asked }), ..check })
        } else if late {
            give_up("what was read has not all arrived yet: the agent sends what it kept before it first")
        } else {
            Ok(())
        };
    };
    if store.cursor()? >= through {
        end(store, by, check, CheckState::Done, now)
    } else if late {
        give_up("what was read is not assessed yet: the collector is behind")
    } else {
        Ok(())
    }
}

/// Writes the report, by what is known now.
fn end<S: Store + Checks>(
    store: &S,
    by: &By<'_>,
    check: Check,
    state: CheckState,
    now: Timestamp,
) -> Result<(), StoreError> {
    let check = Check { state, ended_at: Some(now), ..check };
    let report = report::of(store, &check, by.terms, now)?;
    let verdict = report.verdict;
    let body = serde_json::to_value(&report)
        .map_err(|e| StoreError::Refused { doing: "writing the report of a health check", source: e.into() })?;
    tracing::info!(check = check.id, server = %check.server, ?verdict, why = check.why, "a health check is over");
    put(store, Check { report: Some(body), ..check })
}
