//! What is said between who wants an image and the process that pulls it. Each message is its length and JSON, in bounds; a file may
//! come along, as a descriptor.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
    time::Duration,
};

use api::Digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream};

use super::{
    limits::TransferLimits,
    settings::{RegistryHost, RegistrySettings},
};
use crate::{ImageReference, access::Credentials, signature::Evidence};

/// The longest message: a manifest and an index with one, each of the largest size, and what is around them.
const MAX_MESSAGE_BYTES: usize = 12 << 20;

/// What a pull process is to do: one thing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) work: Work,
    pub(super) settings: Settings,
    /// Whose user asks; `None`: this machine's.
    pub(super) namespace: Option<String>,
    /// What of that user's secrets is to be tried at each host that may be asked.
    pub(super) credentials: BTreeMap<String, Vec<Credentials>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Pull what a reference names. It has been read already, as what reads it takes longer to be made than all else that a process
    /// does.
    Pull { reference: ImageReference },
    /// Look for a signature of the image that a reference names, by one of these keys in PEM.
    Verify { reference: ImageReference, digest: Digest, keys: String },
    /// Look at the component that comes along: what made it, if an instance of it answers one request alone.
    AnswersOnce,
}

/// What a pull process says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// How much of the component has come. It says so every so often, also while nothing comes.
    Transferred { bytes: u64, total: u64 },
    /// The registry wants to know who this machine's user is.
    WhoIs { host: String },
    /// This is what the reference names. Of an index that it was taken from, its bytes.
    Found { manifest: Text, index: Option<Text>, component: Digest, size_bytes: u64 },
    /// A blob of it is to be fetched.
    Wants { digest: Digest, limit_bytes: u64 },
    /// The blob that it wanted has been fetched; or what has come of it is of no use.
    Fetched { is_of_use: bool },
    /// All of it has been fetched, by credentials of the namespace alone or not.
    Whole { is_private: bool },
    /// It is signed.
    Signed(Evidence),
    /// What made the component, if an instance of it answers one request alone.
    MadeBy(Option<String>),
    /// It cannot be done, and why, for people.
    Failed(String),
}

/// What it is answered. To some it is not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Who this machine's user is, or why that cannot be told.
    Credentials(Result<Credentials, String>),
    /// Whether all of the image is here already.
    IsHere(bool),
    /// What has come of the blob before: its file comes along.
    GoOn,
    /// It is as it should be.
    Kept,
}

/// Bytes as they are written in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The settings of registries, without what this installation shows to its own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    registry: BTreeMap<String, Host>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    transfer_timeout: Duration,
    tries: u32,
    namespaces_reach_loopback: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Host {
    ca_pem: Option<Text>,
    mirrors: Vec<String>,
    plain_http: bool,
    private_network: Option<bool>,
}

impl Settings {
    pub(super) fn of(settings: &RegistrySettings) -> Self {
        let host = |host: &RegistryHost| Host {
            ca_pem: host.ca_pem.clone().map(Text),
            mirrors: host.mirrors.clone(),
            plain_http: host.plain_http,
            private_network: host.private_network,
        };
        let &TransferLimits { connect_timeout, idle_timeout, transfer_timeout, tries, .. } = &settings.limits;
        Self {
            registry: settings.registry.iter().map(|(name, found)| (name.clone(), host(found))).collect(),
            connect_timeout,
            idle_timeout,
            transfer_timeout,
            tries,
            namespaces_reach_loopback: settings.namespaces_reach_loopback,
        }
    }
}

impl From<Settings> for RegistrySettings {
    fn from(told: Settings) -> Self {
        let host = |host: Host| RegistryHost {
            ca_pem: host.ca_pem.map(|pem| pem.0),
            mirrors: host.mirrors,
            plain_http: host.plain_http,
            private_network: host.private_network,
            ..RegistryHost::default()
        };
        let Settings { connect_timeout, idle_timeout, transfer_timeout, tries, namespaces_reach_loopback, .. } = told;
        let limits =
            TransferLimits { connect_timeout, idle_timeout, transfer_timeout, tries, ..TransferLimits::default() };
        let registry = told.registry.into_iter().map(|(name, told)| (name, host(told))).collect();
        Self { registry, limits, namespaces_reach_loopback }
    }
}

/// One end of the socket that the two have.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

impl Line {
    pub(super) fn new(stream: BlockingStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(stream)?))
    }

    pub(super) async fn send(&self, message: &impl Serialize, file: Option<&File>) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, message)?;
        let length = bytes.len() - 4;
        if length > MAX_MESSAGE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a message of {length} bytes")));
        }
        bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
        let (mut rest, mut file) = (&bytes[..], file.map(AsFd::as_fd));
        while !rest.is_empty() {
            let sent = self.0.async_io(Interest::WRITABLE, || send(self.0.as_fd(), rest, file)).await?;
            (rest, file) = (&rest[sent..], None);
        }
        Ok(())
    }

    /// The next message, with the file that came along if there is one. `None`: the other end is closed.
    pub(super) async fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<File>)>> {
        let (mut length, mut file) = ([0; 4], None);
        if !self.fill(&mut length, &mut file).await? {
            return Ok(None);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_MESSAGE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        if !self.fill(&mut bytes, &mut file).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((serde_json::from_slice(&bytes)?, file.map(File::from))))
    }

    /// Fills `bytes`. Whether they came; nothing but the end may come in their place.
    async fn fill(&self, bytes: &mut [u8], file: &mut Option<OwnedFd>) -> io::Result<bool> {
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            let (length, passed) = self.0.async_io(Interest::READABLE, || receive(self.0.as_fd(), rest)).await?;
            match length {
                0 if filled == 0 => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => filled += length,
            }
            *file = file.take().or(passed);
        }
        Ok(true)
    }
}

fn send(to: BorrowedFd<'_>, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if let Some(file) = &file {
        beside.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(file)));
    }
    Ok(sendmsg(to, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?)
}

fn receive(from: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let length = recvmsg(from, &mut [IoSliceMut::new(bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let passed = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut passed) => passed.next(),
        _ => None,
    });
    Ok((length, passed))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[tokio::test]
    async fn messages_come_as_they_were_sent_with_their_file_until_the_other_end_is_closed() {
        let (near, far) = BlockingStream::pair().unwrap();
        let (near, far) = (Line::new(near).unwrap(), Line::new(far).unwrap());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"some bytes").unwrap();
        file.rewind().unwrap();
        // Longer than the socket's buffer, so that it comes in pieces.
        let said = Said::Found {
            manifest: Text(vec![7; 3 << 20]),
            index: None,
            component: Digest::from_sha256([1; 32]),
            size_bytes: 1,
        };
        let sending = async {
            near.send(&said, None).await.unwrap();
            near.send(&Answer::GoOn, Some(&file)).await.unwrap();
        };
        let receiving = async {
            let first = far.receive::<Said>().await.unwrap().unwrap();
            (first, far.receive::<Answer>().await.unwrap().unwrap())
        };
        let ((), ((first, none), (second, passed))) = tokio::join!(sending, receiving);
        assert!(matches!(first, Said::Found { manifest: Text(bytes), .. } if bytes == vec![7; 3 << 20]));
        assert!(matches!(second, Answer::GoOn) && none.is_none());
        let mut bytes = String::new();
        passed.unwrap().read_to_string(&mut bytes).unwrap();
        assert_eq!(bytes, "some bytes");
        drop(near);
        assert!(far.receive::<Said>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_or_cut_off_or_of_another_kind_is_an_error() {
        let too_long = (MAX_MESSAGE_BYTES as u32 + 1).to_be_bytes().to_vec();
        for bytes in [too_long, vec![0, 0], vec![0, 0, 0, 9, b'{'], b"\0\0\0\x06\"Whom\"".to_vec()] {
            let (mut near, far) = BlockingStream::pair().unwrap();
            near.write_all(&bytes).unwrap();
            drop(near);
            assert!(Line::new(far).unwrap().receive::<Said>().await.is_err(), "{bytes:?}");
        }
    }
}
