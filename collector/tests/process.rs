//! The program as people and systemd meet it: exit codes, signals, files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use outband_collector::datadir::RunInfo;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outband-collector"));
    command.env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET").env_remove("OUTBAND_LOG");
    command
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come about in {PATIENCE:?}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A running collector. Killed with its test.
struct Running {
    child: Child,
    root: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("collector.toml");
        let dir = root.path().join("data");
        let text = format!(
            "[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n[data]\nkeep_free_mib = 0\ndir = '{}'\n",
            dir.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(root.path().join("log")).unwrap();
        let child = program()
            .args(["run", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", root.path().join("notify"))
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn run_info(&self) -> RunInfo {
        wait_for("run.json", || serde_json::from_str(&fs::read_to_string(self.path("data/run.json")).ok()?).ok())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn wait_for_log(&self, text: &str) {
        wait_for(text, || self.log().contains(text).then_some(()));
    }

    fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        wait_for("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.child.kill().unwrap_or_default();
            self.child.wait().unwrap();
        }
    }
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_says_where_it_listens_and_ends_with_zero_on_sigterm() {
    let running = Running::start();
    let info = running.run_info();
    assert_eq!(info.pid, running.child.id());
    assert!(std::net::TcpStream::connect(info.operators_addr).is_ok());
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn the_log_names_what_to_do_next_and_holds_no_token() {
    let running = Running::start();
    running.run_info();
    running.wait_for_log("next: outband");
    for role in ["agent", "operator"] {
        let token = fs::read_to_string(running.path(&format!("data/{role}.token"))).unwrap();
        assert!(!running.log().contains(token.trim()));
        assert!(running.log().contains(&format!("{role}.token")));
    }
}

#[test]
fn systemd_hears_ready_only_once_the_doors_are_open() {
    let root = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(root.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = program()
        .args(["run", "--config"])
        .arg(config(root.path()))
        .env("NOTIFY_SOCKET", root.path().join("notify"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut message = [0; 256];
    let length = socket.recv(&mut message).unwrap();
    let run_info = fs::read_to_string(root.path().join("data/run.json"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(String::from_utf8_lossy(&message[..length]).contains("READY=1"));
    assert!(run_info.is_ok());
}

fn config(root: &Path) -> PathBuf {
    let file = root.join("collector.toml");
    let dir = root.join("data");
    let text = format!(
        "[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n[data]\nkeep_free_mib = 0\ndir = '{}'\n",
        dir.display()
    );
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_reload_of_a_bad_config_keeps_the_old_one_and_says_what_is_wrong() {
    let running = Running::start();
    let before = running.run_info();
    running.wait_for_log("next: outband");
    fs::write(running.path("collector.toml"), "[listen]\nagentz = 1\n").unwrap();
    running.signal(Signal::SIGHUP);
    running.wait_for_log("not reloaded");
    assert!(running.log().contains("agentz"));
    assert_eq!(running.run_info(), before);
    assert!(std::net::TcpStream::connect(before.agents_addr).is_ok());
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn without_a_config_everything_is_in_one_directory_that_is_closed_to_others() {
    let state = tempfile::tempdir().unwrap();
    let (code, stdout, _) = output(program().args(["token", "agent"]).env("XDG_STATE_HOME", state.path()));
    let path = PathBuf::from(stdout.trim());
    assert_eq!((code, path.as_path()), (Some(0), state.path().join("outband-collector/agent.token").as_path()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_made_token_is_the_only_thing_on_stdout() {
    let state = tempfile::tempdir().unwrap();
    let mut make = program();
    make.args(["token", "operator", "li"]).env("XDG_STATE_HOME", state.path());
    let (code, stdout, stderr) = output(&mut make);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("outband-operator-") && stdout.lines().count() == 1, "{stdout}");
    assert!(!stderr.contains(stdout.trim()));
    let (code, _, stderr) = output(&mut make);
    assert_eq!(code, Some(1), "the name is taken");
    assert!(stderr.contains("operator.li"), "{stderr}");
}

#[test]
fn check_config_ends_with_one_and_lists_everything_that_is_wrong() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("bad.toml");
    fs::write(&file, "[listen]\nagents = 'here'\nfoo = 1\n[nope]\n").unwrap();
    let (code, _, stderr) = output(program().args(["check-config", "--config"]).arg(&file));
    assert_eq!(code, Some(1));
    for word in ["listen.agents", "listen.foo", "nope", "bad.toml"] {
        assert!(stderr.contains(word), "{word} is not in {stderr}");
    }
    let (code, stdout, _) = output(program().args(["check-config", "--config"]).arg(config(root.path())));
    assert_eq!(code, Some(0), "{stdout}");
}

#[test]
fn wrong_usage_ends_with_two() {
    assert_eq!(output(program().arg("dance")).0, Some(2));
    assert_eq!(output(program().args(["completions", "bash"])).0, Some(0));
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let running = Running::start();
    running.run_info();
    let mut second =
        program().args(["run", "--config"]).arg(running.path("collector.toml")).stderr(Stdio::piped()).spawn().unwrap();
    let status = wait_for("the refusal", || second.try_wait().unwrap());
    let mut stderr = String::new();
    second.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains(&running.path("data").display().to_string()), "{stderr}");
}
