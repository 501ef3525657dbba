//! `[notify]`: who is told what, on which channel, when.

mod check;

use super::span::Span;
use crate::words::{Audience, Lang};
use outband_schemas::TriageClass;
use outband_ticket::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who is told what, on which channel, when. Without rules nobody is told anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// How often a notice is tried before it is kept as failed.
    pub tries: u32,
    /// The longest wait before the second try; it doubles with each further one. The wait itself is drawn between nothing and this.
    pub first_retry: Span,
    /// The longest wait between two tries.
    pub longest_retry: Span,
    /// What happened longer ago than this when the collector comes to tell it is nobody's news: nobody is told.
    pub news_for: Span,
    /// How many days notices are kept after they were delivered, given up or cancelled.
    pub keep_days: u32,
    /// A clock of which so many percent are used while nobody works on its ticket is likely to be missed, and is told (`at_risk`); so is one whose
    /// turn would come too late in the queue that it stands in. 0: nothing is foretold.
    pub foretell_percent: u32,
    /// How notices travel, by names of your choice.
    pub channels: BTreeMap<String, Channel>,
    /// Who gets them, by names of your choice.
    pub recipients: BTreeMap<String, Recipient>,
    /// Who is told what. All rules that fit count.
    pub rules: Vec<Rule>,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            tries: 12,
            first_retry: Span::from_secs(5),
            longest_retry: Span::from_secs(15 * 60),
            news_for: Span::from_secs(60 * 60),
            keep_days: 365,
            foretell_percent: 75,
            channels: BTreeMap::new(),
            recipients: BTreeMap::new(),
            rules: Vec::new(),
        }
    }
}

/// How notices travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Channel {
    /// E-mail by SMTP.
    Email(Email),
    /// Signed JSON to an address of yours.
    Webhook(Webhook),
    /// Any HTTP API, by templates: SMS, phone calls.
    Http(Http),
    /// A DingTalk robot.
    Dingtalk(Robot),
    /// A WeCom robot.
    Wecom(Robot),
    /// A Feishu robot.
    Feishu(Robot),
    /// Syslog (RFC 5424).
    Syslog(Syslog),
}

impl Channel {
    /// How many notices a minute it takes at most.
    pub fn per_minute(&self) -> u32 {
        match self {
            Self::Email(c) => c.per_minute,
            Self::Webhook(c) => c.per_minute,
            Self::Http(c) => c.per_minute,
            Self::Dingtalk(c) | Self::Wecom(c) | Self::Feishu(c) => c.per_minute,
            Self::Syslog(c) => c.per_minute,
        }
    }
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after a plain greeting; without TLS nothing is sent.
    #[default]
    Starttls,
    /// None. Only for a relay on this machine.
    None,
}

/// E-mail by SMTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The server.
    pub host: String,
    /// Its port. Left out: 587, 465 with `tls`, 25 with `none`.
    pub port: Option<u16>,
    /// How the connection is secured.
    #[serde(default)]
    pub security: Security,
    /// The sender, e.g. `Outband <outband@example.com>`.
    pub from: String,
    /// The user, where the server wants one.
    pub user: Option<String>,
    /// The file with the user's password, closed to others; a name without a slash: a systemd credential.
    pub password_file: Option<PathBuf>,
    /// A PEM file with the CA of the server. Left out: those of the system.
    pub ca_file: Option<PathBuf>,
    /// So many a minute at most.
    #[serde(default = "sixty")]
    pub per_minute: u32,
}

/// Signed JSON to an address of yours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to POST to.
    pub url: String,
    /// The file with the secret that signs, closed to others; a name without a slash: a systemd credential.
    pub secret_file: PathBuf,
    /// A PEM file with the CA of the server. Left out: those of the system.
    pub ca_file: Option<PathBuf>,
    /// So many a minute at most.
    #[serde(default = "sixty")]
    pub per_minute: u32,
}

/// Any HTTP API. `{to}`, `{subject}`, `{body}`, `{key}`, `{ticket}`, `{priority}` and `{secret}` stand for what they say, escaped for where
/// they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to POST to; a template.
    pub url: String,
    /// Headers; the values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; a template.
    pub body: String,
    /// What the body is.
    #[serde(default)]
    pub content: Content,
    /// The file that `{secret}` stands for, closed to others; a name without a slash: a systemd credential.
    pub secret_file: Option<PathBuf>,
    /// Text that an answer must hold to count as delivered, e.g. `"code":0`. Left out: any answer with a status of 200 to 299.
    pub success: Option<String>,
    /// A PEM file with the CA of the server. Left out: those of the system.
    pub ca_file: Option<PathBuf>,
    /// So many a minute at most.
    #[serde(default = "sixty")]
    pub per_minute: u32,
}

/// What a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// `application/json`
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `text/plain`
    Text,
}

/// A robot in a group chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Robot {
    /// The file with the robot's token (the part of its address that is secret), closed to others; a name without a slash: a systemd credential.
    pub token_file: PathBuf,
    /// The file with the secret that signs (DingTalk, Feishu), where the robot wants that.
    pub secret_file: Option<PathBuf>,
    /// The service's address, without the token, where it is another than the public one.
    pub endpoint: Option<String>,
    /// A PEM file with the CA of the server. Left out: those of the system.
    pub ca_file: Option<PathBuf>,
    /// So many a minute at most: these services shut up robots that send more than 20.
    #[serde(default = "twenty")]
    pub per_minute: u32,
}

/// How a syslog server is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams (RFC 5426): sent, not known to be received.
    Udp,
    /// A connection (RFC 6587, octet counting).
    #[default]
    Tcp,
    /// A secured connection (RFC 5425).
    Tls,
}

/// Syslog (RFC 5424).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// The server and its port, e.g. `logs.example.com:6514`.
    pub server: String,
    /// How it is reached.
    #[serde(default)]
    pub transport: Transport,
    /// The facility: 16 to 23 are for local use.
    #[serde(default = "local0")]
    pub facility: u8,
    /// A PEM file with the CA of the server. Left out: those of the system.
    pub ca_file: Option<PathBuf>,
    /// So many a minute at most.
    #[serde(default = "plenty")]
    pub per_minute: u32,
}

/// Somebody who gets notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// On which channel.
    pub channel: String,
    /// The address there: a mail address, a phone number. May be left out where the channel has only one (robots, syslog).
    #[serde(default)]
    pub to: String,
    /// In which language.
    #[serde(default)]
    pub language: Lang,
    /// In whose words.
    #[serde(default)]
    pub audience: Audience,
    /// The time zone of the times in the text and of the quiet hours (IANA).
    #[serde(default = "utc")]
    pub zone: String,
    /// When not to be disturbed.
    pub quiet: Option<Quiet>,
    /// Gathers notices for so long and sends them as one. Never those that quiet hours do not hold.
    pub digest: Option<Span>,
}

/// When not to be disturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// From this time of day, e.g. `22:00`.
    pub from: String,
    /// To this time of day, e.g. `07:30`; before `from`: of the next day.
    pub to: String,
    /// Which priorities keep quiet. P2 does only if it is named here, P1 never.
    #[serde(default = "unhurried")]
    #[schemars(with = "Vec<String>")]
    pub priorities: Vec<PriorityName>,
    /// A calendar, as `outband-collector calendar list` shows it: the days on which it never opens are quiet as a whole. A name that is not
    /// known there stands for the business hours of `[sla]`. Left out: there are no days off.
    #[serde(default)]
    pub calendar: Option<String>,
}

/// A priority by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PriorityName {
    /// Service down, or about to be.
    P1,
    /// A part failed, or redundancy is lost.
    P2,
    /// A failure is predicted.
    P3,
    /// Advice.
    P4,
}

impl From<Priority> for PriorityName {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::P1 => Self::P1,
            Priority::P2 => Self::P2,
            Priority::P3 => Self::P3,
            Priority::P4 => Self::P4,
        }
    }
}

/// What notices are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A ticket was opened.
    Opened,
    /// It got a graver priority, or a predicted failure was seen.
    Worse,
    /// It was not done after all.
    Reopened,
    /// A step of an escalation fell due.
    Escalation,
    /// A clock is likely to be missed.
    AtRisk,
    /// A clock ran out.
    Breach,
    /// Somebody has it now.
    Assigned,
    /// Something was said that the customer may read.
    Update,
    /// It waits for the customer.
    Waiting,
    /// It is resolved.
    Resolved,
    /// The repair is verified.
    Closed,
    /// It is resolved, and somebody's temporary access to it is still open. Customers are not told.
    Access,
}

impl Cause {
    /// Every one.
    pub const ALL: [Cause; 12] = [
        Self::Opened,
        Self::Worse,
        Self::Reopened,
        Self::Escalation,
        Self::AtRisk,
        Self::Breach,
        Self::Assigned,
        Self::Update,
        Self::Waiting,
        Self::Resolved,
        Self::Closed,
        Self::Access,
    ];

    /// The word used in the outbox and in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worse => "worse",
            Self::Reopened => "reopened",
            Self::Escalation => "escalation",
            Self::AtRisk => "at_risk",
            Self::Breach => "breach",
            Self::Assigned => "assigned",
            Self::Update => "update",
            Self::Waiting => "waiting",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Access => "access",
        }
    }

    /// Whether somebody has to do something, so that fallbacks follow where nobody does.
    pub fn calls_for_somebody(self) -> bool {
        matches!(self, Self::Opened | Self::Worse | Self::Reopened | Self::Escalation | Self::Breach)
    }
}

/// Who is told what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only tickets of these priorities; empty: of all.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub priorities: Vec<PriorityName>,
    /// Only of these sites; empty: of all.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Only of these customers, as `topology.csv` and the contracts name them; empty: of all.
    #[serde(default)]
    pub customers: Vec<String>,
    /// Only of these faults, e.g. `disk_failure`; empty: of all.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Only these kinds of trouble, e.g. `environment_power`, `environment_cooling`, `network`, `hardware`; empty: all. Where a ticket's kind turns out to be another,
    /// those whom its new kind concerns are told then.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub triage: Vec<TriageClass>,
    /// What is told.
    #[serde(default = "causes")]
    pub causes: Vec<Cause>,
    /// Who is told at once.
    pub to: Vec<String>,
    /// Who is told after that, as long as nobody acknowledges.
    #[serde(default)]
    pub fallbacks: Vec<Fallback>,
}

/// Who is told as long as nobody acknowledges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// So long after what happened.
    pub after: Span,
    /// Who.
    pub to: Vec<String>,
}

fn sixty() -> u32 {
    60
}
fn twenty() -> u32 {
    20
}
fn plenty() -> u32 {
    6000
}
fn local0() -> u8 {
    16
}
fn utc() -> String {
    "UTC".to_owned()
}
fn unhurried() -> Vec<PriorityName> {
    vec![PriorityName::P3, PriorityName::P4]
}
fn causes() -> Vec<Cause> {
    use Cause::{Access, AtRisk, Breach, Escalation, Opened, Reopened, Resolved, Worse};
    vec![Opened, Worse, Reopened, Escalation, AtRisk, Breach, Resolved, Access]
}
