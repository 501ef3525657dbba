//! `outband record verify`: whether an export is as it was handed out. Needs no collector.
//!
//! Every byte is looked at: the files against the manifest, the manifest against the entry of the audit log that tells of the export,
//! the entries against their hashes, the zip file's own fields against one another.

use crate::error::Error;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// What was found, where all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) files: usize,
    pub(crate) entries: usize,
    /// `SEQ:HASH` of the entry that tells of the export: `outband audit verify --expect` says whether it is the collector's.
    pub(crate) seal: String,
}

pub(crate) fn file(path: &Path) -> Result<Verified, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    bytes_of(&bytes).map_err(|detail| Error::Content { path: path.to_owned(), detail })
}

fn bytes_of(bytes: &[u8]) -> Result<Verified, String> {
    let files = unzip(bytes).ok_or("it is no export, or its directory and its files do not agree")?;
    let json = |name: &str| -> Result<Value, String> {
        let content = files.get(name).ok_or_else(|| format!("{name} is missing"))?;
        serde_json::from_slice(content).map_err(|e| format!("{name}: {e}"))
    };
    let manifest = json("manifest.json")?;
    let sums = manifest["sha256"].as_object().ok_or("manifest.json names no files")?;
    for (name, sum) in sums {
        let content = files.get(name.as_str()).ok_or_else(|| format!("{name} is missing"))?;
        if Some(hex(&Sha256::digest(content)).as_str()) != sum.as_str() {
            return Err(format!("{name} is not what was handed out"));
        }
    }
    if let Some(other) = files.keys().find(|n| !sums.contains_key(**n) && !["manifest.json", "seal.json"].contains(*n))
    {
        return Err(format!("{other} was added"));
    }
    let seal = json("seal.json")?;
    let sealed = entry(&seal).ok_or("seal.json is not what was written to the audit log")?;
    let manifest = hex(&Sha256::digest(files.get("manifest.json").copied().unwrap_or_default()));
    let told = sealed["detail"].as_str().is_some_and(|detail| detail.ends_with(&format!("manifest sha256:{manifest}")));
    if !told {
        return Err("manifest.json is not the one that the audit log tells of".to_owned());
    }
    // An export has these two and no more keys and spaces than it was written with.
    if serde_json::to_vec_pretty(&seal).ok().as_deref() != files.get("seal.json").copied() {
        return Err("seal.json is not as it was written".to_owned());
    }
    let mut entries = 0;
    for name in sums.keys().filter(|name| name.ends_with("/audit.json")) {
        let all = json(name)?;
        let all = all.as_array().ok_or_else(|| format!("{name} is no list"))?;
        for (at, one) in all.iter().enumerate() {
            entry(one).ok_or_else(|| format!("{name}: entry {} does not have its hash", one["seq"]))?;
            let next = all.get(at + 1).filter(|next| next["seq"].as_i64() == one["seq"].as_i64().map(|s| s + 1));
            if next.is_some_and(|next| next["before"] != one["hash"]) {
                return Err(format!("{name}: entry {} is not followed by the next", one["seq"]));
            }
            entries += 1;
        }
    }
    let seal = format!("{}:{}", seal["seq"], seal["hash"].as_str().unwrap_or_default());
    Ok(Verified { files: sums.len(), entries, seal })
}

/// The body of an entry, if it has its hash and says who did it.
fn entry(entry: &Value) -> Option<Value> {
    let (before, body) = (unhex(entry["before"].as_str()?)?, entry["body"].as_str()?);
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(entry["seq"].as_i64()?.to_be_bytes());
    hash.update(body.as_bytes());
    if hex(&hash.finalize()) != entry["hash"].as_str()? {
        return None;
    }
    let body: Value = serde_json::from_str(body).ok()?;
    if let Some(salt) = entry["salt"].as_str() {
        let mut actor = Sha256::new();
        actor.update(unhex(salt)?);
        actor.update(entry["who"].as_str()?.as_bytes());
        actor.update([0]);
        actor.update(entry["peer"].as_str().unwrap_or_default().as_bytes());
        if Some(hex(&actor.finalize()).as_str()) != body["actor"].as_str() {
            return None;
        }
    }
    Some(body)
}

/// The files of a zip file that packs nothing, if all its parts agree.
fn unzip(bytes: &[u8]) -> Option<BTreeMap<&str, &[u8]>> {
    let word = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?)));
    let long = |at: usize| {
        let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let end = bytes.len().checked_sub(22)?;
    let (count, size, directory) = (word(end + 10)?, long(end + 12)?, long(end + 16)?);
    let fixed = bytes.get(end..end + 8)? == b"PK\x05\x06\0\0\0\0" && word(end + 8)? == count && word(end + 20)? == 0;
    if !fixed || directory.checked_add(size)? != end {
        return None;
    }
    let mut files = BTreeMap::new();
    let (mut at, mut entry) = (0_usize, directory);
    for _ in 0..count {
        let header = bytes.get(at..at.checked_add(30)?)?;
        let listed = bytes.get(entry..entry.checked_add(46)?)?;
        let (content, name) = (long(at + 18)?, word(at + 26)?);
        let agree = header.starts_with(b"PK\x03\x04")
            && header.get(4..14)? == [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0]
            && long(at + 22)? == content
            && word(at + 28)? == 0
            && listed.starts_with(b"PK\x01\x02\x14\0")
            && listed.get(6..32)? == header.get(4..30)?
            && listed.get(32..42)? == [0; 10]
            && long(entry + 42)? == at;
        let named = bytes.get(at + 30..(at + 30).checked_add(name)?)?;
        if !agree || bytes.get(entry + 46..(entry + 46).checked_add(name)?)? != named {
            return None;
        }
        let from = at + 30 + name;
        let inside = bytes.get(from..from.checked_add(content)?)?;
        if usize::try_from(crc32(inside)).ok()? != long(at + 14)? {
            return None;
        }
        files.insert(std::str::from_utf8(named).ok()?, inside);
        (at, entry) = (from + content, entry + 46 + name);
    }
    (at == directory && entry == end && files.len() == count).then_some(files)
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })
    };
    !bytes.iter().fold(u32::MAX, step)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A zip file as the collector writes it.
    fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let size = u32::try_from(content.len()).unwrap().to_le_bytes();
            let mut same = vec![20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
            same.extend(crc32(content).to_le_bytes());
            same.extend(size);
            same.extend(size);
            same.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            same.extend([0, 0]);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&same);
            directory.extend([0; 10]);
            directory.extend(u32::try_from(out.len()).unwrap().to_le_bytes());
            directory.extend(name.as_bytes());
            out.extend(b"PK\x03\x04");
            out.extend(&same);
            out.extend(name.as_bytes());
            out.extend(content);
        }
        let (size, at) = (u32::try_from(directory.len()).unwrap(), u32::try_from(out.len()).unwrap());
        out.extend(directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        let count = u16::try_from(files.len()).unwrap().to_le_bytes();
        out.extend(count);
        out.extend(count);
        out.extend(size.to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn proven(seq: i64, before: &str, detail: &str) -> Value {
        let (salt, who) = ("00ff", "zhao");
        let actor = hex(&Sha256::digest([&unhex(salt).unwrap()[..], who.as_bytes(), &[0]].concat()));
        let body = json!({ "detail": detail, "actor": actor }).to_string();
        let hash = [&unhex(before).unwrap()[..], &seq.to_be_bytes(), body.as_bytes()].concat();
        let hash = hex(&Sha256::digest(hash));
        json!({ "seq": seq, "before": before, "body": body, "hash": hash, "salt": salt, "who": who, "peer": null })
    }

    fn export() -> Vec<u8> {
        let one = proven(3, &"00".repeat(32), "start");
        let two = proven(4, one["hash"].as_str().unwrap(), "close");
        let audit = serde_json::to_vec_pretty(&json!([one, two])).unwrap();
        let ticket = b"{ \"number\": 1 }".to_vec();
        let sums = json!({ "tickets/1/audit.json": hex(&Sha256::digest(&audit)), "tickets/1/ticket.json": hex(&Sha256::digest(&ticket)) });
        let manifest = serde_json::to_vec_pretty(&json!({ "sha256": sums })).unwrap();
        let told = format!("1 servers, manifest sha256:{}", hex(&Sha256::digest(&manifest)));
        let seal = serde_json::to_vec_pretty(&proven(9, &"11".repeat(32), &told)).unwrap();
        zip(&[
            ("tickets/1/ticket.json", ticket),
            ("tickets/1/audit.json", audit),
            ("manifest.json", manifest),
            ("seal.json", seal),
        ])
    }

    #[test]
    fn an_export_as_it_was_handed_out_is_found_whole() {
        let verified = bytes_of(&export()).unwrap();
        assert_eq!((verified.files, verified.entries), (2, 2));
        assert!(verified.seal.starts_with("9:"), "{}", verified.seal);
    }

    #[test]
    fn one_bit_that_is_flipped_anywhere_is_found() {
        let whole = export();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert!(bytes_of(&flipped).is_err(), "bit {bit} of byte {at}: {:?}", flipped.get(at));
            }
        }
    }

    #[test]
    fn a_part_of_an_export_is_none() {
        let whole = export();
        for length in 0..whole.len() {
            assert!(bytes_of(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
