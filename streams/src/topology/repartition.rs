//! Other keys: records travel through a topic to the tasks that own them.

use std::sync::Arc;

use crate::beacon;
use crate::log::topic;
use crate::record::{Codec, Key, Record};
use crate::topology::processor::{Context, ProcessError, Processor};
use crate::topology::stream::{Stream, view};
use crate::topology::{MakeProcessor, NodeKind, Origins, Sink, Source};

/// How records travel to other tasks: through the topic `<app>-<name>-repartition`.
pub struct Repartition<M> {
    name: String,
    codec: Arc<dyn Codec<M>>,
    rank: u16,
    partitions: Option<u32>,
    purged: bool,
}

impl<M> Repartition<M> {
    /// With as many partitions as the input, and rank 0 where they arrive.
    pub fn new(name: &str, codec: Arc<dyn Codec<M>>) -> Repartition<M> {
        Repartition { name: name.to_owned(), codec, rank: 0, partitions: None, purged: false }
    }

    /// The rank of the source at which they arrive, where another one is merged with it.
    pub fn rank(self, rank: u16) -> Repartition<M> {
        Repartition { rank, ..self }
    }

    /// How many partitions the topic has.
    pub fn partitions(self, partitions: u32) -> Repartition<M> {
        Repartition { partitions: Some(partitions), ..self }
    }

    /// Records that no recovery will read again are deleted from the topic, every
    /// [`purge_interval`](crate::settings::Settings::purge_interval): those before the positions that the tasks behind
    /// it have committed. Only where each of their stores has a changelog, or the log keeps the state; elsewhere a lost
    /// disk is replaced by reading the topic from its beginning, so it stays. What is deleted, `verify` cannot run
    /// again.
    pub fn purged(self) -> Repartition<M> {
        Repartition { purged: true, ..self }
    }
}

impl<M, V> Stream<M, V>
where
    M: From<V> + 'static,
    V: TryFrom<M> + 'static,
{
    /// Gives every record another key; time, sequence number and value stay. What follows runs in tasks of its
    /// own, each with all records of its keys. Every task that writes is an origin of the topic, so they are
    /// merged in one order that does not depend on when they arrive.
    pub fn key_by(
        &self,
        through: Repartition<M>,
        f: impl Fn(&Record<V>) -> Key + Send + Sync + 'static,
    ) -> Stream<M, V> {
        let Repartition { name, codec, rank, partitions, purged } = through;
        let f = Arc::new(f);
        let make: MakeProcessor<M> = Arc::new(move || {
            let f = Arc::clone(&f);
            Box::new(KeyBy(move |record: &Record<V>| f(record), std::marker::PhantomData))
        });
        let mut parts = self.parts.borrow_mut();
        let topic = topic::repartition(&parts.name, &name);
        let kind = NodeKind::Processor { stores: Vec::new(), make, terminal: false };
        let key_by = parts.node(&name, self.nodes.clone(), kind);
        let sink = Sink::topic(topic.as_str(), Arc::clone(&codec));
        let sink = Sink { partitions, derived: true, repartition: true, ..sink };
        parts.node(&format!("{name}-out"), vec![key_by], NodeKind::Sink(sink));
        let source =
            Source { rank, origins: Origins::Upstream, purged, ..Source::topic(topic.as_str(), codec) };
        let source = parts.node(&format!("{name}-in"), Vec::new(), NodeKind::Source(source));
        drop(parts);
        self.at(source)
    }
}

struct KeyBy<V, F>(F, std::marker::PhantomData<fn() -> V>);

impl<M, V, F> Processor<M> for KeyBy<V, F>
where
    M: From<V>,
    V: TryFrom<M>,
    F: Fn(&Record<V>) -> Key + Send + Sync,
{
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        let record: Record<V> = view(record)?;
        let key = (self.0)(&record);
        if beacon::is_reserved(&key) {
            return Err(ProcessError::Poison("its new key begins with byte 0, which is reserved".to_owned()));
        }
        let Record { value, ts, seq, .. } = record;
        ctx.forward(Record { key, value: M::from(value), ts, seq });
        Ok(())
    }
}
