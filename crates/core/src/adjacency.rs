//! The ids of an entity's neighbours.

use crate::limits::{ADJACENCY_MAX, ADJACENCY_MEMBER_BYTES_MAX};
use crate::{EntityError, EntityErrorKind};

/// A list of neighbours' ids, sorted by code point; duplicates stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjacency(Vec<Box<str>>);

impl Adjacency {
    /// Sorts `members` and checks them.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Adjacency`] for an empty or overlong member, or for more than [`ADJACENCY_MAX`].
    pub fn new(mut members: Vec<Box<str>>) -> Result<Self, EntityError> {
        let refused = |found: String| {
            let allowed = format!(
                "at most {ADJACENCY_MAX} non-empty ids of at most {ADJACENCY_MEMBER_BYTES_MAX} bytes"
            );
            Err(EntityError::new(EntityErrorKind::Adjacency, "adjacency", found, allowed))
        };
        if members.len() > ADJACENCY_MAX {
            return refused(format!("{} members", members.len()));
        }
        if let Some(at) = members.iter().position(|id| id.is_empty() || id.len() > ADJACENCY_MEMBER_BYTES_MAX)
        {
            return refused(format!("member {at} of {} bytes", members[at].len()));
        }
        if !members.is_sorted() {
            members.sort_unstable();
        }
        Ok(Self(members))
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.0.iter().map(|id| &**id)
    }

    /// How many members there are, duplicates counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `id` is a member.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.0.binary_search_by(|member| (**member).cmp(id)).is_ok()
    }

    /// Whether every member of `other` is one of these, as often as there.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let mut members = self.0.iter();
        other.0.iter().all(|wanted| members.find(|member| *member >= wanted) == Some(wanted))
    }
}
