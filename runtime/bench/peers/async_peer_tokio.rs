// tokio's tasks, channels and timers beside ours.
#[path = "peer.rs"]
mod peer;

use peer::{Run, BATCH_TASKS, ITEMS_EACH, MILLION, QUEUE_ITEMS, QUEUE_TOTAL};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("no runtime")
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("no runtime")
}

fn task_spawn(run: &mut Run) {
    let runtime = one_thread();
    let ran = Arc::new(AtomicUsize::new(0));

    run.measure("time", BATCH_TASKS, || {
        runtime.block_on(async {
            ran.store(0, Ordering::Relaxed);
            for i in 0..BATCH_TASKS {
                let ran = ran.clone();
                drop(tokio::spawn(async move {
                    ran.fetch_add(1, Ordering::Relaxed);
                }));
                if i % 64 == 63 {
                    yield_now().await;
                }
            }
            while ran.load(Ordering::Relaxed) < BATCH_TASKS {
                yield_now().await;
            }
        })
    });
}

fn task_join(run: &mut Run) {
    let runtime = one_thread();

    run.measure("time", BATCH_TASKS, || {
        runtime.block_on(async {
            for i in 0..BATCH_TASKS {
                assert_eq!(tokio::spawn(async move { i }).await.expect("a task failed"), i);
            }
        })
    });
}

fn ping_pong(run: &mut Run, runtime: Runtime) {
    let (there, mut there_end) = mpsc::channel::<u64>(1);
    let (back, mut back_end) = mpsc::channel::<u64>(1);

    runtime.spawn(async move {
        while let Some(value) = there_end.recv().await {
            if back.send(value).await.is_err() {
                return;
            }
        }
    });
    run.measure("round trip", BATCH_TASKS, || {
        let there = there.clone();
        let end = &mut back_end;

        runtime.block_on(async move {
            for i in 0..BATCH_TASKS as u64 {
                there.send(i).await.expect("the other task is gone");
                assert_eq!(end.recv().await, Some(i));
            }
        })
    });
}

type Boxed = Pin<Box<dyn Future<Output = u64> + Send>>;

fn skynet_actor(number: u64, size: u64) -> Boxed {
    Box::pin(async move {
        if size == 1 {
            return number;
        }
        let part = size / 10;
        let children: Vec<_> =
            (0..10).map(|i| tokio::spawn(skynet_actor(number + i * part, part))).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await.expect("an actor failed");
        }
        sum
    })
}

fn skynet(run: &mut Run, runtime: Runtime) {
    let mut leaves = 1u64;

    while leaves * 10 <= run.amount(MILLION) as u64 {
        leaves *= 10;
    }
    run.measure("per actor", (leaves + (leaves - 1) / 9) as usize, || {
        let sum = runtime.block_on(async { tokio::spawn(skynet_actor(0, leaves)).await });
        assert_eq!(sum.expect("an actor failed"), leaves * (leaves - 1) / 2);
    });
}

/// Bounded for one producer, unbounded for several: as our channels of that kind.
fn queue(run: &mut Run, producers: usize, is_bounded: bool) {
    let runtime = two_threads();
    let items = run.amount(QUEUE_TOTAL.max(ITEMS_EACH * producers));

    run.measure_items("per item", items, |items| {
        let share = (items / producers).max(1);
        let items = share * producers;

        runtime.block_on(async {
            let begin = Instant::now();
            let consumer;

            if is_bounded {
                let (sender, mut receiver) = mpsc::channel::<u64>(QUEUE_ITEMS);

                for _ in 0..producers {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        for _ in 0..share {
                            sender.send(1).await.expect("the receiver is gone");
                        }
                    });
                }
                consumer = tokio::spawn(async move {
                    let mut sum = 0;
                    for _ in 0..items {
                        sum += receiver.recv().await.unwrap_or(0);
                    }
                    sum
                });
            } else {
                let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();

                for _ in 0..producers {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        for _ in 0..share {
                            sender.send(1).expect("the receiver is gone");
                        }
                    });
                }
                consumer = tokio::spawn(async move {
                    let mut sum = 0;
                    for _ in 0..items {
                        sum += receiver.recv().await.unwrap_or(0);
                    }
                    sum
                });
            }
            assert_eq!(consumer.await.expect("a task failed"), items as u64, "items were lost");
            begin.elapsed().as_nanos() as f64 / items as f64
        })
    });
}

fn select_of_four(run: &mut Run) {
    let runtime = one_thread();
    let items = run.amount(20_000) / 4 * 4;

    run.measure("per item", items, || {
        runtime.block_on(async {
            let (senders, mut ends): (Vec<_>, Vec<_>) = (0..4).map(|_| mpsc::channel::<u64>(64)).unzip();
            let mut sum = 0;

            tokio::spawn(async move {
                for i in 0..items {
                    senders[i % 4].send(1).await.expect("the receiver is gone");
                }
            });
            let (left, right) = ends.split_at_mut(2);
            let (first, second) = left.split_at_mut(1);
            let (third, fourth) = right.split_at_mut(1);
            while sum < items as u64 {
                tokio::select! {
                    Some(value) = first[0].recv() => sum += value,
                    Some(value) = second[0].recv() => sum += value,
                    Some(value) = third[0].recv() => sum += value,
                    Some(value) = fourth[0].recv() => sum += value,
                }
            }
        })
    });
}

fn idle_tasks(run: &mut Run) {
    let runtime = one_thread();
    let count = run.amount(MILLION);

    runtime.block_on(async {
        let mut gates = Vec::with_capacity(count);
        let mut joins = Vec::with_capacity(count);
        gates.resize_with(count, || None);
        gates.clear();
        let before = peer::memory_bytes();

        for i in 0..count {
            let (gate, end) = oneshot::channel::<()>();
            gates.push(Some(gate));
            joins.push(tokio::spawn(async move {
                end.await.expect("the gate is gone");
                i
            }));
            if i % 64 == 63 {
                yield_now().await;
            }
        }
        yield_now().await;
        let after = peer::memory_bytes();
        run.emit("per task", "B", (after - before) as f64 / count as f64);
        run.emit("memory", "MiB", (after - before) as f64 / 1048576.0);
        for gate in gates.drain(..).flatten() {
            gate.send(()).expect("a task is gone");
        }
        for (i, join) in joins.into_iter().enumerate() {
            assert_eq!(join.await.expect("a task failed"), i);
        }
    });
}

/// The first poll of a sleep, which puts it into the wheel.
struct PollOnce<'a>(&'a mut Pin<Box<tokio::time::Sleep>>);

impl Future for PollOnce<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(context).is_pending());
        Poll::Ready(())
    }
}

fn timers(run: &mut Run) {
    let runtime = one_thread();
    let count = run.amount(MILLION);

    runtime.block_on(async {
        let mut sleeps: Vec<Pin<Box<tokio::time::Sleep>>> = Vec::with_capacity(count);
        let mut begin = Instant::now();

        for i in 0..count {
            let far = Duration::from_secs(3600) + Duration::from_micros((i * 7919 % count) as u64);
            let mut sleep = Box::pin(tokio::time::sleep(far));
            PollOnce(&mut sleep).await;
            sleeps.push(sleep);
        }
        run.emit("insert", "ns", begin.elapsed().as_nanos() as f64 / count as f64);
        begin = Instant::now();
        sleeps.clear();
        run.emit("cancel", "ns", begin.elapsed().as_nanos() as f64 / count as f64);

        let fired = Arc::new(AtomicUsize::new(0));
        begin = Instant::now();
        for i in 0..count {
            let fired = fired.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros((i * 7919 % 1000) as u64)).await;
                fired.fetch_add(1, Ordering::Relaxed);
            });
            if i % 64 == 63 {
                yield_now().await;
            }
        }
        while fired.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        run.emit("insert and fire", "ns", begin.elapsed().as_nanos() as f64 / count as f64);
    });
}

/// A task that counts its polls and never ends by itself.
struct Storm {
    polls: Arc<AtomicU64>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Future for Storm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.polls.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.waker.lock().expect("a thread failed") = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

fn wake_storm(run: &mut Run) {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().expect("no runtime");
    let (polls, waker) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
    let wakes = run.amount(MILLION) / 2;
    let mut seen = 0;

    runtime.spawn(Storm { polls: polls.clone(), waker: waker.clone() });
    while waker.lock().expect("a thread failed").is_none() {
        std::thread::yield_now();
    }
    run.measure("per wake", wakes * 2, || {
        let before = polls.load(Ordering::Relaxed);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let waker: Waker = waker.lock().expect("a thread failed").clone().expect("it is there");
                std::thread::spawn(move || (0..wakes).for_each(|_| waker.wake_by_ref()))
            })
            .collect();
        for thread in threads {
            thread.join().expect("a thread failed");
        }
        seen = polls.load(Ordering::Relaxed) - before;
    });
    run.emit("polls", "per 1M", seen as f64 * 1e6 / (wakes * 2) as f64);
}

fn main() {
    let rows: [(&str, fn(&mut Run)); 16] = [
        ("task.spawn", task_spawn),
        ("task.join", task_join),
        ("pingpong.one", |run| ping_pong(run, one_thread())),
        ("pingpong.two", |run| ping_pong(run, two_threads())),
        ("skynet.stackless", |run| skynet(run, one_thread())),
        ("skynet.two", |run| skynet(run, two_threads())),
        ("spsc.single", |run| queue(run, 1, true)),
        ("mpsc.1", |run| queue(run, 1, false)),
        ("mpsc.2", |run| queue(run, 2, false)),
        ("mpsc.8", |run| queue(run, 8, false)),
        ("mpsc.1000", |run| queue(run, 1000, false)),
        ("select.4", select_of_four),
        ("idle.tasks", idle_tasks),
        ("timer.1m", timers),
        ("wake.storm", wake_storm),
        ("exec.spawn", task_spawn),
    ];

    peer::main(&rows, "1.24.2");
}
