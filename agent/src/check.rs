//! `outband-agent check-config`.

use crate::args::CheckOutput;
use crate::config::{self, Config, Invalid, Surroundings};
use outband_schemas::TargetId;
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

/// Prints what is wrong with a config, or that nothing is. Returns whether it is good.
pub fn run(path: &Path, around: &Surroundings, output: CheckOutput, out: &mut impl Write) -> io::Result<bool> {
    let result = config::load(path, around);
    match output {
        CheckOutput::Text => text(path, &result, out)?,
        CheckOutput::Json => {
            let problems = result.as_ref().err().map(|e| e.problems.as_slice()).unwrap_or_default();
            let targets = result.as_ref().map(|c| c.targets.len()).ok();
            let weak = result.iter().flat_map(weak).map(|(target, why)| json!({ "target": target, "weakness": why }));
            let weak: Vec<_> = weak.collect();
            let document = json!({
                "config": path,
                "ok": problems.is_empty(),
                "targets": targets,
                "problems": problems,
                "weaknesses": weak,
            });
            writeln!(out, "{document:#}")?;
        }
    }
    Ok(result.is_ok())
}

/// Targets whose sessions may be weak, and why.
fn weak(config: &Config) -> impl Iterator<Item = (&TargetId, String)> {
    config.targets.values().filter_map(|target| Some((&target.id, target.weakness()?)))
}

fn text(path: &Path, result: &Result<Config, Invalid>, out: &mut impl Write) -> io::Result<()> {
    match result {
        Ok(config) => {
            writeln!(
                out,
                "{}: good. Agent {} of site {}, {} targets, collector {}",
                path.display(),
                config.agent,
                config.site,
                config.targets.len(),
                config.collector.endpoints.join(", "),
            )?;
            weak(config).try_for_each(|(target, why)| writeln!(out, "weak: {target}: {why}"))
        }
        Err(invalid) => {
            for problem in &invalid.problems {
                writeln!(out, "{problem}")?;
            }
            let count = invalid.problems.len();
            writeln!(
                out,
                "{count} {} found; nothing was started or changed",
                if count == 1 { "problem" } else { "problems" }
            )
        }
    }
}
