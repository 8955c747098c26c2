//! The bars of tests/oracle/vectorbt_parity.py: whole cents with gaps, so that both languages hold the same numbers.

/// The seed of the comparison with vectorbt.
pub(crate) const SEED: u64 = 20_240_102;

/// `n` bars of open, high, low, close.
pub(crate) fn parity_bars(n: usize, seed: u64) -> Vec<[f64; 4]> {
    let mut state = seed;
    let mut draw = |m: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % m
    };
    let mut close: i64 = 10_000;
    let mut bars = Vec::with_capacity(n);
    for _ in 0..n {
        let gap = draw(41) - 20;
        let wide = if draw(20) == 0 { 10 } else { 1 };
        let open = close + gap * wide;
        close = open + draw(161) - 80 - (open - 10_000).div_euclid(64);
        let (high, low) = (open.max(close) + draw(40), open.min(close) - draw(40));
        bars.push([open, high, low, close].map(|cents| cents as f64 / 100.0));
    }
    bars
}
