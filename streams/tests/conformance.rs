//! The contract of a log, as a suite that every implementation runs; those with groups run the rules of groups too. Kafka needs a broker: set
//! `LOBSTREAM_TEST_KAFKA=host:port`, else its run is skipped and says so.

#[path = "conformance/bed.rs"]
mod bed;
#[path = "conformance/groups.rs"]
mod groups;
#[path = "conformance/model.rs"]
mod model;
#[path = "conformance/suite.rs"]
mod suite;

/// One test per rule of the contract, for one implementation: `$bed` gives `None` if it cannot be had.
macro_rules! conformance {
    ($implementation:ident, $bed:expr, [$($rule:path as $name:ident),+ $(,)?]) => {
        mod $implementation {
            $(
                #[test]
                fn $name() {
                    if let Some(bed) = $bed(stringify!($name)) {
                        $rule(&bed);
                    }
                }
            )+
        }
    };
    ($implementation:ident, $bed:expr) => {
        conformance!($implementation, $bed, [
            crate::suite::records_come_back_whole_and_in_order as records_come_back_whole_and_in_order,
            crate::suite::a_start_moves_the_position as a_start_moves_the_position,
            crate::suite::take_obeys_its_bound_and_tells_when_it_is_caught_up as take_obeys_its_bound_and_tells_when_it_is_caught_up,
            crate::suite::not_taking_loses_nothing as not_taking_loses_nothing,
            crate::suite::drain_acknowledges_the_last_offsets as drain_acknowledges_the_last_offsets,
            crate::suite::a_transaction_is_seen_when_it_is_committed as a_transaction_is_seen_when_it_is_committed,
            crate::suite::a_transaction_spans_partitions as a_transaction_spans_partitions,
            crate::suite::aborted_records_are_never_taken as aborted_records_are_never_taken,
            crate::suite::a_fenced_producer_changes_nothing as a_fenced_producer_changes_nothing,
            crate::suite::offsets_and_notes_are_committed_with_the_transaction as offsets_and_notes_are_committed_with_the_transaction,
            crate::suite::offsets_of_an_aborted_transaction_are_forgotten as offsets_of_an_aborted_transaction_are_forgotten,
            crate::suite::a_consumer_commits_outside_transactions as a_consumer_commits_outside_transactions,
            crate::suite::static_members_share_the_partitions as static_members_share_the_partitions,
            crate::suite::a_topic_is_made_once as a_topic_is_made_once,
            crate::suite::an_unknown_topic_is_an_error as an_unknown_topic_is_an_error,
            crate::suite::offsets_are_found_by_time as offsets_are_found_by_time,
            crate::suite::what_is_purged_is_gone_and_the_rest_stays as what_is_purged_is_gone_and_the_rest_stays,
            crate::model::random_calls_match_the_model as random_calls_match_the_model,
        ]);
    };
}

conformance!(embedded, crate::bed::Bed::embedded);
conformance!(memory, crate::bed::Bed::memory);
conformance!(kafka, crate::bed::Bed::kafka);

/// The rules of groups, and `$also` others.
macro_rules! group_conformance {
    ($implementation:ident, $bed:expr $(, $also:path as $name:ident)* $(,)?) => {
        conformance!($implementation, $bed, [
            crate::groups::members_share_all_partitions_and_numbers_stay_together as members_share_all_partitions_and_numbers_stay_together,
            crate::groups::a_partition_moves_only_when_it_was_given_back as a_partition_moves_only_when_it_was_given_back,
            crate::groups::what_stays_is_not_interrupted as what_stays_is_not_interrupted,
            crate::groups::an_old_generation_commits_nothing as an_old_generation_commits_nothing,
            crate::groups::the_next_owner_goes_on_where_the_group_has_committed as the_next_owner_goes_on_where_the_group_has_committed,
            $($also as $name,)*
        ]);
    };
}

/// With what only groups have whose members agree by names, and what only brokers do.
macro_rules! named_group_conformance {
    ($implementation:ident, $bed:expr) => {
        group_conformance!(
            $implementation,
            $bed,
            crate::groups::members_are_counted as members_are_counted,
            crate::groups::who_comes_back_under_its_name_finds_its_partitions
                as who_comes_back_under_its_name_finds_its_partitions,
            crate::suite::a_transaction_that_is_left_open_is_given_up
                as a_transaction_that_is_left_open_is_given_up
        );
    };
}

named_group_conformance!(memory_group, crate::bed::Bed::memory);
named_group_conformance!(kafka_group, crate::bed::Bed::kafka);
group_conformance!(kafka_group_by_broker, crate::bed::Bed::kafka_by_broker);
