#![no_main]
//! See `statlas_fuzz::damaged_store`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::damaged_store(bytes));
