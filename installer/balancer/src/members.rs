//! The files with the API servers: those to begin with, and those learned of.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use slipway_api::BalancerSeeds;

use crate::BalancerError;
use crate::state_file::write_whole;

/// Returns the API servers that Slipway wrote down for this host.
///
/// # Errors
/// The file is missing, damaged or empty.
pub(crate) fn read_seeds(path: &Path) -> Result<Vec<SocketAddr>, BalancerError> {
    let text = std::fs::read(path).map_err(|source| BalancerError::ReadSeeds {
        path: path.to_owned(),
        source,
    })?;
    let seeds: BalancerSeeds =
        serde_json::from_slice(&text).map_err(|source| BalancerError::InvalidSeeds {
            path: path.to_owned(),
            source,
        })?;
    if seeds.endpoints.is_empty() {
        return Err(BalancerError::NoSeeds {
            path: path.to_owned(),
        });
    }
    Ok(seeds.endpoints)
}

/// Returns the API servers that were learned of earlier; none where that file
/// is missing or damaged, since the seeds do as well.
pub(crate) fn read_members(path: &Path) -> Vec<SocketAddr> {
    read_seeds(path).unwrap_or_default()
}

/// Keeps the API servers for the next start.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_members(path: &Path, members: &[SocketAddr]) -> io::Result<()> {
    let endpoints = members.to_vec();
    write_whole(path, &BalancerSeeds { endpoints }.to_json())
}
