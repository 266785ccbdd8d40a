//! What every engine owes its users, as tests: the conformance suite and the model test.
//!
//! Both run against anything that implements [`Engine`](crate::Engine), this crate's engines and
//! yours. A test file that runs all of it against the engine in memory:
//!
//! ```no_run
//! use statlas_store::testing::Place;
//! use statlas_store::{Location, Options, Store};
//!
//! /// A place that no test has used before.
//! fn memory() -> Place {
//!     Box::new(|| Store::open(&Location::Memory, &Options::default()).expect("memory can be had"))
//! }
//!
//! mod conformance {
//!     statlas_store::conformance_tests!(super::memory);
//! }
//!
//! #[test]
//! fn the_engine_agrees_with_the_model() {
//!     statlas_store::testing::model_test(&memory, &statlas_store::testing::ModelOptions::from_environment());
//! }
//! ```
//!
//! Engines that keep their contents also run `persistence_tests!`. Nothing here measures time, damages
//! files or cuts power: what a crash may do depends on how an engine stores things.

mod auditor;
#[cfg(test)]
mod broken;
mod conformance;
mod faults;
mod model;
#[cfg(feature = "testing")]
mod model_test;
mod parsers;
mod random;
mod sample;
mod simulated_disk;
mod twin;

use std::error::Error;

pub use faults::{Campaign, FailedState, FaultOptions, KillOptions, Tally, kills, write_until_killed};
pub use model::{Model, Refused};
#[cfg(feature = "testing")]
pub use model_test::{ModelOptions, model_test};
pub use parsers::{parse_manifest, parse_segment, parse_sidecar, parse_store_header};
pub use random::Random;
pub use sample::{
    crowd, filter, neighbours, plain, query, token, token_query, varied, varied_token, version,
};
pub use simulated_disk::{Call, Crash, Fault, Moment, Operation, Plan, SimulatedDisk};
pub use twin::Twin;

use crate::store::Store;

/// Opens a store at one place: an empty one the first time. Engines that keep their contents give the same
/// one the next time, if the one before was dropped.
pub type Place = Box<dyn Fn() -> Store>;

/// What went wrong in a check.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A property that every engine must have.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// The property, as a sentence with underscores.
    pub name: &'static str,
    run: fn(&dyn Fn() -> Store) -> Result<(), Failure>,
}

impl Check {
    /// Checks a store at a place that was not used before.
    ///
    /// # Panics
    ///
    /// If the engine does not have the property.
    pub fn run(&self, place: &dyn Fn() -> Store) {
        if let Err(error) = (self.run)(place) {
            panic!("{}: {error}", self.name);
        }
    }
}

/// Defines a list of checks, and a macro that makes one test of each. The `$` is passed in because a macro
/// can't write one into a macro.
macro_rules! suite {
    ($d:tt $(#[$list_doc:meta])* $list:ident; $(#[$macro_doc:meta])* $tests:ident; $($module:ident { $($name:ident,)+ })+) => {
        $(#[$list_doc])*
        pub const $list: &[Check] = &[
            $($(Check { name: stringify!($name), run: conformance::$module::$name },)+)+
        ];

        $(#[$macro_doc])*
        #[macro_export]
        macro_rules! $tests {
            ($d place:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        let checks = $d crate::testing::$list;
                        let check = checks.iter().find(|check| check.name == stringify!($name));
                        check.expect("every test has its check").run(&*$d place());
                    }
                )+)+
            };
        }
    };
}

suite! {
    $
    /// What every engine must do.
    CONFORMANCE;
    /// One test for each check of [`CONFORMANCE`](crate::testing::CONFORMANCE). Takes the path of a function
    /// that returns a new [`Place`](crate::testing::Place).
    conformance_tests;
    entities {
        an_entity_comes_back_as_it_was_put,
        an_absent_entity_is_none,
        what_is_attached_to_an_entity_comes_back,
        entities_come_back_in_the_order_asked_for,
        putting_an_entity_again_changes_nothing,
        an_entity_that_is_removed_is_absent,
        a_removed_entity_can_be_put_again,
        putting_and_removing_an_entity_in_one_batch_leaves_nothing,
        the_addresses_with_a_prefix_come_in_order,
        large_entities_come_back,
    }
    versions {
        versions_are_in_the_order_of_their_commits,
        versions_in_one_batch_are_in_the_order_of_the_batch,
        ids_that_look_alike_are_told_apart,
        a_version_that_changes_what_must_not_change_is_refused,
        two_versions_in_one_batch_obey_the_mutability_rules,
        the_version_before_a_removed_head_is_the_head,
        rules_look_at_the_head_that_is_left,
        removing_in_a_batch_is_seen_by_the_rules_of_that_batch,
    }
    blobs {
        a_blob_comes_back_as_it_was_put,
        an_absent_blob_is_none,
        putting_a_blob_again_changes_nothing,
        a_removed_blob_is_absent_and_can_be_put_again,
        entities_and_blobs_live_in_separate_key_spaces,
        a_file_comes_back_as_it_was_put,
        a_whole_blob_takes_the_place_of_a_chunk_and_no_other_way_round,
        what_removed_entities_named_is_freed_and_what_no_entity_named_stays,
        blobs_that_no_entity_ever_named_are_freed_on_demand,
        chunks_live_as_long_as_a_manifest_names_them,
        a_file_stays_as_long_as_somebody_holds_it,
        a_dry_run_frees_nothing_and_counts_what_would_go,
    }
    records {
        a_record_comes_back_with_the_revision_that_set_it,
        a_record_that_is_removed_is_absent,
        a_record_changes_only_if_it_is_as_expected,
        of_two_changes_of_a_record_in_one_batch_the_last_counts,
        an_expectation_looks_at_earlier_changes_of_its_batch,
        the_same_key_in_two_collections_is_two_records,
        records_are_listed_in_the_order_of_their_keys,
        records_of_every_legal_size_come_back,
    }
    batches {
        a_refused_operation_leaves_nothing_of_its_batch,
        a_batch_beyond_its_limits_is_refused,
        a_token_that_breaks_the_rules_of_tokens_is_refused,
        the_revision_grows_by_one_with_each_batch_that_changes_something,
        a_batch_that_changes_nothing_keeps_the_revision,
        a_commit_counts_what_it_did,
        figures_count_what_is_there,
        a_check_finds_a_sound_store_sound,
    }
    queries {
        every_condition_selects_the_rows_that_meet_it,
        conjunctions_select_the_rows_that_meet_all_conditions,
        every_order_goes_both_ways,
        an_open_or_infinite_end_excludes_nothing,
        names_that_nothing_has_find_nothing,
        adjacent_asks_for_every_neighbour,
        latest_asks_for_the_newest_version_that_is_left,
        removed_entities_are_not_found,
        paging_sees_each_row_once_while_rows_come_and_go,
        a_cursor_survives_as_text,
        a_limit_of_nothing_finds_nothing,
        answers_are_right_beyond_65536_rows,
    }
    nearness {
        near_is_what_comparing_with_every_entity_finds,
        entities_that_are_equally_near_come_in_the_order_of_their_commits,
        near_leaves_out_one_entity_and_those_removed,
        near_token_is_what_comparing_with_every_token_finds,
        tokens_that_are_equally_near_come_in_the_order_of_their_commits,
        near_token_leaves_out_one_entity_and_those_removed,
        versions_are_found_by_the_tokens_that_they_carry,
        a_radius_that_is_no_distance_is_refused,
    }
    threads {
        readers_see_whole_batches_only,
        concurrent_increments_of_a_record_lose_none,
        an_entity_that_many_put_at_once_is_new_once,
        batches_of_many_threads_are_all_there,
    }
    changes {
        every_change_is_reported_once_in_order_with_its_revision,
        changes_come_in_pages_of_whole_revisions,
        watching_goes_on_where_it_was_left,
        a_batch_that_changes_nothing_makes_no_change,
        a_revision_of_the_future_is_refused,
        waiting_ends_when_something_changes,
        closing_wakes_those_who_wait,
        watchers_see_every_batch_of_many_writers_whole,
    }
    closing {
        after_close_every_call_says_so,
    }
}

suite! {
    $
    /// What every engine must do that keeps its contents when it is closed.
    PERSISTENCE;
    /// One test for each check of [`PERSISTENCE`](crate::testing::PERSISTENCE). Takes the path of a function
    /// that returns a new [`Place`](crate::testing::Place).
    persistence_tests;
    persistence {
        everything_is_there_after_closing_and_opening,
        everything_is_there_after_dropping_and_opening,
        what_was_removed_stays_removed,
        revisions_go_on_where_they_stopped,
        cursors_stay_valid,
        large_contents_are_there_after_opening,
        a_reopened_store_is_sound,
    }
    changes {
        changes_are_the_same_after_opening,
    }
}
