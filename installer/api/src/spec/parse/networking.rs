//! `spec.networking`: subnets, DNS domain and network addon.

use std::collections::HashSet;
use std::path::PathBuf;

use ipnet::IpNet;

use super::manifests::read_manifests;
use super::names::is_subdomain;
use super::problems::{Located, Problems, excerpt};
use super::schema::{CNI, NETWORKING, closest};
use super::subnets::{Subnet, read_subnet};
use super::tree::Content;
use super::value::Value;
use crate::spec::{Cni, LocalFiles, Networking, defaults};

/// The networking section; what could not be read is absent.
pub(super) struct NetworkingDraft {
    /// The pods' subnet.
    pub pods: Option<Subnet>,
    /// The Services' subnet.
    pub services: Option<Subnet>,
    /// The cluster's DNS domain.
    pub dns_domain: Option<String>,
    cni: Option<Cni>,
}

impl NetworkingDraft {
    /// Reads the section; without one everything is the default.
    pub fn read(
        section: Option<&Value<'_>>,
        files: Option<&dyn LocalFiles>,
        problems: &mut Problems,
    ) -> Self {
        let mut draft = Self {
            pods: Some(default_subnet("podSubnet", defaults::POD_SUBNET)),
            services: Some(default_subnet("serviceSubnet", defaults::SERVICE_SUBNET)),
            dns_domain: Some(defaults::DNS_DOMAIN.to_owned()),
            cni: Some(Cni::Flannel),
        };
        let Some(fields) = section.and_then(|section| section.fields(&NETWORKING, problems)) else {
            return draft;
        };
        if let Some(value) = fields.optional("podSubnet") {
            draft.pods = read_subnet("podSubnet", &value, problems);
        }
        if let Some(value) = fields.optional("serviceSubnet") {
            draft.services = read_subnet("serviceSubnet", &value, problems);
        }
        if let Some(value) = fields.optional("dnsDomain") {
            draft.dns_domain = read_dns_domain(&value, problems);
        }
        let cni = fields.optional("cni");
        if let Some(value) = &cni {
            draft.cni = read_cni(value, files, problems);
        }
        if draft.cni == Some(Cni::Flannel)
            && let Some(pods) = &draft.pods
            && let (IpNet::V6(net), Some(place)) = (pods.net, &pods.place)
        {
            problems.report(
                place,
                format!("flannel with the IPv6 subnet {net} is not supported by this build yet"),
                "use an IPv4 subnet, or `cni: none` and a network addon of your own",
            );
        }
        draft
    }

    /// Returns the section if all of it could be read.
    pub fn finish(self) -> Option<Networking> {
        Some(Networking {
            pod_subnet: self.pods?.net,
            service_subnet: self.services?.net,
            dns_domain: self.dns_domain?,
            cni: self.cni?,
        })
    }
}

fn default_subnet(name: &'static str, net: IpNet) -> Subnet {
    let place = None;
    Subnet { name, net, place }
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
