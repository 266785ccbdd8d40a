//! Tokens in one piece of memory, and their columns.

use rayon::prelude::*;
use statlas_core::{Space, Token};
use statlas_tokens::{
    BatchError, Condition, Field, TokenBatch, TokenCoordinates, TokenVec, coordinates, decoded, decoded_in,
    values,
};

use crate::{token, tokens};

#[test]
fn memory_is_64_bytes_for_each_token_that_there_is_room_for() {
    let mut made = TokenVec::with_capacity(1000);
    let capacity = made.capacity();
    assert!(capacity >= 1000);
    assert_eq!(made.memory_bytes(), capacity * 64 + size_of::<TokenVec>());
    made.create(1000, &TokenBatch::default()).expect("nothing is wrong");
    assert_eq!(made.capacity(), capacity, "there was room");
    made.clear();
    assert_eq!((made.len(), made.memory_bytes()), (0, capacity * 64 + size_of::<TokenVec>()));
    assert_eq!(TokenVec::new().memory_bytes(), size_of::<TokenVec>());
}

#[test]
fn a_vector_is_a_slice_of_its_tokens_and_iterates_like_one() {
    let all = tokens(100);
    let mut made: TokenVec = all.iter().copied().collect();
    made.push(token(100));
    made.extend([token(101)]);
    assert_eq!((made.len(), made[100], made.last()), (102, token(100), Some(&token(101))));
    assert_eq!(made.as_bytes().len(), 102 * 64);
    assert_eq!(made.as_bytes()[64..128], all[1].to_bytes());
    assert!((&made).into_iter().eq(made.iter()));
    made.truncate(100);
    assert_eq!(made.clone().into_iter().collect::<Vec<_>>(), all);
    assert_eq!(made.as_ref(), all);
    made[3].set_timestamp(9);
    assert_ne!(made[..], all[..]);
    made.iter_mut().for_each(|token| token.set_timestamp(1));
    assert!(Vec::from(made).iter().all(|token| token.timestamp() == 1));
}

#[test]
fn mapping_filtering_and_folding_on_all_threads_gives_what_one_thread_gives() {
    let all = TokenVec::from(tokens(50_000));
    let halved = |token: &Token| {
        let mut token = *token;
        token.set_timestamp(token.timestamp() / 2);
        token
    };
    let mapped: TokenVec = all.par_iter().map(halved).collect();
    assert!(mapped.iter().eq(&all.iter().map(halved).collect::<Vec<_>>()));
    let is_heavy = |token: &&Token| token.weight() > 50.0;
    let heavy: TokenVec = all.par_iter().filter(is_heavy).copied().collect();
    assert!(heavy.iter().eq(all.iter().filter(is_heavy)));
    assert_eq!(heavy, all.filter(&[Condition::In(Field::Weight, 50.5..=100.0)]));
    let sum = |sum: u64, token: &Token| sum + u64::from(token.timestamp());
    assert_eq!(all.par_iter().fold(|| 0, sum).sum::<u64>(), all.iter().fold(0, sum));
}

#[test]
fn columns_hold_what_each_token_has_and_make_the_same_tokens_again() {
    let all = TokenVec::from(tokens(20_000));
    let raws = all.coordinates();
    assert!(raws.iter().eq(&all.iter().map(Token::coordinates).collect::<Vec<_>>()));
    let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN).to_bits();
    for space in Space::ALL {
        let columns = all.axes(&[(space, 0), (space, 1), (space, 2)]);
        for ((at, token), axes) in all.iter().enumerate().zip(all.decoded_in(space)) {
            for axis in 0..3 {
                let expected = or_nan(token.decoded_axis(space, axis));
                let found = [axes[axis], columns[axis][at], all.decoded_at(at, space)[axis]];
                assert_eq!(found.map(f64::to_bits), [expected; 3]);
            }
        }
        assert_eq!(all.axis(space, 1).len(), all.len());
    }
    assert_eq!(all.values(Field::LocalId), (0..20_000).map(f64::from).collect::<Vec<_>>());
    // Values that went out come in as the raw values that they were.
    let spaces = all.decoded();
    for coordinates in [TokenCoordinates::Decoded(&spaces), TokenCoordinates::Raw(&raws)] {
        let mut again = TokenVec::new();
        again
            .create(all.len(), &TokenBatch { coordinates, ..TokenBatch::default() })
            .expect("they are legal");
        assert_eq!(again.coordinates(), raws);
    }
}

/// What the free functions give of one token.
trait DecodedAt {
    fn decoded_at(&self, at: usize, space: Space) -> [f64; 3];
}

impl DecodedAt for TokenVec {
    fn decoded_at(&self, at: usize, space: Space) -> [f64; 3] {
        decoded(&self[at..=at])[0][space.index()]
    }
}

#[test]
fn columns_are_made_of_any_slice_of_tokens() {
    let all = tokens(10);
    let part = &all[3..7];
    assert_eq!(coordinates(part).len(), 4);
    assert_eq!(coordinates(part)[0], all[3].coordinates());
    assert_eq!(values(part, Field::LocalId), [3.0, 4.0, 5.0, 6.0]);
    assert_eq!(decoded_in(part, Space::Motor).len(), 4);
    assert!(values(&[], Field::Weight).is_empty() && decoded(&[]).is_empty());
}

#[test]
fn own_bytes_are_checked_and_the_first_wrong_row_is_told() {
    let all = TokenVec::from(tokens(100));
    let mut bytes = all.as_bytes().to_vec();
    assert_eq!(TokenVec::from_bytes(&bytes), Ok(all));
    // Bits of the type among the flags.
    bytes[70 * 64 + 53] ^= 1;
    bytes[90 * 64 + 53] ^= 1;
    match TokenVec::from_bytes(&bytes) {
        Err(BatchError::Value { row, source }) => assert_eq!((row, source.field()), (70, "flags")),
        other => panic!("{other:?}"),
    }
    let error = TokenVec::from_bytes(&bytes[..100]).expect_err("half a token");
    assert_eq!(error, BatchError::Bytes { found: 100 });
    assert_eq!(error.to_string(), "found 100 bytes; allowed: a multiple of 64, one token after another");
    assert_eq!(TokenVec::from_bytes(&[]), Ok(TokenVec::new()));
}

#[test]
fn bytes_of_the_reference_are_converted_and_the_first_wrong_row_is_told() {
    let mut bytes = TokenVec::from(tokens(100)).as_bytes().to_vec();
    bytes[64..70].copy_from_slice(&[127, 0, 127, 0, 127, 0]);
    bytes[64 + 53] ^= 0x0f;
    let converted = TokenVec::from_reference_bytes(&bytes).expect("they are legal");
    assert_eq!(converted[1].decoded(Space::Physical), None);
    for (token, bytes) in converted.iter().zip(bytes.as_chunks().0) {
        assert_eq!(Token::from_reference_bytes(bytes), Ok(*token));
        assert_eq!(token.check(), Ok(()));
    }
    bytes[31 * 64 + 54..31 * 64 + 58].copy_from_slice(&f32::NAN.to_le_bytes());
    match TokenVec::from_reference_bytes(&bytes) {
        Err(BatchError::Value { row, source }) => assert_eq!((row, source.field()), (31, "weight")),
        other => panic!("{other:?}"),
    }
    assert_eq!(TokenVec::from_reference_bytes(&[0; 63]), Err(BatchError::Bytes { found: 63 }));
}
