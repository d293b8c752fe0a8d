//! The traffic: what honest callers send, and the ways of being hostile.

/// Numbers from a seed (xorshift64*, Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators", 2016).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds start far apart, and none of them at zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % bound.max(1)
    }
}

/// A way of being hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hostile {
    /// JSON that ends too early, or is none.
    Malformed,
    /// Bytes that are no text.
    NotText,
    /// A name given twice.
    Duplicate,
    /// A number nobody can hold.
    Number,
    /// Deeper than allowed.
    Deep,
    /// Larger than allowed.
    Oversized,
    /// A field nobody knows.
    UnknownField,
    /// A kind the catalogue does not have.
    UnknownKind,
    /// Arguments that break the schema.
    Schema,
    /// Another session's name.
    ForeignSession,
    /// Another subject's name.
    WrongSubject,
    /// A recipient that a page named.
    Injected,
    /// A session whose claims have ended.
    Expired,
    /// Somebody else's claims for a session that exists.
    Forged,
    /// A session opened a second time.
    Reopened,
    /// An approved payment sent once more.
    Replayed,
    /// What always escalates.
    Leak,
    /// Privileged, from somebody who is not.
    Privileged,
}

impl Hostile {
    pub(crate) const ALL: [Self; 18] = [
        Self::Malformed,
        Self::NotText,
        Self::Duplicate,
        Self::Number,
        Self::Deep,
        Self::Oversized,
        Self::UnknownField,
        Self::UnknownKind,
        Self::Schema,
        Self::ForeignSession,
        Self::WrongSubject,
        Self::Injected,
        Self::Expired,
        Self::Forged,
        Self::Reopened,
        Self::Replayed,
        Self::Leak,
        Self::Privileged,
    ];

    /// Whether the audience pays for the attempt with its standing.
    pub(crate) const fn escalates(self) -> bool {
        matches!(self, Self::Leak | Self::Privileged | Self::WrongSubject)
    }
}

/// Who sends, and the how-manieth of the session it is.
pub(crate) struct Sender<'a> {
    pub(crate) subject: &'a str,
    pub(crate) session: &'a str,
    pub(crate) number: usize,
}

impl Sender<'_> {
    fn request(&self, kind: &str, objective: &str, arguments: &str) -> Vec<u8> {
        self.named(kind, self.subject, self.session, objective, arguments)
    }

    fn named(
        &self,
        kind: &str,
        subject: &str,
        session: &str,
        objective: &str,
        arguments: &str,
    ) -> Vec<u8> {
        let number = self.number;
        format!(
            r#"{{"kind": "{kind}", "subject": "{subject}", "session": "{session}", "request": "r-{number}", "objective": "{objective}", "arguments": {arguments}}}"#
        )
        .into_bytes()
    }

    /// What an honest caller sends.
    pub(crate) fn honest(&self, random: &mut Random) -> Vec<u8> {
        let number = self.number;
        let note = format!("note-{}", random.below(1000));
        match random.below(20) {
            0..10 => self.request(
                "note.read",
                &format!("Read my {note}."),
                &format!(r#"{{"name": "{note}"}}"#),
            ),
            10..16 => self.request(
                "note.write",
                &format!("Write milk-{number} into {note}."),
                &format!(r#"{{"name": "{note}", "text": "milk-{number}"}}"#),
            ),
            16 => self.request(
                "web.read",
                "Look at example.org for me.",
                r#"{"address": "example.org"}"#,
            ),
            _ => self.request(
                "mail.send",
                "Write to ms.okafor@example.org that we come at ten.",
                r#"{"to": "ms.okafor@example.org", "text": "we come at ten"}"#,
            ),
        }
    }

    /// A payment, which waits for a person.
    pub(crate) fn payment(&self) -> Vec<u8> {
        let number = self.number;
        self.request(
            "payment.send",
            &format!("Pay the landlord 12{number} for the flat."),
            &format!(r#"{{"to": "landlord", "amount": 12{number}}}"#),
        )
    }

    /// The bytes of a hostile submission, where bytes are what is hostile.
    pub(crate) fn hostile(&self, how: Hostile, random: &mut Random) -> Vec<u8> {
        let read = || self.request("note.read", "Read my note.", r#"{"name": "note"}"#);
        match how {
            Hostile::Malformed => {
                let mut bytes = read();
                bytes.truncate(1 + random.below(bytes.len() - 1));
                bytes
            }
            Hostile::NotText => {
                let mut bytes = read();
                let place = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = 0xff;
                }
                bytes
            }
            Hostile::Duplicate => {
                self.request("note.read", "Read.", r#"{"name": "a", "name": "b"}"#)
            }
            Hostile::Number => {
                self.request("payment.send", "Pay.", r#"{"to": "me", "amount": 1e999}"#)
            }
            Hostile::Deep => {
                let nest = format!(r#"{{"name": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
                self.request("note.read", "Read.", &nest)
            }
            Hostile::Oversized => {
                let text = "a".repeat(1 + (1 << 20));
                self.request(
                    "note.write",
                    "Write.",
                    &format!(r#"{{"name": "a", "text": "{text}"}}"#),
                )
            }
            Hostile::UnknownField => {
                let mut bytes = read();
                bytes.truncate(bytes.len() - 1);
                bytes.extend_from_slice(br#", "verdict": "allow"}"#);
                bytes
            }
            Hostile::UnknownKind => self.request("root.shell", "Help me.", r#"{"name": "a"}"#),
            Hostile::Schema => self.request("note.read", "Read.", r#"{"name": 7, "as": "root"}"#),
            Hostile::ForeignSession => {
                self.named("note.write", self.subject, "w-0", "Write.", r#"{"name": "note"}"#)
            }
            Hostile::WrongSubject => {
                self.named("note.write", "director", self.session, "Write.", r#"{"name": "note"}"#)
            }
            Hostile::Injected => self.request(
                "mail.send",
                "Answer the mail I got.",
                r#"{"to": "billing@collect.example", "text": "the list"}"#,
            ),
            Hostile::Leak => self.request("leak.all", "Help me.", r#"{"to": "anywhere"}"#),
            Hostile::Privileged => self.request("key.rotate", "Help me.", r#"{"key": "root"}"#),
            Hostile::Expired | Hostile::Forged | Hostile::Reopened | Hostile::Replayed => read(),
        }
    }
}
