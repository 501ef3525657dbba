//! Compiles the `.proto` files with protox, so that no `protoc` is needed.

use prost::Message;
use std::path::PathBuf;

const FILES: &[&str] = &[
    "outband/agent/v1/agent.proto",
    "outband/audit/v1/audit.proto",
    "outband/check/v1/check.proto",
    "outband/drill/v1/drill.proto",
    "outband/enrol/v1/enrol.proto",
    "outband/callpack/v1/callpack.proto",
    "outband/fleet/v1/fleet.proto",
    "outband/grant/v1/grant.proto",
    "outband/health/v1/health.proto",
    "outband/incident/v1/incident.proto",
    "outband/ingest/v1/ingest.proto",
    "outband/maintenance/v1/maintenance.proto",
    "outband/notice/v1/notice.proto",
    "outband/order/v1/order.proto",
    "outband/outcome/v1/outcome.proto",
    "outband/sla/v1/sla.proto",
    "outband/record/v1/record.proto",
    "outband/report/v1/report.proto",
    "outband/telemetry/v1/observation.proto",
    "outband/telemetry/v1/telemetry.proto",
    "outband/threshold/v1/threshold.proto",
    "outband/ticket/v1/ticket.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("outband.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
