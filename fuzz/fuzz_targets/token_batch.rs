#![no_main]
//! See `statlas_fuzz::token_batch`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::token_batch(bytes));
