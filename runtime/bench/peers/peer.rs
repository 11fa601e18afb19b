// What the peer programs in Rust share: arguments, the measuring loop, lines of results (peer.h says of what kind).
use std::fs;
use std::io::Write;
use std::os::unix::io::FromRawFd;
use std::time::{Duration, Instant};

#[allow(dead_code)]
pub const MILLION: usize = 1_000_000;
#[allow(dead_code)]
pub const BATCH_TASKS: usize = 4096;
pub const QUEUE_ITEMS: usize = 1024;
pub const QUEUE_TOTAL: usize = 65536;
pub const ITEMS_EACH: usize = 1024;
const BATCHES_WANTED: usize = 5;
const ENOUGH: Duration = Duration::from_secs(1);
const AMOUNT_MIN: usize = 64;
const RESULT_FD: i32 = 3;
const SLOW_BATCH_NS: f64 = 3e8;

pub struct Run {
    out: fs::File,
    budget: Duration,
    divisor: usize,
}

impl Run {
    pub fn emit(&mut self, metric: &str, unit: &str, value: f64) {
        writeln!(self.out, "metric\t{metric}\t{unit}\t0\t{value}").expect("results cannot be written");
    }

    /// A fixed amount of work as this run wants it.
    pub fn amount(&self, whole: usize) -> usize {
        (whole / self.divisor).max(AMOUNT_MIN)
    }

    /// Reports the median of elapsed nanoseconds / operations over the budget, after one warm-up.
    pub fn measure(&mut self, metric: &str, operations: usize, mut batch: impl FnMut()) {
        let mut samples = Vec::new();
        let start = Instant::now();

        batch();
        while self.goes_on(start, samples.len()) {
            let begin = Instant::now();
            batch();
            samples.push(begin.elapsed().as_nanos() as f64 / operations as f64);
        }
        self.report(metric, samples);
    }

    /// The same for a batch that times itself and is told how many items to move; slow ones get fewer.
    #[allow(dead_code)]
    pub fn measure_items(&mut self, metric: &str, items: usize, mut batch: impl FnMut(usize) -> f64) {
        let mut samples = Vec::new();
        let trial = batch((items / 64).max(AMOUNT_MIN));
        let items = items.min((SLOW_BATCH_NS / trial) as usize).max(AMOUNT_MIN);
        let start = Instant::now();

        while self.goes_on(start, samples.len()) {
            samples.push(batch(items));
        }
        let fastest = samples.iter().copied().fold(f64::MAX, f64::min);
        self.report(metric, samples);
        self.emit("fastest batch", "ns", fastest);
    }

    /// Until the budget is used up; five samples unless that takes a second; always one.
    fn goes_on(&self, start: Instant, samples: usize) -> bool {
        let elapsed = start.elapsed();

        samples == 0 || elapsed < self.budget || (samples < BATCHES_WANTED && elapsed < ENOUGH)
    }

    fn report(&mut self, metric: &str, mut samples: Vec<f64>) {
        samples.sort_by(|a, b| a.partial_cmp(b).expect("a time is a number"));
        self.emit(metric, "ns", samples[samples.len() / 2]);
    }
}

fn kib_of(path: &str, key: &str) -> usize {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));

    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// Resident bytes and page tables.
#[allow(dead_code)]
pub fn memory_bytes() -> usize {
    1024 * (kib_of("/proc/self/smaps_rollup", "Rss:") + kib_of("/proc/self/status", "VmPTE:"))
}

/// Runs the row that the arguments name.
pub fn main(rows: &[(&str, fn(&mut Run))], version: &str) {
    let arguments: Vec<String> = std::env::args().collect();
    let is_open = fs::metadata(format!("/proc/self/fd/{RESULT_FD}")).is_ok();
    // SAFETY: the descriptor is open and nothing else in this program owns it.
    let mut out = unsafe { fs::File::from_raw_fd(if is_open { RESULT_FD } else { 1 }) };

    if arguments.len() == 2 && arguments[1] == "--rows" {
        for (name, _) in rows {
            writeln!(out, "row\t{name}").expect("results cannot be written");
        }
        writeln!(out, "version\t{version}").expect("results cannot be written");
        return;
    }
    let row = rows.iter().find(|row| arguments.len() >= 4 && row.0 == arguments[1]);
    let numbers = (arguments.get(2).and_then(|n| n.parse().ok()), arguments.get(3).and_then(|n| n.parse().ok()));
    match (row, numbers) {
        (Some(row), (Some(nanoseconds), Some(divisor))) if divisor > 0 => {
            let mut run = Run { out, budget: Duration::from_nanos(nanoseconds), divisor };
            (row.1)(&mut run);
        }
        _ => std::process::exit(2),
    }
}
