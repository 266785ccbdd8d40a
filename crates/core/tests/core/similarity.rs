//! Entanglement and similarity against the rows that the references computed.

use serde_json::Value;
use statlas_core::{
    Adjacency, Alignment, Coordinates, Dimensions, Entanglement, FractalStat, FractalStatRelation,
    Identifier, Stat7, Stat7Features, Stat7Relation, entanglement, fractalstat_similarity, similarity,
};

const ROWS: &str = include_str!("../vectors/similarity.json");

fn rows(section: &str, at_least: usize) -> Vec<Value> {
    let sections: Value = serde_json::from_str(ROWS).expect("vectors");
    let rows = sections[section].as_array().expect("rows").clone();
    assert!(rows.len() >= at_least, "{} rows of {section}", rows.len());
    rows
}

fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn name(value: &Value) -> Identifier {
    value.as_str().and_then(Identifier::new).expect("an identifier")
}

fn lineage(row: &Value) -> u32 {
    row["lineage"].as_u64().and_then(|lineage| lineage.try_into().ok()).expect("a lineage")
}

fn stat7(row: &Value) -> Coordinates {
    let row = &row["coordinates"];
    let neighbours = row["adjacency"].as_array().expect("a list").iter();
    let members = neighbours.map(|id| id.as_str().expect("a string").into()).collect();
    let [resonance, velocity, density] = ["resonance", "velocity", "density"].map(|field| float(&row[field]));
    Coordinates {
        realm: name(&row["realm"]),
        lineage: lineage(row),
        adjacency: Adjacency::new(members).expect("legal adjacency"),
        horizon: name(&row["horizon"]),
        dimensions: Dimensions::Stat7(Stat7::new(resonance, velocity, density).expect("legal dimensions")),
    }
}

fn fractalstat(row: &Value) -> Coordinates {
    let text = |field: &str| row[field].as_str().expect("a string").to_owned();
    let dimensionality = row["dimensionality"].as_u64().and_then(|value| value.try_into().ok());
    let dimensions = FractalStat::new(
        text("luminosity").parse().expect("a number"),
        text("polarity").parse().expect("a polarity"),
        dimensionality.expect("a dimensionality"),
        Alignment::TrueNeutral,
    );
    Coordinates {
        realm: name(&row["realm"]),
        lineage: lineage(row),
        adjacency: Adjacency::default(),
        horizon: Identifier::new("genesis").expect("legal horizon"),
        dimensions: Dimensions::FractalStat(dimensions.expect("legal dimensions")),
    }
}

/// Whether `expected` is `value` rounded to eight decimals.
fn rounds_to(value: f64, expected: &Value) -> bool {
    (value - float(expected)).abs() <= 0.500_001e-8
}

#[test]
fn every_row_has_the_score_and_the_components_of_the_stat7_reference() {
    for row in rows("entanglement", 8) {
        let (a, b, expected) = (stat7(&row["a"]), stat7(&row["b"]), &row["stat7_v2"]);
        let features = [&a, &b].map(|position| Stat7Features::of(position).expect("stat7"));
        let parts = Entanglement::of(&features[0], &features[1], &Stat7Relation::of(&a, &b));
        for (component, value) in [
            ("polarity_resonance", parts.polarity_resonance),
            ("realm_affinity", parts.realm_affinity),
            ("adjacency_overlap", parts.adjacency_overlap),
            ("luminosity_proximity", parts.luminosity_proximity),
            ("lineage_affinity", parts.lineage_affinity),
        ] {
            assert!(rounds_to(value, &expected["components"][component]), "{component} {value}: {row}");
        }
        assert!(rounds_to(parts.score(), &expected["total_score"]), "{}: {row}", parts.score());
        assert_eq!(entanglement(&a, &b), Some(parts.score()));
        assert_eq!(similarity(&a, &b), Some(parts.score()));
    }
}

#[test]
fn every_row_has_the_vector_of_the_stat7_reference() {
    for row in rows("entanglement", 8) {
        let vector = Stat7Features::of(&stat7(&row["a"])).expect("stat7").vector();
        let expected: Vec<f64> = row["vec_a_stat7"].as_array().expect("a vector").iter().map(float).collect();
        assert_eq!(vector.to_vec(), expected);
    }
}

#[test]
fn the_raw_difference_of_luminosities_gives_the_figure_of_the_fractalstat_reference() {
    for row in rows("similarity", 4) {
        let (a, b) = (fractalstat(&row["a"]), fractalstat(&row["b"]));
        let ours = FractalStatRelation::of(&a, &b).expect("fractalstat");
        let luminosity_distance = ours.luminosity_distance * FractalStatRelation::LUMINOSITY_SCALE;
        let reference = FractalStatRelation { luminosity_distance, ..ours };
        let expected = float(&row["exp10"]);
        assert!((reference.similarity() - expected).abs() < 1e-15, "{}: {row}", reference.similarity());
    }
}

/// The `exp08` column of the rows comes from another formula, with lineage in place of luminosity.
#[test]
fn similarity_in_fractalstat_scales_the_difference_of_luminosities_by_its_range() {
    let expected = [0.692_239_222_74, 0.665_955_742_06, 0.646_770_869_91, 0.800_968_452_253_333_3];
    for (row, expected) in rows("similarity", 4).iter().zip(expected) {
        let (a, b) = (fractalstat(&row["a"]), fractalstat(&row["b"]));
        let ours = fractalstat_similarity(&a, &b).expect("fractalstat");
        assert!((ours - expected).abs() < 1e-15, "{ours}: {row}");
        assert_eq!((similarity(&a, &b), fractalstat_similarity(&b, &a)), (Some(ours), Some(ours)));
    }
}
