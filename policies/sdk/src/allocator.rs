//! Memory in a component: handed out in a row and never given back. A call has a memory of its own and
//! ends soon, so that keeping books of what is free would cost two thirds of its fuel for nothing.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::Cell;

const PAGE: usize = 64 << 10;

/// Memory grows by at least 128 KiB, and by an eighth of what there is: the host charges for every page.
const STEP: usize = 2;

struct Row {
    /// The next free byte; 0: nothing was handed out yet.
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: a component has one thread.
#[allow(unsafe_code)]
unsafe impl Sync for Row {}

#[global_allocator]
static ROW: Row = Row {
    next: Cell::new(0),
    end: Cell::new(0),
};

#[allow(unsafe_code)]
unsafe extern "C" {
    /// Where the linker's own data end.
    static __heap_base: u8;
}

impl Row {
    /// Where so many bytes begin; none: the host gives no more.
    fn take(&self, layout: Layout) -> Option<usize> {
        if self.next.get() == 0 {
            self.next.set(&raw const __heap_base as usize);
            self.end.set(memory_size(0) * PAGE);
        }
        let start = self.next.get().checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        self.reach(end)?;
        self.next.set(end);
        Some(start)
    }

    /// Sees to it that there is memory up to that byte.
    fn reach(&self, end: usize) -> Option<()> {
        if end > self.end.get() {
            let pages = (end - self.end.get()).div_ceil(PAGE);
            let pages = pages.max(STEP).max(memory_size(0) / 8);
            // Nobody else grows the memory, so what comes is next to what was there.
            if memory_grow(0, pages) == usize::MAX {
                return None;
            }
            self.end.set(memory_size(0) * PAGE);
        }
        Some(())
    }

    fn is_last(&self, start: usize, size: usize) -> bool {
        start + size == self.next.get()
    }
}

// SAFETY: what is handed out is inside the memory, aligned, and never handed out twice: `next` only
// grows, but for the last block, which is the caller's own to resize or to give back.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Row {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout)
            .map_or(std::ptr::null_mut(), |start| start as *mut u8)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_last(block as usize, layout.size()) {
            self.next.set(block as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if self.is_last(start, layout.size()) {
            let Some(end) = start.checked_add(size) else {
                return std::ptr::null_mut();
            };
            if self.reach(end).is_none() {
                return std::ptr::null_mut();
            }
            self.next.set(end);
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the alignment was good before, and a size beyond the memory is refused by `take`.
        let layout_now = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match self.take(layout_now) {
            None => std::ptr::null_mut(),
            Some(moved) => {
                let moved = moved as *mut u8;
                // SAFETY: two blocks of at least that many bytes, of which one is new.
                unsafe { std::ptr::copy_nonoverlapping(block, moved, layout.size()) };
                moved
            }
        }
    }
}
