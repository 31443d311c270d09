//! A snapshot as it comes from a member: the database, and its digest at the end.

use std::time::Duration;

use sha2::{Digest, Sha256};
use slipway_api::{EtcdSnapshotSummary, Sha256Digest};

use super::{EtcdClient, EtcdError};

/// How long a member may take to send the next piece; its disk may be slow.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);

/// The size of the digest that etcd appends.
pub(super) const DIGEST_SIZE: usize = 32;

/// What a database's size is a multiple of, whatever its page size.
/// Source: etcdutl's `restoreDB`, which tells by this whether there is a digest.
pub(super) const SECTOR: u64 = 512;

/// A snapshot that is being sent. It is whole once [`SnapshotStream::next`] has returned none.
#[derive(Debug)]
pub struct SnapshotStream {
    client: EtcdClient,
    stream: etcd_client::SnapshotStreaming,
    hash: Sha256,
    /// The last bytes that came: the digest, once all have come.
    tail: Vec<u8>,
    received: u64,
    remaining: Option<u64>,
    summary: Option<EtcdSnapshotSummary>,
}

impl EtcdClient {
    /// Begins a snapshot of the member's database.
    ///
    /// # Errors
    /// The member does not answer.
    pub async fn snapshot(&self) -> Result<SnapshotStream, EtcdError> {
        let mut client = self.client.maintenance_client();
        let stream = self
            .call("take a snapshot of etcd", client.snapshot())
            .await?;
        Ok(SnapshotStream {
            client: self.clone(),
            stream,
            hash: Sha256::new(),
            tail: Vec::new(),
            received: 0,
            remaining: None,
            summary: None,
        })
    }
}

impl SnapshotStream {
    /// Returns the next piece; none after the last, once the digest was found right.
    ///
    /// # Errors
    /// The stream breaks, or the digest is missing or wrong.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, EtcdError> {
        let message = self.stream.message();
        let doing = "take a snapshot of etcd";
        let piece = self
            .client
            .call_within(PIECE_TIMEOUT, doing, message)
            .await?;
        let Some(piece) = piece else {
            self.summary = Some(self.finish()?);
            return Ok(None);
        };
        let bytes = piece.blob().to_vec();
        self.remaining = Some(piece.remaining_bytes());
        self.received += bytes.len() as u64;
        self.tail.extend_from_slice(&bytes);
        let known = self.tail.len().saturating_sub(DIGEST_SIZE);
        self.hash.update(&self.tail[..known]);
        self.tail.drain(..known);
        Ok(Some(bytes))
    }

    /// Returns how many bytes have come, and how many there are as far as etcd has told.
    pub fn progress(&self) -> (u64, u64) {
        (self.received, self.received + self.remaining.unwrap_or(0))
    }

    /// Returns what has arrived, once it is whole.
    pub fn summary(&self) -> Option<EtcdSnapshotSummary> {
        self.summary
    }

    fn finish(&self) -> Result<EtcdSnapshotSummary, EtcdError> {
        let damaged = |reason: &str| EtcdError::DamagedSnapshot {
            endpoint: self.client.endpoint.clone(),
            reason: reason.to_owned(),
        };
        if self.received % SECTOR != DIGEST_SIZE as u64 {
            return Err(damaged("it ends without etcd's digest"));
        }
        let computed: [u8; DIGEST_SIZE] = self.hash.clone().finalize().into();
        if computed[..] != self.tail[..] {
            return Err(damaged("it does not have the digest that etcd gave it"));
        }
        Ok(EtcdSnapshotSummary {
            size: self.received,
            database_sha256: Sha256Digest::from_bytes(computed),
        })
    }
}
