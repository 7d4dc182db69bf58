// SPDX-License-Identifier: MIT
use crate::{file_to_read, measure, Random, BLOCK, DEPTH, TIMERS, WINDOW};
use std::collections::VecDeque;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{sleep, Instant, Sleep};

fn runtime(multi: bool) -> Runtime {
    let mut builder = if multi { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    if multi {
        builder.worker_threads(2);
    }
    builder.enable_all().build().expect("a runtime")
}

async fn yields(n: u64) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

async fn answer(mut asked: UnboundedReceiver<u64>, answers: UnboundedSender<u64>) {
    while let Some(value) = asked.recv().await {
        if answers.send(value).is_err() {
            return;
        }
    }
}

/// Who asks is on this thread, who answers on another: a worker, or one with a runtime of its own.
struct Duo {
    asks: UnboundedSender<u64>,
    answers: UnboundedReceiver<u64>,
}

impl Duo {
    fn new(rt: &Runtime, multi: bool) -> Self {
        let (asks, asked) = unbounded_channel();
        let (answer_to, answers) = unbounded_channel();
        if multi {
            rt.spawn(answer(asked, answer_to));
        } else {
            std::thread::spawn(move || runtime(false).block_on(answer(asked, answer_to)));
        }
        Duo { asks, answers }
    }

    async fn ask(mut self, n: u64, window: u64) -> Self {
        let mut unasked = n;
        for _ in 0..window.min(n) {
            self.asks.send(1).unwrap();
            unasked -= 1;
        }
        for _ in 0..n {
            self.answers.recv().await.unwrap();
            if unasked > 0 {
                self.asks.send(1).unwrap();
                unasked -= 1;
            }
        }
        self
    }
}

fn duo(rt: &Runtime, multi: bool, window: u64) {
    let mut duo = Some(Duo::new(rt, multi));
    measure(|n| {
        let asking = duo.take().unwrap().ask(n, window);
        duo = Some(rt.block_on(asking));
    });
}

/// A timer is not set before it was polled; this polls it once.
struct Registered<'a>(Pin<&'a mut Sleep>);

impl Future for Registered<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.0.as_mut().poll(cx);
        Poll::Ready(())
    }
}

fn timers(rt: &Runtime) {
    rt.block_on(async {
        let mut random = Random::new();
        let mut all: Vec<Pin<Box<Sleep>>> = (0..TIMERS)
            .map(|_| Box::pin(sleep(Duration::from_millis(random.timeout_ms()))))
            .collect();
        for timer in all.iter_mut() {
            Registered(timer.as_mut()).await;
        }
        measure(|n| {
            let now = Instant::now();
            for _ in 0..n {
                let i = random.next() as usize % TIMERS;
                all[i].as_mut().reset(now + Duration::from_millis(random.timeout_ms()));
            }
        });
    });
}

fn reads(rt: &Runtime, depth: u64) {
    let file = Arc::new(file_to_read());
    let mut random = Random::new();
    measure(|n| {
        rt.block_on(async {
            let mut under_way = VecDeque::new();
            let mut buffers: Vec<_> = (0..depth).map(|_| Box::new([0u8; BLOCK])).collect();
            let mut begun = 0;
            for _ in 0..n {
                while begun < n && (under_way.len() as u64) < depth {
                    let (file, at) = (file.clone(), random.offset());
                    let mut buffer = buffers.pop().unwrap();
                    under_way.push_back(tokio::task::spawn_blocking(move || {
                        file.read_exact_at(&mut buffer[..], at).unwrap();
                        buffer
                    }));
                    begun += 1;
                }
                buffers.push(under_way.pop_front().unwrap().await.unwrap());
            }
        })
    });
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

fn echo(rt: &Runtime) {
    rt.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("listening on {}", listener.local_addr().unwrap());
        while let Ok((conn, _)) = listener.accept().await {
            tokio::spawn(serve(conn));
        }
    });
}

pub fn run(multi: bool, task: &str) -> bool {
    let rt = runtime(multi);
    match task {
        "spawn" => measure(|n| {
            rt.block_on(async move {
                for _ in 0..n {
                    tokio::spawn(async {}).await.unwrap();
                }
            })
        }),
        "yield" => measure(|n| {
            rt.block_on(async move {
                let other = tokio::spawn(yields(n / 2));
                yields(n - n / 2).await;
                other.await.unwrap();
            })
        }),
        "oneshot" => measure(|n| {
            rt.block_on(async move {
                for _ in 0..n {
                    let (sender, receiver) = oneshot::channel();
                    tokio::spawn(async move { sender.send(1u64) });
                    receiver.await.unwrap();
                }
            })
        }),
        "roundtrip" => duo(&rt, multi, 1),
        "pipelined" => duo(&rt, multi, WINDOW),
        "timers" if !multi => timers(&rt),
        "read1" => reads(&rt, 1),
        "read32" => reads(&rt, DEPTH),
        "echo" => echo(&rt),
        _ => return false,
    }
    true
}
