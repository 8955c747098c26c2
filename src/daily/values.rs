//! A day's trade values, packed: what thresholds of later days are taken from.
//!
//! ```text
//! unit · first / unit · (second − first) / unit · …      all of them LEB128, the values ascending
//! ```

/// Packs ascending values that are not negative.
pub(super) fn pack(values: &[i64]) -> Vec<u8> {
    let unit = if values.iter().all(|v| v % 10_000 == 0) { 10_000 } else { 1 };
    let (mut out, mut before) = (Vec::with_capacity(values.len() * 2 + 2), 0);
    put(unit as u64, &mut out);
    for value in values {
        put(((value - before) / unit) as u64, &mut out);
        before = *value;
    }
    out
}

/// The values again; those of bytes that were cut end early.
pub(super) fn unpack(packed: &[u8]) -> Vec<i64> {
    let mut numbers = Numbers { bytes: packed };
    let Some(unit) = numbers.next() else { return Vec::new() };
    let mut value = 0;
    numbers
        .map(|step| {
            value += (step * unit) as i64;
            value
        })
        .collect()
}

fn put(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

struct Numbers<'a> {
    bytes: &'a [u8],
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (mut n, mut shift) = (0, 0);
        loop {
            let (first, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            n |= u64::from(first & 0x7f).checked_shl(shift)?;
            shift += 7;
            if first & 0x80 == 0 {
                return Some(n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_are_small() {
        for values in [vec![], vec![0], vec![10_000, 10_000, 500_000_000], vec![1, 2, i64::MAX / 2]] {
            assert_eq!(unpack(&pack(&values)), values);
        }
        let many: Vec<i64> = (0..5000).map(|i| i * 1_230_000).collect();
        assert!(pack(&many).len() <= 10_002);
    }
}
