//! Scenes → SVG, as a file of its own or inside a page.

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;

use crate::error::Error;
use crate::report::chart::scene::Scene;
use crate::report::plot::{Ink, draw, fonts};

/// Plotters places shapes at whole pixels: drawn at so many times the size they fall on quarters.
const SCALE: u32 = 4;

const NAMESPACE: &str = " xmlns=\"http://www.w3.org/2000/svg\"";

/// A scene as an SVG document.
///
/// # Errors
/// A shape that cannot be drawn.
pub(in crate::report) fn svg(scene: &Scene) -> Result<String, Error> {
    let failed = |reason: String| Error::Render { what: "an SVG".to_owned(), reason };
    if !fonts() {
        return Err(failed("the embedded fonts cannot be read".to_owned()));
    }
    let size = (scene.size.0 * SCALE, scene.size.1 * SCALE);
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    draw(&area, Ink { scale: f64::from(SCALE), whole_lines: true }, scene).map_err(failed)?;
    drop(area);
    // The same drawing in the size that was asked for: only the head says how large it is shown.
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{}\" height=\"{}\"", scene.size.0, scene.size.1);
    Ok(text.replacen(&drawn, &shown, 1).replace(" opacity=\"1\"", ""))
}

/// The same for a page, which needs no name space, with a title for those who cannot see it.
pub(in crate::report) fn inline(svg: &str, title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    svg.replacen(NAMESPACE, &format!(" role=\"img\" aria-label=\"{title}\""), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::scene::{Anchor, Color, Label};

    #[test]
    fn shapes_and_texts_are_escaped_and_a_line_is_one_path() {
        let mut scene = Scene::new((200, 100), Color::hex(0xffffff));
        scene.line(vec![(0.0, 0.0), (10.25, 5.5), (20.0, 0.0)], Color::hex(0x112233), 1.0);
        let (anchor, size, bold, color) = (Anchor::Left, 12.0, true, Color::hex(0x445566));
        scene.text(Label { text: "<a> & b".to_owned(), at: (5.0, 50.0), anchor, size, bold, color });
        let svg = svg(&scene).expect("drawn");
        assert!(svg.starts_with("<svg width=\"200\" height=\"100\" viewBox=\"0 0 800 400\""), "{svg}");
        assert!(svg.contains("points=\"0,0 41,22 80,0 \""), "{svg}");
        assert!(svg.contains("&lt;a&gt; &amp; b") && svg.contains("font-weight=\"bold\""), "{svg}");
        let page = inline(&svg, "\"x\" <y>");
        assert!(!page.contains("http") && page.contains("aria-label=\"&quot;x&quot; &lt;y>\""), "{page}");
    }
}
