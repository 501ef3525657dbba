//! Small robust statistics. Empty input has no answer.

/// The median; of an even count the mean of the middle two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some(f64::midpoint(*sorted.get(middle - 1)?, *sorted.get(middle)?)),
        _ => sorted.get(middle).copied(),
    }
}

/// The mean of the middle half (interquartile mean): no quarter of wild values moves it, and of values that come in steps it tells more than the median,
/// which is always one of the steps.
pub(crate) fn middle(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    let middle = sorted.get(cut..sorted.len() - cut)?;
    (!middle.is_empty()).then(|| middle.iter().sum::<f64>() / middle.len() as f64)
}

/// The slope a step of a series of equal steps: the median of the slopes of all pairs (Theil-Sen), which no single bad
/// value moves. With it the share of pairs that rise.
pub(crate) fn trend(values: &[f64]) -> Option<(f64, f64)> {
    let mut slopes = Vec::new();
    let mut rising = 0_usize;
    for (i, a) in values.iter().enumerate() {
        for (j, b) in values.iter().enumerate().skip(i + 1) {
            let steps = u32::try_from(j - i).ok()?;
            slopes.push((b - a) / f64::from(steps));
            rising += usize::from(b > a);
        }
    }
    let pairs = slopes.len();
    let slope = median(slopes)?;
    Some((slope, ratio(rising, pairs)))
}

/// A share of small counts.
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    let small = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if whole == 0 { 0.0 } else { small(part) / small(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_value_moves_neither_median_nor_trend() {
        assert_eq!(median([3.0, 1.0, 900.0, 2.0, 2.5]), Some(2.5));
        let (slope, _) = trend(&[10.0, 11.0, 12.0, 500.0, 14.0, 15.0, 16.0]).unwrap();
        assert!((slope - 1.0).abs() < 0.2, "{slope}");
    }

    #[test]
    fn the_middle_half_lies_between_steps_and_no_wild_value_moves_it() {
        assert_eq!(middle([100.0, 100.0, 100.0, 120.0, 120.0, 120.0, 100.0, 120.0]), Some(110.0));
        assert_eq!(middle([1.0, 2.0, 3.0, 1e9, -1e9, 2.0]), Some(2.0));
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(median([]), None);
        assert_eq!(middle([]), None);
        assert_eq!(trend(&[1.0]), None);
    }
}
