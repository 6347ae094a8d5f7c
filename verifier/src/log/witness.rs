//! C2SP tlog-witness: the texts of `add-checkpoint`, and what a witness checks before it cosigns.

use core::fmt::Write as _;

use super::checkpoint::{Checkpoint, parse_decimal};
use super::frontier::MAX_TREE_SIZE;
use super::hash::Hash;
use super::note::{MAX_NOTE_BYTES, Note, SignatureLine, VerifierKey};
use super::refusal::LogRefusal;
use super::tree::verify_consistency;
use crate::Reason;

/// The body of a request to cosign a checkpoint, as read: nothing in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint<'a> {
    /// The size that the witness is thought to have cosigned last; 0 where none is.
    pub old_size: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: &'a str,
}

/// A checkpoint that one of its log's keys has signed, on its way to be compared with what the witness knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note's text, which a cosignature is over; extension lines included.
    pub text: String,
    /// The signature lines of the log's keys, without those of others.
    pub log_lines: String,
    old_size: u64,
    proof: Vec<Hash>,
}

/// The newest tree head that a witness has cosigned for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// Number of leaves.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
}

/// Why a witness does not cosign. Each is one status code of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessRefusal {
    /// 400: the body, or the order of its sizes, is not as the protocol says.
    Malformed(LogRefusal),
    /// 404: the log is unknown here.
    UnknownLog,
    /// 403: no trusted key of the log signed, or a trusted key's signature is wrong.
    Signature,
    /// 409: the newest cosigned size is another one, this.
    Conflict(u64),
    /// 422: the checkpoint does not follow from the newest cosigned one.
    Inconsistent,
}

/// What a witness answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// Signature lines, among which the asker's witness keys have to be looked for.
    Lines(String),
    /// The witness has cosigned this size last.
    Conflict(u64),
    /// The witness has seen a history that this checkpoint doesn't follow from.
    Inconsistent,
    /// Anything else: the status.
    Refused(u16),
}

impl<'a> AddCheckpoint<'a> {
    /// Reads a request's body; checks its form only.
    ///
    /// # Errors
    /// [`Reason::WitnessRequest`], also for more than 63 proof lines.
    pub fn parse(body: &'a str) -> Result<Self, LogRefusal> {
        if body.len() > MAX_REQUEST_BYTES {
            return Err(malformed("the request is too large"));
        }
        let (head, checkpoint) = body.split_once("\n\n").ok_or_else(|| malformed("no empty line separates proof and checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(parse_decimal)
            .ok_or_else(|| malformed("the first line is not the old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_LINES {
                return Err(malformed("the proof has more than 63 lines"));
            }
            proof.push(Hash::from_base64(line).ok_or_else(|| malformed("a proof line is not base64 of 32 bytes"))?);
        }
        Ok(Self { old_size, proof, checkpoint })
    }

    /// The request's body.
    pub fn encode(&self) -> String {
        let mut text = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            let _ = writeln!(text, "{}", hash.to_base64());
        }
        text.push('\n');
        text.push_str(self.checkpoint);
        text
    }

    /// Checks what needs no state: the note, the log's signature, and that the sizes do not fall.
    ///
    /// A log is known by keys of its origin's name; lines of other keys, other logs' included, are ignored.
    ///
    /// # Errors
    /// [`WitnessRefusal::Malformed`], [`WitnessRefusal::UnknownLog`] or [`WitnessRefusal::Signature`].
    pub fn check(self, logs: &[VerifierKey]) -> Result<Submitted, WitnessRefusal> {
        let note = Note::parse(self.checkpoint).map_err(WitnessRefusal::Malformed)?;
        let checkpoint = Checkpoint::parse(note.unverified_text()).map_err(WitnessRefusal::Malformed)?;
        let keys: Vec<VerifierKey> = logs.iter().filter(|key| key.name() == checkpoint.origin).cloned().collect();
        if keys.is_empty() {
            return Err(WitnessRefusal::UnknownLog);
        }
        let signers = note.verify(&keys).map_err(|_| WitnessRefusal::Signature)?;
        let ours = |line: &&SignatureLine<'_>| signers.iter().any(|key| key.name() == line.name && key.key_id() == line.key_id);
        let log_lines = note.lines().iter().filter(ours).map(SignatureLine::encode).collect();
        if self.old_size > checkpoint.size {
            return Err(WitnessRefusal::Malformed(malformed("the old size is larger than the checkpoint's")));
        }
        // No store holds a larger one, and no log of this size exists.
        if checkpoint.size > MAX_TREE_SIZE {
            return Err(WitnessRefusal::Malformed(malformed("the checkpoint's size is larger than any log")));
        }
        let text = note.unverified_text().to_owned();
        Ok(Submitted { checkpoint, text, log_lines, old_size: self.old_size, proof: self.proof })
    }
}

impl Submitted {
    /// Checks that this checkpoint follows from the newest one that the witness has cosigned for the log.
    ///
    /// Between this check and making the checkpoint the newest, nothing else may come: two requests could else pass both,
    /// and the smaller one be stored last.
    ///
    /// # Errors
    /// [`WitnessRefusal::Conflict`] or [`WitnessRefusal::Inconsistent`].
    pub fn follows(&self, newest: Option<Cosigned>) -> Result<(), WitnessRefusal> {
        let newest = newest.unwrap_or(Cosigned { size: 0, root: Hash::EMPTY_ROOT });
        if self.old_size != newest.size {
            return Err(WitnessRefusal::Conflict(newest.size));
        }
        let Checkpoint { size, root, .. } = &self.checkpoint;
        let consistent = match (newest.size, *size) {
            // The empty tree is a prefix of every tree, and there is nothing to prove.
            (0, 0) => self.proof.is_empty() && *root == Hash::EMPTY_ROOT,
            (0, _) => self.proof.is_empty(),
            (old, new) => verify_consistency(old, new, &newest.root, root, &self.proof).is_ok(),
        };
        if consistent { Ok(()) } else { Err(WitnessRefusal::Inconsistent) }
    }
}

impl WitnessRefusal {
    /// The protocol's status code.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Signature => 403,
            Self::UnknownLog => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent => 422,
        }
    }

    /// The stable reason.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::WitnessRequest,
            Self::Signature => Reason::WitnessLogSignature,
            Self::UnknownLog => Reason::WitnessLogUnknown,
            Self::Conflict(_) => Reason::WitnessConflict,
            Self::Inconsistent => Reason::WitnessInconsistent,
        }
    }
}

impl WitnessAnswer {
    /// Reads an answer. Whatever is not as the protocol says is a refusal with its status: a 409 without a size says nothing
    /// that one may act on.
    pub fn read(status: u16, content_type: &str, body: &[u8]) -> Self {
        let text = if body.len() > MAX_ANSWER_BYTES { None } else { core::str::from_utf8(body).ok() };
        // Many servers add a character set to whatever begins with `text/`.
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        match (status, text) {
            (200, Some(text)) if !text.is_empty() => Self::Lines(text.to_owned()),
            (409, Some(text)) if content_type.eq_ignore_ascii_case(SIZE_CONTENT_TYPE) => {
                text.strip_suffix('\n').and_then(parse_decimal).map_or(Self::Refused(status), Self::Conflict)
            }
            (422, _) => Self::Inconsistent,
            _ => Self::Refused(status),
        }
    }
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::WitnessRequest, detail)
}

/// The content type of a 409.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// Old size, proof and the largest note.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 4096;

/// As many lines as a note may have.
const MAX_ANSWER_BYTES: usize = MAX_NOTE_BYTES;

const MAX_PROOF_LINES: usize = 63;

#[cfg(test)]
mod tests {
    use super::super::forked::{self, SEED, Tree, key};
    use super::*;
    use crate::log::leaf_hash;

    /// The request of the specification's example.
    const SPEC: &str = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n\
        example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

    fn head(tree: &Tree) -> Cosigned {
        Cosigned { size: tree.size(), root: tree.root() }
    }

    fn note(size: u64, root: Hash, seed: &[u8; 32]) -> String {
        forked::note("log", size, root, seed)
    }

    fn outcome(old_size: u64, proof: Vec<Hash>, checkpoint: &str, newest: Option<Cosigned>) -> Result<u64, u16> {
        let request = AddCheckpoint { old_size, proof, checkpoint };
        let submitted = request.check(&[key("log", &SEED), key("other", &[9; 32])]).map_err(|refusal| refusal.status())?;
        submitted.follows(newest).map_err(|refusal| refusal.status())?;
        Ok(submitted.checkpoint.size)
    }

    #[test]
    fn the_specification_example_reads_and_writes_back() {
        let request = AddCheckpoint::parse(SPEC).unwrap();
        assert_eq!((request.old_size, request.proof.len()), (20852014, 4));
        assert!(request.checkpoint.starts_with("example.com/behind-the-sofa\n20852163\n"));
        assert_eq!(request.encode(), SPEC);
        assert_eq!(request.check(&[]).unwrap_err(), WitnessRefusal::UnknownLog);
    }

    #[test]
    fn malformed_requests_are_refused() {
        let line = format!("{}\n", Hash::EMPTY_ROOT.to_base64());
        for body in [
            String::new(),
            "old 0".to_owned(),
            "old 0\n".to_owned(),
            SPEC.replacen("old ", "", 1),
            SPEC.replacen("old ", "old  ", 1),
            SPEC.replacen("old 2", "old 02", 1),
            SPEC.replacen("old 2", "old -2", 1),
            SPEC.replacen("old 20852014", "old 18446744073709551616", 1),
            SPEC.replacen("old 20852014\n", "old 20852014\r\n", 1),
            SPEC.replacen("PlRN", "PlR", 1),
            SPEC.replacen("old 20852014\n", &format!("old 1\n{}", line.repeat(60)), 1),
            format!("{SPEC}{}", "x".repeat(MAX_REQUEST_BYTES)),
        ] {
            assert_eq!(AddCheckpoint::parse(&body).unwrap_err().reason, Reason::WitnessRequest, "{body}");
        }
        assert_eq!(
            AddCheckpoint::parse(&SPEC.replacen("old 20852014\n", &format!("old 1\n{}", line.repeat(59)), 1)).unwrap().proof.len(),
            63
        );
        let request = AddCheckpoint::parse("old 0\n\nlog\n1\n").unwrap();
        assert!(matches!(request.check(&[key("log", &SEED)]), Err(WitnessRefusal::Malformed(_))));
    }

    #[test]
    fn each_growth_of_a_log_is_accepted_once() {
        for (old, new) in [(1, 2), (1, 7), (4, 7), (6, 8), (8, 8), (5, 13)] {
            let (before, after) = (Tree::new(old, 99), Tree::new(new, 99));
            assert_eq!(outcome(0, Vec::new(), &before.note(), None), Ok(old));
            assert_eq!(outcome(old, after.proof(old), &after.note(), Some(head(&before))), Ok(new));
            if old < new {
                // Sent twice at the same time: the second finds that the first was taken.
                assert_eq!(outcome(old, after.proof(old), &after.note(), Some(head(&after))), Err(409));
            }
        }
        assert_eq!(outcome(0, Vec::new(), &note(0, Hash::EMPTY_ROOT, &SEED), None), Ok(0));
    }

    #[test]
    fn every_fault_has_the_status_of_the_protocol() {
        let (five, nine, fork) = (Tree::new(5, 99), Tree::new(9, 99), Tree::new(9, 3));
        let seen = Some(head(&five));
        let stray = Hash::EMPTY_ROOT;
        let table = [
            ("unknown origin", outcome(5, nine.proof(5), &nine.note().replace("log", "lag"), seen), 404),
            ("another log's key", outcome(5, nine.proof(5), &nine.note().replace("— log", "— other"), seen), 403),
            ("a stranger's key", outcome(5, nine.proof(5), &note(9, nine.root(), &[8; 32]), seen), 403),
            ("a wrong signature", outcome(5, nine.proof(5), &nine.note().replace("\n9\n", "\n8\n"), seen), 403),
            ("an old size beyond the checkpoint", outcome(10, Vec::new(), &nine.note(), seen), 400),
            ("a size beyond every log", outcome(5, Vec::new(), &note(u64::MAX, stray, &SEED), seen), 400),
            ("an old size that is not the newest", outcome(4, nine.proof(4), &nine.note(), seen), 409),
            ("nothing known of the newest", outcome(0, Vec::new(), &nine.note(), seen), 409),
            ("a smaller log", outcome(3, Vec::new(), &Tree::new(3, 99).note(), seen), 409),
            ("a fork", outcome(5, fork.proof(5), &fork.note(), seen), 422),
            ("a fork of the same size", outcome(9, Vec::new(), &fork.note(), Some(head(&nine))), 422),
            ("no proof", outcome(5, Vec::new(), &nine.note(), seen), 422),
            ("a proof too long", outcome(5, [nine.proof(5), vec![stray]].concat(), &nine.note(), seen), 422),
            ("a proof from nothing", outcome(0, vec![stray], &nine.note(), None), 422),
            ("a proof of the same size", outcome(5, vec![stray], &five.note(), seen), 422),
            ("an empty log with a root", outcome(0, Vec::new(), &note(0, leaf_hash(b""), &SEED), None), 422),
        ];
        for (case, outcome, status) in table {
            assert_eq!(outcome, Err(status), "{case}");
        }
    }

    #[test]
    fn only_lines_of_the_log_are_kept() {
        let tree = Tree::new(2, 9);
        let stranger = "— log AAAAAAAAAAAAAAAA\n";
        let checkpoint = format!("{}{stranger}", tree.note());
        let submitted = AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: &checkpoint }.check(&[key("log", &SEED)]).unwrap();
        assert_eq!(format!("{}\n{}", submitted.text, submitted.log_lines), tree.note());
    }

    #[test]
    fn answers_are_read_as_the_protocol_says() {
        let read = |status, content_type: &str, body: &str| WitnessAnswer::read(status, content_type, body.as_bytes());
        assert_eq!(read(200, "text/plain", "— w AAAA\n"), WitnessAnswer::Lines("— w AAAA\n".to_owned()));
        assert_eq!(read(200, "text/plain", ""), WitnessAnswer::Refused(200));
        for content_type in [SIZE_CONTENT_TYPE, "text/x.tlog.size; charset=utf-8", "Text/X.TLog.Size"] {
            assert_eq!(read(409, content_type, "17\n"), WitnessAnswer::Conflict(17));
        }
        for (content_type, body) in
            [("text/plain", "17\n"), (SIZE_CONTENT_TYPE, "17"), (SIZE_CONTENT_TYPE, "-1\n"), (SIZE_CONTENT_TYPE, "\n")]
        {
            assert_eq!(read(409, content_type, body), WitnessAnswer::Refused(409), "{body:?}");
        }
        assert_eq!(read(422, "", "why"), WitnessAnswer::Inconsistent);
        assert_eq!(read(503, "", ""), WitnessAnswer::Refused(503));
        assert_eq!(WitnessAnswer::read(200, "", &[0xff]), WitnessAnswer::Refused(200));
        assert_eq!(read(200, "", &"x".repeat(MAX_ANSWER_BYTES + 1)), WitnessAnswer::Refused(200));
    }

    proptest::proptest! {
        #[test]
        fn reading_any_request_or_answer_never_panics(
            text in "(old [0-9]{0,21}\n)?([A-Za-z0-9+/=]{44}\n){0,3}\n?(log\n[0-9]{0,21}\n[A-Za-z0-9+/=]{44}\n\n)?(— log [A-Za-z0-9+/=]{0,100}\n)?",
            any in ".{0,200}",
            status in 100u16..600,
            old in proptest::num::u64::ANY,
            size in proptest::num::u64::ANY,
        ) {
            for text in [&text, &any] {
                if let Ok(request) = AddCheckpoint::parse(text) {
                    proptest::prop_assert_eq!(&request.encode(), text);
                    let _ = request.check(&[key("log", &SEED)]);
                }
                let _ = WitnessAnswer::read(status, SIZE_CONTENT_TYPE, text.as_bytes());
            }
            // Sizes of any magnitude, under a signature that holds.
            let signed = note(size, Hash::EMPTY_ROOT, &SEED);
            for proof in [Vec::new(), vec![Hash::EMPTY_ROOT; 63]] {
                let request = AddCheckpoint { old_size: old, proof, checkpoint: &signed };
                if let Ok(submitted) = request.check(&[key("log", &SEED)]) {
                    let _ = submitted.follows(None);
                    let newest = Some(Cosigned { size: old, root: leaf_hash(b"") });
                    proptest::prop_assert!(submitted.follows(newest).is_err(), "no proof leads from one random root to another");
                }
            }
        }
    }
}
