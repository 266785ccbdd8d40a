#![no_main]
//! See `statlas_fuzz::uri`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::uri(bytes));
