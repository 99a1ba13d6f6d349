//! A timer of the load's thread.

#[cfg(target_os = "linux")]
pub(super) use linux::Timer;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Timer;

/// A timer of the kernel, which wakes the thread as an answer does. Its time is exact to some hundredths of a
/// millisecond, and a wake-up costs one system call.
#[cfg(target_os = "linux")]
mod linux {
    use std::{io, os::fd::OwnedFd, time::Duration};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::{Interest, unix::AsyncFd};

    pub(in super::super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        pub(in super::super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "what replaces it is unsafe, for files that change; an OwnedFd does not"
            )]
            let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
            Ok(Self(timer))
        }

        /// Sleeps for about this long. It may wake up early, and at once after a sleep that was cancelled.
        pub(in super::super) async fn sleep(&self, time: Duration) {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let it_value = Timespec::try_from(time).unwrap_or(zero);
            let setting = Itimerspec { it_interval: zero, it_value };
            // Setting a timer of our own does not fail, and it forgets an end that nobody has read.
            let _ = timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &setting);
            if let Ok(mut ended) = self.0.readable().await {
                ended.clear_ready();
            }
        }
    }
}

/// The timer of tokio, which is exact to a millisecond.
#[cfg(not(target_os = "linux"))]
mod portable {
    use std::{io, time::Duration};

    pub(in super::super) struct Timer;

    impl Timer {
        #[expect(clippy::unnecessary_wraps, reason = "the timer of Linux may be missing")]
        pub(in super::super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(in super::super) async fn sleep(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }
    }
}
