//! Every input of the fuzz targets' corpus, given to its target once.

use std::fs;
use std::path::Path;

// The fuzz targets are a workspace of their own; here they are a module.
#[path = "../../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, unused_imports, reason = "it is public where it is a crate")]
mod targets;

#[test]
fn every_target_takes_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let folder = fs::read_dir(corpus.join(name)).expect("the target has a corpus");
        let mut inputs: Vec<_> = folder.map(|input| input.expect("it can be listed").path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no input");
        for input in inputs {
            println!("{name}: {}", input.display());
            target(&fs::read(&input).expect("the input can be read"));
        }
    }
}
