//! C2SP tlog-cosignature, Ed25519: a witness's word that a checkpoint follows from all it saw of the log before.

use super::checkpoint::Checkpoint;
use super::note::{Note, SignatureLine, TypedKey};
use super::refusal::LogRefusal;
use crate::key::{public_key, sign};
use crate::{PublicKey, Reason};

/// An Ed25519 key under which a witness's cosignatures are checked: name, key id and public key.
///
/// It is not a [`super::VerifierKey`]: the two sign different messages, and neither may pass for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey(TypedKey<COSIGNATURE>);

/// A cosignature that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature<'k> {
    /// Whose it is.
    pub witness: &'k WitnessKey,
    /// When it was made, by the witness's clock, in seconds since 1970.
    pub time_s: u64,
}

impl WitnessKey {
    /// The witness key of this name and public key.
    ///
    /// # Errors
    /// [`Reason::VerifierKeyMalformed`] for a name that no note can carry and for an unsound key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, LogRefusal> {
        TypedKey::new(name, public_key).map(Self)
    }

    /// The witness key of this name and seed.
    ///
    /// # Errors
    /// [`Reason::VerifierKeyMalformed`] for a name that no note can carry.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, LogRefusal> {
        Self::new(name, public_key(seed).as_bytes())
    }

    /// Reads `<name>+<key id in hex>+<base64 of 0x04 and the public key>`.
    ///
    /// # Errors
    /// [`Reason::VerifierKeyMalformed`], also for keys of another type, such as ML-DSA-44 (0x06), and when the key id is not
    /// the one that name and key give.
    pub fn parse(text: &str) -> Result<Self, LogRefusal> {
        TypedKey::parse(text, "the key's type is not that of timestamped Ed25519 cosignatures").map(Self)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The four bytes that stand before each of the key's cosignatures.
    pub const fn key_id(&self) -> [u8; 4] {
        self.0.key_id
    }

    /// The public key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The time of a line of this name and key id, if this key made it over `text`.
    fn check(&self, line: &SignatureLine<'_>, text: &str) -> Option<u64> {
        let (time, signature) = line.bytes.split_first_chunk::<8>()?;
        let signature: &[u8; 64] = signature.try_into().ok()?;
        let time_s = u64::from_be_bytes(*time);
        let good = time_s <= MAX_TIME && self.0.public_key.verifies(message(time_s, text).as_bytes(), signature);
        good.then_some(time_s)
    }
}

impl core::fmt::Display for WitnessKey {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Checks every line of the note that names one of `keys` and returns the cosignatures, one a key, the newest. Lines of other
/// keys and types are ignored. A note whose log has not signed it says nothing: see [`super::verify_checkpoint`].
///
/// # Errors
/// [`Reason::CosignatureInvalid`] when a line of a known key does not verify.
pub fn cosignatures<'k>(note: &Note<'_>, keys: &'k [WitnessKey]) -> Result<Vec<Cosignature<'k>>, LogRefusal> {
    const REFUSED: LogRefusal = LogRefusal::new(Reason::CosignatureInvalid, "a cosignature of a known witness does not verify");
    let mut found: Vec<Cosignature<'k>> = Vec::new();
    for line in note.lines() {
        let mut known = keys.iter().filter(|key| key.name() == line.name && key.key_id() == line.key_id).peekable();
        if known.peek().is_none() {
            continue;
        }
        let mut good = known.filter_map(|key| Some(Cosignature { witness: key, time_s: key.check(line, note.unverified_text())? }));
        let cosignature = good.next().ok_or(REFUSED)?;
        match found.iter_mut().find(|other| other.witness == cosignature.witness) {
            Some(other) => other.time_s = other.time_s.max(cosignature.time_s),
            None => found.push(cosignature),
        }
    }
    Ok(found)
}

/// Finds the key's own cosignature of `note` among the lines that a witness answered, and returns it as one line. Other lines
/// are dropped, so an answer brings no stranger's line into a note.
///
/// # Errors
/// [`Reason::NoteMalformed`]; [`Reason::CosignatureInvalid`] when no line of the key verifies, or one does not.
pub fn own_cosignature(note: &str, lines: &str, key: &WitnessKey) -> Result<String, LogRefusal> {
    const MISSING: LogRefusal = LogRefusal::new(Reason::CosignatureInvalid, "the witness's answer holds no cosignature of its key");
    let text = Note::parse(note)?.unverified_text();
    let answered = format!("{text}\n{lines}");
    let answered = Note::parse(&answered)?;
    // Lines that continue the text would be signed by nobody.
    if answered.unverified_text() != text {
        return Err(MISSING);
    }
    let found = cosignatures(&answered, core::slice::from_ref(key))?;
    let time_s = found.first().ok_or(MISSING)?.time_s;
    let of_key =
        |line: &&SignatureLine<'_>| line.name == key.name() && line.key_id == key.key_id() && line.bytes.starts_with(&time_s.to_be_bytes());
    answered.lines().iter().find(of_key).map(SignatureLine::encode).ok_or(MISSING)
}

/// Cosigns a checkpoint's text as of `time_s` and returns the signature line, newline included.
///
/// Only a witness may do so, after it has made durable that this is the newest checkpoint that it knows of the log.
///
/// # Errors
/// [`Reason::VerifierKeyMalformed`], [`Reason::CheckpointMalformed`] when `text` is not a checkpoint's, and
/// [`Reason::CosignatureInvalid`] for the time 0 and times that no verifier accepts.
pub fn cosign(name: &str, seed: &[u8; 32], time_s: u64, text: &str) -> Result<String, LogRefusal> {
    let key = WitnessKey::from_seed(name, seed)?;
    // A key that signed any text it is given could be made to sign something that another protocol understands.
    Checkpoint::parse(text)?;
    if time_s == 0 || time_s > MAX_TIME {
        return Err(LogRefusal::new(Reason::CosignatureInvalid, "the time of a cosignature is 0 or too far ahead"));
    }
    let signature = sign(seed, message(time_s, text).as_bytes());
    let bytes = [&time_s.to_be_bytes()[..], &signature].concat();
    Ok(SignatureLine { name, key_id: key.key_id(), bytes }.encode())
}

/// What is signed. The first line keeps it apart from everything else that a key could sign.
fn message(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

/// Signature type of timestamped Ed25519 cosignatures.
const COSIGNATURE: u8 = 0x04;

/// The format allows no time beyond this.
const MAX_TIME: u64 = i64::MAX as u64;

#[cfg(test)]
pub(super) mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    /// A checkpoint of a public log with the cosignatures of public witnesses. Its first line is of a type (0x05) that is
    /// not read here.
    pub(in super::super) const PUBLIC: &str = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n\
        — arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
        — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
        — transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
        — witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
        — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
        — witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
    pub(in super::super) const PUBLIC_LOG: &str =
        "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
    pub(in super::super) const PUBLIC_WITNESSES: [&str; 4] = [
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    ];
    /// A public witness that has not cosigned it.
    pub(in super::super) const ABSENT: &str = "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G";

    fn public_keys() -> Vec<WitnessKey> {
        PUBLIC_WITNESSES.iter().chain([&ABSENT]).map(|text| WitnessKey::parse(text).unwrap()).collect()
    }

    fn times(note: &str, keys: &[WitnessKey]) -> Result<Vec<(String, u64)>, Reason> {
        let note = Note::parse(note).unwrap();
        cosignatures(&note, keys)
            .map_err(|refusal| refusal.reason)
            .map(|found| found.iter().map(|cosignature| (cosignature.witness.name().to_owned(), cosignature.time_s)).collect())
    }

    const TEXT: &str = "log.example\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn note_of(lines: &[String]) -> String {
        format!("{TEXT}\n{}", lines.concat())
    }

    #[test]
    fn cosignatures_of_the_public_network_verify() {
        let keys = public_keys();
        for (key, text) in keys.iter().zip(PUBLIC_WITNESSES) {
            assert_eq!(key.to_string(), text);
        }
        let expected: Vec<_> = keys[..4].iter().map(|key| (key.name().to_owned(), 0x6a12_2120)).collect();
        assert_eq!(times(PUBLIC, &keys), Ok(expected));
        // A cosigner's line is no signature of a log, whatever name the key is given, and the other way round.
        let as_log = super::super::VerifierKey::new("remora.n621.de", keys[2].public_key().as_bytes()).unwrap();
        assert!(Note::parse(PUBLIC).unwrap().verify(&[as_log]).is_err());
        let log = super::super::VerifierKey::parse(PUBLIC_LOG).unwrap();
        let as_witness = WitnessKey::new(log.name(), log.public_key()).unwrap();
        assert_eq!(times(PUBLIC, &[as_witness]), Ok(Vec::new()));
    }

    #[test]
    fn a_changed_text_or_time_is_refused() {
        let keys = public_keys();
        assert_eq!(times(&PUBLIC.replace("1432088532", "1432088531"), &keys), Err(Reason::CosignatureInvalid));
        assert_eq!(times(&PUBLIC.replace("4Ro=\n\n", "4Ro=\nextension\n\n"), &keys), Err(Reason::CosignatureInvalid));
        assert_eq!(times(&PUBLIC.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh"), &keys), Err(Reason::CosignatureInvalid));
    }

    #[test]
    fn what_is_cosigned_verifies_and_counts_once_a_key() {
        let seed = [5; 32];
        let key = WitnessKey::from_seed("w.example", &seed).unwrap();
        let other = WitnessKey::from_seed("w.example", &[6; 32]).unwrap();
        let line = |time_s| cosign("w.example", &seed, time_s, TEXT).unwrap();
        let keys = [key, other];
        assert_eq!(times(&note_of(&[line(9), line(12), line(10)]), &keys), Ok(vec![("w.example".to_owned(), 12)]));
        assert_eq!(times(&note_of(&[line(MAX_TIME)]), &keys), Ok(vec![("w.example".to_owned(), MAX_TIME)]));
        assert_eq!(times(&note_of(&[line(9)]), &[]), Ok(Vec::new()));
    }

    #[test]
    fn a_bad_line_of_a_known_key_refuses_the_note() {
        let seed = [5; 32];
        let keys = [WitnessKey::from_seed("w.example", &seed).unwrap()];
        let good = cosign("w.example", &seed, 7, TEXT).unwrap();
        let line = |bytes: &[u8]| SignatureLine { name: "w.example", key_id: keys[0].key_id(), bytes: bytes.to_vec() }.encode();
        let late = MAX_TIME + 1;
        let beyond = [&late.to_be_bytes()[..], &sign(&seed, message(late, TEXT).as_bytes())].concat();
        let plain = sign(&seed, TEXT.as_bytes());
        let elsewhere = cosign("w.example", &seed, 7, &TEXT.replace("5", "6")).unwrap();
        for bad in [line(&[1]), line(&[0; 72]), line(&[0; 71]), line(&[0; 73]), line(&plain), line(&beyond), elsewhere] {
            assert_eq!(times(&note_of(&[good.clone(), bad.clone()]), &keys), Err(Reason::CosignatureInvalid), "{bad}");
            assert_eq!(times(&note_of(&[bad.clone(), good.clone()]), &keys), Err(Reason::CosignatureInvalid), "{bad}");
        }
        // The same bytes under another name or key id are of nobody known.
        let renamed = line(&[0; 72]).replace("w.example", "v.example");
        let other_id = SignatureLine { name: "w.example", key_id: [0; 4], bytes: vec![0; 72] }.encode();
        assert_eq!(times(&note_of(&[good, renamed, other_id]), &keys).map(|found| found.len()), Ok(1));
    }

    #[test]
    fn only_the_witness_own_line_is_taken_from_an_answer() {
        let key = WitnessKey::from_seed("w.example", &[5; 32]).unwrap();
        let note = note_of(&[cosign("log", &[1; 32], 1, TEXT).unwrap()]);
        let line = cosign("w.example", &[5; 32], 7, TEXT).unwrap();
        let old = cosign("w.example", &[5; 32], 6, TEXT).unwrap();
        let other = cosign("v.example", &[6; 32], 7, TEXT).unwrap();
        assert_eq!(own_cosignature(&note, &format!("{other}{old}{line}"), &key), Ok(line.clone()));
        let elsewhere = cosign("w.example", &[5; 32], 7, &TEXT.replace("5", "6")).unwrap();
        for answer in
            [String::new(), "\n".to_owned(), other.clone(), format!("{line}{elsewhere}"), format!("more\n\n{line}"), line.repeat(17)]
        {
            assert!(own_cosignature(&note, &answer, &key).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn only_checkpoints_are_cosigned() {
        let reason = |time_s, text: &str| cosign("w.example", &[5; 32], time_s, text).unwrap_err().reason;
        assert_eq!(reason(7, "any text\n"), Reason::CheckpointMalformed);
        assert_eq!(reason(0, TEXT), Reason::CosignatureInvalid);
        assert_eq!(reason(MAX_TIME + 1, TEXT), Reason::CosignatureInvalid);
        assert_eq!(cosign("w example", &[5; 32], 7, TEXT).unwrap_err().reason, Reason::VerifierKeyMalformed);
    }

    #[test]
    fn bad_witness_keys_are_refused() {
        let weak = STANDARD.encode([&[4][..], &[0; 32]].concat());
        let good = PUBLIC_WITNESSES[2];
        for text in [
            "",
            "remora.n621.de",
            "remora.n621.de+da77ade7",
            &good.replace("remora", "Remora"),
            &good.replace("da77ade7", "DA77ADE7"),
            &good.replace("da77ade7", "da77ade8"),
            &good.replace("+BOvN", "+AOvN"),
            &good.replace("+BOvN", "+BuvN"),
            good.trim_end_matches('2'),
            &format!("w+00000000+{weak}"),
            &format!("w+00000000+{}", "A".repeat(1 << 20)),
            PUBLIC_LOG,
        ] {
            assert_eq!(WitnessKey::parse(text).unwrap_err().reason, Reason::VerifierKeyMalformed, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_any_key_or_line_never_panics(
            text in ".{0,100}",
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..100),
            lines in "(— (w.example|v) [A-Za-z0-9+/=]{0,120}\n){0,3}.{0,20}",
        ) {
            if let Ok(key) = WitnessKey::parse(&text) {
                proptest::prop_assert_eq!(key.to_string(), text);
            }
            let key = WitnessKey::from_seed("w.example", &[5; 32]).unwrap();
            let line = SignatureLine { name: "w.example", key_id: key.key_id(), bytes }.encode();
            proptest::prop_assert_eq!(times(&note_of(&[line]), std::slice::from_ref(&key)), Err(Reason::CosignatureInvalid));
            let note = note_of(&[cosign("log", &[1; 32], 1, TEXT).unwrap()]);
            proptest::prop_assert!(own_cosignature(&note, &lines, &key).is_err());
        }
    }
}
