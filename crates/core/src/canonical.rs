//! The canonical form: the one text of an entity that is hashed. Nothing else writes canonical bytes.
//!
//! The rules: keys in a fixed order, the objects of `state` sorted by code point, no white space, every
//! character outside 0x20..0x7E escaped, integers as they are, floats as Python's `repr`.

use std::borrow::Cow;
use std::ops::Range;

use crate::adjacency::Adjacency;
use crate::coordinates::{Coordinates, Dimensions};
use crate::entity::Entity;
use crate::error::{EntityError, EntityErrorKind};
use crate::float::{ascii_digits, write_plain, write_repr};
use crate::json::{Reader, Result, duplicate_key, too_deep};
use crate::limits::{STATE_BYTES_MAX, STATE_DEPTH_MAX};

/// Appends the canonical form of `entity`. One pass, no allocation beyond the growth of `out`.
pub(crate) fn write_entity(entity: &Entity, out: &mut Vec<u8>) {
    let coordinates = entity.coordinates();
    out.reserve(320 + entity.state().as_str().len());
    out.extend_from_slice(b"{\"created_at\":\"");
    out.extend_from_slice(&entity.created_at().to_ascii());
    out.extend_from_slice(b"\",\"entity_type\":\"");
    out.extend_from_slice(entity.entity_type().as_bytes());
    out.extend_from_slice(b"\",");
    // Keys are sorted: "fractalstat_coordinates" stands before "id", "stat7_coordinates" after "realm".
    if let Dimensions::FractalStat(_) = coordinates.dimensions {
        out.extend_from_slice(b"\"fractalstat_coordinates\":");
        write_coordinates(coordinates, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"id\":");
    write_string(entity.id(), out);
    out.extend_from_slice(b",\"realm\":\"");
    out.extend_from_slice(entity.realm().as_bytes());
    out.push(b'"');
    if let Dimensions::Stat7(_) = coordinates.dimensions {
        out.extend_from_slice(b",\"stat7_coordinates\":");
        write_coordinates(coordinates, out);
    }
    out.extend_from_slice(b",\"state\":");
    out.extend_from_slice(entity.state().as_str().as_bytes());
    out.push(b'}');
}

fn write_coordinates(coordinates: &Coordinates, out: &mut Vec<u8>) {
    out.push(b'{');
    write_adjacency(&coordinates.adjacency, out);
    match &coordinates.dimensions {
        Dimensions::Stat7(stat7) => {
            out.extend_from_slice(b",\"density\":");
            write_repr(stat7.density(), out);
            write_horizon_and_lineage(coordinates, out);
            write_realm(coordinates, out);
            out.extend_from_slice(b",\"resonance\":");
            write_repr(stat7.resonance(), out);
            out.extend_from_slice(b",\"velocity\":");
            write_repr(stat7.velocity(), out);
        }
        Dimensions::FractalStat(fractal) => {
            out.extend_from_slice(b",\"alignment\":\"");
            out.extend_from_slice(fractal.alignment.as_str().as_bytes());
            out.extend_from_slice(b"\",\"dimensionality\":");
            write_integer(fractal.dimensionality, out);
            write_horizon_and_lineage(coordinates, out);
            out.extend_from_slice(b",\"luminosity\":\"");
            write_plain(fractal.luminosity(), out);
            out.extend_from_slice(b"\",\"polarity\":\"");
            out.extend_from_slice(fractal.polarity.as_str().as_bytes());
            out.push(b'"');
            write_realm(coordinates, out);
        }
    }
    out.push(b'}');
}

/// Appends `"adjacency":[...]`.
pub(crate) fn write_adjacency(adjacency: &Adjacency, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"adjacency\":[");
    for (at, id) in adjacency.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(id, out);
    }
    out.push(b']');
}

fn write_horizon_and_lineage(coordinates: &Coordinates, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"horizon\":\"");
    out.extend_from_slice(coordinates.horizon.as_bytes());
    out.extend_from_slice(b"\",\"lineage\":");
    write_integer(coordinates.lineage, out);
}

fn write_realm(coordinates: &Coordinates, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"realm\":\"");
    out.extend_from_slice(coordinates.realm.as_bytes());
    out.push(b'"');
}

pub(crate) fn write_integer(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(ascii_digits(value.into(), &mut [0; 20]));
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

/// Appends a string with its quotes, escaped.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Looking at every byte lets the compiler look at many at once.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|character| write_character(character, out));
    }
    out.push(b'"');
}

fn write_character(character: char, out: &mut Vec<u8>) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        ' '..='~' => return out.push(character as u8),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                let digit = |shift: u16| b"0123456789abcdef"[usize::from(*unit >> shift & 15)];
                out.extend([digit(12), digit(8), digit(4), digit(0)]);
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Rewrites the JSON object that stands next in `reader` as canonical text.
///
/// Objects whose keys are already in order are written straight through; others are written as they come
/// and then permuted, so no tree is built.
pub(crate) fn canonical_state(reader: &mut Reader<'_>) -> Result<String> {
    if reader.peek() != b'{' {
        let offset = reader.offset();
        let found = reader.any()?;
        return Err(EntityError::new(EntityErrorKind::State, "", found, "a JSON object").at(offset));
    }
    let mut writer = StateWriter { out: Vec::with_capacity(128), members: Vec::new() };
    writer.object(reader, 1)?;
    String::from_utf8(writer.out).map_err(|_| reader.unexpected("ASCII in the canonical form"))
}

struct StateWriter<'a> {
    out: Vec<u8>,
    /// The members of the objects that are open, the innermost last.
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    key: Cow<'a, str>,
    /// `"key":value` in the output.
    text: Range<usize>,
}

impl<'a> StateWriter<'a> {
    fn value(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<()> {
        if self.out.len() > STATE_BYTES_MAX {
            return Err(too_long(self.out.len()));
        }
        match reader.peek() {
            b'{' => self.object(reader, depth + 1),
            b'[' => self.array(reader, depth + 1),
            b'"' => {
                write_string(&reader.string()?, &mut self.out);
                Ok(())
            }
            b'-' | b'0'..=b'9' => self.number(reader),
            _ => {
                self.out.extend_from_slice(reader.word()?.as_bytes());
                Ok(())
            }
        }
    }

    fn object(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<()> {
        if depth > STATE_DEPTH_MAX {
            return Err(too_deep(reader.offset()));
        }
        let base = self.members.len();
        let mut in_order = true;
        let mut members = reader.begin_object()?;
        self.out.push(b'{');
        let inside = self.out.len();
        while let Some(key) = reader.key(&mut members)? {
            let earlier = &self.members[base..];
            if !earlier.is_empty() {
                self.out.push(b',');
            }
            in_order = in_order && earlier.last().is_none_or(|last| last.key < key);
            let start = self.out.len();
            write_string(&key, &mut self.out);
            self.out.push(b':');
            self.value(reader, depth)?;
            self.members.push(Member { key, text: start..self.out.len() });
        }
        if !in_order {
            self.sort_members(base, inside, reader.offset())?;
        }
        self.members.truncate(base);
        self.out.push(b'}');
        self.check_length()
    }

    /// Permutes the members written since `inside` into the order of their keys.
    fn sort_members(&mut self, base: usize, inside: usize, offset: usize) -> Result<()> {
        let members = &mut self.members[base..];
        members.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(duplicate_key(&pair[0].key, offset));
        }
        let written = self.out.split_off(inside);
        for (at, member) in members.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&written[member.text.start - inside..member.text.end - inside]);
        }
        Ok(())
    }

    fn array(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<()> {
        if depth > STATE_DEPTH_MAX {
            return Err(too_deep(reader.offset()));
        }
        let mut items = reader.begin_array()?;
        self.out.push(b'[');
        let inside = self.out.len();
        while reader.more(&mut items)? {
            if self.out.len() > inside {
                self.out.push(b',');
            }
            self.value(reader, depth)?;
        }
        self.out.push(b']');
        self.check_length()
    }

    fn number(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let offset = reader.offset();
        let number = reader.number()?;
        if !number.is_float {
            // An integer has no negative zero.
            let text = if number.text == "-0" { "0" } else { number.text };
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        match number.text.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                write_repr(value, &mut self.out);
                Ok(())
            }
            _ => {
                let allowed = "a float that is finite as a 64-bit one";
                Err(EntityError::new(EntityErrorKind::State, "", number.text, allowed).at(offset))
            }
        }
    }

    fn check_length(&self) -> Result<()> {
        if self.out.len() > STATE_BYTES_MAX { Err(too_long(self.out.len())) } else { Ok(()) }
    }
}

#[cold]
fn too_long(bytes: usize) -> EntityError {
    let found = format!("{bytes} bytes or more of canonical text");
    EntityError::new(EntityErrorKind::Size, "", found, format!("at most {STATE_BYTES_MAX} bytes"))
}
