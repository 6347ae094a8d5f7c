//! A private authority that makes certificates, by the `openssl` program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::{Certificate, Client, redirect};

use crate::scratch::Scratch;

/// An authority with a key of its own.
pub struct Authority(Scratch);

impl Authority {
    /// Makes it.
    pub fn new() -> Self {
        let authority = Self(Scratch::new());
        let [key, certificate] = ["ca.key", "ca.pem"].map(|name| authority.path(name));
        let subject = ["-subj", "/CN=authority of a test", "-days", "2", "-keyout", &key, "-out", &certificate];
        openssl(&[&["req", "-x509", "-nodes"], &NEW_KEY[..], &subject].concat());
        authority
    }

    /// Its certificate.
    pub fn file(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// Writes a certificate for `localhost` and its key, which only their owner may read, to these files.
    pub fn certify(&self, certificate: &Path, key: &Path) {
        self.certify_until(certificate, key, &["-days", "1"]);
    }

    /// The same with another end, in `openssl`'s own words.
    pub fn certify_until(&self, certificate: &Path, key: &Path, end: &[&str]) {
        let [request, issued, fresh, ca, ca_key] = ["request", "issued", "fresh.key", "ca.pem", "ca.key"].map(|name| self.path(name));
        let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
        openssl(&[&["req", "-new", "-nodes", "-keyout", &fresh, "-out", &request], &NEW_KEY[..], &subject].concat());
        let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-copy_extensions", "copy"];
        openssl(&[&sign[..], &["-out", &issued], end].concat());
        let private = Command::new("chmod").args(["600", &fresh]).status().expect("starting `chmod`");
        assert!(private.success());
        fs::rename(fresh, key).expect("placing the key");
        fs::rename(issued, certificate).expect("placing the certificate");
    }

    /// A client that trusts this authority and nobody else, and follows no redirect.
    pub fn client(&self) -> Client {
        let pem = fs::read(self.file()).expect("the authority's certificate");
        let certificate = Certificate::from_pem(&pem).expect("a certificate");
        let client = Client::builder().redirect(redirect::Policy::none()).tls_certs_only([certificate]);
        client.build().expect("an HTTP client")
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output().expect("starting `openssl`");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const NEW_KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
