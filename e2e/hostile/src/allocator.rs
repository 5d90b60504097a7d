//! The allocator of the server's binary, with a counter of the bytes that the server asks for.
//!
//! Server and client share a process. A thread counts as the server's unless it has said that it is the client's, so
//! that threads of the store and of the runtime count without being asked.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use tikv_jemallocator::Jemalloc;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

/// This thread's allocations are the client's from now on.
pub fn mark_client_thread() {
    IS_CLIENT.set(true);
}

/// Bytes that the server's threads have asked for since the start. A buffer that grows counts with its whole new size,
/// because it may be copied: growing by one byte at a time is quadratic.
pub fn allocated() -> u64 {
    ALLOCATED.load(Ordering::Relaxed)
}

fn count(size: usize) {
    // While a thread ends, its variables may be gone; what it still asks for is little.
    if IS_CLIENT.try_with(Cell::get).is_ok_and(|client| !client) {
        ALLOCATED.fetch_add(size as u64, Ordering::Relaxed);
    }
}

// SAFETY: each method passes its arguments on to an allocator, unchanged, and returns what that returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { Jemalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { Jemalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { Jemalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { Jemalloc.realloc(pointer, layout, size) }
    }
}
