//! Which record of refused logins a probe goes by: that of the agent on this machine where it may, else one of the person's own.

use super::Error;
use crate::args::ProbeArgs;
use crate::config::DEFAULT_DATA_DIR;
use crate::poll::guard::Guard;
use std::path::{Path, PathBuf};

const CONFIG: &str = "/etc/outband/agent.toml";

/// The guard of this probe.
pub(super) fn guard(args: &ProbeArgs) -> Result<Guard, Error> {
    if let Some(dir) = &args.data_dir {
        return Ok(Guard::of(dir));
    }
    let agents = Guard::of(&agents_data_dir());
    if agents.is_usable() {
        return Ok(agents);
    }
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    state.map(|dir| Guard::of(&dir.join("outband-agent"))).ok_or(Error::NoRecord)
}

fn agents_data_dir() -> PathBuf {
    let config = std::env::var_os("OUTBAND_AGENT_CONFIG").map_or_else(|| PathBuf::from(CONFIG), PathBuf::from);
    configured(&config).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
}

/// Only this one field of a config that may be unreadable or unusable as a whole.
fn configured(config: &Path) -> Option<PathBuf> {
    let file: toml::Table = toml::from_str(&std::fs::read_to_string(config).ok()?).ok()?;
    let dir = file.get("agent")?.get("data_dir")?.as_str()?;
    Some(config.parent()?.join(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_of_a_config_is_beside_it_where_it_is_relative() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("agent.toml");
        std::fs::write(&config, "[agent]\ndata_dir = \"data\"\n[nonsense]\n").unwrap();
        assert_eq!(configured(&config), Some(dir.path().join("data")));
        assert_eq!(configured(&dir.path().join("none")), None);
    }
}
