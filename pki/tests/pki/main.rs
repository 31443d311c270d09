//! The crate seen from outside: against kubeadm, against `openssl`, and by its words.

// Marked as tests for clippy, which otherwise takes their helpers for product code.
#[cfg(test)]
mod certificate_facts;
#[cfg(test)]
mod common;
#[cfg(test)]
mod kubeadm;
#[cfg(test)]
mod kubeconfig;
#[cfg(test)]
mod openssl;
#[cfg(test)]
#[cfg(feature = "oracle")]
mod oracle;
