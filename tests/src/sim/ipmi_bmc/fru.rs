//! FRU inventory (Platform Management FRU Information Storage Definition 1.0).

use super::checksum;
use crate::sim::machine::Machine;

/// The contents of a FRU device: 0 is the server, then one a power supply.
pub(super) fn contents(machine: &Machine, id: u8) -> Option<Vec<u8>> {
    let spec = &machine.spec;
    if id == 0 {
        let board = format!("{}-MB", spec.model);
        let board_serial = format!("MB{}", spec.serial);
        return Some(device(&[
            (2, area(&[0x17], &[&spec.model, &spec.serial])),
            (3, area(&board_head(), &[&spec.manufacturer, &board, &board_serial, "NG-MB-01", ""])),
            (4, area(&[0x19], &[&spec.manufacturer, &spec.model, &spec.model, "1.0", &spec.serial, &spec.name, ""])),
        ]));
    }
    let psu = machine.psus.get(usize::from(id) - 1)?;
    Some(device(&[(4, area(&[0x19], &[&spec.manufacturer, "900W AC PSU", "NG-PSU-900", "1.0", &psu.serial, "", ""]))]))
}

/// Language, and the date of manufacture in minutes since 1996.
fn board_head() -> [u8; 4] {
    let [a, b, c, _] = 13_675_680u32.to_le_bytes();
    [0x19, a, b, c]
}

/// The common header with the areas in their places (index of the offset in the header, contents).
fn device(areas: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut header = [0u8; 8];
    header[0] = 1;
    let mut body = Vec::new();
    for (place, area) in areas {
        header[*place] = (1 + body.len() / 8) as u8;
        body.extend(area);
    }
    header[7] = checksum(&header[..7]);
    [header.to_vec(), body].concat()
}

/// An area: version, length, what it begins with, then fields of type and length.
fn area(head: &[u8], fields: &[&str]) -> Vec<u8> {
    let mut out = vec![1, 0];
    out.extend(head);
    for field in fields {
        let text = &field.as_bytes()[..field.len().min(63)];
        out.push(0xc0 | text.len() as u8);
        // A length of one would read as the end mark.
        if text.len() == 1 {
            out.pop();
            out.push(0xc2);
            out.push(b' ');
        }
        out.extend(text);
    }
    out.push(0xc1);
    while out.len() % 8 != 7 {
        out.push(0);
    }
    out[1] = (out.len().div_ceil(8)) as u8;
    out.push(checksum(&out));
    out
}
