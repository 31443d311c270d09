//! Downloads and bundles.

use slipway_bundle::{Inspection, RowKind, Transfer};

use super::table;
use crate::args::Output;

/// Returns a download's progress in one line.
pub(crate) fn transfer_line(transfer: &Transfer) -> String {
    match transfer.total {
        Some(total) => format!(
            "{} {} of {}",
            transfer.name,
            size(transfer.done),
            size(total)
        ),
        None => format!("{} {}", transfer.name, size(transfer.done)),
    }
}

/// Prints what is in a bundle on stdout.
pub(crate) fn inspection(inspection: &Inspection, output: Output) {
    if output == Output::Json {
        return super::json(inspection);
    }
    let mut rows = vec![
        ["KIND", "NAME", "VERSION", "ARCH", "SIZE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in &inspection.rows {
        let kind = match row.kind {
            RowKind::Executable => "executable",
            RowKind::Archive => "archive",
            RowKind::Image => "image",
        };
        rows.push(vec![
            kind.to_owned(),
            row.name.clone(),
            row.version.clone(),
            row.architecture.to_string(),
            size(row.size),
        ]);
    }
    out!("{}", table(&rows));
    let versions: Vec<String> = inspection
        .kubernetes_versions
        .iter()
        .map(ToString::to_string)
        .collect();
    outln!(
        "\nKubernetes {}: {} blobs, {}; {} shared between versions",
        versions.join(", "),
        inspection.blobs,
        size(inspection.total_size),
        size(inspection.shared_size)
    );
}

/// Returns a number of bytes as people read it.
fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} kB", bytes as f64 / 1e3)
    }
}
