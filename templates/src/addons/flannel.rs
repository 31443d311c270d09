//! flannel, a Pod network over VXLAN.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::address::is_ipv6;
use crate::component_config_hash::component_config_hash;
use crate::{TemplateError, engine};

/// The UDP port of VXLAN that flannel and the Linux kernel use.
pub const DEFAULT_VXLAN_PORT: u16 = 8472;

/// flannel 0.28: Namespace, rights, ConfigMap and DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flannel {
    /// The image of `flanneld`.
    pub image: String,
    /// The image that carries the CNI plugin.
    pub cni_plugin_image: String,
    /// One CIDR, or an IPv4 and an IPv6 one separated by a comma.
    pub pod_subnet: String,
    /// The UDP port between nodes, usually [`DEFAULT_VXLAN_PORT`].
    pub vxlan_port: u16,
    /// The MTU of the path between nodes; flannel finds that of the interface itself.
    pub mtu: Option<u32>,
}

impl Flannel {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let net_conf = format!("{:#}\n", self.net_conf());
        let context = json!({
            "image": self.image,
            "cni_plugin_image": self.cni_plugin_image,
            "config_hash": component_config_hash(&[&net_conf]),
            "net_conf": net_conf,
        });
        engine::render("addons/flannel.yaml", &context)
    }

    /// Field names: `pkg/subnet/config.go` and `pkg/backend/vxlan` of flannel.
    fn net_conf(&self) -> Value {
        let subnets = || self.pod_subnet.split(',').map(str::trim);
        let ipv4 = subnets().find(|subnet| !is_ipv6(subnet));
        let ipv6 = subnets().find(|subnet| is_ipv6(subnet));

        let mut conf = Map::new();
        match ipv4 {
            Some(subnet) => conf.insert("Network".into(), Value::from(subnet)),
            None => conf.insert("EnableIPv4".into(), Value::from(false)),
        };
        if let Some(subnet) = ipv6 {
            conf.insert("EnableIPv6".into(), Value::from(true));
            conf.insert("IPv6Network".into(), Value::from(subnet));
        }
        conf.insert("EnableNFTables".into(), Value::from(false));
        let mut backend = json!({ "Type": "vxlan", "Port": self.vxlan_port });
        if let Some(mtu) = self.mtu {
            backend["MTU"] = Value::from(mtu);
        }
        conf.insert("Backend".into(), backend);
        Value::Object(conf)
    }
}
