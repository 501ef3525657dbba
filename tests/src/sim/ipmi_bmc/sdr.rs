//! Sensor data records (IPMI 2.0 §43).

use super::sensors::{Form, SPECIFIC, Sensor, THRESHOLD};
use crate::sim::machine::Spec;

/// The BMC's own slave address: the owner of every sensor.
const OWNER: u8 = 0x20;

/// The whole repository; record ids count from 1.
pub(super) fn repository(spec: &Spec, sensors: &[Sensor]) -> Vec<Vec<u8>> {
    let mut records = vec![controller()];
    for sensor in sensors {
        records.push(match sensor.form {
            Form::Analog { .. } => full(sensor),
            Form::Discrete { .. } => compact(sensor),
        });
    }
    records.push(fru_locator(0, (7, 1), "Builtin FRU"));
    for psu in 0..spec.psus as u8 {
        records.push(fru_locator(psu + 1, (10, psu + 1), &format!("PSU{} FRU", psu + 1)));
    }
    for (id, record) in (1u16..).zip(&mut records) {
        record[..2].copy_from_slice(&id.to_le_bytes());
    }
    records
}

/// A record with its header and its length.
fn record(kind: u8, body: Vec<u8>) -> Vec<u8> {
    let mut out = vec![0, 0, 0x51, kind, body.len() as u8];
    out.extend(body);
    out
}

/// 8-bit ASCII with its type and length; at most 16 characters.
fn push_name(body: &mut Vec<u8>, name: &str) {
    let name = &name.as_bytes()[..name.len().min(16)];
    body.push(0xc0 | name.len() as u8);
    body.extend(name);
}

/// Type 01h.
fn full(sensor: &Sensor) -> Vec<u8> {
    let Form::Analog { unit, per_cent, scale, upper, lower } = sensor.form else { return Vec::new() };
    let (mask, limits) = sensor.raw_limits();
    let [lnc, lc, lnr, unc, uc, unr] = limits;
    let capabilities = if mask == 0 { 0x40 } else { 0x54 };
    let mut body =
        vec![OWNER, 0, sensor.number, sensor.entity.0, sensor.entity.1, 0x7f, capabilities, sensor.kind, THRESHOLD];
    // Events: going low through the lower limits, going high through the upper ones; then which comparisons are returned.
    let assertion = (if lower.is_some() { 0x0015u16 | 0x7000 } else { 0 }) | if upper.is_some() { 0x0a80 } else { 0 };
    let deassertion = (assertion & 0x0fff) | if upper.is_some() { 0x7000 } else { 0 };
    body.extend(assertion.to_le_bytes());
    body.extend(deassertion.to_le_bytes());
    body.extend([mask, 0]);
    body.extend([u8::from(per_cent), unit, 0]);
    // Linear; M and B in ten bits each, exponents in four.
    let [m_low, m_high] = scale.m.to_le_bytes();
    let [b_low, b_high] = scale.b.to_le_bytes();
    body.extend([0, m_low, (m_high & 3) << 6, b_low, (b_high & 3) << 6, 0]);
    body.push((scale.r_exp as u8) << 4 | (scale.b_exp as u8) & 0x0f);
    // No nominal values; then the range of raw values.
    body.extend([0, 0, 0, 0, 0xff, 0]);
    body.extend([unr, uc, unc, lnr, lc, lnc]);
    body.extend([1, 1, 0, 0, 0]);
    push_name(&mut body, &sensor.name);
    record(0x01, body)
}

/// Type 02h.
fn compact(sensor: &Sensor) -> Vec<u8> {
    let Form::Discrete { reading_type, mask } = sensor.form else { return Vec::new() };
    let mut body =
        vec![OWNER, 0, sensor.number, sensor.entity.0, sensor.entity.1, 0x63, 0x40, sensor.kind, reading_type];
    let deassertion = if reading_type == SPECIFIC { mask } else { 0 };
    body.extend(mask.to_le_bytes());
    body.extend(deassertion.to_le_bytes());
    body.extend(mask.to_le_bytes());
    // No analog reading; not shared; no hysteresis; reserved; OEM.
    body.extend([0xc0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    push_name(&mut body, &sensor.name);
    record(0x02, body)
}

/// Type 11h.
fn fru_locator(id: u8, entity: (u8, u8), name: &str) -> Vec<u8> {
    let mut body = vec![OWNER, id, 0x80, 0, 0, 0x10, 0, entity.0, entity.1, 0];
    push_name(&mut body, name);
    record(0x11, body)
}

/// Type 12h.
fn controller() -> Vec<u8> {
    let mut body = vec![OWNER, 0, 0, 0xbf, 0, 0, 0, 0x2e, 1, 0];
    push_name(&mut body, "BMC");
    record(0x12, body)
}
