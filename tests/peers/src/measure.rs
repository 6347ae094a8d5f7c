//! Times cells in turn, so that whatever happens to the machine happens to every system.

use std::{hint::black_box, time::Instant};

/// Runs of one cell in a row, so that it is timed with caches as warm as its own work leaves them.
const BLOCK: usize = 20;
/// Frames of some 100 bytes, so that all of them together pass over 4 KiB.
const FRAMES: usize = 61;
/// Work shorter than this is repeated inside a sample; reading the clock takes some 25 ns.
const SHORT: f64 = 4_000.0;

/// One line of the table.
pub struct Row {
    pub name: String,
    pub cells: Vec<Cell>,
}

/// What one system has to say to one line.
pub enum Cell {
    Timed(Timed),
    Bytes(usize),
    /// The system has no equal, and why.
    Absent(&'static str),
}

pub struct Timed {
    /// Runs so many times, and takes so many nanoseconds for all.
    work: Box<dyn FnMut(u32) -> u128>,
    repeat: u32,
    /// Nanoseconds of one run.
    samples: Vec<f64>,
}

impl Row {
    pub fn new<const N: usize>(name: &str, cells: [Cell; N]) -> Self {
        Self { name: name.to_owned(), cells: cells.into() }
    }
}

impl Cell {
    /// Work whose result is looked at, so that none of it is left out.
    pub fn timed<T>(mut work: impl FnMut() -> T + 'static) -> Self {
        Self::of(move |repeat| {
            let start = Instant::now();
            for _ in 0..repeat {
                black_box(work());
            }
            start.elapsed().as_nanos()
        })
    }

    /// The same for work on something that is made anew for each run, outside of the time.
    pub fn timed_on<S, T>(mut make: impl FnMut() -> S + 'static, mut work: impl FnMut(&S) -> T + 'static) -> Self {
        Self::of(move |repeat| {
            let made: Vec<S> = (0..repeat).map(|_| make()).collect();
            let start = Instant::now();
            for made in &made {
                black_box(work(made));
            }
            start.elapsed().as_nanos()
        })
    }

    fn of(work: impl FnMut(u32) -> u128 + 'static) -> Self {
        Cell::Timed(Timed { work: Box::new(work), repeat: 1, samples: Vec::new() })
    }

    fn timed_mut(&mut self) -> Option<&mut Timed> {
        match self {
            Cell::Timed(timed) => Some(timed),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Cell::Bytes(bytes) => format!("{bytes} B"),
            Cell::Absent(why) => format!("none ({why})"),
            Cell::Timed(timed) => {
                let mut sorted = timed.samples.clone();
                sorted.sort_by(f64::total_cmp);
                let [low, median, high] = [0.1, 0.5, 0.9].map(|part| sorted[(part * (sorted.len() - 1) as f64).round() as usize]);
                format!("**{}** ({}–{})", micros(median), micros(low), micros(high))
            }
        }
    }
}

impl Timed {
    /// Nanoseconds of one run, from as many as `repeat` says.
    fn run(&mut self) -> f64 {
        (self.work)(self.repeat) as f64 / f64::from(self.repeat)
    }
}

/// Takes `samples` samples of every timed cell: round robin over the cells, a block of runs each.
pub fn run(rows: &mut [Row], samples: usize) {
    let mut cells: Vec<_> = rows.iter_mut().flat_map(|row| &mut row.cells).filter_map(Cell::timed_mut).collect();
    for cell in &mut cells {
        let warm: f64 = (0..200).map(|_| cell.run()).fold(f64::INFINITY, f64::min);
        cell.repeat = if warm < SHORT { 16 } else { 1 };
    }
    for round in 0..samples.div_ceil(BLOCK) {
        for cell in &mut cells {
            further_down(round % FRAMES, &mut || {
                // what another cell left in the caches is not this cell's doing
                for _ in 0..3 {
                    cell.run();
                }
                for _ in 0..BLOCK {
                    let sample = cell.run();
                    cell.samples.push(sample);
                }
            });
        }
    }
}

/// Runs work so many frames further down the stack. A frame whose address is that of some table modulo 4 KiB costs an
/// Ed25519 verification 15 % more, and where a process's stack begins is chance: each cell is to meet every case.
#[inline(never)]
fn further_down(frames: usize, work: &mut dyn FnMut()) {
    let padding = black_box([0_u8; 64]);
    match frames.checked_sub(1) {
        None => work(),
        Some(fewer) => further_down(fewer, work),
    }
    black_box(&padding);
}

/// The rows in Markdown.
pub fn table(systems: &[&str], rows: &[Row]) -> String {
    let mut text = format!("| µs: median (p10–p90) | {} |\n|---|{}\n", systems.join(" | "), "---|".repeat(systems.len()));
    for row in rows {
        let mut cells: Vec<_> = row.cells.iter().map(Cell::text).collect();
        cells.resize(systems.len(), String::new());
        text += &format!("| {} | {} |\n", row.name, cells.join(" | "));
    }
    text
}

fn micros(nanoseconds: f64) -> String {
    let micros = nanoseconds / 1_000.0;
    if micros < 10.0 { format!("{micros:.2}") } else { format!("{micros:.1}") }
}
