//! Binding addresses: one socket for each serving thread, and a clear word when an address cannot be had.

use std::{io, net::SocketAddr, net::TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the system keeps for a thread until it accepts them.
const BACKLOG: i32 = 1024;

/// Binds `addr` once for each thread. An address where another process listens is refused, although sockets that
/// share a port would let both have it.
pub(crate) fn bind_all(addr: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
    if addr.port() != 0 {
        // Without SO_REUSEPORT a bind beside any listener fails: so it tells whether there is one.
        drop(bound(addr, Sharing::Exclusive)?);
    }
    let first = bound(addr, Sharing::AmongThreads)?;
    let addr = first.local_addr()?.as_socket().ok_or_else(|| io::Error::other("the socket has no IP address"))?;
    let others = (1..threads.max(1)).map(|_| bound(addr, Sharing::AmongThreads));
    std::iter::once(Ok(first)).chain(others).map(|socket| listening(socket?)).collect()
}

#[derive(PartialEq, Eq)]
enum Sharing {
    Exclusive,
    AmongThreads,
}

fn bound(addr: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // So that connections of an earlier process, waiting for their last packets, do not hold the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::AmongThreads)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Why `addr` cannot be bound, for people.
pub(crate) fn why_not(addr: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("address {addr} is in use by another process"),
        io::ErrorKind::PermissionDenied => "permission denied: ports below 1024 need root, CAP_NET_BIND_SERVICE or a \
            lower sysctl net.ipv4.ip_unprivileged_port_start"
            .to_owned(),
        io::ErrorKind::AddrNotAvailable => format!("no interface of this machine has the address {}", addr.ip()),
        _ => format!("address {addr}: {error}"),
    }
}
