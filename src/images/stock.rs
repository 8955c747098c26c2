//! One stock-day: its rows in, its image and everything that is kept beside it out.

use lobstream_market::ashare::{DayMaker, Exchange, StockCode, StockDay};
use lobstream_market::images::{
    CELLS, CHANNELS, Counts, DayImage, IMAGE_BYTES, Normalise, Painter, Tally, broken_invariants, measures,
    values_out_of_range,
};
use xxhash_rust::xxh3::xxh3_64;

use super::meta::{Counters, CutsRow, Status, StockRow};
use super::settings::Settings;
use crate::error::Error;
use crate::feed::ashare::StockRows;

/// What is stored of a stock.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// Which.
    pub(crate) code: StockCode,
    /// What became of it.
    pub(crate) stock: StockRow,
    /// Its image, if it has one.
    pub(crate) image: Option<Painted>,
}

/// An image in the form in which it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Painted {
    /// 960 `f32` little-endian.
    pub(crate) bytes: [u8; IMAGE_BYTES],
    /// The counts that it was made of.
    pub(crate) counts: Counts,
    /// By what they were sorted.
    pub(crate) cuts: CutsRow,
}

/// The hash of an image in its stock row.
pub(crate) fn image_hash(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

/// Makes the image of a stock from its rows.
///
/// # Errors
/// An invariant is broken: a bug, told with the cells. Whatever is wrong with the data of this stock alone is its
/// status, not an error.
pub(crate) fn build(
    code: StockCode,
    rows: StockRows,
    maker: &mut DayMaker,
    painter: &mut Painter,
    settings: &Settings,
) -> Result<Finished, Error> {
    paint(rows.seen_by(settings.image.compat).day_in(code, maker), painter, settings)
}

/// Makes the image of a day.
///
/// # Errors
/// As [`build`].
pub(crate) fn paint(day: &StockDay, painter: &mut Painter, settings: &Settings) -> Result<Finished, Error> {
    match painter.paint(day) {
        Ok(image) => finish(day, &image, settings),
        Err(e) => Ok(without_image(day.code, Status::Error, day.counters.rows, Some(e.to_string()))),
    }
}

/// A stock that gets no image.
pub(crate) fn without_image(code: StockCode, status: Status, rows: u64, message: Option<String>) -> Finished {
    let mut counters = Counters::default();
    counters.day.rows = rows;
    let stock = StockRow {
        status,
        message,
        trades: 0,
        orders: 0,
        cancels: 0,
        counters,
        channel_sums: [0; CHANNELS],
        nonzero_cells: [0; CHANNELS],
        greatest_cells: [0; CHANNELS],
        cancel_missing_ratio: 0.0,
        warnings: Vec::new(),
        hash: None,
    };
    Finished { code, stock, image: None }
}

fn finish(day: &StockDay, painted: &DayImage, settings: &Settings) -> Result<Finished, Error> {
    let image = painted.image(&settings.image);
    let mut broken = broken_invariants(&painted.counts, &painted.kept);
    let is_normalised = settings.image.normalise == Normalise::Log1pMax;
    if is_normalised && values_out_of_range(&image) > 0 {
        broken.push(format!("{} values lie outside [0, 1]", values_out_of_range(&image)));
    }
    if let Some(first) = broken.first() {
        let what =
            format!("{}: {first} ({} in all); this is a bug, the day is not stored", day.code, broken.len());
        return Err(Error::Invariant { what });
    }
    let kept = &painted.kept;
    let empty = kept.trades + kept.orders + kept.cancels == 0;
    let (bytes, tallies) = (image.to_bytes(), painted.counts.tallies());
    let stock = StockRow {
        status: if empty { Status::Empty } else { Status::Ok },
        message: None,
        trades: kept.trades,
        orders: kept.orders,
        cancels: kept.cancels,
        counters: Counters::new(day.counters, &painted.dropped),
        channel_sums: tallies.map(|t| t.sum),
        nonzero_cells: tallies.map(|t| t.nonzero),
        greatest_cells: tallies.map(|t| t.greatest),
        cancel_missing_ratio: day.counters.cancel_missing_ratio(),
        warnings: if empty { Vec::new() } else { warnings(day, &tallies) },
        hash: (!empty).then(|| image_hash(&bytes)),
    };
    let cuts = CutsRow::new(painted, day.code.tick_decimals());
    let image = (!empty).then(|| Painted { bytes, counts: painted.counts.clone(), cuts });
    Ok(Finished { code: day.code, stock, image })
}

/// What is unusual about a day, as texts.
fn warnings(day: &StockDay, tallies: &[Tally; CHANNELS]) -> Vec<String> {
    let mut texts = Vec::new();
    if !day.has_orders {
        let what = match day.code.exchange() {
            Exchange::Sh => "channels 7 to 12 hold what trades tell of orders that matched on arrival",
            Exchange::Sz | Exchange::Bj => "channels 7 to 12 are empty",
        };
        texts.push(format!("no_orders: there are no rows of orders, {what}"));
    }
    let counters = &day.counters;
    for (name, n) in [("no_index", counters.no_index), ("aggressive_unknown", counters.aggressive_unknown)] {
        if n > 0 {
            texts.push(format!("{name}: {n} rows"));
        }
    }
    for measure in measures(tallies, counters.cancel_missing_ratio()).iter().filter(|m| m.is_unusual()) {
        let place = measure.channel.map(|c| format!(" of channel {}", c as usize)).unwrap_or_default();
        let value = measure.value.unwrap_or_default();
        texts.push(format!("{}{place}: {value:.4}, usual is {}", measure.name, measure.usual()));
    }
    texts
}

/// The bytes of counts: 960 `u32` little-endian.
pub(crate) fn count_bytes(counts: &Counts) -> Vec<u8> {
    counts.0.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// The counts of so many bytes.
pub(crate) fn counts_of(bytes: &[u8]) -> Option<Counts> {
    let mut counts = Counts([0; CELLS]);
    if bytes.len() != 4 * CELLS {
        return None;
    }
    for (n, from) in counts.0.iter_mut().zip(bytes.chunks_exact(4)) {
        *n = u32::from_le_bytes(from.try_into().ok()?);
    }
    Some(counts)
}
