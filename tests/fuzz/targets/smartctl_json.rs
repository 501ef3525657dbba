//! What `smartctl --json` prints of a host's drives, and the status that it ends with.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::smart::smartctl;
use outband_fuzz::seeds;

fuzz_target!(init: seeds::plant(seeds::smartctl_json), |data: &[u8]| {
    let Some((exit, output)) = data.split_first() else { return };
    for device in smartctl::scan(output).unwrap_or_default() {
        assert!(device.name.starts_with("/dev/"), "no name is an option of smartctl");
        assert!(device.kind.is_none_or(|kind| !kind.starts_with('-') && !kind.contains(' ')));
    }
    // 255 stands for a signal.
    let exit = if *exit == u8::MAX { -1 } else { i32::from(*exit) };
    let Ok(drive) = smartctl::drive(output, exit) else { return };
    assert_eq!(drive.figures.is_empty(), drive.trouble.is_some(), "either something is told or there is a reason");
    assert!(drive.spare_limit.is_none_or(|limit| (0.0..=100.0).contains(&limit)));
    let mut kinds = Vec::new();
    for figure in drive.figures {
        assert!(!kinds.contains(&figure.kind), "each kind once");
        kinds.push(figure.kind);
        assert!(figure.number.ok().is_none_or(|n| n.value.is_finite()));
    }
});
