//! One process takes over from another: it gets the listening sockets, makes itself ready, and only then the other one lets go.
//!
//! The old process starts the new one and speaks to it over its standard input, which is a socket of theirs alone. Whatever
//! goes wrong before the new one is ready, the old one goes on as if nothing had been.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::sockets::Sockets;

/// What the new process says.
const READY: [u8; 1] = *b"r";
/// Until it has said so: it may have to fetch keys.
const READY_TIME: Duration = Duration::from_secs(60);

/// The process that this one takes over from.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Gets its sockets. Errors: no gateway started this process to take over from it.
    pub fn meet() -> io::Result<(Self, Sockets)> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        socket.set_read_timeout(Some(READY_TIME))?;
        let sockets = Sockets::receive(&socket)?;
        Ok((Self(socket), sockets))
    }

    /// From now on the old one takes no connection any more. Errors: it is gone.
    pub fn relieve(mut self) -> io::Result<()> {
        self.0.write_all(&READY)
    }
}

/// A process that is not ready yet, and ends with this.
struct Successor(Option<Child>);

impl Successor {
    /// It goes on by itself.
    fn release(mut self) -> Option<u32> {
        self.0.take().map(|child| child.id())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Runs a command, gives it the sockets, and waits until it is ready: its process id. Errors: it never was, and has ended.
pub async fn hand_over(mut command: Command, sockets: Sockets) -> io::Result<u32> {
    let (own, theirs) = UnixStream::pair()?;
    // A watchdog that asks for this process by its id would have the new one be silent.
    command.stdin(Stdio::from(OwnedFd::from(theirs))).env_remove("WATCHDOG_PID");
    let successor = Successor(Some(command.spawn()?));
    // With its end of the socket, so that its end is noticed.
    drop(command);
    sockets.send(&own)?;
    own.set_nonblocking(true)?;
    let mut own = tokio::net::UnixStream::from_std(own)?;
    let mut said = [0];
    match tokio::time::timeout(READY_TIME, own.read_exact(&mut said)).await {
        Ok(Ok(_)) if said == READY => successor.release().ok_or_else(|| io::ErrorKind::NotFound.into()),
        Ok(Ok(_)) => Err(io::ErrorKind::InvalidData.into()),
        Ok(Err(_)) => Err(io::Error::other("the new process ended before it was ready")),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the new process was not ready in time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets() -> Sockets {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let mut sockets = Sockets::default();
        sockets.keep(socket.local_addr().expect("bound"), &socket).expect("kept");
        sockets
    }

    #[tokio::test]
    async fn a_process_that_ends_or_says_something_else_has_taken_nothing_over() {
        for (program, arguments) in [("true", &[][..]), ("sh", &["-c", "printf x >&0"]), ("no-such-program", &[])] {
            let mut command = Command::new(program);
            command.args(arguments);
            assert!(hand_over(command, sockets()).await.is_err(), "{program}");
        }
        let mut ready = Command::new("sh");
        // It takes what it is given first: whoever has gone by then is given nothing.
        ready.args(["-c", "dd bs=4096 count=1 >/dev/null 2>&1; printf r >&0"]);
        assert!(hand_over(ready, sockets()).await.is_ok());
    }
}
