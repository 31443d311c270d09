//! Unpacking an image's layers, so that its first container starts at once.

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1::ApplyRequest;
use containerd_client::services::v1::diff_client::DiffClient;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, PrepareSnapshotRequest, StatSnapshotRequest,
};
use containerd_client::types::Descriptor;
use jiff::Timestamp;
use serde::Deserialize;
use slipway_api::{Image, ImageBlob};
use tonic::Code;

use super::chain_id::chain_ids;
use super::client::within;
use super::content::{digest, signed};
use super::{ContainerdClient, ContainerdError};

/// CRI's snapshotter unless it is configured otherwise.
const SNAPSHOTTER: &str = "overlayfs";
/// How long unpacking one layer may take; disks can be slow.
const APPLY_TIMEOUT: Duration = Duration::from_secs(600);

/// The part of an image's configuration that unpacking needs.
#[derive(Deserialize)]
struct ImageConfig {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl ContainerdClient {
    /// Unpacks the layers of an image whose content is there; layers that are
    /// unpacked already are skipped. Where the snapshotter is missing, nothing
    /// is done: CRI unpacks with its own when it makes the first container.
    pub(super) async fn unpack(
        &self,
        image: &Image,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), ContainerdError> {
        let config = self.read_content(&image.config.blob).await?;
        let name = image.reference.to_string();
        let config: ImageConfig =
            serde_json::from_slice(&config).map_err(|source| ContainerdError::ParseConfig {
                image: name.clone(),
                source,
            })?;
        let diff_ids = config.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            return Err(ContainerdError::LayerCount {
                image: name,
                layers: image.layers.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let chain = chain_ids(&diff_ids);
        let mut parent = "";
        for (index, layer) in image.layers.iter().enumerate() {
            let chain_id = &chain[index];
            match self.has_snapshot(chain_id).await {
                Ok(true) => {}
                Ok(false) => {
                    progress(&format!("unpack layer {} of {}", index + 1, chain.len()));
                    self.unpack_layer(&name, layer, &diff_ids[index], parent, chain_id)
                        .await?;
                }
                Err(error) if error.code() == Some(Code::InvalidArgument) => return Ok(()),
                Err(error) => return Err(error),
            }
            parent = chain_id;
        }
        // The garbage collector follows these from the image to its snapshots.
        let label = format!("containerd.io/gc.ref.snapshot.{SNAPSHOTTER}");
        let labels = HashMap::from([(label, parent.to_owned())]);
        self.label_content(&image.config.blob, labels).await
    }

    /// Returns whether a snapshot exists; a missing snapshotter is an error
    /// with the code `InvalidArgument`.
    async fn has_snapshot(&self, name: &str) -> Result<bool, ContainerdError> {
        let message = StatSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: name.to_owned(),
        };
        let mut snapshots = SnapshotsClient::new(self.channel.clone());
        let found = snapshots.stat(self.request(message));
        match self.call("look for a snapshot", found).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(Code::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn unpack_layer(
        &self,
        image: &str,
        layer: &ImageBlob,
        diff_id: &str,
        parent: &str,
        chain_id: &str,
    ) -> Result<(), ContainerdError> {
        let layer_digest = digest(&layer.blob);
        let doing = format!("unpack layer {layer_digest} of image {image}");
        let mut snapshots = SnapshotsClient::new(self.channel.clone());
        // Nothing else may use the same key, not even an import that was cut off.
        let now = Timestamp::now().as_nanosecond();
        let key = format!("slipway-{}-{now} {chain_id}", std::process::id());
        let message = PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: key.clone(),
            parent: parent.to_owned(),
            labels: HashMap::new(),
        };
        let prepared = snapshots.prepare(self.request(message));
        let mounts = self.call(&doing, prepared).await?.mounts;

        let message = ApplyRequest {
            diff: Some(Descriptor {
                media_type: layer.media_type.clone(),
                digest: layer_digest.clone(),
                size: signed(layer.blob.size),
                annotations: HashMap::new(),
            }),
            mounts,
            payloads: HashMap::new(),
            sync_fs: false,
        };
        let mut diff = DiffClient::new(self.channel.clone());
        let applied = within(APPLY_TIMEOUT, &doing, diff.apply(self.request(message))).await?;
        let applied = applied.into_inner().applied.unwrap_or_default().digest;
        if applied != diff_id {
            return Err(ContainerdError::WrongLayer {
                image: image.to_owned(),
                layer: layer_digest,
                expected: diff_id.to_owned(),
                found: applied,
            });
        }

        let message = CommitSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            name: chain_id.to_owned(),
            key,
            labels: HashMap::new(),
        };
        let committed = snapshots.commit(self.request(message));
        match self.call(&doing, committed).await {
            // Somebody unpacked the same layer meanwhile; ours goes with the lease.
            Err(error) if error.code() == Some(Code::AlreadyExists) => {}
            outcome => outcome?,
        }
        // Lets containerd tell the unpacked layer without unpacking it again.
        let label = "containerd.io/uncompressed".to_owned();
        let labels = HashMap::from([(label, diff_id.to_owned())]);
        self.label_content(&layer.blob, labels).await
    }
}
