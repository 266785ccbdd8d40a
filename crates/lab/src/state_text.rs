//! JSON texts of varied shape for the free part of entities.

use std::io::Write;

use crate::random::SplitMix64;

const WORDS: [&str; 16] = [
    "amber", "basalt", "cedar", "delta", "ember", "fjord", "glacier", "harbour", "iris", "juniper", "kelp",
    "lichen", "meadow", "nimbus", "onyx", "prairie",
];

/// Texts that need escapes in the canonical form, or come with escapes here.
const UNUSUAL: [&str; 8] = [
    "Zürich – Ωmega",
    "Привет, мир",
    "東京タワー",
    "🚀 to the 🌙",
    "line one\\nline two\\ttabbed",
    "C:\\\\temp \\\"quoted\\\" \\/slash",
    "\\u0000\\u001f\\u007f\\ud83d\\ude00",
    "e\\u0301 is not é",
];

/// Appends a JSON object: one of nine shapes, keys not always in order. It is not in canonical form.
pub(crate) fn write_state(random: &mut SplitMix64, out: &mut Vec<u8>) {
    match random.below(24) {
        0 | 1 => out.extend_from_slice(b"{}"),
        2..=12 => put(out, format_args!(r#"{{"value":{}}}"#, random.below(100_000))),
        13..=16 => {
            let (name, version) = (word(random), random.below(40));
            put(
                out,
                format_args!(r#"{{"name":"{name}","version":{version},"active":{}}}"#, random.chance(3, 4)),
            );
        }
        17..=18 => {
            let (width, height) = (random.below(4000) + 1, random.below(4000) + 1);
            let (first, second) = (word(random), word(random));
            put(out, format_args!(r#"{{"width":{width},"height":{height},"tags":["{first}","{second}"]}}"#));
        }
        19 => put(out, format_args!(r#"{{ "title": "{}" }}"#, UNUSUAL[random.index(UNUSUAL.len())])),
        20 => {
            let (east, north) = (random.unit() * 360.0 - 180.0, random.unit() * 180.0 - 90.0);
            put(out, format_args!(r#"{{"position":[{east},{north}],"battery":{}}}"#, percent(random)));
        }
        21 => write_nested(random, out),
        22 => write_numbers(random, out),
        _ => write_metrics(random, out),
    }
}

fn write_nested(random: &mut SplitMix64, out: &mut Vec<u8>) {
    let (owner, group) = (word(random), word(random));
    put(out, format_args!(r#"{{"policy":{{"owner":{{"name":"{owner}","group":"{group}"}},"rules":["#));
    for rule in 0..random.below(4) {
        put(out, format_args!(r#"{}{{"allow":{},"hops":{rule}}}"#, comma(rule), random.chance(1, 2)));
    }
    out.extend_from_slice(br#"]},"parent":null}"#);
}

/// Integers beyond 64 bits, floats in other notations, and zeros.
fn write_numbers(random: &mut SplitMix64, out: &mut Vec<u8>) {
    let (high, low) = (random.next_u64(), random.next_u64());
    let (digits, exponent) = (random.below(1000), random.below(40));
    put(
        out,
        format_args!(r#"{{"serial":{high}{low},"tiny":{digits}e-{exponent},"zero":-0.0,"one":[1,1.0,1E0]}}"#),
    );
}

fn write_metrics(random: &mut SplitMix64, out: &mut Vec<u8>) {
    out.push(b'{');
    for at in 0..random.below(5) + 1 {
        // A number behind the word, so that no key comes twice.
        put(out, format_args!(r#"{}"{}_{at}":{}"#, comma(at), word(random), random.unit()));
    }
    put(out, format_args!(r#","{}":"{}"}}"#, "µ", UNUSUAL[random.index(UNUSUAL.len())]));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}

fn comma(at: u64) -> &'static str {
    if at == 0 { "" } else { "," }
}

fn word(random: &mut SplitMix64) -> &'static str {
    WORDS[random.index(WORDS.len())]
}

/// A number from 0 to 1 with two decimals, written as JSON writes it.
fn percent(random: &mut SplitMix64) -> f64 {
    random.below(101) as f64 / 100.0
}
