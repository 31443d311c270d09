//! The fields of `kubeadm.k8s.io/v1beta4` (`cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go`).

use crate::spec::parse::schema::Schema;

pub(super) static CLUSTER_CONFIGURATION: Schema = Schema {
    place: "ClusterConfiguration",
    fields: &[
        "apiVersion",
        "kind",
        "kubernetesVersion",
        "controlPlaneEndpoint",
        "networking",
        "etcd",
        "apiServer",
        "controllerManager",
        "scheduler",
        "dns",
        "proxy",
        "certificatesDir",
        "imageRepository",
        "featureGates",
        "clusterName",
        "encryptionAlgorithm",
        "certificateValidityPeriod",
        "caCertificateValidityPeriod",
    ],
    synonyms: &[("apiserver", "apiServer")],
};

pub(super) static NETWORKING: Schema = Schema {
    place: "ClusterConfiguration.networking",
    fields: &["serviceSubnet", "podSubnet", "dnsDomain"],
    synonyms: &[],
};

pub(super) static API_SERVER: Schema = Schema {
    place: "ClusterConfiguration.apiServer",
    fields: &["extraArgs", "extraVolumes", "extraEnvs", "certSANs"],
    synonyms: &[("certSans", "certSANs")],
};

pub(super) static CONTROLLER_MANAGER: Schema = Schema {
    place: "ClusterConfiguration.controllerManager",
    fields: &["extraArgs", "extraVolumes", "extraEnvs"],
    synonyms: &[],
};

pub(super) static SCHEDULER: Schema = Schema {
    place: "ClusterConfiguration.scheduler",
    fields: &["extraArgs", "extraVolumes", "extraEnvs"],
    synonyms: &[],
};

pub(super) static ARGUMENT: Schema = Schema {
    place: "extraArgs[]",
    fields: &["name", "value"],
    synonyms: &[("key", "name")],
};

pub(super) static VOLUME: Schema = Schema {
    place: "extraVolumes[]",
    fields: &["name", "hostPath", "mountPath", "readOnly", "pathType"],
    synonyms: &[("writable", "readOnly"), ("type", "pathType")],
};

pub(super) static ENVIRONMENT: Schema = Schema {
    place: "extraEnvs[]",
    fields: &["name", "value", "valueFrom"],
    synonyms: &[],
};

pub(super) static ETCD: Schema = Schema {
    place: "ClusterConfiguration.etcd",
    fields: &["local", "external"],
    synonyms: &[],
};

pub(super) static LOCAL_ETCD: Schema = Schema {
    place: "ClusterConfiguration.etcd.local",
    fields: &[
        "imageRepository",
        "imageTag",
        "dataDir",
        "extraArgs",
        "extraEnvs",
        "serverCertSANs",
        "peerCertSANs",
    ],
    synonyms: &[],
};

pub(super) static EXTERNAL_ETCD: Schema = Schema {
    place: "ClusterConfiguration.etcd.external",
    fields: &[
        "endpoints",
        "httpEndpoints",
        "caFile",
        "certFile",
        "keyFile",
    ],
    synonyms: &[],
};

pub(super) static DNS: Schema = Schema {
    place: "ClusterConfiguration.dns",
    fields: &["imageRepository", "imageTag", "disabled"],
    synonyms: &[],
};

pub(super) static PROXY: Schema = Schema {
    place: "ClusterConfiguration.proxy",
    fields: &["disabled"],
    synonyms: &[],
};
