//! What strangers and collectors say to one another before there is any trust: messages, requests for a certificate, certificates.
//!
//! Must hold: nothing panics, and a certificate says the same on both sides.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_agent::enrol::identity::Identity;
use outband_collector::enrol::AgentIdentity;
use outband_collector::tls::AgentKey;
use outband_fuzz::seeds;
use outband_proto::enrol as wire;
use outband_schemas::enrol::{words, words_input};
use prost::Message;

/// A request for a certificate: of it the key is taken.
fn request(der: &[u8]) {
    match AgentKey::of_request(der) {
        Ok(key) => {
            let public = key.public_key();
            assert!(!public.is_empty());
            assert!(words_input(&[0; 32], &public).len() > 32);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn certificate(pem: &str) {
    let found = Identity::of_pem(format!("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n{pem}"));
    if let Some(identity) = found {
        assert!(!format!("{identity:?}").contains("PRIVATE"));
        // Durations of any two times.
        std::hint::black_box((identity.life(), identity.due_at(), identity.is_near_its_end(outband_fuzz::AT)));
    }
}

fuzz_target!(init: seeds::plant(seeds::enrolment), |data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    match which % 6 {
        0 => request(rest),
        1 => {
            if let Ok(asked) = wire::JoinRequest::decode(rest) {
                request(&asked.csr);
                drop(outband_schemas::AgentId::new(asked.agent));
            }
        }
        2 => {
            if let Ok(asked) = wire::KnockRequest::decode(rest) {
                request(&asked.csr);
            }
        }
        3 => drop(AgentIdentity::of_certificate(rest)),
        4 => certificate(&String::from_utf8_lossy(rest)),
        _ => {
            if let Ok(answer) = wire::JoinResponse::decode(rest)
                && let Some(issued) = answer.issued
            {
                certificate(&issued.certificate_pem);
            }
            if let Some(hash) = rest.first_chunk::<32>() {
                assert!(words(hash).iter().all(|w| !w.is_empty()));
            }
        }
    }
});
