//! Which process something belongs to.
//!
//! A process that is forked from another has all of its memory and files, and so its open stores. Two processes that
//! write to one log would destroy it, so what writes asks first whether it is still where it was opened.

#[cfg(target_os = "linux")]
use memmap2::MmapMut;

/// The process that made this.
#[derive(Debug)]
pub(crate) struct Owner {
    process: u32,
    /// A page that the system empties in a process that is forked: looking at it is much cheaper than asking for the
    /// number of the process. None where the system can't do that.
    #[cfg(target_os = "linux")]
    page: Option<MmapMut>,
}

impl Owner {
    /// The process that calls this.
    pub(crate) fn this_process() -> Self {
        Self {
            process: std::process::id(),
            #[cfg(target_os = "linux")]
            page: emptied_in_forks(),
        }
    }

    /// Whether the process that calls this is the one that made it.
    pub(crate) fn is_here(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(page) = &self.page {
            return page.first() == Some(&1);
        }
        self.process == std::process::id()
    }

    /// The number of the process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }
}

/// A page that begins with 1 in this process, and with 0 in those that are forked from it.
#[cfg(target_os = "linux")]
fn emptied_in_forks() -> Option<MmapMut> {
    let mut page = MmapMut::map_anon(1).ok()?;
    page[0] = 1;
    // SAFETY: the range is the mapping that was made above, private and anonymous as the advice wants it, and this
    // process sees no change of it.
    let is_taken = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) } == 0;
    is_taken.then_some(page)
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn who_made_it_is_here() {
        let owner = Owner::this_process();
        assert!(owner.is_here() && owner.process() == std::process::id());
    }
}
