//! What may change from one version of an id to the next.

use std::fmt::Display;

use crate::adjacency::Adjacency;
use crate::entity::EntityHead;
use crate::error::{EntityError, EntityErrorKind};

/// Checks that `next` may follow `head`, the last version of the same id.
///
/// The id, the entity type, both realms, the lineage and the time of creation never change; the adjacency
/// list only gains members, duplicates counted. Nor does the profile change, since the dimensions of one
/// say nothing in the other. Everything else may change.
///
/// # Errors
///
/// [`EntityErrorKind::Mutability`] with the first field that changed, its new value and what was allowed.
pub fn check_new_version(head: &EntityHead<'_>, next: &EntityHead<'_>) -> Result<(), EntityError> {
    let (old, new) = (&head.coordinates, &next.coordinates);
    unchanged("id", &head.id, &next.id)?;
    unchanged("profile", &old.profile(), &new.profile())?;
    unchanged("entity_type", &head.entity_type, &next.entity_type)?;
    unchanged("realm", &head.realm, &next.realm)?;
    unchanged("created_at", &head.created_at, &next.created_at)?;
    unchanged("coordinates.realm", &old.realm, &new.realm)?;
    unchanged("coordinates.lineage", &old.lineage, &new.lineage)?;
    only_gains(&old.adjacency, &new.adjacency)
}

fn unchanged<T: PartialEq + Display>(field: &'static str, old: &T, new: &T) -> Result<(), EntityError> {
    if old == new {
        return Ok(());
    }
    let allowed = format!("unchanged from {old}");
    Err(EntityError::new(EntityErrorKind::Mutability, field, new, allowed))
}

fn only_gains(old: &Adjacency, new: &Adjacency) -> Result<(), EntityError> {
    if new.includes(old) {
        return Ok(());
    }
    let found = match old.iter().find(|id| !new.contains(id)) {
        Some(lost) => format!("no {lost:?}"),
        None => "a duplicate less".to_owned(),
    };
    let allowed = "every member of the version before, and more";
    Err(EntityError::new(EntityErrorKind::Mutability, "coordinates.adjacency", found, allowed))
}

#[cfg(test)]
mod tests {
    use super::check_new_version;
    use crate::adjacency::Adjacency;
    use crate::coordinates::{Alignment, Coordinates, Dimensions, FractalStat, Polarity, Stat7};
    use crate::entity::EntityHead;
    use crate::{EntityErrorKind, Identifier, Timestamp};

    fn name(text: &str) -> Identifier {
        Identifier::new(text).expect("legal identifier")
    }

    fn adjacency(members: &[&str]) -> Adjacency {
        Adjacency::new(members.iter().map(|id| (*id).into()).collect()).expect("legal adjacency")
    }

    fn head() -> EntityHead<'static> {
        EntityHead {
            id: "bc-0001".into(),
            entity_type: name("concept"),
            realm: name("data"),
            coordinates: Coordinates {
                realm: name("void"),
                lineage: 1,
                adjacency: adjacency(&["n1", "n1", "n2"]),
                horizon: name("genesis"),
                dimensions: Dimensions::Stat7(Stat7::new(0.5, 0.25, 0.75).expect("legal dimensions")),
            },
            created_at: Timestamp::from_unix_ms(0).expect("legal time"),
        }
    }

    #[test]
    fn what_may_change_may_change() {
        let mut next = head();
        next.coordinates.horizon = name("peak");
        next.coordinates.dimensions =
            Dimensions::Stat7(Stat7::new(-0.5, 0.0, 0.0).expect("legal dimensions"));
        next.coordinates.adjacency = adjacency(&["n0", "n1", "n1", "n2", "n2"]);
        assert_eq!(check_new_version(&head(), &next), Ok(()));
        assert_eq!(check_new_version(&head(), &head()), Ok(()));
    }

    #[test]
    fn what_may_not_change_is_refused_with_its_old_and_its_new_value() {
        type Change = fn(&mut EntityHead<'static>);
        let changes: [(Change, &str, &str, &str); 10] = [
            (|next| next.id = "bc-0002".into(), "id", "bc-0002", "unchanged from bc-0001"),
            (|next| next.entity_type = name("agent"), "entity_type", "agent", "unchanged from concept"),
            (|next| next.realm = name("void"), "realm", "void", "unchanged from data"),
            (
                |next| next.created_at = Timestamp::from_unix_ms(1).expect("legal time"),
                "created_at",
                "1970-01-01T00:00:00.001Z",
                "unchanged from 1970-01-01T00:00:00.000Z",
            ),
            (
                |next| next.coordinates.realm = name("data"),
                "coordinates.realm",
                "data",
                "unchanged from void",
            ),
            (|next| next.coordinates.lineage = 2, "coordinates.lineage", "2", "unchanged from 1"),
            (
                |next| {
                    let dimensions = FractalStat::new(1.0, Polarity::Logic, 1, Alignment::Harmonic);
                    next.coordinates.dimensions =
                        Dimensions::FractalStat(dimensions.expect("legal dimensions"));
                },
                "profile",
                "fractalstat",
                "unchanged from stat7",
            ),
            (
                |next| next.coordinates.adjacency = adjacency(&["n1", "n1", "n3"]),
                "coordinates.adjacency",
                "no \"n2\"",
                "every member of the version before, and more",
            ),
            (
                |next| next.coordinates.adjacency = adjacency(&["n1", "n2", "n3"]),
                "coordinates.adjacency",
                "a duplicate less",
                "every member of the version before, and more",
            ),
            (
                |next| next.coordinates.adjacency = adjacency(&[]),
                "coordinates.adjacency",
                "no \"n1\"",
                "every member of the version before, and more",
            ),
        ];
        for (change, field, found, allowed) in changes {
            let mut next = head();
            change(&mut next);
            let error = check_new_version(&head(), &next).expect_err(field);
            assert_eq!(error.kind(), EntityErrorKind::Mutability);
            assert_eq!((error.field(), error.found(), error.allowed()), (field, found, allowed));
        }
    }
}
