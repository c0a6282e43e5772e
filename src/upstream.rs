//! The services behind the gateway: peers, pooled connections, deadlines, credentials.
//!
//! Only a permit's request is ever sent here. An empty server name would turn certificate verification off in the TLS
//! stack, so a peer without one can't be built.
