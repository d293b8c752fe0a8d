//! What cosigners sign (C2SP `tlog-cosignature`).

use alloc::format;
use alloc::vec::Vec;

#[cfg(feature = "ml-dsa")]
use super::KeyError;
use super::KeyName;
use crate::ssot::checkpoint::Checkpoint;

/// The longest name and the longest origin that the ML-DSA-44 message has room for.
#[cfg(feature = "ml-dsa")]
const NAME_BYTES: usize = 255;

/// The message of an Ed25519 cosignature: a header, the time, and the whole text.
pub(super) fn ed25519(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

/// The message of an ML-DSA-44 cosignature, a `cosigned_message`: `None` when the text is
/// no checkpoint, or a name has no room in it.
///
/// | bytes | what |
/// |---|---|
/// | 12 | `subtree/v1`, newline, zero |
/// | 1 + n | the cosigner's name after its length |
/// | 8 | the time, seconds since 1970, big-endian |
/// | 1 + n | the log's origin after its length |
/// | 8, 8 | 0 and the size: the whole tree; big-endian |
/// | 32 | the root |
pub(super) fn ml_dsa_44(name: &KeyName, seconds: u64, text: &str) -> Option<Vec<u8>> {
    let checkpoint = Checkpoint::parse(text).ok()?;
    let mut out = Vec::from(*b"subtree/v1\n\0");
    text_of(&mut out, name.as_str())?;
    out.extend_from_slice(&seconds.to_be_bytes());
    text_of(&mut out, checkpoint.origin().as_str())?;
    out.extend_from_slice(&0_u64.to_be_bytes());
    out.extend_from_slice(&checkpoint.size().to_be_bytes());
    out.extend_from_slice(checkpoint.root().as_bytes());
    Some(out)
}

fn text_of(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.push(u8::try_from(text.len()).ok().filter(|length| *length > 0)?);
    out.extend_from_slice(text.as_bytes());
    Some(())
}

/// Whether the name has room in the message.
#[cfg(feature = "ml-dsa")]
pub(super) fn check_name(name: &KeyName) -> Result<(), KeyError> {
    let found = name.as_str().len();
    if found > NAME_BYTES {
        return Err(KeyError::LongName { limit: NAME_BYTES, found });
    }
    Ok(())
}
