//! The ids of files: paths as text that loses nothing, and back into names that lead nowhere else.
//!
//! An id is `file:` and the components of a relative path, joined by `/`. Bytes of a name that are no UTF-8,
//! and `%` itself, are written as `%XX`; so every name has exactly one text.

use std::ffi::{OsStr, OsString};

/// What the ids of files begin with.
pub(crate) const FILE: &str = "file:";
/// What the ids of directories begin with. Files name them as neighbours; they are not stored themselves.
pub(crate) const DIRECTORY: &str = "dir:";

/// The text of one component of a path.
pub(crate) fn encode(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in bytes_of(name).utf8_chunks() {
        for (at, part) in chunk.valid().split('%').enumerate() {
            if at > 0 {
                text.push_str("%25");
            }
            text.push_str(part);
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The names of the components of an encoded relative path, or why it is none.
///
/// No name that comes out can lead out of a directory: none is empty, `.`, `..`, or holds a separator or a
/// NUL.
pub(crate) fn decode(path: &str) -> Result<Vec<OsString>, &'static str> {
    path.split('/').map(decode_component).collect()
}

fn decode_component(text: &str) -> Result<OsString, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or("a % without two hex digits")?;
        let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| hex).ok_or("a % without two hex digits")?;
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    match bytes.as_slice() {
        b"" => Err("an empty name, or a path from the root"),
        b"." | b".." => Err("a name that means another directory"),
        name if name.contains(&b'/') => Err("a separator inside a name"),
        name if name.contains(&0) => Err("a NUL"),
        name if cfg!(windows) && name.iter().any(|byte| b"\\:".contains(byte)) => {
            Err("a separator inside a name")
        }
        _ => name_of(bytes),
    }
}

#[cfg(unix)]
fn bytes_of(name: &OsStr) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(name)
}

#[cfg(unix)]
fn name_of(bytes: Vec<u8>) -> Result<OsString, &'static str> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn bytes_of(name: &OsStr) -> &[u8] {
    // Self-synchronising, and UTF-8 for every name that is valid Unicode.
    name.as_encoded_bytes()
}

#[cfg(not(unix))]
fn name_of(bytes: Vec<u8>) -> Result<OsString, &'static str> {
    String::from_utf8(bytes).map(OsString::from).map_err(|_| "a name that this system can't have")
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use super::{decode, encode};

    #[test]
    fn every_name_has_a_text_that_leads_back_to_it() {
        let every_byte: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
        for name in
            [b"a b\nc".as_slice(), b"100%", b"%41", "größe".as_bytes(), b"\xff\xfe", b"...", &every_byte]
        {
            let name = std::ffi::OsString::from_vec(name.to_vec());
            let text = encode(&name);
            assert_eq!(decode(&text), Ok(vec![name]), "{text}");
        }
        assert_eq!(encode(std::ffi::OsStr::from_bytes(b"50%\xff")), "50%25%FF");
    }

    #[test]
    fn no_text_leads_out_of_a_directory() {
        for text in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            ".",
            "./a",
            "%2E%2E/x",
            "a%2Fb",
            "a%2f..",
            "a\0b",
            "%00",
            "a%",
            "a%4",
            "a%zz",
            "%+1",
            "%2e",
        ] {
            assert!(decode(text).is_err(), "{text:?}");
        }
        assert_eq!(decode("a/b.c").map(|names| names.len()), Ok(2));
    }
}
