//! Which tables there are, and which figures stand in them.

use super::notes;
use super::table::{Better, Column, Table};
use crate::engine::Name;
use crate::sample::Sample;
use crate::section::Section;

/// A figure with its words: what stands before the case, the figure, which is better.
type Words = (&'static str, &'static str, Better);

/// All tables that have figures, in the order of the sections.
pub(super) fn all(engines: &[Name], samples: &[Sample]) -> Vec<Table> {
    let mut tables = Vec::new();
    for section in Section::ALL {
        let cases = cases(section, samples);
        match section {
            Section::Load => {
                for (size, cases) in by_size(&cases) {
                    let columns = columns(section, &cases, &LOAD);
                    tables.push((format!("Durable load, {size} values"), notes::LOAD, columns));
                }
                for (size, cases) in by_size(&cases) {
                    let columns = columns(section, &cases, &BYTES);
                    tables.push((
                        format!("Bytes for each byte of payload, {size} values"),
                        notes::BYTES,
                        columns,
                    ));
                }
            }
            Section::Single => {
                tables.push((
                    "Single durable inserts".to_owned(),
                    notes::SINGLE,
                    columns(section, &cases, &SINGLE),
                ));
            }
            Section::Get | Section::Absent => {
                let (title, note) = match section {
                    Section::Get => ("Warm gets", notes::GET),
                    _ => ("Absent gets", notes::ABSENT),
                };
                for (size, cases) in by_size(&cases) {
                    tables.push((format!("{title}, {size} values"), note, columns(section, &cases, &GET)));
                }
            }
            Section::Mixed => {
                let title = "70 % gets, 30 % puts, 4 threads".to_owned();
                tables.push((title, notes::MIXED, columns(section, &cases, &MIXED)));
            }
            Section::Scan => {
                tables.push(("Full scan".to_owned(), notes::SCAN, columns(section, &cases, &SCAN)));
            }
            Section::Reopen => {
                let title = "From opening to the first get".to_owned();
                tables.push((title, notes::REOPEN, columns(section, &cases, &REOPEN)));
            }
            Section::Memory => {
                for case in cases {
                    let columns = columns(section, std::slice::from_ref(&case), &MEMORY);
                    tables.push((format!("Little memory: {}", case.full), notes::MEMORY, columns));
                }
            }
        }
    }
    let tables =
        tables.into_iter().map(|(title, note, columns)| Table::new(title, note, &columns, engines, samples));
    tables.filter(|table| !table.is_empty()).collect()
}

const LOAD: [Words; 3] = [
    ("rows/s", "rows_per_second", Better::High),
    ("CPU µs per row", "cpu_us_per_row", Better::Low),
    ("syncs", "syncs", Better::None),
];
const BYTES: [Words; 3] = [
    ("written / value", "written_per_payload", Better::Low),
    ("written / key and value", "written_per_key_and_value", Better::Low),
    ("on disk / value", "disk_per_payload", Better::Low),
];
const SINGLE: [Words; 2] = [
    ("inserts/s", "inserts_per_second", Better::High),
    ("syncs per insert", "syncs_per_insert", Better::None),
];
const GET: [Words; 4] = [
    ("1 thread, CPU ns", "cpu_ns_1", Better::Low),
    ("wall ns", "wall_ns_1", Better::Low),
    ("2 threads, CPU ns", "cpu_ns_2", Better::Low),
    ("gets/s", "gets_per_second_2", Better::High),
];
const MIXED: [Words; 2] = [
    ("operations/s", "operations_per_second", Better::High),
    ("CPU µs", "cpu_us_per_operation", Better::Low),
];
const SCAN: [Words; 2] = [
    ("rows/s", "rows_per_second", Better::High),
    ("checked rows/s", "checked_rows_per_second", Better::None),
];
const REOPEN: [Words; 1] = [("ms", "open_ms", Better::Low)];
const MEMORY: [Words; 5] = [
    ("load, rows/s", "rows_per_second", Better::High),
    ("rows stored", "rows", Better::None),
    ("random gets/s", "gets_per_second", Better::High),
    ("CPU ns per get", "get_cpu_ns", Better::Low),
    ("peak resident bytes", "peak_bytes", Better::None),
];

/// A case of a section, in two parts: a size of values and the rest, where it has two.
#[derive(Clone)]
struct Case {
    full: String,
    size: String,
    rest: String,
}

/// The cases in the order in which they came.
fn cases(section: Section, samples: &[Sample]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.section == section) {
        if !cases.iter().any(|case| case.full == sample.case) {
            let (size, rest) = sample.case.split_once(", ").unwrap_or((&sample.case, ""));
            cases.push(Case { full: sample.case.clone(), size: size.to_owned(), rest: rest.to_owned() });
        }
    }
    cases
}

/// The cases of each size of values.
fn by_size(cases: &[Case]) -> Vec<(String, Vec<Case>)> {
    let mut groups: Vec<(String, Vec<Case>)> = Vec::new();
    for case in cases {
        match groups.iter_mut().find(|(size, _)| *size == case.size) {
            Some((_, group)) => {
                group.push(Case { full: case.full.clone(), size: String::new(), ..case.clone() })
            }
            None => groups.push((case.size.clone(), vec![Case { size: String::new(), ..case.clone() }])),
        }
    }
    groups
}

/// A column for each figure of each case. What the title of the table says already is not said again.
fn columns(section: Section, cases: &[Case], words: &[Words]) -> Vec<Column> {
    let column = |case: &Case, (title, figure, better): &Words| {
        let about = [case.size.as_str(), case.rest.as_str()];
        let about: Vec<&str> = about.into_iter().filter(|part| !part.is_empty()).collect();
        let about = if section == Section::Memory { String::new() } else { about.join(", ") };
        let title = if about.is_empty() { (*title).to_owned() } else { format!("{about}: {title}") };
        Column { title, section, case: case.full.clone(), figure, better: *better }
    };
    cases.iter().flat_map(|case| words.iter().map(|words| column(case, words))).collect()
}
