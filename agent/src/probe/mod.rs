//! `outband-agent probe`: one full poll of one BMC, for people and scripts.

mod lines;
mod record;
mod report;
mod table;

use crate::args::{ProbeArgs, ProbeOutput};
use crate::clock::SystemClock;
use crate::config::secret::{self, SecretError};
use crate::poll::guard::Guard;
use crate::poll::outcome;
use outband_bmc::PollError;
use outband_bmc::client::Bmc;
use outband_bmc::{Address, ConnectError, Credentials, Fingerprint, Rung, RungReport, Target, Trust};
use outband_schemas::{Cause, Clock, Observation, Section};
use report::{Failure, Report};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout, timeout_at};

/// The order of a full poll: who it is, then what it says.
const ORDER: [Section; 4] = [Section::Inventory, Section::Sensors, Section::Drives, Section::Log];
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Why a probe could not begin. Holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No password.
    #[error("no password: {0}")]
    Password(SecretError),
    /// No password was given at all.
    #[error("no password: give --password-file FILE (mode 0600), or set OUTBAND_PASSWORD")]
    NoPassword,
    /// The CA cannot be read.
    #[error("--ca {path}: {source}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No user was given.
    #[error("no user: give --user NAME")]
    NoUser,
    /// Nothing keeps a probe from locking an account.
    #[error(
        "refused logins cannot be put on record, so one more might lock the BMC's account: give --data-dir DIR, or set HOME"
    )]
    NoRecord,
    /// A flag that the protocol has no use for.
    #[error("{0} is for {1} only")]
    WrongProtocol(&'static str, &'static str),
    /// The output is gone.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Probes, prints to `out` and, where the BMC could not be read, says on `err` which rung broke and what to do. Returns whether it was read.
pub async fn run(args: &ProbeArgs, out: &mut impl Write, err: &mut impl Write) -> Result<bool, Error> {
    let target = target(args)?;
    // Nobody logs in at this server itself, so no account can be locked.
    let guard = if args.address.is_local() { None } else { Some(record::guard(args)?) };
    let started = Instant::now();
    let deadline = started + Duration::from_secs(args.deadline);
    let mut report = Report::new(&target.address);
    let asked_to_stop = interrupted();
    tokio::pin!(asked_to_stop);
    let session = tokio::select! {
        biased;
        session = timeout_at(deadline, log_in(args, target, guard.as_ref())) => session.unwrap_or_else(|_| Err(out_of_time(args.deadline))),
        () = &mut asked_to_stop => Err(stopped()),
    };
    match session {
        Ok(bmc) => poll(bmc, args, guard.as_ref(), deadline, &mut asked_to_stop, started, &mut report).await,
        Err(error) => report.connect_failed(error, SystemClock.now()),
    }
    report.elapsed = started.elapsed();
    match args.output {
        ProbeOutput::Table => table::print(&report, out, err)?,
        ProbeOutput::Json => lines::print(&report, out)?,
    }
    Ok(report.ok())
}

fn target(args: &ProbeArgs) -> Result<Target, Error> {
    let redfish = matches!(args.address, Address::Redfish { .. });
    if redfish && args.cipher.is_some() {
        return Err(Error::WrongProtocol("--cipher", "ipmi:// addresses"));
    }
    if args.address.is_local() {
        if args.user.is_some() || args.password_file.is_some() || args.cipher.is_some() {
            return Err(Error::WrongProtocol("--user, --password-file, --cipher", "ipmi:// and https:// addresses"));
        }
        if args.accept_new_cert || args.ca.is_some() || args.fingerprint.is_some() {
            return Err(Error::WrongProtocol("--accept-new-cert, --ca, --fingerprint", "https:// addresses"));
        }
        let nobody = Credentials::new("", outband_bmc::Secret::new(""));
        return Ok(as_target(args, nobody, Trust::FirstUse));
    }
    let user = args.user.clone().ok_or(Error::NoUser)?;
    if !redfish && (args.accept_new_cert || args.ca.is_some() || args.fingerprint.is_some()) {
        return Err(Error::WrongProtocol("--accept-new-cert, --ca, --fingerprint", "https:// addresses"));
    }
    let password = match &args.password_file {
        Some(file) => secret::from_file(file, secret::credentials_dir().as_deref()),
        None => secret::from_env("OUTBAND_PASSWORD"),
    };
    let password = password.map_err(|error| match error {
        SecretError::NoVariable(_) => Error::NoPassword,
        error => Error::Password(error),
    })?;
    let trust = match (&args.ca, args.fingerprint) {
        (Some(path), _) => {
            let read = std::fs::read_to_string(path);
            Trust::Ca(read.map_err(|source| Error::Ca { path: path.clone(), source })?)
        }
        (None, Some(print)) => Trust::Pinned(print),
        (None, None) => Trust::FirstUse,
    };
    Ok(as_target(args, Credentials::new(user, password), trust))
}

fn as_target(args: &ProbeArgs, credentials: Credentials, trust: Trust) -> Target {
    Target {
        address: args.address.clone(),
        credentials,
        cipher: args.cipher,
        trust,
        request_deadline: Duration::from_secs(args.request_deadline),
    }
}

/// Connects, unless one more refused login may lock the account.
async fn log_in(args: &ProbeArgs, target: Target, guard: Option<&Guard>) -> Result<Bmc, ConnectError> {
    let Some(guard) = guard else { return connect(args, target).await };
    let attempt = guard.begin(&target.credentials.user, &args.address).map_err(|held| ConnectError {
        rung: Rung::Login,
        cause: Cause::Denied,
        detail: held.to_string(),
        remedy:
            "find the right password meanwhile; who knows that the account cannot be locked gives another --data-dir"
                .to_owned(),
        offered: None,
        climbed: Vec::new(),
    })?;
    let result = connect(args, target).await;
    match &result {
        Ok(_) => attempt.accepted(),
        Err(error) if outcome::is_login_refusal(error) => attempt.refused(),
        Err(_) => {}
    }
    result
}

/// Connects; to a certificate that nobody vouches for only where the operator said so.
async fn connect(args: &ProbeArgs, mut target: Target) -> Result<Bmc, ConnectError> {
    let unknown = matches!(target.address, Address::Redfish { .. }) && target.trust == Trust::FirstUse;
    if unknown && !args.accept_new_cert {
        // A pin that no certificate has: the handshake shows what is offered, and the password is not sent.
        target.trust = Trust::Pinned(Fingerprint([0; 32]));
        return match Bmc::connect(&target).await {
            Ok(bmc) => Ok(bmc),
            Err(error) if error.cause == Cause::Certificate => Err(unknown_certificate(args, error)),
            Err(error) => Err(error),
        };
    }
    Bmc::connect(&target).await
}

fn unknown_certificate(args: &ProbeArgs, mut error: ConnectError) -> ConnectError {
    let (address, user) = (&args.address, args.user.as_deref().unwrap_or_default());
    let file = args.password_file.as_ref().map_or(String::new(), |f| format!(" --password-file {}", f.display()));
    let command = format!("outband-agent probe {address} --user {user}{file}");
    (error.detail, error.remedy) = match error.offered {
        Some(print) => (
            format!("nobody vouches for the certificate that was offered, SHA-256 {print}"),
            format!(
                "compare it with the BMC's own page, then: {command} --fingerprint {print}   (or --accept-new-cert, or --ca FILE)"
            ),
        ),
        None => (
            "nobody vouches for the certificate that was offered".to_owned(),
            format!("to see and accept it: {command} --accept-new-cert   (or --ca FILE, or --fingerprint HEX)"),
        ),
    };
    error
}

/// Polls section after section, and ends the session whatever happens.
async fn poll(
    mut bmc: Bmc,
    args: &ProbeArgs,
    guard: Option<&Guard>,
    deadline: Instant,
    mut asked_to_stop: impl Future<Output = ()> + Unpin,
    started: Instant,
    report: &mut Report,
) {
    report.climbed = bmc.climbed().to_vec();
    report.certificate = bmc.certificate();
    report.step("login", started.elapsed(), bmc.stats());
    let wanted = ORDER.into_iter().filter(|s| args.sections.is_empty() || args.sections.contains(s));
    let steps = wanted.map(|section| (section.as_str(), section));
    let again = args.steady.then_some(("steady", Section::Sensors));
    let mut over = false;
    let mut steps: VecDeque<_> = steps.chain(again).collect();
    while let Some((step, section)) = steps.pop_front() {
        let began = Instant::now();
        let result = tokio::select! {
            biased;
            () = std::future::ready(()), if over => Err(not_begun()),
            result = bmc.poll_until(section, None, deadline, &SystemClock) => result,
            () = &mut asked_to_stop => {
                over = true;
                Err(not_begun())
            }
        };
        report.step(step, began.elapsed(), bmc.stats());
        match result {
            Ok(_) if step == "steady" => {}
            Ok(polled) => {
                // A poll of the agent leaves the rest to the next; a probe goes on at once.
                if polled.more.is_some() {
                    steps.push_front((step, section));
                }
                report.add(section, polled.observations);
            }
            Err(PollError { cause, detail }) => {
                let source = String::new();
                let failure = Failure { section: Some(section), component: None, cause, detail, source };
                report.section_failed(failure, SystemClock.now());
            }
        }
        if bmc.standing().refused_logins > 0 {
            if let (Some(guard), Some(user)) = (guard, &args.user) {
                guard.refused(user, &args.address);
            }
            over = true;
        }
    }
    let readings =
        report.observations.iter().filter(|(_, o)| matches!(o, Observation::Reading(r) if r.value.is_some())).count();
    if readings > 0 {
        let found = format!("{readings} readings with a value");
        report.climbed.push(RungReport { rung: Rung::FirstReading, found });
    }
    report.stats = bmc.stats();
    report.precisions = bmc.precisions();
    let began = Instant::now();
    // Counts on while the session is ended.
    let counter = bmc.share();
    report.session_left = match timeout(CLOSE_WITHIN, bmc.close()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", CLOSE_WITHIN.as_secs())),
    };
    if let Some(counter) = counter {
        report.stats = counter.stats();
        report.step("logout", began.elapsed(), report.stats);
    }
}

/// Completes when a person or a service manager asks the probe to end.
async fn interrupted() {
    let heard = async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        io::Result::Ok(())
    };
    if heard.await.is_err() {
        // Signals cannot be heard: they end the process by themselves.
        std::future::pending().await
    }
}

fn not_begun() -> PollError {
    PollError { cause: Cause::Cancelled, detail: "the probe was ended before this was read".to_owned() }
}

fn stopped() -> ConnectError {
    ConnectError {
        rung: Rung::Reach,
        cause: Cause::Cancelled,
        detail: "the probe was ended before there was a session".to_owned(),
        remedy: "try again".to_owned(),
        offered: None,
        climbed: Vec::new(),
    }
}

fn out_of_time(seconds: u64) -> ConnectError {
    ConnectError {
        rung: Rung::Reach,
        cause: Cause::Timeout,
        detail: format!("no session within the {seconds} s of --deadline"),
        remedy: "give it more time by --deadline, or look why the BMC is slow".to_owned(),
        offered: None,
        climbed: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
