//! REST requests of a live feed. They block, so they run beside the connection.

use std::time::Duration;

use lobstream_market::instrument::Instrument;

use crate::error::Error;
use crate::feed::binance::rest;
use crate::feed::instruments::{Known, Origin};
use crate::feed::live::{Addresses, LiveOptions, venue_error};

/// Exchange information of all symbols is the longest reply, a few MiB.
const REPLY_BYTES_MAX: u64 = 64 << 20;
const WITHIN: Duration = Duration::from_secs(10);

/// A request that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) reason: String,
    /// The venue wants no request for so long.
    pub(super) hold: Option<Duration>,
}

/// The body of a reply.
pub(super) fn get(url: &str) -> Result<String, Failed> {
    let failed = |reason: String| Failed { reason, hold: None };
    let config = ureq::Agent::config_builder().timeout_global(Some(WITHIN)).http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(config.build());
    let mut reply = agent.get(url).call().map_err(|e| failed(e.to_string()))?;
    let status = reply.status().as_u16();
    if status == 200 {
        let body = reply.body_mut().with_config().limit(REPLY_BYTES_MAX).read_to_string();
        return body.map_err(|e| failed(e.to_string()));
    }
    let after = reply.headers().get("retry-after").and_then(|v| v.to_str().ok());
    Err(Failed { reason: format!("the server answers {status}"), hold: hold(status, after) })
}

/// 429: too many requests. 418: banned. 403: the firewall. The venue's word counts, where it gives one.
fn hold(status: u16, retry_after: Option<&str>) -> Option<Duration> {
    let told = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    match status {
        429 | 418 => Some(told.unwrap_or(Duration::from_secs(60))),
        403 => Some(told.unwrap_or(Duration::from_secs(300))),
        _ => None,
    }
}

/// The steps of the wanted symbols, as the venue publishes them now.
pub(super) fn instruments(options: &LiveOptions, addresses: &Addresses) -> Result<Vec<Known>, Error> {
    let url = &addresses.exchange_info;
    let body = get(url).map_err(|failed| {
        let reason = format!("{}; check --rest-base and the network", failed.reason);
        venue_error(options, url, &reason)
    })?;
    let published = rest::exchange_info(&body);
    let known = options.symbols.iter().map(|symbol| {
        let steps = published.iter().find(|p| p.symbol.eq_ignore_ascii_case(symbol.as_str()));
        let steps = steps.ok_or_else(|| {
            let known = published.len();
            Error::usage(format!("--symbols {symbol}: {} does not list it among its {known}", options.venue))
        })?;
        let instrument = Instrument {
            venue: options.venue,
            symbol: symbol.clone(),
            tick_size: steps.tick,
            lot_size: steps.lot,
        };
        Ok(Known { instrument, tick_from: Origin::Published, lot_from: Origin::Published })
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_that_says_no_is_left_alone() {
        let seconds = |status, after| hold(status, after).map(|d| d.as_secs());
        assert_eq!(seconds(429, Some("7")), Some(7));
        assert_eq!(seconds(429, None), Some(60));
        assert_eq!(seconds(418, Some("120")), Some(120));
        assert_eq!(seconds(403, None), Some(300));
        assert_eq!(seconds(500, Some("7")), None);
    }
}
