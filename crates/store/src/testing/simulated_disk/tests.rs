//! What the simulated disk loses, keeps, tears and refuses.

use std::collections::BTreeSet;
use std::io;

use super::super::Random;
use super::{Call, Crash, Fault, Operation, Plan, SimulatedDisk};
use crate::engine::disk::storage::{Storage, StorageFile};

/// A disk with a synced file `a` of zeros.
fn disk_with_file(bytes: usize) -> (SimulatedDisk, Box<dyn StorageFile>) {
    let disk = SimulatedDisk::new();
    let file = disk.open("a", true).expect("nothing is in the way");
    file.write_at(0, &vec![0; bytes]).expect("nothing is in the way");
    file.sync().expect("nothing is in the way");
    disk.sync_folder(".").expect("nothing is in the way");
    (disk, file)
}

/// What a crash leaves of the file `a`, for many random numbers.
fn left(disk: &SimulatedDisk, crash: Crash) -> BTreeSet<Option<Vec<u8>>> {
    let mut random = Random::new(1);
    (0..200).map(|_| disk.crash(crash, &mut random).content("a")).collect()
}

fn content(disk: &SimulatedDisk) -> Vec<u8> {
    disk.content("a").expect("the file is there")
}

fn strike(disk: &SimulatedDisk, name: &str, operation: Operation, fault: Fault, for_good: bool) {
    let number =
        disk.calls().iter().filter(|call| &*call.name == name && call.operation == operation).count();
    let call = Call { name: name.into(), operation, number: number as u32 };
    disk.plan(Some(Plan { call, fault, for_good }));
}

fn kind<T>(done: io::Result<T>) -> Option<io::ErrorKind> {
    done.err().map(|error| error.kind())
}

#[test]
fn what_is_synced_is_kept_and_nothing_else_for_sure() -> io::Result<()> {
    let (disk, file) = disk_with_file(4);
    file.write_at(1, b"xy")?;
    file.sync()?;
    file.write_at(2, b"z!!")?;
    assert_eq!(left(&disk, Crash::Nothing), [Some(b"\0xy\0".to_vec())].into());
    assert_eq!(left(&disk, Crash::Everything), [Some(b"\0xz!!".to_vec())].into());
    assert_eq!(left(&disk, Crash::Killed), [Some(b"\0xz!!".to_vec())].into());
    // Either the write or not, and if not, the file may have become longer.
    let expected = [&b"\0xy\0"[..], b"\0xy\0\0", b"\0xz!!"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(left(&disk, Crash::Subset), expected.into());
    Ok(())
}

#[test]
fn each_write_is_kept_or_lost_by_itself() -> io::Result<()> {
    let (disk, file) = disk_with_file(3);
    for at in 0..3 {
        file.write_at(at, b"x")?;
    }
    assert_eq!(left(&disk, Crash::Subset).len(), 8);
    let reordered = left(&disk, Crash::Reordered);
    let expected = [&b"\0xx"[..], b"\0\0x"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(reordered, expected.into(), "earlier ones are lost and later ones kept");
    Ok(())
}

#[test]
fn a_cut_that_is_not_synced_may_be_undone_though_a_later_write_is_there() -> io::Result<()> {
    let (disk, file) = disk_with_file(3);
    file.set_len(1)?;
    file.write_at(1, b"x")?;
    let expected = [&b"\0\0\0"[..], b"\0", b"\0\0", b"\0x\0", b"\0x"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(left(&disk, Crash::Subset), expected.into());
    Ok(())
}

#[test]
fn a_torn_write_is_there_in_whole_pieces_of_the_device() -> io::Result<()> {
    for piece in [512, 4096] {
        let (disk, file) = disk_with_file(5 * piece);
        file.write_at(100, &vec![1; 4 * piece])?;
        let mut some_pieces_only = false;
        for bytes in left(&disk, Crash::Torn(piece)).into_iter().flatten() {
            let pieces = bytes.chunks(piece).enumerate().map(|(number, bytes)| {
                let covered = if number == 0 { &bytes[100..] } else { bytes };
                let covered = if number == 4 { &covered[..100] } else { covered };
                assert!(covered.iter().all(|byte| *byte == covered[0]), "a piece of {piece} is torn itself");
                covered[0]
            });
            some_pieces_only |= pieces.collect::<BTreeSet<u8>>().len() == 2;
            assert!(bytes[..100].iter().all(|byte| *byte == 0), "what was not written stays as it was");
        }
        assert!(some_pieces_only);
    }
    Ok(())
}

#[test]
fn a_name_is_kept_only_if_its_folder_was_synced() -> io::Result<()> {
    let disk = SimulatedDisk::new();
    disk.open("a", true)?.sync()?;
    assert_eq!(left(&disk, Crash::Nothing), [None].into());
    assert_eq!(left(&disk, Crash::Subset), [None, Some(Vec::new())].into());
    disk.sync_folder(".")?;
    assert_eq!(left(&disk, Crash::Nothing), [Some(Vec::new())].into());
    // What is in a folder whose own name is lost is lost with it.
    disk.create_folder("log")?;
    disk.open("log/b", true)?;
    disk.sync_folder("log")?;
    assert_eq!(disk.crash(Crash::Nothing, &mut Random::new(1)).names(), ["a"]);
    disk.sync_folder(".")?;
    assert_eq!(disk.crash(Crash::Nothing, &mut Random::new(1)).names(), ["a", "log/b"]);
    disk.remove("log/b")?;
    assert_eq!(kind(disk.open("log/b", false)), Some(io::ErrorKind::NotFound));
    assert_eq!(disk.crash(Crash::Nothing, &mut Random::new(1)).names(), ["a", "log/b"]);
    Ok(())
}

#[test]
fn a_renamed_file_has_its_old_name_or_its_new_one() -> io::Result<()> {
    let (disk, _) = disk_with_file(1);
    disk.rename("a", "b")?;
    let mut random = Random::new(1);
    let names: BTreeSet<Vec<String>> =
        (0..100).map(|_| disk.crash(Crash::Subset, &mut random).names()).collect();
    assert_eq!(names, [vec!["a".to_owned()], vec!["b".to_owned()]].into());
    assert_eq!(disk.names(), ["b"]);
    Ok(())
}

#[test]
fn a_whole_small_file_is_replaced_in_one_step() -> io::Result<()> {
    let (disk, _) = disk_with_file(3);
    disk.write("a", b"new")?;
    let expected = [&b"\0\0\0"[..], b"new"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(left(&disk, Crash::Subset), expected.into());
    assert_eq!(disk.read("a", 3)?, b"new");
    Ok(())
}

#[test]
fn a_failed_sync_loses_or_keeps_what_can_be_read_and_makes_none_of_it_durable() -> io::Result<()> {
    for (fault, visible, after_next) in [
        (Fault::SyncLost, b"\0\0", b"\0y"),
        (Fault::SyncKept, b"x\0", b"\0y"),
        (Fault::SyncAgain, b"x\0", b"xy"),
    ] {
        let (disk, file) = disk_with_file(2);
        file.write_at(0, b"x")?;
        strike(&disk, "a", Operation::Sync, fault, false);
        assert!(file.sync().is_err());
        assert_eq!(content(&disk), visible, "{fault:?}");
        assert_eq!(left(&disk, Crash::Nothing), [Some(vec![0; 2])].into(), "{fault:?}");
        file.write_at(1, b"y")?;
        file.sync()?;
        assert_eq!(left(&disk, Crash::Nothing), [Some(after_next.to_vec())].into(), "{fault:?}");
    }
    Ok(())
}

#[test]
fn a_fault_strikes_its_call_once_or_all_that_follow() -> io::Result<()> {
    let (disk, file) = disk_with_file(0);
    strike(&disk, "a", Operation::Write, Fault::Io, false);
    assert!(!disk.has_struck());
    assert_eq!(kind(file.pwrite(0, b"x")), Some(io::ErrorKind::Other));
    assert!(disk.has_struck());
    assert_eq!(file.pwrite(0, b"x")?, 1);
    strike(&disk, "a", Operation::Write, Fault::NoSpace, true);
    assert_eq!(kind(file.pwrite(0, b"x")), Some(io::ErrorKind::StorageFull));
    assert_eq!(kind(disk.open("b", true)), Some(io::ErrorKind::StorageFull), "a full device is full for all");
    assert!(file.sync().is_ok() && file.len().is_ok());
    strike(&disk, "a", Operation::Len, Fault::Gone, true);
    assert!(file.sync().is_ok());
    assert!(file.len().is_err() && file.sync().is_err() && disk.list(".").is_err());
    Ok(())
}

#[test]
fn short_and_interrupted_calls_are_no_errors_for_who_wants_all() -> io::Result<()> {
    let (disk, file) = disk_with_file(0);
    strike(&disk, "a", Operation::Write, Fault::Half, true);
    file.write_at(0, b"a text")?;
    strike(&disk, "a", Operation::Read, Fault::Half, true);
    let mut buffer = [0; 6];
    file.read_at(0, &mut buffer)?;
    assert_eq!(&buffer, b"a text");
    for operation in [Operation::Write, Operation::Read] {
        strike(&disk, "a", operation, Fault::Interrupted, false);
        file.write_at(2, b"t")?;
        file.read_at(0, &mut buffer)?;
        assert!(disk.has_struck());
    }
    assert_eq!(kind(file.read_at(1, &mut buffer)), Some(io::ErrorKind::UnexpectedEof));
    strike(&disk, "a", Operation::Write, Fault::HalfThenNoSpace, false);
    assert_eq!(kind(file.write_at(6, b"1234")), Some(io::ErrorKind::StorageFull));
    assert_eq!(content(&disk), b"a text12");
    Ok(())
}

#[test]
fn a_killed_process_reaches_its_disk_no_more() -> io::Result<()> {
    let (disk, file) = disk_with_file(1);
    file.write_at(0, b"x")?;
    let next = disk.kill();
    assert!(file.write_at(0, b"y").is_err() && disk.list(".").is_err());
    assert_eq!(next.read("a", 1)?, b"x");
    Ok(())
}

#[test]
fn a_mapping_shows_what_is_written_later_and_a_whole_one_what_was_there() -> io::Result<()> {
    let (disk, file) = disk_with_file(4);
    let map = file.map(4)?;
    file.write_at(1, b"x")?;
    let mut buffer = Vec::new();
    map.read(1, 2, &mut buffer);
    assert_eq!(buffer, b"x\0");
    assert_eq!(map.bytes(), b"\0x\0\0");
    drop(disk);
    Ok(())
}

#[test]
#[should_panic(expected = "SIGBUS")]
fn reading_a_mapped_file_behind_its_end_ends_the_process() {
    let (_disk, file) = disk_with_file(4);
    let map = file.map(4).expect("nothing is in the way");
    file.set_len(2).expect("nothing is in the way");
    map.read(1, 2, &mut Vec::new());
}

#[test]
fn the_same_seed_leaves_the_same() -> io::Result<()> {
    let (disk, file) = disk_with_file(1000);
    for at in 0..20 {
        file.write_at(at * 300, &[7; 700])?;
    }
    for crash in [Crash::Subset, Crash::Torn(512), Crash::Torn(4096), Crash::Reordered] {
        assert_eq!(left(&disk, crash), left(&disk, crash));
        assert!(left(&disk, crash).len() > 10);
    }
    Ok(())
}
