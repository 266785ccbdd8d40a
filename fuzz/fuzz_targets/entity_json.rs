#![no_main]
//! See `statlas_fuzz::entity_json`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::entity_json(bytes));
