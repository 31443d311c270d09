//! `bundle`: one file with everything an air-gapped install needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use slipway_api::Architecture;
use slipway_bundle::{
    BlobStore, Bundle, Inspection, Source, SourceRequest, create, default_download_cache,
};

use crate::args::{BundleCommand, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{bundle_error, fetch_options, transfer_sink};
use crate::show;

pub(crate) async fn run(command: BundleCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        BundleCommand::Create {
            kubernetes_version,
            source,
            arch,
            image,
            ca_file,
            out_file,
        } => {
            let started = Instant::now();
            let request = SourceRequest {
                versions: kubernetes_version,
                slipway: own_executable(&arch),
                architectures: arch,
                source: source.parse::<Source>().map_err(bundle_error)?,
                images: image,
                standard_images: true,
                cache: default_download_cache(),
                fetch: fetch_options(ca_file),
            };
            let manifest = create(request, &out_file, transfer_sink())
                .await
                .map_err(bundle_error)?;
            show::inspection(&Inspection::of(&manifest), output);
            noteln!(
                "\nwrote {} in {:.1} s",
                out_file.display(),
                started.elapsed().as_secs_f32()
            );
        }
        BundleCommand::Inspect { file } => {
            let bundle = Bundle::open(&file).map_err(bundle_error)?;
            show::inspection(&Inspection::of(bundle.manifest()), output);
        }
        BundleCommand::Verify { file } => {
            let bundle = Bundle::open(&file).map_err(bundle_error)?;
            if let Err(errors) = bundle.verify(&transfer_sink()).await {
                let mut errors = errors.into_iter().map(bundle_error);
                let Some(mut first) = errors.next() else {
                    return Ok(ExitCode::Done);
                };
                first
                    .failure
                    .causes
                    .extend(errors.map(|error| error.failure.to_string()));
                return Err(first);
            }
            let blobs = bundle.manifest().blobs().len();
            match output {
                Output::Text => outln!(
                    "{}: {blobs} blobs, all as the manifest says",
                    file.display()
                ),
                Output::Json => {
                    show::json_line(&serde_json::json!({ "valid": true, "blobs": blobs }))
                }
            }
        }
    }
    Ok(ExitCode::Done)
}

/// Returns this executable, where it is of an architecture that is asked for.
fn own_executable(wanted: &[Architecture]) -> BTreeMap<Architecture, PathBuf> {
    let own = std::env::consts::ARCH.parse::<Architecture>().ok();
    let own = own.filter(|architecture| wanted.contains(architecture));
    own.zip(std::env::current_exe().ok()).into_iter().collect()
}
