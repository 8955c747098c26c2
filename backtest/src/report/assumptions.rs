//! What the numbers of a run rest on, with the values that were used.

use std::fmt::Write as _;

use crate::dataset::{Basis, SpellKind};
use crate::engine::Fill;
use crate::engine::daily::Sizing;
use crate::metrics::step_text;
use crate::report::format;
use crate::run::{Accounting, RunResult};

/// One assumption: its number on the backtest page, and what it says for this run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assumption {
    pub(super) id: &'static str,
    pub(super) text: String,
}

/// All that apply.
pub(super) fn assumptions(result: &RunResult) -> Vec<Assumption> {
    let entries = [
        ("A1", "Fills never move the market: the book after our order is the recorded one.".to_owned()),
        ("A2", stops(result)),
        ("A3", decisions(result)),
        ("A4", prices(result)),
        ("A7", volume(result)),
        ("A8", fees(result)),
        ("A9", latency(result)),
        ("A10", "No funding, no borrow cost, no liquidation engine: a short sets its whole notional aside, and one \
                 that loses more than that stops the run."
            .to_owned()),
        ("A11", "The symbols are those that were given; nothing tells whether others failed.".to_owned()),
        ("A12", gaps(result)),
        ("A13", money(result)),
    ];
    let market = [
        ("A5", "An exit that rests at the down limit fills there if the bar trades above it."),
        ("A6", "A stop touched on the day of the entry is sold at the first open of a later day."),
    ];
    let market = market.into_iter().filter(|_| result.config.ashare.is_some());
    let mut all: Vec<Assumption> = entries
        .into_iter()
        .chain(market.map(|(id, text)| (id, text.to_owned())))
        .map(|(id, text)| Assumption { id, text })
        .collect();
    all.sort_by_key(|assumption| assumption.id[1..].parse::<u32>().unwrap_or(u32::MAX));
    all
}

/// The page `assumptions.md`.
pub(super) fn page(result: &RunResult) -> String {
    let mut text = format!("# Assumptions of run {}\n\n", &result.hash[..16]);
    for assumption in assumptions(result) {
        let _ = writeln!(text, "- **{}** {}", assumption.id, assumption.text);
    }
    if !result.warnings.is_empty() {
        text.push_str("\n## Warnings\n\n");
        for warning in &result.warnings {
            let _ = writeln!(text, "- {warning}");
        }
    }
    text
}

fn stops(result: &RunResult) -> String {
    let counts = &result.counts;
    let finer = if result.config.detail {
        "the prices inside the bar"
    } else {
        "nothing finer is asked, so the rule"
    };
    format!(
        "Stop before target if a bar holds both, unless finer prices decide ({finer}). Of the exits {} are settled by \
         the bar alone, {} by finer prices, {} by this rule (finer prices missing: {}).",
        counts.exits_by_bar, counts.exits_by_detail, counts.exits_by_rule, counts.detail_missing
    )
}

fn decisions(result: &RunResult) -> String {
    match result.config.fill {
        Fill::NextOpen => {
            "A decision at a bar's close uses what was known then and fills at the open of the next \
                           bar that has a price."
                .to_owned()
        }
        Fill::Close => {
            "A decision at a bar's close fills at that very close (fill = close): slightly optimistic."
                .to_owned()
        }
    }
}

fn volume(result: &RunResult) -> String {
    let config = &result.config;
    let known = result.series.iter().any(|series| series.bars.volume.iter().any(Option::is_some));
    let cap = config.ashare.as_ref().and_then(|_| config.portfolio.unwrap_or_default().volume_cap);
    match cap.filter(|_| known) {
        Some(cap) => format!(
            "An order is at most {} of the mean volume of the 20 bars before: the rest of an entry is dropped, that of an \
             exit goes on at the next open.",
            format::percent(cap, 2)
        ),
        None => "No cap by volume: orders fill in full, however large.".to_owned(),
    }
}

fn prices(result: &RunResult) -> String {
    let step = step_text(result.step_ms);
    let slippage = result.config.slippage;
    let mids = result.series.iter().all(|series| series.basis == Basis::Mid);
    let basis = if mids { "mids at the end of each second" } else { "traded prices" };
    format!(
        "Bars of {step} are made of {basis}. Every fill but a resting target is worse than that by: {slippage}. A stop \
         fills at its level, or at the first price beyond it when the price jumped."
    )
}

fn fees(result: &RunResult) -> String {
    if result.config.rules.is_some() {
        return "Fees of A shares by date, each item rounded half up to 0.01 CNY: commission with its least amount, \
                transfer fee, stamp duty on sales."
            .to_owned();
    }
    let mut venues: Vec<&str> = result.series.iter().map(|series| series.venue.as_str()).collect();
    venues.dedup();
    let rates: Vec<String> = venues
        .iter()
        .map(|venue| {
            let fees = result.config.fees_on(venue);
            format!("{venue} maker {} bp, taker {} bp", fees.maker_bp, fees.taker_bp)
        })
        .collect();
    let source = if result.config.fees.is_some() { "as set" } else { "base tier" };
    format!(
        "Fees on notional, {source}: {}. A target that is reached inside a bar is a maker, everything else a taker.",
        rates.join("; ")
    )
}

fn latency(result: &RunResult) -> String {
    let mids = result.series.iter().any(|series| series.basis == Basis::Mid);
    let mid = if mids { " On mid bars the next open is the mid one second later." } else { "" };
    format!("No queue and no latency below one bar.{mid}")
}

fn gaps(result: &RunResult) -> String {
    let seconds = |kind| result.series.iter().map(|series| series.spell_seconds(kind)).sum::<i64>();
    let text = |seconds: i64| format::duration(seconds as f64 * 1_000.0);
    format!(
        "Nothing fills while the book is invalid ({} in all) or rows are missing ({}): entries decided before such a \
         time are dropped, exits wait for the first price after it; equity keeps its last value.",
        text(seconds(SpellKind::Invalid)),
        text(seconds(SpellKind::Missing))
    )
}

fn sizing(sizing: Sizing) -> String {
    match sizing {
        Sizing::Slot => "their equal share of the equity at the last close".to_owned(),
        Sizing::FixedCash(cny) => format!("{} CNY each", format::number(cny, 2)),
        Sizing::FixedQty(qty) => format!("{qty} shares each"),
        Sizing::Risk(share) => format!("{} of the equity lost at the stop", format::percent(share, 2)),
    }
}

fn money(result: &RunResult) -> String {
    let cash = format::number(result.config.cash, 2);
    if result.config.ashare.is_some() {
        let account = result.config.portfolio.unwrap_or_default();
        return format!(
            "Start capital {cash}, at most {} positions, sized by {}; whole lots of the board, cash exact to 0.01 CNY.",
            account.max_positions,
            sizing(account.sizing)
        );
    }
    match result.config.accounting {
        Accounting::Cash => {
            let fraction = format::percent(result.config.fraction_of(result.series.len()), 2);
            format!(
                "Start capital {cash}. Each entry takes {fraction} of the equity at the last close, without leverage; \
                 quantities are cut to 8 decimals, not to the lots of the venue, and least notionals are not checked."
            )
        }
        Accounting::Unit => {
            format!(
                "Start capital {cash}, an equal share for each symbol, all of it in each of its positions, fractions not \
                 rounded."
            )
        }
    }
}
