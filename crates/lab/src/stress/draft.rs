//! Figures before anything was measured.

use super::engine::Engine;
use crate::quantity::Unit;
use crate::report::{Better, Figure};
use crate::threshold::Bound;

/// What stands in ids and names for the percentile that a figure is about.
const PERCENTILE: &str = "{}";

/// A figure without samples. Its id lacks the number of the scenario, which the session puts before it.
#[derive(Debug, Clone)]
pub(super) struct Draft(pub(super) Figure);

impl Draft {
    pub(super) fn new(id: impl Into<String>, name: impl Into<String>, unit: Unit, better: Better) -> Self {
        Self(Figure {
            id: id.into(),
            section: String::new(),
            name: name.into(),
            engine: None,
            unit,
            samples: Vec::new(),
            better,
            published: None,
            bound: None,
            definition: String::new(),
        })
    }

    /// A length of time, of which less is better.
    pub(super) fn time(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(id, name, Unit::Seconds, Better::Lower)
    }

    /// A rate, of which more is better.
    pub(super) fn rate(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(id, name, Unit::PerSecond, Better::Higher)
    }

    /// How many times one thing is another.
    pub(super) fn ratio(id: impl Into<String>, name: impl Into<String>, better: Better) -> Self {
        Self::new(id, name, Unit::Times, better)
    }

    /// An amount of memory or of storage, of which less is better.
    pub(super) fn bytes(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(id, name, Unit::Bytes, Better::Lower)
    }

    /// How it is measured.
    pub(super) fn by(mut self, definition: impl Into<String>) -> Self {
        self.0.definition = definition.into();
        self
    }

    /// What was published of it, word for word.
    pub(super) fn published(mut self, text: &str) -> Self {
        self.0.published = Some(text.to_owned());
        self
    }

    pub(super) fn at_most(mut self, bound: f64) -> Self {
        self.0.bound = Some(Bound::AtMost(bound));
        self
    }

    pub(super) fn at_least(mut self, bound: f64) -> Self {
        self.0.bound = Some(Bound::AtLeast(bound));
        self
    }

    /// The engine that it is measured on.
    pub(super) fn on(mut self, engine: &Engine) -> Self {
        self.0.engine = Some(engine.name().to_owned());
        self
    }

    /// The same for one percentile, whose name takes the place of `{}` in id and name.
    pub(super) fn for_percentile(&self, name: &str) -> Self {
        let mut draft = self.clone();
        draft.0.id = draft.0.id.replace(PERCENTILE, name);
        draft.0.name = draft.0.name.replace(PERCENTILE, name);
        draft
    }
}

/// A whole number for people: `100,000`.
pub(super) fn counted(count: impl TryInto<u64>) -> String {
    Unit::Count.format(count.try_into().unwrap_or(u64::MAX) as f64)
}
