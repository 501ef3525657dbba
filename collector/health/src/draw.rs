//! Which sensors of kind `power` tell what is drawn now.

/// What Redfish `PowerControl` tells beside the draw, by the end of the sensor's name: means, extremes, limits, what could be delivered.
const BESIDE: [&str; 5] =
    ["AverageConsumedWatts", "MinConsumedWatts", "MaxConsumedWatts", "LimitInWatts", "PowerCapacityWatts"];

/// Whether a power sensor of a server, chassis or board of this name tells what is drawn now.
pub(crate) fn is_draw(sensor: &str) -> bool {
    !BESIDE.iter().any(|end| ends_with(sensor, end))
}

/// Whether a sensor's name ends so, in whatever case.
pub(crate) fn ends_with(sensor: &str, end: &str) -> bool {
    let (sensor, end) = (sensor.as_bytes(), end.as_bytes());
    let from = sensor.len().checked_sub(end.len());
    from.and_then(|from| sensor.get(from..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_means_and_capacities_are_no_draw() {
        for name in ["Server.PowerCapacityWatts", "limitinwatts", "System Power MaxConsumedWatts"] {
            assert!(!is_draw(name), "{name}");
        }
        for name in ["", "PowerConsumedWatts", "Server", "功率"] {
            assert!(is_draw(name), "{name}");
        }
    }
}
