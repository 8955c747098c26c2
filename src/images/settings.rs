//! What images depend on beside the data, as the configuration says it, and its identity.

use std::fmt::Write as _;

use lobstream_market::images::{Arith, Bins, Compat, ImageSettings, Normalise};
use sha2::{Digest, Sha256};

/// The `[images]` block, resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What the kernel is told.
    pub image: ImageSettings,
    /// A stock with more input rows is skipped. Default 5 000 000, at least 1.
    pub max_rows_per_stock: u64,
    /// Seconds after 15:00:00 at which a stream closes a day. Default 60, at most 3600.
    pub grace_s: u32,
    /// Does a record after the close open the day again? Default no.
    pub reopen: bool,
    /// Images during the day.
    pub intraday: Intraday,
}

/// The `[images.intraday]` block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intraday {
    /// Seconds between two images; `None`: off, the default.
    pub every_s: Option<u32>,
    /// Past days whose cuts are averaged. Default 20.
    pub lookback: u32,
    /// Fewest of them. Default 5.
    pub min_days: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            image: ImageSettings::default(),
            max_rows_per_stock: 5_000_000,
            grace_s: 60,
            reopen: false,
            intraday: Intraday { every_s: None, lookback: 20, min_days: 5 },
        }
    }
}

impl Settings {
    /// The block with every key, as it would be written.
    pub fn text(&self) -> String {
        let image = &self.image;
        let every = self.intraday.every_s.map_or("off".to_owned(), |s| format!("{s}s"));
        let mut text = String::from("[images]\n");
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "{key} = {value}");
        };
        line("bins", quoted(bins_name(image.bins)));
        line("arith", quoted(arith_name(image.arith)));
        line("std_multiplier", format!("{:?}", image.std_multiplier));
        line("normalise", quoted(normalise_name(image.normalise)));
        line("max_rows_per_stock", self.max_rows_per_stock.to_string());
        line("compat", quoted(compat_name(image.compat)));
        line("grace_s", self.grace_s.to_string());
        line("reopen", self.reopen.to_string());
        text.push_str("[images.intraday]\n");
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "{key} = {value}");
        };
        line("every", quoted(&every));
        line("lookback", self.intraday.lookback.to_string());
        line("min_days", self.intraday.min_days.to_string());
        text
    }

    /// SHA-256 of [`Settings::text`], hex.
    pub fn hash(&self) -> String {
        Sha256::digest(self.text().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn quoted(word: &str) -> String {
    format!("{word:?}")
}

/// As the configuration spells it.
pub fn bins_name(bins: Bins) -> &'static str {
    match bins {
        Bins::Separate => "separate",
        Bins::Joint => "joint",
    }
}

/// As the configuration spells it.
pub fn arith_name(arith: Arith) -> &'static str {
    match arith {
        Arith::Ticks => "ticks",
        Arith::PriceF64 => "price_f64",
    }
}

/// As the configuration spells it.
pub fn normalise_name(normalise: Normalise) -> &'static str {
    match normalise {
        Normalise::Log1pMax => "log1p_max",
        Normalise::None => "none",
    }
}

/// As the configuration spells it.
pub fn compat_name(compat: Compat) -> &'static str {
    match compat {
        Compat::None => "none",
        Compat::Ancestor => "ancestor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_part_of_the_identity() {
        let base = Settings::default();
        let image = |change: fn(&mut ImageSettings)| {
            let mut settings = base;
            change(&mut settings.image);
            settings
        };
        let others = [
            image(|i| i.bins = Bins::Joint),
            image(|i| i.arith = Arith::PriceF64),
            image(|i| i.std_multiplier = 1.5),
            image(|i| i.normalise = Normalise::None),
            image(|i| i.compat = Compat::Ancestor),
            Settings { max_rows_per_stock: 4, ..base },
            Settings { grace_s: 61, ..base },
            Settings { reopen: true, ..base },
            Settings { intraday: Intraday { every_s: Some(60), ..base.intraday }, ..base },
            Settings { intraday: Intraday { lookback: 19, ..base.intraday }, ..base },
            Settings { intraday: Intraday { min_days: 6, ..base.intraday }, ..base },
        ];
        let hashes: std::collections::BTreeSet<String> =
            others.iter().chain([&base]).map(Settings::hash).collect();
        assert_eq!(hashes.len(), 12);
    }
}
