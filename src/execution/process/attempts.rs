//! Which keys a program was started for. An entry: one byte (1 started, 2 done, 3
//! without effect) and the key (32 bytes).

use alloc::string::ToString as _;
use std::path::Path;

use hashbrown::{HashMap, HashSet};

use crate::encode::{Decode, Encode, Reader, Writer, byte_enum};
use crate::execution::IdempotencyKey;
use crate::execution::journal::{Journal, JournalError};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Started,
    Done,
    NoEffect,
}

byte_enum!(Standing, "a standing", { Started = 1, Done = 2, NoEffect = 3, });

struct Entry(Standing, IdempotencyKey);

impl Encode for Entry {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.0).value(&self.1);
    }
}

/// The keys, kept in a journal.
#[derive(Debug)]
pub(super) struct Attempts {
    journal: Journal,
    keys: HashMap<IdempotencyKey, Standing>,
    running: HashSet<IdempotencyKey>,
}

impl Attempts {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let mut keys = HashMap::new();
        let journal = Journal::open(path, |body| {
            let mut input = Reader::new(body);
            let read = |input: &mut Reader<'_>| {
                Ok((Standing::decode(input)?, IdempotencyKey::decode(input)?))
            };
            let (standing, key) = read(&mut input)
                .and_then(|entry| input.finish().map(|()| entry))
                .map_err(|error: crate::encode::DecodeError| error.to_string())?;
            match keys.insert(key, standing) {
                None | Some(Standing::Started) => Ok(()),
                Some(_) => Err("a key that was settled is settled again".into()),
            }
        })?;
        Ok(Self { journal, keys, running: HashSet::new() })
    }

    pub(super) fn standing(&self, key: &IdempotencyKey) -> Option<Standing> {
        self.keys.get(key).copied()
    }

    /// Whether the key's program runs now, in this process.
    pub(super) fn is_running(&self, key: &IdempotencyKey) -> bool {
        self.running.contains(key)
    }

    /// Makes it durable that the program is started for a key that was never used.
    pub(super) fn start(&mut self, key: IdempotencyKey) -> Result<(), JournalError> {
        self.record(key, Standing::Started)?;
        self.running.insert(key);
        Ok(())
    }

    /// The program has ended; how is recorded where it is known. What cannot be written
    /// stays started, and is asked for at replay.
    pub(super) fn end(&mut self, key: IdempotencyKey, known: Option<Standing>) {
        self.running.remove(&key);
        if let Some(standing) = known {
            let _written = self.settle(key, standing);
        }
    }

    fn record(&mut self, key: IdempotencyKey, standing: Standing) -> Result<(), JournalError> {
        self.journal.append(&Entry(standing, key))?;
        self.keys.insert(key, standing);
        Ok(())
    }

    /// Settles a key that is unknown or started; `false` when it is settled otherwise.
    pub(super) fn settle(
        &mut self,
        key: IdempotencyKey,
        standing: Standing,
    ) -> Result<bool, JournalError> {
        match self.standing(&key) {
            Some(Standing::Started) => {}
            None if standing == Standing::NoEffect => {}
            found => return Ok(found == Some(standing)),
        }
        self.record(key, standing).map(|()| true)
    }
}
