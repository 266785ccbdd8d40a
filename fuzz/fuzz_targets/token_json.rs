#![no_main]
//! See `statlas_fuzz::token_json`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::token_json(bytes));
