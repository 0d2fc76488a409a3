//! One test binary: `support/`, then a file per story.

mod sdk;
