//! Strangers at both ports: without a certificate, without a token. They get nothing but a refusal, and nobody else notices them.

use crate::ground::{Ground, PATIENCE, setting};
use outband_tests::wait_until;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::codegen::http::uri::PathAndQuery;

/// Where agents and operators come in.
fn ports(ground: &Ground) -> [SocketAddr; 2] {
    let run: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(ground.stack.collector_dir().join("run.json")).unwrap()).unwrap();
    ["agents_addr", "operators_addr"].map(|key| run[key].as_str().unwrap().parse().unwrap())
}

/// What comes back until the other side ends it.
fn until_closed(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => panic!("it is still open"),
            Err(_) => return all,
        }
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    // Longer than anybody is borne with.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// A TLS connection of a client that has no certificate, speaking these protocols.
fn tls(
    ground: &Ground,
    addr: SocketAddr,
    protocols: &[&[u8]],
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let mut roots = rustls::RootCertStore::empty();
    let ca = ground.stack.collector_dir().join("ca.pem");
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(client, connect(addr))
}

/// `outband` still gets its answer.
fn operator_is_answered(ground: &Ground) {
    let answer = ground.stack.outband().args(["agents", "-o", "json"]).env("LC_ALL", "C").output().unwrap();
    assert!(answer.status.success(), "{}\n{}", String::from_utf8_lossy(&answer.stderr), ground.tails());
}

/// The calls that a stranger might try: each of those of ours, reflection, health.
fn methods() -> Vec<String> {
    use prost::Message;
    let files = prost_types::FileDescriptorSet::decode(outband_proto::DESCRIPTORS).unwrap().file;
    let mut all: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let of = |s: &prost_types::ServiceDescriptorProto| {
                let name = format!("/{}.{}", file.package(), s.name());
                s.method.iter().map(|m| format!("{name}/{}", m.name())).collect::<Vec<_>>()
            };
            file.service.iter().flat_map(of).collect::<Vec<_>>()
        })
        .collect();
    all.extend(
        [
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/grpc.health.v1.Health/List",
            "/nothing/here",
        ]
        .map(str::to_owned),
    );
    all
}

/// Takes any bytes for a message, and makes them one.
#[derive(Debug, Default, Clone, Copy)]
struct Bytes;

impl tonic::codec::Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = tonic::Status;
    fn encode(&mut self, item: Vec<u8>, to: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), tonic::Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = tonic::Status;
    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Vec<u8>>, tonic::Status> {
        let mut all = vec![0; bytes::Buf::remaining(from)];
        bytes::Buf::copy_to_slice(from, &mut all);
        Ok(Some(all))
    }
}

/// What may be called without being somebody already: that is how one becomes somebody. It answers strangers with a refusal, too.
const JOINING: &str = "/outband.enrol.";

#[test]
fn a_stranger_gets_nothing_but_a_refusal_whatever_he_says() {
    let mut ground = Ground::new(1, "");
    ground.start();
    ground.flows(5);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ca = fs::read(ground.stack.collector_dir().join("ca.pem")).unwrap();
    for addr in ports(&ground) {
        // Every call, without a token and with a wrong one.
        runtime.block_on(async {
            let tls =
                tonic::transport::ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(&ca));
            let endpoint =
                tonic::transport::Endpoint::from_shared(format!("https://localhost:{}", addr.port())).unwrap();
            let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
            for method in methods() {
                for token in [None, Some("Bearer nobody"), Some("Basic eDp5")] {
                    let mut client = tonic::client::Grpc::new(channel.clone());
                    client.ready().await.unwrap();
                    let mut request = tonic::Request::new(tokio_stream::once(Vec::new()));
                    if let Some(token) = token {
                        request.metadata_mut().insert("authorization", token.parse().unwrap());
                    }
                    let path = PathAndQuery::try_from(method.clone()).unwrap();
                    let answer = match client.streaming(request, path, Bytes).await {
                        Err(status) => Err(status),
                        Ok(answer) => answer.into_inner().message().await,
                    };
                    let refused = match &answer {
                        Err(status) => {
                            use tonic::Code::{
                                InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Unimplemented,
                            };
                            matches!(status.code(), Unauthenticated | Unimplemented)
                                || method.starts_with(JOINING)
                                    && matches!(status.code(), PermissionDenied | InvalidArgument | NotFound)
                        }
                        Ok(_) => false,
                    };
                    assert!(refused, "{method} at {addr} with {token:?}: {answer:?}");
                }
            }
        });
        // HTTP and HTTP/2 in clear, and bytes that are nothing.
        for words in [
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            &[0; 64],
            &[0xFF; 4096],
            b"\x16\x03\x01\xFF\xFF",
        ] {
            let mut stream = connect(addr);
            stream.write_all(words).unwrap();
            let answer = until_closed(&mut stream);
            // A TLS alert (level 2: fatal) at most.
            let alert = answer.first() == Some(&21) && answer.len() <= 7;
            assert!(answer.is_empty() || alert, "{addr} answers {words:?} with {answer:?}");
        }
        // HTTP/1.1 within TLS.
        let mut stream = tls(&ground, addr, &[b"http/1.1"]);
        let said = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").and_then(|()| stream.flush());
        let answer = if said.is_ok() { until_closed(&mut stream) } else { Vec::new() };
        let text = String::from_utf8_lossy(&answer);
        // What HTTP/2 says to somebody who does not speak it: a SETTINGS and a GOAWAY frame, nothing of ours.
        assert!(!text.contains("HTTP/1.1 2") && answer.len() < 200, "{addr}: {text}");
    }
    ground.flows(3);
    operator_is_answered(&ground);
    ground.stop();
}

#[test]
fn whoever_says_nothing_or_says_it_slowly_is_shown_out() {
    let mut ground = Ground::new(1, "");
    ground.start();
    ground.flows(5);
    let begun = Instant::now();
    let waiting: Vec<_> = ports(&ground)
        .into_iter()
        .flat_map(|addr| {
            // Nothing; half a hello; a hello a byte a second; all of TLS and then nothing; all of HTTP/2 and then nothing.
            let silent = connect(addr);
            let mut half = connect(addr);
            half.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
            let slow = connect(addr);
            let drops = slow.try_clone().unwrap();
            std::thread::spawn(move || {
                let mut drops = drops;
                // The pace of somebody who wants to hold a place for long.
                while drops.write_all(b"\x16").is_ok() {
                    std::thread::park_timeout(Duration::from_secs(1));
                }
            });
            let mut shaken = tls(&ground, addr, &[b"h2"]);
            shaken.flush().unwrap();
            let mut spoken = tls(&ground, addr, &[b"h2"]);
            spoken.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
            spoken.flush().unwrap();
            let plain = [silent, half, slow].map(|mut s| std::thread::spawn(move || until_closed(&mut s)));
            let secret = [shaken, spoken].map(|mut s| std::thread::spawn(move || until_closed(&mut s)));
            plain.into_iter().chain(secret).collect::<Vec<_>>()
        })
        .collect();
    for one in waiting {
        one.join().expect("it is shown out");
    }
    assert!(begun.elapsed() < Duration::from_secs(55), "{:?}", begun.elapsed());
    ground.flows(3);
    operator_is_answered(&ground);
    ground.stop();
}

#[test]
fn thousands_of_idle_connections_from_one_address_keep_nobody_out() {
    let many = usize::try_from(setting("OUTBAND_STRANGERS", 10_000)).unwrap();
    let mut ground = Ground::new(2, "");
    ground.start();
    ground.flows(5);
    let limit = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, hard) = nix::sys::resource::getrlimit(limit).unwrap();
    nix::sys::resource::setrlimit(limit, hard, hard).unwrap();
    let many = many.min(usize::try_from(hard).unwrap().saturating_sub(500));
    let collector = ground.stack.processes()[0];
    let files = || fs::read_dir(format!("/proc/{collector}/fd")).unwrap().count();
    let before = files();
    let ports = ports(&ground);
    // They come back as fast as they are shown out, from this one address, for as long as this goes on.
    let mut idle = Vec::with_capacity(many);
    let mut most = 0;
    for n in 0..many {
        if let Ok(stream) = TcpStream::connect(ports[n % 2]) {
            idle.push(stream);
        }
        if n % 500 == 0 {
            most = most.max(files());
        }
    }
    most = most.max(files());
    assert!(idle.len() + 10 >= many, "only {} connections", idle.len());
    assert!(most < before + 2 * 512 + 200, "{before} files before, {most} with strangers: they are not bounded");
    // The streams that were there go on, an operator gets in, and an agent that was away comes back.
    ground.flows(4);
    operator_is_answered(&ground);
    ground.stack.stop_agent().unwrap();
    ground.happen(2);
    let begun = Instant::now();
    ground.stack.start_agent().unwrap();
    ground.each_event_is_there_once();
    eprintln!(
        "{} idle connections: {before} files of the collector before, {most} at most; an agent is back in {:?}",
        idle.len(),
        begun.elapsed()
    );
    drop(idle);
    assert!(wait_until(PATIENCE, || files() <= before + 8), "{} files are still open", files());
    ground.stop();
}
