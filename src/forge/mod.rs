//! What does the forge say, and what is it told?
//!
//! `client` speaks HTTP and keeps within the forge's limits, and `identity` says as whom; `graph` is
//! the part of GitHub's GraphQL schema that we read, and `answers` what the rest means; `look`
//! answers questions, `moves` those about pushes, `queue` those about merge queues; `act` carries out calls; `setup` is what `chandlery doctor` looks at and mends. Whoever can only look holds a [`client::Reader`], and
//! there is no way from it to a [`client::Writer`].

pub mod client;
pub mod identity;
mod reply;
pub mod pace;
mod kept;
mod answers;
mod graph;
pub mod look;
pub mod moves;
pub mod act;
mod commit;
mod mergeable;
mod queue;
mod workflow;
pub mod setup;
