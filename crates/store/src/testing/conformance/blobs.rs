//! Blobs by SHA-256. Files have tests of their own, which need one engine; here is what needs all of them.

use std::io::Read;

use statlas_core::{Address, BlobId};

use super::{Open, Outcome, commit};
use crate::limits::BLOB_WHOLE_BYTES_MAX;
use crate::testing::random::Random;
use crate::testing::sample::version;
use crate::testing::twin::same;
use crate::{BlobForm, StoredBlob};

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
