//! Our core beside npm `jose`, on the same corpus under the same rules: we never accept what `jose` rejects.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use narrows_verifier::Reason;

use super::corpus::{cases, questions};
use super::world::{Rules, World};

/// Why we refuse what `jose` accepts. Each is a rule of ours that `jose` leaves to its caller.
const STRICTER: [(Reason, &str); 13] = [
    (Reason::JwtMalformed, "padding, white space or unused bits in base64url"),
    (Reason::JwtHeader, "duplicate members, `jku`, `x5u`, `jwk`, `b64`, `zip` or `enc`, further members in a JWT-SVID"),
    (Reason::JwtClaims, "duplicate members, numbers beyond what is held exactly, a `jti` that is no plain text"),
    (Reason::JwtType, "marks of another kind of token inside the claims"),
    (Reason::JwtAudience, "several audiences where one is demanded, or one that is no text"),
    (Reason::JwtSubject, "no subject, or one that is empty, too long or misleading"),
    (Reason::JwtIssuer, "a subject outside the trust domain, which `jose` does not know"),
    (Reason::JwtClient, "an assertion for another client"),
    (Reason::JwtKey, "a weak key, or one with private or symmetric members"),
    (Reason::JwtExpired, "a fraction of a second, which is rounded to the strict side"),
    (Reason::DpopMalformed, "in a proof: what the rows on form, header and claims say, and a key with private members"),
    (Reason::WeakKey, "in a proof: an Ed25519 key under which one signature holds for every message"),
    (Reason::ProofTime, "in a proof: as for `exp`"),
];

#[test]
fn we_never_accept_what_jose_rejects() {
    let world = World::new();
    let cases = cases(&world);
    let theirs = ask(&questions(&world, &cases));
    assert_eq!(theirs.len(), cases.len(), "the oracle answered another number of lines");
    let (mut wrong, mut both, mut neither) = (Vec::new(), BTreeMap::<String, usize>::new(), 0);
    let mut stricter = BTreeMap::<Reason, Vec<&str>>::new();
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = world.judge(&case.token, case.rules);
        assert_eq!(world.judge(&case.token, case.rules), ours, "{} is another thing when it comes again", case.name);
        match (ours, theirs.as_str()) {
            (Ok(()), "accepts") => *both.entry(format!("{:?}", case.rules)).or_default() += 1,
            (Ok(()), answer) => wrong.push(format!("{}: jose {answer}: {}", case.name, case.token)),
            (Err(reason), "accepts") => stricter.entry(reason).or_default().push(&case.name),
            (Err(_), _) => neither += 1,
        }
    }
    assert!(wrong.is_empty(), "of {} cases, {} are accepted by us alone:\n  {}", cases.len(), wrong.len(), wrong.join("\n  "));
    let mut told = std::io::stdout();
    for (reason, names) in &stricter {
        writeln!(told, "{reason}: we refuse {} that jose accepts, such as {}", names.len(), names[0]).unwrap();
    }
    writeln!(told, "{} cases; accepted by both: {both:?}; refused by both: {neither}", cases.len()).unwrap();
    assert!(cases.len() > 2_000 && neither > 1_500, "{} cases, {neither} refused by both", cases.len());
    for rules in Rules::ALL {
        assert!(both.get(&format!("{rules:?}")).is_some_and(|count| *count >= 5), "{rules:?}: {both:?}");
    }
    let known: BTreeSet<Reason> = STRICTER.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(stricter.keys().copied().collect::<BTreeSet<_>>(), known, "the reasons for which we are stricter are others");
}

fn ask(questions: &str) -> Vec<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let folder = tests.join("oracles/jwts");
    let installed = Command::new(tests.join("npm-ci")).arg(&folder).status().expect("starting `tests/npm-ci`");
    assert!(installed.success(), "`npm ci` failed in {}: {installed}", folder.display());
    let mut process = Command::new("node")
        .arg("jwts.mjs")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting `node`, which runs the second implementation");
    let mut stdin = process.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(questions.as_bytes()).unwrap());
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "the oracle ended with {}", output.status);
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    })
}
