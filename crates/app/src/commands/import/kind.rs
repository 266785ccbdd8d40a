//! The realm of a file by its kind, which its name tells.

/// What a file's name ends with, in lower case, for each realm.
const ENDINGS: [(&str, &[&str]); 6] = [
    (
        "data",
        &[
            "arrow", "avro", "bin", "csv", "dat", "db", "geojson", "h5", "hdf5", "json", "jsonl", "mdb",
            "ndjson", "npy", "npz", "orc", "parquet", "pickle", "pkl", "proto", "rdb", "snap", "sqlite",
            "sqlite3", "tsv", "xls", "xlsx", "xml",
        ],
    ),
    (
        "narrative",
        &[
            "adoc", "asciidoc", "doc", "docx", "epub", "htm", "html", "man", "markdown", "md", "mdx", "odt",
            "org", "pdf", "ps", "rst", "rtf", "tex", "txt",
        ],
    ),
    (
        "system",
        &[
            "a",
            "apk",
            "bat",
            "cfg",
            "cmake",
            "cmd",
            "conf",
            "deb",
            "dll",
            "dylib",
            "exe",
            "gz",
            "ini",
            "iso",
            "jar",
            "key",
            "ld",
            "lib",
            "lock",
            "mk",
            "o",
            "pem",
            "properties",
            "ps1",
            "rlib",
            "rpm",
            "service",
            "sh",
            "so",
            "tar",
            "tgz",
            "toml",
            "wasm",
            "xz",
            "yaml",
            "yml",
            "zip",
            "zst",
        ],
    ),
    (
        "faculty",
        &[
            "asm", "awk", "c", "cc", "clj", "cpp", "cs", "css", "cu", "cxx", "d", "dart", "el", "erl", "ex",
            "exs", "f90", "fs", "glsl", "go", "h", "hpp", "hs", "hxx", "inc", "java", "jl", "js", "jsx",
            "kt", "lisp", "lua", "m", "ml", "mli", "mm", "nim", "pas", "php", "pl", "pm", "py", "pyi", "r",
            "rb", "rs", "s", "scala", "scm", "sql", "svelte", "swift", "ts", "tsx", "v", "vb", "vim", "vue",
            "wgsl", "zig",
        ],
    ),
    ("event", &["evtx", "journal", "log", "out", "pcap", "pcapng", "trace"]),
    (
        "pattern",
        &[
            "aac", "aiff", "avi", "avif", "blend", "bmp", "eps", "flac", "gif", "glb", "gltf", "heic", "ico",
            "jpeg", "jpg", "m4a", "mid", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "obj", "ogg", "opus",
            "otf", "png", "psd", "raw", "stl", "svg", "tga", "tif", "tiff", "ttf", "wav", "webm", "webp",
            "woff", "woff2",
        ],
    ),
];

/// Names without an ending that tell all the same.
const NAMES: [(&str, &str); 11] = [
    ("authors", "narrative"),
    ("changelog", "narrative"),
    ("changes", "narrative"),
    ("copying", "narrative"),
    ("license", "narrative"),
    ("news", "narrative"),
    ("notice", "narrative"),
    ("readme", "narrative"),
    ("todo", "narrative"),
    ("dockerfile", "system"),
    ("makefile", "system"),
];

/// The realm of files of unknown kind.
const UNKNOWN: &str = "void";

/// The realm of a file by its name, the last part of its path.
pub(super) fn realm(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, ending)| ending);
    let by_ending = ending.and_then(|ending| {
        ENDINGS.iter().find(|(_, endings)| endings.binary_search(&ending).is_ok()).map(|(realm, _)| *realm)
    });
    // LICENSE-MIT and README.old are what they begin with.
    let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
    let by_name = || NAMES.iter().find(|(known, _)| *known == stem).map(|(_, realm)| *realm);
    by_ending.or_else(by_name).unwrap_or(UNKNOWN)
}

/// The polarity that goes with a realm.
pub(super) fn polarity(realm: &str) -> statlas_core::Polarity {
    use statlas_core::Polarity;
    match realm {
        "data" => Polarity::Technical,
        "narrative" => Polarity::Community,
        "system" => Polarity::Order,
        "faculty" => Polarity::Logic,
        "event" => Polarity::Chaos,
        "pattern" => Polarity::Creative,
        "void" => Polarity::Void,
        _ => Polarity::Balance,
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::REALMS;

    use super::{ENDINGS, NAMES, realm};

    #[test]
    fn the_table_is_sorted_and_names_known_realms() {
        for (realm, endings) in ENDINGS {
            assert!(REALMS.contains(&realm) && endings.is_sorted(), "{realm}");
        }
        assert!(NAMES.iter().all(|(_, realm)| REALMS.contains(realm)));
        let mut all: Vec<&str> = ENDINGS.iter().flat_map(|(_, endings)| endings.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "an ending stands twice");
    }

    #[test]
    fn the_name_tells_the_realm() {
        for (name, expected) in [
            ("main.rs", "faculty"),
            ("Photo.JPG", "pattern"),
            ("a.tar.gz", "system"),
            ("LICENSE-MIT", "narrative"),
            ("README", "narrative"),
            ("Makefile", "system"),
            (".gitignore", "void"),
            (".rs", "void"),
            ("noextension", "void"),
            ("größe.md", "narrative"),
        ] {
            assert_eq!(realm(name), expected, "{name}");
        }
    }
}
