//! Fewer points, the same picture.

/// A line longer than this is thinned.
pub(super) const POINTS_MAX: usize = 4_000;

/// At most `max` points of a line: cut into equal runs, of each the first, the lowest, the highest and the last.
pub(super) fn decimate(points: &[(i64, f64)], max: usize) -> Vec<(i64, f64)> {
    if points.len() <= max.max(4) {
        return points.to_vec();
    }
    let run = points.len().div_ceil(max.max(4) / 4);
    points.chunks(run).flat_map(extremes).collect()
}

fn extremes(run: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let last = run.len() - 1;
    let best = |better: fn(f64, f64) -> bool| {
        (1..run.len()).fold(0, |best, i| if better(run[i].1, run[best].1) { i } else { best })
    };
    let mut keep = [0, best(|a, b| a < b), best(|a, b| a > b), last];
    keep.sort_unstable();
    let mut points: Vec<(i64, f64)> = keep.iter().map(|&i| run[i]).collect();
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_first_and_last_survive() {
        let mut points: Vec<(i64, f64)> = (0..100_000).map(|i| (i, (i as f64 / 900.0).sin())).collect();
        points[43_210].1 = -7.0;
        points[77_777].1 = 9.0;
        let thin = decimate(&points, POINTS_MAX);
        assert!(thin.len() <= POINTS_MAX, "{}", thin.len());
        for kept in [points[0], points[43_210], points[77_777], points[99_999]] {
            assert!(thin.contains(&kept), "{kept:?}");
        }
        assert!(thin.is_sorted_by_key(|point| point.0));
    }

    #[test]
    fn short_lines_stay_as_they_are() {
        let points = [(0, 1.0), (1, 2.0)];
        assert_eq!(decimate(&points, POINTS_MAX), points);
    }
}
