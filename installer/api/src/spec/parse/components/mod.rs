//! Kubernetes' own component configurations: which fields they have.

mod check;
mod field_table;

pub(super) use check::check_component;
pub(super) use field_table::{KUBE_PROXY, KUBELET};
