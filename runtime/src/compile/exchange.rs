//! What is said between a compile server and who started it: for each component a byte, which says what is wanted of it, and two
//! descriptors, the component and the end of a socket for the answer. The answer is what was wanted, as a descriptor too, or words.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create},
    mm::{MapFlags, ProtFlags, mmap},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};
use tokio::{
    io::{AsyncReadExt, Interest},
    net::UnixStream,
};

/// The longest refusal; what would be longer is cut.
pub(super) const MAX_WORDS_BYTES: usize = 32 << 10;
/// Of files that nobody can change any more.
const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);
/// Descriptors that come with one message.
const PASSED: usize = 2;

/// What is wanted of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Artifact,
    /// Its parts, as [`Divided::write`](registry_client::Divided::write) writes them.
    Parts,
}

impl Wanted {
    fn read(byte: u8) -> Option<Self> {
        [Self::Artifact, Self::Parts].into_iter().find(|wanted| *wanted as u8 == byte)
    }
}

/// A socket as tokio uses it.
pub(super) fn connection(stream: BlockingStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// A file in memory that nobody else can open.
pub(super) fn memory(bytes: &[u8]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("sampan-compile", flags)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// From now on nobody can change what was written to such a file.
pub(super) fn seal(file: &File) -> io::Result<()> {
    Ok(fcntl_add_seals(file, SEALS)?)
}

/// What is in a file that was handed over and that nobody can change any more, without a copy of it. It stays mapped: this is for a
/// process that ends with its work.
#[allow(unsafe_code, reason = "no library in use maps a file, knowing that it is sealed")]
pub(super) fn handed_over(component: &File) -> io::Result<&'static [u8]> {
    if !fcntl_get_seals(component)?.contains(SEALS) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it could still be changed"));
    }
    // A process in a sandbox may not ask for the metadata of a file.
    let length = usize::try_from((&*component).seek(SeekFrom::End(0))?).map_err(io::Error::other)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the kernel chooses a place where nothing is. The bytes there are as long as the file is, which can neither shrink nor be
    // written to, and are never unmapped.
    unsafe {
        let begins = mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, component, 0)?;
        Ok(std::slice::from_raw_parts(begins.cast(), length))
    }
}

/// Gives the other process a component, and the end of a socket for its answer.
pub(super) fn hand_over(
    control: &BlockingStream,
    wanted: Wanted,
    component: &File,
    answer: &BlockingStream,
) -> io::Result<()> {
    // There is room for many more than there are compiles at the same time: a full socket is a server that hangs.
    send(control, &[wanted as u8], &[component.as_fd(), answer.as_fd()], SendFlags::DONTWAIT)
}

/// What was handed over: what is wanted, the component, and where the answer is for. `None`: there will be no more.
pub(super) async fn take_over(control: &UnixStream) -> io::Result<Option<(Wanted, File, UnixStream)>> {
    let mut byte = [0];
    let (length, passed) = control.async_io(Interest::READABLE, || receive(control.as_fd(), &mut byte)).await?;
    if length == 0 {
        return Ok(None);
    }
    let (Some(wanted), [Some(component), Some(answer)]) = (Wanted::read(byte[0]), passed) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(Some((wanted, component.into(), connection(answer.into())?)))
}

/// Answers with what was written to `artifact`, which nobody can change from now on, or with words.
pub(super) async fn send_answer(to: &UnixStream, answer: Result<File, String>) -> io::Result<()> {
    let (words, artifact) = match &answer {
        Ok(artifact) => {
            seal(artifact)?;
            ("compiled", Some(artifact.as_fd()))
        }
        Err(why) => (&why[..why.floor_char_boundary(MAX_WORDS_BYTES)], None),
    };
    let send = || send(to, words.as_bytes(), artifact.as_slice(), SendFlags::empty());
    to.async_io(Interest::WRITABLE, send).await
}

/// The artifact, of up to so many bytes, or why there is none.
pub(super) async fn receive_answer(from: &mut UnixStream, limit_bytes: u64) -> io::Result<Result<Vec<u8>, String>> {
    let mut words = vec![0; MAX_WORDS_BYTES];
    let (length, passed) = from.async_io(Interest::READABLE, || receive(from.as_fd(), &mut words)).await?;
    let [artifact, _] = passed;
    match artifact {
        Some(artifact) => {
            let mut artifact = File::from(artifact);
            let read = move || {
                let length = artifact.seek(SeekFrom::End(0))?;
                if length > limit_bytes {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("{length} bytes, over {limit_bytes}"),
                    ));
                }
                artifact.rewind()?;
                let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
                artifact.read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?.map(Ok)
        }
        None if length == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
        None => {
            words.truncate(length);
            // Long ones may come in pieces.
            from.take(MAX_WORDS_BYTES as u64).read_to_end(&mut words).await?;
            Ok(Err(String::from_utf8_lossy(&words).into_owned()))
        }
    }
}

fn send(to: impl AsFd, bytes: &[u8], passed: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PASSED))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !passed.is_empty() {
        beside.push(SendAncillaryMessage::ScmRights(passed));
    }
    sendmsg(to, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL | flags)?;
    Ok(())
}

fn receive(from: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, [Option<OwnedFd>; PASSED])> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PASSED))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let length = recvmsg(from, &mut [IoSliceMut::new(bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let mut passed = beside.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(passed) => passed.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let passed = [passed.next(), passed.next()];
    Ok((length, passed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_component_that_is_handed_over_is_answered_with_an_artifact_or_with_words() {
        let (ours, theirs) = BlockingStream::pair().unwrap();
        let theirs = connection(theirs).unwrap();
        for (wanted, answer) in [(Wanted::Artifact, Ok(b"code".to_vec())), (Wanted::Parts, Err("why".to_owned()))] {
            let (near, far) = BlockingStream::pair().unwrap();
            hand_over(&ours, wanted, &memory(b"component").unwrap(), &far).unwrap();
            drop(far);
            let (asked, mut component, far) = take_over(&theirs).await.unwrap().unwrap();
            assert_eq!(asked, wanted);
            let mut bytes = Vec::new();
            component.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"component");
            send_answer(&far, answer.clone().map(|code| memory(&code).unwrap())).await.unwrap();
            drop(far);
            assert_eq!(receive_answer(&mut connection(near).unwrap(), 100).await.unwrap(), answer);
        }
        drop(ours);
        assert!(take_over(&theirs).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_artifact_that_is_too_large_and_an_answer_that_does_not_come_are_errors() {
        for (code, limit_bytes) in [(Some(b"artifact"), 7), (None, 100)] {
            let (near, far) = BlockingStream::pair().unwrap();
            let far = connection(far).unwrap();
            if let Some(code) = code {
                send_answer(&far, Ok(memory(code).unwrap())).await.unwrap();
            }
            drop(far);
            assert!(receive_answer(&mut connection(near).unwrap(), limit_bytes).await.is_err());
        }
    }

    #[test]
    fn a_component_that_was_handed_over_is_read_where_it_is_once_nobody_can_change_it() {
        let component = memory(b"component").unwrap();
        assert!(handed_over(&component).is_err());
        seal(&component).unwrap();
        assert_eq!(handed_over(&component).unwrap(), b"component");
        let empty = memory(b"").unwrap();
        seal(&empty).unwrap();
        assert!(handed_over(&empty).unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_artifact_that_was_given_back_is_changed_by_nobody() {
        let (near, far) = BlockingStream::pair().unwrap();
        let artifact = memory(b"artifact").unwrap();
        let mut again = artifact.try_clone().unwrap();
        send_answer(&connection(far).unwrap(), Ok(artifact)).await.unwrap();
        assert!(again.write_all(b"x").is_err() && again.set_len(0).is_err());
        assert_eq!(receive_answer(&mut connection(near).unwrap(), 100).await.unwrap().unwrap(), b"artifact");
    }
}
