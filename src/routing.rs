//! Routing: the one path through the eight layers (IRM).

pub mod evidence;
pub mod layers;
pub mod table;
