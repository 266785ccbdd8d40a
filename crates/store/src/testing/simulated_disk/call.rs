//! The calls that a simulated disk answers, counted, and how one of them can fail.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What a storage can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the methods of the storage")]
pub enum Operation {
    Open,
    Create,
    Rename,
    Remove,
    List,
    CreateFolder,
    SyncFolder,
    Len,
    SetLen,
    Write,
    Read,
    Sync,
    Map,
}

impl Operation {
    const COUNT: usize = Self::Map as usize + 1;

    /// Whether it may change what is on the disk.
    pub(in crate::testing) fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Len | Self::Read | Self::Map)
    }

    /// Whether it takes space on the device.
    fn takes_space(self) -> bool {
        matches!(self, Self::Create | Self::CreateFolder | Self::Write | Self::Rename)
    }

    /// The faults that such a call can have.
    #[must_use]
    pub fn faults(self) -> &'static [Fault] {
        match self {
            Self::Open => &[Fault::Io, Fault::TooManyFiles],
            Self::Create => &[Fault::Io, Fault::NoSpace, Fault::TooManyFiles],
            Self::List | Self::SyncFolder => &[Fault::Io, Fault::TooManyFiles],
            Self::Rename | Self::CreateFolder => &[Fault::Io, Fault::NoSpace],
            Self::Remove | Self::Len | Self::SetLen => &[Fault::Io],
            Self::Write => {
                &[Fault::Io, Fault::NoSpace, Fault::HalfThenNoSpace, Fault::Interrupted, Fault::Half]
            }
            Self::Read => &[Fault::Io, Fault::Interrupted, Fault::Half],
            Self::Sync => &[Fault::SyncLost, Fault::SyncKept, Fault::SyncAgain, Fault::NoSpace],
            Self::Map => &[Fault::Io, Fault::NoMemory],
        }
    }
}

/// One call of many: the `number`-th of an operation on a file, counted from 0. Segments are read by several
/// threads at once, so that no other count would be the same each time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The file or folder.
    pub name: Arc<str>,
    /// What it is asked for.
    pub operation: Operation,
    /// Which of those calls it is.
    pub number: u32,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} number {} of {}", self.operation, self.number, self.name)
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO.
    Io,
    /// ENOSPC.
    NoSpace,
    /// EMFILE.
    TooManyFiles,
    /// ENOMEM.
    NoMemory,
    /// EINTR: nothing was done, and the call can be made again.
    Interrupted,
    /// Half of the bytes are read or written, which is no error.
    Half,
    /// Half of the bytes are written, and the next write says ENOSPC: a device that is full.
    HalfThenNoSpace,
    /// EIO from a sync; what was not synced reads as it was before.
    SyncLost,
    /// EIO from a sync; what was not synced can be read, and no later sync writes it.
    SyncKept,
    /// EIO from a sync; a later sync writes what this one did not.
    SyncAgain,
    /// EIO, and EIO from every later call of any kind.
    Gone,
    /// A sync says that it was done, and nothing was; no device that works does that.
    Lie,
    /// The call does not return: a bug in the program ends the thread.
    Panic,
}

impl Fault {
    /// Whether the call does something, though not what it should.
    pub(super) fn is_partial(self) -> bool {
        matches!(
            self,
            Self::Half
                | Self::HalfThenNoSpace
                | Self::SyncLost
                | Self::SyncKept
                | Self::SyncAgain
                | Self::Lie
        )
    }

    pub(super) fn error(self) -> io::Error {
        assert!(self != Self::Panic, "simulated bug");
        // Error numbers differ between systems; the kind is what is looked at.
        let kind = match self {
            Self::NoSpace | Self::HalfThenNoSpace => io::ErrorKind::StorageFull,
            Self::NoMemory => io::ErrorKind::OutOfMemory,
            Self::Interrupted => io::ErrorKind::Interrupted,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, format!("simulated {self:?}"))
    }
}

/// A fault and when it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The first call that it strikes.
    pub call: Call,
    /// What happens to it.
    pub fault: Fault,
    /// Whether later calls are struck too: those of the same operation on any file; for a full device all
    /// that take space.
    pub for_good: bool,
}

/// Counts calls, and strikes those that the plan names.
#[derive(Debug, Default)]
pub(super) struct Calls {
    counts: HashMap<Arc<str>, [u32; Operation::COUNT]>,
    plan: Option<Plan>,
    has_struck: bool,
    /// The next write finds the device full.
    is_full: bool,
    /// Every sync is a lie.
    pub(super) syncs_lie: bool,
    pub(super) folder_syncs_lie: bool,
}

impl Calls {
    pub(super) fn plan(&mut self, plan: Option<Plan>) {
        self.plan = plan;
        self.has_struck = false;
        self.is_full = false;
    }

    pub(super) fn has_struck(&self) -> bool {
        self.has_struck
    }

    /// Every call that was made, in an order that is the same for the same calls.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Operation, u32)> {
        use Operation as O;
        const ALL: [Operation; Operation::COUNT] = [
            O::Open,
            O::Create,
            O::Rename,
            O::Remove,
            O::List,
            O::CreateFolder,
            O::SyncFolder,
            O::Len,
            O::SetLen,
            O::Write,
            O::Read,
            O::Sync,
            O::Map,
        ];
        let mut all = Vec::new();
        for (name, counts) in &self.counts {
            all.extend(
                ALL.into_iter().map(|operation| (name.clone(), operation, counts[operation as usize])),
            );
        }
        all.retain(|(_, _, count)| *count > 0);
        all.sort();
        all
    }

    /// Counts a call, and tells what strikes it.
    pub(super) fn count(&mut self, name: &str, operation: Operation) -> Option<Fault> {
        let number = match self.counts.get_mut(name) {
            Some(counts) => {
                let number = counts[operation as usize];
                counts[operation as usize] += 1;
                number
            }
            None => {
                let mut counts = [0; Operation::COUNT];
                counts[operation as usize] = 1;
                self.counts.insert(name.into(), counts);
                0
            }
        };
        match operation {
            Operation::Sync if self.syncs_lie => return Some(Fault::Lie),
            Operation::SyncFolder if self.folder_syncs_lie => return Some(Fault::Lie),
            Operation::Write if std::mem::take(&mut self.is_full) => return Some(Fault::NoSpace),
            _ => {}
        }
        let plan = self.plan.as_ref()?;
        let is_first = !self.has_struck
            && plan.call.operation == operation
            && plan.call.number == number
            && *plan.call.name == *name;
        let strikes = is_first || (self.has_struck && plan.for_good && plan.goes_on(operation));
        if !strikes {
            return None;
        }
        self.has_struck = true;
        self.is_full = plan.fault == Fault::HalfThenNoSpace && !plan.for_good;
        if plan.fault == Fault::HalfThenNoSpace && !is_first {
            Some(Fault::NoSpace)
        } else {
            Some(plan.fault)
        }
    }
}

impl Plan {
    fn goes_on(&self, operation: Operation) -> bool {
        match self.fault {
            Fault::Gone => true,
            Fault::NoSpace | Fault::HalfThenNoSpace => operation.takes_space(),
            _ => operation == self.call.operation,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasting = if self.for_good { "for good" } else { "once" };
        write!(f, "{} fails {lasting} with {:?}", self.call, self.fault)
    }
}
