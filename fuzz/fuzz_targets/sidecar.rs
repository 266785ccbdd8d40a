#![no_main]
//! See `statlas_fuzz::sidecar`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::sidecar(bytes));
