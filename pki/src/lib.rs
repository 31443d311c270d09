//! Certificates, keys and kubeconfigs as kubeadm makes them.
