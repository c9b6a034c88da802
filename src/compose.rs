//! The composition root: the only place that knows which roles this process plays and how they are joined.

use crate::{config::ServerArgs, serve::Addresses};
use tokio_util::sync::CancellationToken;
pub(crate) struct Roles;
impl Roles { pub(crate) async fn ended(&mut self) -> anyhow::Result<()> { Ok(()) } }
pub(crate) async fn start(_args: &ServerArgs, _shutdown: &CancellationToken) -> anyhow::Result<(Addresses, Roles)> { anyhow::bail!("x") }
