//! The system's allocator, counting: for tests that hold that nothing is allocated.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting the calls of each thread.
struct Counting;

fn count() {
    // A thread may still free and allocate while its own variables go.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread within one call, and what the call gives.
pub fn allocations_once<T>(of: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let value = of();
    (ALLOCATIONS.get() - before, value)
}

/// Allocations of a second call.
pub fn allocations(mut of: impl FnMut()) -> u64 {
    of();
    allocations_once(of).0
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1.0; 10]))), 1);
    let mut v = std::hint::black_box(Vec::with_capacity(1));
    assert!(allocations_once(|| (0..100).for_each(|i| v.push(i))).0 > 0);
}
