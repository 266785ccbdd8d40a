#![no_main]
//! See `statlas_fuzz::backup_manifest`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| statlas_fuzz::backup_manifest(bytes));
