//! The standard normal law: its distribution function and the inverse of it.

use std::f64::consts::SQRT_2;

/// Φ(x).
pub fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Φ⁻¹(p); infinite at 0 and 1, NaN outside.
///
/// A rational start (error below 5·10⁻⁴, Abramowitz & Stegun 26.2.23), then Halley's steps on Φ(x) − p.
/// The upper half is the mirror image of the lower one, where Φ keeps its relative precision.
pub fn inverse_cdf(p: f64) -> f64 {
    if p > 0.5 {
        return -inverse_cdf(1.0 - p);
    }
    if p <= 0.0 {
        return if p == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    }
    let t = (-2.0 * libm::log(p)).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (0..4).fold(top / bottom - t, |x, _| halley(x, p))
}

fn halley(x: f64, p: f64) -> f64 {
    let density = libm::exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt();
    let step = (cdf(x) - p) / density;
    x - step / (1.0 + 0.5 * x * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles as scipy prints them.
    #[test]
    fn known_quantiles() {
        let known = [
            (1e-300, -37.047_096_299_361_2),
            (1e-10, -6.361_340_902_404_057),
            (0.001, -3.090_232_306_167_813_5),
            (0.025, -1.959_963_984_540_054_5),
            (0.3, -0.524_400_512_708_040_9),
            (0.5, 0.0),
            (0.9, 1.281_551_565_544_600_4),
            (0.999, 3.090_232_306_167_813_5),
        ];
        for (p, want) in known {
            let got = inverse_cdf(p);
            assert!((got - want).abs() <= 1e-13 * (1.0 + want.abs()), "{p}: {got}, expected {want}");
        }
    }

    #[test]
    fn it_undoes_the_distribution_function_and_has_edges() {
        for i in 1..2_000 {
            let p = f64::from(i) / 2_000.0;
            assert!((cdf(inverse_cdf(p)) - p).abs() < 1e-15, "{p}");
        }
        assert_eq!((inverse_cdf(0.0), inverse_cdf(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(inverse_cdf(-0.1).is_nan() && inverse_cdf(1.1).is_nan());
    }
}
