//! Where Kubernetes comes from: release sources, OCI images and bundle files.
//!
//! A [`Source`] is the official sites, a mirror of them or a directory laid out like one.
//! A [`SourceSet`] is what a source holds for some Kubernetes versions; [`create`] writes
//! such a set into one file, which [`Bundle`] opens again. Both are a [`BlobStore`], so an
//! installation does not know where its blobs come from.

mod archive_members;
mod blob_store;
mod bundle;
mod bundle_index;
mod bundle_writer;
mod checksum_file;
mod contents;
mod create;
mod depot;
mod download;
mod download_cache;
mod elf;
mod error;
mod fetch_options;
mod fetcher;
#[cfg(test)]
#[path = "../tests/downloads/http_server.rs"]
mod http_server;
mod image_manifest;
mod image_resolver;
mod inspection;
mod local_blobs;
mod no_blobs;
mod owner;
mod part_file;
mod registry;
mod shown_url;
mod source;
mod source_set;
mod tar_layout;
mod transfer;
mod verified_reader;

pub use blob_store::{BlobReader, BlobStore};
pub use bundle::Bundle;
pub use contents::require_release;
pub use create::create;
pub use download::{Download, DownloadKind, downloads};
pub use download_cache::default_download_cache;
pub use error::BundleError;
pub use fetch_options::{FetchOptions, NameResolver};
pub use inspection::{Inspection, InspectionRow, RowKind};
pub use local_blobs::LocalBlobs;
pub use no_blobs::NoBlobs;
pub use owner::owner_of;
pub use source::Source;
pub use source_set::{SourceRequest, SourceSet};
pub use transfer::{Transfer, TransferSink};
