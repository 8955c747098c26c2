//! The fields of one JSON text of Binance, bare or wrapped as `{"stream": …, "data": {…}}`.
//!
//! Read straight into their places: a derived reader would build every field twice, and most messages have
//! a dozen of the thirty.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::feed::binance::fields::{Field, Levels};

/// All fields of all kinds, with Binance's names. What a kind does not have is absent.
#[derive(Debug, Default, PartialEq)]
#[expect(non_snake_case, reason = "the venue's names, which differ in case only")]
pub(super) struct Wire<'a> {
    pub(super) e: Option<&'a str>,
    pub(super) E: Option<i64>,
    pub(super) T: Option<i64>,
    pub(super) s: Option<&'a str>,
    pub(super) ps: Option<&'a str>,
    pub(super) st: Option<u8>,
    pub(super) U: Option<i64>,
    pub(super) u: Option<i64>,
    pub(super) pu: Option<i64>,
    pub(super) b: Field<'a>,
    pub(super) a: Field<'a>,
    pub(super) B: Option<&'a str>,
    pub(super) A: Option<&'a str>,
    pub(super) t: Option<i64>,
    pub(super) p: Option<&'a str>,
    pub(super) q: Option<&'a str>,
    pub(super) X: Option<&'a str>,
    pub(super) m: Option<bool>,
    pub(super) M: Option<IgnoredAny>,
    pub(super) lastUpdateId: Option<i64>,
    pub(super) symbol: Option<&'a str>,
    pub(super) pair: Option<&'a str>,
    pub(super) bids: Option<Levels<'a>>,
    pub(super) asks: Option<Levels<'a>>,
    pub(super) id: Option<IgnoredAny>,
}

/// One text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Frame<'a> {
    pub(super) stream: Option<&'a str>,
    pub(super) data: Data,
    /// The fields of `data` if that is an object, else those of the text itself.
    pub(super) wire: Wire<'a>,
}

/// What stands under `data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Data {
    /// Nothing.
    #[default]
    Absent,
    /// An object.
    Map,
    /// Something that is not looked into.
    Other,
}

impl<'a> Frame<'a> {
    /// Reads one text.
    pub(super) fn read(json: &'a str) -> Result<Frame<'a>, serde_json::Error> {
        let mut frame = Frame::default();
        let mut reader = serde_json::Deserializer::from_str(json);
        reader.deserialize_map(FrameVisitor(&mut frame))?;
        reader.end()?;
        Ok(frame)
    }
}

/// A name; it is borrowed unless something in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct FrameVisitor<'f, 'a>(&'f mut Frame<'a>);

impl<'a> Visitor<'a> for FrameVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Frame { stream, data, wire } = self.0;
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "stream" => set("stream", stream, &mut map)?,
                "data" if *data != Data::Absent => return Err(de::Error::duplicate_field("data")),
                "data" => {
                    // What stands beside it is of the frame, not of the message.
                    let mut inner = Wire::default();
                    *data = map.next_value_seed(DataVisitor(&mut inner))?;
                    *wire = inner;
                }
                // Checked, but kept only where the text itself is the message.
                name if *data == Data::Absent => wire.set(name, &mut map)?,
                name => Wire::default().set(name, &mut map)?,
            }
        }
        Ok(())
    }
}

struct DataVisitor<'w, 'a>(&'w mut Wire<'a>);

impl<'a> DeserializeSeed<'a> for DataVisitor<'_, 'a> {
    type Value = Data;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Data, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for DataVisitor<'_, 'a> {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Data, A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            self.0.set(&name, &mut map)?;
        }
        Ok(Data::Map)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Data, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Data::Other)
    }
}

impl<'a> Wire<'a> {
    /// Reads the value of one field into its place.
    fn set<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "e" => set("e", &mut self.e, map),
            "E" => set("E", &mut self.E, map),
            "T" => set("T", &mut self.T, map),
            "s" => set("s", &mut self.s, map),
            "ps" => set("ps", &mut self.ps, map),
            "st" => set("st", &mut self.st, map),
            "U" => set("U", &mut self.U, map),
            "u" => set("u", &mut self.u, map),
            "pu" => set("pu", &mut self.pu, map),
            "b" => set_field("b", &mut self.b, map),
            "a" => set_field("a", &mut self.a, map),
            "B" => set("B", &mut self.B, map),
            "A" => set("A", &mut self.A, map),
            "t" => set("t", &mut self.t, map),
            "p" => set("p", &mut self.p, map),
            "q" => set("q", &mut self.q, map),
            "X" => set("X", &mut self.X, map),
            "m" => set("m", &mut self.m, map),
            "M" => set("M", &mut self.M, map),
            "lastUpdateId" => set("lastUpdateId", &mut self.lastUpdateId, map),
            "symbol" => set("symbol", &mut self.symbol, map),
            "pair" => set("pair", &mut self.pair, map),
            "bids" => set("bids", &mut self.bids, map),
            "asks" => set("asks", &mut self.asks, map),
            "id" => set("id", &mut self.id, map),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

fn set<'a, T: Deserialize<'a>, A: MapAccess<'a>>(
    name: &'static str,
    place: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    if place.is_some() {
        return Err(de::Error::duplicate_field(name));
    }
    *place = map.next_value()?;
    Ok(())
}

fn set_field<'a, A: MapAccess<'a>>(
    name: &'static str,
    place: &mut Field<'a>,
    map: &mut A,
) -> Result<(), A::Error> {
    if !matches!(place, Field::Absent) {
        return Err(de::Error::duplicate_field(name));
    }
    *place = map.next_value()?;
    Ok(())
}
