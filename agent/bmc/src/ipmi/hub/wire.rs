//! The sockets of a hub, one of each address family, and datagrams moved in batches (`recvmmsg(2)`, `sendmmsg(2)`).

use super::outbox::{Outbox, Waiting};
use super::table::Table;
use super::{Command, Moved};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg, recvmsg, sendmmsg,
    setsockopt, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams moved by one system call.
pub(super) const BATCH: usize = 64;
/// How many batches are read before others have their turn.
const BATCHES: usize = 32;
/// No answer of a BMC is longer: RMCP+ payloads have at most 255 bytes of data with their wrapping, a few OEM ones a kilobyte.
const LONGEST_DATAGRAM: usize = 2048;
/// What the kernel may keep for us, in bytes: the answers of ten thousand BMCs at once. Without privilege it gives less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 16 << 20;

/// The sockets that there are.
pub(super) struct Wires {
    v4: Option<Wire<SockaddrIn>>,
    v6: Option<Wire<SockaddrIn6>>,
    moved: Arc<Moved>,
}

/// Addresses of one family, as the kernel takes them.
trait Family: SockaddrLike + Copy {
    fn of(peer: SocketAddr) -> Option<Self>;
    fn address(self) -> SocketAddr;
}

impl Family for SockaddrIn {
    fn of(peer: SocketAddr) -> Option<Self> {
        match peer {
            SocketAddr::V4(peer) => Some(peer.into()),
            SocketAddr::V6(_) => None,
        }
    }

    fn address(self) -> SocketAddr {
        SocketAddr::V4(self.into())
    }
}

impl Family for SockaddrIn6 {
    fn of(peer: SocketAddr) -> Option<Self> {
        match peer {
            SocketAddr::V6(peer) => Some(peer.into()),
            SocketAddr::V4(_) => None,
        }
    }

    fn address(self) -> SocketAddr {
        SocketAddr::V6(self.into())
    }
}

impl Wires {
    /// None yet; what they will move is noted.
    pub(super) fn new(moved: Arc<Moved>) -> Self {
        Self { v4: None, v6: None, moved }
    }

    /// Opens the socket that a command needs, if it needs one that is not open.
    pub(super) fn opened_for(&mut self, command: &Command) -> io::Result<()> {
        let Command::Open { peer, .. } = command else { return Ok(()) };
        if peer.is_ipv4() && self.v4.is_none() {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            self.v4 = Some(Wire::bind(any, |socket| setsockopt(socket, sockopt::Ipv4RecvErr, &true), &self.moved)?);
        } else if peer.is_ipv6() && self.v6.is_none() {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
            self.v6 = Some(Wire::bind(any, |socket| setsockopt(socket, sockopt::Ipv6RecvErr, &true), &self.moved)?);
        }
        Ok(())
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) {
        async fn one<S: Family>(wire: Option<&Wire<S>>) {
            match wire {
                Some(wire) => wire.readable().await,
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = one(self.v4.as_ref()) => {}
            () = one(self.v6.as_ref()) => {}
        }
    }

    /// Reads what there is, and gives it to the table; how many datagrams.
    pub(super) fn receive(&mut self, table: &mut Table, now: fn() -> Instant) -> usize {
        let of_v4 = self.v4.as_mut().map_or(0, |wire| wire.receive(table, |outbox| &mut outbox.v4, now));
        let of_v6 = self.v6.as_mut().map_or(0, |wire| wire.receive(table, |outbox| &mut outbox.v6, now));
        of_v4 + of_v6
    }

    /// Sends what the table wants sent.
    pub(super) fn flush(&mut self, table: &mut Table, now: Instant) {
        if let Some(wire) = &mut self.v4 {
            wire.flush(table, |outbox| &mut outbox.v4, now);
        }
        if let Some(wire) = &mut self.v6 {
            wire.flush(table, |outbox| &mut outbox.v6, now);
        }
    }
}

struct Wire<S> {
    socket: UdpSocket,
    inbound: MultiHeaders<S>,
    outbound: MultiHeaders<S>,
    peers: Vec<Option<S>>,
    buffer: Vec<u8>,
    moved: Arc<Moved>,
}

impl<S: Family> Wire<S> {
    /// A socket at `any`. Who is not there is told by ICMP only to those who ask for it, by `hear_errors`.
    fn bind(
        any: SocketAddr,
        hear_errors: impl FnOnce(&std::net::UdpSocket) -> nix::Result<()>,
        moved: &Arc<Moved>,
    ) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        hear_errors(&socket)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            inbound: MultiHeaders::preallocate(BATCH, None),
            outbound: MultiHeaders::preallocate(BATCH, None),
            peers: Vec::with_capacity(BATCH),
            buffer: vec![0; BATCH * LONGEST_DATAGRAM],
            moved: moved.clone(),
        })
    }

    async fn readable(&self) {
        if let Err(error) = self.socket.ready(Interest::READABLE | Interest::ERROR).await {
            tracing::debug!(%error, "the socket for IPMI");
        }
    }

    fn receive(&mut self, table: &mut Table, waiting: fn(&mut Outbox) -> &mut Waiting, now: fn() -> Instant) -> usize {
        let mut taken = 0;
        self.hear_errors(table, now());
        for _ in 0..BATCHES {
            let at = now();
            match self.receive_batch(table, at) {
                Ok(count) => {
                    taken += count;
                    self.moved.note(count);
                    // Answers lead to requests: the next batch is on its way while this one is read.
                    self.flush(table, waiting, at);
                    if count < BATCH {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What an earlier datagram met: it is told with the errors, and the next read goes on.
                Err(error) => tracing::debug!(%error, "the socket for IPMI"),
            }
        }
        taken
    }

    fn receive_batch(&mut self, table: &mut Table, at: Instant) -> io::Result<usize> {
        let Self { socket, inbound, buffer, .. } = self;
        let fd = socket.as_raw_fd();
        let mut slices: Vec<_> = buffer.chunks_mut(LONGEST_DATAGRAM).map(|part| [IoSliceMut::new(part)]).collect();
        socket.try_io(Interest::READABLE, || {
            let messages = recvmmsg(fd, inbound, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
            let datagrams: Vec<_> =
                messages.map(|message| Some((S::address(message.address?), message.iovs().next()?))).collect();
            table.expect(datagrams.iter().flatten().map(|(from, _)| *from));
            for (from, datagram) in datagrams.iter().flatten() {
                if !table.handle_datagram(at, *from, datagram) {
                    tracing::debug!(%from, bytes = datagram.len(), "a datagram of nobody we wait for");
                }
            }
            Ok(datagrams.len())
        })
    }

    /// What the network told of peers, if it did: who they are stands in the socket's queue of errors.
    fn hear_errors(&mut self, table: &mut Table, now: Instant) {
        let mut peers = Vec::new();
        let mut told = None;
        let heard: io::Result<()> = self.socket.try_io(Interest::ERROR, || {
            told = self.socket.take_error()?;
            let mut sent = [0; 64];
            loop {
                let mut slices = [IoSliceMut::new(&mut sent)];
                let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
                let message = recvmsg::<S>(self.socket.as_raw_fd(), &mut slices, None, flags)?;
                peers.extend(message.address.map(S::address));
            }
        });
        if let Err(error) = heard
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::debug!(%error, "the errors of the socket for IPMI");
        }
        let detail = told.map_or_else(|| "the host or the port is unreachable".to_owned(), |e| e.to_string());
        for peer in peers {
            table.handle_unreachable(peer, &detail, now);
        }
    }

    /// Sends what waits for this family. What the kernel has no room for goes on waiting.
    fn flush(&mut self, table: &mut Table, waiting: fn(&mut Outbox) -> &mut Waiting, now: Instant) {
        let queue = waiting(table.outbox());
        let mut failed = Vec::new();
        let (mut from, mut tries) = (0, 0);
        while from < queue.len() {
            match self.send(queue, from) {
                Ok(count) => {
                    self.moved.note(count);
                    (from, tries) = (from + count.max(1), 0);
                }
                Err(Errno::EAGAIN) => break,
                // This may be what an earlier datagram met; only what comes again is about this one.
                Err(_) if tries == 0 => tries = 1,
                Err(error) => {
                    failed.extend(queue.some(from, 1).map(|(peer, _)| (peer, error)));
                    (from, tries) = (from + 1, 0);
                }
            }
        }
        queue.done(from);
        for (peer, error) in failed {
            table.handle_unreachable(peer, &io::Error::from(error).to_string(), now);
        }
    }

    fn send(&mut self, queue: &Waiting, from: usize) -> Result<usize, Errno> {
        let slices: Vec<_> = queue.some(from, BATCH).map(|(_, datagram)| [IoSlice::new(datagram)]).collect();
        self.peers.clear();
        self.peers.extend(queue.some(from, BATCH).map(|(peer, _)| S::of(peer)));
        let nothing: [ControlMessage<'_>; 0] = [];
        let fd = self.socket.as_raw_fd();
        sendmmsg(fd, &mut self.outbound, &slices, &self.peers, nothing, MsgFlags::MSG_DONTWAIT).map(Iterator::count)
    }
}
