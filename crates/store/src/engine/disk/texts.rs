//! Compressed texts of entities, made and read, and the memory that this takes.
//!
//! Dictionaries are read when the first text of their segment is, and equal ones are one in memory. What reading
//! takes is held whether the budget has it or not, since a text can't be read without; what writing takes is
//! reserved, and without it texts stay plain.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use zstd_safe::{CCtx, CDict, DCtx};

use super::dictionary::{DICTIONARY_DAMAGED, Dictionary, read_dictionary};
use super::format::{Frame, Location};
use super::log::{LogFile, corrupt};
use crate::budget::{Budget, MemoryUse, Reservation};
use crate::error::{Error, Result};

/// How much effort is made: what a higher level saves of short texts with a dictionary is not worth its time.
const LEVEL: i32 = 3;
/// What preparing a dictionary for writing takes at most, beside itself.
const PREPARED_BYTES: u64 = 1 << 20;
/// What compressing takes beside that before it is known better.
const CONTEXT_BYTES: u64 = 1 << 20;

/// The dictionary of a segment, once it was looked for; `None` if it can't be read.
pub(super) type DictionarySlot = OnceLock<Option<Arc<Dictionary>>>;

/// What the texts of a store are read and written with.
pub(super) struct Texts {
    budget: Arc<Budget>,
    known: Mutex<HashMap<[u8; 32], Weak<Dictionary>>>,
    /// Idle ones, at most one for each thread that runs at once.
    readers: Mutex<Vec<Idle<DCtx<'static>>>>,
    writers: Mutex<Vec<Idle<CCtx<'static>>>>,
    idle_max: usize,
}

/// A context of zstd's, and what it takes.
struct Idle<C> {
    context: C,
    memory: Reservation,
}

impl Texts {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            known: Mutex::default(),
            readers: Mutex::default(),
            writers: Mutex::default(),
            idle_max: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// The one dictionary with these bytes; `None` if they are none.
    pub(super) fn dictionary(&self, bytes: Vec<u8>) -> Option<Arc<Dictionary>> {
        let hold = |bytes| Some(self.budget.hold(MemoryUse::Compression, bytes));
        let made = Dictionary::new(bytes, hold)?;
        let mut known = self.known.lock();
        if let Some(found) = known.get(&made.key).and_then(Weak::upgrade) {
            return Some(found);
        }
        known.retain(|_, dictionary| dictionary.strong_count() > 0);
        known.insert(made.key, Arc::downgrade(&made));
        Some(made)
    }

    /// The dictionary of a segment; `None` if it has none or it can't be read.
    pub(super) fn dictionary_of(&self, file: &LogFile) -> Result<Option<Arc<Dictionary>>> {
        if let Some(found) = file.dictionary.get() {
            return Ok(found.clone());
        }
        let failed = |error| Error::io(format!("reading {} failed", file.id.file_name()), error);
        let read = read_dictionary(&*file.file, file.written(), file.salt).map_err(failed)?;
        let found = read.and_then(std::result::Result::ok).and_then(|bytes| self.dictionary(bytes));
        Ok(file.dictionary.get_or_init(|| found).clone())
    }

    /// Makes the frame of a compressed entity anew with its text plain; whether it is one.
    pub(super) fn expand(
        &self,
        file: &LogFile,
        location: Location,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let dictionary = self.dictionary_of(file)?.ok_or_else(|| corrupt(location, DICTIONARY_DAMAGED))?;
        let idle = self.readers.lock().pop();
        let mut idle = idle.unwrap_or_else(|| {
            let context = DCtx::create();
            let memory = self.budget.hold(MemoryUse::Compression, context.sizeof() as u64);
            Idle { context, memory }
        });
        let expanded = frame
            .expand(out, |compressed, text| dictionary.expand(&mut idle.context, compressed, text))
            .map_err(|reason| corrupt(location, reason));
        self.put_back(&self.readers, idle);
        expanded
    }

    fn put_back<C>(&self, to: &Mutex<Vec<Idle<C>>>, idle: Idle<C>) {
        let mut all = to.lock();
        if all.len() < self.idle_max {
            all.push(idle);
        }
    }

    /// Something to compress texts with; `None` if there is no memory for it.
    pub(super) fn compressor(&self) -> Option<Compressor<'_>> {
        let idle = self.writers.lock().pop();
        let idle = match idle {
            Some(idle) => idle,
            None => {
                let memory = self.budget.reserve(MemoryUse::Compression, CONTEXT_BYTES)?;
                Idle { context: CCtx::create(), memory }
            }
        };
        Some(Compressor { texts: self, idle: Some(idle), buffer: Vec::new() })
    }

    /// What the texts of a segment that was begun before are written with, if they are to be compressed.
    pub(super) fn encoder_of(&self, file: &LogFile, compresses: bool) -> Result<Option<Arc<Encoder>>> {
        let dictionary = self.dictionary_of(file)?.filter(|_| compresses);
        Ok(dictionary.and_then(|dictionary| self.encoder(dictionary)).map(Arc::new))
    }

    /// A dictionary made ready to write with; `None` if there is no memory for it.
    pub(super) fn encoder(&self, dictionary: Arc<Dictionary>) -> Option<Encoder> {
        let room = PREPARED_BYTES + dictionary.bytes.len() as u64;
        let mut memory = self.budget.reserve(MemoryUse::Compression, room)?;
        let prepared = CDict::try_create(&dictionary.bytes, LEVEL)?;
        memory.resize(prepared.sizeof() as u64);
        Some(Encoder { dictionary, prepared, best: OnceLock::new(), _memory: memory })
    }
}

/// A dictionary that is written with.
pub(super) struct Encoder {
    pub(super) dictionary: Arc<Dictionary>,
    prepared: CDict<'static>,
    /// What part of texts was left of them when it was first used.
    pub(super) best: OnceLock<f64>,
    _memory: Reservation,
}

/// Compresses one text after another.
pub(super) struct Compressor<'a> {
    texts: &'a Texts,
    idle: Option<Idle<CCtx<'static>>>,
    buffer: Vec<u8>,
}

impl Compressor<'_> {
    /// The text compressed, if it takes at least `saved` bytes less then.
    pub(super) fn compress(&mut self, encoder: &Encoder, text: &[u8], saved: usize) -> Option<&[u8]> {
        let room = text.len().checked_sub(saved)?;
        let idle = self.idle.as_mut()?;
        self.buffer.resize(room.max(self.buffer.len()), 0);
        let written =
            idle.context.compress_using_cdict(&mut self.buffer[..room], text, &encoder.prepared).ok()?;
        Some(&self.buffer[..written])
    }
}

impl Drop for Compressor<'_> {
    fn drop(&mut self) {
        if let Some(mut idle) = self.idle.take() {
            idle.memory.resize(idle.context.sizeof() as u64);
            self.texts.put_back(&self.texts.writers, idle);
        }
    }
}
