//! The device behind its thread: opened once in a process, one request at a time, and a driver that hangs takes the thread with it and nobody else.

use super::wire::{Driver, Wire};
use crate::ipmi::message::{Request, Response};
use crate::{ConnectError, Rung};
use outband_schemas::Cause;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// How much longer than it was given a request may take before the driver is taken to hang.
const GRACE: Duration = Duration::from_secs(1);

/// Devices that are open, or hang. A second thread is never set on one.
static OPEN: Mutex<BTreeMap<PathBuf, Device>> = Mutex::new(BTreeMap::new());

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The BMC did not answer in time, or the driver hangs.
    #[error("no answer in time")]
    Timeout,
    /// The device is of no more use.
    #[error("{0}")]
    Gone(io::Error),
}

#[derive(Debug)]
struct Job {
    request: Request,
    within: Duration,
    reply: oneshot::Sender<io::Result<Response>>,
    /// Put down when the driver has come back, whether or not anybody still waits.
    _turn: OwnedSemaphorePermit,
}

/// A handle on a device that is open.
#[derive(Debug, Clone)]
pub struct Device {
    jobs: mpsc::Sender<Job>,
    /// Whoever has it may put a request.
    turn: Arc<Semaphore>,
    /// There is one while the thread lives.
    thread: Weak<()>,
}

impl Device {
    /// The device at `path`: the one that is open already, or a new one.
    ///
    /// # Errors
    /// When it cannot be opened within `within`.
    pub async fn open(path: &Path, within: Duration) -> Result<Self, ConnectError> {
        let known = |all: &BTreeMap<PathBuf, Self>| all.get(path).filter(|device| !device.is_gone()).cloned();
        if let Some(device) = known(&OPEN.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(device);
        }
        let (tell, told) = oneshot::channel();
        let opening = path.to_owned();
        let device = {
            let mut all = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
            match known(&all) {
                Some(device) => return Ok(device),
                None => {
                    let device = Self::start(move || {
                        let opened = Driver::open(&opening);
                        let (opened, said) = match opened {
                            Ok(driver) => (Some(driver), Ok(())),
                            Err(error) => (None, Err(error)),
                        };
                        // Whoever no longer waits for the device finds it open, or gone, the next time.
                        tell.send(said).ok();
                        opened
                    });
                    let device = device.map_err(|error| refused(path, &error))?;
                    all.insert(path.to_owned(), device.clone());
                    device
                }
            }
        };
        match timeout(within, told).await {
            Ok(Ok(Ok(()))) => Ok(device),
            Ok(Ok(Err(error))) => Err(refused(path, &error)),
            Ok(Err(_)) => Err(refused(path, &io::Error::other("its thread ended"))),
            Err(_) => Err(hangs(path, within)),
        }
    }

    /// A device whose requests go over `wire`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn over(wire: impl Wire) -> io::Result<Self> {
        Self::start(move || Some(wire))
    }

    fn start<W: Wire>(open: impl FnOnce() -> Option<W> + Send + 'static) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let lives = Arc::new(());
        let thread = Arc::downgrade(&lives);
        // No task of the runtime: a driver may block for as long as it likes, and longer than the runtime lives.
        thread::Builder::new().name("ipmi-local".to_owned()).spawn(move || {
            let _lives = lives;
            let Some(mut wire) = open() else { return };
            for Job { request, within, reply, _turn } in inbox {
                let answer = wire.put(&request, within);
                let is_gone = matches!(&answer, Err(error) if error.kind() != io::ErrorKind::TimedOut);
                // An answer that nobody waits for any more is dropped here, so that it is never taken for another's.
                reply.send(answer).ok();
                if is_gone {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, turn: Arc::new(Semaphore::new(1)), thread })
    }

    /// Whether the thread has ended, and with it the device.
    fn is_gone(&self) -> bool {
        self.thread.strong_count() == 0
    }

    /// Puts one request, when those before it are done, and waits until `until` at most.
    ///
    /// # Errors
    /// See [`Error`]. A request that was not answered in time may still be with the driver; the next one waits for it.
    pub async fn put(&self, request: Request, until: Instant) -> Result<Response, Error> {
        let turn = timeout_at(until, self.turn.clone().acquire_owned()).await.map_err(|_| Error::Timeout)?;
        let gone = || Error::Gone(io::Error::new(io::ErrorKind::NotConnected, "the device was closed"));
        let within = until.saturating_duration_since(Instant::now());
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { request, within, reply, _turn: turn.map_err(|_| gone())? }).map_err(|_| gone())?;
        match timeout_at(until + GRACE, answer).await {
            Err(_) => Err(Error::Timeout),
            Ok(Err(_)) => Err(gone()),
            Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::TimedOut => Err(Error::Timeout),
            Ok(Ok(Err(error))) => Err(Error::Gone(error)),
            Ok(Ok(Ok(answer))) => Ok(answer),
        }
    }
}

/// Why a device cannot be opened, and what to do.
fn refused(path: &Path, error: &io::Error) -> ConnectError {
    let device = path.display();
    let (cause, remedy) = match error.kind() {
        io::ErrorKind::NotFound => (
            Cause::Unreachable,
            "load the kernel's driver: modprobe -a ipmi_devintf ipmi_si (and name both in /etc/modules-load.d); if `journalctl -k -g ipmi` then shows no BMC, this server has none that the kernel knows"
                .to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            Cause::Denied,
            format!("let the agent's group open it: see `ls -l {device}`, and the udev rule and the drop-in in deploy/outband-agent-local.conf"),
        ),
        io::ErrorKind::InvalidInput => (Cause::NotSupported, "name the device of the BMC, usually /dev/ipmi0".to_owned()),
        _ => (
            Cause::Unreachable,
            "look whether the driver found a BMC (journalctl -k -g ipmi), and whether another program holds the device"
                .to_owned(),
        ),
    };
    broken(cause, format!("{device} cannot be opened: {error}"), remedy)
}

fn hangs(path: &Path, within: Duration) -> ConnectError {
    broken(
        Cause::Timeout,
        format!("{} is not open after {:.0} s: the kernel's driver hangs", path.display(), within.as_secs_f64()),
        "look at what the driver says (journalctl -k -g ipmi); a restart of the BMC may free it".to_owned(),
    )
}

/// The first rung broke.
pub(super) fn broken(cause: Cause, detail: String, remedy: String) -> ConnectError {
    ConnectError { rung: Rung::Reach, cause, detail, remedy, offered: None, climbed: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipmi_rs_core::connection::NetFn;

    fn request(command: u8) -> Request {
        Request::new(NetFn::App, command, [])
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    /// Answers with the command's number; command 9 hangs until it is let go, command 8 breaks the device.
    struct Hanging(mpsc::Receiver<()>);

    impl Wire for Hanging {
        fn put(&mut self, request: &Request, _: Duration) -> io::Result<Response> {
            match request.command {
                9 => self.0.recv().map_err(io::Error::other)?,
                8 => return Err(io::Error::other("broken")),
                _ => {}
            }
            Ok(Response { completion: 0, data: [request.command].as_slice().into() })
        }
    }

    #[tokio::test]
    async fn a_hanging_driver_costs_a_deadline_and_its_late_answer_is_nobodys() {
        let (free, held) = mpsc::channel();
        let device = Device::over(Hanging(held)).unwrap();
        assert!(matches!(device.put(request(9), soon()).await, Err(Error::Timeout)));
        // The one thread still hangs: nothing is put behind it.
        assert!(matches!(device.put(request(1), soon()).await, Err(Error::Timeout)));
        assert_eq!(device.turn.available_permits(), 0);
        free.send(()).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        assert_eq!(device.put(request(2), until).await.unwrap().data.as_slice(), [2]);
    }

    #[tokio::test]
    async fn a_device_that_broke_is_gone() {
        let device = Device::over(Hanging(mpsc::channel().1)).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        assert!(matches!(device.put(request(8), until).await, Err(Error::Gone(_))));
        assert!(matches!(device.put(request(1), until).await, Err(Error::Gone(_))));
    }

    #[tokio::test]
    async fn what_is_missing_or_locked_says_what_to_do() {
        let error = Device::open(Path::new("/dev/no-such-ipmi"), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!((error.rung, error.cause), (Rung::Reach, Cause::Unreachable));
        assert!(error.remedy.contains("modprobe -a ipmi_devintf ipmi_si"), "{error}");
        let locked = refused(Path::new("/dev/ipmi0"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(locked.cause, Cause::Denied);
        assert!(locked.remedy.contains("udev rule"), "{locked}");
    }
}
