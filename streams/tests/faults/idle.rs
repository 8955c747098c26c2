//! F10: one of several inputs falls silent.

use std::sync::Arc;
use std::time::Duration;

use lobstream_streams::record::Record;
use lobstream_streams::testing::TestDriver;
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{CatchUp, Context, Next, ProcessError, Processor, Tick};
use lobstream_streams::topology::{Builder, NO_STORES, Sink, Source};

use crate::fixture::Text;

const INPUTS: u16 = 8;
const SECOND: i64 = 1_000_000_000;

/// One row per second.
struct Rows;

impl Processor<String> for Rows {
    fn init(&mut self, ctx: &mut Context<'_, String>) -> Result<(), ProcessError> {
        ctx.schedule(Duration::from_secs(1), Ts(0), CatchUp::Every);
        Ok(())
    }

    fn process(&mut self, _: &mut Context<'_, String>, _: Record<String>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn punctuate(&mut self, ctx: &mut Context<'_, String>, tick: Tick) -> Result<Next, ProcessError> {
        ctx.forward(Record::new("row".into(), String::new(), tick.time));
        Ok(Next::Tick)
    }
}

fn driver() -> TestDriver<String> {
    let mut t = Builder::new("app");
    let source = |i: u16| Source::topic(&format!("in.{i}"), Arc::new(Text)).rank(i);
    let inputs: Vec<_> = (0..INPUTS).map(|i| t.source(&format!("in{i}"), source(i))).collect();
    let rows = t.processor("rows", inputs, NO_STORES, || Rows);
    t.sink("out", [rows], Sink::topic("app.out", Arc::new(Text)));
    TestDriver::new(t.build().expect("valid")).expect("started")
}

/// A record of every input but the last, which is silent.
fn second(driver: &mut TestDriver<String>, second: i64, inputs: u16) {
    for i in 0..inputs {
        let record = Record::new("key".into(), "x".to_owned(), Ts(second * SECOND));
        driver.pipe(&format!("in.{i}"), record).expect("processed");
    }
}

fn rows(driver: &mut TestDriver<String>) -> Vec<i64> {
    driver.read("app.out").expect("readable").iter().map(|row| row.ts.0 / SECOND).collect()
}

#[test]
fn f10_with_beacons_a_silent_input_holds_no_row_back() {
    let mut driver = driver();
    second(&mut driver, 1, INPUTS);
    driver.advance(Ts(SECOND)).expect("advanced");
    for now in 2..600 {
        second(&mut driver, now, INPUTS - 1);
        driver.advance(Ts(now * SECOND)).expect("advanced");
        assert_eq!(rows(&mut driver), [now], "each second has its row at once");
    }
}

#[test]
fn f10_without_beacons_the_others_wait_and_lose_nothing() {
    let mut driver = driver();
    second(&mut driver, 1, INPUTS);
    for now in 2..600 {
        second(&mut driver, now, INPUTS - 1);
    }
    assert!(rows(&mut driver).is_empty(), "nobody knows what the silent one will say");
    second(&mut driver, 700, INPUTS);
    assert_eq!(rows(&mut driver), (2..=700).collect::<Vec<_>>(), "it speaks: all that waited is done");
    driver.end(Ts(701 * SECOND)).expect("ended");
    assert_eq!(rows(&mut driver), [701]);
}
