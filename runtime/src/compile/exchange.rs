//! What a worker and its compile server say to each other: connections that are handed over, and on each of them a
//! component one way and an answer the other. Lengths go first, so that what was cut off is seen.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::UnixStream,
};

const ARTIFACT: u8 = 0;
const REFUSAL: u8 = 1;

/// A connection as tokio uses it.
pub(super) fn connection(stream: BlockingStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Gives one end of a connection to the other process.
pub(super) fn hand_over(control: &BlockingStream, end: BlockingStream) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let ends = [end.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&ends));
    // There is room for many more than there are compiles at the same time: a full socket is a server that hangs.
    sendmsg(control, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

/// The next connection that was handed over. `None`: there will be no more.
pub(super) async fn take_over(control: &UnixStream) -> io::Result<Option<UnixStream>> {
    let end = control.async_io(Interest::READABLE, || take_now(control)).await?;
    end.map(|end| connection(end.into())).transpose()
}

fn take_now(control: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(control, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let ends = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut ends) => ends.next(),
        _ => None,
    });
    ends.last().map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message without a connection"))
}

pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_u64_le(bytes.len() as u64).await?;
    to.write_all(bytes).await
}

pub(super) async fn receive(from: &mut (impl AsyncRead + Unpin), limit_bytes: u64) -> io::Result<Vec<u8>> {
    let length = from.read_u64_le().await?;
    if length > limit_bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{length} bytes, over {limit_bytes}")));
    }
    // What is said to come is not reserved for: it may never come.
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

pub(super) async fn send_answer(
    to: &mut (impl AsyncWrite + Unpin),
    answer: &Result<Vec<u8>, String>,
) -> io::Result<()> {
    let (kind, bytes) = match answer {
        Ok(artifact) => (ARTIFACT, artifact.as_slice()),
        Err(why) => (REFUSAL, why.as_bytes()),
    };
    to.write_u8(kind).await?;
    send(to, bytes).await
}

pub(super) async fn receive_answer(
    from: &mut (impl AsyncRead + Unpin),
    limit_bytes: u64,
) -> io::Result<Result<Vec<u8>, String>> {
    let kind = from.read_u8().await?;
    let bytes = receive(from, limit_bytes).await?;
    Ok(if kind == ARTIFACT { Ok(bytes) } else { Err(String::from_utf8_lossy(&bytes).into_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_handed_over_reaches_the_other_end_with_both_kinds_of_answers() {
        let (ours, theirs) = BlockingStream::pair().unwrap();
        let theirs = connection(theirs).unwrap();
        for answer in [Ok(b"code".to_vec()), Err("why".to_owned())] {
            let (near, far) = BlockingStream::pair().unwrap();
            hand_over(&ours, far).unwrap();
            let mut far = take_over(&theirs).await.unwrap().unwrap();
            send_answer(&mut far, &answer).await.unwrap();
            assert_eq!(receive_answer(&mut connection(near).unwrap(), 100).await.unwrap(), answer);
        }
        drop(ours);
        assert!(take_over(&theirs).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_cut_off_or_too_large_is_an_error() {
        let mut sent = Vec::new();
        send(&mut sent, b"component").await.unwrap();
        assert_eq!(receive(&mut sent.as_slice(), 9).await.unwrap(), b"component");
        assert!(receive(&mut sent.as_slice(), 8).await.is_err());
        assert!(receive(&mut &sent[..sent.len() - 1], 9).await.is_err());
    }
}
