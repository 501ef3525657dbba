//! `outband-agent join`: from a line, or from six words, to a certificate.

use super::args::JoinArgs;
use super::chain::{self, Ca};
use super::identity::{self, CA_FILE, FILE, Identity, Request};
use super::sha256;
use crate::config::secret;
use outband_proto::enrol::enrol_service_client::EnrolServiceClient;
use outband_proto::enrol::{CollectRequest, IssuedCertificate, JoinRequest, KnockRequest};
use outband_schemas::enrol::{InviteLine, LineError, is_address, words, words_input};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

const WITHIN: Duration = Duration::from_secs(15);
/// How often it is asked whether somebody approved.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// For how long, about; the collector forgets who waits for ten minutes.
const ASK_FOR: Duration = Duration::from_secs(590);
/// Longer than any line.
const MAX_LINE: u64 = 4096;

/// Why the agent did not join.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The line cannot be read.
    #[error("the line of the invite cannot be read: {0}")]
    Input(io::Error),
    /// The file may be read by others, or holds no line.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// The line is none.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The address is none.
    #[error("{0:?} is not HOST:PORT")]
    Address(String),
    /// The collector is not the one of the line, or cannot be reached.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// No verified connection.
    #[error(
        "no connection to {address} that its CA vouches for: {detail}; where its certificate has another name, say --domain NAME"
    )]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        detail: String,
    },
    /// The collector said no.
    #[error("the collector refused: {}", .0.message())]
    Refused(Box<tonic::Status>),
    /// Nobody approved in time.
    #[error("nobody approved these words in time; try again")]
    NobodyApproved,
    /// What it sent is no certificate for this key.
    #[error("what the collector sent is no certificate of an agent")]
    NoCertificate,
    /// A file.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// Nobody reads what is printed.
    #[error("cannot be printed: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether the command line, or the line, is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Input(_) | Self::Secret(_) | Self::Line(_) | Self::Address(_))
    }
}

/// Joins, and prints what has to stand in the config. What a person is to read meanwhile goes to `tell`.
pub async fn run(args: &JoinArgs, out: &mut impl Write, tell: &mut impl Write) -> Result<(), Error> {
    let domain = args.domain.as_deref();
    let request = Request::new(args.agent.as_ref())?;
    let (issued, ca, addresses) = match &args.collector {
        Some(address) => {
            let address = address.strip_prefix("https://").unwrap_or(address).trim_end_matches('/').to_owned();
            if !is_address(&address) {
                return Err(Error::Address(address));
            }
            let ca = chain::claimed(&address, domain).await?;
            (knock(args, &request, &address, &ca, tell).await?, ca, vec![address])
        }
        None => {
            let line: InviteLine = read_line(&args.line, tell)?.parse()?;
            let (issued, ca) = with_line(args, &request, &line).await?;
            (issued, ca, line.addresses().to_vec())
        }
    };
    // Only what fits the key that was made here is kept.
    let identity = request.certified(&issued.certificate_pem).ok_or(Error::NoCertificate)?;
    let files = keep(&args.dir, &identity, &ca)?;
    writeln!(
        tell,
        "This is agent {} at site {}; its certificate is good until {}, and the running agent renews it.\n{} holds the key. In the config:\n",
        identity.agent,
        identity.site,
        identity.not_after,
        files.0.display()
    )?;
    out.write_all(snippet(&identity, &addresses, domain, &files).as_bytes())?;
    Ok(out.flush()?)
}

/// The line: from standard input, from a file that others cannot read, or the argument itself.
fn read_line(from: &str, tell: &mut impl Write) -> Result<String, Error> {
    match from {
        "-" => {
            let mut line = String::new();
            io::stdin().lock().take(MAX_LINE).read_to_string(&mut line).map_err(Error::Input)?;
            Ok(line)
        }
        line if line.starts_with("outband-invite-") => {
            writeln!(
                tell,
                "This line was visible to everybody on this machine; next time: outband-agent join, and paste it."
            )?;
            Ok(line.to_owned())
        }
        path => Ok(secret::from_file(Path::new(path), None)?.expose().to_owned()),
    }
}

async fn with_line(args: &JoinArgs, request: &Request, line: &InviteLine) -> Result<(IssuedCertificate, Ca), Error> {
    let mut last = None;
    for address in line.addresses() {
        // The secret is told to nobody but a server that this CA vouches for.
        let ca = match chain::pinned(address, args.domain.as_deref(), &line.ca_sha256).await {
            Ok(ca) => ca,
            Err(error @ chain::Error::Connect { .. }) => {
                last = Some(Error::from(error));
                continue;
            }
            Err(other) => return Err(other.into()),
        };
        let mut client = match connect(address, args.domain.as_deref(), &ca).await {
            Ok(channel) => EnrolServiceClient::new(channel),
            Err(error) => {
                last = Some(error);
                continue;
            }
        };
        let agent = args.agent.as_ref().map(ToString::to_string).unwrap_or_default();
        let asked = JoinRequest { secret: line.secret.to_vec(), csr: request.csr.clone(), agent };
        let answer = client.join(asked).await.map_err(|e| Error::Refused(Box::new(e)))?.into_inner();
        return Ok((answer.issued.ok_or(Error::NoCertificate)?, ca));
    }
    Err(last.unwrap_or(Error::Line(LineError::Shape)))
}

async fn knock(
    args: &JoinArgs,
    request: &Request,
    address: &str,
    ca: &Ca,
    tell: &mut impl Write,
) -> Result<IssuedCertificate, Error> {
    let refused = |e| Error::Refused(Box::new(e));
    let mut client = EnrolServiceClient::new(connect(address, args.domain.as_deref(), ca).await?);
    let agent = args.agent.as_ref().map(ToString::to_string).unwrap_or_default();
    let knock = KnockRequest { csr: request.csr.clone(), agent };
    let handle = client.knock(knock.clone()).await.map_err(refused)?.into_inner().handle;
    let words = words(&sha256(&words_input(&ca.sha256(), &request.public_key()))).join(" ");
    writeln!(
        tell,
        "\n    {words}\n\nAn operator sees the same words by `outband agent pending`, and lets this agent in by\n    outband agent approve {words} --site SITE\nWhere the words differ, somebody sits in between. This waits for ten minutes."
    )?;
    approved(&mut client, knock, handle, (ASK_EVERY, ASK_FOR)).await
}

/// Asks so often, for so long, until somebody approved.
async fn approved(
    client: &mut EnrolServiceClient<Channel>,
    knock: KnockRequest,
    mut handle: Vec<u8>,
    (every, long): (Duration, Duration),
) -> Result<IssuedCertificate, Error> {
    let is_busy =
        |code: Code| matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Cancelled | Code::Unknown);
    let refused = |e| Error::Refused(Box::new(e));
    let begun = Instant::now();
    while begun.elapsed() < long {
        tokio::time::sleep(every).await;
        match client.collect(CollectRequest { handle: handle.clone() }).await {
            Ok(answer) => {
                if let Some(issued) = answer.into_inner().issued {
                    return Ok(issued);
                }
            }
            // A collector that was restarted has forgotten who waits. The words are those of the two keys: they stay the same.
            Err(gone) if gone.code() == Code::NotFound => match client.knock(knock.clone()).await {
                Ok(again) => handle = again.into_inner().handle,
                Err(busy) if is_busy(busy.code()) => {}
                Err(other) => return Err(refused(other)),
            },
            // The collector hangs up on strangers that have nothing to say; the next question comes over a new connection.
            Err(busy) if is_busy(busy.code()) => {}
            Err(other) => return Err(refused(other)),
        }
    }
    Err(Error::NobodyApproved)
}

async fn connect(address: &str, domain: Option<&str>, ca: &Ca) -> Result<Channel, Error> {
    let fail = |detail: String| Error::Connect { address: address.to_owned(), detail };
    let host = domain.unwrap_or_else(|| chain::host(address));
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.pem())).domain_name(host);
    let endpoint = Endpoint::from_shared(format!("https://{address}")).map_err(|e| fail(e.to_string()))?;
    let endpoint = endpoint.tls_config(tls).map_err(|e| fail(e.to_string()))?.connect_timeout(WITHIN).timeout(WITHIN);
    endpoint.connect().await.map_err(|e| fail(crate::uplink::client::chain(&e)))
}

/// Writes key, certificate and CA; where they are.
fn keep(dir: &Path, identity: &Identity, ca: &Ca) -> Result<(PathBuf, PathBuf), Error> {
    identity::make_dir(dir)?;
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let (file, ca_file) = (dir.join(FILE), dir.join(CA_FILE));
    identity::write(&ca_file, &ca.pem(), false)?;
    identity::write(&file, &identity.pem, true)?;
    Ok((file, ca_file))
}

/// What has to stand in the config.
fn snippet(identity: &Identity, addresses: &[String], domain: Option<&str>, files: &(PathBuf, PathBuf)) -> String {
    let endpoints: Vec<String> = addresses.iter().map(|a| format!("\"https://{a}\"")).collect();
    let domain = domain.map(|d| format!("domain = \"{d}\"\n")).unwrap_or_default();
    format!(
        "[agent]\nid = \"{}\"\nsite = \"{}\"\n\n[collector]\nendpoints = [{}]\nca_file = '{}'\nidentity_file = '{}'\n{domain}",
        identity.agent,
        identity.site,
        endpoints.join(", "),
        files.1.display(),
        files.0.display()
    )
}

#[cfg(test)]
mod tests;
