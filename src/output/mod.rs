//! How things are shown: `-o`, for every command that shows something.

mod custom_columns;
mod format;
mod go;
mod jsonpath;
mod show;

pub(crate) use format::{FORMATS, Output, Whole};
pub(crate) use show::{OutputArgs, Shown};
