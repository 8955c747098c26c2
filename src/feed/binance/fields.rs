//! Fields of Binance's messages whose type depends on the message.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::feed::numbers::LevelText;

/// `b` and `a`: levels of a book, a price of a ticker, the number of an aggregate trade.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Field<'a> {
    #[default]
    Absent,
    Text(&'a str),
    Levels(Vec<LevelText<'a>>),
    Number(i64),
}

impl<'a> Field<'a> {
    pub(super) fn levels(self) -> Option<Vec<LevelText<'a>>> {
        match self {
            Field::Levels(levels) => Some(levels),
            Field::Absent | Field::Text(_) | Field::Number(_) => None,
        }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self {
            Field::Text(text) => Some(text),
            Field::Absent | Field::Levels(_) | Field::Number(_) => None,
        }
    }

    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Field::Number(number) => Some(*number),
            Field::Absent | Field::Text(_) | Field::Levels(_) => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field<'a>, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("levels, a text or a number")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Field<'de>, E> {
        i64::try_from(number).map(Field::Number).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<'de>, A::Error> {
        LevelsVisitor.visit_seq(seq).map(|levels| Field::Levels(levels.0))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Field<'de>, A::Error> {
        Err(de::Error::custom("an object where levels, a text or a number should be"))
    }
}

/// `[[px, qty, …], …]`; what follows the quantity is skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Levels<'a>(pub(super) Vec<LevelText<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Levels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Levels<'a>, D::Error> {
        deserializer.deserialize_seq(LevelsVisitor)
    }
}

struct LevelsVisitor;

impl<'de> Visitor<'de> for LevelsVisitor {
    type Value = Levels<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("levels")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Levels<'de>, A::Error> {
        let mut levels = Vec::with_capacity(16);
        while let Some(OneLevel(level)) = seq.next_element()? {
            levels.push(level);
        }
        Ok(Levels(levels))
    }
}

struct OneLevel<'a>(LevelText<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for OneLevel<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneLevel<'a>, D::Error> {
        deserializer.deserialize_seq(OneLevelVisitor)
    }
}

struct OneLevelVisitor;

impl<'de> Visitor<'de> for OneLevelVisitor {
    type Value = OneLevel<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a level [price, quantity]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneLevel<'de>, A::Error> {
        let px = seq.next_element()?.ok_or_else(|| de::Error::custom("a level without a price"))?;
        let qty = seq.next_element()?.ok_or_else(|| de::Error::custom("a level without a quantity"))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(OneLevel([px, qty]))
    }
}

/// An object, or something else that is not looked into.
#[derive(Default)]
pub(super) enum Object<T> {
    #[default]
    Absent,
    Map(Box<T>),
    Other,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object::Map(Box::new(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object::Other)
    }
}

/// A text, or something else that is skipped.
#[derive(Default)]
pub(super) struct Loose<'a>(pub(super) Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose<'a>, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Loose<'de>, E> {
        Ok(Loose(Some(text)))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Loose<'de>, E> {
        Ok(Loose(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose(None))
    }
}
