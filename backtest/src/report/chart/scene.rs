//! A chart as plain shapes in pixels, before anything draws it.

/// A colour with its opacity, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    /// Red, green, blue.
    pub rgb: (u8, u8, u8),
    /// 1 covers what lies below.
    pub alpha: f64,
}

impl Color {
    /// An opaque colour from `0xRRGGBB`.
    pub const fn hex(rgb: u32) -> Color {
        Color { rgb: ((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8), alpha: 1.0 }
    }

    /// The same, so opaque.
    pub const fn fade(self, alpha: f64) -> Color {
        Color { alpha, ..self }
    }
}

/// A place, pixels from the top left corner.
pub type Point = (f64, f64);

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Lower edge.
    pub bottom: f64,
}

impl Rect {
    /// Width.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Height.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Do they share an inner point?
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// Which point of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The middle of its left edge.
    Left,
    /// Its middle.
    Center,
    /// The middle of its right edge.
    Right,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What it says.
    pub text: String,
    /// Where.
    pub at: Point,
    /// Which of its points stands there.
    pub anchor: Anchor,
    /// Height of the font, pixels.
    pub size: f64,
    /// Bold or regular.
    pub bold: bool,
    /// Its colour.
    pub color: Color,
}

impl Label {
    /// The area that it covers, given its width.
    pub fn bounds(&self, width: f64) -> Rect {
        let left = match self.anchor {
            Anchor::Left => self.at.0,
            Anchor::Center => self.at.0 - width / 2.0,
            Anchor::Right => self.at.0 - width,
        };
        let half = self.size * 0.5;
        Rect { left, right: left + width, top: self.at.1 - half, bottom: self.at.1 + half }
    }
}

/// Something to draw.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line {
        /// From first to last.
        points: Vec<Point>,
        /// Its colour; drawn segment by segment, so best opaque.
        color: Color,
        /// Its width.
        width: f64,
        /// Drawn and left out in turn, pixels; `None` for a solid line.
        dash: Option<f64>,
    },
    /// A filled polygon.
    Fill {
        /// Its corners.
        points: Vec<Point>,
        /// Its colour.
        color: Color,
    },
    /// A filled rectangle.
    Box {
        /// Where.
        rect: Rect,
        /// Its colour.
        color: Color,
    },
    /// A filled circle.
    Dot {
        /// Its centre.
        at: Point,
        /// Its radius.
        radius: f64,
        /// Its colour.
        color: Color,
    },
    /// A text.
    Text(Label),
}

/// Everything on a chart, in drawing order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width and height, pixels.
    pub size: (u32, u32),
    /// Behind everything.
    pub background: Color,
    /// In drawing order.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// An empty chart.
    pub fn new(size: (u32, u32), background: Color) -> Scene {
        Scene { size, background, shapes: Vec::new() }
    }

    /// Adds a solid line.
    pub fn line(&mut self, points: Vec<Point>, color: Color, width: f64) {
        self.shapes.push(Shape::Line { points, color, width, dash: None });
    }

    /// Adds a dashed line.
    pub fn dashed(&mut self, points: Vec<Point>, color: Color, width: f64, dash: f64) {
        self.shapes.push(Shape::Line { points, color, width, dash: Some(dash) });
    }

    /// Adds a polygon.
    pub fn fill(&mut self, points: Vec<Point>, color: Color) {
        self.shapes.push(Shape::Fill { points, color });
    }

    /// Adds a rectangle.
    pub fn rect(&mut self, rect: Rect, color: Color) {
        self.shapes.push(Shape::Box { rect, color });
    }

    /// Adds a circle.
    pub fn dot(&mut self, at: Point, radius: f64, color: Color) {
        self.shapes.push(Shape::Dot { at, radius, color });
    }

    /// Adds a text.
    pub fn text(&mut self, label: Label) {
        self.shapes.push(Shape::Text(label));
    }
}
