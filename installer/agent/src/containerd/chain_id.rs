//! Chain IDs: the names of snapshots of unpacked layers.

use slipway_api::Sha256Digest;

/// Returns the chain ID of each layer, given the digests of the unpacked
/// layers, lowest first. Source: the OCI image specification, "Layer ChainID".
pub(super) fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            None => diff_id.clone(),
            Some(below) => format!("sha256:{}", Sha256Digest::of(format!("{below} {diff_id}"))),
        });
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chain_id_covers_everything_below() {
        let diff_ids = ["sha256:aa".to_owned(), "sha256:bb".to_owned()];
        let chain = chain_ids(&diff_ids);
        assert_eq!(chain[0], "sha256:aa");
        let second = Sha256Digest::of("sha256:aa sha256:bb");
        assert_eq!(chain[1], format!("sha256:{second}"));
    }
}
