//! The programs as a user runs them: the built binaries, in processes of their own.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::SystemTime,
};

/// The binary `narrows`; the tool server of the examples lies beside it. They are built first when a source is newer, so
/// that no test passes for yesterday's program.
pub fn narrows() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let profile = std::env::current_exe().expect("the path of this test").ancestors().nth(2).expect("a target folder").to_owned();
        let binary = profile.join("narrows");
        // tests run in parallel processes: one builds under the lock, the others wait and find it done
        let lock = File::create(profile.join(".narrows-tests.lock")).expect("making the lock file");
        lock.lock().expect("locking");
        if !BINARIES.iter().all(|name| is_fresh(&profile.join(name))) {
            let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            build.args(["build", "--locked", "--workspace", "--all-targets"]).current_dir(root());
            if profile.ends_with("release") {
                build.arg("--release");
            }
            let status = build.stdin(Stdio::null()).status().expect("starting `cargo`");
            assert!(status.success() && binary.is_file(), "`cargo build --workspace` made no {}", binary.display());
        }
        binary
    })
}

/// Runs one command to its end.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let output = Command::new(narrows()).args(arguments).stdin(Stdio::null()).output().expect("starting `narrows`");
    Ran::new(output)
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; a signal is none.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub errors: String,
}

impl Ran {
    /// Reads the output of a process that ended.
    pub fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
    }

    /// The standard output of a command that must succeed.
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.errors);
        self.out
    }

    /// Asserts exit code 1 and that this text, usually a reason code, stands in the errors.
    pub fn refused(self, reason: &str) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.errors);
        assert!(self.errors.contains(reason), "no `{reason}` in: {}", self.errors);
    }
}

/// The dependency file beside the binary names every source that went into it.
fn is_fresh(binary: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let Ok(built) = changed(binary) else { return false };
    let Ok(sources) = fs::read_to_string(binary.with_extension("d")) else { return false };
    let older = |source: &str| changed(Path::new(source)).is_ok_and(|time: SystemTime| time <= built);
    sources.split_once(": ").is_some_and(|(_, sources)| sources.split_whitespace().all(older))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const BINARIES: [&str; 3] = ["mcp-server", "narrows", "tool-server"];
