//! The conformance suite, for each engine.

mod memory {
    statlas_store::conformance_tests!(crate::places::memory);
}

mod disk {
    statlas_store::conformance_tests!(crate::places::disk);
    statlas_store::persistence_tests!(crate::places::disk);
}

mod disk_with_compression {
    statlas_store::conformance_tests!(crate::places::disk_with_compression);
    statlas_store::persistence_tests!(crate::places::disk_with_compression);
}

mod disk_with_many_segments {
    statlas_store::conformance_tests!(crate::places::disk_with_many_segments);
    statlas_store::persistence_tests!(crate::places::disk_with_many_segments);
}
