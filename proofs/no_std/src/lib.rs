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
