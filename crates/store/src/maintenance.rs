//! A thread that does what makes later work cheaper, as long as a store is open.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::ErrorKind;

/// How long the thread sleeps when there is nothing to do.
const PAUSE: Duration = Duration::from_millis(200);

/// An engine that a thread maintains. It is closed when this is dropped, though the thread may still be at
/// work with it for a moment.
pub(crate) struct Maintained(Arc<dyn Engine>);

impl Maintained {
    /// Begins to maintain an engine. The thread does not keep it.
    pub(crate) fn begin(engine: &Arc<dyn Engine>) -> Self {
        let weak = Arc::downgrade(engine);
        let thread = thread::Builder::new().name("statlas-maintenance".to_owned());
        // Where the system has no thread left, everything works without, but slower.
        drop(thread.spawn(move || while maintain(&weak) {}));
        Self(Arc::clone(engine))
    }
}

impl Drop for Maintained {
    fn drop(&mut self) {
        // Who wants to know whether it worked calls `close`.
        drop(self.0.close());
    }
}

/// Does one piece of work; whether the engine is still open.
fn maintain(engine: &Weak<dyn Engine>) -> bool {
    let Some(engine) = engine.upgrade() else { return false };
    let outcome = engine.maintain();
    drop(engine);
    match outcome {
        Ok(true) => true,
        Err(error) if error.kind() == ErrorKind::Closed => false,
        // The engine remembers what failed, for its figures, and when to try that again.
        Ok(false) | Err(_) => {
            thread::sleep(PAUSE);
            true
        }
    }
}
