//! How a process of another machine comes to a certificate, keeps it, and has it renewed.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use transport::{
    ControlPlaneClient, ControlPlaneWay, Fingerprint, Identity, JoinError, Peer, ask_for_trust, join, renew,
};

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

/// How long a control plane may take to say whom to trust, before this process goes on without.
const ASK: Duration = Duration::from_secs(2);

/// The way to the control plane, with what this process shows there: nothing, on the same machine.
pub(super) async fn join_as(
    args: &JoinArgs,
    peer: &Peer,
    dir: &DataDir,
) -> anyhow::Result<(ControlPlaneClient, Option<Arc<Identity>>)> {
    let address = match &args.join {
        // Only a worker is started by a broker, which does not come here.
        JoinAddress::Broker => {
            anyhow::bail!("`broker:` is for processes that Sampan starts: write HOST:PORT, or unix:PATH")
        }
        JoinAddress::Socket(path) => {
            return Ok((ControlPlaneClient::new(ControlPlaneWay::Socket(path.clone())), None));
        }
        JoinAddress::Tcp(address) => address.clone(),
    };
    let path = dir.identity(peer.role.as_str(), &peer.name);
    let way = |identity: &Arc<Identity>| {
        ControlPlaneClient::new(ControlPlaneWay::Tls { address: address.clone(), identity: identity.clone() })
    };
    let kept = kept(&path)?.map(Arc::new);
    if let Some(identity) = kept.as_ref().filter(|identity| !identity.remaining().is_zero()) {
        let client = way(identity);
        if hear_of_trust(&client, identity).await {
            return Ok((client, Some(identity.clone())));
        }
        forget(&path)?;
        if args.token_file.is_none() {
            anyhow::bail!(revoked(peer));
        }
        tracing::warn!("the certificate that was kept here is revoked: this process joins again, with its token");
    }
    // A key goes with its certificate when that is revoked; one that has merely ended is asked for anew.
    let before = kept.filter(|identity| !identity.taken_back().is_cancelled());
    let identity = Arc::new(join_with_token(args, &address, peer, before.as_deref()).await?);
    let client = way(&identity);
    hear_of_trust(&client, &identity).await;
    keep(&path, &identity)?;
    Ok((client, Some(identity)))
}

/// Asks whom to trust. A control plane that is not reached is no trouble: the session tells it. Answers whether this
/// process' own certificate still holds.
async fn hear_of_trust(client: &ControlPlaneClient, identity: &Identity) -> bool {
    let taken_back = identity.taken_back();
    tokio::select! {
        () = taken_back.cancelled() => {}
        asked = timeout(ASK, ask_for_trust(client, identity)) => match asked {
            Ok(Err(error)) => tracing::debug!(%error, "it is not known whom to trust"),
            Err(_) => tracing::debug!("it is not known whom to trust: the control plane did not answer"),
            Ok(Ok(())) => {}
        },
    }
    !taken_back.is_cancelled()
}

fn revoked(peer: &Peer) -> String {
    let (role, name) = (peer.role.as_str(), &peer.name);
    format!(
        "the certificate of {role} `{name}` was revoked by an administrator, as `kubectl delete node` does: \
         join again with a token of `sampan token create` (--token-file)"
    )
}

/// What was revoked is of no use to a later run.
fn forget(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// What an earlier run was given.
fn kept(path: &Path) -> anyhow::Result<Option<Identity>> {
    let pem = match fs::read_to_string(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let identity = Identity::from_pem(&pem)
        .with_context(|| format!("{} is damaged: remove it, and join with a new token", path.display()))?;
    Ok(Some(identity))
}

async fn join_with_token(
    args: &JoinArgs,
    address: &str,
    peer: &Peer,
    before: Option<&Identity>,
) -> anyhow::Result<Identity> {
    let Some(file) = &args.token_file else {
        anyhow::bail!(
            "no certificate that holds is kept here for `{}`: name a token of `sampan token create` with --token-file",
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
        match join(&client, token.trim(), peer, before).await {
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
            let taken_back = identity.taken_back();
            tokio::select! {
                () = keep_renewed(client, identity, peer.clone(), dir.clone(), stop) => Ok(()),
                // Nobody takes anything from this process any more, and what runs here is replaced.
                () = taken_back.cancelled() => {
                    forget(&dir.identity(peer.role.as_str(), &peer.name))?;
                    anyhow::bail!(revoked(&peer))
                }
            }
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
