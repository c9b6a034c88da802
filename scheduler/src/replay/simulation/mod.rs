//! One function in virtual time: requests arrive, wait in line, and are worked on; the gateway's windows reach the policy,
//! which starts and stops replicas.

mod control;
mod line;
mod meter;
mod pool;
mod requests;
mod run;
mod settings;

#[cfg(test)]
mod tests;

pub use run::simulate;
pub use settings::Settings;
