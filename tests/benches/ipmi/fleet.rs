//! The simulated BMCs, and the servers of echoes that stand in for them: a process of their own.

use outband_tests::sim::ipmi_bmc::{IpmiBmc, Options, Suite};
use outband_tests::sim::machine::{Machine, Shared, Spec};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const USER: &str = "poller";
pub(crate) const PASSWORD: &str = "poll-secret";
/// How long a slow BMC takes for each answer.
const SLOW: Duration = Duration::from_secs(3);

/// How long BMCs that nap look away.
const NAP: Duration = Duration::from_millis(1);

/// Of every hundred BMCs the first so many are slow, and the next so many dead.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sick {
    pub(crate) slow: usize,
    pub(crate) dead: usize,
}

impl Sick {
    pub(crate) fn is_slow(self, n: usize) -> bool {
        n % 100 < self.slow
    }

    pub(crate) fn is_dead(self, n: usize) -> bool {
        (self.slow..self.slow + self.dead).contains(&(n % 100))
    }
}

/// A process of BMCs or of echoes; it ends with this.
pub(crate) struct Fleet {
    child: Child,
    pub(crate) at: Vec<SocketAddr>,
}

impl Fleet {
    /// So many BMCs of 102 sensors each.
    pub(crate) fn bmcs(count: usize, sick: Sick) -> Self {
        Self::start(&["--serve", &count.to_string(), "--slow", &sick.slow.to_string()])
    }

    /// The same, whose process sleeps for a millisecond before it waits for more: whoever sends to it need not wake it each time.
    pub(crate) fn napping(count: usize) -> Self {
        Self::start(&["--serve", &count.to_string(), "--slow", "0", "--naps"])
    }

    /// So many sockets that answer every datagram with one of `length` bytes.
    pub(crate) fn echoes(count: usize, length: usize) -> Self {
        Self::start(&["--echo", &count.to_string(), "--length", &length.to_string()])
    }

    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let at = lines.take_while(|line| line != "ready").map(|line| line.parse().unwrap()).collect();
        crate::process::pin(child.id(), 0);
        Self { child, at }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The process of [`Fleet::bmcs`]; it ends with its standard input.
pub(crate) fn serve(count: usize, sick: Sick, naps: bool) {
    run(naps, async {
        let mut bmcs = Vec::with_capacity(count);
        for n in 0..count {
            let spec =
                Spec { fans: 12, psus: 4, drives: 24, dimms: 29, ..Spec::new(format!("b{n}"), format!("NG{n:07}"), 1) };
            // No time passes there, so that the simulation of heat and wear costs nothing.
            let machine = Shared::new(Machine::new(spec, Vec::new()), 0.0);
            let latency = if sick.is_slow(n) { SLOW } else { Duration::ZERO };
            let suites = vec![Suite::Three, Suite::Seventeen];
            let options = Options { latency, suites, ..Options::new(USER, PASSWORD) };
            bmcs.push(IpmiBmc::start(machine, options).await.unwrap());
        }
        let at = bmcs.iter().map(|bmc| bmc.addr).collect();
        (at, bmcs)
    });
}

/// The process of [`Fleet::echoes`]. Its sockets are read and written as those of the BMCs are.
pub(crate) fn echo(count: usize, length: usize) {
    run(false, async move {
        let mut at = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            at.push(socket.local_addr().unwrap());
            tokio::spawn(async move {
                let mut buffer = [0; 2048];
                while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
                    socket.send_to(&buffer[..length], from).await.ok();
                }
            });
        }
        (at, ())
    });
}

fn run<T>(naps: bool, start: impl Future<Output = (Vec<SocketAddr>, T)>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if naps {
        runtime.on_thread_park(|| std::thread::sleep(NAP));
    }
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let (at, _running) = start.await;
        let mut out = std::io::stdout().lock();
        at.iter().for_each(|at| writeln!(out, "{at}").unwrap());
        writeln!(out, "ready").unwrap();
        drop(out);
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()).ok()).await.ok();
    });
}
