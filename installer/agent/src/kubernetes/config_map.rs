//! ConfigMaps as plain maps.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::{ApiClient, FIELD_MANAGER, KubernetesError};

impl ApiClient {
    /// Makes a ConfigMap hold `data` and returns whether that changed it.
    /// Keys that others put there stay.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn put_config_map(
        &self,
        namespace: &str,
        name: &str,
        data: &BTreeMap<String, String>,
    ) -> Result<bool, KubernetesError> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": namespace },
            "data": data,
        });
        // JSON is YAML.
        let applied = self
            .apply_objects(&object.to_string(), FIELD_MANAGER, true)
            .await?;
        Ok(applied.iter().any(|object| object.changed))
    }

    /// Returns a ConfigMap's data, if it exists.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn get_config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, KubernetesError> {
        let api = self.namespaced::<ConfigMap>(namespace);
        let doing = format!("read ConfigMap {namespace}/{name}");
        let found = self.call(&doing, api.get_opt(name)).await?;
        Ok(found.map(|config_map| config_map.data.unwrap_or_default()))
    }

    /// Writes one key of a ConfigMap that is there; all others stay, whoever wrote them.
    ///
    /// # Errors
    /// It is not there, or the API server does not answer or refuses.
    pub async fn patch_config_map(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
        text: &str,
    ) -> Result<(), KubernetesError> {
        let api = self.namespaced::<ConfigMap>(namespace);
        let doing = format!("write ConfigMap {namespace}/{name}");
        let patch = Patch::Merge(json!({ "data": { key: text } }));
        let parameters = PatchParams::apply(FIELD_MANAGER);
        let patched = self.call(&doing, api.patch(name, &parameters, &patch));
        patched.await.map(drop)
    }

    /// Deletes a ConfigMap and returns whether there was one.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn delete_config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<bool, KubernetesError> {
        let api = self.namespaced::<ConfigMap>(namespace);
        let doing = format!("delete ConfigMap {namespace}/{name}");
        match self
            .call(&doing, api.delete(name, &DeleteParams::default()))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
