//! Which fields the cluster file has where, for telling what an unknown one was meant to be.

/// One mapping of the cluster file.
#[derive(Debug)]
pub(super) struct Schema {
    /// Its place, for people: `spec.hosts[]`.
    pub place: &'static str,
    /// Its fields.
    pub fields: &'static [&'static str],
    /// What people call fields in other tools, and the field here.
    pub synonyms: &'static [(&'static str, &'static str)],
}

pub(super) static FILE: Schema = Schema {
    place: "",
    fields: &["apiVersion", "kind", "metadata", "spec"],
    synonyms: &[],
};

pub(super) static METADATA: Schema = Schema {
    place: "metadata",
    fields: &["name"],
    synonyms: &[("clusterName", "name")],
};

pub(super) static SPEC: Schema = Schema {
    place: "spec",
    fields: &[
        "kubernetesVersion",
        "controlPlaneEndpoint",
        "networking",
        "ssh",
        "hosts",
        "runtime",
        "addons",
        "etcdSnapshots",
        "patches",
        "bundle",
        "timeouts",
        "ignorePreflightErrors",
    ],
    synonyms: &[
        ("version", "kubernetesVersion"),
        ("k8sVersion", "kubernetesVersion"),
        ("endpoint", "controlPlaneEndpoint"),
        ("network", "networking"),
        ("nodes", "hosts"),
        ("machines", "hosts"),
        ("containerRuntime", "runtime"),
        ("etcdBackups", "etcdSnapshots"),
        ("etcdBackup", "etcdSnapshots"),
    ],
};

pub(super) static NETWORKING: Schema = Schema {
    place: "spec.networking",
    fields: &["podSubnet", "serviceSubnet", "dnsDomain", "cni"],
    synonyms: &[
        ("podCIDR", "podSubnet"),
        ("podNetworkCidr", "podSubnet"),
        ("clusterCIDR", "podSubnet"),
        ("serviceCIDR", "serviceSubnet"),
        ("clusterDomain", "dnsDomain"),
        ("plugin", "cni"),
    ],
};

pub(super) static CNI: Schema = Schema {
    place: "spec.networking.cni",
    fields: &["manifests"],
    synonyms: &[("files", "manifests")],
};

pub(super) static SSH: Schema = Schema {
    place: "spec.ssh",
    fields: &[
        "user",
        "port",
        "identityFile",
        "knownHostsFile",
        "proxyJump",
        "sudo",
        "passwordFile",
    ],
    synonyms: CONNECTION_SYNONYMS,
};

pub(super) static HOST: Schema = Schema {
    place: "spec.hosts[]",
    fields: &[
        "name",
        "address",
        "internalAddress",
        "port",
        "user",
        "identityFile",
        "proxyJump",
        "sudo",
        "passwordFile",
        "role",
        "labels",
        "taints",
        "kubeletExtraArgs",
        "hostnameOverride",
        "arch",
        "files",
    ],
    synonyms: CONNECTION_SYNONYMS,
};

pub(super) static TAINT: Schema = Schema {
    place: "spec.hosts[].taints[]",
    fields: &["key", "value", "effect"],
    synonyms: &[("name", "key")],
};

pub(super) static ARGUMENT: Schema = Schema {
    place: "spec.hosts[].kubeletExtraArgs[]",
    fields: &["name", "value"],
    synonyms: &[("key", "name")],
};

pub(super) static RUNTIME: Schema = Schema {
    place: "spec.runtime",
    fields: &["socket", "adopt", "registryMirrors", "extraConfig"],
    synonyms: &[("criSocket", "socket"), ("mirrors", "registryMirrors")],
};

pub(super) static PATCHES: Schema = Schema {
    place: "spec.patches",
    fields: &["directory"],
    synonyms: &[("folder", "directory"), ("path", "directory")],
};

pub(super) static FILE_OF_HOST: Schema = Schema {
    place: "spec.hosts[].files[]",
    fields: &["src", "dest", "mode"],
    synonyms: &[
        ("source", "src"),
        ("from", "src"),
        ("path", "dest"),
        ("destination", "dest"),
        ("permissions", "mode"),
    ],
};

pub(super) static TIMEOUTS: Schema = Schema {
    place: "spec.timeouts",
    fields: &["controlPlaneComponentHealthCheck", "kubeletHealthCheck"],
    synonyms: &[("timeoutForControlPlane", "controlPlaneComponentHealthCheck")],
};

pub(super) static ADDONS: Schema = Schema {
    place: "spec.addons",
    fields: &["metricsServer"],
    synonyms: &[("metrics", "metricsServer")],
};

pub(super) static ETCD_SNAPSHOTS: Schema = Schema {
    place: "spec.etcdSnapshots",
    fields: &["schedule", "keep", "dir"],
    synonyms: &[
        ("cron", "schedule"),
        ("onCalendar", "schedule"),
        ("retention", "keep"),
        ("folder", "dir"),
        ("directory", "dir"),
        ("path", "dir"),
    ],
};

static ALL: [&Schema; 10] = [
    &METADATA,
    &SPEC,
    &NETWORKING,
    &SSH,
    &HOST,
    &RUNTIME,
    &ADDONS,
    &CNI,
    &TIMEOUTS,
    &ETCD_SNAPSHOTS,
];

/// Fields of kubeadm's older versions: mapping, field and what to do instead.
const GONE: [(&str, &str, &str); 2] = [
    (
        "ClusterConfiguration.apiServer",
        "timeoutForControlPlane",
        "v1beta4 has no such field: write `spec.timeouts: { controlPlaneComponentHealthCheck: 4m0s }` in the `Cluster` document",
    ),
    (
        "ClusterConfiguration.dns",
        "type",
        "remove it: CoreDNS is the only type",
    ),
];

const CONNECTION_SYNONYMS: &[(&str, &str)] = &[
    ("password", "passwordFile"),
    ("sudoPassword", "passwordFile"),
    ("sshPassword", "passwordFile"),
    ("becomePassword", "passwordFile"),
    ("username", "user"),
    ("login", "user"),
    ("keyPath", "identityFile"),
    ("privateKey", "identityFile"),
    ("sshKey", "identityFile"),
    ("sshKeyPath", "identityFile"),
    ("bastion", "proxyJump"),
    ("become", "sudo"),
    ("sshPort", "port"),
    ("ip", "address"),
    ("host", "address"),
    ("sshAddress", "address"),
    ("privateAddress", "internalAddress"),
    ("internalIP", "internalAddress"),
    ("nodeIP", "internalAddress"),
    ("hostname", "name"),
    ("roles", "role"),
    ("nodeLabels", "labels"),
    ("nodeTaints", "taints"),
    ("extraArgs", "kubeletExtraArgs"),
    ("architecture", "arch"),
];

/// What an unknown field was probably meant to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A field of the same mapping.
    Field(&'static str),
    /// A field of another mapping, by that mapping's place.
    Elsewhere(&'static str),
    /// A field of another version of the document, with what takes its place.
    Gone(&'static str),
    /// Nothing known.
    Unknown,
}

impl Schema {
    /// Returns what the unknown field `name` was probably meant to be.
    pub fn meant_by(&self, name: &str) -> Meant {
        let synonym = self
            .synonyms
            .iter()
            .filter(|(_, field)| self.fields.contains(field))
            .find(|(synonym, _)| same_word(synonym, name));
        if let Some((_, field)) = synonym {
            return Meant::Field(field);
        }
        let gone = GONE
            .iter()
            .find(|(place, gone, _)| (*place, *gone) == (self.place, name));
        if let Some((.., help)) = gone {
            return Meant::Gone(help);
        }
        if let Some(schema) = ALL.iter().find(|schema| schema.fields.contains(&name)) {
            return Meant::Elsewhere(schema.place);
        }
        match closest(name, self.fields.iter().copied()) {
            Some(field) => Meant::Field(field),
            None => Meant::Unknown,
        }
    }

    /// Returns the fields' names for a sentence.
    pub fn field_list(&self) -> String {
        list(self.fields)
    }
}

/// Returns the words, each in backticks, with commas between them.
pub(super) fn list(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// Returns the word that is at most a third of its letters away from `typed`,
/// upper and lower case, `-` and `_` aside.
pub(super) fn closest<'a>(
    typed: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Nothing so long is a typing error, and the distance costs the product of the lengths.
    if typed.len() > 40 {
        return None;
    }
    let typed = letters(typed);
    words
        .into_iter()
        .map(|word| (strsim::osa_distance(&typed, &letters(word)), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn same_word(one: &str, other: &str) -> bool {
    letters(one) == letters(other)
}

fn letters(word: &str) -> String {
    let kept = word.chars().filter(|c| !"-_ ".contains(*c));
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_the_field_that_was_meant() {
        for (typed, meant) in [
            ("adress", "address"),
            ("identity_file", "identityFile"),
            ("Role", "role"),
            ("kubeletExtraArg", "kubeletExtraArgs"),
            ("ip", "address"),
            ("password", "passwordFile"),
        ] {
            assert_eq!(HOST.meant_by(typed), Meant::Field(meant), "{typed}");
        }
    }

    #[test]
    fn fields_in_the_wrong_place_are_recognised() {
        let meant = SPEC.meant_by("podSubnet");
        assert_eq!(meant, Meant::Elsewhere("spec.networking"));
        assert_eq!(SPEC.meant_by("colour"), Meant::Unknown);
    }
}
