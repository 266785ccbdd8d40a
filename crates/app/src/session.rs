//! What every command is given: where the store is and how to answer.

use anyhow::{Context, Result};
use serde_json::json;
use statlas_store::{Durability, ErrorKind, Location, Options, Store, StoredEntity};

use crate::args::Global;
use crate::failure::{Failure, Hint};
use crate::output::{Output, plural, printable};

/// The global arguments, ready to use.
#[derive(Debug)]
pub(crate) struct Session {
    store: String,
    location: Location,
    memory_bytes_max: Option<u64>,
    compression: bool,
    output: Output,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        let output = Output::new(global.json, global.color);
        let memory_bytes_max = global.memory.map(|size| size.0);
        Self {
            store: global.store.text,
            location: global.store.location,
            memory_bytes_max,
            compression: global.compress,
            output,
        }
    }

    /// How to answer.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// The store's location as the user wrote it.
    pub(crate) fn store_text(&self) -> &str {
        &self.store
    }

    /// Where the store is.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Opens the store to read from it, and warns if it is damaged; one that is not there is not made.
    pub(crate) fn open(&self) -> Result<Store> {
        let store = self.open_unannounced()?;
        self.announce_damage(&store);
        Ok(store)
    }

    /// The same for commands that list the damage themselves.
    pub(crate) fn open_unannounced(&self) -> Result<Store> {
        let options =
            Options { create: false, memory_bytes_max: self.memory_bytes_max, ..Options::default() };
        Store::open(&self.location, &options).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotAStore => Some(
                    "`statlas quickstart`, `import`, `load` and `put` make a store where nothing is; \
                     --store or STATLAS_STORE names another one",
                ),
                _ => hint_for(error.kind()),
            };
            with_hint(anyhow::Error::new(error), hint)
        })
    }

    /// Opens the store to write to it, and warns if it is damaged; one that is not there is made.
    pub(crate) fn open_or_create(&self, durability: Durability) -> Result<Store> {
        let (memory_bytes_max, compression) = (self.memory_bytes_max, self.compression);
        let options = Options { durability, memory_bytes_max, compression, ..Options::default() };
        let store = Store::open(&self.location, &options).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotAStore => Some("--store names a directory that is empty, new or a store"),
                _ => hint_for(error.kind()),
            };
            with_hint(anyhow::Error::new(error), hint)
        })?;
        self.announce_damage(&store);
        Ok(store)
    }

    /// Says once, before a command does anything, that its answer may lack something.
    fn announce_damage(&self, store: &Store) {
        let damage = store.engine().stats().damage;
        let Some(first) = damage.first() else { return };
        let places = plural(damage.len() as u64, "damaged place", "damaged places");
        let message = format!("the store has {places}, the first: {}; {CHECK_HINT}", printable(first));
        let warning = json!({
            "kind": "damage", "message": message, "places": damage.len(), "first": first, "hint": CHECK_HINT,
        });
        self.output.alert(&message, &warning);
    }
}

const CHECK_HINT: &str = "run `statlas check`";

/// The end of a command whose answer lacks what a damaged store can't tell.
///
/// # Errors
///
/// A failure with the code for "integrity violated" if damage was found when the store was opened.
pub(crate) fn expect_undamaged(store: &Store, answer: &str) -> Result<()> {
    if store.engine().stats().damage.is_empty() {
        return Ok(());
    }
    let message = format!("{answer} may be incomplete, because the store is damaged");
    Err(Failure::integrity(message).hint(CHECK_HINT).into())
}

fn hint_for(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Busy => {
            Some("wait until the other process is done, or end it; one process at a time has a store")
        }
        ErrorKind::NewerFormat => Some("use the release of statlas that wrote it, or a newer one"),
        _ => None,
    }
}

/// A hint is attached as context only where there is one, so that the chain stays short.
fn with_hint(error: anyhow::Error, hint: Option<&'static str>) -> anyhow::Error {
    match hint {
        Some(hint) => error.context(Hint(hint.to_owned())),
        None => error,
    }
}

/// What WHAT means in commands that take an entity's name.
pub(crate) const WHAT_HELP: &str = "\
An address, a unique prefix of one of at least 4 digits, an id, or a URI";

/// The entities that `what` names, at least one.
///
/// # Errors
///
/// A failure with the code for "not found" if there is none, for "usage" if the name is malformed or
/// means several.
pub(crate) fn resolve(store: &Store, what: &str) -> Result<Vec<StoredEntity>> {
    let found = store.resolve(what).map_err(|error| match error.kind() {
        ErrorKind::Invalid => anyhow::Error::new(Failure::usage(error.to_string())),
        _ => anyhow::Error::new(error),
    })?;
    if found.is_empty() {
        return Err(not_found(what).into());
    }
    Ok(found)
}

/// The one entity that `what` names.
pub(crate) fn resolve_one(store: &Store, what: &str) -> Result<StoredEntity> {
    let found = resolve(store, what)?;
    let count = found.len();
    let first = found.into_iter().next().context("an answer without entities")?;
    if count > 1 {
        let failure = Failure::usage(format!("{what:?} names {count} entities; one is wanted here"));
        let hint = format!("`statlas get {what:?}` lists them; name one by its address");
        return Err(failure.hint(hint).into());
    }
    Ok(first)
}

/// The failure of a look-up.
pub(crate) fn not_found(what: &str) -> Failure {
    let failure = Failure::not_found(format!("no entity is named {what:?} in this store"));
    failure.hint(
        "a name is an address of 64 lower-case hex digits, the first 4 or more of them, an id as `statlas find` \
         shows it, or a URI such as stat7://...",
    )
}
