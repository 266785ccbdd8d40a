//! What backing up and restoring are told, and what they report.

/// How a backup is made, restored or verified.
#[derive(Clone, Copy)]
pub struct BackupOptions<'a> {
    /// Refuse a damaged store, or a backup of one, instead of copying it with its damage.
    pub strict: bool,
    /// Asked now and then; once it says no, the work ends with an error whose source is
    /// [`Interrupted`](std::io::ErrorKind::Interrupted), and everything is as it was.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl Default for BackupOptions<'static> {
    fn default() -> Self {
        Self { strict: false, goes_on: &|| true }
    }
}

/// What a backup is of, and what was copied for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// The newest revision in it.
    pub revision: u64,
    /// The head of the hash chain in hex.
    pub chain_head: String,
    /// Files of the log.
    pub files: u64,
    /// How many of them the backup before lacked.
    pub files_copied: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that were copied.
    pub bytes_copied: u64,
    /// What is damaged in the store, and so in the backup: files missing, and places in files that were copied.
    pub damage: Vec<String>,
}

/// What restoring or verifying a backup read and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// The newest revision.
    pub revision: u64,
    /// The head of the hash chain in hex.
    pub chain_head: String,
    /// Files of the log.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Commits verified.
    pub commits: u64,
    /// Entities whose text has their address; those that were removed later are among them.
    pub entities: u64,
    /// Blobs and chunks whose bytes have their SHA-256; those that were removed later are among them.
    pub blobs: u64,
    /// Records verified; every value of each.
    pub records: u64,
    /// What is wrong, place by place. Empty for a sound backup.
    pub damage: Vec<String>,
}
