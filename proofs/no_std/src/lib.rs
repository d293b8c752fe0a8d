//! Builds the heart of prospera into a static library that brings its own panic
//! handler and allocator. If anything pulled `std` in, there would be two panic
//! handlers and the build would fail (E0152).
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

struct Nothing;

// SAFETY: it never gives out memory.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Uses the heart, so that it is linked.
#[unsafe(no_mangle)]
pub extern "C" fn prospera_digest_first_byte(byte: u8) -> u8 {
    prospera::digest::Domain::Other.hash(&[byte]).as_bytes()[0]
}

/// Uses the verifier of evidence bundles, so that it is linked: 0 when a bundle verifies
/// under the log's key.
#[unsafe(no_mangle)]
pub extern "C" fn prospera_bundle_verifies(byte: u8) -> u8 {
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse();
    let Ok(key) = key else { return 1 };
    let trust = prospera::ssot::checkpoint::Policy::of_log(key);
    match prospera::bundle::Bundle::from_bytes(&[byte]) {
        Ok(bundle) => u8::from(bundle.verify(&trust).is_err()),
        Err(_) => 2,
    }
}
