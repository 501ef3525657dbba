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

/// Each method, and the roles that may call it.
pub const RIGHTS: &[(&str, &[Role])] = &[
    ("outband.ingest.v1.IngestService/Stream", &[Agent]),
    ("outband.health.v1.HealthService/GetHealth", READERS),
    ("outband.health.v1.HealthService/ListHealth", READERS),
    ("outband.health.v1.HealthService/WatchHealth", READERS),
    ("outband.health.v1.HealthService/ListServers", READERS_AND_CUSTOMERS),
    ("outband.health.v1.HealthService/GetServer", READERS_AND_CUSTOMERS),
    ("outband.telemetry.v1.TelemetryService/ListLatestReadings", READERS),
    ("outband.telemetry.v1.TelemetryService/ListReadings", READERS),
    ("outband.telemetry.v1.TelemetryService/ListEvents", READERS),
    ("outband.telemetry.v1.TelemetryService/ListGaps", READERS),
    ("outband.ticket.v1.TicketService/ListTickets", READERS_AND_CUSTOMERS),
    ("outband.ticket.v1.TicketService/GetTicket", READERS_AND_CUSTOMERS),
    ("outband.ticket.v1.TicketService/WatchTickets", READERS_AND_CUSTOMERS),
    ("outband.ticket.v1.TicketService/CommentTicket", SPEAKERS),
    ("outband.ticket.v1.TicketService/TransitionTicket", WORKERS),
    ("outband.ticket.v1.TicketService/ReachMilestone", WORKERS),
    ("outband.sla.v1.SlaService/ComputeSla", READERS),
    ("outband.sla.v1.SlaService/GetTime", READERS),
    ("outband.sla.v1.SlaService/ConfirmTime", &[Admin, Operator]),
    ("outband.agent.v1.AgentService/ListAgents", READERS),
    ("outband.notice.v1.NoticeService/ListNotices", READERS),
    ("outband.notice.v1.NoticeService/GetNotice", READERS),
    ("outband.notice.v1.NoticeService/ReplayNotice", WORKERS),
    ("outband.notice.v1.NoticeService/AcknowledgeTicket", WORKERS),
    ("outband.incident.v1.IncidentService/ListIncidents", READERS),
    ("outband.maintenance.v1.MaintenanceService/ListWindows", READERS),
    ("outband.maintenance.v1.MaintenanceService/CreateWindow", WORKERS),
    ("outband.maintenance.v1.MaintenanceService/UpdateWindow", WORKERS),
    ("outband.maintenance.v1.MaintenanceService/EndWindow", WORKERS),
    ("outband.audit.v1.AuditService/ListAuditEntries", ADMINS),
    ("outband.audit.v1.AuditService/VerifyAudit", ADMINS),
    ("outband.record.v1.RecordService/ErasePerson", ADMINS),
    ("outband.record.v1.RecordService/ExportCustomer", ADMINS),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", READERS_AND_CUSTOMERS),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", READERS_AND_CUSTOMERS),
];

/// The roles that may call a method, `package.Service/Method`; none where it does not stand in the table.
pub fn allowed(method: &str) -> &'static [Role] {
    RIGHTS.iter().find(|(name, _)| *name == method).map_or(&[], |(_, roles)| *roles)
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
        let told: Vec<&str> = RIGHTS.iter().map(|(name, _)| *name).filter(|n| n.starts_with("outband.")).collect();
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
    fn an_agent_may_send_and_nothing_else_and_nobody_else_may() {
        let of_agents: Vec<&str> = RIGHTS.iter().filter(|(_, r)| r.contains(&Agent)).map(|(n, _)| *n).collect();
        assert_eq!(of_agents, ["outband.ingest.v1.IngestService/Stream"]);
        assert_eq!(allowed(of_agents[0]), &[Agent]);
    }

    #[test]
    fn who_may_only_look_changes_nothing() {
        for (method, roles) in RIGHTS.iter().filter(|(m, _)| m.starts_with("outband.")) {
            let verb = method.split('/').nth(1).unwrap_or_default();
            let reads =
                ["Get", "List", "Watch", "Query", "Compute", "Verify", "Export"].iter().any(|v| verb.starts_with(v));
            assert!(reads || !roles.contains(&Viewer), "{method}");
        }
    }

    #[test]
    fn what_does_not_stand_in_the_table_is_nobodys() {
        assert!(allowed("outband.ticket.v1.TicketService/DeleteTicket").is_empty());
    }
}
