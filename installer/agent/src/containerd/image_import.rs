//! Importing, pinning and listing images.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::{
    CreateImageRequest, GetImageRequest, Image as ImageRecord, ListImagesRequest,
    UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use prost_types::FieldMask;
use slipway_api::{Blob, Image, ImageReference};
use tonic::Code;

use super::content::{digest, signed};
use super::{ContainerdClient, ContainerdError, RuntimeImage};

/// Marks images that CRI shows to the kubelet.
const MANAGED_LABEL: &str = "io.cri-containerd.image";
/// Marks images that the kubelet must not delete to free space.
const PINNED_LABEL: &str = "io.cri-containerd.pinned";

impl ContainerdClient {
    /// Returns whether the image is there as Slipway imports it: under its
    /// name, pinned, with this manifest and all content.
    ///
    /// # Errors
    /// containerd does not answer or refuses.
    pub async fn has_image(&self, image: &Image) -> Result<bool, ContainerdError> {
        for name in record_names(image) {
            let Some(record) = self.image_record(&name).await? else {
                return Ok(false);
            };
            let has_label =
                |key: &str, value: &str| record.labels.get(key).is_some_and(|found| found == value);
            let target = record.target.as_ref().map(|target| target.digest.as_str());
            if target != Some(digest(&image.manifest.blob).as_str())
                || !has_label(MANAGED_LABEL, "managed")
                || !has_label(PINNED_LABEL, "pinned")
            {
                return Ok(false);
            }
        }
        for blob in image.blobs() {
            if !self.has_content(&blob).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Imports and pins an image, and unpacks it.
    ///
    /// `blob_path` tells where a blob's bytes are; only blobs that containerd
    /// lacks are read, and interrupted writes go on where they ended.
    /// `progress` hears the bytes done, the bytes in all, and what is being
    /// done. The image appears under its name only when it is complete.
    ///
    /// # Errors
    /// A blob cannot be read or is not what its digest says, or containerd
    /// does not answer or refuses.
    pub async fn import_image(
        &self,
        image: &Image,
        blob_path: &(dyn Fn(&Blob) -> PathBuf + Sync),
        progress: &mut (dyn FnMut(u64, u64, &str) + Send),
    ) -> Result<(), ContainerdError> {
        let leased = self.under_lease().await?;
        leased.import_leased(image, blob_path, progress).await?;
        // Not after a failure: the lease keeps what is there for the next
        // attempt, and ends by itself. So it does when ending it fails, which
        // is no reason to call the import failed.
        let _ = leased.end_lease().await;
        Ok(())
    }

    async fn import_leased(
        &self,
        image: &Image,
        blob_path: &(dyn Fn(&Blob) -> PathBuf + Sync),
        progress: &mut (dyn FnMut(u64, u64, &str) + Send),
    ) -> Result<(), ContainerdError> {
        // Layers may repeat, the empty one above all.
        let unique: BTreeSet<Blob> = image.blobs().into_iter().collect();
        let total = unique.iter().map(|blob| blob.size).sum();
        let mut before = 0;
        for blob in unique {
            let labels = if blob == image.manifest.blob {
                child_labels(image)
            } else {
                HashMap::new()
            };
            let doing = format!("import {}", image.reference);
            let mut written = |bytes: u64| progress(before + bytes, total, &doing);
            self.write_content(&blob, &blob_path(&blob), labels, &mut written)
                .await?;
            before += blob.size;
        }
        let mut unpacking = |doing: &str| progress(total, total, doing);
        self.unpack(image, &mut unpacking).await?;
        for name in record_names(image) {
            self.put_image_record(name, image).await?;
        }
        Ok(())
    }

    /// Lets the kubelet delete an image again and returns whether it was pinned.
    ///
    /// # Errors
    /// containerd does not answer or refuses.
    pub async fn unpin(&self, reference: &ImageReference) -> Result<bool, ContainerdError> {
        let name = reference.to_string();
        let Some(record) = self.image_record(&name).await? else {
            return Ok(false);
        };
        let manifest = record.target.unwrap_or_default().digest;
        let mut was_pinned = false;
        // The record of the image's ID shares its manifest and would keep it pinned;
        // other names of the same image have pins of their own.
        for record in self.image_records().await? {
            let target = record.target.as_ref().map(|target| target.digest.as_str());
            let is_id = record.name.starts_with("sha256:") && target == Some(&manifest);
            if is_pinned(&record) && (is_id || record.name == name) {
                self.remove_pin(record).await?;
                was_pinned = true;
            }
        }
        Ok(was_pinned)
    }

    /// Returns all images, sorted by name.
    ///
    /// # Errors
    /// containerd does not answer or refuses.
    pub async fn list_images(&self) -> Result<Vec<RuntimeImage>, ContainerdError> {
        let records = self.image_records().await?;
        let mut images: Vec<RuntimeImage> = records
            .into_iter()
            .map(|record| RuntimeImage {
                is_pinned: is_pinned(&record),
                digest: record.target.unwrap_or_default().digest,
                name: record.name,
            })
            .collect();
        images.sort();
        Ok(images)
    }

    async fn image_records(&self) -> Result<Vec<ImageRecord>, ContainerdError> {
        let message = ListImagesRequest::default();
        let mut client = ImagesClient::new(self.channel.clone());
        let listed = client.list(self.request(message));
        Ok(self.call("list images", listed).await?.images)
    }

    async fn image_record(&self, name: &str) -> Result<Option<ImageRecord>, ContainerdError> {
        let message = GetImageRequest {
            name: name.to_owned(),
        };
        let mut client = ImagesClient::new(self.channel.clone());
        let found = client.get(self.request(message));
        match self.call(&format!("look for image {name}"), found).await {
            Ok(answer) => Ok(answer.image),
            Err(error) if error.code() == Some(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put_image_record(&self, name: String, image: &Image) -> Result<(), ContainerdError> {
        let doing = format!("name image {name}");
        let labels = [(MANAGED_LABEL, "managed"), (PINNED_LABEL, "pinned")];
        let paths = labels.iter().map(|(key, _)| format!("labels.{key}"));
        let paths = paths.chain(["target".to_owned()]).collect();
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let record = ImageRecord {
            name,
            labels: labels.into(),
            target: Some(Descriptor {
                media_type: image.manifest.media_type.clone(),
                digest: digest(&image.manifest.blob),
                size: signed(image.manifest.blob.size),
                annotations: HashMap::new(),
            }),
            ..ImageRecord::default()
        };
        let mut client = ImagesClient::new(self.channel.clone());
        let message = CreateImageRequest {
            image: Some(record.clone()),
            ..CreateImageRequest::default()
        };
        let created = client.create(self.request(message));
        match self.call(&doing, created).await {
            Err(error) if error.code() == Some(Code::AlreadyExists) => {}
            outcome => return outcome.map(|_| ()),
        }
        let message = UpdateImageRequest {
            image: Some(record),
            update_mask: Some(FieldMask { paths }),
            ..UpdateImageRequest::default()
        };
        let updated = client.update(self.request(message));
        self.call(&doing, updated).await.map(|_| ())
    }

    async fn remove_pin(&self, mut record: ImageRecord) -> Result<(), ContainerdError> {
        let doing = format!("unpin image {}", record.name);
        // An empty value removes a label. The target must be sent although the
        // mask leaves it out: containerd 2.4 dies of a null pointer without it.
        record.labels = HashMap::from([(PINNED_LABEL.to_owned(), String::new())]);
        let message = UpdateImageRequest {
            image: Some(record),
            update_mask: Some(FieldMask {
                paths: vec![format!("labels.{PINNED_LABEL}")],
            }),
            ..UpdateImageRequest::default()
        };
        let mut client = ImagesClient::new(self.channel.clone());
        let updated = client.update(self.request(message));
        self.call(&doing, updated).await.map(|_| ())
    }
}

fn is_pinned(record: &ImageRecord) -> bool {
    record
        .labels
        .get(PINNED_LABEL)
        .is_some_and(|label| label == "pinned")
}

/// Returns the names of an image's records: its reference, and its ID, which
/// is how CRI holds images that containers use.
fn record_names(image: &Image) -> [String; 2] {
    [image.reference.to_string(), digest(&image.config.blob)]
}

/// Returns the labels of a manifest by which the garbage collector finds what
/// the manifest names.
fn child_labels(image: &Image) -> HashMap<String, String> {
    let config = (
        "containerd.io/gc.ref.content.config".to_owned(),
        digest(&image.config.blob),
    );
    let layers = image.layers.iter().enumerate().map(|(index, layer)| {
        let label = format!("containerd.io/gc.ref.content.l.{index}");
        (label, digest(&layer.blob))
    });
    std::iter::once(config).chain(layers).collect()
}

#[cfg(test)]
mod tests {
    use slipway_api::{Architecture, ImageBlob, Sha256Digest};

    use super::*;

    fn part(text: &str) -> ImageBlob {
        ImageBlob {
            media_type: "m".to_owned(),
            blob: Blob {
                sha256: Sha256Digest::of(text),
                size: text.len() as u64,
            },
        }
    }

    #[test]
    fn a_manifest_refers_to_all_its_children() {
        let image = Image {
            reference: "registry.k8s.io/pause:3.10.2".parse().unwrap(),
            architecture: Architecture::Amd64,
            manifest: part("manifest"),
            config: part("config"),
            layers: vec![part("one"), part("two")],
        };
        let labels = child_labels(&image);
        assert_eq!(labels.len(), 3);
        assert_eq!(
            labels["containerd.io/gc.ref.content.l.1"],
            digest(&part("two").blob)
        );
    }
}
