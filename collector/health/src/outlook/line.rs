//! Straight lines through what is noisy, and how far they can be trusted.

use super::day::small;

/// A rate at which one quantity goes with another, where what comes next is as uneven as what was: a random walk about a line.
///
/// The rate is the weighted median of the slopes of all pairs of points (Theil 1950, Sen 1968; weighted by distance: Jaeckel 1972, Ann. Math.
/// Stat. 43:1449), which a burst does not carry away. How uneven it is, is read off the walk about the line over several distances, of which
/// the greatest counts: usage that comes in waves strays further than its single steps show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Walk {
    /// y for each x.
    pub(super) rate: f64,
    /// The variance that each x adds.
    variance: f64,
    /// From the first to the last x.
    span: f64,
    /// Degrees of freedom of the variance.
    freedom: f64,
}

/// A rate learnt from a walk by the median of slopes is less sharp than the best by this factor of the variance; that of least squares is 6/5.
const BLUNT: f64 = 1.2;

/// How pairs of points are weighted.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    X,
    Y,
}

impl Walk {
    /// Of points in the order of their x, which rises, where each y is known but for an error of the variance `doubt`, which is no part of the
    /// walk; `None` where there are fewer than three.
    pub(super) fn of(points: &[(f64, f64)], by: By, doubt: f64) -> Option<Self> {
        let n = points.len();
        if n < 3 {
            return None;
        }
        let weighted = pairs(points).map(|(dx, dy)| {
            (
                dy / dx,
                match by {
                    By::X => dx,
                    By::Y => dy,
                },
            )
        });
        let rate = weighted_median(weighted.collect())?;
        let mut variance = 0.0_f64;
        let mut lag = 1;
        while lag <= (n / 4).max(1) {
            let strays = points.iter().zip(points.iter().skip(lag)).map(|(a, b)| {
                let stray = (b.1 - a.1) - rate * (b.0 - a.0);
                (stray * stray - 2.0 * doubt) / (b.0 - a.0)
            });
            // The line was laid through these very points: they stray less from it than the next ones will.
            let fitted = 1.0 - small(lag) / small(n);
            variance = variance.max(strays.sum::<f64>() / small(n - lag) / fitted);
            lag *= 2;
        }
        let span = points.last()?.0 - points.first()?.0;
        Some(Self { rate, variance, span, freedom: (small(n - 1) / 2.0).max(2.0) })
    }

    /// The variance of y after another `x`: the walk's own, and what is not known of the rate. Of sums of coming values from past ones (Hahn and
    /// Meeker, Statistical Intervals, 1991, 4.6).
    fn variance_after(&self, x: f64) -> f64 {
        self.variance * (x + BLUNT * x * x / self.span)
    }
}

/// How far to each side of a sum of these walks, each after its x, 80 of 100 lie: `known` is the variance of what else is in the sum. The
/// degrees of freedom are those of Welch and Satterthwaite (Biometrics 2:110, 1946).
pub(super) fn aside(walks: &[(&Walk, f64)], known: f64) -> f64 {
    let parts = walks.iter().map(|(walk, x)| (walk.variance_after(*x), walk.freedom));
    let (sum, squares) = parts.fold((known, 0.0), |(sum, squares), (v, freedom)| (sum + v, squares + v * v / freedom));
    if squares > 0.0 { student_90((sum * sum / squares).max(2.0)) * sum.sqrt() } else { student_90(30.0) * sum.sqrt() }
}

/// The distances of all pairs of points with different x.
pub(super) fn pairs(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let after = |i: usize| points.iter().skip(i + 1);
    points
        .iter()
        .enumerate()
        .flat_map(move |(i, a)| after(i).map(move |b| (b.0 - a.0, b.1 - a.1)))
        .filter(|d| d.0 > 0.0)
}

/// The median of values, each with its weight.
pub(super) fn weighted_median(mut values: Vec<(f64, f64)>) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, w)| w).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    values.iter().find_map(|(value, weight)| {
        sum += weight;
        (sum >= half).then_some(*value)
    })
}

/// The 90 % quantile of Student's t (Abramowitz and Stegun 26.7.5): within 0.02 from two degrees of freedom up.
fn student_90(freedom: f64) -> f64 {
    let z = 1.281_551_565_5_f64;
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom.powi(3))
}

/// A slope with its interval, where points lie about a line independently of each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slope {
    /// y for each x: the median of the slopes of all pairs.
    pub(crate) rate: f64,
    /// The interval that holds 80 of 100.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// How many standard errors Kendall's sum of rising pairs is above that of noise (Mann 1945).
    pub(crate) sure: f64,
}

impl Slope {
    /// Of points in the order of their x, which rises (Sen 1968; Hollander and Wolfe, Nonparametric Statistical Methods, 9.3).
    pub(crate) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let n = small(points.len());
        let mut slopes: Vec<f64> = pairs(points).map(|(dx, dy)| dy / dx).collect();
        slopes.sort_by(f64::total_cmp);
        let rate = crate::stats::median(slopes.iter().copied())?;
        // Days that are like the day before count for fewer (Hamed and Rao 1998, for the first lag).
        let like = likeness(points, rate);
        let error = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * (1.0 + like) / (1.0 - like)).sqrt();
        let rises: f64 = slopes.iter().map(|s| f64::from(u8::from(*s > 0.0)) - f64::from(u8::from(*s < 0.0))).sum();
        let cut = rank((small(slopes.len()) - 1.2816 * error) / 2.0);
        let low = *slopes.get(cut)?;
        let high = *slopes.get(slopes.len().checked_sub(cut + 1)?)?;
        Some(Self { rate, low, high, sure: if error > 0.0 { (rises - 1.0) / error } else { 0.0 } })
    }
}

/// How much the distance of a point from a line of this rate is like that of the point before: 0 to 0.8.
fn likeness(points: &[(f64, f64)], rate: f64) -> f64 {
    let middle = crate::stats::median(points.iter().map(|(x, y)| y - rate * x)).unwrap_or_default();
    let apart: Vec<f64> = points.iter().map(|(x, y)| y - rate * x - middle).collect();
    let squares: f64 = apart.iter().map(|a| a * a).sum();
    let products: f64 = apart.iter().zip(apart.iter().skip(1)).map(|(a, b)| a * b).sum();
    if squares > 0.0 { (products / squares).clamp(0.0, 0.8) } else { 0.0 }
}

/// A place in a short list.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lists are short, and less than nothing is nothing"
)]
fn rank(n: f64) -> usize {
    n.floor().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_as_the_tables_have_it() {
        for (freedom, table) in [(2.0, 1.886), (3.0, 1.638), (5.0, 1.476), (10.0, 1.372), (30.0, 1.310)] {
            assert!((student_90(freedom) - table).abs() < 0.02, "{freedom}: {}", student_90(freedom));
        }
    }

    #[test]
    fn a_line_without_noise_is_found_and_certain() {
        let points: Vec<(f64, f64)> = (0..9).map(|i| (f64::from(i), 3.0 + 2.0 * f64::from(i))).collect();
        let walk = Walk::of(&points, By::X, 0.0).unwrap();
        assert_eq!((walk.rate, walk.variance_after(10.0)), (2.0, 0.0));
        let slope = Slope::of(&points).unwrap();
        assert_eq!((slope.rate, slope.low, slope.high), (2.0, 2.0, 2.0));
        assert!(slope.sure > 3.0);
    }
}
