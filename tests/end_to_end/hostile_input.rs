//! What a careless or hostile user hands to `narrows audit`: each refusal is one line with a code, nothing waits and nothing panics.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use narrows::HolderKey;
use narrows_tests::{
    issuer::Issuer,
    program::{Ran, narrows, run},
};

use super::auditing::{IDA, audited, vkey};

#[tokio::test]
async fn no_file_that_is_named_is_waited_for_or_read_beyond_its_bound() {
    let (issuer, provider) = audited("").await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let place = Place::new(&issuer);
    let good = place.good();
    for file in ["missing", "folder", "pipe", "sparse", "bytes"] {
        let file = place.at(file);
        for (verb, words) in [
            ("a bundle", vec!["verify", &file, "--vkey", &place.key]),
            ("a leaf beside a receipt", vec!["verify", &good.receipt, "--leaf", &file, "--vkey", &place.key]),
            ("a receipt", vec!["verify", "--data", &place.data, "--receipt", &file, "--leaf", &good.leaf]),
            ("an answer", vec!["verify", "--data", &place.data, "--answer", &file]),
            ("a kept checkpoint", vec!["verify", "--data", &place.data, "--checkpoint", &file]),
            ("a checkpoint", vec!["compare", &good.checkpoint, &file, "--vkey", &place.key]),
            ("a leaf to prove", vec!["prove", "1", "--data", &place.data, "--leaf", &file]),
            ("a credential", vec!["search", "--url", issuer.url(), "--vkey", &place.key, "--credential", &file]),
            ("a state", vec!["head", "--data", &place.data, "--state", &file]),
        ] {
            // a state that is not there is a first visit, and of bytes that are no text a leaf may be made
            if (verb == "a state" && file.ends_with("missing")) || (verb.starts_with("a leaf") && file.ends_with("bytes")) {
                continue;
            }
            refused(&format!("{verb} from {file}"), &words, "FILE_UNUSABLE");
        }
        refused(&format!("a configuration from {file}"), &["head", "--config", &file], "CONFIG_INVALID");
        refused(
            &format!("a witness's key from {file}"),
            &["witness", "--name", "w", "--key", &file, "--state", "s", "--log", &place.key],
            "KEY_FILE",
        );
        refused(&format!("a data directory that is {file}"), &["fsck", "--data", &file], "KEY_FILE_MISSING");
    }
    let (key, state) = (place.at("w.key"), place.at("w.db"));
    refused("a witness of no name", &["witness", "--name", "a b", "--key", &key, "--state", &state, "--init"], "VERIFIER_KEY_MALFORMED");
    assert!(!Path::new(&key).exists(), "no key is left behind");
    for (verb, words) in [
        ("an export over a file", vec!["export", "--data", &place.data, "--out", &good.bundle]),
        ("a state in no folder", vec!["head", "--data", &place.data, "--state", "/nowhere/state"]),
    ] {
        refused(verb, &words, "FILE_UNUSABLE");
    }
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn evidence_that_is_cut_changed_or_of_another_log_is_refused_in_one_line() {
    let ((issuer, provider), (other, _)) = (audited("").await, audited("").await);
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let (place, elsewhere) = (Place::new(&issuer), Place::new(&other));
    let (good, foreign) = (place.good(), elsewhere.good());
    let bundle = fs::read_to_string(&good.bundle).unwrap();
    let receipt = fs::read_to_string(&good.receipt).unwrap();
    let keep = |name: &str, text: &str| issuer.keep(name, text).to_string_lossy().into_owned();
    for cut in [0, 1, bundle.len() / 2, bundle.len() - 2] {
        refused("a bundle cut", &["verify", &keep("cut", &bundle[..cut]), "--vkey", &place.key], "BUNDLE_MALFORMED");
    }
    let turned = keep("turned", &bundle.replacen(r#"\"verdict\":\"allow\""#, r#"\"verdict\":\"block\""#, 1));
    refused("a bundle changed", &["verify", &turned, "--vkey", &place.key], "INCLUSION_PROOF");
    refused("a bundle under another key", &["verify", &good.bundle, "--vkey", &elsewhere.key], "CHECKPOINT_SIGNATURE");
    refused("a receipt cut", &["verify", &keep("cut", &receipt[..60]), "--leaf", &good.leaf, "--vkey", &place.key], "RECEIPT_MALFORMED");
    refused("a receipt of another leaf", &["verify", &good.receipt, "--leaf", &good.bundle, "--vkey", &place.key], "INCLUSION_PROOF");
    refused("a receipt alone", &["verify", &good.receipt, "--vkey", &place.key], "PARAMETER_MISSING");
    refused("no key", &["verify", &good.bundle, "--vkey", "key"], "VERIFIER_KEY_MALFORMED");
    refused("another log's key", &["fsck", "--data", &place.data, "--vkey", &elsewhere.key], "CHECKPOINT_SIGNATURE");
    for source in [["--data", &place.data], ["--url", issuer.url()]] {
        let words = [&["head", "--vkey", &place.key, "--state", &foreign.checkpoint][..], &source].concat();
        refused("another log's checkpoint as state", &words, "CHECKPOINT_SIGNATURE");
        let words = [&["head", "--vkey", &elsewhere.key][..], &source].concat();
        refused("another log's key", &words, "CHECKPOINT_SIGNATURE");
    }
    refused("another log's checkpoint", &["compare", &good.checkpoint, &foreign.checkpoint, "--vkey", &place.key], "CHECKPOINT_SIGNATURE");
    refused("one checkpoint", &["compare", &good.checkpoint, "--vkey", &place.key], "PARAMETER_MISSING");
    for (url, reason) in [("http://127.0.0.1:1", "PEER_UNREACHABLE"), ("http://log.example", "ADDRESS_REFUSED"), ("log", "ADDRESS_REFUSED")]
    {
        refused(url, &["head", "--url", url, "--vkey", &place.key], reason);
    }
}

#[tokio::test]
async fn places_and_bounds_that_no_log_has_are_told_apart_from_leaves_that_are_not_there() {
    let (issuer, _) = audited("").await;
    let place = Place::new(&issuer);
    let secret = issuer.keep("ida.secret", IDA).to_string_lossy().into_owned();
    let served = ["--url", issuer.url(), "--vkey", &place.key, "--credential", &secret];
    for source in [&["--data", &place.data][..], &served] {
        for (id, reason) in [
            ("-1", "PARAMETER_INVALID"),
            ("+1", "PARAMETER_INVALID"),
            ("01", "PARAMETER_INVALID"),
            ("", "PARAMETER_INVALID"),
            ("one", "PARAMETER_INVALID"),
            ("99999999999999999999999", "PARAMETER_INVALID"),
            ("18446744073709551615", "ENTRY_UNKNOWN"),
            ("9223372036854775808", "ENTRY_UNKNOWN"),
            ("4611686018427387902", "ENTRY_UNKNOWN"),
            ("1000", "ENTRY_UNKNOWN"),
            ("ffffffffffffffffffffffffffffffff", "ENTRY_UNKNOWN"),
        ] {
            for verb in ["show", "prove"] {
                refused(&format!("{verb} {id}"), &[&[verb][..], source, &["--", id]].concat(), reason);
            }
        }
        refused("a task that is none", &[&["task", "1"][..], source].concat(), "PARAMETER_INVALID");
        refused("an unknown task", &[&["task", &"f".repeat(32)][..], source].concat(), "ENTRY_UNKNOWN");
        for pair in ["--after=-1", "--before=99999999999999999999", "--from=yesterday", "--verdict=maybe", "--trace=", "--block=zz"] {
            refused(pair, &[&["search", pair][..], source].concat(), "PARAMETER_INVALID");
        }
        for pair in ["--limit=0", "--limit=-1", "--limit=65537", "--limit=99999999999999999999"] {
            assert_eq!(audit(&[&["search", pair][..], source].concat()).code, Some(2), "{pair}");
        }
        assert_eq!(audit(&[&["tail", "--count=4294967295"][..], source].concat()).code, Some(2));
    }
}

/// As behind `| head`, or on a full disk: what was not heard is no success, and no panic.
#[tokio::test]
async fn output_that_nobody_reads_ends_the_program_quietly_and_as_a_failure() {
    let (issuer, _) = audited("").await;
    let data = issuer.data().to_string_lossy().into_owned();
    for verb in [&["head"][..], &["verify"], &["fsck", "--json"], &["search", "--json"], &["prove", "0"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(narrows());
        let ran = command.arg("audit").args(verb).args(["--data", &data]).stdin(Stdio::null()).stdout(full).stderr(Stdio::piped());
        let ran = Ran::new(ran.output().unwrap());
        assert!(!ran.errors.contains("panicked") && ran.errors.lines().count() == 1, "{verb:?}: {}", ran.errors);
        ran.refused("can't write to standard output");
    }
}

/// Files of every sort that is not a file, and what a user needs to name a log.
struct Place<'i> {
    issuer: &'i Issuer,
    data: String,
    key: String,
}

/// Evidence as it should be.
struct Good {
    bundle: String,
    receipt: String,
    leaf: String,
    checkpoint: String,
}

impl<'i> Place<'i> {
    fn new(issuer: &'i Issuer) -> Self {
        let place = Self { issuer, data: issuer.data().to_string_lossy().into_owned(), key: vkey(issuer).to_string() };
        fs::create_dir(place.at("folder")).unwrap();
        assert!(Command::new("mkfifo").arg(place.at("pipe")).status().unwrap().success());
        File::create(place.at("sparse")).unwrap().set_len(1 << 30).unwrap();
        fs::write(place.at("bytes"), b"\xff\xfe").unwrap();
        place
    }

    /// A path beside the data directory.
    fn at(&self, name: &str) -> String {
        Path::new(&self.data).with_file_name(name).to_string_lossy().into_owned()
    }

    fn good(&self) -> Good {
        let good =
            Good { bundle: self.at("bundle"), receipt: self.at("receipt"), leaf: self.at("leaf"), checkpoint: self.at("checkpoint") };
        audit(&["export", "--data", &self.data, "--out", &good.bundle]).succeeded();
        self.issuer.keep("receipt", audit(&["prove", "0", "--data", &self.data]).succeeded());
        self.issuer.keep("checkpoint", audit(&["head", "--data", &self.data, "--checkpoint"]).succeeded());
        let shown: serde_json::Value = serde_json::from_str(&audit(&["show", "0", "--data", &self.data, "--json"]).succeeded()).unwrap();
        self.issuer.keep("leaf", shown["entries"][0]["leaf"].as_str().unwrap());
        good
    }
}

fn audit(words: &[&str]) -> Ran {
    run([&["audit"][..], words].concat())
}

#[track_caller]
fn refused(case: &str, words: &[&str], reason: &str) {
    let ran = audit(words);
    assert_eq!((ran.code, ran.errors.lines().count()), (Some(1), 1), "{case}: {}{}", ran.out, ran.errors);
    assert!(ran.errors.contains(reason) && !ran.errors.contains("panicked"), "{case}: no `{reason}` in {}", ran.errors);
}
