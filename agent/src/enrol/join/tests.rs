use super::*;
use outband_proto::enrol::enrol_service_server::{EnrolService, EnrolServiceServer};
use outband_proto::enrol::{CollectResponse, JoinResponse, KnockResponse};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server with a CA of its own that writes down every byte it is told.
struct Recorder {
    address: String,
    ca_sha256: [u8; 32],
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    async fn start() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca: CertificateDer<'static> = params.self_signed(&ca_key).unwrap().der().clone();
        let key = KeyPair::generate().unwrap();
        let params_of_leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = params_of_leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap().der().clone();
        let ca_sha256 = sha256(&ca);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![leaf, ca], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let record = heard.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, record) = (acceptor.clone(), record.clone());
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    // What HTTP/2 says first, so that the other side goes on to its request: empty settings.
                    tokio::io::AsyncWriteExt::write_all(&mut tls, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
                    tokio::io::AsyncWriteExt::flush(&mut tls).await.unwrap();
                    let mut bytes = [0; 4096];
                    while let Ok(n @ 1..) = tls.read(&mut bytes).await {
                        record.lock().unwrap().extend(&bytes[..n]);
                    }
                });
            }
        });
        Self { address, ca_sha256, heard }
    }

    fn heard(&self, what: &[u8]) -> bool {
        self.heard.lock().unwrap().windows(what.len()).any(|w| w == what)
    }
}

const SECRET: [u8; 16] = *b"a secret of tens";

fn args(dir: &Path, line: &Path) -> JoinArgs {
    JoinArgs { line: line.display().to_string(), collector: None, agent: None, domain: None, dir: dir.join("state") }
}

fn write_line(dir: &Path, address: &str, ca: [u8; 32]) -> PathBuf {
    let path = dir.join("line");
    let line = InviteLine::new(vec![address.to_owned()], ca, SECRET).unwrap();
    identity::write(&path, &line.reveal(), true).unwrap();
    path
}

#[tokio::test]
async fn to_a_server_with_another_ca_than_the_lines_the_secret_is_never_sent() {
    let (server, tmp) = (Recorder::start().await, tempfile::tempdir().unwrap());
    let line = write_line(tmp.path(), &server.address, [7; 32]);
    let refused = run(&args(tmp.path(), &line), &mut Vec::new(), &mut Vec::new()).await.unwrap_err();
    assert!(matches!(refused, Error::Chain(chain::Error::OtherCa { .. })), "{refused}");
    assert_eq!(server.heard.lock().unwrap().as_slice(), b"", "not a byte is said to it");
    assert!(!tmp.path().join("state").exists(), "nothing is kept");
}

/// That the recorder would hear the secret, if it were sent.
#[tokio::test]
async fn to_the_server_of_the_line_it_is_sent() {
    let (server, tmp) = (Recorder::start().await, tempfile::tempdir().unwrap());
    let line = write_line(tmp.path(), &server.address, server.ca_sha256);
    let args = args(tmp.path(), &line);
    let (mut out, mut tell) = (Vec::new(), Vec::new());
    let joining = run(&args, &mut out, &mut tell);
    let heard = async {
        while !server.heard(&SECRET) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = joining => panic!("it answers nothing: {done:?}"),
        () = heard => {}
    }
}

/// A collector that was restarted while somebody waited: of the first knock it knows nothing any more.
#[derive(Default)]
struct Restarted {
    knocks: std::sync::atomic::AtomicU8,
    approves: bool,
}

#[tonic::async_trait]
impl EnrolService for Restarted {
    async fn join(&self, _: tonic::Request<JoinRequest>) -> Result<tonic::Response<JoinResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn knock(&self, _: tonic::Request<KnockRequest>) -> Result<tonic::Response<KnockResponse>, tonic::Status> {
        let handle = vec![self.knocks.fetch_add(1, std::sync::atomic::Ordering::SeqCst)];
        Ok(tonic::Response::new(KnockResponse { handle, expires_at_ms: 0 }))
    }

    async fn collect(
        &self,
        request: tonic::Request<CollectRequest>,
    ) -> Result<tonic::Response<CollectResponse>, tonic::Status> {
        match request.into_inner().handle.as_slice() {
            [0] => Err(tonic::Status::not_found("nobody waits here under this handle, or no longer")),
            _ => {
                let issued = self.approves.then(IssuedCertificate::default);
                Ok(tonic::Response::new(CollectResponse { issued }))
            }
        }
    }
}

async fn waits_at(collector: Restarted, long: Duration) -> Result<IssuedCertificate, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = EnrolServiceServer::new(collector);
    let serving = tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let mut client = EnrolServiceClient::connect(address).await.unwrap();
    let knock = KnockRequest::default();
    let handle = client.knock(knock.clone()).await.unwrap().into_inner().handle;
    let came = approved(&mut client, knock, handle, (Duration::from_millis(2), long)).await;
    serving.abort();
    came
}

#[tokio::test]
async fn who_waits_for_a_collector_that_is_restarted_knocks_again_by_itself() {
    let collector = Restarted { approves: true, ..Restarted::default() };
    let came = waits_at(collector, Duration::from_secs(60)).await;
    assert_eq!(came.unwrap(), IssuedCertificate::default());
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let came = waits_at(Restarted::default(), Duration::from_millis(20)).await;
    assert!(matches!(came, Err(Error::NobodyApproved)), "{came:?}");
}

#[tokio::test]
async fn a_line_that_others_may_read_and_one_that_is_none_are_refused_before_anything_else() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("line");
    for (text, secret) in [("outband-invite-1/c:1/00/00", false), ("hello", true)] {
        identity::write(&path, text, secret).unwrap();
        let refused = run(&args(tmp.path(), &path), &mut Vec::new(), &mut Vec::new()).await.unwrap_err();
        assert!(refused.is_usage(), "{refused}");
    }
}

#[test]
fn the_snippet_is_what_the_config_wants() {
    let now = outband_schemas::Timestamp::from_secs(1_800_000_000);
    let tmp = tempfile::tempdir().unwrap();
    let identity = identity::tests::identity(now, Duration::from_secs(86_400));
    identity::write(&tmp.path().join(FILE), &identity.pem, true).unwrap();
    let pem = identity.pem.split_once("-----BEGIN CERT").map(|(_, rest)| format!("-----BEGIN CERT{rest}")).unwrap();
    identity::write(&tmp.path().join(CA_FILE), &pem, false).unwrap();
    let files = (tmp.path().join(FILE), tmp.path().join(CA_FILE));
    let text = snippet(&identity, &["c.example:7442".to_owned()], Some("c"), &files);
    let read =
        |text: &str| crate::config::read(&tmp.path().join("agent.toml"), text, &crate::config::Surroundings::default());
    let config = read(&text).unwrap();
    let file = tmp.path().join(FILE);
    assert_eq!(config.collector.credential, crate::uplink::Credential::Identity { file, renewed: 0 });
    assert_eq!((config.agent.as_str(), config.site.as_str()), ("a1", "dc1"));
    // An identity of somebody else, and two ways at once, are mistakes.
    let other = read(&text.replace("\"a1\"", "\"a2\"")).unwrap_err();
    assert!(other.to_string().contains("agent.id and agent.site have to say the same"), "{other}");
    let both = read(&format!("{text}token_file = 'x'\n")).unwrap_err();
    assert!(both.to_string().contains("keep one of the two"), "{both}");
}
