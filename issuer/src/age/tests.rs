use base64::{Engine, engine::general_purpose::STANDARD};
use rand_core::OsRng;

use super::*;

fn with(passphrase: &str) -> Unlock {
    Unlock { passphrase: Some(Zeroizing::new(passphrase.to_owned())), identity: None }
}

fn identified() -> Unlock {
    Unlock { passphrase: None, identity: Identity::parse(&format!("# a comment\n\n{IDENTITY}\n")) }
}

fn opened(bytes: &[u8], unlock: &Unlock) -> Result<String, Reason> {
    open(bytes, unlock).map(|plain| String::from_utf8(plain.to_vec()).unwrap())
}

#[test]
fn files_of_the_age_program_are_opened() {
    assert_eq!(opened(&STANDARD.decode(FOR_PASSPHRASE).unwrap(), &with("correct horse")).unwrap(), LINE);
    assert_eq!(opened(&STANDARD.decode(FOR_IDENTITY).unwrap(), &identified()).unwrap(), LINE);
}

#[test]
fn what_was_sealed_is_opened_by_the_same_passphrase_alone() {
    let sealed = seal(LINE.as_bytes(), "correct horse", &mut OsRng).unwrap();
    assert!(is_sealed(&sealed) && !sealed.windows(8).any(|bytes| bytes == &LINE.as_bytes()[30..38]));
    assert_eq!(opened(&sealed, &with("correct horse")).unwrap(), LINE);
    assert_eq!(opened(&sealed, &with("correct horse ")), Err(Reason::KeyPassphrase));
    assert_eq!(opened(&sealed, &identified()), Err(Reason::KeyFileSealed));
    assert_eq!(opened(&sealed, &Unlock::default()), Err(Reason::KeyFileSealed));
    assert_ne!(seal(LINE.as_bytes(), "correct horse", &mut OsRng).unwrap(), sealed);
    let other = Identity::parse(OTHER_IDENTITY).unwrap();
    let of_another = opened(&STANDARD.decode(FOR_IDENTITY).unwrap(), &Unlock { passphrase: None, identity: Some(other) });
    assert_eq!(of_another, Err(Reason::KeyPassphrase));
}

#[test]
fn every_change_to_a_file_is_found() {
    let whole = STANDARD.decode(FOR_IDENTITY).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(opened(&changed, &identified()).is_err(), "{at}");
        assert!(opened(&whole[..at], &identified()).is_err(), "{at}");
    }
    assert!(opened(&[&whole[..], b"x"].concat(), &identified()).is_err());
}

#[test]
fn work_beyond_the_bound_is_not_begun() {
    let text = String::from_utf8_lossy(&seal(b"x", "p", &mut OsRng).unwrap()).into_owned();
    for (factor, reason) in [
        ("19", Reason::KeyWorkFactor),
        ("63", Reason::KeyWorkFactor),
        ("255", Reason::KeyWorkFactor),
        ("256", Reason::KeyFileMalformed),
        ("0", Reason::KeyFileMalformed),
        ("015", Reason::KeyFileMalformed),
        ("+15", Reason::KeyFileMalformed),
        ("", Reason::KeyFileMalformed),
    ] {
        let changed = text.replacen(" 15\n", &format!(" {factor}\n"), 1);
        assert_eq!(opened(changed.as_bytes(), &with("p")), Err(reason), "{factor}");
    }
}

#[test]
fn headers_of_another_form_are_refused() {
    let sealed = seal(b"x", "p", &mut OsRng).unwrap();
    let text = String::from_utf8_lossy(&sealed).into_owned();
    let stanza = text.lines().skip(1).take(2).collect::<Vec<_>>().join("\n");
    let first = "age-encryption.org/v1\n";
    for changed in [
        first.to_owned(),
        format!("{first}--- \n"),
        text.replacen(first, "age-encryption.org/v2\n", 1),
        // A passphrase's stanza stands alone.
        text.replacen(first, &format!("{first}{stanza}\n"), 1),
        text.replacen(first, &format!("{first}-> X25519 AA\n\n"), 1),
        text.replacen(first, &format!("{first}{}", "-> grease\n\n".repeat(20)), 1),
        text.replacen("scrypt ", "scrypt  ", 1),
        text.replacen("\n---", "=\n---", 1),
        text.replacen("\n---", "\n\n---", 1),
        format!("{first}-> grease {}\n", "x".repeat(400)),
    ] {
        assert_eq!(opened(changed.as_bytes(), &with("p")), Err(Reason::KeyFileMalformed), "{changed:?}");
    }
}

#[test]
fn an_identity_with_a_fault_is_none() {
    assert!(Identity::parse(IDENTITY).is_some());
    for at in 0..IDENTITY.len() {
        let mut changed = IDENTITY.as_bytes().to_vec();
        changed[at] = if changed[at] == b'Q' { b'P' } else { b'Q' };
        assert!(Identity::parse(core::str::from_utf8(&changed).unwrap()).is_none(), "{at}");
        assert!(Identity::parse(IDENTITY.get(..at).unwrap()).is_none(), "{at}");
    }
    for text in [String::new(), format!("{IDENTITY}\n{IDENTITY}"), IDENTITY.to_lowercase(), format!("{IDENTITY}Q")] {
        assert!(Identity::parse(&text).is_none(), "{text}");
    }
}

const LINE: &str = "narrows-key ed25519 issuer BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\n";
const IDENTITY: &str = "AGE-SECRET-KEY-1DDUJQQ0WALGMUNVWWPPSXKRELYCQ8X0JR0GFECY99XEJ0LV3NKWQL2U9A5";
const OTHER_IDENTITY: &str = "AGE-SECRET-KEY-1F6SSGS2E0GU33RSH6SL7TYVTNTT6X2WLMXC58VSU0X88YZNPVE8S8A7G3Q";
/// `age -p`, with the passphrase `correct horse`.
const FOR_PASSPHRASE: &str = "\
    YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCB4UVMyTGVvYnZSb3ZwT3NnOW5TKzJRIDE4CjRDRG4xTVFacU5oQmVLZ0hBcnBaWUhveFVzZ3pTSUEy\
    SVpHajVnVUE5NFUKLS0tIG45cVV1bGY0cVJWdHdLZzRidE0rcnlLT2puQ3VLT2RXdlhBcTkxaWVPV2MKksx5+u/E5r5H8xshhwhMDtBWuv/ztCMLgr3erpZp\
    cuDDkYd5kZ0+piGHYBkEiB8+HBpHUw6VGfgAnEMkewZAyUgjwKRg3zTBJiohrq8CeJtpmpALgMJt3dVLcjnogdpR9sk+uN1YsA==";
/// `age -r`, for the identity.
const FOR_IDENTITY: &str = "\
    YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBYNWQyTUNhTVVFaDF6WEZKMHRJcm12ZGR5ajdFYmlmdEhxalVkUXhlUFJJCnl6aDk3c3pYZHlLTDVX\
    OEFNUEtNVTRkOGlDNzlEMlk5K3p2dlU4ZDROVFUKLS0tIFd1cWN2Tng1ZE5aVTN6OHlrK2ppSUdqSkNzZzJWdFNzdFFjeU8vUkZpdWMKUeHGy7KQOU0noKND\
    3WnH4guH3VItgY0TAXA1+hJg2Z8MsF4RZpU4gNb0Q/yXVUPjP0mNLQdyFEiBwe8ZjtTtm7f2k0rNIw1Dlls/ffvM966LFuJSXKcjOmntwQVrUelfuam+PTVQ\
    Rg==";
