//! FRU data as Read FRU Data gives it: the header, and the areas that it points to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::ipmi::fru::multirecord::{self, RecordHeader};
use outband_bmc::ipmi::fru::{self, Areas, Fru};
use outband_fuzz::seeds;

fuzz_target!(init: seeds::plant(seeds::fru_data), |data: &[u8]| {
    // The checksum is mended: it keeps nobody out who means harm.
    let mut data = data.to_vec();
    if data.len() >= fru::HEADER_LEN {
        let sum = data[..fru::HEADER_LEN - 1].iter().fold(0u8, |s, b| s.wrapping_add(*b));
        data[fru::HEADER_LEN - 1] = sum.wrapping_neg();
    }
    let mut found = Fru::default();
    let mut at = data.get(5).map_or(0, |at| usize::from(*at) * 8);
    for _ in 0..if at > 0 { multirecord::MAX_RECORDS } else { 0 } {
        // Here too the sums are mended.
        let Some(header) = data.get_mut(at..).and_then(|rest| rest.get_mut(..multirecord::RECORD_HEADER_LEN)) else { break };
        header[4] = header[..4].iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg();
        let Some(header) = RecordHeader::parse(header) else { break };
        let body = data.get(at + multirecord::RECORD_HEADER_LEN..).unwrap_or_default();
        if let Some(record) = multirecord::parse(header, &body[..body.len().min(header.len)]) {
            found.take(record);
        }
        at += multirecord::RECORD_HEADER_LEN + header.len;
    }
    if let Some(areas) = Areas::parse(&data) {
        let area = |at: usize| data.get(at..).filter(|a| at > 0 && fru::area_len(a).is_some());
        area(areas.chassis).into_iter().for_each(|a| found.read_chassis(a));
        area(areas.board).into_iter().for_each(|a| found.read_board(a));
        area(areas.product).into_iter().for_each(|a| found.read_product(a));
    }
    for text in [&found.chassis_serial, &found.board_serial, &found.product_serial, &found.product_name].into_iter().flatten() {
        assert_eq!(fru::meaningful(text).as_ref(), Some(text), "what says something goes on saying it");
    }
    assert!(fru::uuid(&data).is_none_or(|u| u.len() == 36));
});
