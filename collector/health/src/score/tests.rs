//! Points and reasons add up.

use super::*;
use crate::RuleId;
use proptest::prelude::*;

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn seen() -> Seen {
    Seen { newest: Some(now()), stale: false }
}

fn place(n: usize) -> ComponentId {
    format!("disk/{n}").parse().unwrap()
}

fn finding(fault: Fault, penalty: u8, level: Level) -> Finding {
    Finding {
        rule: RuleId::new("test.rule"),
        fault,
        component: place(1),
        predicted: true,
        level,
        penalty,
        reason: "because".to_owned(),
        evidence: Vec::new(),
        onset: now(),
        newest: now(),
        confirm: 1,
        part_serial: None,
    }
}

fn well() -> Health {
    component(&place(9), &[], seen(), now())
}

fn ill(penalty: u8) -> Health {
    component(&place(1), &[&finding(Fault::DiskFailure, penalty, Level::Warning)], seen(), now())
}

fn lost(health: &Health) -> u32 {
    health.penalties.iter().map(|p| u32::from(p.points)).sum()
}

#[test]
fn two_rules_that_see_one_fault_cost_once() {
    let (a, b) = (finding(Fault::DiskFailure, 40, Level::Warning), finding(Fault::DiskFailure, 55, Level::Warning));
    assert_eq!(component(&place(1), &[&a, &b], seen(), now()).score, Some(45));
    let wear = finding(Fault::DiskWear, 10, Level::Advice);
    assert_eq!(component(&place(1), &[&a, &wear], seen(), now()).score, Some(50));
}

#[test]
fn what_was_never_seen_is_unknown_and_what_is_old_is_stale() {
    let never = component(&place(1), &[], Seen { newest: None, stale: false }, now());
    assert_eq!((never.score, never.status), (None, Status::Unknown));
    let old = component(&place(1), &[], Seen { newest: Some(now()), stale: true }, now());
    assert_eq!(old.status, Status::Stale);
}

#[test]
fn one_failed_part_weighs_the_same_among_many_well_ones_and_a_second_makes_it_worse() {
    let mut parts = vec![ill(40)];
    assert_eq!(server(&parts, seen(), now()).score, Some(60));
    parts.extend(std::iter::repeat_n(well(), 80));
    assert_eq!(server(&parts, seen(), now()).score, Some(60));
    parts.push(ill(40));
    assert_eq!(server(&parts, seen(), now()).score, Some(40));
}

#[test]
fn a_server_that_is_not_heard_is_stale_though_all_was_well() {
    let stale = server(&[well()], Seen { newest: Some(now()), stale: true }, now());
    assert_eq!((stale.score, stale.status), (Some(100), Status::Stale));
}

#[test]
fn a_site_of_a_thousand_servers_is_not_at_zero_for_one_bad_disk_and_not_at_a_hundred() {
    let servers: Vec<(ServerId, Health)> = (0..1000)
        .map(|n| {
            (ServerId::new(format!("s{n}")).unwrap(), if n == 7 { server(&[ill(40)], seen(), now()) } else { well() })
        })
        .collect();
    let site = site(&servers, now());
    assert_eq!((site.score, site.status), (Some(80), Status::Warning));
    assert_eq!((site.penalties[0].component.as_str(), site.penalties[0].reason.as_str()), ("s7", "disk/1: because"));
}

proptest! {
    #[test]
    fn every_lost_point_has_a_reason(penalties in prop::collection::vec(0_u8..=100, 0..30)) {
        let parts: Vec<Health> = penalties.iter().map(|p| ill(*p)).collect();
        let whole = server(&parts, seen(), now());
        if let Some(score) = whole.score {
            prop_assert_eq!(100 - u32::from(score), lost(&whole));
            let worst = parts.iter().filter_map(|h| h.score).min().unwrap_or(100);
            prop_assert!(score <= worst, "the worst dominates");
        }
        let servers: Vec<(ServerId, Health)> =
            parts.into_iter().enumerate().map(|(n, h)| (ServerId::new(format!("s{n}")).unwrap(), h)).collect();
        let site = site(&servers, now());
        if let Some(score) = site.score {
            prop_assert_eq!(100 - u32::from(score), lost(&site));
        }
    }
}
