//! The day's candidates, from everything that came before.

use std::collections::BTreeMap;

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::BollingerRow;
use lobstream_market::daily::candidates::{
    CandidateRow, Cuts, KnownLevel, KnownTest, Member, Selection, select,
};
use lobstream_market::daily::levels::LevelRow;
use lobstream_market::daily::pool::PoolRow;
use lobstream_market::daily::quality::FundQualityRow;
use lobstream_market::daily::reaction::TestedAs;

use super::price::scaled;
use crate::daily::chain::{Chain, Made, Stop};
use crate::error::Error;

/// Candidates in rank order.
pub(in crate::daily) fn candidates(chain: &mut Chain<'_>, day: Day) -> Result<Made<CandidateRow>, Stop> {
    let mut rows = selection(chain, day)?.candidates;
    // Stored by stock; the rank is a column.
    rows.sort_by_key(|r| r.ts_code);
    Ok(Made::rows(rows))
}

/// Candidates of a day, and why the other members of the pool are none.
pub(in crate::daily) fn selection(chain: &mut Chain<'_>, day: Day) -> Result<Selection, Error> {
    let settings = chain.settings.candidates;
    let calendar = &chain.history.calendar;
    let quality = latest_scores(chain, calendar.last(day, settings.quality_days))?;
    let (near, all) = (calendar.last(day, settings.test_days), calendar.last(day, settings.history_days));
    let mut tests: BTreeMap<StockCode, Vec<KnownTest>> = BTreeMap::new();
    let (mut support, mut resistance) = (Vec::new(), Vec::new());
    for of in all {
        let scored = chain.tests.of(chain.store, *of)?;
        for t in scored.iter() {
            match t.as_what {
                TestedAs::Support | TestedAs::Flip => support.push(t.score),
                TestedAs::Resistance => resistance.push(t.score),
            }
        }
        if near.contains(of) {
            for t in scored.iter() {
                let level_e4 = scaled(chain, t.code, t.level_e4, *of, day);
                tests.entry(t.code).or_default().push(KnownTest {
                    level_e4,
                    as_what: t.as_what,
                    score: t.score,
                });
            }
        }
    }
    let cuts = Cuts::of(support, resistance, &settings);
    let mut members = Vec::new();
    for code in chain.store.day::<PoolRow>(day)?.into_keys() {
        let bands: Vec<BollingerRow> = chain.store.rows(day, code)?;
        let levels: Vec<LevelRow> = chain.store.rows(day, code)?;
        let Some(bar) = chain.history.stocks.get(&code).and_then(|h| h.on(day)) else { continue };
        members.push(Member {
            code,
            close: bar.close,
            price_position: bands.first().and_then(|b| b.price_position),
            fund_quality_score: quality.get(&code).copied(),
            levels: levels.iter().map(known).collect(),
            tests: tests.remove(&code).unwrap_or_default(),
        });
    }
    Ok(select(day, calendar.after(day), &members, &cuts, &settings))
}

fn known(row: &LevelRow) -> KnownLevel {
    KnownLevel { level_e4: row.level_e4, role: row.role, strength: row.strength }
}

/// The score of each stock's latest row on these days.
fn latest_scores(chain: &Chain<'_>, days: &[Day]) -> Result<BTreeMap<StockCode, f64>, Error> {
    let mut latest = BTreeMap::new();
    for day in days {
        for (code, rows) in chain.store.day::<FundQualityRow>(*day)? {
            latest.insert(code, rows.last().and_then(|r| r.fund_quality_score));
        }
    }
    Ok(latest.into_iter().filter_map(|(code, score)| Some((code, score?))).collect())
}
