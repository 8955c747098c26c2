//! Binance's addresses and what its REST replies say about instruments.

use lobstream_market::instrument::Venue;
use lobstream_market::price::Step;
use serde::Deserialize;

use crate::feed::binance::Asked;

/// Path of the snapshot request.
pub(crate) fn depth_path(venue: Venue) -> Option<&'static str> {
    match venue {
        Venue::BinanceSpot => Some("/api/v3/depth"),
        Venue::BinanceUsdm => Some("/fapi/v1/depth"),
        Venue::BinanceCoinm => Some("/dapi/v1/depth"),
        Venue::Unsequenced => None,
    }
}

/// The venue of an address; `None` if it names none.
pub(crate) fn venue_of_address(url: &str) -> Option<Venue> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let begins = |a: &str, b: &str| host.starts_with(a) || path.starts_with(b);
    if begins("fapi.", "fapi/") || host.starts_with("fstream.") {
        Some(Venue::BinanceUsdm)
    } else if begins("dapi.", "dapi/") || host.starts_with("dstream.") {
        Some(Venue::BinanceCoinm)
    } else if begins("api.binance.", "api/v3/") || host.starts_with("stream.binance.") {
        Some(Venue::BinanceSpot)
    } else {
        None
    }
}

/// What a request asked for, if it asked for a snapshot: `…/depth?symbol=S&limit=N`.
pub(crate) fn asked(url: &str) -> Option<Asked> {
    let (path, query) = url.split_once('?')?;
    if !path.ends_with("/depth") {
        return None;
    }
    let value = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == name).map(|(_, v)| v)
    };
    Some(Asked {
        symbol: Some(value("symbol")?.to_ascii_uppercase()),
        limit: value("limit").and_then(|n| n.parse().ok()),
    })
}

/// Least steps of one symbol, as the venue publishes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) symbol: String,
    pub(crate) tick: Step,
    pub(crate) lot: Step,
}

#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<SymbolInfo>,
}

#[derive(Deserialize)]
struct SymbolInfo {
    symbol: String,
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    tick_size: Option<String>,
    step_size: Option<String>,
}

/// The steps in exchange information; symbols without usable filters are left out.
pub(crate) fn exchange_info(json: &str) -> Vec<Published> {
    let Ok(info) = serde_json::from_str::<ExchangeInfo>(json) else { return Vec::new() };
    info.symbols.into_iter().filter_map(published).collect()
}

fn published(info: SymbolInfo) -> Option<Published> {
    let filter = |name: &str| info.filters.iter().find(|f| f.filter_type == name);
    let tick = filter("PRICE_FILTER")?.tick_size.as_deref()?;
    let lot = filter("LOT_SIZE")?.step_size.as_deref()?;
    let (tick, lot) = (Step::parse(tick).ok()?, Step::parse(lot).ok()?);
    Some(Published { symbol: info.symbol, tick, lot })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_their_venue() {
        let check = |url, venue| assert_eq!(venue_of_address(url), venue, "{url}");
        check("https://api.binance.com/api/v3/exchangeInfo", Some(Venue::BinanceSpot));
        check("https://fapi.binance.com/fapi/v1/depth?symbol=X", Some(Venue::BinanceUsdm));
        check("https://dapi.binance.com/dapi/v1/depth?symbol=X", Some(Venue::BinanceCoinm));
        check("wss://stream.binance.com:9443/stream?streams=a", Some(Venue::BinanceSpot));
        check("wss://fstream.binance.com/stream?streams=a", Some(Venue::BinanceUsdm));
        check("http://127.0.0.1:80/fapi/v1/depth", Some(Venue::BinanceUsdm));
        check("wss://ws.okx.com:8443/ws/v5/public", None);
    }

    #[test]
    fn a_snapshot_request_tells_symbol_and_limit() {
        let asked_for = asked("https://api.binance.com/api/v3/depth?symbol=NKNUSDT&limit=1000");
        assert_eq!(asked_for, Some(Asked { symbol: Some("NKNUSDT".into()), limit: Some(1000) }));
        assert_eq!(asked("https://api.binance.com/api/v3/exchangeInfo"), None);
        assert_eq!(asked("https://api.binance.com/api/v3/trades?symbol=X"), None);
    }

    #[test]
    fn steps_are_read_from_the_filters() {
        let json = r#"{"symbols":[{"symbol":"ETHBTC","filters":[
            {"filterType":"PRICE_FILTER","tickSize":"0.00000100"},
            {"filterType":"LOT_SIZE","stepSize":"0.00010000"}]},{"symbol":"NONE","filters":[]}]}"#;
        let step = |text| Step::parse(text).expect(text);
        let all = exchange_info(json);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].tick, all[0].lot), (step("0.000001"), step("0.0001")));
        assert_eq!(exchange_info("{}"), []);
    }
}
