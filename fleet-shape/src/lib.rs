//! The tables of a database and the values in them, as plain data: the types that `fleet` and `fleet-seed` share.
//!
//! It touches no database: reading a schema and writing a value are specific to each engine.

mod cell;
mod shape;

pub use cell::{Cell, Key};
pub use shape::{Column, Difference, EVENT_START, ForeignKey, Grant, Other, Shape, Table, Unique};
