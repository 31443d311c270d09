//! The mark by which kubeadm knows a component configuration that nobody edited.

use sha2::{Digest, Sha256};

/// Returns the value of `kubeadm.kubernetes.io/component-config.hash` for a ConfigMap
/// with these values, given in the order of their keys.
///
/// kubeadm writes new defaults over a ConfigMap only if its mark is there and right.
/// Source: `componentconfigs/checksums.go` of kubeadm.
pub(crate) fn component_config_hash(values: &[&str]) -> String {
    let mut hash = Sha256::new();
    for value in values {
        hash.update(value.as_bytes());
    }
    let digest: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_the_values_one_after_the_other() {
        // `printf abc | sha256sum`
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(component_config_hash(&["a", "bc"]), abc);
    }
}
