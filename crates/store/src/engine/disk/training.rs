//! Which dictionary the texts of the next segment are compressed with: trained with texts of the one that ends,
//! or the one before as long as it pays.

use std::sync::Arc;

use super::DiskEngine;
use super::format::{COMMIT_FRAME_BYTES, Location, SegmentId, TEXT_LENGTH_BYTES};
use super::lookup::entity_at;
use super::texts::{Compressor, Encoder};
use crate::budget::MemoryUse;

/// Bytes of texts that a dictionary is made of and judged by.
const SAMPLE_BYTES: usize = 1 << 20;
/// Most bytes of a new dictionary: longer ones save little more of texts of a few hundred bytes.
const DICTIONARY_BYTES: u64 = 32 << 10;
/// A dictionary takes at most this part of a segment.
const SEGMENT_PART: u64 = 16;
/// No dictionary is shorter: with less there is nothing to find in it.
const DICTIONARY_BYTES_MIN: u64 = 128;
/// With fewer bytes of texts for each byte of the dictionary, or fewer texts, training finds nothing; the texts
/// themselves then are the dictionary.
const TRAINING_FACTOR: usize = 8;
const TRAINING_TEXTS: usize = 32;
/// What training takes beside the sample, at most.
const TRAINING_BYTES: u64 = 12 << 20;
/// A dictionary that leaves more than this part of the texts is not worth it.
const WORTHWHILE_PART: f64 = 0.9;
/// One that leaves this much more than when it was new is made anew.
const AGED_FACTOR: f64 = 1.1;

/// Texts of a segment, one in the buffer after another.
#[derive(Default)]
struct Sample {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Sample {
    fn add(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.lengths.push(text.len());
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        self.lengths.iter().map(move |length| {
            let (text, behind) = rest.split_at(*length);
            rest = behind;
            text
        })
    }

    /// What part of these texts is left if they are compressed.
    fn part_left(&self, encoder: &Encoder, compressor: &mut Compressor<'_>) -> f64 {
        let mut left = 0;
        for text in self.texts() {
            let compressed = compressor.compress(encoder, text, TEXT_LENGTH_BYTES + 1);
            left += compressed.map_or(text.len(), |bytes| bytes.len() + TEXT_LENGTH_BYTES);
        }
        left as f64 / self.bytes.len().max(1) as f64
    }
}

impl DiskEngine {
    /// What the texts of a new segment are compressed with; `None` if they stay plain. Only the holder of the
    /// commit lock may ask, before the old segment is sealed.
    pub(super) fn next_encoder(&self, ended: SegmentId) -> Option<Arc<Encoder>> {
        if !self.compresses {
            return None;
        }
        let before = self.encoder.load_full();
        let _memory = self.budget.reserve(MemoryUse::Compression, SAMPLE_BYTES as u64 * 2)?;
        let (training, judging) = self.sample(ended);
        if judging.lengths.is_empty() {
            return before;
        }
        let mut compressor = self.log.texts.compressor()?;
        let mut part_left = |encoder: &Encoder| judging.part_left(encoder, &mut compressor);
        let left_before = before.as_deref().map(&mut part_left);
        if let (Some(before), Some(left)) = (&before, left_before)
            && left <= WORTHWHILE_PART
            && left <= before.best.get_or_init(|| left) * AGED_FACTOR
        {
            return Some(Arc::clone(before));
        }
        let new = self.train(&training).and_then(|bytes| {
            let dictionary = self.log.texts.dictionary(bytes)?;
            self.log.texts.encoder(dictionary)
        });
        let left_new = new.as_ref().map(&mut part_left);
        match (new, left_new) {
            (Some(new), Some(left))
                if left <= WORTHWHILE_PART && left_before.is_none_or(|before| left < before) =>
            {
                new.best.get_or_init(|| left);
                Some(Arc::new(new))
            }
            _ => before.filter(|_| left_before.is_some_and(|left| left <= WORTHWHILE_PART)),
        }
    }

    /// Texts from all over a segment, to make a dictionary of and to judge it by.
    fn sample(&self, ended: SegmentId) -> (Sample, Sample) {
        let view = self.log.view.load();
        let reader = self.log.reader(&view);
        let places: Vec<u32> =
            self.tables.inner.read().active.live_entities().map(|(_, place)| place).collect();
        let mut samples = (Sample::default(), Sample::default());
        let bytes: usize =
            places.iter().map(|place| Location::at(ended, *place).bytes_to_fetch().max(64)).sum();
        let step = (bytes / SAMPLE_BYTES).max(1);
        // A large text is typical of itself, and would be read with system calls that may fail.
        let places = places.into_iter().filter(|place| Location::at(ended, *place).bytes_to_fetch() > 0);
        for (at, place) in places.step_by(step).enumerate() {
            let location = Location::at(ended, place);
            // What is damaged is told to whoever wants it.
            let Ok(entity) = entity_at(&reader, location) else { continue };
            let sample = if at % 2 == 0 { &mut samples.0 } else { &mut samples.1 };
            if sample.bytes.len() + entity.canonical().len() <= SAMPLE_BYTES {
                sample.add(entity.canonical());
            }
        }
        if samples.1.lengths.is_empty() {
            std::mem::swap(&mut samples.0, &mut samples.1);
        }
        samples
    }

    /// A new dictionary.
    fn train(&self, sample: &Sample) -> Option<Vec<u8>> {
        let longest = (self.segment_bytes.saturating_sub(COMMIT_FRAME_BYTES as u64) / SEGMENT_PART)
            .clamp(DICTIONARY_BYTES_MIN, DICTIONARY_BYTES) as usize;
        let is_enough =
            sample.lengths.len() >= TRAINING_TEXTS && sample.bytes.len() >= longest * TRAINING_FACTOR;
        if is_enough && let Some(_memory) = self.budget.reserve(MemoryUse::Compression, TRAINING_BYTES) {
            let mut dictionary = Vec::with_capacity(longest);
            let trained = zstd_safe::train_from_buffer(&mut dictionary, &sample.bytes, &sample.lengths);
            if trained.is_ok() && !dictionary.is_empty() {
                return Some(dictionary);
            }
        }
        // Bytes without the mark of a trained dictionary are one as they are.
        let start = sample.bytes.len().saturating_sub(longest);
        Some(sample.bytes[start..].to_vec()).filter(|bytes| !bytes.is_empty())
    }
}
