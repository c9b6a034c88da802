//! Whole-system suites: they run the `sampan` program as a user does and look at it from outside,
//! through HTTP, `kubectl` and a browser.

mod bad_input;
mod browser;
mod dev;
mod elasticity;
mod failures;
mod gateway;
mod guests;
mod helm;
mod http;
mod inspect;
mod kubectl;
mod languages;
mod manifests;
mod new;
mod nodes;
mod overload;
mod registry;
mod run;
mod sandbox;
mod second;
mod security;
mod shell;
mod shop;
mod stores;

mod client;
mod ports;
mod printed;
mod redis;
mod sampan;
