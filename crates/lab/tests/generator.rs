//! What data sets promise.

use std::collections::{HashMap, HashSet};

use statlas_core::{Address, Entity, Profile};
use statlas_lab::{Generator, SplitMix64};

const PROFILES: [Option<Profile>; 3] = [None, Some(Profile::Stat7), Some(Profile::FractalStat)];

#[test]
fn splitmix64_gives_the_published_numbers() {
    let mut random = SplitMix64::new(1_234_567);
    let published = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
    ];
    for (n, expected) in published.into_iter().enumerate() {
        assert_eq!(random.next_u64(), expected);
        assert_eq!(SplitMix64::nth(1_234_567, n as u64), expected);
    }
}

#[test]
fn a_seed_means_the_same_entities_for_ever() {
    let addresses = |seed, profile, count| -> Vec<Address> {
        Generator::new(seed, profile).take(count).map(|entity| entity.address()).collect()
    };
    let first: Vec<String> = addresses(42, None, 3).iter().map(Address::to_string).collect();
    let pinned = [
        "0b5957c679e1fc3a452fe5e35fbf09ab9f03f099821df3083d00ee53267035f1",
        "c28293b790afcc41afdaf267f80c2c8feeeed0d1bab5fb09d2592d85b2b642ee",
        "51da594fd99fd30d2dbec1b2a51a551402ca14ea651217331d916d6286e98f82",
    ];
    assert_eq!(first, pinned);
    // The SHA-256 of the first ten thousand addresses, one after the other.
    for (seed, profile, pinned) in [
        (42, None, "00f39c743dea55d4f958ff778018bbc7f116b9f91b28737e1aee88a9064203a3"),
        (42, Some(Profile::Stat7), "4c0191edc1aed09e4f84b3fd056dd0591283786dad31a11d4e7ba342a2e48949"),
        (42, Some(Profile::FractalStat), "6b0af779b5273969d1ecddcceef5ef8afad78f30fa2c7654c8a0782c22048194"),
        (u64::MAX, None, "10039946a1a4f242be06051deab6d3b60d80600b249e8e381cd8b86b5c36148a"),
    ] {
        let all: Vec<u8> = addresses(seed, profile, 10_000).iter().flat_map(|address| address.0).collect();
        assert_eq!(Address::of(&all).to_string(), pinned, "seed {seed} {profile:?}");
    }
}

#[test]
fn an_entity_depends_on_its_number_alone() {
    for profile in PROFILES {
        let generator = Generator::new(7, profile);
        for (n, entity) in generator.clone().take(200).enumerate() {
            assert_eq!(generator.entity(n as u64), entity);
            assert_eq!(generator.id(n as u64), entity.id());
        }
    }
}

#[test]
fn a_hundred_thousand_entities_differ_and_round_trip_through_json() {
    let mut addresses = HashSet::new();
    let mut ids = HashSet::new();
    let mut line = Vec::new();
    for entity in Generator::new(1, None).take(100_000) {
        line.clear();
        entity.to_json_into(&mut line);
        let read = Entity::from_json(&line).expect("generated entities are valid");
        assert_eq!(read, entity);
        let canonical = entity.canonical();
        assert_eq!(Entity::from_canonical(&canonical).as_ref(), Ok(&entity));
        assert!(addresses.insert(entity.address()), "{} has the address of another", entity.id());
        assert!(ids.insert(entity.id().to_owned()), "{} comes twice", entity.id());
    }
}

#[test]
fn canonical_texts_have_about_300_bytes() {
    for profile in PROFILES {
        let count = 100_000;
        let bytes: usize =
            Generator::new(3, profile).take(count).map(|entity| entity.canonical().len()).sum();
        let mean = bytes / count;
        assert!((250..=350).contains(&mean), "{profile:?}: {mean} bytes");
    }
}

#[test]
fn neighbours_are_entities_that_came_before() {
    let mut seen = HashSet::new();
    let mut by_count = [0_u32; 7];
    for entity in Generator::new(11, None).take(20_000) {
        let adjacency = &entity.coordinates().adjacency;
        by_count[adjacency.len()] += 1;
        assert!(adjacency.iter().all(|id| seen.contains(id)), "{} names a stranger", entity.id());
        seen.insert(entity.id().to_owned());
    }
    assert!(by_count.iter().all(|count| *count > 0), "{by_count:?}");
}

#[test]
fn entities_are_varied() {
    let mut seen: HashMap<&str, HashSet<String>> = HashMap::new();
    for entity in Generator::new(5, None).take(20_000) {
        let coordinates = entity.coordinates();
        let mut note = |what, value: String| seen.entry(what).or_default().insert(value);
        note("profile", entity.profile().to_string());
        note("realm", entity.realm().to_string());
        note("coordinate realm", coordinates.realm.to_string());
        note("horizon", coordinates.horizon.to_string());
        note("entity type", entity.entity_type().to_string());
        note("lineage", coordinates.lineage.to_string());
        note("year", entity.created_at().to_string()[..4].to_owned());
        note("state shape", entity.state().as_str().chars().take(5).collect());
    }
    for (what, values_min) in [
        ("profile", 2),
        ("realm", 10),
        ("coordinate realm", 10),
        ("horizon", 7),
        ("entity type", 10),
        ("lineage", 500),
        ("year", 10),
        ("state shape", 8),
    ] {
        assert!(seen[what].len() >= values_min, "{what}: {:?}", seen[what]);
    }
}

#[test]
fn sequences_of_other_seeds_and_profiles_share_no_id() {
    let mut ids = HashSet::new();
    for seed in [0, 1, 0x10, u64::MAX] {
        for profile in PROFILES {
            let generator = Generator::new(seed, profile);
            assert!((0..300).all(|n| ids.insert(generator.id(n))), "seed {seed} {profile:?}");
        }
    }
}
