//! C2SP tlog-policy: which logs and which quorum of witnesses make a checkpoint acceptable.

use core::fmt;

use super::checkpoint::{Checkpoint, verify_checkpoint};
use super::cosignature::{WitnessKey, cosignatures};
use super::note::{Note, VerifierKey};
use super::receipt::{self, Receipt, VerifiedReceipt};
use super::refusal::LogRefusal;
use crate::{BlockId, Reason};

/// A trust policy: a checkpoint is acceptable when one of the logs has signed it and the quorum of witnesses cosigned it.
///
/// Times of cosignatures play no part. One made of log keys alone asks for no witness; the default one trusts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<WitnessKey>,
    /// Witnesses and groups in the order of their lines; a group names earlier ones only, so there are no circles.
    parties: Vec<Party>,
    /// The party that must have witnessed; `None` where no cosignature is asked for.
    quorum: Option<usize>,
}

/// Why a text is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {detail} ({})", Reason::TrustPolicyMalformed)]
pub struct PolicyError {
    /// The line, from 1; one past the last where something is missing.
    pub line: usize,
    /// What is wrong; never holds any part of the input.
    pub detail: &'static str,
}

/// What a checkpoint lacks: the quorum, and those of its members that have not witnessed the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The name on the quorum line.
    pub quorum: String,
    /// How many of its members have witnessed the checkpoint.
    pub have: usize,
    /// How many must.
    pub need: usize,
    /// The members that have not.
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Party {
    /// Opaque bytes: two names are the same when their bytes are.
    name: Vec<u8>,
    rule: Rule,
    /// In one group at most, so that no witness counts twice.
    in_group: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Witness(usize),
    Group { threshold: usize, members: Vec<usize> },
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first line that is not as the format says, or holds a key of a type other than Ed25519 for logs (0x01) and
    /// timestamped Ed25519 for witnesses (0x04). A witness that can't be checked is refused rather than left out: whoever
    /// wrote the policy counts on it.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let at = |line: usize| move |detail: &'static str| PolicyError { line, detail };
        if text.len() > MAX_POLICY_BYTES {
            return Err(at(1)("the policy is larger than 64 KiB"));
        }
        let mut policy = Self { logs: Vec::new(), witnesses: Vec::new(), parties: Vec::new(), quorum: None };
        let mut quorum_seen = false;
        let mut number = 1;
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| at(number)("the line does not end in a newline"))?;
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            policy.read_line(line, &mut quorum_seen).map_err(at(number))?;
            rest = after.strip_prefix(b"\n").unwrap_or(after);
            number += 1;
        }
        if quorum_seen { Ok(policy) } else { Err(at(number)("there is no quorum line")) }
    }

    /// The logs' keys.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses' keys.
    pub fn witnesses(&self) -> &[WitnessKey] {
        &self.witnesses
    }

    /// Whether any cosignature is asked for.
    pub const fn needs_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Reads a signed checkpoint and checks that one of the logs signed it and the quorum cosigned it.
    ///
    /// # Errors
    /// As [`verify_checkpoint`]; [`Reason::CosignatureInvalid`]; [`Reason::WitnessQuorum`].
    pub fn verify_checkpoint(&self, note: &str) -> Result<Checkpoint, LogRefusal> {
        let checkpoint = verify_checkpoint(note, &self.logs)?;
        self.demand_quorum(note)?;
        Ok(checkpoint)
    }

    /// Checks a receipt of `leaf` as [`receipt::verify`] does, and that its checkpoint is acceptable.
    ///
    /// # Errors
    /// As [`receipt::verify`] and [`Policy::verify_checkpoint`].
    pub fn verify_receipt(&self, receipt: &str, leaf: &[u8]) -> Result<VerifiedReceipt, LogRefusal> {
        let verified = receipt::verify(receipt, leaf, &self.logs)?;
        self.demand_quorum(Receipt::parse(receipt)?.checkpoint)?;
        Ok(verified)
    }

    /// Checks a receipt as [`Policy::verify_receipt`], and that the leaf records the token with exactly these block ids.
    ///
    /// # Errors
    /// As [`receipt::verify_for_token`] and [`Policy::verify_checkpoint`].
    pub fn verify_receipt_for_token(&self, receipt: &str, leaf: &[u8], blocks: &[BlockId]) -> Result<VerifiedReceipt, LogRefusal> {
        let verified = receipt::verify_for_token(receipt, leaf, &self.logs, blocks)?;
        self.demand_quorum(Receipt::parse(receipt)?.checkpoint)?;
        Ok(verified)
    }

    /// What the note lacks of the quorum; `None` when it has it. Whether a log signed the note is not looked at.
    ///
    /// # Errors
    /// [`Reason::NoteMalformed`] and [`Reason::CosignatureInvalid`].
    pub fn shortfall(&self, note: &str) -> Result<Option<Shortfall>, LogRefusal> {
        let note = Note::parse(note)?;
        let cosigned = cosignatures(&note, &self.witnesses)?;
        let mut witnessed: Vec<bool> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            let has = match &party.rule {
                Rule::Witness(key) => cosigned.iter().any(|it| Some(it.witness) == self.witnesses.get(*key)),
                Rule::Group { threshold, members } => count(members, &witnessed) >= *threshold,
            };
            witnessed.push(has);
        }
        let Some((index, quorum)) = self.quorum.and_then(|index| Some((index, self.parties.get(index)?))) else {
            return Ok(None);
        };
        if witnessed.get(index) == Some(&true) {
            return Ok(None);
        }
        let (members, need) = match &quorum.rule {
            Rule::Witness(_) => (vec![index], 1),
            Rule::Group { threshold, members } => (members.clone(), *threshold),
        };
        let have = count(&members, &witnessed);
        let missing = members.iter().filter(|member| witnessed.get(**member) == Some(&false));
        let missing = missing.filter_map(|member| Some(self.parties.get(*member)?.shown())).collect();
        Ok(Some(Shortfall { quorum: quorum.shown(), have, need, missing }))
    }

    fn demand_quorum(&self, note: &str) -> Result<(), LogRefusal> {
        match self.shortfall(note)? {
            None => Ok(()),
            Some(_) => Err(LogRefusal::new(Reason::WitnessQuorum, "too few of the policy's witnesses cosigned the checkpoint")),
        }
    }

    fn read_line(&mut self, line: &[u8], quorum_seen: &mut bool) -> Result<(), &'static str> {
        if line.iter().any(|byte| matches!(byte, 0x00..=0x08 | 0x0a..=0x1f | 0x7f)) {
            return Err("the line holds a control character");
        }
        let words: Vec<&[u8]> = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.add_log(key),
            [b"witness", name, key] | [b"witness", name, key, _] => self.add_witness(name, key),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => self.add_group(name, threshold, members),
            [b"quorum", name] if !*quorum_seen => {
                *quorum_seen = true;
                self.quorum = if *name == NONE { None } else { Some(self.find(name)?) };
                Ok(())
            }
            [b"quorum", _] => Err("there is more than one quorum line"),
            [b"log" | b"witness" | b"group" | b"quorum", ..] => Err("the line has too few or too many parts"),
            _ => Err("the line does not begin with `log`, `witness`, `group` or `quorum`"),
        }
    }

    fn add_log(&mut self, key: &[u8]) -> Result<(), &'static str> {
        let key = core::str::from_utf8(key).map_err(|_| "the key's name is not UTF-8")?;
        let key = VerifierKey::parse(key).map_err(|refusal| refusal.detail)?;
        if self.logs.len() == MAX_LOGS {
            return Err("there are more than 64 logs");
        }
        if self.logs.iter().any(|other| other.public_key() == key.public_key()) {
            return Err("the log's public key is that of an earlier log");
        }
        self.logs.push(key);
        Ok(())
    }

    fn add_witness(&mut self, name: &[u8], key: &[u8]) -> Result<(), &'static str> {
        let key = core::str::from_utf8(key).map_err(|_| "the key's name is not UTF-8")?;
        let key = WitnessKey::parse(key).map_err(|refusal| refusal.detail)?;
        if self.witnesses.len() == MAX_WITNESSES {
            return Err("there are more than 64 witnesses");
        }
        if self.witnesses.iter().any(|other| other.public_key() == key.public_key()) {
            return Err("the witness's public key is that of an earlier witness");
        }
        self.define(name, Rule::Witness(self.witnesses.len()))?;
        self.witnesses.push(key);
        Ok(())
    }

    fn add_group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), &'static str> {
        if self.parties.len() - self.witnesses.len() == MAX_GROUPS {
            return Err("there are more than 64 groups");
        }
        let mut members = Vec::new();
        for member in names {
            let index = self.find(member)?;
            let party = self.parties.get_mut(index).ok_or("a name is not defined on an earlier line")?;
            if core::mem::replace(&mut party.in_group, true) {
                return Err("a member is in a group already");
            }
            members.push(index);
        }
        let threshold = match threshold {
            b"any" => 1,
            b"all" => members.len(),
            number => decimal(number)
                .filter(|number| (1..=members.len()).contains(number))
                .ok_or("the threshold is not `any`, `all` or a number from 1 to that of the members")?,
        };
        self.define(name, Rule::Group { threshold, members })
    }

    fn define(&mut self, name: &[u8], rule: Rule) -> Result<(), &'static str> {
        if name == NONE {
            return Err("the name `none` is taken");
        }
        if self.parties.iter().any(|party| party.name == name) {
            return Err("the name is that of an earlier witness or group");
        }
        self.parties.push(Party { name: name.to_vec(), rule, in_group: false });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<usize, &'static str> {
        self.parties.iter().position(|party| party.name == name).ok_or("a name is not defined on an earlier line")
    }
}

impl From<Vec<VerifierKey>> for Policy {
    /// The policy that believes these logs without witnesses (`quorum none`).
    fn from(logs: Vec<VerifierKey>) -> Self {
        Self { logs, ..Self::default() }
    }
}

impl Party {
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` has {} of {}, without `{}`", self.quorum, self.have, self.need, self.missing.join("`, `"))
    }
}

fn count(members: &[usize], witnessed: &[bool]) -> usize {
    members.iter().filter(|member| witnessed.get(**member) == Some(&true)).count()
}

fn decimal(text: &[u8]) -> Option<usize> {
    let number = super::checkpoint::parse_decimal(core::str::from_utf8(text).ok()?)?;
    usize::try_from(number).ok()
}

const NONE: &[u8] = b"none";
const MAX_POLICY_BYTES: usize = 64 * 1024;
/// Twice what every implementation should take.
const MAX_LOGS: usize = 64;
const MAX_WITNESSES: usize = 64;
const MAX_GROUPS: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::cosignature::cosign;
    use super::super::cosignature::tests::{ABSENT, PUBLIC, PUBLIC_LOG, PUBLIC_WITNESSES};
    use super::*;

    fn policy(rules: &str) -> Result<Policy, PolicyError> {
        let mut text = format!("# the public network, at one moment\nlog {PUBLIC_LOG}\n\n");
        for (number, key) in PUBLIC_WITNESSES.iter().chain([&ABSENT]).enumerate() {
            text.push_str(&format!("\twitness w{number} {key} https://witness.example/{number}  \n"));
        }
        Policy::parse(format!("{text}{rules}").as_bytes())
    }

    /// What the public checkpoint, which all but `w4` cosigned, lacks.
    fn lacks(rules: &str) -> Option<String> {
        let policy = policy(rules).unwrap();
        let accepted = policy.verify_checkpoint(PUBLIC);
        let shortfall = policy.shortfall(PUBLIC).unwrap();
        assert_eq!(accepted.map(|checkpoint| checkpoint.size).ok(), shortfall.is_none().then_some(1432088532));
        shortfall.map(|shortfall| shortfall.to_string())
    }

    #[test]
    fn a_quorum_is_met_or_says_what_is_missing() {
        assert_eq!(lacks("quorum none\n"), None);
        assert_eq!(lacks("quorum w0\n"), None);
        assert_eq!(lacks("quorum w4\n"), Some("`w4` has 0 of 1, without `w4`".to_owned()));
        assert_eq!(lacks("group g any w4 w0\nquorum g\n"), None);
        assert_eq!(lacks("group g all w0 w1 w2 w3\nquorum g\n"), None);
        assert_eq!(lacks("group g all w0 w1 w4\nquorum g\n"), Some("`g` has 2 of 3, without `w4`".to_owned()));
        assert_eq!(lacks("group g 2 w4 w0 w1\nquorum g\n"), None);
        assert_eq!(lacks("group a 2 w0 w1\ngroup b any w2 w4\ngroup c all a b\nquorum c\n"), None);
        assert_eq!(
            lacks("group a 2 w0 w4\ngroup b any w2 w3\ngroup c all a b\nquorum c\n"),
            Some("`c` has 1 of 2, without `a`".to_owned())
        );
        assert_eq!(lacks("group a 1 w4\ngroup b 1 a\nquorum w0\n"), None);
    }

    #[test]
    fn no_witness_replaces_the_log() {
        let without = policy("quorum w0\n").unwrap();
        let log = Policy { logs: Vec::new(), ..without.clone() };
        assert_eq!(log.verify_checkpoint(PUBLIC).unwrap_err().reason, Reason::CheckpointSignature);
        let lines: Vec<_> = PUBLIC.lines().filter(|line| !line.starts_with("— arche")).map(|line| format!("{line}\n")).collect();
        assert_eq!(without.verify_checkpoint(&lines.concat()).unwrap_err().reason, Reason::CheckpointSignature);
        let broken = PUBLIC.replace("2AQqhwAAAABqEiEg", "2AQqhwAAAABqEiEh");
        assert_eq!(without.verify_checkpoint(&broken).unwrap_err().reason, Reason::CosignatureInvalid);
    }

    #[test]
    fn malformed_policies_are_refused_with_their_line() {
        let witness = format!("witness w {}\n", PUBLIC_WITNESSES[0]);
        let log = format!("log {PUBLIC_LOG}\n");
        let groups: String = (0..65)
            .map(|number| format!("group g{number} any {}\n", if number == 0 { "w".to_owned() } else { format!("g{}", number - 1) }))
            .collect();
        for (text, line, detail) in [
            (String::new(), 1, "there is no quorum line"),
            (log.clone(), 2, "there is no quorum line"),
            ("quorum none".to_owned(), 1, "the line does not end in a newline"),
            ("quorum none\r\n".to_owned(), 1, "the line holds a control character"),
            ("quorum\u{b}none\n".to_owned(), 1, "the line holds a control character"),
            ("quorum none\u{7f}\n".to_owned(), 1, "the line holds a control character"),
            ("quorum none\nquorum none\n".to_owned(), 2, "there is more than one quorum line"),
            ("quorum none none\n".to_owned(), 1, "the line has too few or too many parts"),
            ("quorum\n".to_owned(), 1, "the line has too few or too many parts"),
            ("quorum w\n".to_owned(), 1, "a name is not defined on an earlier line"),
            (format!("quorum w\n{witness}"), 1, "a name is not defined on an earlier line"),
            ("Quorum none\n".to_owned(), 1, "the line does not begin with `log`, `witness`, `group` or `quorum`"),
            ("quorum\u{a0}none\n".to_owned(), 1, "the line does not begin with `log`, `witness`, `group` or `quorum`"),
            (format!("{log}{log}quorum none\n"), 2, "the log's public key is that of an earlier log"),
            (format!("{witness}{}", witness.replace(" w ", " v ")), 2, "the witness's public key is that of an earlier witness"),
            (format!("{witness}witness w {}\n", PUBLIC_WITNESSES[1]), 2, "the name is that of an earlier witness or group"),
            (witness.replace(" w ", " none "), 1, "the name `none` is taken"),
            (format!("{witness}group none any w\n"), 2, "the name `none` is taken"),
            (format!("{witness}group w any w\n"), 2, "the name is that of an earlier witness or group"),
            (format!("{witness}group g any w w\n"), 2, "a member is in a group already"),
            (format!("{witness}group g any w\ngroup h any w\n"), 3, "a member is in a group already"),
            (format!("{witness}group g any g\n"), 2, "a name is not defined on an earlier line"),
            (format!("{witness}group g any none\n"), 2, "a name is not defined on an earlier line"),
            (format!("{witness}group g any\n"), 2, "the line has too few or too many parts"),
            (format!("{witness}group g 0 w\n"), 2, "the threshold is not `any`, `all` or a number from 1 to that of the members"),
            (format!("{witness}group g 2 w\n"), 2, "the threshold is not `any`, `all` or a number from 1 to that of the members"),
            (format!("{witness}group g 01 w\n"), 2, "the threshold is not `any`, `all` or a number from 1 to that of the members"),
            (format!("log {}\n", PUBLIC_WITNESSES[0]), 1, "the key's type is not Ed25519"),
            (format!("witness w {PUBLIC_LOG}\n"), 1, "the key's type is not that of timestamped Ed25519 cosignatures"),
            (format!("log {PUBLIC_LOG} u v\n"), 1, "the line has too few or too many parts"),
            ("witness w\n".to_owned(), 1, "the line has too few or too many parts"),
            (format!("{witness}{groups}"), 66, "there are more than 64 groups"),
            ("\n".repeat(MAX_POLICY_BYTES + 1), 1, "the policy is larger than 64 KiB"),
        ] {
            let error = Policy::parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.detail), (line, detail), "{text}");
        }
    }

    #[test]
    fn names_are_opaque_bytes() {
        let kelvin = format!("witness \u{212a} {}\nquorum K\n", PUBLIC_WITNESSES[0]);
        assert_eq!(Policy::parse(kelvin.as_bytes()).unwrap_err().line, 2);
        let mut bytes = b"# \xff\xfe\nwitness \xff ".to_vec();
        bytes.extend(PUBLIC_WITNESSES[0].as_bytes());
        bytes.extend(b" \xfe\nquorum \xff\n");
        assert!(Policy::parse(&bytes).unwrap().shortfall(PUBLIC).unwrap().is_none());
        let unnamed = b"witness w \xff+00000000+BOvN\nquorum w\n";
        assert_eq!(Policy::parse(unnamed).unwrap_err().detail, "the key's name is not UTF-8");
    }

    #[test]
    fn a_receipt_counts_under_logs_and_quorum() {
        use super::super::{Hash, leaf_hash, signature_line};
        let log_seed = [1; 32];
        let log = VerifierKey::new("log.example", crate::public_key(&log_seed).as_bytes()).unwrap();
        let witness = WitnessKey::from_seed("w.example", &[2; 32]).unwrap();
        let root: Hash = leaf_hash(b"leaf");
        let text = Checkpoint { origin: "log.example".to_owned(), size: 1, root }.to_string();
        let own = signature_line(&log, &crate::key::sign(&log_seed, text.as_bytes()));
        let receipt = |lines: &str| Receipt { index: 0, proof: Vec::new(), checkpoint: &format!("{text}\n{own}{lines}") }.encode();
        let policy = Policy::parse(format!("log {log}\nwitness w {witness}\nquorum w\n").as_bytes()).unwrap();
        let cosigned = receipt(&cosign("w.example", &[2; 32], 1, &text).unwrap());
        assert_eq!(policy.verify_receipt(&cosigned, b"leaf").unwrap().size, 1);
        assert_eq!(policy.verify_receipt(&cosigned, b"other").unwrap_err().reason, Reason::InclusionProof);
        assert_eq!(policy.verify_receipt(&receipt(""), b"leaf").unwrap_err().reason, Reason::WitnessQuorum);
        let stranger = cosign("w.example", &[3; 32], 1, &text).unwrap();
        assert_eq!(policy.verify_receipt(&receipt(&stranger), b"leaf").unwrap_err().reason, Reason::WitnessQuorum);
        assert_eq!(policy.verify_receipt_for_token(&cosigned, b"leaf", &[]).unwrap_err().reason, Reason::LeafMalformed);
        let elsewhere = Policy::parse(format!("witness w {witness}\nquorum w\n").as_bytes()).unwrap();
        assert_eq!(elsewhere.verify_receipt(&cosigned, b"leaf").unwrap_err().reason, Reason::ReceiptOrigin);
    }

    proptest::proptest! {
        #[test]
        fn reading_any_policy_never_panics(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            words in proptest::collection::vec("log|witness|group|quorum|none|any|all|[0-3]|[a-c]|#|\n|\t| ", 0..60),
        ) {
            let _ = Policy::parse(&bytes);
            let mut text = format!("witness a {}\nwitness b {}\n", PUBLIC_WITNESSES[0], PUBLIC_WITNESSES[1]);
            text.push_str(&words.join(" "));
            text.push('\n');
            if let Ok(policy) = Policy::parse(text.as_bytes()) {
                // What is accepted can be judged, and never asks for more than there is.
                let shortfall = policy.shortfall(PUBLIC).unwrap();
                proptest::prop_assert!(shortfall.is_none_or(|shortfall| shortfall.have < shortfall.need));
            }
        }
    }
}
