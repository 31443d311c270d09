//! The balancer with API servers that die, hang, move and come back: real
//! sockets and TLS, and only the API servers are made up.

#[cfg(test)]
mod fake_api_server;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod world;
