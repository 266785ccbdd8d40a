//! Short texts from a command line, a link or an earlier answer.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use statlas_core::{Address, AddressPrefix, BlobId, Identifier, Profile, Timestamp, Uri};
use statlas_store::{Cursor, Location, NotedHead, RecordKey};

// The program is no library; this file of it needs nothing of the rest.
#[path = "../../crates/app/src/file_id.rs"]
#[expect(dead_code, reason = "the program uses the rest")]
mod file_id;

/// What is read from a text and leads back to it as a text.
fn parse<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    let again = written.parse().ok();
    assert_eq!(again.as_ref(), Some(&value), "{text:?} is written as {written:?}");
    Some(value)
}

/// The URI of an entity.
pub fn uri(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Some(uri) = parse::<Uri>(text) else { return };
    assert!(uri.to_string().is_ascii(), "a URI has only ASCII");
}

/// Addresses, prefixes, times and names.
pub fn names(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(address) = parse::<Address>(text) {
        assert_eq!(address.to_string(), text, "an address has one text");
    }
    if let Some(prefix) = parse::<AddressPrefix>(text) {
        let (low, high) = (prefix.low(), prefix.high());
        assert!(low <= high && prefix.matches(&low) && prefix.matches(&high), "{text}: {low} to {high}");
    }
    parse::<BlobId>(text);
    parse::<Profile>(text);
    if let Ok(time) = Timestamp::parse(text) {
        let written = time.to_ascii();
        let written = str::from_utf8(&written).expect("a time is ASCII");
        assert_eq!(Timestamp::parse(written), Ok(time), "{text:?} is written as {written:?}");
    }
    if let Some(identifier) = Identifier::new(text) {
        assert_eq!(Identifier::new(identifier.as_str()), Some(identifier));
    }
    drop(text.parse::<Location>());
    if let Some((collection, key)) = text.split_once('/')
        && let Ok(record) = RecordKey::new(collection, key)
    {
        assert_eq!((record.collection(), record.key()), (collection, key));
    }
}

/// A place in an answer, and a noted head of the hash chain.
pub fn cursor(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    parse::<Cursor>(text);
    parse::<NotedHead>(text);
}

/// The path in the id of a file: no name that comes out leads elsewhere.
pub fn file_name(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(names) = file_id::decode(text) else { return };
    let written: Vec<String> = names.iter().map(|name| file_id::encode(name)).collect();
    assert_eq!(
        file_id::decode(&written.join("/")).as_ref(),
        Ok(&names),
        "{text:?} is written as {written:?}"
    );
    let path: std::path::PathBuf = names.iter().collect();
    let normal = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
    assert!(path.components().all(normal), "{text:?} leads elsewhere: {path:?}");
    assert_eq!(path.components().count(), names.len(), "{text:?} has a separator in a name");
}
