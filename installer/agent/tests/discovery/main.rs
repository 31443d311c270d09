//! Finding a cluster by a bootstrap token, with every way in which whoever
//! answers can be the wrong one.

#[cfg(test)]
mod api_stub;
#[cfg(test)]
mod stories;
