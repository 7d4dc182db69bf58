// SPDX-License-Identifier: MIT
use crate::{file_to_read, measure, Random, BLOCK, DEPTH, WINDOW};
use async_std::channel::{bounded, unbounded, Receiver, Sender};
use async_std::io::{ReadExt, WriteExt};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use std::collections::VecDeque;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

async fn yields(n: u64) {
    for _ in 0..n {
        task::yield_now().await;
    }
}

async fn answer(asked: Receiver<u64>, answers: Sender<u64>) {
    while let Ok(value) = asked.recv().await {
        if answers.send(value).await.is_err() {
            return;
        }
    }
}

/// Who asks is on this thread, who answers on a worker.
fn duo(window: u64) {
    let (asks, asked) = unbounded();
    let (answer_to, answers) = unbounded();
    task::spawn(answer(asked, answer_to));
    measure(|n| {
        let (asks, answers) = (asks.clone(), answers.clone());
        task::block_on(async {
            let mut unasked = n;
            for _ in 0..window.min(n) {
                asks.send(1).await.unwrap();
                unasked -= 1;
            }
            for _ in 0..n {
                answers.recv().await.unwrap();
                if unasked > 0 {
                    asks.send(1).await.unwrap();
                    unasked -= 1;
                }
            }
        })
    });
}

fn reads(depth: u64) {
    let file = Arc::new(file_to_read());
    let mut random = Random::new();
    measure(|n| {
        task::block_on(async {
            let mut under_way = VecDeque::new();
            let mut buffers: Vec<_> = (0..depth).map(|_| Box::new([0u8; BLOCK])).collect();
            let mut begun = 0;
            for _ in 0..n {
                while begun < n && (under_way.len() as u64) < depth {
                    let (file, at) = (file.clone(), random.offset());
                    let mut buffer = buffers.pop().unwrap();
                    under_way.push_back(task::spawn_blocking(move || {
                        file.read_exact_at(&mut buffer[..], at).unwrap();
                        buffer
                    }));
                    begun += 1;
                }
                buffers.push(under_way.pop_front().unwrap().await);
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

fn echo() {
    task::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("listening on {}", listener.local_addr().unwrap());
        while let Ok((conn, _)) = listener.accept().await {
            task::spawn(serve(conn));
        }
    });
}

pub fn run(name: &str) -> bool {
    std::env::set_var("ASYNC_STD_THREAD_COUNT", if name == "echo" { "1" } else { "2" });
    match name {
        "spawn" => measure(|n| {
            task::block_on(task::spawn(async move {
                for _ in 0..n {
                    task::spawn(async {}).await;
                }
            }))
        }),
        "yield" => measure(|n| {
            task::block_on(task::spawn(async move {
                let other = task::spawn(yields(n / 2));
                yields(n - n / 2).await;
                other.await;
            }))
        }),
        "oneshot" => measure(|n| {
            task::block_on(task::spawn(async move {
                for _ in 0..n {
                    let (sender, receiver) = bounded(1);
                    task::spawn(async move { sender.send(1u64).await });
                    receiver.recv().await.unwrap();
                }
            }))
        }),
        "roundtrip" => duo(1),
        "pipelined" => duo(WINDOW),
        "read1" => reads(1),
        "read32" => reads(DEPTH),
        "echo" => echo(),
        _ => return false,
    }
    true
}
