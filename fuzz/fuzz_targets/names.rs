#![no_main]
//! See `statlas_fuzz::names`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::names(bytes));
