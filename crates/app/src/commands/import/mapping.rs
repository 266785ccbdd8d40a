//! From a file to an entity. `docs/IMPORT.md` and the command's help say the same in words.

use anyhow::Result;
use serde_json::{Value, json};
use statlas_core::{
    Address, Adjacency, Alignment, BlobId, Coordinates, Dimensions, Entity, EntityError, EntityErrorKind,
    EntityParts, FractalStat, Identifier, Profile, Stat7, State, Timestamp,
};

use super::Overrides;
use super::content::Content;
use super::kind;
use super::stamp::Stamp;
use super::version::AFTER;
use crate::failure::Failure;
use crate::file_id::{self, DIRECTORY, FILE};

const ENTITY_TYPE: &str = "artifact";
/// The directory above a path of one name.
const ROOT: &str = ".";
/// Sizes in bytes below which a file has a horizon, in order; larger ones have the last.
const HORIZONS_BY_SIZE: [(u64, &str); 4] =
    [(1, "genesis"), (1 << 10, "emergence"), (64 << 10, "peak"), (1 << 20, "decay")];
const HORIZON_OF_LARGE: &str = "crystallization";

/// The rules, with what the user wants otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    overrides: Overrides,
    profile: Profile,
    prefix: String,
    digest: String,
}

/// A file that was read.
pub(super) struct File<'a> {
    /// The encoded path, prefix included.
    pub(super) path: &'a str,
    pub(super) stamp: &'a Stamp,
    pub(super) content: &'a Content,
    pub(super) blob: BlobId,
}

impl Mapping {
    /// Checks that the overrides fit together.
    pub(super) fn new(overrides: Overrides) -> Result<Self> {
        let profile = overrides.profile.map_or(Profile::Stat7, Profile::from);
        let stat7 = [
            ("resonance", overrides.resonance.is_some()),
            ("velocity", overrides.velocity.is_some()),
            ("density", overrides.density.is_some()),
        ];
        let fractal = [
            ("luminosity", overrides.luminosity.is_some()),
            ("polarity", overrides.polarity.is_some()),
            ("dimensionality", overrides.dimensionality.is_some()),
            ("alignment", overrides.alignment.is_some()),
        ];
        let foreign = if profile == Profile::Stat7 { &fractal[..] } else { &stat7[..] };
        if let Some((name, _)) = foreign.iter().find(|(_, given)| *given) {
            return Err(
                Failure::usage(format!("--{name} is no dimension of {profile}; see --profile")).into()
            );
        }
        // The same checks as for every file, now, with the flag's own name.
        Stat7::new(
            overrides.resonance.unwrap_or(0.0),
            overrides.velocity.unwrap_or(0.0),
            overrides.density.unwrap_or(0.0),
        )
        .and_then(|_| {
            let (polarity, alignment) = (kind::polarity("data"), Alignment::TrueNeutral);
            FractalStat::new(overrides.luminosity.unwrap_or(0.0), polarity, 0, alignment)
        })
        .map_err(|error| Failure::usage(format!("--{error}", error = flag(&error))))?;
        let prefix = encode_prefix(&overrides.prefix)?;
        let digest = digest(&overrides, profile);
        Ok(Self { overrides, profile, prefix, digest })
    }

    /// Tells mappings apart that may make different entities of the same file under the same id.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// What stands before every path, encoded, without a separator at its end.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The entity of a file.
    pub(super) fn entity(
        &self,
        file: &File<'_>,
        created_at: Timestamp,
        after: Option<Address>,
    ) -> Result<Entity, EntityError> {
        let File { path, stamp, content, blob } = *file;
        let (parent, name) = path.rsplit_once('/').unwrap_or((ROOT, path));
        let realm = self.overrides.realm.map_or_else(|| named(kind::realm(name), "realm"), Ok)?;
        let depth = u32::try_from(path.split('/').count()).unwrap_or(u32::MAX);
        let horizon =
            self.overrides.horizon.map_or_else(|| named(horizon(content.bytes()), "horizon"), Ok)?;
        let coordinates = Coordinates {
            realm,
            lineage: self.overrides.lineage.unwrap_or(depth),
            adjacency: Adjacency::new(vec![format!("{DIRECTORY}{parent}").into()])?,
            horizon,
            dimensions: self.dimensions(content, blob, realm)?,
        };
        Entity::new(EntityParts {
            id: format!("{FILE}{path}").into(),
            entity_type: self.overrides.entity_type.map_or_else(|| named(ENTITY_TYPE, "entity_type"), Ok)?,
            realm,
            coordinates,
            created_at,
            state: State::from_json(state(path, stamp, blob, after).to_string().as_bytes())?,
            token: None,
            blob: Some(blob),
        })
    }

    fn dimensions(
        &self,
        content: &Content,
        blob: BlobId,
        realm: Identifier,
    ) -> Result<Dimensions, EntityError> {
        let Overrides {
            resonance, velocity, density, luminosity, polarity, dimensionality, alignment, ..
        } = self.overrides;
        let (bytes, text) = (content.bytes(), content.text_bytes());
        Ok(match self.profile {
            Profile::Stat7 => Dimensions::Stat7(Stat7::new(
                resonance.unwrap_or_else(|| resonance_of(blob)),
                velocity.unwrap_or_else(|| ratio(text, bytes) - ratio(bytes - text, bytes)),
                density.unwrap_or_else(|| f64::from(content.distinct()) / 256.0),
            )?),
            Profile::FractalStat => Dimensions::FractalStat(FractalStat::new(
                luminosity.unwrap_or_else(|| 100.0 * ratio(text, bytes)),
                polarity.unwrap_or_else(|| kind::polarity(realm.as_str())),
                dimensionality.unwrap_or_else(|| content.distinct()),
                alignment.unwrap_or_else(|| alignment_of(text, bytes)),
            )?),
        })
    }
}

/// The SHA-256 of the overrides in a fixed order. The prefix is not among them: it is part of the id.
fn digest(overrides: &Overrides, profile: Profile) -> String {
    let Overrides {
        prefix: _,
        profile: _,
        realm,
        entity_type,
        horizon,
        lineage,
        resonance,
        velocity,
        density,
        luminosity,
        polarity,
        dimensionality,
        alignment,
    } = overrides;
    let name = |identifier: &Option<Identifier>| identifier.map(|name| name.as_str().to_owned());
    let text = json!([
        profile.to_string(),
        name(realm),
        name(entity_type),
        name(horizon),
        lineage,
        resonance,
        velocity,
        density,
        luminosity,
        polarity.map(|polarity| polarity.to_string()),
        dimensionality,
        alignment.map(|alignment| alignment.to_string()),
    ]);
    BlobId::of(text.to_string().as_bytes()).to_string()
}

/// The message of a dimension out of its range, beginning with the dimension's name.
fn flag(error: &EntityError) -> String {
    format!("{}: found {}; allowed: {}", error.field(), error.found(), error.allowed())
}

/// The encoded form of what the user wants before every path.
pub(crate) fn encode_prefix(text: &str) -> Result<String> {
    let names = text.split('/').filter(|name| !name.is_empty());
    let prefix = names.map(|name| file_id::encode(name.as_ref())).collect::<Vec<String>>().join("/");
    match file_id::decode(&prefix) {
        Err(why) if !prefix.is_empty() => {
            let message = format!("--prefix {text:?}: {why}; allowed: a relative path such as photos/2024");
            Err(Failure::usage(message).into())
        }
        _ => Ok(prefix),
    }
}

fn named(name: &str, field: &'static str) -> Result<Identifier, EntityError> {
    Identifier::new(name).ok_or_else(|| {
        EntityError::new(EntityErrorKind::Realm, field, format!("{name:?}"), Identifier::ALLOWED)
    })
}

fn horizon(bytes: u64) -> &'static str {
    HORIZONS_BY_SIZE.iter().find(|(below, _)| bytes < *below).map_or(HORIZON_OF_LARGE, |(_, horizon)| horizon)
}

/// The first four bytes of the SHA-256, big-endian, spread over [-1, 1).
fn resonance_of(blob: BlobId) -> f64 {
    let [a, b, c, d, ..] = *blob.as_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(1_u32 << 31) - 1.0
}

fn alignment_of(text: u64, bytes: u64) -> Alignment {
    match text {
        _ if text == bytes => Alignment::LawfulNeutral,
        _ if text >= bytes - text => Alignment::TrueNeutral,
        _ => Alignment::ChaoticNeutral,
    }
}

/// A share, 0 of nothing. Both numbers are far below 2^53, so that the quotient is the same everywhere.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn state(path: &str, stamp: &Stamp, blob: BlobId, after: Option<Address>) -> Value {
    let mut state = json!({
        "path": path,
        "bytes": stamp.bytes,
        "sha256": blob.to_string(),
        "modified": stamp.modified_text(),
    });
    if let Some(mode) = stamp.mode {
        state["mode"] = format!("{mode:04o}").into();
    }
    if let Some(after) = after {
        state[AFTER] = after.to_string().into();
    }
    state
}

#[cfg(test)]
mod tests {
    use statlas_core::{BlobId, Dimensions, Timestamp};

    use super::super::Overrides;
    use super::super::content::Content;
    use super::super::stamp::Stamp;
    use super::{File, Mapping, encode_prefix, horizon};
    use crate::args::ProfileArgument;

    fn entity(mapping: &Mapping, bytes: &[u8], path: &str) -> statlas_core::Entity {
        let modified_ns = 1_700_000_000_123_456_789;
        let stamp = Stamp {
            bytes: bytes.len() as u64,
            modified_ns,
            changed_ns: 5,
            inode: 7,
            device: 9,
            mode: Some(0o644),
        };
        let content = Content::of(bytes);
        let file = File { path, stamp: &stamp, content: &content, blob: BlobId::of(bytes) };
        mapping.entity(&file, stamp.modified(), None).expect("a legal entity")
    }

    /// The address of a file must never change between releases: imports would store everything again.
    #[test]
    fn a_file_maps_to_the_same_address_for_ever() {
        let mapping = Mapping::new(Overrides::default()).expect("no overrides");
        let stat7 = entity(&mapping, b"hello\xff", "src/main.rs");
        assert_eq!(String::from_utf8_lossy(&stat7.canonical()), STAT7);
        let overrides = Overrides { profile: Some(ProfileArgument::FractalStat), ..Overrides::default() };
        let fractal = entity(&Mapping::new(overrides).expect("legal"), b"hello\xff", "README");
        assert_eq!(String::from_utf8_lossy(&fractal.canonical()), FRACTALSTAT);
    }

    const STAT7: &str = r#"{"created_at":"2023-11-14T22:13:20.123Z","entity_type":"artifact","id":"file:src/main.rs","realm":"faculty","stat7_coordinates":{"adjacency":["dir:src"],"density":0.01953125,"horizon":"emergence","lineage":2,"realm":"faculty","resonance":0.97650969,"velocity":0.66666667},"state":{"bytes":6,"mode":"0644","modified":"2023-11-14T22:13:20.123456789Z","path":"src/main.rs","sha256":"fcfe450961c66dc3321ab3417acb10afde0bf07b2042bd0eab11fd0a6facfded"}}"#;
    const FRACTALSTAT: &str = r#"{"created_at":"2023-11-14T22:13:20.123Z","entity_type":"artifact","fractalstat_coordinates":{"adjacency":["dir:."],"alignment":"TRUE_NEUTRAL","dimensionality":5,"horizon":"emergence","lineage":1,"luminosity":"83.33333333","polarity":"COMMUNITY","realm":"narrative"},"id":"file:README","realm":"narrative","state":{"bytes":6,"mode":"0644","modified":"2023-11-14T22:13:20.123456789Z","path":"README","sha256":"fcfe450961c66dc3321ab3417acb10afde0bf07b2042bd0eab11fd0a6facfded"}}"#;

    #[test]
    fn an_empty_file_has_a_place_too() {
        let mapping = Mapping::new(Overrides::default()).expect("no overrides");
        let entity = entity(&mapping, b"", "empty");
        let Dimensions::Stat7(stat7) = entity.coordinates().dimensions else {
            panic!("stat7 is the default")
        };
        assert_eq!((stat7.velocity(), stat7.density()), (0.0, 0.0));
        assert_eq!(entity.coordinates().horizon.as_str(), "genesis");
        assert!(entity.coordinates().adjacency.contains("dir:."));
        assert_eq!(entity.created_at(), Timestamp::parse("2023-11-14T22:13:20.123Z").expect("a time"));
    }

    #[test]
    fn sizes_have_horizons() {
        let horizons = [0, 1, 1023, 1024, 65_535, 65_536, 1 << 20].map(horizon);
        assert_eq!(
            horizons,
            ["genesis", "emergence", "emergence", "peak", "peak", "decay", "crystallization"]
        );
    }

    #[test]
    fn a_prefix_is_a_relative_path() {
        assert_eq!(encode_prefix("a/b/").ok().as_deref(), Some("a/b"));
        assert_eq!(encode_prefix("50%").ok().as_deref(), Some("50%25"));
        assert_eq!(encode_prefix("").ok().as_deref(), Some(""));
        assert!(encode_prefix("../x").is_err() && encode_prefix("a/./b").is_err());
    }

    #[test]
    fn overrides_of_the_other_profile_or_out_of_range_are_refused() {
        let refused = |overrides: Overrides| Mapping::new(overrides).expect_err("refused").to_string();
        assert!(
            refused(Overrides { luminosity: Some(1.0), ..Overrides::default() }).contains("--luminosity")
        );
        let message = refused(Overrides { resonance: Some(1.5), ..Overrides::default() });
        assert!(message.contains("--resonance: found 1.5"), "{message}");
    }
}
