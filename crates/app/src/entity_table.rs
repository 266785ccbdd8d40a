//! Entities as rows of a table.

use anyhow::Result;
use statlas_core::{Dimensions, EntityHead};
use statlas_store::StoredEntity;

use crate::output::printable;
use crate::table::Align;

/// Digits of an address that are shown: enough to name it among billions.
pub(crate) const ADDRESS_DIGITS_SHOWN: usize = 12;
/// Longest id that is shown whole, in characters.
const ID_CHARS_MAX: usize = 56;

/// The columns of [`cells`].
pub(crate) const COLUMNS: [(&str, Align); 8] = [
    ("address", Align::Left),
    ("id", Align::Left),
    ("type", Align::Left),
    ("realm", Align::Left),
    ("horizon", Align::Left),
    ("lineage", Align::Right),
    ("profile", Align::Left),
    ("position", Align::Left),
];

/// One row: the realm and the horizon are those of the coordinates.
pub(crate) fn cells(entity: &StoredEntity) -> Result<Vec<String>> {
    let head = entity.head()?;
    Ok(vec![
        short_address(entity),
        short_id(&head.id),
        head.entity_type.to_string(),
        head.coordinates.realm.to_string(),
        head.coordinates.horizon.to_string(),
        head.coordinates.lineage.to_string(),
        head.coordinates.profile().to_string(),
        position(&head),
    ])
}

/// The first digits of the address.
pub(crate) fn short_address(entity: &StoredEntity) -> String {
    entity.address().to_string().chars().take(ADDRESS_DIGITS_SHOWN).collect()
}

/// An id for a column; the middle of a long one is left out, for both ends of a path tell something.
pub(crate) fn short_id(id: &str) -> String {
    let id = printable(id);
    let count = id.chars().count();
    if count <= ID_CHARS_MAX {
        return id;
    }
    let half = (ID_CHARS_MAX - 1) / 2;
    let start: String = id.chars().take(half).collect();
    let end: String = id.chars().skip(count - half).collect();
    format!("{start}…{end}")
}

fn position(head: &EntityHead<'_>) -> String {
    match &head.coordinates.dimensions {
        Dimensions::Stat7(stat7) => format!(
            "resonance {:+.3} velocity {:+.3} density {:.3}",
            stat7.resonance(),
            stat7.velocity(),
            stat7.density()
        ),
        Dimensions::FractalStat(fractal) => format!(
            "luminosity {:.2} {} dimensionality {} {}",
            fractal.luminosity(),
            fractal.polarity,
            fractal.dimensionality,
            fractal.alignment
        ),
    }
}
