use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use api::{Refusals, Refused, Timestamp, WorkerName};
use bytes::Bytes;
use http_server::audit::{AuditLog, Became, OfCertificate};
use kube_api::{conditions::condition, identity::now, kind::NODE};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use store::{Compare, MAX_TXN, Op, Store, StoreError, object_key};
use tokio::sync::watch;

use super::{Authorities, JoinRefused, JoinTokens, tokens::Held};
use crate::Commands;

/// What the keys of certificates, and of who is bound to a name, are in the store.
const GROUP: &str = "sampan.dev";
const CERTIFICATES: &str = "certificates";
const NAMES: &str = "names";
/// Records that are read at a time.
const PAGE: usize = 1000;
/// Certificates that are in force at a time: of all, and of one peer, which has two while it renews.
const MAX_CERTIFICATES: usize = 20_000;
const MAX_OF_ONE: usize = 8;
/// Of what was revoked and has ended, so much is known for ever, of which the end is the least past. By the clock alone nothing of it is
/// forgotten: when a clock that is far ahead is set right, it would hold again.
const KEPT_REVOKED: usize = 1000;
/// Beyond these, it is known for so long after it would have ended: clocks of machines differ.
const KEPT_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The role whose names have a Node.
const WORKER: &str = "worker";
/// The role of what signs for itself, and has no name to be bound.
const CONTROL_PLANE: &str = "control-plane";

/// A certificate that was given to a worker or a gateway, as it is kept until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCertificate {
    /// In hexadecimal.
    pub serial: String,
    /// `worker`, `gateway` or `control-plane`.
    pub role: String,
    /// Whose it is.
    pub name: String,
    /// The SHA-256 of the public key, in hexadecimal.
    pub key: String,
    /// The join token that it goes back to; `None`: it is from before tokens were noted.
    pub token: Option<String>,
    /// The fingerprint of the authority that signed it; `None`: it is from before that was noted.
    #[serde(default)]
    pub authority: Option<String>,
    /// When it was made.
    pub issued: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
    /// Since when it does not, though its time is not over.
    pub revoked: Option<Timestamp>,
}

/// Whose a name is: of the first who joins by it, until it is revoked or its Node is deleted. A gateway's name is free
/// again once its last certificate has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bound {
    role: String,
    name: String,
    key: String,
}

/// What does not hold although it was signed and its time is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denied {
    /// Serial numbers, in hexadecimal.
    pub serials: BTreeSet<String>,
    /// SHA-256 of public keys, in hexadecimal.
    pub keys: BTreeSet<String>,
}

/// What is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of who has this name; of one role, or of both.
    Name { role: Option<String>, name: String },
    /// The one with this number, and whatever else its key was given.
    Serial(String),
    /// All that go back to a join token.
    Token(String),
}

/// Who may join: a token that holds, and a name that is free or their own.
#[derive(Debug)]
pub struct Admitted {
    token: String,
    bound: Bound,
    source: Option<IpAddr>,
}

impl Admitted {
    /// From where it was asked for.
    #[must_use]
    pub fn from(self, source: Option<IpAddr>) -> Self {
        Self { source, ..self }
    }
}

/// Who has joined, by which names, and with which certificates. Clones are handles to the same.
#[derive(Clone)]
pub struct Register {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    /// Where Nodes are shown.
    live: Arc<dyn Store>,
    tokens: JoinTokens,
    own_workers: Vec<WorkerName>,
    kept: Mutex<Kept>,
    denied: watch::Sender<Arc<Denied>>,
    authorities: OnceLock<Arc<dyn Authorities>>,
    audit: OnceLock<Arc<AuditLog>>,
    /// Counts joins that are refused.
    refusals: Refusals,
    /// Who is told which workers were revoked.
    commands: OnceLock<Commands>,
    /// One change at a time, so that what is decided holds when it is written.
    changing: tokio::sync::Mutex<()>,
}

/// What is in the store, whose only writer is the register.
#[derive(Default)]
struct Kept {
    certificates: BTreeMap<String, IssuedCertificate>,
    names: BTreeMap<(String, String), Bound>,
}

impl Register {
    /// Reads what is kept. There is one for each store.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        live: Arc<dyn Store>,
        tokens: JoinTokens,
        own_workers: Vec<WorkerName>,
        refusals: Refusals,
    ) -> Result<Self, StoreError> {
        let certificates: Vec<IssuedCertificate> = read_all(&*store, CERTIFICATES).await?;
        let names: Vec<Bound> = read_all(&*store, NAMES).await?;
        let kept = Kept {
            certificates: certificates.into_iter().map(|it| (it.serial.clone(), it)).collect(),
            names: names.into_iter().map(|it| ((it.role.clone(), it.name.clone()), it)).collect(),
        };
        let denied = watch::Sender::new(Arc::new(kept.denied()));
        let (kept, changing) = (Mutex::new(kept), tokio::sync::Mutex::default());
        let (authorities, audit, commands) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let inner =
            Inner { store, live, tokens, own_workers, kept, denied, authorities, audit, refusals, commands, changing };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What signs, for users who ask to see or to replace it. The first call holds.
    pub fn set_authorities(&self, authorities: Arc<dyn Authorities>) {
        let _ = self.inner.authorities.set(authorities);
        self.name_authority();
    }

    /// Where it is noted what becomes of certificates. The first call holds.
    pub(crate) fn set_audit(&self, log: Arc<AuditLog>) {
        let _ = self.inner.audit.set(log);
    }

    /// Who is told which workers were revoked. The first call holds.
    pub(crate) fn set_commands(&self, commands: Commands) {
        let _ = self.inner.commands.set(commands);
    }

    fn note(&self, of: &OfCertificate<'_>) {
        if let Some(log) = self.inner.audit.get() {
            log.certificate(of);
        }
    }

    /// Has a join noted that was refused, with the public part of the token of this text if that is or was one. The caller
    /// bounds how many.
    pub async fn note_refused(&self, text: &str, (role, name): (&str, &str), source: Option<IpAddr>, why: &str) {
        let token = self.inner.tokens.find(text).await.ok();
        let what = Became::Refused { why, token: token.as_ref().map(Held::id) };
        self.note(&OfCertificate { what, role, name, serial: None, source });
    }

    pub(super) fn authorities(&self) -> Option<&Arc<dyn Authorities>> {
        self.inner.authorities.get()
    }

    /// New tokens name the authority that signs now.
    pub(super) fn name_authority(&self) {
        if let Some(signs) = self.authorities().and_then(|authorities| authorities.list().into_iter().next()) {
            self.inner.tokens.set_authority(signs.fingerprint);
        }
    }

    /// Whether a certificate or a token of before this moment, or of its second, still holds: certificates tell no more than
    /// seconds. The control plane's own does not count: it has another at once.
    pub async fn any_of_before(&self, at: Timestamp) -> Result<bool, StoreError> {
        let is_before = |it: &IssuedCertificate| it.role != CONTROL_PLANE && it.issued.as_secs() <= at.as_secs();
        if self.inner.kept.lock().in_force().any(is_before) {
            return Ok(true);
        }
        self.inner.tokens.any_of_before(at).await
    }

    pub(super) fn tokens(&self) -> &JoinTokens {
        &self.inner.tokens
    }

    /// What does not hold, now and as it changes.
    pub fn denied(&self) -> watch::Receiver<Arc<Denied>> {
        self.inner.denied.subscribe()
    }

    /// Whether `name` may join in `role` with this token and this key. Nothing is used up yet; [`Register::issue`] does that.
    pub async fn admit(&self, text: &str, role: &str, name: &str, key: &str) -> Result<Admitted, JoinRefused> {
        self.check_token(text, role, name).await?;
        let bound = Bound { role: role.to_owned(), name: name.to_owned(), key: key.to_owned() };
        self.check_name(&bound).await.inspect_err(|why| self.count(why))?;
        Ok(Admitted { token: text.to_owned(), bound, source: None })
    }

    /// Whether a token holds for `name` in `role`: it is asked before anything is signed, or even read.
    pub async fn check_token(&self, text: &str, role: &str, name: &str) -> Result<(), JoinRefused> {
        self.inner.tokens.look_up(text, role, name).await.map(drop).inspect_err(|why| self.count(why))
    }

    fn count(&self, why: &JoinRefused) {
        self.inner.refusals.count(Refused::Join, why.reason(), "");
    }

    /// Counts a join that was refused since too many from its address have failed.
    pub fn count_too_many(&self) {
        self.inner.refusals.count(Refused::Join, "too_many", "");
    }

    async fn check_name(&self, bound: &Bound) -> Result<(), JoinRefused> {
        let Bound { role, name, key } = bound;
        let is_own = role == WORKER && self.inner.own_workers.iter().any(|own| *own.0 == **name);
        let alive = is_own || (role == WORKER && self.is_alive(name).await?);
        let kept = self.inner.kept.lock();
        if kept.denied().keys.contains(key) {
            return Err(JoinRefused::Revoked);
        }
        let (role, name) = (role.clone(), name.clone());
        match kept.names.get(&(role.clone(), name.clone())) {
            Some(there) if there.key == *key && !is_own => Ok(()),
            // What is in the way of another's key.
            _ if alive => Err(JoinRefused::Alive { role, name }),
            Some(_) => Err(JoinRefused::NameTaken { role, name }),
            None => Ok(()),
        }
    }

    async fn is_alive(&self, name: &str) -> Result<bool, StoreError> {
        let node = self.inner.live.get(&NODE.cluster_key(name)).await?;
        let node: Option<Value> = node.and_then(|node| serde_json::from_slice(&node.value).ok());
        Ok(node.is_some_and(|node| condition(&node, "Ready").is_some_and(|ready| ready["status"] == "True")))
    }

    /// Uses the token, binds the name and notes the certificate, or does none of it. Only then is the certificate given.
    pub async fn issue(&self, admitted: Admitted, mut certificate: IssuedCertificate) -> Result<(), JoinRefused> {
        let _changing = self.inner.changing.lock().await;
        self.forget_ended().await?;
        let Admitted { token, bound, source } = admitted;
        // Another may have come in between.
        let token = self.inner.tokens.look_up(&token, &bound.role, &bound.name).await?;
        self.check_name(&bound).await?;
        self.check_room(&bound)?;
        certificate.token = Some(token.id().to_owned());
        let allowed = token.allows(&bound.role, &bound.name);
        let note = allowed.as_ref().map(|(worker, allowance)| allowance.note(&worker.0));
        let (compare, used) = token.used_by(&format!("{}/{}", bound.role, bound.name));
        let ops = [used, put_name(&bound), put(&certificate)].into_iter().chain(note);
        self.write(vec![compare], ops.collect()).await.map_err(|error| match error {
            StoreError::Conflict { .. } => JoinRefused::Store(StoreError::Busy),
            error => error.into(),
        })?;
        if let Some((worker, allowance)) = allowed {
            self.inner.tokens.allow(&worker, allowance);
        }
        let mut kept = self.inner.kept.lock();
        let joined = Became::Joined(certificate.token.as_deref().unwrap_or_default());
        self.note(&OfCertificate { source, ..of(joined, &certificate) });
        kept.names.insert((bound.role.clone(), bound.name.clone()), bound);
        kept.certificates.insert(certificate.serial.clone(), certificate);
        Ok(())
    }

    /// Notes another certificate for who showed `shown`, which goes back to the same token. The name goes with the new key.
    pub async fn reissue(
        &self,
        shown: &IssuedCertificate,
        mut certificate: IssuedCertificate,
    ) -> Result<(), JoinRefused> {
        self.came(shown).await?;
        let _changing = self.inner.changing.lock().await;
        self.forget_ended().await?;
        let bound = Bound { role: shown.role.clone(), name: shown.name.clone(), key: certificate.key.clone() };
        {
            let kept = self.inner.kept.lock();
            let known = kept.certificates.get(&shown.serial).filter(|known| known.revoked.is_none());
            let known = known.ok_or(JoinRefused::Revoked)?;
            if kept.denied().keys.contains(&certificate.key) {
                return Err(JoinRefused::Revoked);
            }
            certificate.token.clone_from(&known.token);
        }
        self.check_room(&bound)?;
        self.write(Vec::new(), vec![put_name(&bound), put(&certificate)]).await?;
        let mut kept = self.inner.kept.lock();
        self.note(&of(Became::Renewed, &certificate));
        kept.names.insert((bound.role.clone(), bound.name.clone()), bound);
        kept.certificates.insert(certificate.serial.clone(), certificate);
        Ok(())
    }

    /// Notes a certificate that the control plane has signed for itself. Of those of before, which ended with a process or were
    /// replaced, few are kept.
    pub async fn note_own(&self, own: IssuedCertificate) -> Result<(), StoreError> {
        if self.has(&own.serial) {
            return Ok(());
        }
        let _changing = self.inner.changing.lock().await;
        self.forget_ended().await?;
        let older: Vec<String> = {
            let kept = self.inner.kept.lock();
            let mut older: Vec<_> = kept.in_force().filter(|it| it.role == CONTROL_PLANE).collect();
            older.sort_by_key(|it| std::cmp::Reverse(it.issued));
            older.into_iter().skip(MAX_OF_ONE - 1).map(|it| it.serial.clone()).collect()
        };
        let gone = older.iter().map(|serial| Op::Delete(key(serial)));
        self.write(Vec::new(), gone.chain([put(&own)]).collect()).await?;
        let mut kept = self.inner.kept.lock();
        self.note(&of(Became::Renewed, &own));
        older.iter().for_each(|serial| drop(kept.certificates.remove(serial)));
        kept.certificates.insert(own.serial.clone(), own);
        Ok(())
    }

    fn check_room(&self, bound: &Bound) -> Result<(), JoinRefused> {
        let kept = self.inner.kept.lock();
        let of_one = kept.in_force().filter(|it| it.role == bound.role && it.name == bound.name).count();
        if of_one >= MAX_OF_ONE || kept.certificates.len() >= MAX_CERTIFICATES {
            return Err(JoinRefused::TooMany { role: bound.role.clone(), name: bound.name.clone() });
        }
        Ok(())
    }

    /// Who showed this certificate is here. One that was given before they were noted is noted now, and its name bound.
    pub async fn came(&self, shown: &IssuedCertificate) -> Result<(), StoreError> {
        let is_known = |kept: &Kept| kept.certificates.contains_key(&shown.serial);
        if is_known(&self.inner.kept.lock()) {
            return Ok(());
        }
        let _changing = self.inner.changing.lock().await;
        let bound = Bound { role: shown.role.clone(), name: shown.name.clone(), key: shown.key.clone() };
        let name = (bound.role.clone(), bound.name.clone());
        let is_bound = {
            let kept = self.inner.kept.lock();
            if is_known(&kept) || kept.certificates.len() >= MAX_CERTIFICATES {
                return Ok(());
            }
            kept.names.contains_key(&name)
        };
        let mut ops = vec![put(shown)];
        ops.extend((!is_bound).then(|| put_name(&bound)));
        self.write(Vec::new(), ops).await?;
        let mut kept = self.inner.kept.lock();
        kept.names.entry(name).or_insert(bound);
        kept.certificates.insert(shown.serial.clone(), shown.clone());
        Ok(())
    }

    /// Revokes certificates, for ever, and frees the names of who had them. Answers what was revoked, and whether a name was
    /// freed. It holds when this answers; sessions end within a moment.
    pub(crate) async fn revoke(&self, which: &Which) -> Result<(Vec<IssuedCertificate>, bool), StoreError> {
        let _changing = self.inner.changing.lock().await;
        let (revoked, freed) = self.inner.kept.lock().concerned(which);
        let at = now();
        let revoked: Vec<_> = revoked.into_iter().map(|it| IssuedCertificate { revoked: Some(at), ..it }).collect();
        let keys = self.inner.kept.lock().keys_without_certificate(&freed, at);
        let ops: Vec<Op> =
            revoked.iter().chain(&keys).map(put).chain(freed.iter().map(|it| Op::Delete(name_key(it)))).collect();
        // What is revoked comes before the names that it frees: cut off in between, a name stays bound.
        for some in ops.chunks(MAX_TXN) {
            self.write(Vec::new(), some.to_vec()).await?;
        }
        let mut kept = self.inner.kept.lock();
        for it in &revoked {
            self.note(&of(Became::Revoked, it));
            kept.certificates.insert(it.serial.clone(), it.clone());
        }
        kept.certificates.extend(keys.into_iter().map(|it| (it.serial.clone(), it)));
        for it in &freed {
            kept.names.remove(&(it.role.clone(), it.name.clone()));
        }
        self.inner.denied.send_replace(Arc::new(kept.denied()));
        let workers: BTreeSet<&str> = revoked.iter().filter(|it| it.role == WORKER).map(|it| &*it.name).collect();
        if let Some(commands) = self.inner.commands.get() {
            workers.into_iter().for_each(|name| commands.certificate_revoked(WorkerName(name.into())));
        }
        Ok((revoked, !freed.is_empty()))
    }

    /// Whether there is a certificate of this number.
    pub(super) fn has(&self, serial: &str) -> bool {
        self.inner.kept.lock().certificates.contains_key(serial)
    }

    /// All certificates that have not ended, and for names without one an entry that says whose they are.
    pub(crate) fn list(&self) -> Vec<IssuedCertificate> {
        let kept = self.inner.kept.lock();
        let mut all: Vec<_> = kept.certificates.values().filter(|it| !has_ended(it)).cloned().collect();
        let bare = kept.names.values().filter(|bound| !all.iter().any(|it| it.is_of(bound) && it.revoked.is_none()));
        let bare: Vec<_> = bare.map(Bound::without_certificate).collect();
        all.extend(bare);
        all.sort_by(|a, b| (&a.role, &a.name, a.issued).cmp(&(&b.role, &b.name, b.issued)));
        all
    }

    async fn write(&self, compare: Vec<Compare>, ops: Vec<Op>) -> Result<(), StoreError> {
        self.inner.store.txn(compare, ops).await.map(drop)
    }

    /// Removes what has ended. The caller holds `changing`.
    async fn forget_ended(&self) -> Result<(), StoreError> {
        let (ended, free): (Vec<String>, Vec<Bound>) = {
            let kept = self.inner.kept.lock();
            let ended = kept.forgotten().map(|it| it.serial.clone());
            let is_idle = |bound: &&Bound| bound.role != WORKER && !kept.in_force().any(|it| it.is_of(bound));
            (ended.collect(), kept.names.values().filter(is_idle).cloned().collect())
        };
        if ended.is_empty() && free.is_empty() {
            return Ok(());
        }
        let gone = ended.iter().map(|serial| Op::Delete(key(serial)));
        let ops: Vec<Op> = gone.chain(free.iter().map(|bound| Op::Delete(name_key(bound)))).collect();
        for some in ops.chunks(MAX_TXN) {
            self.write(Vec::new(), some.to_vec()).await?;
        }
        let mut kept = self.inner.kept.lock();
        ended.iter().for_each(|serial| drop(kept.certificates.remove(serial)));
        free.iter().for_each(|bound| drop(kept.names.remove(&(bound.role.clone(), bound.name.clone()))));
        self.inner.denied.send_replace(Arc::new(kept.denied()));
        Ok(())
    }
}

/// What is noted of a certificate.
fn of<'a>(what: Became<'a>, certificate: &'a IssuedCertificate) -> OfCertificate<'a> {
    let IssuedCertificate { role, name, serial, .. } = certificate;
    OfCertificate { what, role, name, serial: Some(serial), source: None }
}

impl IssuedCertificate {
    fn is_of(&self, bound: &Bound) -> bool {
        self.role == bound.role && self.name == bound.name
    }
}

impl Bound {
    fn without_certificate(&self) -> IssuedCertificate {
        let (role, name, key) = (self.role.clone(), self.name.clone(), self.key.clone());
        let never = Timestamp::from_secs(0);
        let serial = String::new();
        let (issued, expires) = (never, never);
        IssuedCertificate { serial, role, name, key, token: None, authority: None, issued, expires, revoked: None }
    }
}

impl Kept {
    fn in_force(&self) -> impl Iterator<Item = &IssuedCertificate> {
        self.certificates.values().filter(|it| it.revoked.is_none() && !has_ended(it))
    }

    fn denied(&self) -> Denied {
        let revoked = || self.certificates.values().filter(|it| it.revoked.is_some());
        Denied {
            serials: revoked().map(|it| it.serial.clone()).collect(),
            keys: revoked().map(|it| it.key.clone()).collect(),
        }
    }

    /// What has ended, and is not kept on.
    fn forgotten(&self) -> impl Iterator<Item = &IssuedCertificate> {
        let ended = self.certificates.values().filter(|it| is_forgotten(it));
        let (mut revoked, others): (Vec<_>, Vec<_>) = ended.partition(|it| it.revoked.is_some());
        revoked.sort_by_key(|it| std::cmp::Reverse(it.expires));
        others.into_iter().chain(revoked.into_iter().skip(KEPT_REVOKED))
    }

    /// The keys of names that are freed, as far as there is no certificate any more whose revocation would end them: one that was
    /// forgotten by a clock that was ahead holds again.
    fn keys_without_certificate(&self, freed: &[Bound], at: Timestamp) -> Vec<IssuedCertificate> {
        let at = at.min(wall());
        let bare = freed.iter().filter(|bound| !self.certificates.values().any(|it| it.key == bound.key));
        let revoked = |bound: &Bound| IssuedCertificate {
            // No serial number is as long.
            serial: bound.key.clone(),
            issued: at,
            expires: at,
            revoked: Some(at),
            ..bound.without_certificate()
        };
        bare.map(revoked).collect()
    }

    /// What is to be revoked, and the names that it frees.
    fn concerned(&self, which: &Which) -> (Vec<IssuedCertificate>, Vec<Bound>) {
        let named = |role: &str, name: &str| matches!(which, Which::Name { role: wanted, name: it } if it == name && wanted.as_deref().is_none_or(|it| it == role));
        let is_meant = |it: &&IssuedCertificate| match which {
            Which::Name { .. } => named(&it.role, &it.name),
            Which::Serial(serial) => it.serial == *serial,
            Which::Token(token) => it.token.as_deref() == Some(token),
        };
        let keys: BTreeSet<&str> = self.certificates.values().filter(is_meant).map(|it| &*it.key).collect();
        let all = self.certificates.values().filter(|it| is_meant(it) || keys.contains(&*it.key));
        let freed = self.names.values().filter(|it| named(&it.role, &it.name) || keys.contains(&*it.key));
        (all.filter(|it| it.revoked.is_none()).cloned().collect(), freed.cloned().collect())
    }
}

/// The wall clock, which TLS goes by.
pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { micros: u64::try_from(since.as_micros()).unwrap_or(u64::MAX) }
}

fn has_ended(certificate: &IssuedCertificate) -> bool {
    certificate.expires <= wall()
}

fn is_forgotten(certificate: &IssuedCertificate) -> bool {
    let kept = if certificate.revoked.is_some() { KEPT_AFTER } else { Duration::ZERO };
    // A clock that was set forward since the start ends nothing.
    certificate.expires + kept <= wall().min(now())
}

fn key(serial: &str) -> String {
    object_key(GROUP, CERTIFICATES, None, serial)
}

fn name_key(bound: &Bound) -> String {
    object_key(GROUP, NAMES, None, &format!("{}.{}", bound.role, bound.name))
}

fn put(certificate: &IssuedCertificate) -> Op {
    Op::Put(key(&certificate.serial), encode(certificate))
}

fn put_name(bound: &Bound) -> Op {
    Op::Put(name_key(bound), encode(bound))
}

fn encode(record: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(record).expect("plain data is JSON"))
}

async fn read_all<T: DeserializeOwned>(store: &dyn Store, plural: &str) -> Result<Vec<T>, StoreError> {
    let prefix = object_key(GROUP, plural, None, "");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&prefix, PAGE, after.as_deref()).await?;
        all.extend(page.items.iter().filter_map(|item| serde_json::from_slice(&item.value).ok()));
        after = page.items.last().map(|item| item.key.clone());
        if page.remaining == 0 {
            return Ok(all);
        }
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
