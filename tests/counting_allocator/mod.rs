//! The system's allocator, counting: for tests that hold that nothing is allocated or how much is held at most, and benchmarks
//! that tell sizes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting calls and bytes of each thread.
struct Counting;

// A thread may still free and allocate while its own variables go: then nothing is counted.
fn count(n_bytes: usize) {
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    let _ = BYTES.try_with(|n| n.set(n.get() + n_bytes as u64));
}

fn hold(more: i64) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + more);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        hold(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        hold(new_size as i64 - layout.size() as i64);
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

/// Bytes asked for by this thread within one call.
pub fn bytes_once<T>(of: impl FnOnce() -> T) -> u64 {
    let before = BYTES.get();
    let value = of();
    let n = BYTES.get() - before;
    drop(value);
    n
}

/// What `of` gives, and the most bytes it held at once beyond those this thread held before.
pub fn measured<T>(of: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.get();
    MOST.set(before);
    let value = of();
    (value, MOST.get() - before)
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
    assert_eq!(bytes_once(|| vec![1_u64; 10]), 80);
    let held = |n: usize| drop(std::hint::black_box(vec![1_u8; n]));
    assert_eq!(measured(|| (held(100), held(300), held(200))).1, 300);
    let (kept, most) = measured(|| std::hint::black_box(vec![1_u8; 50]));
    assert_eq!((most, measured(|| drop(kept)).1), (50, 0));
}
