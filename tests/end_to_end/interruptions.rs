//! Auditors whose service goes away under them: they wait, go on where they were, and believe no log that came back another one.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use narrows::HolderKey;
use narrows_tests::{
    forged::ForgedProvider,
    issuer::Issuer,
    program::{Ran, narrows},
};

use super::auditing::{Backup, IDA, audited, vkey};

#[tokio::test]
async fn a_follower_goes_on_over_restarts_and_sees_each_leaf_once() {
    let (mut issuer, provider) = audited("").await;
    grow(&issuer, &provider, 3).await;
    let mut follower = Follower::start(&issuer, &["--count", "9"]);
    let mut seen = follower.take(4);
    for round in 0..2 {
        if round == 0 {
            issuer.stop()
        } else {
            issuer.kill()
        }
        follower.waits();
        issuer.start().await;
        let before = issuer.log_size().await;
        grow(&issuer, &provider, 2).await;
        while *seen.last().unwrap() < before + 1 {
            seen.extend(follower.take(1));
        }
    }
    let expected: Vec<u64> = (0..=*seen.last().unwrap()).collect();
    assert_eq!(seen, expected, "no leaf is lost and none is shown twice");
    follower.end();
}

#[tokio::test]
async fn a_follower_ends_at_once_where_the_log_came_back_shorter() {
    let (mut issuer, provider) = audited("").await;
    issuer.stop();
    let old = Backup::of(&issuer);
    issuer.start().await;
    grow(&issuer, &provider, 4).await;
    let mut follower = Follower::start(&issuer, &["--count", "9"]);
    follower.take(5);
    comes_back_as(&mut issuer, &old, follower).await.refused("AUDIT_ROLLBACK_DETECTED");
}

#[tokio::test]
async fn a_follower_ends_at_once_where_the_log_came_back_another_one() {
    let (mut issuer, provider) = audited("").await;
    issuer.stop();
    let begun = Backup::of(&issuer);
    issuer.start().await;
    // longer than what the follower sees of the other branch, its own readings among it
    grow(&issuer, &provider, 30).await;
    issuer.stop();
    let other = Backup::of(&issuer);
    begun.restore(&issuer);
    issuer.start().await;
    grow(&issuer, &provider, 2).await;
    let mut follower = Follower::start(&issuer, &["--count", "9"]);
    follower.take(4);
    comes_back_as(&mut issuer, &other, follower).await.refused("SPLIT_VIEW");
}

/// The service ends and starts again on this log, and the follower ends with it, showing both notes.
async fn comes_back_as(issuer: &mut Issuer, log: &Backup, mut follower: Follower) -> Ran {
    issuer.stop();
    follower.waits();
    log.restore(issuer);
    issuer.start().await;
    let ran = follower.ended();
    assert!(ran.errors.contains("seen before:") && ran.errors.contains("shown now:"), "both notes are shown: {}", ran.errors);
    ran
}

#[tokio::test]
async fn a_follower_does_not_wait_for_who_never_answered() {
    let (mut issuer, _) = audited("").await;
    let follower = Follower::start(&issuer, &[]);
    follower.end();
    issuer.stop();
    Follower::start(&issuer, &[]).ended().refused("PEER_UNREACHABLE");
}

/// The service is killed and started between two requests, and has then forgotten what it was told is being read.
#[tokio::test]
async fn a_check_over_http_goes_on_when_the_service_was_restarted_in_the_middle() {
    let (mut issuer, provider) = audited("").await;
    grow(&issuer, &provider, 280).await;
    let size = issuer.log_size().await;
    let gate = Gate::new(&issuer, "/log/tile/entries/000 ", Hold::UntilOpened);
    let fsck = fsck(&issuer, &gate);
    gate.reached.recv().unwrap();
    issuer.kill();
    gate.opener.send(()).unwrap();
    issuer.start().await;
    let ran = Ran::new(fsck.wait_with_output().unwrap());
    assert!(ran.errors.contains("PEER_UNREACHABLE") && ran.errors.contains("asking again in"), "{}", ran.errors);
    let told = ran.succeeded();
    assert!(told.contains(&format!("leaves       {size}, each hashed anew")), "{told}");
    // the reading, the tile that was asked for again, and the rest announced anew
    assert_eq!(issuer.log_size().await, size + 3);
}

#[tokio::test]
async fn a_check_over_http_waits_for_as_long_as_it_is_told_to() {
    let (issuer, provider) = audited("").await;
    grow(&issuer, &provider, 3).await;
    let gate = Gate::new(&issuer, "/log/tile/entries/000.p", Hold::Refusing(2));
    let ran = Ran::new(fsck(&issuer, &gate).wait_with_output().unwrap());
    assert_eq!(ran.errors.matches("AUDITOR_RATE").count(), 2, "{}", ran.errors);
    assert_eq!(ran.errors.matches("asking again in 2 s").count(), 2, "{}", ran.errors);
    ran.succeeded();
}

async fn grow(issuer: &Issuer, provider: &ForgedProvider, leaves: usize) {
    for _ in 0..leaves {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
}

fn fsck(issuer: &Issuer, gate: &Gate) -> Child {
    let (secret, key) = (issuer.keep("ida.secret", IDA), vkey(issuer).to_string());
    let mut fsck = Command::new(narrows());
    fsck.args(["audit", "fsck", "--url", &gate.url, "--vkey", &key, "--credential"]).arg(secret);
    fsck.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

struct Follower {
    process: Child,
    lines: BufReader<ChildStdout>,
    errors: PathBuf,
    waited: usize,
}

impl Follower {
    fn start(issuer: &Issuer, more: &[&str]) -> Self {
        let (secret, errors) = (issuer.keep("ida.secret", IDA), issuer.keep("follower.errors", ""));
        let mut tail = Command::new(narrows());
        tail.args(["audit", "tail", "--follow", "--url", issuer.url(), "--vkey", &vkey(issuer).to_string(), "--credential"])
            .arg(secret)
            .args(more);
        let file = fs::File::create(&errors).unwrap();
        let mut process = tail.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines, errors, waited: 0 }
    }

    /// The indices of the next leaves that it shows.
    fn take(&mut self, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| {
                let mut line = String::new();
                assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended: {}", fs::read_to_string(&self.errors).unwrap());
                line.split_whitespace().next().unwrap().parse().unwrap()
            })
            .collect()
    }

    /// Returns once it has said that the service is away.
    fn waits(&mut self) {
        let said = || fs::read_to_string(&self.errors).unwrap().matches("asking again in").count();
        while said() <= self.waited {
            assert_eq!(self.process.try_wait().unwrap(), None, "{}", fs::read_to_string(&self.errors).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.waited = said();
    }

    /// What it did, once it ends by itself.
    fn ended(mut self) -> Ran {
        let code = self.process.wait().unwrap().code();
        Ran { code, out: String::new(), errors: fs::read_to_string(&self.errors).unwrap() }
    }

    fn end(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A proxy on the way to the issuer, one request a connection.
struct Gate {
    url: String,
    reached: Receiver<()>,
    opener: Sender<()>,
}

/// What it does with requests for its path.
#[derive(Clone, Copy)]
enum Hold {
    /// Keeps the first one until it is opened.
    UntilOpened,
    /// Refuses so many.
    Refusing(usize),
}

impl Gate {
    fn new(issuer: &Issuer, path: &'static str, hold: Hold) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = issuer.url().strip_prefix("http://").unwrap().to_owned();
        let ((reach, reached), (opener, opened)) = (channel(), channel());
        std::thread::spawn(move || {
            let mut met = 0;
            for stream in listener.incoming() {
                let Some((mut stream, request)) = stream.ok().and_then(head) else { continue };
                if request.starts_with(&format!("GET {path}")) {
                    met += 1;
                    match hold {
                        Hold::UntilOpened if met == 1 => {
                            reach.send(()).unwrap();
                            opened.recv().unwrap();
                        }
                        Hold::Refusing(most) if met <= most => {
                            let _gone = stream.write_all(REFUSAL.as_bytes());
                            continue;
                        }
                        _ => {}
                    }
                }
                // where the issuer is gone, the connection breaks as its own would
                if let Ok(mut issuer) = TcpStream::connect(&address) {
                    let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                    let _gone = issuer.write_all(request.as_bytes()).and_then(|()| std::io::copy(&mut issuer, &mut stream));
                }
            }
        });
        Self { url, reached, opener }
    }
}

/// The head of a request, which is all that a GET has.
fn head(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.extend(byte);
    }
    Some((stream, String::from_utf8(bytes).ok()?))
}

const REFUSAL: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 25\r\n\r\n\
                       {\"reason\":\"AUDITOR_RATE\"}";
