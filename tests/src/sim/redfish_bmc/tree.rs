//! A captured tree of resources (`…/redfish/v1/…/index.json`), served as it is.

use super::{Content, Options, Service};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// A captured tree.
#[derive(Debug)]
pub struct RedfishTree {
    /// Decoded, lower-case path without the last slash → file.
    files: HashMap<String, PathBuf>,
}

impl RedfishTree {
    /// Looks through the folder that holds `redfish/v1`.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut files = HashMap::new();
        gather(dir, dir, &mut files)?;
        if files.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no index.json under {}", dir.display())));
        }
        Ok(Self { files })
    }

    /// Serves the tree under `dir` over HTTPS on loopback until the handle is dropped. Needs a tokio runtime.
    pub async fn serve(dir: &Path, options: Options) -> io::Result<Service> {
        Service::start(Self::open(dir)?, options).await
    }

    /// The paths of all resources, lower-case and decoded, in no order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn read(&self, path: &str) -> Option<Bytes> {
        let file = self.files.get(&key(path))?;
        std::fs::read(file)
            .map(Bytes::from)
            .inspect_err(|e| tracing::warn!(file = %file.display(), error = %e, "unreadable"))
            .ok()
    }
}

impl Content for RedfishTree {
    fn get(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        match query {
            // Pages were captured under their whole address, `Entries?$skip=50`.
            Some(query) => self.read(&format!("{path}?{query}")),
            None => self.read(path),
        }
    }
}

fn gather(root: &Path, dir: &Path, files: &mut HashMap<String, PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(root, &path, files)?;
        } else if path.file_name().is_some_and(|n| n == "index.json")
            && let Some(relative) = dir.strip_prefix(root).ok().and_then(Path::to_str)
        {
            files.insert(key(&format!("/{relative}")), path);
        }
    }
    Ok(())
}

/// BMCs differ in the case of what they link to and of what they serve, and so do captures.
pub(super) fn key(path: &str) -> String {
    percent_decoded(path).trim_end_matches('/').to_lowercase()
}

pub(super) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digit = |i: usize| tail.get(i).and_then(|b| char::from(*b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            out.push((high << 4 | low) as u8);
            rest = &tail[2..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
