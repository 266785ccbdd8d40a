//! The model test, for each engine.

use statlas_store::testing::{ModelOptions, model_test};

use crate::places::{
    disk, disk_that_loses_sidecars, disk_with_compression, disk_with_many_segments, disk_without_history,
    memory,
};

#[test]
fn the_memory_engine_agrees_with_the_model() {
    model_test(&memory, &ModelOptions::from_environment());
}

#[test]
fn the_disk_engine_agrees_with_the_model() {
    model_test(&disk, &ModelOptions { reopens: true, ..ModelOptions::from_environment() });
}

#[test]
fn the_disk_engine_agrees_with_the_model_while_it_rolls_segments() {
    model_test(&disk_with_many_segments, &ModelOptions { reopens: true, ..ModelOptions::from_environment() });
}

#[test]
fn the_disk_engine_agrees_with_the_model_while_it_forgets_history() {
    let options = ModelOptions { reopens: true, forgets: true, ..ModelOptions::from_environment() };
    model_test(&disk_without_history, &options);
}

#[test]
fn the_disk_engine_agrees_with_the_model_while_it_compresses_texts() {
    model_test(&disk_with_compression, &ModelOptions { reopens: true, ..ModelOptions::from_environment() });
}

#[test]
fn the_disk_engine_agrees_with_the_model_while_it_loses_sidecars() {
    model_test(
        &disk_that_loses_sidecars,
        &ModelOptions { reopens: true, ..ModelOptions::from_environment() },
    );
}
