//! The queue of one partition, emptied many records at a time.
//!
//! rdkafka offers one record per call (1.05 µs of CPU each); librdkafka's batch call on the same queue
//! takes 0.36 µs. But the batch call (librdkafka 2.12) counts an end-of-partition event as a record: if one was
//! the last thing taken when the group rebalances, reading goes on one offset too far. So the last few
//! entries of a queue, where such an event may stand, are taken one by one, and [`super::reading`] notices
//! if it happened all the same.
//!
//! This file is the only unsafe part of the Kafka log. What its safety rests on:
//!
//! 1. A [`FetchQueue`] holds the consumer, so the client outlives its queue; fields are dropped after
//!    `drop` has given the queue back.
//! 2. Messages are lent to a closure and destroyed right after it: a [`Message`] cannot escape, because
//!    its lifetime is the closure's. Everything that borrows from it (key, value, headers) ends before.
//! 3. librdkafka's queues and messages may be used from any thread (`rdkafka.h`: "fully thread-safe").
#![expect(
    unsafe_code,
    reason = "the batch call has no safe wrapper, and one by one costs three times the CPU"
)]

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::events::Events;
use crate::record::Header;

/// Pointers taken per call.
const CHUNK: usize = 512;
/// Entries left in the queue by the batch call.
const TAIL: usize = 64;

/// The records of one partition, kept apart from the consumer's main queue.
pub(super) struct FetchQueue {
    queue: NonNull<native::rd_kafka_queue_t>,
    _consumer: Arc<BaseConsumer<Events>>,
}

// SAFETY: see 3 above; the pointer is owned by this value alone.
unsafe impl Send for FetchQueue {}

impl FetchQueue {
    /// Splits the partition off the main queue. To be called before the partition is assigned, else
    /// records leak into the main queue. `None`: no name for a topic.
    pub(super) fn split(
        consumer: &Arc<BaseConsumer<Events>>,
        topic: &str,
        partition: i32,
    ) -> Option<FetchQueue> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client is alive (we hold it) and `topic` ends with a zero byte. A non-null answer is
        // one reference to the queue, which `drop` gives back.
        let queue = unsafe {
            native::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition)
        };
        let queue = NonNull::new(queue)?;
        // SAFETY: the queue was just obtained; a null destination means "forward nowhere".
        unsafe { native::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut()) };
        Some(FetchQueue { queue, _consumer: Arc::clone(consumer) })
    }

    /// Shows up to `max` waiting messages in order and forgets them; never waits. The number shown.
    pub(super) fn take(&mut self, max: usize, show: impl FnMut(&Message<'_>)) -> usize {
        // SAFETY: the queue is ours and alive.
        let waiting = unsafe { native::rd_kafka_queue_length(self.queue.as_ptr()) };
        match waiting {
            _ if max == 0 => 0,
            n if n < 2 * TAIL => self.take_one(show),
            n => self.take_many((n - TAIL).min(max).min(CHUNK), show),
        }
    }

    fn take_one(&mut self, mut show: impl FnMut(&Message<'_>)) -> usize {
        // SAFETY: the queue is ours and alive. A non-null answer is a message that is ours from then on.
        let slot = unsafe { native::rd_kafka_consume_queue(self.queue.as_ptr(), 0) };
        show_and_destroy(slot, &mut show)
    }

    fn take_many(&mut self, size: usize, mut show: impl FnMut(&Message<'_>)) -> usize {
        let mut slots = [ptr::null_mut(); CHUNK];
        // SAFETY: `slots` has room for `size` pointers; the call fills as many as it returns, each owned by
        // us from then on. It returns -1 only for a missing client.
        let n =
            unsafe { native::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, slots.as_mut_ptr(), size) };
        let n = usize::try_from(n).unwrap_or(0);
        slots[..n].iter().map(|slot| show_and_destroy(*slot, &mut show)).sum()
    }
}

/// Shows a message that is ours. The number shown.
fn show_and_destroy(slot: *mut native::rd_kafka_message_t, show: &mut impl FnMut(&Message<'_>)) -> usize {
    let Some(raw) = NonNull::new(slot) else { return 0 };
    show(&Message { raw, _lent: PhantomData });
    // SAFETY: ours, not yet destroyed, and no borrow of it is left (2 above).
    unsafe { native::rd_kafka_message_destroy(raw.as_ptr()) };
    1
}

impl Drop for FetchQueue {
    fn drop(&mut self) {
        // SAFETY: gives back the reference from `split`, once; the client is still alive (1 above).
        unsafe { native::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// One fetched message, or an event of the partition in its place.
pub(super) struct Message<'a> {
    raw: NonNull<native::rd_kafka_message_t>,
    _lent: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    /// Not a record but this: the end of the partition, or a failure.
    pub(super) fn event(&self) -> Option<RDKafkaErrorCode> {
        match self.native().err.into() {
            RDKafkaErrorCode::NoError => None,
            code => Some(code),
        }
    }

    /// Offset of the record; at the end of the partition, the next one to come.
    pub(super) fn offset(&self) -> i64 {
        self.native().offset
    }

    /// `None`: written without.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.bytes(self.native().key, self.native().key_len)
    }

    /// `None`: a tombstone. (For an event: its words, which librdkafka puts there.)
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.bytes(self.native().payload, self.native().len)
    }

    /// CreateTime in milliseconds; -1 if the record has none.
    pub(super) fn create_time(&self) -> i64 {
        // SAFETY: the message lives; a null second argument means that the kind of time is not asked for.
        unsafe { native::rd_kafka_message_timestamp(self.raw.as_ptr(), ptr::null_mut()) }
    }

    /// Its headers in written order; a null value counts as empty, a name that is no UTF-8 as "". Every call
    /// has librdkafka look for them anew, at the price of some allocations if there are none: call it once.
    pub(super) fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        let mut headers = ptr::null_mut();
        // SAFETY: the message lives. On success `headers` belongs to it and is only read.
        let code = unsafe { native::rd_kafka_message_headers(self.raw.as_ptr(), &mut headers) };
        let found = RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoError;
        (0..).map_while(move |i| if found { self.header(headers, i) } else { None })
    }

    fn header(&self, headers: *mut native::rd_kafka_headers_t, i: usize) -> Option<Header<'_>> {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `headers` belongs to this message. An index past the end is an error, not a read.
        let code = unsafe { native::rd_kafka_header_get_all(headers, i, &mut name, &mut value, &mut size) };
        if RDKafkaErrorCode::from(code) != RDKafkaErrorCode::NoError {
            return None;
        }
        // SAFETY: on success `name` is a string that ends with a zero byte and lives as long as the message.
        let name = unsafe { CStr::from_ptr(name) };
        Some(Header {
            name: name.to_str().unwrap_or(""),
            value: self.bytes(value.cast_mut(), size).unwrap_or_default(),
        })
    }

    fn native(&self) -> &native::rd_kafka_message_t {
        // SAFETY: `take` makes a `Message` of a live pointer only and keeps it alive while it is lent.
        unsafe { self.raw.as_ref() }
    }

    /// Bytes that belong to this message.
    fn bytes(&self, start: *mut c_void, len: usize) -> Option<&[u8]> {
        if start.is_null() {
            return None;
        }
        // SAFETY: librdkafka gives start and length of one allocation that lives as long as the message,
        // and nobody writes to it.
        Some(unsafe { slice::from_raw_parts(start.cast(), len) })
    }
}
