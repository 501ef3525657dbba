//! What an operator sees of the collector by gRPC, and what is new in it.

use super::DemoError;
use super::programs::Door;
use outband_proto::health::health_service_client::HealthServiceClient;
use outband_proto::health::{ListServersRequest, Server, health::Status as HealthStatus};
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use outband_proto::ticket::{ListTicketsRequest, Ticket};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// A client of the collector's API for operators.
#[derive(Debug)]
pub(super) struct Operator {
    channel: Channel,
    token: MetadataValue<Ascii>,
}

/// Everything that one look shows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) servers: Vec<Server>,
    pub(super) tickets: Vec<Ticket>,
}

impl Operator {
    /// Prepares the connection; it is made, and made again, when needed.
    pub(super) fn connect(door: &Door) -> Result<Self, DemoError> {
        let refused = |why: String| DemoError::Ask { endpoint: door.operators.clone(), why };
        let ca = fs::read(&door.ca).map_err(DemoError::io("CA of the collector"))?;
        let token = fs::read_to_string(&door.token).map_err(DemoError::io("token of the operators"))?;
        let token =
            format!("Bearer {}", token.trim()).parse().map_err(|_| refused("its token is no text".to_owned()))?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        let endpoint = Endpoint::from_shared(door.operators.clone()).and_then(|e| e.tls_config(tls));
        let endpoint = endpoint.map_err(|e| refused(e.to_string()))?;
        let channel = endpoint.timeout(Duration::from_secs(5)).connect_timeout(Duration::from_secs(5)).connect_lazy();
        Ok(Self { channel, token })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }

    /// All servers and all tickets.
    pub(super) async fn look(&mut self) -> Result<Seen, Status> {
        let mut seen = Seen::default();
        let mut health = HealthServiceClient::new(self.channel.clone());
        let mut page_token = String::new();
        loop {
            let ask = ListServersRequest { page_size: 200, page_token, site: String::new() };
            let page = health.list_servers(self.request(ask)).await?.into_inner();
            seen.servers.extend(page.servers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let mut tickets = TicketServiceClient::new(self.channel.clone());
        loop {
            let ask = ListTicketsRequest { page_size: 200, page_token, ..ListTicketsRequest::default() };
            let page = tickets.list_tickets(self.request(ask)).await?.into_inner();
            seen.tickets.extend(page.tickets);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(seen);
            }
        }
    }
}

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Watch {
    started_ms: i64,
    /// By name, as last seen.
    tickets: BTreeMap<String, Ticket>,
    /// Resource name of a server → the name people know it by.
    names: BTreeMap<String, String>,
    servers: usize,
    healths: Vec<(&'static str, usize)>,
}

/// What a look brought that was not known.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Tickets that are new, in the order in which they were opened.
    pub(super) opened: Vec<Ticket>,
    /// Tickets whose state changed.
    pub(super) moved: Vec<Ticket>,
    /// Whether more servers are known, or another number of them is well.
    pub(super) counts: bool,
}

impl Watch {
    pub(super) fn new(started_ms: i64) -> Self {
        Self { started_ms, tickets: BTreeMap::new(), names: BTreeMap::new(), servers: 0, healths: Vec::new() }
    }

    /// Takes in what was seen.
    pub(super) fn take(&mut self, seen: Seen) -> News {
        let mut news = News::default();
        // The agent's own host is watched like a server; it is none of the site's.
        let of_site = |s: &&Server| s.targets.iter().any(|t| !t.ends_with("/agent"));
        let servers: Vec<&Server> = seen.servers.iter().filter(of_site).collect();
        let healths = counted(&servers);
        news.counts = healths != self.healths || servers.len() != self.servers;
        (self.healths, self.servers) = (healths, servers.len());
        for server in seen.servers {
            let known_by =
                [&server.hostname, &server.serial].into_iter().chain(&server.targets).find(|n| !n.is_empty()).cloned();
            let known_by = server.targets.first().and_then(|t| t.rsplit('/').next()).map(str::to_owned).or(known_by);
            self.names.insert(server.name.clone(), known_by.unwrap_or(server.name));
        }
        for ticket in seen.tickets {
            match self.tickets.get(&ticket.name) {
                None => news.opened.push(ticket.clone()),
                Some(known) if known.state != ticket.state => news.moved.push(ticket.clone()),
                Some(_) => {}
            }
            self.tickets.insert(ticket.name.clone(), ticket);
        }
        news.opened.sort_by_key(|t| t.created_at_ms);
        news
    }

    /// The name people know a ticket's server by.
    pub(super) fn server_name<'a>(&'a self, ticket: &'a Ticket) -> &'a str {
        self.names.get(&ticket.server).map_or(ticket.server.as_str(), String::as_str)
    }

    /// How many servers are known, and how many of them are in which state of health.
    pub(super) fn counts(&self) -> (usize, &[(&'static str, usize)]) {
        (self.servers, &self.healths)
    }

    /// Seconds from the programs' start to a ticket's opening.
    pub(super) fn seconds_to(&self, ticket: &Ticket) -> f64 {
        (ticket.created_at_ms - self.started_ms) as f64 / 1000.0
    }

    /// How many tickets there are.
    pub(super) fn tickets(&self) -> usize {
        self.tickets.len()
    }

    /// The first ticket for a predicted failure of each class of component wished for.
    pub(super) fn wished(&self) -> Vec<&Ticket> {
        WISHES.iter().filter_map(|wish| self.first(wish)).collect()
    }

    /// Which wish is not fulfilled.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        WISHES.into_iter().filter(|wish| self.first(wish).is_none()).collect()
    }

    fn first(&self, class: &str) -> Option<&Ticket> {
        let of_class = |t: &&Ticket| t.predicted && t.component.split('/').next() == Some(class);
        self.tickets.values().filter(of_class).min_by_key(|t| t.created_at_ms)
    }
}

/// Classes of components whose failure is to be predicted.
const WISHES: [&str; 2] = ["disk", "fan"];

fn counted(servers: &[&Server]) -> Vec<(&'static str, usize)> {
    let words = [
        (HealthStatus::Ok, "OK"),
        (HealthStatus::Warning, "warning"),
        (HealthStatus::Critical, "critical"),
        (HealthStatus::Stale, "stale"),
        (HealthStatus::Unknown, "unknown"),
    ];
    let status = |s: &&&Server| s.health.as_ref().map_or(HealthStatus::Unknown, |h| h.status());
    let count = |wanted| servers.iter().filter(|s| status(s) == wanted).count();
    words.into_iter().map(|(wanted, word)| (word, count(wanted))).filter(|(_, n)| *n > 0).collect()
}
