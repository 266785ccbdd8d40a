//! Tokens by the million: files of them, and batches of foreign bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use statlas_core::{Space, SpaceSet, Token};
use statlas_tokens::{
    BatchError, Column, Condition, Field, LocalIds, MappedTokens, Metric, TokenBatch, TokenCoordinates,
    TokenFile, TokenVec, filter, nearest, order, par_nearest, save, select, within,
};
use zerocopy::FromBytes;

use super::files::temporary_folder;

const HEADER_BYTES: usize = 64;
/// Where a file has the copies of its header.
const COPIES: [usize; 4] = [0, 4096, 8192, 12288];
const DATA_AT: usize = 1 << 16;

/// A file of tokens. The input is the four copies of its header, then how many bytes of the file are missing (2 bytes), and
/// then its tokens; a checksum that is all zeros is made right.
pub fn token_file(bytes: &[u8]) {
    let path = PATH.as_path();
    let image = image(bytes);
    fs::write(path, &image).expect("the temporary folder can be written to");
    let before = MappedTokens::open(path).ok().map(|mapped| {
        use_tokens(&mapped);
        (mapped.to_vec(), mapped.check().is_ok())
    });
    check_appending(path, &image, before);
    fs::remove_file(path).expect("the temporary folder can be written to");
}

/// A file that can be mapped can be appended to, unless it is damaged so that tokens may stand behind those that are
/// counted; of others only an unfinished one can, which has nothing.
fn check_appending(path: &Path, image: &[u8], before: Option<(Vec<Token>, bool)>) {
    let Ok(mut file) = TokenFile::open(path) else {
        assert!(fs::read(path).is_ok_and(|found| found == image), "what was refused was changed");
        if let Some((tokens, is_sound)) = before {
            assert!(!is_sound, "a sound file can't be appended to");
            let is_legal = tokens.iter().all(|token| token.check().is_ok());
            assert_eq!(save(path, &tokens).is_ok(), is_legal, "it can't be replaced by what is counted");
        }
        return;
    };
    let (mut tokens, is_sound) = before.unwrap_or((Vec::new(), true));
    assert_eq!(file.len(), tokens.len() as u64, "appending finds other tokens");
    let more = [Token::EMPTY, Token::EMPTY.with_masked_local_id(1)];
    file.append(&more).expect("there is room");
    tokens.extend(more);
    drop(file);
    let mapped = MappedTokens::open(path).expect("it was written");
    assert!(as_bytes(&mapped) == as_bytes(&tokens), "appending changed what was there");
    assert!(!is_sound || mapped.check().is_ok(), "appending damaged a sound file");
}

fn as_bytes(tokens: &[Token]) -> Vec<u8> {
    tokens.iter().flat_map(Token::to_bytes).collect()
}

fn image(bytes: &[u8]) -> Vec<u8> {
    let mut image = vec![0; DATA_AT];
    let (headers, rest) = bytes.split_at(bytes.len().min(COPIES.len() * HEADER_BYTES));
    for (at, header) in COPIES.into_iter().zip(headers.chunks(HEADER_BYTES)) {
        let place = &mut image[at..at + HEADER_BYTES];
        place[..header.len()].copy_from_slice(header);
        let (content, crc) = place.split_at_mut(HEADER_BYTES - 4);
        if crc == [0; 4] && content != [0; HEADER_BYTES - 4] {
            crc.copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
        }
    }
    let (missing, tokens) = rest.split_first_chunk().unwrap_or((&[0; 2], &[]));
    image.extend_from_slice(tokens);
    image.truncate(image.len() - usize::from(u16::from_le_bytes(*missing)));
    image
}

/// A file of this process. Its name is taken away after each input, so that the folder needs none of its own.
static PATH: LazyLock<PathBuf> = LazyLock::new(|| temporary_folder("some.tokens"));

/// Tokens in place, whatever their bytes are, and the same as columns.
pub fn token_batch(bytes: &[u8]) {
    let whole = bytes.len() / Token::BYTES * Token::BYTES;
    let tokens = <[Token]>::ref_from_bytes(&bytes[..whole]).expect("whole tokens");
    use_tokens(tokens);
    check_rows(TokenVec::from_bytes(bytes), bytes, Token::from_bytes);
    check_rows(TokenVec::from_reference_bytes(bytes), bytes, Token::from_reference_bytes);
    check_columns(tokens);
}

/// Reading all gives what reading each does, or the first error.
fn check_rows<E: PartialEq + std::fmt::Debug>(
    all: Result<TokenVec, BatchError>,
    bytes: &[u8],
    read: impl Fn(&[u8; Token::BYTES]) -> Result<Token, E>,
) {
    let (rows, rest) = bytes.as_chunks();
    match all {
        Ok(tokens) => {
            assert!(rest.is_empty() && tokens.len() == rows.len(), "bytes were left out");
            assert!(rows.iter().zip(&tokens).all(|(bytes, token)| read(bytes) == Ok(*token)), "other tokens");
        }
        Err(BatchError::Bytes { found }) => assert!(!rest.is_empty() && found == bytes.len()),
        Err(BatchError::Value { row, .. }) => {
            assert!(read(&rows[row]).is_err() && rows[..row].iter().all(|bytes| read(bytes).is_ok()));
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whatever columns hold, one thread and all give the same, and what is made are the tokens that the columns are of.
fn check_columns(tokens: &[Token]) {
    let coordinates = statlas_tokens::coordinates(tokens);
    let decoded = statlas_tokens::decoded(tokens);
    let ids: Vec<u32> = tokens.iter().map(Token::local_id).collect();
    let types: Vec<_> = tokens.iter().map(Token::entity_type).collect();
    let domains: Vec<_> = tokens.iter().map(Token::domain).collect();
    let flags: Vec<_> = tokens.iter().map(Token::raw_flags).collect();
    let weights: Vec<_> = tokens.iter().map(Token::weight).collect();
    let radii: Vec<_> = tokens.iter().map(Token::field_radius).collect();
    let strengths: Vec<_> = tokens.iter().map(Token::field_strength).collect();
    let timestamps: Vec<_> = tokens.iter().map(Token::timestamp).collect();
    for coordinates in [TokenCoordinates::Raw(&coordinates), TokenCoordinates::Decoded(&decoded)] {
        let batch = TokenBatch {
            local_ids: LocalIds::Each(&ids),
            entity_type: Column::Each(&types),
            domain: Column::Each(&domains),
            flags: Column::Each(&flags),
            weight: Column::Each(&weights),
            field_radius: Column::Each(&radii),
            field_strength: Column::Each(&strengths),
            timestamp: Column::Each(&timestamps),
            coordinates,
        };
        let (mut one, mut all) = (TokenVec::new(), TokenVec::new());
        let made = one.create(tokens.len(), &batch);
        assert_eq!(made, all.par_create(tokens.len(), &batch), "another outcome on all threads");
        assert_eq!(one, all, "other tokens on all threads");
        match made {
            Ok(()) => {
                assert!(one.iter().zip(tokens).all(|(made, token)| is_made_of(made, token)), "other tokens")
            }
            Err(_) => assert!(one.is_empty() && tokens.iter().any(|token| token.check().is_err())),
        }
    }
}

/// Flags without a type get that of the token.
fn is_made_of(made: &Token, token: &Token) -> bool {
    let mut expected = *token;
    expected.set_entity_type(token.entity_type());
    made.to_bytes() == expected.to_bytes()
}

/// Everything that reads tokens, on tokens that are whatever their bytes are.
fn use_tokens(tokens: &[Token]) {
    let Some(query) = tokens.last() else { return };
    for spaces in [SpaceSet::ALL, Space::Motor.into(), SpaceSet::NONE] {
        for metric in [Metric::Euclidean, Metric::Cosine] {
            let found = nearest(tokens, query, 3, spaces, metric);
            assert_eq!(
                found,
                par_nearest(tokens, query, 3, spaces, metric),
                "others are nearest on all threads"
            );
            if let [.., far] = found[..] {
                let inside = within(tokens, query, far.distance, spaces, metric);
                assert!(
                    found.iter().all(|near| inside.contains(near)),
                    "the nearest are not within their distance"
                );
            }
        }
    }
    for field in [Field::Weight, Field::Flags, Field::Axis(Space::Temporal, 2)] {
        let mut order = order(tokens, field, true);
        let conditions = [Condition::In(field, -1.0..=1.0), Condition::Clear(1)];
        assert_eq!(filter(tokens, &conditions).len(), select(tokens, &conditions).len());
        order.sort_unstable();
        assert!(order.into_iter().eq(0..tokens.len()), "an order leaves tokens out");
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::Token;
    use statlas_tokens::{MappedTokens, save};

    use super::{COPIES, DATA_AT, HEADER_BYTES, image};

    #[test]
    fn an_input_made_of_a_file_leads_back_to_it() {
        let path = super::PATH.with_extension("saved");
        save(&path, &[Token::EMPTY; 3]).expect("it is saved");
        let file = std::fs::read(&path).expect("it can be read");
        assert!(MappedTokens::open(&path).is_ok_and(|mapped| mapped.len() == 3));
        std::fs::remove_file(&path).expect("it is removed");
        let mut input: Vec<u8> = COPIES.iter().flat_map(|at| file[*at..][..HEADER_BYTES].to_vec()).collect();
        input.extend([0; 2]);
        input.extend(&file[DATA_AT..]);
        assert!(image(&input) == file);
    }
}
