//! The Secret from which kubeadm takes the authorities for a control-plane node that joins.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use kube::api::PostParams;

use super::bootstrap_token::NAME_PREFIX;
use super::{ApiClient, BootstrapToken, FIELD_MANAGER, KUBE_SYSTEM, KubernetesError};

/// The Secret's name. Source: kubeadm's `KubeadmCertsSecret`.
const NAME: &str = "kubeadm-certs";

/// Who may read it: machines that join, by their bootstrap token. Source: kubeadm's `createRBAC`.
const ACCESS: &str = include_str!("certificate_secret_access.yaml");

impl ApiClient {
    /// Stores encrypted `files` for kubeadm, in place of what was stored before.
    ///
    /// The Secret belongs to `owner`'s, and the cluster's garbage collector removes it when that
    /// token has expired.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn put_certificate_secret(
        &self,
        owner: &BootstrapToken,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<(), KubernetesError> {
        self.create_token(owner).await?;
        let api = self.namespaced::<Secret>(KUBE_SYSTEM);
        let doing = format!("read bootstrap token {}", owner.id);
        let name = format!("{NAME_PREFIX}{}", owner.id);
        let found = self.call(&doing, api.get(&name)).await?;
        let mut wanted = secret(&found, files);
        let parameters = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let doing = format!("write Secret {KUBE_SYSTEM}/{NAME}");
        match self.call(&doing, api.create(&parameters, &wanted)).await {
            Err(error) if error.is_conflict() => {
                // Replaced, not applied: a second owner would be added to the one that expires.
                let before = self.call(&doing, api.get(NAME)).await?;
                wanted.metadata.resource_version = before.metadata.resource_version;
                let replaced = api.replace(NAME, &parameters, &wanted);
                self.call(&doing, replaced).await?;
            }
            created => {
                created?;
            }
        }
        self.apply_objects(ACCESS, FIELD_MANAGER, true).await?;
        Ok(())
    }
}

fn secret(owner: &Secret, files: BTreeMap<String, Vec<u8>>) -> Secret {
    let data = files
        .into_iter()
        .map(|(name, bytes)| (name, ByteString(bytes)));
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(KUBE_SYSTEM.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                name: owner.name_any(),
                uid: owner.uid().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::manifest_object::ManifestObject;

    #[test]
    fn the_secret_goes_with_the_token_that_owns_it() {
        let owner = Secret {
            metadata: ObjectMeta {
                name: Some("bootstrap-token-abcdef".to_owned()),
                uid: Some("42".to_owned()),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        };
        let made = secret(&owner, [("ca.key".to_owned(), vec![1])].into());
        let value = serde_json::to_value(&made).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "Opaque",
                "metadata": {
                    "name": "kubeadm-certs",
                    "namespace": "kube-system",
                    "ownerReferences": [{
                        "apiVersion": "v1",
                        "kind": "Secret",
                        "name": "bootstrap-token-abcdef",
                        "uid": "42",
                        "controller": true,
                        "blockOwnerDeletion": true,
                    }],
                },
                "data": { "ca.key": "AQ==" },
            })
        );
    }

    #[test]
    fn only_machines_that_join_may_read_that_secret_alone() {
        let objects = ManifestObject::parse_all(ACCESS).unwrap();
        let names: Vec<_> = objects.iter().map(|it| (&*it.kind, &*it.name)).collect();
        let name = "kubeadm:kubeadm-certs";
        assert_eq!(names, [("Role", name), ("RoleBinding", name)]);
    }
}
