//! Who may call what: one table. What does not stand in it is refused.

use crate::token::Role;
use Role::{Admin, Agent, Customer, Engineer, Operator, Viewer};

/// May see the whole fleet.
const READERS: &[Role] = &[Admin, Operator, Engineer, Viewer];
/// May see what is theirs, too.
const READERS_AND_CUSTOMERS: &[Role] = &[Admin, Operator, Engineer, Viewer, Customer];
/// May work on tickets.
const WORKERS: &[Role] = &[Admin, Operator, Engineer];
/// May speak on tickets.
const SPEAKERS: &[Role] = &[Admin, Operator, Engineer, Customer];
/// May see who did what.
const ADMINS: &[Role] = &[Admin];

/// What a method is about, for tokens that are limited to customers or sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its handler asks [`crate::sight::Sight`] before it tells or changes anything; `tests/scopes.rs` tries it.
    Scoped,
    /// It is about the fleet as a whole: limited tokens may not call it.
    Fleet,
    /// There is nothing of anybody in it.
    Open,
}
use Reach::{Fleet, Open, Scoped};

/// Each method, the roles that may call it, and what it is about. In doubt: [`Reach::Fleet`].
///
/// Of the fleet as a whole, and so not for limited tokens:
/// - the switch of orders (`StopOrders`, `ResumeOrders`) and the clock (`ConfirmTime`): there is one of each;
/// - agents: one of them watches servers of many customers;
/// - the chain of the audit log, the terms for which things are kept, the erasure of people and customers, and holds: whoever keeps the
///   records does that, and a person may stand in tickets of everybody.
pub const RIGHTS: &[(&str, &[Role], Reach)] = &[
    ("outband.ingest.v1.IngestService/Stream", &[Agent], Fleet),
    ("outband.enrol.v1.RenewalService/RenewCertificate", &[Agent], Fleet),
    // For whoever has nothing yet: these stand before the gate, and no token lets anybody call them elsewhere.
    ("outband.enrol.v1.EnrolService/Join", &[], Fleet),
    ("outband.enrol.v1.EnrolService/Knock", &[], Fleet),
    ("outband.enrol.v1.EnrolService/Collect", &[], Fleet),
    ("outband.enrol.v1.IdentityService/CreateInvite", ADMINS, Fleet),
    ("outband.enrol.v1.IdentityService/ListInvites", ADMINS, Fleet),
    ("outband.enrol.v1.IdentityService/RevokeInvite", ADMINS, Fleet),
    ("outband.enrol.v1.IdentityService/ListPendingAgents", ADMINS, Fleet),
    ("outband.enrol.v1.IdentityService/ApprovePendingAgent", ADMINS, Fleet),
    ("outband.enrol.v1.IdentityService/RevokeAgent", ADMINS, Fleet),
    ("outband.health.v1.HealthService/GetHealth", READERS, Scoped),
    ("outband.health.v1.HealthService/ListHealth", READERS, Scoped),
    ("outband.health.v1.HealthService/WatchHealth", READERS, Scoped),
    ("outband.health.v1.HealthService/ListServers", READERS_AND_CUSTOMERS, Scoped),
    ("outband.health.v1.HealthService/GetServer", READERS_AND_CUSTOMERS, Scoped),
    ("outband.telemetry.v1.TelemetryService/ListLatestReadings", READERS, Scoped),
    ("outband.telemetry.v1.TelemetryService/ListReadings", READERS, Scoped),
    ("outband.telemetry.v1.TelemetryService/ListEvents", READERS, Scoped),
    ("outband.telemetry.v1.TelemetryService/ListGaps", READERS, Scoped),
    ("outband.ticket.v1.TicketService/ListTickets", READERS_AND_CUSTOMERS, Scoped),
    ("outband.ticket.v1.TicketService/GetTicket", READERS_AND_CUSTOMERS, Scoped),
    ("outband.ticket.v1.TicketService/WatchTickets", READERS_AND_CUSTOMERS, Scoped),
    ("outband.ticket.v1.TicketService/CommentTicket", SPEAKERS, Scoped),
    ("outband.ticket.v1.TicketService/TransitionTicket", WORKERS, Scoped),
    ("outband.ticket.v1.TicketService/ReachMilestone", WORKERS, Scoped),
    ("outband.sla.v1.SlaService/ComputeSla", READERS, Scoped),
    ("outband.sla.v1.SlaService/GetTime", READERS, Open),
    ("outband.sla.v1.SlaService/ConfirmTime", &[Admin, Operator], Fleet),
    ("outband.report.v1.ReportService/GetSlaReport", READERS_AND_CUSTOMERS, Scoped),
    ("outband.report.v1.ReportService/GetReliabilityReport", READERS_AND_CUSTOMERS, Scoped),
    ("outband.report.v1.ReportService/GetFaultReport", READERS_AND_CUSTOMERS, Scoped),
    ("outband.agent.v1.AgentService/ListAgents", READERS, Fleet),
    ("outband.notice.v1.NoticeService/ListNotices", READERS, Scoped),
    ("outband.notice.v1.NoticeService/GetNotice", READERS, Scoped),
    ("outband.notice.v1.NoticeService/ReplayNotice", WORKERS, Scoped),
    ("outband.notice.v1.NoticeService/AcknowledgeTicket", WORKERS, Scoped),
    ("outband.order.v1.OrderService/ListOrders", READERS, Scoped),
    ("outband.order.v1.OrderService/GetOrder", READERS, Scoped),
    ("outband.order.v1.OrderService/RequestOrder", WORKERS, Scoped),
    ("outband.order.v1.OrderService/ApproveOrder", &[Admin, Operator], Scoped),
    ("outband.order.v1.OrderService/RejectOrder", WORKERS, Scoped),
    ("outband.order.v1.OrderService/StopOrders", WORKERS, Fleet),
    ("outband.order.v1.OrderService/ResumeOrders", &[Admin, Operator], Fleet),
    ("outband.order.v1.OrderService/GetAttachment", WORKERS, Scoped),
    ("outband.outcome.v1.OutcomeService/GetPrecision", READERS, Scoped),
    ("outband.outcome.v1.OutcomeService/ListOutcomes", READERS, Scoped),
    ("outband.outcome.v1.OutcomeService/ExportHistory", &[Admin, Operator], Scoped),
    ("outband.notice.v1.NoticeService/ListContacts", READERS, Scoped),
    ("outband.callpack.v1.CallPackService/GenerateCallPack", WORKERS, Scoped),
    ("outband.callpack.v1.CallPackService/GetTimeline", READERS, Scoped),
    ("outband.grant.v1.GrantService/ListGrants", READERS, Scoped),
    ("outband.grant.v1.GrantService/CreateGrant", &[Admin, Operator], Scoped),
    ("outband.grant.v1.GrantService/EndGrant", &[Admin, Operator], Scoped),
    ("outband.incident.v1.IncidentService/ListIncidents", READERS, Scoped),
    ("outband.maintenance.v1.MaintenanceService/ListWindows", READERS, Scoped),
    ("outband.maintenance.v1.MaintenanceService/CreateWindow", WORKERS, Scoped),
    ("outband.maintenance.v1.MaintenanceService/UpdateWindow", WORKERS, Scoped),
    ("outband.maintenance.v1.MaintenanceService/EndWindow", WORKERS, Scoped),
    ("outband.check.v1.CheckService/RunHealthCheck", WORKERS, Scoped),
    ("outband.check.v1.CheckService/GetHealthCheck", READERS, Scoped),
    ("outband.check.v1.CheckService/ListHealthChecks", READERS, Scoped),
    ("outband.drill.v1.DrillService/ListDrills", READERS, Scoped),
    ("outband.drill.v1.DrillService/GetDrill", READERS, Scoped),
    ("outband.drill.v1.DrillService/StartDrill", WORKERS, Scoped),
    ("outband.drill.v1.DrillService/EndDrill", WORKERS, Scoped),
    ("outband.threshold.v1.ThresholdService/ListThresholds", READERS, Scoped),
    ("outband.threshold.v1.ThresholdService/ListParameters", READERS, Open),
    ("outband.threshold.v1.ThresholdService/CreateThreshold", WORKERS, Scoped),
    ("outband.threshold.v1.ThresholdService/EndThreshold", WORKERS, Scoped),
    ("outband.fleet.v1.FleetService/ListFailureRates", READERS_AND_CUSTOMERS, Scoped),
    ("outband.fleet.v1.FleetService/ListMonthlyFailures", READERS_AND_CUSTOMERS, Scoped),
    ("outband.fleet.v1.FleetService/GetSurvival", READERS_AND_CUSTOMERS, Scoped),
    ("outband.fleet.v1.FleetService/ListSpareProposals", READERS, Scoped),
    ("outband.fleet.v1.FleetService/ListRollups", READERS_AND_CUSTOMERS, Scoped),
    ("outband.fleet.v1.FleetService/ListLoadForecasts", READERS, Scoped),
    ("outband.fleet.v1.FleetService/ListHeadroom", READERS, Scoped),
    ("outband.audit.v1.AuditService/ListAuditEntries", ADMINS, Scoped),
    ("outband.audit.v1.AuditService/VerifyAudit", ADMINS, Fleet),
    ("outband.record.v1.RecordService/ErasePerson", ADMINS, Fleet),
    ("outband.record.v1.RecordService/ExportCustomer", ADMINS, Scoped),
    ("outband.record.v1.RecordService/EraseCustomer", ADMINS, Fleet),
    ("outband.record.v1.RecordService/PreviewRetention", ADMINS, Fleet),
    ("outband.record.v1.RecordService/ListHolds", ADMINS, Fleet),
    ("outband.record.v1.RecordService/CreateHold", ADMINS, Fleet),
    ("outband.record.v1.RecordService/ReleaseHold", ADMINS, Fleet),
    // The last: it closes a ticket.
    ("outband.outcome.v1.OutcomeService/RefutePrediction", WORKERS, Scoped),
    ("grpc.health.v1.Health/Check", READERS_AND_CUSTOMERS, Open),
    ("grpc.health.v1.Health/List", READERS_AND_CUSTOMERS, Open),
    ("grpc.health.v1.Health/Watch", READERS_AND_CUSTOMERS, Open),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", READERS_AND_CUSTOMERS, Open),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", READERS_AND_CUSTOMERS, Open),
];

/// The roles that may call a method, `package.Service/Method`; none where it does not stand in the table.
pub fn allowed(method: &str) -> &'static [Role] {
    RIGHTS.iter().find(|(name, ..)| *name == method).map_or(&[], |(_, roles, _)| *roles)
}

/// What a method is about.
pub fn reach(method: &str) -> Reach {
    RIGHTS.iter().find(|(name, ..)| *name == method).map_or(Fleet, |(.., reach)| *reach)
}

/// How the names of methods begin that only tell. The agents' stream, which changes things all the time, is not of people's making.
const TELLS: &[&str] = &[
    "Get",
    "List",
    "Watch",
    "Compute",
    "Verify",
    "Preview",
    "Export",
    "Generate",
    "Stream",
    "ServerReflection",
    "Check",
];

/// Whether a method changes something. In doubt it does.
pub fn changes(method: &str) -> bool {
    let verb = method.split('/').nth(1).unwrap_or_default();
    !TELLS.iter().any(|tells| verb.starts_with(tells))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use std::collections::BTreeSet;

    /// Every method of every service of ours.
    fn methods() -> BTreeSet<String> {
        let files = FileDescriptorSet::decode(outband_proto::DESCRIPTORS).unwrap().file;
        let mut all = BTreeSet::new();
        for file in &files {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                all.extend(service.method.iter().map(|m| format!("{name}/{}", m.name())));
            }
        }
        all
    }

    #[test]
    fn every_method_of_every_service_stands_in_the_table_once_and_nothing_else_does() {
        let told: Vec<&str> = RIGHTS.iter().map(|(name, ..)| *name).filter(|n| n.starts_with("outband.")).collect();
        let set: BTreeSet<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), set.len(), "a method stands twice");
        let missing: Vec<_> = methods().difference(&set).cloned().collect();
        assert!(
            missing.is_empty(),
            "nobody may call these until they have a row in collector/src/rights.rs: {missing:?}"
        );
        let gone: Vec<_> = set.difference(&methods()).cloned().collect();
        assert!(gone.is_empty(), "there is no such method: {gone:?}");
    }

    #[test]
    fn an_agent_may_send_and_renew_its_certificate_and_nobody_else_may() {
        let of_agents: Vec<&str> = RIGHTS.iter().filter(|(_, r, _)| r.contains(&Agent)).map(|(n, ..)| *n).collect();
        assert_eq!(
            of_agents,
            ["outband.ingest.v1.IngestService/Stream", "outband.enrol.v1.RenewalService/RenewCertificate"]
        );
        assert!(of_agents.iter().all(|method| allowed(method) == [Agent]));
    }

    #[test]
    fn who_may_only_look_changes_nothing() {
        for (method, roles, _) in RIGHTS.iter().filter(|(m, ..)| m.starts_with("outband.")) {
            assert!(!changes(method) || !roles.contains(&Viewer), "{method}");
        }
    }

    #[test]
    fn a_customer_calls_nothing_that_is_about_the_whole_fleet() {
        let of_customers = RIGHTS.iter().filter(|(_, roles, _)| roles.contains(&Customer));
        for (method, _, reach) in of_customers {
            assert_ne!(*reach, Fleet, "{method}");
        }
        assert_eq!(reach("outband.ticket.v1.TicketService/DeleteTicket"), Fleet);
    }

    #[test]
    fn what_does_not_stand_in_the_table_is_nobodys() {
        assert!(allowed("outband.ticket.v1.TicketService/DeleteTicket").is_empty());
    }
}
