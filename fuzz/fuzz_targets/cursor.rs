#![no_main]
//! See `statlas_fuzz::cursor`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::cursor(bytes));
