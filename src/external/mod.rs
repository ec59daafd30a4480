//! Programs and addresses of an operator, which hooks and gates call: bounded in time, and whatever they say is short.
//!
//! It knows neither runs nor tenants, and decides nothing.

pub(crate) mod http;
pub(crate) mod program;
