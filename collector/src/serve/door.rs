//! Who stands at a listener and has not shown yet that he belongs there.
//!
//! A connection is a stranger's until a call on it was let in by the gate ([`Door::greet`]). Strangers have little patience to hope for and little
//! room: so many in all, so many from one address. Where there is no more room, the one that has waited longest goes, of the address that takes
//! most of it: whoever holds thousands of connections open stands in his own way, and an agent that comes back needs its seat only for as long as
//! a handshake and a call take. Connections that are known count towards nothing.

mod guest;

pub use guest::{Guest, Guests};

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// How often the log speaks of those that were turned away.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How much room strangers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of strangers in all.
    pub strangers: usize,
    /// Of them from one address (IPv6: one network of 64 bits, which is what one household gets).
    pub of_one_address: usize,
    /// So long a stranger may stay without a call that is let in.
    pub patience: Duration,
}

impl Default for Limits {
    /// Room for a few hundred agents behind one address that all come back in the same moment.
    fn default() -> Self {
        Self { strangers: 2048, of_one_address: 512, patience: Duration::from_secs(30) }
    }
}

/// What happened at a door.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections on which a call was let in.
    pub known: usize,
    /// Those of strangers.
    pub strangers: usize,
    /// Strangers turned away because there was no more room, since the start.
    pub crowded: u64,
    /// Strangers turned away because they made no call that is let in, since the start.
    pub silent: u64,
    /// Connections that the system could not give, since the start.
    pub failed: u64,
}

/// One connection's place.
#[derive(Debug)]
struct Seat {
    number: u64,
    peer: SocketAddr,
    origin: IpAddr,
    known: AtomicBool,
    cut: CancellationToken,
}

#[derive(Debug, Default)]
struct Room {
    next: u64,
    /// All, by the other end.
    seats: HashMap<SocketAddr, Arc<Seat>>,
    /// Those of strangers by where they come from, the oldest first.
    strangers: HashMap<IpAddr, BTreeMap<u64, Arc<Seat>>>,
    /// How many these are.
    waiting: usize,
    known: usize,
    told: Option<Instant>,
    untold: u64,
}

#[derive(Debug)]
struct Shared {
    whom: &'static str,
    limits: Limits,
    room: Mutex<Room>,
    crowded: AtomicU64,
    silent: AtomicU64,
    failed: AtomicU64,
}

/// A listener's door. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    shared: Arc<Shared>,
}

impl Door {
    /// A door through which `whom` comes.
    pub fn new(whom: &'static str, limits: Limits) -> Self {
        let shared = Shared {
            whom,
            limits,
            room: Mutex::default(),
            crowded: AtomicU64::new(0),
            silent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The service, noting of each call that reaches it that its connection is known: it stands behind the gate.
    pub fn greet<S>(&self, service: S) -> Greeted<S> {
        Greeted { door: self.clone(), service }
    }

    /// What happened here.
    pub fn figures(&self) -> Figures {
        let room = self.room();
        Figures {
            known: room.known,
            strangers: room.waiting,
            crowded: self.shared.crowded.load(Ordering::Relaxed),
            silent: self.shared.silent.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Each change of the room is whole before anything can panic.
        self.shared.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, peer: SocketAddr) -> Arc<Seat> {
        let (origin, limits) = (origin(peer.ip()), self.shared.limits);
        let mut room = self.room();
        if room.strangers.get(&origin).map_or(0, BTreeMap::len) >= limits.of_one_address {
            self.turn_away(&mut room, origin);
        } else if room.waiting >= limits.strangers
            && let Some(greediest) = room.strangers.iter().max_by_key(|(_, seats)| seats.len()).map(|(ip, _)| *ip)
        {
            self.turn_away(&mut room, greediest);
        }
        room.next += 1;
        let seat = Arc::new(Seat {
            number: room.next,
            peer,
            origin,
            known: AtomicBool::new(false),
            cut: CancellationToken::new(),
        });
        room.seats.insert(peer, Arc::clone(&seat));
        room.strangers.entry(origin).or_default().insert(seat.number, Arc::clone(&seat));
        room.waiting += 1;
        seat
    }

    /// Cuts the stranger of an address that has waited longest.
    fn turn_away(&self, room: &mut Room, origin: IpAddr) {
        let oldest = room.strangers.get(&origin).and_then(|seats| seats.values().next()).cloned();
        if let Some(seat) = oldest {
            room.no_stranger(&seat);
            seat.cut.cancel();
            self.shared.crowded.fetch_add(1, Ordering::Relaxed);
            self.tell(
                room,
                "there are more connections without a valid call than there is room for; the oldest are closed",
            );
        }
    }

    /// Says it, but not of every one.
    fn tell(&self, room: &mut Room, what: &str) {
        room.untold += 1;
        if room.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            room.told = Some(Instant::now());
            let (whom, times) = (self.shared.whom, std::mem::take(&mut room.untold));
            tracing::warn!(listener = whom, times, "{what}");
        }
    }

    fn know(&self, peer: SocketAddr) {
        let mut room = self.room();
        if let Some(seat) = room.seats.get(&peer).cloned()
            && !seat.known.swap(true, Ordering::Relaxed)
        {
            room.no_stranger(&seat);
            room.known += 1;
        }
    }

    fn leave(&self, seat: &Seat) {
        let mut room = self.room();
        room.no_stranger(seat);
        if seat.known.load(Ordering::Relaxed) {
            room.known = room.known.saturating_sub(1);
        }
        // The other end's port may be another connection's already.
        if room.seats.get(&seat.peer).is_some_and(|now| now.number == seat.number) {
            room.seats.remove(&seat.peer);
        }
    }

    /// The system gave no connection: a stranger's may be given up for the next one.
    fn short(&self, error: &io::Error) {
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        let mut room = self.room();
        let greediest = room.strangers.iter().max_by_key(|(_, seats)| seats.len()).map(|(ip, _)| *ip);
        if let Some(greediest) = greediest {
            self.turn_away(&mut room, greediest);
        }
        self.tell(&mut room, &format!("no connection can be taken: {error}"));
    }
}

impl Room {
    fn no_stranger(&mut self, seat: &Seat) {
        if let Some(seats) = self.strangers.get_mut(&seat.origin)
            && seats.remove(&seat.number).is_some()
        {
            self.waiting -= 1;
            if seats.is_empty() {
                self.strangers.remove(&seat.origin);
            }
        }
    }
}

/// What counts as one address.
fn origin(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// A service of which each call makes its connection known.
#[derive(Debug, Clone)]
pub struct Greeted<S> {
    door: Door,
    service: S,
}

impl<S: NamedService> NamedService for Greeted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Greeted<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> S::Future {
        let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().map(TlsConnectInfo::get_ref);
        if let Some(peer) = info.and_then(TcpConnectInfo::remote_addr) {
            self.door.know(peer);
        }
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { strangers: 6, of_one_address: 3, patience: Duration::from_secs(30) };

    fn peer(ip: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, ip], port))
    }

    fn cut(seats: &[Arc<Seat>]) -> Vec<u16> {
        seats.iter().filter(|s| s.cut.is_cancelled()).map(|s| s.peer.port()).collect()
    }

    #[test]
    fn who_takes_more_than_one_address_may_stands_in_his_own_way() {
        let door = Door::new("agents", LIMITS);
        let seats: Vec<_> = (1..=5).map(|port| door.enter(peer(1, port))).collect();
        assert_eq!(cut(&seats), [1, 2]);
        assert_eq!((door.figures().strangers, door.figures().crowded), (3, 2));
    }

    #[test]
    fn where_all_room_is_taken_the_greediest_address_gives_way_to_a_newcomer() {
        let door = Door::new("agents", LIMITS);
        let mut seats: Vec<_> = (1..=3).map(|port| door.enter(peer(1, port))).collect();
        seats.extend([4, 5].map(|port| door.enter(peer(2, port))));
        seats.push(door.enter(peer(3, 6)));
        assert_eq!(cut(&seats), Vec::<u16>::new());
        let newcomer = door.enter(peer(4, 7));
        assert_eq!((cut(&seats), newcomer.cut.is_cancelled()), (vec![1], false));
    }

    #[test]
    fn a_known_connection_takes_no_room_and_is_never_cut() {
        let door = Door::new("agents", LIMITS);
        let known = door.enter(peer(1, 1));
        door.know(peer(1, 1));
        let seats: Vec<_> = (2..=20).map(|port| door.enter(peer(1, port))).collect();
        assert!(!known.cut.is_cancelled());
        assert_eq!(cut(&seats).len(), 16);
        assert_eq!((door.figures().known, door.figures().strangers), (1, 3));
        door.leave(&known);
        assert_eq!(door.figures().known, 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    proptest! {
        #[test]
        fn however_they_come_and_go_the_counts_are_those_of_who_is_there(
            steps in proptest::collection::vec((0u8..4, 0u8..5, 1u16..40), 1..200)
        ) {
            let door = Door::new("agents", LIMITS);
            let mut seats: Vec<Arc<Seat>> = Vec::new();
            for (what, ip, port) in steps {
                match what {
                    0 | 1 if seats.iter().all(|s| s.peer != peer(ip, port)) => seats.push(door.enter(peer(ip, port))),
                    2 => door.know(peer(ip, port)),
                    3 if !seats.is_empty() => {
                        let seat = seats.swap_remove(usize::from(port) % seats.len());
                        door.leave(&seat);
                    }
                    _ => {}
                }
                let known = seats.iter().filter(|s| s.known.load(Ordering::Relaxed)).count();
                let strangers: Vec<_> = seats
                    .iter()
                    .filter(|s| !s.known.load(Ordering::Relaxed) && !s.cut.is_cancelled())
                    .collect();
                prop_assert_eq!((door.figures().known, door.figures().strangers), (known, strangers.len()));
                prop_assert!(strangers.len() <= LIMITS.strangers);
                for ip in 0..5 {
                    let of = strangers.iter().filter(|s| s.origin == peer(ip, 1).ip()).count();
                    prop_assert!(of <= LIMITS.of_one_address);
                }
            }
        }
    }
}
