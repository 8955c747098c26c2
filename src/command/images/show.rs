//! Drawing a stock-day: 15 heat maps with the cut values on their axes.

use std::path::PathBuf;

use lobstream_backtest::report::{HeatGrid, HeatPanel};
use lobstream_market::ashare::StockCode;
use lobstream_market::images::{Channel, Image};

use crate::cli::ImagesShow;
use crate::command::say;
use crate::config::dates::Date;
use crate::error::Error;
use crate::images::{CutsRow, DayImages, DayMeta, DayPaths, StockRow};

pub(super) fn execute(args: &ImagesShow) -> Result<(), Error> {
    let date = Date::parse("--date", &args.date)?.to_string();
    let code: StockCode = args.code.parse().map_err(|e| Error::usage(format!("--code: {e}")))?;
    let (code, paths) = (code.to_string(), DayPaths::new(&args.input, &date));
    let (images, meta) = (DayImages::open(&paths.images())?, DayMeta::open(&paths.meta())?);
    let missing = || Error::Missing { what: format!("{code} has no image in {}", paths.images().display()) };
    let image = images.get(&code)?.ok_or_else(missing)?;
    let (stock, cuts) = (meta.stock(&code)?.ok_or_else(missing)?, meta.cuts(&code)?.ok_or_else(missing)?);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{code}-{date}.png")));
    grid(&code, &date, &image, &stock, &cuts).write_png(&out)?;
    say(format!("written to {}", out.display()));
    Ok(())
}

fn grid(code: &str, date: &str, image: &Image, stock: &StockRow, cuts: &CutsRow) -> HeatGrid {
    let panels = Channel::ALL.into_iter().map(|channel| panel(channel, image, stock, cuts));
    let big = match cuts.threshold {
        Some(t) => format!(
            " · big from {} CNY on",
            grouped((t / 10_f64.powi(cuts.tick_decimals as i32)).round() as u64)
        ),
        None => String::new(),
    };
    HeatGrid {
        title: format!("{code} on {}-{}-{}", &date[..4], &date[4..6], &date[6..]),
        subtitle: format!(
            "{} trades · {} new orders · {} cancels{big}",
            grouped(stock.trades),
            grouped(stock.orders),
            grouped(stock.cancels)
        ),
        row_axis: "price, CNY, between the cuts of the day".to_owned(),
        column_axis: "quantity, shares, between the cuts of the day; trades by the cuts of trades, orders and cancels by those of orders".to_owned(),
        scale: ["none", "ln(1 + records) / greatest", "most"].map(str::to_owned),
        across: 5,
        panels: panels.collect(),
    }
}

fn panel(channel: Channel, image: &Image, stock: &StockRow, cuts: &CutsRow) -> HeatPanel {
    let (prices, qtys) = cuts.of_channel(channel);
    let (sum, greatest) = (stock.channel_sums[channel as usize], stock.greatest_cells[channel as usize]);
    let cells = image.channel(channel);
    let most = cells.iter().copied().fold(0.0, f32::max);
    // Counts that were not normalised are drawn as shares of the greatest.
    let scale = if most > 1.0 { f64::from(most) } else { 1.0 };
    HeatPanel {
        title: format!("{} {}", channel as usize, channel.name()),
        note: format!("{} records, at most {} in a cell", grouped(sum), grouped(u64::from(greatest))),
        cells: cells.iter().map(|value| f64::from(*value) / scale).collect(),
        rows: prices.map(|price| price_text(price, cuts.tick_decimals)).to_vec(),
        columns: qtys.map(qty_text).to_vec(),
    }
}

/// Cuts lie between ticks: one decimal more than a tick has, unless it is not needed.
fn price_text(price: f64, tick_decimals: u32) -> String {
    let fine = format!("{price:.*}", tick_decimals as usize + 1);
    fine.strip_suffix('0').map_or(fine.clone(), str::to_owned)
}

/// Short enough to stand below a column: `250`, `1.5k`, `24k`, `1.2M`.
fn qty_text(qty: f64) -> String {
    let short = |value: f64, unit: &str| {
        let text = if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match qty {
        q if q < 999.5 => format!("{q:.0}"),
        q if q < 999_500.0 => short(q / 1e3, "k"),
        q => short(q / 1e6, "M"),
    }
}

/// `12,345`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact_enough() {
        let qtys = [100.0, 212.5, 999.4, 1000.0, 1595.125, 9999.0, 24_000.0, 1_250_000.0];
        assert_eq!(qtys.map(qty_text), ["100", "212", "999", "1k", "1.6k", "10k", "24k", "1.2M"]);
        assert_eq!(price_text(1839.72875, 2), "1839.729");
        assert_eq!([price_text(50.5, 2), price_text(3.9995, 3)], ["50.50", "3.9995"]);
        assert_eq!(
            [grouped(7), grouped(1_234), grouped(123_456), grouped(1_000_000)],
            ["7", "1,234", "123,456", "1,000,000"]
        );
    }
}
