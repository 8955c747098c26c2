//! Colours and sizes of all charts.

use crate::report::chart::scene::Color;

/// Which colour a rise has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// Green rises, red falls.
    #[default]
    Intl,
    /// Red rises, green falls.
    Cn,
}

/// Colours by their meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Behind everything.
    pub background: Color,
    /// Grid lines.
    pub grid: Color,
    /// Frames and zero lines.
    pub frame: Color,
    /// Titles.
    pub strong: Color,
    /// Labels.
    pub text: Color,
    /// Prices and other main lines.
    pub main: Color,
    /// Bands.
    pub band: Color,
    /// Equity.
    pub equity: Color,
    /// Second lines, such as z-scores.
    pub second: Color,
    /// Gains and buying.
    pub up: Color,
    /// Losses and selling.
    pub down: Color,
    /// Entries of longs.
    pub long: Color,
    /// Entries of shorts.
    pub short: Color,
    /// Times with an invalid book.
    pub invalid: Color,
    /// Times without rows.
    pub missing: Color,
}

impl Theme {
    /// For a white page, and readable in print.
    pub fn light(palette: Palette) -> Theme {
        let (green, red) = (Color::hex(0x0b8a5a), Color::hex(0xd23b4e));
        let (up, down) = palette.order(green, red);
        Theme {
            background: Color::hex(0xffffff),
            grid: Color::hex(0xe9ecf1),
            frame: Color::hex(0xaab3c0),
            strong: Color::hex(0x151b23),
            text: Color::hex(0x4b5563),
            main: Color::hex(0x1f2937),
            band: Color::hex(0x4f83e3),
            equity: Color::hex(0x2563c9),
            second: Color::hex(0x7c3aed),
            up,
            down,
            long: Color::hex(0x1d6fe0),
            short: Color::hex(0xc2620e),
            invalid: Color::hex(0xf0a020).fade(0.22),
            missing: Color::hex(0x94a3b8).fade(0.22),
        }
    }

    /// For a dark page.
    pub fn dark(palette: Palette) -> Theme {
        let (green, red) = (Color::hex(0x34c88a), Color::hex(0xf2647a));
        let (up, down) = palette.order(green, red);
        Theme {
            background: Color::hex(0x11161d),
            grid: Color::hex(0x222a35),
            frame: Color::hex(0x4a5566),
            strong: Color::hex(0xeef2f7),
            text: Color::hex(0xa5b1c2),
            main: Color::hex(0xdbe3ee),
            band: Color::hex(0x6b9cf5),
            equity: Color::hex(0x6ba4ff),
            second: Color::hex(0xb794ff),
            up,
            down,
            long: Color::hex(0x5aa7ff),
            short: Color::hex(0xf5a04c),
            invalid: Color::hex(0xf0a020).fade(0.20),
            missing: Color::hex(0x94a3b8).fade(0.18),
        }
    }

    /// Colours that a page exchanges when it turns dark: the light one and its dark counterpart.
    pub fn pairs(palette: Palette) -> Vec<(Color, Color)> {
        let (light, dark) = (Theme::light(palette), Theme::dark(palette));
        light.colors().into_iter().zip(dark.colors()).collect()
    }

    fn colors(&self) -> [Color; 15] {
        let Theme { background, grid, frame, strong, text, main, band, equity, second, .. } = *self;
        let Theme { up, down, long, short, invalid, missing, .. } = *self;
        [
            background, grid, frame, strong, text, main, band, equity, second, up, down, long, short,
            invalid, missing,
        ]
    }

    /// The colour of a result.
    pub fn of(&self, gain: f64) -> Color {
        if gain > 0.0 { self.up } else { self.down }
    }
}

impl Palette {
    fn order(self, green: Color, red: Color) -> (Color, Color) {
        match self {
            Palette::Intl => (green, red),
            Palette::Cn => (red, green),
        }
    }
}

/// Heights of fonts, pixels.
pub mod size {
    /// Titles.
    pub const TITLE: f64 = 27.0;
    /// The line under a title.
    pub const CAPTION: f64 = 17.0;
    /// Labels of axes, legends, notes.
    pub const LABEL: f64 = 17.0;
}
