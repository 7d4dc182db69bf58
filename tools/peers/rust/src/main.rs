// SPDX-License-Identifier: MIT
//! The tasks on tokio (one thread, or two) and on async-std: `tasks RUNTIME TASK`.
//! What each is, and what is printed, tools/peers/tasks/tasks.h says.
mod async_std_tasks;
mod tokio_tasks;

use std::os::unix::fs::FileExt;
use std::time::Instant;

pub const TIMERS: usize = 1_000_000;
pub const WINDOW: u64 = 32;
pub const BLOCK: usize = 4096;
pub const DEPTH: u64 = 32;
const BLOCKS: u64 = 4096;
const ENOUGH_NS: u128 = 100_000_000;
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
        1000 + self.next() % 59000
    }
    pub fn offset(&mut self) -> u64 {
        self.next() % BLOCKS * BLOCK as u64
    }
}

/// A file without a name, written.
pub fn file_to_read() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("tasks-{}", std::process::id()));
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .expect("a file in TMPDIR");
    std::fs::remove_file(&path).expect("to remove it");
    for i in 0..BLOCKS {
        file.write_all_at(&[0; BLOCK], i * BLOCK as u64).expect("to write it");
    }
    file
}

/// As many as take a tenth of a second; ns of one.
pub fn measure(mut run: impl FnMut(u64)) {
    let mut n: u64 = 1;
    loop {
        let from = Instant::now();
        run(n);
        let took = from.elapsed().as_nanos();
        if took >= ENOUGH_NS {
            println!("{:.2}", took as f64 / n as f64);
            return;
        }
        n = if took < ENOUGH_NS / 100 {
            n * 10
        } else {
            (n as u128 * ENOUGH_NS / took) as u64 + n / 8 + 1
        };
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.len() != 3 {
        eprintln!("usage: {} tokio|tokio-multi|async-std TASK|echo", args[0]);
        std::process::exit(EXIT_USAGE);
    }
    let done = match args[1].as_str() {
        "tokio" => tokio_tasks::run(false, &args[2]),
        "tokio-multi" => tokio_tasks::run(true, &args[2]),
        "async-std" => async_std_tasks::run(&args[2]),
        _ => std::process::exit(EXIT_USAGE),
    };
    std::process::exit(if done { 0 } else { EXIT_HAS_NOT });
}
