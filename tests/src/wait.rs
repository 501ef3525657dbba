//! Waiting for conditions instead of sleeping, and saying plainly what was not tested.

use std::fmt;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// Says on stderr that a test was skipped, and why: a skipped test must never look like a passed one.
pub fn skip(reason: impl fmt::Display) {
    eprintln!("SKIPPED: {reason}");
}

/// Asks `condition` until it holds or `deadline` has passed; whether it held.
pub fn wait_until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port of loopback that is free for TCP and UDP at this moment. Programs that can take port 0 should do so instead.
pub fn free_port() -> std::io::Result<u16> {
    for _ in 0..64 {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(std::io::Error::other("no port of loopback is free for both TCP and UDP"))
}
