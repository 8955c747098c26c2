//! Numbers and times as people read them.

use std::sync::Arc;

use crate::dataset::Series;
use crate::metrics::Conventions;
use crate::metrics::periods::civil;

/// `2024-08-08`.
pub(super) fn date(ms: i64) -> String {
    let (year, month, day, _) = civil(ms);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `13:05`, or `13:05:09` with seconds.
pub(super) fn clock(ms: i64, seconds: bool) -> String {
    let (.., rest) = civil(ms);
    let (h, m, s) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    if seconds { format!("{h:02}:{m:02}:{s:02}") } else { format!("{h:02}:{m:02}") }
}

/// `2024-08-08 13:05:09`.
fn date_time(ms: i64) -> String {
    format!("{} {}", date(ms), clock(ms, true))
}

/// `2024-08-08T13:05:09.250Z`.
pub(super) fn iso(ms: i64) -> String {
    format!("{}T{}.{:03}Z", date(ms), clock(ms, true), ms.rem_euclid(1_000))
}

/// The clock of a venue, by which people read a run of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// How far it is ahead of UTC, ms.
    pub(super) offset_ms: i64,
    /// Its name.
    pub(super) name: String,
}

impl Zone {
    /// That of a run.
    pub(super) fn of(conventions: &Conventions) -> Zone {
        Zone { offset_ms: conventions.utc_offset_ms, name: conventions.zone() }
    }

    /// `2024-08-08 13:05:09` of this clock.
    pub(super) fn date_time(&self, ms: i64) -> String {
        date_time(ms + self.offset_ms)
    }

    /// From one time to another, the date of the end only if it differs.
    pub(super) fn period(&self, from_ms: i64, to_ms: i64) -> String {
        let (from_ms, to_ms) = (from_ms + self.offset_ms, to_ms + self.offset_ms);
        let end = if date(from_ms) == date(to_ms) { clock(to_ms, true) } else { date_time(to_ms) };
        format!("{} – {end} {}", date_time(from_ms), self.name)
    }
}

/// `350 ms`, `12.5 s`, `5 min 45 s`, `3 h 02 min`, `2 d 4 h`.
pub(super) fn duration(ms: f64) -> String {
    if ms < 1_000.0 {
        return format!("{ms:.0} ms");
    }
    if ms < 60_000.0 {
        let seconds = format!("{:.1}", ms / 1_000.0);
        return format!("{} s", seconds.trim_end_matches(".0"));
    }
    let s = (ms / 1_000.0).round() as i64;
    if s < 3_600 {
        format!("{} min {:02} s", s / 60, s % 60)
    } else if s < 86_400 {
        format!("{} h {:02} min", s / 3_600, s / 60 % 60)
    } else {
        format!("{} d {} h", s / 86_400, s / 3_600 % 24)
    }
}

/// With thousands separators and a true minus: `−1,234.50`.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, part) = text.split_once('.').map_or((text.as_str(), None), |(w, p)| (w, Some(p)));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let negative = value < 0.0 && text.bytes().any(|b| b.is_ascii_digit() && b != b'0');
    let sign = if negative { "−" } else { "" };
    part.map_or_else(|| format!("{sign}{grouped}"), |part| format!("{sign}{grouped}.{part}"))
}

/// The same with a plus in front of gains.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let text = number(value, decimals);
    let is_zero = !text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if is_zero || text.starts_with('−') { text } else { format!("+{text}") }
}

/// A fraction in per cent: `−0.26 %`.
pub(super) fn percent(value: f64, decimals: usize) -> String {
    format!("{} %", number(value * 100.0, decimals))
}

/// As many decimals as a price of this size needs: five significant digits and more, at least 2 and at most 12.
pub(super) fn price_decimals(price: f64) -> usize {
    let magnitude = price.abs().max(1e-12).log10().floor() as i32;
    (5 - magnitude).clamp(2, 12) as usize
}

/// Base and quote unit of a symbol: `BTCUSDT` is BTC in USDT, `600519.SH` shares in CNY. Unknown spellings are `units` in `quote`.
pub(super) fn units(symbol: &str) -> (&str, &str) {
    const QUOTES: [&str; 12] =
        ["USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD", "EUR", "TRY", "BTC", "ETH", "BNB"];
    if [".SH", ".SZ", ".BJ"].iter().any(|ending| symbol.ends_with(ending)) {
        return ("shares", "CNY");
    }
    let pair = symbol.split('_').next().unwrap_or(symbol);
    let fits = |quote: &&&str| pair.len() > quote.len() && pair.ends_with(**quote);
    match QUOTES.iter().filter(fits).max_by_key(|quote| quote.len()) {
        Some(quote) => (pair[..pair.len() - quote.len()].trim_end_matches(['-', '/']), quote),
        None => ("units", "quote"),
    }
}

/// The quote units of all symbols, each once.
pub(super) fn currencies(series: &[Arc<Series>]) -> String {
    let mut quotes: Vec<&str> = series.iter().map(|series| units(&series.symbol).1).collect();
    quotes.sort_unstable();
    quotes.dedup();
    quotes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_gregorian() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(date_time(1_735_689_600_000), "2025-01-01 00:00:00");
        let utc = Zone::of(&Conventions::default());
        assert_eq!(utc.period(1_709_210_096_000, 1_709_210_100_000), "2024-02-29 12:34:56 – 12:35:00 UTC");
    }

    #[test]
    fn a_venue_has_its_own_clock() {
        let shanghai = Zone::of(&Conventions::ASHARE);
        assert_eq!(shanghai.date_time(1_748_914_200_000), "2025-06-03 09:30:00");
        let close_ms = 1_748_934_000_000;
        assert_eq!(
            shanghai.period(close_ms - 86_400_000, close_ms),
            "2025-06-02 15:00:00 – 2025-06-03 15:00:00 Shanghai"
        );
        let zone =
            |minutes: i64| Conventions { utc_offset_ms: minutes * 60_000, ..Conventions::default() }.zone();
        assert_eq!((zone(330).as_str(), zone(-240).as_str()), ("UTC+5:30", "UTC-4:00"));
    }

    #[test]
    fn durations_choose_their_unit() {
        let texts = [350.0, 12_500.0, 60_000.0, 345_000.0, 10_920_000.0, 187_200_000.0].map(duration);
        assert_eq!(texts, ["350 ms", "12.5 s", "1 min 00 s", "5 min 45 s", "3 h 02 min", "2 d 4 h"]);
    }

    #[test]
    fn numbers_are_grouped_and_zero_has_no_sign() {
        assert_eq!(number(-1_234_567.891, 2), "−1,234,567.89");
        assert_eq!(number(-0.001, 2), "0.00");
        assert_eq!(number(999.0, 0), "999");
        assert_eq!((signed(3.0, 1).as_str(), signed(0.0, 1).as_str()), ("+3.0", "0.0"));
        assert_eq!(percent(-0.026_34, 2), "−2.63 %");
    }

    #[test]
    fn symbols_name_their_units() {
        assert_eq!(units("BTCUSDT"), ("BTC", "USDT"));
        assert_eq!(units("BTCUSD_PERP"), ("BTC", "USD"));
        assert_eq!(units("ETHBTC"), ("ETH", "BTC"));
        assert_eq!(units("BTC-USDT"), ("BTC", "USDT"));
        assert_eq!(units("600519.SH"), ("shares", "CNY"));
        assert_eq!(units("600519"), ("units", "quote"));
    }

    #[test]
    fn small_prices_get_more_decimals() {
        assert_eq!([61_737.6, 100.0, 1.5, 0.012, 6.4e-6].map(price_decimals), [2, 3, 5, 7, 11]);
    }
}
