//! Questions to an application at work: answers of committed epochs, and no more of them once it has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobstream_streams::log::topic;
use lobstream_streams::runtime::Until;
use lobstream_streams::runtime::decision::Decision;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::state::TaskState;
use lobstream_streams::store::view::{Seen, ViewError};
use lobstream_streams::topology::processor::TaskId;

use crate::check::{check, read};
use crate::feed::{Bed, Workload, append, feed};
use crate::fixture::{Protocol, app, run, settings};

const WORKLOAD: Workload = Workload { seed: 3, records: 800, poison_every: 0, bye: false, start: 1_000_000 };

fn answers_are_of_committed_epochs(bed: &Bed) {
    let log = bed.open();
    feed(bed, &log, WORKLOAD);
    let settings = settings(&bed.dir.path().join("state"));
    let app = app(&bed.app, Protocol::B, &log, &settings);
    let (view, task) = (app.view(), TaskId { sub: 0, partition: 2 });
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let mut seen = Vec::new();
    assert_eq!(progress.tasks().len(), 0);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| app.run(Until::Shutdown, &stop, &progress));
        for i in 0..400 {
            if i % 40 == 39 {
                append(bed, &log, Workload { start: 1_000_000 + i * 1_000, records: 100, ..WORKLOAD });
            }
            match view.page(task, "sums", None, 1_000) {
                Ok(Seen { epoch, value, .. }) => {
                    if seen.last().is_none_or(|(last, _)| *last < epoch) {
                        let decisions = read(&log, &topic::decisions(&bed.app), task.partition);
                        let mine = decisions.iter().filter(|row| row.key == task.to_string().as_bytes());
                        let epochs = mine.map(|row| Decision::decode(&row.value).expect("understood").epoch);
                        assert!(epochs.max() >= Some(epoch), "epoch {epoch} is not committed");
                        seen.push((epoch, value.rows.len()));
                    }
                }
                Err(ViewError::NotHere { .. } | ViewError::NoCheckpoint { .. }) => {}
                Err(e) => panic!("{e}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(progress.tasks().get(&task), Some(&TaskState::Running));
        stop.store(true, Ordering::Release);
        running.join().expect("no panic").expect("an orderly end");
    });
    assert!(progress.tasks().values().all(|state| *state == TaskState::Closed), "{:?}", progress.tasks());
    assert!(seen.len() > 3 && seen.is_sorted() && seen.last().is_some_and(|(_, rows)| *rows > 2), "{seen:?}");
    assert_eq!(view.get(task, "sums", b"key-1"), Err(ViewError::NotHere { task }), "it has ended");
    run(&app).expect("nothing holds the state back");
    check(bed, &log);
}

#[test]
fn answers_of_an_embedded_application_are_of_committed_epochs() {
    answers_are_of_committed_epochs(&Bed::embedded());
}

#[test]
fn answers_of_an_application_on_kafka_are_of_committed_epochs() {
    let Some(bed) = Bed::kafka("answers_of_an_application_on_kafka_are_of_committed_epochs") else { return };
    answers_are_of_committed_epochs(&bed);
}
