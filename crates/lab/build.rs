//! Notes the commit that the laboratory is built from, which its results tell.

use std::path::Path;
use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let result =
        Command::new("git").args(arguments).output().ok().filter(|result| result.status.success())?;
    Some(String::from_utf8_lossy(&result.stdout).trim().to_owned())
}

fn main() {
    let commit = git(&["rev-parse", "HEAD"]);
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    let text = match (commit, changes.as_deref()) {
        (None, _) => "unknown".to_owned(),
        (Some(commit), Some("")) => commit,
        (Some(commit), _) => format!("{commit} with changes"),
    };
    println!("cargo::rustc-env=STATLAS_COMMIT={text}");
    // It is made anew after a commit, and when the sources of the workspace change.
    if let Some(path) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|path| Path::new(path).exists())
    {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-changed=..");
}
