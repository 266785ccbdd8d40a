//! Processes of their own, for what can only be measured where nothing else was before: memory.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::store_memory::{StoreMemory, StoreRequest, measure};
use super::tokens::fresh::{Filled, TokenRequest, fill};
use crate::error::{Error, Result};

/// How often it is looked whether a child has ended, and whether it shall.
const POLL: Duration = Duration::from_millis(2);

/// The program that measures memory in a process of its own: it is started with these arguments and a request behind
/// them, hands the request to [`answer_child`], and prints the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChildProgram {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
    /// Variables that are set for it.
    pub environment: Vec<(OsString, OsString)>,
}

/// What is asked of a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Request {
    Store(StoreRequest),
    Tokens(TokenRequest),
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Answer {
    Store(StoreMemory),
    Tokens(Filled),
}

/// The memory of a store, in a child, or in this process if there is no program.
pub(super) fn measure_store(
    child: Option<&ChildProgram>,
    request: StoreRequest,
    goes_on: &dyn Fn() -> bool,
) -> Result<StoreMemory> {
    match ask(child, &Request::Store(request), goes_on)? {
        Answer::Store(memory) => Ok(memory),
        Answer::Tokens(_) => Err(other_answer()),
    }
}

/// Tokens made in memory that is new, in a child, or in this process if there is no program.
pub(super) fn fill_with_tokens(
    child: Option<&ChildProgram>,
    request: TokenRequest,
    goes_on: &dyn Fn() -> bool,
) -> Result<Filled> {
    match ask(child, &Request::Tokens(request), goes_on)? {
        Answer::Tokens(filled) => Ok(filled),
        Answer::Store(_) => Err(other_answer()),
    }
}

fn other_answer() -> Error {
    Error::Invalid("a child: what it answers is not what it was asked for".to_owned())
}

fn answer(request: &Request, goes_on: &dyn Fn() -> bool) -> Result<Answer> {
    match request {
        Request::Store(request) => measure(request, goes_on).map(Answer::Store),
        Request::Tokens(request) => fill(request).map(Answer::Tokens),
    }
}

fn ask(child: Option<&ChildProgram>, request: &Request, goes_on: &dyn Fn() -> bool) -> Result<Answer> {
    let Some(child) = child else { return answer(request, goes_on) };
    let refused = |error: serde_json::Error| Error::Invalid(format!("what a child said: {error}"));
    let text = serde_json::to_string(request).map_err(refused)?;
    let place = child.program.display();
    let failed = |error| Error::io(format!("running {place}"), error);
    let mut process = Command::new(&child.program)
        .args(&child.arguments)
        .arg(text)
        .envs(child.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    let status = loop {
        if let Some(status) = process.try_wait().map_err(failed)? {
            break status;
        }
        if !goes_on() {
            // It may have ended by itself meanwhile.
            let _gone = process.kill();
            let _status = process.wait();
            return Err(Error::Interrupted);
        }
        thread::sleep(POLL);
    };
    let mut answer = String::new();
    if let Some(mut stdout) = process.stdout.take() {
        stdout.read_to_string(&mut answer).map_err(failed)?;
    }
    match status.success() {
        true => serde_json::from_str(&answer).map_err(refused),
        // Ctrl-C ends children, too.
        false if !goes_on() => Err(Error::Interrupted),
        false => {
            Err(Error::Invalid(format!("{place}: the process that measures memory ended with {status}")))
        }
    }
}

/// Does what a request asks for, in this process, and returns the answer: what the program of a [`ChildProgram`] calls.
///
/// # Errors
///
/// [`Error::Invalid`] if it is no request; that a store can't be made.
pub fn answer_child(request: &str) -> Result<String> {
    let refused = |error: serde_json::Error| Error::Invalid(format!("a request of a child: {error}"));
    let request: Request = serde_json::from_str(request).map_err(refused)?;
    let answer = answer(&request, &|| true)?;
    serde_json::to_string(&answer).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::super::store_memory::{Act, Things};
    use super::*;

    #[test]
    fn a_program_that_fails_is_an_error_and_one_that_hangs_can_be_ended() {
        let request = Request::Store(StoreRequest {
            act: Act::Store,
            things: Things::Nodes,
            count: 1,
            seed: 1,
            store: None,
            memory_bytes_max: None,
        });
        let text = serde_json::to_string(&request).expect("it can be written");
        let answered = answer_child(&text).expect("it is done");
        assert!(matches!(serde_json::from_str(&answered), Ok(Answer::Store(_))), "{answered}");
        assert!(answer_child("{}").is_err_and(|error| error.to_string().contains("request")));
        let program = |program: &str, argument: &str| ChildProgram {
            program: program.into(),
            arguments: vec![argument.into(), "x".into()],
            environment: Vec::new(),
        };
        let failing = ask(Some(&program("false", "")), &request, &|| true);
        assert!(failing.is_err_and(|error| error.to_string().contains("ended with")));
        let absent = ask(Some(&program("/nowhere/at/all", "")), &request, &|| true);
        assert!(absent.is_err_and(|error| error.to_string().contains("/nowhere")));
        let hanging = ChildProgram {
            program: "sh".into(),
            // The process itself, so that nothing is left when it is ended.
            arguments: vec!["-c".into(), "exec sleep 600".into()],
            environment: Vec::new(),
        };
        assert!(matches!(ask(Some(&hanging), &request, &|| false), Err(Error::Interrupted)));
    }
}
