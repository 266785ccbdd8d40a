#![no_main]
//! See `statlas_fuzz::scrub_state`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::scrub_state(bytes));
