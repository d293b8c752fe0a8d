//! Every way in which bytes may be written down, to search for.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "what is searched for depends on the features"
)]

/// What must not be found, in all its forms.
#[derive(Debug, Default)]
pub(crate) struct Marks(Vec<(String, Vec<u8>)>);

/// Base64 with either alphabet.
fn base64(bytes: &[u8], last: [u8; 2]) -> String {
    let mut alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    alphabet.extend(last);
    let bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let number = |six: &[bool]| six.iter().fold(0, |n, bit| n * 2 + usize::from(*bit));
    bits.chunks_exact(6).map(|six| char::from(alphabet[number(six)])).collect()
}

impl Marks {
    /// A secret of this name; a part of twelve bytes counts as much as all of it.
    pub(crate) fn bytes(mut self, name: &str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 12, "{name}");
        for start in (0..=secret.len() - 12).step_by(5) {
            let part = &secret[start..start + 12];
            let mut add = |form: &str, bytes: Vec<u8>| {
                self.0.push((format!("{name}, {form} from byte {start}"), bytes));
            };
            let join = |each: &dyn Fn(&u8) -> String, between: &str| {
                part.iter().map(each).collect::<Vec<_>>().join(between).into_bytes()
            };
            add("raw", part.to_vec());
            for between in ["", " ", ", ", ":"] {
                add("hex", join(&|byte| format!("{byte:02x}"), between));
                add("HEX", join(&|byte| format!("{byte:02X}"), between));
            }
            for between in [",", ", ", ",\n"] {
                add("numbers", join(&|byte| format!("{byte}"), between));
            }
            for shift in 0..3 {
                // The digits that are made of these bytes alone, wherever they stand.
                let shifted = [&[0; 2][..shift], part].concat();
                for last in [*b"+/", *b"-_"] {
                    let text = base64(&shifted, last);
                    let own = if shift == 0 { 0 } else { 3.min(shift + 1) };
                    add("base64", text[own..text.len() - 1].into());
                }
            }
        }
        self
    }

    /// A secret text, and each part of it between dots that is long enough to tell.
    pub(crate) fn text(mut self, name: &str, secret: &str) -> Self {
        for part in secret.split('.').filter(|part| part.len() >= 16) {
            for start in (0..=part.len() - 16).step_by(16) {
                let piece = part.as_bytes()[start..start + 16].to_vec();
                self.0.push((format!("{name} from letter {start}"), piece));
            }
        }
        self
    }

    /// The first that stands in there, and where: one walk for all forms.
    fn search(&self, haystack: &[u8]) -> Option<(&str, usize)> {
        let mut begin = vec![Vec::new(); 1 << 16];
        for (name, form) in &self.0 {
            begin[usize::from(form[0]) << 8 | usize::from(form[1])].push((name, form));
        }
        haystack.windows(2).enumerate().find_map(|(at, two)| {
            let here = &begin[usize::from(two[0]) << 8 | usize::from(two[1])];
            here.iter().find(|(_, form)| haystack[at..].starts_with(form)).map(|(name, _)| {
                let name: &str = name;
                (name, at)
            })
        })
    }

    /// Fails when any of them stands in there.
    #[track_caller]
    pub(crate) fn absent(&self, place: &str, haystack: impl AsRef<[u8]>) {
        let haystack = haystack.as_ref();
        let Some((name, at)) = self.search(haystack) else { return };
        let near = &haystack[at.saturating_sub(200)..(at + 100).min(haystack.len())];
        panic!("{place} shows {name}: {}", near.escape_ascii());
    }

    /// Whether any stands in there.
    pub(crate) fn found(&self, haystack: impl AsRef<[u8]>) -> bool {
        self.search(haystack.as_ref()).is_some()
    }
}

/// The search finds what it must.
#[test]
fn every_form_of_a_secret_is_found() {
    let secret: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(37).wrapping_add(200)).collect();
    let marks = Marks::default().bytes("key", &secret);
    for (before, after) in [("", ""), ("x", "y"), ("xy", "z"), ("xyz", "xyz")] {
        let around = [before.as_bytes(), &secret, after.as_bytes()].concat();
        for last in [*b"+/", *b"-_"] {
            assert!(marks.found(base64(&around, last)), "base64 after {before:?}");
        }
    }
    for shown in [
        format!("{secret:?}"),
        format!("{secret:#?}").replace(' ', ""),
        format!("{secret:02x?}"),
        secret.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat(),
    ] {
        assert!(marks.found(&shown), "{shown}");
    }
    assert!(marks.found(&secret) && !marks.found(&secret[..11]));
    let token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    let marks = Marks::default().text("token", token);
    assert!(marks.found(format!("refused `{token}`")) && !marks.found("eyJhbGciOiJFZER"));
}
