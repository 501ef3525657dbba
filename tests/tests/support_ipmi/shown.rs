//! What `ipmitool` prints, as far as it has to be read.

/// The cells of a line.
pub(crate) fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

/// Whether a number as `ipmitool` rounds it is one that is not rounded. It rounds halves either way, as printf does, and reckons in `float` here and there.
pub(crate) fn is_rounded(text: &str, value: f64) -> bool {
    let digits = text.split_once('.').map_or(0, |(_, d)| d.len());
    let margin = 0.5000001 * 10f64.powi(-(digits as i32)) + value.abs() * 1e-6;
    // Its columns cut long numbers.
    let cut = || {
        let whole = format!("{value:.0}");
        // A number that a `double` does not hold exactly is spelt out all the same: the first fifteen digits count.
        text.len() >= 15 && whole.len() > text.len() && !text.contains('.') && near_digits(&whole, text)
    };
    text.parse::<f64>().is_ok_and(|n| (n - value).abs() <= margin) || cut()
}

fn near_digits(whole: &str, shown: &str) -> bool {
    let head: f64 = whole[..shown.len()].parse().unwrap();
    shown.parse::<f64>().is_ok_and(|n| (n - head).abs() <= head.abs() * 1e-12)
}
