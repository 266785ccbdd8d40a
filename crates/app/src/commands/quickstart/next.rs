//! Commands to try after a quickstart, ready to be copied.

use statlas_store::Location;

use super::sample::{Sample, StoredFile};
use crate::entity_table::ADDRESS_DIGITS_SHOWN;
use crate::file_id::{DIRECTORY, FILE};
use crate::session::Session;

/// Commands that work on this very store, each with what it does. None for a store that is gone afterwards.
pub(super) fn commands(sample: &Sample, session: &Session) -> Vec<(String, &'static str)> {
    if *session.location() == Location::Memory {
        return Vec::new();
    }
    let mut commands = Vec::new();
    if let Some(address) = sample.addresses.last() {
        let short: String = address.to_string().chars().take(ADDRESS_DIGITS_SHOWN).collect();
        commands.push((format!("get {short}"), "an entity by the start of its address"));
        commands.push((format!("near {short} -k 5"), "what is most similar to it"));
    }
    if let Some(file) = a_file(sample) {
        let id = quote(&file.id);
        let path = file.id.strip_prefix(FILE).unwrap_or_default();
        let parent = path.rsplit_once('/').map_or(".", |(parent, _)| parent);
        let parent = quote(&format!("{DIRECTORY}{parent}"));
        commands.push((format!("get --file - {id} | head"), "a file out of the store"));
        commands.push((format!("history {id}"), "its versions"));
        commands.push((format!("find --latest --adjacent {parent}"), "the files of its directory"));
    }
    commands
        .push(("find --realm data,system --lineage 2..4 --limit 10".to_owned(), "a query by coordinates"));
    commands.push(("check".to_owned(), "verify every stored byte"));
    let program = program(session);
    commands.into_iter().map(|(command, what)| (format!("{program} {command}"), what)).collect()
}

/// A file with a plain name, if there is one.
fn a_file(sample: &Sample) -> Option<&StoredFile> {
    let is_plain =
        |file: &&StoredFile| file.bytes > 0 && !file.id.contains("/.") && !file.id.starts_with("file:.");
    sample.files.iter().find(is_plain).or_else(|| sample.files.iter().find(|file| file.bytes > 0))
}

/// How this program was called, with the store if it is not the default one.
fn program(session: &Session) -> String {
    let program = std::env::args().next().map_or_else(|| "statlas".to_owned(), |name| quote(&name));
    if session.store_text() == "./statlas.store" || std::env::var_os("STATLAS_STORE").is_some() {
        return program;
    }
    format!("{program} --store {}", quote(session.store_text()))
}

/// An argument as a shell takes it.
fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn shells_take_quoted_arguments_as_they_are() {
        assert_eq!(quote("file:a/b-c.rs"), "file:a/b-c.rs");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote(""), "''");
    }
}
