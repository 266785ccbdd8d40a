//! Entities as JSON, both ways, and back from their canonical form.

use std::borrow::Cow;

use crate::address::BlobId;
use crate::adjacency::Adjacency;
use crate::canonical::{write_adjacency, write_integer, write_string};
use crate::canonical_head::not_canonical;
use crate::coordinates::{Coordinates, Dimensions, FractalStat, Profile, Stat7};
use crate::entity::{Entity, EntityHead, EntityParts};
use crate::error::{EntityError, EntityErrorKind};
use crate::float::write_repr;
use crate::identifier::Identifier;
use crate::json::{Reader, Result, duplicate_key, required};
use crate::limits::{ADJACENCY_MAX, ENTITY_TEXT_BYTES_MAX};
use crate::state::State;
use crate::timestamp::Timestamp;
use crate::token::Token;
use crate::token_json::read_token;

impl Entity {
    /// Reads one entity from JSON. Key order, white space and escapes do not matter.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with the field, what was found and what is allowed. What cannot be
    /// read is reported where it stands; of the fields that can, `realm` is looked at first.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        if text.len() > ENTITY_TEXT_BYTES_MAX {
            let allowed = format!("at most {ENTITY_TEXT_BYTES_MAX} bytes of JSON for one entity");
            return Err(EntityError::new(
                EntityErrorKind::Size,
                "",
                format!("{} bytes", text.len()),
                allowed,
            ));
        }
        let mut reader = Reader::new(text)?;
        let mut fields = EntityFields::default();
        let mut members = reader.begin_object()?;
        while let Some(key) = reader.key(&mut members)? {
            fields.read(&key, &mut reader)?;
        }
        reader.end()?;
        fields.finish()
    }

    /// Reads the canonical form back.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Canonical`] if `text` is not byte for byte the canonical form of an entity.
    pub fn from_canonical(text: &[u8]) -> Result<Self> {
        let (head, state) = EntityHead::read_canonical(text)?;
        let EntityHead { id, entity_type, realm, coordinates, created_at } = head;
        let state = State::from_json(state.as_bytes())?;
        let (id, token, blob) = (id.into_owned().into(), None, None);
        let entity =
            Self::new(EntityParts { id, entity_type, realm, coordinates, created_at, state, token, blob })?;
        if entity.canonical() != text {
            return Err(not_canonical("a text that differs from its own canonical form"));
        }
        Ok(entity)
    }

    /// Appends the entity as one line of JSON that [`Entity::from_json`] reads back to the same address.
    pub fn to_json_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"profile\":\"");
        out.extend_from_slice(self.profile().as_str().as_bytes());
        out.extend_from_slice(b"\",\"id\":");
        write_string(self.id(), out);
        write_name("entity_type", self.entity_type().as_str(), out);
        write_name("realm", self.realm().as_str(), out);
        out.extend_from_slice(b",\"coordinates\":");
        write_coordinates(self.coordinates(), out);
        out.extend_from_slice(b",\"created_at\":\"");
        out.extend_from_slice(&self.created_at().to_ascii());
        out.extend_from_slice(b"\",\"state\":");
        out.extend_from_slice(self.state().as_str().as_bytes());
        if let Some(token) = self.token() {
            out.extend_from_slice(b",\"token\":");
            token.to_json_into(out);
        }
        if let Some(blob) = self.blob() {
            out.extend_from_slice(b",\"blob\":\"");
            out.extend_from_slice(&blob.to_hex());
            out.push(b'"');
        }
        out.push(b'}');
    }
}

fn write_name(key: &str, name: &str, out: &mut Vec<u8>) {
    for part in [",\"", key, "\":\"", name, "\""] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_float(key: &str, value: f64, out: &mut Vec<u8>) {
    for part in [",\"", key, "\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    write_repr(value, out);
}

fn write_coordinates(coordinates: &Coordinates, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"realm\":\"");
    out.extend_from_slice(coordinates.realm.as_bytes());
    out.extend_from_slice(b"\",\"lineage\":");
    write_integer(coordinates.lineage, out);
    out.push(b',');
    write_adjacency(&coordinates.adjacency, out);
    write_name("horizon", coordinates.horizon.as_str(), out);
    match &coordinates.dimensions {
        Dimensions::Stat7(stat7) => {
            write_float("resonance", stat7.resonance(), out);
            write_float("velocity", stat7.velocity(), out);
            write_float("density", stat7.density(), out);
        }
        Dimensions::FractalStat(fractal) => {
            write_float("luminosity", fractal.luminosity(), out);
            write_name("polarity", fractal.polarity.as_str(), out);
            out.extend_from_slice(b",\"dimensionality\":");
            write_integer(fractal.dimensionality, out);
            write_name("alignment", fractal.alignment.as_str(), out);
        }
    }
    out.push(b'}');
}

/// The fields of an entity while its JSON is read, in whatever order they come.
#[derive(Default)]
struct EntityFields<'a> {
    profile: Option<Profile>,
    id: Option<Cow<'a, str>>,
    entity_type: Option<Cow<'a, str>>,
    realm: Option<Cow<'a, str>>,
    coordinates: Option<CoordinateFields<'a>>,
    created_at: Option<Timestamp>,
    state: Option<State>,
    token: Option<Token>,
    blob: Option<BlobId>,
}

impl<'a> EntityFields<'a> {
    fn read(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<()> {
        let offset = reader.offset();
        let result = match key {
            "profile" => set(&mut self.profile, key, reader, |reader| {
                string(reader, "profile", EntityErrorKind::Profile)?.parse()
            }),
            "id" => set(&mut self.id, key, reader, |reader| string(reader, "id", EntityErrorKind::Id)),
            "entity_type" => set(&mut self.entity_type, key, reader, |reader| {
                string(reader, "entity_type", EntityErrorKind::EntityType)
            }),
            "realm" => {
                set(&mut self.realm, key, reader, |reader| string(reader, "realm", EntityErrorKind::Realm))
            }
            "coordinates" => set(&mut self.coordinates, key, reader, |reader| {
                CoordinateFields::read_all(reader).map_err(|error| error.within("coordinates"))
            }),
            "created_at" => set(&mut self.created_at, key, reader, |reader| {
                string(reader, "", EntityErrorKind::Timestamp)
                    .and_then(|text| Timestamp::parse(&text))
                    .map_err(|error| error.within("created_at"))
            }),
            "state" => set(&mut self.state, key, reader, |reader| {
                State::read(reader).map_err(|error| error.within("state"))
            }),
            "token" => set(&mut self.token, key, reader, |reader| {
                read_token(reader).map_err(|error| error.within("token"))
            }),
            "blob" => set(&mut self.blob, key, reader, |reader| {
                string(reader, "", EntityErrorKind::Blob)
                    .and_then(|text| text.parse())
                    .map_err(|error| error.within("blob"))
            }),
            _ => {
                let allowed = "profile, id, entity_type, realm, coordinates, created_at, state, token, blob";
                Err(EntityError::new(EntityErrorKind::Unknown, key.to_owned(), "an unknown field", allowed))
            }
        };
        result.map_err(|error| error.at(offset).about(key))
    }

    fn finish(self) -> Result<Entity> {
        let realm = identifier(required(self.realm, "realm")?, "realm", EntityErrorKind::Realm)?;
        let profile = required(self.profile, "profile")?;
        let coordinates = required(self.coordinates, "coordinates")?
            .finish(profile)
            .map_err(|error| error.within("coordinates"))?;
        let entity_type = required(self.entity_type, "entity_type")?;
        Entity::new(EntityParts {
            id: required(self.id, "id")?.into_owned().into(),
            entity_type: identifier(entity_type, "entity_type", EntityErrorKind::EntityType)?,
            realm,
            coordinates,
            created_at: required(self.created_at, "created_at")?,
            state: required(self.state, "state")?,
            token: self.token,
            blob: self.blob,
        })
    }
}

/// Reads a field into its place, which must be empty.
fn set<'a, T>(
    place: &mut Option<T>,
    key: &str,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T>,
) -> Result<()> {
    if place.is_some() {
        return Err(duplicate_key(key, reader.offset()));
    }
    *place = Some(read(reader)?);
    Ok(())
}

/// A string, or an error of the field's own kind that repeats what stands there instead.
fn string<'a>(reader: &mut Reader<'a>, field: &'static str, kind: EntityErrorKind) -> Result<Cow<'a, str>> {
    if reader.peek() == b'"' {
        return reader.string();
    }
    Err(EntityError::new(kind, field, reader.any()?, "a string"))
}

fn identifier(text: Cow<'_, str>, field: &'static str, kind: EntityErrorKind) -> Result<Identifier> {
    Identifier::new(&text)
        .ok_or_else(|| EntityError::new(kind, field, format!("{text:?}"), Identifier::ALLOWED))
}

/// An unsigned 32-bit integer, or an error of the field's own kind.
fn integer(reader: &mut Reader<'_>, field: &'static str, kind: EntityErrorKind) -> Result<u32> {
    let found = match reader.peek() {
        b'-' | b'0'..=b'9' => {
            let number = reader.number()?;
            match number.text.parse() {
                Ok(value) if !number.is_float => return Ok(value),
                _ => number.text,
            }
        }
        _ => reader.any()?,
    };
    Err(EntityError::new(kind, field, found, "an integer from 0 to 4294967295"))
}

/// A number, integers included. One too large for a float becomes infinite, and so out of range.
fn float(reader: &mut Reader<'_>, field: &'static str) -> Result<f64> {
    let found = match reader.peek() {
        b'-' | b'0'..=b'9' => {
            let number = reader.number()?;
            match number.text.parse::<f64>() {
                Ok(value) if value.is_infinite() => {
                    return Err(EntityError::new(
                        EntityErrorKind::Range,
                        field,
                        number.text,
                        "a smaller number",
                    ));
                }
                // An integer has no negative zero.
                Ok(value) if !number.is_float => return Ok(value + 0.0),
                Ok(value) => return Ok(value),
                Err(_) => number.text,
            }
        }
        _ => reader.any()?,
    };
    Err(EntityError::new(EntityErrorKind::Type, field, found, "a number"))
}

fn adjacency(reader: &mut Reader<'_>) -> Result<Adjacency> {
    let refused = |found: &str| {
        let allowed = format!("a list of at most {ADJACENCY_MAX} non-empty strings");
        EntityError::new(EntityErrorKind::Adjacency, "adjacency", found, allowed)
    };
    if reader.peek() != b'[' {
        return Err(refused(reader.any()?));
    }
    let mut members = Vec::new();
    let mut items = reader.begin_array()?;
    while reader.more(&mut items)? {
        if reader.peek() != b'"' {
            return Err(refused(reader.any()?));
        }
        if members.len() == ADJACENCY_MAX {
            return Err(refused("more members"));
        }
        members.push(reader.string()?.into());
    }
    Adjacency::new(members)
}

/// The coordinates of either profile while their JSON is read; the profile may be known only later.
#[derive(Default)]
struct CoordinateFields<'a> {
    realm: Option<Cow<'a, str>>,
    lineage: Option<u32>,
    adjacency: Option<Adjacency>,
    horizon: Option<Cow<'a, str>>,
    resonance: Option<f64>,
    velocity: Option<f64>,
    density: Option<f64>,
    luminosity: Option<f64>,
    polarity: Option<Cow<'a, str>>,
    dimensionality: Option<u32>,
    alignment: Option<Cow<'a, str>>,
}

impl<'a> CoordinateFields<'a> {
    fn read_all(reader: &mut Reader<'a>) -> Result<Self> {
        if reader.peek() != b'{' {
            return Err(EntityError::new(EntityErrorKind::Type, "", reader.any()?, "an object"));
        }
        let mut fields = Self::default();
        let mut members = reader.begin_object()?;
        while let Some(key) = reader.key(&mut members)? {
            let offset = reader.offset();
            fields.read(&key, reader).map_err(|error| error.at(offset).about(&key))?;
        }
        Ok(fields)
    }

    fn read(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<()> {
        match key {
            "realm" => {
                set(&mut self.realm, key, reader, |reader| string(reader, "realm", EntityErrorKind::Realm))
            }
            "lineage" => set(&mut self.lineage, key, reader, |reader| {
                integer(reader, "lineage", EntityErrorKind::Lineage)
            }),
            "adjacency" => set(&mut self.adjacency, key, reader, adjacency),
            "horizon" => set(&mut self.horizon, key, reader, |reader| {
                string(reader, "horizon", EntityErrorKind::Horizon)
            }),
            "resonance" => set(&mut self.resonance, key, reader, |reader| float(reader, "resonance")),
            "velocity" => set(&mut self.velocity, key, reader, |reader| float(reader, "velocity")),
            "density" => set(&mut self.density, key, reader, |reader| float(reader, "density")),
            "luminosity" => set(&mut self.luminosity, key, reader, |reader| float(reader, "luminosity")),
            "polarity" => set(&mut self.polarity, key, reader, |reader| {
                string(reader, "polarity", EntityErrorKind::Polarity)
            }),
            "dimensionality" => set(&mut self.dimensionality, key, reader, |reader| {
                integer(reader, "dimensionality", EntityErrorKind::Dimensionality)
            }),
            "alignment" => set(&mut self.alignment, key, reader, |reader| {
                string(reader, "alignment", EntityErrorKind::Alignment)
            }),
            _ => Err(unknown_dimension(key.to_owned().into(), "the dimensions of stat7 or fractalstat")),
        }
    }

    fn finish(self, profile: Profile) -> Result<Coordinates> {
        let realm = identifier(required(self.realm, "realm")?, "realm", EntityErrorKind::Realm)?;
        let lineage = required(self.lineage, "lineage")?;
        let adjacency = required(self.adjacency, "adjacency")?;
        let horizon = identifier(required(self.horizon, "horizon")?, "horizon", EntityErrorKind::Horizon)?;
        let stat7 = [
            ("resonance", self.resonance.is_some()),
            ("velocity", self.velocity.is_some()),
            ("density", self.density.is_some()),
        ];
        let fractal = [
            ("luminosity", self.luminosity.is_some()),
            ("polarity", self.polarity.is_some()),
            ("dimensionality", self.dimensionality.is_some()),
            ("alignment", self.alignment.is_some()),
        ];
        let (foreign, allowed) = match profile {
            Profile::Stat7 => (&fractal[..], "the dimensions of stat7: resonance, velocity, density"),
            Profile::FractalStat => {
                (&stat7[..], "the dimensions of fractalstat: luminosity, polarity, dimensionality, alignment")
            }
        };
        if let Some((name, _)) = foreign.iter().find(|(_, present)| *present) {
            return Err(unknown_dimension((*name).into(), allowed));
        }
        let dimensions = match profile {
            Profile::Stat7 => Dimensions::Stat7(Stat7::new(
                required(self.resonance, "resonance")?,
                required(self.velocity, "velocity")?,
                required(self.density, "density")?,
            )?),
            Profile::FractalStat => Dimensions::FractalStat(FractalStat::new(
                required(self.luminosity, "luminosity")?,
                required(self.polarity, "polarity")?
                    .parse()
                    .map_err(|error: EntityError| error.within("polarity"))?,
                required(self.dimensionality, "dimensionality")?,
                required(self.alignment, "alignment")?
                    .parse()
                    .map_err(|error: EntityError| error.within("alignment"))?,
            )?),
        };
        Ok(Coordinates { realm, lineage, adjacency, horizon, dimensions })
    }
}

fn unknown_dimension(name: Cow<'static, str>, allowed: &'static str) -> EntityError {
    EntityError::new(EntityErrorKind::Unknown, name, "an unknown field", allowed)
}
