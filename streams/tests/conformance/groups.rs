//! The rules of groups, for logs that have them: who gets what, what moves when, who may commit.

use std::collections::BTreeSet;
use std::time::Duration;

use lobstream_streams::error::{LogError, TxnClass};
use lobstream_streams::log::{
    Answer, Assignment, Commit, Consumer, ConsumerOptions, GroupEvent, GroupMetadata, Membership, TopicName,
    Tp,
};
use lobstream_streams::record::{Batch, Offset};

use crate::bed::{Bed, PATIENCE, Rec, send, texts};

/// The shortest that brokers allow.
const SESSION: Duration = Duration::from_secs(6);
/// Long enough for everyone to hear of a change.
const SETTLED: Duration = Duration::from_secs(2);
const TURN: Duration = Duration::from_millis(10);

/// A member, what it has, and what it was told.
struct Member {
    consumer: Box<dyn Consumer>,
    owns: BTreeSet<Tp>,
    /// What it was asked for and has not given back.
    asked: Vec<Tp>,
    heard: Vec<GroupEvent>,
    taken: Vec<Rec>,
}

impl Member {
    fn join(bed: &Bed, name: &str, topics: &[TopicName]) -> Member {
        let membership =
            Membership { protocol: bed.protocol, name: bed.name(name), session_timeout: SESSION };
        let options =
            ConsumerOptions { group: Some(bed.name("group")), assignment: Assignment::Group(membership) };
        let mut consumer = bed.log.consumer(&options).expect("a consumer");
        consumer.subscribe(topics).expect("subscribed");
        Member { consumer, owns: BTreeSet::new(), asked: Vec::new(), heard: Vec::new(), taken: Vec::new() }
    }

    /// Hears of one change at most, and takes what is there.
    fn turn(&mut self) -> Result<(), LogError> {
        let Some(event) = self.consumer.serve(TURN)? else { return Ok(()) };
        match &event {
            GroupEvent::Assign(tps) => {
                let committed = self.consumer.committed(tps)?;
                let next = |commit: Option<Commit>| commit.map_or(Offset(0), |commit| commit.offset);
                let starts: Vec<_> = tps.iter().cloned().zip(committed.into_iter().map(next)).collect();
                self.consumer.answer(Answer::Start(&starts))?;
                let before = self.owns.len();
                self.owns.extend(tps.iter().cloned());
                assert_eq!(self.owns.len(), before + tps.len(), "{tps:?}: some of them it had already");
            }
            GroupEvent::Revoke(tps) => self.asked.extend(tps.iter().cloned()),
            GroupEvent::Lost(tps) => {
                self.consumer.answer(Answer::Stop(tps))?;
                self.owns.retain(|tp| !tps.contains(tp));
            }
        }
        self.heard.push(event);
        Ok(())
    }

    fn give_back(&mut self) {
        if self.asked.is_empty() && !matches!(self.heard.last(), Some(GroupEvent::Revoke(_))) {
            return;
        }
        let asked = std::mem::take(&mut self.asked);
        self.consumer.answer(Answer::Stop(&asked)).expect("given back");
        self.owns.retain(|tp| !asked.contains(tp));
    }

    fn take(&mut self) {
        for tp in &self.owns {
            let mut batch = Batch::default();
            self.consumer.take(tp, 100, &mut batch).expect("readable");
            self.taken.extend(batch.iter().map(Rec::from));
        }
    }

    fn numbers(&self, topic: &TopicName) -> BTreeSet<u32> {
        self.owns.iter().filter(|tp| tp.topic == *topic).map(|tp| tp.partition).collect()
    }

    fn group(&self) -> GroupMetadata {
        self.consumer.group().expect("a member")
    }
}

/// Turns of all members until it is so. Everyone gives back at once what it is asked for.
fn until(what: &str, members: &mut [&mut Member], mut done: impl FnMut(&[&mut Member]) -> bool) {
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        if done(members) {
            return;
        }
        for member in members.iter_mut() {
            member.turn().expect("a member");
            member.give_back();
            member.take();
        }
    }
    let owned: Vec<_> = members.iter().map(|member| &member.owns).collect();
    panic!("waited in vain: {what}; they have {owned:?}");
}

/// Turns for a while, in which nobody gives anything back.
fn meanwhile(members: &mut [&mut Member], time: Duration) {
    for _ in 0..time.as_millis() / TURN.as_millis() / members.len() as u128 {
        members.iter_mut().for_each(|member| member.turn().expect("a member"));
    }
}

/// Does everyone have something, nobody what another has, and all together everything?
fn shared_out(members: &[&mut Member], all: &[Tp]) -> bool {
    let n: usize = members.iter().map(|member| member.owns.len()).sum();
    let owned: BTreeSet<&Tp> = members.iter().flat_map(|member| &member.owns).collect();
    n == all.len() && owned.len() == n && members.iter().all(|member| !member.owns.is_empty())
}

pub(crate) fn members_share_all_partitions_and_numbers_stay_together(bed: &Bed) {
    let (wide, narrow) = (bed.topic("wide", 6), bed.topic("narrow", 3));
    let topics = [wide[0].topic.clone(), narrow[0].topic.clone()];
    let all: Vec<Tp> = wide.iter().chain(&narrow).cloned().collect();
    let mut a = Member::join(bed, "a", &topics);
    until("the first one gets all", &mut [&mut a], |members| shared_out(members, &all));
    let (mut b, mut c) = (Member::join(bed, "b", &topics), Member::join(bed, "c", &topics));
    until("three share", &mut [&mut a, &mut b, &mut c], |members| {
        shared_out(members, &all) && members.iter().all(|m| m.numbers(&topics[0]).len() == 2)
    });
    for member in [&a, &b, &c] {
        let narrow: BTreeSet<u32> = member.numbers(&topics[0]).into_iter().filter(|p| *p < 3).collect();
        assert_eq!(member.numbers(&topics[1]), narrow, "whoever has a number has it of every topic");
    }
}

pub(crate) fn a_partition_moves_only_when_it_was_given_back(bed: &Bed) {
    let all = bed.topic("in", 4);
    let topics = [all[0].topic.clone()];
    let mut a = Member::join(bed, "a", &topics);
    until("the first one gets all", &mut [&mut a], |members| shared_out(members, &all));
    let mut b = Member::join(bed, "b", &topics);
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        meanwhile(&mut [&mut a, &mut b], 2 * TURN);
        if !a.asked.is_empty() {
            break;
        }
    }
    let asked: BTreeSet<Tp> = a.asked.iter().cloned().collect();
    assert_eq!(asked.len(), 2, "two of four are asked for: {:?}", a.heard);
    meanwhile(&mut [&mut a, &mut b], SETTLED);
    assert!(b.owns.is_empty(), "they are not given back yet, and it has {:?}", b.owns);
    until("they have moved", &mut [&mut a, &mut b], |members| shared_out(members, &all));
    assert_eq!(b.owns, asked);
}

pub(crate) fn what_stays_is_not_interrupted(bed: &Bed) {
    let all = bed.topic("in", 4);
    let topics = [all[0].topic.clone()];
    let mut a = Member::join(bed, "a", &topics);
    until("the first one gets all", &mut [&mut a], |members| shared_out(members, &all));
    a.heard.clear();
    let mut producer = bed.plain();
    let mut write = |n: u32| {
        for tp in &all {
            send(&mut *producer, tp, &format!("{}:{n}", tp.partition));
        }
        producer.drain(PATIENCE).expect("written");
    };
    (0..50).for_each(&mut write);
    until("it has begun to take", &mut [&mut a], |members| members[0].taken.len() > 60);
    let mut b = Member::join(bed, "b", &topics);
    let mut n = 50;
    until("two share", &mut [&mut a, &mut b], |members| {
        write(n);
        n += 1;
        shared_out(members, &all)
    });
    write(n);
    let kept: Vec<u32> = a.numbers(&topics[0]).into_iter().collect();
    assert_eq!(kept.len(), 2);
    for event in &a.heard {
        let (GroupEvent::Assign(tps) | GroupEvent::Revoke(tps) | GroupEvent::Lost(tps)) = event;
        let touched: Vec<&Tp> = tps.iter().filter(|tp| kept.contains(&tp.partition)).collect();
        assert!(touched.is_empty(), "{event:?} touches what stays");
    }
    let of = |member: &Member, p: u32| {
        let texts = texts(&member.taken).into_iter();
        texts.filter(|text| text.starts_with(&format!("{p}:"))).collect::<Vec<_>>()
    };
    let expected = |p: u32| (0..=n).map(|n| format!("{p}:{n}")).collect::<Vec<_>>();
    until("what stays is read on", &mut [&mut a, &mut b], |members| {
        kept.iter().all(|p| of(members[0], *p).len() > n as usize)
    });
    for p in kept {
        assert_eq!(of(&a, p), expected(p), "each record once, in order");
    }
}

pub(crate) fn an_old_generation_commits_nothing(bed: &Bed) {
    let (all, out) = (bed.topic("in", 2), bed.topic("out", 1));
    let topics = [all[0].topic.clone()];
    let mut a = Member::join(bed, "a", &topics);
    until("the first one gets all", &mut [&mut a], |members| shared_out(members, &all));
    let old = a.group();
    let mut producer = bed.transactional("id");
    let mut b = Member::join(bed, "b", &topics);
    until("two share", &mut [&mut a, &mut b], |members| shared_out(members, &all));
    let moved = b.owns.first().expect("one of two").clone();
    let commit = |note: &str| Commit { tp: moved.clone(), offset: Offset(7), note: note.to_owned() };
    producer.begin().expect("begun");
    send(&mut *producer, &out[0], "theirs");
    producer.drain(PATIENCE).expect("handed over");
    let refused = producer.send_offsets(Some(&old), &[commit("e=1")]).expect_err("they have moved on");
    assert_eq!(refused.class(), TxnClass::Abort, "{refused}");
    producer.abort().expect("aborted");
    let mut reader = bed.reader(Some("group"));
    assert_eq!(reader.committed(std::slice::from_ref(&moved)).expect("read"), [None]);

    producer.begin().expect("the producer is as good as new");
    send(&mut *producer, &out[0], "ours");
    producer.drain(PATIENCE).expect("handed over");
    producer.send_offsets(Some(&b.group()), &[commit("e=2")]).expect("the owner may");
    producer.commit().expect("committed");
    assert_eq!(reader.committed(std::slice::from_ref(&moved)).expect("read"), [Some(commit("e=2"))]);
    assert_eq!(bed.values(&out[0], 1), ["ours"]);
}

pub(crate) fn the_next_owner_goes_on_where_the_group_has_committed(bed: &Bed) {
    let all = bed.topic("in", 2);
    let topics = [all[0].topic.clone()];
    all.iter().for_each(|tp| bed.write(tp, &["a", "b", "c"]));
    let mut a = Member::join(bed, "a", &topics);
    until("the first one gets all", &mut [&mut a], |members| shared_out(members, &all));
    let mut producer = bed.transactional("id");
    producer.begin().expect("begun");
    let commits = all.iter().map(|tp| Commit { tp: tp.clone(), offset: Offset(2), note: "e=1".to_owned() });
    let commits: Vec<Commit> = commits.collect();
    producer.send_offsets(Some(&a.group()), &commits).expect("sent");
    producer.commit().expect("committed");
    let mut b = Member::join(bed, "b", &topics);
    until("two share", &mut [&mut a, &mut b], |members| shared_out(members, &all));
    drop(a);
    // Nobody says that the first one is gone: its session must lapse, while the second one lives on.
    for _ in 0..(SESSION + SETTLED).as_secs() {
        bed.pass(Duration::from_secs(1));
        b.turn().expect("a member");
    }
    until("the second one has all", &mut [&mut b], |members| shared_out(members, &all));
    until("it has read the rest", &mut [&mut b], |members| members[0].taken.len() == 2);
    assert_eq!(texts(&b.taken), ["c", "c"]);
}

/// Members with names only.
pub(crate) fn who_comes_back_under_its_name_finds_its_partitions(bed: &Bed) {
    let all = bed.topic("in", 4);
    let topics = [all[0].topic.clone()];
    let (mut a, mut b) = (Member::join(bed, "a", &topics), Member::join(bed, "b", &topics));
    until("two share", &mut [&mut a, &mut b], |members| shared_out(members, &all));
    meanwhile(&mut [&mut a, &mut b], SETTLED);
    let (had, others) = (a.owns.clone(), b.owns.clone());
    b.heard.clear();
    let mut again = Member::join(bed, "a", &topics);
    until("it has what it had", &mut [&mut again, &mut b], |members| members[0].owns == had);
    meanwhile(&mut [&mut again, &mut b], SETTLED);
    assert_eq!((&again.owns, &b.owns), (&had, &others));
    assert!(!b.heard.iter().any(|event| matches!(event, GroupEvent::Revoke(tps) if !tps.is_empty())));
    let ended = (0..PATIENCE.as_millis() / TURN.as_millis()).find_map(|_| a.turn().err());
    assert!(matches!(ended, Some(LogError::MemberFenced)), "the first holder ends: {ended:?}");
}

pub(crate) fn members_are_counted(bed: &Bed) {
    let all = bed.topic("in", 2);
    let topics = [all[0].topic.clone()];
    let members = || bed.log.members(&bed.name("group")).expect("answered");
    assert_eq!(members(), 0, "a group that nobody knows");
    let (mut a, mut b) = (Member::join(bed, "a", &topics), Member::join(bed, "b", &topics));
    until("two share", &mut [&mut a, &mut b], |members| shared_out(members, &all));
    assert_eq!(members(), 2);
    let _reads_only = bed.reader(Some("group"));
    assert_eq!(members(), 2, "a reader is no member");
}
