//! How a process of another machine comes to a certificate, keeps it, and has it renewed.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use transport::{ControlPlaneClient, ControlPlaneWay, Fingerprint, Identity, JoinError, Peer, join, renew};

use super::Roles;
use crate::{
    config::{JoinAddress, JoinArgs},
    paths::DataDir,
};

/// The wait before a renewal that failed is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(10);
/// Certificates are not asked for more often than this.
const RENEW_AT_MOST: Duration = Duration::from_secs(1);
/// The wait before a control plane that was not reached is asked again.
const JOIN_AGAIN: Duration = Duration::from_millis(500);

/// The way to the control plane, with what this process shows there: nothing, on the same machine.
pub(super) async fn join_as(
    args: &JoinArgs,
    peer: &Peer,
    dir: &DataDir,
) -> anyhow::Result<(ControlPlaneClient, Option<Arc<Identity>>)> {
    let address = match &args.join {
        JoinAddress::Socket(path) => {
            return Ok((ControlPlaneClient::new(ControlPlaneWay::Socket(path.clone())), None));
        }
        JoinAddress::Tcp(address) => address.clone(),
    };
    let path = dir.identity(peer.role.as_str(), &peer.name);
    let identity = match kept(&path)? {
        Some(identity) => identity,
        None => {
            let identity = join_with_token(args, &address, peer).await?;
            keep(&path, &identity)?;
            identity
        }
    };
    let identity = Arc::new(identity);
    let way = ControlPlaneWay::Tls { address, identity: identity.clone() };
    Ok((ControlPlaneClient::new(way), Some(identity)))
}

/// What an earlier run was given, if it still holds.
fn kept(path: &Path) -> anyhow::Result<Option<Identity>> {
    let pem = match fs::read_to_string(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let identity = Identity::from_pem(&pem)
        .with_context(|| format!("{} is damaged: remove it, and join with a new token", path.display()))?;
    Ok(Some(identity).filter(|identity| !identity.remaining().is_zero()))
}

async fn join_with_token(args: &JoinArgs, address: &str, peer: &Peer) -> anyhow::Result<Identity> {
    let Some(file) = &args.token_file else {
        anyhow::bail!(
            "no certificate is kept here for `{}`: name a token of `sampan token create` with --token-file",
            peer.name
        )
    };
    let token =
        fs::read_to_string(file).with_context(|| format!("the token file {} cannot be read", file.display()))?;
    let authority: Fingerprint = token
        .trim()
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|why| anyhow::anyhow!("{} holds no join token: {why}", file.display()))?;
    let client = ControlPlaneClient::new(ControlPlaneWay::Join { address: address.to_owned(), authority });
    let mut told = false;
    loop {
        match join(&client, token.trim(), peer).await {
            Err(JoinError::Unreached(why)) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(address, why, "the control plane is not reached: it is asked again and again");
                }
                sleep(JOIN_AGAIN).await;
            }
            joined => return Ok(joined?),
        }
    }
}

/// Renews what this process shows, if it shows something, as long as it runs.
pub(super) fn spawn_renewal(
    roles: &mut Roles,
    client: &ControlPlaneClient,
    identity: Option<Arc<Identity>>,
    (peer, dir): (Peer, DataDir),
    stop: CancellationToken,
) {
    if let Some(identity) = identity {
        let client = client.clone();
        roles.spawn("the certificate's renewal", async move {
            keep_renewed(client, identity, peer, dir, stop).await;
            Ok(())
        });
    }
}

/// Renews the certificate before it ends.
async fn keep_renewed(
    client: ControlPlaneClient,
    identity: Arc<Identity>,
    peer: Peer,
    dir: DataDir,
    stop: CancellationToken,
) {
    let renewing = async {
        loop {
            sleep(identity.renew_in()).await;
            match renew(&client, &identity, &peer).await {
                Ok(()) => {
                    tracing::info!("the certificate was renewed");
                    if let Err(error) = keep(&dir.identity(peer.role.as_str(), &peer.name), &identity) {
                        tracing::warn!(%error, "the new certificate cannot be kept: a restart needs a token");
                    }
                }
                Err(error) => tracing::warn!(%error, "the certificate was not renewed: it is tried again"),
            }
            sleep(RENEW_AGAIN.min(identity.remaining() / 10).max(RENEW_AT_MOST)).await;
        }
    };
    stop.run_until_cancelled(renewing).await;
}

/// Written whole or not at all, and readable by this user alone.
fn keep(path: &Path, identity: &Identity) -> anyhow::Result<()> {
    private_files::write(path, identity.pem().as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))
}
