//! The usual shape of Binance's texts, read by hand: no blanks, no escapes, no field twice, whole numbers.
//!
//! What it reads, it reads as [`Frame::read`] would. Whatever else a text may be, right or wrong, gives `None` and
//! is left to that one, which has the words for it.

use serde::de::IgnoredAny;

use crate::feed::binance::fields::Field;
use crate::feed::binance::frame::{Data, Frame, Wire};
use crate::feed::numbers::LevelText;

/// A number of so many digits fits 63 bits.
const DIGITS_MAX: usize = 18;

/// Reads one text, if it is of the usual shape.
pub(super) fn read(json: &str) -> Option<Frame<'_>> {
    // Looked for once, not in every text: without them a text ends at the next quote.
    if json.bytes().fold(false, |found, b| found | (b < b' ') | (b == b'\\')) {
        return None;
    }
    let mut cursor = Cursor { text: json, at: 0 };
    let mut frame = Frame::default();
    cursor.object(|cursor, name| match name {
        b"stream" => once(&mut frame.stream, cursor.text()?),
        b"data" if frame.data == Data::Absent => {
            frame.data = Data::Map;
            frame.wire = Wire::default();
            cursor.object(|cursor, name| frame.wire.read_quickly(name, cursor))
        }
        name if frame.data == Data::Absent => frame.wire.read_quickly(name, cursor),
        _ => None,
    })?;
    (cursor.at == json.len()).then_some(frame)
}

impl<'a> Wire<'a> {
    /// Reads the value of one field into its place.
    fn read_quickly(&mut self, name: &[u8], cursor: &mut Cursor<'a>) -> Option<()> {
        match name {
            [letter] => self.read_letter(*letter, cursor),
            b"ps" => once(&mut self.ps, cursor.text()?),
            b"st" => once(&mut self.st, u8::try_from(cursor.number()?).ok()?),
            b"pu" => once(&mut self.pu, cursor.number()?),
            // Of snapshots, acknowledgements and the like, which are rare.
            b"lastUpdateId" | b"symbol" | b"pair" | b"bids" | b"asks" | b"id" => None,
            _ => cursor.skip(),
        }
    }

    fn read_letter(&mut self, name: u8, cursor: &mut Cursor<'a>) -> Option<()> {
        match name {
            b'e' => once(&mut self.e, cursor.text()?),
            b'E' => once(&mut self.E, cursor.number()?),
            b'T' => once(&mut self.T, cursor.number()?),
            b's' => once(&mut self.s, cursor.text()?),
            b'U' => once(&mut self.U, cursor.number()?),
            b'u' => once(&mut self.u, cursor.number()?),
            b'b' => cursor.field(&mut self.b),
            b'a' => cursor.field(&mut self.a),
            b'B' => once(&mut self.B, cursor.text()?),
            b'A' => once(&mut self.A, cursor.text()?),
            b't' => once(&mut self.t, cursor.number()?),
            b'p' => once(&mut self.p, cursor.text()?),
            b'q' => once(&mut self.q, cursor.text()?),
            b'X' => once(&mut self.X, cursor.text()?),
            b'm' => once(&mut self.m, cursor.truth()?),
            b'M' => cursor.truth().and_then(|_| once(&mut self.M, IgnoredAny)),
            _ => cursor.skip(),
        }
    }
}

/// Bytes before the next quote. Eight are looked at in one go: most texts have fewer.
fn until_quote(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 255;
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        // A quote is a byte of zeros now, and the first of those sets the lowest top bit.
        let word = u64::from_le_bytes(*word) ^ (EACH * u64::from(b'"'));
        let quotes = word.wrapping_sub(EACH) & !word & (EACH << 7);
        if quotes != 0 {
            return Some(n * 8 + quotes.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|b| *b == b'"').map(|n| words.len() * 8 + n)
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value);
    Some(())
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, expected: &[u8]) -> Option<()> {
        self.text.as_bytes().get(self.at..)?.starts_with(expected).then(|| self.at += expected.len())
    }

    /// `{"name":value,…}` with one name at least; `value` reads a value by its name.
    fn object(&mut self, mut value: impl FnMut(&mut Cursor<'a>, &[u8]) -> Option<()>) -> Option<()> {
        self.eat(b"{")?;
        loop {
            let name = self.name()?;
            value(self, name)?;
            if self.eat(b",").is_none() {
                return self.eat(b"}");
            }
        }
    }

    /// The name of a field and the colon after it.
    fn name(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.as_bytes().get(self.at..)?;
        if let [b'"', letter, b'"', b':', ..] = rest
            && *letter != b'"'
        {
            self.at += 4;
            return Some(&rest[1..2]);
        }
        let name = self.text()?;
        self.eat(b":")?;
        Some(name.as_bytes())
    }

    fn text(&mut self) -> Option<&'a str> {
        self.eat(b"\"")?;
        let end = self.at + until_quote(&self.text.as_bytes()[self.at..])?;
        let text = self.text.get(self.at..end)?;
        self.at = end + 1;
        Some(text)
    }

    /// A whole number from 0; what follows it is judged by whoever reads on.
    fn number(&mut self) -> Option<i64> {
        let rest = &self.text.as_bytes()[self.at..];
        let (mut number, mut n) = (0i64, 0);
        while let Some(digit) = rest.get(n).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            if n == DIGITS_MAX {
                return None;
            }
            number = number * 10 + i64::from(digit);
            n += 1;
        }
        let plain = n == 1 || (n > 1 && rest[0] != b'0');
        self.at += n;
        plain.then_some(number)
    }

    fn truth(&mut self) -> Option<bool> {
        match self.eat(b"true") {
            Some(()) => Some(true),
            None => self.eat(b"false").map(|()| false),
        }
    }

    fn field(&mut self, place: &mut Field<'a>) -> Option<()> {
        if !matches!(place, Field::Absent) {
            return None;
        }
        *place = match self.peek()? {
            b'[' => Field::Levels(self.levels()?),
            b'"' => Field::Text(self.text()?),
            _ => Field::Number(self.number()?),
        };
        Some(())
    }

    /// `[["price","quantity"],…]`, nothing in a level beside the two.
    fn levels(&mut self) -> Option<Vec<LevelText<'a>>> {
        self.eat(b"[")?;
        if self.eat(b"]").is_some() {
            return Some(Vec::new());
        }
        let mut levels = Vec::with_capacity(16);
        loop {
            self.eat(b"[")?;
            let px = self.text()?;
            self.eat(b",")?;
            let qty = self.text()?;
            self.eat(b"]")?;
            levels.push([px, qty]);
            if self.eat(b",").is_none() {
                self.eat(b"]")?;
                return Some(levels);
            }
        }
    }

    /// A value that nobody asks for.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.text().map(drop),
            b't' | b'f' => self.truth().map(drop),
            _ => self.number().map(drop),
        }
    }
}

#[cfg(test)]
mod tests;
