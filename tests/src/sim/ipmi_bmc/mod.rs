//! A simulated BMC that speaks RMCP+ on UDP, written from the specification and apart from the agent's client, so that each checks the other.

mod command;
mod crypto;
mod fru;
mod host;
mod lies;
mod quirk;
mod sdr;
mod sel;
mod sensors;
mod session;

pub use crypto::Suite;
pub use host::SystemInterface;
pub use lies::Lies;
pub use quirk::{Quirk, Quirks};
pub use session::User;

use crate::sim::machine::Shared;
use command::Request;
use session::Sessions;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::UdpSocket;

/// How a BMC behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port on loopback; 0: any.
    pub port: u16,
    /// Who may log in.
    pub users: Vec<User>,
    /// The cipher suites it takes.
    pub suites: Vec<Suite>,
    /// How many sessions it can hold at once.
    pub max_sessions: usize,
    /// How many bytes of a record it can return at once.
    pub max_read: usize,
    /// How long each answer takes.
    pub latency: Duration,
    /// Whether it says nothing to Get Channel Cipher Suites, as some do.
    pub ignore_cipher_query: bool,
    /// What it does otherwise than the specification says.
    pub quirks: Quirks,
    /// Sensors, by name, that have no reading: what they belong to is not there.
    pub absent: Vec<String>,
    /// What is wrong with its answers.
    pub lies: Lies,
}

impl Options {
    /// A well-behaved BMC with one administrator.
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            port: 0,
            users: vec![User { name: user.to_owned(), password: password.to_owned(), privilege: 4 }],
            suites: vec![Suite::Three, Suite::Seventeen],
            max_sessions: 8,
            max_read: 255,
            latency: Duration::ZERO,
            ignore_cipher_query: false,
            quirks: Quirks::default(),
            absent: Vec::new(),
            lies: Lies::default(),
        }
    }
}

/// A running simulated BMC; it ends when this is dropped.
#[derive(Debug)]
pub struct IpmiBmc {
    /// Where it listens.
    pub addr: SocketAddr,
    bmc: Arc<Mutex<Bmc>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Bmc {
    options: Options,
    machine: Shared,
    sessions: Sessions,
    guid: [u8; 16],
    sensors: Vec<sensors::Sensor>,
    records: Vec<Vec<u8>>,
    repository_stamp: u32,
    sdr_reservation: u16,
    record_reads: u64,
    sel_reservation: u16,
    /// How many entries had been written when the log was reserved.
    sel_written: u64,
    /// It restarts before the next datagram.
    resets: bool,
    requests: u64,
}

impl IpmiBmc {
    /// Starts the BMC of a server. Needs a tokio runtime.
    pub async fn start(machine: Shared, options: Options) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", options.port)).await?;
        let addr = socket.local_addr()?;
        let spec = machine.now().spec.clone();
        let mut sensors = sensors::table(&spec);
        for sensor in &mut sensors {
            sensor.is_absent = options.absent.contains(&sensor.name);
        }
        options.quirks.rename(&mut sensors);
        let mut records = sdr::repository(&spec, &sensors);
        options.quirks.spoil(&mut records);
        // On the wire a GUID stands with its least significant byte first (§20.8).
        let mut guid = spec.uuid;
        guid.reverse();
        let mut sessions = Sessions::new(options.users.clone(), options.suites.clone(), options.max_sessions, guid);
        sessions.step = options.quirks.step();
        sessions.is_on_paper = options.quirks.has(Quirk::SuiteOnPaper);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
        let bmc = Arc::new(Mutex::new(Bmc {
            options,
            machine,
            sessions,
            guid,
            sensors,
            records,
            repository_stamp: now,
            sdr_reservation: 1,
            record_reads: 0,
            sel_reservation: 1,
            sel_written: 0,
            resets: false,
            requests: 0,
        }));
        let task = tokio::spawn(listen(socket, Arc::clone(&bmc)));
        Ok(Self { addr, bmc, task })
    }

    /// Its address as a client writes it.
    pub fn url(&self) -> String {
        format!("ipmi://{}", self.addr)
    }

    /// Sessions that are up now.
    pub fn open_sessions(&self) -> usize {
        locked(&self.bmc).sessions.count()
    }

    /// Requests that came in sessions or outside, retransmitted ones included.
    pub fn requests(&self) -> u64 {
        locked(&self.bmc).requests
    }

    /// Ends every session, as a BMC's reset does.
    pub fn forget_sessions(&self) {
        locked(&self.bmc).sessions.forget();
    }

    /// Replaces what is wrong with its answers from now on.
    pub fn set_lies(&self, lies: Lies) {
        locked(&self.bmc).options.lies = lies;
    }
}

impl Drop for IpmiBmc {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(socket: UdpSocket, bmc: Arc<Mutex<Bmc>>) {
    let socket = Arc::new(socket);
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // Linux reports an earlier datagram's unreachable port here; the socket is well.
            Err(error) => {
                tracing::debug!(%error, "receive");
                continue;
            }
        };
        let (answers, latency) = {
            let mut bmc = locked(&bmc);
            (bmc.datagram(&buffer[..length]), bmc.options.latency)
        };
        for (delay, answer) in answers {
            send(&socket, from, latency + delay, answer).await;
        }
    }
}

async fn send(socket: &Arc<UdpSocket>, to: SocketAddr, delay: Duration, datagram: Vec<u8>) {
    if delay.is_zero() {
        if let Err(error) = socket.send_to(&datagram, to).await {
            tracing::debug!(%error, "send");
        }
        return;
    }
    let socket = Arc::clone(socket);
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        if let Err(error) = socket.send_to(&datagram, to).await {
            tracing::debug!(%error, "send");
        }
    });
}

impl Bmc {
    /// What is to be sent for a datagram, each after its delay.
    fn datagram(&mut self, datagram: &[u8]) -> Vec<(Duration, Vec<u8>)> {
        if self.machine.now().silent {
            return Vec::new();
        }
        if std::mem::take(&mut self.resets) {
            self.sessions.forget();
            self.machine.now().bmc_resets += 1;
        }
        let answer = match datagram {
            // RMCP version 1.0; classes ASF and IPMI.
            [0x06, _, sequence, 0x06, rest @ ..] => pong(*sequence, rest),
            [0x06, _, _, 0x07, packet @ ..] => {
                self.packet(packet).map(|p| [&[0x06, 0x00, 0xff, 0x07][..], &p].concat())
            }
            _ => None,
        };
        answer.map_or_else(Vec::new, |datagram| self.options.lies.tell(datagram))
    }

    /// An IPMI packet, from its authentication type on.
    fn packet(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        match packet.first()? {
            // The format of IPMI 1.5, outside of any session.
            0x00 => {
                let length = usize::from(*packet.get(9)?);
                let answer = self.message(packet.get(10..10 + length)?, None)?;
                Some([&[0; 9][..], &[answer.len() as u8], &answer].concat())
            }
            0x06 => {
                let kind = packet.get(1)? & 0x3f;
                let id = u32::from_le_bytes(packet.get(2..6)?.try_into().ok()?);
                if kind == 0 && id != 0 {
                    let (id, message) = self.sessions.unwrap(packet)?;
                    let answer = self.message(&message, Some(id))?;
                    return self.sessions.wrap(id, &answer);
                }
                let length = usize::from(u16::from_le_bytes(packet.get(10..12)?.try_into().ok()?));
                let payload = packet.get(12..12 + length)?;
                let (kind, answer) = match kind {
                    0x00 => (0x00, self.message(payload, None)?),
                    0x10 => (0x11, self.sessions.open(payload)?),
                    0x12 => (0x13, self.sessions.rakp1(payload)?),
                    0x14 => (0x15, self.sessions.rakp3(payload)?),
                    _ => return None,
                };
                let mut out = vec![0x06, kind];
                out.extend([0; 8]);
                out.extend((answer.len() as u16).to_le_bytes());
                out.extend(answer);
                Some(out)
            }
            _ => None,
        }
    }

    /// An IPMB-like message (§13.8): addresses, checksums, command.
    fn message(&mut self, message: &[u8], session: Option<u32>) -> Option<Vec<u8>> {
        let (body, last) = message.split_at_checked(message.len().checked_sub(1)?)?;
        let [to, net_fn, head_sum, from, sequence, code, data @ ..] = body else { return None };
        if checksum(&[*to, *net_fn]) != *head_sum || checksum(&body[3..]) != last[0] {
            return None;
        }
        self.requests += 1;
        let request = Request { net_fn: net_fn >> 2, command: *code, data, session };
        let answer = command::answer(self, &request)?;
        // The answer's LUNs are swapped, and its network function is the next odd one.
        let head = [*from, (net_fn | 0x04) & 0xfc | sequence & 0x03];
        let mut out = vec![head[0], head[1], checksum(&head)];
        let mut body = vec![*to, sequence & 0xfc | net_fn & 0x03, *code];
        body.extend(answer);
        let wrong = u8::from(session.is_some() && self.options.quirks.has(Quirk::WrongChecksums));
        body.push(checksum(&body).wrapping_add(wrong));
        out.extend(body);
        Some(out)
    }

    fn sensor(&self, data: &[u8]) -> Result<&sensors::Sensor, u8> {
        let number = data.first().ok_or(0xc7u8)?;
        self.sensors.iter().find(|s| s.number == *number).ok_or(0xcb)
    }
}

/// ASF presence pong (ASF 2.0 §3.2.4.2): IPMI is supported.
fn pong(sequence: u8, ping: &[u8]) -> Option<Vec<u8>> {
    let [0x00, 0x00, 0x11, 0xbe, 0x80, tag, ..] = ping else { return None };
    let mut out = vec![0x06, 0x00, sequence, 0x06, 0x00, 0x00, 0x11, 0xbe, 0x40, *tag, 0x00, 0x10];
    out.extend([0x00, 0x00, 0x11, 0xbe, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    Some(out)
}

/// Two's complement of the sum: the sum of all with it is 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)).wrapping_neg()
}

/// The lock; a panic elsewhere while it was held leaves the value usable.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
