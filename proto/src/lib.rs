//! The wire. The `.proto` files are in `proto/outband/`; [`convert`] is the only place where wire and vocabulary meet.

pub mod convert;
pub mod pack;
pub mod view;

/// The latest version of the stream's protocol that is spoken here.
pub const PROTOCOL: u32 = 1;

/// The descriptors of every file, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/outband.bin"));

macro_rules! generated {
    ($($(#[$doc:meta])* $module:ident = $package:literal,)*) => {
        /// As packages lie in each other, since their messages name each other by that.
        mod packages {
            $(pub(crate) mod $module {
                pub mod v1 {
                    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; the .proto files hold the documentation")]
                    tonic::include_proto!($package);
                }
            })*
        }
        $($(#[$doc])* pub use packages::$module::v1 as $module;)*
    };
}

generated! {
    /// `outband.agent.v1`: agents as the collector sees them.
    agent = "outband.agent.v1",
    /// `outband.audit.v1`: who did what.
    audit = "outband.audit.v1",
    /// `outband.check.v1`: health checks.
    check = "outband.check.v1",
    /// `outband.drill.v1`: exercises.
    drill = "outband.drill.v1",
    /// `outband.enrol.v1`: how agents get certificates of their own, and lose them.
    enrol = "outband.enrol.v1",
    /// `outband.callpack.v1`: all about a ticket, for a call.
    callpack = "outband.callpack.v1",
    /// `outband.fleet.v1`: what the fleet as a whole teaches.
    fleet = "outband.fleet.v1",
    /// `outband.grant.v1`: temporary accesses.
    grant = "outband.grant.v1",
    /// `outband.health.v1`: health of sites, servers and components.
    health = "outband.health.v1",
    /// `outband.incident.v1`: conditions that lasted.
    incident = "outband.incident.v1",
    /// `outband.ingest.v1`: the stream from an agent to the collector.
    ingest = "outband.ingest.v1",
    /// `outband.maintenance.v1`: what is recorded and not told for a while.
    maintenance = "outband.maintenance.v1",
    /// `outband.notice.v1`: notices to people about tickets.
    notice = "outband.notice.v1",
    /// `outband.order.v1`: what agents may do at BMCs, and who approved it.
    order = "outband.order.v1",
    /// `outband.outcome.v1`: whether tickets were right.
    outcome = "outband.outcome.v1",
    /// `outband.sla.v1`: what clocks come to and why.
    sla = "outband.sla.v1",
    /// `outband.record.v1`: what is kept about people and customers.
    record = "outband.record.v1",
    /// `outband.report.v1`: reports as files.
    report = "outband.report.v1",
    /// `outband.telemetry.v1`: observations, and the queries on them.
    telemetry = "outband.telemetry.v1",
    /// `outband.threshold.v1`: thresholds that somebody set otherwise for some servers.
    threshold = "outband.threshold.v1",
    /// `outband.ticket.v1`: tickets and their clocks.
    ticket = "outband.ticket.v1",
}
