//! The tables of a database and the values in them, as plain data: the words that `fleet` and `fleet-seed` share.
//!
//! It touches no database: how a schema is read, and how a value is written, is the engines' business.

mod cell;
mod shape;

pub use cell::{Cell, Key};
pub use shape::{Column, ForeignKey, Other, Shape, Table, Unique};
