#![no_main]
//! See `statlas_fuzz::file_name`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::file_name(bytes));
