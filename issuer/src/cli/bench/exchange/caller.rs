//! A caller: one kept connection, one request at a time, and no more of HTTP/1.1 than that takes.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection to the service; a new one when the service closes it.
pub(super) struct Caller {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Caller {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, buffer: Vec::with_capacity(MAX_ANSWER) })
    }

    /// Sends the bytes of a request and reads its answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
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
            *self = Self::connect(self.address).await?;
        }
        Ok(Answer { status, head, body })
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        ensure!(self.buffer.len() < 2 * MAX_ANSWER, "an answer without end");
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the service hung up");
        Ok(())
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
