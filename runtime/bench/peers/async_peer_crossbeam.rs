// crossbeam's channels beside ours: bounded MPMC, unbounded MPSC, select. No thread ever drops its end while another
// sends for the first time: version 0.5.6 has a race there.
#[path = "peer.rs"]
mod peer;

use crossbeam_channel::{bounded, select, unbounded, Receiver, Sender};
use peer::{Run, ITEMS_EACH, QUEUE_ITEMS, QUEUE_TOTAL};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Instant;

const STACK_BYTES: usize = 131072;
const TRIPS: usize = 20000;

fn start(body: impl FnOnce() -> u64 + Send + 'static) -> thread::JoinHandle<u64> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(body).expect("a thread could not be started")
}

/// When the first thread passed the gate: the main thread may not run at that moment.
struct Began(Mutex<Option<Instant>>);

impl Began {
    fn get_or_insert_now(&self) {
        self.0.lock().expect("a thread failed").get_or_insert_with(Instant::now);
    }
}

/// Moves all items once; nanoseconds per item from the gate to the last item.
fn queue_once(ends: (Sender<u64>, Receiver<u64>), producers: usize, consumers: usize, items: usize) -> f64 {
    let items = (items / (producers * consumers)).max(1) * producers * consumers;
    let gate = Arc::new(Barrier::new(producers + consumers));
    let began = Arc::new(Began(Mutex::new(None)));
    let mut senders = Vec::new();
    let mut receivers = Vec::new();

    for _ in 0..producers {
        let (sender, gate, began) = (ends.0.clone(), gate.clone(), began.clone());
        senders.push(start(move || {
            gate.wait();
            began.get_or_insert_now();
            for _ in 0..items / producers {
                sender.send(1).expect("the receiver is gone");
            }
            0
        }));
    }
    for _ in 0..consumers {
        let (receiver, gate, began) = (ends.1.clone(), gate.clone(), began.clone());
        receivers.push(start(move || {
            gate.wait();
            began.get_or_insert_now();
            (0..items / consumers).map(|_| receiver.recv().expect("the sender is gone")).sum()
        }));
    }
    let sum: u64 = receivers.into_iter().map(|thread| thread.join().expect("a thread failed")).sum();
    let end = Instant::now();
    for thread in senders {
        thread.join().expect("a thread failed");
    }
    assert_eq!(sum, items as u64, "items were lost");
    let begin = began.0.lock().expect("a thread failed").expect("a thread has begun");
    end.duration_since(begin).as_nanos() as f64 / items as f64
}

fn queue(run: &mut Run, open: fn() -> (Sender<u64>, Receiver<u64>), producers: usize, consumers: usize) {
    let items = run.amount(QUEUE_TOTAL.max(ITEMS_EACH * producers * consumers));

    run.measure_items("per item", items, |items| queue_once(open(), producers, consumers, items));
}

fn open_bounded() -> (Sender<u64>, Receiver<u64>) {
    bounded(QUEUE_ITEMS)
}

fn open_unbounded() -> (Sender<u64>, Receiver<u64>) {
    unbounded()
}

fn round_trip(run: &mut Run) {
    let (there, there_end) = open_bounded();
    let (back, back_end) = open_bounded();
    let trips = run.amount(TRIPS);
    let other = start(move || there_end.iter().map(|value| back.send(value).map_or(0, |()| 1)).sum());

    run.measure("round trip", trips, || {
        for i in 0..trips as u64 {
            there.send(i).expect("the other thread is gone");
            assert_eq!(back_end.recv(), Ok(i));
        }
    });
    drop(there);
    other.join().expect("a thread failed");
}

fn select_of_four(run: &mut Run) {
    let ends: Vec<(Sender<u64>, Receiver<u64>)> = (0..4).map(|_| bounded(64)).collect();
    let items = run.amount(20_000) / 4 * 4;

    run.measure("per item", items, || {
        let senders: Vec<Sender<u64>> = ends.iter().map(|end| end.0.clone()).collect();
        let other = start(move || {
            for i in 0..items {
                senders[i % 4].send(1).expect("the receiver is gone");
            }
            0
        });
        let mut sum = 0;

        for _ in 0..items {
            select! {
                recv(ends[0].1) -> value => sum += value.unwrap_or(0),
                recv(ends[1].1) -> value => sum += value.unwrap_or(0),
                recv(ends[2].1) -> value => sum += value.unwrap_or(0),
                recv(ends[3].1) -> value => sum += value.unwrap_or(0),
            }
        }
        other.join().expect("a thread failed");
        assert_eq!(sum, items as u64, "items were lost");
    });
}

fn main() {
    let rows: [(&str, fn(&mut Run)); 8] = [
        ("spsc.single", |run| queue(run, open_bounded, 1, 1)),
        ("mpmc.2x2", |run| queue(run, open_bounded, 2, 2)),
        ("mpsc.1", |run| queue(run, open_unbounded, 1, 1)),
        ("mpsc.2", |run| queue(run, open_unbounded, 2, 1)),
        ("mpsc.8", |run| queue(run, open_unbounded, 8, 1)),
        ("mpsc.1000", |run| queue(run, open_unbounded, 1000, 1)),
        ("rtt", round_trip),
        ("select.4", select_of_four),
    ];

    peer::main(&rows, "0.5.6");
}
