//! Measures of closed trades by their P&L.

use crate::metrics::returns::{mean, sd};

/// Σ gains / −Σ losses; `None` without a loss.
pub fn profit_factor(pnl: &[f64]) -> Option<f64> {
    let losses: f64 = pnl.iter().filter(|x| **x < 0.0).sum();
    let gains: f64 = pnl.iter().filter(|x| **x > 0.0).sum();
    (losses < 0.0).then(|| gains / -losses)
}

/// Share of trades that earned something; 0 is no win.
pub fn win_rate(pnl: &[f64]) -> Option<f64> {
    let wins = pnl.iter().filter(|x| **x > 0.0).count();
    (!pnl.is_empty()).then(|| wins as f64 / pnl.len() as f64)
}

/// Mean of the gains.
pub fn avg_win(pnl: &[f64]) -> Option<f64> {
    mean(&pnl.iter().copied().filter(|x| *x > 0.0).collect::<Vec<_>>())
}

/// Mean of the losses.
pub fn avg_loss(pnl: &[f64]) -> Option<f64> {
    mean(&pnl.iter().copied().filter(|x| *x < 0.0).collect::<Vec<_>>())
}

/// System quality: √N·mean/sd (ddof 1); `None` for fewer than two trades or without spread.
pub fn sqn(pnl: &[f64]) -> Option<f64> {
    let spread = sd(pnl).filter(|sd| *sd > 0.0)?;
    Some((pnl.len() as f64).sqrt() * mean(pnl)? / spread)
}
