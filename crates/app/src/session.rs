//! What every command is given: where the store is and how to answer.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use statlas_store::{Durability, ErrorKind, Location, Options, Store, StoredEntity};

use crate::args::Global;
use crate::failure::{Failure, Hint};
use crate::interrupt::Interrupt;
use crate::output::{Output, duration, plural, printable};
use crate::settings::Settings;

/// The global arguments, ready to use.
#[derive(Debug)]
pub(crate) struct Session {
    store: String,
    location: Location,
    settings: Settings,
    output: Output,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        let output = Output::new(global.json, global.color);
        Self { store: global.store.text, location: global.store.location, settings: global.settings, output }
    }

    /// How to answer.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// The store's location as the user wrote it.
    pub(crate) fn store_text(&self) -> &str {
        &self.store
    }

    /// What the user said about stores.
    pub(crate) fn options(&self) -> Options {
        self.settings.options()
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
        self.open_patiently(&Options { create: false, ..self.options() }, ABSENT_HINT)
    }

    /// The same for a moment: without waiting for another process, and without what a store does by itself.
    pub(crate) fn open_briefly(&self) -> Result<Store> {
        let options = Options { create: false, maintenance: false, ..self.options() };
        Store::open(&self.location, &options).map_err(|error| with_hint(error, ABSENT_HINT))
    }

    /// Opens the store to write to it, and warns if it is damaged; one that is not there is made.
    pub(crate) fn open_or_create(&self, durability: Durability) -> Result<Store> {
        let options = Options { durability, ..self.options() };
        let store =
            self.open_patiently(&options, "--store names a directory that is empty, new or a store")?;
        self.announce_damage(&store);
        Ok(store)
    }

    /// Opens the store; waits as long as the settings say if another process has it.
    fn open_patiently(&self, options: &Options, hint_absent: &'static str) -> Result<Store> {
        let (begun, wait, interrupt) = (Instant::now(), self.settings.wait(), Interrupt::installed());
        let mut is_told = false;
        loop {
            let error = match Store::open(&self.location, options) {
                Err(error) if error.kind() == ErrorKind::Busy => error,
                opened => return opened.map_err(|error| with_hint(error, hint_absent)),
            };
            if interrupt.is_set() {
                let message = "nothing was done: another process had the store";
                return Err(Failure::interrupted(message).into());
            }
            let waited = begun.elapsed();
            if waited >= wait {
                return Err(with_hint(error, hint_absent));
            }
            if waited >= SILENT && !is_told {
                is_told = true;
                let (store, wait) = (printable(&self.store), duration(wait));
                self.output.note(format!("another process has {store}; waiting for it up to {wait}"));
            }
            thread::sleep(POLL.min(wait - waited));
        }
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

const ABSENT_HINT: &str = "`statlas quickstart`, `import`, `load` and `put` make a store where nothing is; \
                           --store or STATLAS_STORE names another one";
/// How often a store that another process has is asked for.
const POLL: Duration = Duration::from_millis(20);
/// How long waiting for it goes without saying.
const SILENT: Duration = Duration::from_millis(500);

fn hint_for(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Busy => Some(
            "wait until the other process is done (--wait 1h does), or end it; one process at a time has a store",
        ),
        ErrorKind::NewerFormat => Some("use the release of statlas that wrote it, or a newer one"),
        _ => None,
    }
}

/// The error of opening, with what to do about it. A hint is attached only where there is one, so that the chain
/// stays short.
fn with_hint(error: statlas_store::Error, absent: &'static str) -> anyhow::Error {
    let hint = if error.kind() == ErrorKind::NotAStore { Some(absent) } else { hint_for(error.kind()) };
    let error = anyhow::Error::new(error);
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
