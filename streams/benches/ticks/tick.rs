//! The data: ticks as JSON of about 100 bytes, made from their number alone, and the rows of their seconds.
//!
//! ```text
//! {"sym":"SYM07","ts":1700000000000200000,"px":2712345,"qty":1234,"id":4999999,"side":"buy","venue":"peers"}
//! {"start":1700000000,"n":98,"sum":244310,"last":2712345}
//! ```

use std::io::Write;

use lobstream_streams::record::{Codec, CodecError};
use lobstream_streams::store::Stored;
use lobstream_streams::topology::window::Windowed;

/// Event time of the first tick, a whole second.
pub(crate) const START_NS: i64 = 1_700_000_000_000_000_000;
/// 5,000 ticks per second of event time.
pub(crate) const STEP_NS: i64 = 200_000;
pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// Mixes a number well: the data must not compress like a counter.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Key, value and event time of tick `i`.
pub(crate) fn make(i: u64, keys: u64, key: &mut String, value: &mut Vec<u8>) -> i64 {
    use std::fmt::Write as _;
    let (dice, ts) = (mix(i.wrapping_add(0x9e37_79b9_7f4a_7c15)), START_NS + i as i64 * STEP_NS);
    let symbol = if keys > 1_000 { i % keys } else { dice % keys };
    key.clear();
    value.clear();
    let (px, qty) = (2_700_000 + (dice >> 16) % 20_000, 1 + (dice >> 40) % 5_000);
    let side = if dice & 1 << 60 == 0 { "buy" } else { "sell" };
    write!(key, "SYM{symbol:02}").expect("a string takes all");
    let written = write!(
        value,
        "{{\"sym\":\"{key}\",\"ts\":{ts},\"px\":{px},\"qty\":{qty},\"id\":{i},\"side\":\"{side}\",\"venue\":\"peers\"}}"
    );
    written.expect("a vector takes all");
    ts
}

/// What travels through the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Tick(Tick),
    Row(Row),
    Count(u64),
}

/// What is taken of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) px: i64,
    pub(crate) qty: i64,
}

/// One key's second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Seconds since 1970.
    pub(crate) start: i64,
    pub(crate) sums: Sums,
}

/// Of the ticks of a row: how many, sum of the quantities, last price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) n: u64,
    pub(crate) sum: i64,
    pub(crate) last: i64,
}

impl Sums {
    pub(crate) fn add(&mut self, tick: Tick) {
        self.n += 1;
        self.sum += tick.qty;
        self.last = tick.px;
    }
}

impl From<Tick> for Message {
    fn from(tick: Tick) -> Message {
        Message::Tick(tick)
    }
}

impl TryFrom<Message> for Tick {
    type Error = ();

    fn try_from(message: Message) -> Result<Tick, ()> {
        match message {
            Message::Tick(tick) => Ok(tick),
            Message::Row(_) | Message::Count(_) => Err(()),
        }
    }
}

impl From<Windowed<Sums>> for Message {
    fn from(row: Windowed<Sums>) -> Message {
        Message::Row(Row { start: row.start.0.div_euclid(SECOND_NS), sums: row.value })
    }
}

impl TryFrom<Message> for Windowed<Sums> {
    type Error = ();

    /// Rows are only written.
    fn try_from(_: Message) -> Result<Windowed<Sums>, ()> {
        Err(())
    }
}

impl Stored for Sums {
    fn encode(&self, into: &mut Vec<u8>) {
        let fields = [self.n as i64, self.sum, self.last];
        fields.iter().for_each(|field| into.extend_from_slice(&field.to_be_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Sums, CodecError> {
        match bytes.as_chunks::<8>() {
            ([n, sum, last], []) => Ok(Sums {
                n: u64::from_be_bytes(*n),
                sum: i64::from_be_bytes(*sum),
                last: i64::from_be_bytes(*last),
            }),
            _ => Err(CodecError::new(format!("sums of {} bytes", bytes.len()))),
        }
    }
}

impl Row {
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        let Row { start, sums: Sums { n, sum, last } } = self;
        let written = write!(into, "{{\"start\":{start},\"n\":{n},\"sum\":{sum},\"last\":{last}}}");
        written.expect("a vector takes all");
    }
}

/// Reads ticks, writes rows and counts.
pub(crate) struct Json;

impl Codec<Message> for Json {
    fn encode(&self, value: &Message, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match value {
            Message::Row(row) => row.write(into),
            Message::Count(n) => into.extend_from_slice(n.to_string().as_bytes()),
            Message::Tick(_) => return Err(CodecError::new("ticks are not written")),
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, CodecError> {
        tick(bytes).map(Message::Tick).ok_or_else(|| CodecError::new("not a tick"))
    }
}

/// Walks over a flat object in one pass, its fields in any order; texts hold no escapes.
fn tick(json: &[u8]) -> Option<Tick> {
    let (mut px, mut qty) = (None, None);
    let mut rest = json.strip_prefix(b"{")?;
    loop {
        let (name, after) = text(rest)?;
        let value = after.strip_prefix(b":")?;
        rest = match name {
            b"px" => number(value, &mut px)?,
            b"qty" => number(value, &mut qty)?,
            _ => skip(value)?,
        };
        rest = match rest.split_first()? {
            (b',', more) => more,
            (b'}', []) => return Some(Tick { px: px?, qty: qty? }),
            _ => return None,
        };
    }
}

fn text(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = json.strip_prefix(b"\"")?;
    let end = inside.iter().position(|b| *b == b'"')?;
    Some((&inside[..end], &inside[end + 1..]))
}

fn number<'a>(json: &'a [u8], into: &mut Option<i64>) -> Option<&'a [u8]> {
    let n = json.iter().position(|b| !b.is_ascii_digit())?;
    if !(1..=18).contains(&n) {
        return None;
    }
    *into = Some(json[..n].iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0')));
    Some(&json[n..])
}

fn skip(json: &[u8]) -> Option<&[u8]> {
    if json.first() == Some(&b'"') {
        return text(json).map(|(_, rest)| rest);
    }
    let end = json.iter().position(|b| matches!(b, b',' | b'}'))?;
    Some(&json[end..])
}
