//! Makes, inspects and verifies bundles until the command line does.
//!
//! `bundle create SOURCE OUT VERSION… [slipway=FILE] [image=REF]`, `bundle inspect FILE`,
//! `bundle verify FILE`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use slipway_api::Architecture;
use slipway_bundle::{
    BlobStore, Bundle, FetchOptions, Inspection, SourceRequest, TransferSink, create,
    default_download_cache,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    match words[..] {
        ["create", source, out, ref rest @ ..] if !rest.is_empty() => {
            let request = parse_request(source, rest)?;
            let manifest = create(request, Path::new(out), progress())
                .await
                .map_err(explain)?;
            print_table(&Inspection::of(&manifest));
        }
        ["inspect", path] => {
            let bundle = Bundle::open(Path::new(path)).map_err(explain)?;
            print_table(&Inspection::of(bundle.manifest()));
        }
        ["verify", path] => {
            let bundle = Bundle::open(Path::new(path)).map_err(explain)?;
            if let Err(errors) = bundle.verify(&progress()).await {
                for error in &errors {
                    println!("{error}");
                }
                return Err(format!("{} damaged blobs", errors.len()).into());
            }
            println!("all blobs are right");
        }
        _ => {
            return Err(
                "use: bundle create SOURCE OUT VERSION… | inspect FILE | verify FILE".into(),
            );
        }
    }
    println!("{:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

fn parse_request(source: &str, words: &[&str]) -> Result<SourceRequest, Box<dyn Error>> {
    let mut request = SourceRequest {
        versions: Vec::new(),
        architectures: vec![Architecture::Amd64],
        source: source.parse()?,
        images: Vec::new(),
        slipway: [].into(),
        cache: default_download_cache(),
        fetch: FetchOptions::default(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("slipway", path)) => {
                request.slipway.insert(Architecture::Amd64, path.into());
            }
            Some(("image", reference)) => request.images.push(reference.parse()?),
            _ => request.versions.push(word.parse()?),
        }
    }
    Ok(request)
}

fn progress() -> TransferSink {
    Arc::new(|transfer| {
        if Some(transfer.done) == transfer.total {
            eprintln!("{} {}", transfer.name, transfer.done);
        }
    })
}

fn print_table(inspection: &Inspection) {
    for row in &inspection.rows {
        let digest = row.sha256.short();
        println!(
            "{:50} {:16} {} {:>12} {digest}",
            row.name, row.version, row.architecture, row.size
        );
    }
    println!(
        "{} blobs, {} bytes, {} shared between versions",
        inspection.blobs, inspection.total_size, inspection.shared_size
    );
}

fn explain(error: slipway_bundle::BundleError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n  caused by: {cause}");
        source = cause.source();
    }
    match error.help_text() {
        Some(help) => format!("{text}\n  help: {help}"),
        None => text,
    }
}
