//! Files that systemd hands to the service as credentials.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

impl Config {
    /// Puts the directory of the credentials in place of `$CREDENTIALS_DIRECTORY/` at the beginning of a key's or certificate's path.
    ///
    /// # Errors
    /// A path that begins so where no such directory is known.
    pub(super) fn find_credentials(&mut self, directory: Option<&Path>) -> Result<(), ConfigError> {
        let keys = &mut self.keys;
        let named = [
            ("keys.issuer", &mut keys.issuer),
            ("keys.log", &mut keys.log),
            ("keys.jwt", &mut keys.jwt),
            ("keys.feed", &mut keys.feed),
            ("keys.passphrase_file", &mut keys.passphrase_file),
            ("keys.identity_file", &mut keys.identity_file),
        ];
        let named = named.into_iter().filter_map(|(key, path)| Some((key, path.as_mut()?)));
        let tls = self.tls.as_mut().map(|tls| [("tls.certificate", &mut tls.certificate), ("tls.key", &mut tls.key)]);
        for (key, path) in named.chain(tls.into_iter().flatten()) {
            if let Ok(rest) = path.strip_prefix(VARIABLE) {
                let directory = directory.filter(|directory| directory.is_absolute());
                let directory =
                    directory.ok_or_else(|| ConfigError::one(key, "names a systemd credential, and the service has been given none"))?;
                *path = directory.join(rest);
            }
        }
        Ok(())
    }
}

/// What systemd tells of them (systemd.exec(5), LoadCredential=).
pub(super) fn directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

const VARIABLE: &str = "$CREDENTIALS_DIRECTORY";

#[cfg(test)]
mod tests {
    use super::super::tests::LEAST;
    use super::*;

    #[test]
    fn a_path_of_a_credential_is_found_where_systemd_says_and_nowhere_else() {
        let text = format!("{LEAST}[keys]\nissuer = \"$CREDENTIALS_DIRECTORY/issuer.key\"\nlog = \"/x/$CREDENTIALS_DIRECTORY/log.key\"\n");
        let mut config = Config::parse(&text).unwrap();
        for none in [None, Some(Path::new("relative"))] {
            assert_eq!(config.find_credentials(none).unwrap_err().0[0].key, "keys.issuer");
        }
        config.find_credentials(Some(Path::new("/run/credentials/narrows.service"))).unwrap();
        assert_eq!(config.issuer_key_file(), Path::new("/run/credentials/narrows.service/issuer.key"));
        assert_eq!(config.log_key_file(), Path::new("/x/$CREDENTIALS_DIRECTORY/log.key"));
    }
}
