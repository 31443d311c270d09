//! One way to the same service beside several hosts: through whichever of them serves.

mod forward_change;
mod forwarding;
mod keeper;
mod routes;

pub use forward_change::ForwardChange;
pub use forwarding::{Forward, ForwardProbe};
