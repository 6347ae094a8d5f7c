//! Key files that are of no use to who steals them.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use narrows::HolderKey;
use narrows_tests::{
    forged::ForgedProvider,
    issuer::{Issuer, PACK},
    program,
    scratch::Scratch,
};

use super::capability;

const KEYS: [&str; 4] = ["issuer.key", "log.key", "feed.key", "jwt.key"];

fn secret(issuer: &Issuer, name: &str, text: &str) -> String {
    let file = issuer.data().join(name);
    let _old = fs::remove_file(&file);
    let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
    std::io::Write::write_all(&mut made, text.as_bytes()).unwrap();
    file.to_string_lossy().into_owned()
}

fn is_sealed(file: &Path) -> bool {
    let sealed = fs::read(file).unwrap().starts_with(b"age-encryption.org/v1\n");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    sealed
}

fn encrypt(issuer: &Issuer) -> program::Ran {
    issuer.run(&["keys", "encrypt", "--config", &issuer.config().to_string_lossy()])
}

#[tokio::test]
async fn a_service_with_encrypted_keys_starts_with_the_passphrase_alone() {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    issuer.configure(&provider.trust(), PACK);
    encrypt(&issuer).refused("CONFIG_INVALID");
    let passphrase = secret(&issuer, "passphrase", "correct horse\n");
    issuer.configure(&format!("[keys]\npassphrase_file = {passphrase:?}\n"), PACK);
    // Twice: what is encrypted already stays as it is.
    for _ in 0..2 {
        encrypt(&issuer).succeeded();
    }
    assert!(KEYS.iter().all(|name| is_sealed(&issuer.data().join(name))));
    issuer.start().await;
    let (_, keys) = issuer.sdk().await;
    capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    let config = issuer.config().to_string_lossy().into_owned();
    let told = issuer.run(&["keys", "prepare", "--config", &config]).succeeded();
    let kid = told.split("activate ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(is_sealed(&issuer.data().join(format!("issuer-{kid}.key"))), "a new key is encrypted too");
    issuer.stop();

    secret(&issuer, "passphrase", "another horse\n");
    issuer.start_refused().refused("KEY_PASSPHRASE");
    encrypt(&issuer).refused("KEY_PASSPHRASE");
    secret(&issuer, "passphrase", "\n");
    issuer.start_refused().refused("KEY_FILE_MALFORMED");
    secret(&issuer, "passphrase", "correct horse");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o644)).unwrap();
    issuer.start_refused().refused("KEY_FILE_MODE");
    fs::remove_file(&passphrase).unwrap();
    issuer.start_refused().refused("KEY_FILE_MISSING");
    let text = fs::read_to_string(issuer.config()).unwrap();
    fs::write(issuer.config(), text.lines().filter(|line| !line.contains("passphrase_file")).collect::<Vec<_>>().join("\n")).unwrap();
    issuer.start_refused().refused("KEY_FILE_SEALED");
    secret(&issuer, "feed.key", "age-encryption.org/v1\n-> scrypt xQS2LeobvRovpOsg9nS+2Q 30\nnothing\n");
    issuer.start_refused().refused("KEY_FILE_MALFORMED");
}

#[test]
fn a_key_under_a_second_name_is_not_encrypted_under_one_alone() {
    let issuer = Issuer::init();
    let passphrase = secret(&issuer, "passphrase", "correct horse\n");
    issuer.configure(&format!("[keys]\npassphrase_file = {passphrase:?}\n"), PACK);
    let (file, target) = (issuer.data().join("issuer.key"), issuer.data().join("elsewhere.key"));
    let text = fs::read(&file).unwrap();
    let untouched = |shown: &str| {
        assert_eq!((fs::read(&file).unwrap(), fs::read(&target).unwrap()), (text.clone(), text.clone()), "{shown}");
        assert!(!issuer.data().join("issuer.key.new").exists(), "{shown}");
    };
    fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    encrypt(&issuer).refused("KEY_FILE_LINK");
    assert!(file.is_symlink());
    untouched("a symbolic link");
    fs::remove_file(&file).unwrap();
    fs::hard_link(&target, &file).unwrap();
    encrypt(&issuer).refused("KEY_FILE_LINK");
    untouched("a hard link");
    // Nothing is written through a link that waits where the new file is to be.
    fs::remove_file(&target).unwrap();
    std::os::unix::fs::symlink(issuer.data().join("trap"), issuer.data().join("issuer.key.new")).unwrap();
    encrypt(&issuer).refused("KEY_FILE_EXISTS");
    assert!(!issuer.data().join("trap").exists() && fs::read(&file).unwrap() == text);
    fs::remove_file(issuer.data().join("issuer.key.new")).unwrap();
    encrypt(&issuer).succeeded();
    assert!(is_sealed(&file));
}

#[test]
fn init_makes_encrypted_keys_of_which_no_plain_copy_exists() {
    let scratch = Scratch::new();
    let (data, passphrase) = (scratch.join("data"), scratch.write("passphrase", "correct horse"));
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let [at, file] = [&data, &passphrase].map(|path| path.to_string_lossy());
    let init = ["init", "--data", &at, "--issuer", "https://narrows.example", "--encrypt", &file];
    program::run(init).succeeded();
    assert!(KEYS.iter().all(|name| is_sealed(&data.join(name))));
    for entry in fs::read_dir(&data).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(19).any(|window| window == b"narrows-key ed25519"));
    }
    program::run(["config", "check", &data.join("narrows.toml").to_string_lossy()]).succeeded();
    // Without a passphrase nothing is made.
    let (other, none) = (scratch.join("other"), scratch.join("none"));
    let [at, file] = [&other, &none].map(|path| path.to_string_lossy());
    program::run(["init", "--data", &at, "--issuer", "https://narrows.example", "--encrypt", &file]).refused("KEY_FILE_MISSING");
    assert!(!other.exists());
}

#[tokio::test]
async fn keys_come_as_credentials_of_systemd() {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    let credentials = issuer.keep("directory", "").with_file_name("credentials");
    fs::create_dir(&credentials).unwrap();
    for name in ["issuer.key", "feed.key"] {
        fs::rename(issuer.data().join(name), credentials.join(name)).unwrap();
        fs::set_permissions(credentials.join(name), fs::Permissions::from_mode(0o400)).unwrap();
    }
    let keys = "[keys]\nissuer = \"$CREDENTIALS_DIRECTORY/issuer.key\"\nfeed = \"$CREDENTIALS_DIRECTORY/feed.key\"\n";
    issuer.configure(&format!("{keys}{}", provider.trust()), PACK);
    issuer.start_refused().refused("CONFIG_INVALID");
    issuer.set_environment("CREDENTIALS_DIRECTORY", &credentials.to_string_lossy());
    issuer.start().await;
    let (_, keys) = issuer.sdk().await;
    capability(&issuer, &provider, &keys, HolderKey::generate()).await;
}
