//! Talks to agents: brings the executable to a host, starts it, asks it.

mod binaries;
mod channel;
mod control;
mod first_contact;
mod link;
mod privilege;
mod silence;

pub use binaries::{AgentBinaries, AgentBinary};
pub use channel::{AgentChannel, OpenChannel};
pub use first_contact::FIRST_CONTACT_SCRIPT;
pub(crate) use first_contact::InstalledAgent;
pub(crate) use link::AgentLink;
pub(crate) use silence::hanging;
