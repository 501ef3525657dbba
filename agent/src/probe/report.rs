//! What a probe found, before it is printed.

use outband_bmc::ipmi::sensor::Precision;
use outband_bmc::{Address, ConnectError, Fingerprint, PollStats, RungReport};
use outband_schemas::{Cause, ComponentClass, ComponentId, Gap, Observation, Section, Source, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// Everything that a probe found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) address: String,
    bmc: ComponentId,
    pub(super) observations: Vec<(Section, Observation)>,
    /// How exact sensors are, by the source of their readings, where the BMC says so.
    pub(super) precisions: HashMap<Source, Precision>,
    pub(super) failures: Vec<Failure>,
    pub(super) climbed: Vec<RungReport>,
    pub(super) certificate: Option<Fingerprint>,
    pub(super) stats: PollStats,
    pub(super) elapsed: Duration,
    /// What each step took: login, sections, logout.
    pub(super) steps: Vec<Step>,
    /// Why the session could not be ended, if so.
    pub(super) session_left: Option<String>,
    /// Why there was no session.
    pub(super) broken: Option<ConnectError>,
    read: usize,
}

/// What a step of a probe took.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) elapsed: Duration,
    pub(super) requests: u64,
    /// Of payload, sent and received.
    pub(super) bytes: u64,
    /// Connections, or RMCP+ sessions, that were opened in it.
    pub(super) connections: u64,
}

/// One thing that could not be read.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) section: Option<Section>,
    pub(super) component: Option<ComponentId>,
    pub(super) cause: Cause,
    pub(super) detail: String,
    pub(super) source: String,
}

impl Report {
    pub(super) fn new(address: &Address) -> Self {
        Self {
            address: address.to_string(),
            bmc: ComponentId::lenient(ComponentClass::Bmc, address.authority()),
            observations: Vec::new(),
            precisions: HashMap::new(),
            failures: Vec::new(),
            climbed: Vec::new(),
            certificate: None,
            stats: PollStats::default(),
            elapsed: Duration::ZERO,
            steps: Vec::new(),
            session_left: None,
            broken: None,
            read: 0,
        }
    }

    /// Notes a step that has ended, with what was counted since the session began.
    pub(super) fn step(&mut self, name: &'static str, elapsed: Duration, so_far: PollStats) {
        let sum = |of: fn(&Step) -> u64| self.steps.iter().map(of).sum::<u64>();
        let bytes = so_far.bytes_sent + so_far.bytes_received;
        let step = Step {
            name,
            elapsed,
            requests: so_far.requests.saturating_sub(sum(|s| s.requests)),
            bytes: bytes.saturating_sub(sum(|s| s.bytes)),
            connections: so_far.connections.saturating_sub(sum(|s| s.connections)),
        };
        match self.steps.last_mut().filter(|last| last.name == name) {
            // What was put off, and read at once after it, is of the same step.
            Some(last) => {
                last.elapsed += step.elapsed;
                last.requests += step.requests;
                last.bytes += step.bytes;
                last.connections += step.connections;
            }
            None => self.steps.push(step),
        }
    }

    /// Whether there was a session and at least one section could be read.
    pub(super) fn ok(&self) -> bool {
        self.broken.is_none() && self.read > 0
    }

    pub(super) fn add(&mut self, section: Section, observations: Vec<Observation>) {
        self.read += 1;
        for observation in observations {
            if let Observation::Gap(gap) = &observation {
                self.failures.push(Failure {
                    section: Some(section),
                    component: gap.component.clone(),
                    cause: gap.cause,
                    detail: gap.detail.clone(),
                    source: gap.source.0.clone(),
                });
            }
            self.observations.push((section, observation));
        }
    }

    pub(super) fn section_failed(&mut self, failure: Failure, at: Timestamp) {
        let gap = self.gap(&failure, at);
        self.observations.push((failure.section.unwrap_or(Section::Sensors), gap));
        self.failures.push(failure);
    }

    pub(super) fn connect_failed(&mut self, error: ConnectError, at: Timestamp) {
        let (cause, detail) = (error.cause, format!("{}: {}; {}", error.rung, error.detail, error.remedy));
        self.section_failed(
            Failure { section: None, component: None, cause, detail, source: self.address.clone() },
            at,
        );
        self.climbed.clone_from(&error.climbed);
        self.broken = Some(error);
    }

    fn gap(&self, failure: &Failure, at: Timestamp) -> Observation {
        Observation::Gap(Gap {
            component: Some(failure.component.clone().unwrap_or_else(|| self.bmc.clone())),
            cause: failure.cause,
            detail: failure.detail.clone(),
            observed_at: at,
            source: Source(failure.source.clone()),
            span: None,
        })
    }
}
