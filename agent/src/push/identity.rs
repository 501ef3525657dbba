//! The listener's key and certificate: those that are configured, or its own, made once and kept beside the spool.

use crate::config::{Identity, Listen};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The listener cannot show a certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path} holds no {what} in PEM form")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The agent's own could not be made.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
    /// Key and certificate do not go together.
    #[error("the listener's certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the listener's TLS is made of; `None` where its URL says plain HTTP.
pub(super) fn server_config(listen: &Listen, data_dir: &Path) -> Result<Option<Arc<ServerConfig>>, IdentityError> {
    if !listen.url.starts_with("https:") {
        return Ok(None);
    }
    let identity = match &listen.identity {
        Some(identity) => identity.clone(),
        None => own(&listen.url, data_dir)?,
    };
    let not_pem = |path: &Path, what| IdentityError::NotPem { path: path.to_owned(), what };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&identity.cert)?).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(not_pem(&identity.cert, "certificate"));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&read(&identity.key)?).map_err(|_| not_pem(&identity.key, "private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Some(Arc::new(config)))
}

/// The agent's own: made for the host of `url`, and again when that changes.
fn own(url: &str, data_dir: &Path) -> Result<Identity, IdentityError> {
    let dir = data_dir.join("push");
    let identity = Identity { cert: dir.join("listener.pem"), key: dir.join("listener.key") };
    let host = url::Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let named = dir.join("listener.host");
    if identity.cert.exists() && identity.key.exists() && fs::read_to_string(&named).is_ok_and(|h| h == host) {
        return Ok(identity);
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError::Io { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(at(&dir))?;
    let made = rcgen::generate_simple_self_signed(vec![host.clone()])?;
    write(&identity.key, made.signing_key.serialize_pem().as_bytes()).map_err(at(&identity.key))?;
    write(&identity.cert, made.cert.pem().as_bytes()).map_err(at(&identity.cert))?;
    // Last: without it, the two are made again.
    write(&named, host.as_bytes()).map_err(at(&named))?;
    tracing::info!(certificate = %identity.cert.display(), host, "the push listener's own certificate was made");
    Ok(identity)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    // The mode counts only for a file that is made here.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn listen(url: &str) -> Listen {
        Listen { at: ([127, 0, 0, 1], 0).into(), url: url.to_owned(), identity: None }
    }

    #[test]
    fn a_certificate_of_its_own_is_made_once_and_again_for_another_host() {
        let dir = tempfile::tempdir().unwrap();
        let cert = || fs::read(dir.path().join("push/listener.pem")).unwrap();
        assert!(server_config(&listen("https://10.0.0.5:7443"), dir.path()).unwrap().is_some());
        let first = cert();
        let mode = fs::metadata(dir.path().join("push/listener.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        server_config(&listen("https://10.0.0.5:9443"), dir.path()).unwrap();
        assert_eq!(cert(), first);
        server_config(&listen("https://[fd00::5]:7443"), dir.path()).unwrap();
        assert_ne!(cert(), first);
    }

    #[test]
    fn a_plain_url_needs_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        assert!(server_config(&listen("http://10.0.0.5:7080"), dir.path()).unwrap().is_none());
        assert!(!dir.path().join("push").exists());
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        let identity = Identity { cert: dir.path().join("c.pem"), key: dir.path().join("k.pem") };
        fs::write(&identity.cert, made.cert.pem()).unwrap();
        fs::write(&identity.key, "nonsense").unwrap();
        let listen = Listen { identity: Some(identity), ..listen("https://a:1") };
        assert!(server_config(&listen, dir.path()).unwrap_err().to_string().contains("k.pem"));
    }
}
