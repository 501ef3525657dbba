//! Renews the certificate of a running agent at half of its life.

use super::identity::{self, Identity, Request};
use crate::uplink::client;
use crate::uplink::{Credential, Options};
use outband_proto::enrol::RenewCertificateRequest;
use outband_proto::enrol::renewal_service_client::RenewalServiceClient;
use outband_schemas::{Clock, Timestamp};
use rand::{Rng, RngExt};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The clock is looked at so often: it may jump.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a renewal may take.
const WITHIN: Duration = Duration::from_secs(30);

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file, or the key.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] client::Error),
    /// The collector said no.
    #[error("{}: {}", .0.code(), .0.message())]
    Refused(#[from] Box<tonic::Status>),
    /// No answer.
    #[error("no answer within {} s", WITHIN.as_secs())]
    Late,
    /// What came is no certificate for the key.
    #[error("what the collector sent is no certificate of this agent")]
    NoCertificate,
}

/// Has a request certified by the collector.
pub trait Certify: Send + Sync {
    /// The certificate (PEM) for this request (PKCS #10, DER).
    fn certify(&self, options: &Options, csr: Vec<u8>) -> impl Future<Output = Result<String, Error>> + Send;
}

/// Over TLS with the certificate that is still good, at the first address that answers.
#[derive(Debug, Clone, Copy)]
pub struct Network;

impl Certify for Network {
    async fn certify(&self, options: &Options, csr: Vec<u8>) -> Result<String, Error> {
        let mut last = Error::Late;
        for endpoint in &options.endpoints {
            match tokio::time::timeout(WITHIN, ask(endpoint, options, csr.clone())).await {
                Ok(Ok(pem)) => return Ok(pem),
                Ok(Err(error)) => last = error,
                Err(_) => last = Error::Late,
            }
        }
        Err(last)
    }
}

async fn ask(endpoint: &str, options: &Options, csr: Vec<u8>) -> Result<String, Error> {
    let mut client = RenewalServiceClient::new(client::connect(endpoint, options).await?);
    let answer = client.renew_certificate(RenewCertificateRequest { csr }).await.map_err(Box::new)?.into_inner();
    answer.issued.map(|issued| issued.certificate_pem).ok_or(Error::NoCertificate)
}

/// Renews what the options name, until cancelled. `renewed` counts, so that the stream comes back with the new certificate.
pub async fn run(
    certify: impl Certify,
    options: impl Fn() -> Options + Send,
    clock: impl Clock + Send,
    rng: impl Rng + Send,
    renewed: watch::Sender<u64>,
    cancel: CancellationToken,
) {
    let mut keeper = Keeper { certify, rng, not_before: None };
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if keeper.look(&options(), clock.now()).await {
            renewed.send_modify(|count| *count += 1);
        }
    }
}

/// Looks after a certificate.
struct Keeper<K, R> {
    certify: K,
    rng: R,
    /// After a failure: when to try again.
    not_before: Option<Timestamp>,
}

impl<K: Certify, R: Rng> Keeper<K, R> {
    /// Renews the certificate if it is time to. Whether there is a new one.
    async fn look(&mut self, options: &Options, now: Timestamp) -> bool {
        let Credential::Identity { file, .. } = &options.credential else { return false };
        let present = match Identity::read(file) {
            Ok(present) => present,
            Err(error) => {
                tracing::error!(%error, "this agent has no certificate that could be renewed");
                return false;
            }
        };
        // A clock that went far back would have it wait for ever.
        let waits = self.not_before.is_some_and(|at| now < at && at.since(now) <= present.life());
        if now < present.due_at() || waits {
            return false;
        }
        match once(&self.certify, options, file, &present).await {
            Ok(new) => {
                tracing::info!(agent = %new.agent, until = %new.not_after, "the certificate was renewed");
                self.not_before = None;
                true
            }
            Err(error) => {
                let left = present.not_after.since(now);
                let Identity { agent, site, .. } = &present;
                if present.is_near_its_end(now) {
                    tracing::error!(%error, ?left, "the certificate ends soon and cannot be renewed; once it has ended, this agent needs an invite: outband agent invite --agent {agent} --site {site}");
                } else {
                    tracing::warn!(%error, ?left, "the certificate cannot be renewed yet");
                }
                // Some dozens of tries before the end; not all agents at once.
                let wait = (present.life() / 64).mul_f64(self.rng.random_range(0.5..1.5));
                self.not_before = Some(now.plus(wait));
                false
            }
        }
    }
}

async fn once(certify: &impl Certify, options: &Options, file: &Path, present: &Identity) -> Result<Identity, Error> {
    let request = Request::new(Some(&present.agent))?;
    let pem = certify.certify(options, request.csr.clone()).await?;
    let new = request.certified(&pem).filter(|new| (&new.agent, &new.site) == (&present.agent, &present.site));
    let new = new.ok_or(Error::NoCertificate)?;
    identity::write(file, &new.pem, true)?;
    Ok(new)
}

#[cfg(test)]
mod tests;
