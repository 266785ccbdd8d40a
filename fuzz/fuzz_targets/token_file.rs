#![no_main]
//! See `statlas_fuzz::token_file`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::token_file(bytes));
