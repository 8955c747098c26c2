//! What the image topology does with a row, and when a day closes.

use std::sync::Arc;

use lobstream_market::ashare::{StockCode, StockDay, TickTime};
use lobstream_market::images::{DayImage, ImageError, Painter, broken_invariants};
use lobstream_streams::record::{Key, Record};
use lobstream_streams::store::StoreRef;
use lobstream_streams::store::kv::Kv;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};

use super::days::{Days, Kept, StockDate, What};
use super::{ImageMessage, ImageRecord, ImageStatus, ImagesOptions, IntradayOptions, LATE_AFTER_FINAL};
use crate::feed::ashare::StockRows;

const SECOND_NS: i64 = 1_000_000_000;
/// The end of trading, after which a day waits for what is still on its way.
const END: TickTime = TickTime(150_000_000);
/// The first image during a day is one step after this.
const BEGIN: TickTime = TickTime(93_000_000);
/// Times are whole milliseconds: so long after an instant everything up to it has come.
const TICK_NS: i64 = 1_000_000;
/// How long after the close a day can be corrected.
const CORRECTED_WITHIN_NS: i64 = 24 * 3_600 * SECOND_NS;

/// Keeps the rows of each stock's day and makes their images.
pub(super) struct ImageNode {
    days: StoreRef<Kv>,
    options: Arc<ImagesOptions>,
    painter: Painter,
}

impl ImageNode {
    pub(super) fn new(days: StoreRef<Kv>, options: Arc<ImagesOptions>) -> ImageNode {
        let painter = Painter::new(options.image);
        ImageNode { days, options, painter }
    }

    fn close_of(&self, date: u32) -> Ts {
        Ts(END.ts_ns(date) + i64::from(self.options.grace_s) * SECOND_NS)
    }

    /// The first row of a day: everything that will fall due.
    fn begin(&self, ctx: &mut Context<'_, ImageMessage>, of: StockDate) {
        let close = self.close_of(of.date);
        let first = self
            .options
            .intraday
            .as_ref()
            .and_then(|i| next_intraday(i, of.date, BEGIN.ts_ns(of.date) + TICK_NS));
        let mut days = Days(ctx.kv(self.days));
        days.plan(close, What::Close, of);
        if self.options.reopen {
            days.plan(Ts(close.0 + CORRECTED_WITHIN_NS), What::Forget, of);
        }
        if let Some(first) = first {
            days.plan(first, What::Intraday, of);
        }
        ctx.wake(first.map_or(close, |first| first.min(close)));
    }

    /// A row of a day that is closed: counted and kept apart, or the day's image is made again.
    fn late(
        &mut self,
        ctx: &mut Context<'_, ImageMessage>,
        of: StockDate,
        record: Record<ImageMessage>,
    ) -> Result<(), ProcessError> {
        ctx.count(LATE_AFTER_FINAL, 1);
        let kept = Days(ctx.kv(self.days)).kept(of);
        let (ImageMessage::Row(row), Some(kept), true) = (&record.value, kept, self.options.reopen) else {
            ctx.forward_to(1, record);
            return Ok(());
        };
        let mut days = Days(ctx.kv(self.days));
        days.push(of, kept.rows, &row.row);
        let kept = Kept { rows: kept.rows + 1, rev: kept.rev + 1 };
        days.set_kept(of, kept);
        let now = ctx.time().max(record.ts);
        self.finish(ctx, of, now, kept.rev)
    }

    /// The image of a whole day.
    fn finish(
        &mut self,
        ctx: &mut Context<'_, ImageMessage>,
        of: StockDate,
        now: Ts,
        rev: u32,
    ) -> Result<(), ProcessError> {
        let rows = Days(ctx.kv(self.days)).rows(of).map_err(ProcessError::Fatal)?;
        let mut record = empty_record(of.date, now);
        (record.is_final, record.rev) = (true, rev);
        record.counters.rows = rows.len() as u64;
        if rows.len() as u64 > self.options.rows_max {
            record.status = ImageStatus::TooManyRows;
        } else {
            let mut maker = self.options.image.day_maker();
            let day = rows.seen_by(self.options.image.compat).day_in(of.code, &mut maker);
            let painted = self.painter.paint(day);
            self.fill(&mut record, day, painted)?;
        }
        forward(ctx, of.code, record);
        Ok(())
    }

    /// The image of a day so far: its rows before `now`, by cuts of past days. Tells if there are enough of them.
    fn so_far(
        &mut self,
        ctx: &mut Context<'_, ImageMessage>,
        of: StockDate,
        now: Ts,
        intraday: &IntradayOptions,
    ) -> Result<bool, ProcessError> {
        let mut record = empty_record(of.date, now);
        let IntradayOptions { lookback, min_days, past, .. } = intraday;
        let Some(scales) = past.scales(of.code, of.date, *lookback, *min_days) else {
            record.status = ImageStatus::Warmup;
            forward(ctx, of.code, record);
            return Ok(false);
        };
        let rows = Days(ctx.kv(self.days)).rows(of).map_err(ProcessError::Fatal)?;
        let mut maker = self.options.image.day_maker();
        let rows = before(rows, of.date, now).seen_by(self.options.image.compat);
        let day = rows.day_in(of.code, &mut maker);
        let painted = self.painter.paint_with(day, scales);
        self.fill(&mut record, day, painted)?;
        forward(ctx, of.code, record);
        Ok(true)
    }

    fn fill(
        &self,
        record: &mut ImageRecord,
        day: &StockDay,
        painted: Result<DayImage, ImageError>,
    ) -> Result<(), ProcessError> {
        record.counters = day.counters;
        let painted = match painted {
            Ok(painted) => painted,
            Err(ImageError::AmountOverflow) => {
                record.status = ImageStatus::AmountOverflow;
                return Ok(());
            }
        };
        if let Some(broken) = broken_invariants(&painted.counts, &painted.kept).first() {
            return Err(ProcessError::Fatal(format!(
                "{} {}: {broken}: this is a bug",
                day.code, record.date
            )));
        }
        record.kept = [painted.kept.trades, painted.kept.orders, painted.kept.cancels];
        if record.kept == [0; 3] {
            return Ok(());
        }
        record.status = ImageStatus::Ok;
        record.image = Some(painted.image(&self.options.image).to_bytes().to_vec());
        Ok(())
    }
}

impl Processor<ImageMessage> for ImageNode {
    fn process(
        &mut self,
        ctx: &mut Context<'_, ImageMessage>,
        record: Record<ImageMessage>,
    ) -> Result<(), ProcessError> {
        let ImageMessage::Row(row) = &record.value else {
            return Err(ProcessError::Fatal("images are made of rows".into()));
        };
        let code = std::str::from_utf8(&record.key).ok().and_then(|k| k.parse::<StockCode>().ok());
        let Some(code) = code else {
            return Err(ProcessError::Poison("the key is no stock code, such as 600519.SH".into()));
        };
        let of = StockDate { code, date: row.date };
        if ctx.time() >= self.close_of(row.date) {
            return self.late(ctx, of, record);
        }
        let kept = Days(ctx.kv(self.days)).kept(of);
        if kept.is_none() {
            self.begin(ctx, of);
        }
        let Kept { rows, rev } = kept.unwrap_or_default();
        let mut days = Days(ctx.kv(self.days));
        // One more than are allowed tells that there were too many.
        if u64::from(rows) <= self.options.rows_max {
            days.push(of, rows, &row.row);
            days.set_kept(of, Kept { rows: rows + 1, rev });
        }
        Ok(())
    }

    fn due(&mut self, ctx: &mut Context<'_, ImageMessage>) -> Option<Ts> {
        Days(ctx.kv(self.days)).next().map(|(due, ..)| due)
    }

    fn settle(&mut self, ctx: &mut Context<'_, ImageMessage>, due: Ts) -> Result<(), ProcessError> {
        while let Some((at, what, of)) = Days(ctx.kv(self.days)).next().filter(|(at, ..)| *at <= due) {
            Days(ctx.kv(self.days)).done(at, what, of);
            match (what, self.options.intraday.clone()) {
                (What::Intraday, Some(intraday)) => {
                    let goes_on = self.so_far(ctx, of, at, &intraday)?;
                    if let Some(next) = next_intraday(&intraday, of.date, at.0).filter(|_| goes_on) {
                        Days(ctx.kv(self.days)).plan(next, What::Intraday, of);
                    }
                }
                // It was asked for before a restart, and is not now.
                (What::Intraday, None) => {}
                (What::Close, _) => {
                    self.finish(ctx, of, at, 0)?;
                    if !self.options.reopen {
                        Days(ctx.kv(self.days)).forget(of);
                    }
                }
                (What::Forget, _) => Days(ctx.kv(self.days)).forget(of),
            }
        }
        Ok(())
    }
}

/// When the next image after that of `after` is made: a millisecond after the next instant of the grid from
/// 09:30 on that lies in the session or at its end.
fn next_intraday(options: &IntradayOptions, date: u32, after: i64) -> Option<Ts> {
    let (begin, step) = (BEGIN.ts_ns(date), i64::from(options.every_s.max(1)) * SECOND_NS);
    let (pause, resume) = (TickTime(113_000_000).ts_ns(date), TickTime(130_000_000).ts_ns(date));
    let end = TickTime(145_700_000).ts_ns(date);
    let next = |after: i64| begin + ((after - begin).div_euclid(step) + 1) * step;
    let mut at = next(after - TICK_NS);
    if at > pause && at <= resume {
        at = next(resume);
    }
    (at <= end).then_some(Ts(at + TICK_NS))
}

/// Rows of instants before `now`.
fn before(mut rows: StockRows, date: u32, now: Ts) -> StockRows {
    let is_before = |time: TickTime| time.ts_ns(date) < now.0;
    rows.sse.retain(|row| is_before(row.time));
    rows.restored.retain(|row| is_before(row.time));
    rows.orders.retain(|row| is_before(row.time));
    rows.executions.retain(|row| is_before(row.time));
    rows
}

fn empty_record(date: u32, now: Ts) -> ImageRecord {
    ImageRecord {
        date,
        is_final: false,
        rev: 0,
        ts_known_ns: now.0,
        status: ImageStatus::Empty,
        counters: Default::default(),
        kept: [0; 3],
        image: None,
    }
}

fn forward(ctx: &mut Context<'_, ImageMessage>, code: StockCode, record: ImageRecord) {
    let ts = Ts(record.ts_known_ns);
    let key = Key::new(code.to_string().as_bytes());
    ctx.forward_to(0, Record::new(key, ImageMessage::Image(Box::new(record)), ts));
}
