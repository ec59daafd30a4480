//! Findings about a fleet: pure judgements over data that others read.

pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod lint;
pub(crate) mod prove;
pub(crate) mod verify;
