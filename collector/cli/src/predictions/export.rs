//! `outband predictions export`: the history of drives for training, as files.

use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::paging;
use crate::words::Word;
use outband_proto::outcome::ExportHistoryRequest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that was written.
#[derive(Debug, Clone, Serialize)]
struct Written {
    file: String,
    /// Without its heading.
    rows: u64,
}

const WRITTEN: &[Column<Written>] = &[
    Column { key: "file", head: Word::Name, wide: false, cell: |v, _| v.file.clone(), raw: |v| v.file.clone() },
    Column { key: "rows", head: Word::Rows, wide: false, cell: |v, _| v.rows.to_string(), raw: |v| v.rows.to_string() },
];

/// Under its name there is each whole file, or what was there before.
pub(super) async fn export(context: &Context, out: &Path) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(failed(out))?;
    let mut pieces = context.api.outcomes().export_history(ExportHistoryRequest {}).await?.into_inner();
    let mut files: BTreeMap<String, (PathBuf, File, u64)> = BTreeMap::new();
    while let Some(piece) = pieces.message().await? {
        if !piece.file.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.') || piece.file.starts_with('.')
        {
            return Err(Error::Content {
                path: out.to_owned(),
                detail: format!("{:?} is no file of ours", piece.file),
            });
        }
        if !files.contains_key(&piece.file) {
            let partial = out.join(format!("{}.part", piece.file));
            // For the eyes of whoever asked: it names drives.
            let mut options = OpenOptions::new();
            let file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(failed(&partial))?;
            files.insert(piece.file.clone(), (partial, file, 0));
        }
        let Some((partial, file, lines)) = files.get_mut(&piece.file) else { continue };
        file.write_all(&piece.chunk).map_err(failed(partial))?;
        *lines += piece.chunk.iter().map(|b| u64::from(*b == b'\n')).sum::<u64>();
    }
    let mut written = Vec::new();
    for (name, (partial, file, lines)) in files {
        file.sync_all().map_err(failed(&partial))?;
        std::fs::rename(&partial, out.join(&name)).map_err(failed(&partial))?;
        written.push(Written { file: name, rows: lines.saturating_sub(1) });
    }
    let paged = paging::follow(0, async |_, _| Ok((written.clone(), String::new()))).await?;
    output::print(&context.render(&List { name: "files", columns: WRITTEN, paged, none: Word::NoOutcomes })?)
}
