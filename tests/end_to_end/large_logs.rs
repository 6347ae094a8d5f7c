//! What checks and searches of a log hold in memory does not grow with the log.

use std::{path::PathBuf, process::Command};

use narrows_tests::{
    program::{narrows, run},
    scratch::Scratch,
};

#[test]
fn the_memory_of_checks_and_searches_does_not_grow_with_the_log() {
    let (few, many) = (Filled::with(1_000), Filled::with(8_000));
    for verb in [&["fsck"][..], &["verify"], &["search", "--kind", "hop"]] {
        let [small, large] = [&few, &many].map(|log| log.peak_kib(verb));
        assert!(large < small + MOST_GROWTH_KIB, "{verb:?}: {small} KiB for 1,000 leaves, {large} KiB for 8,000");
    }
}

/// A log that the bench made, each of whose leaves begins a task of its own.
struct Filled {
    _scratch: Scratch,
    data: PathBuf,
}

impl Filled {
    fn with(leaves: u32) -> Self {
        let scratch = Scratch::new();
        let on = scratch.join("on");
        std::fs::create_dir(&on).unwrap();
        let (leaves, on) = (leaves.to_string(), on.to_string_lossy().into_owned());
        let bench = ["bench", "audit", "--leaves", &leaves, "--fill", "leaf", "--callers", "1", "--appends", "1", "--on", &on, "--keep"];
        let told = run(bench).succeeded();
        let data = told.lines().find_map(|line| line.strip_prefix("the log is in ")).expect("a place").into();
        Self { _scratch: scratch, data }
    }

    /// The most memory that the program had while it read the log.
    fn peak_kib(&self, verb: &[&str]) -> u64 {
        const MEASURE: &str = "import resource, subprocess, sys\n\
            code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
            sys.exit(code)";
        let mut python = Command::new("python3");
        let output = python.args(["-c", MEASURE]).arg(narrows()).arg("audit").args(verb).arg("--data").arg(&self.data).output().unwrap();
        assert!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }
}

/// Three hundred bytes for each further leaf, which is less than any leaf has.
const MOST_GROWTH_KIB: u64 = 2 * 1024;
