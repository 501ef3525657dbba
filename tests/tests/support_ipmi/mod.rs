//! Peers that others wrote: OpenIPMI's `ipmi_sim`, `ipmitool`, and the Python BMC of the shared tools. Each ends with its guard.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod model;
pub(crate) mod shown;

use outband_bmc::action::ActionError;
use outband_bmc::client::Bmc;
use outband_bmc::ipmi::hub::Hub;
use outband_bmc::ipmi::library::Library;
use outband_bmc::ipmi::sensor::Precision;
use outband_bmc::redfish::knowledge::Knowledge;
use outband_bmc::{Address, CipherSuite, ConnectError, Credentials, PollStats, Secret, Target, Trust};
use outband_schemas::{Clock, Observation, Section, Source, Timestamp};
use outband_tests::{Child, free_port, shared_dir, skip, wait_until, workspace_dir};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::task::{JoinHandle, LocalSet};

pub(crate) struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

/// Whether the programs are installed; says which are not.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|p| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            !std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|dir| dir.join(p).is_file())
        })
        .collect();
    if !missing.is_empty() {
        skip(format!("not installed: {missing:?}"));
    }
    missing.is_empty()
}

/// Who logs in where.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) host: &'static str,
    pub(crate) port: u16,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    pub(crate) suite: Option<CipherSuite>,
    /// In hex.
    pub(crate) bmc_key: Option<&'static str>,
    pub(crate) deadline: Duration,
}

impl Login {
    pub(crate) fn target(&self) -> Target {
        Target {
            address: Address::Ipmi { host: self.host.to_owned(), port: self.port },
            credentials: Credentials {
                bmc_key: self.bmc_key.map(|key| key.parse().unwrap()),
                ..Credentials::new(self.user, Secret::new(self.password))
            },
            cipher: self.suite,
            trust: Trust::FirstUse,
            request_deadline: self.deadline,
        }
    }

    pub(crate) fn connect(&self) -> Result<Polling, ConnectError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (hub, driver) = Hub::new(Library::default());
        let looping = LocalSet::new();
        let looped = looping.spawn_local(driver.run());
        let (target, knowledge) = (self.target(), Knowledge::default());
        let connecting = Bmc::connect_through(Some(&hub), &target, &knowledge);
        let bmc = runtime.block_on(looping.run_until(connecting))?;
        Ok(Polling { runtime, looping, looped: Some(looped), bmc: Some(bmc) })
    }

    /// Over a socket of its own, as probes and orders do.
    pub(crate) fn connect_alone(&self) -> Result<(), ConnectError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bmc = runtime.block_on(Bmc::connect(&self.target()))?;
        runtime.block_on(bmc.close()).unwrap();
        Ok(())
    }

    pub(crate) fn ipmitool(&self, command: &[&str]) -> String {
        let suite = if self.suite == Some(CipherSuite::Seventeen) { "17" } else { "3" };
        let output = Command::new("ipmitool")
            .env("TZ", "UTC")
            .args(["-I", "lanplus", "-C", suite, "-H", self.host, "-p", &self.port.to_string()])
            .args(["-U", self.user, "-P", self.password])
            .args(command)
            .output()
            .unwrap();
        assert!(output.status.success(), "ipmitool {command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A connected client with a runtime and a hub of its own.
pub(crate) struct Polling {
    runtime: tokio::runtime::Runtime,
    looping: LocalSet,
    looped: Option<JoinHandle<()>>,
    bmc: Option<Bmc>,
}

impl Polling {
    fn run<T>(&mut self, what: impl AsyncFnOnce(&mut Bmc) -> T) -> T {
        let bmc = self.bmc.as_mut().unwrap();
        self.runtime.block_on(self.looping.run_until(what(bmc)))
    }

    pub(crate) fn poll(&mut self, section: Section) -> Vec<Observation> {
        self.run(async |bmc| bmc.poll(section, None, &Wall).await).unwrap().observations
    }

    pub(crate) fn poll_log(&mut self, bookmark: Option<&outband_bmc::Bookmark>) -> outband_bmc::Polled {
        self.run(async |bmc| bmc.poll(Section::Log, bookmark, &Wall).await).unwrap()
    }

    pub(crate) fn identify(&mut self, on: bool) -> Result<String, ActionError> {
        self.run(async |bmc| bmc.identify(on).await)
    }

    pub(crate) fn reset(&mut self) -> Result<String, ActionError> {
        self.run(async |bmc| bmc.reset().await)
    }

    pub(crate) fn clear_sel(&mut self, archive: &BTreeSet<String>) -> Result<String, ActionError> {
        self.run(async |bmc| bmc.clear_sel(archive, &Wall).await)
    }

    pub(crate) fn precisions(&self) -> HashMap<Source, Precision> {
        self.bmc.as_ref().unwrap().precisions()
    }

    pub(crate) fn stats(&self) -> PollStats {
        self.bmc.as_ref().unwrap().stats()
    }

    pub(crate) fn close(mut self) {
        let bmc = self.bmc.take().unwrap();
        self.runtime.block_on(self.looping.run_until(bmc.close())).unwrap();
    }
}

impl Drop for Polling {
    /// The loop ends by itself once its last session is gone, and has said good-bye for it.
    fn drop(&mut self) {
        self.bmc = None;
        if let Some(looped) = self.looped.take() {
            self.runtime.block_on(self.looping.run_until(looped)).unwrap();
        }
    }
}

/// A running `ipmi_sim` with one BMC on a free port.
pub(crate) struct IpmiSim {
    pub(crate) login: Login,
    console: RefCell<TcpStream>,
    _child: Child,
    dir: TempDir,
}

impl IpmiSim {
    /// Our own server.
    pub(crate) fn ours() -> Self {
        Self::ours_in(TempDir::new().unwrap(), "")
    }

    /// Our own server, with a chassis: a program that writes down what it is told.
    pub(crate) fn with_chassis() -> Self {
        let dir = TempDir::new().unwrap();
        let program = dir.path().join("chassis");
        std::fs::write(&program, "#!/bin/sh\necho \"$@\" >> told\n[ \"$2\" != get ] || echo \"$3 1\"\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self::ours_in(dir, "  chassis_control \"./chassis 0x20\"\n")
    }

    /// What the chassis was told so far.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("told")).unwrap_or_default()
    }

    /// A server of these commands of the emulator.
    pub(crate) fn emulating(commands: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let emu = dir.path().join("model.emu");
        std::fs::write(&emu, commands).unwrap();
        Self::ours_with(dir, "", &emu)
    }

    fn ours_in(dir: TempDir, chassis: &str) -> Self {
        let emu = workspace_dir().join("tests/fixtures/ipmi_sim/server.emu");
        Self::ours_with(dir, chassis, &emu)
    }

    fn ours_with(dir: TempDir, chassis: &str, emu: &Path) -> Self {
        let fixtures = workspace_dir().join("tests/fixtures/ipmi_sim");
        let lan = std::fs::read_to_string(fixtures.join("lan.conf")).unwrap();
        let login = |port| Login {
            host: "127.0.0.1",
            port,
            user: "poller",
            password: "poll-secret",
            suite: None,
            bmc_key: None,
            deadline: Duration::from_secs(5),
        };
        let lan = lan.replace("  endlan\n", &format!("  endlan\n{chassis}"));
        Self::start(
            dir,
            login,
            |port, console| lan.replace("@PORT@", &port.to_string()).replace("@CONSOLE@", &console.to_string()),
            emu,
        )
    }

    /// The server of 102 sensors that the shared tools write; `None`, said aloud, where they are absent.
    pub(crate) fn shared() -> Option<Self> {
        let (dir, emu) = shared_model()?;
        let lan = std::fs::read_to_string(dir.path().join("b0001/lan.conf")).unwrap();
        let login = |port| Login {
            host: "127.1.0.1",
            port,
            user: "ipmiusr",
            password: "test",
            suite: None,
            bmc_key: None,
            deadline: Duration::from_secs(5),
        };
        Some(Self::start(
            dir,
            login,
            |port, console| {
                lan.replace("127.1.0.1 623", &format!("127.1.0.1 {port}"))
                    .replace("console 127.0.0.1 20001", &format!("console 127.0.0.1 {console}"))
            },
            &emu,
        ))
    }

    fn start(dir: TempDir, login: impl Fn(u16) -> Login, lan: impl Fn(u16, u16) -> String, emu: &Path) -> Self {
        let (port, console) = (free_port().unwrap(), free_port().unwrap());
        std::fs::write(dir.path().join("lan.conf"), lan(port, console)).unwrap();
        std::fs::create_dir_all(dir.path().join("state")).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new("ipmi_sim");
        command.current_dir(dir.path()).args(["-n", "-c", "lan.conf", "-s", "state", "-f"]).arg(emu);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = Child::start("ipmi_sim", &mut command).unwrap();
        let login = login(port);
        // Its console is there before its LAN is.
        let up = wait_until(Duration::from_secs(20), || answers(login.host, port));
        assert!(up, "ipmi_sim: {}", std::fs::read_to_string(dir.path().join("log")).unwrap());
        let mut console = TcpStream::connect(("127.0.0.1", console)).unwrap();
        console.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        read_to_prompt(&mut console);
        Self { login, console: RefCell::new(console), _child: child, dir }
    }

    /// Gives the emulator a command over its console and waits for its prompt. One connection is kept: `ipmi_sim` may crash when one is closed.
    pub(crate) fn command(&self, command: &str) {
        let mut console = self.console.borrow_mut();
        // A line feed after it would be a second, empty command with a prompt of its own.
        console.write_all(format!("{command}\r").as_bytes()).unwrap();
        read_to_prompt(&mut console);
    }
}

fn read_to_prompt(console: &mut TcpStream) {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"> ") {
        assert_eq!(console.read(&mut byte).unwrap(), 1, "the console closed after {seen:?}");
        seen.push(byte[0]);
    }
}

/// What `gen_sim.py` of the shared tools writes: its folder, and the emulator's commands in it.
fn shared_model() -> Option<(TempDir, PathBuf)> {
    let Some(shared) = shared_dir() else {
        skip("the shared tools are absent (../shared, or where OUTBAND_SHARED points)");
        return None;
    };
    let dir = TempDir::new().unwrap();
    let output = Command::new("python3")
        .arg(shared.join("tools/ipmi/gen_sim.py"))
        .arg(dir.path())
        .args(["1", "--base", "127.1.0.1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let emu = dir.path().join("bmc.emu");
    Some((dir, emu))
}

/// The Python BMC of the shared tools, which speaks suite 17 and misbehaves as told.
pub(crate) struct PythonBmc {
    pub(crate) login: Login,
    _child: Child,
}

impl PythonBmc {
    pub(crate) fn start(knobs: &[&str]) -> Option<Self> {
        let (_dir, emu) = shared_model()?;
        Self::emulating(&emu, knobs)
    }

    /// Of these commands of the emulator, as far as it knows them.
    pub(crate) fn emulating(emu: &Path, knobs: &[&str]) -> Option<Self> {
        if !have(&["python3"]) {
            return None;
        }
        let shared = shared_dir().or_else(|| {
            skip("the shared tools are absent (../shared, or where OUTBAND_SHARED points)");
            None
        })?;
        let has_cryptography = || {
            let status = Command::new("python3").args(["-c", "import cryptography"]).stderr(Stdio::null()).status();
            status.unwrap().success()
        };
        if !has_cryptography() {
            let pip = ["-m", "pip", "install", "--quiet", "--break-system-packages", "cryptography"];
            let status = Command::new("python3").args(pip).status().unwrap();
            if !status.success() || !has_cryptography() {
                skip("Python's cryptography is not installed and cannot be installed");
                return None;
            }
        }
        let port = free_port().unwrap();
        let mut command = Command::new("python3");
        command.arg(shared.join("tools/ipmi/bmcsim.py")).arg(emu).args(["127.1.0.2", "--run", "120"]);
        command.args(["--port", &port.to_string()]).args(knobs);
        let child = Child::start("bmcsim.py", command.stdin(Stdio::null())).unwrap();
        let login = Login {
            host: "127.1.0.2",
            port,
            user: "ipmiusr",
            password: "test",
            suite: None,
            bmc_key: None,
            deadline: Duration::from_secs(5),
        };
        let up = wait_until(Duration::from_secs(20), || answers(login.host, port));
        assert!(up, "bmcsim.py does not answer");
        Some(Self { login, _child: child })
    }
}

/// Whether a BMC answers Get Channel Authentication Capabilities, which needs no session.
fn answers(host: &str, port: u16) -> bool {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.connect((host, port)).unwrap();
    let message = [0x20, 0x18, 0xC8, 0x81, 0x00, 0x38, 0x8E, 0x04, 0xB5];
    let datagram = [&[6, 0, 0xFF, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &message].concat();
    socket.send(&datagram).is_ok() && socket.recv(&mut [0; 64]).is_ok()
}
