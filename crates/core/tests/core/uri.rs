//! URIs of entities: they round trip and match the entity that they came from.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use statlas_core::{
    Adjacency, Alignment, Coordinates, Dimensions, Entity, EntityErrorKind, EntityParts, FractalStat,
    Identifier, Polarity, Profile, Stat7, State, Timestamp, Uri, adjacency8,
};

const ADDRESSES: &str = include_str!("../vectors/addresses.json");

fn any_identifier() -> impl Strategy<Value = Identifier> {
    "[a-z][a-z0-9_]{0,31}".prop_map(|text| Identifier::new(&text).expect("legal identifier"))
}

/// Floats of every size in a range, its ends and zeros of both signs among them.
fn any_float(min: f64, max: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        min..=max,
        (min..=max).prop_map(|value| value * 1e-6),
        select(vec![min, max, 0.0, -0.0, 1e-8, 4.9e-9, 5e-9, 0.1 + 0.2]),
    ]
}

fn any_dimensions() -> impl Strategy<Value = Dimensions> {
    let stat7 = (any_float(-1.0, 1.0), any_float(-1.0, 1.0), any_float(0.0, 1.0));
    let fractal = (any_float(0.0, 100.0), select(Polarity::ALL), any::<u32>(), select(Alignment::ALL));
    prop_oneof![
        stat7.prop_map(|(r, v, d)| Dimensions::Stat7(Stat7::new(r, v, d).expect("in range"))),
        fractal.prop_map(|(r, p, d, a)| Dimensions::FractalStat(
            FractalStat::new(r, p, d, a).expect("in range")
        )),
    ]
}

fn any_coordinates() -> impl Strategy<Value = Coordinates> {
    let neighbours = proptest::collection::vec("\\PC{1,8}".prop_map(String::into_boxed_str), 0..4);
    let adjacency = neighbours.prop_map(|members| Adjacency::new(members).expect("legal adjacency"));
    (any_identifier(), any::<u32>(), adjacency, any_identifier(), any_dimensions()).prop_map(
        |(realm, lineage, adjacency, horizon, dimensions)| Coordinates {
            realm,
            lineage,
            adjacency,
            horizon,
            dimensions,
        },
    )
}

fn any_id() -> impl Strategy<Value = String> {
    let characters = proptest::collection::vec(any::<char>(), 1..32);
    prop_oneof![characters.prop_map(String::from_iter), "[ -~]{1,32}"]
}

fn entity(id: &str, coordinates: Coordinates) -> Entity {
    Entity::new(EntityParts {
        id: id.into(),
        entity_type: Identifier::new("concept").expect("legal type"),
        realm: Identifier::new("data").expect("legal realm"),
        coordinates,
        created_at: Timestamp::from_unix_ms(0).expect("legal time"),
        state: State::default(),
        token: None,
        blob: None,
    })
    .expect("legal entity")
}

/// Whether the text holds nothing but what RFC 3986 lets stand there unencoded, and percent signs.
fn is_legal_text(uri: &str) -> bool {
    uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%:/?&=".contains(&byte))
}

fn has_exponent_or_more_than_8_places(number: &str) -> bool {
    number.contains(['e', 'E']) || number.split_once('.').is_none_or(|(_, places)| places.len() > 8)
}

proptest! {
    #[test]
    fn any_entity_has_a_uri_that_reads_back_and_matches_it(id in any_id(), coordinates in any_coordinates()) {
        let entity = entity(&id, coordinates);
        let uri = entity.uri();
        let text = uri.to_string();
        prop_assert!(is_legal_text(&text), "{}", text);
        let again: Uri = text.parse().expect("own text");
        prop_assert_eq!(&again, &uri);
        prop_assert_eq!(again.to_string(), text);
        prop_assert!(again.matches(entity.coordinates(), &id));
        prop_assert_eq!(again.profile(), entity.profile());
        prop_assert_eq!(again.lineage(), entity.coordinates().lineage);
        prop_assert_eq!(again.id(), (entity.profile() == Profile::FractalStat).then_some(&*id));
    }

    #[test]
    fn numbers_in_a_uri_are_plain_decimals_of_at_most_eight_places(coordinates in any_coordinates()) {
        let text = entity("id", coordinates).uri().to_string();
        let (_, query) = text.split_once('?').expect("a query");
        let floats: &[&str] = if text.starts_with("stat7") { &["r=", "v=", "d="] } else { &["r="] };
        for start in floats {
            let number = query.split('&').find_map(|part| part.strip_prefix(start)).expect("a parameter");
            prop_assert!(!has_exponent_or_more_than_8_places(number), "{}", text);
        }
    }

    #[test]
    fn a_uri_matches_other_coordinates_only_if_they_have_the_same_one(
        here in any_coordinates(),
        other in any_coordinates(),
        part in 0..5,
    ) {
        let uri = entity("id", here.clone()).uri();
        prop_assert_eq!(uri.matches(&here, "another id"), here.profile() == Profile::Stat7);
        let mut there = here.clone();
        match part {
            0 => there.realm = other.realm,
            1 => there.lineage = other.lineage,
            2 => there.adjacency = other.adjacency,
            3 => there.horizon = other.horizon,
            _ => there.dimensions = other.dimensions,
        }
        let same = entity("id", there.clone()).uri().to_string() == uri.to_string();
        prop_assert_eq!(uri.matches(&there, "id"), same);
        prop_assert_eq!(uri == entity("id", there).uri(), same);
    }

    #[test]
    fn a_changed_uri_is_refused_or_has_that_one_spelling(
        coordinates in any_coordinates(),
        at in any::<proptest::sample::Index>(),
        character in "[ -~]",
    ) {
        let mut text = entity("a b", coordinates).uri().to_string();
        let at = at.index(text.len());
        text.replace_range(at..=at, &character);
        match text.parse::<Uri>() {
            Ok(uri) => prop_assert_eq!(uri.to_string(), text),
            Err(error) => prop_assert_eq!(error.kind(), EntityErrorKind::Uri),
        }
    }
}

/// The entity of a row of the vectors in one of the profiles.
fn row_entity(row: &Value, profile: &str) -> Entity {
    let mut fields = row["input"].as_object().expect("an object").clone();
    fields.insert("profile".to_owned(), json!(profile));
    fields.insert("coordinates".to_owned(), row[profile]["coordinates"].clone());
    let entity = Entity::from_json(Value::Object(fields).to_string().as_bytes());
    entity.unwrap_or_else(|error| panic!("{} {profile}: {error}", row["name"]))
}

#[test]
fn every_row_of_the_address_vectors_has_the_adjacency8_of_the_reference() {
    let rows: Vec<Value> = serde_json::from_str(ADDRESSES).expect("vectors");
    let mut compared = 0;
    for row in &rows {
        let accepted =
            ["stat7", "fractalstat"].into_iter().filter(|profile| row[profile]["reject"].is_null());
        for profile in accepted {
            let entity = row_entity(row, profile);
            let digits = adjacency8(&entity.coordinates().adjacency);
            assert_eq!(
                Value::from(String::from_utf8_lossy(&digits)),
                row[profile]["adjacency8"],
                "{}",
                row["name"]
            );
            assert_eq!(entity.uri().adjacency8(), digits);
            assert_eq!(entity.uri().to_string().parse(), Ok(entity.uri()));
            compared += 1;
        }
    }
    assert!(compared >= 76, "{compared} entities");
}

#[test]
fn the_uri_of_the_baseline_is_as_documented() {
    let rows: Vec<Value> = serde_json::from_str(ADDRESSES).expect("vectors");
    for (profile, expected) in [
        ("stat7", "stat7://data/1/cae85551/genesis?r=0.5&v=0.25&d=0.75"),
        ("fractalstat", "fractalstat://data/1/cae85551/genesis?r=70.0&p=LOGIC&d=2&s=bc-0001&a=TRUE_NEUTRAL"),
    ] {
        assert_eq!(row_entity(&rows[0], profile).uri().to_string(), expected);
    }
}
