#![no_main]
//! See `statlas_fuzz::entity_canonical`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::entity_canonical(bytes));
