//! An application with everything in it: two merged inputs, ticks, both kinds of store, poison, two children
//! of one node, and a second sub-topology that reads what the first one writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lobstream_streams::error::Error;
use lobstream_streams::log::Log;
use lobstream_streams::record::{Codec, CodecError, Record};
use lobstream_streams::runtime::metrics::{Progress, Snapshot};
use lobstream_streams::runtime::{App, Clock, Until};
use lobstream_streams::settings::Settings;
use lobstream_streams::store::hot::{Hot, HotState};
use lobstream_streams::store::kv::Kv;
use lobstream_streams::store::{Changelog, StoreRef};
use lobstream_streams::time::{Mono, Ts};
use lobstream_streams::topology::processor::{CatchUp, Context, Next, Poison, ProcessError, Processor, Tick};
use lobstream_streams::topology::{Builder, NO_STORES, Sink, Source, Topology};

/// Distance of two ticks.
pub(crate) const TICK: u64 = 1_000;

pub(crate) struct Text;

impl Codec<String> for Text {
    fn encode(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::new("not UTF-8"))
    }
}

#[derive(Default)]
pub(crate) struct Sum {
    n: u64,
    sum: i64,
    since_tick: u64,
    poisoned: u64,
}

impl HotState for Sum {
    fn new(_: &[u8]) -> Sum {
        Sum::default()
    }

    fn encode(&self, into: &mut Vec<u8>) {
        let Sum { n, sum, since_tick, poisoned } = self;
        into.extend_from_slice(format!("{n} {sum} {since_tick} {poisoned}").as_bytes());
    }

    fn decode(_: &[u8], bytes: &[u8]) -> Result<Sum, CodecError> {
        let text = String::from_utf8_lossy(bytes);
        let numbers: Vec<i64> = text.split(' ').map_while(|n| n.parse().ok()).collect();
        match numbers[..] {
            [n, sum, since_tick, poisoned] => {
                Ok(Sum { n: n as u64, sum, since_tick: since_tick as u64, poisoned: poisoned as u64 })
            }
            _ => Err(CodecError::new(format!("not four numbers: {text}"))),
        }
    }
}

struct SumNode {
    sums: StoreRef<Hot<Sum>>,
    last: StoreRef<Kv>,
}

impl Processor<String> for SumNode {
    fn init(&mut self, ctx: &mut Context<'_, String>) -> Result<(), ProcessError> {
        ctx.schedule(Duration::from_nanos(TICK), Ts(0), CatchUp::Every);
        Ok(())
    }

    fn process(&mut self, ctx: &mut Context<'_, String>, r: Record<String>) -> Result<(), ProcessError> {
        let before = ctx.kv(self.last).get(&r.key).map(|last| String::from_utf8_lossy(last).into_owned());
        ctx.kv(self.last).put(&r.key, r.value.as_bytes());
        if r.value == "panic" {
            ctx.hot(self.sums).edit(&r.key, |sum| sum.n += 1_000);
            panic!("asked to");
        }
        let value: i64 = r.value.parse().map_err(|_| ProcessError::Poison("not a number".to_owned()))?;
        let (n, sum) = ctx.hot(self.sums).edit(&r.key, |sum| {
            sum.n += 1;
            sum.sum += value;
            sum.since_tick += 1;
            (sum.n, sum.sum)
        });
        if value % 7 == 0 {
            ctx.kv(self.last).delete(&r.key);
        }
        ctx.count("numbers", 1);
        let text = format!("{n} {sum} after {}", before.as_deref().unwrap_or("nothing"));
        ctx.forward(Record { value: text, ..r });
        Ok(())
    }

    fn punctuate(&mut self, ctx: &mut Context<'_, String>, tick: Tick) -> Result<Next, ProcessError> {
        assert_eq!((tick.time, tick.missed), (ctx.time(), 0));
        let mut rows = Vec::new();
        ctx.hot(self.sums).edit_all(|key, sum| {
            if sum.since_tick > 0 {
                let text = format!("tick {} {}", tick.time.0, sum.since_tick);
                rows.push(Record::new(key.into(), text, Ts(tick.time.0 - 1)));
                sum.since_tick = 0;
            }
        });
        rows.into_iter().for_each(|row| ctx.forward(row));
        Ok(Next::Tick)
    }

    fn poisoned(
        &mut self,
        ctx: &mut Context<'_, String>,
        key: Option<&[u8]>,
        why: &Poison,
    ) -> Result<(), ProcessError> {
        let Some(key) = key else { return Ok(()) };
        let n = ctx.hot(self.sums).edit(key, |sum| {
            sum.poisoned += 1;
            sum.poisoned
        });
        let text = format!("poisoned {n} by {}", why.node);
        ctx.forward(Record::new(key.into(), text, ctx.time()));
        Ok(())
    }
}

struct Echo;

impl Processor<String> for Echo {
    fn process(&mut self, ctx: &mut Context<'_, String>, r: Record<String>) -> Result<(), ProcessError> {
        ctx.forward(Record { value: format!("echo {}", r.value), ..r });
        Ok(())
    }
}

struct Count(StoreRef<Kv>);

impl Processor<String> for Count {
    fn process(&mut self, ctx: &mut Context<'_, String>, r: Record<String>) -> Result<(), ProcessError> {
        let counts = ctx.kv(self.0);
        let n = counts.get(&r.key).map_or(0, |n| u64::from_be_bytes(n.try_into().expect("eight bytes"))) + 1;
        counts.put(&r.key, &n.to_be_bytes());
        ctx.forward(Record { value: format!("{n}: {}", r.value), ..r });
        Ok(())
    }
}

/// Which way a task comes back on a log that keeps no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Every store has a changelog.
    A,
    /// The `Hot` store has none.
    B,
}

/// The topology, its topics named after it.
pub(crate) fn topology(app: &str, protocol: Protocol) -> Topology<String> {
    let hot = match protocol {
        Protocol::A => Changelog::On,
        Protocol::B => Changelog::Off,
    };
    let source = |name: &str| Source::topic(&format!("{app}.{name}"), Arc::new(Text));
    let sink = |name: &str| Sink::topic(&format!("{app}.{name}"), Arc::new(Text));
    let mut t = Builder::new(app);
    let a = t.source("a", source("a").rank(1));
    let b = t.source("b", source("b").rank(0));
    let (sums, last) = (t.store(Hot::new("sums").changelog(hot)), t.store(Kv::new("last")));
    let ids = [sums.into(), lobstream_streams::store::StoreId::from(last)];
    let sum = t.processor("sum", [a, b], ids, move || SumNode { sums, last });
    t.sink("out", [sum], sink("out"));
    let echo = t.processor("echo", [sum], NO_STORES, || Echo);
    t.sink("echoed", [echo], sink("out"));
    let again = t.source("again", source("out"));
    let counts = t.store(Kv::new("counts"));
    let count = t.processor("count", [again], [counts], move || Count(counts));
    t.sink("counted", [count], sink("counted"));
    t.build().expect("valid")
}

/// A clock that goes with the machine's.
pub(crate) struct Machine(Instant);

impl Machine {
    #[expect(clippy::disallowed_methods, reason = "the clock of a test application; no result depends on it")]
    pub(crate) fn new() -> Machine {
        Machine(Instant::now())
    }
}

impl Clock for Machine {
    fn mono(&self) -> Mono {
        Mono(self.0.elapsed())
    }
}

/// Short epochs, so that a test has many of them.
pub(crate) fn settings(state_dir: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.commit_interval = Duration::from_millis(5);
    settings.checkpoint_interval = Some(Duration::from_millis(25));
    settings.state_dir = state_dir.to_owned();
    settings.poison_percent_max = 100;
    settings
}

pub(crate) fn app(name: &str, protocol: Protocol, log: &Arc<dyn Log>, settings: &Settings) -> App<String> {
    App::new(topology(name, protocol), Arc::clone(log), settings.clone(), Arc::new(Machine::new()))
}

/// Runs an application until its inputs are used up.
pub(crate) fn run(app: &App<String>) -> Result<Snapshot, Error> {
    let progress = Progress::default();
    app.run(Until::End, &AtomicBool::new(false), &progress)?;
    Ok(progress.snapshot())
}
