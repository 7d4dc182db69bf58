// SPDX-License-Identifier: MIT
use crate::{block_read, file_to_read, measure, measure_each, Random, BLOCK, DEPTH, TIMERS, WINDOW};
use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{sleep, Instant, Sleep};

fn runtime_single() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn runtime_multi(cpus: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(cpus).enable_all().build().expect("a runtime")
}

async fn spawns(n: u64) {
    for _ in 0..n {
        tokio::spawn(async {}).await.unwrap();
    }
}

async fn yields(n: u64) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

async fn yields_of_two(n: u64) {
    let other = tokio::spawn(yields(n / 2));
    yields(n - n / 2).await;
    other.await.unwrap();
}

async fn oneshots(n: u64) {
    for _ in 0..n {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move { sender.send(1u64) });
        assert_eq!(receiver.await, Ok(1));
    }
}

/// A timer is not set before it was polled; this polls it once.
struct Registered<'a>(Pin<&'a mut Sleep>);

impl Future for Registered<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }
}

struct Timers {
    random: Random,
    all: Vec<Pin<Box<Sleep>>>,
}

impl Timers {
    async fn new() -> Self {
        let mut random = Random::new();
        let mut all: Vec<_> = (0..TIMERS)
            .map(|_| Box::pin(sleep(Duration::from_millis(random.timeout_ms()))))
            .collect();
        for timer in all.iter_mut() {
            Registered(timer.as_mut()).await;
        }
        Timers { random, all }
    }

    fn run(&mut self, n: u64) {
        let now = Instant::now();
        for _ in 0..n {
            let i = self.random.next() as usize % TIMERS;
            self.all[i].as_mut().reset(now + Duration::from_millis(self.random.timeout_ms()));
        }
    }
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
            under_way.push_back(tokio::task::spawn_blocking(move || {
                block_read(&file, &mut buffer, at);
                buffer
            }));
            begun += 1;
        }
        buffers.push(under_way.pop_front().unwrap().await.unwrap());
    }
}

/// A runtime of one thread for each CPU, or one for all: on each CPU a task that does n.
fn each<F>(multi: bool, cpus: usize, what: impl Fn(u64) -> F + Sync)
where
    F: Future<Output = ()> + Send + 'static,
{
    if multi {
        let rt = runtime_multi(cpus);
        measure(cpus, |n| {
            let tasks: Vec<_> = (0..cpus).map(|_| rt.spawn(what(n))).collect();
            for task in tasks {
                rt.block_on(task).unwrap();
            }
        });
    } else {
        measure_each(cpus, || {
            let rt = runtime_single();
            let what = &what;
            move |n| rt.block_on(rt.spawn(what(n))).unwrap()
        });
    }
}

fn timers(multi: bool, cpus: usize) {
    if multi {
        let rt = runtime_multi(cpus);
        let all: Vec<_> = (0..cpus)
            .map(|_| Arc::new(Mutex::new(rt.block_on(Timers::new()))))
            .collect();
        measure(cpus, |n| {
            let tasks: Vec<_> = all
                .iter()
                .map(|timers| {
                    let timers = timers.clone();
                    rt.spawn(async move { timers.lock().unwrap().run(n) })
                })
                .collect();
            for task in tasks {
                rt.block_on(task).unwrap();
            }
        });
    } else {
        measure_each(cpus, || {
            let rt = runtime_single();
            let mut timers = rt.block_on(Timers::new());
            move |n| rt.block_on(async { timers.run(n) })
        });
    }
}

/// Who asks is on this thread, who answers on another: a worker, or one with a runtime of its own.
struct Duo {
    asks: UnboundedSender<u64>,
    answers: UnboundedReceiver<u64>,
}

async fn answer(mut asked: UnboundedReceiver<u64>, answers: UnboundedSender<u64>) {
    while let Some(value) = asked.recv().await {
        if answers.send(value).is_err() {
            return;
        }
    }
}

impl Duo {
    fn new(rt: &Runtime, multi: bool) -> Self {
        let (asks, asked) = unbounded_channel();
        let (answer_to, answers) = unbounded_channel();
        if multi {
            rt.spawn(answer(asked, answer_to));
        } else {
            std::thread::spawn(move || runtime_single().block_on(answer(asked, answer_to)));
        }
        Duo { asks, answers }
    }

    async fn ask(&mut self, n: u64, window: u64) {
        let mut unasked = n;
        for _ in 0..window.min(n) {
            self.asks.send(n).unwrap();
            unasked -= 1;
        }
        for _ in 0..n {
            assert_eq!(self.answers.recv().await, Some(n));
            if unasked > 0 {
                self.asks.send(n).unwrap();
                unasked -= 1;
            }
        }
    }
}

fn duo(multi: bool, window: u64) {
    let rt = if multi { runtime_multi(2) } else { runtime_single() };
    let mut duo = Duo::new(&rt, multi);
    measure(1, |n| rt.block_on(duo.ask(n, window)));
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

async fn echo(port: u16) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("SO_REUSEPORT");
    socket.bind(([127, 0, 0, 1], port).into()).expect("a port");
    let listener = socket.listen(4096).expect("to listen");
    println!("listening on {}", listener.local_addr().unwrap());
    while let Ok((conn, _)) = listener.accept().await {
        tokio::spawn(serve(conn));
    }
}

fn run(multi: bool, task: &str, cpus: usize) -> bool {
    match task {
        "spawn" => each(multi, cpus, spawns),
        "yield" => each(multi, cpus, yields_of_two),
        "oneshot" => each(multi, cpus, oneshots),
        "roundtrip" => duo(multi, 1),
        "pipelined" => duo(multi, WINDOW),
        "timers" => timers(multi, cpus),
        "read1" | "read32" => {
            let file = Arc::new(file_to_read());
            let depth = if task == "read1" { 1 } else { DEPTH };
            each(multi, cpus, |n| reads(n, file.clone(), depth));
        }
        _ => return false,
    }
    true
}

pub fn run_single(task: &str, cpus: usize, port: u16) -> bool {
    if task == "echo" {
        runtime_single().block_on(echo(port));
    }
    run(false, task, cpus)
}

pub fn run_multi(task: &str, cpus: usize, port: u16) -> bool {
    if task == "echo" {
        let rt = runtime_multi(cpus);
        rt.block_on(rt.spawn(echo(port))).unwrap();
    }
    run(true, task, cpus)
}
