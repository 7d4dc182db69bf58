// SPDX-License-Identifier: MIT
use crate::{block_read, file_to_read, measure, Random, BLOCK, DEPTH, TIMERS, WINDOW};
use async_std::channel::{bounded, unbounded, Receiver, Sender};
use async_std::io::{ReadExt, WriteExt};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::os::unix::io::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

async fn spawns(n: u64) {
    for _ in 0..n {
        task::spawn(async {}).await;
    }
}

async fn yields(n: u64) {
    for _ in 0..n {
        task::yield_now().await;
    }
}

async fn yields_of_two(n: u64) {
    let other = task::spawn(yields(n / 2));
    yields(n - n / 2).await;
    other.await;
}

/// The nearest that it has is a channel for one.
async fn oneshots(n: u64) {
    for _ in 0..n {
        let (sender, receiver) = bounded(1);
        task::spawn(async move { sender.send(1u64).await });
        assert_eq!(receiver.recv().await, Ok(1));
    }
}

/// Its timers are set for ever: a new one takes the place of what is stopped.
type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// None is set before it was polled.
struct Registered<'a>(&'a mut Timer);

impl Future for Registered<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }
}

struct Timers {
    random: Random,
    all: Vec<Timer>,
}

impl Timers {
    async fn set(random: &mut Random) -> Timer {
        let mut timer: Timer = Box::pin(task::sleep(Duration::from_millis(random.timeout_ms())));
        Registered(&mut timer).await;
        timer
    }

    async fn new() -> Self {
        let mut timers = Timers { random: Random::new(), all: Vec::new() };
        for _ in 0..TIMERS {
            timers.all.push(Self::set(&mut timers.random).await);
        }
        timers
    }

    async fn run(&mut self, n: u64) {
        for _ in 0..n {
            let i = self.random.next() as usize % TIMERS;
            self.all[i] = Self::set(&mut self.random).await;
        }
    }
}

fn timers(cpus: usize) {
    let mut all: Vec<_> = (0..cpus).map(|_| Some(task::block_on(Timers::new()))).collect();
    measure(cpus, |n| {
        let tasks: Vec<_> = all
            .iter_mut()
            .map(|timers| {
                let mut timers = timers.take().unwrap();
                task::spawn(async move {
                    timers.run(n).await;
                    timers
                })
            })
            .collect();
        all = tasks.into_iter().map(|task| Some(task::block_on(task))).collect();
    });
}

async fn reads(n: u64, file: Arc<File>, depth: u64) {
    let mut random = Random::new();
    let mut buffers: Vec<_> = (0..depth).map(|_| Box::new([0u8; BLOCK])).collect();
    let mut under_way = VecDeque::new();
    let mut begun = 0;
    for _ in 0..n {
        while begun < n && (under_way.len() as u64) < depth {
            let (file, at) = (file.clone(), random.offset());
            let mut buffer = buffers.pop().unwrap();
            under_way.push_back(task::spawn_blocking(move || {
                block_read(&file, &mut buffer, at);
                buffer
            }));
            begun += 1;
        }
        buffers.push(under_way.pop_front().unwrap().await);
    }
}

/// On each CPU a task that does n.
fn each<F>(cpus: usize, what: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    measure(cpus, |n| {
        let tasks: Vec<_> = (0..cpus).map(|_| task::spawn(what(n))).collect();
        for task in tasks {
            task::block_on(task);
        }
    });
}

async fn answer(asked: Receiver<u64>, answers: Sender<u64>) {
    while let Ok(value) = asked.recv().await {
        if answers.send(value).await.is_err() {
            return;
        }
    }
}

async fn ask(n: u64, window: u64, asks: &Sender<u64>, answers: &Receiver<u64>) {
    let mut unasked = n;
    for _ in 0..window.min(n) {
        asks.send(n).await.unwrap();
        unasked -= 1;
    }
    for _ in 0..n {
        assert_eq!(answers.recv().await, Ok(n));
        if unasked > 0 {
            asks.send(n).await.unwrap();
            unasked -= 1;
        }
    }
}

/// Who asks is on this thread, who answers on a worker.
fn duo(window: u64) {
    let (asks, asked) = unbounded();
    let (answer_to, answers) = unbounded();
    task::spawn(answer(asked, answer_to));
    measure(1, |n| task::block_on(ask(n, window, &asks, &answers)));
}

async fn serve(mut conn: TcpStream) {
    let mut buffer = vec![0; 65536];
    let _ = conn.set_nodelay(true);
    while let Ok(n) = conn.read(&mut buffer).await {
        if n == 0 || conn.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

extern "C" {
    fn listen(fd: i32, backlog: i32) -> i32;
}

async fn echo(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
    // It lets 128 wait to be accepted, the others 4096.
    unsafe { listen(listener.as_raw_fd(), 4096) };
    println!("listening on {}", listener.local_addr().unwrap());
    while let Ok((conn, _)) = listener.accept().await {
        task::spawn(serve(conn));
    }
}

pub fn run(name: &str, cpus: usize, port: u16) -> bool {
    std::env::set_var("ASYNC_STD_THREAD_COUNT", cpus.to_string());
    match name {
        "spawn" => each(cpus, spawns),
        "yield" => each(cpus, yields_of_two),
        "oneshot" => each(cpus, oneshots),
        "roundtrip" => duo(1),
        "pipelined" => duo(WINDOW),
        "timers" => timers(cpus),
        "read1" | "read32" => {
            let file = Arc::new(file_to_read());
            let depth = if name == "read1" { 1 } else { DEPTH };
            each(cpus, |n| reads(n, file.clone(), depth));
        }
        "echo" => task::block_on(echo(port)),
        _ => return false,
    }
    true
}
