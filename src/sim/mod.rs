//! The simulated tenant: state, HTTP face, faults, clock; for `demo` and tests.
