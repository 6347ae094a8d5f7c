//! A disk that is full or can't be written, on a file system of its own. It takes the right to mount one.

use std::{fs, path::PathBuf, process::Command};

use narrows::HolderKey;
use narrows_issuer::log::{Evidence, check_database};
use narrows_tests::{
    issuer::{Issuer, evidence},
    program,
};

use crate::end_to_end::trusting;

/// A small file system in the place of the issuer's data directory, with what was there.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(issuer: &Issuer, megabytes: u32) -> Self {
        let data = issuer.data();
        let aside = data.with_file_name("aside");
        fs::rename(&data, &aside).unwrap();
        fs::create_dir(&data).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0700"), "tmpfs"], &data);
        let disk = Self(data);
        for file in fs::read_dir(aside).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), disk.0.join(file.file_name())).unwrap();
        }
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

fn mount(options: &[&str], at: &PathBuf) {
    let status = Command::new("mount").args(options).arg(at).status().expect("starting `mount`");
    assert!(status.success(), "this test needs the right to mount a tmpfs");
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
