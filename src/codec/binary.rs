//! Records of the `market` topics: one [`MarketEvent`] in few bytes.
//!
//! ```text
//! value    version u8 = 1 │ head u8 │ ts_event? │ ts_recv? │ body
//! head     bits 0–3 kind (below) · bit 4 has ts_event · bit 5 has ts_recv
//! ts_event i64 little-endian                     ts_recv  z(ts_recv − ts_event), ts_event = 0 if absent
//!
//! kind 0 instrument  venue u8 │ text symbol │ step tick │ step lot        step = v numerator │ decimals u8
//!      1 snapshot    flags u8 (1 last_id, 2 limit) │ z last_id? │ v limit? │ side bids │ side asks
//!      2 delta       flags u8 (1 first_id, 2 last_id, 4 prev_id) │ z ids, each minus the one before │ side │ side
//!      3 trade       flags u8 (1 id, 2 buyer, 4 seller, 8 non-market) │ z id? │ z px │ v qty
//!      4 quote       flags u8 (1 update_id) │ z update_id? │ z bid px │ v bid qty │ z ask px − bid px │ v ask qty
//!      5 control     u8
//!      6 refused     reason u8 │ book u8 │ text detail
//!
//! side     v n │ n × { z px − the px before, 0 before the first │ v qty }
//! v        unsigned LEB128 of the 64 bits        z  v of the zig-zag: 0 −1 1 −2 … → 0 1 2 3 …
//! text     v length │ UTF-8
//! ```
//! Differences wrap, so every i64 survives. Reading never trusts a length before it has seen the bytes.

use lobstream_market::event::{
    Aggressor, Body, BookDelta, BookSnapshot, Control, Level, MarketEvent, Quote, Refused, RefusedReason,
    Trade,
};
use lobstream_market::instrument::{Instrument, Symbol, Venue};
use lobstream_market::price::{Decimal, Lots, Step, Ticks};

use crate::codec::CodecError;

/// First byte of every value.
pub const VERSION: u8 = 1;

const HAS_TS_EVENT: u8 = 1 << 4;
const HAS_TS_RECV: u8 = 1 << 5;

/// Appends the event to `out`.
pub fn encode_event(event: &MarketEvent, out: &mut Vec<u8>) {
    let mut head = kind(&event.body);
    head |= if event.ts_event.is_some() { HAS_TS_EVENT } else { 0 };
    head |= if event.ts_recv.is_some() { HAS_TS_RECV } else { 0 };
    out.extend_from_slice(&[VERSION, head]);
    if let Some(ts) = event.ts_event {
        out.extend_from_slice(&ts.to_le_bytes());
    }
    if let Some(ts) = event.ts_recv {
        put_z(out, ts.wrapping_sub(event.ts_event.unwrap_or(0)));
    }
    match &event.body {
        Body::Instrument(body) => put_instrument(out, body),
        Body::Snapshot(body) => put_snapshot(out, body),
        Body::Delta(body) => put_delta(out, body),
        Body::Trade(body) => put_trade(out, body),
        Body::Quote(body) => put_quote(out, body),
        Body::Control(body) => out.push(control_code(*body)),
        Body::Refused(body) => {
            out.extend_from_slice(&[reason_code(body.reason), u8::from(body.book)]);
            put_text(out, &body.detail);
        }
    }
}

/// Reads what [`encode_event`] wrote.
///
/// # Errors
/// Another version, an unknown code, bytes missing or left over.
pub fn decode_event(bytes: &[u8]) -> Result<MarketEvent, CodecError> {
    let mut r = Reader { bytes, at: 0 };
    if r.u8()? != VERSION {
        return Err(r.error("not a record of version 1"));
    }
    let head = r.u8()?;
    if head & !(0x0f | HAS_TS_EVENT | HAS_TS_RECV) != 0 {
        return Err(r.error("unknown bits in the head"));
    }
    let ts_event = if head & HAS_TS_EVENT != 0 { Some(r.i64_le()?) } else { None };
    let ts_recv = match head & HAS_TS_RECV {
        0 => None,
        _ => Some(r.z()?.wrapping_add(ts_event.unwrap_or(0))),
    };
    let body = match head & 0x0f {
        0 => Body::Instrument(r.instrument()?),
        1 => Body::Snapshot(r.snapshot()?),
        2 => Body::Delta(r.delta()?),
        3 => Body::Trade(r.trade()?),
        4 => Body::Quote(r.quote()?),
        5 => Body::Control(r.control()?),
        6 => Body::Refused(r.refused()?),
        _ => return Err(r.error("unknown kind")),
    };
    match r.at == bytes.len() {
        true => Ok(MarketEvent { ts_event, ts_recv, body }),
        false => Err(r.error("bytes left over")),
    }
}

fn kind(body: &Body) -> u8 {
    match body {
        Body::Instrument(_) => 0,
        Body::Snapshot(_) => 1,
        Body::Delta(_) => 2,
        Body::Trade(_) => 3,
        Body::Quote(_) => 4,
        Body::Control(_) => 5,
        Body::Refused(_) => 6,
    }
}

fn venue_code(venue: Venue) -> u8 {
    match venue {
        Venue::BinanceSpot => 0,
        Venue::BinanceUsdm => 1,
        Venue::BinanceCoinm => 2,
        Venue::Unsequenced => 3,
    }
}

fn control_code(control: Control) -> u8 {
    match control {
        Control::Connected => 0,
        Control::Disconnected => 1,
        Control::Stale => 2,
        Control::ResyncStarted => 3,
        Control::Away => 4,
    }
}

fn reason_code(reason: RefusedReason) -> u8 {
    match reason {
        RefusedReason::Parse => 0,
        RefusedReason::Schema => 1,
        RefusedReason::BadPrice => 2,
        RefusedReason::BadQty => 3,
        RefusedReason::TimeOutOfRange => 4,
    }
}

fn put_v(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_z(out: &mut Vec<u8>, value: i64) {
    put_v(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_v(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_step(out: &mut Vec<u8>, step: Step) {
    let (numerator, decimals) = step.parts();
    put_v(out, numerator as u64);
    out.push(decimals);
}

fn put_side(out: &mut Vec<u8>, levels: &[Level]) {
    put_v(out, levels.len() as u64);
    let mut before = 0i64;
    for level in levels {
        put_z(out, level.px.0.wrapping_sub(before));
        put_v(out, level.qty.0 as u64);
        before = level.px.0;
    }
}

fn flags<const N: usize>(set: [bool; N]) -> u8 {
    set.iter().enumerate().map(|(i, &on)| u8::from(on) << i).sum()
}

fn put_instrument(out: &mut Vec<u8>, body: &Instrument) {
    out.push(venue_code(body.venue));
    put_text(out, body.symbol.as_str());
    put_step(out, body.tick_size);
    put_step(out, body.lot_size);
}

fn put_snapshot(out: &mut Vec<u8>, body: &BookSnapshot) {
    out.push(flags([body.last_id.is_some(), body.limit.is_some()]));
    body.last_id.into_iter().for_each(|id| put_z(out, id));
    body.limit.into_iter().for_each(|n| put_v(out, u64::from(n)));
    put_side(out, &body.bids);
    put_side(out, &body.asks);
}

fn put_delta(out: &mut Vec<u8>, body: &BookDelta) {
    let ids = [body.first_id, body.last_id, body.prev_id];
    out.push(flags(ids.map(|id| id.is_some())));
    let mut before = 0i64;
    for id in ids.into_iter().flatten() {
        put_z(out, id.wrapping_sub(before));
        before = id;
    }
    put_side(out, &body.bids);
    put_side(out, &body.asks);
}

fn put_trade(out: &mut Vec<u8>, body: &Trade) {
    let (buyer, seller) = (body.aggressor == Aggressor::Buyer, body.aggressor == Aggressor::Seller);
    out.push(flags([body.id.is_some(), buyer, seller, body.non_market]));
    body.id.into_iter().for_each(|id| put_z(out, id));
    put_z(out, body.px.0);
    put_v(out, body.qty.0 as u64);
}

fn put_quote(out: &mut Vec<u8>, body: &Quote) {
    out.push(flags([body.update_id.is_some()]));
    body.update_id.into_iter().for_each(|id| put_z(out, id));
    put_z(out, body.bid.px.0);
    put_v(out, body.bid.qty.0 as u64);
    put_z(out, body.ask.px.0.wrapping_sub(body.bid.px.0));
    put_v(out, body.ask.qty.0 as u64);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: &'static str) -> CodecError {
        CodecError { at: self.at, what }
    }

    fn u8(&mut self) -> Result<u8, CodecError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.error("ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, n: usize) -> Result<&[u8], CodecError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.error("ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn i64_le(&mut self) -> Result<i64, CodecError> {
        let mut buffer = [0u8; 8];
        buffer.copy_from_slice(self.take(8)?);
        Ok(i64::from_le_bytes(buffer))
    }

    fn v(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("number of more than 64 bits"))
    }

    fn z(&mut self) -> Result<i64, CodecError> {
        let value = self.v()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn flags(&mut self, known: u8) -> Result<u8, CodecError> {
        let flags = self.u8()?;
        if flags & !known == 0 { Ok(flags) } else { Err(self.error("unknown flags")) }
    }

    fn z_if(&mut self, present: bool) -> Result<Option<i64>, CodecError> {
        if present { self.z().map(Some) } else { Ok(None) }
    }

    fn text(&mut self) -> Result<String, CodecError> {
        let len = usize::try_from(self.v()?).unwrap_or(usize::MAX);
        let text = std::str::from_utf8(self.take(len)?).map(str::to_owned);
        text.map_err(|_| self.error("text is not UTF-8"))
    }

    fn step(&mut self) -> Result<Step, CodecError> {
        let mantissa = self.v()? as i64;
        let decimals = self.u8()?;
        if decimals > 18 {
            return Err(self.error("step of more than 18 decimals"));
        }
        Step::from_decimal(Decimal { mantissa, decimals }).map_err(|_| self.error("step not above zero"))
    }

    fn qty(&mut self) -> Result<Lots, CodecError> {
        Ok(Lots(self.v()? as i64))
    }

    fn side(&mut self) -> Result<Vec<Level>, CodecError> {
        let n = usize::try_from(self.v()?).unwrap_or(usize::MAX);
        // A level takes two bytes at least: a length beyond that is a lie, not a reason to reserve memory.
        if n > (self.bytes.len() - self.at) / 2 {
            return Err(self.error("more levels than bytes"));
        }
        let (mut levels, mut before) = (Vec::with_capacity(n), 0i64);
        for _ in 0..n {
            before = before.wrapping_add(self.z()?);
            levels.push(Level { px: Ticks(before), qty: self.qty()? });
        }
        Ok(levels)
    }

    fn instrument(&mut self) -> Result<Instrument, CodecError> {
        let venue = match self.u8()? {
            0 => Venue::BinanceSpot,
            1 => Venue::BinanceUsdm,
            2 => Venue::BinanceCoinm,
            3 => Venue::Unsequenced,
            _ => return Err(self.error("unknown venue")),
        };
        let symbol = Symbol::new(&self.text()?);
        Ok(Instrument { venue, symbol, tick_size: self.step()?, lot_size: self.step()? })
    }

    fn snapshot(&mut self) -> Result<BookSnapshot, CodecError> {
        let flags = self.flags(0b11)?;
        let last_id = self.z_if(flags & 1 != 0)?;
        let limit = match flags & 2 {
            0 => None,
            _ => Some(u32::try_from(self.v()?).map_err(|_| self.error("limit above 32 bits"))?),
        };
        Ok(BookSnapshot { last_id, limit, bids: self.side()?, asks: self.side()? })
    }

    fn delta(&mut self) -> Result<BookDelta, CodecError> {
        let flags = self.flags(0b111)?;
        let (mut ids, mut before) = ([None; 3], 0i64);
        for (i, id) in ids.iter_mut().enumerate() {
            if flags & (1 << i) != 0 {
                before = before.wrapping_add(self.z()?);
                *id = Some(before);
            }
        }
        let [first_id, last_id, prev_id] = ids;
        Ok(BookDelta { first_id, last_id, prev_id, bids: self.side()?, asks: self.side()? })
    }

    fn trade(&mut self) -> Result<Trade, CodecError> {
        let flags = self.flags(0b1111)?;
        let aggressor = match flags & 0b110 {
            0 => Aggressor::Unknown,
            0b010 => Aggressor::Buyer,
            0b100 => Aggressor::Seller,
            _ => return Err(self.error("two aggressors")),
        };
        let id = self.z_if(flags & 1 != 0)?;
        let (px, qty) = (Ticks(self.z()?), self.qty()?);
        Ok(Trade { id, px, qty, aggressor, non_market: flags & 0b1000 != 0 })
    }

    fn quote(&mut self) -> Result<Quote, CodecError> {
        let flags = self.flags(1)?;
        let update_id = self.z_if(flags & 1 != 0)?;
        let bid = Level { px: Ticks(self.z()?), qty: self.qty()? };
        let ask = Level { px: Ticks(self.z()?.wrapping_add(bid.px.0)), qty: self.qty()? };
        Ok(Quote { update_id, bid, ask })
    }

    fn control(&mut self) -> Result<Control, CodecError> {
        match self.u8()? {
            0 => Ok(Control::Connected),
            1 => Ok(Control::Disconnected),
            2 => Ok(Control::Stale),
            3 => Ok(Control::ResyncStarted),
            4 => Ok(Control::Away),
            _ => Err(self.error("unknown control")),
        }
    }

    fn refused(&mut self) -> Result<Refused, CodecError> {
        let reason = match self.u8()? {
            0 => RefusedReason::Parse,
            1 => RefusedReason::Schema,
            2 => RefusedReason::BadPrice,
            3 => RefusedReason::BadQty,
            4 => RefusedReason::TimeOutOfRange,
            _ => return Err(self.error("unknown reason")),
        };
        let book = match self.u8()? {
            0 => false,
            1 => true,
            _ => return Err(self.error("neither yes nor no")),
        };
        Ok(Refused { reason, book, detail: self.text()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn levels() -> impl Strategy<Value = Vec<Level>> {
        let number = prop_oneof![any::<i64>(), -100i64..100, Just(i64::MIN), Just(i64::MAX)];
        let level = (number.clone(), number).prop_map(|(px, qty)| Level { px: Ticks(px), qty: Lots(qty) });
        prop::collection::vec(level, 0..12)
    }

    fn id() -> impl Strategy<Value = Option<i64>> {
        prop::option::of(prop_oneof![any::<i64>(), 0i64..1 << 45])
    }

    fn step() -> impl Strategy<Value = Step> {
        (1i64..1_000_000_000, 0u8..=18).prop_map(|(mantissa, decimals)| {
            Step::from_decimal(Decimal { mantissa, decimals }).expect("above zero")
        })
    }

    fn body() -> impl Strategy<Value = Body> {
        let venue = prop::sample::select(Venue::ALL.to_vec());
        let control = prop::sample::select(Control::ALL.to_vec());
        let reason = prop::sample::select(vec![
            RefusedReason::Parse,
            RefusedReason::Schema,
            RefusedReason::BadPrice,
            RefusedReason::BadQty,
            RefusedReason::TimeOutOfRange,
        ]);
        let side = prop::sample::select(vec![Aggressor::Buyer, Aggressor::Seller, Aggressor::Unknown]);
        prop_oneof![
            (venue, "[A-Z0-9_-]{0,20}", step(), step()).prop_map(|(venue, symbol, tick_size, lot_size)| {
                Body::Instrument(Instrument { venue, symbol: Symbol::new(&symbol), tick_size, lot_size })
            }),
            (id(), prop::option::of(any::<u32>()), levels(), levels()).prop_map(
                |(last_id, limit, bids, asks)| {
                    Body::Snapshot(BookSnapshot { last_id, limit, bids, asks })
                }
            ),
            (id(), id(), id(), levels(), levels()).prop_map(|(first_id, last_id, prev_id, bids, asks)| {
                Body::Delta(BookDelta { first_id, last_id, prev_id, bids, asks })
            }),
            (id(), any::<i64>(), any::<i64>(), side, any::<bool>()).prop_map(
                |(id, px, qty, aggressor, non_market)| {
                    Body::Trade(Trade { id, px: Ticks(px), qty: Lots(qty), aggressor, non_market })
                }
            ),
            (id(), prop::array::uniform4(any::<i64>())).prop_map(|(update_id, [bp, bq, ap, aq])| {
                let bid = Level { px: Ticks(bp), qty: Lots(bq) };
                let ask = Level { px: Ticks(ap), qty: Lots(aq) };
                Body::Quote(Quote { update_id, bid, ask })
            }),
            control.prop_map(Body::Control),
            (reason, any::<bool>(), ".{0,40}").prop_map(|(reason, book, detail)| Body::Refused(Refused {
                reason,
                book,
                detail
            })),
        ]
    }

    fn event() -> impl Strategy<Value = MarketEvent> {
        (id(), id(), body()).prop_map(|(ts_event, ts_recv, body)| MarketEvent { ts_event, ts_recv, body })
    }

    fn encoded(event: &MarketEvent) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_event(event, &mut bytes);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn every_event_survives(event in event()) {
            prop_assert_eq!(decode_event(&encoded(&event)), Ok(event));
        }

        #[test]
        fn a_cut_record_is_an_error(event in event(), cut in any::<prop::sample::Index>()) {
            let bytes = encoded(&event);
            prop_assert!(decode_event(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn a_longer_record_is_an_error(event in event(), extra in any::<u8>()) {
            let mut bytes = encoded(&event);
            bytes.push(extra);
            prop_assert!(decode_event(&bytes).is_err());
        }

        #[test]
        fn mangled_bytes_never_panic(event in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = encoded(&event);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // What still decodes must be an event in its own right.
            if let Ok(other) = decode_event(&bytes) {
                prop_assert_eq!(decode_event(&encoded(&other)), Ok(other));
            }
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_event(&bytes);
            let mut versioned = vec![VERSION];
            versioned.extend_from_slice(&bytes);
            let _ = decode_event(&versioned);
        }
    }

    /// The bytes of the drawing, written by hand: a change of the layout must change the version.
    #[test]
    fn the_layout_is_the_one_drawn() {
        let level = |px, qty| Level { px: Ticks(px), qty: Lots(qty) };
        let event = MarketEvent {
            ts_event: Some(1_000),
            ts_recv: Some(998),
            body: Body::Delta(BookDelta {
                first_id: Some(10),
                last_id: Some(13),
                prev_id: Some(9),
                bids: vec![level(300, 5), level(299, 0)],
                asks: vec![level(301, 200)],
            }),
        };
        let expected = [
            &[1u8, 0x32][..],             // version, delta with both times
            &[0xe8, 3, 0, 0, 0, 0, 0, 0], // 1000
            &[3],                         // -2
            &[0b111, 20, 6, 7],           // ids 10, +3, -4
            &[2, 0xd8, 4, 5, 1, 0],       // two bids: +300 5, -1 0
            &[1, 0xda, 4, 0xc8, 1],       // one ask: +301 200
        ]
        .concat();
        assert_eq!(encoded(&event), expected);
    }

    #[test]
    fn a_length_that_lies_reserves_nothing() {
        // Delta without ids, 2^60 bids.
        let bytes = [1, 2, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
        assert_eq!(decode_event(&bytes).map_err(|e| e.what), Err("more levels than bytes"));
    }
}
