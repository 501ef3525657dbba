//! What is kept on disks, packed or in rows, and what is said before there is trust.

use super::{encoded, observation_set, observations, runs, unsealed};
use crate::AT;
use crate::script::put_slice;
use outband_agent::enrol::identity::Request;
use outband_proto::{enrol as wire, pack};
use outband_schemas::enrol::{BACKDATED, InviteLine, identity_uri, words};
use outband_schemas::{AgentId, SiteId};
use outband_store::head::Arrival;
use outband_store::journal;
use prost::Message;
use rcgen::{CertificateParams, KeyPair, SanType};

/// Seeds of `packed_body`: bodies as they are, and packed.
pub fn packed_body() -> Vec<Vec<u8>> {
    let many = encoded((0..9).flat_map(|_| observations()).collect());
    let plain = observation_set().into_iter().chain([many]);
    plain.flat_map(|body| [pack::pack(body.clone()), body]).collect()
}

/// Seeds of `journal_row`, without the checksum.
pub fn journal_row() -> Vec<Vec<u8>> {
    let row = |arrivals: Vec<Arrival>| unsealed(journal::encode(arrivals.iter()));
    let of = |series: i64| move |point| Arrival { series, received_at: Some(AT), point };
    let mut rows: Vec<Vec<u8>> =
        runs().into_iter().zip(1..).map(|(points, n)| row(points.into_iter().map(of(n)).collect())).collect();
    rows.push(row((1..).zip(runs().into_iter().flatten()).map(|(series, point)| of(series)(point)).collect()));
    rows
}

/// Seeds of `spool_rows`: how much to keep, bodies, then what happens to rows, then what is done.
pub fn spool_rows() -> Vec<Vec<u8>> {
    let begun = [4, 60, 9, 8, 9, 3, 200, 4, 5, 6, 7, 8, 9];
    let spoilt: [&[u8]; 8] = [
        &[0],
        &[1, 1, 2, 0, 0, 0, 0],
        &[2, 0, 1, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3, 3, 9, 9, 9],
        &[1, 1, 1, 2, 1, 9, 4, 0],
        &[1, 0, 0, 1, 0xF0, 7, 4, 2],
        &[2, 0, 0, 3, 1, 7, 4, 1, 0, 1, 2, 2, 0, 0, 0],
        &[1, 1, 0, 2, 3, 4, 5],
        &[1, 1, 3, 0xF4, 2, 0, 2],
    ];
    let then = [4, 60, 3, 1, 2, 5, 3, 7, 7, 7, 9, 9];
    spoilt.map(|how| [&begun[..], how, &then].concat()).to_vec()
}

/// Seeds of `invite`.
pub fn invite() -> Vec<Vec<u8>> {
    let addresses = vec!["collector.example:7442".to_owned(), "[fd00::1]:7442".to_owned()];
    let line = InviteLine::new(addresses, [0xAB; 32], [0x42; 16]).expect("parts of a line");
    let (site, agent) = names();
    let texts = [
        line.reveal(),
        line.reveal().replace('/', "//"),
        words(&[7; 32]).join(" "),
        words(&[0xF3; 32]).join("-").to_uppercase(),
        identity_uri(&site, &agent),
        "raw-2026-W47.db".to_owned(),
        "5m-2026-11.db".to_owned(),
        "1h-2026.db".to_owned(),
    ];
    texts.into_iter().map(String::into_bytes).collect()
}

fn names() -> (SiteId, AgentId) {
    (SiteId::new("dc1").expect("a word is a site's id"), AgentId::new("agent-1").expect("a word is an agent's id"))
}

/// Seeds of `enrolment`: which reader, then what it is given.
pub fn enrolment() -> Vec<Vec<u8>> {
    let (site, agent) = names();
    let csr = Request::new(Some(&agent)).expect("a key can be made").csr;
    let key = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::default();
    params.not_before -= BACKDATED;
    params.subject_alt_names =
        vec![SanType::URI(identity_uri(&site, &agent).as_str().try_into().expect("a name of a certificate"))];
    let certificate = params.self_signed(&key).expect("a certificate can be made");
    let join = wire::JoinRequest { secret: vec![7; 16], csr: csr.clone(), agent: agent.to_string() };
    let knock = wire::KnockRequest { csr: csr.clone(), agent: String::new() };
    let issued = wire::IssuedCertificate {
        agent: format!("agents/{agent}"),
        site: format!("sites/{site}"),
        certificate_pem: certificate.pem(),
        ca_pem: String::new(),
        not_before_ms: AT.as_millis(),
        not_after_ms: AT.as_millis(),
    };
    let answer = wire::JoinResponse { issued: Some(issued) };
    let given: [Vec<u8>; 6] = [
        csr,
        join.encode_to_vec(),
        knock.encode_to_vec(),
        certificate.der().to_vec(),
        certificate.pem().into_bytes(),
        answer.encode_to_vec(),
    ];
    (0..).zip(given).map(|(which, bytes)| [&[which], &bytes[..]].concat()).collect()
}

/// Seeds of `uplink_session`: what comes down, and what the spool answers.
pub fn uplink_session() -> Vec<Vec<u8>> {
    let welcome = [0, 9, 3, 3, 2, 2, 0, 0];
    let mut seeds: Vec<Vec<u8>> = [&[1, 0, 4][..], &[1, 1, 2, 1, 1, 3], &[2, 0, 3, 0, 4], &[3, 1], &[4, 2], &[5, 5, 6]]
        .map(|then| [&welcome[..], then].concat())
        .to_vec();
    let mut framed = vec![6];
    put_slice(&mut framed, &[0x0a, 0]);
    seeds.push(framed);
    seeds
}
