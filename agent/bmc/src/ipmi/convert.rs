//! From a raw byte to a number in a unit of the catalogue (IPMI 2.0 §36.3, table 43-15).

use super::sdr::{Analog, Factors, Format};

/// The raw byte as a whole number.
fn counted(format: Format, raw: u8) -> f64 {
    match format {
        Format::Unsigned => f64::from(raw),
        Format::OnesComplement if raw & 0x80 != 0 => -f64::from(!raw),
        Format::OnesComplement => f64::from(raw),
        Format::TwosComplement => f64::from(raw as i8),
    }
}

/// The linearisation formulas of §43.1, byte 24. `None` for those that are reserved.
fn linearize(code: u8, x: f64) -> Option<f64> {
    Some(match code {
        // From 70h on the factors were those of this very reading, so what remains is linear.
        0x00 | 0x70..=0x7F => x,
        0x01 => x.ln(),
        0x02 => x.log10(),
        0x03 => x.log2(),
        0x04 => x.exp(),
        0x05 => 10f64.powf(x),
        0x06 => x.exp2(),
        0x07 => x.recip(),
        0x08 => x * x,
        0x09 => x * x * x,
        0x0A => x.sqrt(),
        0x0B => x.cbrt(),
        _ => return None,
    })
}

/// The number that a raw byte stands for, in the sensor's own unit. `None` where there is no finite one.
pub fn value(analog: &Analog, factors: Factors, raw: u8) -> Option<f64> {
    let x = f64::from(factors.m) * counted(analog.format, raw);
    let offset = scaled(f64::from(factors.b), factors.b_exponent);
    linearize(analog.linearization, scaled(x + offset, factors.result_exponent)).filter(|y| y.is_finite())
}

/// So many counts in the sensor's own unit, without the offset.
pub fn span(factors: Factors, counts: f64) -> f64 {
    scaled(f64::from(factors.m).abs() * counts, factors.result_exponent)
}

/// Times ten to the power; a division by a power of ten is exact where a multiplication by its inverse is not.
fn scaled(x: f64, exponent: i8) -> f64 {
    let power = 10f64.powi(i32::from(exponent).abs());
    if exponent < 0 { x / power } else { x * power }
}

/// Whether the factors are to be asked for with every reading.
pub fn depends_on_reading(analog: &Analog) -> bool {
    analog.linearization >= 0x70
}

/// Units of table 43-15 that have a place in the catalogue, or nearly so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Degrees Celsius, also made from Fahrenheit and kelvin.
    Celsius,
    /// Volts.
    Volt,
    /// Amperes.
    Ampere,
    /// Watts, also volt-amperes.
    Watt,
    /// Joules.
    Joule,
    /// Cubic feet a minute, also made from cubic metres a minute.
    CubicFeetPerMinute,
    /// Turns a minute.
    Rpm,
    /// Hertz.
    Hertz,
    /// Hours.
    Hour,
    /// Percent.
    Percent,
    /// Corrected errors.
    CorrectedErrors,
    /// Uncorrected errors.
    UncorrectedErrors,
    /// None, or one that the catalogue does not have.
    Other,
}

/// The unit of a sensor, and the function that brings its numbers to it.
pub fn unit(analog: &Analog) -> (Unit, fn(f64) -> f64) {
    if analog.percent {
        return (Unit::Percent, |x| x);
    }
    if analog.modifier_use != 0 && analog.modifier_unit != 0 {
        return (Unit::Other, |x| x);
    }
    // A rate "per second" of joules is a power; other rates have no place in the catalogue.
    if analog.rate != 0 && !(matches!(analog.base_unit, 17 | 18 | 19 | 13) && analog.rate == 4) {
        return match (analog.base_unit, analog.rate) {
            (7, 3) => (Unit::Watt, |x| x),
            _ => (Unit::Other, |x| x),
        };
    }
    match analog.base_unit {
        1 => (Unit::Celsius, |x| x),
        2 => (Unit::Celsius, |x| (x - 32.0) / 1.8),
        3 => (Unit::Celsius, |x| x - 273.15),
        4 => (Unit::Volt, |x| x),
        5 => (Unit::Ampere, |x| x),
        6 | 9 => (Unit::Watt, |x| x),
        7 => (Unit::Joule, |x| x),
        17 => (Unit::CubicFeetPerMinute, |x| x),
        18 => (Unit::Rpm, |x| x),
        19 => (Unit::Hertz, |x| x),
        24 => (Unit::Hour, |x| x),
        87 => (Unit::CorrectedErrors, |x| x),
        88 => (Unit::UncorrectedErrors, |x| x),
        _ => (Unit::Other, |x| x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn analog(format: Format, linearization: u8, m: i16, b: i16, b_exponent: i8, result_exponent: i8) -> Analog {
        Analog {
            format,
            percent: false,
            rate: 0,
            modifier_use: 0,
            base_unit: 1,
            modifier_unit: 0,
            linearization,
            factors: Factors { m, b, b_exponent, result_exponent },
            thresholds: [None; 6],
            exactness: super::super::sdr::Exactness::default(),
        }
    }

    fn number(analog: &Analog, raw: u8) -> Option<f64> {
        value(analog, analog.factors, raw)
    }

    #[test]
    fn a_negative_multiplier_counts_down() {
        assert_eq!(number(&analog(Format::Unsigned, 0, -1, 0, 0, 0), 45), Some(-45.0));
    }

    #[test]
    fn an_offset_has_an_exponent_of_its_own() {
        assert_eq!(number(&analog(Format::Unsigned, 0, 2, 5, 1, -1), 10), Some(7.0));
    }

    #[test]
    fn ones_and_twos_complement_differ_by_one_below_zero() {
        assert_eq!(number(&analog(Format::OnesComplement, 0, 1, 0, 0, 0), 0xFA), Some(-5.0));
        assert_eq!(number(&analog(Format::TwosComplement, 0, 1, 0, 0, 0), 0xFA), Some(-6.0));
    }

    #[test]
    fn the_reciprocal_of_nothing_is_no_number() {
        assert_eq!(number(&analog(Format::Unsigned, 7, 1, 0, 0, 0), 4), Some(0.25));
        assert_eq!(number(&analog(Format::Unsigned, 7, 1, 0, 0, 0), 0), None);
    }

    #[test]
    fn a_voltage_in_millivolts_is_exact() {
        assert_eq!(number(&analog(Format::Unsigned, 0, 63, 0, 0, -3), 192), Some(12.096));
    }

    #[test]
    fn reserved_linearisations_give_no_number() {
        assert_eq!(number(&analog(Format::Unsigned, 0x0C, 1, 0, 0, 0), 1), None);
    }

    #[test]
    fn fahrenheit_becomes_celsius() {
        let fahrenheit = Analog { base_unit: 2, ..analog(Format::Unsigned, 0, 1, 0, 0, 0) };
        let (unit, to) = unit(&fahrenheit);
        assert_eq!((unit, to(212.0).round()), (Unit::Celsius, 100.0));
    }

    proptest! {
        #[test]
        fn every_number_is_finite(lin in any::<u8>(), raw in any::<u8>(), m in -512i16..512, b in -512i16..512, be in -8i8..8, re in -8i8..8) {
            for format in [Format::Unsigned, Format::OnesComplement, Format::TwosComplement] {
                if let Some(y) = number(&analog(format, lin, m, b, be, re), raw) {
                    prop_assert!(y.is_finite());
                }
            }
        }
    }
}
