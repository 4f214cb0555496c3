//! The stores: what each of them has to do, and what is particular to one.

mod dbm;
