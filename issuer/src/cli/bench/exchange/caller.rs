//! A caller: one kept connection, one request at a time, and no more of HTTP/1.1 than that takes.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use narrows_issuer::http::tls::{TlsClient, TlsConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where the service is, and over what it is spoken to.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<TlsClient>,
}

/// A connection to the service; a new one when the service closes it.
pub(super) struct Caller {
    way: Way,
    stream: Stream,
    buffer: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsConnection>),
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Caller {
    pub(super) async fn connect(way: &Way) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(way.address).await?;
        stream.set_nodelay(true)?;
        let stream = match &way.tls {
            None => Stream::Plain(stream),
            Some(tls) => Stream::Tls(Box::new(tls.connect(stream).await.context("no TLS connection")?)),
        };
        Ok(Self { way: way.clone(), stream, buffer: Vec::with_capacity(MAX_ANSWER) })
    }

    /// Sends the bytes of a request and reads its answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.send(request).await?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            self.read_more().await?;
        };
        let head = std::str::from_utf8(self.buffer.get(..head_end).unwrap_or_default())?.to_owned();
        let status = head.split(' ').nth(1).context("no status line")?.parse()?;
        let length: usize = header(&head, "content-length").context("an answer without length")?.parse()?;
        ensure!(length < MAX_ANSWER, "an answer of {length} bytes");
        while self.buffer.len() < head_end + 4 + length {
            self.read_more().await?;
        }
        let body = self.buffer.get(head_end + 4..).unwrap_or_default().to_vec();
        if header(&head, "connection") == Some("close") {
            *self = Self::connect(&self.way).await?;
        }
        Ok(Answer { status, head, body })
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        ensure!(self.buffer.len() < 2 * MAX_ANSWER, "an answer without end");
        ensure!(self.stream.receive(&mut self.buffer).await? > 0, "the service hung up");
        Ok(())
    }
}

impl Stream {
    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn receive(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The refusal's own words, which hold no secret.
    pub(super) fn reason(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

const MAX_ANSWER: usize = 64 * 1024;
