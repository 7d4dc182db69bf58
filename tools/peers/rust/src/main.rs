// SPDX-License-Identifier: MIT
//! The tasks on tokio (a runtime of one thread, or of several) and on async-std:
//! `tasks RUNTIME TASK [1|2]`, `tasks RUNTIME echo [1|2 [PORT]]`.
//! What each is, and what is printed, tools/peers/tasks/tasks.h says.
mod async_std_tasks;
mod tokio_tasks;

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Barrier;
use std::time::Instant;

pub const TIMERS: usize = 1_000_000;
pub const WINDOW: u64 = 32;
pub const BLOCK: usize = 4096;
pub const DEPTH: u64 = 32;
const BLOCKS: u64 = 4096;
const ENOUGH_NS: u64 = 50_000_000;
const ENOUGH_N: u64 = 100;
const EXIT_USAGE: i32 = 2;
const EXIT_HAS_NOT: i32 = 3;

/// xorshift64*
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Random(1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545f4914f6cdd1d)
    }
    pub fn timeout_ms(&mut self) -> u64 {
        10000 + self.next() % 50000
    }
    pub fn offset(&mut self) -> u64 {
        self.next() % BLOCKS * BLOCK as u64
    }
}

/// A file without a name; each block begins and ends with its offset.
pub fn file_to_read() -> std::fs::File {
    static NR: AtomicU64 = AtomicU64::new(0);
    let name = format!("tasks-{}-{}", std::process::id(), NR.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .expect("a file in TMPDIR");
    std::fs::remove_file(&path).expect("to remove it");
    for i in 0..BLOCKS {
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&(i * BLOCK as u64).to_ne_bytes());
        block[BLOCK - 8..].copy_from_slice(&(i * BLOCK as u64).to_ne_bytes());
        file.write_all_at(&block, i * BLOCK as u64).expect("to write it");
    }
    file
}

pub fn block_read(file: &std::fs::File, block: &mut [u8; BLOCK], at: u64) {
    file.read_exact_at(block, at).expect("to read it");
    if block[..8] != at.to_ne_bytes() || block[BLOCK - 8..] != at.to_ne_bytes() {
        panic!("wrong data was read");
    }
}

/// The next number of operations, unless these were enough.
fn next_n(n: u64, took: u64) -> Option<u64> {
    if took >= ENOUGH_NS && n >= ENOUGH_N {
        None
    } else if took < ENOUGH_NS / 100 || n < ENOUGH_N {
        Some(n * 10)
    } else {
        Some(n * ENOUGH_NS / took + n / 8 + 1)
    }
}

/// As many as are enough; ns of one. A run of n does `cpus` times as many.
pub fn measure(cpus: usize, mut run: impl FnMut(u64)) {
    let mut n: u64 = 1;
    loop {
        let from = Instant::now();
        run(n);
        let took = from.elapsed().as_nanos() as u64;
        match next_n(n, took) {
            Some(more) => n = more,
            None => return println!("{:.2}", took as f64 / n as f64 / cpus as f64),
        }
    }
}

/// The same where each CPU has a thread, with what `make` makes there.
pub fn measure_each<R: FnMut(u64)>(cpus: usize, make: impl Fn() -> R + Sync) {
    let (next, begin, end) = (AtomicU64::new(1), Barrier::new(cpus), Barrier::new(cpus));
    std::thread::scope(|scope| {
        for _ in 1..cpus {
            scope.spawn(|| {
                let mut run = make();
                loop {
                    begin.wait();
                    match next.load(Ordering::Relaxed) {
                        0 => return,
                        n => run(n),
                    }
                    end.wait();
                }
            });
        }
        let mut run = make();
        measure(cpus, |n| {
            next.store(n, Ordering::Relaxed);
            begin.wait();
            run(n);
            end.wait();
        });
        next.store(0, Ordering::Relaxed);
        begin.wait();
    });
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, other| args.get(i).map_or(Ok(other), |s| s.parse::<u16>());
    let (cpus, port) = match (args.len(), number(3, 1), number(4, 0)) {
        (3..=5, Ok(cpus @ 1..=2), Ok(port)) => (cpus as usize, port),
        _ => {
            eprintln!("usage: {} tokio|tokio-multi|async-std TASK|echo [1|2 [PORT]]", args[0]);
            std::process::exit(EXIT_USAGE);
        }
    };
    let done = match args[1].as_str() {
        "tokio" => tokio_tasks::run_single(&args[2], cpus, port),
        "tokio-multi" => tokio_tasks::run_multi(&args[2], cpus, port),
        "async-std" => async_std_tasks::run(&args[2], cpus, port),
        _ => std::process::exit(EXIT_USAGE),
    };
    std::process::exit(if done { 0 } else { EXIT_HAS_NOT });
}
