//! The gamma function and the distributions made of it, as far as rates of rare events need them.

/// Coefficients of Lanczos' approximation, g = 7, n = 9 (Godfrey): the relative error is below 1e-14 for positive arguments.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// The natural logarithm of the gamma function, for `x` > 0.
pub fn ln_gamma(x: f64) -> f64 {
    if x < 0.5 {
        // The reflection formula: the series is for the right half.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let base = x + 7.5;
    let (first, rest) = (LANCZOS[0], LANCZOS.iter().skip(1));
    let sum = rest.zip(1_u32..).fold(first, |sum, (c, i)| sum + c / (x + f64::from(i)));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * base.ln() - base + sum.ln()
}

/// The regularised lower incomplete gamma function P(a, x): the probability that a gamma variate of shape `a` and scale 1 is at most `x`.
/// By its series below `a` + 1, by its continued fraction above (Abramowitz and Stegun 6.5.29 and 6.5.31).
pub fn lower(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if !x.is_finite() {
        return 1.0;
    }
    let factor = (a * x.ln() - x - ln_gamma(a)).exp();
    // Both converge in about sqrt(a) steps near x = a.
    let steps = 200 + 20 * whole_root(a);
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..steps {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return (sum * factor).min(1.0);
    }
    // Lentz' way through the continued fraction.
    let tiny = 1e-300;
    let (mut b, mut c) = (x + 1.0 - a, 1.0 / tiny);
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..steps {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = an * d + b;
        if d.abs() < tiny {
            d = tiny;
        }
        c = b + an / c;
        if c.abs() < tiny {
            c = tiny;
        }
        d = 1.0 / d;
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (1.0 - factor * h).clamp(0.0, 1.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before the cast")]
fn whole_root(a: f64) -> u32 {
    a.max(0.0).sqrt().min(100_000.0) as u32
}

/// The value below which a gamma variate of shape `shape` and scale 1 lies with this probability; 0 for a shape of 0.
pub fn quantile(shape: f64, probability: f64) -> f64 {
    if shape <= 0.0 || probability <= 0.0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, shape + 10.0 * shape.sqrt() + 50.0);
    // Down to the last bits, whatever the magnitude: small shapes have quantiles near 0.
    for _ in 0..1100 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high || (high - low) < high * 1e-15 {
            break;
        }
        if lower(shape, middle) < probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// A count as a number.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gamma_function_meets_factorials_and_the_half() {
        let mut factorial = 1.0_f64;
        for n in 1..20 {
            assert!((ln_gamma(f64::from(n)) - factorial.ln()).abs() < 1e-12, "{n}");
            factorial *= f64::from(n);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-13);
        assert!((ln_gamma(0.1) - 2.252_712_651_734_206).abs() < 1e-12);
    }

    #[test]
    fn the_incomplete_function_is_the_sum_of_poisson_terms() {
        for mean in [0.01_f64, 0.5, 1.0, 7.3, 30.0, 250.0] {
            let (mut term, mut sum) = ((-mean).exp(), 0.0);
            for k in 1..400_u32 {
                sum += term;
                term *= mean / f64::from(k);
                // At least k events: P(k, mean).
                assert!((lower(f64::from(k), mean) - (1.0 - sum)).abs() < 1e-12, "{k} {mean}");
            }
        }
    }

    #[test]
    fn a_quantile_is_the_way_back() {
        for shape in [0.05, 0.5, 1.0, 3.7, 40.0, 5_000.0] {
            for p in [0.001, 0.025, 0.5, 0.975, 0.999] {
                let x = quantile(shape, p);
                assert!((lower(shape, x) - p).abs() < 1e-9, "{shape} {p} {x}");
            }
        }
        // Of shape 1 it is the exponential distribution.
        assert!((quantile(1.0, 0.975) - 40.0_f64.ln()).abs() < 1e-12);
    }
}
