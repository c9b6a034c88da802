//! How a process of another machine comes to a certificate, keeps it, and has it renewed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use transport::{
    ControlPlaneClient, ControlPlaneWay, Fingerprint, Identity, JoinError, Peer, Revoked, Role, TakenBack, Trust,
    ask_for_trust, join, renew,
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
            let client = ControlPlaneClient::new(ControlPlaneWay::Socket(path.clone()));
            return Ok((if peer.role == Role::Worker { client.as_worker(&peer.name) } else { client }, None));
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
        match hear_of_trust(&client, identity).await {
            Heard::Holds => {
                keep(&path, identity)?;
                return Ok((client, Some(identity.clone())));
            }
            // It may be another's, or none at all: without a token, what is known here is all there is to go by.
            Heard::UnknownAuthority(why) if args.token_file.is_none() => {
                tracing::warn!(why, "the control plane is not trusted: this process goes on with what it knows");
                return Ok((client, Some(identity.clone())));
            }
            Heard::UnknownAuthority(why) => {
                tracing::warn!(why, "the control plane is not trusted: this process joins again, with its token");
            }
            Heard::TakenBack(why) => {
                forget_revoked(&path, why)?;
                let why = taken_back(peer, why);
                if args.token_file.is_none() {
                    anyhow::bail!(why);
                }
                tracing::warn!(why, "this process joins again, with its token");
            }
        }
    }
    // What was revoked was removed, and the list of what is revoked stayed.
    if kept.is_none() && args.token_file.is_none() && beside(&path).exists() {
        anyhow::bail!(taken_back(peer, TakenBack::Revoked));
    }
    // A key goes with its certificate when that is revoked; one that has merely ended is asked for anew.
    let before = kept.filter(|identity| identity.why_taken_back() != Some(TakenBack::Revoked));
    let identity = Arc::new(join_with_token(args, &address, peer, before.as_deref()).await?);
    let client = way(&identity);
    hear_of_trust(&client, &identity).await;
    keep(&path, &identity)?;
    Ok((client, Some(identity)))
}

/// What the control plane says of this process' certificate, when it starts.
enum Heard {
    /// It holds, as far as is known.
    Holds,
    TakenBack(TakenBack),
    /// It shows a certificate itself whose authority is not known here.
    UnknownAuthority(String),
}

/// Asks whom to trust. A control plane that is not reached is no trouble: the session tells it.
async fn hear_of_trust(client: &ControlPlaneClient, identity: &Identity) -> Heard {
    let taken_back = identity.taken_back();
    tokio::select! {
        () = taken_back.cancelled() => {}
        asked = timeout(ASK, ask_for_trust(client, identity)) => match asked {
            Ok(Err(JoinError::UnknownAuthority(why))) => return Heard::UnknownAuthority(why),
            Ok(Err(error)) => tracing::debug!(%error, "it is not known whom to trust"),
            Err(_) => tracing::debug!("it is not known whom to trust: the control plane did not answer"),
            Ok(Ok(())) => {}
        },
    }
    identity.why_taken_back().map_or(Heard::Holds, Heard::TakenBack)
}

fn taken_back(peer: &Peer, why: TakenBack) -> String {
    let (role, name) = (peer.role.as_str(), &peer.name);
    let why = match why {
        TakenBack::Revoked => "was revoked by an administrator, as `kubectl delete node` does",
        TakenBack::AuthorityEnded => "is of an authority that was replaced, and is trusted no more",
    };
    format!("the certificate of {role} `{name}` {why}: join again with a token of `sampan token create` (--token-file)")
}

/// What was revoked is of no use to a later run. Of an authority that has ended, the key is: the name is bound to it.
fn forget_revoked(path: &Path, why: TakenBack) -> anyhow::Result<()> {
    if why == TakenBack::AuthorityEnded {
        return Ok(());
    }
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
    // The control plane may be away when this process starts.
    let path = beside(path);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let revoked: Revoked = text.parse().map_err(|why| {
                anyhow::anyhow!(
                    "{} is damaged ({why}): remove it, and start while the control plane is there",
                    path.display()
                )
            })?;
            let authorities = identity.trust().borrow().authorities().to_vec();
            identity.set_trust(Trust::new(authorities, revoked))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
    Ok(Some(identity))
}

/// Where it is kept what is revoked: beside this process' own certificate.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("revoked")
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
    let authority: Fingerprint =
        token.trim().rsplit('.').next().unwrap_or_default().parse().map_err(|_| {
            anyhow::anyhow!("{} holds no join token, as `sampan token create` makes them", file.display())
        })?;
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

/// Renews what this process shows, if it shows something, and keeps whom to trust, as long as it runs.
pub(super) fn spawn_renewal(
    roles: &mut Roles,
    client: &ControlPlaneClient,
    identity: Option<Arc<Identity>>,
    (peer, dir): (Peer, DataDir),
    stop: CancellationToken,
) {
    if let Some(identity) = identity {
        let client = client.clone();
        roles.watch(async move {
            let path = dir.identity(peer.role.as_str(), &peer.name);
            let ended = identity.taken_back();
            tokio::select! {
                () = keep_renewed(client, identity.clone(), peer.clone(), path.clone(), stop) => Ok(()),
                () = keep_known(&identity, &path) => Ok(()),
                // Nobody takes anything from this process any more, and what runs here is replaced.
                () = ended.cancelled() => {
                    let why = identity.why_taken_back().unwrap_or(TakenBack::Revoked);
                    forget_revoked(&path, why)?;
                    anyhow::bail!(taken_back(&peer, why))
                }
            }
        });
    }
}

/// Keeps whom to trust each time that it is told.
async fn keep_known(identity: &Identity, path: &Path) {
    let mut trust = identity.trust();
    // Something may have been told since it was kept.
    trust.mark_changed();
    while trust.changed().await.is_ok() {
        if let Err(error) = keep(path, identity) {
            tracing::warn!(%error, "whom to trust cannot be kept: after a restart it is not known until the control plane is there");
        }
    }
}

/// Renews the certificate before it ends, and when another authority signs.
async fn keep_renewed(
    client: ControlPlaneClient,
    identity: Arc<Identity>,
    peer: Peer,
    path: PathBuf,
    stop: CancellationToken,
) {
    let renewing = async {
        loop {
            tokio::select! {
                () = sleep(identity.renew_in()) => {}
                () = identity.superseded() => {}
            }
            match renew(&client, &identity, &peer).await {
                Ok(()) => {
                    tracing::info!("the certificate was renewed");
                    if let Err(error) = keep(&path, &identity) {
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

/// The certificate, whom to trust, and what is revoked. Each is written whole or not at all, and readable by this user alone.
fn keep(path: &Path, identity: &Identity) -> anyhow::Result<()> {
    let revoked = identity.trust().borrow().revoked.to_string();
    for (path, text) in [(&beside(path), revoked), (&path.to_owned(), identity.pem())] {
        private_files::write(path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
