//! What the codes and the cipher of a poll cost by themselves: a client that did nothing else would need as much beside the bare loop.

use crate::process::cpu;
use aes_08::Aes128;
use aes_08::cipher::generic_array::GenericArray;
use aes_08::cipher::{BlockDecrypt, BlockEncrypt, KeyInit as _};
use hmac::{Hmac, KeyInit, Mac};
use outband_bmc::CipherSuite;
use sha1::Sha1;
use sha2::Sha256;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes of a packet that its code is over: header, vector, one block, trailer.
const SIGNED: usize = 48;

/// Milliseconds of CPU for so many exchanges: of each a request is encrypted and signed, and an answer verified and decrypted, by the keys of one session among `bmcs`.
pub(crate) fn cost(suite: CipherSuite, bmcs: usize, exchanges: f64) -> f64 {
    match suite {
        CipherSuite::Three => of::<Hmac<Sha1>>(bmcs, exchanges),
        _ => of::<Hmac<Sha256>>(bmcs, exchanges),
    }
}

fn of<M: Mac + KeyInit + Clone>(bmcs: usize, exchanges: f64) -> f64 {
    let key = |n: usize| [n as u8; 16];
    let sessions: Vec<_> =
        (0..bmcs).map(|n| (<M as KeyInit>::new_from_slice(&key(n)).unwrap(), Aes128::new(&key(n).into()))).collect();
    let (mut packet, mut block, mut done) = ([0u8; SIGNED], GenericArray::from([0u8; 16]), 0u64);
    let (begun, before) = (Instant::now(), cpu());
    while begun.elapsed() < Duration::from_millis(500) {
        for (mac, cipher) in &sessions {
            let code = |packet: &[u8]| {
                let mut mac = mac.clone();
                mac.update(packet);
                black_box(mac.finalize().into_bytes());
            };
            cipher.encrypt_block(&mut block);
            packet[32..].copy_from_slice(&block);
            code(black_box(&packet));
            code(black_box(&packet));
            cipher.decrypt_block(black_box(&mut block));
            done += 1;
        }
    }
    (cpu() - before).as_secs_f64() * 1000.0 / done as f64 * exchanges
}
