//! Passing a connection, or another descriptor, to another process beside bytes.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};
use tokio::{io::Interest, net::UnixStream};

/// Sends bytes, few enough for one message, and a connection with them if there is one.
pub(crate) async fn send(to: &UnixStream, bytes: &[u8], connection: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let sent = to.async_io(Interest::WRITABLE, || {
        let (connections, mut space) = (connection.as_slice(), [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))]);
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !connections.is_empty() {
            beside.push(SendAncillaryMessage::ScmRights(connections));
        }
        Ok(sendmsg(to.as_fd(), &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?)
    });
    if sent.await? == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives what [`send`] sent: up to as many bytes as there is room for, and the connection that came with them.
pub(crate) async fn receive(from: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let received = from.async_io(Interest::READABLE, || {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(bytes)];
        let received = recvmsg(from.as_fd(), into, &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let mut connections = beside.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut connections) => connections.next(),
            _ => None,
        });
        Ok((received, connections.next()))
    });
    received.await
}
