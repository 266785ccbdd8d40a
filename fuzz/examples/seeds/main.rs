//! Writes the corpus: `seeds DIRECTORY`. The same every time, but for the ids of real stores and for times.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use statlas_core::Token;
use statlas_fuzz::{TARGETS, sample};
use statlas_store::testing::{Random, crowd, token};
use statlas_store::{BackupOptions, Location, NotedHead, Options, Query, ScrubOptions, Store};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(corpus), None) = (arguments.next(), arguments.next()) else {
        eprintln!("seeds: name the directory of the corpus");
        return ExitCode::from(2);
    };
    match Corpus(corpus.into()).write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seeds: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A folder for each target.
struct Corpus(PathBuf);

impl Corpus {
    fn write(&self) -> io::Result<()> {
        for (target, _) in TARGETS {
            fs::create_dir_all(self.0.join(target))?;
        }
        self.write_entities()?;
        self.write_texts()?;
        self.write_sample()?;
        self.write_real_store()
    }

    fn add(&self, target: &str, name: &str, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        fs::write(self.0.join(target).join(name), bytes)
    }

    fn write_entities(&self) -> io::Result<()> {
        for (number, entity) in crowd(3, 12).iter().enumerate() {
            let mut json = Vec::new();
            entity.to_json_into(&mut json);
            let name = format!("crowd-{number:02}");
            self.add("entity_json", &name, &json)?;
            self.add("entity_canonical", &name, entity.canonical())?;
            self.add("uri", &name, entity.uri().to_string())?;
        }
        let spaced = br#" { "id" : "b\u00e9\ud83d\ude00" , "profile":"stat7", "entity_type":"concept","realm":"data",
            "coordinates": {"realm":"data","lineage":1,"adjacency":["z","a","a"],"horizon":"genesis",
            "resonance":5e-1,"velocity":-0.0,"density":0.7499999999999}, "created_at":"2025-01-01T01:00:00+01:00",
            "state": {"b":[1,-2.50,1e300,true,null,"\u0000\t"],"a":{"z":{},"":[]}} } "#;
        self.add("entity_json", "spaced", spaced)?;
        for (name, text) in STATES {
            self.add("state_json", name, text)?;
        }
        for (name, token) in [("plain", token(7)), ("large", token(Token::LOCAL_ID_MAX))] {
            let mut json = Vec::new();
            token.to_json_into(&mut json);
            self.add("token_json", name, &json)?;
            self.add("token_bytes", name, token.to_bytes())?;
        }
        let mut reference = [0; Token::BYTES];
        reference[..48].copy_from_slice(&[127, 0].repeat(24));
        self.add("token_bytes", "reference", reference)?;
        self.add("token_bytes", "extreme", [0x80, 0x7f].repeat(32))?;
        self.write_tokens()
    }

    /// Many tokens, and files of them as the target takes them: four copies of the header, what is missing, tokens.
    fn write_tokens(&self) -> io::Result<()> {
        let tokens: Vec<u8> = (0..5).flat_map(|number| token(number * 1000).to_bytes()).collect();
        self.add("token_batch", "some", &tokens)?;
        self.add("token_batch", "cut", &tokens[..200])?;
        self.add("token_batch", "reference", [[127, 0].repeat(24), vec![0; 16]].concat().repeat(3))?;
        self.add("token_batch", "extreme", [0x80, 0x7f].repeat(96))?;
        let nothing = [0; 64];
        let file = |headers: [[u8; 64]; 4], missing: u16, tokens: &[u8]| {
            [&headers.concat(), &missing.to_le_bytes()[..], tokens].concat()
        };
        let (first, last) = (header(0, 0, &[]), header(1, 5, &tokens));
        let mut newer = last;
        newer[8] = 2;
        self.add("token_file", "empty", file([first, first, nothing, nothing], 0, &[]))?;
        self.add("token_file", "some", file([first, first, last, last], 0, &tokens))?;
        self.add("token_file", "one_copy", file([first, first, nothing, last], 0, &tokens))?;
        self.add("token_file", "cut", file([first, first, last, last], 65, &tokens))?;
        self.add("token_file", "newer", file([first, first, newer, newer], 0, &tokens))?;
        self.add("token_file", "zeros", file([nothing; 4], 9, &[]))
    }

    fn write_texts(&self) -> io::Result<()> {
        for (name, text) in NAMES {
            self.add("names", name, text)?;
        }
        for (name, text) in FILE_NAMES {
            self.add("file_name", name, text)?;
        }
        let head = NotedHead { revision: 1200, chain: [0xab; 32] };
        self.add("cursor", "head", head.to_string())
    }

    /// The files of the sample, which are on no real disk.
    fn write_sample(&self) -> io::Result<()> {
        let disk = sample().disk;
        for name in disk.names() {
            let bytes = disk.content(&name).unwrap_or_default();
            let short = name.trim_start_matches("log/").replace('.', "-");
            match name.rsplit_once('.') {
                Some((_, "seg")) => {
                    self.add("segment", &short, &bytes)?;
                    self.add("opened_log", &short, &bytes)?;
                }
                Some((_, "idx")) => self.add("sidecar", &short, &bytes)?,
                _ if name == "STATLAS" => self.add("store_header", &short, &bytes)?,
                _ => {}
            }
        }
        let store = disk.open_store(&Options { maintenance: false, ..Options::default() }).map_err(other)?;
        let page = store.engine().find(&Query { limit: 3, ..Query::default() }).map_err(other)?;
        if let Some(next) = page.next {
            self.add("cursor", "next", next.to_string())?;
        }
        for bytes_max in [1, 0] {
            let options = ScrubOptions { bytes_max, ..ScrubOptions::default() };
            store.engine().scrub(&options, &mut |_, _| ()).map_err(other)?;
            let state = disk.content("SCRUB").unwrap_or_default();
            if bytes_max == 1 {
                // Between two frames' beginnings; and more bytes read than can be counted. The target seals them.
                for (name, at, value) in [("between-frames", 24, 8), ("counted-out", 48, u64::MAX)] {
                    let mut astray = state.clone();
                    astray[at..at + 8].copy_from_slice(&value.to_le_bytes());
                    self.add("scrub_state", name, astray)?;
                }
            }
            self.add("scrub_state", if bytes_max == 0 { "done" } else { "under-way" }, state)?;
        }
        let mut random = Random::new(5);
        for edits in 1..6 {
            self.add("damaged_store", &format!("edits-{edits}"), random.bytes(edits * 6))?;
        }
        for (number, operation) in [0_u8, 1, 2, 3, 4, 5].into_iter().enumerate() {
            self.add("damaged_store", &format!("edit-{number}"), [2, operation, 0, 8, 16, 0])?;
        }
        Ok(())
    }

    /// What only a store in a directory has.
    fn write_real_store(&self) -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("statlas-seeds-{}", std::process::id()));
        let written = self.write_from(&folder);
        fs::remove_dir_all(&folder)?;
        written
    }

    fn write_from(&self, folder: &Path) -> io::Result<()> {
        let location = Location::Disk(folder.join("store"));
        let options = Options { maintenance: false, segment_bytes: 1 << 20, ..Options::default() };
        let store = Store::open(&location, &options).map_err(other)?;
        let large = Random::new(9).bytes(3 << 20);
        let file = store.files().put(&mut &large[..]).map_err(other)?;
        let manifest = store.engine().blob(&file.id).map_err(other)?;
        self.add("file_manifest", "large", manifest.map(|blob| blob.bytes).unwrap_or_default())?;
        let empty = b"STMF\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        self.add("file_manifest", "empty", empty)?;
        for (number, entity) in crowd(4, 5).into_iter().enumerate() {
            store.put(entity).map_err(other)?;
            let (to, options) = (folder.join("backup"), BackupOptions::default());
            store.engine().backup(&to, &options, &mut |_, _| ()).map_err(other)?;
            if number % 2 == 0 {
                self.add("backup_manifest", &format!("backup-{number}"), fs::read(to.join("BACKUP"))?)?;
            }
        }
        Ok(())
    }
}

fn other(error: statlas_store::Error) -> io::Error {
    io::Error::other(error)
}

/// The header of a file of tokens, with zeros for its checksum, which the target makes right.
fn header(sequence: u64, count: u64, tokens: &[u8]) -> [u8; 64] {
    let mut header = [0; 64];
    header[..8].copy_from_slice(b"STATTOKN");
    header[8..12].copy_from_slice(&1_u32.to_le_bytes());
    header[12..16].copy_from_slice(&crc32c::crc32c(tokens).to_le_bytes());
    header[16..24].copy_from_slice(&sequence.to_le_bytes());
    header[24..32].copy_from_slice(&count.to_le_bytes());
    header
}

const STATES: [(&str, &str); 6] = [
    ("empty", "{}"),
    ("numbers", r#"{"a":[0,-0,1e5,1E-7,123456789012345678901234567890,0.1,5e-324,1.7976931348623157e308]}"#),
    ("strings", r#"{"\u00e9":"\ud83d\ude00 \" \\ \/ \b\f\n\r\t","é":"ü"}"#),
    ("nested", r#"{"a":{"b":{"c":[[[{}]]]}},"z":null,"y":true,"x":false}"#),
    ("order", r#"{"b":1,"a":2,"A":3,"":4,"\u0001":5,"aa":6}"#),
    ("spaces", " {\n\t\"a\" :\r [ 1 , 2 ] } "),
];

const NAMES: [(&str, &str); 8] = [
    ("address", "2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188"),
    ("prefix", "2a803d2"),
    ("time", "2025-01-01T00:00:00.000Z"),
    ("zone", "1999-12-31T23:59:59.123456-05:30"),
    ("profile", "fractalstat"),
    ("identifier", "a_realm_of_its_own_with_32_bytes"),
    ("location", "disk:some/where"),
    ("record", "notes/r1"),
];

const FILE_NAMES: [(&str, &str); 5] = [
    ("plain", "photos/2025/a b.jpg"),
    ("percent", "100%25/%FF%FE"),
    ("unicode", "größe/größer"),
    ("up", "a/../b"),
    ("hidden", "a%2F..%2Fb/%2E%2E"),
];
