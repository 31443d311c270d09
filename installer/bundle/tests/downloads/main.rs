//! Downloads from a server that cuts, hangs, lies and redirects.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod http_server;
#[cfg(test)]
#[path = "../support/mirror.rs"]
mod mirror;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod trust;
