//! How things are shown: `-o`, for every command that shows something.

mod custom_columns;
mod format;
mod go;
mod jsonpath;
mod show;
mod yaml;

pub(crate) use format::{FORMATS, Output, Whole};
pub(crate) use show::{OutputArgs, Shown};
pub(crate) use yaml::text as yaml_text;
