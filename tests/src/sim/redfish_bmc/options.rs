//! How a service behaves: what it can do, how long it takes, what goes wrong.

use super::{Drift, Push};
use super::{Fault, Login, Where};
use std::time::Duration;

/// How a service behaves. The default is a plain one: what its service root advertises works, nothing else does.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Port on loopback; 0: any.
    pub port: u16,
    /// Who may log in; `None`: everybody may read everything.
    pub login: Option<Login>,
    /// Whether those who may log in may only look.
    pub read_only: bool,
    /// How logins are taken.
    pub doors: Doors,
    /// How many sessions it can hold at once; 0: 16.
    pub max_sessions: usize,
    /// After how long without a request a session ends by itself.
    pub session_idle: Option<Duration>,
    /// After how many failed logins in a row nobody is let in any more.
    pub lock_out: Option<u32>,
    /// How long each answer takes.
    pub latency: Duration,
    /// How long it takes elsewhere than usual; the first place that fits counts.
    pub latency_at: Vec<(Where, Duration)>,
    /// What an expanded answer costs for each resource put into it, as a share of that resource's own latency.
    pub expanded_share: Share,
    /// One request at a time; the others wait.
    pub serial: bool,
    /// Latencies are only added up, not waited for, those of [`super::Misdeed::Slow`] neither (see [`super::Service::modelled`]).
    pub virtual_time: bool,
    /// What `$expand` does.
    pub expand: Expand,
    /// What becomes of a member that goes wrong while it is put into an expanded answer.
    pub failing_member: FailingMember,
    /// What `$top` and `$skip` do. Wherever a collection comes in pages, `$skip` works in any case.
    pub top_skip: Support,
    /// What `$select` does.
    pub select: Support,
    /// What `only` does.
    pub only: Support,
    /// Replaces what the service root says in `ProtocolFeaturesSupported`; JSON `null` removes it.
    pub features: Option<serde_json::Value>,
    /// Collections that come in pages, besides those that were captured so.
    pub pages: Vec<Pages>,
    /// Whether answers carry an ETag.
    pub etag: Etag,
    /// Each answer ends its connection.
    pub no_keep_alive: bool,
    /// Readings vary.
    pub drift: Option<Drift>,
    /// Events are pushed.
    pub push: Option<Push>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// A share, in percent; 50 unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(
    /// Percent.
    pub u32,
);

impl Default for Share {
    fn default() -> Self {
        Self(50)
    }
}

/// At which URIs a session is opened, and how the answer names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doors {
    /// `/redfish/v1/SessionService/Sessions` and `/redfish/v1/Sessions`.
    #[default]
    Both,
    /// `/redfish/v1/SessionService/Sessions`; the other does not exist.
    New,
    /// `/redfish/v1/Sessions`, and 405 at the other (iDRAC8).
    Old,
    /// `Location` names the session by an absolute URI and the body does not name it at all (iLO 4).
    AbsoluteLocation,
    /// No sessions: user and password with every request.
    BasicOnly,
    /// Sessions only: user and password with a request are refused.
    NoBasic,
}

/// Whether something optional works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Support {
    /// If the service root says so; else it is ignored.
    #[default]
    Advertised,
    /// Whatever the service root says.
    Yes,
    /// It is ignored.
    No,
    /// It is refused with this status.
    Refused(u16),
}

/// What `$expand` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expand {
    /// What the service root says, in the forms and to the depth that it says; else it is ignored.
    #[default]
    Advertised,
    /// All forms, six levels.
    Yes,
    /// It is ignored.
    Ignored,
    /// It is refused with this status and `QueryNotSupportedOnResource`.
    Refused(u16),
    /// As advertised, but every second member stays a link.
    Partly,
    /// As advertised, but members come without their properties beyond `Id` and `Name`.
    Hollow,
    /// As advertised, but never more than so many members: the rest of the collection is missing, without a word.
    Short(usize),
    /// As advertised, but answers with more than so many members are refused with HTTP 507.
    AtMost(usize),
}

/// What becomes of a member that goes wrong while it is put into an expanded answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailingMember {
    /// It stays a link.
    #[default]
    Link,
    /// Its error takes its place, with status 200.
    Error,
    /// The whole answer has its status.
    Whole,
    /// It is left out.
    Missing,
}

/// A collection that comes in pages.
#[derive(Debug, Clone)]
pub struct Pages {
    /// Which.
    pub place: Where,
    /// Members a page.
    pub size: usize,
    /// How `Members@odata.nextLink` names the next one.
    pub next: NextLink,
}

/// How `Members@odata.nextLink` names the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NextLink {
    /// `?$skip=50`
    #[default]
    Skip,
    /// `?$skiptoken=50`
    SkipToken,
    /// The first page, again and again.
    Loop,
}

/// Whether answers carry an ETag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Etag {
    /// No.
    #[default]
    No,
    /// `W/"…"`, and 304 for one that still holds.
    Weak,
    /// `"…"`, and 304 for one that still holds.
    Strong,
    /// One that never changes, although the resource does, and 304.
    Frozen,
    /// One that changes with every answer.
    Restless,
}
