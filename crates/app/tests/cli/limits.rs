//! The program with little memory: every command ends by itself, whatever the system refuses.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::{Run, World, wait_until};

/// Entities of the store: several times the budget in the log, and more rows than one page of any answer.
const ENTITIES: &str = "100000";
const BUDGET: &str = "16MiB";
/// What `ulimit -d` allows, in KiB. It counts address space and not memory: stacks of threads, the room that tables
/// may grow into, and what the allocator keeps to be used again, which together is several times what is touched.
/// 96 MiB are enough on two processors; more of them have more threads. With blocks of a fixed size 160 MiB were
/// not enough.
const DATA_KIBIBYTES: u64 = 128 << 10;
/// What a control group allows, page cache and all. With blocks of a fixed size `load` needed more than 128 MiB.
const GROUP_BYTES: u64 = 64 << 20;

/// The program's name and arguments behind what a shell does first.
fn shell(world: &World, first: &str, arguments: &[&str]) -> Command {
    let program = world.command(arguments);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{first} && exec \"$0\" \"$@\"")).arg(program.get_program());
    command.args(program.get_args()).current_dir(world.path("")).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs the program with a small budget under a limit of its data.
fn run_limited(world: &World, arguments: &[&str]) -> Run {
    let arguments = [&["--memory", BUDGET], arguments].concat();
    let mut command = shell(world, &format!("ulimit -d {DATA_KIBIBYTES}"), &arguments);
    Run::new(command.output().expect("a shell"))
}

/// It did its work, or says that memory is short: no signal, no panic, nothing else.
#[track_caller]
fn expect_sane(run: &Run, arguments: &[&str]) {
    let is_short_of_memory = run.code == Some(1) && run.err.contains("memory");
    assert!(
        run.code == Some(0) || is_short_of_memory,
        "{arguments:?} ended with {:?}: {}",
        run.code,
        run.err
    );
}

/// A directory with small files and a large one.
fn write_files(world: &World) {
    for number in 0..2000_u32 {
        world.write(format!("in/{}/{number}", number % 20), number.to_le_bytes().repeat(200));
    }
    let large: Vec<u8> = (0..5_000_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    world.write("in/large", large);
}

#[test]
fn every_command_ends_by_itself_when_memory_is_limited() {
    let world = World::new();
    let lines = world.ok(&["generate", "--count", ENTITIES]).out;
    world.write("g.jsonl", &lines);
    write_files(&world);
    let commands: &[&[&str]] = &[
        &["load", "g.jsonl"],
        &["load", "g.jsonl"],
        &["import", "in"],
        &["stats"],
        &["check"],
        &["check", "--quick"],
        &["scrub"],
        &["verify-history"],
        &["backup", "backup"],
        &["--store", "restored", "restore", "backup"],
        &["export"],
        &["restore-files", "out"],
        &["find", "--limit", "0"],
        &["--json", "find", "--limit", "0", "--order-by", "resonance"],
        &["near", "file:large"],
        &["watch"],
        &["rm", "file:large"],
        &["free-blobs"],
        &["compact", "--garbage", "0"],
        &["--store", "quick", "quickstart", "in", "--entities", "20000"],
    ];
    for arguments in commands {
        let run = run_limited(&world, arguments);
        expect_sane(&run, arguments);
    }
    assert_eq!(world.json(&["find", "--count"])["count"], 100_000 + 2000);
    world.ok(&["check"]);
}

/// A control group with a limit on memory, removed when this is dropped.
struct Group(PathBuf);

impl Group {
    /// `None` where this process may not make one.
    fn new(bytes: u64) -> Option<Self> {
        let places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        places.iter().find_map(|(root, limit)| {
            let group = Path::new(root).join(format!("statlas-test-{}", std::process::id()));
            Path::new(root).join("cgroup.procs").exists().then_some(())?;
            fs::create_dir(&group).ok()?;
            let group = Self(group);
            fs::write(group.0.join(limit), bytes.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may still be counted for a moment; a group that stays does no harm.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn a_load_fits_a_small_control_group() {
    let world = World::new();
    world.write("g.jsonl", world.ok(&["generate", "--count", ENTITIES]).out);
    let Some(group) = Group::new(GROUP_BYTES) else {
        eprintln!("skipped: this process may not make a control group that limits memory");
        return;
    };
    let enter = format!("echo $$ > {}", group.0.join("cgroup.procs").display());
    for (store, settings) in [("default", &[][..]), ("small", &["--memory", BUDGET])] {
        let arguments = [settings, &["--store", store, "load", "g.jsonl"]].concat();
        let output = shell(&world, &enter, &arguments).output().expect("a shell");
        Run::new(output).expect_code(0);
    }
}

#[test]
fn with_little_memory_the_allocator_gives_back_what_was_freed() {
    let world = World::new();
    for (arguments, is_thrifty) in [(&["--memory", BUDGET][..], true), (&["--memory", "1GiB"], false)] {
        let mut load = world.start(&[arguments, &["load", "-"]].concat());
        // Once it has the store it has begun anew, if it does.
        wait_until("the store is open", || world.run(&["--wait", "0", "stats"]).code == Some(5));
        let environment = fs::read(format!("/proc/{}/environ", load.id())).expect("its environment");
        let is_set = environment.split(|byte| *byte == 0).any(|entry| entry == b"MIMALLOC_PURGE_DELAY=0");
        assert_eq!(is_set, is_thrifty, "{arguments:?}");
        drop(load.stdin.take());
        assert_eq!(load.wait().expect("it ends").code(), Some(0));
    }
}
