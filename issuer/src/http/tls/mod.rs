//! TLS on a listener: the one door to rustls.
//!
//! A new certificate is taken as a whole, with a new memory of sessions: none that began under the old certificate is resumed.
//! Connections that are open go on.

mod certificate;
mod client;
mod validity;

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::certificate::{Files, Served};
pub use self::client::{TlsClient, TlsConnection};
use super::{Listener, metrics::Metrics};
use crate::{clock::Clock, config, keys::KeyError};

/// What a listener shows to its peers; shared by all its connections. No Debug: it holds a private key.
pub struct Tls {
    listener: Listener,
    files: config::Tls,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Written by whoever reloads, read once for each handshake.
    served: RwLock<Served>,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// `TLS_CERTIFICATE`, `TLS_KEY` or a reason of key files.
    pub fn open(listener: Listener, files: &config::Tls, clock: Clock, metrics: Arc<Metrics>) -> Result<Arc<Self>, KeyError> {
        let served = Files::read(files)?.served(clock() / 1000)?;
        metrics.set_certificate_expiry(listener, served.not_after);
        Ok(Arc::new(Self { listener, files: files.clone(), clock, metrics, served: RwLock::new(served) }))
    }

    /// Reads the files again, on SIGHUP and every few seconds, until it is dropped. What can't be used is told and replaces nothing.
    ///
    /// # Errors
    /// The signal can't be watched.
    pub async fn follow(self: Arc<Self>) -> io::Result<()> {
        let mut asked = signal(SignalKind::hangup())?;
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fault = None;
        loop {
            tokio::select! {
                _ = asked.recv() => fault = None,
                _ = ticks.tick() => {}
            }
            match self.reload() {
                Ok(changed) => {
                    if changed {
                        tracing::info!(certificate = %self.files.certificate.display(), "a new TLS certificate is served");
                    }
                    fault = None;
                }
                Err(error) => {
                    let told = error.to_string();
                    if fault.as_ref() != Some(&told) {
                        self.metrics.count_failed_reload();
                        tracing::error!(reason = %error.reason, %error, "the TLS certificate can't be replaced, the old one is served on");
                        fault = Some(told);
                    }
                }
            }
        }
    }

    /// Takes what the files hold now, and says whether that is something new.
    ///
    /// # Errors
    /// As [`Tls::open`]; the old certificate is served on.
    pub fn reload(&self) -> Result<bool, KeyError> {
        let files = Files::read(&self.files)?;
        if files.digest() == self.served.read().unwrap_or_else(PoisonError::into_inner).digest {
            return Ok(false);
        }
        let served = files.served((self.clock)() / 1000)?;
        self.metrics.set_certificate_expiry(self.listener, served.not_after);
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
        Ok(true)
    }

    /// Shakes hands. The caller bounds the time.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner).config);
        TlsAcceptor::from(config).accept(stream).await
    }
}

const LOOK: Duration = Duration::from_secs(5);
