//! The file of the cluster that this host belongs to, as it was last applied.

use std::path::Path;

use slipway_api::paths;
use slipway_api::protocol::{Attachment, Reply};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::kubernetes::KUBE_SYSTEM;
use crate::server::under;
use crate::steps::{client, failed};
use crate::{AgentError, files};

/// The ConfigMap that holds the file.
const CONFIG_MAP: &str = "slipway-cluster";
/// The key in it.
const KEY: &str = "cluster.yaml";

/// Returns the cluster file: the cluster's own copy, or this host's where the
/// API server does not answer; none where Slipway did not make the cluster.
///
/// # Errors
/// This host is no control-plane node, or there is neither an API server nor a copy.
pub(crate) async fn read_stored_cluster(root: &Path) -> Result<Reply, AgentError> {
    if !under(root, paths::ADMIN_CONF).exists() {
        return Err(AgentError::BadRequest(
            "this host is no control-plane node".to_owned(),
        ));
    }
    let copy = files::read_text(&under(root, paths::CLUSTER_FILE))?;
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    let client = client(&context, paths::ADMIN_CONF).await?;
    let is_kept_here = copy.is_some();
    let text = match client.get_config_map(KUBE_SYSTEM, CONFIG_MAP).await {
        Ok(Some(mut data)) => data.remove(KEY).or(copy),
        Ok(None) => copy,
        Err(_) if is_kept_here => copy,
        Err(error) => return Err(failed("read the cluster's file".to_owned())(error)),
    };
    Ok(Reply::StoredCluster { text, is_kept_here })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = under(root, path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A kubeconfig for a port on which nobody listens.
    const NOBODY: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [ { name: a, cluster: { server: 'https://127.0.0.1:1' } } ]\n\
        contexts: [ { name: a, context: { cluster: a, user: a } } ]\n\
        users: [ { name: a, user: {} } ]\n";

    #[tokio::test]
    async fn a_worker_has_no_cluster_file() {
        let root = tempfile::tempdir().unwrap();
        let error = read_stored_cluster(root.path()).await.unwrap_err();
        assert_eq!(error.to_string(), "this host is no control-plane node");
    }

    #[tokio::test]
    async fn the_host_s_own_copy_serves_while_the_api_server_is_down() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), paths::ADMIN_CONF, NOBODY);
        assert!(read_stored_cluster(root.path()).await.is_err());
        put(root.path(), paths::CLUSTER_FILE, "kind: Cluster\n");
        let found = Reply::StoredCluster {
            text: Some("kind: Cluster\n".to_owned()),
            is_kept_here: true,
        };
        assert!(read_stored_cluster(root.path()).await.unwrap() == found);
    }
}
