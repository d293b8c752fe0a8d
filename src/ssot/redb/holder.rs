//! Who holds a store: a note beside its file, for whoever comes second.
//!
//! The lock that keeps others out is redb's, on the store's own file; the system tells
//! nobody whose it is. So the writer leaves a note, `STORE.holder`, with its process, its
//! program and the time, and keeps a lock of its own on the note for as long as it lives.
//!
//! INVARIANT (no stale name): a note counts only while its lock is held. It is written and
//! locked under another name and then moved into place, so that what stands there is either
//! whole and locked by whoever holds the store, or left by one who is gone.
//!
//! Readers leave no note. On Linux they, and programs that are not this one, are found in
//! the system's own list of locks, `/proc/locks`, with their process; since when is not said
//! there. Processes are numbered as the holder's own namespace numbers them.

use std::boxed::Box;
use std::format;
use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::string::String;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::HOLDER_BYTES;
use crate::time::{Clock as _, SystemClock, Timestamp};

const FIRST_LINE: &str = "prospera holder 1";
/// Most characters of a program's name that are shown.
const SHOWN: usize = 64;

/// The note of whoever holds a store; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Holder {
    path: PathBuf,
    /// The lock lasts as long as the file is open.
    _locked: File,
}

impl Holder {
    /// Leaves the note of this process beside a store that it holds. `None` where it cannot
    /// be written: the store works without it.
    pub(super) fn announce(store: &Path) -> Option<Self> {
        let path = path_of(store);
        let part = unique(&path);
        let locked = write(&part).and_then(|file| fs::rename(&part, &path).map(|()| file));
        if let Ok(file) = locked {
            return Some(Self { path, _locked: file });
        }
        let _none = fs::remove_file(&part);
        None
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The store is held still: nobody else has put a note there meanwhile.
        let _gone_already = fs::remove_file(&self.path);
    }
}

/// Who holds a store that could not be opened, as far as it is certain.
pub(super) fn find(store: &Path) -> Option<Box<str>> {
    noted(&path_of(store)).or_else(|| listed(store)).map(String::into_boxed_str)
}

fn write(part: &Path) -> std::io::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).open(part)?;
    file.try_lock().map_err(std::io::Error::from)?;
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_name).unwrap_or_default();
    let (program, process) = (plain(&program.to_string_lossy()), process::id());
    let since = SystemClock.now().as_millis();
    file.write_all(
        format!("{FIRST_LINE}\nprocess {process}\nprogram {program}\nsince {since}\n").as_bytes(),
    )?;
    Ok(file)
}

/// What a note says whose lock is held.
fn noted(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        // Nobody holds it, or the system keeps no locks here: it may be anybody's.
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    (&file).take(HOLDER_BYTES as u64).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let process: u32 = field("process")?.parse().ok()?;
    let program = plain(field("program")?);
    let since = Timestamp::from_millis(field("since")?.parse().ok()?);
    Some(if process == self::process::id() {
        format!("this very process (`{program}`, process {process}) since {since}")
    } else {
        format!("`{program}`, process {process}, since {since}")
    })
}

#[cfg(not(target_os = "linux"))]
fn listed(_: &Path) -> Option<String> {
    None
}

/// What the system's list of locks says about a file.
#[cfg(target_os = "linux")]
fn listed(store: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let file = fs::metadata(store).ok()?;
    let (device, inode) = (file.dev(), file.ino());
    let major = (device >> 8) & 0xfff | (device >> 32) & 0xffff_f000;
    let minor = device & 0xff | (device >> 12) & 0xffff_ff00;
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let (process, reads) = locks.lines().find_map(|line| owner(line, &place))?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let (name, what) = (plain(&name), if reads { "a reader" } else { "a writer" });
    let process = format!("process {process}");
    Some(if name.is_empty() {
        format!("{what}, {process}")
    } else {
        format!("{what}, `{name}`, {process}")
    })
}

/// The process of a line such as `1: FLOCK  ADVISORY  READ 4711 fe:00:1234 0 EOF`, and
/// whether it only reads. Those that wait have an arrow there, and locks that belong to no
/// one process have no number above 0.
#[cfg(target_os = "linux")]
fn owner(line: &str, place: &str) -> Option<(u32, bool)> {
    let mut words = line.split_whitespace().skip(1);
    let (_kind, _advisory, mode) = (words.next()?, words.next()?, words.next()?);
    let process: u32 = words.next()?.parse().ok()?;
    (words.next()? == place && process > 0).then_some((process, mode == "READ"))
}

fn path_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".holder");
    name.into()
}

/// A name that no other process or thread uses.
pub(super) fn unique(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{count}.part", process::id()));
    name.into()
}

/// A name on one line, and not too long.
fn plain(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control() && *c != '`').take(SHOWN).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_only_while_it_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("log.redb");
        let path = path_of(&store);
        let note = Holder::announce(&store).unwrap();
        let said = noted(&path).unwrap();
        assert!(said.contains(&format!("process {}", process::id())), "{said}");
        // Left by one who was killed: the same bytes, and nobody's lock.
        let text = fs::read(&path).unwrap();
        drop(note);
        assert!(!path.exists());
        fs::write(&path, &text).unwrap();
        assert_eq!(noted(&path), None);
        // The next takes its place.
        let next = Holder::announce(&store).unwrap();
        assert!(noted(&path).is_some());
        drop(next);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn a_note_that_says_something_else_is_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.holder");
        let whole = "prospera holder 1\nprocess 7\nprogram a\u{1b}[2J`b\nsince 0\n";
        for (text, expected) in [
            (whole, true),
            ("prospera holder 2\nprocess 7\nprogram a\nsince 0\n", false),
            ("prospera holder 1\nprocess x\nprogram a\nsince 0\n", false),
            ("prospera holder 1\nprocess 7\n", false),
            ("", false),
        ] {
            fs::write(&path, text).unwrap();
            let held = File::open(&path).unwrap();
            held.lock().unwrap();
            let said = noted(&path);
            assert_eq!(said.is_some(), expected, "{text}");
            if let Some(said) = said {
                assert_eq!(said, "`a[2Jb`, process 7, since 1970-01-01T00:00:00.000Z");
            }
        }
        fs::write(&path, [&[b'x'; 4096][..], whole.as_bytes()].concat()).unwrap();
        let held = File::open(&path).unwrap();
        held.lock().unwrap();
        assert_eq!(noted(&path), None, "read no further than the bound");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_list_is_read_as_it_is_written() {
        let place = "fe:00:1234";
        let lines = [
            ("1: FLOCK  ADVISORY  READ 4711 fe:00:1234 0 EOF", Some((4711, true))),
            ("2: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF", Some((4711, false))),
            ("3: OFDLCK ADVISORY  WRITE -1 fe:00:1234 0 EOF", None),
            ("4: -> FLOCK  ADVISORY  WRITE 12 fe:00:1234 0 EOF", None),
            ("5: FLOCK  ADVISORY  READ 4711 fe:00:12345 0 EOF", None),
            ("6: FLOCK", None),
        ];
        for (line, expected) in lines {
            assert_eq!(owner(line, place), expected, "{line}");
        }
    }
}
