//! What is left when the power fails: any part of what was not synced.

use std::sync::Arc;

use super::content::Content;
use super::state::{Change, FileState, FolderState, State};
use crate::testing::Random;

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process dies and the system goes on: all is there, still unsynced.
    Killed,
    /// The power fails, and nothing that was not synced is there.
    Nothing,
    /// The power fails, and everything is there, as luck would have it.
    Everything,
    /// The power fails; each unsynced change is there or not, whatever became of those before it.
    Subset,
    /// As `Subset`, and of one write only some pieces of so many bytes are there.
    Torn(usize),
    /// Earlier changes are lost and later ones are there.
    Reordered,
}

/// What becomes of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Torn(usize),
}

impl Crash {
    /// The fates of the unsynced changes of one file or folder; `is_write` tells which can be torn.
    fn fates(self, is_write: &[bool], random: &mut Random) -> Vec<Fate> {
        let count = is_write.len();
        let kept = |is_kept: bool| if is_kept { Fate::Kept } else { Fate::Lost };
        match self {
            Self::Killed | Self::Everything => vec![Fate::Kept; count],
            Self::Nothing => vec![Fate::Lost; count],
            Self::Subset => {
                let percent = random.pick(&[20, 50, 80]);
                (0..count).map(|_| kept(random.chance(percent))).collect()
            }
            Self::Torn(piece) => {
                let percent = random.pick(&[50, 100]);
                let mut fates: Vec<Fate> = (0..count).map(|_| kept(random.chance(percent))).collect();
                let writes: Vec<usize> = (0..count).filter(|at| is_write[*at]).collect();
                // The last write is the one that is usually under way.
                let torn = if random.chance(50) { writes.last().copied() } else { None };
                let torn = torn.or_else(|| (!writes.is_empty()).then(|| random.pick(&writes)));
                if let Some(torn) = torn {
                    fates[torn] = Fate::Torn(piece);
                }
                fates
            }
            Self::Reordered => {
                let lost = 1 + random.below(count.max(1));
                (0..count).map(|at| kept(at >= lost || at + 1 == count)).collect()
            }
        }
    }
}

impl State {
    /// What the device has after a crash, as a disk of its own.
    pub(super) fn crash(&self, crash: Crash, random: &mut Random) -> Self {
        let mut left = self.clone();
        if crash == Crash::Killed {
            return left;
        }
        for file in left.files.values_mut().filter(|file| !file.is_synced()) {
            let content = survive(file, crash, random);
            *file = Arc::new(FileState::settled(content));
        }
        for folder in left.folders.values_mut().filter(|folder| !folder.journal.is_empty()) {
            let mut names = folder.durable.clone();
            let fates = crash.fates(&vec![false; folder.journal.len()], random);
            let kept = folder.journal.iter().zip(fates).filter(|(_, fate)| *fate != Fate::Lost);
            kept.for_each(|(change, _)| change.apply(&mut names));
            *folder = Arc::new(FolderState { visible: names.clone(), durable: names, journal: Vec::new() });
        }
        left
    }
}

/// What the device has of a file.
fn survive(file: &FileState, crash: Crash, random: &mut Random) -> Content {
    if crash == Crash::Everything {
        return file.visible.clone();
    }
    let mut content = file.durable.clone();
    let is_write: Vec<bool> =
        file.journal.iter().map(|change| matches!(change, Change::Write { .. })).collect();
    for (change, fate) in file.journal.iter().zip(crash.fates(&is_write, random)) {
        match (fate, change) {
            (Fate::Kept, change) => change.apply(&mut content),
            (Fate::Torn(piece), Change::Write { offset, bytes }) => {
                tear(&mut content, *offset, bytes, piece, random);
                lengthen(&mut content, offset + bytes.len(), random);
            }
            (Fate::Lost, Change::Write { offset, bytes }) if crash != Crash::Nothing => {
                lengthen(&mut content, offset + bytes.len(), random);
            }
            (Fate::Lost | Fate::Torn(_), _) => {}
        }
    }
    content
}

/// Some file systems note the new length of a file before its bytes are there: then they read as zeros.
fn lengthen(content: &mut Content, len: usize, random: &mut Random) {
    if random.chance(50) && content.len() < len {
        content.set_len(len);
    }
}

/// Writes some of the pieces that a write covers, cut where the device cuts.
fn tear(content: &mut Content, offset: usize, bytes: &[u8], piece_bytes: usize, random: &mut Random) {
    let mut at = 0;
    while at < bytes.len() {
        let end = (((offset + at) / piece_bytes + 1) * piece_bytes - offset).min(bytes.len());
        if random.chance(50) {
            content.write(offset + at, &bytes[at..end]);
        }
        at = end;
    }
}
