//! What `run.py` tells the programs that it times, and what they answer.
//!
//! With `--serve FOLDER` a program obeys lines on its standard input and answers each with a line of JSON:
//!
//! ```text
//! load NAME           reads FOLDER/<input>.f64, raw little-endian numbers, makes the plan, runs the task once
//! run NAME CALLS      {"task": NAME, "calls": CALLS, "seconds": of all calls}
//! values NAME         writes the result to FOLDER/NAME.ours.f64
//! names               {"names": of all tasks}
//! input NAME          {"input": of the task}
//! forget              drops what was loaded
//! ```
//!
//! Without, as under `cargo test --benches`, each task runs once on generated numbers.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    hint::black_box,
    io::{self, BufRead, Write},
    path::Path,
    time::Instant,
};

/// A task with its plan, its input and room for its result.
pub trait Job {
    /// What is timed.
    fn call(&mut self);
    /// The result of the last call.
    fn values(&self) -> Vec<f64>;
}

/// A task by its name.
#[derive(Clone, Copy)]
pub struct Task {
    pub name: &'static str,
    /// The input that `run.py` writes for it.
    pub input: &'static str,
    /// Numbers enough for one quick call.
    pub few: usize,
    pub plan: fn(Vec<f64>) -> Box<dyn Job>,
}

impl Task {
    pub const fn new(name: &'static str, input: &'static str, few: usize, plan: fn(Vec<f64>) -> Box<dyn Job>) -> Self {
        Self { name, input, few, plan }
    }
}

/// A task whose result is in `state` after a call.
struct Stateful<S> {
    state: S,
    call: fn(&mut S),
    values: fn(&S) -> Vec<f64>,
}

impl<S> Job for Stateful<S> {
    fn call(&mut self) {
        (self.call)(black_box(&mut self.state));
    }

    fn values(&self) -> Vec<f64> {
        (self.values)(&self.state)
    }
}

/// A job by what a call does to a state, and what of it is the result.
pub fn job<S: 'static>(state: S, call: fn(&mut S), values: fn(&S) -> Vec<f64>) -> Box<dyn Job> {
    Box::new(Stateful { state, call, values })
}

type Jobs = BTreeMap<&'static str, Box<dyn Job>>;

fn task<'a>(tasks: &'a [Task], name: &str) -> Result<&'a Task, String> {
    tasks
        .iter()
        .find(|t| t.name == name)
        .ok_or_else(|| format!("no task {name}"))
}

fn read(path: &Path) -> Result<Vec<f64>, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(format!("{}: {} bytes are no numbers", path.display(), bytes.len()));
    }
    Ok(numbers.iter().copied().map(f64::from_le_bytes).collect())
}

fn obey(tasks: &[Task], line: &str, folder: &Path, jobs: &mut Jobs) -> Result<Value, Box<dyn Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let loaded = |jobs: &mut Jobs, name: &str| jobs.remove(name).ok_or(format!("{name} is not loaded"));
    match *words.as_slice() {
        ["load", name] => {
            let task = task(tasks, name)?;
            let mut job = (task.plan)(read(&folder.join(format!("{}.f64", task.input)))?);
            job.call();
            jobs.insert(task.name, job);
            Ok(json!({ "task": name }))
        }
        ["run", name, calls] => {
            let (calls, task): (u64, _) = (calls.parse()?, task(tasks, name)?);
            let mut job = loaded(jobs, name)?;
            let start = Instant::now();
            (0..calls).for_each(|_| job.call());
            let seconds = start.elapsed().as_secs_f64();
            jobs.insert(task.name, job);
            Ok(json!({ "task": name, "calls": calls, "seconds": seconds }))
        }
        ["values", name] => {
            let job = loaded(jobs, name)?;
            let values = job.values();
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            fs::write(folder.join(format!("{name}.ours.f64")), bytes)?;
            jobs.insert(task(tasks, name)?.name, job);
            Ok(json!({ "task": name, "values": values.len() }))
        }
        ["names"] => Ok(json!({ "names": tasks.iter().map(|t| t.name).collect::<Vec<_>>() })),
        ["input", name] => Ok(json!({ "input": task(tasks, name)?.input })),
        ["forget"] => {
            jobs.clear();
            Ok(json!({}))
        }
        _ => Err(format!("no such command: {line}").into()),
    }
}

fn serve(tasks: &[Task], folder: &Path) -> io::Result<()> {
    let mut jobs = Jobs::new();
    for line in io::stdin().lock().lines() {
        let answer = obey(tasks, &line?, folder, &mut jobs).unwrap_or_else(|e| json!({ "error": e.to_string() }));
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// Each task once, on numbers that are no signal of anything.
fn once(tasks: &[Task]) {
    for task in tasks {
        let x = (0..task.few as u64)
            .map(|i| ((i * 7919 + i * i) % 1013) as f64 * 1e-3)
            .collect();
        let mut job = (task.plan)(x);
        job.call();
        let values = job.values();
        // A rolling window is not full at first.
        let n_finite = values.iter().filter(|v| v.is_finite()).count();
        assert!(n_finite > values.len() / 2, "{}: {n_finite} finite values", task.name);
        println!("{}: {} values", task.name, values.len());
    }
    println!("For times beside other libraries: ./benches/peers/run.sh");
}

/// Obeys with `--serve FOLDER`, or runs each task once.
pub fn main(tasks: &[Task]) -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().position(|a| a == "--serve").map(|i| args.get(i + 1)) {
        Some(Some(folder)) => serve(tasks, Path::new(folder)),
        Some(None) => Err(io::Error::other("--serve needs a folder")),
        None => {
            once(tasks);
            Ok(())
        }
    }
}
