#![no_main]
//! See `statlas_fuzz::opened_log`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::opened_log(bytes));
