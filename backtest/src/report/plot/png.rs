//! Scenes → PNG files.

use std::fmt::Display;
use std::path::Path;

use plotters::backend::BitMapBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::BitMapElement;

use crate::error::Error;
use crate::report::chart::scene::Scene;
use crate::report::plot::{Ink, draw, fonts};

/// Drawn at so many times the size.
const OVERSAMPLE: u32 = 2;

/// Draws a scene into a PNG file.
///
/// # Errors
/// The file cannot be written.
pub(in crate::report) fn write_png(scene: &Scene, path: &Path) -> Result<(), Error> {
    let failed = |reason: &dyn Display| Error::Render {
        what: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        reason: reason.to_string(),
    };
    if !fonts() {
        return Err(failed(&"the embedded fonts cannot be read"));
    }
    let large = (scene.size.0 * OVERSAMPLE, scene.size.1 * OVERSAMPLE);
    let mut pixels = vec![0u8; large.0 as usize * large.1 as usize * 3];
    let ink = Ink { scale: f64::from(OVERSAMPLE), whole_lines: false };
    let area = BitMapBackend::with_buffer(&mut pixels, large).into_drawing_area();
    draw(&area, ink, scene).map_err(|reason| failed(&reason))?;
    drop(area);
    let pixels = halve(&pixels, scene.size);
    let area = BitMapBackend::new(path, scene.size).into_drawing_area();
    let image = BitMapElement::with_owned_buffer((0, 0), scene.size, pixels)
        .ok_or_else(|| failed(&"the picture does not fit its frame"))?;
    area.draw(&image).map_err(|e| failed(&e))?;
    area.present().map_err(|e| failed(&e))
}

/// Averages 2×2 pixels into one.
fn halve(large: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let row = width as usize * 6;
    let mut small = Vec::with_capacity(width as usize * height as usize * 3);
    for rows in large.chunks_exact(2 * row) {
        let (upper, lower) = rows.split_at(row);
        for (u, l) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            let mean = |i: usize| {
                let sum = u16::from(u[i]) + u16::from(u[i + 3]) + u16::from(l[i]) + u16::from(l[i + 3]);
                ((sum + 2) / 4) as u8
            };
            small.extend([mean(0), mean(1), mean(2)]);
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_pixels_become_their_mean() {
        let large = [0, 0, 0, 4, 8, 10, 0, 0, 0, 4, 8, 11];
        assert_eq!(halve(&large, (1, 1)), [2, 4, 5]);
    }
}
