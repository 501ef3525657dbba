//! Asks many addresses over UDP whether they are BMCs: a few small datagrams each, sent at a pace that no switch minds.

use super::ssdp::{self, Announced};
use crate::ipmi::presence::{self, Presence};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How an address is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often those that stay silent are asked.
    pub rounds: u8,
    /// The time between two addresses.
    pub gap: Duration,
    /// How long answers are waited for after each round.
    pub wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rounds: 3, gap: Duration::from_millis(1), wait: Duration::from_millis(800) }
    }
}

/// The addresses that answered on IPMI's `port`. `told` is called with how many of the questions of all rounds were sent.
pub async fn presence(
    addresses: &BTreeSet<IpAddr>,
    port: u16,
    pace: Pace,
    mut told: impl FnMut(usize),
) -> io::Result<BTreeMap<IpAddr, Presence>> {
    let mut found: BTreeMap<IpAddr, Presence> = BTreeMap::new();
    let mut asked = 0;
    let sockets = Sockets::open(addresses).await?;
    for round in 0..pace.rounds {
        let complete = |p: &Presence| p.channel;
        let left: Vec<IpAddr> = addresses.iter().filter(|a| !found.get(a).is_some_and(complete)).copied().collect();
        for address in left {
            let Some(socket) = sockets.of(address) else { continue };
            for question in presence::questions(round) {
                // No route, or refused by a firewall: this address stays silent, others may answer.
                if let Err(error) = socket.send_to(&question, SocketAddr::new(address, port)).await {
                    tracing::debug!(%address, %error, "not asked");
                }
            }
            asked += 1;
            told(asked);
            let next = Instant::now() + pace.gap;
            sockets.hear_until(next, |from, datagram| note(addresses, &mut found, from, datagram)).await;
        }
        let end = Instant::now() + pace.wait;
        sockets.hear_until(end, |from, datagram| note(addresses, &mut found, from, datagram)).await;
    }
    Ok(found)
}

fn note(addresses: &BTreeSet<IpAddr>, found: &mut BTreeMap<IpAddr, Presence>, from: IpAddr, datagram: &[u8]) {
    if let (true, Some(answer)) = (addresses.contains(&from), presence::answer(datagram)) {
        let known = found.entry(from).or_default();
        *known = known.and(answer);
    }
}

/// The Redfish services that answer an SSDP search at `group` within `wait`.
pub async fn announced(group: SocketAddr, wait: Duration) -> io::Result<Vec<Announced>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.send_to(&ssdp::search(u8::try_from(wait.as_secs()).unwrap_or(5).clamp(1, 5)), group).await?;
    let sockets = Sockets { v4: Some(socket), v6: None };
    let mut found = Vec::new();
    let mut note = |datagram: &[u8]| {
        let new = ssdp::answer(datagram).filter(|a| !found.contains(a));
        found.extend(new);
    };
    sockets.hear_until(Instant::now() + wait, |_, datagram| note(datagram)).await;
    Ok(found)
}

/// One socket a family.
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    async fn open(addresses: &BTreeSet<IpAddr>) -> io::Result<Self> {
        let mut sockets = Self { v4: None, v6: None };
        if addresses.iter().any(IpAddr::is_ipv4) {
            sockets.v4 = Some(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?);
        }
        if addresses.iter().any(IpAddr::is_ipv6) {
            sockets.v6 = Some(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?);
        }
        Ok(sockets)
    }

    fn of(&self, address: IpAddr) -> Option<&UdpSocket> {
        if address.is_ipv4() { self.v4.as_ref() } else { self.v6.as_ref() }
    }

    async fn hear_until(&self, end: Instant, mut heard: impl FnMut(IpAddr, &[u8])) {
        let (mut one, mut other) = ([0u8; 2048], [0u8; 2048]);
        loop {
            let from_either = async {
                tokio::select! {
                    got = receive(self.v4.as_ref(), &mut one) => (got, true),
                    got = receive(self.v6.as_ref(), &mut other) => (got, false),
                }
            };
            match timeout_at(end, from_either).await {
                Err(_) => return,
                Ok((Ok((len, from)), first)) => {
                    let datagram = if first { &one } else { &other };
                    heard(from.ip(), datagram.get(..len).unwrap_or_default());
                }
                // An ICMP error of an earlier datagram: the socket is good for the next.
                Ok((Err(error), _)) => {
                    tracing::debug!(%error, "a datagram was not taken");
                    if error.kind() != io::ErrorKind::ConnectionRefused {
                        return sleep_until(end).await;
                    }
                }
            }
        }
    }
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `ask` while whatever reaches `socket` is answered by `answer`.
    async fn with<T>(socket: UdpSocket, answer: &[u8], ask: impl Future<Output = T>) -> T {
        let answering = async {
            let mut buffer = [0; 512];
            loop {
                let (_, from) = socket.recv_from(&mut buffer).await.unwrap();
                socket.send_to(answer, from).await.unwrap();
            }
        };
        tokio::select! {
            result = ask => result,
            never = answering => never,
        }
    }

    async fn bound() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn only_those_who_were_asked_are_heard() {
        let mut pong = vec![6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x40, 7, 0, 16];
        pong.extend([0, 0, 0x11, 0xBE, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
        let (bmc, address) = bound().await;
        let pace = Pace { rounds: 2, wait: Duration::from_millis(50), ..Pace::default() };
        let all: BTreeSet<IpAddr> = ["127.0.0.1", "127.0.0.9"].iter().map(|a| a.parse().unwrap()).collect();
        let mut asked = 0;
        let found = with(bmc, &pong, presence(&all, address.port(), pace, |n| asked = n)).await.unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&address.ip()]);
        assert!(asked >= 3, "{asked}");
        let (bmc, address) = bound().await;
        let others: BTreeSet<IpAddr> = ["127.0.0.9".parse().unwrap()].into();
        assert!(with(bmc, &pong, presence(&others, address.port(), pace, |_| {})).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_service_that_answers_a_search_is_found_once() {
        let answer = "HTTP/1.1 200 OK\r\nST: urn:dmtf-org:service:redfish-rest:1\r\nUSN: uuid:1::urn:x\r\nAL: https://10.0.0.7:8443/redfish/v1\r\n\r\n";
        let (service, address) = bound().await;
        let found = with(service, answer.as_bytes(), announced(address, Duration::from_millis(200))).await.unwrap();
        assert_eq!(
            found.iter().map(|f| (f.address.to_string(), f.port)).collect::<Vec<_>>(),
            [("10.0.0.7".to_owned(), 8443)]
        );
    }
}
