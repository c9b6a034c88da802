//! Who is let in: with a token the first time, with its certificate afterwards.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use api::{Timestamp, source_of};
use control_plane::{Authorities, Denied, IssuedCertificate, Register, TrustedAuthority};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};
use transport::{Admission, Applicant, Asked, Authority, AuthorityCertificate, Certificate, Identity, Revoked, Trust};

/// Joins that failed from one address within [`WINDOW`]: whoever asks on is answered without a look at the token.
const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are counted apart. Beyond, those that come new are counted as one.
const SOURCES: usize = 1024;
/// Lines about failed joins within [`WINDOW`], over all addresses; of each there is one.
const LINES: u32 = 30;

/// Lets processes in.
pub(super) struct Door {
    authority: Arc<Authority>,
    register: Register,
    failures: Arc<Failures>,
}

impl Door {
    pub(super) fn new(authority: Arc<Authority>, register: Register) -> Self {
        Self { authority, register, failures: Arc::default() }
    }
}

impl Admission for Door {
    fn join(&self, applicant: Applicant) -> BoxFuture<'static, Result<String, String>> {
        let (authority, register, failures) = (self.authority.clone(), self.register.clone(), self.failures.clone());
        Box::pin(async move {
            let (role, name, source) =
                (applicant.peer.role.as_str(), applicant.peer.name.clone(), applicant.source.map(source_of));
            failures.look(source).inspect_err(|_| register.count_too_many())?;
            let token = applicant.token.clone();
            match admit(&authority, &register, applicant).await {
                Ok(certificate) => {
                    tracing::info!(role, name, "joined");
                    Ok(certificate)
                }
                Err(why) => {
                    if let Some(untold) = failures.failed(source) {
                        register.note_refused(&token, (role, &name), source, &why).await;
                        let from = source.map_or_else(|| "this machine".to_owned(), |source| source.to_string());
                        tracing::warn!(
                            role,
                            name,
                            why,
                            from,
                            untold,
                            "refused: more of them from there are not told for a minute"
                        );
                    }
                    Err(why)
                }
            }
        })
    }

    fn renew(&self, shown: Certificate, request: Vec<u8>) -> BoxFuture<'static, Result<String, String>> {
        let (authority, register) = (self.authority.clone(), self.register.clone());
        Box::pin(async move {
            let asked = Asked::read(&request).map_err(|error| error.to_string())?;
            let (pem, certificate) = authority.sign(&asked, &shown.peer).map_err(|error| error.to_string())?;
            register
                .reissue(&noted(&shown), issued(&authority, &certificate))
                .await
                .map_err(|error| error.to_string())?;
            Ok(pem)
        })
    }

    fn came(&self, shown: &Certificate) {
        let (register, shown) = (self.register.clone(), noted(shown));
        tokio::spawn(async move {
            if let Err(error) = register.came(&shown).await {
                tracing::warn!(%error, name = shown.name, "a certificate of before could not be noted");
            }
        });
    }
}

/// The token first, then the name, and only then is anything signed. What is signed is given once it has been noted.
async fn admit(authority: &Authority, register: &Register, applicant: Applicant) -> Result<String, String> {
    let Applicant { peer, token, request, source } = applicant;
    api::check_dns_subdomain(&peer.name).map_err(|error| error.to_string())?;
    let role = peer.role.as_str();
    register.check_token(&token, role, &peer.name).await.map_err(|error| error.to_string())?;
    let asked = Asked::read(&request).map_err(|error| error.to_string())?;
    let admitted = register.admit(&token, role, &peer.name, &asked.key()).await.map_err(|error| error.to_string())?;
    let (pem, certificate) = authority.sign(&asked, &peer).map_err(|error| error.to_string())?;
    register.issue(admitted.from(source), issued(authority, &certificate)).await.map_err(|error| error.to_string())?;
    Ok(pem)
}

/// A certificate that was signed a moment ago.
fn issued(authority: &Authority, certificate: &Certificate) -> IssuedCertificate {
    let signs = authority.list().into_iter().next();
    IssuedCertificate { authority: signs.map(|it| it.fingerprint.to_string()), ..noted(certificate) }
}

fn noted(certificate: &Certificate) -> IssuedCertificate {
    IssuedCertificate {
        serial: certificate.serial.clone(),
        role: certificate.peer.role.as_str().to_owned(),
        name: certificate.peer.name.clone(),
        key: certificate.key.clone(),
        token: None,
        authority: None,
        issued: timestamp(certificate.issued),
        expires: timestamp(certificate.expires),
        revoked: None,
    }
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::from_secs(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// What the register denies, in the words of those that check certificates.
fn revoked(denied: &watch::Receiver<Arc<Denied>>) -> Revoked {
    let Denied { serials, keys } = Denied::clone(&denied.borrow());
    Revoked { serials, keys }
}

/// Whom this installation trusts now, for `identity` and whoever it tells.
pub(super) fn set_trust(authority: &Authority, denied: &watch::Receiver<Arc<Denied>>, identity: &Identity) {
    let now = || Trust::new(authority.trusted(), revoked(denied));
    let mut trust = now();
    loop {
        if let Err(error) = identity.set_trust(trust.clone()) {
            tracing::error!(%error, "what is revoked does not hold");
        }
        // Something may have changed since it was read, and been set by another before.
        let latest = now();
        if latest == trust {
            return;
        }
        trust = latest;
    }
}

/// As [`set_trust`], each time that something is revoked. An authority that was replaced is dropped once nothing of it holds.
pub(super) async fn keep_trust(authority: &Authority, register: &Register, identity: &Identity) {
    let (mut denied, mut trust) = (register.denied(), identity.trust());
    denied.mark_changed();
    trust.mark_changed();
    loop {
        tokio::select! {
            changed = denied.changed() => match changed {
                Ok(()) => {
                    renew_own_if_revoked(authority, &denied, identity);
                    set_trust(authority, &denied, identity);
                }
                Err(_) => return,
            },
            // It changes with this process' own certificate, too.
            changed = trust.changed() => match changed {
                Ok(()) => {
                    if let Err(error) = register.note_own(issued(authority, &identity.certificate())).await {
                        tracing::warn!(%error, "the control plane's own certificate could not be noted");
                    }
                }
                Err(_) => return,
            },
            () = sleep(LOOK_EVERY) => {
                if let Some(rotated) = authority.rotated().map(timestamp)
                    && drop_former(authority, register, rotated).await
                {
                    set_trust(authority, &denied, identity);
                }
            }
        }
    }
}

/// The control plane's own certificate may be revoked as any other: it has another then, before others hear of it.
fn renew_own_if_revoked(authority: &Authority, denied: &watch::Receiver<Arc<Denied>>, identity: &Identity) {
    if !revoked(denied).has(&identity.certificate()) {
        return;
    }
    match authority.renew_own(identity) {
        Ok(()) => tracing::info!("the control plane's own certificate was revoked: it has another, with another key"),
        Err(error) => tracing::error!(%error, "the control plane's own certificate was revoked, and it has no other"),
    }
}

/// How often it is looked whether an authority that was replaced is still needed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Drops it if nothing of before it was `rotated` holds. Answers whether it did.
async fn drop_former(authority: &Authority, register: &Register, rotated: Timestamp) -> bool {
    match register.any_of_before(rotated).await {
        Ok(true) => return false,
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "it is not known whether the former authority is needed");
            return false;
        }
    }
    match authority.drop_former() {
        Ok(()) => {
            tracing::info!("nothing holds any more that the former authority signed: it is not trusted now");
            true
        }
        Err(error) => {
            tracing::error!(%error, "the former authority stays trusted");
            false
        }
    }
}

/// The authority of this installation, as users see and replace it.
pub(super) struct Rotation {
    pub(super) authority: Arc<Authority>,
    pub(super) denied: watch::Receiver<Arc<Denied>>,
    pub(super) identity: Arc<Identity>,
}

impl Authorities for Rotation {
    fn list(&self) -> Vec<TrustedAuthority> {
        let trusted = |it: AuthorityCertificate| TrustedAuthority {
            fingerprint: it.fingerprint.to_string(),
            since: timestamp(it.since),
            ends: timestamp(it.ends),
        };
        self.authority.list().into_iter().map(trusted).collect()
    }

    fn rotate(&self) -> Result<(), String> {
        self.authority.rotate().map_err(|error| error.to_string())?;
        // First whom to trust, so that nobody is shown what they know nothing of.
        set_trust(&self.authority, &self.denied, &self.identity);
        self.authority.renew_own(&self.identity).map_err(|error| error.to_string())?;
        tracing::info!("another authority signs from now on: both are trusted");
        Ok(())
    }

    fn finish(&self) -> Result<(), String> {
        if self.authority.rotated().is_none() {
            return Err("no authority was replaced: `sampan certificate rotate` does that".to_owned());
        }
        self.authority.drop_former().map_err(|error| error.to_string())?;
        set_trust(&self.authority, &self.denied, &self.identity);
        Ok(())
    }
}

/// Joins that failed, by where they came from.
#[derive(Default)]
struct Failures {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    by_source: HashMap<Place, Count>,
    lines: Option<Count>,
}

/// Where a join comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    ThisMachine,
    Source(IpAddr),
    /// One of more than are counted apart. Whoever fills the places keeps nobody of this machine out.
    Others,
}

struct Count {
    since: Instant,
    count: u32,
}

impl Count {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= WINDOW
    }
}

impl Counted {
    fn of(&mut self, source: Option<IpAddr>) -> &mut Count {
        let Some(source) = source else { return self.by_source.entry(Place::ThisMachine).or_insert_with(Count::new) };
        let mut place = Place::Source(source);
        if self.by_source.len() >= SOURCES && !self.by_source.contains_key(&place) {
            self.by_source.retain(|_, count| !count.is_over());
            if self.by_source.len() >= SOURCES {
                place = Place::Others;
            }
        }
        self.by_source.entry(place).or_insert_with(Count::new)
    }
}

impl Failures {
    /// Whether a token from there is looked at.
    fn look(&self, source: Option<IpAddr>) -> Result<(), String> {
        let mut counted = self.counted.lock();
        let count = counted.of(source);
        if !count.is_over() && count.count >= FAILURES {
            count.count = count.count.saturating_add(1);
            return Err("too many joins from this address have failed: wait a minute".to_owned());
        }
        Ok(())
    }

    /// Notes a failure. If it is to be told, answers how many of before were not.
    fn failed(&self, source: Option<IpAddr>) -> Option<u32> {
        let mut counted = self.counted.lock();
        let count = counted.of(source);
        let (first, untold) = (count.count == 0 || count.is_over(), count.count.saturating_sub(1));
        if count.is_over() {
            *count = Count::new();
        }
        count.count += 1;
        let lines = counted.lines.get_or_insert_with(Count::new);
        if lines.is_over() {
            *lines = Count::new();
        }
        lines.count = lines.count.saturating_add(u32::from(first));
        (first && lines.count <= LINES).then_some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u16) -> Option<IpAddr> {
        let [high, low] = last.to_be_bytes();
        Some(IpAddr::from([10, 0, high, low]))
    }

    #[test]
    fn failures_are_looked_at_a_few_times_and_told_once_for_each_address() {
        let failures = Failures::default();
        let told = (0..FAILURES).filter(|_| failures.failed(from(1)).is_some()).count();
        assert_eq!(told, 1);
        assert!(failures.look(from(1)).is_err_and(|why| why.contains("wait a minute")));
        assert!(failures.look(from(2)).is_ok(), "others are no less welcome");
        let told = (0..5000).filter(|last| failures.failed(from(*last)).is_some()).count();
        assert!(told < LINES as usize, "{told}");
        assert!(failures.counted.lock().by_source.len() <= SOURCES + 2);
        let beyond = (0..FAILURES).filter(|_| failures.failed(from(4999)).is_some()).count();
        assert_eq!(beyond, 0, "they were told of before");
        assert!(failures.look(from(4998)).is_err(), "those beyond are counted as one");
        assert!(failures.look(None).is_ok(), "a crowd of addresses keeps out nobody of this machine");
    }
}
