//! Bytes are no bundle, or a bundle that comes back as it was; and a bundle that was changed
//! never verifies as another. Input that begins with `!` changes a sound bundle: places and
//! what is written there.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::{BundleProbe, bundles_stand};

static PROBE: LazyLock<BundleProbe> = LazyLock::new(|| BundleProbe::new().unwrap());

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'!', changes @ ..] => {
            let mut changed = PROBE.sound().to_vec();
            for change in changes.chunks_exact(4) {
                let [one, two, three, value] = change else { continue };
                let place = usize::from(*one) << 16 | usize::from(*two) << 8 | usize::from(*three);
                let length = changed.len();
                if let Some(byte) = changed.get_mut(place % length) {
                    *byte = *value;
                }
            }
            bundles_stand(&PROBE, &changed).unwrap();
        }
        bytes => bundles_stand(&PROBE, bytes).unwrap(),
    }
});
