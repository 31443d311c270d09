//! The agent's clients against the real programs: run with the feature `real`
//! and `SLIPWAY_TEST_BIN` naming a folder with those programs and `images`.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod containerd_story;
#[cfg(test)]
mod control_plane;
#[cfg(test)]
mod cri_story;
#[cfg(test)]
mod discovery_story;
#[cfg(test)]
mod etcd_story;
#[cfg(test)]
mod etcd_upkeep_story;
#[cfg(test)]
mod external_etcd;
#[cfg(test)]
mod kubernetes_story;
#[cfg(test)]
mod oci_layout;
#[cfg(test)]
mod packet_filter;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod runtime;
#[cfg(test)]
mod static_pod_story;
