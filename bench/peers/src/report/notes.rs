//! What a reader has to know about each table.

pub(super) const LOAD: &str = "Rows/s from the first commit to the return of the last, each batch written and synced by \
itself before the next one is, while a second thread makes the next one ready: Statlas hashes and frames it, RocksDB and \
fjall get their write batch, LMDB, redb and SQLite get it sorted. Statlas computes the SHA-256 of every value in that time; the others are handed the keys. \
`bare-append` writes as many bytes as Statlas's log and knows nothing. Syncs are counted at the system's interface; \
LMDB does a second one for each commit, as a write to a file opened with O_DSYNC, that is not counted. CPU: of all \
threads of the process. What an engine puts off beyond the last commit is not in these figures. \
`statlas-entities` stores other data, structured and indexed, and is here for information.";

pub(super) const BYTES: &str = "Written: what the process caused to be written to the device (`write_bytes` of \
/proc/self/io) from the first commit until the store was closed. On disk: blocks of all files after that. Payload are \
the bytes of the values; the keys have 32 bytes each.";

pub(super) const SINGLE: &str = "One row per commit into a new store, acknowledged when it is on the device. Syncs per \
insert below 1 show that commits of several threads share a sync.";

pub(super) const GET: &str = "Random keys that are there, each once, after all of them have been read once. Every byte of \
a value is read and summed up in the timed part. CPU ns: processor time of the reading threads for each get; wall ns: \
time that passes for a thread between two gets. Statlas verifies a checksum with each get. LMDB, redb and SQLite read in one transaction that is open already.";

pub(super) const ABSENT: &str = "As above, with random keys that were never stored, in the same warm store.";

pub(super) const MIXED: &str = "Puts survive a killed process, not a power cut: Statlas `Written`, RocksDB sync=false, \
fjall PersistMode::Buffer, LMDB MDB_NOSYNC, SQLite synchronous=NORMAL. redb has no such level: its puts survive neither \
until every 1,000th one. Gets see all puts that are done, so LMDB, redb and SQLite begin a transaction for each.";

pub(super) const SCAN: &str = "Every row once, the second time in the same process. Statlas's public interface lists \
entities and not blobs. Checked: reads and verifies every row with its SHA-256 and hands none out.";

pub(super) const REOPEN: &str = "Files in the page cache. After a kill: the process died right after durable batches of \
1,000 rows, and the row that is got is the last one that was acknowledged.";

pub(super) const MEMORY: &str = "One process loads in durable batches of 10,000 and then gets random rows, with so much \
memory for everything that it uses, page cache included. Engines with a cache give a quarter of it to the cache and a \
quarter to write buffers; Statlas has a budget of half of it. Resident bytes include mapped files.";
