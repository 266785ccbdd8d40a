//! Blobs by SHA-256. Files have tests of their own, which need one engine; here is what needs all of them.

use std::io::Read;

use statlas_core::{Address, BlobId, Entity};

use super::{Open, Outcome, commit};
use crate::limits::BLOB_WHOLE_BYTES_MAX;
use crate::testing::random::Random;
use crate::testing::sample::version;
use crate::testing::twin::same;
use crate::{BlobForm, FreeOptions, FreeReport, Store, StoredBlob};

pub(crate) fn a_blob_comes_back_as_it_was_put(open: Open<'_>) -> Outcome {
    let store = open();
    let mut random = Random::new(3);
    for count in [0, 1, 2, 15, 16, 17, 4095, 4096, 4097, 100_000, BLOB_WHOLE_BYTES_MAX, 5 << 20] {
        let bytes = random.bytes(count);
        let (id, counts) = commit(&store, |batch| batch.put_blob(bytes.clone()))?;
        same("id", &id, &BlobId::of(&bytes))?;
        same("blobs new", &counts.blobs_new, &1)?;
        let found = store.engine().blob(&id)?;
        assert!(
            found == Some(StoredBlob { form: BlobForm::Whole, bytes }),
            "{count} bytes came back changed"
        );
        same("whether it is there", &store.engine().has_blob(&id)?, &true)?;
    }
    Ok(())
}

pub(crate) fn an_absent_blob_is_none(open: Open<'_>) -> Outcome {
    let store = open();
    let (mut id, _) = commit(&store, |batch| batch.put_blob(b"there".to_vec()))?;
    for absent in [BlobId::of(b"not there"), BlobId([0; 32]), BlobId([255; 32])] {
        same("blob", &store.engine().blob(&absent)?, &None)?;
        same("whether it is there", &store.engine().has_blob(&absent)?, &false)?;
    }
    id.0[31] ^= 1;
    same("blob with an id that differs in its last bit", &store.engine().blob(&id)?, &None)?;
    same("whether that is there", &store.engine().has_blob(&id)?, &false)
}

pub(crate) fn putting_a_blob_again_changes_nothing(open: Open<'_>) -> Outcome {
    let store = open();
    let (_, first) = commit(&store, |batch| batch.put_blob(b"x".to_vec()))?;
    let (_, second) = commit(&store, |batch| batch.put_blob(b"x".to_vec()))?;
    same("blobs new and revision", &(second.blobs_new, second.revision), &(0, first.revision))?;
    let (_, twice) = commit(&store, |batch| [batch.put_blob(b"y".to_vec()), batch.put_blob(b"y".to_vec())])?;
    same("blobs new of two that are the same", &twice.blobs_new, &1)?;
    same("blobs", &store.engine().stats().blobs, &2)
}

pub(crate) fn a_removed_blob_is_absent_and_can_be_put_again(open: Open<'_>) -> Outcome {
    let store = open();
    let (id, _) = commit(&store, |batch| batch.put_blob(b"x".to_vec()))?;
    let (_, removed) = commit(&store, |batch| batch.remove_blob(id))?;
    same("others", &removed.others, &1)?;
    same("blob", &store.engine().blob(&id)?, &None)?;
    same("whether it is there", &store.engine().has_blob(&id)?, &false)?;
    let (_, again) = commit(&store, |batch| batch.remove_blob(id))?;
    same("removing it again", &(again.others, again.revision), &(0, removed.revision))?;
    let (_, put) = commit(&store, |batch| batch.put_blob(b"x".to_vec()))?;
    same("blobs new", &put.blobs_new, &1)?;
    same("bytes", &store.engine().blob(&id)?.map(|blob| blob.bytes), &Some(b"x".to_vec()))
}

pub(crate) fn entities_and_blobs_live_in_separate_key_spaces(open: Open<'_>) -> Outcome {
    let store = open();
    let text = version("a", 1).canonical();
    let (address, id) = (Address::of(&text), BlobId::of(&text));
    same("the two names", address.as_bytes(), id.as_bytes())?;
    commit(&store, |batch| batch.put_blob(text.clone()))?;
    same("entity whose text is a blob", &store.get(&address)?, &None)?;
    same("addresses", &store.engine().addresses(&address.to_string().parse()?, 9)?, &Vec::new())?;
    store.put(version("a", 1))?;
    commit(&store, |batch| batch.remove_blob(id))?;
    same("whether the entity is there", &store.get(&address)?.is_some(), &true)?;
    same("whether the blob is there", &store.engine().has_blob(&id)?, &false)?;
    commit(&store, |batch| batch.put_blob(text.clone()))?;
    commit(&store, |batch| batch.remove_entity(address))?;
    same("entity", &store.get(&address)?, &None)?;
    same("bytes of the blob", &store.engine().blob(&id)?.map(|blob| blob.bytes), &Some(text))
}

pub(crate) fn a_file_comes_back_as_it_was_put(open: Open<'_>) -> Outcome {
    let store = open();
    for count in [0, 1000, BLOB_WHOLE_BYTES_MAX, 3 * BLOB_WHOLE_BYTES_MAX + 1] {
        let bytes = Random::new(4).bytes(count);
        let stored = store.files().put(&mut &bytes[..])?;
        same("what was stored", &(stored.id, stored.bytes), &(BlobId::of(&bytes), count as u64))?;
        let mut read = Vec::new();
        store.files().open(&stored.id)?.ok_or("it must be there")?.read_to_end(&mut read)?;
        assert!(read == bytes, "a file of {count} bytes came back changed");
    }
    Ok(())
}

fn free(store: &Store, options: &FreeOptions) -> Outcome<FreeReport> {
    Ok(store.engine().free_blobs(options, &mut |_, _| {})?)
}

/// An entity that names a blob.
fn naming(id: &str, blob: BlobId) -> Entity {
    version(id, 1).with_attachments(None, Some(blob))
}

fn is_there(store: &Store, id: &BlobId) -> Outcome<bool> {
    let is_there = store.engine().has_blob(id)?;
    same("whether it can be read", &store.engine().blob(id)?.is_some(), &is_there)?;
    Ok(is_there)
}

pub(crate) fn a_whole_blob_takes_the_place_of_a_chunk_and_no_other_way_round(open: Open<'_>) -> Outcome {
    let store = open();
    let put = |form| {
        commit(&store, |batch| batch.push_blob(BlobId::of(b"x"), form, b"x".to_vec()))
            .map(|(_, counts)| counts)
    };
    let id = BlobId::of(b"x");
    let is_stored = |form| {
        same("form", &store.engine().blob_form(&id)?, &Some(form))?;
        same("blob", &store.engine().blob(&id)?, &Some(StoredBlob { form, bytes: b"x".to_vec() }))?;
        same("blobs", &store.engine().stats().blobs, &1)
    };
    same("blobs new", &put(BlobForm::Chunk)?.blobs_new, &1)?;
    is_stored(BlobForm::Chunk)?;
    let again = put(BlobForm::Chunk)?;
    same("counts of the chunk again", &(again.blobs_new, again.others), &(0, 0))?;
    let whole = put(BlobForm::Whole)?;
    same(
        "counts of the blob",
        &(whole.blobs_new, whole.others, whole.revision),
        &(0, 1, again.revision + 1),
    )?;
    is_stored(BlobForm::Whole)?;
    for form in [BlobForm::Whole, BlobForm::Chunk] {
        same("revision", &put(form)?.revision, &whole.revision)?;
        is_stored(BlobForm::Whole)?;
    }
    // In one batch, and removed in between.
    commit(&store, |batch| {
        batch.remove_blob(id);
        batch.push_blob(id, BlobForm::Chunk, b"x".to_vec());
        batch.push_blob(id, BlobForm::Whole, b"x".to_vec());
        batch.remove_blob(id);
        batch.push_blob(id, BlobForm::Chunk, b"x".to_vec());
    })?;
    is_stored(BlobForm::Chunk)?;
    let file = store.files().put(&mut &b"x"[..])?;
    same("new bytes of the same as a file", &file.bytes_new, &1)?;
    is_stored(BlobForm::Whole)?;
    commit(&store, |batch| batch.remove_blob(id))?;
    same("whether it is there", &is_there(&store, &id)?, &false)
}

pub(crate) fn what_removed_entities_named_is_freed_and_what_no_entity_named_stays(open: Open<'_>) -> Outcome {
    let store = open();
    let (ids, _) = commit(&store, |batch| {
        let ids = [&b"gone"[..], b"shared", b"named", b"never"].map(|bytes| batch.put_blob(bytes.to_vec()));
        for (entity, blob) in [("a", ids[0]), ("b", ids[1]), ("c", ids[1]), ("d", ids[2])] {
            batch.put_entity(naming(entity, blob));
        }
        ids
    })?;
    same("freed while all are named", &free(&store, &FreeOptions::default())?.blobs(), &0)?;
    commit(&store, |batch| {
        batch.remove_entity(version("a", 1).address());
        batch.remove_entity(version("b", 1).address());
    })?;
    let report = free(&store, &FreeOptions::default())?;
    same("freed", &(report.wholes, report.manifests, report.chunks), &(1, 0, 0))?;
    same("whether that is all", &(report.is_complete, report.bytes >= 4), &(true, true))?;
    for (id, expected) in ids.iter().zip([false, true, true, true]) {
        same("whether a blob is there", &is_there(&store, id)?, &expected)?;
    }
    same("freed again", &free(&store, &FreeOptions::default())?.blobs(), &0)?;
    // One that is freed can be stored and named again.
    commit(&store, |batch| {
        batch.put_blob(b"gone".to_vec());
        batch.put_entity(naming("a", ids[0]));
    })?;
    free(&store, &FreeOptions::default())?;
    same("whether it is there again", &is_there(&store, &ids[0])?, &true)?;
    // Removed and stored again with another file: the first is needed no more.
    commit(&store, |batch| batch.remove_entity(version("a", 1).address()))?;
    commit(&store, |batch| batch.put_entity(naming("a", ids[3])))?;
    free(&store, &FreeOptions::default())?;
    same("whether the first is there", &is_there(&store, &ids[0])?, &false)?;
    same("whether the second is", &is_there(&store, &ids[3])?, &true)
}

pub(crate) fn blobs_that_no_entity_ever_named_are_freed_on_demand(open: Open<'_>) -> Outcome {
    let store = open();
    let (ids, _) = commit(&store, |batch| {
        let ids = [batch.put_blob(b"named".to_vec()), batch.put_blob(b"never".to_vec())];
        batch.put_entity(naming("a", ids[0]));
        ids
    })?;
    let report = free(&store, &FreeOptions { unnamed: true, ..FreeOptions::default() })?;
    same("freed", &(report.wholes, report.blobs()), &(1, 1))?;
    same("whether the named one is there", &is_there(&store, &ids[0])?, &true)?;
    same("whether the other one is", &is_there(&store, &ids[1])?, &false)
}

/// Random bytes of a file of a few chunks.
fn large(seed: u64) -> Vec<u8> {
    Random::new(seed).bytes(3 * BLOB_WHOLE_BYTES_MAX)
}

fn read_back(store: &Store, id: &BlobId) -> Outcome<Vec<u8>> {
    Ok(store.files().read_range(id, 0, usize::MAX)?.ok_or("the file must be there")?)
}

pub(crate) fn chunks_live_as_long_as_a_manifest_names_them(open: Open<'_>) -> Outcome {
    let store = open();
    let (first, mut second) = (large(5), large(5));
    second.truncate(second.len() - BLOB_WHOLE_BYTES_MAX / 2);
    let files = [&first, &second].map(|bytes| store.files().put(&mut &bytes[..]));
    let mut ids = Vec::new();
    for (name, file) in ["a", "b"].iter().zip(files) {
        let id = file?.id;
        store.put(naming(name, id))?;
        ids.push(id);
    }
    let blobs = store.engine().stats().blobs;
    same("freed while both are named", &free(&store, &FreeOptions::default())?.blobs(), &0)?;
    commit(&store, |batch| batch.remove_entity(version("a", 1).address()))?;
    let report = free(&store, &FreeOptions::default())?;
    same("freed files", &(report.wholes, report.manifests), &(0, 1))?;
    assert!(report.chunks > 0, "no chunk was freed: {report:?}");
    same("blobs left", &store.engine().stats().blobs, &(blobs - report.blobs()))?;
    assert!(read_back(&store, &ids[1])? == second, "the other file came back changed");
    commit(&store, |batch| batch.remove_entity(version("b", 1).address()))?;
    free(&store, &FreeOptions::default())?;
    same("blobs left", &store.engine().stats().blobs, &0)
}

pub(crate) fn a_file_stays_as_long_as_somebody_holds_it(open: Open<'_>) -> Outcome {
    let store = open();
    let options = FreeOptions { unnamed: true, ..FreeOptions::default() };
    for bytes in [b"small".to_vec(), large(6)] {
        let held = store.files().put(&mut &bytes[..])?;
        same("freed while it is held", &free(&store, &options)?.blobs(), &0)?;
        let clone = held.clone();
        drop(held);
        same("freed while a clone is held", &free(&store, &options)?.blobs(), &0)?;
        assert!(read_back(&store, &clone.id)? == bytes, "it came back changed");
        drop(clone);
        assert!(free(&store, &options)?.blobs() > 0, "nothing was freed that nobody holds");
        same("blobs left", &store.engine().stats().blobs, &0)?;
    }
    Ok(())
}

pub(crate) fn a_dry_run_frees_nothing_and_counts_what_would_go(open: Open<'_>) -> Outcome {
    let store = open();
    drop(store.files().put(&mut &large(7)[..])?);
    commit(&store, |batch| batch.put_blob(b"small".to_vec()))?;
    let before = store.engine().stats();
    let options = FreeOptions { unnamed: true, dry_run: true, bytes_per_second: 0 };
    let expected = free(&store, &options)?;
    same("wholes and manifests", &(expected.wholes, expected.manifests), &(1, 1))?;
    let after = store.engine().stats();
    same("revision and blobs", &(after.revision, after.blobs), &(before.revision, before.blobs))?;
    let report = free(&store, &FreeOptions { dry_run: false, ..options })?;
    let counts = |report: &FreeReport| (report.wholes, report.manifests, report.chunks, report.bytes);
    same("what goes", &counts(&report), &counts(&expected))?;
    same("blobs left", &store.engine().stats().blobs, &0)
}
