#![no_main]
//! See `statlas_fuzz::segment`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::segment(bytes));
