//! Stories of the pure plan.
