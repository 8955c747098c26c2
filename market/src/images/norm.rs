//! From counts to values in [0, 1], each channel for itself.

use super::{BINS, CELLS, Compat, Counts, Image, Normalise};

/// ```text
/// x = f32(ln(1 + count))      y = x / max x of the channel, 0 if the channel is empty
/// ```
pub(super) fn image(counts: &Counts, normalise: Normalise, compat: Compat) -> Image {
    let mut image = Image([0.0; CELLS]);
    if normalise == Normalise::None {
        image.0 = counts.0.map(|n| n as f32);
        return image;
    }
    for (values, counts) in image.0.chunks_exact_mut(BINS * BINS).zip(counts.0.chunks_exact(BINS * BINS)) {
        for (value, &n) in values.iter_mut().zip(counts) {
            *value = match compat {
                Compat::None => libm::log1p(f64::from(n)) as f32,
                Compat::Ancestor => libm::log1pf(n as f32),
            };
        }
        let most = values.iter().copied().fold(0.0, f32::max);
        if most > 0.0 {
            values.iter_mut().for_each(|value| *value /= most);
        }
    }
    image
}
