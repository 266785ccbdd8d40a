//! Conditions and orders over any field.

use std::cmp::Ordering;

use statlas_core::{Space, Token};
use statlas_tokens::{Condition, Field, TokenVec, filter, order, select, take};

use crate::tokens;

fn all_fields() -> Vec<Field> {
    let axes = Space::ALL.into_iter().flat_map(|space| (0..3).map(move |axis| Field::Axis(space, axis)));
    [
        Field::LocalId,
        Field::EntityType,
        Field::Domain,
        Field::Flags,
        Field::Weight,
        Field::FieldRadius,
        Field::FieldStrength,
        Field::Timestamp,
    ]
    .into_iter()
    .chain(axes)
    .collect()
}

/// A token with this weight, whatever it is.
fn with_weight(weight: f32, timestamp: u32) -> Token {
    let mut bytes = Token::EMPTY.to_bytes();
    bytes[54..58].copy_from_slice(&weight.to_le_bytes());
    bytes[60..].copy_from_slice(&timestamp.to_le_bytes());
    let (tokens, []) = zerocopy_tokens(&bytes) else { panic!("one token") };
    tokens[0]
}

/// Foreign bytes in place, unchecked.
fn zerocopy_tokens(bytes: &[u8]) -> (&[Token], &[u8]) {
    use zerocopy::FromBytes;
    let whole = bytes.len() / Token::BYTES * Token::BYTES;
    (<[Token]>::ref_from_bytes(&bytes[..whole]).expect("whole tokens"), &bytes[whole..])
}

#[test]
fn every_field_has_the_value_that_the_token_has() {
    for token in tokens(500) {
        let values = [
            f64::from(token.local_id()),
            f64::from(token.entity_type().ordinal()),
            f64::from(token.domain()),
            f64::from(token.flags()),
            f64::from(token.weight()),
            token.field_radius(),
            token.field_strength(),
            f64::from(token.timestamp()),
        ];
        let axes = Space::ALL.into_iter().flat_map(|space| (0..3).map(move |axis| (space, axis)));
        let axes = axes.map(|(space, axis)| token.decoded_axis(space, axis));
        let expected: Vec<Option<f64>> = values.into_iter().map(Some).chain(axes).collect();
        let found: Vec<Option<f64>> = all_fields().into_iter().map(|field| field.of(&token)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_range_of_any_field_selects_what_looking_at_each_token_does() {
    let all = tokens(3_000);
    for field in all_fields() {
        let mut values: Vec<f64> = all.iter().filter_map(|token| field.of(token)).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[values.len() / 4], values[values.len() / 2]);
        let range = low..=high;
        let expected: Vec<usize> = (0..all.len())
            .filter(|at| field.of(&all[*at]).is_some_and(|value| low <= value && value <= high))
            .collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{field:?}: the range divides nothing");
        assert_eq!(select(&all, &[Condition::In(field, range.clone())]), expected, "{field:?}");
        let filtered = filter(&all, &[Condition::In(field, range)]);
        assert!(filtered.iter().eq(expected.iter().map(|at| &all[*at])), "{field:?}");
    }
}

#[test]
fn all_conditions_must_be_met_and_none_are_met_by_all() {
    let all = tokens(2_000);
    let conditions = [
        Condition::Set(0x0001),
        Condition::Clear(0x0006),
        Condition::Defined(Space::Social),
        Condition::In(Field::Weight, 10.0..=90.0),
    ];
    let is_met = |token: &Token| {
        token.flags() & 7 == 1
            && token.decoded(Space::Social).is_some()
            && (10.0..=90.0).contains(&token.weight())
    };
    let expected: Vec<usize> = (0..all.len()).filter(|at| is_met(&all[*at])).collect();
    assert!(!expected.is_empty());
    assert_eq!(select(&all, &conditions), expected);
    assert_eq!(select(&all, &[]).len(), all.len());
    assert_eq!(select(&all, &[Condition::Set(0)]).len(), all.len());
    assert!(select(&[], &conditions).is_empty());
}

#[test]
fn a_space_is_defined_if_one_of_its_axes_is() {
    let mut one = Token::EMPTY;
    one.set_axes(Space::Motor, [i16::MIN, i16::MIN, 0]);
    let all = [Token::EMPTY, one];
    assert_eq!(select(&all, &[Condition::Defined(Space::Motor)]), [1]);
    assert!(select(&all, &[Condition::Defined(Space::Social)]).is_empty());
    // What is not defined lies in no range.
    let anywhere = f64::NEG_INFINITY..=f64::INFINITY;
    assert_eq!(select(&all, &[Condition::In(Field::Axis(Space::Motor, 2), anywhere.clone())]), [1]);
    assert!(select(&all, &[Condition::In(Field::Axis(Space::Motor, 0), anywhere)]).is_empty());
}

#[test]
fn the_order_of_any_field_is_stable_and_puts_what_is_undefined_last() {
    let all = tokens(3_000);
    for field in all_fields() {
        for descending in [false, true] {
            let mut expected: Vec<usize> = (0..all.len()).collect();
            // A stable sort, with undefined ones as the greatest whatever the direction.
            expected.sort_by(|a, b| match (field.of(&all[*a]), field.of(&all[*b])) {
                (Some(a), Some(b)) if descending => b.partial_cmp(&a).expect("numbers"),
                (Some(a), Some(b)) => a.partial_cmp(&b).expect("numbers"),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
            assert_eq!(order(&all, field, descending), expected, "{field:?} {descending}");
            let mut sorted = TokenVec::from(&all[..]);
            sorted.sort_by(field, descending);
            assert_eq!(sorted, take(&all, &expected), "{field:?} {descending}");
        }
    }
}

#[test]
fn the_two_zeros_are_equal_in_every_order() {
    let all = [0.0_f32, -0.0, 1.0, -0.0, 0.0].map(|weight| with_weight(weight, 0));
    assert_eq!(order(&all, Field::Weight, false), [0, 1, 3, 4, 2]);
    assert_eq!(order(&all, Field::Weight, true), [2, 0, 1, 3, 4]);
    assert_eq!(select(&all, &[Condition::In(Field::Weight, -0.0..=0.0)]), [0, 1, 3, 4]);
}

#[test]
fn weights_that_foreign_bytes_have_and_are_no_numbers_have_a_place_in_the_order() {
    let quiet = f32::NAN;
    let all =
        [quiet, 5.0, f32::INFINITY, -quiet, f32::NEG_INFINITY, -7.0].map(|weight| with_weight(weight, 0));
    // Ordered as by their bits: behind the infinities, by their sign.
    assert_eq!(order(&all, Field::Weight, false), [3, 4, 5, 1, 2, 0]);
    assert_eq!(order(&all, Field::Weight, true), [0, 2, 1, 5, 4, 3]);
    let anywhere = f64::NEG_INFINITY..=f64::INFINITY;
    assert_eq!(select(&all, &[Condition::In(Field::Weight, anywhere)]), [1, 2, 4, 5]);
}

#[test]
fn negative_values_are_ordered_as_numbers() {
    let all = [300, -5, i16::MIN, 0, -32767, 32767].map(|raw| {
        let mut token = Token::EMPTY;
        token.set_axes(Space::Temporal, [0, raw, 0]);
        token
    });
    let field = Field::Axis(Space::Temporal, 1);
    assert_eq!(order(&all, field, false), [4, 1, 3, 0, 5, 2]);
    assert_eq!(order(&all, field, true), [5, 0, 3, 1, 4, 2]);
    assert_eq!(field.of(&all[0]).map(|value| value.total_cmp(&3.0)), Some(Ordering::Equal));
}

#[test]
fn tokens_are_taken_in_the_order_of_the_numbers_and_may_be_taken_twice() {
    let all = tokens(10);
    assert_eq!(Vec::from(take(&all, &[9, 0, 9])), [all[9], all[0], all[9]]);
    assert!(take(&all, &[]).is_empty());
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn an_axis_that_no_space_has_is_a_bug_of_the_caller() {
    let _ = Field::Axis(Space::Physical, 3).of(&Token::EMPTY);
}
