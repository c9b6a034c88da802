//! From source to an image in the local store: what a project is, how its components are compiled, and
//! the one place that decides how a Rust guest is built.
//!
//! It runs compilers and writes images. It starts nothing and asks no server, so it works while one runs.

mod cargo;
mod command;
mod compile;
mod dep_info;
mod inputs;
mod place;
mod profile;
mod project;
mod rustflags;
mod status;
mod toolchain;
mod workspace;

pub(crate) use compile::{Built, CompileError, Compiler, Messages, check_imports, read_component};
pub(crate) use inputs::{Inputs, around};
pub(crate) use profile::Profile;
pub(crate) use project::{Component, PROJECT_FILE, Project, Recipe, label};
pub(crate) use status::Crates;
