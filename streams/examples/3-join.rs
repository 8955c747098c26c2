//! 3 · A stream meets a table: each order with the price that was known when it came.
//!
//! `cargo run -p lobstream-streams --example 3-join`

use std::error::Error;

use lobstream_streams::log;
use lobstream_streams::text::{Text, text};
use lobstream_streams::topology::join::Missing;
use lobstream_streams::topology::{Builder, Source};

#[path = "shared/mod.rs"]
mod shared;
use shared::{read, run, show, write};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let log = log::open(&format!("embedded:{}", dir.path().display()))?;
    // An empty text stands for a record without value: the price is withdrawn.
    write(&log, "prices", &[(1, "tea", "3"), (5, "tea", "4"), (8, "tea", "")])?;
    write(
        &log,
        "orders",
        &[(0, "tea", "1 cup"), (5, "tea", "2 cups"), (7, "tea", "3 cups"), (9, "tea", "4 cups")],
    )?;

    let mut t = Builder::<Text>::new("bill");
    // Of two records of one instant the price comes first: its rank is lower.
    let prices = t.table::<String>("prices", Source::topic("prices", text()).rank(0));
    let orders = t.stream::<String>("orders", Source::topic("orders", text()).rank(1));
    let priced = orders.join(&prices, Missing::Null, |order, price: Option<String>| {
        format!("{order} at {}", price.as_deref().unwrap_or("no price"))
    });
    priced.to("bill", text());
    run(t.build()?, &log)?;

    let bill = read(&log, "bill")?;
    show(&bill.join("\n"));
    let expected = ["0.000 tea 1 cup at no price", "5.000 tea 2 cups at 4", "7.000 tea 3 cups at 4"];
    assert_eq!(bill[..3], expected);
    assert_eq!(bill[3], "9.000 tea 4 cups at no price");
    Ok(())
}
