//! Where things lie: the workspace, and the test data that is shared by projects beside it.

use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn workspace_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The folder of shared tools and test data: `$OUTBAND_SHARED`, or `../shared` beside the workspace; `None` where there is none.
pub fn shared_dir() -> Option<PathBuf> {
    let dir = match std::env::var_os("OUTBAND_SHARED") {
        Some(dir) => PathBuf::from(dir),
        None => workspace_dir().parent()?.join("shared"),
    };
    dir.is_dir().then_some(dir)
}
