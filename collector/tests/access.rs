//! Who gets in, over real TLS: every combination of listener, service and token.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Agent, Home, hello, with_token};
use outband_collector::app::Collector;
use outband_collector::datadir::DataDir;
use outband_collector::token::{Role, make};
use outband_proto::agent::ListAgentsRequest;
use outband_proto::agent::agent_service_client::AgentServiceClient;
use outband_proto::health::ListServersRequest;
use outband_proto::health::health_service_client::HealthServiceClient;
use outband_proto::ingest::ingest_service_client::IngestServiceClient;
use outband_proto::ticket::ListTicketsRequest;
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use tonic::{Code, Status};

fn code<T>(answer: Result<T, Status>) -> Option<Code> {
    answer.err().map(|s| s.code())
}

async fn agents_list(home: &Home, collector: &Collector, token: &str) -> Option<Code> {
    let channel = home.channel(collector.operators_addr()).await;
    code(AgentServiceClient::new(with_token(channel, token)).list_agents(ListAgentsRequest::default()).await)
}

async fn stream(home: &Home, collector: &Collector, token: &str, agent: &str) -> Option<Code> {
    let channel = home.channel(collector.agents_addr()).await;
    match Agent::call(&mut IngestServiceClient::new(with_token(channel, token)), hello(agent, 1)).await {
        Ok(mut agent) => code(agent.next().await),
        Err(status) => Some(status.code()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_opens_its_own_door_and_no_other() {
    let home = Home::new();
    let collector = home.start().await;
    let (agent, operator) = (home.token("agent"), home.token("operator"));
    assert_eq!(stream(&home, &collector, &agent, "dc1").await, None);
    assert_eq!(stream(&home, &collector, &operator, "dc1").await, Some(Code::PermissionDenied));
    assert_eq!(stream(&home, &collector, "nobody", "dc1").await, Some(Code::Unauthenticated));
    assert_eq!(agents_list(&home, &collector, &operator).await, None);
    assert_eq!(agents_list(&home, &collector, &agent).await, Some(Code::PermissionDenied));
    assert_eq!(agents_list(&home, &collector, "nobody").await, Some(Code::Unauthenticated));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_answers_without_a_token() {
    let home = Home::new();
    let collector = home.start().await;
    let channel = home.channel(collector.operators_addr()).await;
    let denied = Some(Code::Unauthenticated);
    let mut health = HealthServiceClient::new(channel.clone());
    assert_eq!(code(health.list_servers(ListServersRequest::default()).await), denied);
    let mut tickets = TicketServiceClient::new(channel.clone());
    assert_eq!(code(tickets.list_tickets(ListTicketsRequest::default()).await), denied);
    let mut agents = AgentServiceClient::new(channel.clone());
    assert_eq!(code(agents.list_agents(ListAgentsRequest::default()).await), denied);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_of_agents_has_no_service_for_operators_and_the_other_way_round() {
    let home = Home::new();
    let collector = home.start().await;
    let channel = with_token(home.channel(collector.agents_addr()).await, &home.token("operator"));
    let answer = AgentServiceClient::new(channel).list_agents(ListAgentsRequest::default()).await;
    assert_eq!(code(answer), Some(Code::Unimplemented));
    let channel = with_token(home.channel(collector.operators_addr()).await, &home.token("agent"));
    let answer = Agent::call(&mut IngestServiceClient::new(channel), hello("dc1", 1)).await;
    assert_eq!(code(answer), Some(Code::Unimplemented));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_own_token_works_after_a_reload_for_that_agent_only() {
    let home = Home::new();
    let mut collector = home.start().await;
    let (token, file) = make(&DataDir::open(home.dir()).unwrap(), Role::Agent, "dc1").unwrap();
    assert_eq!(stream(&home, &collector, token.reveal(), "dc1").await, Some(Code::Unauthenticated));
    collector.reload(home.config()).unwrap();
    assert_eq!(stream(&home, &collector, token.reveal(), "dc1").await, None);
    assert_eq!(stream(&home, &collector, token.reveal(), "dc2").await, Some(Code::PermissionDenied));
    std::fs::remove_file(file).unwrap();
    collector.reload(home.config()).unwrap();
    assert_eq!(stream(&home, &collector, token.reveal(), "dc1").await, Some(Code::Unauthenticated));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_another_ca_does_not_connect() {
    let (home, other) = (Home::new(), Home::new());
    let collector = home.start().await;
    let elsewhere = other.start().await;
    let answer = common::channel(collector.operators_addr(), &other.dir().join("ca.pem")).await;
    assert!(answer.is_err());
    collector.stop().await.unwrap();
    elsewhere.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_before_a_restart_still_trusts_the_collector() {
    let home = Home::new();
    let collector = home.start().await;
    let kept = other_place(&home);
    collector.stop().await.unwrap();
    let collector = home.start().await;
    assert!(common::channel(collector.operators_addr(), &kept).await.is_ok());
    collector.stop().await.unwrap();
}

/// A copy of the CA as an operator has it.
fn other_place(home: &Home) -> std::path::PathBuf {
    let copy = home.dir().with_file_name("copied-ca.pem");
    std::fs::copy(home.dir().join("ca.pem"), &copy).unwrap();
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_collector_in_the_same_directory_is_refused() {
    let home = Home::new();
    let collector = home.start().await;
    assert!(Collector::start(home.config()).await.is_err());
    collector.stop().await.unwrap();
}
