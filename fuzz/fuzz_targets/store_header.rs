#![no_main]
//! See `statlas_fuzz::store_header`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::store_header(bytes));
