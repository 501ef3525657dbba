//! Points and reasons. A score is 100 minus the penalties; every point lost says why.

use crate::{Fault, Finding, Level};
use outband_schemas::{ComponentId, ServerId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What can be said of a component, a server or a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Well, and seen lately.
    Ok,
    /// Degraded, or a failure is predicted.
    Warning,
    /// Failed, or out of its critical limits.
    Critical,
    /// Too old to say. Not OK.
    Stale,
    /// Never seen. Not OK.
    Unknown,
}

/// Points lost, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Penalty {
    /// Points lost, 0 (its share of a larger whole rounds to nothing) to 100.
    pub points: u8,
    /// The component as `class/slot`; for a site, the server.
    pub component: String,
    /// The rule or the reason, e.g. `disk.smart_growth`.
    pub rule: String,
    /// Why, in words.
    pub reason: String,
}

/// The score of one resource with every point it lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// 0 to 100; `None` when nothing is known.
    pub score: Option<u8>,
    /// What can be said.
    pub status: Status,
    /// What the points were lost for, dearest first. They add up to 100 − score.
    pub penalties: Vec<Penalty>,
    /// When it was assessed (the collector's clock).
    pub assessed_at: Timestamp,
    /// The newest reading it rests on (the agent's clock).
    pub newest_reading: Option<Timestamp>,
}

/// What the score of a component starts from.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The newest good reading; `None`: never one.
    pub newest: Option<Timestamp>,
    /// Whether that is too old to say anything.
    pub stale: bool,
}

/// The score of a component: 100 less the penalty of each finding, at least 0. Of findings of one fault only the dearest
/// counts: two rules that see the same thing are one thing.
pub fn component(component: &ComponentId, findings: &[&Finding], seen: Seen, now: Timestamp) -> Health {
    let mut dearest: BTreeMap<Fault, &Finding> = BTreeMap::new();
    for finding in findings {
        let entry = dearest.entry(finding.fault).or_insert(finding);
        if (finding.penalty, finding.level) > (entry.penalty, entry.level) {
            *entry = finding;
        }
    }
    let mut left = 100_u8;
    let mut worst: Vec<&Finding> = dearest.into_values().collect();
    worst.sort_by_key(|f| (std::cmp::Reverse(f.penalty), f.fault));
    let mut penalties = Vec::new();
    for finding in &worst {
        let points = finding.penalty.min(left);
        left -= points;
        penalties.push(Penalty {
            points,
            component: component.to_string(),
            rule: finding.rule.to_string(),
            reason: finding.reason.clone(),
        });
    }
    let known = seen.newest.is_some() || !worst.is_empty();
    let status = match worst.iter().map(|f| f.level).max() {
        Some(Level::Critical | Level::Fatal) => Status::Critical,
        _ if seen.stale => Status::Stale,
        Some(Level::Warning) => Status::Warning,
        _ if !known => Status::Unknown,
        Some(Level::Advice) | None => Status::Ok,
    };
    Health { score: known.then_some(left), status, penalties, assessed_at: now, newest_reading: seen.newest }
}

/// The score of a server from those of its components: the worst component's loss counts in full, the second's by half, the
/// third's by a quarter, and so on; at most 100. So one failed part is one failed part however many well ones surround it,
/// and a second one makes it worse.
pub fn server(components: &[Health], seen: Seen, now: Timestamp) -> Health {
    let mut known: Vec<&Health> = components.iter().filter(|h| h.score.is_some()).collect();
    known.sort_by_key(|h| std::cmp::Reverse(loss(h)));
    let mut share = 1.0;
    let mut shares = Vec::new();
    for health in &known {
        shares.push((*health, share));
        share /= 2.0;
    }
    let bad = |status: Status| components.iter().any(|h| h.status == status);
    let status = if bad(Status::Critical) {
        Status::Critical
    } else if seen.stale {
        Status::Stale
    } else if bad(Status::Warning) || bad(Status::Stale) {
        Status::Warning
    } else if known.is_empty() {
        Status::Unknown
    } else {
        Status::Ok
    };
    let (score, penalties) = weigh(&shares, None);
    Health {
        score: (!known.is_empty()).then_some(score),
        status,
        penalties,
        assessed_at: now,
        newest_reading: seen.newest,
    }
}

/// The score of a site from those of its servers: half of the worst server's loss and half of the mean loss of all. So a site
/// of a thousand servers is not at zero for a few bad disks, and not at 100 either.
pub fn site(servers: &[(ServerId, Health)], now: Timestamp) -> Health {
    let known: Vec<&(ServerId, Health)> = servers.iter().filter(|(_, h)| h.score.is_some()).collect();
    let count = f64::from(u32::try_from(known.len()).unwrap_or(u32::MAX));
    let worst = known.iter().map(|(id, h)| (loss(h), std::cmp::Reverse(id))).max().map(|(_, id)| id.0.clone());
    let shares: Vec<(&Health, f64)> =
        known.iter().map(|(id, h)| (h, 0.5 / count + if Some(id) == worst.as_ref() { 0.5 } else { 0.0 })).collect();
    let names: Vec<String> = known.iter().map(|(id, _)| id.to_string()).collect();
    let any = |status: Status| servers.iter().any(|(_, h)| h.status == status);
    let all = |status: Status| servers.iter().all(|(_, h)| h.status == status);
    let status = if any(Status::Critical) {
        Status::Critical
    } else if servers.is_empty() || all(Status::Unknown) {
        Status::Unknown
    } else if all(Status::Stale) {
        Status::Stale
    } else if any(Status::Warning) || any(Status::Stale) {
        Status::Warning
    } else {
        Status::Ok
    };
    let (score, mut penalties) = weigh(&shares, Some(&names));
    penalties.truncate(SITE_PENALTIES);
    let newest_reading = servers.iter().filter_map(|(_, h)| h.newest_reading).max();
    Health { score: (!known.is_empty()).then_some(score), status, penalties, assessed_at: now, newest_reading }
}

/// A site tells its dearest penalties; the others are told by its servers.
const SITE_PENALTIES: usize = 100;

fn loss(health: &Health) -> u8 {
    100 - health.score.unwrap_or(100).min(100)
}

/// 100 less the weighted losses, and the penalties scaled so that they add up to what was lost (largest remainder).
fn weigh(shares: &[(&Health, f64)], names: Option<&[String]>) -> (u8, Vec<Penalty>) {
    let mut parts: Vec<(f64, Penalty)> = Vec::new();
    for (i, (health, share)) in shares.iter().enumerate() {
        for penalty in &health.penalties {
            let mut penalty = penalty.clone();
            if let Some(name) = names.and_then(|names| names.get(i)) {
                penalty.reason = format!("{}: {}", penalty.component, penalty.reason);
                penalty.component.clone_from(name);
            }
            parts.push((f64::from(penalty.points) * share, penalty));
        }
    }
    let exact: f64 = parts.iter().map(|(points, _)| points).sum::<f64>();
    let scale = if exact > 100.0 { 100.0 / exact } else { 1.0 };
    let total = whole(exact.min(100.0).round());
    let mut left = total;
    for (points, penalty) in &mut parts {
        *points *= scale;
        penalty.points = whole(points.floor()).min(left);
        left -= penalty.points;
    }
    parts.sort_by(|(a, p), (b, q)| {
        let rest = |points: &f64| points - points.floor();
        rest(b).total_cmp(&rest(a)).then_with(|| (&p.component, &p.rule).cmp(&(&q.component, &q.rule)))
    });
    for (_, penalty) in &mut parts {
        if left == 0 {
            break;
        }
        penalty.points += 1;
        left -= 1;
    }
    let mut penalties: Vec<Penalty> = parts.into_iter().map(|(_, penalty)| penalty).collect();
    penalties
        .sort_by(|a, b| b.points.cmp(&a.points).then_with(|| (&a.component, &a.rule).cmp(&(&b.component, &b.rule))));
    (100 - total, penalties)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 before the cast")]
fn whole(points: f64) -> u8 {
    points.clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests;
