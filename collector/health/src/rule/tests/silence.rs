//! Silence.

use super::*;

#[test]
fn a_bmc_that_does_not_answer_is_found_with_its_reason() {
    let mut server = Server::new();
    server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
    for _ in 0..4 {
        server.sensors(vec![gap(Cause::Timeout)]);
    }
    server.quiet();
    server.sensors(vec![gap(Cause::Timeout)]);
    let found = server.only();
    assert_eq!((found.fault, found.component.to_string().as_str()), (Fault::BmcSilent, "bmc/bmc1"));
    assert!(found.reason.contains("timeout"), "{}", found.reason);
}

#[test]
fn a_bmc_that_is_asked_more_and_more_seldom_is_found_after_the_time_of_five_polls() {
    let mut server = Server::new();
    for _ in 0..6 {
        server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
    }
    server.sensors(vec![gap(Cause::Timeout)]);
    server.now = server.now.plus(Duration::from_secs(60));
    server.sensors(vec![gap(Cause::Timeout)]);
    server.quiet();
    server.now = server.now.plus(Duration::from_secs(180));
    server.sensors(vec![gap(Cause::Timeout)]);
    assert_eq!(server.only().fault, Fault::BmcSilent);
}

#[test]
fn a_bmc_that_reboots_is_not_silent() {
    let mut server = Server::new();
    for _ in 0..5 {
        server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
        for _ in 0..3 {
            server.sensors(vec![gap(Cause::Unreachable)]);
        }
    }
    server.quiet();
}

#[test]
fn a_bmc_whose_log_still_answers_is_not_silent() {
    let mut server = Server::new();
    for _ in 0..9 {
        server.sensors(vec![gap(Cause::BmcError)]);
        server.log(vec![]);
    }
    server.quiet();
}

#[test]
fn a_target_that_its_agent_no_longer_speaks_of_is_found() {
    let mut server = Server::new();
    for _ in 0..4 {
        server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
    }
    server.window.agent_observed(&origin().agent, server.now.plus(Duration::from_secs(600)));
    server.quiet();
    server.now = server.now.plus(Duration::from_secs(600));
    assert!(server.only().reason.contains("tells nothing of it"));
}

#[test]
fn an_agent_is_silent_after_five_of_its_intervals() {
    let mut server = Server::new();
    let heard_at = server.now;
    server.window.hosts(Hosted { agent: origin().agent, heard_at, interval: Duration::from_secs(60) });
    server.now = heard_at.plus(Duration::from_secs(300));
    server.quiet();
    server.now = heard_at.plus(Duration::from_secs(301));
    assert_eq!((server.only().fault, server.only().onset), (Fault::AgentSilent, heard_at));
}

#[test]
fn an_agent_whose_bmcs_all_hang_is_heard_as_often_as_it_reads_its_host() {
    let mut server = Server::new();
    for _ in 0..3 {
        server.poll(Section::Host, vec![number("agent/a1", SensorKind::Utilization, 3.0)]);
    }
    let heard_at = server.now;
    server.window.hosts(Hosted { agent: origin().agent, heard_at, interval: Duration::from_secs(5) });
    server.now = heard_at.plus(Duration::from_secs(300));
    server.quiet();
    server.now = heard_at.plus(Duration::from_secs(301));
    assert_eq!(server.only().fault, Fault::AgentSilent);
}
