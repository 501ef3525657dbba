//! Requests that nobody wrote: made of the descriptors, filled by the names of fields.

use outband_schemas::Timestamp;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

/// So many combinations are tried of one method.
const PROBES: usize = 240;

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap() - 2000)
}

/// What a field may be filled with, by its name: what is the other's, mostly.
pub fn candidates(field: &str) -> Vec<String> {
    let all: &[&str] = match field {
        "name" => &[
            "tickets/2",
            "servers/server-bravo",
            "sites/bravo-hall",
            "servers/server-bravo/components/disk/Bay%20bravo",
            "notices/2",
            "windows/2",
            "grants/2",
            "orders/2",
            "drills/2",
            "thresholds/2",
            "checks/2",
            "tickets/1",
        ],
        "kind" => &["", "identify"],
        "class" => &["disk"],
        "fault" => &["", "disk_failure"],
        "parameter" => &["disk.increases"],
        "parent" => &["servers/-", "servers/server-bravo", "sites/bravo-hall", ""],
        "server" => &["servers/server-bravo", "server-bravo", ""],
        "ticket" => &["tickets/2", ""],
        "resource" => &["tickets/2", ""],
        "customer" => &["", "bravo"],
        "site" | "sites" => &["", "sites/bravo-hall", "bravo-hall"],
        "action" => &["start", "link:related"],
        "detail" => &["tickets/2"],
        "reason" | "why" | "text" | "holder" | "verified" => &["probe"],
        "role" => &["viewer"],
        "by" => &["customer"],
        "level" => &["", "server"],
        "milestone" => &["contact"],
        "format" => &["json"],
        "period" => return vec![jiff::Zoned::now().strftime("%Y-%m").to_string()],
        _ => &[""],
    };
    all.iter().map(ToString::to_string).collect()
}

pub struct Protos {
    pub messages: BTreeMap<String, DescriptorProto>,
    pub methods: BTreeMap<String, String>,
}

impl Protos {
    pub fn read() -> Self {
        let files = FileDescriptorSet::decode(outband_proto::DESCRIPTORS).unwrap().file;
        let (mut messages, mut methods) = (BTreeMap::new(), BTreeMap::new());
        for file in &files {
            for message in &file.message_type {
                messages.insert(format!(".{}.{}", file.package(), message.name()), message.clone());
            }
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    methods.insert(name, method.input_type().to_owned());
                }
            }
        }
        Self { messages, methods }
    }

    /// One combination of what the fields of a message may hold; `left` says which, and what is left of it for others.
    pub fn fill(&self, message: &str, left: &mut usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in &self.messages[message].field {
            self.field(field, left, &mut bytes);
        }
        bytes
    }

    pub fn field(&self, field: &FieldDescriptorProto, left: &mut usize, out: &mut Vec<u8>) {
        let tag = u64::try_from(field.number()).unwrap() << 3;
        match field.r#type() {
            Type::String => {
                let all = candidates(field.name());
                let value = &all[*left % all.len()];
                *left /= all.len();
                if !(value.is_empty() && field.label() == Label::Repeated) {
                    varint(tag | 2, out);
                    varint(value.len() as u64, out);
                    out.extend(value.as_bytes());
                }
            }
            Type::Message if field.label() != Label::Repeated && self.messages.contains_key(field.type_name()) => {
                let inner = self.fill(field.type_name(), left);
                varint(tag | 2, out);
                varint(inner.len() as u64, out);
                out.extend(inner);
            }
            Type::Enum if field.name() != "state" && field.label() != Label::Repeated => {
                varint(tag, out);
                varint(1, out);
            }
            Type::Double => {
                varint(tag | 1, out);
                // A share is none of the others.
                let value = if field.name() == "service_level" { 0.9 } else { 6f64 };
                out.extend(value.to_le_bytes());
            }
            Type::Int64 if field.name() == "until_ms" => {
                varint(tag, out);
                varint(u64::try_from(now().as_millis()).unwrap() + 3_600_000, out);
            }
            Type::Int64 if field.name() == "lasts_secs" => {
                varint(tag, out);
                varint(3600, out);
            }
            _ => {}
        }
    }

    /// Every combination, up to a number.
    pub fn probes(&self, method: &str) -> Vec<Vec<u8>> {
        let mut probes = BTreeSet::new();
        for combination in 0..PROBES {
            probes.insert(self.fill(&self.methods[method], &mut { combination }));
        }
        probes.into_iter().collect()
    }
}

pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}
