//! Kubernetes on your own machines: plan, bootstrap, grow and remove clusters over SSH.

fn main() {}
