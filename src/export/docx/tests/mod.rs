//! Tests of the converter: golden files, generated documents, broken block lists.

mod broken;
mod build;
mod expected;
mod generate;
mod golden;
mod hostile;
mod measure;
mod parsed;
mod properties;

/// Whether the long runs are asked for.
fn long_run() -> bool {
    std::env::var_os("FEISHU_MIRROR_LONG").is_some_and(|value| value == "1")
}
