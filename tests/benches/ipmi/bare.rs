//! The least that a poll can cost: a loop that moves as many datagrams, of the same lengths, to and from as many sockets, in the same batches, and does nothing else.

use crate::fleet::Fleet;
use crate::many::AT_ONCE;
use crate::process::cpu;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, setsockopt, sockopt,
};
use outband_bmc::CipherSuite;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Length of a Get Sensor Reading and of its answer, sealed: both are one block of sixteen bytes, its vector, headers, and the suite's code.
pub(crate) const fn length(suite: CipherSuite) -> usize {
    match suite {
        CipherSuite::Three => 64,
        _ => 68,
    }
}

/// For how long datagrams gather before they are read, as in the client's hub.
const GATHER: Duration = Duration::from_millis(1);

/// Milliseconds of CPU for so many exchanges of one poll, where one system call moves `batch` datagrams.
pub(crate) fn cost(echoes: &Fleet, length: usize, batch: f64, exchanges: f64, lasts: Duration) -> f64 {
    let batch = (batch.round() as usize).clamp(1, 64);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(16 << 20)).unwrap();
    }
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut inbound = MultiHeaders::<SockaddrStorage>::preallocate(batch, None);
    let mut outbound = MultiHeaders::<SockaddrStorage>::preallocate(batch, None);
    // One after the other in memory, as the client's are.
    let requests = vec![0u8; batch * length];
    let mut buffer = vec![0; batch * 2048];
    let mut send = |peers: &[Option<SockaddrStorage>]| {
        for some in peers.chunks(batch) {
            let slices: Vec<_> = requests.chunks(length).take(some.len()).map(|r| [IoSlice::new(r)]).collect();
            let nothing: [ControlMessage<'_>; 0] = [];
            sendmmsg(socket.as_raw_fd(), &mut outbound, &slices, some, nothing, MsgFlags::empty()).unwrap().count();
        }
    };
    let peers: Vec<_> = echoes.at.iter().map(|at| Some(SockaddrStorage::from(*at))).collect();
    // As many under way as the client has polls at once; the others have their turn as answers come.
    let (first, rest) = peers.split_at(peers.len().min(AT_ONCE));
    let mut turn = rest.iter().chain(first).cycle();
    let (begun, before) = (Instant::now(), cpu());
    let mut answers = 0u64;
    send(first);
    while begun.elapsed() < lasts {
        if socket.peek_from(&mut [0; 8]).is_err() {
            // Something was lost: all begin anew.
            send(first);
        }
        if batch > 1 {
            std::thread::sleep(GATHER);
        }
        loop {
            let mut slices: Vec<_> = buffer.chunks_mut(2048).map(|part| [IoSliceMut::new(part)]).collect();
            let read = recvmmsg(socket.as_raw_fd(), &mut inbound, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
            let Ok(read) = read else { break };
            let next = |from| if rest.is_empty() { from } else { *turn.next().unwrap() };
            let next: Vec<_> = read.map(|message| message.address).map(next).collect();
            answers += next.len() as u64;
            send(&next);
            if next.len() < batch || begun.elapsed() > lasts {
                break;
            }
        }
    }
    (cpu() - before).as_secs_f64() * 1000.0 / answers as f64 * exchanges
}
