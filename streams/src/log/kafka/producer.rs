//! Writing: idempotent without a transactional id, in transactions with one.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, ClientContext};

use super::consumer::commits;
use super::events::Events;
use super::settings::RECORD_BYTES_MAX;
use super::txn::{State, Txn, classify, is_fenced, misuse};
use super::{create_time, log_error, partition};
use crate::error::{LogError, SendError, TxnClass, TxnError};
use crate::log::{Acks, Commit, GroupMetadata, Producer, ProducerOptions, StateWrites, Tp};
use crate::record::{Offset, OutRecord, header};
use crate::time::Ts;

/// Between two looks at what is still in flight: shorter costs CPU, longer costs latency.
const NAP: Duration = Duration::from_micros(200);

/// Longest single `init`, `send_offsets` or `abort`; they may be called again.
const CALL: Duration = Duration::from_secs(5);

/// Between two looks at what the client has been told while it asks for its producer id.
const INIT_LOOK: Duration = Duration::from_millis(25);
/// It is doubled with each refusal, up to what the client waits by itself.
const INIT_LOOK_MAX: Duration = Duration::from_millis(500);

/// Events that wait after the end of a transaction, at most.
const EVENTS: u32 = 128;

/// Records between two looks at the delivery reports.
const REPORTS_EVERY: u32 = 64;

/// A producer.
pub(super) struct KafkaProducer {
    settings: ClientConfig,
    client: BaseProducer<Deliveries>,
    transactional: bool,
    txn: Txn,
    /// The client knows of the open transaction. Told late, because it cannot abort an empty one.
    begun: bool,
    /// A connection broke between the last drain and the end of its transaction.
    must_be_replaced: bool,
    partitions: HashMap<Tp, usize>,
    sent: u32,
}

impl KafkaProducer {
    pub(super) fn new(settings: &ClientConfig, options: &ProducerOptions) -> Result<KafkaProducer, LogError> {
        let client = client(settings).map_err(|error| log_error("producer", None, &error))?;
        Ok(KafkaProducer {
            settings: settings.clone(),
            client,
            transactional: options.transactional_id.is_some(),
            txn: Txn::new(),
            begun: false,
            must_be_replaced: false,
            partitions: HashMap::new(),
            sent: 0,
        })
    }

    /// Number of a partition, carried through the client as the record's label.
    fn label(&mut self, tp: &Tp) -> usize {
        if let Some(&label) = self.partitions.get(tp) {
            return label;
        }
        let label = self.partitions.len();
        self.partitions.insert(tp.clone(), label);
        self.seen().acked.push(None);
        label
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.client.context().seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the transactional id over. While the coordinator settles what its last holder left open, which takes
    /// some 10 ms, it refuses, and the client would ask again half a second later: a new one asks at once. The one
    /// before has had its answer, so no request of it can arrive later and take the id back; after a failure without an
    /// answer it is kept.
    fn take_id(&mut self) -> Result<(), KafkaError> {
        let (mut look, mut waited) = (INIT_LOOK, Duration::ZERO);
        loop {
            let asked = self.client.init_transactions(look);
            waited += look;
            self.serve_events();
            let refused = self.client.context().events.id_was_refused();
            match asked {
                Err(KafkaError::Transaction(e)) if e.is_retriable() && waited < CALL => {}
                done => return done,
            }
            if refused && self.partitions.is_empty() {
                self.client = client(&self.settings)?;
                look = (look * 2).min(INIT_LOOK_MAX);
            }
        }
    }

    /// Serves delivery reports until none waits; the number of records still on their way.
    fn in_flight(&self) -> i32 {
        loop {
            let before = self.client.in_flight_count();
            if before == 0 {
                return 0;
            }
            self.client.poll(Duration::ZERO);
            if self.client.in_flight_count() == before {
                return before;
            }
        }
    }

    /// Waits until nothing is on its way; what is left after about `within`.
    fn settle(&self, within: Duration) -> i32 {
        let naps = within.as_nanos() / NAP.as_nanos();
        for _ in 0..naps {
            if self.in_flight() == 0 {
                return 0;
            }
            thread::sleep(NAP);
        }
        self.in_flight()
    }

    /// If a connection broke while a transaction ended, the client may have asked for its end a second time. The
    /// first request may still arrive, and the broker would take it for the end of the next transaction, half
    /// done: there must not be one under this producer epoch. What happened is told before the second request.
    fn look_for_lost_connections(&mut self) {
        self.must_be_replaced |= self.connection_was_lost();
    }

    /// Has a connection broken since this was last asked?
    fn connection_was_lost(&self) -> bool {
        self.serve_events();
        self.client.context().events.connection_was_lost()
    }

    /// Takes what the client has to tell. Its lines wait in order of their weight in a list that is searched for
    /// each new one, so they must not pile up while calls are repeated.
    fn serve_events(&self) {
        for _ in 0..EVENTS {
            self.client.poll(Duration::ZERO);
        }
    }

    fn begun(&mut self, call: &'static str) -> Result<(), TxnError> {
        if !self.transactional || self.begun {
            return Ok(());
        }
        let result = self.client.begin_transaction().map_err(|error| classify(call, &error));
        self.begun = result.is_ok();
        let state = self.txn.state();
        self.txn.leave(call, result, state)
    }

    fn only_with_id(&self, call: &'static str) -> Result<(), TxnError> {
        if self.transactional {
            Ok(())
        } else {
            Err(misuse(call, "no transactional id was given".to_owned()))
        }
    }

    fn check(&mut self, call: &'static str) -> Result<(), TxnError> {
        let failed = self.seen().failed;
        failed.map_or(Ok(()), |code| Err(self.delivery_error(call, code)))
    }

    /// A record was not delivered: this producer has a hole in its sequence and must not go on. The client
    /// would allow to abort the transaction and begin another, but may number that one wrongly (librdkafka
    /// 2.12: after a record that the broker refused, the next transaction is refused as out of order).
    fn delivery_error(&mut self, call: &'static str, code: RDKafkaErrorCode) -> TxnError {
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue};
        self.txn.broken();
        let (code, reason) = match self.client.client().fatal_error() {
            Some(fatal) => fatal,
            // Records are purged because of another failure.
            None if matches!(code, PurgeInflight | PurgeQueue) => {
                let cause = self.client.context().events.last_error();
                (code, cause.unwrap_or_else(|| explain(code)))
            }
            None => (code, explain(code)),
        };
        TxnError::new(call, TxnClass::Fatal { fenced: is_fenced(code) }, reason)
    }
}

impl Producer for KafkaProducer {
    fn init(&mut self) -> Result<(), TxnError> {
        if !self.transactional {
            return Ok(());
        }
        self.txn.free("init")?;
        self.serve_events();
        let result = self.take_id().map_err(|error| classify("init", &error));
        self.txn.leave("init", result, State::Idle)
    }

    fn begin(&mut self) -> Result<(), TxnError> {
        self.only_with_id("begin")?;
        self.txn.enter("begin", State::Open)?;
        if self.must_be_replaced {
            self.txn.broken();
            let reason = "a connection broke while the last transaction ended, so its end may be repeated; a new producer must take over";
            return Err(misuse("begin", reason.to_owned()));
        }
        self.txn.leave("begin", Ok(()), State::Open)
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<(), SendError> {
        self.txn.free("send")?;
        if self.transactional && self.txn.state() != State::Open {
            return Err(misuse("send", format!("the transaction is {:?}", self.txn.state())).into());
        }
        self.begun("send")?;
        self.sent = self.sent.wrapping_add(1);
        if self.sent.is_multiple_of(REPORTS_EVERY) {
            self.client.poll(Duration::ZERO);
            self.check("send")?;
        }
        let label = self.label(record.tp);
        let refused = match self.client.send(labelled(&record, label)) {
            Ok(()) => return Ok(()),
            Err((error, _)) => error,
        };
        match refused.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => {
                self.client.poll(Duration::from_millis(1));
                Err(SendError::Full)
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Err(SendError::TooLarge {
                topic: record.tp.topic.to_string(),
                bytes: bytes(&record),
                max: RECORD_BYTES_MAX,
            }),
            code => Err(self.delivery_error("send", code.unwrap_or(RDKafkaErrorCode::Unknown)).into()),
        }
    }

    fn drain(&mut self, within: Duration) -> Result<Acks, TxnError> {
        self.txn.free("drain")?;
        self.client.context().events.connection_was_lost();
        let left = self.settle(within);
        self.check("drain")?;
        if left > 0 {
            let reason = format!("{left} records are not acknowledged after {within:?}");
            return Err(TxnError::new("drain", TxnClass::Retriable, reason));
        }
        let mut seen = self.seen();
        let acks = self.partitions.iter();
        Ok(acks.filter_map(|(tp, &label)| Some((tp.clone(), seen.acked[label].take()?))).collect())
    }

    fn send_offsets(&mut self, group: Option<&GroupMetadata>, offsets: &[Commit]) -> Result<(), TxnError> {
        const CALL_NAME: &str = "send_offsets";
        self.only_with_id(CALL_NAME)?;
        self.txn.enter(CALL_NAME, State::Sealing)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let group = group
            .and_then(|group| group.0.downcast_ref::<Arc<ConsumerGroupMetadata>>())
            .ok_or_else(|| misuse(CALL_NAME, "the consumer has no group".to_owned()))?;
        let list = commits(offsets).map_err(|error| misuse(CALL_NAME, error.to_string()))?;
        self.begun(CALL_NAME)?;
        self.serve_events();
        let result = self
            .client
            .send_offsets_to_transaction(&list, group, CALL)
            .map_err(|error| classify(CALL_NAME, &error));
        self.txn.leave(CALL_NAME, result, State::Sealing)
    }

    fn ship(&mut self, _: &StateWrites) -> Result<bool, TxnError> {
        Ok(false)
    }

    fn commit(&mut self) -> Result<(), TxnError> {
        self.only_with_id("commit")?;
        self.txn.enter("commit", State::Committing)?;
        if !self.begun {
            return self.txn.leave("commit", Ok(()), State::Idle);
        }
        // The client would wait for each delivery report in steps of 100 ms.
        let left = self.settle(CALL);
        if left > 0 {
            let reason = format!("{left} records are not acknowledged after {CALL:?}");
            let result = Err(TxnError::new("commit", TxnClass::Retriable, reason));
            return self.txn.leave("commit", result, State::Idle);
        }
        // Never: bounded by what is left of the transaction's own timeout.
        let result =
            self.client.commit_transaction(Timeout::Never).map_err(|error| classify("commit", &error));
        self.begun = self.begun && result.is_err();
        self.look_for_lost_connections();
        self.txn.leave("commit", result, State::Idle)
    }

    fn abort(&mut self) -> Result<(), TxnError> {
        self.only_with_id("abort")?;
        self.txn.enter("abort", State::Aborting)?;
        if self.begun {
            // Records are not purged but sent: the broker must have seen the transaction, else it takes the
            // abort for a mistake and the client is lost. And the client waits in vain for delivery reports
            // that are not served before.
            self.settle(CALL);
            // What broke before cannot repeat an end that has not been asked for.
            self.connection_was_lost();
            let result = self.client.abort_transaction(CALL).map_err(|error| classify("abort", &error));
            self.begun = result.is_err();
            self.look_for_lost_connections();
            self.txn.leave("abort", result, State::Idle)?;
        } else {
            self.txn.leave("abort", Ok(()), State::Idle)?;
        }
        self.seen().acked.fill(None);
        Ok(())
    }
}

fn client(settings: &ClientConfig) -> Result<BaseProducer<Deliveries>, KafkaError> {
    settings.create_with_context(Deliveries::default())
}

fn labelled<'a>(record: &OutRecord<'a>, label: usize) -> BaseRecord<'a, [u8], [u8], usize> {
    let mut out = BaseRecord::with_opaque_to(record.tp.topic.as_str(), label)
        .partition(partition(record.tp))
        .timestamp(create_time(record.ts));
    out.headers = headers(record);
    out.key = record.key;
    out.payload = record.value;
    out
}

/// A time that CreateTime holds to the nanosecond, as that of most events is, needs no header.
fn headers(record: &OutRecord<'_>) -> Option<OwnedHeaders> {
    let exact = Ts::from_millis(create_time(record.ts)) == record.ts;
    let n = usize::from(!exact) + usize::from(record.seq != 0) + record.headers.len();
    if n == 0 {
        return None;
    }
    let mut headers = OwnedHeaders::new_with_capacity(n);
    if !exact {
        headers = headers.insert(Header { key: header::TS, value: Some(&record.ts.0.to_be_bytes()) });
    }
    if record.seq != 0 {
        headers = headers.insert(Header { key: header::SEQ, value: Some(&record.seq.to_be_bytes()) });
    }
    for h in record.headers {
        headers = headers.insert(Header { key: h.name, value: Some(h.value) });
    }
    Some(headers)
}

fn bytes(record: &OutRecord<'_>) -> usize {
    let own = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
    own + record.headers.iter().map(|h| h.name.len() + h.value.len()).sum::<usize>()
}

/// A failed delivery in words that say what to do, where the code alone does not.
fn explain(code: RDKafkaErrorCode) -> String {
    use RDKafkaErrorCode::{
        InvalidTimestamp, MessageTimedOut, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    match code {
        InvalidTimestamp => {
            "the broker refuses the record's time stamp: it lies more than an hour ahead of the \
             broker's clock (topic setting message.timestamp.after.max.ms)"
                .to_owned()
        }
        MessageTimedOut => "a record was not acknowledged in time; check that the brokers run".to_owned(),
        UnknownPartition | UnknownTopic | UnknownTopicOrPartition => {
            format!("{code}: make the topic first, with enough partitions")
        }
        _ => code.to_string(),
    }
}

/// Collects the delivery reports.
#[derive(Default)]
struct Deliveries {
    events: Events,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By label: the newest acknowledged offset since the last drain.
    acked: Vec<Option<Offset>>,
    /// The first failure. There is no way back from it.
    failed: Option<RDKafkaErrorCode>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.events.log(level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.events.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, label: usize) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                let offset = Offset(u64::try_from(message.offset()).unwrap_or(0));
                let newest = &mut seen.acked[label];
                *newest = mem::take(newest).max(Some(offset));
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                seen.failed.get_or_insert(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers;

    use super::*;
    use crate::record::Header as OwnHeader;
    use crate::record::TopicName;

    #[test]
    fn a_time_has_a_header_only_if_the_records_own_time_field_cannot_hold_it() {
        let tp = Tp::new(&TopicName::new("t"), 0);
        let names = |ts, seq, own: &[OwnHeader<'_>]| {
            let record = OutRecord { tp: &tp, key: None, value: None, ts, seq, headers: own };
            let made = headers(&record)?;
            Some(made.iter().map(|h| h.key.to_owned()).collect::<Vec<_>>())
        };
        let whole = Ts::from_millis(1_700_000_000_123);
        assert_eq!(names(whole, 0, &[]), None);
        assert_eq!(names(whole, 5, &[]), Some(vec!["seq".to_owned()]));
        for odd in [Ts(whole.0 + 1), Ts(whole.0 - 1), Ts(0), Ts::from_millis(-5), Ts(i64::MIN), Ts(i64::MAX)]
        {
            assert_eq!(names(odd, 0, &[]), Some(vec!["ts".to_owned()]), "{odd:?}");
        }
        let own = [OwnHeader { name: "src", value: b"x" }];
        assert_eq!(names(whole, 0, &own), Some(vec!["src".to_owned()]));
        assert_eq!(names(Ts(7), 5, &own), Some(["ts", "seq", "src"].map(str::to_owned).to_vec()));
    }
}
