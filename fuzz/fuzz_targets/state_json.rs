#![no_main]
//! See `statlas_fuzz::state_json`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::state_json(bytes));
