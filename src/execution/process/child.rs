//! One run of a program within its limits.
//!
//! The program leads a process group. It is waited for without being reaped
//! (`waitid` with `WNOWAIT`), so that its number cannot pass to another process
//! before its group is killed.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::ProcessConfig;
use crate::limits::STDERR_BYTES;

/// How long a killed program may take to be gone.
const GRACE: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug)]
pub(super) enum Finished {
    Exit(i32),
    Signal(i32),
    TimeLimit,
    OutputLimit,
    Lost(String),
}

/// What a run left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) finished: Finished,
    pub(super) stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    /// The first line of standard error, control characters left out.
    pub(super) fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let line = text.lines().next().unwrap_or("").trim();
        line.chars().filter(|c| !c.is_control()).collect()
    }
}

enum Event {
    Exited,
    Stdout(io::Result<Vec<u8>>),
    Stderr(Vec<u8>),
}

/// Starts the program, gives it `input`, and stays with it to its end.
///
/// # Errors
/// Only when it was not started: nothing was done.
pub(super) fn run(config: &ProcessConfig, input: Vec<u8>) -> io::Result<Ended> {
    let mut child = Command::new(&config.program)
        .args(&config.args)
        .env_clear()
        .envs(&config.env)
        .current_dir(&config.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let deadline = Instant::now() + config.time_limit;
    let events = watch(&mut child, group, config.output_bytes, input);
    let mut ended = Ended { finished: Finished::TimeLimit, stdout: Vec::new(), stderr: Vec::new() };
    let events = match events {
        Ok(events) => events,
        Err(error) => {
            kill(group);
            let _gone = child.wait();
            ended.finished =
                Finished::Lost("cannot watch the program: ".to_owned() + &error.to_string());
            return Ok(ended);
        }
    };
    let stopped = collect(&events, group, deadline, config.output_bytes, &mut ended);
    kill(group);
    if !stopped.exited && !comes_to_its_end(&events) {
        ended.finished = Finished::Lost("the program could not be killed".to_owned());
        return Ok(ended);
    }
    let status = child.wait();
    ended.finished = match (stopped.why, status) {
        (Some(why), _) => why,
        (None, Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => Finished::Exit(code),
            (None, signal) => Finished::Signal(signal.unwrap_or(0)),
        },
        (None, Err(error)) => Finished::Lost(error.to_string()),
    };
    Ok(ended)
}

struct Stopped {
    exited: bool,
    why: Option<Finished>,
}

/// Takes in events until the program is gone and both pipes are closed, or a limit is met.
fn collect(
    events: &Receiver<Event>,
    group: Pid,
    deadline: Instant,
    output_bytes: usize,
    ended: &mut Ended,
) -> Stopped {
    let (mut exited, mut has_stdout, mut has_stderr) = (false, false, false);
    while !(exited && has_stdout && has_stderr) {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left) {
            Ok(Event::Exited) => {
                exited = true;
                // What it leaves behind would hold the pipes open.
                kill(group);
            }
            Ok(Event::Stdout(Ok(bytes))) => {
                has_stdout = true;
                if bytes.len() > output_bytes {
                    return Stopped { exited, why: Some(Finished::OutputLimit) };
                }
                ended.stdout = bytes;
            }
            Ok(Event::Stdout(Err(error))) => {
                return Stopped { exited, why: Some(Finished::Lost(error.to_string())) };
            }
            Ok(Event::Stderr(bytes)) => {
                has_stderr = true;
                ended.stderr = bytes;
            }
            Err(_) => return Stopped { exited, why: Some(Finished::TimeLimit) },
        }
    }
    Stopped { exited, why: None }
}

/// Waits for the end of a program that was killed.
fn comes_to_its_end(events: &Receiver<Event>) -> bool {
    let deadline = Instant::now() + GRACE;
    loop {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Exited) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn kill(group: Pid) {
    // The group may be empty by now; there is nothing to do about any other answer.
    let _gone = kill_process_group(group, Signal::KILL);
}

/// Threads that feed the program, read it and wait for it. They are not joined: one
/// that a descendant keeps waiting ends with that descendant.
fn watch(
    child: &mut Child,
    leader: Pid,
    output_bytes: usize,
    input: Vec<u8>,
) -> io::Result<Receiver<Event>> {
    let (sender, events) = mpsc::channel();
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
    };
    let missing = || io::Error::other("a pipe is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let to = |sender: &Sender<Event>| sender.clone();
    let done = to(&sender);
    spawn(
        "module-wait",
        Box::new(move || {
            wait(leader);
            let _gone = done.send(Event::Exited);
        }),
    )?;
    let out = to(&sender);
    spawn(
        "module-stdout",
        Box::new(move || {
            let mut bytes = Vec::new();
            let most = output_bytes as u64 + 1;
            let read = stdout.take(most).read_to_end(&mut bytes);
            let _gone = out.send(Event::Stdout(read.map(|_| bytes)));
        }),
    )?;
    spawn(
        "module-stderr",
        Box::new(move || {
            let mut bytes = Vec::new();
            let mut stderr = stderr;
            let _read = stderr.by_ref().take(STDERR_BYTES).read_to_end(&mut bytes);
            // The rest is read and forgotten: a program must not wait for room to complain.
            let _rest = io::copy(&mut stderr, &mut io::sink());
            let _gone = sender.send(Event::Stderr(bytes));
        }),
    )?;
    spawn(
        "module-stdin",
        Box::new(move || {
            // A program that does not read all of its input may have reasons.
            let _written = stdin.write_all(&input);
        }),
    )?;
    Ok(events)
}

/// Returns when the program has ended; it is not reaped.
fn wait(leader: Pid) {
    loop {
        match waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}
