//! Tokens that are made together.

use statlas_core::{AXES, EntityErrorKind, SPACES, Space, Token, TokenParts, TokenType, UNDEFINED};
use statlas_tokens::{BatchError, Column, LocalIds, TokenBatch, TokenCoordinates, TokenVec};

use crate::{raws, token, tokens};

/// Enough for several blocks and, in parallel, several threads.
const COUNT: usize = 20_011;

/// Columns of all fields of [`token`]s.
struct Columns {
    ids: Vec<u32>,
    types: Vec<TokenType>,
    domains: Vec<u8>,
    flags: Vec<u16>,
    weights: Vec<f32>,
    radii: Vec<f64>,
    strengths: Vec<f64>,
    timestamps: Vec<u32>,
    raws: Vec<[[i16; AXES]; SPACES]>,
}

impl Columns {
    fn of(tokens: &[Token]) -> Self {
        Self {
            ids: tokens.iter().map(Token::local_id).collect(),
            types: tokens.iter().map(Token::entity_type).collect(),
            domains: tokens.iter().map(Token::domain).collect(),
            flags: tokens.iter().map(Token::flags).collect(),
            weights: tokens.iter().map(Token::weight).collect(),
            radii: tokens.iter().map(Token::field_radius).collect(),
            strengths: tokens.iter().map(Token::field_strength).collect(),
            timestamps: tokens.iter().map(Token::timestamp).collect(),
            raws: tokens.iter().map(Token::coordinates).collect(),
        }
    }

    fn batch(&self) -> TokenBatch<'_> {
        TokenBatch {
            local_ids: LocalIds::Each(&self.ids),
            entity_type: Column::Each(&self.types),
            domain: Column::Each(&self.domains),
            flags: Column::Each(&self.flags),
            weight: Column::Each(&self.weights),
            field_radius: Column::Each(&self.radii),
            field_strength: Column::Each(&self.strengths),
            timestamp: Column::Each(&self.timestamps),
            coordinates: TokenCoordinates::Raw(&self.raws),
        }
    }
}

/// Makes tokens behind one that is there, on one thread and on all; both must do the same.
fn create(count: usize, batch: &TokenBatch<'_>) -> Result<Vec<Token>, BatchError> {
    let before = token(77);
    let mut one = TokenVec::from(vec![before]);
    let mut all = one.clone();
    let made = one.create(count, batch);
    assert_eq!(made, all.par_create(count, batch), "another outcome on all threads");
    assert_eq!(one, all, "other tokens on all threads");
    assert_eq!(one[0], before, "what was there has changed");
    if made.is_err() {
        assert_eq!(one.len(), 1, "some were made");
    }
    made.map(|()| one[1..].to_vec())
}

#[test]
fn a_batch_of_columns_makes_the_tokens_that_making_each_gives() {
    let expected = tokens(COUNT as u32);
    let columns = Columns::of(&expected);
    assert_eq!(create(COUNT, &columns.batch()), Ok(expected));
}

#[test]
fn a_batch_of_what_is_the_same_for_all_makes_tokens_with_ascending_ids() {
    let axes = [[1.5, f64::NAN, -2.25]; 300];
    let batch = TokenBatch {
        local_ids: LocalIds::From(1_000_000),
        entity_type: Column::One(TokenType::Goal),
        domain: Column::One(15),
        flags: Column::One(0x9981),
        weight: Column::One(100.0),
        field_radius: Column::One(9.0),
        field_strength: Column::One(-1.0),
        timestamp: Column::One(u32::MAX),
        coordinates: TokenCoordinates::In(Space::Motor, &axes),
    };
    let mut spaces = [None; SPACES];
    spaces[Space::Motor.index()] = Some([Some(1.5), None, Some(-2.25)]);
    let expected = |number: u32| {
        Token::new(TokenParts {
            local_id: 1_000_000 + number,
            entity_type: TokenType::Goal,
            domain: 15,
            flags: 0x9981,
            weight: 100.0,
            field_radius: 2.55,
            field_strength: 0.0,
            timestamp: u32::MAX,
            spaces,
        })
        .expect("legal parts")
    };
    assert_eq!(create(300, &batch), Ok((0..300).map(expected).collect()));
}

#[test]
fn the_default_batch_makes_empty_tokens_and_none_is_no_error() {
    assert_eq!(create(0, &TokenBatch::default()), Ok(vec![]));
    let made = create(2, &TokenBatch::default()).expect("nothing is wrong");
    assert_eq!(made[0].to_bytes(), Token::EMPTY.to_bytes());
    assert_eq!(made[1].to_bytes(), Token::EMPTY.with_masked_local_id(1).to_bytes());
}

#[test]
fn the_clock_is_asked_once_for_all() {
    let batch = TokenBatch::now();
    let Column::One(now) = batch.timestamp else { panic!("one time") };
    assert!(now > 1_700_000_000, "{now}");
    let made = create(1000, &batch).expect("nothing is wrong");
    assert!(made.iter().all(|token| token.timestamp() == now));
}

#[test]
fn coordinates_go_in_decoded_raw_or_not_at_all_and_nan_is_undefined() {
    let mut decoded = [[[f64::NAN; AXES]; SPACES]; 3];
    decoded[1][Space::Physical.index()] = [1.005, -400.0, 0.0];
    decoded[2][Space::Abstract.index()] = [f64::NAN, 0.5, f64::NAN];
    let with = |coordinates| {
        let made = create(3, &TokenBatch { coordinates, ..TokenBatch::default() }).expect("nothing is wrong");
        made.iter().map(Token::coordinates).collect::<Vec<_>>()
    };
    let nothing = [[UNDEFINED; AXES]; SPACES];
    let mut expected = [nothing; 3];
    expected[1][Space::Physical.index()] = [100, -32767, 0];
    expected[2][Space::Abstract.index()] = [UNDEFINED, 5000, UNDEFINED];
    assert_eq!(with(TokenCoordinates::Decoded(&decoded)), expected);
    assert_eq!(with(TokenCoordinates::Raw(&expected)), expected);
    assert_eq!(with(TokenCoordinates::None), [nothing; 3]);
}

#[test]
fn a_value_that_breaks_a_rule_is_told_with_its_field_and_its_row_and_nothing_is_made() {
    let sound = tokens(COUNT as u32);
    for row in [0, 255, 256, 12_345, COUNT - 1] {
        let wrong = |change: &dyn Fn(&mut Columns), field: &str| {
            let mut columns = Columns::of(&sound);
            change(&mut columns);
            match create(COUNT, &columns.batch()).map(drop).expect_err(field) {
                BatchError::Value { row: found, source } => {
                    assert_eq!((found, source.field()), (row, field));
                    assert_eq!(source.kind(), EntityErrorKind::Token);
                    let text = BatchError::Value { row, source }.to_string();
                    assert!(text.contains(&format!("token {row}: field {field}: ")), "{text}");
                }
                other => panic!("{field}: {other}"),
            }
        };
        wrong(&|columns| columns.ids[row] = Token::LOCAL_ID_MAX + 1, "local_id");
        wrong(&|columns| columns.domains[row] = 16, "domain");
        // Those of another type.
        let flags = if sound[row].entity_type() == TokenType::Object { 0x0200 } else { 0x0100 };
        wrong(&|columns| columns.flags[row] = flags, "flags");
        for weight in [f32::NAN, -0.1, 100.1, f32::INFINITY] {
            wrong(&|columns| columns.weights[row] = weight, "weight");
        }
        for value in [f64::NAN, f64::INFINITY] {
            wrong(&|columns| columns.radii[row] = value, "field_radius");
            wrong(&|columns| columns.strengths[row] = value, "field_strength");
        }
    }
}

#[test]
fn of_several_wrong_rows_far_apart_the_first_is_told() {
    let mut columns = Columns::of(&tokens(COUNT as u32));
    columns.domains[19_000] = 16;
    columns.weights[7_000] = -1.0;
    columns.flags[13_000] ^= 0x0100;
    columns.types[13_000] = TokenType::Undefined;
    let error = create(COUNT, &columns.batch()).expect_err("three are wrong");
    assert!(matches!(&error, BatchError::Value { row: 7_000, .. }), "{error}");
}

#[test]
fn infinite_coordinates_are_told_with_their_space() {
    let mut rows = vec![[0.0; AXES]; 600];
    rows[555][2] = f64::NEG_INFINITY;
    let mut all = vec![[[0.0; AXES]; SPACES]; 600];
    all[555][Space::Social.index()][0] = f64::INFINITY;
    for (coordinates, field) in [
        (TokenCoordinates::In(Space::Motor, &rows), "coordinates.motor"),
        (TokenCoordinates::Decoded(&all), "coordinates.social"),
    ] {
        let batch = TokenBatch { coordinates, ..TokenBatch::default() };
        match create(600, &batch).expect_err(field) {
            BatchError::Value { row, source } => assert_eq!((row, source.field()), (555, field)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn one_value_for_all_that_breaks_a_rule_is_told_as_that_of_the_first() {
    let batches = [
        (TokenBatch { domain: Column::One(16), ..TokenBatch::default() }, "domain"),
        (TokenBatch { flags: Column::One(0x0100), ..TokenBatch::default() }, "flags"),
        (TokenBatch { weight: Column::One(f32::NAN), ..TokenBatch::default() }, "weight"),
        (TokenBatch { field_radius: Column::One(f64::NAN), ..TokenBatch::default() }, "field_radius"),
        (TokenBatch { field_strength: Column::One(f64::NAN), ..TokenBatch::default() }, "field_strength"),
    ];
    for (batch, field) in batches {
        match create(5, &batch).expect_err(field) {
            BatchError::Value { row, source } => assert_eq!((row, source.field()), (0, field)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn flags_that_are_the_same_for_all_must_agree_with_each_type() {
    let types = [TokenType::Object, TokenType::Object, TokenType::Event];
    let batch = |flags| TokenBatch {
        flags: Column::One(flags),
        entity_type: Column::Each(&types),
        ..TokenBatch::default()
    };
    let made = create(3, &batch(0x0003)).expect("they say nothing of the type");
    let raw: Vec<u16> = made.iter().map(Token::raw_flags).collect();
    assert_eq!(raw, [0x0103, 0x0103, 0x0203]);
    let error = create(3, &batch(0x0103)).expect_err("the last is an event");
    assert!(matches!(&error, BatchError::Value { row: 2, .. }), "{error}");
}

#[test]
fn ascending_ids_end_at_the_largest_one() {
    let batch = |first| TokenBatch { local_ids: LocalIds::From(first), ..TokenBatch::default() };
    let made = create(3, &batch(Token::LOCAL_ID_MAX - 2)).expect("there is room for three");
    assert_eq!(made[2].local_id(), Token::LOCAL_ID_MAX);
    for (first, count, row) in [
        (Token::LOCAL_ID_MAX - 2, 4, 3),
        (Token::LOCAL_ID_MAX, 2, 1),
        (Token::LOCAL_ID_MAX + 1, 1, 0),
        (u32::MAX, 3, 0),
        (0, 1 << 25, 1 << 24),
    ] {
        match create(count, &batch(first)).expect_err("there is none left") {
            BatchError::Value { row: found, source } => {
                assert_eq!((found, source.field()), (row, "local_id"))
            }
            other => panic!("{other}"),
        }
    }
    // None needs none.
    assert_eq!(create(0, &batch(Token::LOCAL_ID_MAX + 1)), Ok(vec![]));
}

#[test]
fn wrapping_ids_begin_again_behind_the_largest_one() {
    let batch = |first| TokenBatch { local_ids: LocalIds::WrappingFrom(first), ..TokenBatch::default() };
    let made = create(4, &batch(Token::LOCAL_ID_MAX - 1)).expect("there are always ids");
    let ids: Vec<u32> = made.iter().map(Token::local_id).collect();
    assert_eq!(ids, [Token::LOCAL_ID_MAX - 1, Token::LOCAL_ID_MAX, 0, 1]);
    assert!(create(1, &batch(Token::LOCAL_ID_MAX + 1)).is_err());
    let many = create((1 << 24) + 2, &batch(1)).expect("there are always ids");
    assert_eq!((many[1 << 24].local_id(), many[(1 << 24) + 1].local_id()), (1, 2));
}

#[test]
fn a_column_of_another_length_is_told_by_its_name() {
    let columns = Columns::of(&tokens(9));
    let sound = columns.batch();
    let decoded = [[[0.0; AXES]; SPACES]; 3];
    let raws = [raws(1), raws(2)];
    let none = TokenBatch::default();
    for (batch, count, field, found) in [
        (TokenBatch { local_ids: sound.local_ids, ..none }, 8, "local_ids", 9),
        (TokenBatch { entity_type: sound.entity_type, ..none }, 8, "entity_type", 9),
        (TokenBatch { domain: sound.domain, ..none }, 8, "domain", 9),
        (TokenBatch { flags: sound.flags, ..none }, 8, "flags", 9),
        (TokenBatch { weight: sound.weight, ..none }, 10, "weight", 9),
        (TokenBatch { field_radius: sound.field_radius, ..none }, 10, "field_radius", 9),
        (TokenBatch { field_strength: sound.field_strength, ..none }, 10, "field_strength", 9),
        (TokenBatch { timestamp: sound.timestamp, ..none }, 0, "timestamp", 9),
        (TokenBatch { coordinates: TokenCoordinates::Raw(&raws), ..none }, 3, "coordinates", 2),
        (TokenBatch { coordinates: TokenCoordinates::Decoded(&decoded), ..none }, 2, "coordinates", 3),
        (TokenBatch { coordinates: TokenCoordinates::In(Space::Motor, &[]), ..none }, 1, "coordinates", 0),
    ] {
        assert_eq!(create(count, &batch), Err(BatchError::Length { field, found, count }));
        let text = BatchError::Length { field, found, count }.to_string();
        assert_eq!(text, format!("{field}: found {found} values; allowed: {count}, one for each token"));
    }
}
