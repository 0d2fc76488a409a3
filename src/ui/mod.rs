//! Bars, tables, JSON Lines; the only place that prints.
