//! `spec.networking`: subnets, DNS domain and network addon.

use std::collections::HashSet;
use std::path::PathBuf;

use super::fields::Fields;
use super::given::read_given;
use super::manifests::read_manifests;
use super::names::is_subdomain;
use super::problems::{Located, Problems, excerpt};
use super::schema::{CNI, NETWORKING, closest};
use super::subnets::{SubnetsDraft, read_subnets};
use super::tree::Content;
use super::value::Value;
use crate::spec::{Cni, LocalFiles, Networking, defaults};

/// The networking section; what could not be read is absent.
pub(super) struct NetworkingDraft {
    /// The pods' subnets.
    pub pods: Option<SubnetsDraft>,
    /// The Services' subnets.
    pub services: Option<SubnetsDraft>,
    /// The cluster's DNS domain.
    pub dns_domain: Option<String>,
    cni: Option<Cni>,
}

impl NetworkingDraft {
    /// Reads the section, and kubeadm's; what neither says is the default.
    pub fn read(
        section: Option<&Value<'_>>,
        kubeadm: Option<&Fields<'_>>,
        files: Option<&dyn LocalFiles>,
        problems: &mut Problems,
    ) -> Self {
        let section = section.and_then(|section| section.fields(&NETWORKING, problems));
        let section = section.as_ref();
        let pair = |name: &str| {
            let ours = section.and_then(|fields| fields.optional(name));
            let theirs = kubeadm.and_then(|fields| fields.optional(name));
            (ours, theirs)
        };
        let subnets = |name: &'static str, default, problems: &mut Problems| {
            let (ours, theirs) = pair(name);
            let our_name = format!("spec.networking.{name}");
            let found = read_given(ours, theirs, &our_name, read_subnets, problems);
            SubnetsDraft::new(name, found, default)
        };
        let pods = subnets("podSubnet", defaults::POD_SUBNET, problems);
        let services = subnets("serviceSubnet", defaults::SERVICE_SUBNET, problems);
        let (ours, theirs) = pair("dnsDomain");
        let our_name = "spec.networking.dnsDomain";
        let domain = read_given(ours, theirs, our_name, read_dns_domain, problems);
        let cni = section.and_then(|fields| fields.optional("cni"));
        Self {
            pods,
            services,
            dns_domain: domain.or(defaults::DNS_DOMAIN.to_owned()),
            cni: match cni {
                Some(value) => read_cni(&value, files, problems),
                None => Some(Cni::Flannel),
            },
        }
    }

    /// Returns the section if all of it could be read.
    pub fn finish(self) -> Option<Networking> {
        Some(Networking {
            pod_subnet: self.pods?.subnets,
            service_subnet: self.services?.subnets,
            dns_domain: self.dns_domain?,
            cni: self.cni?,
        })
    }
}

fn read_dns_domain(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.text(problems)?;
    if !is_subdomain(text) {
        problems.report(
            &value.place,
            format!("`{}` is not a DNS domain in lower case", excerpt(text)),
            "use lower-case letters, digits, `-` and `.`: `cluster.local`",
        );
        return None;
    }
    Some(text.to_owned())
}

fn read_cni(
    value: &Value<'_>,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Option<Cni> {
    const HELP: &str = "write `cni: flannel`, `cni: none`, or `cni: { manifests: [FILE] }`";
    match value.node.content() {
        Content::Mapping(_) => {
            let fields = value.fields(&CNI, problems)?;
            let manifests = fields.required("manifests", HELP, problems)?;
            let items = manifests.items(problems)?;
            if items.is_empty() {
                problems.report(&manifests.place, "`manifests` is empty", HELP);
                return None;
            }
            let paths = read_paths(&items, problems)?;
            let manifests = paths
                .into_iter()
                .map(|path| read_manifests(path, files, problems));
            Some(Cni::Manifests(manifests.collect()))
        }
        Content::Scalar(_) => match value.text(problems)? {
            "flannel" => Some(Cni::Flannel),
            "none" => Some(Cni::None),
            other => {
                let meant = closest(other, ["flannel", "none"]);
                let help = match meant {
                    Some(meant) => format!("write `cni: {meant}`"),
                    None => format!("{HELP} with the manifests of another network addon"),
                };
                let message = format!(
                    "`{}` is not a network addon Slipway installs",
                    excerpt(other)
                );
                problems.report(&value.place, message, help);
                None
            }
        },
        Content::Sequence(_) => {
            problems.report(&value.place, "`cni` is a list", HELP);
            None
        }
    }
}

/// Returns the paths if all of them are paths and none is given twice.
fn read_paths(items: &[Value<'_>], problems: &mut Problems) -> Option<Vec<Located<PathBuf>>> {
    let mut seen = HashSet::new();
    let mut paths = Vec::new();
    for item in items {
        let Some(path) = item.path(problems) else {
            continue;
        };
        if !seen.insert(path.clone()) {
            let message = format!("`{}` is given twice", excerpt(&path.display().to_string()));
            problems.report(&item.place, message, "remove one of them");
            continue;
        }
        paths.push(item.located(path));
    }
    (paths.len() == items.len()).then_some(paths)
}
