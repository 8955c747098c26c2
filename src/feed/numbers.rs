//! Texts of prices and quantities into ticks and lots.

use lobstream_market::error::DataError;
use lobstream_market::event::{Level, RefusedReason};
use lobstream_market::price::{Decimal, Lots, Step, Ticks};

use crate::feed::instruments::{Known, Origin};

/// A level as text: price, quantity.
pub(crate) type LevelText<'a> = [&'a str; 2];

/// Why a message cannot be used.
pub(crate) enum Bad {
    /// This one message.
    Refuse { reason: RefusedReason, what: String },
    /// The step was inferred, and inferred wrongly: the whole input needs another one.
    Coarse(String),
}

impl Bad {
    pub(crate) fn schema(what: String) -> Bad {
        Bad::Refuse { reason: RefusedReason::Schema, what }
    }

    pub(crate) fn time(value: i64) -> Bad {
        let what = format!("event time {value} lies outside 1990-2100");
        Bad::Refuse { reason: RefusedReason::TimeOutOfRange, what }
    }
}

pub(crate) fn levels(texts: &[LevelText<'_>], field: &str, known: &Known) -> Result<Vec<Level>, Bad> {
    // Collecting would not know how many come, because one of them may be refused.
    let mut levels = Vec::with_capacity(texts.len());
    for text in texts {
        levels.push(level(*text, field, known)?);
    }
    Ok(levels)
}

pub(crate) fn level(text: LevelText<'_>, field: &str, known: &Known) -> Result<Level, Bad> {
    Ok(Level { px: px(text[0], field, known)?, qty: qty(text[1], field, known)? })
}

pub(crate) fn px(text: &str, field: &str, known: &Known) -> Result<Ticks, Bad> {
    let counted = known.instrument.tick_size.count_text(text);
    counted
        .map(Ticks)
        .map_err(|error| bad("tick", known.tick_from, RefusedReason::BadPrice, text, field, error))
}

pub(crate) fn qty(text: &str, field: &str, known: &Known) -> Result<Lots, Bad> {
    let counted = match text.starts_with('-') {
        true => not_negative(text).and_then(|value| known.instrument.lot_size.count(value)),
        false => known.instrument.lot_size.count_text(text),
    };
    counted.map(Lots).map_err(|error| bad("lot", known.lot_from, RefusedReason::BadQty, text, field, error))
}

fn not_negative(text: &str) -> Result<Decimal, DataError> {
    Decimal::parse(text).and_then(|value| match value.mantissa < 0 {
        true => Err(DataError::NegativeQuantity { text: text.to_owned() }),
        false => Ok(value),
    })
}

fn bad(step: &str, from: Origin, reason: RefusedReason, text: &str, field: &str, error: DataError) -> Bad {
    let off_step = matches!(error, DataError::OffStep { .. });
    match (from, Decimal::parse(text)) {
        (Origin::Inferred, Ok(value)) if off_step => {
            let need = Step::of_decimals(value.normalized().decimals);
            Bad::Coarse(format!(
                "field {field}: {text} needs --{step} {need} or finer; {error}, which came from \
                 the texts of the input: run again with --{step} {need}"
            ))
        }
        _ => {
            let unread = matches!(error, DataError::NotANumber { .. });
            let reason = if unread { RefusedReason::Parse } else { reason };
            Bad::Refuse { reason, what: format!("field {field}: {error}") }
        }
    }
}
