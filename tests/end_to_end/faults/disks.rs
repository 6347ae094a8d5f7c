//! A disk that is full or can't be written, on a file system of its own. It takes the right to mount one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use narrows::HolderKey;
use narrows_issuer::log::{Evidence, check_database};
use narrows_tests::{
    http::{client, get, try_send},
    issuer::{Issuer, evidence},
    program,
};

use crate::end_to_end::trusting;

/// A small file system in the place of the issuer's data directory, with what was there.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(issuer: &Issuer, megabytes: u32) -> Self {
        Self::with_data(issuer, |data| mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0700"), "tmpfs"], data))
    }

    /// One in a file, of a kind that goes read-only by itself when its device fails. A tmpfs can't be made read-only while a
    /// service has files open there.
    fn in_file(issuer: &Issuer) -> Self {
        let image = issuer.keep("disk.img", []);
        fs::File::options().write(true).open(&image).unwrap().set_len(96 << 20).unwrap();
        let made = Command::new("/usr/sbin/mkfs.ext4").args(["-q", "-F"]).arg(&image).stdin(Stdio::null()).status();
        assert!(made.expect("starting `mkfs.ext4`").success());
        Self::with_data(issuer, |data| {
            mount(&["-o", "loop", &image.to_string_lossy()], data);
            fs::set_permissions(data, fs::Permissions::from_mode(0o700)).unwrap();
        })
    }

    fn with_data(issuer: &Issuer, put: impl FnOnce(&Path)) -> Self {
        let data = issuer.data();
        let aside = data.with_file_name("aside");
        fs::rename(&data, &aside).unwrap();
        fs::create_dir(&data).unwrap();
        put(&data);
        let disk = Self(data);
        for file in fs::read_dir(aside).unwrap() {
            let file = file.unwrap();
            let copy = disk.0.join(file.file_name());
            fs::copy(file.path(), &copy).unwrap();
            fs::File::open(copy).unwrap().sync_all().unwrap();
        }
        fs::File::open(&disk.0).unwrap().sync_all().unwrap();
        disk
    }

    fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}")], &self.0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // lazily: the issuer of a test that failed may still have files there
        let _ended = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(options: &[&str], at: &Path) {
    let status = Command::new("mount").args(options).arg(at).status().expect("starting `mount`");
    assert!(status.success(), "this test needs the right to mount a file system");
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing_that_was_answered() {
    for (reserve_mb, reason) in [(2, "AUDIT_DISK_RESERVE"), (0, "AUDIT_UNAVAILABLE")] {
        let (mut issuer, provider) = trusting(&format!("[log]\ndisk_reserve_mb = {reserve_mb}\n")).await;
        let (_, keys) = issuer.sdk().await;
        let login = provider.login("alice");
        issuer.stop();
        let disk = SmallDisk::under(&issuer, 4);
        issuer.start().await;
        let mut answered = Vec::new();
        let refused = loop {
            let answer = issuer.token(&issuer.request(&HolderKey::generate(), &login)).await;
            if answer.status != 200 {
                break answer;
            }
            answered.push(evidence(&answer.json()));
        };
        refused.refused_as(503, "temporarily_unavailable", reason, "a full disk");
        assert!(answered.len() > 10, "{}", answered.len());
        disk.remount("size=64m");
        issuer.kill();
        issuer.start().await;
        answered.push(evidence(&issuer.granted(&HolderKey::generate(), &login).await));
        let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &answered, checkpoints: &[] }).unwrap();
        assert_eq!(report.receipts, answered.len() as u64);
        issuer.kill();
        drop(disk);
    }
}

#[tokio::test]
async fn a_disk_that_can_not_be_written_keeps_the_service_from_starting() {
    let (mut issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    issuer.stop();
    let disk = SmallDisk::under(&issuer, 128);
    disk.remount("ro");
    let told: program::Ran = issuer.start_refused();
    assert!(told.code == Some(1) && told.errors.contains("LOG_"), "{told:?}");
    disk.remount("rw");
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &login).await;
    issuer.kill();
}

#[tokio::test]
async fn a_disk_that_goes_read_only_under_the_service_stops_it_and_loses_nothing_that_was_answered() {
    let (mut issuer, provider) = trusting("[log]\ndisk_reserve_mb = 1\n").await;
    let (_, keys) = issuer.sdk().await;
    let login = provider.login("alice");
    issuer.stop();
    let disk = SmallDisk::in_file(&issuer);
    issuer.start().await;
    let mut answered = Vec::new();
    for _ in 0..20 {
        answered.push(evidence(&issuer.granted(&HolderKey::generate(), &login).await));
    }
    // between two commits: one that is under way just now may be told that it is durable when it is not, by the kernel itself
    disk.remount("abort");
    let http = client();
    let requests = (0..8).map(|_| try_send(issuer.request(&HolderKey::generate(), &login).request(&http, &issuer.at("/oauth/token"))));
    for request in requests.collect::<Vec<_>>().into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        let refused = request.await.unwrap().expect("an answer, whatever the disk does");
        refused.refused_as(503, "temporarily_unavailable", "AUDIT_UNAVAILABLE", "the disk can't be written");
        assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    get(&issuer.at("/readyz")).await.refused(503, "AUDIT_UNAVAILABLE", "not ready");
    issuer.kill();
    let image = issuer.data().with_file_name("disk.img");
    drop(disk);
    mount(&["-o", "loop", &image.to_string_lossy()], &issuer.data());
    let _again = SmallDisk(issuer.data());
    issuer.start().await;
    answered.push(evidence(&issuer.granted(&HolderKey::generate(), &login).await));
    let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &answered, checkpoints: &[] }).unwrap();
    assert_eq!(report.receipts, answered.len() as u64);
    issuer.kill();
}
