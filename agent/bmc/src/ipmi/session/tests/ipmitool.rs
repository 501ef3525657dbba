//! What is secured here is secured as others do it: `ipmitool` logs in to the BMC of these tests, whose arithmetic is the session's own.

use super::super::fake::{FakeBmc, PASSWORD, USER};
use super::super::*;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Has ipmitool ask a BMC for the reading of sensor 42; what it prints, or how it fails.
fn ask(mut bmc: FakeBmc, how: &[&str]) -> Result<String, String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 1024];
            while !done.load(Ordering::SeqCst) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer)
                    && let Some(answer) = bmc.answer(&buffer[..len])
                {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        let mut command = Command::new("ipmitool");
        command.args(["-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", PASSWORD, "-R", "2", "-N", "1"]).args(how);
        let output = command.args(["raw", "0x04", "0x2d", "42"]).output();
        done.store(true, Ordering::SeqCst);
        let output = output.map_err(|e| e.to_string())?;
        let told = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
        if output.status.success() { Ok(told.trim().to_owned()) } else { Err(told.into_owned()) }
    })
}

fn is_installed() -> bool {
    let is = Command::new("ipmitool").arg("-V").output().is_ok();
    if !is {
        eprintln!("skipped: ipmitool is not installed");
    }
    is
}

#[test]
fn ipmitool_speaks_every_suite_with_the_bmc_of_these_tests() {
    if !is_installed() {
        return;
    }
    let strong = [CipherSuite::Three, CipherSuite::Seventeen];
    for suite in super::weak::SUITES.into_iter().chain(strong) {
        let bmc = FakeBmc { suites: vec![suite], ..FakeBmc::new() };
        let told = ask(bmc, &["-I", "lanplus", "-C", &suite.to_string()]);
        assert_eq!(told, Ok("2a 40 00 00".to_owned()), "suite {suite}");
    }
}

#[test]
fn ipmitool_speaks_ipmi_1_5_with_the_bmc_of_these_tests() {
    if !is_installed() {
        return;
    }
    // MD2 it knows only by name: OpenSSL has none any more. OpenIPMI's simulator has its own.
    for (auth, name) in [(AuthType::Md5, "MD5"), (AuthType::Password, "PASSWORD")] {
        let bmc = FakeBmc { rmcp_plus: false, v15: Some(auth), ..FakeBmc::new() };
        assert_eq!(ask(bmc, &["-I", "lan", "-A", name]), Ok("2a 40 00 00".to_owned()), "{name}");
    }
}
