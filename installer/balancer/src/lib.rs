//! One address for all API servers, on each worker: the node-local balancer.
//!
//! Without a load balancer in front of the control plane, the kubelet and
//! kube-proxy of a worker speak to `https://127.0.0.1:6443`. Connections are
//! passed on as they are, still encrypted end to end, to an API server that
//! says it is ready; the balancer sees no request and holds no key but the
//! kubelet's, with which it asks who the API servers are.

mod api_servers;
mod backends;
mod error;
mod forward;
mod members;
mod options;
mod serve;
mod state_file;

pub use error::BalancerError;
pub use options::BalancerOptions;
pub use serve::serve;
