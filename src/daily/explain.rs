//! Why stocks are in or out on a day.

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::pool::PoolRow;

use super::chain::Chain;
use super::jobs::selection;
use crate::error::Error;

/// One stock on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Stock.
    pub code: StockCode,
    /// Its name, empty if not known.
    pub name: String,
    /// Its row in the pool, or why it has none.
    pub pool: Result<PoolRow, String>,
    /// Its rank among the candidates, or why it is none; `None` if it is not in the pool.
    pub candidate: Option<Result<u32, String>>,
}

/// Explains one stock, or all that have bars.
///
/// # Errors
/// The store cannot be read.
pub fn explain(chain: &mut Chain<'_>, day: Day, only: Option<StockCode>) -> Result<Vec<Explained>, Error> {
    let selected = selection(chain, day)?;
    let rank = |code| selected.candidates.iter().find(|r| r.ts_code == code).map(|r| Ok(r.rank));
    let rejected =
        |code| selected.rejected.iter().find(|(c, _)| *c == code).map(|(_, why)| Err(why.to_string()));
    let verdicts = chain.history.pool(day, chain.settings);
    let wanted = verdicts.into_iter().filter(|(code, _)| only.is_none_or(|o| o == *code));
    Ok(wanted
        .map(|(code, verdict)| Explained {
            code,
            name: chain.history.facts.name(code).to_owned(),
            pool: verdict.map_err(|why| why.to_string()),
            candidate: rank(code).or_else(|| rejected(code)),
        })
        .collect())
}
