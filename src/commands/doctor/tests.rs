//! Judgements of `doctor` on plain inputs.
