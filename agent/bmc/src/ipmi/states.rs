//! What the bits of discrete sensors and the offsets of events mean (IPMI 2.0 tables 42-2 and 42-3).

use outband_schemas::State;
use outband_schemas::State::{Absent, Critical, Ok, Unknown, Warning};

/// Event/reading type of sensor-specific states.
pub const SENSOR_SPECIFIC: u8 = 0x6F;
/// Event/reading type of thresholds.
pub const THRESHOLD: u8 = 0x01;

/// The words for an offset, and what it means for health while it is asserted. `None` where the tables have none.
pub fn meaning(event_type: u8, sensor_type: u8, offset: u8) -> Option<(&'static str, State)> {
    let row = match event_type {
        THRESHOLD => threshold(offset),
        0x02..=0x0C => generic(event_type, offset),
        SENSOR_SPECIFIC => specific(sensor_type, offset),
        _ => None,
    };
    row.copied().filter(|(word, _)| *word != RESERVED)
}

type Row = (&'static str, State);

/// Stands in a table where the specification has nothing.
const RESERVED: &str = "";

fn threshold(offset: u8) -> Option<&'static Row> {
    const ROWS: [Row; 12] = [
        ("Lower Non-critical going low", Warning),
        ("Lower Non-critical going high", Warning),
        ("Lower Critical going low", Critical),
        ("Lower Critical going high", Critical),
        ("Lower Non-recoverable going low", Critical),
        ("Lower Non-recoverable going high", Critical),
        ("Upper Non-critical going low", Warning),
        ("Upper Non-critical going high", Warning),
        ("Upper Critical going low", Critical),
        ("Upper Critical going high", Critical),
        ("Upper Non-recoverable going low", Critical),
        ("Upper Non-recoverable going high", Critical),
    ];
    ROWS.get(usize::from(offset))
}

fn generic(event_type: u8, offset: u8) -> Option<&'static Row> {
    let rows: &[Row] = match event_type {
        0x02 => &[("Transition to Idle", Ok), ("Transition to Active", Ok), ("Transition to Busy", Ok)],
        // Whether "asserted" is good or bad only the vendor knows.
        0x03 => &[("State Deasserted", Unknown), ("State Asserted", Unknown)],
        0x04 => &[("Predictive Failure Deasserted", Ok), ("Predictive Failure Asserted", Warning)],
        0x05 => &[("Limit Not Exceeded", Ok), ("Limit Exceeded", Warning)],
        0x06 => &[("Performance Met", Ok), ("Performance Lags", Warning)],
        0x07 => &[
            ("Transition to OK", Ok),
            ("Transition to Non-critical from OK", Warning),
            ("Transition to Critical from less severe", Critical),
            ("Transition to Non-recoverable from less severe", Critical),
            ("Transition to Non-critical from more severe", Warning),
            ("Transition to Critical from Non-recoverable", Critical),
            ("Transition to Non-recoverable", Critical),
            ("Monitor", Ok),
            ("Informational", Ok),
        ],
        0x08 => &[("Device Absent", Absent), ("Device Present", Ok)],
        0x09 => &[("Device Disabled", Unknown), ("Device Enabled", Ok)],
        0x0A => &[
            ("Transition to Running", Ok),
            ("Transition to In Test", Ok),
            ("Transition to Power Off", Ok),
            ("Transition to On Line", Ok),
            ("Transition to Off Line", Unknown),
            ("Transition to Off Duty", Ok),
            ("Transition to Degraded", Warning),
            ("Transition to Power Save", Ok),
            ("Install Error", Critical),
        ],
        0x0B => &[
            ("Fully Redundant", Ok),
            ("Redundancy Lost", Warning),
            ("Redundancy Degraded", Warning),
            ("Non-Redundant: Sufficient from Redundant", Warning),
            ("Non-Redundant: Sufficient from Insufficient", Warning),
            ("Non-Redundant: Insufficient Resources", Critical),
            ("Redundancy Degraded from Fully Redundant", Warning),
            ("Redundancy Degraded from Non-Redundant", Warning),
        ],
        0x0C => &[("D0 Power State", Ok), ("D1 Power State", Ok), ("D2 Power State", Ok), ("D3 Power State", Ok)],
        _ => &[],
    };
    rows.get(usize::from(offset))
}

fn specific(sensor_type: u8, offset: u8) -> Option<&'static Row> {
    let rows: &[Row] = match sensor_type {
        0x05 => &[
            ("General Chassis intrusion", Warning),
            ("Drive Bay intrusion", Warning),
            ("I/O Card area intrusion", Warning),
            ("Processor area intrusion", Warning),
            ("System unplugged from LAN", Warning),
            ("Unauthorized dock", Warning),
            ("FAN area intrusion", Warning),
        ],
        0x06 => &[
            ("Front Panel Lockout violation attempted", Warning),
            ("Pre-boot password violation - user password", Warning),
            ("Pre-boot password violation - setup password", Warning),
            ("Pre-boot password violation - network boot password", Warning),
            ("Other pre-boot password violation", Warning),
            ("Out-of-band access password violation", Warning),
        ],
        0x07 => &[
            ("IERR", Critical),
            ("Thermal Trip", Critical),
            ("FRB1/BIST failure", Critical),
            ("FRB2/Hang in POST failure", Critical),
            ("FRB3/Processor startup/init failure", Critical),
            ("Configuration Error", Critical),
            ("SM BIOS Uncorrectable CPU-complex Error", Critical),
            ("Presence detected", Ok),
            ("Disabled", Warning),
            ("Terminator presence detected", Ok),
            ("Throttled", Warning),
            ("Uncorrectable machine check exception", Critical),
            ("Correctable machine check error", Warning),
        ],
        0x08 => &[
            ("Presence detected", Ok),
            ("Failure detected", Critical),
            ("Predictive failure", Warning),
            ("Power Supply AC lost", Critical),
            ("AC lost or out-of-range", Critical),
            ("AC out-of-range, but present", Warning),
            ("Config Error", Warning),
            ("Power Supply Inactive", Ok),
        ],
        0x09 => &[
            ("Power off/down", Ok),
            ("Power cycle", Ok),
            ("240VA power down", Critical),
            ("Interlock power down", Warning),
            ("AC lost", Critical),
            ("Soft-power control failure", Critical),
            ("Failure detected", Critical),
            ("Predictive failure", Warning),
        ],
        0x0C => &[
            ("Correctable ECC", Warning),
            ("Uncorrectable ECC", Critical),
            ("Parity", Critical),
            ("Memory Scrub Failed", Warning),
            ("Memory Device Disabled", Warning),
            ("Correctable ECC logging limit reached", Warning),
            ("Presence Detected", Ok),
            ("Configuration Error", Warning),
            ("Spare", Ok),
            ("Throttled", Warning),
            ("Critical Overtemperature", Critical),
        ],
        0x0D => &[
            ("Drive Present", Ok),
            ("Drive Fault", Critical),
            ("Predictive Failure", Warning),
            ("Hot Spare", Ok),
            ("Parity Check In Progress", Ok),
            ("In Critical Array", Warning),
            ("In Failed Array", Critical),
            ("Rebuild In Progress", Warning),
            ("Rebuild Aborted", Warning),
        ],
        0x0F => &[("Error", Critical), ("Hang", Critical), ("Progress", Ok)],
        0x10 => &[
            ("Correctable memory error logging disabled", Warning),
            ("Event logging disabled", Warning),
            ("Log area reset/cleared", Ok),
            ("All event logging disabled", Warning),
            ("Log full", Warning),
            ("Log almost full", Warning),
            ("Correctable machine check error logging disabled", Warning),
        ],
        0x11 => &[
            ("BIOS Reset", Critical),
            ("OS Reset", Critical),
            ("OS Shut Down", Critical),
            ("OS Power Down", Critical),
            ("OS Power Cycle", Critical),
            ("OS NMI/Diag Interrupt", Critical),
            ("OS Expired", Critical),
            ("OS pre-timeout Interrupt", Warning),
        ],
        0x12 => &[
            ("System Reconfigured", Ok),
            ("OEM System boot event", Ok),
            ("Undetermined system hardware failure", Critical),
            ("Entry added to auxiliary log", Ok),
            ("PEF Action", Ok),
            ("Timestamp Clock Sync", Ok),
        ],
        0x13 => &[
            ("NMI/Diag Interrupt", Critical),
            ("Bus Timeout", Critical),
            ("I/O Channel check NMI", Critical),
            ("Software NMI", Critical),
            ("PCI PERR", Critical),
            ("PCI SERR", Critical),
            ("EISA failsafe timeout", Critical),
            ("Bus Correctable error", Warning),
            ("Bus Uncorrectable error", Critical),
            ("Fatal NMI", Critical),
            ("Bus Fatal Error", Critical),
            ("Bus Degraded", Warning),
        ],
        0x14 => &[
            ("Power Button pressed", Ok),
            ("Sleep Button pressed", Ok),
            ("Reset Button pressed", Ok),
            ("FRU Latch", Ok),
            ("FRU Service", Ok),
        ],
        0x19 => &[("Soft Power Control Failure", Critical), ("Thermal Trip", Critical)],
        0x1B => &[("Connected", Ok), ("Config Error", Warning)],
        0x1D => &[
            ("Initiated by power up", Ok),
            ("Initiated by hard reset", Ok),
            ("Initiated by warm reset", Ok),
            ("User requested PXE boot", Ok),
            ("Automatic boot to diagnostic", Ok),
            ("OS initiated hard reset", Ok),
            ("OS initiated warm reset", Ok),
            ("System Restart", Ok),
        ],
        0x1E => &[
            ("No bootable media", Critical),
            ("Non-bootable disk in drive", Warning),
            ("PXE server not found", Warning),
            ("Invalid boot sector", Critical),
            ("Timeout waiting for selection", Warning),
        ],
        0x1F => &[
            ("A: boot completed", Ok),
            ("C: boot completed", Ok),
            ("PXE boot completed", Ok),
            ("Diagnostic boot completed", Ok),
            ("CD-ROM boot completed", Ok),
            ("ROM boot completed", Ok),
            ("boot completed - device not specified", Ok),
            ("Installation started", Ok),
            ("Installation completed", Ok),
            ("Installation aborted", Warning),
            ("Installation failed", Warning),
        ],
        0x20 => &[
            ("Error during system startup", Critical),
            ("Run-time critical stop", Critical),
            ("OS graceful stop", Ok),
            ("OS graceful shutdown", Ok),
            ("PEF initiated soft shutdown", Ok),
            ("Agent not responding", Warning),
        ],
        0x21 => &[
            ("Fault Status", Critical),
            ("Identify Status", Ok),
            ("Device Installed", Ok),
            ("Ready for Device Installation", Ok),
            ("Ready for Device Removal", Ok),
            ("Slot Power is Off", Ok),
            ("Device Removal Request", Ok),
            ("Interlock", Ok),
            ("Slot is Disabled", Warning),
            ("Spare Device", Ok),
        ],
        0x22 => &[
            ("S0/G0: working", Ok),
            ("S1: sleeping with system hw & processor context maintained", Ok),
            ("S2: sleeping, processor context lost", Ok),
            ("S3: sleeping, processor & hw context lost, memory retained", Ok),
            ("S4: non-volatile sleep/suspend-to-disk", Ok),
            ("S5/G2: soft-off", Ok),
            ("S4/S5: soft-off", Ok),
            ("G3: mechanical off", Ok),
            ("Sleeping in S1/S2/S3 state", Ok),
            ("G1: sleeping", Ok),
            ("S5: entered by override", Ok),
            ("Legacy ON state", Ok),
            ("Legacy OFF state", Ok),
            (RESERVED, Unknown),
            ("Unknown", Unknown),
        ],
        0x23 => &[
            ("Timer expired", Critical),
            ("Hard reset", Critical),
            ("Power down", Critical),
            ("Power cycle", Critical),
            (RESERVED, Unknown),
            (RESERVED, Unknown),
            (RESERVED, Unknown),
            (RESERVED, Unknown),
            ("Timer interrupt", Warning),
        ],
        0x24 => &[
            ("Platform generated page", Ok),
            ("Platform generated LAN alert", Ok),
            ("Platform Event Trap generated", Ok),
            ("Platform generated SNMP trap, OEM format", Ok),
        ],
        0x25 => &[("Present", Ok), ("Absent", Absent), ("Disabled", Unknown)],
        0x27 => &[("Heartbeat Lost", Warning), ("Heartbeat", Ok)],
        0x28 => &[
            ("Sensor access degraded or unavailable", Warning),
            ("Controller access degraded or unavailable", Warning),
            ("Management controller off-line", Warning),
            ("Management controller unavailable", Warning),
            ("Sensor failure", Warning),
            ("FRU failure", Critical),
        ],
        0x29 => &[("Low", Warning), ("Failed", Critical), ("Presence Detected", Ok)],
        0x2A => &[
            ("Session Activated", Ok),
            ("Session Deactivated", Ok),
            ("Invalid Username or Password", Warning),
            ("Invalid password disable", Warning),
        ],
        0x2B => &[
            ("Hardware change detected", Ok),
            ("Firmware or software change detected", Ok),
            ("Hardware incompatibility detected", Warning),
            ("Firmware or software incompatibility detected", Warning),
            ("Invalid or unsupported hardware version", Warning),
            ("Invalid or unsupported firmware or software version", Warning),
            ("Hardware change success", Ok),
            ("Firmware or software change success", Ok),
        ],
        0x2C => &[
            ("Not Installed", Absent),
            ("Inactive", Ok),
            ("Activation Requested", Ok),
            ("Activation in Progress", Ok),
            ("Active", Ok),
            ("Deactivation Requested", Ok),
            ("Deactivation in Progress", Ok),
            ("Communication lost", Warning),
        ],
        _ => &[],
    };
    rows.get(usize::from(offset))
}

/// The offset that says "there is one", where a type has such a state.
fn presence(event_type: u8, sensor_type: u8) -> Option<u8> {
    match (event_type, sensor_type) {
        (SENSOR_SPECIFIC, 0x08 | 0x0D | 0x25) => Some(0),
        (SENSOR_SPECIFIC, 0x07) => Some(7),
        (SENSOR_SPECIFIC, 0x0C) => Some(6),
        (SENSOR_SPECIFIC, 0x29 | 0x21) => Some(2),
        _ => None,
    }
}

/// What the asserted bits of a discrete sensor mean together: the gravest of them. `readable` are the states that the sensor's record says it can have.
pub fn decode(event_type: u8, sensor_type: u8, bits: u16, readable: u16) -> (State, String) {
    let asserted: Vec<_> = (0u8..15).filter(|n| bits >> n & 1 == 1).collect();
    if asserted.is_empty() {
        return nothing_asserted(event_type, sensor_type, readable);
    }
    let mut worst = Absent;
    let mut words = Vec::with_capacity(asserted.len());
    for offset in asserted {
        let (word, state) = match meaning(event_type, sensor_type, offset) {
            Some((word, state)) => (word.to_owned(), state),
            // OEM types, and bits that no table has (Supermicro H8 sets such for power supplies).
            None => (format!("state {offset}"), Unknown),
        };
        worst = worst.max(state);
        words.push(word);
    }
    (worst, words.join(", "))
}

/// Nothing asserted is "absent" for a sensor that could say "present", "well" for one that could complain, and says nothing otherwise.
fn nothing_asserted(event_type: u8, sensor_type: u8, readable: u16) -> (State, String) {
    if presence(event_type, sensor_type).is_some_and(|offset| readable >> offset & 1 == 1) {
        return (Absent, "absent".to_owned());
    }
    let could_complain = (0u8..15)
        .filter(|n| readable >> n & 1 == 1)
        .filter_map(|n| meaning(event_type, sensor_type, n))
        .any(|(_, state)| state >= Warning);
    (if could_complain { Ok } else { Unknown }, "no state asserted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_present_power_supply_that_failed_is_critical() {
        assert_eq!(
            decode(SENSOR_SPECIFIC, 8, 0b11, 0xFF),
            (Critical, "Presence detected, Failure detected".to_owned())
        );
    }

    #[test]
    fn a_power_supply_with_no_bit_is_absent_and_not_well() {
        assert_eq!(decode(SENSOR_SPECIFIC, 8, 0, 0xFF).0, Absent);
    }

    #[test]
    fn an_intrusion_switch_with_no_bit_is_well() {
        assert_eq!(decode(SENSOR_SPECIFIC, 5, 0, 0x7F).0, Ok);
    }

    #[test]
    fn an_oem_type_with_no_bit_is_unknown_and_not_well() {
        assert_eq!(decode(0x70, 0xC1, 0, 0x7F).0, Unknown);
    }

    #[test]
    fn bits_that_no_table_has_do_not_hide_the_others() {
        assert_eq!(decode(SENSOR_SPECIFIC, 8, 1 | 1 << 12, 0xFF), (Ok, "Presence detected, state 12".to_owned()));
    }
}
